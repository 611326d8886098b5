/* config.c - documents of configuration, in the log's file: a backup of the record has them, and they are as durable as an event. There are few and they change
 * seldom, so nothing here is about speed. */
#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

static int check_arguments(const tc_storage *storage, uint32_t kind, int64_t id, tc_text doc) {
  const char *wrong = NULL;
  if (!kind || kind > TC_KIND_MAX) wrong = "kind: must be 1 to 63";
  else if (id < 0) wrong = "id: must not be negative";
  else if (!doc.ptr || doc.len > TC_CONFIG_DOC_MAX) wrong = "doc: must be a text of at most 1 MiB";
  if (!wrong) return TC_OK;
  storage->env.fail(TC_EINVAL, "%s", wrong);
  return TC_EINVAL;
}

/* Returns SQLite's rc; *last = 0 when the kind never had a number. */
static int read_last_id(tci_db *log, uint32_t kind, int64_t *last) {
  sqlite3_stmt *stmt = log->stmts[TCI_CONFIG_LAST_ID];
  int rc = sqlite3_bind_int64(stmt, 1, kind);
  if (!rc) rc = sqlite3_step(stmt);
  *last = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int write_last_id(tci_db *log, uint32_t kind, int64_t last) {
  sqlite3_stmt *stmt = log->stmts[TCI_CONFIG_SET_LAST_ID];
  int rc = sqlite3_bind_int64(stmt, 1, kind);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, last);
  return rc ? rc : tci_db_run(log, TCI_CONFIG_SET_LAST_ID);
}

/* Inside a transaction. Returns SQLite's rc; SQLITE_FULL: the kind has no number left. */
static int put_row(tci_db *log, uint32_t kind, int64_t *id, tc_text doc) {
  sqlite3_stmt *stmt = log->stmts[TCI_CONFIG_PUT];
  int64_t last = 0;
  int rc = read_last_id(log, kind, &last);
  if (rc) return rc;
  if (!*id && last == INT64_MAX) return SQLITE_FULL;
  if (!*id) *id = last + 1;
  if (*id > last) rc = write_last_id(log, kind, *id);
  if (!rc) rc = sqlite3_bind_int64(stmt, 1, kind);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, *id);
  if (!rc) rc = tci_bind_text(stmt, 3, doc);
  return rc ? rc : tci_db_run(log, TCI_CONFIG_PUT);
}

/* *as_wanted: does (kind, id) hold doc, or nothing when doc.ptr is NULL? Returns SQLite's rc. */
static int look(tci_db *log, uint32_t kind, int64_t id, tc_text doc, int *as_wanted) {
  sqlite3_stmt *stmt = log->stmts[TCI_CONFIG_GET];
  int rc = sqlite3_bind_int64(stmt, 1, kind);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, id);
  if (!rc) rc = sqlite3_step(stmt);
  tc_text has = {NULL, 0};
  if (rc == SQLITE_ROW) has = tci_column_text(stmt, 0);
  *as_wanted = doc.ptr ? has.ptr && has.len == doc.len && !memcmp(has.ptr, doc.ptr, doc.len) : rc == SQLITE_DONE;
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* As the end of an append (log.c), but what was stored is told by the row itself: where the same document was there before, either answer is right. */
static int commit(tc_storage *storage, uint32_t kind, int64_t id, tc_text doc) {
  static const uint8_t stamp[TCI_BATCH_ID_BYTES];
  tci_db *log = &storage->log;
  int stored = 0;
  int rc = tci_db_commit(log, TCI_LOG_COMMIT);
  if (!rc) return TC_OK;
  if ((rc & 0xff) != SQLITE_IOERR) {
    int code = tci_db_fail(log, rc, "commit to");
    tci_db_rollback(log);
    return code;
  }
  int failed = tci_log_overwrite(storage, stamp);
  if (!failed) failed = look(log, kind, id, doc, &stored);
  if (failed) {
    storage->env.fail(TC_EUNKNOWN, "cannot tell whether %s holds the commit: %s", log->path, sqlite3_errstr(failed));
    return TC_EUNKNOWN;
  }
  if (stored) return TC_OK;
  storage->env.fail(TC_ESTORAGE, "cannot commit to %s: %s; nothing was stored", log->path, sqlite3_errstr(rc));
  return TC_ESTORAGE;
}

int tci_config_put(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc) {
  tci_db *log = &storage->log;
  int64_t number = *id;
  int code = check_arguments(storage, kind, number, doc);
  if (code) return code;
  int rc = tci_db_run(log, TCI_LOG_BEGIN);
  if (!rc) rc = put_row(log, kind, &number, doc);
  if (rc) {
    code = tci_db_fail(log, rc, "write");
    tci_db_rollback(log);
    return code;
  }
  code = commit(storage, kind, number, doc);
  if (!code) *id = number;
  return code;
}

int tci_config_remove(tc_storage *storage, uint32_t kind, int64_t id) {
  tci_db *log = &storage->log;
  sqlite3_stmt *stmt = log->stmts[TCI_CONFIG_REMOVE];
  int rc = tci_db_run(log, TCI_LOG_BEGIN);
  if (!rc) rc = sqlite3_bind_int64(stmt, 1, kind);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, id);
  if (!rc) rc = tci_db_run(log, TCI_CONFIG_REMOVE);
  if (rc) {
    int code = tci_db_fail(log, rc, "write");
    tci_db_rollback(log);
    return code;
  }
  if (!sqlite3_changes(log->handle)) {
    tci_db_rollback(log);
    storage->env.fail(TC_ENOTFOUND, "no document of kind %u has id %lld", kind, (long long)id);
    return TC_ENOTFOUND;
  }
  return commit(storage, kind, id, (tc_text){NULL, 0});
}

int tci_config_read(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg) {
  tci_reader *reader = NULL;
  sqlite3_stmt *stmt = NULL;
  int code = storage->looks ? TC_OK : tci_reader_take(storage, &reader);
  if (code) return code;
  tci_db named = reader ? reader->db : storage->log; /* a reader's path is the index's */
  named.path = storage->files.log;
  /* Where the log is not attached as `log` it is the only file. */
  int rc = sqlite3_prepare_v2(
    named.handle, reader ? "SELECT id, doc FROM log.config WHERE kind=? ORDER BY id" : "SELECT id, doc FROM config WHERE kind=? ORDER BY id", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_int64(stmt, 1, kind);
  while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tc_text doc = tci_column_text(stmt, 1);
    rc = !doc.ptr ? SQLITE_NOMEM : fn(sqlite3_column_int64(stmt, 0), doc, arg) ? SQLITE_DONE : SQLITE_OK; /* the column is NOT NULL */
  }
  (void)sqlite3_finalize(stmt); /* repeats rc */
  if (rc != SQLITE_DONE) code = tci_db_fail(&named, rc, "read");
  if (reader) tci_reader_give(storage, reader);
  return code;
}

int tci_config_last(tc_storage *storage, uint32_t kind, int64_t *id) {
  char sql[96];
  tci_reader *reader = NULL;
  int code = tci_reader_take(storage, &reader);
  if (code) return code;
  (void)sqlite3_snprintf(sizeof sql, sql, "SELECT coalesce((SELECT last_id FROM log.config_ids WHERE kind=%u), 0)", kind);
  code = tci_db_pragma(&reader->db, sql, id);
  tci_reader_give(storage, reader);
  return code;
}

int tci_config_any(tc_storage *storage, int *any) {
  int64_t found = 0;
  int code = tci_db_pragma(&storage->log, "SELECT EXISTS(SELECT 1 FROM config)", &found);
  if (!code) *any = found != 0;
  return code;
}
