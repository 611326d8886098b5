#include <string.h>

#include "api/door.h"
#include "api/enter.h"
#include "api/sized.h"
#include "api/text.h"
#include "engine/engine.h"
#include "engine/page.h"
#include "tipcurrent/reaction.h"
#include "tipcurrent/tip.h"

#define OFFSET_MAX 1000000
#define PAGE_SIZE_MAX 1000
#define PAGE_SIZE_DEFAULT 20

static int get(tc_engine *engine, uint32_t kind, int64_t id, tc_event **out) {
  TCI_ENTER();
  if (!engine || !out) return tci_fail(TC_EINVAL, "%s: must not be NULL", engine ? "out" : "engine");
  return tci_query_get(engine, kind, id, out);
}

int tc_tip_get(tc_engine *engine, int64_t id, tc_event **out) { return get(engine, TC_KIND_TIP, id, out); }

int tc_reaction_get(tc_engine *engine, int64_t id, tc_event **out) { return get(engine, TC_KIND_REACTION, id, out); }

int tci_door_list(tc_engine *engine, tci_list_request *request, const char *after, int64_t page, int32_t page_size, tc_page **out) {
  tc_position position;
  if (!engine || !out) return tci_fail(TC_EINVAL, "%s: must not be NULL", engine ? "out" : "engine");
  if (page_size < 0 || page_size > PAGE_SIZE_MAX) return tci_fail(TC_EINVAL, "size: must be from 1 to %d", PAGE_SIZE_MAX);
  request->size = page_size ? (size_t)page_size : PAGE_SIZE_DEFAULT;
  if (page < 0) return tci_fail(TC_EINVAL, "page: must not be negative");
  if (after && page) return tci_fail(TC_EINVAL, "page: must be 0 with after");
  if (page > OFFSET_MAX / (int64_t)request->size) return tci_fail(TC_EINVAL, "page: page * size must be at most %d, use after= beyond", OFFSET_MAX);
  request->offset = (size_t)page * request->size;
  if (after && *after) {
    if (tci_cursor_parse(after, &position)) return tci_fail(TC_EINVAL, "after: is not a cursor of an earlier page");
    request->after = &position;
  }
  return tci_query_list(engine, request, out);
}

int tc_tip_list(tc_engine *engine, const tc_tip_query *query, tc_page **out) {
  tc_tip_query q;
  tci_list_request request = {.filter = {.kind = TC_KIND_TIP}};
  TCI_ENTER();
  int rc = tci_sized_in(&q, sizeof q, TCI_SIZED_UP_TO(tc_tip_query, currency), query, "query");
  if (rc) return rc;
  request.filter.text[TC_COL_ROOM] = tci_text_of(q.room_id);
  request.filter.text[TC_COL_USER] = tci_text_of(q.sender_id);
  request.filter.text[TC_COL_PEER] = tci_text_of(q.recipient_id);
  if (q.currency && engine && !strcmp(q.currency, engine->currency)) request.filter.absent = 1u << TC_COL_CURRENCY;
  else request.filter.text[TC_COL_CURRENCY] = tci_text_of(q.currency);
  return tci_door_list(engine, &request, q.after, q.page, q.page_size, out);
}

int tc_reaction_list(tc_engine *engine, const tc_reaction_query *query, tc_page **out) {
  tc_reaction_query q;
  tci_list_request request = {.filter = {.kind = TC_KIND_REACTION}};
  TCI_ENTER();
  int rc = tci_sized_in(&q, sizeof q, TCI_SIZED_UP_TO(tc_reaction_query, page_size), query, "query");
  if (rc) return rc;
  request.filter.text[TC_COL_ROOM] = tci_text_of(q.room_id);
  request.filter.text[TC_COL_USER] = tci_text_of(q.user_id);
  request.filter.text[TC_COL_BODY] = tci_text_of(q.emoji);
  request.filter.text[TC_COL_TARGET] = tci_text_of(q.target_id);
  return tci_door_list(engine, &request, q.after, q.page, q.page_size, out);
}
