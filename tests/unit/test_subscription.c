/* Subscriptions: every event of the room once, in order, from now or from the past, however slow the reader. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine_kit.h"

static void many(kit *k, const char *room, int n) {
  kit_answers *answers = kit_answers_new();
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = room;
  tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  for (int i = 0; i < n; i++) ck_assert_int_eq(tc_tip_submit(k->engine, &tip, kit_done, answers), TC_OK);
  ck_assert(kit_until_answers(answers, (size_t)n));
  kit_answers_free(answers);
}

static int64_t next_seq(tc_sub *sub, int timeout_ms) {
  tc_event *event = NULL;
  int rc = tc_sub_next(sub, timeout_ms, &event);
  if (rc) return rc;
  int64_t seq = tc_event_seq(event);
  tc_event_unref(event);
  return seq;
}

START_TEST(pull_from_now) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  kit_tip(&k, "r", "a", 1, NULL);
  tc_sub *sub = NULL;
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, NULL, NULL, &sub), TC_OK);
  ck_assert_int_eq(tc_sub_seq(sub), 1);
  ck_assert_int_eq(next_seq(sub, 0), TC_ETIMEOUT);
  kit_tip(&k, "r", "a", 2, NULL);
  kit_tip(&k, "q", "a", 3, NULL);
  ck_assert_int_eq(next_seq(sub, -1), 2);
  ck_assert_int_eq(next_seq(sub, -1), 3);
  ck_assert_int_eq(tc_sub_seq(sub), 3);
  ck_assert_int_eq(next_seq(sub, 0), TC_ETIMEOUT);
  tc_sub_close(sub);
  kit_clean(&k);
}
END_TEST

START_TEST(from_a_seq_through_the_log_into_the_tail) {
  enum { N = 12000 };
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  many(&k, "r", N);
  ck_assert(kit_until_indexed(&k));
  tc_sub_options o = TC_SUB_OPTIONS_INIT;
  tc_sub *sub = NULL;
  o.flags = TC_SUB_AFTER_SEQ;
  o.after_seq = 10;
  ck_assert_int_eq(tc_subscribe(k.engine, &o, NULL, NULL, &sub), TC_OK);
  for (int64_t seq = 11; seq <= N; seq++) ck_assert_int_eq(next_seq(sub, 0), seq);
  ck_assert_int_eq(next_seq(sub, 0), TC_ETIMEOUT);
  /* Slow: the tail moves on while it reads, nothing is lost. */
  many(&k, "r", N);
  ck_assert(kit_until_indexed(&k));
  for (int64_t seq = N + 1; seq <= 2 * N; seq++) ck_assert_int_eq(next_seq(sub, 0), seq);
  tc_sub_close(sub);
  o.after_seq = 1000000; /* beyond the end: from now */
  ck_assert_int_eq(tc_subscribe(k.engine, &o, NULL, NULL, &sub), TC_OK);
  ck_assert_int_eq(next_seq(sub, 0), TC_ETIMEOUT);
  kit_tip(&k, "r", "a", 1, NULL);
  ck_assert_int_eq(next_seq(sub, -1), 2 * N + 1);
  tc_sub_close(sub);
  kit_clean(&k);
}
END_TEST

START_TEST(rooms_and_kinds_are_filtered) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  tc_sub_options o = TC_SUB_OPTIONS_INIT;
  tc_sub *room = NULL, *kind = NULL, *past = NULL;
  o.room_id = "b";
  ck_assert_int_eq(tc_subscribe(k.engine, &o, NULL, NULL, &room), TC_OK);
  o.room_id = NULL;
  o.kinds = 1u << TC_KIND_REACTION;
  ck_assert_int_eq(tc_subscribe(k.engine, &o, NULL, NULL, &kind), TC_OK);
  kit_tip(&k, "a", "x", 1, NULL);
  kit_tip(&k, "b", "x", 1, NULL);
  tc_reaction_new reaction = TC_REACTION_NEW_INIT;
  reaction.room_id = reaction.user_id = reaction.emoji = "b";
  ck_assert_int_eq(tc_reaction_create(k.engine, &reaction, NULL, NULL), TC_OK);
  ck_assert_int_eq(next_seq(room, -1), 2);
  ck_assert_int_eq(next_seq(room, -1), 3);
  ck_assert_int_eq(next_seq(room, 0), TC_ETIMEOUT);
  ck_assert_int_eq(next_seq(kind, -1), 3);
  many(&k, "c", 9000);
  ck_assert(kit_until_indexed(&k));
  o.room_id = "b";
  o.flags = TC_SUB_AFTER_SEQ;
  ck_assert_int_eq(tc_subscribe(k.engine, &o, NULL, NULL, &past), TC_OK);
  ck_assert_int_eq(next_seq(past, 0), 3);
  ck_assert_int_eq(next_seq(past, 0), TC_ETIMEOUT);
  ck_assert_int_eq(tc_sub_seq(past), 9003);
  tc_sub_close(room);
  tc_sub_close(kind);
  tc_sub_close(past);
  kit_clean(&k);
}
END_TEST

static int readable(tc_sub *sub, int timeout_ms) {
  struct pollfd p = {.fd = tc_sub_fd(sub), .events = POLLIN};
  return poll(&p, 1, timeout_ms);
}

START_TEST(the_fd_tells_when_to_pull) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  tc_sub *sub = NULL;
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, NULL, NULL, &sub), TC_OK);
  ck_assert_int_eq(next_seq(sub, 0), TC_ETIMEOUT);
  ck_assert_int_eq(readable(sub, 0), 0);
  for (int round = 1; round <= 3; round++) {
    kit_tip(&k, "r", "a", 1, NULL);
    ck_assert_int_eq(readable(sub, 10000), 1);
    ck_assert_int_eq(next_seq(sub, 0), round);
    ck_assert_int_eq(next_seq(sub, 0), TC_ETIMEOUT);
    ck_assert_int_eq(readable(sub, 0), 0);
  }
  tc_shutdown(k.engine);
  kit_turn();
  ck_assert_int_eq(readable(sub, 10000), 1);
  ck_assert_int_eq(next_seq(sub, -1), TC_ECLOSED);
  ck_assert_int_eq(readable(sub, 0), 1);
  kit_close(&k);
  ck_assert_int_eq(next_seq(sub, -1), TC_ECLOSED); /* the handle outlives the engine until it is closed */
  tc_sub_close(sub);
  kit_clean(&k);
}
END_TEST

typedef struct follower {
  kit *k;
  tc_sub *sub;
  _Atomic int64_t last, count;
  atomic_int bad, close_at, closed_engine;
} follower;

static void follow(const tc_event *event, void *userdata) {
  follower *f = userdata;
  int64_t seq = tc_event_seq(event);
  if (seq != atomic_load(&f->last) + 1) atomic_store(&f->bad, 1);
  atomic_store(&f->last, seq);
  int64_t count = atomic_fetch_add(&f->count, 1) + 1;
  if (atomic_load(&f->close_at) == count) {
    atomic_store(&f->closed_engine, tc_close(f->k->engine));
    tc_sub_close(f->sub);
  }
}

static int saw_all(void *arg) { return atomic_load(&((follower *)arg)->count) >= 5000; }

START_TEST(callbacks_see_all_in_order_and_stop_when_closed) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  follower f = {.k = &k};
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, follow, &f, &f.sub), TC_OK);
  ck_assert_int_eq(tc_sub_fd(f.sub), -1);
  tc_event *event = NULL;
  ck_assert_int_eq(tc_sub_next(f.sub, 0, &event), TC_EINVAL);
  many(&k, "r", 5000);
  ck_assert(kit_until(saw_all, &f));
  tc_sub_close(f.sub);
  int64_t count = atomic_load(&f.count);
  many(&k, "r", 100);
  ck_assert_int_eq(atomic_load(&f.count), count);
  ck_assert_int_eq(atomic_load(&f.bad), 0);
  kit_clean(&k);
}
END_TEST

static int saw_close(void *arg) { return atomic_load(&((follower *)arg)->count) >= 10; }

START_TEST(a_callback_may_close_itself_but_not_the_engine) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  follower f = {.k = &k};
  atomic_store(&f.close_at, 10);
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, follow, &f, &f.sub), TC_OK);
  many(&k, "r", 100);
  ck_assert(kit_until(saw_close, &f));
  many(&k, "r", 100);
  kit_close(&k);
  ck_assert_int_eq(atomic_load(&f.count), 10);
  ck_assert_int_eq(atomic_load(&f.closed_engine), TC_EINVAL);
  kit_clean(&k);
}
END_TEST

START_TEST(close_delivers_what_was_committed) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  follower f = {.k = &k};
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, follow, &f, &f.sub), TC_OK);
  many(&k, "r", 3000);
  kit_close(&k);
  ck_assert_int_eq(atomic_load(&f.count), 3000);
  tc_sub_close(f.sub);
  kit_clean(&k);
}
END_TEST

static void *churn(void *arg) {
  kit *k = arg;
  for (int i = 0; i < 200; i++) {
    follower f = {.k = k};
    tc_sub_options o = TC_SUB_OPTIONS_INIT;
    o.flags = TC_SUB_AFTER_SEQ;
    if (tc_subscribe(k->engine, &o, follow, &f, &f.sub)) return (void *)1;
    tc_sub_close(f.sub); /* f leaves the stack: no callback may run any more */
    if (atomic_load(&f.bad)) return (void *)1;
  }
  return NULL;
}

START_TEST(joining_and_leaving_does_not_stop_the_others) {
  kit k;
  kit_init(&k, _i);
  kit_open(&k);
  follower f = {.k = &k};
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, follow, &f, &f.sub), TC_OK);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, &k), 0);
  many(&k, "r", 5000);
  for (int i = 0; i < 3; i++) {
    void *result = NULL;
    ck_assert_int_eq(pthread_join(threads[i], &result), 0);
    ck_assert_ptr_null(result);
  }
  ck_assert(kit_until(saw_all, &f));
  ck_assert_int_eq(atomic_load(&f.bad), 0);
  tc_sub_close(f.sub);
  kit_clean(&k);
}
END_TEST

START_TEST(there_is_a_limit) {
  kit k;
  kit_init(&k, 0);
  kit_open(&k);
  tc_sub **subs = calloc(1025, sizeof *subs);
  ck_assert_ptr_nonnull(subs);
  int n = 0, rc;
  for (; (rc = tc_subscribe(k.engine, NULL, follow, NULL, &subs[n])) == TC_OK; n++) continue;
  ck_assert_int_eq(n, 1024);
  ck_assert_int_eq(rc, TC_ELIMIT);
  for (int i = 0; i < n; i++) tc_sub_close(subs[i]);
  free(subs);
  tc_sub_close(NULL);
  kit_clean(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("subscription");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, pull_from_now, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, from_a_seq_through_the_log_into_the_tail, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, rooms_and_kinds_are_filtered, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, the_fd_tells_when_to_pull, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, callbacks_see_all_in_order_and_stop_when_closed, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_callback_may_close_itself_but_not_the_engine, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, close_delivers_what_was_committed, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, joining_and_leaving_does_not_stop_the_others, 0, KIT_BACKENDS);
  tcase_add_test(tc, there_is_a_limit);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
