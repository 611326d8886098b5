/* index.c - the derived file: what it is made of, and whether it may be trusted at open.
 *
 * Design notes (measurements: docs/decisions/0002-index-tables.md)
 * - Everything that can be asked for is a list: all of a kind, by one column, by room and another, and (of one event each) by id and by key. An entry says "event
 *   seq is in list L at createdAt": four numbers. A list is named by 127 bits of keyed hash over kind, columns and values, so that entries are short and of one size whatever
 *   the ids look like. The key is the log's random id: two lists with one name are as likely as a broken disk (2^-67 at a billion lists), and nobody can look for them.
 * - Entries are not rows of a B-tree. Each batch would touch a page for nearly every entry (100,000 senders, and nobody tips twice in the same room), and pages
 *   cost their WAL and checkpoint: 28,000 events/s at a million and falling. They are sorted runs instead (runs.h), as in a log-structured merge tree:
 *   a batch appends one, runs of a size are merged (merge.c), and 126 entries share a page, an insert and a fence.
 * - A list's length needs no counter to be kept: each fence says how many of its list stand before it in the run, so that the chunk with a list's newest entry
 *   tells the length, summed over the runs. Back-dated events need no care at all.
 * - A list is read newest first from all runs at once (scan.c). There are at most some ten of them, so the cost follows the page and not the history; and what was
 *   learned of a list in a run stays true, so it is kept in memory (listcache.h) and a hot list is looked for only in the runs that its page comes from.
 * - Expired keys are left out when their run is merged. Nothing else is ever taken away.
 * - `state` ties all to the log: log_id, and the fingerprint of the event at the cursor.
 */
#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define INDEX_CHECKPOINT_FRAMES 16384 /* 64 MiB */

static const tci_migration migrations[] = {
  /* AUTOINCREMENT: what is known of a run in memory (listcache.h) must not come to be said of another one with its number.
   * A file of another version is built anew: 1 had the fence's position in the run in place of `before`, 2 knew no currency, 3 kept a user and day twice, 4 had tops as new as the cells. The names
   * of lists hang on model/emoji_table.c: other Unicode data there are another version here. */
  {5, "PRAGMA application_id=0x54634978;"
      "CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one=1), log_id BLOB NOT NULL, cursor INTEGER NOT NULL, fingerprint BLOB NOT NULL, newest_at INTEGER "
      "NOT NULL);"
      "CREATE TABLE runs(run INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL, entries INTEGER NOT NULL);"
      "CREATE TABLE fences(run INTEGER, h INTEGER, g INTEGER, created_at INTEGER, seq INTEGER, chunk INTEGER NOT NULL, before INTEGER NOT NULL,"
      " PRIMARY KEY(run, h, g, created_at, seq)) WITHOUT ROWID;"
      "CREATE TABLE chunks(id INTEGER PRIMARY KEY, data BLOB NOT NULL);"
      /* facts.c. */
      "ALTER TABLE state ADD COLUMN facts_cursor INTEGER NOT NULL DEFAULT 0;"
      "CREATE TABLE facts(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"},
};
#define VERSION (migrations[sizeof migrations / sizeof *migrations - 1].version)

#define FENCES_OF_RUN "FROM fences WHERE run=?1 ORDER BY h, g, created_at, seq LIMIT ?2"

static const char *const statements[TCI_INDEX_STATEMENTS] = {
  TCI_RUN_STATEMENTS,
  [TCI_INDEX_BEGIN] = "BEGIN IMMEDIATE",
  [TCI_INDEX_COMMIT] = "COMMIT",
  [TCI_INDEX_CURSOR] = "UPDATE state SET cursor=?, fingerprint=?, newest_at=?",
  [TCI_INDEX_ADD_RUN] = "INSERT INTO runs(state, entries) VALUES(?, 0)",
  [TCI_INDEX_SET_RUN] = "UPDATE runs SET state=?, entries=? WHERE run=?",
  [TCI_INDEX_ADD_CHUNK] = "INSERT INTO chunks(data) VALUES(?)",
  [TCI_INDEX_ADD_FENCE] = "INSERT INTO fences(run, h, g, created_at, seq, chunk, before) VALUES(?, ?, ?, ?, ?, ?, ?)",
  [TCI_INDEX_DEAD] = "SELECT run FROM runs WHERE state=2 LIMIT 1",
  [TCI_INDEX_SWEEP_CHUNKS] = "DELETE FROM chunks WHERE id IN (SELECT chunk " FENCES_OF_RUN ")",
  [TCI_INDEX_SWEEP_FENCES] = "DELETE FROM fences WHERE (run, h, g, created_at, seq) IN (SELECT run, h, g, created_at, seq " FENCES_OF_RUN ")",
  [TCI_INDEX_SWEEP_RUN] = "DELETE FROM runs WHERE run=?",
  [TCI_INDEX_BEGIN_READ] = "BEGIN",
  [TCI_INDEX_FIRST_FACT] = "SELECT key, value FROM facts WHERE key>=? ORDER BY key LIMIT 1",
  [TCI_INDEX_PUT_FACT] = "INSERT OR REPLACE INTO facts(key, value) VALUES(?, ?)",
  [TCI_INDEX_REMOVE_FACT] = "DELETE FROM facts WHERE key=?",
  [TCI_INDEX_FACTS_CURSOR] = "UPDATE state SET facts_cursor=?",
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
  int rc = sqlite3_prepare_v2(storage->index.handle, "SELECT log_id, cursor, fingerprint, newest_at, facts_cursor FROM state", -1, &stmt, NULL);
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
  storage->facts_seq = sqlite3_column_int64(stmt, 4);
  if (storage->facts_seq > cursor) *usable = 0;
out:
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int set_up(tc_storage *storage) {
  /* NORMAL: a power cut may take the last batches, never the file; the cursor then stands further back. */
  return tci_db_exec(&storage->index, "PRAGMA synchronous=NORMAL; PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=134217728; PRAGMA cache_size=-16384",
                     "set up");
}

/* *usable: the file that lies there belongs to this log and is of our version; it is open then. Errors: only what beginning anew would not cure. */
static int open_existing(tc_storage *storage, int flags, int *usable) {
  int state = TCI_FILE_ABSENT;
  int64_t version = 0;
  int code = tci_file_probe(&storage->env, storage->files.index, TCI_INDEX_APPLICATION_ID, &state);
  if (code || state == TCI_FILE_ABSENT) return code == TC_ECORRUPT ? TC_OK : code;
  code = tci_db_open(&storage->index, &storage->env, storage->files.index, flags);
  if (!code) code = tci_db_pragma(&storage->index, "PRAGMA user_version", &version);
  if (!code && version == VERSION) {
    code = flags & SQLITE_OPEN_READWRITE ? set_up(storage) : TC_OK;
    int rc = code ? SQLITE_OK : compare_state(storage, usable);
    if (rc) code = tci_db_fail(&storage->index, rc, "read");
  }
  if (!*usable) tci_db_close(&storage->index);
  return code == TC_EBUSY || code == TC_ENOMEM ? code : TC_OK;
}

int tci_index_look(tc_storage *storage, int *usable) { return open_existing(storage, SQLITE_OPEN_READONLY, usable); }

static int create(tc_storage *storage) {
  tci_db *index = &storage->index;
  sqlite3_stmt *stmt = NULL;
  int code = tci_file_remove(&storage->env, storage->files.index);
  if (!code) code = tci_db_open(index, &storage->env, storage->files.index, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!code) code = tci_db_migrate(index, migrations, sizeof migrations / sizeof *migrations);
  if (!code) code = set_up(storage);
  if (code) return code;
  int rc = sqlite3_prepare_v2(index->handle, "INSERT INTO state(one, log_id, cursor, fingerprint, newest_at) VALUES(1, ?, 0, x'', ?)", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_blob(stmt, 1, storage->log_id, TCI_LOG_ID_BYTES, SQLITE_STATIC);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, INT64_MIN);
  if (!rc) rc = sqlite3_step(stmt);
  (void)sqlite3_finalize(stmt); /* repeats rc */
  if (rc != SQLITE_DONE) return tci_db_fail(index, rc, "write");
  storage->index_seq = 0;
  storage->facts_seq = 0;
  storage->newest_us = INT64_MIN;
  return TC_OK;
}

int tci_index_open(tc_storage *storage) {
  static const tci_entry first = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
  int usable = 0;
  int code = open_existing(storage, SQLITE_OPEN_READWRITE, &usable);
  if (!code && !usable) code = create(storage);
  if (!code) code = tci_db_prepare(&storage->index, statements, TCI_INDEX_STATEMENTS);
  if (code) return code;
  storage->merges = tci_array(TCI_MERGES, sizeof *storage->merges);
  int rc = storage->merges ? tci_merge_reset(storage) : SQLITE_NOMEM;
  if (rc) return tci_index_fail(storage, &storage->index, rc, "read");
  tci_db_checkpoint_after(&storage->index, INDEX_CHECKPOINT_FRAMES);
  storage->fill_after = first;
  storage->filled = !storage->index_seq; /* no keys to fill in */
  if (storage->filled) tci_keyfilter_completed(&storage->filter);
  return TC_OK;
}
