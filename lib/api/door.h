/* door.h - what the entry points share. */
#ifndef TCI_API_DOOR_H
#define TCI_API_DOOR_H

#include "engine/engine.h"

/* TC_OK, TC_EINVAL (no engine), TC_ECLOSED. */
int tci_door_check(const tc_engine *engine);
/* Reads the object as an event of this kind, and submits it. Everything else was checked. */
int tci_door_submit_json(tc_engine *engine, uint32_t kind, const char *json, size_t len, const char *idempotency_key, tc_done_fn done, void *userdata);
/* A page by number or by cursor: checks the numbers, and asks. request: its filter is set. */
int tci_door_list(tc_engine *engine, tci_list_request *request, const char *after, int64_t page, int32_t page_size, tc_page **out);

#endif
