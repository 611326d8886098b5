#include "tipcurrent/refund.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/door.h"
#include "api/enter.h"
#include "api/sized.h"
#include "api/text.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/refunds.h"
#include "model/money.h"
#include "model/record.h"

/* A refund on its way: the record with what it points to. */
typedef struct draft {
  tc_record record;
  tc_event *tip; /* a reference */
  char target[24];
} draft;

static void drop(draft *d) { tc_event_unref(d->tip); }

/* Checks and completes it. To be dropped either way. */
static int make(tc_engine *engine, const tc_refund_new *refund, draft *d) {
  tc_record *record = &d->record;
  memset(d, 0, sizeof *d);
  record->kind = TC_KIND_REFUND;
  record->amount = refund->amount ? refund->amount : 1; /* for the check */
  int rc = tci_query_get(engine, TC_KIND_TIP, refund->tip_id, &d->tip);
  if (rc == TC_ENOTFOUND) return tci_fail(rc, "there is no tip %lld", (long long)refund->tip_id);
  if (rc) return rc;
  const tc_record *tip = &d->tip->record;
  int len = snprintf(d->target, sizeof d->target, "%" PRId64, refund->tip_id);
  record->ref = tip->seq;
  record->text[TC_COL_ROOM] = tip->text[TC_COL_ROOM];
  record->text[TC_COL_USER] = tip->text[TC_COL_USER];
  record->text[TC_COL_PEER] = tip->text[TC_COL_PEER];
  record->text[TC_COL_CURRENCY] = tip->text[TC_COL_CURRENCY];
  record->text[TC_COL_TARGET] = (tc_text){d->target, (size_t)len};
  record->text[TC_COL_BODY] = tci_text_of(refund->reason);
  record->text[TC_COL_KEY] = tci_text_of(refund->idempotency_key);
  rc = tci_record_validate(record);
  record->amount = refund->amount;
  if (!rc && !refund->amount) record->text[TC_COL_METADATA] = tci_text_of(TCI_REFUND_REST);
  return rc;
}

static int take(tc_engine *engine, const tc_refund_new *refund, draft *d) {
  tc_refund_new r;
  d->tip = NULL;
  int rc = tci_sized_in(&r, sizeof r, TCI_SIZED_UP_TO(tc_refund_new, idempotency_key), refund, "refund");
  return rc ? rc : make(engine, &r, d);
}

int tc_tip_refund(tc_engine *engine, const tc_refund_new *refund, tc_event **out, int32_t *replayed) {
  draft d;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (rc) return rc;
  rc = take(engine, refund, &d);
  if (!rc) rc = tci_create(engine, &d.record, out, replayed);
  drop(&d);
  return rc;
}

int tc_tip_refund_submit(tc_engine *engine, const tc_refund_new *refund, tc_done_fn done, void *userdata) {
  draft d;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc && !done) rc = tci_fail(TC_EINVAL, "done: must not be NULL");
  if (rc) return rc;
  rc = take(engine, refund, &d);
  if (!rc) rc = tci_queue_submit(engine, &d.record, done, userdata);
  drop(&d);
  return rc;
}

static int read_amount(const tci_json_value *value, int64_t *amount) {
  if (value->type == TCI_JSON_ABSENT || value->type == TCI_JSON_NULL) return TC_OK;
  if (value->type != TCI_JSON_NUMBER && value->type != TCI_JSON_STRING) return tci_fail(TC_EINVAL, "amount: must be a number");
  const char *reason = value->escaped ? "must be a number" : tci_money_parse(value->raw.ptr, value->raw.len, amount); /* no number needs escapes */
  return reason ? tci_fail(TC_EINVAL, "amount: %s", reason) : TC_OK;
}

/* NUL-terminated, *out owned; NULL: absent. */
static int read_reason(const tci_json_value *value, char **out) {
  if (value->type == TCI_JSON_ABSENT || value->type == TCI_JSON_NULL) return TC_OK;
  if (value->type != TCI_JSON_STRING) return tci_fail(TC_EINVAL, "reason: must be a string");
  char *text = tci_alloc(value->raw.len + 1);
  if (!text) return tci_fail(TC_ENOMEM, "out of memory for one event");
  size_t len = tci_json_unescape(value->raw, text);
  text[len] = '\0';
  *out = text;
  return memchr(text, '\0', len) ? tci_fail(TC_EINVAL, "reason: must not contain U+0000") : TC_OK;
}

int tc_tip_refund_json_submit(tc_engine *engine, int64_t tip_id, const char *json, size_t len, const char *idempotency_key, tc_done_fn done, void *userdata) {
  enum { AMOUNT, REASON, MEMBERS };
  static const char *const names[MEMBERS] = {"amount", "reason"};
  tci_json_value values[MEMBERS];
  tci_json_fault fault;
  tc_refund_new refund = TC_REFUND_NEW_INIT;
  char *reason = NULL;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (rc) return rc;
  memset(values, 0, sizeof values);
  if (len && (!json || tci_json_object(json, len, names, MEMBERS, values, &fault))) {
    return json ? tci_fail(TC_EINVAL, "body: %s at byte %zu", fault.what, fault.offset) : tci_fail(TC_EINVAL, "json: must not be NULL");
  }
  refund.tip_id = tip_id;
  refund.idempotency_key = idempotency_key;
  rc = read_amount(&values[AMOUNT], &refund.amount);
  if (!rc) rc = read_reason(&values[REASON], &reason);
  refund.reason = reason;
  if (!rc) rc = tc_tip_refund_submit(engine, &refund, done, userdata);
  tci_free(reason);
  return rc;
}

int tc_tip_refunded(tc_engine *engine, const tc_event *tip, int64_t *amount) {
  TCI_ENTER();
  if (!engine || !tip || !amount) return tci_fail(TC_EINVAL, "%s: must not be NULL", !engine ? "engine" : !tip ? "tip" : "amount");
  if (tip->record.kind != TC_KIND_TIP) return tci_fail(TC_EINVAL, "tip: event %lld is none", (long long)tip->record.seq);
  return tci_refunds_of(engine, tip->record.seq, amount);
}
