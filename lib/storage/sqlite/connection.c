#include "storage/sqlite/sqlite.h"

#include <string.h>

#include "base/mem.h"

static int code_of(int rc) {
  switch (rc & 0xff) {
  case SQLITE_OK: return TC_OK;
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return TC_EBUSY;
  case SQLITE_NOMEM: return TC_ENOMEM;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return TC_ECORRUPT;
  default: return TC_ESTORAGE;
  }
}

int tci_db_fail(const tci_db *db, int rc, const char *doing) {
  int code = code_of(rc);
  /* The connection's own text says more ("no such table: x"), but only while it speaks of this very failure. */
  const char *why = db->handle && sqlite3_errcode(db->handle) == (rc & 0xff) ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
  int system = db->handle ? sqlite3_system_errno(db->handle) : 0;
  if (system && (rc & 0xff) != SQLITE_BUSY) db->env->fail(code, "cannot %s %s: %s (%s)", doing, db->path, why, strerror(system));
  else db->env->fail(code, "cannot %s %s: %s", doing, db->path, why);
  return code;
}

int tci_db_open(tci_db *db, const tc_storage_env *env, const char *path, int flags) {
  memset(db, 0, sizeof *db);
  db->env = env;
  db->path = path;
  /* NOMUTEX: a connection is used by one thread at a time; whoever hands it on does so under a lock. */
  int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
  if (!rc) rc = sqlite3_busy_timeout(db->handle, TCI_BUSY_TIMEOUT_MS);
  if (!rc) return TC_OK;
  int code = tci_db_fail(db, rc, "open");
  tci_db_close(db);
  return code;
}

void tci_db_close(tci_db *db) {
  for (size_t i = 0; i < db->stmt_count; i++) (void)sqlite3_finalize(db->stmts[i]); /* repeats the failure of its last step, which was reported then */
  tci_free(db->stmts);
  (void)sqlite3_close(db->handle); /* fails only with statements open, and there are none */
  memset(db, 0, sizeof *db);
}

int tci_db_exec(tci_db *db, const char *sql, const char *doing) {
  int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
  return rc ? tci_db_fail(db, rc, doing) : TC_OK;
}

int tci_db_pragma(tci_db *db, const char *sql, int64_t *out) {
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);
  if (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    *out = sqlite3_column_int64(stmt, 0);
    rc = SQLITE_OK;
  }
  (void)sqlite3_finalize(stmt); /* the same failure again */
  return rc ? tci_db_fail(db, rc, "read") : TC_OK;
}

int tci_db_prepare(tci_db *db, const char *const *sql, size_t count) {
  db->stmts = tci_array(count, sizeof *db->stmts);
  if (!db->stmts) {
    db->env->fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  for (; db->stmt_count < count; db->stmt_count++) {
    int rc = sqlite3_prepare_v3(db->handle, sql[db->stmt_count], -1, SQLITE_PREPARE_PERSISTENT, &db->stmts[db->stmt_count], NULL);
    if (rc) return tci_db_fail(db, rc, "read");
  }
  return TC_OK;
}

static int migrate_step(tci_db *db, const tci_migration *step) {
  char version[48];
  (void)sqlite3_snprintf(sizeof version, version, "PRAGMA user_version=%d", step->version);
  int code = tci_db_exec(db, "BEGIN IMMEDIATE", "migrate");
  if (code) return code;
  code = tci_db_exec(db, step->sql, "migrate");
  if (!code) code = tci_db_exec(db, version, "migrate");
  if (!code) code = tci_db_exec(db, "COMMIT", "migrate");
  if (code) tci_db_rollback(db);
  return code;
}

int tci_db_migrate(tci_db *db, const tci_migration *steps, size_t count) {
  int64_t version = 0;
  int code = tci_db_pragma(db, "PRAGMA user_version", &version);
  if (code) return code;
  if (version > steps[count - 1].version) {
    db->env->fail(TC_EVERSION, "cannot open %s: written by a newer release (schema %lld, this one knows %d)", db->path, (long long)version,
                  steps[count - 1].version);
    return TC_EVERSION;
  }
  for (size_t i = 0; i < count && !code; i++)
    if (steps[i].version > version) code = migrate_step(db, &steps[i]);
  return code;
}

int tci_db_run(tci_db *db, size_t stmt) {
  int rc = sqlite3_step(db->stmts[stmt]);
  (void)sqlite3_reset(db->stmts[stmt]); /* repeats rc */
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int count_frames(void *arg, sqlite3 *handle, const char *name, int frames) {
  (void)handle;
  (void)name;
  ((tci_db *)arg)->wal_frames = frames;
  return SQLITE_OK;
}

void tci_db_checkpoint_after(tci_db *db, int frames) {
  db->checkpoint_frames = frames;
  (void)sqlite3_wal_hook(db->handle, count_frames, db); /* returns the hook before, and takes the place of wal_autocheckpoint */
}

/* A WAL starts over only when no reader stands in it, and under a steady stream of lists one always does: so a WAL of four times the size waits for the readers
 * of that moment (SQLITE_CHECKPOINT_RESTART, as long as the busy timeout), while the new ones read from the database itself. */
static void checkpoint(tci_db *db) {
  int mode = db->wal_frames > db->checkpoint_frames * 4 ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, NULL, NULL);
  if (!rc || rc == SQLITE_BUSY || rc == SQLITE_LOCKED || !db->env->log.write) return;
  char line[256];
  (void)sqlite3_snprintf(sizeof line, line, "checkpoint of %s failed, it will be tried again: %s", db->path, sqlite3_errstr(rc));
  db->env->log.write(db->env->log.userdata, TC_LOG_WARN, line);
}

int tci_db_commit(tci_db *db, size_t commit_stmt) {
  int rc = tci_db_run(db, commit_stmt);
  if (!rc && db->checkpoint_frames && db->wal_frames > db->checkpoint_frames) checkpoint(db);
  return rc;
}

void tci_db_rollback(tci_db *db) {
  /* After SQLITE_FULL and SQLITE_IOERR SQLite has often rolled back by itself; ROLLBACK itself fails only where there is nothing left to undo. */
  if (db->handle && !sqlite3_get_autocommit(db->handle)) (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int tci_bind_text(sqlite3_stmt *stmt, int at, tc_text text) {
  if (!text.ptr) return sqlite3_bind_null(stmt, at);
  return sqlite3_bind_text64(stmt, at, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8); /* STATIC: the caller's bytes outlive the step */
}

tc_text tci_column_text(sqlite3_stmt *stmt, int at) {
  tc_text out = {NULL, 0};
  if (sqlite3_column_type(stmt, at) == SQLITE_NULL) return out;
  out.ptr = (const char *)sqlite3_column_text(stmt, at);
  out.len = (size_t)sqlite3_column_bytes(stmt, at);
  return out;
}
