/* The engine when its storage is full, locked, slow, failing or silent: everybody hears the truth, and nothing is lost, doubled or stuck. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine_kit.h"

START_TEST(a_full_queue_says_busy_and_loses_nothing) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  k.options.max_pending_bytes = 64 << 10;
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  atomic_store(&kit_fault.hold, 1);
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "a";
  tip.recipient_id = "b";
  tip.amount = 5;
  size_t accepted = 0;
  int rc;
  while ((rc = tc_tip_submit(k.engine, &tip, kit_done, answers)) == TC_OK) accepted++;
  ck_assert_int_eq(rc, TC_EBUSY);
  ck_assert_str_ne(tc_last_error(), "");
  ck_assert_uint_gt(accepted, 20);
  ck_assert_uint_lt(accepted, 400);
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_uint_eq(status.pending_events, accepted);
  ck_assert_uint_le(status.pending_bytes, 64 << 10);
  atomic_store(&kit_fault.hold, 0);
  ck_assert(kit_until_answers(answers, accepted));
  for (size_t i = 0; i < accepted; i++) ck_assert_int_eq(answers->got[i].code, TC_OK);
  kit_close(&k);
  ck_assert_uint_eq(answers->n, accepted);
  kit_answers_free(answers);
  kit_clean(&k);
}
END_TEST

static int was_called(void *unused) {
  (void)unused;
  return atomic_load(&kit_fault.append_calls) > 2;
}

START_TEST(a_locked_log_is_waited_for_until_the_deadline) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "a";
  tip.recipient_id = "b";
  tip.amount = 5;
  tip.idempotency_key = "k1";
  atomic_store(&kit_fault.append_code, TC_EBUSY);
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK);
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK); /* its twin */
  ck_assert(kit_until(was_called, NULL));
  ck_assert_uint_eq(kit_answers_count(answers), 0);
  kit_clock_add(4000000);
  tip.idempotency_key = "k2";
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK);
  kit_clock_add(1500000); /* the first two are late, the third is not */
  ck_assert(kit_until_answers(answers, 2));
  ck_assert_int_eq(answers->got[0].code, TC_EBUSY);
  ck_assert_int_eq(answers->got[1].code, TC_EBUSY);
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_int_eq(status.storage_error, TC_EBUSY);
  atomic_store(&kit_fault.append_code, 0);
  ck_assert(kit_until_answers(answers, 3));
  ck_assert_int_eq(answers->got[2].code, TC_OK);
  ck_assert_int_eq(answers->got[2].seq, 1); /* nothing of the others was stored */
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_int_eq(status.storage_error, 0);
  int32_t replayed = -1;
  ck_assert_int_eq(kit_try_tip(&k, "r", 5, "k1", NULL, &replayed), TC_OK); /* a failed create burns no key */
  ck_assert_int_eq(replayed, 0);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

START_TEST(a_failed_commit_is_said_and_the_engine_goes_on) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  kit_open(&k);
  atomic_store(&kit_fault.append_code, TC_ESTORAGE);
  ck_assert_int_eq(kit_try_tip(&k, "r", 5, "k", NULL, NULL), TC_ESTORAGE);
  ck_assert_str_ne(tc_last_error(), "");
  atomic_store(&kit_fault.append_code, 0);
  int64_t id = 0;
  ck_assert_int_eq(kit_try_tip(&k, "r", 5, "k", &id, NULL), TC_OK);
  ck_assert_int_eq(id, 1);
  kit_clean(&k);
}
END_TEST

static int was_called_at_all(void *unused) {
  (void)unused;
  return atomic_load(&kit_fault.append_calls) > 0;
}

/* _i: bit 0 backend, bit 1 whether the commit had happened, bit 2 whether the answer comes before the deadline. */
START_TEST(an_unknown_outcome_is_settled_before_anything_else) {
  int stored = _i >> 1 & 1, in_time = _i >> 2 & 1;
  kit k;
  kit_init(&k, _i & 1);
  k.options.storage_ops = kit_faulty(_i & 1);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  ck_assert_int_eq(kit_tip(&k, "r", "a", 1, NULL), 1);
  atomic_store(&kit_fault.unknown_stored, stored);
  atomic_store(&kit_fault.outcome_code, TC_EUNKNOWN);
  atomic_store(&kit_fault.append_code, TC_EUNKNOWN);
  atomic_store(&kit_fault.append_calls, 0);
  kit_submit(&k, answers, "k");
  ck_assert(kit_until(was_called_at_all, NULL));
  atomic_store(&kit_fault.append_code, 0);
  if (!in_time) {
    kit_clock_add(5100000);
    ck_assert(kit_until_answers(answers, 1));
    ck_assert_int_eq(answers->got[0].code, TC_EUNKNOWN);
    /* Nobody overtakes it. Nothing of it is seen while nobody knows, where the index follows behind; memory indexes what it stores at once. */
    tc_event *event = NULL;
    if (_i & 1 || !stored) ck_assert_int_eq(tc_tip_get(k.engine, 2, &event), TC_ENOTFOUND);
  }
  atomic_store(&kit_fault.outcome_code, 0);
  if (in_time) {
    ck_assert(kit_until_answers(answers, 1));
    ck_assert_int_eq(answers->got[0].code, stored ? TC_OK : TC_ESTORAGE);
    if (stored) ck_assert_int_eq(answers->got[0].id, 2);
  }
  /* The retry with the same key finds out: one event in the end, whatever happened. */
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "a";
  tip.recipient_id = "b";
  tip.amount = 5;
  tip.idempotency_key = "k";
  tc_event *event = NULL;
  int32_t replayed = -1;
  ck_assert_int_eq(tc_tip_create(k.engine, &tip, &event, &replayed), TC_OK);
  ck_assert_int_eq(tc_event_id(event), 2);
  ck_assert_int_eq(replayed, stored);
  tc_event_unref(event);
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  ck_assert_int_eq(tc_tip_list(k.engine, &query, &page), TC_OK);
  ck_assert_int_eq(tc_page_total(page), 2);
  tc_page_free(page);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

START_TEST(a_long_backlog_is_indexed_before_reads_are_served) {
  kit k;
  kit_init(&k, 1);
  k.options.storage_ops = kit_faulty(1);
  k.options.tail_max_events = 100000;
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  for (int i = 0; i < 3000; i++) kit_submit(&k, answers, NULL);
  ck_assert(kit_until_answers(answers, 3000));
  kit_close(&k);
  kit_forget_index(&k);
  k.options.tail_max_events = 1000;
  atomic_store(&kit_fault.derive_code, TC_ESTORAGE);
  kit_open(&k);
  tc_event *event = NULL;
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_uint_eq(status.ready, 0);
  ck_assert_int_eq(status.log_seq, 3000);
  ck_assert_int_eq(tc_tip_get(k.engine, 7, &event), TC_EBUSY);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, "key", NULL, NULL), TC_EBUSY);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, NULL, NULL, NULL), TC_OK); /* no key, nothing to check */
  atomic_store(&kit_fault.derive_code, 0);
  ck_assert(kit_until_indexed(&k));
  ck_assert_int_eq(tc_tip_get(k.engine, 7, &event), TC_OK);
  tc_event_unref(event);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, "key", NULL, NULL), TC_OK);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

START_TEST(a_writer_that_outruns_the_indexer_is_slowed) {
  kit k;
  kit_init(&k, 1);
  k.options.storage_ops = kit_faulty(1);
  k.options.tail_max_events = 500;
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  atomic_store(&kit_fault.derive_code, TC_ESTORAGE);
  for (int i = 0; i < 2000; i++) kit_submit(&k, answers, NULL);
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_int_le(status.log_seq - status.index_seq, 1500); /* one batch may be taken while nothing is unindexed */
  size_t answered = kit_answers_count(answers);
  ck_assert_uint_lt(answered, 2000);
  atomic_store(&kit_fault.derive_code, 0);
  ck_assert(kit_until_answers(answers, 2000));
  for (int i = 0; i < 2000; i++) ck_assert_int_eq(answers->got[i].code, TC_OK);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("faults");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, a_full_queue_says_busy_and_loses_nothing, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_locked_log_is_waited_for_until_the_deadline, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_failed_commit_is_said_and_the_engine_goes_on, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, an_unknown_outcome_is_settled_before_anything_else, 0, 4 * KIT_BACKENDS);
  tcase_add_test(tc, a_long_backlog_is_indexed_before_reads_are_served);
  tcase_add_test(tc, a_writer_that_outruns_the_indexer_is_slowed);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
