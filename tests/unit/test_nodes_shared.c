/* What several nodes share beside the log: what people configure, decisions, time, numbers, webhooks. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys.h"
#include "nodes_kit.h"
#include "receiver_kit.h"

#define A 0 /* leads */
#define B 1 /* follows */

static void open_two(void) {
  nodes_open(A);
  nodes_open(B);
}

/* ---- what people configure ---- */

static void count_type(const tc_event_type *type, void *arg) {
  (void)type;
  ++*(int *)arg;
}

static int types_of(int which) {
  int n = 0;
  ck_assert_int_eq(tc_event_type_list(nodes[which], count_type, &n), TC_OK);
  return n;
}

typedef struct number {
  int which, n;
} number;

static int has_types(void *arg) {
  const number *want = arg;
  return types_of(want->which) == want->n;
}

START_TEST(an_event_type_is_known_on_all_nodes) {
  int32_t existed = -1;
  open_two();
  ck_assert_int_eq(tc_event_type_create(nodes[B], "hug", "d", NULL, NULL, &existed), TC_OK);
  ck_assert_int_eq(existed, 0);
  ck_assert_int_eq(types_of(B), 1);
  ck_assert(nodes_until(has_types, &(number){A, 1}));
  /* What a change is decided on is always what all have done so far. */
  ck_assert_int_eq(tc_event_type_create(nodes[A], "wave", "d", NULL, NULL, &existed), TC_OK);
  ck_assert_int_eq(tc_event_type_create(nodes[B], "wave", "d", NULL, NULL, &existed), TC_OK);
  ck_assert_int_eq(existed, 1);
  ck_assert_int_eq(tc_event_type_create(nodes[B], "wave", "other", NULL, NULL, &existed), TC_EEXISTS);
  ck_assert_int_eq(tc_event_type_delete(nodes[A], "hug"), TC_OK);
  ck_assert_int_eq(tc_event_type_delete(nodes[B], "hug"), TC_ENOTFOUND);
  ck_assert(nodes_until(has_types, &(number){B, 1}));
}
END_TEST

static tc_webhook_options hook_options = TC_WEBHOOK_OPTIONS_INIT;

static void allow_receivers(void) {
  hook_options.allow_receivers = "127.0.0.0/8";
  nodes_options.webhooks = &hook_options;
}

static int64_t hook(int which, const char *url, const char *key, int32_t *replayed) {
  tc_webhook_new new = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  new.url = url;
  new.events = "*";
  new.secret = "s3cret";
  new.idempotency_key = key;
  int rc = tc_webhook_create(nodes[which], &new, &made, replayed);
  ck_assert_msg(!rc, "%s: %s", tc_strerror(rc), tc_last_error());
  int64_t id = tc_webhook_id(made);
  tc_webhook_unref(made);
  return id;
}

static void keep_text(const tc_webhook *made, void *arg) {
  size_t len;
  char *text = arg;
  const char *json = tc_webhook_json(made, &len);
  ck_assert_uint_lt(strlen(text) + len + 2, 65536);
  (void)strncat(text, json, len);
  (void)strcat(text, "\n");
}

/* All there are, as text. */
static void hooks_of(int which, char text[65536]) {
  text[0] = '\0';
  ck_assert_int_eq(tc_webhook_list(nodes[which], 0, NULL, keep_text, text), TC_OK);
}

static int are_hooks_the_same(void *arg) {
  static char a[65536], b[65536];
  (void)arg;
  hooks_of(A, a);
  hooks_of(B, b);
  return !strcmp(a, b);
}

typedef struct changing {
  int which;
  int64_t id;
  atomic_int failed;
} changing;

static void *change_often(void *arg) {
  changing *c = arg;
  for (int i = 0; i < 20; i++) {
    char text[32];
    tc_webhook_change change = TC_WEBHOOK_CHANGE_INIT;
    (void)snprintf(text, sizeof text, "%d of node %d", i, c->which);
    change.description = text;
    if (tc_webhook_update(nodes[c->which], c->id, &change, NULL)) atomic_fetch_add(&c->failed, 1);
    (void)hook(c->which, "http://127.0.0.1/", text, NULL);
  }
  return NULL;
}

START_TEST(webhooks_are_the_same_on_all_nodes_whoever_changes_them) {
  pthread_t threads[2];
  static char text[65536];
  allow_receivers();
  open_two();
  int64_t id = hook(B, "http://127.0.0.1/", "k", NULL);
  changing both[2] = {{.which = A, .id = id}, {.which = B, .id = id}};
  int32_t replayed = 0;
  ck_assert_int_eq(hook(A, "http://127.0.0.1/", "k", &replayed), id);
  ck_assert_int_eq(replayed, 1);
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, change_often, &both[i]), 0);
  for (int i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
  for (int i = 0; i < 2; i++) ck_assert_int_eq(atomic_load(&both[i].failed), 0);
  ck_assert(nodes_until(are_hooks_the_same, NULL));
  hooks_of(B, text);
  int n = 0;
  for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) n++;
  ck_assert_int_eq(n, 41);
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM config WHERE kind=1"), 41);
  ck_assert_int_eq(tc_webhook_delete(nodes[A], id), TC_OK);
  ck_assert_int_eq(tc_webhook_delete(nodes[B], id), TC_ENOTFOUND);
  ck_assert(nodes_until(are_hooks_the_same, NULL));
}
END_TEST

static void keep_goal(const tc_goal *goal, void *arg) {
  *(tc_goal *)arg = *goal;
  ((tc_goal *)arg)->room_id = ((tc_goal *)arg)->title = NULL;
}

static tc_goal goal_of(int which, int64_t id) {
  tc_goal goal = {0};
  int rc = tc_goal_get(nodes[which], id, keep_goal, &goal);
  ck_assert_msg(!rc || rc == TC_ENOTFOUND || rc == TC_EBUSY, "%s", tc_last_error());
  return goal;
}

typedef struct progress {
  int which;
  int64_t id, amount;
  int reached;
} progress;

static int has_progress(void *arg) {
  const progress *p = arg;
  tc_goal goal = goal_of(p->which, p->id);
  return goal.has_progress && goal.progress_amount == p->amount && (goal.reached_at_us != 0) == p->reached;
}

static void *tip_on(void *arg) {
  int which = *(const int *)arg;
  for (int i = 0; i < 50; i++) (void)nodes_tip(which, "g", "alice", 100, NULL);
  return NULL;
}

/* Tips come on both nodes while the goal is made on one: both say the same of it, and so does the log. */
START_TEST(a_goal_counts_what_came_after_it_on_whatever_node) {
  static const int names[2] = {A, B};
  pthread_t threads[2];
  tc_goal_new new = TC_GOAL_NEW_INIT;
  tc_goal goal = {0};
  open_two();
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, tip_on, (void *)(intptr_t)&names[i]), 0);
  new.room_id = "g";
  new.title = "t";
  new.target_amount = 100;
  int rc = tc_goal_create(nodes[B], &new, keep_goal, &goal, NULL);
  ck_assert_msg(!rc, "%s: %s", tc_strerror(rc), tc_last_error());
  for (int i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
  (void)nodes_tip(B, "g", "alice", 100, NULL);
  int64_t after = nodes_ask("SELECT (doc::json->>'afterSeq')::bigint FROM config WHERE kind=2");
  char sql[128];
  (void)snprintf(sql, sizeof sql, "SELECT sum(amount) FROM events WHERE kind=1 AND seq>%lld", (long long)after);
  int64_t amount = nodes_ask(sql);
  ck_assert(nodes_until(has_progress, &(progress){A, goal.id, amount, 1}));
  ck_assert(nodes_until(has_progress, &(progress){B, goal.id, amount, 1}));
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM events WHERE target='1' AND body='t'"), 1); /* goal.reached */
  ck_assert_int_eq(tc_goal_close(nodes[A], goal.id, NULL, NULL), TC_OK);
  (void)nodes_tip(B, "g", "alice", 100, NULL);
  int64_t last = nodes_tip(A, "g", "alice", 100, NULL);
  ck_assert(nodes_has_counted(A, last));
  ck_assert(nodes_has_counted(B, last));
  ck_assert_int_eq(goal_of(A, goal.id).progress_amount, amount);
  ck_assert_int_eq(goal_of(B, goal.id).progress_amount, amount);
  ck_assert_int_eq(goal_of(B, goal.id).status, TC_GOAL_CLOSED);
}
END_TEST

/* ---- decisions ---- */

typedef struct refunding {
  int which, tips;
  int64_t first_id;
} refunding;

static void *refund_all(void *arg) {
  const refunding *r = arg;
  for (int i = 0; i < r->tips; i++) {
    tc_refund_new refund = TC_REFUND_NEW_INIT;
    refund.tip_id = r->first_id + i;
    refund.amount = 60;
    int rc = tc_tip_refund(nodes[r->which], &refund, NULL, NULL);
    ck_assert_msg(!rc || rc == TC_ELIMIT, "%s: %s", tc_strerror(rc), tc_last_error());
  }
  return NULL;
}

START_TEST(no_two_nodes_refund_more_than_a_tip) {
  enum { TIPS = 40 };
  pthread_t threads[2];
  open_two();
  for (int i = 0; i < TIPS; i++) (void)nodes_tip(i % 2, "r", "alice", 100, NULL);
  ck_assert(nodes_has(A, TIPS));
  ck_assert(nodes_has(B, TIPS));
  refunding both[2] = {{A, TIPS, 1}, {B, TIPS, 1}};
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, refund_all, &both[i]), 0);
  for (int i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM events WHERE ref<>0"), TIPS);
  ck_assert_int_eq(nodes_ask("SELECT max(n) FROM (SELECT count(*) AS n FROM events WHERE ref<>0 GROUP BY ref) t"), 1);
  for (int i = 0; i < 2; i++) {
    tc_event *tip = NULL;
    int64_t amount = 0;
    ck_assert(nodes_has(i, 2 * TIPS));
    ck_assert_int_eq(tc_tip_get(nodes[i], TIPS, &tip), TC_OK);
    ck_assert_int_eq(tc_tip_refunded(nodes[i], tip, &amount), TC_OK);
    ck_assert_int_eq(amount, 60);
    tc_event_unref(tip);
  }
}
END_TEST

/* ---- time ---- */

static int64_t late_wall(void *arg) { return tci_sys_wall_us(NULL) - *(const int64_t *)arg; }

/* The clock of the second node is behind. */
START_TEST(time_does_not_go_back) {
  static const int64_t behind_us = 3000000;
  tc_clock late = {sizeof late, late_wall, tci_sys_monotonic_us, (void *)(uintptr_t)&behind_us};
  tc_sub *sub = NULL;
  nodes_open(A);
  nodes_options.clock = &late;
  nodes_open(B);
  nodes_options.clock = NULL;
  ck_assert_int_eq(tc_subscribe(nodes[B], NULL, NULL, NULL, &sub), TC_OK);
  for (int i = 0; i < 30; i++) (void)nodes_tip(i % 2, "r", "alice", 100, NULL);
  int64_t before_us = 0, at_us = 0;
  for (int i = 0; i < 30; i++) {
    tc_event *event = NULL;
    ck_assert_int_eq(tc_sub_next(sub, TAKE_OVER_S * 1000, &event), TC_OK);
    ck_assert_int_eq(tc_event_int(event, TC_FIELD_CREATED_AT_US, &at_us), TC_OK);
    ck_assert_int_ge(at_us, before_us);
    before_us = at_us;
    tc_event_unref(event);
  }
  tc_sub_close(sub);
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM (SELECT created_at<lag(created_at) OVER (ORDER BY seq) AS back FROM events) t WHERE back"), 0);
}
END_TEST

/* ---- numbers ---- */

static void check_board(int which, int64_t best) {
  tc_board_query query = TC_BOARD_QUERY_INIT;
  tc_board_row row = TC_BOARD_ROW_INIT;
  tc_board *board = NULL;
  query.room_id = "r";
  int rc = tc_board_top(nodes[which], &query, &board);
  ck_assert_msg(!rc, "%s: %s", tc_strerror(rc), tc_last_error());
  ck_assert_uint_eq(tc_board_count(board), 2);
  ck_assert_int_eq(tc_board_at(board, 0, &row), TC_OK);
  ck_assert_int_eq(row.amount, best);
  ck_assert_int_eq(tc_board_rank(nodes[which], &query, "alice", &row), TC_OK);
  ck_assert_int_eq(row.rank, 2);
  tc_board_free(board);
}

static int64_t tips_of(int which) {
  tc_stats_query query = TC_STATS_QUERY_INIT;
  tc_stats_row row = TC_STATS_ROW_INIT;
  tc_stats *stats = NULL;
  query.room_id = "r";
  query.from_us = tci_sys_wall_us(NULL) / 86400000000 * 86400000000 - 86400000000;
  query.to_us = query.from_us + 3 * INT64_C(86400000000);
  int rc = tc_stats_periods(nodes[which], &query, &stats);
  ck_assert_msg(!rc, "%s: %s", tc_strerror(rc), tc_last_error());
  ck_assert_int_eq(tc_stats_total(stats, &row), TC_OK);
  int64_t tips = row.tips;
  tc_stats_free(stats);
  return tips;
}

START_TEST(a_follower_has_the_leaders_numbers) {
  int64_t last = 0;
  open_two();
  for (int round = 1; round <= 3; round++) {
    for (int i = 0; i < 20; i++) {
      (void)nodes_tip(i % 2, "r", "alice", 100, NULL);
      last = nodes_tip(i % 2, "r", "carol", 200, NULL);
    }
    ck_assert(nodes_has_counted(A, last));
    ck_assert(nodes_has_counted(B, last));
    for (int i = 0; i < 2; i++) {
      ck_assert_int_eq(tips_of(i), round * 40);
      check_board(i, round * 4000);
    }
  }
  nodes_close(A); /* what it has written is where the other goes on */
  last = nodes_tip(B, "r", "carol", 200, NULL);
  ck_assert(nodes_has_counted(B, last));
  ck_assert_int_eq(tips_of(B), 121);
  check_board(B, 12200);
  int64_t changed = -1;
  ck_assert_int_eq(tc_stats_rebuild(nodes[B], INT64_MIN, INT64_MAX, &changed), TC_OK);
  ck_assert_int_eq(changed, 0);
}
END_TEST

START_TEST(statistics_are_computed_anew_by_the_leader) {
  open_two();
  int64_t last = nodes_tip(B, "r", "carol", 200, NULL), changed = -1;
  ck_assert(nodes_has_counted(B, last));
  ck_assert_int_eq(tc_stats_rebuild(nodes[B], INT64_MIN, INT64_MAX, &changed), TC_ECONFLICT);
  ck_assert_int_eq(tc_stats_rebuild(nodes[A], INT64_MIN, INT64_MAX, &changed), TC_OK);
  ck_assert_int_eq(changed, 0);
}
END_TEST

/* The one who counted is killed: nothing is counted twice, nothing left out. */
START_TEST(numbers_are_right_after_a_kill) {
  pid_t leader = nodes_fork("r", 200);
  nodes_open(B);
  for (int i = 0; i < 20; i++) (void)nodes_tip(B, "r", "carol", 10000, NULL);
  nodes_kill(leader);
  int64_t last = nodes_tip(B, "r", "alice", 100000, NULL), changed = -1;
  ck_assert(nodes_has_counted(B, last));
  ck_assert_int_eq(tips_of(B), 221);
  while (tc_stats_rebuild(nodes[B], INT64_MIN, INT64_MAX, &changed) == TC_EBUSY) continue;
  ck_assert_int_eq(changed, 0);
}
END_TEST

/* ---- webhooks ---- */

static const receiver_answer no_answers[] = {{.path = NULL}};
static receiver *receive(char url[64]) {
  receiver *r = receiver_start("127.0.0.1", no_answers);
  (void)snprintf(url, 64, "http://127.0.0.1:%d/", (int)receiver_port(r));
  return r;
}

typedef struct requests {
  receiver *from;
  int n;
} requests;

static int has_got(void *arg) {
  const requests *want = arg;
  return receiver_count(want->from).requests >= want->n;
}

static void count_delivery(const tc_webhook_delivery *delivery, void *arg) {
  (void)delivery;
  ++*(int *)arg;
}

static int is_logged(void *arg) {
  const number *want = arg;
  int64_t total = 0;
  int n = 0;
  ck_assert_int_eq(tc_webhook_deliveries(nodes[want->which], 1, 0, 1000, count_delivery, &n, &total), TC_OK);
  return n >= want->n;
}

START_TEST(one_node_sends_each_event_once) {
  char url[64];
  receiver *r = receive(url);
  allow_receivers();
  open_two();
  (void)hook(B, url, NULL, NULL);
  for (int i = 0; i < 40; i++) (void)nodes_tip(i % 2, "r", "alice", 100, NULL);
  ck_assert(nodes_until(has_got, &(requests){r, 40}));
  ck_assert(nodes_until(is_logged, &(number){B, 40})); /* both show what the sender has written */
  ck_assert(nodes_until(is_logged, &(number){A, 40}));
  ck_assert_int_eq(receiver_count(r).requests, 40);
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM deliveries"), 40);
  receiver_stop(r);
}
END_TEST

START_TEST(a_follower_has_tests_and_redeliveries_sent) {
  char url[64];
  int64_t count = 0;
  receiver *r = receive(url);
  allow_receivers();
  open_two();
  int64_t id = hook(A, url, NULL, NULL);
  for (int i = 0; i < 10; i++) (void)nodes_tip(B, "r", "alice", 100, NULL);
  ck_assert(nodes_until(has_got, &(requests){r, 10}));
  ck_assert(nodes_has(B, 10));
  while (tc_webhook_test(nodes[B], id) == TC_ENOTFOUND) continue; /* it hears of it within a second */
  ck_assert(nodes_until(has_got, &(requests){r, 11}));
  ck_assert_int_eq(tc_webhook_replay(nodes[B], id, 1, 10, &count), TC_OK);
  ck_assert_int_eq(count, 10);
  ck_assert(nodes_until(has_got, &(requests){r, 21}));
  ck_assert(nodes_until(is_logged, &(number){B, 21}));
  ck_assert_int_eq(receiver_count(r).requests, 21);
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM config WHERE kind=5"), 0);
  receiver_stop(r);
}
END_TEST

START_TEST(another_node_sends_when_the_sender_is_killed) {
  char url[64];
  allow_receivers();
  pid_t leader = nodes_fork("r", 1);
  receiver *r = receive(url);
  nodes_open(B);
  for (int i = 0; i < 4; i++) (void)hook(B, url, NULL, NULL); /* two each */
  for (int i = 0; i < 10; i++) (void)nodes_tip(B, "r", "alice", 100, NULL);
  ck_assert(nodes_until(has_got, &(requests){r, 40}));
  nodes_kill(leader);
  for (int i = 0; i < 10; i++) (void)nodes_tip(B, "r", "alice", 100, NULL);
  ck_assert(nodes_until(has_got, &(requests){r, 80})); /* some of the first forty again, perhaps */
  ck_assert_int_ge(nodes_status(B).log_seq, 21);
  receiver_stop(r);
}
END_TEST

/* Whoever has it. */
START_TEST(the_lead_goes_round_and_webhooks_go_on) {
  char url[64];
  receiver *r = receive(url);
  allow_receivers();
  open_two();
  (void)hook(A, url, NULL, NULL);
  for (int round = 0; round < 4; round++) {
    int leader = round % 2, other = 1 - leader;
    for (int i = 0; i < 10; i++) (void)nodes_tip(other, "r", "alice", 100, NULL);
    ck_assert(nodes_until(has_got, &(requests){r, 10 * (round + 1)}));
    nodes_close(leader);
    int64_t last = nodes_status(other).log_seq;
    ck_assert(nodes_is_indexed(other, last));
    nodes_open(leader);
  }
  ck_assert_int_eq(receiver_count(r).requests, 40); /* a node that closes has written down what it has sent */
  receiver_stop(r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nodes: shared");
  TCase *all = tcase_create("on one log");
  tcase_add_checked_fixture(all, nodes_set_up, nodes_tear_down);
  tcase_set_timeout(all, 90);
  tcase_add_test(all, an_event_type_is_known_on_all_nodes);
  tcase_add_test(all, webhooks_are_the_same_on_all_nodes_whoever_changes_them);
  tcase_add_test(all, a_goal_counts_what_came_after_it_on_whatever_node);
  tcase_add_test(all, no_two_nodes_refund_more_than_a_tip);
  tcase_add_test(all, time_does_not_go_back);
  tcase_add_test(all, a_follower_has_the_leaders_numbers);
  tcase_add_test(all, statistics_are_computed_anew_by_the_leader);
  tcase_add_test(all, numbers_are_right_after_a_kill);
  tcase_add_test(all, one_node_sends_each_event_once);
  tcase_add_test(all, a_follower_has_tests_and_redeliveries_sent);
  tcase_add_test(all, another_node_sends_when_the_sender_is_killed);
  tcase_add_test(all, the_lead_goes_round_and_webhooks_go_on);
  suite_add_tcase(suite, all);
  return nodes_run(suite);
}
