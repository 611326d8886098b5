/* Statistics through the C API, with a clock that the test moves: the Java service's seventeen analytics tests, O-48 and O-49. What came later: test_stats.c. */
#include "analytics_kit.h"

static kit k;

/* Without threads: nobody has to wait until an indexer looks up. */
static void begin(int backend) {
  kit_init(&k, backend);
  k.options.flags = TC_NO_THREADS;
  kit_open(&k);
}

/* shouldAggregateAndQueryRoomStats, shouldCalculateAverageTipAmountCorrectly */
START_TEST(one_hour) {
  begin(_i);
  tip(&k, "2024-01-15T10:10:00Z", "room1", "alice", "bob", 10000);
  tip(&k, "2024-01-15T10:20:00Z", "room1", "carol", "bob", 20000);
  asked a = ask_room(&k, "room1");
  EXPECT(&a, "10:00-11:00 2 300.00 150.00 s2 r1 e0 u0");
  ck_assert_int_eq(a.total.tips, 2);
  ck_assert_int_eq(a.total.amount, 30000);
  ck_assert_str_eq(a.total.average_amount, "150.00");
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

/* shouldRetrieveAllHoursWithoutDateFiltering, shouldFilterToSingleHourWithExclusiveEndDate, shouldFilterToMultipleHoursAndCalculateSummary, shouldOrderStatsByPeriodStartAscending; each bound alone */
START_TEST(three_hours) {
  begin(_i);
  tip(&k, "2024-01-15T10:30:00Z", "room1", "alice", "bob", 20000);
  tip(&k, "2024-01-15T08:30:00Z", "room1", "alice", "bob", 10000); /* not in the order of time */
  tip(&k, "2024-01-15T09:30:00Z", "room1", "alice", "bob", 15000);
  tip(&k, "2024-01-15T09:40:00Z", "room1", "dave", "bob", 35000);
  asked a = ask_room(&k, "room1");
  EXPECT(&a, "08:00-09:00 1 100.00 100.00 s1 r1 e0 u0", "09:00-10:00 2 500.00 250.00 s2 r1 e0 u0", "10:00-11:00 1 200.00 200.00 s1 r1 e0 u0");
  ck_assert_str_eq(a.total.total_amount, "800.00");
  free_asked(&a);
  a = ask_range(&k, "room1", "2024-01-15T09:00:00Z", "2024-01-15T10:00:00Z");
  EXPECT(&a, "09:00-10:00 2 500.00 250.00 s2 r1 e0 u0");
  free_asked(&a);
  a = ask_range(&k, "room1", "2024-01-15T08:00:00Z", "2024-01-15T10:00:00Z");
  ck_assert_uint_eq(tc_stats_count(a.stats), 2);
  ck_assert_int_eq(a.total.tips, 3);
  ck_assert_str_eq(a.total.total_amount, "600.00");
  ck_assert_str_eq(a.total.average_amount, "200.00");
  free_asked(&a);
  a = ask_range(&k, "room1", "2024-01-15T09:00:00.000001Z", NULL); /* unaligned: the hour has begun before */
  EXPECT(&a, "10:00-11:00 1 200.00 200.00 s1 r1 e0 u0");
  free_asked(&a);
  a = ask_range(&k, "room1", NULL, "2024-01-15T09:00:00.000001Z");
  EXPECT(&a, "08:00-09:00 1 100.00 100.00 s1 r1 e0 u0", "09:00-10:00 2 500.00 250.00 s2 r1 e0 u0");
  free_asked(&a);
  a = ask_range(&k, "room1", "2024-01-15T10:00:00Z", "2024-01-15T10:00:00Z");
  ck_assert_uint_eq(tc_stats_count(a.stats), 0);
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

/* shouldReturnEmptyResultsForNonexistentRoom, shouldHandleZeroTipsInPeriod, shouldAggregateMultipleRoomsInSameHour; and all rooms together */
START_TEST(rooms) {
  begin(_i);
  tip(&k, "2024-01-15T10:10:00Z", "room1", "alice", "bob", 10000);
  tip(&k, "2024-01-15T10:20:00Z", "room2", "alice", "dan", 20000);
  tip(&k, "2024-01-15T12:20:00Z", "room2", "alice", "dan", 1);
  asked a = ask_room(&k, "nowhere");
  ck_assert_uint_eq(tc_stats_count(a.stats), 0);
  ck_assert_int_eq(a.total.tips, 0);
  ck_assert_str_eq(a.total.average_amount, "0.00");
  free_asked(&a);
  a = ask_room(&k, "room1");
  EXPECT(&a, "10:00-11:00 1 100.00 100.00 s1 r1 e0 u0");
  free_asked(&a);
  a = ask_room(&k, "room2");
  EXPECT(&a, "10:00-11:00 1 200.00 200.00 s1 r1 e0 u0", "12:00-13:00 1 0.01 0.01 s1 r1 e0 u0"); /* 11 has no row */
  free_asked(&a);
  a = ask_room(&k, NULL);
  EXPECT(&a, "10:00-11:00 2 300.00 150.00 s1 r2 e0 u0", "12:00-13:00 1 0.01 0.01 s1 r1 e0 u0");
  free_asked(&a);
  a = ask_room(&k, ""); /* is not "all" */
  ck_assert_uint_eq(tc_stats_count(a.stats), 0);
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

/* shouldCountUniqueSendersAndRecipients: within an hour over its quarters, never over hours */
START_TEST(uniques) {
  begin(_i);
  tip(&k, "2024-01-15T10:01:00Z", "room1", "alice", "bob", 100);
  tip(&k, "2024-01-15T10:16:00Z", "room1", "alice", "dan", 100);
  tip(&k, "2024-01-15T10:31:00Z", "room1", "carol", "bob", 100);
  tip(&k, "2024-01-15T10:46:00Z", "room1", "carol", "dan", 100);
  reaction(&k, "2024-01-15T10:47:00Z", "room1", "carol", "+1");
  reaction(&k, "2024-01-15T10:02:00Z", "room1", "carol", "+1"); /* late, in an earlier quarter */
  tip(&k, "2024-01-15T11:01:00Z", "room1", "alice", "bob", 100);
  asked a = ask_room(&k, "room1");
  EXPECT(&a, "10:00-11:00 4 4.00 1.00 s2 r2 e2 u1", "11:00-12:00 1 1.00 1.00 s1 r1 e0 u0");
  free_asked(&a);
  a = (asked){.query = {.room_id = "room1", .grain = TC_GRAIN_QUARTER}};
  ask(&k, &a);
  EXPECT(&a, "10:00-10:15 1 1.00 1.00 s1 r1 e1 u1", "10:15-10:30 1 1.00 1.00 s1 r1 e0 u0", "10:30-10:45 1 1.00 1.00 s1 r1 e0 u0",
         "10:45-11:00 1 1.00 1.00 s1 r1 e1 u1", "11:00-11:15 1 1.00 1.00 s1 r1 e0 u0");
  free_asked(&a);
  a = (asked){.query = {.room_id = "room1", .grain = TC_GRAIN_DAY}};
  ask(&k, &a);
  EXPECT(&a, "2024-01-15T00:00-2024-01-16T00:00 5 5.00 1.00 s-1 r-1 e2 u-1");
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

/* shouldUpsertOnDuplicateAggregation, shouldReaggregateWithNewData: asking again changes nothing, new data are seen; across a restart */
START_TEST(new_data) {
  kit_init(&k, _i);
  kit_open(&k);
  tip(&k, "2024-01-15T10:10:00Z", "room1", "alice", "bob", 10000);
  for (int i = 0; i < 2; i++) {
    asked a = ask_room(&k, "room1");
    EXPECT(&a, "10:00-11:00 1 100.00 100.00 s1 r1 e0 u0");
    free_asked(&a);
  }
  if (_i == 1) kit_close(&k), kit_open(&k);
  tip(&k, "2024-01-15T10:50:00Z", "room1", "alice", "bob", 20000);
  asked a = ask_room(&k, "room1");
  EXPECT(&a, "10:00-11:00 2 300.00 150.00 s1 r1 e0 u0");
  free_asked(&a);
  int64_t changed = -1;
  ck_assert_int_eq(tc_stats_rebuild(k.engine, INT64_MIN, INT64_MAX, &changed), TC_OK);
  ck_assert_int_eq(changed, 0);
  kit_clean(&k);
}
END_TEST

/* shouldHandleTipsAtHourBoundaries; O-49 */
START_TEST(hour_edges) {
  begin(_i);
  tip(&k, "2024-01-15T09:59:59.999999Z", "room1", "alice", "bob", 100);
  tip(&k, "2024-01-15T10:00:00Z", "room1", "alice", "bob", 10000);
  tip(&k, "2024-01-15T10:59:59.999999Z", "room1", "alice", "bob", 20000);
  tip(&k, "2024-01-15T11:00:00Z", "room1", "alice", "bob", 100);
  for (int i = 0; i < 2; i++) {
    asked a = ask_range(&k, "room1", "2024-01-15T10:00:00Z", "2024-01-15T11:00:00Z");
    EXPECT(&a, "10:00-11:00 2 300.00 150.00 s1 r1 e0 u0");
    free_asked(&a);
  }
  tip(&k, "2024-01-15T10:30:00Z", "room1", "eve", "bob", 15000); /* late */
  asked a = ask_range(&k, "room1", "2024-01-15T10:00:00Z", "2024-01-15T11:00:00Z");
  EXPECT(&a, "10:00-11:00 3 450.00 150.00 s2 r1 e0 u0");
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

/* shouldAggregateReactionStats, ...InApiResponse, shouldAggregateTipsAndReactionsTogether, shouldAggregateReactionsOnlyRoomWithNoTips */
START_TEST(reactions) {
  begin(_i);
  reaction(&k, "2024-01-15T10:01:00Z", "room1", "alice", "+1");
  reaction(&k, "2024-01-15T10:02:00Z", "room1", "alice", "+1");
  reaction(&k, "2024-01-15T10:03:00Z", "room1", "bob", "+1");
  tip(&k, "2024-01-15T10:04:00Z", "room2", "alice", "bob", 5000);
  reaction(&k, "2024-01-15T10:05:00Z", "room2", "alice", "+1");
  asked a = ask_room(&k, "room1");
  EXPECT(&a, "10:00-11:00 0 0.00 0.00 s0 r0 e3 u2");
  ck_assert_int_eq(a.total.reactions, 3);
  free_asked(&a);
  a = ask_room(&k, "room2");
  EXPECT(&a, "10:00-11:00 1 50.00 50.00 s1 r1 e1 u1");
  free_asked(&a);
  a = ask_room(&k, NULL);
  EXPECT(&a, "10:00-11:00 1 50.00 50.00 s1 r1 e4 u2");
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

/* O-48 */
START_TEST(half_up) {
  begin(_i);
  tip(&k, "2024-01-15T10:01:00Z", "a", "alice", "bob", 100);
  tip(&k, "2024-01-15T10:01:00Z", "a", "alice", "bob", 101);
  tip(&k, "2024-01-15T10:01:00Z", "b", "alice", "bob", 2);
  tip(&k, "2024-01-15T10:01:00Z", "b", "alice", "bob", 3);
  for (int i = 0; i < 8; i++) tip(&k, "2024-01-15T10:01:00Z", "c", "alice", "bob", i < 4 ? 12 : 13);
  tip(&k, "2024-01-15T10:01:00Z", "d", "alice", "bob", 100);
  tip(&k, "2024-01-15T11:01:00Z", "d", "alice", "bob", 50);
  tip(&k, "2024-01-15T11:01:00Z", "d", "alice", "bob", 50);
  static const char *const rooms_[] = {"a", "b", "c", "d"}, *const averages[] = {"1.01", "0.03", "0.13", "0.67"};
  for (int i = 0; i < 4; i++) {
    asked a = ask_room(&k, rooms_[i]);
    ck_assert_str_eq(a.total.average_amount, averages[i]);
    if (i == 3) ck_assert_str_eq(a.total.total_amount, "2.00");
    free_asked(&a);
  }
  kit_clean(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("analytics");
  TCase *tests = tcase_create("analytics");
  suite_add_tcase(suite, tests);
  tcase_add_loop_test(tests, one_hour, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, three_hours, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, rooms, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, uniques, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, new_data, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, hour_edges, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, reactions, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, half_up, 0, KIT_BACKENDS);
  return kit_run(suite);
}
