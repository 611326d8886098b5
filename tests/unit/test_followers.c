/* Several engines on one log: what one takes all show, each once and in order; one of them leads, and another takes over from it. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "nodes_kit.h"

#define EACH 300 /* tips of a poster */

static void open_all(int n) {
  for (int i = 0; i < n; i++) nodes_open(i);
}

static int has_others(void *arg) {
  (void)arg;
  return nodes_status(0).others == 1;
}

/* ---- events ---- */

static void *post_many(void *arg) {
  int which = *(const int *)arg;
  char key[32];
  for (int i = 0; i < EACH; i++) {
    (void)snprintf(key, sizeof key, "%d-%d", which, i);
    (void)nodes_tip(which, i % 3 ? "r" : "s", "alice", i + 1, key);
  }
  return NULL;
}

/* Whatever is committed: all of it once, and nothing else. */
static void check_subscription(tc_sub *sub, int64_t last_seq) {
  for (int64_t seq = 1; seq <= last_seq; seq++) {
    tc_event *event = NULL;
    int rc = tc_sub_next(sub, TAKE_OVER_S * 1000, &event);
    ck_assert_msg(!rc, "%lld: %s: %s", (long long)seq, tc_strerror(rc), tc_last_error());
    ck_assert_int_eq(tc_event_seq(event), seq);
    tc_event_unref(event);
  }
}

/* _i nodes. */
START_TEST(all_subscribers_see_all_events_once_in_order) {
  static const int names[NODES_MAX] = {0, 1, 2};
  pthread_t threads[NODES_MAX];
  tc_sub *subs[NODES_MAX];
  open_all(_i);
  for (int i = 0; i < _i; i++) ck_assert_int_eq(tc_subscribe(nodes[i], NULL, NULL, NULL, &subs[i]), TC_OK);
  for (int i = 0; i < _i; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, post_many, (void *)(intptr_t)&names[i]), 0);
  for (int i = 0; i < _i; i++) check_subscription(subs[i], (int64_t)_i * EACH);
  for (int i = 0; i < _i; i++) (void)pthread_join(threads[i], NULL);
  for (int i = 0; i < _i; i++) {
    tc_event *event = NULL;
    ck_assert_int_eq(tc_sub_next(subs[i], 300, &event), TC_ETIMEOUT);
    tc_sub_close(subs[i]);
    ck_assert_int_eq(nodes_total(i, "r"), (int64_t)_i * EACH * 2 / 3);
    ck_assert(nodes_is_indexed(i, (int64_t)_i * EACH));
    ck_assert_int_eq(nodes_total(i, "s"), (int64_t)_i * EACH / 3);
  }
}
END_TEST

START_TEST(who_has_an_answer_finds_its_event_on_the_node_that_gave_it) {
  open_all(2);
  for (int i = 0; i < 100; i++) {
    tc_event *event = NULL;
    int64_t seq = nodes_tip(i % 2, "r", "alice", 100, NULL);
    ck_assert_int_eq(seq, i + 1);
    ck_assert_int_eq(tc_tip_get(nodes[i % 2], seq, &event), TC_OK); /* all are tips: id and seq are the same */
    tc_event_unref(event);
    ck_assert_int_eq(nodes_total(i % 2, "r"), i + 1);
  }
}
END_TEST

START_TEST(a_key_counts_on_all_nodes) {
  int32_t replayed = 0;
  int64_t seq = 0;
  open_all(2);
  ck_assert_int_eq(nodes_tip(0, "r", "alice", 100, "k"), 1);
  ck_assert_int_eq(nodes_try_tip(1, "r", "alice", 100, "k", &seq, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 1);
  ck_assert_int_eq(seq, 1);
  ck_assert_int_eq(nodes_try_tip(1, "r", "alice", 101, "k", &seq, &replayed), TC_EMISMATCH);
  ck_assert_int_eq(nodes_tip(1, "r", "alice", 100, "l"), 2);
  ck_assert_int_eq(nodes_try_tip(0, "r", "alice", 100, "l", &seq, &replayed), TC_OK);
  ck_assert_int_eq(replayed, 1);
}
END_TEST

START_TEST(a_node_that_comes_later_has_all_of_it) {
  tc_sub_options options = TC_SUB_OPTIONS_INIT;
  tc_sub *sub = NULL;
  options.flags = TC_SUB_AFTER_SEQ;
  nodes_open(0);
  for (int i = 0; i < 50; i++) (void)nodes_tip(0, "r", "alice", 100, NULL);
  nodes_open(1);
  ck_assert_int_eq(nodes_total(1, "r"), 50);
  ck_assert_int_eq(tc_subscribe(nodes[1], &options, NULL, NULL, &sub), TC_OK);
  for (int i = 0; i < 50; i++) (void)nodes_tip(0, "r", "alice", 100, NULL);
  check_subscription(sub, 100);
  tc_sub_close(sub);
}
END_TEST

/* It has seen events by another node that this one has yet to see. */
START_TEST(who_comes_from_another_node_sees_nothing_twice) {
  tc_sub_options options = TC_SUB_OPTIONS_INIT;
  tc_sub *sub = NULL, *lost = NULL;
  tc_event *event = NULL;
  open_all(2);
  for (int i = 0; i < 3; i++) (void)nodes_tip(1, "r", "alice", 100, NULL);
  options.flags = TC_SUB_AFTER_SEQ;
  options.after_seq = 5;
  ck_assert_int_eq(tc_subscribe(nodes[1], &options, NULL, NULL, &sub), TC_OK);
  options.after_seq = INT64_MAX; /* of no log of ours: from now on */
  ck_assert_int_eq(tc_subscribe(nodes[1], &options, NULL, NULL, &lost), TC_OK);
  for (int i = 0; i < 4; i++) (void)nodes_tip(0, "r", "alice", 100, NULL);
  ck_assert_int_eq(tc_sub_next(sub, TAKE_OVER_S * 1000, &event), TC_OK);
  ck_assert_int_eq(tc_event_seq(event), 6);
  tc_event_unref(event);
  ck_assert_int_eq(tc_sub_next(lost, TAKE_OVER_S * 1000, &event), TC_OK);
  ck_assert_int_eq(tc_event_seq(event), 4);
  tc_event_unref(event);
  tc_sub_close(sub);
  tc_sub_close(lost);
}
END_TEST

START_TEST(a_node_knows_its_role_and_whether_there_are_others) {
  nodes_open(0);
  ck_assert_uint_eq(nodes_status(0).role, TC_ROLE_LEADER);
  ck_assert_uint_eq(nodes_status(0).others, 0);
  nodes_open(1);
  ck_assert_uint_eq(nodes_status(1).role, TC_ROLE_FOLLOWER);
  ck_assert_uint_eq(nodes_status(1).others, 1);
  ck_assert(nodes_until(has_others, NULL));
  ck_assert_uint_eq(nodes_status(0).role, TC_ROLE_LEADER);
}
END_TEST

/* Its secrets are sealed with another key: a mistake of whoever has set it up, that must not keep it from following. */
START_TEST(a_webhook_that_it_cannot_read_holds_no_node_up) {
  tc_webhook_options hooks = TC_WEBHOOK_OPTIONS_INIT;
  tc_webhook_new new = TC_WEBHOOK_NEW_INIT;
  char key[65] = "";
  int32_t existed = -1;
  for (int i = 0; i < 64; i++) key[i] = '1';
  hooks.allow_receivers = "127.0.0.0/8";
  hooks.secret_key = key;
  nodes_options.webhooks = &hooks;
  nodes_open(0);
  key[0] = '2';
  nodes_open(1);
  new.url = "http://127.0.0.1/";
  new.events = "*";
  new.secret = "s";
  for (int i = 0; i < 2; i++) ck_assert_msg(!tc_webhook_create(nodes[i], &new, NULL, NULL), "%s", tc_last_error());
  int64_t seq = nodes_tip(0, "r", "alice", 100, NULL);
  ck_assert(nodes_has(1, seq));
  seq = nodes_tip(1, "r", "alice", 100, NULL);
  ck_assert(nodes_has(0, seq));
  for (int i = 0; i < 2; i++) ck_assert_int_eq(tc_event_type_create(nodes[i], "hug", NULL, NULL, NULL, &existed), TC_OK);
  ck_assert_int_eq(existed, 1);
}
END_TEST

/* Without threads everything is done by whoever polls. */
START_TEST(engines_without_threads_follow_each_other) {
  tc_sub *subs[2];
  int64_t seen[2] = {0, 0};
  nodes_options.flags = TC_NO_THREADS;
  open_all(2);
  for (int i = 0; i < 2; i++) ck_assert_int_eq(tc_subscribe(nodes[i], NULL, NULL, NULL, &subs[i]), TC_OK);
  for (int i = 0; i < 20; i++) (void)nodes_tip(i % 2, "r", "alice", 100, NULL);
  for (int turn = 0; seen[0] + seen[1] < 40 || nodes_status(0).index_seq < 20 || nodes_status(1).index_seq < 20; turn++) {
    ck_assert_int_lt(turn, 2000);
    for (int i = 0; i < 2; i++) {
      tc_event *event = NULL;
      ck_assert_int_eq(tc_engine_poll(nodes[i], 10), TC_OK);
      while (!tc_sub_next(subs[i], 0, &event)) {
        ck_assert_int_eq(tc_event_seq(event), ++seen[i]);
        tc_event_unref(event);
      }
    }
  }
  for (int i = 0; i < 2; i++) tc_sub_close(subs[i]);
  nodes_close(0);
  for (int turn = 0; nodes_status(1).role != TC_ROLE_LEADER; turn++) {
    ck_assert_int_lt(turn, 2000);
    ck_assert_int_eq(tc_engine_poll(nodes[1], 10), TC_OK);
  }
  (void)nodes_tip(1, "r", "alice", 100, NULL);
  for (int turn = 0; nodes_status(1).index_seq < 21; turn++) {
    ck_assert_int_lt(turn, 2000);
    ck_assert_int_eq(tc_engine_poll(nodes[1], 10), TC_OK);
  }
  ck_assert_int_eq(nodes_total(1, "r"), 21);
}
END_TEST

/* ---- who leads ---- */

START_TEST(another_one_leads_when_the_leader_closes) {
  int64_t seq = 0;
  open_all(2);
  for (int i = 0; i < 20; i++) (void)nodes_tip(i % 2, "r", "alice", 100, NULL);
  nodes_close(0);
  for (int i = 0; i < 20; i++) seq = nodes_tip(1, "r", "alice", 100, NULL);
  ck_assert(nodes_is_indexed(1, seq));
  ck_assert(nodes_has_counted(1, seq));
  nodes_open(0); /* it follows now */
  seq = nodes_tip(0, "r", "alice", 100, NULL);
  ck_assert(nodes_is_indexed(0, seq));
  ck_assert_int_eq(nodes_total(0, "r"), 41);
}
END_TEST

START_TEST(another_one_leads_when_the_leader_is_killed) {
  pid_t leader = nodes_fork("r", 100);
  nodes_open(1);
  ck_assert_int_eq(nodes_total(1, "r"), 100);
  (void)nodes_tip(1, "r", "alice", 100, NULL);
  nodes_kill(leader);
  int64_t seq = nodes_tip(1, "r", "alice", 100, NULL);
  ck_assert(nodes_is_indexed(1, seq));
  ck_assert(nodes_has_counted(1, seq));
  ck_assert_int_eq(nodes_total(1, "r"), 102);
}
END_TEST

/* Of which two are left: just one of them takes over. */
START_TEST(one_of_two_takes_over) {
  pid_t leader = nodes_fork("r", 10);
  nodes_open(1);
  nodes_open(2);
  nodes_kill(leader);
  for (int i = 0; i < 20; i++) (void)nodes_tip(1 + i % 2, "r", "alice", 100, NULL);
  ck_assert(nodes_is_indexed(1, 30));
  ck_assert(nodes_is_indexed(2, 30));
  ck_assert_int_eq(nodes_total(1, "r"), 30);
  ck_assert_int_eq(nodes_total(2, "r"), 30);
}
END_TEST

static int is_followed_again(void *arg) {
  (void)arg;
  return nodes_ask("SELECT count(*) FROM lease WHERE followed>clock_timestamp()-interval '2 seconds'") == 1;
}

static int is_led_again(void *arg) { return nodes_ask("SELECT epoch FROM lease") > *(const int64_t *)arg; }

static int are_all_written(void *arg) {
  (void)arg;
  return nodes_ask("SELECT facts_cursor FROM index_state") == 5;
}

START_TEST(who_leads_again_counts_nobody_twice) {
  int64_t changed = -1;
  nodes_open(0);
  for (int i = 0; i < 5; i++) (void)nodes_tip(0, "r", i % 2 ? "alice" : "carol", 100, NULL);
  ck_assert(nodes_until(are_all_written, NULL));
  (void)nodes_ask("UPDATE lease SET epoch=epoch+1, until='-infinity', pid=0"); /* another one led, and is gone */
  int64_t theirs = nodes_ask("SELECT epoch FROM lease");
  ck_assert(nodes_until(is_led_again, &theirs));
  int64_t last = nodes_tip(0, "r", "alice", 100, NULL);
  ck_assert(nodes_is_indexed(0, last));
  ck_assert(nodes_has_counted(0, last));
  tc_stats_query query = TC_STATS_QUERY_INIT;
  tc_stats_row row = TC_STATS_ROW_INIT;
  tc_stats *stats = NULL;
  query.room_id = "r";
  query.from_us = tci_sys_wall_us(NULL) / 3600000000 * 3600000000 - 3600000000;
  query.to_us = query.from_us + INT64_C(3) * 3600000000;
  query.grain = TC_GRAIN_HOUR;
  ck_assert_msg(!tc_stats_periods(nodes[0], &query, &stats), "%s", tc_last_error());
  for (size_t i = 0; i < tc_stats_count(stats); i++) {
    ck_assert_int_eq(tc_stats_at(stats, i, &row), TC_OK);
    ck_assert_int_le(row.unique_senders, 2);
  }
  tc_stats_free(stats);
  ck_assert_msg(!tc_stats_rebuild(nodes[0], INT64_MIN, INT64_MAX, &changed), "%s", tc_last_error());
  ck_assert_int_eq(changed, 0);
}
END_TEST

/* It stands still for longer than its lease, and goes on. */
START_TEST(a_leader_that_stood_still_follows) {
  pid_t leader = nodes_fork("r", 10);
  nodes_open(1);
  ck_assert_int_eq(kill(leader, SIGSTOP), 0);
  int64_t seq = nodes_tip(1, "r", "alice", 100, NULL);
  ck_assert(nodes_is_indexed(1, seq));
  ck_assert_int_eq(kill(leader, SIGCONT), 0);
  ck_assert(nodes_until(is_followed_again, NULL));
  seq = nodes_tip(1, "r", "alice", 100, NULL);
  ck_assert(nodes_is_indexed(1, seq));
  ck_assert_int_eq(nodes_total(1, "r"), 12);
  nodes_kill(leader);
}
END_TEST

/* The server ends all sessions, as it does when it restarts: whoever leads then, all goes on. */
START_TEST(sessions_that_end_are_begun_again) {
  tc_sub *sub = NULL;
  open_all(2);
  ck_assert_int_eq(tc_subscribe(nodes[1], NULL, NULL, NULL, &sub), TC_OK);
  for (int i = 0; i < 5; i++) {
    (void)nodes_tip(i % 2, "r", "alice", 100, NULL);
    (void)nodes_ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'tipcurrent%'");
    (void)nodes_tip((i + 1) % 2, "r", "alice", 100, NULL);
  }
  check_subscription(sub, 10);
  tc_sub_close(sub);
  for (int i = 0; i < 2; i++) {
    ck_assert(nodes_is_indexed(i, 10));
    ck_assert_int_eq(nodes_total(i, "r"), 10);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nodes: engines");
  TCase *all = tcase_create("on one log");
  tcase_add_checked_fixture(all, nodes_set_up, nodes_tear_down);
  tcase_set_timeout(all, 90);
  tcase_add_loop_test(all, all_subscribers_see_all_events_once_in_order, 1, NODES_MAX + 1);
  tcase_add_test(all, who_has_an_answer_finds_its_event_on_the_node_that_gave_it);
  tcase_add_test(all, a_key_counts_on_all_nodes);
  tcase_add_test(all, a_node_that_comes_later_has_all_of_it);
  tcase_add_test(all, who_comes_from_another_node_sees_nothing_twice);
  tcase_add_test(all, a_node_knows_its_role_and_whether_there_are_others);
  tcase_add_test(all, a_webhook_that_it_cannot_read_holds_no_node_up);
  tcase_add_test(all, engines_without_threads_follow_each_other);
  tcase_add_test(all, another_one_leads_when_the_leader_closes);
  tcase_add_test(all, another_one_leads_when_the_leader_is_killed);
  tcase_add_test(all, one_of_two_takes_over);
  tcase_add_test(all, who_leads_again_counts_nobody_twice);
  tcase_add_test(all, a_leader_that_stood_still_follows);
  tcase_add_test(all, sessions_that_end_are_begun_again);
  suite_add_tcase(suite, all);
  return nodes_run(suite);
}
