#include "tipcurrent/activity.h"

#include <string.h>

#include "api/door.h"
#include "api/enter.h"
#include "api/sized.h"
#include "api/text.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/types.h"
#include "model/kind.h"
#include "model/record.h"

/* The kind that is created under this type. */
static int kind_of(const tc_engine *engine, tc_text type, uint32_t *kind) {
  if (!type.ptr) return tci_fail(TC_EINVAL, "type: is required");
  *kind = tci_kind_of_type(type);
  if (!*kind && tci_types_known(engine, type)) *kind = TC_KIND_CUSTOM;
  if (*kind) return TC_OK;
  return tci_fail(TC_EINVAL, "type: \"%.*s\" is neither built in nor registered", type.len > 64 ? 64 : (int)type.len, type.ptr);
}

static int take(tc_engine *engine, const tc_activity_new *activity, tc_record *record) {
  tc_activity_new a;
  int rc = tci_sized_in(&a, sizeof a, TCI_SIZED_UP_TO(tc_activity_new, idempotency_key), activity, "activity");
  if (rc) return rc;
  memset(record, 0, sizeof *record);
  rc = kind_of(engine, tci_text_of(a.type), &record->kind);
  if (rc) return rc;
  record->amount = a.count;
  record->text[TC_COL_ROOM] = tci_text_of(a.room_id);
  record->text[TC_COL_USER] = tci_text_of(a.user_id);
  if (record->kind == TC_KIND_CUSTOM) record->text[TC_COL_PEER] = tci_text_of(a.type);
  record->text[TC_COL_BODY] = tci_text_of(a.message);
  record->text[TC_COL_TARGET] = tci_text_of(a.target_id);
  record->text[TC_COL_METADATA] = tci_text_of(a.metadata);
  record->text[TC_COL_KEY] = tci_text_of(a.idempotency_key);
  return tci_record_validate(record);
}

int tc_activity_create(tc_engine *engine, const tc_activity_new *activity, tc_event **out, int32_t *replayed) {
  tc_record record;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc) rc = take(engine, activity, &record);
  return rc ? rc : tci_create(engine, &record, out, replayed);
}

int tc_activity_submit(tc_engine *engine, const tc_activity_new *activity, tc_done_fn done, void *userdata) {
  tc_record record;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc && !done) rc = tci_fail(TC_EINVAL, "done: must not be NULL");
  if (!rc) rc = take(engine, activity, &record);
  return rc ? rc : tci_queue_submit(engine, &record, done, userdata);
}

/* Which kind the object says it is. */
static int read_kind(const tc_engine *engine, const char *json, size_t len, uint32_t *kind) {
  const char *name = "type";
  tci_json_value value;
  tci_json_fault fault;
  if (tci_json_object(json, len, &name, 1, &value, &fault)) return tci_fail(TC_EINVAL, "body: %s at byte %zu", fault.what, fault.offset);
  if (value.type == TCI_JSON_ABSENT || value.type == TCI_JSON_NULL) return tci_fail(TC_EINVAL, "type: is required");
  if (value.type != TCI_JSON_STRING) return tci_fail(TC_EINVAL, "type: must be a string");
  if (!value.escaped) return kind_of(engine, value.raw, kind);
  char *text = tci_alloc(value.raw.len);
  if (!text) return tci_fail(TC_ENOMEM, "out of memory for one event");
  int rc = kind_of(engine, (tc_text){text, tci_json_unescape(value.raw, text)}, kind);
  tci_free(text);
  return rc;
}

int tc_activity_json_submit(tc_engine *engine, const char *json, size_t len, const char *idempotency_key, tc_done_fn done, void *userdata) {
  uint32_t kind = 0;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (rc) return rc;
  if (!json || !done) return tci_fail(TC_EINVAL, "%s: must not be NULL", json ? "done" : "json");
  rc = read_kind(engine, json, len, &kind);
  return rc ? rc : tci_door_submit_json(engine, kind, json, len, idempotency_key, done, userdata);
}

/* Any type that events are shown under; what nobody knows is a custom one of which there are none. */
static uint32_t shown_kind(tc_text type) {
  for (uint32_t number = TC_KIND_REFUND; number < TC_KIND_CUSTOM; number++) {
    const char *own = tci_kind_of(number)->type;
    if (strlen(own) == type.len && !memcmp(own, type.ptr, type.len)) return number;
  }
  return TC_KIND_CUSTOM;
}

int tc_activity_get(tc_engine *engine, const char *type, int64_t id, tc_event **out) {
  tc_event *event;
  TCI_ENTER();
  if (!engine || !type || !out) return tci_fail(TC_EINVAL, "%s: must not be NULL", !engine ? "engine" : !type ? "type" : "out");
  int rc = tci_query_get(engine, shown_kind(tci_text_of(type)), id, &event);
  if (rc) return rc;
  if (strcmp(tc_event_str(event, TC_FIELD_TYPE), type) != 0) {
    tc_event_unref(event);
    return tci_fail(TC_ENOTFOUND, "event %lld is of another type", (long long)id);
  }
  *out = event;
  return TC_OK;
}

int tc_activity_list(tc_engine *engine, const tc_activity_query *query, tc_page **out) {
  tc_activity_query q;
  tci_list_request request;
  TCI_ENTER();
  int rc = tci_sized_in(&q, sizeof q, TCI_SIZED_UP_TO(tc_activity_query, page_size), query, "query");
  if (rc) return rc;
  if (!q.type) return tci_fail(TC_EINVAL, "type: is required");
  memset(&request, 0, sizeof request);
  request.filter.kind = shown_kind(tci_text_of(q.type));
  request.filter.text[TC_COL_ROOM] = tci_text_of(q.room_id);
  request.filter.text[TC_COL_USER] = tci_text_of(q.user_id);
  request.filter.text[TC_COL_TARGET] = tci_text_of(q.target_id);
  if (request.filter.kind == TC_KIND_CUSTOM) request.filter.text[TC_COL_PEER] = tci_text_of(q.type);
  return tci_door_list(engine, &request, q.after, q.page, q.page_size, out);
}

static void show(const tci_type *type, tc_event_type_fn fn, void *userdata) {
  tc_event_type shown = {sizeof shown, type->id, type->created_at_us, type->name, type->description};
  fn(&shown, userdata);
}

int tc_event_type_create(tc_engine *engine, const char *name, const char *description, tc_event_type_fn fn, void *userdata, int32_t *existed) {
  tci_type *type = NULL;
  int32_t known = 0;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc && tci_engine_on_own_thread(engine)) rc = tci_fail(TC_EINVAL, "an event type cannot be made inside a callback");
  if (!rc) rc = tci_types_create(engine, name, description, &type, &known);
  if (rc) return rc;
  if (fn) show(type, fn, userdata);
  if (existed) *existed = known;
  tci_type_unref(type);
  return TC_OK;
}

int tc_event_type_delete(tc_engine *engine, const char *name) {
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc && !name) rc = tci_fail(TC_EINVAL, "name: must not be NULL");
  if (!rc && tci_engine_on_own_thread(engine)) rc = tci_fail(TC_EINVAL, "an event type cannot be removed inside a callback");
  return rc ? rc : tci_types_remove(engine, name);
}

int tc_event_type_list(tc_engine *engine, tc_event_type_fn fn, void *userdata) {
  tci_type **all = NULL;
  size_t count = 0;
  TCI_ENTER();
  if (!engine || !fn) return tci_fail(TC_EINVAL, "%s: must not be NULL", engine ? "fn" : "engine");
  int rc = tci_types_all(engine, &all, &count);
  for (size_t i = 0; i < count && !rc; i++) {
    show(all[i], fn, userdata);
    tci_type_unref(all[i]);
  }
  tci_free(all);
  return rc;
}
