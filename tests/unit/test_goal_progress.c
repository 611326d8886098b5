/* What counts for a goal, and that a target is met: as the log grows, after restarts and kills, with a rollup that is behind, and built anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/rollup/rollup.h"
#include "engine_kit.h"
#include "model/fail.h"

static kit k;
static tc_storage_ops real, ops;
static atomic_int facts_code;
static atomic_int config_lost, config_code; /* lost: 1: a change is not stored, 2: it is, and nobody knows */

static int commit_facts(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  int code = atomic_load(&facts_code);
  return code ? tci_fail(code, "told to fail") : real.facts_commit(storage, seq, facts, n);
}

static int put_config(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc) {
  int lost = atomic_load(&config_lost);
  int64_t number = *id;
  if (!lost) return real.config_put(storage, kind, id, doc);
  if (lost == 2) ck_assert_int_eq(real.config_put(storage, kind, &number, doc), TC_OK);
  return tci_fail(TC_EUNKNOWN, "told not to tell");
}

static int read_config(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg) {
  int code = atomic_load(&config_code);
  return code ? tci_fail(code, "told to fail") : real.config_read(storage, kind, fn, arg);
}

static void set_up(void) {
  kit_init(&k, 1);
  real = ops = *kit_faulty(1);
  ops.facts_commit = commit_facts;
  ops.config_put = put_config;
  ops.config_read = read_config;
  k.options.storage_ops = &ops;
}
static void set_up_memory(void) { kit_init(&k, 0); }
static void tear_down(void) { kit_clean(&k); }

static void restart(void) {
  kit_close(&k);
  kit_open(&k);
}

/* What is in memory alone is lost. */
static void kill_and_open(void) {
  atomic_store(&facts_code, TC_ESTORAGE);
  kit_close(&k);
  atomic_store(&facts_code, 0);
  kit_open(&k);
}

typedef struct seen {
  tc_goal goal;
  int count;
} seen;

static void see(const tc_goal *goal, void *userdata) {
  ((seen *)userdata)->goal = *goal; /* its texts are not looked at */
  ((seen *)userdata)->count++;
}

static tc_goal get(int64_t id) {
  seen s = {.count = 0};
  ck_assert_msg(!tc_goal_get(k.engine, id, see, &s), "%s", tc_last_error());
  return s.goal;
}

static tc_goal_new wanted(int64_t amount, int64_t count) {
  tc_goal_new goal = TC_GOAL_NEW_INIT;
  goal.room_id = "r";
  goal.title = "t";
  goal.target_amount = amount;
  goal.target_count = count;
  return goal;
}

static int64_t create(const tc_goal_new *goal) {
  seen s = {.count = 0};
  ck_assert_msg(!tc_goal_create(k.engine, goal, see, &s, NULL), "%s", tc_last_error());
  return s.goal.id;
}

static int64_t create_plain(int64_t amount, int64_t count) {
  tc_goal_new goal = wanted(amount, count);
  return create(&goal);
}

static int64_t tip_of(const char *room, const char *peer, const char *currency, int64_t amount) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  tip.room_id = room;
  tip.sender_id = "alice";
  tip.recipient_id = peer;
  tip.currency = currency;
  tip.amount = amount;
  ck_assert_msg(!tc_tip_create(k.engine, &tip, &event, NULL), "%s", tc_last_error());
  int64_t id = tc_event_id(event);
  tc_event_unref(event);
  return id;
}

static int64_t tip(int64_t amount) { return kit_tip(&k, "r", "alice", amount, NULL); }

static void refund(int64_t id, int64_t amount) {
  tc_refund_new wish = TC_REFUND_NEW_INIT;
  wish.tip_id = id;
  wish.amount = amount;
  ck_assert_msg(!tc_tip_refund(k.engine, &wish, NULL, NULL), "%s", tc_last_error());
}

static int is_counted(void *arg) {
  (void)arg;
  return tci_rollup_seq(k.engine) == atomic_load(&k.engine->log_seq);
}

/* Everything in the log is counted. */
static void settle(void) { ck_assert(kit_until(is_counted, NULL)); }

#define PROGRESS(id, amount, count)                     \
  do {                                                  \
    tc_goal goal_now = get(id);                         \
    ck_assert_int_eq(goal_now.has_progress, 1);         \
    ck_assert_int_eq(goal_now.progress_amount, amount); \
    ck_assert_int_eq(goal_now.progress_count, count);   \
  } while (0)

static int64_t reached_events(char *json, size_t size) {
  tc_activity_query query = TC_ACTIVITY_QUERY_INIT;
  tc_page *page = NULL;
  query.type = "goal.reached";
  ck_assert_msg(!tc_activity_list(k.engine, &query, &page), "%s", tc_last_error());
  int64_t n = tc_page_total(page);
  if (n && json) (void)snprintf(json, size, "%s", tc_event_json(tc_page_at(page, 0), NULL));
  tc_page_free(page);
  return n;
}

static int has_events(void *n) { return reached_events(NULL, 0) >= *(int *)n; }

static void until_events(int n) {
  ck_assert(kit_until(has_events, &n));
  ck_assert_int_eq(reached_events(NULL, 0), n);
}

/* Counting stands still; what is committed waits. */
static void hold(void) { atomic_store(&kit_fault.derive_code, TC_ESTORAGE); }
static void let_go(void) { atomic_store(&kit_fault.derive_code, 0); }

START_TEST(it_follows_the_log) {
  kit_open(&k);
  (void)tip(100);
  int64_t amount = create_plain(1000, 0), count = create_plain(0, 10);
  PROGRESS(amount, 0, 0);
  int64_t second = tip(300);
  (void)tip_of("r", "bob", "EUR", 500);
  (void)tip_of("r2", "bob", NULL, 500);
  settle();
  PROGRESS(amount, 300, 1);
  PROGRESS(count, 0, 2); /* tips of any currency; what they are together is no sum */
  refund(second, 120);
  refund(1, 50); /* of before the goals */
  settle();
  PROGRESS(amount, 180, 1);
  PROGRESS(count, 0, 2);
  ck_assert_int_eq(tc_goal_close(k.engine, amount, NULL, NULL), TC_OK);
  refund(second, 20);
  (void)tip(100);
  settle();
  PROGRESS(amount, 180, 1);
  PROGRESS(count, 0, 3);
}
END_TEST

START_TEST(only_what_the_goal_names) {
  kit_open(&k);
  tc_goal_new goal = wanted(10000, 0);
  goal.currency = "EUR";
  int64_t euros = create(&goal);
  goal.currency = NULL;
  goal.recipient_id = "bob";
  int64_t for_bob = create(&goal);
  goal.recipient_id = NULL;
  goal.deadline_us = kit_clock_wall() + 1000000;
  int64_t today = create(&goal);
  (void)tip_of("r", "bob", "EUR", 1);
  (void)tip_of("r", "bob", NULL, 20);
  int64_t early = tip_of("r", "carol", "USD", 300); /* the default one */
  kit_clock_add(1000000);
  (void)tip_of("r", "bob", NULL, 4000);
  refund(early, 100);
  settle();
  PROGRESS(euros, 1, 1);
  PROGRESS(for_bob, 4020, 2);
  PROGRESS(today, 220, 2);
}
END_TEST

/* Made and closed while counting is behind: each tip counts where it stands in the log. */
START_TEST(the_rollup_is_behind) {
  kit_open(&k);
  hold();
  (void)tip(1);
  int64_t first = create_plain(100000, 0);
  (void)tip(20);
  int64_t second = create_plain(100000, 0);
  (void)tip(300);
  ck_assert_int_eq(tc_goal_close(k.engine, first, NULL, NULL), TC_OK);
  (void)tip(4000);
  ck_assert_int_eq(tc_goal_close(k.engine, second, NULL, NULL), TC_OK);
  (void)tip(50000);
  let_go();
  settle();
  PROGRESS(first, 320, 2);
  PROGRESS(second, 4300, 2);
  /* Behind at open too. */
  hold();
  int64_t third = create_plain(100000, 0);
  (void)tip(7);
  kill_and_open();
  let_go();
  settle();
  PROGRESS(first, 320, 2);
  PROGRESS(third, 7, 1);
}
END_TEST

START_TEST(restarts_kills_and_a_derived_file_that_is_gone) {
  kit_open(&k);
  int64_t id = create_plain(1000, 0), closed = create_plain(0, 2);
  (void)tip(400);
  int64_t taken_back = tip(500);
  settle();
  until_events(1);
  ck_assert_int_eq(tc_goal_close(k.engine, closed, NULL, NULL), TC_OK);
  refund(taken_back, 0);
  for (int round = 0; round < 4; round++) {
    (void)tip(10);
    if (round == 0) restart();
    if (round == 1) kill_and_open();
    if (round == 2) settle();
    if (round == 3) {
      kit_close(&k);
      kit_forget_index(&k);
      kit_clock_add(INT64_C(3) * 86400 * 1000000); /* keys are forgotten */
      kit_open(&k);
    }
    settle();
    PROGRESS(id, 410 + round * 10, 3 + round);
    PROGRESS(closed, 0, 2);
  }
  (void)tip(560);
  until_events(2);
  restart();
  kill_and_open();
  (void)tip(1);
  settle();
  ck_assert_int_eq(reached_events(NULL, 0), 2);
  ck_assert_int_eq(get(id).status, TC_GOAL_REACHED);
  ck_assert_int_eq(get(closed).status, TC_GOAL_CLOSED);
  ck_assert_int_gt(get(closed).reached_at_us, 0);
}
END_TEST

START_TEST(met_and_said) {
  char json[512] = "";
  kit_open(&k);
  int64_t id = create_plain(1000, 0);
  (void)tip(600);
  int64_t last = tip(700);
  settle();
  until_events(1);
  (void)reached_events(json, sizeof json);
  ck_assert_msg(strstr(json, "\"goalId\":1,\"roomId\":\"r\",\"title\":\"t\",\"amount\":13.00,\"count\":null,") != NULL, "%s", json);
  refund(last, 0);
  settle();
  PROGRESS(id, 600, 2);
  ck_assert_int_eq(get(id).status, TC_GOAL_REACHED);
  (void)tip(700); /* again */
  settle();
  PROGRESS(id, 1300, 3);
  ck_assert_int_eq(reached_events(NULL, 0), 1);
  id = create_plain(0, 2);
  (void)tip(1);
  (void)tip(1);
  until_events(2);
  (void)reached_events(json, sizeof json);
  ck_assert_msg(strstr(json, "\"amount\":null,\"count\":2,") != NULL, "%s", json);
  ck_assert_int_eq(get(id).status, TC_GOAL_REACHED);
}
END_TEST

/* Killed after the target was met and before it was said, with the sum below the target again: it was reached all the same. */
START_TEST(met_but_not_said) {
  char json[512] = "";
  kit_open(&k);
  (void)create_plain(1000, 0);
  hold();
  (void)tip(400);
  int64_t last = tip(700);
  refund(last, 0);
  atomic_store(&kit_fault.append_code, TC_ESTORAGE); /* no word of it */
  let_go();
  settle();
  restart(); /* what is met is written down */
  ck_assert_int_eq(reached_events(NULL, 0), 0);
  kill_and_open();
  atomic_store(&kit_fault.append_code, 0);
  until_events(1);
  (void)reached_events(json, sizeof json);
  ck_assert_msg(strstr(json, "\"amount\":11.00,") != NULL, "%s", json);
  PROGRESS(1, 400, 2);
  restart();
  settle();
  ck_assert_int_eq(reached_events(NULL, 0), 1);
}
END_TEST

static int has_appended(void *n) { return atomic_load(&kit_fault.append_calls) > *(int *)n; }

static int is_pending(void *n) {
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  return status.pending_events == *(uint64_t *)n;
}

/* Nobody knows whether the word was stored; it is said again, and by the time it is decided its key is forgotten. */
START_TEST(an_unknown_outcome) {
  uint64_t two = 2, none = 0;
  int stored = _i;
  k.options.idempotency_ttl_s = 1;
  kit_open(&k);
  (void)create_plain(1000, 0);
  hold();
  (void)tip(1000);
  atomic_store(&kit_fault.unknown_stored, stored);
  atomic_store(&kit_fault.outcome_code, TC_ESTORAGE);
  atomic_store(&kit_fault.append_code, TC_EUNKNOWN);
  int calls = atomic_load(&kit_fault.append_calls);
  let_go();
  ck_assert(kit_until(has_appended, &calls));
  kit_clock_add(6000000); /* its deadline */
  ck_assert(kit_until(is_pending, &two));
  atomic_store(&kit_fault.append_code, 0);
  atomic_store(&kit_fault.outcome_code, 0);
  ck_assert(kit_until(is_pending, &none));
  until_events(1);
  (void)tip(1);
  settle();
  ck_assert_int_eq(reached_events(NULL, 0), 1);
  ck_assert_int_eq(get(1).status, TC_GOAL_REACHED);
}
END_TEST

/* Nobody knows whether the change to a goal was stored: nothing is appended before that is known, so its place in the log stays what it is. */
START_TEST(an_unknown_change) {
  seen s = {.count = 0};
  int32_t replayed = -1;
  int stored = _i & 1, closing = _i & 2;
  tc_goal_new goal = wanted(1000, 0);
  goal.idempotency_key = "k";
  kit_open(&k);
  int64_t id = closing ? create(&goal) : 1;
  (void)tip(1);
  atomic_store(&config_lost, stored ? 2 : 1);
  ck_assert_int_eq(closing ? tc_goal_close(k.engine, id, NULL, NULL) : tc_goal_create(k.engine, &goal, NULL, NULL, NULL), TC_EUNKNOWN);
  atomic_store(&config_lost, 0);
  atomic_store(&config_code, TC_ESTORAGE);
  ck_assert_int_ne(tc_goal_create(k.engine, &goal, NULL, NULL, NULL), TC_OK);
  kit_answers *answers = kit_answers_new();
  kit_submit(&k, answers, NULL);
  for (int i = 0; i < 20; i++) kit_turn();
  kit_clock_add(6000000);
  ck_assert(kit_until_answers(answers, 1)); /* its deadline, and not committed */
  ck_assert_int_eq(answers->got[0].code, TC_EBUSY);
  atomic_store(&config_code, 0);
  (void)tip(20);
  if (!closing) {
    ck_assert_int_eq(tc_goal_create(k.engine, &goal, see, &s, &replayed), TC_OK);
    ck_assert_int_eq(replayed, stored);
    id = s.goal.id;
  }
  (void)tip(300);
  for (int i = 0; i < 2; i++) {
    settle();
    if (closing) PROGRESS(id, stored ? 1 : 321, stored ? 1 : 3);
    else PROGRESS(id, stored ? 320 : 300, stored ? 2 : 1);
    ck_assert_int_eq(get(id).status, closing && stored ? TC_GOAL_CLOSED : TC_GOAL_OPEN);
    restart();
  }
  kit_answers_free(answers);
}
END_TEST

/* Many goals in many rooms, most of them closed: the walk finds what is open, and rooms do not mix. */
START_TEST(many_goals) {
  enum { ROOMS = 40, EACH = 12 };
  char room[8];
  int64_t ids[ROOMS][EACH];
  kit_open(&k);
  for (int j = 0; j < EACH; j++) {
    for (int i = 0; i < ROOMS; i++) {
      tc_goal_new goal = wanted(100000, 0);
      (void)snprintf(room, sizeof room, "r%d", i * 7 % ROOMS);
      goal.room_id = room;
      ids[i][j] = create(&goal);
      if (j % 3) ck_assert_int_eq(tc_goal_close(k.engine, ids[i][j], NULL, NULL), TC_OK);
    }
  }
  for (int i = 0; i < ROOMS; i++) {
    (void)snprintf(room, sizeof room, "r%d", i * 7 % ROOMS);
    (void)kit_tip(&k, room, "alice", i + 1, NULL);
  }
  for (int round = 0; round < 2; round++) {
    settle();
    for (int i = 0; i < ROOMS; i++) {
      for (int j = 0; j < EACH; j++) PROGRESS(ids[i][j], j % 3 ? 0 : i + 1, !(j % 3));
    }
    restart();
  }
}
END_TEST

START_TEST(in_memory_too) {
  kit_open(&k);
  int64_t id = create_plain(1000, 0);
  refund(tip(600), 100);
  settle();
  PROGRESS(id, 500, 1);
  (void)tip(500);
  until_events(1);
  ck_assert_int_eq(get(id).status, TC_GOAL_REACHED);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("goals' progress");
  TCase *all = tcase_create("all"), *memory = tcase_create("memory");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, it_follows_the_log);
  tcase_add_test(all, only_what_the_goal_names);
  tcase_add_test(all, the_rollup_is_behind);
  tcase_add_test(all, restarts_kills_and_a_derived_file_that_is_gone);
  tcase_add_test(all, met_and_said);
  tcase_add_test(all, met_but_not_said);
  tcase_add_loop_test(all, an_unknown_outcome, 0, 2);
  tcase_add_loop_test(all, an_unknown_change, 0, 4);
  tcase_add_test(all, many_goals);
  tcase_add_checked_fixture(memory, set_up_memory, tear_down);
  tcase_add_test(memory, in_memory_too);
  suite_add_tcase(suite, all);
  suite_add_tcase(suite, memory);
  return kit_run(suite);
}
