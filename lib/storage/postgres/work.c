/* work.c - what is owed to the outside, on the work thread's connection. Should the answer to a commit be lost, what it did is done again: a delivery made twice, a line of the delivery log too many. */
#include <stdlib.h>

#include "base/mem.h"
#include "storage/postgres/postgres.h"

enum {
  GONE_HOOK = 1,
  GONE_SEQ,
  HOOK,
  SEQ,
  LANE,
  DUE,
  FIRST,
  ATTEMPT,
  FLAGS,
  L_HOOK,
  L_SEQ,
  L_AT,
  L_DURATION,
  L_ATTEMPT,
  L_STATUS,
  L_SUCCESS,
  L_EVENT,
  L_RESPONSE,
  L_ERROR
};

static int64_t limit_of(size_t max) { return max > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)max; }

static int by_place(const void *a, const void *b) {
  const tc_owed *x = *(const tc_owed *const *)a, *y = *(const tc_owed *const *)b;
  if (x->webhook_id != y->webhook_id) return x->webhook_id < y->webhook_id ? -1 : 1;
  if (x->seq != y->seq) return x->seq < y->seq ? -1 : 1;
  return x < y ? -1 : x > y; /* the later one behind: they lie in one array */
}

static void put_owed(tci_pg *pg, const tc_owed *owed) {
  tci_pg_put8(pg, HOOK, owed->webhook_id);
  tci_pg_put8(pg, SEQ, owed->seq);
  tci_pg_put8(pg, LANE, owed->lane < 0 ? -1 : owed->lane);
  tci_pg_put8(pg, DUE, owed->due_us);
  tci_pg_put8(pg, FIRST, owed->first_us);
  tci_pg_put4(pg, ATTEMPT, owed->attempt);
  tci_pg_put4(pg, FLAGS, owed->flags);
}

static void put_delivery(tci_pg *pg, const tc_delivery *row) {
  tci_pg_put8(pg, L_HOOK, row->webhook_id);
  tci_pg_put8(pg, L_SEQ, row->seq);
  tci_pg_put8(pg, L_AT, row->created_at_us);
  tci_pg_put8(pg, L_DURATION, row->duration_us);
  tci_pg_put4(pg, L_ATTEMPT, row->attempt);
  tci_pg_put4(pg, L_STATUS, row->status);
  tci_pg_put4(pg, L_SUCCESS, row->success);
  tci_pg_put_text(pg, L_EVENT, row->event);
  tci_pg_put_text(pg, L_RESPONSE, row->response);
  tci_pg_put_text(pg, L_ERROR, row->error);
}

static void put_work(tci_pg *pg, const tc_work *work, const tc_owed **sorted) {
  tci_pg_begin(pg);
  tci_pg_int8(pg, work->cursor_seq);
  for (size_t arg = GONE_HOOK; arg <= FIRST; arg++) tci_pg_array(pg, TCI_PG_OID_INT8);
  for (size_t arg = ATTEMPT; arg <= FLAGS; arg++) tci_pg_array(pg, TCI_PG_OID_INT4);
  for (size_t arg = L_HOOK; arg <= L_DURATION; arg++) tci_pg_array(pg, TCI_PG_OID_INT8);
  for (size_t arg = L_ATTEMPT; arg <= L_SUCCESS; arg++) tci_pg_array(pg, TCI_PG_OID_INT4);
  for (size_t arg = L_EVENT; arg <= L_ERROR; arg++) tci_pg_array(pg, TCI_PG_OID_TEXT);
  for (size_t i = 0; i < work->settled_n; i++) {
    tci_pg_put8(pg, GONE_HOOK, work->settled[i].webhook_id);
    tci_pg_put8(pg, GONE_SEQ, work->settled[i].seq);
  }
  for (size_t i = 0; i < work->owed_n; i++) {
    int replaced = i + 1 < work->owed_n && sorted[i]->webhook_id == sorted[i + 1]->webhook_id && sorted[i]->seq == sorted[i + 1]->seq;
    if (!replaced) put_owed(pg, sorted[i]);
  }
  for (size_t i = 0; i < work->log_n; i++) put_delivery(pg, &work->log[i]);
}

int tci_pg_work_commit(tc_storage *storage, tc_work *work) {
  tci_pg *pg = &storage->worker;
  PGresult *result = NULL;
  const tc_owed **sorted = tci_array(work->owed_n, sizeof *sorted);
  if (!sorted) {
    storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  for (size_t i = 0; i < work->owed_n; i++) sorted[i] = &work->owed[i];
  qsort(sorted, work->owed_n, sizeof *sorted, by_place);
  put_work(pg, work, sorted);
  tci_pg_int8(pg, storage->sender);
  tci_pg_int4(pg, (int32_t)storage->shares); /* one whose taking was not answered is not read yet: its cursor stays */
  tci_free(sorted);
  int code = tci_pg_run(pg, TCI_PG_WORK_COMMIT, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  for (size_t i = 0; i < work->log_n && !code; i++) work->log[i].id = tci_pg_get8(result, 0, 0) + 1 + (int64_t)i;
  PQclear(result);
  return code;
}

int tci_pg_work_hold(tc_storage *storage, int64_t sender, uint32_t shares, uint32_t *held, int64_t cursors[TC_WORK_SHARES]) {
  tci_pg *pg = &storage->worker;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_int8(pg, sender);
  tci_pg_int4(pg, (int32_t)shares);
  int code = tci_pg_run(pg, TCI_PG_WORK_HOLD, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code) {
    storage->sender = sender;
    *held = 0;
    for (int i = 0; i < PQntuples(result); i++) {
      uint32_t share = (uint32_t)tci_pg_get4(result, i, 0) % TC_WORK_SHARES;
      *held |= UINT32_C(1) << share;
      cursors[share] = tci_pg_get8(result, i, 1);
    }
    storage->shares = *held;
  }
  PQclear(result);
  return code;
}

static tc_owed read_owed(const PGresult *result, int row) {
  return (tc_owed){
    .webhook_id = tci_pg_get8(result, row, 0),
    .seq = tci_pg_get8(result, row, 1),
    .lane = tci_pg_get8(result, row, 2),
    .due_us = tci_pg_get8(result, row, 3),
    .first_us = tci_pg_get8(result, row, 4),
    .attempt = tci_pg_get4(result, row, 5),
    .flags = tci_pg_get4(result, row, 6),
  };
}

static int give_owed(tci_pg *pg, tci_pg_statement statement, tc_owed_fn fn, void *arg) {
  PGresult *result = NULL;
  int code = tci_pg_run(pg, statement, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  for (int i = 0; !code && i < PQntuples(result); i++) {
    tc_owed owed = read_owed(result, i);
    if (fn(&owed, arg)) break;
  }
  PQclear(result);
  return code;
}

int tci_pg_work_state(tc_storage *storage, int64_t *cursor_seq, tc_owed_fn next, void *arg) {
  tci_pg *pg = &storage->worker;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  int code = tci_pg_run(pg, TCI_PG_WORK_STATE, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  int64_t cursor = code ? 0 : tci_pg_get8(result, 0, 0);
  PQclear(result);
  tci_pg_begin(pg);
  if (!code && next) code = give_owed(pg, TCI_PG_WORK_HEADS, next, arg);
  if (!code) *cursor_seq = cursor;
  return code;
}

int tci_pg_work_due(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg) {
  tci_pg *pg = &storage->worker;
  tci_pg_begin(pg);
  tci_pg_int8(pg, webhook_id);
  tci_pg_int8(pg, until_us);
  tci_pg_int8(pg, limit_of(max));
  return give_owed(pg, TCI_PG_WORK_DUE, fn, arg);
}

int tci_pg_owed_read(tc_storage *storage, int64_t webhook_id, int64_t after_seq, size_t max, tc_owed_fn fn, void *arg) {
  tci_pg *pg = &storage->worker;
  tci_pg_begin(pg);
  tci_pg_int8(pg, webhook_id);
  tci_pg_int8(pg, after_seq);
  tci_pg_int8(pg, limit_of(max));
  return give_owed(pg, TCI_PG_OWED_READ, fn, arg);
}

static int keep_first(const tc_owed *owed, void *arg) {
  *(tc_owed *)arg = *owed;
  return 1;
}

int tci_pg_work_next(tc_storage *storage, int64_t webhook_id, int64_t *due_us) {
  tc_owed first = {.lane = -2}; /* no row has that */
  int code = tci_pg_work_due(storage, webhook_id, INT64_MAX, 1, keep_first, &first);
  if (code) return code;
  if (first.lane == -2) {
    storage->env.fail(TC_ENOTFOUND, "webhook %lld is owed nothing", (long long)webhook_id);
    return TC_ENOTFOUND;
  }
  *due_us = first.due_us;
  return TC_OK;
}

int tci_pg_work_forget(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more) {
  tci_pg *pg = &storage->worker;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_int8(pg, webhook_id);
  tci_pg_int8(pg, limit_of(max));
  tci_pg_int8(pg, storage->sender);
  int code = tci_pg_run(pg, TCI_PG_WORK_FORGET, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code) *more = tci_pg_get4(result, 0, 0);
  PQclear(result);
  return code;
}
