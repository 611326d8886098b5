/* workfile.c - the file of outside effects: what it is made of, and what becomes of it at open and close.
 *
 * Design notes
 * - A file of its own, not tables in the log: five delivery rows an event in the log's transaction cost three quarters of the ingest rate (measured). And not in the
 *   index, which may be thrown away at any time.
 * - `owed` holds only what is late or has failed. `ready` marks the rows that may go: all of lane -1, and of a lane the one with the lowest seq. Kept with each put and
 *   removal, it makes "what is due" one walk of an index, however many rows wait behind the first of a lane that fails.
 * - `deliveries` is appended by id; `counts` says how many of each webhook there are, so that a page's total is no COUNT(*).
 * - It may hold owed deliveries that nobody else knows, so it is never deleted: what is damaged or another log's is renamed (PATH.bad-N) and said aloud.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define WORK_CHECKPOINT_FRAMES 4096 /* 16 MiB */

static const tci_migration migrations[] = {
  {1,
   "PRAGMA application_id=0x5463576b;"
   "CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one=1), log_id BLOB NOT NULL, cursor INTEGER NOT NULL, last_id INTEGER NOT NULL, kept INTEGER NOT NULL);"
   "INSERT INTO state(one, log_id, cursor, last_id, kept) VALUES(1, x'', 0, 0, 0);" /* an empty log_id: not begun yet */
   "CREATE TABLE owed(webhook INTEGER, seq INTEGER, lane INTEGER NOT NULL, ready INTEGER NOT NULL, due INTEGER NOT NULL, first INTEGER NOT NULL,"
   " attempt INTEGER NOT NULL, flags INTEGER NOT NULL, PRIMARY KEY(webhook, seq)) WITHOUT ROWID;"
   "CREATE INDEX owed_ready ON owed(webhook, due, seq) WHERE ready=1;"
   "CREATE INDEX owed_lane ON owed(webhook, lane, seq) WHERE lane<>-1;"
   "CREATE TABLE deliveries(id INTEGER PRIMARY KEY, webhook INTEGER NOT NULL, seq INTEGER NOT NULL, created_at INTEGER NOT NULL, duration INTEGER NOT NULL,"
   " attempt INTEGER NOT NULL, status INTEGER NOT NULL, success INTEGER NOT NULL, event TEXT, response TEXT, error TEXT);"
   "CREATE INDEX deliveries_webhook ON deliveries(webhook);" /* and the id, which every index ends with */
   "CREATE INDEX deliveries_age ON deliveries(created_at);"
   "CREATE TABLE counts(webhook INTEGER PRIMARY KEY, kept INTEGER NOT NULL);"},
};

#define OWED "webhook, seq, lane, due, first, attempt, flags"
#define LOGGED "id, webhook, seq, created_at, duration, attempt, status, success, event, response, error"

static const char *const statements[TCI_WORK_STATEMENTS] = {
  [TCI_WORK_BEGIN] = "BEGIN IMMEDIATE",
  [TCI_WORK_COMMIT] = "COMMIT",
  [TCI_WORK_STATE] = "UPDATE state SET cursor=?, last_id=?, kept=?",
  [TCI_WORK_GET] = "SELECT lane, ready FROM owed WHERE webhook=? AND seq=?",
  /* lane<>-1 is the partial index's own condition; said as lane>=0 it tempts the planner to walk over all lanes: 500 rows/s. */
  [TCI_WORK_HEAD] = "SELECT seq FROM owed INDEXED BY owed_lane WHERE webhook=? AND lane=? AND lane<>-1 ORDER BY seq LIMIT 1",
  [TCI_WORK_SET_HEAD] = "UPDATE owed SET ready=?3 WHERE webhook=?1 AND seq=?2",
  [TCI_WORK_UPDATE] = "UPDATE owed SET due=?4, first=?5, attempt=?6, flags=?7 WHERE webhook=?1 AND seq=?2",
  [TCI_WORK_INSERT] = "INSERT INTO owed(" OWED ", ready) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
  [TCI_WORK_DELETE] = "DELETE FROM owed WHERE webhook=? AND seq=?",
  [TCI_WORK_FIRST] = "SELECT " OWED " FROM owed INDEXED BY owed_ready WHERE ready=1 AND webhook>? ORDER BY webhook, due, seq LIMIT 1",
  [TCI_WORK_DUE] = "SELECT " OWED " FROM owed INDEXED BY owed_ready WHERE ready=1 AND webhook=? AND due<=? ORDER BY due, seq LIMIT ?",
  [TCI_WORK_OWED] = "SELECT " OWED " FROM owed WHERE webhook=? AND seq>? ORDER BY seq LIMIT ?",
  /* The newest first: so what is left of a lane still has the row that may go. */
  [TCI_WORK_FORGET] = "DELETE FROM owed WHERE webhook=?1 AND seq IN (SELECT seq FROM owed WHERE webhook=?1 ORDER BY seq DESC LIMIT ?2)",
  [TCI_WORK_OWES] = "SELECT 1 FROM owed WHERE webhook=? LIMIT 1",
  [TCI_WORK_LOG] = "INSERT INTO deliveries(" LOGGED ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  [TCI_WORK_COUNT] = "INSERT INTO counts(webhook, kept) VALUES(?1, ?2) ON CONFLICT(webhook) DO UPDATE SET kept=kept+?2",
  [TCI_WORK_OLDEST] = "SELECT id, webhook, created_at FROM deliveries ORDER BY created_at, id LIMIT ?",
  [TCI_WORK_UNLOG] = "DELETE FROM deliveries WHERE id=?",
  [TCI_WORK_UNCOUNT] = "DELETE FROM counts WHERE kept=0", /* a webhook each, and most of them live: few to look at */
};

static const char *const reader_statements[TCI_DELIVERIES_STATEMENTS] = {
  [TCI_DELIVERIES_BEGIN] = "BEGIN",
  [TCI_DELIVERIES_COMMIT] = "COMMIT",
  [TCI_DELIVERIES_TOTAL] = "SELECT kept FROM counts WHERE webhook=?",
  /* The offset is walked in the index alone, not over the rows with their texts. */
  [TCI_DELIVERIES_PAGE] = "SELECT " LOGGED " FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE webhook=? ORDER BY id DESC LIMIT ? OFFSET ?) "
                          "ORDER BY id DESC",
  [TCI_DELIVERIES_GET] = "SELECT " LOGGED " FROM deliveries WHERE id=? AND +webhook=?",
};

int tci_work_fail(tc_storage *storage, const tci_db *db, int rc, const char *doing) {
  int primary = rc & 0xff;
  if (primary == SQLITE_CONSTRAINT) rc = SQLITE_CORRUPT; /* as in index.c: the file contradicts itself */
  if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_CONSTRAINT) atomic_store(&storage->work.damaged, 1);
  return tci_db_fail(db, rc, doing);
}

__attribute__((format(printf, 2, 3))) static void warn(const tc_storage *storage, const char *format, ...) {
  char line[1024];
  va_list args;
  if (!storage->env.log.write) return;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  storage->env.log.write(storage->env.log.userdata, TC_LOG_WARN, line);
}

static int set_up(tci_db *db) {
  /* NORMAL: a power cut may take the last commits, never the file; then some deliveries are made again, under the same id. */
  return tci_db_exec(db, "PRAGMA synchronous=NORMAL; PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-16384", "set up");
}

/* ---- at open ---- */

typedef enum fate { USE = 0, BEGIN_ANEW, SET_ASIDE } fate;

/* *what: BEGIN_ANEW: a crash came between the schema and the first state; nothing can be owed. Returns SQLite's rc. */
static int read_state(tc_storage *storage, fate *what) {
  tci_work *work = &storage->work;
  sqlite3_stmt *stmt = NULL;
  int rc = sqlite3_prepare_v2(work->db.handle, "SELECT log_id, cursor, last_id, kept FROM state", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    const void *log_id = sqlite3_column_blob(stmt, 0);
    int len = sqlite3_column_bytes(stmt, 0);
    *what = !len ? BEGIN_ANEW : log_id && len == TCI_LOG_ID_BYTES && !memcmp(log_id, storage->log_id, TCI_LOG_ID_BYTES) ? USE : SET_ASIDE;
    work->cursor_seq = sqlite3_column_int64(stmt, 1);
    work->last_id = sqlite3_column_int64(stmt, 2);
    work->kept = sqlite3_column_int64(stmt, 3);
  } else if (rc == SQLITE_DONE) {
    *what = SET_ASIDE;
  }
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Leaves it open only for USE. */
static int examine_open(tc_storage *storage, fate *what) {
  tci_db *db = &storage->work.db;
  int64_t tables = 0, application_id = 0;
  int code = tci_db_open(db, &storage->env, storage->files.work, SQLITE_OPEN_READWRITE);
  if (!code) code = tci_db_pragma(db, "SELECT count(*) FROM sqlite_master", &tables);
  if (!code) code = tci_db_pragma(db, "PRAGMA application_id", &application_id);
  *what = !tables ? BEGIN_ANEW : application_id != TCI_WORK_APPLICATION_ID ? SET_ASIDE : USE;
  if (code || *what != USE) return code;
  code = set_up(db);
  if (!code) code = tci_db_migrate(db, migrations, sizeof migrations / sizeof *migrations);
  int rc = code ? SQLITE_OK : read_state(storage, what);
  if (rc) code = tci_db_fail(db, rc, "read");
  if (!code && *what == USE) code = tci_db_prepare(db, statements, TCI_WORK_STATEMENTS);
  return code;
}

/* Errors: only those that another file in its place would not cure. */
static int examine(tc_storage *storage, fate *what) {
  tci_db *db = &storage->work.db;
  int state = TCI_FILE_ABSENT;
  int code = tci_file_probe(&storage->env, storage->files.work, TCI_WORK_APPLICATION_ID, &state);
  *what = code ? SET_ASIDE : BEGIN_ANEW;
  if (!code && state == TCI_FILE_OURS) code = examine_open(storage, what);
  int lacks = code == TC_ESTORAGE && db->handle && (sqlite3_errcode(db->handle) & 0xff) == SQLITE_ERROR; /* a table or a column */
  if (code == TC_ECORRUPT || lacks) {
    *what = SET_ASIDE;
    code = TC_OK;
  }
  if (code || *what != USE) tci_db_close(db);
  return code;
}

static int create(tc_storage *storage, int64_t cursor_seq) {
  tci_work *work = &storage->work;
  sqlite3_stmt *stmt = NULL;
  int code = tci_file_remove(&storage->env, storage->files.work); /* nothing, or nothing in it */
  storage->files.made_work = !code;
  if (!code) code = tci_db_open(&work->db, &storage->env, storage->files.work, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!code) code = tci_db_migrate(&work->db, migrations, sizeof migrations / sizeof *migrations);
  if (!code) code = set_up(&work->db);
  if (code) return code;
  int rc = sqlite3_prepare_v2(work->db.handle, "UPDATE state SET log_id=?, cursor=?", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_blob(stmt, 1, storage->log_id, TCI_LOG_ID_BYTES, SQLITE_STATIC);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, cursor_seq);
  if (!rc) rc = sqlite3_step(stmt);
  (void)sqlite3_finalize(stmt); /* repeats rc */
  if (rc != SQLITE_DONE) return tci_db_fail(&work->db, rc, "write");
  work->cursor_seq = cursor_seq;
  work->last_id = work->kept = 0;
  return tci_db_prepare(&work->db, statements, TCI_WORK_STATEMENTS);
}

/* The log is an older copy: numbers beyond its end will be given to other events. What is owed of those it has stays owed. */
static int step_back(tc_storage *storage) {
  tci_work *work = &storage->work;
  char sql[160];
  long long end = (long long)storage->end.seq;
  if (work->cursor_seq <= storage->end.seq) return TC_OK;
  (void)snprintf(sql, sizeof sql, "BEGIN IMMEDIATE; UPDATE state SET cursor=%lld; DELETE FROM owed WHERE seq>%lld; COMMIT", end, end);
  int code = tci_db_exec(&work->db, sql, "write");
  if (code) return code;
  warn(storage, "%s is ahead of the log, which ends at event %lld and not at %lld: webhooks go on from there", storage->files.work, end,
       (long long)work->cursor_seq);
  work->cursor_seq = storage->end.seq;
  return TC_OK;
}

static int begin_anew(tc_storage *storage, fate what) {
  char aside[PATH_MAX + 16];
  int configured = 0;
  int code = tci_config_any(storage, &configured);
  if (!code && what == SET_ASIDE) code = tci_file_set_aside(&storage->env, storage->files.work, aside, sizeof aside);
  if (!code) code = create(storage, storage->end.seq);
  if (code) return code;
  long long end = (long long)storage->end.seq;
  if (what == SET_ASIDE) warn(storage, "%s was damaged or another log's: it is %s now; webhooks go on after event %lld", storage->files.work, aside, end);
  else if (configured) warn(storage, "%s was missing: what webhooks were owed is lost, they go on after event %lld", storage->files.work, end);
  return TC_OK;
}

int tci_work_open(tc_storage *storage) {
  tci_work *work = &storage->work;
  fate what = USE;
  int code = examine(storage, &what);
  if (!code && what != USE) code = begin_anew(storage, what);
  if (!code) code = step_back(storage);
  if (!code) tci_db_checkpoint_after(&work->db, WORK_CHECKPOINT_FRAMES);
  if (!code && pthread_mutex_init(&work->mutex, NULL)) storage->env.fail(code = TC_ENOMEM, "");
  if (code) return code;
  work->ready = 1;
  code = tci_db_open(&work->reader, &storage->env, storage->files.work, SQLITE_OPEN_READONLY);
  return code ? code : tci_db_prepare(&work->reader, reader_statements, TCI_DELIVERIES_STATEMENTS);
}

/* ---- at close ---- */

void tci_work_close(tc_storage *storage, int failed) {
  tci_work *work = &storage->work;
  char aside[PATH_MAX + 16];
  tci_db_close(&work->reader);
  if (work->ready) (void)pthread_mutex_destroy(&work->mutex); /* fails only while locked, and no call is running */
  work->ready = 0;
  /* Best effort, as for the others. */
  if (!failed) (void)sqlite3_wal_checkpoint_v2(work->db.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  tci_db_close(&work->db);
  if (failed || !atomic_load(&work->damaged)) return;
  /* Left there it would fail again at every start. How far the webhooks had come is known here and nowhere else, so the new file is begun now. */
  if (tci_file_set_aside(&storage->env, storage->files.work, aside, sizeof aside)) return;
  warn(storage, "%s was damaged: it is %s now; webhooks go on after event %lld", storage->files.work, aside, (long long)work->cursor_seq);
  (void)create(storage, work->cursor_seq); /* should it fail, the next open says so */
  tci_db_close(&work->db);
}

/* ---- under check ---- */

/* Each gives rows only where something is wrong; the rest of the line says what. */
static const char *const contradictions[][2] = {
  {"SELECT 1 FROM counts c WHERE kept<>(SELECT count(*) FROM deliveries d WHERE d.webhook=c.webhook)", "counts deliveries that are not there"},
  {"SELECT 1 FROM state WHERE kept<>(SELECT count(*) FROM deliveries) OR last_id<(SELECT coalesce(max(id), 0) FROM deliveries)", "delivery rows are missing"},
  {"SELECT 1 FROM state WHERE kept<>(SELECT coalesce(sum(kept), 0) FROM counts)", "does not count all deliveries"},
  {"SELECT 1 FROM owed o WHERE ready<>(lane<0 OR NOT EXISTS(SELECT 1 FROM owed p INDEXED BY owed_lane WHERE p.webhook=o.webhook AND p.lane=o.lane AND "
   "p.lane<>-1 AND p.seq<o.seq))",
   "has a lane without its first"},
};

int tci_work_check(tc_storage *storage) {
  tci_db db;
  char wrong[256] = "";
  sqlite3_stmt *stmt = NULL;
  /* A connection for this alone: it takes long, and the reader's mutex would be held as long. */
  int code = tci_db_open(&db, &storage->env, storage->files.work, SQLITE_OPEN_READONLY);
  if (!code) code = tci_db_exec(&db, "BEGIN", "check"); /* so that all is said of one moment */
  int rc = code ? SQLITE_DONE : sqlite3_prepare_v2(db.handle, "PRAGMA integrity_check(1)", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_step(stmt);
  const char *answer = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
  if (rc == SQLITE_ROW && (!answer || strcmp(answer, "ok"))) (void)snprintf(wrong, sizeof wrong, "%s", answer ? answer : "no answer");
  for (size_t i = 0; rc == SQLITE_ROW && !*wrong && i < sizeof contradictions / sizeof *contradictions; i++) {
    (void)sqlite3_finalize(stmt); /* gave what it had */
    rc = sqlite3_prepare_v2(db.handle, contradictions[i][0], -1, &stmt, NULL);
    if (!rc) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) (void)snprintf(wrong, sizeof wrong, "%s", contradictions[i][1]);
    else if (rc == SQLITE_DONE) rc = SQLITE_ROW; /* to the next */
  }
  if (!code && rc != SQLITE_ROW) code = tci_db_fail(&db, rc, "check");
  (void)sqlite3_finalize(stmt); /* repeats rc */
  tci_db_rollback(&db);
  tci_db_close(&db);
  if (!*wrong) return code;
  storage->env.fail(TC_ECORRUPT, "%s: %s", storage->files.work, wrong);
  return TC_ECORRUPT;
}
