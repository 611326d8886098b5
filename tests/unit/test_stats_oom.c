/* Statistics when memory ends: each allocation of an answer fails once, alone and then with all that follow. It is TC_ENOMEM, nothing leaks, and the next try answers. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"
#include "oom_kit.h"
#include "tipcurrent.h"

static tc_engine *engine;

static void fill(void) {
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = "memory:";
  options.flags = TC_NO_THREADS;
  ck_assert_int_eq(tc_open(&engine, &options), TC_OK);
  for (int i = 0; i < 300; i++) { /* more names than the first table of an answer has room for */
    char name[32];
    tc_tip_new tip = TC_TIP_NEW_INIT;
    tc_reaction_new reaction = TC_REACTION_NEW_INIT;
    (void)snprintf(name, sizeof name, "name%d", i);
    tip.room_id = reaction.room_id = "r";
    tip.sender_id = reaction.user_id = "a";
    tip.recipient_id = reaction.emoji = name;
    tip.amount = 5;
    ck_assert_int_eq(tc_tip_create(engine, &tip, NULL, NULL), TC_OK);
    ck_assert_int_eq(tc_reaction_create(engine, &reaction, NULL, NULL), TC_OK);
  }
  int32_t more = 1;
  while (more) ck_assert_int_eq(tc_engine_tick(engine, &more), TC_OK);
}

typedef int (*maker)(tc_engine *engine, const tc_stats_query *query, tc_stats **out);

static int ask(maker make, const char *tz, size_t rows) {
  tc_stats_query query = TC_STATS_QUERY_INIT;
  tc_stats *stats = NULL;
  query.room_id = "r";
  query.tz = tz;
  int rc = make(engine, &query, &stats);
  ck_assert((rc == TC_OK) == (stats != NULL));
  if (!rc) ck_assert_uint_ge(tc_stats_count(stats), rows);
  tc_stats_free(stats);
  return rc;
}

static void sweep(maker make, const char *tz, size_t rows) {
  ck_assert_int_eq(ask(make, tz, rows), TC_OK); /* what is made once for all is made here */
  for (int rest = 0; rest < 2; rest++) {
    int done = 0;
    for (int n = 1; !done; n++) {
      int before = oom_blocks;
      oom_allocations = 0;
      oom_fail_from = n;
      oom_fail_to = rest ? INT_MAX : n;
      int rc = ask(make, tz, rows);
      done = oom_allocations < n;
      oom_fail_from = 0;
      ck_assert_msg(rc == (done ? TC_OK : TC_ENOMEM), "allocation %d of %s: %s %s", n, tz ? tz : "UTC", tc_strerror(rc), tc_last_error());
      ck_assert_int_eq(oom_blocks, before);
      ck_assert_int_eq(ask(make, tz, rows), TC_OK);
    }
  }
}

START_TEST(answers) {
  fill();
  sweep(tc_stats_periods, NULL, 1);
  sweep(tc_stats_periods, "Asia/Kathmandu", 1); /* with a zone, and people counted from the events */
  sweep(tc_stats_emojis, NULL, 300);
  sweep(tc_stats_recipients, "Europe/Berlin", 300);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  ck_assert_int_eq(oom_blocks, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats_oom");
  TCase *tests = tcase_create("stats_oom");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, answers);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
