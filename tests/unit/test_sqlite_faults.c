/* What the SQLite backend answers when the disk fails at the worst moment, and what a later open then finds. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sqlite_kit.h"

/* SQLite's own VFS, but for the log's WAL. */

static sqlite3_vfs faulty_vfs, *real_vfs;
static sqlite3_io_methods faulty_methods;
static const sqlite3_io_methods *real_methods;
static int failing_syncs, full_writes;

static int faulty_sync(sqlite3_file *file, int flags) {
  if (failing_syncs) {
    failing_syncs--;
    return SQLITE_IOERR_FSYNC; /* after the frames were written: a crash now might find them whole */
  }
  return real_methods->xSync(file, flags);
}

static int faulty_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at) {
  if (full_writes) return SQLITE_FULL;
  return real_methods->xWrite(file, bytes, len, at);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
  (void)vfs;
  int rc = real_vfs->xOpen(real_vfs, name, file, flags, out);
  if (rc || !(flags & SQLITE_OPEN_WAL) || strcmp(name + strlen(name) - strlen("tc.db-wal"), "tc.db-wal")) return rc;
  real_methods = file->pMethods;
  faulty_methods = *real_methods;
  faulty_methods.xSync = faulty_sync;
  faulty_methods.xWrite = faulty_write;
  file->pMethods = &faulty_methods;
  return SQLITE_OK;
}

static void install_faulty_vfs(void) {
  real_vfs = sqlite3_vfs_find(NULL);
  faulty_vfs = *real_vfs;
  faulty_vfs.zName = "faulty";
  faulty_vfs.xOpen = faulty_open;
  ck_assert_int_eq(sqlite3_vfs_register(&faulty_vfs, 1), SQLITE_OK);
}

START_TEST(a_failed_sync_is_not_stored_and_never_comes_back) {
  install_faulty_vfs();
  pid_t child = fork();
  if (!child) {
    tc_storage_state state;
    tc_storage *storage = open_storage(&state);
    if (try_append(storage, 1, 3)) _exit(1);
    failing_syncs = 1;
    if (try_append(storage, 4, 50) != TC_ESTORAGE || failing_syncs || !strstr(detail, "tc.db")) _exit(2);
    if (_i && try_append(storage, 4, 2)) _exit(3); /* the next one gets its numbers */
    _exit(0);                                      /* as a kill: nothing is closed */
  }
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  ck_assert_int_eq(state.log_seq, _i ? 5 : 3);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
}
END_TEST

START_TEST(an_unknown_outcome_is_found_out_later) {
  tc_storage_state state;
  tc_append items[4];
  tc_record records[4];
  uint8_t batch_id[16] = {7};
  int32_t stored = -1;
  install_faulty_vfs();
  tc_storage *storage = open_storage(&state);
  ck_assert_int_eq(try_append(storage, 1, 3), TC_OK);
  failing_syncs = 3;
  ck_assert_int_eq(append_batch(storage, 4, 4, batch_id, items, records), TC_EUNKNOWN);
  ck_assert_int_eq(items[0].result, 99);
  ck_assert_int_eq(ops->append_outcome(storage, items, 4, batch_id, &stored), TC_EUNKNOWN);
  ck_assert_int_eq(stored, -1);
  ck_assert_int_eq(ops->append_outcome(storage, items, 4, batch_id, &stored), TC_OK);
  ck_assert_int_eq(stored, 0);
  ck_assert_int_eq(try_append(storage, 4, 4), TC_OK);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
}
END_TEST

START_TEST(a_stored_batch_is_told_as_such) {
  tc_storage_state state;
  tc_append items[4];
  tc_record records[4];
  uint8_t batch_id[16] = {9};
  int32_t stored = -1;
  tc_storage *storage = open_storage(&state);
  /* The same batch as the log's own connection would have left it behind a lost answer: written by another hand, the end not yet moved. */
  run_sql(log_path, "INSERT INTO events(seq, kind, id, created_at, amount, room, \"key\") VALUES(1, 1, 1, 5, 5, 'room', 'key-1');"
                    "INSERT INTO events(seq, kind, id, created_at, amount, room, \"key\", batch) VALUES(2, 1, 2, 5, 5, 'room', 'key-2',"
                    " x'09000000000000000000000000000000010000000000000002')");
  for (size_t i = 0; i < 2; i++) {
    records[i] = (tc_record){.kind = TC_KIND_TIP, .amount = 5, .created_at_us = 5};
    items[i] = (tc_append){.record = &records[i], .result = 99};
  }
  ck_assert_int_eq(ops->append_outcome(storage, items, 2, batch_id, &stored), TC_OK);
  ck_assert_int_eq(stored, 1);
  ck_assert_int_eq(items[1].result, TC_OK);
  ck_assert_int_eq(records[1].seq, 2);
  ck_assert_int_eq(records[1].id, 2);
  ck_assert_int_eq(try_append(storage, 3, 4), TC_OK);
  ops->close(storage);
}
END_TEST

static int keep_last(int64_t id, tc_text doc, void *arg) {
  (void)doc;
  *(int64_t *)arg = id;
  return 0;
}

static int64_t last_doc(tc_storage *storage) {
  int64_t last = 0;
  ck_assert_int_eq(ops->config_read(storage, 1, keep_last, &last), TC_OK);
  return last;
}

START_TEST(a_document_that_is_not_stored_is_told_as_such) {
  static const tc_text doc = {"{}", 2};
  tc_storage_state state;
  int64_t id = 0;
  install_faulty_vfs();
  tc_storage *storage = open_storage(&state);
  ck_assert_int_eq(ops->config_put(storage, 1, &id, doc), TC_OK);
  id = 0;
  failing_syncs = 1;
  ck_assert_int_eq(ops->config_put(storage, 1, &id, doc), TC_ESTORAGE);
  failing_syncs = 1;
  ck_assert_int_eq(ops->config_remove(storage, 1, 1), TC_ESTORAGE);
  failing_syncs = 2; /* also that of the commit which would settle it */
  ck_assert_int_eq(ops->config_put(storage, 1, &id, doc), TC_EUNKNOWN);
  full_writes = 1;
  ck_assert_int_eq(ops->config_put(storage, 1, &id, doc), TC_ESTORAGE);
  full_writes = 0;
  ck_assert_int_eq(id, 0);
  ck_assert_int_eq(last_doc(storage), 1);
  ck_assert_int_eq(ops->config_put(storage, 1, &id, doc), TC_OK);
  ck_assert_int_eq(id, 2); /* no number was used up */
  ck_assert_int_eq(last_doc(storage), 2);
  ck_assert_int_eq(try_append(storage, 1, 3), TC_OK);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
}
END_TEST

START_TEST(a_full_disk_stores_nothing_and_passes) {
  tc_storage_state state;
  install_faulty_vfs();
  tc_storage *storage = open_storage(&state);
  ck_assert_int_eq(try_append(storage, 1, 3), TC_OK);
  full_writes = 1;
  ck_assert_int_eq(try_append(storage, 4, 20), TC_ESTORAGE);
  ck_assert_int_eq(try_append(storage, 4, 20), TC_ESTORAGE);
  full_writes = 0;
  ck_assert_int_eq(try_append(storage, 4, 20), TC_OK);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("storage: sqlite faults");
  TCase *files = tcase_create("faults");
  tcase_add_checked_fixture(files, set_up, tear_down);
  tcase_set_timeout(files, 60);
  tcase_add_loop_test(files, a_failed_sync_is_not_stored_and_never_comes_back, 0, 2);
  tcase_add_test(files, an_unknown_outcome_is_found_out_later);
  tcase_add_test(files, a_stored_batch_is_told_as_such);
  tcase_add_test(files, a_document_that_is_not_stored_is_told_as_such);
  tcase_add_test(files, a_full_disk_stores_nothing_and_passes);
  suite_add_tcase(suite, files);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
