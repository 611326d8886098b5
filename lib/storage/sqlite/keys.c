#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define FILL_KEYS 16384 /* a slice of idle: some 10 ms */
#define PURGE_EVENTS 2048

uint64_t tci_key_hash(const tci_sipkey *key, uint32_t kind, tc_text text) {
  tci_sipkey of_kind = {key->k0 ^ kind, key->k1}; /* a key belongs to one kind */
  return tci_siphash(&of_kind, text.ptr, text.len);
}

static int64_t ttl_us(const tc_storage *storage) { return (int64_t)storage->env.idempotency_ttl_s * 1000000; }

/* a - b, at least INT64_MIN: times may come from anywhere. */
static int64_t minus(int64_t a, int64_t b) { return a < INT64_MIN + b ? INT64_MIN : a - b; }

int tci_keys_find(tc_storage *storage, const tc_record *record, int64_t *seq) {
  uint64_t hash = tci_key_hash(&storage->hash_key, record->kind, record->text[TC_COL_KEY]);
  tci_db *db = &storage->key_reader->db;
  *seq = 0;
  if (!tci_keyfilter_may_have(&storage->filter, hash)) return TC_OK;
  int rc = SQLITE_OK;
  if (sqlite3_get_autocommit(db->handle)) rc = tci_db_run(db, TCI_READ_BEGIN); /* one snapshot for the batch */
  if (rc) return tci_index_fail(storage, db, rc, "read");
  sqlite3_stmt *stmt = db->stmts[TCI_READ_KEY];
  rc = sqlite3_bind_int64(stmt, 1, (sqlite3_int64)hash);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, (sqlite3_int64)record->kind);
  if (!rc) rc = tci_bind_text(stmt, 3, record->text[TC_COL_KEY]);
  if (!rc) rc = sqlite3_bind_int64(stmt, 4, minus(record->created_at_us, ttl_us(storage)));
  if (!rc) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) *seq = sqlite3_column_int64(stmt, 0);
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? TC_OK : tci_index_fail(storage, db, rc, "look up a key in");
}

void tci_keys_find_end(tc_storage *storage) { tci_db_rollback(&storage->key_reader->db); }

/* One slice of filling the filter with the keys that the index held at open. */
static int fill(tc_storage *storage, int64_t now_us, int32_t *more) {
  sqlite3_stmt *stmt = storage->index.stmts[TCI_INDEX_FILL];
  uint64_t *hashes = tci_array(FILL_KEYS, sizeof *hashes);
  int64_t hash = storage->fill_hash, seq = storage->fill_seq;
  size_t n = 0;
  int code = TC_OK;
  if (!hashes) {
    storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  int rc = sqlite3_bind_int64(stmt, 1, hash);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, FILL_KEYS);
  while (!rc && n < FILL_KEYS && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    hash = sqlite3_column_int64(stmt, 0);
    seq = sqlite3_column_int64(stmt, 1);
    hashes[n++] = (uint64_t)hash;
    rc = SQLITE_OK;
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  if (rc && rc != SQLITE_DONE) {
    code = tci_index_fail(storage, &storage->index, rc, "read the keys of");
  } else {
    tci_keyfilter_add(&storage->filter, hashes, n, now_us); /* their age is in the log; now is never too old */
    storage->fill_hash = hash;
    storage->fill_seq = seq;
    storage->filled = n < FILL_KEYS;
    if (storage->filled) tci_keyfilter_completed(&storage->filter);
    *more = !storage->filled;
  }
  tci_free(hashes);
  return code;
}

/* What of the log is next to be purged. */
typedef struct expired {
  uint64_t hashes[PURGE_EVENTS];
  int64_t seqs[PURGE_EVENTS];
  size_t count;   /* of keys */
  int64_t seq;    /* all up to here is expired */
  int64_t due_us; /* when the event after that expires */
} expired;

static int find_expired(tc_storage *storage, tci_reader *reader, int64_t before_us, expired *out) {
  sqlite3_stmt *stmt = reader->db.stmts[TCI_READ_LOG];
  int64_t left = storage->index_seq - storage->purge_seq;
  int rc = sqlite3_bind_int64(stmt, 1, storage->purge_seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, left < PURGE_EVENTS ? left : PURGE_EVENTS);
  while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tc_record record;
    tci_record_read(stmt, &record);
    if (record.created_at_us > before_us) {
      out->due_us = record.created_at_us > INT64_MAX - ttl_us(storage) ? INT64_MAX : record.created_at_us + ttl_us(storage);
      rc = SQLITE_DONE;
      break;
    }
    out->seq = record.seq;
    if (record.text[TC_COL_KEY].ptr) {
      out->hashes[out->count] = tci_key_hash(&storage->hash_key, record.kind, record.text[TC_COL_KEY]);
      out->seqs[out->count++] = record.seq;
    }
    rc = SQLITE_OK;
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? TC_OK : tci_db_fail(&reader->db, rc, "read");
}

static int remove_keys(tc_storage *storage, const expired *found) {
  tci_db *index = &storage->index;
  sqlite3_stmt *unkey = index->stmts[TCI_INDEX_UNKEY];
  int rc = tci_db_run(index, TCI_INDEX_BEGIN);
  for (size_t i = 0; i < found->count && !rc; i++) {
    rc = sqlite3_bind_int64(unkey, 1, (sqlite3_int64)found->hashes[i]);
    if (!rc) rc = sqlite3_bind_int64(unkey, 2, found->seqs[i]);
    if (!rc) rc = tci_db_run(index, TCI_INDEX_UNKEY);
  }
  if (!rc) rc = sqlite3_bind_int64(index->stmts[TCI_INDEX_PURGED], 1, found->seq);
  if (!rc) rc = tci_db_run(index, TCI_INDEX_PURGED);
  if (!rc) rc = tci_db_commit(index, TCI_INDEX_COMMIT);
  if (!rc) return TC_OK;
  int code = tci_index_fail(storage, index, rc, "purge the keys of");
  tci_db_rollback(index);
  return code;
}

/* One slice of the purge: a cursor over the log that stops at the first event whose key still counts. One that was back-dated behind it waits with it. */
static int purge(tc_storage *storage, int64_t now_us, int32_t *more) {
  if (now_us < storage->purge_due_us || storage->purge_seq >= storage->index_seq) return TC_OK;
  tci_reader *reader = NULL;
  expired *found = tci_zalloc(sizeof *found);
  int code = TC_ENOMEM;
  if (!found) {
    storage->env.fail(code, "");
    return code;
  }
  found->seq = storage->purge_seq;
  code = tci_reader_take(storage, &reader);
  if (!code) code = find_expired(storage, reader, minus(now_us, ttl_us(storage)), found);
  tci_reader_give(storage, reader);
  if (!code && found->seq > storage->purge_seq) code = remove_keys(storage, found);
  if (!code) {
    storage->purge_seq = found->seq;
    storage->purge_due_us = found->due_us;
    *more = !found->due_us && found->seq < storage->index_seq;
  }
  tci_free(found);
  return code;
}

int tci_keys_idle(tc_storage *storage, int64_t now_us, int32_t *more) {
  int32_t found_more = 0;
  int code = storage->filled ? TC_OK : fill(storage, now_us, &found_more);
  if (!code && !found_more) code = purge(storage, now_us, &found_more);
  if (code) return code;
  tci_keyfilter_expire(&storage->filter, minus(now_us, ttl_us(storage)));
  *more = found_more;
  return TC_OK;
}
