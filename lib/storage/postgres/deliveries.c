/* deliveries.c - the delivery log: what was tried and what came of it, until it is trimmed. */
#include "storage/postgres/postgres.h"

#define TRIM_SLICE 512 /* rows, as in work_trim() */

int tci_pg_work_trim(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more) {
  tci_pg *pg = &storage->worker;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_int8(pg, before_us);
  tci_pg_int8(pg, max_rows);
  tci_pg_int8(pg, storage->sender);
  int code = tci_pg_run(pg, TCI_PG_WORK_TRIM, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code) *more = tci_pg_get4(result, 0, 0) == TRIM_SLICE; /* one call too many, at times */
  PQclear(result);
  return code;
}

static tc_delivery read_delivery(const PGresult *result, int row) {
  return (tc_delivery){
    .id = tci_pg_get8(result, row, 0),
    .webhook_id = tci_pg_get8(result, row, 1),
    .seq = tci_pg_get8(result, row, 2),
    .created_at_us = tci_pg_get8(result, row, 3),
    .duration_us = tci_pg_get8(result, row, 4),
    .attempt = tci_pg_get4(result, row, 5),
    .status = tci_pg_get4(result, row, 6),
    .success = tci_pg_get4(result, row, 7),
    .event = tci_pg_get(result, row, 8),
    .response = tci_pg_get(result, row, 9),
    .error = tci_pg_get(result, row, 10),
  };
}

static int give_rows(tci_pg *pg, tci_pg_statement statement, tc_delivery_fn fn, void *arg, int *given) {
  PGresult *result = NULL;
  int code = tci_pg_run(pg, statement, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  for (int i = 0; !code && i < PQntuples(result); i++) {
    tc_delivery row = read_delivery(result, i);
    ++*given;
    if (fn(&row, arg)) break;
  }
  PQclear(result);
  return code;
}

static int read_total(tci_pg *pg, int64_t webhook_id, int64_t *total) {
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_int8(pg, webhook_id);
  int code = tci_pg_run(pg, TCI_PG_DELIVERIES_TOTAL, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code) *total = PQntuples(result) ? tci_pg_get8(result, 0, 0) : 0;
  PQclear(result);
  return code;
}

int tci_pg_deliveries(tc_storage *storage, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg, int64_t *total) {
  tc_snapshot *snapshot = NULL;
  int64_t index_seq = 0, count = 0;
  int given = 0;
  int code = tci_pg_snapshot(storage, &snapshot, &index_seq); /* the total and the page are of one moment */
  if (code) return code;
  code = read_total(snapshot->pg, webhook_id, &count);
  if (!code && max && offset < count) { /* beyond the end there is nothing to walk to */
    tci_pg *pg = snapshot->pg;
    tci_pg_begin(pg);
    tci_pg_int8(pg, webhook_id);
    tci_pg_int8(pg, max > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)max);
    tci_pg_int8(pg, offset < 0 ? 0 : offset);
    code = give_rows(pg, TCI_PG_DELIVERIES, fn, arg, &given);
  }
  tci_pg_snapshot_end(snapshot);
  if (!code) *total = count;
  return code;
}

int tci_pg_delivery_get(tc_storage *storage, int64_t webhook_id, int64_t id, tc_delivery_fn fn, void *arg) {
  tci_pg *pg = NULL;
  int given = 0;
  int code = tci_pg_take(storage, &pg);
  if (code) return code;
  tci_pg_begin(pg);
  tci_pg_int8(pg, id);
  tci_pg_int8(pg, webhook_id);
  code = give_rows(pg, TCI_PG_DELIVERY, fn, arg, &given);
  tci_pg_give(storage, pg);
  if (code || given) return code;
  storage->env.fail(TC_ENOTFOUND, "webhook %lld has no delivery %lld", (long long)webhook_id, (long long)id);
  return TC_ENOTFOUND;
}
