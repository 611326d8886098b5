/* What every backend must keep of outside effects, and of whom they run beside. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage_suite.h"

/* ---- what is owed ---- */

static tc_owed owed(int64_t webhook_id, int64_t seq, int64_t lane, int64_t due_us) {
  return (tc_owed){.webhook_id = webhook_id, .seq = seq, .lane = lane, .due_us = due_us, .first_us = NOON, .attempt = 2, .flags = 7};
}

static void commit(tc_work work) { ck_assert_msg(!ops->work_commit(storage, &work), "%s", last_fail()); }

static void owe(tc_owed row) { commit((tc_work){.owed = &row, .owed_n = 1}); }

static void settle(int64_t webhook_id, int64_t seq) {
  tc_owed row = owed(webhook_id, seq, 55, 0);
  commit((tc_work){.settled = &row, .settled_n = 1});
}

/* "webhook/seq@due " */
static int list_owed(const tc_owed *row, void *arg) {
  char *out = arg;
  size_t len = strlen(out);
  (void)snprintf(out + len, 512 - len, "%lld/%lld@%lld ", (long long)row->webhook_id, (long long)row->seq, (long long)row->due_us);
  return 0;
}

static void assert_due(int64_t webhook_id, int64_t until_us, size_t max, const char *expected) {
  char found[512] = "";
  ck_assert_msg(!ops->work_due(storage, webhook_id, until_us, max, list_owed, found), "%s", last_fail());
  ck_assert_str_eq(found, expected);
}

static void assert_state(int64_t cursor_seq, const char *expected) {
  char found[512] = "";
  int64_t cursor = -1;
  ck_assert_msg(!ops->work_state(storage, &cursor, list_owed, found), "%s", last_fail());
  ck_assert_int_eq(cursor, cursor_seq);
  ck_assert_str_eq(found, expected);
}

START_TEST(the_cursor_never_goes_back) {
  int64_t cursor = -1;
  assert_state(0, "");
  commit((tc_work){.cursor_seq = 5});
  assert_state(5, "");
  commit((tc_work){.cursor_seq = 3});
  assert_state(5, "");
  owe(owed(1, 1, -1, 10)); /* cursor_seq 0 */
  assert_state(5, "1/1@10 ");
  ck_assert_int_eq(ops->work_state(storage, &cursor, NULL, NULL), TC_OK);
  ck_assert_int_eq(cursor, 5);
}
END_TEST

static int keep_owed(const tc_owed *row, void *arg) {
  *(tc_owed *)arg = *row;
  return 0;
}

START_TEST(an_owed_row_is_kept_and_replaced) {
  tc_owed row = {
    .webhook_id = INT64_MAX, .seq = INT64_MAX - 1, .lane = INT64_MAX, .due_us = INT64_MIN, .first_us = -5, .attempt = INT32_MAX, .flags = INT32_MIN};
  tc_owed found = {0};
  owe(row);
  ck_assert_int_eq(ops->work_due(storage, row.webhook_id, INT64_MIN, 10, keep_owed, &found), TC_OK);
  ck_assert_int_eq(found.webhook_id, row.webhook_id);
  ck_assert_int_eq(found.seq, row.seq);
  ck_assert_int_eq(found.lane, row.lane);
  ck_assert_int_eq(found.due_us, row.due_us);
  ck_assert_int_eq(found.first_us, row.first_us);
  ck_assert_int_eq(found.attempt, row.attempt);
  ck_assert_int_eq(found.flags, row.flags);
  row.due_us = 77;
  row.attempt = 3;
  owe(row);
  ck_assert_int_eq(ops->work_due(storage, row.webhook_id, INT64_MAX, 10, keep_owed, &found), TC_OK);
  ck_assert_int_eq(found.due_us, 77);
  ck_assert_int_eq(found.attempt, 3);
  settle(row.webhook_id, row.seq);
  assert_due(row.webhook_id, INT64_MAX, 10, "");
  settle(row.webhook_id, row.seq); /* which is not there any more */
}
END_TEST

START_TEST(due_rows_come_by_time_and_then_by_seq) {
  owe(owed(1, 5, -1, 30));
  owe(owed(1, 4, -1, 20));
  owe(owed(1, 9, -1, 20));
  owe(owed(1, 2, -1, 40));
  owe(owed(2, 1, -1, 10));
  assert_due(1, 30, 10, "1/4@20 1/9@20 1/5@30 ");
  assert_due(1, 29, 10, "1/4@20 1/9@20 ");
  assert_due(1, 40, 2, "1/4@20 1/9@20 ");
  assert_due(1, 40, 0, "");
  assert_due(1, 40, SIZE_MAX, "1/4@20 1/9@20 1/5@30 1/2@40 ");
  assert_due(1, 19, 10, "");
  assert_due(3, 40, 10, "");
  assert_state(0, "1/4@20 2/1@10 ");
}
END_TEST

START_TEST(a_lane_waits_for_its_first) {
  owe(owed(1, 3, 8, 30));
  owe(owed(1, 4, 8, 10));
  owe(owed(1, 5, 9, 20));
  owe(owed(1, 6, -1, 15));
  owe(owed(2, 1, 8, 5));                          /* another webhook's lane */
  assert_due(1, 25, 10, "1/6@15 1/5@20 ");        /* 4 is due, but 3 is not */
  assert_due(1, 30, 10, "1/6@15 1/5@20 1/3@30 "); /* one of the lane at a time */
  owe(owed(1, 2, 8, 50));                         /* a lower one takes the lead */
  assert_due(1, INT64_MAX, 10, "1/6@15 1/5@20 1/2@50 ");
  settle(1, 3); /* from the middle */
  assert_due(1, INT64_MAX, 10, "1/6@15 1/5@20 1/2@50 ");
  settle(1, 2);
  assert_due(1, INT64_MAX, 10, "1/4@10 1/6@15 1/5@20 "); /* the next one's turn */
  owe(owed(1, 4, 9, 10));                                /* to another lane, before its first */
  assert_due(1, INT64_MAX, 10, "1/4@10 1/6@15 ");
  owe(owed(1, 4, -1, 10)); /* out of any */
  assert_due(1, INT64_MAX, 10, "1/4@10 1/6@15 1/5@20 ");
}
END_TEST

START_TEST(the_next_due_is_that_of_a_row_that_may_go) {
  int64_t due = -1;
  clear_fail();
  ck_assert_int_eq(ops->work_next(storage, 1, &due), TC_ENOTFOUND);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(due, -1);
  owe(owed(1, 3, 8, 30));
  owe(owed(1, 4, 8, 10));
  owe(owed(2, 9, -1, INT64_MIN));
  ck_assert_int_eq(ops->work_next(storage, 1, &due), TC_OK);
  ck_assert_int_eq(due, 30);
  ck_assert_int_eq(ops->work_next(storage, 2, &due), TC_OK);
  ck_assert_int_eq(due, INT64_MIN);
  settle(1, 3);
  ck_assert_int_eq(ops->work_next(storage, 1, &due), TC_OK);
  ck_assert_int_eq(due, 10);
}
END_TEST

START_TEST(one_commit_settles_before_it_puts) {
  tc_owed first[] = {owed(1, 1, 4, 10), owed(1, 2, 4, 20), owed(1, 2, 4, 25)};
  commit((tc_work){.owed = first, .owed_n = 3});
  tc_owed again[] = {owed(1, 1, 4, 30)};
  tc_owed gone[] = {owed(1, 1, 4, 0), owed(1, 2, 4, 0), owed(1, 3, 4, 0)};
  assert_due(1, INT64_MAX, 10, "1/1@10 ");
  commit((tc_work){.settled = gone, .settled_n = 3, .owed = again, .owed_n = 1});
  assert_due(1, INT64_MAX, 10, "1/1@30 ");
  settle(1, 1);
  assert_due(1, INT64_MAX, 10, "");
}
END_TEST

START_TEST(forgetting_goes_in_slices_and_leaves_lanes_whole) {
  int32_t more = -1;
  for (int64_t seq = 1; seq <= 10; seq++) owe(owed(1, seq, seq % 3 - 1, 100 - seq));
  owe(owed(2, 1, 0, 10));
  ck_assert_int_eq(ops->work_forget(storage, 1, 4, &more), TC_OK);
  ck_assert_int_eq(more, 1);
  assert_due(1, INT64_MAX, 10, "1/6@94 1/3@97 1/2@98 1/1@99 "); /* 1 to 6 are left: 3 and 6 unordered, 1 before 4, 2 before 5 */
  ck_assert_int_eq(ops->check(storage), TC_OK);
  ck_assert_int_eq(ops->work_forget(storage, 1, 6, &more), TC_OK);
  ck_assert_int_eq(more, 0);
  assert_state(0, "2/1@10 ");
  ck_assert_int_eq(ops->work_forget(storage, 1, 6, &more), TC_OK);
  ck_assert_int_eq(more, 0);
}
END_TEST

/* ---- the same against the plainest model ---- */

#define HOOKS 3
#define SEQS 24

static tc_owed model[HOOKS][SEQS];
static int stands[HOOKS][SEQS];

static int model_ready(int hook, int seq) {
  for (int i = 0; i < seq && model[hook][seq].lane >= 0; i++) {
    if (stands[hook][i] && model[hook][i].lane == model[hook][seq].lane) return 0;
  }
  return 1;
}

static void model_due(int hook, int64_t until_us, size_t max, char *out) {
  *out = '\0';
  for (int64_t due = 0; due <= until_us; due++) {
    for (int seq = 0; seq < SEQS && max; seq++) {
      if (!stands[hook][seq] || model[hook][seq].due_us != due || !model_ready(hook, seq)) continue;
      (void)list_owed(&model[hook][seq], out);
      max--;
    }
  }
}

static void model_change(tc_work *work, tc_owed put[8], tc_owed gone[8]) {
  work->owed_n = (size_t)rand() % 8;
  work->settled_n = (size_t)rand() % 6;
  for (size_t i = 0; i < work->settled_n; i++) {
    gone[i] = owed(rand() % HOOKS, rand() % SEQS, 0, 0);
    stands[gone[i].webhook_id][gone[i].seq] = 0;
  }
  for (size_t i = 0; i < work->owed_n; i++) {
    put[i] = owed(rand() % HOOKS, rand() % SEQS, rand() % 4 - 1, rand() % 20);
    stands[put[i].webhook_id][put[i].seq] = 1;
    model[put[i].webhook_id][put[i].seq] = put[i];
  }
  work->owed = put;
  work->settled = gone;
}

START_TEST(what_is_due_is_what_a_plain_model_says) {
  srand(7 + (unsigned)_i);
  for (int round = 0; round < 300; round++) {
    tc_owed put[8], gone[8];
    tc_work work = {0};
    char expected[512];
    model_change(&work, put, gone);
    commit(work);
    for (int hook = 0; hook < HOOKS; hook++) {
      int64_t until_us = rand() % 20;
      size_t max = (size_t)rand() % SEQS;
      model_due(hook, until_us, max, expected);
      assert_due(hook, until_us, max, expected);
      model_due(hook, 19, 1, expected);
      assert_due(hook, INT64_MAX, 1, expected);
    }
    if (round % 50 == 49) ck_assert_msg(!ops->check(storage), "%s", last_fail());
  }
}
END_TEST

/* ---- the delivery log ---- */

static tc_delivery tried(int64_t webhook_id, int64_t seq, int64_t created_at_us) {
  return (tc_delivery){.webhook_id = webhook_id, .seq = seq, .created_at_us = created_at_us, .attempt = 1, .status = 200, .success = 1, .event = text_of("e")};
}

static int64_t log_one(tc_delivery row) {
  commit((tc_work){.log = &row, .log_n = 1});
  return row.id;
}

/* "id:seq " */
static int list_delivery(const tc_delivery *row, void *arg) {
  char *out = arg;
  size_t len = strlen(out);
  (void)snprintf(out + len, 512 - len, "%lld:%lld ", (long long)row->id, (long long)row->seq);
  return 0;
}

static void assert_log(int64_t webhook_id, int64_t offset, size_t max, int64_t total, const char *expected) {
  char found[512] = "";
  int64_t count = -1;
  ck_assert_msg(!ops->deliveries(storage, webhook_id, offset, max, list_delivery, found, &count), "%s", last_fail());
  ck_assert_str_eq(found, expected);
  ck_assert_int_eq(count, total);
}

static int keep_delivery(const tc_delivery *row, void *arg) {
  const tc_delivery *expected = arg;
  const tc_text *texts[][2] = {{&row->event, &expected->event}, {&row->response, &expected->response}, {&row->error, &expected->error}};
  ck_assert_int_eq(row->id, expected->id);
  ck_assert_int_eq(row->webhook_id, expected->webhook_id);
  ck_assert_int_eq(row->seq, expected->seq);
  ck_assert_int_eq(row->created_at_us, expected->created_at_us);
  ck_assert_int_eq(row->duration_us, expected->duration_us);
  ck_assert_int_eq(row->attempt, expected->attempt);
  ck_assert_int_eq(row->status, expected->status);
  ck_assert_int_eq(row->success, expected->success);
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(!texts[i][0]->ptr, !texts[i][1]->ptr);
    ck_assert_uint_eq(texts[i][0]->len, texts[i][1]->len);
    ck_assert(!texts[i][0]->len || !memcmp(texts[i][0]->ptr, texts[i][1]->ptr, texts[i][0]->len));
  }
  return 0;
}

START_TEST(a_delivery_is_kept_byte_for_byte) {
  tc_delivery rows[] = {
    {.webhook_id = 1, .seq = 9, .created_at_us = NOON, .duration_us = INT64_MAX, .attempt = 3, .status = 503, .event = text_of("tip.created")},
    {.webhook_id = 1, .seq = 0, .created_at_us = -1, .duration_us = 0, .attempt = 1, .status = 200, .success = 1, .event = text_of("\xf0\x9f\x94\xa5")},
  };
  rows[0].error = text_of("");
  rows[1].response = text_of("{\"ok\":true}");
  commit((tc_work){.log = rows, .log_n = 2});
  for (int64_t i = 0; i < 2; i++) {
    ck_assert_int_eq(rows[i].id, i + 1);
    ck_assert_int_eq(ops->delivery_get(storage, 1, i + 1, keep_delivery, &rows[i]), TC_OK);
  }
  clear_fail();
  ck_assert_int_eq(ops->delivery_get(storage, 2, 1, keep_delivery, &rows[0]), TC_ENOTFOUND); /* another webhook's */
  ck_assert_int_eq(ops->delivery_get(storage, 1, 3, keep_delivery, &rows[0]), TC_ENOTFOUND);
  ck_assert_str_ne(last_fail(), "");
}
END_TEST

static int stop_at_once(const tc_delivery *row, void *arg) {
  (void)row;
  ++*(int *)arg;
  return 1;
}

START_TEST(deliveries_come_newest_first_by_pages) {
  assert_log(1, 0, 10, 0, "");
  for (int64_t seq = 1; seq <= 6; seq++) log_one(tried(1 + seq % 2, seq, NOON - seq)); /* the clock goes back */
  assert_log(2, 0, 10, 3, "5:5 3:3 1:1 ");
  assert_log(1, 0, 10, 3, "6:6 4:4 2:2 ");
  assert_log(1, 0, 2, 3, "6:6 4:4 ");
  assert_log(1, 2, 2, 3, "2:2 ");
  assert_log(1, 3, 2, 3, "");
  assert_log(1, INT64_MAX, SIZE_MAX, 3, "");
  assert_log(1, 1, SIZE_MAX, 3, "4:4 2:2 ");
  assert_log(1, 0, 0, 3, "");
  assert_log(7, 0, 10, 0, "");
  int calls = 0;
  int64_t total = -1;
  ck_assert_int_eq(ops->deliveries(storage, 1, 0, 10, stop_at_once, &calls, &total), TC_OK);
  ck_assert_int_eq(calls, 1);
  ck_assert_int_eq(total, 3);
}
END_TEST

START_TEST(trimming_takes_the_old_ones) {
  int32_t more = -1;
  for (int64_t seq = 1; seq <= 6; seq++) log_one(tried(1 + seq % 2, seq, NOON + seq));
  log_one(tried(1, 7, NOON)); /* written late, but the oldest */
  ck_assert_int_eq(ops->work_trim(storage, NOON, 7, &more), TC_OK);
  ck_assert_int_eq(more, 0);
  assert_log(1, 0, 10, 4, "7:7 6:6 4:4 2:2 ");
  ck_assert_int_eq(ops->work_trim(storage, NOON + 3, INT64_MAX, &more), TC_OK);
  assert_log(1, 0, 10, 2, "6:6 4:4 ");
  assert_log(2, 0, 10, 2, "5:5 3:3 ");
  ck_assert_int_eq(ops->work_trim(storage, INT64_MIN, 3, &more), TC_OK); /* beyond the number: the oldest of all webhooks */
  assert_log(2, 0, 10, 1, "5:5 ");
  ck_assert_int_eq(ops->work_trim(storage, INT64_MIN, 0, &more), TC_OK);
  assert_log(1, 0, 10, 0, "");
  assert_log(2, 0, 10, 0, "");
  ck_assert_int_eq(log_one(tried(1, 8, NOON)), 8); /* a number is not given twice */
  assert_log(1, 0, 10, 1, "8:8 ");
}
END_TEST

START_TEST(trimming_goes_in_slices) {
  static tc_delivery rows[3000];
  int32_t more = 1;
  int64_t before = 3000, total = 0;
  for (size_t i = 0; i < 3000; i++) rows[i] = tried((int64_t)(i / 7 % 3), (int64_t)i, NOON + (int64_t)i);
  commit((tc_work){.log = rows, .log_n = 3000});
  ck_assert_int_eq(rows[2999].id, 3000);
  for (int calls = 0; more; calls++) {
    int64_t sum = 0;
    ck_assert_int_lt(calls, 100);
    ck_assert_int_eq(ops->work_trim(storage, NOON + 2990, INT64_MAX, &more), TC_OK);
    for (int64_t hook = 0; hook < 3; hook++) {
      char found[512] = "";
      ck_assert_int_eq(ops->deliveries(storage, hook, 0, 3, list_delivery, found, &total), TC_OK);
      sum += total;
    }
    ck_assert_int_ge(sum, before - 1000); /* bounded */
    before = sum;
  }
  ck_assert_int_eq(before, 10);
}
END_TEST

/* ---- side by side ---- */

typedef struct race_state {
  atomic_int stop;
  atomic_int failed;
} race_state;

static int count_row(const tc_delivery *row, void *arg) {
  (void)row;
  ++*(int64_t *)arg;
  return 0;
}

static int ignore_doc(int64_t id, tc_text doc, void *arg) {
  (void)id;
  (void)doc;
  (void)arg;
  return 0;
}

static void *read_all_the_time(void *arg) {
  race_state *race = arg;
  int64_t last = 0;
  while (!atomic_load(&race->stop)) {
    int64_t total = -1, rows = 0;
    if (ops->deliveries(storage, 1, 0, SIZE_MAX, count_row, &rows, &total) || rows != total || total % 10 || total < last) atomic_store(&race->failed, 1);
    last = total;
    if (ops->config_read(storage, 1, ignore_doc, NULL)) atomic_store(&race->failed, 2);
  }
  return NULL;
}

static void *write_documents(void *arg) {
  race_state *race = arg;
  for (int i = 0; i < 50; i++) {
    int64_t id = 0;
    if (ops->config_put(storage, 1, &id, text_of("doc")) || id != i + 1) atomic_store(&race->failed, 3);
  }
  return NULL;
}

START_TEST(readers_of_the_log_see_whole_commits) {
  race_state race;
  atomic_init(&race.stop, 0);
  atomic_init(&race.failed, 0);
  pthread_t readers[2], writer;
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&readers[i], NULL, read_all_the_time, &race), 0);
  ck_assert_int_eq(pthread_create(&writer, NULL, write_documents, &race), 0);
  for (int64_t i = 0; i < 100; i++) {
    tc_delivery rows[10];
    tc_owed row = owed(1, i, i % 4 - 1, i);
    for (int j = 0; j < 10; j++) rows[j] = tried(1, i, NOON + i);
    commit((tc_work){.cursor_seq = i, .owed = &row, .owed_n = 1, .log = rows, .log_n = 10});
  }
  (void)pthread_join(writer, NULL);
  atomic_store(&race.stop, 1);
  for (int i = 0; i < 2; i++) (void)pthread_join(readers[i], NULL);
  ck_assert_int_eq(atomic_load(&race.failed), 0);
}
END_TEST

void storage_work_tests(TCase *all) {
  tcase_add_test(all, the_cursor_never_goes_back);
  tcase_add_test(all, an_owed_row_is_kept_and_replaced);
  tcase_add_test(all, due_rows_come_by_time_and_then_by_seq);
  tcase_add_test(all, a_lane_waits_for_its_first);
  tcase_add_test(all, the_next_due_is_that_of_a_row_that_may_go);
  tcase_add_test(all, one_commit_settles_before_it_puts);
  tcase_add_test(all, forgetting_goes_in_slices_and_leaves_lanes_whole);
  tcase_add_loop_test(all, what_is_due_is_what_a_plain_model_says, 0, 3);
  tcase_add_test(all, a_delivery_is_kept_byte_for_byte);
  tcase_add_test(all, deliveries_come_newest_first_by_pages);
  tcase_add_test(all, trimming_takes_the_old_ones);
  tcase_add_test(all, trimming_goes_in_slices);
  tcase_add_test(all, readers_of_the_log_see_whole_commits);
}
