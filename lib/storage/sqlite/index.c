/* index.c - the derived file: what it is made of, and whether it may be trusted at open.
 *
 * Design notes (measurements: docs/decisions/0002-index-tables.md)
 * - One table holds every list that can be asked for: all of a kind, by one column, by room and another. A row is (list, createdAt, seq); a list is named by 128 bits
 *   of keyed hash over kind, columns and values, so that rows are short and of one size whatever the ids look like, and a batch is sorted by integers. The key is the log's
 *   random id: two lists with one name are as likely as a broken disk (2^-64 at a billion lists), and nobody can look for them.
 * - `n` of a list's first row (the newest) is the list's length; the others' n is of the past and never read. So a count costs one seek and no table of counters
 *   has to be kept: the row that grows the list carries its number in the page that is written anyway. A row that comes back-dated adds to the first row's n.
 * - keys(hash, seq) holds no key: a hit is compared with the event in the log, which also tells its age. Several events may have one hash or (after expiry) one key.
 * - Everything else about an event is in the log. `state` ties the two together: log_id, and the fingerprint of the event at the cursor.
 */
#include <string.h>

#include "storage/sqlite/sqlite.h"

#define INDEX_CHECKPOINT_FRAMES 16384 /* 64 MiB */

static const tci_migration migrations[] = {
  {1, "PRAGMA application_id=0x54634978;"
      "CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one=1), log_id BLOB NOT NULL, cursor INTEGER NOT NULL, fingerprint BLOB NOT NULL, newest_at INTEGER NOT NULL,"
      " purged INTEGER NOT NULL);"
      "CREATE TABLE lists(h INTEGER, g INTEGER, created_at INTEGER, seq INTEGER, n INTEGER NOT NULL, PRIMARY KEY(h, g, created_at, seq)) WITHOUT ROWID;"
      "CREATE TABLE ids(kind INTEGER, id INTEGER, seq INTEGER NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
      "CREATE TABLE keys(hash INTEGER, seq INTEGER, PRIMARY KEY(hash, seq)) WITHOUT ROWID;"},
};
#define VERSION (migrations[sizeof migrations / sizeof *migrations - 1].version)

#define INSERT_TOP                                                \
  "INSERT INTO lists(h, g, created_at, seq, n) VALUES(?1, ?2, ?3, ?4," \
  " ?5 + coalesce((SELECT n FROM lists WHERE h=?1 AND g=?2 ORDER BY created_at DESC, seq DESC LIMIT 1), 0))"

static const char *const statements[TCI_INDEX_STATEMENTS] = {
  [TCI_INDEX_BEGIN] = "BEGIN IMMEDIATE",
  [TCI_INDEX_COMMIT] = "COMMIT",
  [TCI_INDEX_LIST] = "INSERT INTO lists(h, g, created_at, seq, n) VALUES(?1, ?2, ?3, ?4, 0)",
  [TCI_INDEX_LIST_TOP] = INSERT_TOP,
  [TCI_INDEX_TOP] = "SELECT created_at, seq FROM lists WHERE h=?1 AND g=?2 ORDER BY created_at DESC, seq DESC LIMIT 1",
  [TCI_INDEX_SET_TOP] = "UPDATE lists SET n=n+?5 WHERE h=?1 AND g=?2 AND created_at=?3 AND seq=?4",
  [TCI_INDEX_ID] = "INSERT INTO ids(kind, id, seq) VALUES(?, ?, ?)",
  [TCI_INDEX_KEY] = "INSERT INTO keys(hash, seq) VALUES(?, ?)",
  [TCI_INDEX_CURSOR] = "UPDATE state SET cursor=?, fingerprint=?, newest_at=?",
  [TCI_INDEX_FILL] = "SELECT hash, seq FROM keys WHERE (hash, seq) > (?, ?) ORDER BY hash, seq LIMIT ?",
  [TCI_INDEX_UNKEY] = "DELETE FROM keys WHERE hash=? AND seq=?",
  [TCI_INDEX_PURGED] = "UPDATE state SET purged=?",
};

int tci_index_fail(tc_storage *storage, const tci_db *db, int rc, const char *doing) {
  int primary = rc & 0xff;
  /* A row that is there already although the cursor says it is not yet: the file contradicts itself. */
  if (primary == SQLITE_CONSTRAINT) rc = SQLITE_CORRUPT;
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_CONSTRAINT) atomic_store(&storage->index_damaged, 1);
  return tci_db_fail(db, rc, doing);
}

/* The fingerprint of the log's event seq; SQLITE_DONE when there is none. Returns SQLite's rc. */
static int fingerprint_in_log(tc_storage *storage, int64_t seq, uint8_t out[TCI_HASH_BYTES]) {
  sqlite3_stmt *stmt = NULL;
  tc_record record;
  int rc = sqlite3_prepare_v2(storage->log.handle, "SELECT " TCI_RECORD_COLUMNS " FROM events e WHERE e.seq=?", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_int64(stmt, 1, seq);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    tci_record_read(stmt, &record);
    rc = tci_record_fingerprint(&record, out) ? SQLITE_ERROR : SQLITE_OK;
  }
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return rc;
}

/* Reads `state` and compares it with the log: *usable. Returns SQLite's rc. */
static int compare_state(tc_storage *storage, int *usable) {
  sqlite3_stmt *stmt = NULL;
  uint8_t fingerprint[TCI_HASH_BYTES];
  int rc = sqlite3_prepare_v2(storage->index.handle, "SELECT log_id, cursor, fingerprint, newest_at, purged FROM state", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc != SQLITE_ROW) goto out;
  int64_t cursor = sqlite3_column_int64(stmt, 1);
  const void *log_id = sqlite3_column_blob(stmt, 0), *stored = sqlite3_column_blob(stmt, 2);
  *usable = log_id && sqlite3_column_bytes(stmt, 0) == TCI_LOG_ID_BYTES && !memcmp(log_id, storage->log_id, TCI_LOG_ID_BYTES);
  rc = SQLITE_OK;
  if (*usable && cursor) {
    rc = fingerprint_in_log(storage, cursor, fingerprint);
    *usable = !rc && stored && sqlite3_column_bytes(stmt, 2) == TCI_HASH_BYTES && !memcmp(stored, fingerprint, TCI_HASH_BYTES);
  }
  storage->index_seq = cursor;
  storage->newest_us = sqlite3_column_int64(stmt, 3);
  storage->purge_seq = sqlite3_column_int64(stmt, 4);
out:
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int set_up(tc_storage *storage) {
  /* NORMAL: a power cut may take the last batches, never the file; the cursor then stands further back. */
  return tci_db_exec(&storage->index, "PRAGMA synchronous=NORMAL; PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=134217728; PRAGMA cache_size=-65536", "set up");
}

/* *usable: the file that lies there belongs to this log and is of our version; it is open then. Errors: only what beginning anew would not cure. */
static int open_existing(tc_storage *storage, int *usable) {
  int state = TCI_FILE_ABSENT;
  int64_t version = 0;
  int code = tci_file_probe(&storage->env, storage->files.index, TCI_INDEX_APPLICATION_ID, &state);
  if (code || state == TCI_FILE_ABSENT) return code == TC_ECORRUPT ? TC_OK : code;
  code = tci_db_open(&storage->index, &storage->env, storage->files.index, SQLITE_OPEN_READWRITE);
  if (!code) code = tci_db_pragma(&storage->index, "PRAGMA user_version", &version);
  if (!code && version == VERSION) {
    code = set_up(storage);
    int rc = code ? SQLITE_OK : compare_state(storage, usable);
    if (rc) code = tci_db_fail(&storage->index, rc, "read");
  }
  if (!*usable) tci_db_close(&storage->index);
  return code == TC_EBUSY || code == TC_ENOMEM ? code : TC_OK;
}

static int create(tc_storage *storage) {
  tci_db *index = &storage->index;
  sqlite3_stmt *stmt = NULL;
  int code = tci_file_remove(&storage->env, storage->files.index);
  if (!code) code = tci_db_open(index, &storage->env, storage->files.index, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!code) code = tci_db_migrate(index, migrations, sizeof migrations / sizeof *migrations);
  if (!code) code = set_up(storage);
  if (code) return code;
  int rc = sqlite3_prepare_v2(index->handle, "INSERT INTO state(one, log_id, cursor, fingerprint, newest_at, purged) VALUES(1, ?, 0, x'', ?, 0)", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_blob(stmt, 1, storage->log_id, TCI_LOG_ID_BYTES, SQLITE_STATIC);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, INT64_MIN);
  if (!rc) rc = sqlite3_step(stmt);
  (void)sqlite3_finalize(stmt); /* repeats rc */
  if (rc != SQLITE_DONE) return tci_db_fail(index, rc, "write");
  storage->index_seq = storage->purge_seq = 0;
  storage->newest_us = INT64_MIN;
  return TC_OK;
}

int tci_index_open(tc_storage *storage) {
  int usable = 0;
  int code = open_existing(storage, &usable);
  if (!code && !usable) code = create(storage);
  if (!code) code = tci_db_prepare(&storage->index, statements, TCI_INDEX_STATEMENTS);
  if (code) return code;
  tci_db_checkpoint_after(&storage->index, INDEX_CHECKPOINT_FRAMES);
  storage->fill_hash = INT64_MIN;
  storage->fill_seq = 0;
  storage->filled = !storage->index_seq; /* no keys to fill in */
  if (storage->filled) tci_keyfilter_completed(&storage->filter);
  return TC_OK;
}
