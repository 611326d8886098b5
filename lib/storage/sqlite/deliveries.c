/* deliveries.c - the delivery log in the work file: what was tried and what came of it, until it is trimmed. Design notes: workfile.c. */
#include "storage/sqlite/sqlite.h"

#define TRIM_SLICE 512 /* rows; a few milliseconds */

/* ---- writing: the work thread, inside a transaction of its connection ---- */

static int add_row(tci_db *work, const tc_delivery *row, int64_t id) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_LOG];
  const int64_t numbers[] = {id, row->webhook_id, row->seq, row->created_at_us, row->duration_us, row->attempt, row->status, row->success};
  const int count = (int)(sizeof numbers / sizeof *numbers);
  int rc = SQLITE_OK;
  for (int i = 0; i < count && !rc; i++) rc = sqlite3_bind_int64(stmt, i + 1, numbers[i]);
  if (!rc) rc = tci_bind_text(stmt, count + 1, row->event);
  if (!rc) rc = tci_bind_text(stmt, count + 2, row->response);
  if (!rc) rc = tci_bind_text(stmt, count + 3, row->error);
  return rc ? rc : tci_db_run(work, TCI_WORK_LOG);
}

static int count_more(tci_db *work, int64_t webhook_id, int64_t more) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_COUNT];
  int rc = sqlite3_bind_int64(stmt, 1, webhook_id);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, more);
  return rc ? rc : tci_db_run(work, TCI_WORK_COUNT);
}

int tci_deliveries_add(tci_db *work, const tc_delivery *rows, size_t n, int64_t *last) {
  int rc = SQLITE_OK;
  int64_t same = 0; /* rows in a row of one webhook are counted at once */
  for (size_t i = 0; i < n && !rc; i++) {
    rc = add_row(work, &rows[i], *last + 1);
    if (rc) break;
    ++*last;
    same++;
    if (i + 1 < n && rows[i + 1].webhook_id == rows[i].webhook_id) continue;
    rc = count_more(work, rows[i].webhook_id, same);
    same = 0;
  }
  return rc;
}

/* A row that may have to go. */
typedef struct aged {
  int64_t id, webhook_id;
} aged;

/* The oldest rows that are too old or too many, at most TRIM_SLICE. Returns SQLite's rc. */
static int find_aged(tci_db *work, int64_t before_us, int64_t excess, aged out[TRIM_SLICE], size_t *n) {
  sqlite3_stmt *stmt = work->stmts[TCI_WORK_OLDEST];
  int rc = sqlite3_bind_int64(stmt, 1, TRIM_SLICE);
  *n = 0;
  while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (sqlite3_column_int64(stmt, 2) >= before_us && (int64_t)*n >= excess) break;
    out[*n].id = sqlite3_column_int64(stmt, 0);
    out[(*n)++].webhook_id = sqlite3_column_int64(stmt, 1);
    rc = SQLITE_OK;
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int remove_aged(tc_storage *storage, const aged *rows, size_t n) {
  tci_work *work = &storage->work;
  tci_db *db = &work->db;
  sqlite3_stmt *stmt = db->stmts[TCI_WORK_STATE];
  int rc = tci_db_run(db, TCI_WORK_BEGIN);
  for (size_t i = 0; i < n && !rc; i++) {
    rc = sqlite3_bind_int64(db->stmts[TCI_WORK_UNLOG], 1, rows[i].id);
    if (!rc) rc = tci_db_run(db, TCI_WORK_UNLOG);
    if (!rc) rc = count_more(db, rows[i].webhook_id, -1);
  }
  if (!rc) rc = sqlite3_bind_int64(stmt, 1, work->cursor_seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, work->last_id);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, work->kept - (int64_t)n);
  if (!rc) rc = tci_db_run(db, TCI_WORK_STATE);
  if (!rc) rc = tci_db_run(db, TCI_WORK_UNCOUNT);
  return rc ? rc : tci_db_commit(db, TCI_WORK_COMMIT);
}

int tci_work_trim(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more) {
  tci_work *work = &storage->work;
  aged rows[TRIM_SLICE];
  size_t n = 0;
  int rc = find_aged(&work->db, before_us, max_rows > 0 ? work->kept - max_rows : work->kept, rows, &n);
  if (!rc && n) rc = remove_aged(storage, rows, n);
  if (rc) {
    int code = tci_work_fail(storage, &work->db, rc, "trim");
    tci_db_rollback(&work->db);
    return code;
  }
  work->kept -= (int64_t)n;
  *more = n == TRIM_SLICE; /* one call too many, at times */
  return TC_OK;
}

/* ---- reading: any thread, under the reader's mutex ---- */

static tc_delivery read_delivery(sqlite3_stmt *stmt) {
  return (tc_delivery){
    .id = sqlite3_column_int64(stmt, 0),
    .webhook_id = sqlite3_column_int64(stmt, 1),
    .seq = sqlite3_column_int64(stmt, 2),
    .created_at_us = sqlite3_column_int64(stmt, 3),
    .duration_us = sqlite3_column_int64(stmt, 4),
    .attempt = sqlite3_column_int(stmt, 5),
    .status = sqlite3_column_int(stmt, 6),
    .success = sqlite3_column_int(stmt, 7),
    .event = tci_column_text(stmt, 8),
    .response = tci_column_text(stmt, 9),
    .error = tci_column_text(stmt, 10),
  };
}

/* Steps a bound statement through its rows. Returns SQLite's rc; *given: how many fn got. */
static int give_rows(sqlite3_stmt *stmt, tc_delivery_fn fn, void *arg, size_t *given) {
  int rc = SQLITE_OK;
  while (!rc && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tc_delivery row = read_delivery(stmt);
    ++*given;
    rc = fn(&row, arg) ? SQLITE_DONE : SQLITE_OK;
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int read_total(tci_db *reader, int64_t webhook_id, int64_t *total) {
  sqlite3_stmt *stmt = reader->stmts[TCI_DELIVERIES_TOTAL];
  int rc = sqlite3_bind_int64(stmt, 1, webhook_id);
  if (!rc) rc = sqlite3_step(stmt);
  *total = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int read_page(tci_db *reader, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg) {
  sqlite3_stmt *stmt = reader->stmts[TCI_DELIVERIES_PAGE];
  size_t given = 0;
  int rc = sqlite3_bind_int64(stmt, 1, webhook_id);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, max > INT64_MAX ? INT64_MAX : (int64_t)max);
  if (!rc) rc = sqlite3_bind_int64(stmt, 3, offset);
  return rc ? rc : give_rows(stmt, fn, arg, &given);
}

int tci_deliveries(tc_storage *storage, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg, int64_t *total) {
  tci_work *work = &storage->work;
  tci_db *reader = &work->reader;
  int64_t count = 0;
  int code = TC_OK;
  (void)pthread_mutex_lock(&work->mutex); /* fails only for whoever holds it: a callback that comes back */
  int rc = tci_db_run(reader, TCI_DELIVERIES_BEGIN);
  if (!rc) rc = read_total(reader, webhook_id, &count);
  if (!rc && max && offset < count) rc = read_page(reader, webhook_id, offset < 0 ? 0 : offset, max, fn, arg); /* beyond the end there is nothing to walk to */
  if (!rc) rc = tci_db_run(reader, TCI_DELIVERIES_COMMIT);
  if (rc) code = tci_work_fail(storage, reader, rc, "read");
  tci_db_rollback(reader);
  (void)pthread_mutex_unlock(&work->mutex);
  if (!code) *total = count;
  return code;
}

int tci_delivery_get(tc_storage *storage, int64_t webhook_id, int64_t id, tc_delivery_fn fn, void *arg) {
  tci_work *work = &storage->work;
  sqlite3_stmt *stmt = work->reader.stmts[TCI_DELIVERIES_GET];
  size_t given = 0;
  int code = TC_OK;
  (void)pthread_mutex_lock(&work->mutex); /* as above */
  int rc = sqlite3_bind_int64(stmt, 1, id);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, webhook_id);
  if (!rc) rc = give_rows(stmt, fn, arg, &given);
  if (rc) code = tci_work_fail(storage, &work->reader, rc, "read");
  (void)pthread_mutex_unlock(&work->mutex);
  if (code || given) return code;
  storage->env.fail(TC_ENOTFOUND, "webhook %lld has no delivery %lld", (long long)webhook_id, (long long)id);
  return TC_ENOTFOUND;
}
