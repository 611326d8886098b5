#include "storage/sqlite/runs.h"

#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

int tci_runs_reserve(tci_run_set *set, size_t more) {
  size_t cap = set->cap ? set->cap : 16;
  if (set->count + more <= set->cap) return SQLITE_OK;
  while (cap < set->count + more) cap *= 2;
  tci_run *at = tci_realloc(set->at, cap * sizeof *at);
  if (!at) return SQLITE_NOMEM;
  set->at = at;
  set->cap = cap;
  return SQLITE_OK;
}

void tci_runs_free(tci_run_set *set) {
  tci_free(set->at);
  memset(set, 0, sizeof *set);
}

int tci_runs_load(tci_db *db, tci_run_set *set) {
  sqlite3_stmt *stmt = db->stmts[TCI_RUNS_LIVE];
  int rc = SQLITE_OK;
  set->count = 0;
  while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tci_run run = {sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1), 0};
    rc = tci_runs_reserve(set, 1);
    if (!rc) set->at[set->count++] = run;
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void tci_run_cursor_init(tci_run_cursor *cursor) {
  cursor->run = cursor->before = 0;
  cursor->at = cursor->count = 0;
}

/* A row of the fence statements into the cursor. */
static int take_chunk(tci_run_cursor *cursor, sqlite3_stmt *stmt) {
  const void *data = sqlite3_column_blob(stmt, 1);
  size_t len = (size_t)sqlite3_column_bytes(stmt, 1);
  cursor->count = 0; /* should the load fail, the cursor holds no chunk */
  if (!data || len % sizeof(tci_entry) || len > sizeof cursor->chunk) return SQLITE_CORRUPT;
  memcpy(cursor->chunk, data, len);
  cursor->before = sqlite3_column_int64(stmt, 0);
  cursor->count = len / sizeof(tci_entry);
  return SQLITE_OK;
}

/* Loads the chunk that a fence statement finds from key; *found = 0: there is none, and the cursor is as before. */
static int load_at_fence(tci_db *db, tci_run_cursor *cursor, size_t statement, const tci_entry *key, int *found) {
  sqlite3_stmt *stmt = db->stmts[statement];
  int rc = sqlite3_bind_int64(stmt, 1, cursor->run);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, key->h);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, key->g);
  if (!rc) rc = sqlite3_bind_int64(stmt, 4, key->created_at_us);
  if (!rc) rc = sqlite3_bind_int64(stmt, 5, key->seq);
  if (!rc) rc = sqlite3_step(stmt);
  *found = rc == SQLITE_ROW;
  if (*found) rc = take_chunk(cursor, stmt);
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* How many of the chunk's entries are < key. */
static size_t lower_bound(const tci_run_cursor *cursor, const tci_entry *key) {
  size_t low = 0, high = cursor->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (tci_entry_compare(&cursor->chunk[middle], key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* From the end of a chunk to the next one's begin, if there is one. */
static int cross_forward(tci_db *db, tci_run_cursor *cursor) {
  int found = 0;
  if (cursor->at < cursor->count || !cursor->count) return SQLITE_OK;
  tci_entry last = cursor->chunk[cursor->count - 1];
  int rc = load_at_fence(db, cursor, TCI_RUNS_AFTER, &last, &found);
  if (!rc && found) cursor->at = 0;
  return rc;
}

/* The chunk where key would stand; *found = 0: key is before all. A cursor that holds that chunk already is spared the two look-ups: runs never change. */
static int load_floor(tci_db *db, tci_run_cursor *cursor, int64_t run, const tci_entry *key, int *found) {
  *found =
    cursor->run == run && cursor->count && tci_entry_compare(&cursor->chunk[0], key) <= 0 && tci_entry_compare(&cursor->chunk[cursor->count - 1], key) >= 0;
  if (*found) return SQLITE_OK;
  cursor->run = run;
  cursor->before = 0;
  cursor->at = cursor->count = 0;
  return load_at_fence(db, cursor, TCI_RUNS_FLOOR, key, found);
}

int tci_run_seek(tci_db *db, tci_run_cursor *cursor, int64_t run, const tci_entry *key) {
  int found = 0;
  int rc = load_floor(db, cursor, run, key, &found);
  if (!rc && !found) rc = load_at_fence(db, cursor, TCI_RUNS_AFTER, key, &found); /* before the first */
  if (rc || !found) return rc;
  cursor->at = lower_bound(cursor, key);
  return cross_forward(db, cursor);
}

int tci_run_next(tci_db *db, tci_run_cursor *cursor) {
  cursor->at++;
  return cross_forward(db, cursor);
}

int tci_run_previous(tci_db *db, tci_run_cursor *cursor, int *found) {
  *found = cursor->at > 0;
  if (*found) {
    cursor->at--;
    return SQLITE_OK;
  }
  tci_entry first = cursor->chunk[0];
  int rc = load_at_fence(db, cursor, TCI_RUNS_BEFORE, &first, found);
  if (!rc && *found) cursor->at = cursor->count - 1;
  return rc;
}

int tci_run_seek_before(tci_db *db, tci_run_cursor *cursor, int64_t run, const tci_entry *key, int *found) {
  int rc = load_floor(db, cursor, run, key, found);
  if (rc || !*found) return rc;
  cursor->at = lower_bound(cursor, key);
  return tci_run_previous(db, cursor, found);
}

int tci_run_count(tci_db *db, tci_run_cursor *cursor, int64_t run, int64_t h, int64_t g, int64_t *out) {
  tci_entry low = {h, g, INT64_MIN, INT64_MIN}, high = {h, g, INT64_MAX, INT64_MAX};
  int found = 0;
  *out = 0;
  int rc = tci_run_seek_before(db, cursor, run, &high, &found);
  if (rc || !found || tci_entry_compare(&cursor->chunk[cursor->at], &low) < 0) return rc;
  size_t first = lower_bound(cursor, &low);
  *out = (int64_t)(cursor->at + 1 - first) + (first ? 0 : cursor->before);
  return SQLITE_OK;
}
