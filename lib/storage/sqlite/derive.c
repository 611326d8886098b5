/* derive.c - a batch of events into the index. Everything is sorted before it goes in: neighbours in the B-tree are written while their page is at hand, and a
 * page that a batch touches is touched once. */
#include <stdlib.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

/* A row of `lists` to be. */
typedef struct entry {
  int64_t h, g, created_at_us, seq; /* signed, as SQLite orders them */
} entry;

typedef struct key_entry {
  int64_t hash, seq;
} key_entry;

typedef struct rows_to_be {
  entry *entries;
  key_entry *keys;
  uint64_t *hashes; /* the keys' again, for the filter */
  size_t entry_count, key_count;
  int64_t newest_us;
} rows_to_be;

static int order(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int by_list(const void *a, const void *b) {
  const entry *x = a, *y = b;
  int by = order(x->h, y->h);
  if (!by) by = order(x->g, y->g);
  if (!by) by = order(x->created_at_us, y->created_at_us);
  return by ? by : order(x->seq, y->seq);
}

static int by_hash(const void *a, const void *b) {
  const key_entry *x = a, *y = b;
  int by = order(x->hash, y->hash);
  return by ? by : order(x->seq, y->seq);
}

static void batch_free(rows_to_be *batch) {
  tci_free(batch->entries);
  tci_free(batch->keys);
  tci_free(batch->hashes);
}

static int batch_fill(rows_to_be *batch, const tci_sipkey *key, const tc_record *rows, size_t n) {
  batch->entries = tci_array(n, TCI_LISTS_MAX * sizeof *batch->entries);
  batch->keys = tci_array(n, sizeof *batch->keys);
  batch->hashes = tci_array(n, sizeof *batch->hashes);
  if (!batch->entries || !batch->keys || !batch->hashes) return TC_ENOMEM;
  for (size_t i = 0; i < n; i++) {
    const tc_record *row = &rows[i];
    tci_list_name names[TCI_LISTS_MAX];
    size_t lists = tci_lists_of_record(key, row, names);
    for (size_t j = 0; j < lists; j++) {
      entry made = {(int64_t)names[j].h, (int64_t)names[j].g, row->created_at_us, row->seq};
      batch->entries[batch->entry_count++] = made;
    }
    if (row->created_at_us > batch->newest_us) batch->newest_us = row->created_at_us;
    if (!row->text[TC_COL_KEY].ptr) continue;
    uint64_t hash = tci_key_hash(key, row->kind, row->text[TC_COL_KEY]);
    key_entry made = {(int64_t)hash, row->seq};
    batch->hashes[batch->key_count] = hash;
    batch->keys[batch->key_count++] = made;
  }
  qsort(batch->entries, batch->entry_count, sizeof *batch->entries, by_list);
  qsort(batch->keys, batch->key_count, sizeof *batch->keys, by_hash);
  return TC_OK;
}

static int put_entry(tci_db *index, size_t statement, const entry *row, int64_t add) {
  sqlite3_stmt *stmt = index->stmts[statement];
  int rc = sqlite3_bind_int64(stmt, 1, row->h);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, row->g);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, row->created_at_us);
  if (!rc) rc = sqlite3_bind_int64(stmt, 4, row->seq);
  if (!rc && statement != TCI_INDEX_LIST) rc = sqlite3_bind_int64(stmt, 5, add);
  return rc ? rc : tci_db_run(index, statement);
}

/* *top: the list's first row when that is newer than `newest`, else `newest` itself. */
static int find_top(tci_db *index, const entry *newest, entry *top) {
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_TOP];
  *top = *newest;
  int rc = sqlite3_bind_int64(stmt, 1, newest->h);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, newest->g);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    int64_t created_at_us = sqlite3_column_int64(stmt, 0);
    if (created_at_us > newest->created_at_us) { /* at the same time the new one's seq is the greater */
      top->created_at_us = created_at_us;
      top->seq = sqlite3_column_int64(stmt, 1);
    }
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Rows of one list, ascending. The newest goes first: it takes over the count from the row that headed the list before. */
static int put_list(tc_storage *storage, const entry *rows, size_t n) {
  tci_db *index = &storage->index;
  const entry *newest = &rows[n - 1];
  entry top = *newest;
  int rc = SQLITE_OK;
  /* Live events are never older than what is indexed; only back-dated ones, and those after the clock was set back, pay for this look. */
  if (newest->created_at_us < storage->newest_us) rc = find_top(index, newest, &top);
  if (!rc && top.seq == newest->seq) {
    rc = put_entry(index, TCI_INDEX_LIST_TOP, newest, (int64_t)n);
    n--;
  } else if (!rc) {
    rc = put_entry(index, TCI_INDEX_SET_TOP, &top, (int64_t)n);
  }
  for (size_t i = 0; i < n && !rc; i++) rc = put_entry(index, TCI_INDEX_LIST, &rows[i], 0);
  return rc;
}

static int put_lists(tc_storage *storage, const rows_to_be *batch) {
  int rc = SQLITE_OK;
  for (size_t i = 0, next; i < batch->entry_count && !rc; i = next) {
    const entry *first = &batch->entries[i];
    for (next = i + 1; next < batch->entry_count && batch->entries[next].h == first->h && batch->entries[next].g == first->g;) next++;
    rc = put_list(storage, first, next - i);
  }
  return rc;
}

static int put_keys(tci_db *index, const rows_to_be *batch) {
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_KEY];
  int rc = SQLITE_OK;
  for (size_t i = 0; i < batch->key_count && !rc; i++) {
    rc = sqlite3_bind_int64(stmt, 1, batch->keys[i].hash);
    if (!rc) rc = sqlite3_bind_int64(stmt, 2, batch->keys[i].seq);
    if (!rc) rc = tci_db_run(index, TCI_INDEX_KEY);
  }
  return rc;
}

static int put_ids(tci_db *index, const tc_record *rows, size_t n) {
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_ID];
  int rc = SQLITE_OK;
  for (size_t i = 0; i < n && !rc; i++) {
    rc = sqlite3_bind_int64(stmt, 1, (sqlite3_int64)rows[i].kind);
    if (!rc) rc = sqlite3_bind_int64(stmt, 2, rows[i].id);
    if (!rc) rc = sqlite3_bind_int64(stmt, 3, rows[i].seq);
    if (!rc) rc = tci_db_run(index, TCI_INDEX_ID);
  }
  return rc;
}

static int put_cursor(tci_db *index, int64_t seq, const uint8_t fingerprint[TCI_HASH_BYTES], int64_t newest_us) {
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_CURSOR];
  int rc = sqlite3_bind_int64(stmt, 1, seq);
  if (!rc) rc = sqlite3_bind_blob(stmt, 2, fingerprint, TCI_HASH_BYTES, SQLITE_STATIC);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, newest_us);
  return rc ? rc : tci_db_run(index, TCI_INDEX_CURSOR);
}

int tci_index_derive(tc_storage *storage, const tc_record *rows, size_t n) {
  tci_db *index = &storage->index;
  uint8_t fingerprint[TCI_HASH_BYTES];
  rows_to_be batch = {.newest_us = storage->newest_us};
  if (!n) return TC_OK;
  if (rows[0].seq != storage->index_seq + 1 || rows[n - 1].seq != storage->index_seq + (int64_t)n) {
    storage->env.fail(TC_EINVAL, "events %lld to %lld do not follow %lld", (long long)rows[0].seq, (long long)rows[n - 1].seq, (long long)storage->index_seq);
    return TC_EINVAL;
  }
  int code = batch_fill(&batch, &storage->hash_key, rows, n);
  if (!code) code = tci_record_fingerprint(&rows[n - 1], fingerprint);
  if (code) {
    storage->env.fail(code, "cannot index events from %lld on", (long long)rows[0].seq);
    goto out;
  }
  /* Before the commit: the writer may meet a key as soon as the index has it. A key too many in the filter costs a look. */
  tci_keyfilter_add(&storage->filter, batch.hashes, batch.key_count, batch.newest_us);
  int rc = tci_db_run(index, TCI_INDEX_BEGIN);
  if (!rc) rc = put_lists(storage, &batch);
  if (!rc) rc = put_keys(index, &batch);
  if (!rc) rc = put_ids(index, rows, n);
  if (!rc) rc = put_cursor(index, rows[n - 1].seq, fingerprint, batch.newest_us);
  if (!rc) rc = tci_db_commit(index, TCI_INDEX_COMMIT);
  if (rc) {
    code = tci_index_fail(storage, index, rc, "index events in");
    tci_db_rollback(index);
    goto out;
  }
  storage->index_seq = rows[n - 1].seq;
  storage->newest_us = batch.newest_us;
out:
  batch_free(&batch);
  return code;
}
