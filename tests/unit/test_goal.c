/* Goals: what is asked for, what is kept, which tips count, and that a goal is reached once for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/goals.h"
#include "engine_kit.h"

static kit k;

static void set_up(void) { kit_init(&k, 1); }
static void tear_down(void) { kit_clean(&k); }

static tc_goal_new wanted(void) {
  tc_goal_new goal = TC_GOAL_NEW_INIT;
  goal.room_id = "r";
  goal.title = "a new microphone";
  goal.target_amount = 50000;
  return goal;
}

/* A goal as it was shown, with its texts. */
typedef struct seen {
  tc_goal goal;
  char title[64], currency[8], recipient[64];
  int count;
} seen;

static void see(const tc_goal *goal, void *userdata) {
  seen *s = userdata;
  s->goal = *goal;
  s->count++;
  (void)snprintf(s->title, sizeof s->title, "%s", goal->title);
  (void)snprintf(s->currency, sizeof s->currency, "%s", goal->currency ? goal->currency : "");
  (void)snprintf(s->recipient, sizeof s->recipient, "%s", goal->recipient_id ? goal->recipient_id : "");
}

static int64_t create(const tc_goal_new *goal) {
  seen s = {.count = 0};
  ck_assert_msg(!tc_goal_create(k.engine, goal, see, &s, NULL), "%s", tc_last_error());
  ck_assert_int_eq(s.count, 1);
  return s.goal.id;
}

static seen get(int64_t id) {
  seen s = {.count = 0};
  ck_assert_msg(!tc_goal_get(k.engine, id, see, &s), "%s", tc_last_error());
  return s;
}

static void refused(tc_goal_new goal, const char *naming) {
  ck_assert_int_eq(tc_goal_create(k.engine, &goal, NULL, NULL, NULL), TC_EINVAL);
  ck_assert_msg(strstr(tc_last_error(), naming) != NULL, "%s", tc_last_error());
}

#define WITH(change, naming)     \
  do {                           \
    tc_goal_new goal = wanted(); \
    change;                      \
    refused(goal, naming);       \
  } while (0)

START_TEST(mistakes_are_named) {
  kit_open(&k);
  WITH(goal.room_id = NULL, "roomId: is required");
  WITH(goal.room_id = " ", "roomId: must not be blank");
  WITH(goal.title = NULL, "title");
  WITH(goal.title = "", "title");
  WITH(goal.target_amount = 0, "targetAmount: is required");
  WITH(goal.target_count = 5, "not both");
  WITH(goal.target_amount = -5, "targetAmount: must be greater");
  WITH((goal.target_amount = 0, goal.target_count = -5), "targetCount: must be greater");
  WITH(goal.currency = "eur", "currency");
  WITH(goal.recipient_id = "", "recipientId");
  WITH(goal.deadline_us = kit_clock_wall(), "deadline: must be in the future");
  WITH(goal.deadline_us = -1, "deadline");
  WITH(goal.idempotency_key = "", "Idempotency-Key");
}
END_TEST

START_TEST(what_is_kept) {
  tc_goal_new goal = wanted();
  kit_open(&k);
  goal.currency = "EUR";
  goal.recipient_id = "bob";
  goal.deadline_us = kit_clock_wall() + 60000000;
  int64_t id = create(&goal);
  goal = wanted();
  goal.target_amount = 0;
  goal.target_count = 3;
  goal.currency = "USD"; /* the default one */
  int64_t other = create(&goal);
  goal.room_id = "r2";
  (void)create(&goal);
  for (int i = 0; i < 2; i++) {
    seen s = get(id);
    ck_assert_str_eq(s.title, "a new microphone");
    ck_assert_str_eq(s.currency, "EUR");
    ck_assert_str_eq(s.recipient, "bob");
    ck_assert_int_eq(s.goal.target_amount, 50000);
    ck_assert_int_eq(s.goal.status, TC_GOAL_OPEN);
    s = get(other);
    ck_assert_int_eq(s.goal.target_count, 3);
    ck_assert_str_eq(s.currency, "");
    ck_assert_int_eq(s.goal.deadline_us, 0);
    s.count = 0;
    ck_assert_int_eq(tc_goal_list(k.engine, "r", see, &s), TC_OK);
    ck_assert_int_eq(s.count, 2);
    ck_assert_int_eq(tc_goal_list(k.engine, "nowhere", see, &s), TC_OK);
    ck_assert_int_eq(s.count, 2);
    ck_assert_int_eq(tc_goal_get(k.engine, 99, see, &s), TC_ENOTFOUND);
    kit_close(&k);
    kit_open(&k);
  }
  kit_clock_add(60000000);
  ck_assert_int_eq(get(id).goal.status, TC_GOAL_EXPIRED);
  ck_assert_int_eq(tc_goal_close(k.engine, id, NULL, NULL), TC_OK);
  ck_assert_int_eq(tc_goal_close(k.engine, id, NULL, NULL), TC_OK);
  ck_assert_int_eq(tc_goal_close(k.engine, 99, NULL, NULL), TC_ENOTFOUND);
  ck_assert_int_eq(get(id).goal.status, TC_GOAL_CLOSED);
  ck_assert_int_eq(get(id).goal.closed_at_us, kit_clock_wall());
}
END_TEST

START_TEST(keys_and_limits) {
  tc_goal_new goal = wanted();
  int32_t replayed = -1;
  kit_open(&k);
  goal.idempotency_key = "k";
  int64_t id = create(&goal);
  seen s = {.count = 0};
  ck_assert_int_eq(tc_goal_create(k.engine, &goal, see, &s, &replayed), TC_OK);
  ck_assert(replayed == 1 && s.goal.id == id);
  goal.title = "another";
  ck_assert_int_eq(tc_goal_create(k.engine, &goal, NULL, NULL, NULL), TC_EMISMATCH);
  goal.idempotency_key = NULL;
  for (int i = 1; i < TCI_GOALS_OF_ROOM_MAX; i++) (void)create(&goal);
  ck_assert_int_eq(tc_goal_create(k.engine, &goal, NULL, NULL, NULL), TC_ELIMIT);
  ck_assert_int_eq(tc_goal_close(k.engine, id, NULL, NULL), TC_OK);
  (void)create(&goal);
}
END_TEST

static int take(const tci_goal *goal, void *arg) {
  ((tci_goal *)arg)[goal->id] = *goal;
  return 0;
}

/* Which goals of the room take an event with this seq: bit mask of their ids. */
static unsigned takers(int64_t seq) {
  tci_goal goals[8] = {{.id = 0}};
  unsigned mask = 0;
  tci_goals_of(k.engine, (tc_text){"r", 1}, seq, take, goals);
  for (unsigned i = 1; i < 8; i++) mask |= (unsigned)(goals[i].id != 0) << i;
  return mask;
}

START_TEST(which_events_are_taken) {
  tc_goal_new goal = wanted();
  kit_open(&k);
  for (int i = 0; i < 3; i++) {
    kit_tip(&k, "r", "alice", 100, NULL);
    ck_assert_int_eq(create(&goal), i + 1);
  }
  goal.room_id = "r0";
  (void)create(&goal);
  ck_assert_int_eq(tc_goal_close(k.engine, 2, NULL, NULL), TC_OK); /* after 3 */
  kit_tip(&k, "r", "alice", 100, NULL);
  for (int i = 0; i < 2; i++) {
    ck_assert_uint_eq(takers(1), 0);
    ck_assert_uint_eq(takers(2), 1u << 1);
    ck_assert_uint_eq(takers(3), 1u << 1 | 1u << 2);
    ck_assert_uint_eq(takers(4), 1u << 1 | 1u << 3);
    kit_close(&k);
    kit_open(&k);
  }
}
END_TEST

START_TEST(which_tips_count) {
  tc_record tip = {.kind = TC_KIND_TIP};
  tci_goal goal = {.room = "r", .title = "t", .target_amount = 100, .after_seq = 10};
  tip.text[TC_COL_ROOM] = (tc_text){"r", 1};
  tip.text[TC_COL_PEER] = (tc_text){"bob", 3};
  ck_assert(tci_goal_takes(&goal, &tip, 11, 1000, 11));
  ck_assert(!tci_goal_takes(&goal, &tip, 10, 1000, 12)); /* the refund of an older tip */
  goal.deadline_us = 1000;
  ck_assert(tci_goal_takes(&goal, &tip, 11, 999, 11));
  ck_assert(!tci_goal_takes(&goal, &tip, 11, 1000, 11));
  goal.deadline_us = 0;
  goal.closed_at_us = 5;
  goal.closed_seq = 11;
  ck_assert(tci_goal_takes(&goal, &tip, 11, 1000, 11));
  ck_assert(!tci_goal_takes(&goal, &tip, 11, 1000, 12));
  goal.closed_at_us = 0;
  goal.recipient = "bo";
  ck_assert(!tci_goal_takes(&goal, &tip, 11, 1000, 11));
  goal.recipient = "bob";
  ck_assert(tci_goal_takes(&goal, &tip, 11, 1000, 11));
  tip.text[TC_COL_CURRENCY] = (tc_text){"EUR", 3};
  ck_assert(!tci_goal_takes(&goal, &tip, 11, 1000, 11));
  goal.any_currency = 1;
  ck_assert(tci_goal_takes(&goal, &tip, 11, 1000, 11));
  goal.any_currency = 0;
  goal.currency = "EUR";
  ck_assert(tci_goal_takes(&goal, &tip, 11, 1000, 11));
  tip.text[TC_COL_CURRENCY].ptr = NULL;
  ck_assert(!tci_goal_takes(&goal, &tip, 11, 1000, 11));
  tip.text[TC_COL_ROOM] = (tc_text){"rr", 2};
  ck_assert(!tci_goal_takes(&goal, &tip, 11, 1000, 11));
  ck_assert(tci_goal_is_met(&goal, 100, 0) && !tci_goal_is_met(&goal, 99, 100));
}
END_TEST

static int64_t events_of_goals(const char **json) {
  static char text[512];
  tc_activity_query query = TC_ACTIVITY_QUERY_INIT;
  tc_page *page = NULL;
  query.type = "goal.reached";
  ck_assert_int_eq(tc_activity_list(k.engine, &query, &page), TC_OK);
  int64_t n = tc_page_total(page);
  if (n) (void)snprintf(text, sizeof text, "%s", tc_event_json(tc_page_at(page, 0), NULL));
  tc_page_free(page);
  if (json) *json = text;
  return n;
}

/* Whatever comes: a key that is long forgotten, a restart, a word that is said again and again. */
START_TEST(reached_once_for_ever) {
  tc_goal_new goal = wanted();
  const char *json = "";
  kit_open(&k);
  int64_t id = create(&goal);
  goal.target_amount = 0;
  goal.target_count = 1000; /* more than there are */
  int64_t other = create(&goal);
  for (int i = 0; i < 3; i++) {
    tci_goal_reached(k.engine, id, 50100, 7);
    tci_goal_reached(k.engine, id, 60000, 8);
    tci_goals_step(k.engine);
    kit_tip(&k, "r", "alice", 100, NULL); /* behind it in the queue */
    ck_assert_int_eq(events_of_goals(&json), 1);
    ck_assert_msg(strstr(json, ",\"type\":\"goal.reached\",\"goalId\":1,\"roomId\":\"r\",\"title\":\"a new microphone\",\"amount\":501.00,\"count\":null,") !=
                    NULL,
                  "%s", json);
    ck_assert_int_eq(get(id).goal.status, TC_GOAL_REACHED);
    ck_assert_int_gt(get(id).goal.reached_at_us, 0);
    kit_close(&k);
    kit_clock_add(INT64_C(3) * 86400 * 1000000);
    kit_open(&k);
  }
  tci_goal_reached(k.engine, other, 0, 3);
  tci_goals_step(k.engine);
  kit_tip(&k, "r", "alice", 100, NULL);
  ck_assert_int_eq(events_of_goals(&json), 2);
  ck_assert_msg(strstr(json, "\"goalId\":2,\"roomId\":\"r\",\"title\":\"a new microphone\",\"amount\":null,\"count\":3,") != NULL, "%s", json);
  tci_goal_reached(k.engine, 99, 1, 1); /* nobody's */
  ck_assert_int_eq(tc_goal_close(k.engine, id, NULL, NULL), TC_OK);
  ck_assert_int_eq(get(id).goal.status, TC_GOAL_CLOSED);
  ck_assert_int_gt(get(id).goal.reached_at_us, 0);
}
END_TEST

/* What cannot be stored now is said later. */
START_TEST(a_full_disk_only_delays_it) {
  tc_goal_new goal = wanted();
  k.options.storage_ops = kit_faulty(1);
  kit_open(&k);
  int64_t id = create(&goal);
  atomic_store(&kit_fault.append_code, TC_ESTORAGE);
  tci_goal_reached(k.engine, id, 50000, 1);
  tci_goals_step(k.engine);
  ck_assert_int_eq(kit_try_tip(&k, "r", 100, NULL, NULL, NULL), TC_ESTORAGE);
  ck_assert_int_eq(events_of_goals(NULL), 0);
  atomic_store(&kit_fault.append_code, 0);
  while (!events_of_goals(NULL)) tci_goals_step(k.engine);
  ck_assert_int_eq(events_of_goals(NULL), 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("goals");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, mistakes_are_named);
  tcase_add_test(all, what_is_kept);
  tcase_add_test(all, keys_and_limits);
  tcase_add_test(all, which_events_are_taken);
  tcase_add_test(all, which_tips_count);
  tcase_add_test(all, reached_once_for_ever);
  tcase_add_test(all, a_full_disk_only_delays_it);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
