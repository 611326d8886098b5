/* derive.c - what the indexer thread does: a batch of events into the index, where its entries, sorted, are a run; and a slice of tidying up. */
#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define ENTRIES_MAX (TCI_LISTS_MAX + 2) /* of an event: its lists, its id and its key */

/* A batch on its way. */
typedef struct new_entries {
  tci_entry *at;
  uint64_t *keys; /* hashes, for the filter */
  size_t count, key_count;
  int64_t newest_us;
} new_entries;

static int collect(new_entries *entries, const tci_sipkey *key, const tc_record *rows, size_t n) {
  entries->at = n > SIZE_MAX / ENTRIES_MAX / sizeof *entries->at ? NULL : tci_alloc(n * ENTRIES_MAX * sizeof *entries->at);
  entries->keys = entries->at ? tci_array(n, sizeof *entries->keys) : NULL;
  if (!entries->keys) return TC_ENOMEM;
  for (size_t i = 0; i < n; i++) {
    const tc_record *row = &rows[i];
    tci_list_name names[ENTRIES_MAX];
    size_t lists = tci_lists_of_record(key, row, names);
    names[lists++] = tci_list_of_id(key, row->kind, row->id);
    if (row->text[TC_COL_KEY].ptr) names[lists++] = tci_list_of_key(key, row->kind, row->text[TC_COL_KEY]);
    for (size_t j = 0; j < lists; j++) {
      tci_entry made = {names[j].h, names[j].g, row->created_at_us, row->seq};
      entries->at[entries->count++] = made;
      if (made.h < 0) entries->keys[entries->key_count++] = (uint64_t)made.g;
    }
    if (row->created_at_us > entries->newest_us) entries->newest_us = row->created_at_us;
  }
  return tci_entries_sort(&entries->at, entries->count);
}

static int put_run(tc_storage *storage, const new_entries *entries) {
  tci_db *index = &storage->index;
  tci_run_writer writer;
  int rc = tci_runs_reserve(&storage->runs, 1);
  if (!rc) rc = tci_run_begin(index, &writer, TCI_RUN_BUILDING);
  for (size_t i = 0; i < entries->count && !rc; i++) rc = tci_run_put(index, &writer, &entries->at[i]);
  if (!rc) rc = tci_run_finish(index, &writer);
  if (rc) return rc;
  tci_run made = {writer.run, writer.entries, 0};
  storage->runs.at[storage->runs.count++] = made;
  return SQLITE_OK;
}

static int put_cursor(tci_db *index, int64_t seq, const uint8_t fingerprint[TCI_HASH_BYTES], int64_t newest_us) {
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_CURSOR];
  int rc = sqlite3_bind_int64(stmt, 1, seq);
  if (!rc) rc = sqlite3_bind_blob(stmt, 2, fingerprint, TCI_HASH_BYTES, SQLITE_STATIC);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, newest_us);
  return rc ? rc : tci_db_run(index, TCI_INDEX_CURSOR);
}

/* Ends the transaction that rc speaks of. */
static int end(tc_storage *storage, int rc, const char *doing) {
  tci_db *index = &storage->index;
  if (!rc) rc = tci_db_commit(index, TCI_INDEX_COMMIT);
  if (!rc) return TC_OK;
  int code = tci_index_fail(storage, index, rc, doing);
  tci_db_rollback(index);
  /* Should this fail as well, nothing is merged until the next open: slower, and as right. */
  (void)tci_merge_reset(storage);
  return code;
}

static int commit_batch(tc_storage *storage, const new_entries *entries, int64_t last_seq, const uint8_t fingerprint[TCI_HASH_BYTES]) {
  tci_db *index = &storage->index;
  int rc = tci_facts_end_read(storage);
  if (!rc) rc = tci_db_run(index, TCI_INDEX_BEGIN);
  if (rc) return tci_index_fail(storage, index, rc, "index events in");
  rc = put_run(storage, entries);
  if (!rc) rc = tci_merge_some(storage, entries->count);
  if (!rc) rc = put_cursor(index, last_seq, fingerprint, entries->newest_us);
  return end(storage, rc, "index events in");
}

int tci_index_derive(tc_storage *storage, const tc_record *rows, size_t n) {
  uint8_t fingerprint[TCI_HASH_BYTES];
  new_entries entries = {.newest_us = storage->newest_us};
  if (!n) return TC_OK;
  if (rows[0].seq != storage->index_seq + 1 || rows[n - 1].seq != storage->index_seq + (int64_t)n) {
    storage->env.fail(TC_EINVAL, "events %lld to %lld do not follow %lld", (long long)rows[0].seq, (long long)rows[n - 1].seq, (long long)storage->index_seq);
    return TC_EINVAL;
  }
  int code = collect(&entries, &storage->hash_key, rows, n);
  if (!code) code = tci_record_fingerprint(&rows[n - 1], fingerprint);
  if (code) {
    storage->env.fail(code, "cannot index events from %lld on", (long long)rows[0].seq);
    goto out;
  }
  /* Before the commit: the writer may meet a key as soon as the index has it. A key too many in the filter costs a look. */
  tci_keyfilter_add(&storage->filter, entries.keys, entries.key_count, entries.newest_us);
  code = commit_batch(storage, &entries, rows[n - 1].seq, fingerprint);
  if (code) goto out;
  storage->index_seq = rows[n - 1].seq;
  storage->newest_us = entries.newest_us;
out:
  tci_free(entries.at);
  tci_free(entries.keys);
  return code;
}

static int merge_slice(tc_storage *storage, int32_t *more) {
  tci_db *index = &storage->index;
  int rc = tci_facts_end_read(storage);
  if (!rc) rc = tci_db_run(index, TCI_INDEX_BEGIN);
  if (rc) return tci_index_fail(storage, index, rc, "merge runs in");
  rc = tci_merge_idle(storage, more);
  return end(storage, rc, "merge runs in");
}

int tci_index_idle(tc_storage *storage, int64_t now_us, int32_t *more) {
  int32_t found_more = 1;
  int code = storage->filled ? merge_slice(storage, &found_more) : tci_keys_fill(storage, now_us);
  if (code) return code;
  tci_keyfilter_expire(&storage->filter, tci_keys_expired_before(storage, now_us));
  *more = found_more;
  return TC_OK;
}
