/* What a backend that can be filled from another one must keep: numbers that are given, and what is read to be carried over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage_suite.h"

#define HAVE(name) (ops->size >= offsetof(tc_storage_ops, name) + sizeof(ops->name) && ops->name)

static tc_record numbered(int64_t id, const char *key, int64_t created_at_us) {
  tc_record record = tip("r", "a", "b", created_at_us);
  record.id = id;
  record.text[TC_COL_KEY] = text_of(key);
  return record;
}

static void assert_found(int64_t id, int64_t seq) {
  tc_snapshot *snapshot = snapshot_now();
  int64_t found = 0;
  ck_assert_msg(!ops->find_id(snapshot, TC_KIND_TIP, id, &found), "%s", last_fail());
  ck_assert_int_eq(found, seq);
  ops->snapshot_end(snapshot);
}

START_TEST(imported_events_keep_their_numbers) {
  if (!HAVE(import_rows)) return;
  /* Out of order, with gaps, two of one time, and one older than what came before. */
  tc_record rows[] = {numbered(7, "k7", NOON), numbered(3, NULL, NOON), numbered(900, "k900", NOON + SECOND), numbered(5, NULL, NOON - SECOND)};
  rows[1].amount = -250;
  rows[2].text[TC_COL_USER] = text_of("");
  ck_assert_msg(!ops->import_rows(storage, rows, 4), "%s", last_fail());
  for (int i = 0; i < 4; i++) ck_assert_int_eq(rows[i].seq, i + 1);
  row_list log = {0};
  ck_assert_int_eq(ops->read_log(storage, 0, 10, keep_row, &log), TC_OK);
  ck_assert_uint_eq(log.count, 4);
  for (size_t i = 0; i < 4; i++) assert_same(&log.at[i], &rows[i]);
  free_rows(&log);
  derive_all(ops, storage, &index_seq);
  assert_found(7, 1);
  assert_found(3, 2);
  assert_found(900, 3);
  assert_found(5, 4);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, "r"), 4);
  tc_snapshot *snapshot = snapshot_now();
  int64_t none = 0;
  ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_TIP, 4, &none), TC_ENOTFOUND);
  ops->snapshot_end(snapshot);
  /* Live ones go on behind the highest, and know the keys. */
  tc_record next = numbered(0, "k7", NOON + 2 * SECOND), fresh = numbered(0, NULL, NOON + 2 * SECOND);
  tc_append items[] = {{.record = &next, .result = 99}, {.record = &fresh, .result = 99}};
  ck_assert_msg(!append_items(ops, storage, items, 2), "%s", last_fail());
  ck_assert_int_eq(items[0].result, TC_EEXISTS);
  ck_assert_int_eq(items[0].existing_seq, 1);
  ck_assert_int_eq(fresh.seq, 5);
  ck_assert_int_eq(fresh.id, 901);
  ck_assert_msg(!ops->check(storage), "%s", last_fail());
}
END_TEST

START_TEST(an_import_that_does_not_follow_stores_nothing) {
  if (!HAVE(import_rows)) return;
  tc_record rows[] = {numbered(1, NULL, NOON), numbered(2, NULL, NOON)};
  rows[0].seq = 1;
  rows[1].seq = 2;
  ck_assert_msg(!ops->import_rows(storage, rows, 1), "%s", last_fail());
  clear_fail();
  ck_assert_int_eq(ops->import_rows(storage, rows, 2), TC_ECONFLICT);
  ck_assert_str_ne(last_fail(), "");
  rows[1].seq = 3;
  ck_assert_int_eq(ops->import_rows(storage, &rows[1], 1), TC_ECONFLICT);
  row_list log = {0};
  ck_assert_int_eq(ops->read_log(storage, 0, 10, keep_row, &log), TC_OK);
  ck_assert_uint_eq(log.count, 1);
  free_rows(&log);
  rows[1].seq = 2;
  ck_assert_msg(!ops->import_rows(storage, &rows[1], 1), "%s", last_fail());
  ck_assert_int_eq(ops->import_rows(storage, NULL, 0), TC_OK);
}
END_TEST

START_TEST(the_highest_number_of_documents_is_known) {
  int64_t id = -1, one = 0, far = 40;
  if (!HAVE(config_last)) return;
  ck_assert_int_eq(ops->config_last(storage, 1, &id), TC_OK);
  ck_assert_int_eq(id, 0);
  ck_assert_int_eq(ops->config_put(storage, 1, &one, text_of("a")), TC_OK);
  ck_assert_int_eq(ops->config_put(storage, 1, &far, text_of("b")), TC_OK);
  ck_assert_int_eq(ops->config_remove(storage, 1, 40), TC_OK);
  ck_assert_int_eq(ops->config_last(storage, 1, &id), TC_OK);
  ck_assert_int_eq(id, 40);
  ck_assert_int_eq(ops->config_last(storage, 2, &id), TC_OK);
  ck_assert_int_eq(id, 0);
}
END_TEST

static int list_owed(const tc_owed *row, void *arg) {
  char *out = arg;
  size_t len = strlen(out);
  (void)snprintf(out + len, 256 - len, "%lld/%lld@%lld,%d ", (long long)row->seq, (long long)row->lane, (long long)row->due_us, row->attempt);
  return 0;
}

static void assert_owed(int64_t webhook_id, int64_t after_seq, size_t max, const char *expected) {
  char found[256] = "";
  ck_assert_msg(!ops->owed_read(storage, webhook_id, after_seq, max, list_owed, found), "%s", last_fail());
  ck_assert_str_eq(found, expected);
}

START_TEST(all_that_is_owed_is_read_and_not_only_what_may_go) {
  if (!HAVE(owed_read) || !ops->work_commit) return;
  tc_owed rows[] = {{.webhook_id = 1, .seq = 9, .lane = 5, .due_us = 30, .attempt = 2},
                    {.webhook_id = 1, .seq = 4, .lane = 5, .due_us = 40, .attempt = 3},
                    {.webhook_id = 1, .seq = 6, .lane = -1, .due_us = 20, .attempt = 4},
                    {.webhook_id = 2, .seq = 4, .lane = -1, .due_us = 10, .attempt = 5}};
  ck_assert_int_eq(ops->work_commit(storage, &(tc_work){.owed = rows, .owed_n = 4}), TC_OK);
  assert_owed(1, 0, 10, "4/5@40,3 6/-1@20,4 9/5@30,2 ");
  assert_owed(1, 4, 10, "6/-1@20,4 9/5@30,2 ");
  assert_owed(1, 0, 1, "4/5@40,3 ");
  assert_owed(2, 0, 10, "4/-1@10,5 ");
  assert_owed(2, INT64_MAX, 10, "");
  assert_owed(3, 0, 10, "");
}
END_TEST

void storage_import_tests(TCase *all) {
  tcase_add_test(all, imported_events_keep_their_numbers);
  tcase_add_test(all, an_import_that_does_not_follow_stores_nothing);
  tcase_add_test(all, the_highest_number_of_documents_is_known);
  tcase_add_test(all, all_that_is_owed_is_read_and_not_only_what_may_go);
}
