/* What is said beside the log: who is told, how often, what the first word is, and where it stands among events. Sinks that copy, and the front's own thread to act on. */
#include <stdio.h>
#include <string.h>

#include "server/live/boards.h"
#include "watch_kit.h"

/* ---- A watch whose state is the test's. */

static _Atomic int looks, state, answer, ends_at_once;
static _Atomic int64_t counted_seq; /* what the statistics had counted at the latest look */

static int look(tc_engine *of, tc_text room, int64_t now_us, tcd_saying *saying) {
  char json[64];
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(of, &status), TC_OK);
  atomic_store(&counted_seq, status.stats_seq);
  atomic_fetch_add(&looks, 1);
  int len = snprintf(json, sizeof json, "%.*s%d", (int)room.len, room.ptr, atomic_load(&state));
  tcd_saying_put(saying, 0, (tc_text){json, (size_t)len});
  tcd_saying_put(saying, 7, (tc_text){"same", 4});
  if (atomic_load(&ends_at_once)) tcd_saying_until(saying, now_us);
  return atomic_load(&answer);
}

static const tcd_watch boards = {TCD_TOPIC_BOARDS, UINT64_C(1) << TC_KIND_TIP, 1, 1, "t", look};
static const tcd_watch events = {TCD_TOPIC_EVENTS, UINT64_C(1) << TC_KIND_TIP, 0, 0, "t", look};

/* Events made one after the other at once, and all time gone before the statistics, which have real time, have looked at them. */
START_TEST(a_look_that_came_too_early_is_made_again) {
  static ear a;
  int early = 0;
  watch_begin(&boards);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "a0!;"));
  for (int i = 1; i <= 20 && !early; i++) {
    int before = atomic_load(&looks);
    atomic_store(&state, i);
    int64_t seq = tip("a");
    FRONT_WAIT(passed_on() >= seq);
    settle();
    front_advance(2500);
    FRONT_WAIT(atomic_load(&looks) > before);
    early = atomic_load(&counted_seq) < seq;
    atomic_store(&state, 100 + i);
    FRONT_WAIT(counted() >= seq);
  }
  ck_assert_msg(early, "statistics are never behind");
  PASSES(has(&a, "a10") || has(&a, "a11") || has(&a, "a12"));
  watch_end();
}
END_TEST

START_TEST(statistics_are_waited_for) {
  static ear a;
  watch_begin(&boards);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "a0!;"));
  for (int i = 1; i <= 5; i++) {
    pass_ms(1200);
    int before = atomic_load(&looks);
    int64_t seq = tip("a");
    FRONT_WAIT(passed_on() >= seq);
    front_advance(300);
    FRONT_WAIT(counted() >= seq);
    settle();
    front_advance(200);
    FRONT_WAIT(atomic_load(&looks) > before);
    ck_assert_int_ge(atomic_load(&counted_seq), seq);
  }
  watch_end();
}
END_TEST

START_TEST(said_as_it_changes) {
  static ear a, b;
  watch_begin(&boards);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "a0!;same!;")); /* at once: the clock stands still */
  (void)heard(&a);
  listen_to(&b, "/topic/leaderboards/b", -1);
  FRONT_WAIT(has(&b, "b0!;same!;"));
  (void)heard(&b);
  atomic_store(&state, 1);
  int64_t seq = tip("a");
  FRONT_WAIT(counted() >= seq);
  PASSES(has(&a, "a1!;"));
  ck_assert_str_eq(heard(&a), "a1!;"); /* and not what is the same */
  (void)tip("a");                      /* it changes nothing */
  pass_ms(3000);
  ck_assert_int_eq(atomic_load(&looks), 4);
  ck_assert_str_eq(heard(&a), "");
  ck_assert_str_eq(heard(&b), "");
  watch_end();
}
END_TEST

START_TEST(no_more_than_once_a_second) {
  static ear a;
  watch_begin(&boards);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "a0!;"));
  for (int i = 1; i <= 60; i++) { /* three seconds */
    atomic_store(&state, i);
    (void)tip("a");
    pass_ms(50);
  }
  PASSES(has(&a, "a60!;"));
  int said = 0;
  for (const char *at = heard(&a); (at = strstr(at, "a")) != NULL; at++) said++;
  ck_assert_int_ge(said, 3); /* the first, and others meanwhile */
  ck_assert_int_le(said, 1 + 4);
  pass_ms(2000);
  ck_assert_str_eq(heard(&a), "");
  watch_end();
}
END_TEST

START_TEST(nobody_follows_nothing_is_done) {
  static ear a;
  watch_begin(&boards);
  for (int i = 0; i < 10; i++) (void)tip("a");
  pass_ms(1500);
  ck_assert_int_eq(atomic_load(&looks), 0);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "a0!;"));
  (void)tip("b");
  leave(&a);
  (void)tip("a");
  pass_ms(1500);
  ck_assert_int_eq(atomic_load(&looks), 1);
  /* What happened meanwhile is in the first word of the next. */
  atomic_store(&state, 5);
  (void)tip("a");
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "same!;"));
  ck_assert_str_eq(heard(&a), "a5!;same!;");
  watch_end();
}
END_TEST

START_TEST(newcomers_are_told_and_nobody_else) {
  static ear a, b, all;
  watch_begin(&boards);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "same!;"));
  (void)heard(&a);
  atomic_store(&state, 1); /* no event said so: he is told what the others were */
  listen_to(&b, "/topic/leaderboards/a", -1);
  ck_assert_str_eq(heard(&b), "a0!;same!;");
  settle();
  ck_assert_str_eq(heard(&a), "");
  listen_to(&all, "/topic/leaderboards", -1);
  FRONT_WAIT(has(&all, "1!;same!;"));
  (void)heard(&all);
  atomic_store(&state, 2);
  (void)tip("elsewhere");
  PASSES(has(&all, "2!;"));
  ck_assert_str_eq(heard(&all), "2!;");
  ck_assert_str_eq(heard(&a), "");
  watch_end();
}
END_TEST

START_TEST(one_who_does_not_read_is_told_later) {
  static ear a, b;
  watch_begin(&boards);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "same!;"));
  (void)heard(&a);
  joining j = {&b, "/topic/leaderboards/a", -1, TC_OK};
  ear_init(&b);
  b.waits = 1 << 20;
  on_front(join_now, &j);
  settle();
  ck_assert_str_eq(heard(&b), "");
  PASSES(has(&b, "a0!;same!;")); /* by way of the channel, and so by its limits */
  watch_end();
}
END_TEST

static void say_now(void *arg) {
  tcd_notice notice = {.what = TCD_TOPIC_EVENTS, .room = {"a", 1}, .type = {"t", 1}, .json = {arg, strlen(arg)}};
  tcd_hub_say(hub, &notice);
}

START_TEST(said_to_rooms_patterns_and_everything) {
  static ear room, other, pattern, all, tips;
  watch_begin(&events);
  listen_to(&pattern, "/topic/events/*", -1);
  (void)tip("a");
  PASSES(has(&pattern, "a0!;same!;")); /* a pattern's follower makes rooms due */
  (void)heard(&pattern);
  listen_to(&room, "/topic/events/a", -1);
  listen_to(&other, "/topic/events/b", -1);
  listen_to(&all, "/topic/**", -1);
  listen_to(&tips, "/topic/rooms/a", -1);
  on_front(say_now, (void *)(uintptr_t) "x");
  FRONT_WAIT(has(&all, "x!;"));
  settle();
  ck_assert_str_eq(heard(&room), "x!;"); /* and no greeting, which this watch does not have */
  ck_assert_str_eq(heard(&pattern), "x!;");
  ck_assert_str_eq(heard(&all), "x!;");
  ck_assert_str_eq(heard(&other), "");
  ck_assert_str_eq(heard(&tips), "");
  watch_end();
}
END_TEST

/* All in one go, while the hub has not passed on the events yet. */
static ear ahead;
static int64_t ahead_seq;
static void join_ahead(void *arg) {
  joining j = {&ahead, "/topic/events/a", 0, TC_OK};
  (void)arg;
  for (int i = 0; i < 3; i++) ahead_seq = follow_event("a");
  j.after = ahead_seq; /* he has had them all, from another node perhaps */
  join_now(&j);
  say_now((void *)(uintptr_t) "old");
}

START_TEST(what_was_had_is_passed_over_and_notices_are_not) {
  char expected[128];
  watch_begin(NULL);
  ear_init(&ahead);
  (void)follow_event("a");
  FRONT_WAIT(passed_on() == 1);
  on_front(join_ahead, NULL);
  FRONT_WAIT(passed_on() == ahead_seq);
  on_front(say_now, (void *)(uintptr_t) "new");
  FRONT_WAIT(has(&ahead, "new!;"));
  int64_t seq = follow_event("a");
  (void)snprintf(expected, sizeof expected, "new!;%lld;", (long long)seq);
  FRONT_WAIT(has(&ahead, expected));
  (void)snprintf(expected, sizeof expected, ";%lld;", (long long)ahead_seq);
  ck_assert(!has(&ahead, expected));
  watch_end();
}
END_TEST

static void block(void *arg) { ((ear *)arg)->sink.blocked = 1; }

START_TEST(a_slow_one_resumes_without_a_double) {
  static ear a;
  char first[32];
  stuffing = 3000;
  hub_options.max_lag_bytes = 64 << 10;
  watch_begin(NULL);
  listen_to(&a, "/topic/events/a", -1);
  int64_t seq = follow_event("a");
  (void)snprintf(first, sizeof first, "%lld ", (long long)seq);
  FRONT_WAIT(has(&a, first));
  on_front(block, &a);
  on_front(say_now, (void *)(uintptr_t) "x"); /* the first that he has not had is no event */
  for (int i = 0; i < 80; i++) (void)follow_event("a");
  FRONT_WAIT(passed_on() == seq + 80);
  settle();
  pthread_mutex_lock(&a.lock);
  ck_assert_int_eq(a.cut, TCD_CUT_SLOW);
  ck_assert_int_eq(a.resume_seq, seq);
  pthread_mutex_unlock(&a.lock);
  watch_end();
}
END_TEST

START_TEST(a_failed_look_is_tried_again) {
  static ear a;
  watch_begin(&boards);
  atomic_store(&answer, TC_EBUSY);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(atomic_load(&looks) == 1);
  pass_ms(700);
  ck_assert_int_eq(atomic_load(&looks), 1);
  PASSES(atomic_load(&looks) == 3);
  ck_assert_str_eq(heard(&a), "");
  atomic_store(&answer, TC_OK);
  PASSES(has(&a, "a0!;same!;"));
  atomic_store(&answer, TC_ENOTSUP);
  int before = atomic_load(&looks);
  (void)tip("a");
  PASSES(atomic_load(&looks) == before + 1);
  pass_ms(3000);
  ck_assert_int_eq(atomic_load(&looks), before + 1);
  watch_end();
}
END_TEST

START_TEST(some_things_change_by_themselves) {
  static ear a;
  watch_begin(&boards);
  atomic_store(&ends_at_once, 1);
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "a0!;"));
  atomic_store(&state, 1);
  PASSES(has(&a, "a1!;"));
  int before = atomic_load(&looks);
  pass_ms(3000);
  ck_assert_int_ge(atomic_load(&looks), before + 2);
  ck_assert_int_le(atomic_load(&looks), before + 4); /* however soon it ends again */
  watch_end();
}
END_TEST

static void leave_and_come(void *arg) {
  joining j = {arg, "/topic/leaderboards/a", -1, TC_OK};
  tcd_sink_leave(&j.who->sink);
  j.who->sink.muted = 0;
  join_now(&j);
}

START_TEST(closed_while_looking_and_coming_and_going) {
  static ear a, b;
  watch_begin(&boards);
  listen_to(&a, "/topic/leaderboards/a", -1);
  listen_to(&b, "/topic/leaderboards", -1);
  for (int i = 0; i < 200; i++) {
    atomic_store(&state, i);
    (void)tip("a");
    on_front(leave_and_come, &a);
    front_advance(300);
  }
  watch_end();
}
END_TEST

START_TEST(the_limit_of_watches) {
  watch_begin(NULL);
  watch_end();
  hub_options.engine = NULL;
  front_open();
  hub_options.front = front;
  ck_assert_int_eq(tcd_hub_open(&hub, &hub_options), TC_OK);
  ck_assert_int_eq(tcd_hub_watch(hub, &boards), TC_ENOTSUP);
  tcd_hub_close(hub);
  front_run();
  front_end();
}
END_TEST

/* The real one: what the JSON says is docs/live.md's; test_leaderboards.py reads it. */
START_TEST(boards_of_real_tips) {
  static ear a;
  watch_begin(NULL);
  settle();
  watch_end();
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = "memory:";
  ck_assert_int_eq(tc_open(&engine, &options), TC_OK);
  front_open();
  hub_options.front = front;
  hub_options.engine = engine;
  ck_assert_int_eq(tcd_hub_open(&hub, &hub_options), TC_OK);
  ck_assert_int_eq(tcd_boards_watch(hub), TC_OK);
  front_run();
  listen_to(&a, "/topic/leaderboards/a", -1);
  FRONT_WAIT(has(&a, "\"all\":{\"senders\":[],\"recipients\":[]}"));
  (void)tip("a");
  PASSES(has(&a, "\"all\":{\"senders\":[{\"rank\":1,\"userId\":\"x\",\"amount\":1.00,\"tips\":1}]"));
  watch_end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watch");
  TCase *all = tcase_create("watch");
  tcase_set_timeout(all, 120);
  tcase_add_test(all, a_look_that_came_too_early_is_made_again);
  tcase_add_test(all, statistics_are_waited_for);
  tcase_add_test(all, said_as_it_changes);
  tcase_add_test(all, no_more_than_once_a_second);
  tcase_add_test(all, nobody_follows_nothing_is_done);
  tcase_add_test(all, newcomers_are_told_and_nobody_else);
  tcase_add_test(all, one_who_does_not_read_is_told_later);
  tcase_add_test(all, said_to_rooms_patterns_and_everything);
  tcase_add_test(all, what_was_had_is_passed_over_and_notices_are_not);
  tcase_add_test(all, a_slow_one_resumes_without_a_double);
  tcase_add_test(all, a_failed_look_is_tried_again);
  tcase_add_test(all, some_things_change_by_themselves);
  tcase_add_test(all, closed_while_looking_and_coming_and_going);
  tcase_add_test(all, the_limit_of_watches);
  tcase_add_test(all, boards_of_real_tips);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
