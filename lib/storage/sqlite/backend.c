#include <string.h>

#include "base/mem.h"
#include "storage/schemes.h"
#include "storage/sqlite/sqlite.h"

static void close_all(tc_storage *storage, int failed) {
  if (!storage) return;
  tci_guard_release(&storage->guard);
  tci_readers_close(&storage->readers);
  tci_reader_close(storage->key_reader);
  tci_runs_free(&storage->key_runs);
  tci_merge_free(storage);
  /* Best effort: what stays in a WAL is read at the next open. */
  (void)tci_facts_end_read(storage);
  if (!failed) (void)sqlite3_wal_checkpoint_v2(storage->index.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  if (!failed) (void)sqlite3_wal_checkpoint_v2(storage->log.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  tci_work_close(storage, failed);
  tci_db_close(&storage->index);
  tci_db_close(&storage->log);
  tci_guard_close(&storage->guard);
  /* Should it stay, the next open meets the same damage. */
  if (atomic_load(&storage->index_damaged)) (void)tci_file_remove(&storage->env, storage->files.index);
  tci_keyfilter_close(&storage->filter);
  tci_listcache_close(&storage->lists);
  tci_files_close(&storage->files, failed);
  tci_free(storage);
}

static void sqlite_close(tc_storage *storage) {
  if (storage && storage->looks) tci_look_close(storage);
  else close_all(storage, 0);
}

static int out_of_memory(const tc_storage_env *env) {
  env->fail(TC_ENOMEM, "");
  return TC_ENOMEM;
}

int tci_sqlite_path(const tc_storage_env *env, const char *url, const char **path) {
  size_t len = strlen(TCI_SQLITE_SCHEME);
  if (strncmp(url, TCI_SQLITE_SCHEME, len) || !url[len]) {
    env->fail(TC_EINVAL, "storage_url: must be sqlite:PATH");
    return TC_EINVAL;
  }
  *path = url + len;
  return TC_OK;
}

static int sqlite_open(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state) {
  const char *path = NULL;
  int code = tci_sqlite_path(env, url, &path);
  if (code) return code;
  tc_storage *storage = tci_zalloc(sizeof *storage);
  if (!storage) return out_of_memory(env);
  storage->env = *env;
  storage->files.lock_fd = -1;
  atomic_init(&storage->index_damaged, 0);
  atomic_init(&storage->work.damaged, 0);
  if (tci_keyfilter_init(&storage->filter) || tci_listcache_init(&storage->lists) || tci_readers_init(&storage->readers)) code = out_of_memory(env);
  if (!code) code = tci_files_open(&storage->files, &storage->env, path);
  if (!code) code = tci_log_open(storage);
  if (!code) {
    memcpy(&storage->hash_key, storage->log_id, sizeof storage->hash_key);
    code = tci_index_open(storage);
  }
  if (!code) code = tci_work_open(storage);
  if (!code) code = tci_reader_open(storage, &storage->key_reader);
  if (!code) code = tci_guard_take(storage);
  if (code) {
    close_all(storage, 1);
    return code;
  }
  state->log_seq = storage->end.seq;
  state->index_seq = storage->index_seq;
  state->last_created_at_us = storage->end.created_at_us;
  *out = storage;
  return TC_OK;
}

static int corrupt(tc_storage *storage, const char *path, const char *what) {
  storage->env.fail(TC_ECORRUPT, "%s: %s", path, what);
  return TC_ECORRUPT;
}

static int check_pages(tc_storage *storage, tci_db *db, const char *sql, const char *path) {
  sqlite3_stmt *stmt = NULL;
  int code = TC_OK;
  int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);
  if (!rc) rc = sqlite3_step(stmt);
  const char *answer = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
  if (rc != SQLITE_ROW) code = tci_db_fail(db, rc, "check");
  else if (!answer || strcmp(answer, "ok")) code = corrupt(storage, path, answer ? answer : "no answer");
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return code;
}

static int check_numbers(tc_storage *storage, tci_db *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  int code = TC_OK;
  int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc != SQLITE_ROW) {
    code = tci_db_fail(db, rc, "check");
  } else if (sqlite3_column_int64(stmt, 1) != 1 || sqlite3_column_int64(stmt, 0) != sqlite3_column_int64(stmt, 2)) {
    code = corrupt(storage, storage->files.log, "events are missing");
  } else if (sqlite3_column_int64(stmt, 3) > sqlite3_column_int64(stmt, 2)) {
    code = corrupt(storage, storage->files.index, "indexes events that the log does not have");
  }
  (void)sqlite3_finalize(stmt); /* repeats rc */
  return code;
}

#define NUMBERS "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0)"

static int check_both(tc_storage *storage) {
  tci_reader *reader = NULL;
  int code = tci_reader_take(storage, &reader);
  if (code) return code;
  code = check_pages(storage, &reader->db, "PRAGMA log.integrity_check(1)", storage->files.log);
  if (!code) {
    code = check_pages(storage, &reader->db, "PRAGMA main.integrity_check(1)", storage->files.index);
    if (code == TC_ECORRUPT) atomic_store(&storage->index_damaged, 1);
  }
  if (!code) code = check_numbers(storage, &reader->db, NUMBERS ", (SELECT max(cursor, facts_cursor) FROM main.state) FROM log.events");
  tci_reader_give(storage, reader);
  return code;
}

/* Where there is no index (look.c), or no file of outside effects, there is nothing to be wrong with it. */
static int sqlite_check(tc_storage *storage) {
  int alone = storage->looks && !storage->index.handle;
  int state = TCI_FILE_OURS, code = TC_OK;
  if (alone) {
    code = check_pages(storage, &storage->log, "PRAGMA integrity_check(1)", storage->files.log);
    if (!code) code = check_numbers(storage, &storage->log, NUMBERS ", 0 FROM events");
  } else {
    code = check_both(storage);
  }
  if (!code && storage->looks) code = tci_file_probe(&storage->env, storage->files.work, TCI_WORK_APPLICATION_ID, &state);
  return code || state == TCI_FILE_ABSENT ? code : tci_work_check(storage);
}

const tc_storage_ops tci_sqlite_ops = {
  .size = sizeof(tc_storage_ops),
  .abi = TC_STORAGE_ABI,
  .scheme = "sqlite",
  .open = sqlite_open,
  .close = sqlite_close,
  .append = tci_log_append,
  .append_outcome = tci_log_append_outcome,
  .read_log = tci_read_log,
  .derive = tci_index_derive,
  .idle = tci_index_idle,
  .snapshot = tci_snapshot_begin,
  .snapshot_end = tci_snapshot_end,
  .scan = tci_snapshot_scan,
  .count = tci_snapshot_count,
  .fetch = tci_snapshot_fetch,
  .find_id = tci_snapshot_find_id,
  .config_put = tci_config_put,
  .config_remove = tci_config_remove,
  .config_read = tci_config_read,
  .work_commit = tci_work_commit,
  .work_state = tci_work_state,
  .work_due = tci_work_due,
  .work_next = tci_work_next,
  .work_forget = tci_work_forget,
  .deliveries = tci_deliveries,
  .delivery_get = tci_delivery_get,
  .work_trim = tci_work_trim,
  .facts_cursor = tci_facts_cursor,
  .facts_commit = tci_facts_commit,
  .fact_first = tci_fact_first,
  .facts_scan = tci_facts_scan,
  .check = sqlite_check,
  .open_read = tci_sqlite_look,
  .backup = tci_sqlite_backup,
  .import_rows = tci_log_import,
  .config_last = tci_config_last,
  .owed_read = tci_owed_read,
};
