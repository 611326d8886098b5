/* Facts in the derived file: they come back with it, and go with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sqlite_kit.h"

static int keep_value(tc_text key, tc_text value, void *arg) {
  (void)key;
  (void)snprintf(arg, 32, "%.*s", (int)value.len, value.ptr);
  return 0;
}

static tc_storage *open_with(int64_t log_seq, int64_t index_seq, int64_t facts_seq, const char *value) {
  tc_storage_state state;
  char found[32] = "";
  int64_t seq = -1;
  tc_storage *storage = open_storage(&state);
  ck_assert_int_eq(state.log_seq, log_seq);
  ck_assert_int_eq(state.index_seq, index_seq);
  ck_assert_int_eq(ops->facts_cursor(storage, &seq), TC_OK);
  ck_assert_int_eq(seq, facts_seq);
  ck_assert_int_eq(ops->fact_first(storage, 1, (tc_text){"key", 3}, keep_value, found), TC_OK);
  ck_assert_str_eq(found, value);
  return storage;
}

/* Ten events, indexed, facts up to 7. */
static void prepare(void) {
  set_up();
  tc_storage *storage = open_with(0, 0, 0, "");
  derive_arg to = {storage, TC_OK};
  tc_fact fact = {1, {"key", 3}, {"seven", 5}};
  ck_assert_int_eq(try_append(storage, 1, 10), TC_OK);
  ck_assert_int_eq(ops->read_log(storage, 0, 10, derive_row, &to), TC_OK);
  ck_assert_msg(!ops->facts_commit(storage, 7, &fact, 1), "%s", detail);
  ops->close(storage);
}

START_TEST(facts_come_back) {
  tc_storage *storage = open_with(10, 10, 7, "seven");
  ck_assert_msg(!ops->check(storage), "%s", detail);
  ops->close(storage);
  assert_files("tc-index.db tc-lock.db tc-work.db tc.db "); /* no WAL is left, although a fact was read last */
}
END_TEST

START_TEST(facts_go_with_the_derived_file) {
  ck_assert_int_eq(unlink(index_path), 0);
  ops->close(open_with(10, 0, 0, ""));
}
END_TEST

START_TEST(facts_beyond_the_index_are_not_trusted) {
  run_sql(index_path, "UPDATE state SET facts_cursor=11");
  ops->close(open_with(10, 0, 0, ""));
}
END_TEST

START_TEST(a_fact_read_last_does_not_keep_events_from_being_indexed) {
  tc_storage *storage = open_with(10, 10, 7, "seven");
  derive_arg to = {storage, TC_OK};
  ck_assert_int_eq(try_append(storage, 11, 3), TC_OK);
  ck_assert_int_eq(ops->read_log(storage, 10, 3, derive_row, &to), TC_OK);
  ck_assert_msg(!to.code, "%s", detail);
  ck_assert_int_eq(count_room(storage), 13);
  int32_t more = 0;
  ck_assert_int_eq(ops->fact_first(storage, 1, (tc_text){"key", 3}, keep_value, (char[32]){0}), TC_OK);
  ck_assert_msg(!ops->idle(storage, NOON, &more), "%s", detail);
  ops->close(storage);
  ops->close(open_with(13, 13, 7, "seven"));
}
END_TEST

START_TEST(a_commit_that_fails_changes_nothing) {
  static char value[TC_FACT_VALUE_MAX];
  tc_storage *storage = open_with(10, 10, 7, "seven");
  run_sql(index_path, "CREATE TRIGGER no_more BEFORE UPDATE OF facts_cursor ON state BEGIN SELECT raise(ABORT, 'no more'); END");
  memset(value, 'x', sizeof value);
  tc_fact facts[2] = {{1, {"key", 3}, {"nine", 4}}, {1, {"other", 5}, {value, sizeof value}}};
  ck_assert_int_ne(ops->facts_commit(storage, 9, facts, 2), TC_OK);
  ck_assert_str_ne(detail, "");
  run_sql(index_path, "DROP TRIGGER no_more");
  char found[32] = "";
  int64_t seq = -1;
  ck_assert_int_eq(ops->fact_first(storage, 1, (tc_text){"key", 3}, keep_value, found), TC_OK);
  ck_assert_str_eq(found, "seven");
  ck_assert_int_eq(ops->facts_cursor(storage, &seq), TC_OK);
  ck_assert_int_eq(seq, 7);
  ops->close(storage);
}
END_TEST

static int count(tc_text key, tc_text value, void *arg) {
  (void)key;
  (void)value;
  ++*(int *)arg;
  return 0;
}

START_TEST(damage_is_found_and_the_file_begun_anew) {
  run_sql(index_path,
          "PRAGMA writable_schema=1; UPDATE sqlite_schema SET rootpage=(SELECT rootpage FROM sqlite_schema WHERE name='chunks') WHERE name='facts'");
  tc_storage_state state;
  tc_storage *storage = NULL;
  int code = ops->open(&storage, url, &env, &state), n = 0;
  if (!code) {
    tc_text all = {NULL, 0};
    code = ops->facts_scan(storage, 1, all, all, count, &n);
    ops->close(storage);
  }
  ck_assert_int_eq(code, TC_ECORRUPT);
  ops->close(open_with(10, 0, 0, ""));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sqlite: facts");
  TCase *all = tcase_create("files");
  tcase_add_checked_fixture(all, prepare, tear_down);
  tcase_add_test(all, facts_come_back);
  tcase_add_test(all, facts_go_with_the_derived_file);
  tcase_add_test(all, facts_beyond_the_index_are_not_trusted);
  tcase_add_test(all, a_fact_read_last_does_not_keep_events_from_being_indexed);
  tcase_add_test(all, a_commit_that_fails_changes_nothing);
  tcase_add_test(all, damage_is_found_and_the_file_begun_anew);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
