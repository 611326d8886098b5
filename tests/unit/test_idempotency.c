/* Idempotency keys: one event a key, whatever races, restarts, clocks and mistakes there are. */
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"

START_TEST(the_same_request_again_gives_the_first_event) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  int64_t first = 0, again = 0;
  int32_t replayed = -1;
  ck_assert_int_eq(kit_try_tip(&k, "r", 100, "k", &first, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 0);
  ck_assert_int_eq(kit_try_tip(&k, "r", 100, "k", &again, &replayed), TC_OK); /* from the tail */
  ck_assert_int_eq(replayed, 1);
  ck_assert_int_eq(again, first);
  /* Push it out of the tail: from the index. */
  kit_answers *answers = kit_answers_new();
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  for (int i = 0; i < 6000; i++) ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK);
  ck_assert(kit_until_answers(answers, 6000));
  ck_assert(kit_until_indexed(&k));
  ck_assert_int_eq(kit_try_tip(&k, "r", 100, "k", &again, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 1);
  ck_assert_int_eq(again, first);
  if (_i) {
    kit_close(&k);
    kit_open(&k);
    ck_assert_int_eq(kit_try_tip(&k, "r", 100, "k", &again, &replayed), TC_OK);
    ck_assert_int_eq(replayed, 1);
    ck_assert_int_eq(again, first);
  }
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

START_TEST(another_request_is_a_mismatch_and_stores_nothing) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  ck_assert_int_eq(kit_try_tip(&k, "r", 100, "k", NULL, NULL), TC_OK);
  for (int indexed = 0; indexed < 2; indexed++) {
    ck_assert_int_eq(kit_try_tip(&k, "r", 200, "k", NULL, NULL), TC_EMISMATCH);
    ck_assert_ptr_nonnull(strstr(tc_last_error(), "Idempotency-Key"));
    ck_assert_int_eq(kit_try_tip(&k, "other", 100, "k", NULL, NULL), TC_EMISMATCH);
    ck_assert(kit_until_indexed(&k));
  }
  ck_assert_int_eq(kit_tip(&k, "r", "a", 1, NULL), 2);
  kit_clean(&k);
}
END_TEST

START_TEST(with_mismatch_replay_the_first_event_answers_all) {
  kit k;
  kit_init(&k, _i);
  k.options.flags = TC_MISMATCH_REPLAY;
  kit_open(&k);
  int64_t id = 0;
  int32_t replayed = -1;
  ck_assert_int_eq(kit_try_tip(&k, "r", 100, "k", NULL, NULL), TC_OK);
  ck_assert_int_eq(kit_try_tip(&k, "r", 200, "k", &id, &replayed), TC_OK);
  ck_assert_int_eq(id, 1);
  ck_assert_int_eq(replayed, 1);
  kit_clean(&k);
}
END_TEST

START_TEST(the_validated_record_counts_not_the_bytes) {
  static const char *const same[] = {"{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":100}",
                                     "{ \"amount\":\"1e2\", \"recipientId\":\"b\",\"senderId\":\"\\u0061\",\"roomId\":\"r\",\"message\":null,\"x\":1 }"};
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  for (size_t i = 0; i < 2; i++) ck_assert_int_eq(tc_json_submit(k.engine, TC_KIND_TIP, same[i], strlen(same[i]), "k", kit_done, answers), TC_OK);
  ck_assert(kit_until_answers(answers, 2));
  ck_assert_int_eq(answers->got[0].code, TC_OK);
  ck_assert_int_eq(answers->got[1].code, TC_OK);
  ck_assert_int_eq(answers->got[1].replayed, 1);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

START_TEST(twins_in_one_commit_are_one_event) {
  kit k;
  kit_init(&k, _i);
  k.options.storage_ops = kit_faulty(_i);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  atomic_store(&kit_fault.hold, 1);
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK); /* holds the writer, what follows is one batch */
  tip.idempotency_key = "k";
  for (int i = 0; i < 20; i++) ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK);
  tip.amount = 2;
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, kit_done, answers), TC_OK);
  atomic_store(&kit_fault.hold, 0);
  ck_assert(kit_until_answers(answers, 22));
  ck_assert_int_eq(answers->got[1].replayed, 0);
  for (int i = 1; i <= 20; i++) {
    ck_assert_int_eq(answers->got[i].code, TC_OK);
    ck_assert_int_eq(answers->got[i].id, 2);
    ck_assert_int_eq(answers->got[i].replayed, i > 1);
  }
  ck_assert_int_eq(answers->got[21].code, TC_EMISMATCH);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

static void *racer(void *arg) {
  kit *k = arg;
  int64_t id = 0;
  int32_t replayed = -1;
  int rc = kit_try_tip(k, "r", 7, "raced", &id, &replayed);
  return (void *)(intptr_t)(rc == TC_OK && id == 1 ? replayed + 1 : -1);
}

START_TEST(twenty_at_once_make_one) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  pthread_t threads[20];
  int created = 0, replays = 0;
  for (int i = 0; i < 20; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, racer, &k), 0);
  for (int i = 0; i < 20; i++) {
    void *result = NULL;
    ck_assert_int_eq(pthread_join(threads[i], &result), 0);
    created += (intptr_t)result == 1;
    replays += (intptr_t)result == 2;
  }
  ck_assert_int_eq(created, 1);
  ck_assert_int_eq(replays, 19);
  kit_clean(&k);
}
END_TEST

START_TEST(a_key_belongs_to_one_kind) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, "k", NULL, NULL), TC_OK);
  tc_reaction_new reaction = TC_REACTION_NEW_INIT;
  reaction.room_id = reaction.user_id = reaction.emoji = "x";
  reaction.idempotency_key = "k";
  int32_t replayed = -1;
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(tc_reaction_create(k.engine, &reaction, NULL, &replayed), TC_OK);
    ck_assert_int_eq(replayed, i);
  }
  kit_clean(&k);
}
END_TEST

START_TEST(expired_is_expired_on_read) {
  kit k;
  kit_init(&k, _i);
  k.options.idempotency_ttl_s = 60;
  kit_open(&k);
  int64_t id = 0;
  int32_t replayed = -1;
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, "k", &id, NULL), TC_OK);
  kit_clock_add(59999999);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, "k", &id, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 1);
  ck_assert(kit_until_indexed(&k));
  kit_clock_add(1);
  ck_assert_int_eq(kit_try_tip(&k, "r", 2, "k", &id, &replayed), TC_OK); /* even another request */
  ck_assert_int_eq(replayed, 0);
  ck_assert_int_eq(id, 2);
  ck_assert(kit_until_indexed(&k));
  kit_clock_add(1000000);
  ck_assert_int_eq(kit_try_tip(&k, "r", 2, "k", &id, &replayed), TC_OK); /* and the new one counts from then */
  ck_assert_int_eq(replayed, 1);
  ck_assert_int_eq(id, 2);
  kit_clean(&k);
}
END_TEST

START_TEST(keys_have_limits) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  char key[255 * 2 + 3];
  size_t len = 0;
  for (int i = 0; i < 255; i++) {
    key[len++] = (char)0xC3;
    key[len++] = (char)0xA9;
  }
  key[len] = '\0';
  int32_t replayed = -1;
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, key, NULL, NULL), TC_OK);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, key, NULL, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 1);
  memcpy(key + len, "x", 2);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, key, NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, "a\nb", NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(kit_try_tip(&k, "r", 1, "\xff", NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(kit_tip(&k, "r", "a", 1, NULL), 2);
  kit_clean(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("idempotency");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, the_same_request_again_gives_the_first_event, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, another_request_is_a_mismatch_and_stores_nothing, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, with_mismatch_replay_the_first_event_answers_all, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, the_validated_record_counts_not_the_bytes, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, twins_in_one_commit_are_one_event, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, twenty_at_once_make_one, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_key_belongs_to_one_kind, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, expired_is_expired_on_read, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, keys_have_limits, 0, KIT_BACKENDS);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
