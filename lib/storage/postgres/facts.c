/* facts.c - small derived values, keyed by the space's number and the key behind it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/postgres/postgres.h"

#define KEY_BYTES (1 + TC_FACT_KEY_MAX)
#define SCAN_ROWS 512

static int check_key(const tc_storage *storage, uint32_t space, tc_text key) {
  if (space >= 1 && space <= TC_FACT_SPACE_MAX && key.len <= TC_FACT_KEY_MAX) return TC_OK;
  storage->env.fail(TC_EINVAL, "a fact's space must be 1 to %u, its key at most %u bytes", TC_FACT_SPACE_MAX, TC_FACT_KEY_MAX);
  return TC_EINVAL;
}

static tc_text make_key(uint32_t space, tc_text key, char out[KEY_BYTES]) {
  out[0] = (char)space;
  if (key.len) memcpy(out + 1, key.ptr, key.len);
  return (tc_text){out, key.len + 1};
}

int tci_pg_facts_cursor(tc_storage *storage, int64_t *seq) {
  tci_pg *pg = &storage->indexer;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  int code = tci_pg_run(pg, TCI_PG_FACTS_CURSOR, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code) *seq = tci_pg_get8(result, 0, 0);
  PQclear(result);
  return code;
}

/* ---- writing ---- */

static int order(const tc_fact *a, const tc_fact *b) {
  size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
  if (a->space != b->space) return a->space < b->space ? -1 : 1;
  int by = len ? memcmp(a->key.ptr, b->key.ptr, len) : 0;
  return by ? by : a->key.len < b->key.len ? -1 : a->key.len > b->key.len;
}

/* The later one behind: they all lie in one array. */
static int by_key(const void *a, const void *b) {
  const tc_fact *x = *(const tc_fact *const *)a, *y = *(const tc_fact *const *)b;
  int by = order(x, y);
  return by ? by : x < y ? -1 : x > y;
}

static int check_facts(const tc_storage *storage, const tc_fact *facts, size_t n) {
  int code = TC_OK;
  for (size_t i = 0; i < n && !code; i++) {
    code = check_key(storage, facts[i].space, facts[i].key);
    if (code || facts[i].value.len <= TC_FACT_VALUE_MAX) continue;
    storage->env.fail(code = TC_EINVAL, "a fact's value must be at most %u bytes", TC_FACT_VALUE_MAX);
  }
  return code;
}

enum { KEYS = 1, VALUES, GONE };

static void put_facts(tci_pg *pg, int64_t seq, const tc_fact **sorted, size_t n) {
  char bytes[KEY_BYTES];
  tci_pg_begin(pg);
  tci_pg_int8(pg, seq);
  for (size_t arg = KEYS; arg <= GONE; arg++) tci_pg_array(pg, TCI_PG_OID_BYTEA);
  for (size_t i = 0; i < n; i++) {
    if (i + 1 < n && !order(sorted[i], sorted[i + 1])) continue; /* of two for one key the later counts */
    tc_text key = make_key(sorted[i]->space, sorted[i]->key, bytes);
    if (sorted[i]->value.ptr) tci_pg_put_text(pg, KEYS, key), tci_pg_put_text(pg, VALUES, sorted[i]->value);
    else tci_pg_put_text(pg, GONE, key);
  }
}

int tci_pg_facts_commit(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  tci_pg *pg = &storage->indexer;
  PGresult *result = NULL;
  int code = check_facts(storage, facts, n);
  if (code) return code;
  const tc_fact **sorted = tci_array(n, sizeof *sorted);
  if (!sorted) {
    storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  for (size_t i = 0; i < n; i++) sorted[i] = &facts[i];
  qsort(sorted, n, sizeof *sorted, by_key);
  put_facts(pg, seq, sorted, n);
  tci_pg_int8(pg, atomic_load(&storage->led));
  tci_free(sorted);
  code = tci_pg_run(pg, TCI_PG_FACTS_COMMIT, tci_pg_in_ms(TCI_PG_BEHIND_MS), &result);
  PQclear(result);
  return code;
}

/* ---- reading ---- */

int tci_pg_fact_first(tc_storage *storage, uint32_t space, tc_text from, tc_fact_fn fn, void *arg) {
  tci_pg *pg = &storage->indexer;
  PGresult *result = NULL;
  char bytes[KEY_BYTES];
  int code = check_key(storage, space, from);
  if (code) return code;
  tci_pg_begin(pg);
  tci_pg_text(pg, make_key(space, from, bytes));
  code = tci_pg_run(pg, TCI_PG_FACT_FIRST, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code && PQntuples(result)) {
    tc_text key = tci_pg_get(result, 0, 0);
    if (key.len && (uint8_t)key.ptr[0] == space) (void)fn((tc_text){key.ptr + 1, key.len - 1}, tci_pg_get(result, 0, 1), arg);
  }
  PQclear(result);
  return code;
}

/* Rows from a place on. The last key comes back in bytes, as the place to go on behind: with a zero byte more it is the next possible one. */
static int scan_some(tci_pg *pg, char *bytes, size_t *len, tc_text end, tc_fact_fn fn, void *arg, int *stop) {
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_text(pg, (tc_text){bytes, *len});
  tci_pg_text(pg, end);
  tci_pg_int8(pg, SCAN_ROWS);
  int code = tci_pg_run(pg, TCI_PG_FACTS_SCAN, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  int n = code ? 0 : PQntuples(result);
  for (int i = 0; i < n && !*stop; i++) {
    tc_text key = tci_pg_get(result, i, 0);
    if (key.len < 1 || key.len > KEY_BYTES) continue; /* not one of ours */
    memcpy(bytes, key.ptr, key.len);
    bytes[key.len] = '\0';
    *len = key.len + 1;
    *stop = fn((tc_text){key.ptr + 1, key.len - 1}, tci_pg_get(result, i, 1), arg);
  }
  if (n < SCAN_ROWS) *stop = 1;
  PQclear(result);
  return code;
}

int tci_pg_facts_scan(tc_storage *storage, uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg) {
  tc_snapshot *snapshot = NULL;
  int64_t index_seq = 0;
  char bytes[KEY_BYTES + 1], end_bytes[KEY_BYTES];
  int stop = 0;
  int code = check_key(storage, space, from);
  if (!code && to.ptr) code = check_key(storage, space, to);
  if (!code) code = tci_pg_snapshot(storage, &snapshot, &index_seq); /* one view for all the slices */
  if (code) return code;
  size_t len = make_key(space, from, bytes).len;
  tc_text end = to.ptr ? make_key(space, to, end_bytes) : make_key(space + 1, (tc_text){NULL, 0}, end_bytes); /* the space's number is below 255 */
  while (!code && !stop) code = scan_some(snapshot->pg, bytes, &len, end, fn, arg, &stop);
  tci_pg_snapshot_end(snapshot);
  return code;
}
