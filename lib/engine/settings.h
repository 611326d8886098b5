/* settings.h - what a log was begun with: the currency of amounts that name none. */
#ifndef TCI_ENGINE_SETTINGS_H
#define TCI_ENGINE_SETTINGS_H

#include "tipcurrent/sys/storage.h"

/* Sets engine->currency: wanted, or (NULL) what the log says, or the standard; and has the log remember it. Before the writer starts.
 * TC_EINVAL: no such code, or the log has events in another one. TC_EBUSY: the log is half of a move. Errors of the storage. */
int tci_settings_open(tc_engine *engine, const char *wanted);
/* The default currency is kept as none, whether it was named or not. */
void tci_settings_apply(const tc_engine *engine, tc_record *record);

#endif
