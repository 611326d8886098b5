/* open.h - an engine's life, for lib/api. */
#ifndef TCI_ENGINE_OPEN_H
#define TCI_ENGINE_OPEN_H

#include "tipcurrent.h"

/* options: complete (all fields ours) and checked. */
int tci_engine_open(tc_engine **out, const tc_options *options);
void tci_engine_shutdown(tc_engine *engine);
void tci_engine_free(tc_engine *engine); /* shuts down, waits, frees */
void tci_engine_read_status(tc_engine *engine, tc_status *out);

#endif
