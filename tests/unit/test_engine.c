/* The engine by its public API, on every backend: creates, deadlines, faults, ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine_kit.h"

START_TEST(a_tip_is_taken_kept_and_found) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "gaming_stream_123";
  tip.sender_id = "alice";
  tip.recipient_id = "bob";
  tip.amount = 10000;
  tip.message = "Great play!";
  tip.metadata = "{\"type\":\"celebration\"}";
  tc_event *made = NULL, *found = NULL;
  int32_t replayed = 7;
  ck_assert_int_eq(tc_tip_create(k.engine, &tip, &made, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 0);
  ck_assert_str_eq(tc_event_json(made, NULL),
                   "{\"id\":1,\"roomId\":\"gaming_stream_123\",\"senderId\":\"alice\",\"recipientId\":\"bob\",\"amount\":100.00,\"message\":\"Great play!\","
                   "\"metadata\":\"{\\\"type\\\":\\\"celebration\\\"}\",\"createdAt\":\"2024-01-15T10:30:45.123Z\"}");
  ck_assert_int_eq(tc_tip_get(k.engine, 1, &found), TC_OK);
  ck_assert_str_eq(tc_event_json(found, NULL), tc_event_json(made, NULL));
  tc_event_unref(found);
  ck_assert(kit_until_indexed(&k));
  kit_close(&k);
  if (_i) { /* memory keeps nothing */
    kit_open(&k);
    ck_assert_int_eq(tc_tip_get(k.engine, 1, &found), TC_OK);
    ck_assert_str_eq(tc_event_json(found, NULL), tc_event_json(made, NULL));
    tc_event_unref(found);
    ck_assert_int_eq(kit_tip(&k, "r", "a", 1, NULL), 2);
    ck_assert_int_eq(tc_tip_get(k.engine, 3, &found), TC_ENOTFOUND);
    ck_assert_str_ne(tc_last_error(), "");
  }
  tc_event_unref(made);
  kit_clean(&k);
}
END_TEST

START_TEST(kinds_number_their_ids_apart_and_share_seq) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  ck_assert_int_eq(kit_tip(&k, "r", "a", 1, NULL), 1);
  tc_reaction_new reaction = TC_REACTION_NEW_INIT;
  reaction.room_id = "r";
  reaction.user_id = "u";
  reaction.emoji = "\xF0\x9F\x94\xA5";
  tc_event *event = NULL;
  ck_assert_int_eq(tc_reaction_create(k.engine, &reaction, &event, NULL), TC_OK);
  ck_assert_int_eq(tc_event_id(event), 1);
  ck_assert_int_eq(tc_event_seq(event), 2);
  ck_assert_str_eq(tc_event_json(event, NULL), "{\"id\":1,\"roomId\":\"r\",\"userId\":\"u\",\"emoji\":\"\xF0\x9F\x94\xA5\",\"targetId\":null,\"metadata\":null,"
                                               "\"createdAt\":\"2024-01-15T10:30:45.123Z\"}");
  tc_event_unref(event);
  kit_clean(&k);
}
END_TEST

static const char *const bad_json[] = {"",
                                       "null",
                                       "[]",
                                       "{}",
                                       "{\"roomId\":\"r\"}",
                                       "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":0}",
                                       "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":1} x",
                                       "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":01}"};

START_TEST(bad_input_names_its_field_and_stores_nothing) {
  kit k;
  kit_init(&k, 0);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  for (size_t i = 0; i < sizeof bad_json / sizeof *bad_json; i++) {
    ck_assert_int_eq(tc_json_submit(k.engine, TC_KIND_TIP, bad_json[i], strlen(bad_json[i]), NULL, kit_done, answers), TC_EINVAL);
    ck_assert_str_ne(tc_last_error(), "");
  }
  tc_tip_new tip = TC_TIP_NEW_INIT;
  ck_assert_int_eq(tc_tip_create(k.engine, &tip, NULL, NULL), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "roomId"));
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = -1;
  ck_assert_int_eq(tc_tip_create(k.engine, &tip, NULL, NULL), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "amount"));
  tip.amount = 1;
  tip.idempotency_key = "";
  ck_assert_int_eq(tc_tip_create(k.engine, &tip, NULL, NULL), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "Idempotency-Key"));
  tip.idempotency_key = NULL;
  ck_assert_int_eq(tc_tip_create(k.engine, &tip, NULL, NULL), TC_OK);
  ck_assert_str_eq(tc_last_error(), "");
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_int_eq(status.log_seq, 1);
  ck_assert_uint_eq(kit_answers_count(answers), 0);
  kit_answers_free(answers);
  kit_clean(&k);
}
END_TEST

START_TEST(thousands_in_flight_come_back_in_commit_order) {
  enum { N = 10000 };
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "a";
  tip.recipient_id = "b";
  tip.amount = 5;
  for (int i = 0; i < N; i++) ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK);
  ck_assert(kit_until_answers(answers, N));
  for (int i = 0; i < N; i++) {
    ck_assert_int_eq(answers->got[i].code, TC_OK);
    ck_assert_int_eq(answers->got[i].seq, i + 1);
    ck_assert_int_eq(answers->got[i].id, i + 1);
  }
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_uint_lt(status.commits, N); /* group commit */
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

START_TEST(shutdown_refuses_what_is_new_and_commits_what_was_accepted) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  atomic_store(&kit_fault.hold, 1);
  for (int i = 0; i < 100; i++) kit_submit(&k, answers, NULL);
  tc_shutdown(k.engine);
  ck_assert_int_eq(kit_try_tip(&k, "r", 5, NULL, NULL, NULL), TC_ECLOSED);
  tc_event *event = NULL;
  ck_assert_int_eq(tc_tip_get(k.engine, 1, &event), TC_ECLOSED);
  atomic_store(&kit_fault.hold, 0);
  kit_close(&k);
  ck_assert_uint_eq(answers->n, 100);
  for (int i = 0; i < 100; i++) ck_assert_int_eq(answers->got[i].code, TC_OK);
  if (_i) {
    k.options.storage_ops = NULL;
    kit_open(&k);
    ck_assert_int_eq(kit_tip(&k, "r", "a", 1, NULL), 101);
  }
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

static atomic_int inside_create, inside_close, inside_submit;

static void call_back_in(const tc_result *result, void *userdata) {
  kit *k = userdata;
  ck_assert_int_eq(result->code, TC_OK);
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "a";
  tip.recipient_id = "b";
  tip.amount = 5;
  if (atomic_load(&inside_create) == 0) {
    atomic_store(&inside_submit, tc_tip_submit(k->engine, &tip, call_back_in, k) == TC_OK ? 1 : -1);
    atomic_store(&inside_close, tc_close(k->engine));
    atomic_store(&inside_create, tc_tip_create(k->engine, &tip, NULL, NULL));
  }
}

static int was_inside(void *unused) {
  (void)unused;
  return atomic_load(&inside_create) != 0;
}

START_TEST(a_done_callback_may_submit_but_not_wait_for_itself) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "a";
  tip.recipient_id = "b";
  tip.amount = 5;
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, call_back_in, &k), TC_OK);
  ck_assert(kit_until(was_inside, NULL));
  ck_assert_int_eq(atomic_load(&inside_create), TC_EINVAL);
  ck_assert_int_eq(atomic_load(&inside_close), TC_EINVAL);
  ck_assert_int_eq(atomic_load(&inside_submit), 1);
  kit_clean(&k);
}
END_TEST

START_TEST(two_engines_share_nothing) {
  kit a, b;
  kit_init(&a, _i);
  kit_init(&b, _i);
  kit_open(&a);
  kit_open(&b);
  ck_assert_int_eq(kit_tip(&a, "r", "x", 1, "k"), 1);
  ck_assert_int_eq(kit_tip(&b, "r", "x", 2, "k"), 1);
  ck_assert_int_eq(kit_tip(&a, "r", "x", 3, NULL), 2);
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  ck_assert_int_eq(tc_tip_list(b.engine, &query, &page), TC_OK);
  ck_assert_int_eq(tc_page_total(page), 1);
  tc_page_free(page);
  kit_clean(&a);
  kit_clean(&b);
}
END_TEST

static int64_t created_at(kit *k) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  tc_event *event = NULL;
  int64_t us = 0;
  ck_assert_int_eq(tc_tip_create(k->engine, &tip, &event, NULL), TC_OK);
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_CREATED_AT_US, &us), TC_OK);
  tc_event_unref(event);
  return us;
}

START_TEST(a_clock_that_steps_back_a_little_is_held) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  int64_t t = created_at(&k);
  kit_clock_set(t - 9000000);
  ck_assert_int_eq(created_at(&k), t);
  kit_clock_set(t + 5);
  ck_assert_int_eq(created_at(&k), t + 5);
  if (_i) { /* across a restart too */
    kit_close(&k);
    kit_clock_set(t - 5000000);
    kit_open(&k);
    ck_assert_int_eq(created_at(&k), t + 5);
  }
  kit_clock_set(t - 3600000000);
  ck_assert_int_eq(created_at(&k), t - 3600000000); /* a large step is followed */
  /* Lists go by time, so the newest seq is last now, whether it is indexed or not. */
  for (int indexed = 0; indexed < 2; indexed++) {
    tc_tip_query query = TC_TIP_QUERY_INIT;
    tc_page *page = NULL;
    ck_assert_int_eq(tc_tip_list(k.engine, &query, &page), TC_OK);
    size_t n = tc_page_count(page);
    ck_assert_int_eq(tc_event_seq(tc_page_at(page, n - 1)), (int64_t)n);
    ck_assert_int_eq(tc_event_seq(tc_page_at(page, 0)), (int64_t)n - 1);
    tc_page_free(page);
    ck_assert(kit_until_indexed(&k));
  }
  kit_clean(&k);
}
END_TEST

START_TEST(wrong_options_are_named) {
  tc_engine *engine = NULL;
  tc_options o = TC_OPTIONS_INIT;
  ck_assert_int_eq(tc_open(&engine, &o), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "storage_url"));
  o.storage_url = "carrier-pigeon:nest";
  ck_assert_int_eq(tc_open(&engine, &o), TC_ENOTSUP);
  o.storage_url = "memory:";
  o.flags = 0x8000;
  ck_assert_int_eq(tc_open(&engine, &o), TC_EINVAL);
  o.flags = 0;
  o.size = 4;
  ck_assert_int_eq(tc_open(&engine, &o), TC_EINVAL);
  ck_assert_int_eq(tc_open(NULL, &o), TC_EINVAL);
  ck_assert_int_eq(tc_open(&engine, NULL), TC_EINVAL);
  /* A newer caller's longer struct: fine while the tail is zero. */
  struct {
    tc_options known;
    uint64_t later;
  } longer = {.known = TC_OPTIONS_INIT};
  longer.known.size = sizeof longer;
  longer.known.storage_url = "memory:";
  longer.later = 1;
  ck_assert_int_eq(tc_open(&engine, &longer.known), TC_EVERSION);
  ck_assert_ptr_null(engine);
  longer.later = 0;
  ck_assert_int_eq(tc_open(&engine, &longer.known), TC_OK);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  ck_assert_int_eq(tc_close(NULL), TC_OK);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("engine");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, a_tip_is_taken_kept_and_found, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, kinds_number_their_ids_apart_and_share_seq, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, thousands_in_flight_come_back_in_commit_order, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, shutdown_refuses_what_is_new_and_commits_what_was_accepted, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_done_callback_may_submit_but_not_wait_for_itself, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, two_engines_share_nothing, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_clock_that_steps_back_a_little_is_held, 0, KIT_BACKENDS);
  tcase_add_test(tc, bad_input_names_its_field_and_stores_nothing);
  tcase_add_test(tc, wrong_options_are_named);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
