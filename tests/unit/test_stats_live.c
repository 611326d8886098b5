/* Statistics while tips come in: two readers beside a writer, with so little memory that numbers are written down and forgotten all the time. An answer may be behind, never wrong. */
#include <stdio.h>

#include "analytics_kit.h"
#include "engine/rollup/rollup.h"

#define TIPS 20000 /* KIT_ANSWERS_MAX */
#define ROOMS 300
#define STEP_US (2 * INT64_C(60000000)) /* from tip to tip: some thousand quarters in all */

static kit k;
static atomic_int done;

typedef struct reader {
  pthread_t thread;
  int recipients; /* 1: asks for recipients of all rooms, 0: for days of all rooms */
  int64_t answers, last;
  const char *wrong;
} reader;

/* Every tip is of 1.00: an answer that is no mixture of before and after has as much money as tips, and no fewer than the one before. */
static void look(reader *r) {
  tc_stats_query query = TC_STATS_QUERY_INIT;
  tc_stats *stats = NULL;
  tc_stats_row row = TC_STATS_ROW_INIT;
  query.grain = TC_GRAIN_DAY;
  int rc = (r->recipients ? tc_stats_recipients : tc_stats_periods)(k.engine, &query, &stats);
  if (rc == TC_EBUSY) return; /* all readers of the file are taken */
  if (rc || tc_stats_total(stats, &row)) r->wrong = "no answer";
  else if (row.amount != row.tips * 100) r->wrong = "sum and count differ";
  else if (row.tips < r->last) r->wrong = "fewer than before";
  else if (row.tips > TIPS) r->wrong = "more than there are";
  r->last = row.tips;
  r->answers++;
  tc_stats_free(stats);
}

static void *read_on(void *arg) {
  reader *r = arg;
  while (!r->wrong && !atomic_load(&done)) look(r);
  return NULL;
}

static void write_all(kit_answers *answers) {
  char room[16], recipient[16];
  for (int i = 0; i < TIPS; i++) {
    tc_tip_new t = TC_TIP_NEW_INIT;
    (void)snprintf(room, sizeof room, "room%d", i * 7 % ROOMS);
    (void)snprintf(recipient, sizeof recipient, "to%d", i % 50);
    t.room_id = room;
    t.sender_id = "a";
    t.recipient_id = recipient;
    t.amount = 100;
    kit_clock_add(STEP_US);
    ck_assert_int_eq(tc_tip_submit(k.engine, &t, kit_done, answers), TC_OK);
    if (i % 500 != 499) continue;
    ck_assert(kit_until_answers(answers, (size_t)i + 1)); /* so that their times differ */
    ck_assert_int_eq(answers->got[i].code, TC_OK);
  }
}

START_TEST(readers_beside_a_writer) {
  kit_answers *answers = kit_answers_new();
  reader readers[2] = {{.recipients = 0}, {.recipients = 1}};
  kit_init(&k, _i);
  k.options.rollup_bytes = 1;
  k.options.create_deadline_ms = 600 * 120000; /* the clock jumps: by as much while 500 of them wait, and a few more */
  kit_open(&k);
  atomic_store(&done, 0);
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
  write_all(answers);
  until_rolled(&k);
  atomic_store(&done, 1);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(pthread_join(readers[i].thread, NULL), 0);
    if (!readers[i].wrong) look(&readers[i]);
    ck_assert_msg(!readers[i].wrong, "reader %d, answer %d: %s", i, (int)readers[i].answers, readers[i].wrong);
    ck_assert_int_gt(readers[i].answers, 1);
    ck_assert_int_eq(readers[i].last, TIPS);
  }
  int64_t changed = -1;
  ck_assert_int_eq(tc_stats_rebuild(k.engine, INT64_MIN, INT64_MAX, &changed), TC_OK);
  ck_assert_int_eq(changed, 0);
  kit_answers_free(answers);
  kit_clean(&k);
}
END_TEST

static int64_t counted(kit *world) {
  tc_stats_query query = TC_STATS_QUERY_INIT;
  tc_stats *stats = NULL;
  tc_stats_row row = TC_STATS_ROW_INIT;
  ck_assert_int_eq(tc_stats_periods(world->engine, &query, &stats), TC_OK);
  ck_assert_int_eq(tc_stats_total(stats, &row), TC_OK);
  tc_stats_free(stats);
  return row.tips;
}

/* More tips at once than are counted beside the others: the first batch is indexed whole and waits. A goal follows the count. */
#define STORM 16384
START_TEST(a_storm_is_counted_when_it_ends_or_the_engine_does) {
  kit_answers *answers = kit_answers_new();
  tc_goal_new goal = TC_GOAL_NEW_INIT;
  tc_status status = TC_STATUS_INIT;
  int closes = _i / KIT_BACKENDS;
  kit_init(&k, _i % KIT_BACKENDS);
  k.options.storage_ops = kit_faulty(_i % KIT_BACKENDS);
  kit_open(&k);
  goal.room_id = "r";
  goal.title = "all of them";
  goal.target_count = STORM + 1;
  ck_assert_int_eq(tc_goal_create(k.engine, &goal, NULL, NULL, NULL), TC_OK);
  atomic_store(&kit_fault.derive_code, TC_EBUSY);
  for (size_t i = 0; i < STORM; i++) kit_submit(&k, answers, NULL);
  ck_assert(kit_until_answers(answers, STORM));
  atomic_store(&kit_fault.derive_code, 0);
  ck_assert(kit_until_indexed(&k));
  if (closes) {
    kit_close(&k);
    kit_open(&k);
  }
  until_rolled(&k);
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  if (_i % KIT_BACKENDS || !closes) {
    ck_assert_int_eq(status.stats_seq, STORM);
    ck_assert_int_eq(counted(&k), STORM);
  }
  kit_answers_free(answers);
  kit_clean(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats_live");
  TCase *tests = tcase_create("stats_live");
  suite_add_tcase(suite, tests);
  tcase_add_loop_test(tests, readers_beside_a_writer, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, a_storm_is_counted_when_it_ends_or_the_engine_does, 0, 2 * KIT_BACKENDS);
  return kit_run(suite);
}
