/* snapshot.c - a consistent view: a read-only transaction on a connection of the pool. */
#include <stdlib.h>

#include "base/mem.h"
#include "storage/postgres/postgres.h"

#define FETCH_ROWS 512

int tci_pg_snapshot(tc_storage *storage, tc_snapshot **out, int64_t *index_seq) {
  /* In one round trip; the transaction's first query fixes what it sees. */
  static const char begin[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT cursor FROM index_state WHERE one=1";
  tc_snapshot *snapshot = tci_zalloc(sizeof *snapshot);
  PGresult *result = NULL;
  int code = TC_OK;
  if (!snapshot) storage->env.fail(code = TC_ENOMEM, "");
  if (!code) code = tci_pg_take(storage, &snapshot->pg);
  if (code) {
    tci_free(snapshot);
    return code;
  }
  snapshot->storage = storage;
  code = tci_pg_exec(snapshot->pg, begin, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code && PQntuples(result) != 1) storage->env.fail(code = TC_ECORRUPT, "%s has lost the state of its index", storage->home.name);
  if (!code) snapshot->index_seq = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
  PQclear(result);
  if (code) {
    tci_pg_snapshot_end(snapshot);
    return code;
  }
  snapshot->pg->pinned = 1;
  *out = snapshot;
  *index_seq = snapshot->index_seq;
  return TC_OK;
}

void tci_pg_snapshot_end(tc_snapshot *snapshot) {
  if (!snapshot) return;
  tci_pg *pg = snapshot->pg;
  pg->pinned = 0;
  /* Nobody waits for the answer: who borrows the connection next takes it in. */
  if (pg->stage == TCI_PG_UP && PQtransactionStatus(pg->handle) != PQTRANS_IDLE) {
    pg->sent_us = tci_pg_in_ms(0);
    if (!PQsendQuery(pg->handle, "ROLLBACK") || PQflush(pg->handle)) tci_pg_drop(pg, "cannot end a snapshot");
  }
  tci_pg_give(snapshot->storage, pg);
  tci_free(snapshot);
}

static int fetch_some(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg, int *stop) {
  tci_pg *pg = snapshot->pg;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_array(pg, TCI_PG_OID_INT8);
  for (size_t i = 0; i < n; i++) tci_pg_put8(pg, 0, seqs[i]);
  int code = tci_pg_run(pg, TCI_PG_FETCH, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  for (int i = 0; !code && !*stop && i < (int)n; i++) {
    tc_record record;
    if (i >= PQntuples(result) || PQgetisnull(result, i, 0)) {
      snapshot->storage->env.fail(code = TC_ECORRUPT, "event %lld is not in %s", (long long)seqs[i], snapshot->storage->home.name);
    } else {
      tci_pg_read_record(result, i, &record);
      *stop = row(&record, arg);
    }
  }
  PQclear(result);
  return code;
}

int tci_pg_fetch(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg) {
  int code = TC_OK, stop = 0;
  for (size_t done = 0; done < n && !code && !stop; done += FETCH_ROWS) {
    code = fetch_some(snapshot, seqs + done, n - done < FETCH_ROWS ? n - done : FETCH_ROWS, row, arg, &stop);
  }
  return code;
}

int tci_pg_find_id(tc_snapshot *snapshot, uint32_t kind, int64_t id, int64_t *seq) {
  tci_pg *pg = snapshot->pg;
  PGresult *result = NULL;
  int code = TC_OK, found = 0;
  if (kind <= TC_KIND_MAX) {
    tci_pg_begin(pg);
    tci_pg_int4(pg, (int32_t)kind);
    tci_pg_int8(pg, id);
    tci_pg_int8(pg, snapshot->index_seq);
    code = tci_pg_run(pg, TCI_PG_FIND_ID, tci_pg_in_ms(TCI_PG_READ_MS), &result);
    found = !code && PQntuples(result) > 0;
    if (found) *seq = tci_pg_get8(result, 0, 0);
    PQclear(result);
  }
  if (code || found) return code;
  snapshot->storage->env.fail(TC_ENOTFOUND, "no event of kind %u has id %lld", kind, (long long)id);
  return TC_ENOTFOUND;
}
