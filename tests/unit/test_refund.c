/* Refunds: the limit, whoever asks and however many at once, over restarts and unknown outcomes. */
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"

static kit k;

static void set_up_memory(void) { kit_init(&k, 0); }
static void set_up_sqlite(void) { kit_init(&k, 1); }
static void tear_down(void) { kit_clean(&k); }

/* The code; *amount: of the refund. */
static int refund(int64_t tip, int64_t amount, const char *key, int64_t *gives, int32_t *replayed) {
  tc_refund_new wanted = TC_REFUND_NEW_INIT;
  tc_event *event = NULL;
  wanted.tip_id = tip;
  wanted.amount = amount;
  wanted.reason = "late";
  wanted.idempotency_key = key;
  int rc = tc_tip_refund(k.engine, &wanted, &event, replayed);
  if (!rc && gives) ck_assert_int_eq(tc_event_int(event, TC_FIELD_AMOUNT, gives), TC_OK);
  tc_event_unref(event);
  return rc;
}

static int64_t refunded_of(int64_t tip) {
  tc_event *event = NULL;
  int64_t amount = -1;
  ck_assert_int_eq(tc_tip_get(k.engine, tip, &event), TC_OK);
  ck_assert_msg(!tc_tip_refunded(k.engine, event, &amount), "%s", tc_last_error());
  tc_event_unref(event);
  return amount;
}

START_TEST(up_to_the_amount) {
  int64_t amount = 0;
  kit_open(&k);
  int64_t tip = kit_tip(&k, "r", "alice", 1000, NULL);
  ck_assert_int_eq(refunded_of(tip), 0);
  ck_assert_int_eq(refund(tip + 1, 1, NULL, NULL, NULL), TC_ENOTFOUND);
  ck_assert_int_eq(refund(tip, -1, NULL, NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(refund(tip, 1001, NULL, NULL, NULL), TC_ELIMIT);
  ck_assert_str_eq(tc_last_error(), "amount: 10.01 is more than the 10.00 that is left");
  ck_assert_int_eq(refund(tip, 300, NULL, &amount, NULL), TC_OK);
  ck_assert_int_eq(amount, 300);
  ck_assert_int_eq(refunded_of(tip), 300);
  ck_assert_int_eq(refund(tip, 701, NULL, NULL, NULL), TC_ELIMIT);
  ck_assert_int_eq(refund(tip, 0, NULL, &amount, NULL), TC_OK);
  ck_assert_int_eq(amount, 700);
  ck_assert_int_eq(refund(tip, 0, NULL, NULL, NULL), TC_ECONFLICT);
  ck_assert_int_eq(refund(tip, 1, NULL, NULL, NULL), TC_ECONFLICT);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "nothing is left"));
  ck_assert_int_eq(refunded_of(tip), 1000);
}
END_TEST

START_TEST(how_it_reads) {
  static const char json[] = ",\"type\":\"tip.refunded\",\"tipId\":1,\"roomId\":\"r\",\"senderId\":\"alice\",\"recipientId\":\"bob\",\"amount\":2.50,"
                             "\"currency\":\"EUR\",\"reason\":null,\"createdAt\":\"";
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_refund_new wanted = TC_REFUND_NEW_INIT;
  tc_event *event = NULL;
  int64_t id = 0;
  kit_open(&k);
  tip.room_id = "r";
  tip.sender_id = "alice";
  tip.recipient_id = "bob";
  tip.amount = 250;
  tip.currency = "EUR";
  tip.metadata = "not the refund's";
  ck_assert_int_eq(tc_tip_create(k.engine, &tip, NULL, NULL), TC_OK);
  wanted.tip_id = 1;
  ck_assert_int_eq(tc_tip_refund(k.engine, &wanted, &event, NULL), TC_OK);
  ck_assert_msg(strstr(tc_event_json(event, NULL), json) != NULL, "%s", tc_event_json(event, NULL));
  ck_assert_uint_eq(tc_event_kind(event), TC_KIND_REFUND);
  ck_assert_int_eq(tc_event_id(event), 1);
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_TIP_ID, &id), TC_OK);
  ck_assert_int_eq(id, 1);
  ck_assert_str_eq(tc_event_str(event, TC_FIELD_TYPE), "tip.refunded");
  ck_assert_ptr_null(tc_event_str(event, TC_FIELD_METADATA));
  tc_event_unref(event);
}
END_TEST

START_TEST(keys_replay_also_when_nothing_is_left) {
  int32_t replayed = -1;
  int64_t amount = 0;
  kit_open(&k);
  int64_t tip = kit_tip(&k, "r", "alice", 1000, NULL), other = kit_tip(&k, "r", "alice", 1000, NULL);
  ck_assert_int_eq(refund(tip, 400, "part", NULL, NULL), TC_OK);
  ck_assert_int_eq(refund(tip, 0, "rest", NULL, NULL), TC_OK);
  for (int i = 0; i < 2; i++) { /* from the tail, then from the index */
    ck_assert_int_eq(refund(tip, 400, "part", &amount, &replayed), TC_OK);
    ck_assert(replayed && amount == 400);
    ck_assert_int_eq(refund(tip, 0, "rest", &amount, &replayed), TC_OK);
    ck_assert(replayed && amount == 600);
    ck_assert_int_eq(refund(tip, 600, "rest", NULL, NULL), TC_EMISMATCH); /* it was not named then */
    ck_assert_int_eq(refund(tip, 0, "part", NULL, NULL), TC_EMISMATCH);
    ck_assert_int_eq(refund(other, 400, "part", NULL, NULL), TC_EMISMATCH);
    ck_assert_int_eq(refund(tip, 0, "third", NULL, NULL), TC_ECONFLICT);
    ck_assert_int_eq(refunded_of(tip), 1000);
    ck_assert_int_eq(refunded_of(other), 0);
    if (!strcmp(k.url, "memory:")) break;
    kit_close(&k);
    kit_open(&k);
  }
}
END_TEST

static void submit(int64_t tip, int64_t amount, const char *key, kit_answers *answers) {
  tc_refund_new wanted = TC_REFUND_NEW_INIT;
  wanted.tip_id = tip;
  wanted.amount = amount;
  wanted.idempotency_key = key;
  ck_assert_msg(!tc_tip_refund_submit(k.engine, &wanted, kit_done, answers), "%s", tc_last_error());
}

static size_t count_code(kit_answers *answers, int code) {
  size_t n = 0;
  for (size_t i = 0; i < answers->n; i++) n += answers->got[i].code == code;
  return n;
}

/* All in one batch or in a few: the writer is held up until they have been asked for. */
START_TEST(many_at_once_compete_rightly) {
  kit_answers *answers = kit_answers_new();
  k.options.storage_ops = kit_faulty(!strcmp(k.url, "memory:") ? 0 : 1);
  kit_open(&k);
  int64_t tips[4];
  for (int i = 0; i < 4; i++) tips[i] = kit_tip(&k, "r", "alice", 1000, NULL);
  atomic_store(&kit_fault.hold, 1);
  kit_submit(&k, answers, NULL);
  for (int i = 0; i < 120; i++) submit(tips[i % 4], i % 3 ? 70 : 90, i % 5 ? NULL : "key", answers);
  submit(tips[0], 0, NULL, answers);
  atomic_store(&kit_fault.hold, 0);
  for (int64_t sum = 0; sum != 4;) {
    sum = 0;
    pthread_mutex_lock(&answers->mutex);
    size_t n = answers->n;
    pthread_mutex_unlock(&answers->mutex);
    if (n == 122) sum = 4;
  }
  int64_t left = 0;
  for (int i = 0; i < 4; i++) {
    int64_t amount = refunded_of(tips[i]);
    ck_assert_int_le(amount, 1000);
    if (i) ck_assert_int_gt(amount, 1000 - 70); /* a refund of 70 was refused only when it did not fit */
    left += 1000 - amount;
  }
  ck_assert_int_eq(refunded_of(tips[0]), 1000);
  ck_assert_uint_eq(count_code(answers, TC_OK) + count_code(answers, TC_ELIMIT) + count_code(answers, TC_ECONFLICT) + count_code(answers, TC_EMISMATCH), 122);
  kit_close(&k);
  kit_open(&k);
  if (strcmp(k.url, "memory:") != 0) {
    for (int i = 0; i < 4; i++) left -= 1000 - refunded_of(tips[i]);
    ck_assert_int_eq(left, 0);
  }
  kit_answers_free(answers);
}
END_TEST

/* A request that fails leaves no key, not even to its neighbour in the batch. */
START_TEST(a_failed_twin) {
  kit_answers *answers = kit_answers_new();
  k.options.storage_ops = kit_faulty(!strcmp(k.url, "memory:") ? 0 : 1);
  kit_open(&k);
  int64_t tip = kit_tip(&k, "r", "alice", 1000, NULL);
  atomic_store(&kit_fault.hold, 1);
  kit_submit(&k, answers, NULL);
  while (atomic_load(&kit_fault.append_calls) < 1) continue;
  submit(tip, 1001, "k", answers);
  submit(tip, 600, "k", answers);
  submit(tip, 600, "k", answers);
  atomic_store(&kit_fault.hold, 0);
  ck_assert(kit_until_answers(answers, 4));
  ck_assert_int_eq(answers->got[1].code, TC_ELIMIT);
  ck_assert_int_eq(answers->got[2].code, TC_OK);
  ck_assert_int_eq(answers->got[3].code, TC_OK);
  ck_assert(!answers->got[2].replayed && answers->got[3].replayed);
  ck_assert_int_eq(refunded_of(tip), 600);
  kit_answers_free(answers);
}
END_TEST

START_TEST(a_thousand_refunds) {
  kit_answers *answers = kit_answers_new();
  kit_open(&k);
  int64_t tip = kit_tip(&k, "r", "alice", 10000, NULL);
  ck_assert_int_eq(refund(tip, 1, "first", NULL, NULL), TC_OK);
  for (int i = 1; i < 1000; i++) submit(tip, 1, NULL, answers);
  ck_assert(kit_until_answers(answers, 999));
  ck_assert_uint_eq(count_code(answers, TC_OK), 999);
  for (int i = 0; i < 2; i++) {
    int32_t replayed = 0;
    ck_assert_int_eq(refund(tip, 1, NULL, NULL, NULL), TC_ELIMIT);
    ck_assert_str_eq(tc_last_error(), "tip 1: has 1000 refunds, and can have no more");
    ck_assert_int_eq(refund(tip, 1, "first", NULL, &replayed), TC_OK);
    ck_assert(replayed);
    ck_assert_int_eq(refunded_of(tip), 1000);
    if (!strcmp(k.url, "memory:")) break;
    kit_close(&k);
    kit_open(&k);
  }
  kit_answers_free(answers);
}
END_TEST

/* The reply to the commit is lost: what was stored counts, what was not does not. */
START_TEST(an_unknown_outcome_is_settled_first) {
  k.options.storage_ops = kit_faulty(1);
  kit_open(&k);
  int64_t tip = kit_tip(&k, "r", "alice", 1000, NULL);
  atomic_store(&kit_fault.unknown_stored, _i);
  atomic_store(&kit_fault.append_code, TC_EUNKNOWN);
  int rc = refund(tip, 600, NULL, NULL, NULL);
  atomic_store(&kit_fault.append_code, 0);
  ck_assert_int_eq(rc, _i ? TC_OK : TC_ESTORAGE);
  ck_assert_int_eq(refunded_of(tip), _i ? 600 : 0);
  ck_assert_int_eq(refund(tip, 600, NULL, NULL, NULL), _i ? TC_ELIMIT : TC_OK);
}
END_TEST

START_TEST(json_doors) {
  kit_answers *answers = kit_answers_new();
  kit_open(&k);
  int64_t tip = kit_tip(&k, "r", "alice", 1000, NULL);
  static const struct {
    const char *json, *error;
  } cases[] = {
    {"[]", "body: "},
    {"{\"amount\":0}", "amount: must be greater than 0"},
    {"{\"amount\":1.001}", "amount: must have"},
    {"{\"amount\":true}", "amount: must be a number"},
    {"{\"reason\":1}", "reason: must be a string"},
    {"{\"reason\":\"\\u0000\"}", "reason: must not contain"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert_int_eq(tc_tip_refund_json_submit(k.engine, tip, cases[i].json, strlen(cases[i].json), NULL, kit_done, answers), TC_EINVAL);
    ck_assert_msg(strstr(tc_last_error(), cases[i].error) != NULL, "%s", tc_last_error());
  }
  ck_assert_int_eq(tc_tip_refund_json_submit(k.engine, 99, NULL, 0, NULL, kit_done, answers), TC_ENOTFOUND);
  ck_assert_int_eq(tc_json_submit(k.engine, TC_KIND_REFUND, "{}", 2, NULL, kit_done, answers), TC_EINVAL);
  ck_assert_int_eq(tc_tip_refund_json_submit(k.engine, tip, "{\"amount\":\"1.50\",\"reason\":\"\\n\"}", 31, NULL, kit_done, answers), TC_OK);
  ck_assert_int_eq(tc_tip_refund_json_submit(k.engine, tip, NULL, 0, NULL, kit_done, answers), TC_OK);
  kit_close(&k);
  ck_assert_uint_eq(count_code(answers, TC_OK), 2);
  kit_answers_free(answers);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("refunds");
  for (int backend = 0; backend < KIT_BACKENDS; backend++) {
    TCase *all = tcase_create(backend ? "sqlite" : "memory");
    tcase_add_checked_fixture(all, backend ? set_up_sqlite : set_up_memory, tear_down);
    tcase_add_test(all, up_to_the_amount);
    tcase_add_test(all, how_it_reads);
    tcase_add_test(all, keys_replay_also_when_nothing_is_left);
    tcase_add_test(all, many_at_once_compete_rightly);
    tcase_add_test(all, a_failed_twin);
    tcase_add_test(all, a_thousand_refunds);
    tcase_add_test(all, json_doors);
    if (backend) tcase_add_loop_test(all, an_unknown_outcome_is_settled_first, 0, 2);
    suite_add_tcase(suite, all);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
