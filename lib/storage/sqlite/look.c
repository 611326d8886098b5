/* look.c - the files opened to be read, beside whoever has them open: no lock is taken, nothing is made or changed.
 *
 * In another process than the daemon's that is what WAL is for. What must not happen is a checkpoint by a second connection (SQLite's WAL-reset fault): a read-only one never makes
 * one. Each call reads in a transaction of its own, so that no walk over the log keeps the WAL from starting over.
 */
#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

static int open_parts(tc_storage *storage, const char *path, tc_storage_state *state) {
  int usable = 0;
  int code = tci_files_name(&storage->files, &storage->env, path);
  if (!code && (tci_listcache_init(&storage->lists) || tci_readers_init(&storage->readers))) storage->env.fail(code = TC_ENOMEM, "");
  if (!code) code = tci_log_look(storage);
  if (code) return code;
  memcpy(&storage->hash_key, storage->log_id, sizeof storage->hash_key);
  code = tci_index_look(storage, &usable);
  if (code) return code;
  state->log_seq = storage->end.seq;
  state->index_seq = usable ? storage->index_seq : -1;
  state->last_created_at_us = storage->end.created_at_us;
  return TC_OK;
}

void tci_look_close(tc_storage *storage) {
  if (!storage) return;
  tci_readers_close(&storage->readers);
  tci_db_close(&storage->index);
  tci_db_close(&storage->log);
  tci_listcache_close(&storage->lists);
  tci_files_close(&storage->files, 0);
  tci_free(storage);
}

int tci_sqlite_look(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state) {
  const char *path = NULL;
  int code = tci_sqlite_path(env, url, &path);
  if (code) return code;
  tc_storage *storage = tci_zalloc(sizeof *storage);
  if (!storage) {
    env->fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  storage->env = *env;
  storage->looks = 1;
  storage->files.lock_fd = -1;
  atomic_init(&storage->index_damaged, 0);
  atomic_init(&storage->work.damaged, 0);
  code = open_parts(storage, path, state);
  if (code) tci_look_close(storage);
  else *out = storage;
  return code;
}

int tci_look_read_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg) {
  tci_db *log = &storage->log;
  sqlite3_stmt *stmt = NULL;
  int stop = 0;
  int rc = sqlite3_prepare_v2(log->handle, "SELECT " TCI_RECORD_COLUMNS " FROM events e WHERE e.seq > ? ORDER BY e.seq LIMIT ?", -1, &stmt, NULL);
  if (!rc) rc = sqlite3_bind_int64(stmt, 1, after_seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, max > INT64_MAX ? INT64_MAX : (sqlite3_int64)max);
  while (!rc && !stop && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tc_record record;
    tci_record_read(stmt, &record);
    stop = row(&record, arg);
    rc = SQLITE_OK;
  }
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return !rc || rc == SQLITE_DONE ? TC_OK : tci_db_fail(log, rc, "read");
}
