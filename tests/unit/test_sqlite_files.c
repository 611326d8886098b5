/* What holds of the SQLite backend's files: who may open them, what a failed open leaves behind, what a kill leaves, and when the derived file is begun anew. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/siphash.h"
#include "sqlite_kit.h"

/* A storage with 40 events, all of them indexed; closed. */
static void make_storage(void) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  for (int i = 0; i < 4; i++) ck_assert_int_eq(try_append(storage, 1 + i * 10, 10), TC_OK);
  derive_arg arg = {storage, 0};
  ck_assert_int_eq(ops->read_log(storage, 0, 100, derive_row, &arg), TC_OK);
  ck_assert_int_eq(arg.code, 0);
  ck_assert_int_eq(count_room(storage), 40);
  ops->close(storage);
  assert_files("tc-index.db tc-lock.db tc-work.db tc.db ");
}

/* Opens, expects the index at index_seq, indexes the rest, and finds everything. */
static void reopen_and_count(int64_t index_seq) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  derive_arg arg = {storage, 0};
  ck_assert_int_eq(state.log_seq, 40);
  ck_assert_int_eq(state.last_created_at_us, NOON + 31);
  ck_assert_int_eq(state.index_seq, index_seq);
  ck_assert_int_eq(ops->read_log(storage, index_seq, 100, derive_row, &arg), TC_OK);
  ck_assert_msg(!arg.code, "%s", detail);
  ck_assert_int_eq(count_room(storage), 40);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
}

static void write_file(const char *path, off_t at, const void *bytes, size_t len) {
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
  ck_assert_int_eq(close(fd), 0);
}

static uint64_t hash_file(const char *path) {
  static const tci_sipkey key = {1, 2};
  static char bytes[1 << 20];
  FILE *file = fopen(path, "rb");
  ck_assert_ptr_nonnull(file);
  size_t len = fread(bytes, 1, sizeof bytes, file);
  ck_assert_int_eq(fclose(file), 0);
  return tci_siphash(&key, bytes, len) ^ len;
}

static void assert_refused(int code) {
  tc_storage *storage = NULL;
  tc_storage_state state;
  detail[0] = '\0';
  ck_assert_int_eq(ops->open(&storage, url, &env, &state), code);
  ck_assert_ptr_null(storage);
  ck_assert_ptr_nonnull(strstr(detail, url + strlen("sqlite:")));
  ck_assert_ptr_null(strchr(detail, '\n'));
}

START_TEST(it_opens_again_where_it_was) {
  make_storage();
  reopen_and_count(40);
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  ck_assert_int_eq(try_append(storage, 41, 5), TC_OK); /* ids go on */
  ops->close(storage);
}
END_TEST

static int64_t existing_seq_of(tc_storage *storage, int64_t number) {
  tc_append item;
  tc_record record;
  uint8_t batch_id[16] = {1};
  ck_assert_int_eq(append_batch(storage, number, 1, batch_id, &item, &record), TC_OK);
  return item.result == TC_EEXISTS ? item.existing_seq : 0;
}

START_TEST(keys_are_known_after_a_reopen) {
  make_storage();
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  int32_t more = 1;
  ck_assert_int_eq(existing_seq_of(storage, 7), 7); /* the filter is not filled yet */
  while (more) ck_assert_msg(!ops->idle(storage, NOON, &more), "%s", detail);
  for (int64_t i = 1; i <= 40; i++) ck_assert_int_eq(existing_seq_of(storage, i), i);
  ck_assert_int_eq(existing_seq_of(storage, 41), 0);
  ops->close(storage);
}
END_TEST

START_TEST(a_second_opener_is_refused) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  assert_refused(TC_EBUSY);
  ck_assert_int_eq(try_append(storage, 1, 1), TC_OK);
  pid_t child = fork();
  if (!child) {
    tc_storage *second = NULL;
    _exit(ops->open(&second, url, &env, &state) == TC_EBUSY ? 0 : 1);
  }
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  ops->close(storage);
  storage = open_storage(&state);
  ck_assert_int_eq(state.log_seq, 1);
  ops->close(storage);
}
END_TEST

START_TEST(a_missing_index_is_begun_anew) {
  make_storage();
  ck_assert_int_eq(unlink(index_path), 0);
  reopen_and_count(0);
  reopen_and_count(40);
}
END_TEST

START_TEST(an_older_index_goes_on) {
  make_storage();
  char command[256];
  (void)snprintf(command, sizeof command, "cp %s %s.old", index_path, index_path);
  ck_assert_int_eq(system(command), 0);
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  derive_arg arg = {storage, 0};
  ck_assert_int_eq(try_append(storage, 41, 3), TC_OK);
  ck_assert_int_eq(ops->read_log(storage, 40, 100, derive_row, &arg), TC_OK);
  ops->close(storage);
  (void)snprintf(command, sizeof command, "mv %s.old %s", index_path, index_path);
  ck_assert_int_eq(system(command), 0);
  storage = open_storage(&state);
  ck_assert_int_eq(state.log_seq, 43);
  ck_assert_int_eq(state.index_seq, 40);
  ops->close(storage);
}
END_TEST

START_TEST(an_index_that_does_not_fit_is_begun_anew) {
  static const char *const changes[] = {
    "UPDATE state SET cursor=41",           /* newer than the log: the log is an older copy */
    "UPDATE state SET cursor=39",           /* its event is another */
    "UPDATE state SET log_id=zeroblob(16)", /* another log's */
    "UPDATE state SET fingerprint=x'00'",
    "DELETE FROM state",
    "PRAGMA user_version=77",  /* a newer release's */
    "PRAGMA application_id=1", /* another program's */
    "DROP TABLE state",
  };
  make_storage();
  run_sql(index_path, changes[_i]);
  reopen_and_count(0);
  assert_files("tc-index.db tc-lock.db tc-work.db tc.db ");
}
END_TEST

START_TEST(a_damaged_index_is_begun_anew) {
  static const char text[] = "this is a text file, and no database at all";
  make_storage();
  if (_i == 0) ck_assert_int_eq(truncate(index_path, 0), 0);
  if (_i == 1) ck_assert_int_eq(truncate(index_path, 5000), 0);
  if (_i == 2) write_file(index_path, 0, text, sizeof text);
  reopen_and_count(0);
}
END_TEST

START_TEST(damage_found_on_the_way_is_thrown_away_at_close) {
  struct stat st;
  char noise[4096];
  tc_storage_state state;
  make_storage();
  memset(noise, 0xa5, sizeof noise);
  ck_assert_int_eq(stat(index_path, &st), 0);
  for (off_t at = 4096; at < st.st_size; at += 4096) write_file(index_path, at, noise, sizeof noise); /* all but the header's page */
  tc_storage *storage = NULL;
  if (!ops->open(&storage, url, &env, &state)) {
    if (state.index_seq) ck_assert_int_eq(ops->check(storage), TC_ECORRUPT);
    ops->close(storage);
  }
  tc_storage_state again;
  storage = open_storage(&again);
  ck_assert_int_eq(again.index_seq, 0);
  ck_assert_int_eq(again.log_seq, 40);
  ops->close(storage);
}
END_TEST

START_TEST(a_newer_log_is_refused_and_left_alone) {
  make_storage();
  run_sql(log_path, "PRAGMA user_version=77");
  uint64_t before = hash_file(log_path);
  assert_refused(TC_EVERSION);
  ck_assert_uint_eq(hash_file(log_path), before);
  assert_files("tc-index.db tc-lock.db tc-work.db tc.db ");
}
END_TEST

START_TEST(foreign_files_are_refused_and_left_alone) {
  char text[1024];
  memset(text, 'x', sizeof text);
  if (_i == 0) write_file(log_path, 0, text, sizeof text);
  if (_i == 1) write_file(log_path, 0, "short", 5);
  if (_i == 2) run_sql(log_path, "CREATE TABLE a(b); INSERT INTO a VALUES(1)");
  if (_i == 3) run_sql(log_path, "PRAGMA journal_mode=WAL; CREATE TABLE a(b); INSERT INTO a VALUES(1)");
  uint64_t before = hash_file(log_path);
  assert_refused(TC_ECORRUPT);
  ck_assert_uint_eq(hash_file(log_path), before);
  assert_files("tc.db ");
}
END_TEST

START_TEST(a_truncated_log_is_refused) {
  struct stat st;
  make_storage();
  ck_assert_int_eq(stat(log_path, &st), 0);
  ck_assert_int_eq(truncate(log_path, _i ? st.st_size - 1 : 4096), 0);
  uint64_t before = hash_file(log_path);
  assert_refused(TC_ECORRUPT);
  ck_assert_uint_eq(hash_file(log_path), before);
  assert_files("tc-index.db tc-lock.db tc-work.db tc.db ");
}
END_TEST

START_TEST(a_bad_path_is_named_and_leaves_nothing) {
  ck_assert_int_eq(mkdir(log_path, 0755), 0);
  assert_refused(TC_ESTORAGE);
  assert_files("tc.db ");
  (void)snprintf(url, sizeof url, "sqlite:%s/none/tc.db", directory);
  assert_refused(TC_ESTORAGE);
  assert_files("tc.db ");
}
END_TEST

START_TEST(a_directory_without_rights_is_named) {
  ck_assert_int_eq(chmod(directory, 0555), 0);
  pid_t child = fork(); /* root may write anywhere: look as somebody else */
  if (!child) {
    tc_storage *storage = NULL;
    tc_storage_state state;
    if (!geteuid() && (setgid(65534) || setuid(65534))) _exit(2);
    int code = ops->open(&storage, url, &env, &state);
    _exit(code == TC_ESTORAGE && strstr(detail, "tc.db") ? 0 : 1);
  }
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  assert_files("");
}
END_TEST

START_TEST(another_writer_makes_it_busy_and_nothing_is_stored) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  sqlite3 *other = NULL;
  ck_assert_int_eq(try_append(storage, 1, 2), TC_OK);
  ck_assert_int_eq(sqlite3_open(log_path, &other), SQLITE_OK);
  ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
  ck_assert_int_eq(try_append(storage, 3, 2), TC_EBUSY);
  ck_assert_int_eq(count_room(storage), 0); /* reads go on */
  ck_assert_int_eq(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_close(other), SQLITE_OK);
  ck_assert_int_eq(try_append(storage, 3, 2), TC_OK);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
}
END_TEST

/* A child appends, tells each commit through a pipe, and is killed in the middle. */
static int64_t kill_in_the_middle(int64_t first, int indexes) {
  int pipes[2];
  int64_t acknowledged = 0, seq;
  ck_assert_int_eq(pipe(pipes), 0);
  pid_t child = fork();
  if (!child) {
    tc_storage_state state;
    tc_storage *storage = open_storage(&state);
    derive_arg arg = {storage, 0};
    int64_t index_seq = state.index_seq;
    for (int64_t next = state.log_seq + 1;; next += 16) {
      if (try_append(storage, next, 16)) _exit(1);
      seq = next + 15;
      if (write(pipes[1], &seq, sizeof seq) != sizeof seq) _exit(1);
      if (indexes && (ops->read_log(storage, index_seq, 64, derive_row, &arg) || arg.code)) _exit(1);
      if (indexes) index_seq = index_seq + 64 < seq ? index_seq + 64 : seq;
    }
  }
  ck_assert_int_eq(close(pipes[1]), 0);
  while (acknowledged < first + 400 && read(pipes[0], &seq, sizeof seq) == sizeof seq) acknowledged = seq;
  ck_assert_int_eq(kill(child, SIGKILL), 0);
  while (read(pipes[0], &seq, sizeof seq) == sizeof seq) acknowledged = seq;
  ck_assert_int_eq(close(pipes[0]), 0);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  return acknowledged;
}

START_TEST(a_kill_loses_nothing_that_was_acknowledged) {
  int64_t end = 0;
  for (int round = 0; round < 5; round++) {
    int64_t acknowledged = kill_in_the_middle(end, round % 2 == 0);
    tc_storage_state state;
    tc_storage *storage = open_storage(&state);
    ck_assert_int_ge(state.log_seq, acknowledged);
    ck_assert_int_eq(state.log_seq % 16, 0); /* whole batches */
    ck_assert_int_le(state.index_seq, state.log_seq);
    ck_assert_msg(!ops->check(storage), "%s", detail);
    derive_arg arg = {storage, 0};
    ck_assert_int_eq(ops->read_log(storage, state.index_seq, SIZE_MAX, derive_row, &arg), TC_OK);
    ck_assert_msg(!arg.code, "%s", detail);
    ck_assert_int_eq(count_room(storage), state.log_seq);
    end = state.log_seq;
    ck_assert_msg(!ops->check(storage), "%s", detail);
    ops->close(storage);
  }
}
END_TEST

START_TEST(names_and_relative_paths) {
  static const char *const names[][2] = {{"plain", "plain plain-index plain-lock plain-work "},
                                         {".hidden", ".hidden .hidden-index .hidden-lock .hidden-work "},
                                         {"a.b.c", "a.b-index.c a.b-lock.c a.b-work.c a.b.c "},
                                         {"q?x#%41.db", "q?x#%41-index.db q?x#%41-lock.db q?x#%41-work.db q?x#%41.db "}};
  tc_storage_state state;
  char here[256];
  ck_assert_ptr_nonnull(getcwd(here, sizeof here));
  ck_assert_int_eq(chdir(directory), 0);
  (void)snprintf(url, sizeof url, "sqlite:%s", names[_i][0]);
  tc_storage *storage = open_storage(&state);
  ck_assert_int_eq(chdir("/"), 0); /* readers are opened later */
  ck_assert_int_eq(try_append(storage, 1, 1), TC_OK);
  ck_assert_int_eq(count_room(storage), 0);
  ops->close(storage);
  ck_assert_int_eq(chdir(here), 0);
  assert_files(names[_i][1]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("storage: sqlite files");
  TCase *files = tcase_create("files");
  tcase_add_checked_fixture(files, set_up, tear_down);
  tcase_set_timeout(files, 60);
  tcase_add_test(files, it_opens_again_where_it_was);
  tcase_add_test(files, keys_are_known_after_a_reopen);
  tcase_add_test(files, a_second_opener_is_refused);
  tcase_add_test(files, a_missing_index_is_begun_anew);
  tcase_add_test(files, an_older_index_goes_on);
  tcase_add_loop_test(files, an_index_that_does_not_fit_is_begun_anew, 0, 8);
  tcase_add_loop_test(files, a_damaged_index_is_begun_anew, 0, 3);
  tcase_add_test(files, damage_found_on_the_way_is_thrown_away_at_close);
  tcase_add_test(files, a_newer_log_is_refused_and_left_alone);
  tcase_add_loop_test(files, foreign_files_are_refused_and_left_alone, 0, 4);
  tcase_add_loop_test(files, a_truncated_log_is_refused, 0, 2);
  tcase_add_test(files, a_bad_path_is_named_and_leaves_nothing);
  tcase_add_test(files, a_directory_without_rights_is_named);
  tcase_add_test(files, another_writer_makes_it_busy_and_nothing_is_stored);
  tcase_add_test(files, a_kill_loses_nothing_that_was_acknowledged);
  tcase_add_loop_test(files, names_and_relative_paths, 0, 4);
  suite_add_tcase(suite, files);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
