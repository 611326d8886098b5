#include "tipcurrent/create.h"

#include <string.h>

#include "api/door.h"
#include "api/enter.h"
#include "api/sized.h"
#include "api/text.h"
#include "base/buf.h"
#include "engine/engine.h"
#include "engine/settings.h"
#include "model/record.h"

int tci_door_check(const tc_engine *engine) {
  if (!engine) return tci_fail(TC_EINVAL, "engine: must not be NULL");
  if (atomic_load(&engine->closing)) return tci_fail(TC_ECLOSED, "engine is closing");
  return TC_OK;
}

int tci_door_submit_json(tc_engine *engine, uint32_t kind, const char *json, size_t len, const char *idempotency_key, tc_done_fn done, void *userdata) {
  tc_record record;
  tci_buf scratch;
  tci_buf_init(&scratch, len);
  int rc = tci_record_decode(kind, json, len, &scratch, &record);
  if (!rc && idempotency_key) {
    record.text[TC_COL_KEY] = tci_text_of(idempotency_key);
    rc = tci_record_validate(&record);
  }
  if (!rc) tci_settings_apply(engine, &record);
  if (!rc) rc = tci_queue_submit(engine, &record, done, userdata);
  tci_buf_free(&scratch);
  return rc;
}

int tc_json_submit(tc_engine *engine, uint32_t kind, const char *json, size_t len, const char *idempotency_key, tc_done_fn done, void *userdata) {
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (rc) return rc;
  if (!json || !done) return tci_fail(TC_EINVAL, "%s: must not be NULL", json ? "done" : "json");
  if (kind > TC_KIND_REACTION) return tci_fail(TC_EINVAL, "kind: %u has a door of its own", kind);
  return tci_door_submit_json(engine, kind, json, len, idempotency_key, done, userdata);
}

static int take_tip(const tc_engine *engine, const tc_tip_new *tip, tc_record *record) {
  tc_tip_new t;
  int rc = tci_sized_in(&t, sizeof t, TCI_SIZED_UP_TO(tc_tip_new, currency), tip, "tip");
  if (rc) return rc;
  memset(record, 0, sizeof *record);
  record->kind = TC_KIND_TIP;
  record->amount = t.amount;
  record->text[TC_COL_ROOM] = tci_text_of(t.room_id);
  record->text[TC_COL_USER] = tci_text_of(t.sender_id);
  record->text[TC_COL_PEER] = tci_text_of(t.recipient_id);
  record->text[TC_COL_BODY] = tci_text_of(t.message);
  record->text[TC_COL_METADATA] = tci_text_of(t.metadata);
  record->text[TC_COL_KEY] = tci_text_of(t.idempotency_key);
  record->text[TC_COL_CURRENCY] = tci_text_of(t.currency);
  rc = tci_record_validate(record);
  if (!rc) tci_settings_apply(engine, record);
  return rc;
}

static int take_reaction(const tc_reaction_new *reaction, tc_record *record) {
  tc_reaction_new r;
  int rc = tci_sized_in(&r, sizeof r, TCI_SIZED_UP_TO(tc_reaction_new, idempotency_key), reaction, "reaction");
  if (rc) return rc;
  memset(record, 0, sizeof *record);
  record->kind = TC_KIND_REACTION;
  record->text[TC_COL_ROOM] = tci_text_of(r.room_id);
  record->text[TC_COL_USER] = tci_text_of(r.user_id);
  record->text[TC_COL_BODY] = tci_text_of(r.emoji);
  record->text[TC_COL_TARGET] = tci_text_of(r.target_id);
  record->text[TC_COL_METADATA] = tci_text_of(r.metadata);
  record->text[TC_COL_KEY] = tci_text_of(r.idempotency_key);
  return tci_record_validate(record);
}

int tc_tip_create(tc_engine *engine, const tc_tip_new *tip, tc_event **out, int32_t *replayed) {
  tc_record record;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc) rc = take_tip(engine, tip, &record);
  return rc ? rc : tci_create(engine, &record, out, replayed);
}

int tc_reaction_create(tc_engine *engine, const tc_reaction_new *reaction, tc_event **out, int32_t *replayed) {
  tc_record record;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc) rc = take_reaction(reaction, &record);
  return rc ? rc : tci_create(engine, &record, out, replayed);
}

int tc_tip_submit(tc_engine *engine, const tc_tip_new *tip, tc_done_fn done, void *userdata) {
  tc_record record;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc && !done) rc = tci_fail(TC_EINVAL, "done: must not be NULL");
  if (!rc) rc = take_tip(engine, tip, &record);
  return rc ? rc : tci_queue_submit(engine, &record, done, userdata);
}

int tc_reaction_submit(tc_engine *engine, const tc_reaction_new *reaction, tc_done_fn done, void *userdata) {
  tc_record record;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc && !done) rc = tci_fail(TC_EINVAL, "done: must not be NULL");
  if (!rc) rc = take_reaction(reaction, &record);
  return rc ? rc : tci_queue_submit(engine, &record, done, userdata);
}
