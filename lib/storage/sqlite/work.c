/* work.c - what is owed to the outside, on the work thread's connection. Design notes: workfile.c. */
#include "storage/sqlite/sqlite.h"

static int bind_place(sqlite3_stmt *stmt, int64_t webhook_id, int64_t seq) {
  int rc = sqlite3_bind_int64(stmt, 1, webhook_id);
  return rc ? rc : sqlite3_bind_int64(stmt, 2, seq);
}

/* What stands at a place. Returns SQLite's rc. */
static int get(tci_db *work, int64_t webhook_id, int64_t seq, int *found, int64_t *lane, int *ready) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_GET];
  int rc = bind_place(stmt, webhook_id, seq);
  if (!rc) rc = sqlite3_step(stmt);
  *found = rc == SQLITE_ROW;
  *lane = *found ? sqlite3_column_int64(stmt, 0) : -1;
  *ready = *found && sqlite3_column_int(stmt, 1);
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The lowest seq of a lane; *found = 0: it is empty. */
static int head(tci_db *work, int64_t webhook_id, int64_t lane, int *found, int64_t *seq) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_HEAD];
  int rc = bind_place(stmt, webhook_id, lane);
  if (!rc) rc = sqlite3_step(stmt);
  *found = rc == SQLITE_ROW;
  if (*found) *seq = sqlite3_column_int64(stmt, 0);
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int set_ready(tci_db *work, int64_t webhook_id, int64_t seq, int ready) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_SET_HEAD];
  int rc = bind_place(stmt, webhook_id, seq);
  if (!rc) rc = sqlite3_bind_int(stmt, 3, ready);
  return rc ? rc : tci_db_run(work, TCI_WORK_SET_HEAD);
}

static int remove_row(tci_db *work, int64_t webhook_id, int64_t seq) {
  int64_t lane = -1, next = 0;
  int found = 0, ready = 0;
  int rc = get(work, webhook_id, seq, &found, &lane, &ready);
  if (rc || !found) return rc;
  rc = bind_place(work->stmts[TCI_WORK_DELETE], webhook_id, seq);
  if (!rc) rc = tci_db_run(work, TCI_WORK_DELETE);
  if (rc || lane < 0 || !ready) return rc;
  rc = head(work, webhook_id, lane, &found, &next);
  return rc || !found ? rc : set_ready(work, webhook_id, next, 1);
}

/* Columns 3 and on of UPDATE and INSERT alike. */
static int bind_owed(sqlite3_stmt *stmt, const tc_owed *owed) {
  int rc = bind_place(stmt, owed->webhook_id, owed->seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 4, owed->due_us);
  if (!rc) rc = sqlite3_bind_int64(stmt, 5, owed->first_us);
  if (!rc) rc = sqlite3_bind_int(stmt, 6, owed->attempt);
  return rc ? rc : sqlite3_bind_int(stmt, 7, owed->flags);
}

static int insert_row(tci_db *work, const tc_owed *owed) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_INSERT];
  int64_t first = 0;
  int found = 0, ready = 1;
  int rc = owed->lane >= 0 ? head(work, owed->webhook_id, owed->lane, &found, &first) : SQLITE_OK;
  if (!rc && found && first < owed->seq) ready = 0;
  else if (!rc && found) rc = set_ready(work, owed->webhook_id, first, 0);
  if (!rc) rc = bind_owed(stmt, owed);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, owed->lane < 0 ? -1 : owed->lane);
  if (!rc) rc = sqlite3_bind_int(stmt, 8, ready);
  return rc ? rc : tci_db_run(work, TCI_WORK_INSERT);
}

static int put_row(tci_db *work, const tc_owed *owed) {
  int64_t lane = -1;
  int found = 0, ready = 0;
  int rc = get(work, owed->webhook_id, owed->seq, &found, &lane, &ready);
  if (rc) return rc;
  if (found && lane == (owed->lane < 0 ? -1 : owed->lane)) {
    rc = bind_owed(work->stmts[TCI_WORK_UPDATE], owed);
    return rc ? rc : tci_db_run(work, TCI_WORK_UPDATE);
  }
  if (found) rc = remove_row(work, owed->webhook_id, owed->seq); /* to another lane */
  return rc ? rc : insert_row(work, owed);
}

static int write_state(tci_db *work, int64_t cursor_seq, int64_t last_id, int64_t kept) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_STATE];
  int rc = sqlite3_bind_int64(stmt, 1, cursor_seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, last_id);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, kept);
  return rc ? rc : tci_db_run(work, TCI_WORK_STATE);
}

/* A COMMIT that failed needs no settling, as an append's does (log.c): should a kill bring its frames back, then all of them, and what the engine does over again
 * means a delivery made twice, which is allowed. */
int tci_work_commit(tc_storage *storage, tc_work *work) {
  tci_db *db = &storage->work.db;
  int64_t cursor = work->cursor_seq > storage->work.cursor_seq ? work->cursor_seq : storage->work.cursor_seq;
  int64_t last = storage->work.last_id, kept = storage->work.kept + (int64_t)work->log_n;
  if (cursor == storage->work.cursor_seq && !work->settled_n && !work->owed_n && !work->log_n) return TC_OK;
  int rc = tci_db_run(db, TCI_WORK_BEGIN);
  for (size_t i = 0; i < work->settled_n && !rc; i++) rc = remove_row(db, work->settled[i].webhook_id, work->settled[i].seq);
  for (size_t i = 0; i < work->owed_n && !rc; i++) rc = put_row(db, &work->owed[i]);
  if (!rc) rc = tci_deliveries_add(db, work->log, work->log_n, &last);
  if (!rc) rc = write_state(db, cursor, last, kept);
  if (!rc) rc = tci_db_commit(db, TCI_WORK_COMMIT);
  if (rc) {
    int code = tci_work_fail(storage, db, rc, "write");
    tci_db_rollback(db);
    return code;
  }
  for (size_t i = 0; i < work->log_n; i++) work->log[i].id = storage->work.last_id + 1 + (int64_t)i;
  storage->work.cursor_seq = cursor;
  storage->work.last_id = last;
  storage->work.kept = kept;
  return TC_OK;
}

static tc_owed read_owed(sqlite3_stmt *stmt) {
  return (tc_owed){
    .webhook_id = sqlite3_column_int64(stmt, 0),
    .seq = sqlite3_column_int64(stmt, 1),
    .lane = sqlite3_column_int64(stmt, 2),
    .due_us = sqlite3_column_int64(stmt, 3),
    .first_us = sqlite3_column_int64(stmt, 4),
    .attempt = sqlite3_column_int(stmt, 5),
    .flags = sqlite3_column_int(stmt, 6),
  };
}

int tci_work_state(tc_storage *storage, int64_t *cursor_seq, tc_owed_fn next, void *arg) {
  tci_db *db = &storage->work.db;
  sqlite3_stmt *stmt = db->stmts[TCI_WORK_FIRST];
  int64_t after = INT64_MIN;
  int rc = SQLITE_ROW;
  while (next && rc == SQLITE_ROW) {
    rc = sqlite3_bind_int64(stmt, 1, after);
    if (!rc) rc = sqlite3_step(stmt);
    tc_owed owed = {0};
    if (rc == SQLITE_ROW) owed = read_owed(stmt);
    (void)sqlite3_reset(stmt); /* repeats rc */
    if (rc == SQLITE_ROW && next(&owed, arg)) break;
    after = owed.webhook_id;
  }
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return tci_work_fail(storage, db, rc, "read");
  *cursor_seq = storage->work.cursor_seq;
  return TC_OK;
}

static int give_owed(tc_storage *storage, size_t statement, int64_t webhook_id, int64_t bound, size_t max, tc_owed_fn fn, void *arg) {
  tci_db *db = &storage->work.db;
  sqlite3_stmt *stmt = db->stmts[statement];
  int rc = bind_place(stmt, webhook_id, bound);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, max > INT64_MAX ? INT64_MAX : (int64_t)max);
  while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tc_owed owed = read_owed(stmt);
    rc = fn(&owed, arg) ? SQLITE_DONE : SQLITE_OK;
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? TC_OK : tci_work_fail(storage, db, rc, "read");
}

int tci_work_due(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg) {
  return give_owed(storage, TCI_WORK_DUE, webhook_id, until_us, max, fn, arg);
}

int tci_owed_read(tc_storage *storage, int64_t webhook_id, int64_t after_seq, size_t max, tc_owed_fn fn, void *arg) {
  return give_owed(storage, TCI_WORK_OWED, webhook_id, after_seq, max, fn, arg);
}

static int keep_first(const tc_owed *owed, void *arg) {
  *(tc_owed *)arg = *owed;
  return 1;
}

int tci_work_next(tc_storage *storage, int64_t webhook_id, int64_t *due_us) {
  tc_owed first = {.lane = -2}; /* no row has that */
  int code = tci_work_due(storage, webhook_id, INT64_MAX, 1, keep_first, &first);
  if (code) return code;
  if (first.lane == -2) {
    storage->env.fail(TC_ENOTFOUND, "webhook %lld is owed nothing", (long long)webhook_id);
    return TC_ENOTFOUND;
  }
  *due_us = first.due_us;
  return TC_OK;
}

int tci_work_forget(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more) {
  tci_db *db = &storage->work.db;
  sqlite3_stmt *stmt = db->stmts[TCI_WORK_FORGET];
  int rc = bind_place(stmt, webhook_id, max > INT64_MAX ? INT64_MAX : (int64_t)max);
  if (!rc) rc = tci_db_run(db, TCI_WORK_BEGIN);
  if (!rc) rc = tci_db_run(db, TCI_WORK_FORGET);
  if (!rc) rc = tci_db_commit(db, TCI_WORK_COMMIT);
  stmt = db->stmts[TCI_WORK_OWES];
  if (!rc) rc = sqlite3_bind_int64(stmt, 1, webhook_id);
  if (!rc) rc = sqlite3_step(stmt);
  (void)sqlite3_reset(stmt); /* repeats rc */
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
    int code = tci_work_fail(storage, db, rc, "write");
    tci_db_rollback(db);
    return code;
  }
  *more = rc == SQLITE_ROW;
  return TC_OK;
}
