/* readers.c - the pool of read-only connections. Bounded in number, because each holds a page cache and a place in the WAL; bounded in life, because SQLite keeps
 * what a connection once needed (schema, cache, file descriptors of a WAL long gone). */
#include "base/mem.h"
#include "base/thread.h"
#include "storage/sqlite/sqlite.h"

#define WAIT_US 1000000       /* for a reader to come back; then TC_EBUSY */
#define LIFETIME_US 300000000 /* a reader older than this is not used again */

static const char *const statements[TCI_READ_STATEMENTS] = {
  TCI_RUN_STATEMENTS,
  [TCI_READ_BEGIN] = "BEGIN",
  [TCI_READ_COMMIT] = "COMMIT",
  [TCI_READ_CURSOR] = "SELECT cursor FROM main.state",
  [TCI_READ_LOG] = "SELECT " TCI_RECORD_COLUMNS " FROM log.events e WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
  [TCI_READ_EVENT] = "SELECT " TCI_RECORD_COLUMNS " FROM log.events e WHERE e.seq = ?",
  [TCI_READ_FACTS] = "SELECT key, value FROM main.facts WHERE key >= ? AND key < ? ORDER BY key",
};

int tci_readers_init(tci_readers *readers) {
  int rc = pthread_mutex_init(&readers->mutex, NULL);
  if (rc) return rc;
  rc = tci_cond_init(&readers->returned);
  if (rc) (void)pthread_mutex_destroy(&readers->mutex); /* fails only while locked */
  readers->ready = !rc;
  return rc;
}

void tci_readers_close(tci_readers *readers) {
  while (readers->idle_count) tci_reader_close(readers->idle[--readers->idle_count]);
  if (!readers->ready) return;
  (void)pthread_cond_destroy(&readers->returned); /* both fail only in use, and no call is running */
  (void)pthread_mutex_destroy(&readers->mutex);
  readers->ready = 0;
}

static int attach_log(tc_storage *storage, tci_db *db) {
  sqlite3_stmt *stmt = NULL;
  /* The attached file takes this connection's SQLITE_OPEN_READONLY with it. */
  int rc = sqlite3_prepare_v2(db->handle, "ATTACH ? AS log", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_text(stmt, 1, storage->files.log, -1, SQLITE_STATIC);
  if (!rc) rc = sqlite3_step(stmt);
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return rc == SQLITE_DONE ? TC_OK : tci_db_fail(db, rc, "attach the log to");
}

int tci_reader_open(tc_storage *storage, tci_reader **out) {
  tci_reader *reader = tci_zalloc(sizeof *reader);
  if (!reader) {
    storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  int code = tci_db_open(&reader->db, &storage->env, storage->files.index, SQLITE_OPEN_READONLY);
  if (!code) code = attach_log(storage, &reader->db);
  if (!code) code = tci_db_prepare(&reader->db, statements, TCI_READ_STATEMENTS);
  if (code) {
    tci_reader_close(reader);
    return code;
  }
  reader->opened_us = storage->env.clock.monotonic_us(storage->env.clock.userdata);
  *out = reader;
  return TC_OK;
}

void tci_reader_close(tci_reader *reader) {
  if (!reader) return;
  tci_db_rollback(&reader->db);
  tci_db_close(&reader->db);
  tci_free(reader);
}

int tci_reader_take(tc_storage *storage, tci_reader **out) {
  tci_readers *readers = &storage->readers;
  tci_reader *reader = NULL;
  int waited = 0;
  (void)pthread_mutex_lock(&readers->mutex);
  while (!readers->idle_count && readers->out_count == TCI_READERS_MAX && !waited) waited = tci_cond_wait(&readers->returned, &readers->mutex, WAIT_US);
  int full = !readers->idle_count && readers->out_count == TCI_READERS_MAX;
  if (!full) {
    readers->out_count++;
    if (readers->idle_count) reader = readers->idle[--readers->idle_count];
  }
  (void)pthread_mutex_unlock(&readers->mutex);
  if (full) {
    storage->env.fail(TC_EBUSY, "cannot read %s: all %d readers are in use", storage->files.index, TCI_READERS_MAX);
    return TC_EBUSY;
  }
  int code = reader ? TC_OK : tci_reader_open(storage, &reader);
  if (code) tci_reader_give(storage, NULL);
  else *out = reader;
  return code;
}

static void give_back(tci_readers *readers, tci_reader *reader) {
  (void)pthread_mutex_lock(&readers->mutex);
  readers->out_count--;
  if (reader) readers->idle[readers->idle_count++] = reader;
  (void)pthread_cond_signal(&readers->returned);
  (void)pthread_mutex_unlock(&readers->mutex);
}

void tci_reader_give(tc_storage *storage, tci_reader *reader) {
  int64_t now_us = storage->env.clock.monotonic_us(storage->env.clock.userdata);
  /* COMMIT is prepared, ROLLBACK would be compiled for each list; where it fails there is still that. */
  if (reader && !sqlite3_get_autocommit(reader->db.handle)) (void)tci_db_run(&reader->db, TCI_READ_COMMIT);
  if (reader) tci_db_rollback(&reader->db);
  if (reader && now_us - reader->opened_us > LIFETIME_US) {
    tci_reader_close(reader);
    reader = NULL;
  }
  give_back(&storage->readers, reader);
}
