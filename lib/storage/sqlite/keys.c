#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define FILL_KEYS 16384 /* a slice of idle: some 10 ms */

static int64_t ttl_us(const tc_storage *storage) { return (int64_t)storage->env.idempotency_ttl_s * 1000000; }

int64_t tci_keys_expired_before(const tc_storage *storage, int64_t now_us) {
  return now_us < INT64_MIN + ttl_us(storage) ? INT64_MIN : now_us - ttl_us(storage);
}

/* The newest of the list in one run, when it is younger than what was found so far. */
static int find_in_run(tci_db *db, int64_t run, tci_list_name list, tci_entry *newest) {
  tci_entry end = {list.h, list.g, INT64_MAX, INT64_MAX};
  tci_run_cursor cursor;
  int found = 0;
  tci_run_cursor_init(&cursor);
  int rc = tci_run_seek_before(db, &cursor, run, &end, &found);
  if (rc || !found) return rc;
  const tci_entry *entry = &cursor.chunk[cursor.at];
  if (entry->h == list.h && entry->g == list.g && tci_entry_compare(entry, newest) > 0) *newest = *entry;
  return SQLITE_OK;
}

int tci_keys_find(tc_storage *storage, const tc_record *record, int64_t *seq) {
  tci_list_name list = tci_list_of_key(&storage->hash_key, record->kind, record->text[TC_COL_KEY]);
  tci_db *db = &storage->key_reader->db;
  tci_entry newest = {list.h, list.g, tci_keys_expired_before(storage, record->created_at_us), INT64_MAX};
  int rc = SQLITE_OK;
  *seq = 0;
  if (!tci_keyfilter_may_have(&storage->filter, (uint64_t)list.g)) return TC_OK;
  if (sqlite3_get_autocommit(db->handle)) { /* one snapshot for the batch */
    rc = tci_db_run(db, TCI_READ_BEGIN);
    if (!rc) rc = tci_runs_load(db, &storage->key_runs);
  }
  for (size_t i = 0; i < storage->key_runs.count && !rc; i++) rc = find_in_run(db, storage->key_runs.at[i].run, list, &newest);
  if (rc) return tci_index_fail(storage, db, rc, "look up a key in");
  if (newest.seq != INT64_MAX) *seq = newest.seq;
  return TC_OK;
}

void tci_keys_find_end(tc_storage *storage) { tci_db_rollback(&storage->key_reader->db); }

/* The run whose next entry is the least, or NULL at the end of the keys. */
static tci_run_cursor *least_key(tci_run_cursor *cursors, size_t count) {
  tci_run_cursor *least = NULL;
  for (size_t i = 0; i < count; i++) {
    tci_run_cursor *cursor = &cursors[i];
    if (cursor->at == cursor->count || cursor->chunk[cursor->at].h >= 0) continue;
    if (!least || tci_entry_compare(&cursor->chunk[cursor->at], &least->chunk[least->at]) < 0) least = cursor;
  }
  return least;
}

/* One slice of filling the filter with the keys that the index held at open: in order over all runs, so that it does not matter what is merged between slices. */
static int fill_slice(tc_storage *storage, tci_run_cursor *cursors, uint64_t *hashes, int64_t now_us) {
  tci_db *index = &storage->index;
  tci_entry after = storage->fill_after;
  size_t runs = storage->runs.count, n = 0;
  tci_run_cursor *least = NULL;
  int rc = SQLITE_OK;
  for (size_t i = 0; i < runs && !rc; i++) rc = tci_run_seek(index, &cursors[i], storage->runs.at[i].run, &after);
  while (!rc && n < FILL_KEYS && (least = least_key(cursors, runs))) {
    after = least->chunk[least->at];
    hashes[n++] = (uint64_t)after.g;
    rc = tci_run_next(index, least);
  }
  if (rc) return rc;
  tci_keyfilter_add(&storage->filter, hashes, n, now_us > storage->newest_us ? now_us : storage->newest_us); /* never too old */
  storage->fill_after = after;                                                                               /* the last one goes in again: no harm */
  storage->filled = !least;
  if (storage->filled) tci_keyfilter_completed(&storage->filter);
  return SQLITE_OK;
}

int tci_keys_fill(tc_storage *storage, int64_t now_us) {
  tci_run_cursor *cursors = tci_array(storage->runs.count, sizeof *cursors);
  uint64_t *hashes = tci_array(FILL_KEYS, sizeof *hashes);
  int rc = cursors && hashes ? fill_slice(storage, cursors, hashes, now_us) : SQLITE_NOMEM;
  tci_free(cursors);
  tci_free(hashes);
  return rc ? tci_index_fail(storage, &storage->index, rc, "read the keys of") : TC_OK;
}
