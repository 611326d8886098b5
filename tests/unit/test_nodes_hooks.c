/* Webhooks of several nodes: each is sent by one of them, and they go over to others when nodes come and go. Each node has a transport of the test's, which sees what it sends. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_transport_kit.h"
#include "nodes_kit.h"

#define HOOKS_MAX 16
#define SEQS_MAX 650 /* as many as a transport of the test counts for six webhooks */

enum { A, B, C };

static fake_transport transports[NODES_MAX];
static tc_webhook_options hook_options;

static void set_up(void) {
  nodes_set_up();
  hook_options = (tc_webhook_options)TC_WEBHOOK_OPTIONS_INIT;
  hook_options.allow_receivers = "127.0.0.0/8";
  nodes_options.webhooks = &hook_options;
  for (int i = 0; i < NODES_MAX; i++) {
    fake_open(&transports[i], 1);
    transports[i].auto_status = 200;
  }
}

static void tear_down(void) {
  nodes_tear_down();
  for (int i = 0; i < NODES_MAX; i++) fake_close(&transports[i]);
}

static void open_node(int which) {
  hook_options.transport = &transports[which].ops;
  nodes_open(which);
}

static int64_t hook(int which, const char *room, uint32_t flags) {
  tc_webhook_new new = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  new.url = "http://127.0.0.1:8000/";
  new.events = "*";
  new.secret = "s3cret";
  new.room_id = room;
  new.flags = flags;
  int rc = tc_webhook_create(nodes[which], &new, &made, NULL);
  ck_assert_msg(!rc, "%s: %s", tc_strerror(rc), tc_last_error());
  int64_t id = tc_webhook_id(made);
  tc_webhook_unref(made);
  return id;
}

static void make_hooks(int count, int open, uint32_t flags) {
  for (int i = 0; i < count; i++) ck_assert_int_eq(hook(i % open, NULL, flags), i + 1);
}

/* ---- who sends what ---- */

/* There are so many senders, the plan is made for them, and carried out. */
static int is_shared_out(void *arg) {
  return nodes_ask("SELECT count(DISTINCT w.holder) FROM work_shares w JOIN senders s ON s.id=w.holder") == *(const int *)arg &&
         nodes_ask("SELECT count(*) FROM lease l, config_state c WHERE l.planned_at=c.version AND l.planned_for=ARRAY(SELECT id FROM senders ORDER BY id)") &&
         !nodes_ask("SELECT count(*) FROM work_shares w JOIN share_plan p ON p.share=w.share WHERE p.sender<>w.holder");
}

static void share_out(int count) { ck_assert(nodes_until(is_shared_out, &count)); }

/* What was begun, by node, webhook and event. */
typedef struct sight {
  int of[NODES_MAX][HOOKS_MAX + 1][SEQS_MAX + 1];
  int by[NODES_MAX];             /* how many webhooks it has sent something of */
  int twice;                     /* how many were begun more than once, wherever */
  int senders_of[HOOKS_MAX + 1]; /* how many nodes have sent something of it */
} sight;
static sight seen;

/* Of events after this one. */
static void look(int64_t after_seq) {
  memset(&seen, 0, sizeof seen);
  for (int i = 0; i < NODES_MAX; i++) {
    fake_transport *f = &transports[i];
    pthread_mutex_lock(&f->mutex);
    for (int j = 0; j < f->begun; j++) {
      long long at = 0, seq = 0, id = 0;
      if (sscanf(f->seen[j][0], "msg_%lld_%lld_%lld", &at, &seq, &id) != 3 || seq <= after_seq) continue;
      ck_assert_int_le(id, HOOKS_MAX);
      ck_assert_int_le(seq, SEQS_MAX);
      seen.of[i][id][seq]++;
    }
    pthread_mutex_unlock(&f->mutex);
  }
  for (int id = 1; id <= HOOKS_MAX; id++) {
    for (int i = 0; i < NODES_MAX; i++) {
      int some = 0;
      for (int seq = 1; seq <= SEQS_MAX; seq++) some |= seen.of[i][id][seq];
      seen.by[i] += some != 0;
      seen.senders_of[id] += some != 0;
    }
    for (int seq = 1; seq <= SEQS_MAX; seq++) seen.twice += seen.of[A][id][seq] + seen.of[B][id][seq] + seen.of[C][id][seq] > 1;
  }
}

typedef struct span {
  int64_t after_seq, last_seq;
  int hooks;
} span;

/* Every webhook has had every event of the span. */
static int has_all(void *arg) {
  const span *s = arg;
  look(s->after_seq);
  for (int id = 1; id <= s->hooks; id++) {
    for (int64_t seq = s->after_seq + 1; seq <= s->last_seq; seq++) {
      if (!seen.of[A][id][seq] && !seen.of[B][id][seq] && !seen.of[C][id][seq]) return 0;
    }
  }
  return 1;
}

static void check_all(int64_t after_seq, int64_t last_seq, int hooks) { ck_assert(nodes_until(has_all, &(span){after_seq, last_seq, hooks})); }

/* Tips at these nodes in turn; the last one's seq. */
static int64_t tips(int count, int open) {
  int64_t seq = 0;
  for (int i = 0; i < count; i++) seq = nodes_tip(i % open, "r", "alice", 100, NULL);
  return seq;
}

/* ---- spreading ---- */

START_TEST(each_webhook_is_sent_by_one_node_and_all_send) {
  for (int i = 0; i < 3; i++) open_node(i);
  make_hooks(9, 3, 0);
  share_out(3);
  int64_t last = tips(60, 3);
  check_all(0, last, 9);
  ck_assert_int_eq(seen.twice, 0);
  for (int id = 1; id <= 9; id++) ck_assert_int_eq(seen.senders_of[id], 1);
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(seen.by[i], 3);
    ck_assert_uint_ge(nodes_status(i).webhook_shares, 3);
    ck_assert_uint_eq(nodes_status(i).webhook_shares_all, 16);
  }
}
END_TEST

static int is_logged(void *arg) { return nodes_ask("SELECT count(*) FROM deliveries") >= *(const int *)arg; }

START_TEST(one_delivery_log_has_what_all_have_sent) {
  int all = 4 * 30;
  for (int i = 0; i < 2; i++) open_node(i);
  make_hooks(4, 2, 0);
  share_out(2);
  (void)tips(30, 2);
  ck_assert(nodes_until(is_logged, &all));
  ck_assert_int_eq(nodes_ask("SELECT count(DISTINCT (webhook, seq)) FROM deliveries"), all);
  ck_assert_int_eq(nodes_ask("SELECT max(id) FROM deliveries"), all);
}
END_TEST

typedef struct posting {
  atomic_int stop;
  int64_t last;
} posting;

static void *post(void *arg) {
  posting *p = arg;
  while (!atomic_load(&p->stop) && p->last < SEQS_MAX - 50) {
    p->last = nodes_tip(A, "r", "alice", 100, NULL);
    (void)nanosleep(&(struct timespec){0, 2000000}, NULL); /* so that they last */
  }
  return NULL;
}

/* Nothing is left out, and nothing comes twice, while nodes come. */
START_TEST(a_node_that_comes_gets_its_part_without_a_gap) {
  pthread_t thread;
  posting p = {.last = 0};
  open_node(A);
  make_hooks(6, 1, 0);
  ck_assert_int_eq(pthread_create(&thread, NULL, post, &p), 0);
  open_node(B);
  share_out(2);
  open_node(C);
  share_out(3);
  atomic_store(&p.stop, 1);
  (void)pthread_join(thread, NULL);
  int64_t before = p.last, last = tips(10, 3);
  check_all(0, last, 6);
  ck_assert_int_eq(seen.twice, 0);
  check_all(before, last, 6);
  for (int i = 0; i < 3; i++) ck_assert_int_eq(seen.by[i], 2);
}
END_TEST

/* What is on its way stays with who sends it; meanwhile the others go over. */
START_TEST(a_webhook_goes_over_when_nothing_of_it_is_under_way) {
  int parts = 2;
  open_node(A);
  make_hooks(4, 1, 0);
  share_out(1);
  transports[A].auto_status = 0;
  ck_assert_int_eq(tips(1, 1), 1);
  while (fake_flying(&transports[A]) < 4) continue;
  open_node(B);
  while (nodes_ask("SELECT count(DISTINCT sender) FROM share_plan") < parts) continue;
  /* All that B is to have but its two webhooks. */
  while (nodes_ask("SELECT count(*) FROM share_plan p JOIN work_shares w ON w.share=p.share WHERE p.sender<>w.holder") != 2) continue;
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM share_plan p JOIN work_shares w ON w.share=p.share WHERE p.sender<>w.holder AND p.share BETWEEN 1 AND 4"),
                   2);
  ck_assert_int_eq(tips(1, 1), 2);
  while (fake_flying(&transports[A]) < 6) continue; /* of those that stay */
  ck_assert_int_eq(fake_begun(&transports[B]), 0);
  pthread_mutex_lock(&transports[A].mutex);
  transports[A].auto_status = 200;
  pthread_mutex_unlock(&transports[A].mutex);
  fake_land(&transports[A], 200);
  share_out(2);
  int64_t last = tips(5, 2);
  check_all(0, last, 4);
  ck_assert_int_eq(seen.twice, 0);
  ck_assert_int_eq(seen.by[A], 4);
  ck_assert_int_eq(seen.by[B], 2);
}
END_TEST

/* A receiver that never answers, and a transport that does not end its request in time: then it is given up, and sent by the other. */
START_TEST(what_hangs_does_not_stay_for_ever) {
  hook_options.total_timeout_ms = 300;
  open_node(A);
  make_hooks(2, 1, 0);
  share_out(1);
  transports[A].auto_status = 0;
  int64_t last = tips(1, 1);
  while (fake_flying(&transports[A]) < 2) continue;
  open_node(B);
  share_out(2);
  check_all(0, last, 2);
  while (!fake_begun(&transports[B])) continue;
  ck_assert_int_eq(transports[A].aborted, 1);
  ck_assert_int_eq(fake_begun(&transports[A]), 2);
}
END_TEST

START_TEST(what_one_that_closes_had_goes_on) {
  int64_t before;
  for (int i = 0; i < 3; i++) open_node(i);
  make_hooks(9, 3, 0);
  share_out(3);
  (void)tips(20, 3);
  nodes_close(B);
  nodes_close(A); /* which led */
  before = nodes_tip(C, "r", "alice", 100, NULL);
  share_out(1);
  int64_t last = 0;
  for (int i = 0; i < 20; i++) last = nodes_tip(C, "r", "alice", 100, NULL);
  check_all(0, last, 9);
  check_all(before, last, 9);
  ck_assert_int_eq(seen.by[C], 9);
}
END_TEST

/* Each node's number goes, as when the others take it for gone: it goes on by another. */
START_TEST(a_node_that_was_taken_for_gone_comes_back) {
  for (int i = 0; i < 2; i++) open_node(i);
  make_hooks(4, 2, 0);
  share_out(2);
  for (int round = 0; round < 3; round++) {
    int64_t before = tips(10, 2);
    (void)nodes_ask("DELETE FROM senders");
    int64_t after = tips(10, 2);
    share_out(2);
    int64_t last = tips(10, 2);
    check_all(before, last, 4);
    check_all(after, last, 4);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(seen.by[i], 2);
  }
}
END_TEST

/* Another one held its share, and owed it something, before this one knew of the webhook. */
START_TEST(what_was_owed_before_it_was_known_is_sent) {
  open_node(A);
  share_out(1);
  ck_assert_int_eq(tips(1, 1), 1);
  (void)nodes_ask("INSERT INTO owed SELECT id, 1, -1, true, 0, 0, 2, 0 FROM generate_series(1, 4) id");
  make_hooks(4, 1, 0);
  check_all(0, 1, 4);
  int64_t last = tips(5, 1);
  check_all(0, last, 4);
  ck_assert_int_eq(seen.twice, 0);
}
END_TEST

/* The first sendings of each are in order, whoever sends. */
static void check_order(int hooks, int64_t last) {
  for (int id = 1; id <= hooks; id++) {
    int64_t highest = 0;
    for (int i = 0; i < NODES_MAX; i++) {
      fake_transport *f = &transports[i];
      int64_t before = 0;
      pthread_mutex_lock(&f->mutex);
      for (int j = 0; j < f->begun; j++) {
        long long at = 0, seq = 0, of = 0;
        if (sscanf(f->seen[j][0], "msg_%lld_%lld_%lld", &at, &seq, &of) != 3 || of != id) continue;
        ck_assert_int_ge(seq, before); /* by one node; which ones it had is its span of them */
        before = seq;
      }
      pthread_mutex_unlock(&f->mutex);
      if (before > highest) highest = before;
    }
    ck_assert_int_eq(highest, last);
  }
}

START_TEST(ordered_webhooks_stay_in_order_while_nodes_come) {
  pthread_t thread;
  posting p = {.last = 0};
  open_node(A);
  make_hooks(4, 1, TC_WEBHOOK_ORDERED);
  ck_assert_int_eq(pthread_create(&thread, NULL, post, &p), 0);
  open_node(B);
  share_out(2);
  open_node(C);
  share_out(3);
  atomic_store(&p.stop, 1);
  (void)pthread_join(thread, NULL);
  check_all(0, p.last, 4);
  ck_assert_int_eq(seen.twice, 0);
  check_order(4, p.last);
  /* And over nodes: what the one had sent when the webhook went over is before what the other has sent. */
  for (int id = 1; id <= 4; id++) {
    int64_t changes = 0, by = -1;
    for (int64_t seq = 1; seq <= p.last; seq++) {
      int now = seen.of[A][id][seq] ? A : seen.of[B][id][seq] ? B : C;
      changes += by >= 0 && now != by;
      by = now;
    }
    ck_assert_int_le(changes, 2);
  }
}
END_TEST

/* ---- what is asked of them ---- */

static int tests_begun(void) {
  int n = 0;
  for (int i = 0; i < NODES_MAX; i++) {
    pthread_mutex_lock(&transports[i].mutex);
    for (int j = 0; j < transports[i].begun; j++) n += !strncmp(transports[i].seen[j][0], "test_", 5);
    pthread_mutex_unlock(&transports[i].mutex);
  }
  return n;
}

static int has_tested(void *arg) { return tests_begun() >= *(const int *)arg; }

static int has_replayed(void *arg) {
  int begun = 0;
  for (int i = 0; i < NODES_MAX; i++) begun += fake_begun(&transports[i]);
  return begun >= *(const int *)arg;
}

START_TEST(any_node_may_be_asked_for_a_test_or_a_redelivery) {
  int tested = 8, begun = 4 * 10;
  for (int i = 0; i < 2; i++) open_node(i);
  make_hooks(4, 2, 0);
  share_out(2);
  check_all(0, tips(10, 2), 4);
  ck_assert(nodes_has(A, 10));
  ck_assert(nodes_has(B, 10));
  for (int i = 0; i < 2; i++) {
    for (int64_t id = 1; id <= 4; id++) {
      int64_t count = 0;
      while (tc_webhook_test(nodes[i], id) == TC_ENOTFOUND) continue; /* it hears of it within a second */
      ck_assert_int_eq(tc_webhook_replay(nodes[i], id, 1, 10, &count), TC_OK);
      ck_assert_int_eq(count, 10);
      begun += 1 + 10;
    }
    ck_assert(nodes_until(has_replayed, &begun)); /* of two at once only one is made */
  }
  ck_assert(nodes_until(has_tested, &tested));
  look(0);
  for (int id = 1; id <= 4; id++) ck_assert_int_eq(seen.senders_of[id], 1);
  ck_assert_int_eq(tests_begun(), tested);
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM config WHERE kind=5"), 0);
}
END_TEST

/* Before it holds any share. */
START_TEST(a_node_may_be_asked_as_soon_as_it_is_open) {
  open_node(A);
  make_hooks(2, 1, 0);
  for (int tested = 2; tested <= 12; tested += 2) {
    nodes_close(A);
    open_node(A);
    for (int64_t id = 1; id <= 2; id++) ck_assert_msg(!tc_webhook_test(nodes[A], id), "%s", tc_last_error());
    ck_assert(nodes_until(has_tested, &tested));
  }
  ck_assert_int_eq(tests_begun(), 12);
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM config WHERE kind=5"), 0);
}
END_TEST

static int are_all_off(void *arg) {
  (void)arg;
  return nodes_ask("SELECT count(*) FROM config WHERE kind=1 AND (doc::json->>'enabled') IN ('false', '0')") == 4;
}

/* Whoever sends it disables it, be it the leader or not. */
START_TEST(a_receiver_that_is_gone_is_disabled_by_whoever_sends_to_it) {
  for (int i = 0; i < 2; i++) open_node(i);
  make_hooks(4, 2, 0);
  share_out(2);
  for (int i = 0; i < 2; i++) transports[i].auto_status = 410;
  int64_t last = tips(1, 1);
  check_all(last - 1, last, 4);
  ck_assert(nodes_until(are_all_off, NULL));
  for (int i = 0; i < 2; i++) {
    int sent = 0;
    for (int id = 1; id <= 4; id++) sent += seen.of[i][id][last];
    ck_assert_int_eq(sent, 2);
  }
  ck_assert_int_eq(nodes_ask("SELECT count(*) FROM events WHERE kind<>1"), 4); /* webhook.disabled, each once */
}
END_TEST

/* ---- without threads ---- */

START_TEST(engines_without_threads_share_too) {
  int count = 2, turn = 0;
  nodes_options.flags = TC_NO_THREADS;
  for (int i = 0; i < 2; i++) open_node(i);
  make_hooks(4, 1, 0);
  while (!is_shared_out(&count)) {
    ck_assert_int_lt(++turn, 2000);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(tc_engine_poll(nodes[i], 10), TC_OK);
  }
  int64_t last = tips(20, 2);
  while (!has_all(&(span){0, last, 4})) {
    ck_assert_int_lt(++turn, 4000);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(tc_engine_poll(nodes[i], 10), TC_OK);
  }
  ck_assert_int_eq(seen.twice, 0);
  for (int i = 0; i < 2; i++) ck_assert_int_eq(seen.by[i], 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nodes: webhooks");
  TCase *all = tcase_create("on one log");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_set_timeout(all, 90);
  tcase_add_test(all, each_webhook_is_sent_by_one_node_and_all_send);
  tcase_add_test(all, one_delivery_log_has_what_all_have_sent);
  tcase_add_test(all, a_node_that_comes_gets_its_part_without_a_gap);
  tcase_add_test(all, a_webhook_goes_over_when_nothing_of_it_is_under_way);
  tcase_add_test(all, what_hangs_does_not_stay_for_ever);
  tcase_add_test(all, what_one_that_closes_had_goes_on);
  tcase_add_test(all, a_node_that_was_taken_for_gone_comes_back);
  tcase_add_test(all, what_was_owed_before_it_was_known_is_sent);
  tcase_add_test(all, ordered_webhooks_stay_in_order_while_nodes_come);
  tcase_add_test(all, any_node_may_be_asked_for_a_test_or_a_redelivery);
  tcase_add_test(all, a_node_may_be_asked_as_soon_as_it_is_open);
  tcase_add_test(all, a_receiver_that_is_gone_is_disabled_by_whoever_sends_to_it);
  tcase_add_test(all, engines_without_threads_share_too);
  suite_add_tcase(suite, all);
  return nodes_run(suite);
}
