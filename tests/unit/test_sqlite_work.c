/* What holds of the SQLite backend's work file and of the configuration in its log: what becomes of them when they are missing, foreign, damaged or killed. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sqlite_kit.h"

#define FILES "tc-index.db tc-lock.db tc-work.db tc.db "
#define ASIDE "tc-index.db tc-lock.db tc-work.db tc-work.db.bad-1 tc.db "

static char work_path[96], warning[1024];
static int warnings;

static void keep_line(void *userdata, int32_t level, const char *line) {
  (void)userdata;
  if (level != TC_LOG_WARN) return;
  (void)snprintf(warning, sizeof warning, "%s", line);
  warnings++;
}

static void set_up_work(void) {
  set_up();
  (void)snprintf(work_path, sizeof work_path, "%s/tc-work.db", directory);
}

/* As open_storage, with what it warns of in `warning`. */
static tc_storage *open_heard(tc_storage_state *state) {
  tc_storage_env heard = env;
  tc_storage *storage = NULL;
  heard.log = (tc_log){sizeof heard.log, keep_line, NULL};
  warnings = 0;
  warning[0] = '\0';
  ck_assert_msg(!ops->open(&storage, url, &heard, state), "%s", detail);
  return storage;
}

static void commit(tc_storage *storage, tc_work work) { ck_assert_msg(!ops->work_commit(storage, &work), "%s", detail); }

static int list_owed(const tc_owed *row, void *arg) {
  char *out = arg;
  size_t len = strlen(out);
  (void)snprintf(out + len, 256 - len, "%lld/%lld ", (long long)row->webhook_id, (long long)row->seq);
  return 0;
}

static void assert_state(tc_storage *storage, int64_t cursor_seq, const char *expected) {
  char found[256] = "";
  int64_t cursor = -1;
  ck_assert_msg(!ops->work_state(storage, &cursor, list_owed, found), "%s", detail);
  ck_assert_int_eq(cursor, cursor_seq);
  ck_assert_str_eq(found, expected);
}

static int64_t put_doc(tc_storage *storage, int64_t id, const char *doc) {
  ck_assert_msg(!ops->config_put(storage, TC_CONFIG_WEBHOOK, &id, (tc_text){doc, strlen(doc)}), "%s", detail);
  return id;
}

static int count_doc(int64_t id, tc_text doc, void *arg) {
  (void)id;
  (void)doc;
  ++*(int *)arg;
  return 0;
}

static int docs(tc_storage *storage) {
  int count = 0;
  ck_assert_msg(!ops->config_read(storage, TC_CONFIG_WEBHOOK, count_doc, &count), "%s", detail);
  return count;
}

static int count_delivery(const tc_delivery *row, void *arg) {
  (void)row;
  ++*(int64_t *)arg;
  return 0;
}

static int64_t tries(tc_storage *storage, int64_t webhook_id) {
  int64_t rows = 0, total = -1;
  ck_assert_msg(!ops->deliveries(storage, webhook_id, 0, SIZE_MAX, count_delivery, &rows, &total), "%s", detail);
  ck_assert_int_eq(rows, total);
  return total;
}

/* 20 events, one webhook, cursor at 15; webhook 1 owes 12 and 18 (which cannot be, but shows what is cut), 2 owes 7; three tries of webhook 1. Closed. */
static void make_work(void) {
  tc_storage_state state;
  tc_storage *storage = open_heard(&state);
  tc_owed owed[] = {{.webhook_id = 1, .seq = 12, .lane = 0}, {.webhook_id = 1, .seq = 18, .lane = 0}, {.webhook_id = 2, .seq = 7, .lane = -1}};
  tc_delivery log[3];
  for (int i = 0; i < 3; i++) log[i] = (tc_delivery){.webhook_id = 1, .seq = 12, .created_at_us = NOON, .event = {"e", 1}};
  ck_assert_int_eq(try_append(storage, 1, 20), TC_OK);
  ck_assert_int_eq(put_doc(storage, 0, "{}"), 1);
  commit(storage, (tc_work){.cursor_seq = 15, .owed = owed, .owed_n = 3, .log = log, .log_n = 3});
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
  ck_assert_int_eq(warnings, 0);
  assert_files(FILES);
}

START_TEST(work_and_configuration_survive_a_reopen) {
  make_work();
  tc_storage_state state;
  tc_storage *storage = open_heard(&state);
  assert_state(storage, 15, "1/12 2/7 ");
  ck_assert_int_eq(tries(storage, 1), 3);
  ck_assert_int_eq(docs(storage), 1);
  tc_delivery again = {.webhook_id = 1, .seq = 12, .created_at_us = NOON, .event = {"e", 1}};
  commit(storage, (tc_work){.log = &again, .log_n = 1});
  ck_assert_int_eq(again.id, 4);
  ck_assert_int_eq(ops->config_remove(storage, TC_CONFIG_WEBHOOK, 1), TC_OK);
  ops->close(storage);
  storage = open_heard(&state);
  ck_assert_int_eq(docs(storage), 0);
  ck_assert_int_eq(put_doc(storage, 0, "{}"), 2); /* not the removed one's number */
  ops->close(storage);
  ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(a_missing_work_file_begins_at_the_log_s_end_and_is_told) {
  make_work();
  tc_storage_state state;
  if (_i) run_sql(log_path, "DELETE FROM config"); /* without webhooks nothing was lost */
  ck_assert_int_eq(unlink(work_path), 0);
  tc_storage *storage = open_heard(&state);
  ck_assert_int_eq(warnings, !_i);
  if (!_i) ck_assert_ptr_nonnull(strstr(warning, work_path));
  assert_state(storage, 20, "");
  ops->close(storage);
  storage = open_heard(&state);
  ck_assert_int_eq(warnings, 0);
  assert_state(storage, 20, "");
  ops->close(storage);
  assert_files(FILES);
}
END_TEST

/* From seq 20 on: those of before have neither a currency nor a ref. */
static int old_and_new_row(const tc_record *row, void *arg) {
  int fresh = row->seq == 22;
  ck_assert_int_eq(row->ref, fresh ? 7 : 0);
  ck_assert_int_eq(row->text[TC_COL_CURRENCY].ptr != NULL, fresh);
  if (fresh) ck_assert_int_eq(memcmp(row->text[TC_COL_CURRENCY].ptr, "EUR", 3), 0);
  ck_assert_int_eq(row->text[TC_COL_KEY].ptr != NULL, !fresh);
  ++*(int *)arg;
  return 0;
}

/* A log of before there were currencies, and one of before there were webhooks. */
START_TEST(an_older_log_is_migrated) {
  static const char *const steps_back[] = {
    "ALTER TABLE events DROP COLUMN ref; ALTER TABLE events DROP COLUMN currency; PRAGMA user_version=2",
    "DROP TABLE config; DROP TABLE config_ids; PRAGMA user_version=1",
  };
  tc_storage_state state;
  tc_storage *storage = open_heard(&state);
  ck_assert_int_eq(try_append(storage, 1, 20), TC_OK);
  ops->close(storage);
  for (int i = 0; i <= _i; i++) run_sql(log_path, steps_back[i]);
  ck_assert_int_eq(unlink(work_path), 0);
  storage = open_heard(&state);
  ck_assert_int_eq(warnings, 0);
  ck_assert_int_eq(state.log_seq, 20);
  assert_state(storage, 20, "");
  ck_assert_int_eq(put_doc(storage, 0, "{}"), 1);
  ck_assert_int_eq(try_append(storage, 21, 1), TC_OK);
  tc_record last = {.kind = TC_KIND_TIP, .amount = 5, .created_at_us = NOON, .ref = 7};
  last.text[TC_COL_CURRENCY] = (tc_text){"EUR", 3};
  tc_append item = {.record = &last};
  ck_assert_int_eq(ops->append(storage, &item, 1, (const uint8_t *)"sixteen bytes id", NOON), TC_OK);
  int rows = 0;
  ck_assert_int_eq(ops->read_log(storage, 19, 10, old_and_new_row, &rows), TC_OK);
  ck_assert_int_eq(rows, 3);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
}
END_TEST

static void spoil(int how) {
  static const char *const changes[] = {
    "UPDATE state SET log_id=zeroblob(16)", "DELETE FROM state", "PRAGMA application_id=1", "DROP TABLE owed", "DROP TABLE state",
  };
  static const char text[] = "this is a text file, and no database at all";
  if (how < 5) run_sql(work_path, changes[how]);
  if (how == 5) ck_assert_int_eq(truncate(work_path, 5000), 0);
  if (how < 6) return;
  int fd = open(work_path, O_WRONLY | O_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(pwrite(fd, text, sizeof text, 0), (ssize_t)sizeof text);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(what_does_not_fit_is_set_aside_and_told) {
  make_work();
  spoil(_i);
  struct stat before, aside;
  char aside_path[128];
  tc_storage_state state;
  ck_assert_int_eq(stat(work_path, &before), 0);
  tc_storage *storage = open_heard(&state);
  ck_assert_int_eq(warnings, 1);
  (void)snprintf(aside_path, sizeof aside_path, "%s.bad-1", work_path);
  ck_assert_ptr_nonnull(strstr(warning, aside_path));
  ck_assert_int_eq(stat(aside_path, &aside), 0);
  ck_assert_uint_eq(aside.st_ino, before.st_ino); /* the very file, with all it has */
  assert_state(storage, 20, "");
  ck_assert_int_eq(tries(storage, 1), 0);
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
  assert_files(ASIDE);
  spoil(6);
  ops->close(open_heard(&state));
  ck_assert_int_eq(warnings, 1);
  assert_files("tc-index.db tc-lock.db tc-work.db tc-work.db.bad-1 tc-work.db.bad-2 tc.db ");
}
END_TEST

START_TEST(a_half_made_work_file_is_made_again_without_a_word) {
  make_work();
  if (_i == 0) ck_assert_int_eq(truncate(work_path, 0), 0);
  if (_i == 1) run_sql(work_path, "UPDATE state SET log_id=x''");
  run_sql(log_path, "DELETE FROM config");
  tc_storage_state state;
  tc_storage *storage = open_heard(&state);
  ck_assert_int_eq(warnings, 0);
  assert_state(storage, 20, "");
  ops->close(storage);
  assert_files(FILES);
}
END_TEST

START_TEST(a_newer_work_file_is_refused_and_left_alone) {
  make_work();
  run_sql(work_path, "PRAGMA user_version=77");
  tc_storage *storage = NULL;
  tc_storage_state state;
  ck_assert_int_eq(ops->open(&storage, url, &env, &state), TC_EVERSION);
  ck_assert_ptr_nonnull(strstr(detail, work_path));
  assert_files(FILES);
  run_sql(work_path, "PRAGMA user_version=1");
  storage = open_heard(&state);
  assert_state(storage, 15, "1/12 2/7 ");
  ops->close(storage);
}
END_TEST

START_TEST(beside_an_older_log_it_steps_back) {
  make_work();
  run_sql(work_path, "UPDATE state SET cursor=25");
  run_sql(log_path, "UPDATE events SET batch=(SELECT batch FROM events WHERE seq=20) WHERE seq=16; DELETE FROM events WHERE seq>16");
  tc_storage_state state;
  tc_storage *storage = open_heard(&state);
  ck_assert_int_eq(state.log_seq, 16);
  ck_assert_int_eq(warnings, 1);
  assert_state(storage, 16, "1/12 2/7 ");
  tc_owed first = {.webhook_id = 1, .seq = 12};
  commit(storage, (tc_work){.settled = &first, .settled_n = 1});
  assert_state(storage, 16, "2/7 "); /* 18 is gone */
  ck_assert_int_eq(tries(storage, 1), 3);
  ops->close(storage);
  storage = open_heard(&state);
  ck_assert_int_eq(warnings, 0);
  assert_state(storage, 16, "2/7 ");
  ops->close(storage);
}
END_TEST

START_TEST(damage_found_on_the_way_is_set_aside_at_close) {
  char noise[4096];
  struct stat st;
  make_work();
  memset(noise, 0xa5, sizeof noise);
  ck_assert_int_eq(stat(work_path, &st), 0);
  int fd = open(work_path, O_WRONLY | O_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  for (off_t at = 8192; at < st.st_size; at += 4096)
    ck_assert_int_eq(pwrite(fd, noise, sizeof noise, at), 4096); /* all but the schema's and the state's page */
  ck_assert_int_eq(close(fd), 0);
  tc_storage_state state;
  tc_storage *storage = open_heard(&state);
  tc_owed row = {.webhook_id = 3, .seq = 1, .lane = -1};
  tc_work work = {.cursor_seq = 19, .owed = &row, .owed_n = 1};
  ck_assert_int_eq(warnings, 0);
  ck_assert_int_eq(ops->check(storage), TC_ECORRUPT);
  ck_assert_ptr_nonnull(strstr(detail, work_path));
  ck_assert_int_eq(ops->work_commit(storage, &work), TC_ECORRUPT);
  ops->close(storage);
  ck_assert_int_eq(warnings, 1);
  assert_files(ASIDE);
  storage = open_heard(&state);
  ck_assert_int_eq(warnings, 0);
  assert_state(storage, 15, ""); /* where it had come to: 16 to 20 are still to be looked at */
  ops->close(storage);
}
END_TEST

START_TEST(check_sees_what_contradicts_itself) {
  static const char *const changes[] = {
    "UPDATE counts SET kept=4; UPDATE state SET kept=4",
    "DELETE FROM deliveries WHERE id=1",
    "UPDATE state SET kept=5",
    "UPDATE state SET last_id=2",
    "UPDATE owed SET ready=1 WHERE seq=18",
    "UPDATE owed SET ready=0 WHERE seq=7",
    "DELETE FROM counts",
  };
  make_work();
  run_sql(work_path, changes[_i]);
  tc_storage_state state;
  tc_storage *storage = open_heard(&state);
  ck_assert_int_eq(ops->check(storage), TC_ECORRUPT);
  ck_assert_ptr_nonnull(strstr(detail, work_path));
  ops->close(storage);
}
END_TEST

START_TEST(a_failed_open_leaves_another_log_s_work_alone) {
  make_work();
  ck_assert_int_eq(unlink(log_path), 0);
  ck_assert_int_eq(unlink(index_path), 0);
  ck_assert_int_eq(mkdir(index_path, 0755), 0); /* so that the open fails before it comes to the work file */
  tc_storage *storage = NULL;
  tc_storage_state state;
  ck_assert_int_ne(ops->open(&storage, url, &env, &state), TC_OK);
  assert_files("tc-index.db tc-lock.db tc-work.db ");
}
END_TEST

/* A child commits, tells each commit through a pipe, and is killed in the middle. Each commit i: cursor i, webhook 1 owes i and no longer i - 8, ten rows of log. */
static int64_t kill_in_the_middle(int64_t first) {
  int pipes[2];
  int64_t acknowledged = first, told;
  ck_assert_int_eq(pipe(pipes), 0);
  pid_t child = fork();
  if (!child) {
    tc_storage_state state;
    tc_storage *storage = open_storage(&state);
    for (int64_t i = first + 1;; i++) {
      tc_owed row = {.webhook_id = 1, .seq = i, .lane = i % 3 - 1}, gone = {.webhook_id = 1, .seq = i - 8};
      tc_delivery log[10];
      for (int j = 0; j < 10; j++) log[j] = (tc_delivery){.webhook_id = 1 + j % 2, .seq = i, .created_at_us = NOON, .event = {"e", 1}};
      tc_work work = {.cursor_seq = i, .owed = &row, .owed_n = 1, .settled = &gone, .settled_n = 1, .log = log, .log_n = 10};
      int64_t id = 0;
      if (i % 16 == 0 && ops->config_put(storage, TC_CONFIG_WEBHOOK, &id, (tc_text){"{}", 2})) _exit(1);
      if (ops->work_commit(storage, &work)) _exit(1);
      if (write(pipes[1], &i, sizeof i) != sizeof i) _exit(1);
    }
  }
  ck_assert_int_eq(close(pipes[1]), 0);
  while (acknowledged < first + 300 && read(pipes[0], &told, sizeof told) == sizeof told) acknowledged = told;
  ck_assert_int_eq(kill(child, SIGKILL), 0);
  while (read(pipes[0], &told, sizeof told) == sizeof told) acknowledged = told;
  ck_assert_int_eq(close(pipes[0]), 0);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  return acknowledged;
}

static int count_owed(const tc_owed *row, void *arg) {
  (void)row;
  ++*(int *)arg;
  return 0;
}

START_TEST(a_kill_loses_no_commit_and_halves_none) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  for (int i = 0; i < 100; i++) ck_assert_int_eq(try_append(storage, 1 + i * 40, 40), TC_OK); /* as many events as the cursor will reach */
  ops->close(storage);
  run_sql(work_path, "UPDATE state SET cursor=0");
  int64_t cursor = 0;
  for (int round = 0; round < 5; round++) {
    int64_t acknowledged = kill_in_the_middle(cursor);
    int owes = 0;
    storage = open_heard(&state);
    ck_assert_int_eq(warnings, 0);
    ck_assert_int_eq(ops->work_state(storage, &cursor, NULL, NULL), TC_OK);
    ck_assert_int_ge(cursor, acknowledged);
    ck_assert_int_eq(tries(storage, 1), cursor * 5);
    ck_assert_int_eq(tries(storage, 2), cursor * 5);
    ck_assert_int_ge(docs(storage), (int)(cursor / 16));
    ck_assert_int_le(docs(storage), (int)(cursor / 16) + round + 1); /* put before a commit that the kill took */
    ck_assert_int_eq(ops->work_due(storage, 1, INT64_MAX, SIZE_MAX, count_owed, &owes), TC_OK);
    ck_assert_int_ge(owes, 4); /* of 8 rows the unordered ones, and the first of two lanes */
    ck_assert_int_le(owes, 5);
    ck_assert_msg(!ops->check(storage), "%s", detail);
    ops->close(storage);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("storage: sqlite work file");
  TCase *files = tcase_create("work");
  tcase_add_checked_fixture(files, set_up_work, tear_down);
  tcase_set_timeout(files, 60);
  tcase_add_test(files, work_and_configuration_survive_a_reopen);
  tcase_add_loop_test(files, a_missing_work_file_begins_at_the_log_s_end_and_is_told, 0, 2);
  tcase_add_loop_test(files, an_older_log_is_migrated, 0, 2);
  tcase_add_loop_test(files, what_does_not_fit_is_set_aside_and_told, 0, 7);
  tcase_add_loop_test(files, a_half_made_work_file_is_made_again_without_a_word, 0, 2);
  tcase_add_test(files, a_newer_work_file_is_refused_and_left_alone);
  tcase_add_test(files, beside_an_older_log_it_steps_back);
  tcase_add_test(files, damage_found_on_the_way_is_set_aside_at_close);
  tcase_add_loop_test(files, check_sees_what_contradicts_itself, 0, 7);
  tcase_add_test(files, a_failed_open_leaves_another_log_s_work_alone);
  tcase_add_test(files, a_kill_loses_no_commit_and_halves_none);
  suite_add_tcase(suite, files);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
