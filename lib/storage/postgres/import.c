/* import.c - events that come with their ids. One statement, as an append is one, and nothing is asked for again when its answer is lost: who imports looks at the log. */
#include "storage/postgres/postgres.h"

enum { BASE = 0, KINDS, IDS, CREATED, AMOUNTS, REFS, TEXTS, KEY_POS = TEXTS + TC_COL_COUNT, KEY_H, KEY_G };

static void put_row(const tc_storage *storage, tci_pg *pg, const tc_record *record, int32_t place) {
  tci_pg_put4(pg, KINDS, (int32_t)record->kind);
  tci_pg_put8(pg, IDS, record->id);
  tci_pg_put8(pg, CREATED, record->created_at_us);
  tci_pg_put8(pg, AMOUNTS, record->amount);
  tci_pg_put8(pg, REFS, record->ref);
  for (size_t i = 0; i < TC_COL_COUNT; i++) tci_pg_put_text(pg, TEXTS + i, record->text[i]);
  if (!record->text[TC_COL_KEY].ptr) return;
  tci_list_name name = tci_list_of_key(&storage->hash_key, record->kind, record->text[TC_COL_KEY]);
  tci_pg_put4(pg, KEY_POS, place);
  tci_pg_put8(pg, KEY_H, name.h);
  tci_pg_put8(pg, KEY_G, name.g);
}

static void put_rows(const tc_storage *storage, tci_pg *pg, const tc_record *records, size_t n) {
  tci_pg_begin(pg);
  tci_pg_int8(pg, storage->log_seq);
  tci_pg_array(pg, TCI_PG_OID_INT4);
  for (size_t arg = IDS; arg <= REFS; arg++) tci_pg_array(pg, TCI_PG_OID_INT8);
  for (size_t i = 0; i < TC_COL_COUNT; i++) tci_pg_array(pg, TCI_PG_OID_TEXT);
  tci_pg_array(pg, TCI_PG_OID_INT4);
  tci_pg_array(pg, TCI_PG_OID_INT8);
  tci_pg_array(pg, TCI_PG_OID_INT8);
  for (size_t i = 0; i < n; i++) put_row(storage, pg, &records[i], (int32_t)i + 1);
}

static int conflict(const tc_storage *storage, int64_t seq) {
  storage->env.fail(TC_ECONFLICT, "event %lld does not follow the last one in %s", (long long)seq, storage->home.name);
  return TC_ECONFLICT;
}

int tci_pg_import(tc_storage *storage, tc_record *records, size_t n) {
  tci_pg *pg = &storage->writer;
  PGresult *result = NULL;
  int64_t first_seq = storage->log_seq + 1;
  for (size_t i = 0; i < n; i++) {
    if (records[i].seq && records[i].seq != first_seq + (int64_t)i) return conflict(storage, records[i].seq);
  }
  if (!n) return TC_OK;
  int code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_TRY_MS));
  if (code) return code;
  put_rows(storage, pg, records, n);
  code = tci_pg_run(pg, TCI_PG_IMPORT, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (code && pg->lost) code = TC_EUNKNOWN; /* the detail is that of what broke */
  if (!code && PQntuples(result) != 1) code = conflict(storage, first_seq);
  PQclear(result);
  for (size_t i = 0; i < n && !code; i++) records[i].seq = first_seq + (int64_t)i;
  if (!code) storage->log_seq += (int64_t)n;
  return code;
}
