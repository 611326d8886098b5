/* Goals and refunds when memory ends: each allocation of a round fails once, alone and then with all that follow. Whatever fails, what was answered is true afterwards: progress is what the
 * tips say, a goal that is met is said once, nothing is refunded twice, and nothing leaks. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oom_kit.h"
#include "tipcurrent.h"

/* ---- an engine, and a clock that does not wait for its retries ---- */

static tc_engine *engine;
static int64_t now_us = INT64_C(1700000000000000);

static int64_t read_clock(void *userdata) {
  (void)userdata;
  return now_us;
}

static void settle(void) {
  int32_t more = 1;
  for (int i = 0; i < 5 || more; i++) {
    now_us += 2000000;
    ck_assert_int_eq(tc_engine_tick(engine, &more), TC_OK);
    ck_assert_int_eq(tc_engine_poll(engine, 0), TC_OK); /* what the tick had to say is committed */
  }
}

static void keep(const tc_goal *goal, void *userdata) { *(tc_goal *)userdata = *goal; }

static int is_fault(int rc) { return rc == TC_ENOMEM; }

/* What a round has been promised. */
typedef struct promised {
  char room[32];
  int64_t goal, first_tip;
  int tips, refunded;
} promised;

static void act(promised *p) {
  tc_goal goal = {0};
  tc_goal_new wanted = TC_GOAL_NEW_INIT;
  tc_refund_new refund = TC_REFUND_NEW_INIT;
  int32_t more;
  wanted.room_id = p->room;
  wanted.title = "t";
  wanted.target_amount = 20;
  int rc = tc_goal_create(engine, &wanted, keep, &goal, NULL);
  ck_assert(!rc || is_fault(rc));
  p->goal = goal.id;
  for (int i = 0; i < 3; i++) {
    tc_tip_new tip = TC_TIP_NEW_INIT;
    tc_event *event = NULL;
    tip.room_id = p->room;
    tip.sender_id = "a";
    tip.recipient_id = "b";
    tip.amount = 10;
    rc = tc_tip_create(engine, &tip, &event, NULL);
    ck_assert(!rc || is_fault(rc));
    if (rc) continue;
    if (!p->tips++) p->first_tip = tc_event_id(event);
    tc_event_unref(event);
  }
  if (p->first_tip) {
    refund.tip_id = p->first_tip;
    rc = tc_tip_refund(engine, &refund, NULL, NULL);
    ck_assert_msg(!rc || is_fault(rc), "%s %s", tc_strerror(rc), tc_last_error());
    p->refunded = !rc;
  }
  now_us += 2000000;
  (void)tc_engine_tick(engine, &more); /* it counts, or will later */
  (void)tc_goal_list(engine, p->room, keep, &goal);
}

static int64_t said_in(const char *room) {
  tc_activity_query query = TC_ACTIVITY_QUERY_INIT;
  tc_page *page = NULL;
  query.type = "goal.reached";
  query.room_id = room;
  ck_assert_int_eq(tc_activity_list(engine, &query, &page), TC_OK);
  int64_t n = tc_page_total(page);
  tc_page_free(page);
  return n;
}

static void check(const promised *p, int n) {
  tc_goal goal = {0};
  tc_event *tip = NULL;
  int64_t refunded = 0;
  settle();
  if (p->first_tip) {
    ck_assert_int_eq(tc_tip_get(engine, p->first_tip, &tip), TC_OK);
    ck_assert_int_eq(tc_tip_refunded(engine, tip, &refunded), TC_OK);
    ck_assert_int_eq(refunded, p->refunded * 10);
    tc_event_unref(tip);
  }
  if (!p->goal) return; /* not made, or it could not be shown: then nobody knows its number */
  ck_assert_int_eq(tc_goal_get(engine, p->goal, keep, &goal), TC_OK);
  ck_assert_msg(goal.has_progress && goal.progress_count == p->tips, "allocation %d: %lld of %d tips", n, (long long)goal.progress_count, p->tips);
  ck_assert_int_eq(goal.progress_amount, 10 * (p->tips - p->refunded));
  ck_assert_msg(said_in(p->room) == (p->tips >= 2), "allocation %d: said %lld times", n, (long long)said_in(p->room));
  ck_assert_int_eq(goal.status, p->tips >= 2 ? TC_GOAL_REACHED : TC_GOAL_OPEN);
}

START_TEST(rounds) {
  tc_options options = TC_OPTIONS_INIT;
  tc_clock clock = {sizeof clock, read_clock, read_clock, NULL};
  options.storage_url = "memory:";
  options.flags = TC_NO_THREADS;
  options.clock = &clock;
  ck_assert_int_eq(tc_open(&engine, &options), TC_OK);
  int done = 0;
  for (int n = 1; !done; n++) {
    promised p = {.goal = 0};
    (void)snprintf(p.room, sizeof p.room, "room-%d-%d", _i, n);
    oom_allocations = 0;
    oom_fail_from = n;
    oom_fail_to = _i ? INT_MAX : n;
    act(&p);
    done = oom_allocations < n;
    oom_fail_from = 0;
    check(&p, n);
    ck_assert(!done || (p.goal && p.tips == 3 && p.refunded));
  }
  ck_assert_int_eq(tc_close(engine), TC_OK);
  ck_assert_int_eq(oom_blocks, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("goal_oom");
  TCase *tests = tcase_create("goal_oom");
  suite_add_tcase(suite, tests);
  tcase_add_loop_test(tests, rounds, 0, 2);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
