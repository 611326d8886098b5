/* log.c - the record itself: append, and what became of an append.
 *
 * Design notes
 * - The last row of each batch carries in `batch` the batch's random id and the last id of every kind so far (1 byte kind, 8 bytes id, big-endian, each). So the
 *   last row of the log tells all that the next append must know: opening costs one row whatever the log's size, with the index missing too. A table
 *   kinds(kind, last_id) would have cost one more page in every commit.
 * - One connection appends and nobody else may (the lock file), so ids and seq are kept in memory, and "was my batch stored" is a look at the last row.
 */
#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define LOG_CHECKPOINT_FRAMES 4096 /* 16 MiB: smaller ones come more often and double the p99 of commits (measured, design.md section 1) */
#define BATCH_BYTES_MAX (TCI_BATCH_ID_BYTES + TC_KIND_MAX * 9)

static const tci_migration migrations[] = {
  {1, "PRAGMA application_id=0x54634c67;"
      "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
      "CREATE TABLE events(seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id INTEGER NOT NULL, created_at INTEGER NOT NULL, amount INTEGER NOT NULL,"
      " room TEXT, user TEXT, peer TEXT, body TEXT, target TEXT, metadata TEXT, \"key\" TEXT, batch BLOB);"},
  /* What people configure (config.c). config_ids: the highest number a kind ever had, so that none is given twice. */
  {2, "CREATE TABLE config(kind INTEGER, id INTEGER, doc TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
      "CREATE TABLE config_ids(kind INTEGER PRIMARY KEY, last_id INTEGER NOT NULL);"},
  {3, "ALTER TABLE events ADD COLUMN currency TEXT; ALTER TABLE events ADD COLUMN ref INTEGER NOT NULL DEFAULT 0;"},
};

#define LOG_VERSION (migrations[sizeof migrations / sizeof *migrations - 1].version)

static const char *const statements[TCI_LOG_STATEMENTS] = {
  [TCI_LOG_BEGIN] = "BEGIN IMMEDIATE", /* a deferred one could meet SQLITE_BUSY in the middle, where no busy handler helps */
  [TCI_LOG_COMMIT] = "COMMIT",
  [TCI_LOG_INSERT] =
    "INSERT INTO events(seq,kind,id,created_at,amount,room,user,peer,body,target,metadata,\"key\",currency,ref,batch) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
  [TCI_LOG_LAST] = "SELECT seq, created_at, batch FROM events ORDER BY seq DESC LIMIT 1",
  [TCI_LOG_SETTLE] = "INSERT OR REPLACE INTO meta(name, value) VALUES('settled', ?)",
  TCI_CONFIG_STATEMENTS,
};

void tci_record_read(sqlite3_stmt *stmt, tc_record *out) {
  out->seq = sqlite3_column_int64(stmt, 0);
  out->kind = (uint32_t)sqlite3_column_int64(stmt, 1);
  out->id = sqlite3_column_int64(stmt, 2);
  out->created_at_us = sqlite3_column_int64(stmt, 3);
  out->amount = sqlite3_column_int64(stmt, 4);
  out->flags = 0;
  for (int i = 0; i < TC_COL_COUNT; i++) out->text[i] = tci_column_text(stmt, 5 + i);
  out->ref = sqlite3_column_int64(stmt, 5 + TC_COL_COUNT);
}

static size_t put_batch(const tci_log_end *end, const uint8_t batch_id[16], uint8_t out[BATCH_BYTES_MAX]) {
  size_t len = TCI_BATCH_ID_BYTES;
  memcpy(out, batch_id, len);
  for (int kind = 1; kind <= (int)TC_KIND_MAX; kind++) {
    if (!end->last_id[kind]) continue;
    out[len++] = (uint8_t)kind;
    for (int shift = 56; shift >= 0; shift -= 8) out[len++] = (uint8_t)((uint64_t)end->last_id[kind] >> shift);
  }
  return len;
}

static int get_batch(const uint8_t *bytes, int len, tci_log_end *end, uint8_t batch_id[16]) {
  if (!bytes || len < TCI_BATCH_ID_BYTES || (len - TCI_BATCH_ID_BYTES) % 9) return TC_ECORRUPT;
  memcpy(batch_id, bytes, TCI_BATCH_ID_BYTES);
  for (int at = TCI_BATCH_ID_BYTES; at < len; at += 9) {
    uint64_t id = 0;
    for (int i = 1; i <= 8; i++) id = id << 8 | bytes[at + i];
    end->last_id[bytes[at] & TC_KIND_MAX] = (int64_t)id;
  }
  return TC_OK;
}

/* What the last row tells; an empty log ends at 0 with a batch id of zeros. */
static int read_end(tci_db *log, tci_log_end *out, uint8_t batch_id[16]) {
  sqlite3_stmt *stmt = log->stmts[TCI_LOG_LAST];
  tci_log_end end = {0};
  int code = TC_OK, rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    end.seq = sqlite3_column_int64(stmt, 0);
    end.created_at_us = sqlite3_column_int64(stmt, 1);
    code = get_batch(sqlite3_column_blob(stmt, 2), sqlite3_column_bytes(stmt, 2), &end, batch_id);
    if (code) log->env->fail(code, "cannot read %s: event %lld does not end a batch", log->path, (long long)end.seq);
  } else if (rc == SQLITE_DONE) {
    memset(batch_id, 0, TCI_BATCH_ID_BYTES);
  } else {
    code = tci_db_fail(log, rc, "read");
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  if (!code) *out = end;
  return code;
}

static int load_log_id(tc_storage *storage) {
  tci_db *log = &storage->log;
  sqlite3_stmt *stmt = NULL;
  int code = TC_OK;
  int rc = sqlite3_prepare_v2(log->handle, "SELECT value FROM meta WHERE name='log_id'", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) == TCI_LOG_ID_BYTES) {
    memcpy(storage->log_id, sqlite3_column_blob(stmt, 0), TCI_LOG_ID_BYTES);
    goto out;
  }
  (void)sqlite3_finalize(stmt); /* repeats rc */
  stmt = NULL;
  if (rc != SQLITE_DONE) {
    code = tci_db_fail(log, rc == SQLITE_ROW ? SQLITE_CORRUPT : rc, "read the id of");
    goto out;
  }
  code = storage->env.random.fill(storage->env.random.userdata, storage->log_id, TCI_LOG_ID_BYTES);
  if (code) {
    storage->env.fail(code, "cannot get random bytes for the id of %s", log->path);
    goto out;
  }
  rc = sqlite3_prepare_v2(log->handle, "INSERT INTO meta(name, value) VALUES('log_id', ?)", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_blob(stmt, 1, storage->log_id, TCI_LOG_ID_BYTES, SQLITE_STATIC);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc != SQLITE_DONE) code = tci_db_fail(log, rc, "write");
out:
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return code;
}

int tci_log_open(tc_storage *storage) {
  tci_db *log = &storage->log;
  uint8_t batch_id[TCI_BATCH_ID_BYTES];
  int state = TCI_FILE_ABSENT;
  int code = tci_file_probe(&storage->env, storage->files.log, TCI_LOG_APPLICATION_ID, &state);
  if (code) return code;
  code = tci_db_open(log, &storage->env, storage->files.log, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  /* The schema goes in under a rollback journal: from its first commit on the file says whose it is, with or without a WAL beside it. */
  if (!code) code = tci_db_exec(log, "PRAGMA synchronous=FULL", "set up");
  if (!code) code = tci_db_migrate(log, migrations, sizeof migrations / sizeof *migrations);
  if (!code) code = tci_db_exec(log, "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-8192", "set up");
  if (!code) code = load_log_id(storage);
  if (!code) code = tci_db_prepare(log, statements, TCI_LOG_STATEMENTS);
  if (!code) code = read_end(log, &storage->end, batch_id);
  if (!code) tci_db_checkpoint_after(log, LOG_CHECKPOINT_FRAMES);
  return code;
}

int tci_log_look(tc_storage *storage) {
  tci_db *log = &storage->log;
  uint8_t batch_id[TCI_BATCH_ID_BYTES];
  int64_t version = 0;
  int state = TCI_FILE_ABSENT;
  int code = tci_file_probe(&storage->env, storage->files.log, TCI_LOG_APPLICATION_ID, &state);
  if (!code && state == TCI_FILE_ABSENT) storage->env.fail(code = TC_ENOTFOUND, "there is no log %s", storage->files.log);
  if (!code) code = tci_db_open(log, &storage->env, storage->files.log, SQLITE_OPEN_READONLY);
  if (!code) code = tci_db_pragma(log, "PRAGMA user_version", &version);
  if (!code && version != LOG_VERSION) {
    storage->env.fail(code = TC_EVERSION, "%s is of schema %lld, this release reads %d: a release that is not older makes it so when it opens it",
                      storage->files.log, (long long)version, LOG_VERSION);
  }
  if (!code) code = load_log_id(storage);
  if (!code) code = tci_db_prepare(log, statements, TCI_LOG_STATEMENTS);
  return code ? code : read_end(log, &storage->end, batch_id);
}

/* known[i]: the event that already has item i's key, or 0. */
static int find_known(tc_storage *storage, const tc_append *items, size_t n, int64_t *known) {
  int code = TC_OK;
  for (size_t i = 0; i < n && !code; i++) {
    if (items[i].record->text[TC_COL_KEY].ptr) code = tci_keys_find(storage, items[i].record, &known[i]);
  }
  tci_keys_find_end(storage);
  return code;
}

/* Sets the outputs, and moves the log's end over the new rows. */
static void publish(tci_log_end *end, tc_append *items, size_t n, const int64_t *known) {
  for (size_t i = 0; i < n; i++) {
    tc_record *record = items[i].record;
    items[i].existing_seq = known[i];
    items[i].result = known[i] ? TC_EEXISTS : TC_OK;
    if (known[i]) continue;
    record->seq = ++end->seq;
    record->id = ++end->last_id[record->kind];
    end->created_at_us = record->created_at_us;
  }
}

static int insert_row(tci_db *log, const tc_record *record, int64_t seq, int64_t id, const uint8_t *batch, size_t batch_len) {
  sqlite3_stmt *stmt = log->stmts[TCI_LOG_INSERT];
  int rc = sqlite3_bind_int64(stmt, 1, seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, (sqlite3_int64)record->kind);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, id);
  if (!rc) rc = sqlite3_bind_int64(stmt, 4, record->created_at_us);
  if (!rc) rc = sqlite3_bind_int64(stmt, 5, record->amount);
  for (int i = 0; i < TC_COL_COUNT && !rc; i++) rc = tci_bind_text(stmt, 6 + i, record->text[i]);
  if (!rc) rc = sqlite3_bind_int64(stmt, 6 + TC_COL_COUNT, record->ref);
  if (!rc) rc = batch_len ? sqlite3_bind_blob64(stmt, 7 + TC_COL_COUNT, batch, batch_len, SQLITE_STATIC) : sqlite3_bind_null(stmt, 7 + TC_COL_COUNT);
  return rc ? rc : tci_db_run(log, TCI_LOG_INSERT);
}

static int insert_rows(tc_storage *storage, const tc_append *items, size_t n, const int64_t *known, size_t fresh, const uint8_t batch_id[16]) {
  tci_log_end end = storage->end;
  uint8_t batch[BATCH_BYTES_MAX];
  int rc = SQLITE_OK;
  for (size_t i = 0; i < n && !rc; i++) {
    if (known[i]) continue;
    int64_t id = ++end.last_id[items[i].record->kind];
    size_t batch_len = --fresh ? 0 : put_batch(&end, batch_id, batch);
    rc = insert_row(&storage->log, items[i].record, ++end.seq, id, batch, batch_len);
  }
  return rc;
}

int tci_log_overwrite(tc_storage *storage, const uint8_t stamp[TCI_BATCH_ID_BYTES]) {
  tci_db *log = &storage->log;
  tci_db_rollback(log);
  int rc = sqlite3_bind_blob(log->stmts[TCI_LOG_SETTLE], 1, stamp, TCI_BATCH_ID_BYTES, SQLITE_STATIC);
  if (!rc) rc = tci_db_run(log, TCI_LOG_BEGIN);
  if (!rc) rc = tci_db_run(log, TCI_LOG_SETTLE);
  if (!rc) rc = tci_db_run(log, TCI_LOG_COMMIT);
  if (rc) tci_db_rollback(log);
  return rc;
}

/* Makes an unknown outcome known: *stored = 1 or 0, else TC_EUNKNOWN. */
static int settle(tc_storage *storage, const uint8_t batch_id[16], int32_t *stored) {
  tci_db *log = &storage->log;
  tci_log_end end;
  uint8_t last[TCI_BATCH_ID_BYTES];
  int rc = tci_log_overwrite(storage, batch_id);
  if (rc || read_end(log, &end, last)) {
    storage->env.fail(TC_EUNKNOWN, "cannot tell whether %s holds the commit: %s", log->path, sqlite3_errstr(rc ? rc : SQLITE_IOERR));
    return TC_EUNKNOWN;
  }
  *stored = !memcmp(last, batch_id, TCI_BATCH_ID_BYTES);
  return TC_OK;
}

static int commit_rows(tc_storage *storage, const uint8_t batch_id[16]) {
  tci_db *log = &storage->log;
  int32_t stored = 0;
  int rc = tci_db_commit(log, TCI_LOG_COMMIT);
  if (!rc) return TC_OK;
  if ((rc & 0xff) != SQLITE_IOERR) { /* SQLITE_BUSY, SQLITE_FULL: the frame that makes the others count is written last, and was not */
    int code = tci_db_fail(log, rc, "commit to");
    tci_db_rollback(log);
    return code;
  }
  int code = settle(storage, batch_id, &stored);
  if (code || stored) return code;
  storage->env.fail(TC_ESTORAGE, "cannot commit to %s: %s; nothing was stored", log->path, sqlite3_errstr(rc));
  return TC_ESTORAGE;
}

static int append_rows(tc_storage *storage, const tc_append *items, size_t n, const int64_t *known, size_t fresh, const uint8_t batch_id[16]) {
  tci_db *log = &storage->log;
  int rc = tci_db_run(log, TCI_LOG_BEGIN);
  if (!rc) rc = insert_rows(storage, items, n, known, fresh, batch_id);
  if (rc) { /* no COMMIT was tried, so no frame of this batch can be taken for committed */
    int code = tci_db_fail(log, rc, "append to");
    tci_db_rollback(log);
    return code;
  }
  return commit_rows(storage, batch_id);
}
static int known_of(tc_storage *storage, const tc_append *items, size_t n, int64_t **out, size_t *fresh) {
  int64_t *known = tci_array(n, sizeof *known);
  if (!known) {
    storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  int code = find_known(storage, items, n, known);
  if (code) {
    tci_free(known);
    return code;
  }
  *fresh = 0;
  for (size_t i = 0; i < n; i++) *fresh += !known[i];
  *out = known;
  return TC_OK;
}

int tci_log_append(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us) {
  (void)now_us; /* a key's age is measured from record to record */
  int64_t *known = NULL;
  size_t fresh = 0;
  if (!n) {
    int rc = tci_log_overwrite(storage, batch_id); /* a commit that changes no event */
    return rc ? tci_db_fail(&storage->log, rc, "write") : TC_OK;
  }
  int code = known_of(storage, items, n, &known, &fresh);
  if (!code && fresh) code = append_rows(storage, items, n, known, fresh, batch_id);
  if (!code) publish(&storage->end, items, n, known);
  tci_free(known);
  return code;
}

int tci_log_append_outcome(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int32_t *stored) {
  int64_t *known = NULL;
  size_t fresh = 0;
  int32_t found = 0;
  int code = settle(storage, batch_id, &found);
  /* The keys answer as they did then: what the engine may index meanwhile it had compared with these items itself. */
  if (!code && found && known_of(storage, items, n, &known, &fresh)) code = TC_EUNKNOWN;
  if (!code && found) publish(&storage->end, items, n, known);
  if (!code) *stored = found;
  tci_free(known);
  return code;
}

int tci_log_import(tc_storage *storage, tc_record *records, size_t n) {
  tci_db *log = &storage->log;
  tci_log_end end = storage->end;
  uint8_t batch_id[TCI_BATCH_ID_BYTES], batch[BATCH_BYTES_MAX];
  for (size_t i = 0; i < n; i++) {
    if (!records[i].seq || records[i].seq == end.seq + 1 + (int64_t)i) continue;
    storage->env.fail(TC_ECONFLICT, "event %lld does not follow event %lld, with which %s ends", (long long)records[i].seq, (long long)end.seq, log->path);
    return TC_ECONFLICT;
  }
  int code = n ? storage->env.random.fill(storage->env.random.userdata, batch_id, sizeof batch_id) : TC_OK;
  if (code || !n) return code;
  int rc = tci_db_run(log, TCI_LOG_BEGIN);
  for (size_t i = 0; i < n && !rc; i++) {
    int64_t *last_id = &end.last_id[records[i].kind];
    if (records[i].id > *last_id) *last_id = records[i].id;
    end.created_at_us = records[i].created_at_us;
    rc = insert_row(log, &records[i], ++end.seq, records[i].id, batch, i + 1 == n ? put_batch(&end, batch_id, batch) : 0);
  }
  if (rc) {
    code = tci_db_fail(log, rc, "append to");
    tci_db_rollback(log);
    return code;
  }
  code = commit_rows(storage, batch_id);
  for (size_t i = 0; i < n && !code; i++) records[i].seq = storage->end.seq + 1 + (int64_t)i;
  if (!code) storage->end = end;
  return code;
}
