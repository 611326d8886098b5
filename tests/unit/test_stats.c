/* What statistics do beyond the Java service's hours: exact sums, zones, currencies, emoji, recipients, refunds, and what is refused. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analytics_kit.h"
#include "engine/stats.h"

static kit k;

/* Without threads: nobody has to wait until an indexer looks up. */
static void begin(int backend) {
  kit_init(&k, backend);
  k.options.flags = TC_NO_THREADS;
  kit_open(&k);
}

START_TEST(sums_beyond_64_bits) {
  begin(_i);
  for (int i = 0; i < 3; i++) tip(&k, "2024-01-15T10:01:00Z", "r", "alice", "bob", INT64_MAX);
  asked a = ask_room(&k, "r");
  EXPECT(&a, "10:00-11:00 3 276701161105643274.21 92233720368547758.07 s1 r1 e0 u0");
  ck_assert_int_eq(a.total.amount, INT64_MAX);
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

START_TEST(amounts_as_text) {
  char text[TC_STATS_AMOUNT_SIZE];
  static const struct {
    int64_t sum, count;
    const char *printed, *average;
  } cases[] = {{0, 0, "0.00", "0.00"},    {5, 0, "0.05", "0.00"},    {1, 2, "0.01", "0.01"},   {1, 3, "0.01", "0.00"},
               {-1, 2, "-0.01", "-0.01"}, {-5, 4, "-0.05", "-0.01"}, {100, 8, "1.00", "0.13"}, {INT64_MAX, 1, "92233720368547758.07", "92233720368547758.07"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tci_stats_print(cases[i].sum, text);
    ck_assert_str_eq(text, cases[i].printed);
    tci_stats_print(tci_stats_average(cases[i].sum, cases[i].count), text);
    ck_assert_str_eq(text, cases[i].average);
  }
  tci_int128 least = (tci_int128)1 << 126;
  least = -least - least;
  tci_stats_print(least, text);
  ck_assert_str_eq(text, "-1701411834604692317316873037158841057.28");
  tci_stats_print(tci_stats_average(least, INT64_MAX), text);
  ck_assert_str_eq(text, "-184467440737095516.18");
}
END_TEST

START_TEST(zones) {
  begin(_i);
  tip(&k, "2024-10-26T21:59:00Z", "r", "alice", "bob", 100); /* 2024-10-26 in Berlin, 17:59 in New York, 2024-10-27 03:29 in Kolkata */
  tip(&k, "2024-10-26T22:00:00Z", "r", "alice", "bob", 200); /* 2024-10-27 in Berlin */
  tip(&k, "2024-10-27T22:59:00Z", "r", "alice", "bob", 400); /* still: a day of 25 hours */
  tip(&k, "2024-10-27T23:00:00Z", "r", "alice", "bob", 800); /* Monday in Berlin */
  asked a = {.query = {.room_id = "r", .grain = TC_GRAIN_DAY, .tz = "Europe/Berlin"}};
  ask(&k, &a);
  EXPECT(&a, "2024-10-25T22:00-2024-10-26T22:00 1 1.00 1.00 s-1 r-1 e0 u-1", "2024-10-26T22:00-2024-10-27T23:00 2 6.00 3.00 s-1 r-1 e0 u-1",
         "2024-10-27T23:00-2024-10-28T23:00 1 8.00 8.00 s-1 r-1 e0 u-1");
  free_asked(&a);
  a = (asked){.query = {.room_id = "r", .grain = TC_GRAIN_WEEK, .tz = "Europe/Berlin"}};
  ask(&k, &a);
  EXPECT(&a, "2024-10-20T22:00-2024-10-27T23:00 3 7.00 2.33 s-1 r-1 e0 u-1", "2024-10-27T23:00-2024-11-03T23:00 1 8.00 8.00 s-1 r-1 e0 u-1");
  free_asked(&a);
  a = (asked){.query = {.room_id = "r", .grain = TC_GRAIN_MONTH, .tz = "Asia/Kolkata"}};
  ask(&k, &a);
  EXPECT(&a, "2024-09-30T18:30-2024-10-31T18:30 4 15.00 3.75 s-1 r-1 e0 u-1");
  free_asked(&a);
  a = (asked){.query = {.room_id = "r", .tz = "Asia/Kolkata"}};
  ask(&k, &a);
  EXPECT(&a, "2024-10-26T21:30-2024-10-26T22:30 2 3.00 1.50 s1 r1 e0 u0", "2024-10-27T22:30-2024-10-27T23:30 2 12.00 6.00 s1 r1 e0 u0");
  free_asked(&a);
  /* A bound within a period: the period has begun before. */
  a = (asked){.query = {.room_id = "r", .grain = TC_GRAIN_DAY, .tz = "Europe/Berlin", .flags = TC_STATS_FROM | TC_STATS_TO}};
  a.query.from_us = at("2024-10-25T22:00:00.000001Z");
  a.query.to_us = at("2024-10-26T22:00:00.000001Z");
  ask(&k, &a);
  EXPECT(&a, "2024-10-26T22:00-2024-10-27T23:00 2 6.00 3.00 s-1 r-1 e0 u-1");
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

START_TEST(currencies) {
  begin(_i);
  tip_in(&k, "2024-01-15T10:01:00Z", "r", "alice", "bob", 100, NULL);
  tip_in(&k, "2024-01-15T10:02:00Z", "r", "carol", "bob", 200, "EUR");
  tip_in(&k, "2024-01-15T10:03:00Z", "r", "carol", "bob", 300, "USD");
  tip_in(&k, "2024-01-15T11:03:00Z", "r", "carol", "bob", 500, "CHF");
  tip_in(&k, "2024-01-15T12:03:00Z", "r", "carol", "dan", 700, "EUR");
  asked a = ask_room(&k, "r");
  EXPECT(&a, "10:00-11:00 2 4.00 2.00 s2 r1 e0 u0"); /* hours with other money only have no row */
  ck_assert_str_eq(tc_stats_currencies(a.stats), "CHF,EUR");
  free_asked(&a);
  a = (asked){.query = {.room_id = "r", .currency = "EUR"}};
  ask(&k, &a);
  EXPECT(&a, "10:00-11:00 1 2.00 2.00 s2 r1 e0 u0", "12:00-13:00 1 7.00 7.00 s1 r1 e0 u0");
  ck_assert_str_eq(tc_stats_currencies(a.stats), "CHF,USD");
  free_asked(&a);
  a = (asked){.query = {.room_id = "r", .currency = "USD"}};
  ask(&k, &a);
  ck_assert_uint_eq(tc_stats_count(a.stats), 1);
  ck_assert_str_eq(a.total.total_amount, "4.00");
  free_asked(&a);
  kit_clean(&k);
}
END_TEST

static void named(const tc_stats *stats, size_t i, const char *name, int64_t tips, const char *amount, int64_t reactions_) {
  tc_stats_row row = TC_STATS_ROW_INIT;
  ck_assert_int_eq(tc_stats_at(stats, i, &row), TC_OK);
  ck_assert_str_eq(row.name, name);
  ck_assert_int_eq(row.tips, tips);
  ck_assert_str_eq(row.total_amount, amount);
  ck_assert_int_eq(row.reactions, reactions_);
}

START_TEST(shares) {
  begin(_i);
  reaction(&k, "2024-01-15T10:01:00Z", "r", "a", "\U0001f525");
  reaction(&k, "2024-01-15T10:01:00Z", "r", "a", "\u2764\ufe0f");
  reaction(&k, "2024-01-15T12:01:00Z", "r", "b", "\u2764\ufe0f");
  reaction(&k, "2024-01-15T12:01:00Z", "r", "b", "Kappa");
  reaction(&k, "2024-01-15T12:01:00Z", "s", "b", "Kappa");
  tip(&k, "2024-01-15T12:01:00Z", "r", "a", "bob", 100);
  tip(&k, "2024-01-15T12:20:00Z", "r", "a", "bob", 300);
  tip(&k, "2024-01-15T12:20:00Z", "r", "a", "ann", 400);
  tip(&k, "2024-01-15T13:20:00Z", "s", "a", "zoe", 500);
  tip_in(&k, "2024-01-15T13:20:00Z", "s", "a", "zoe", 900, "EUR");
  until_rolled(&k);
  tc_stats_query q = TC_STATS_QUERY_INIT;
  tc_stats *stats = NULL;
  q.room_id = "r";
  ck_assert_int_eq(tc_stats_emojis(k.engine, &q, &stats), TC_OK);
  ck_assert_uint_eq(tc_stats_count(stats), 3);
  ck_assert_int_eq(tc_stats_at(stats, 3, &(tc_stats_row)TC_STATS_ROW_INIT), TC_EINVAL);
  tc_stats_row row = TC_STATS_ROW_INIT;
  ck_assert_int_eq(tc_stats_at(stats, 0, &row), TC_OK);
  ck_assert_int_eq(row.reactions, 2);
  named(stats, 1, "Kappa", 0, "0.00", 1); /* ties: by bytes */
  named(stats, 2, "\U0001f525", 0, "0.00", 1);
  tc_stats_free(stats);
  ck_assert_int_eq(tc_stats_recipients(k.engine, &q, &stats), TC_OK);
  ck_assert_uint_eq(tc_stats_count(stats), 2);
  named(stats, 0, "ann", 1, "4.00", 0);
  named(stats, 1, "bob", 2, "4.00", 0);
  ck_assert_int_eq(tc_stats_total(stats, &row), TC_OK);
  ck_assert_str_eq(row.total_amount, "8.00");
  tc_stats_free(stats);
  q.room_id = NULL;
  q.flags = TC_STATS_FROM | TC_STATS_TO;
  q.from_us = at("2024-01-15T12:15:00Z");
  q.to_us = at("2024-01-15T13:15:00.000001Z");
  ck_assert_int_eq(tc_stats_recipients(k.engine, &q, &stats), TC_OK);
  ck_assert_uint_eq(tc_stats_count(stats), 3);
  named(stats, 0, "zoe", 1, "5.00", 0);
  named(stats, 2, "bob", 1, "3.00", 0);
  tc_stats_free(stats);
  q.currency = "EUR";
  ck_assert_int_eq(tc_stats_recipients(k.engine, &q, &stats), TC_OK);
  ck_assert_uint_eq(tc_stats_count(stats), 1);
  named(stats, 0, "zoe", 1, "9.00", 0);
  tc_stats_free(stats);
  kit_clean(&k);
}
END_TEST

static void refund(int64_t tip_id, int64_t amount, const char *when) {
  tc_refund_new r = TC_REFUND_NEW_INIT;
  kit_clock_set(at(when));
  r.tip_id = tip_id;
  r.amount = amount;
  int rc = tc_tip_refund(k.engine, &r, NULL, NULL);
  ck_assert_msg(rc == TC_OK, "tc_tip_refund: %s", tc_last_error());
}

/* A refund lowers the hour of its tip, whenever it comes; counts and people stay. */
START_TEST(refunds) {
  begin(_i);
  int64_t first = tip(&k, "2024-01-15T10:01:00Z", "r", "alice", "bob", 1000);
  int64_t second = tip_in(&k, "2024-01-15T10:20:00Z", "r", "carol", "bob", 500, "EUR");
  tip(&k, "2024-01-15T10:30:00Z", "r", "carol", "dan", 300);
  refund(first, 250, "2024-01-15T10:40:00Z");
  asked a = ask_room(&k, "r");
  EXPECT(&a, "10:00-11:00 2 10.50 5.25 s2 r2 e0 u0");
  free_asked(&a);
  refund(first, 0, "2024-03-15T10:40:00Z");
  refund(second, 500, "2024-03-15T10:40:00Z");
  a = ask_room(&k, "r");
  EXPECT(&a, "10:00-11:00 2 3.00 1.50 s2 r2 e0 u0");
  free_asked(&a);
  a = (asked){.query = {.room_id = "r", .currency = "EUR"}};
  ask(&k, &a);
  EXPECT(&a, "10:00-11:00 1 0.00 0.00 s2 r2 e0 u0");
  free_asked(&a);
  tc_stats_query q = TC_STATS_QUERY_INIT;
  tc_stats *stats = NULL;
  ck_assert_int_eq(tc_stats_recipients(k.engine, &q, &stats), TC_OK);
  ck_assert_uint_eq(tc_stats_count(stats), 2);
  named(stats, 0, "dan", 1, "3.00", 0);
  named(stats, 1, "bob", 1, "0.00", 0);
  tc_stats_free(stats);
  int64_t changed = -1;
  ck_assert_int_eq(tc_stats_rebuild(k.engine, at("2024-01-15T10:00:00Z"), INT64_MAX, &changed), TC_OK);
  ck_assert_int_eq(changed, 0);
  kit_clean(&k);
}
END_TEST

/* An engine that runs only when told: rows of one quarter each, one more than an answer may have. */
START_TEST(too_many_rows) {
  kit_init(&k, 0);
  k.options.flags = TC_NO_THREADS;
  kit_open(&k);
  tc_tip_new t = TC_TIP_NEW_INIT;
  t.room_id = "r";
  t.sender_id = t.recipient_id = "a";
  t.amount = 1;
  int32_t more = 1;
  int64_t begin_us = at("2020-01-01T00:00:00Z");
  for (int i = 0; i <= TC_STATS_ROWS_MAX; i++) {
    kit_clock_set(begin_us + i * TCI_QUARTER_US);
    if (tc_tip_create(k.engine, &t, NULL, NULL)) ck_abort_msg("%s", tc_last_error());
    if (i % 10000 == 0) ck_assert_int_eq(tc_engine_tick(k.engine, &more), TC_OK);
  }
  for (more = 1; more;) ck_assert_int_eq(tc_engine_tick(k.engine, &more), TC_OK);
  tc_stats_query q = TC_STATS_QUERY_INIT;
  tc_stats *stats = NULL;
  q.room_id = "r";
  q.grain = TC_GRAIN_QUARTER;
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, &stats), TC_ELIMIT);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "startDate"));
  ck_assert_ptr_null(stats);
  q.flags = TC_STATS_FROM;
  q.from_us = begin_us + 1;
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, &stats), TC_OK);
  ck_assert_uint_eq(tc_stats_count(stats), TC_STATS_ROWS_MAX);
  tc_stats_free(stats);
  q.grain = TC_GRAIN_DAY;
  q.flags = 0;
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, &stats), TC_OK);
  tc_stats_row row = TC_STATS_ROW_INIT;
  ck_assert_int_eq(tc_stats_total(stats, &row), TC_OK);
  ck_assert_int_eq(row.tips, TC_STATS_ROWS_MAX + 1);
  tc_stats_free(stats);
  kit_clean(&k);
}
END_TEST

/* The derived file is lost: until the log has been read again there is no answer, never half a one. */
START_TEST(never_half_an_answer) {
  enum { EVENTS = 40000 };
  kit_answers *answers = kit_answers_new();
  kit_init(&k, 1);
  k.options.flags = TC_NO_THREADS;
  kit_open(&k);
  for (int i = 0; i < EVENTS; i++) {
    if (i % 1000 == 0) ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_OK);
    tc_tip_new t = TC_TIP_NEW_INIT;
    t.room_id = t.sender_id = t.recipient_id = "r";
    t.amount = 1;
    if (tc_tip_submit(k.engine, &t, kit_done, answers)) ck_abort_msg("%s", tc_last_error());
  }
  kit_close(&k);
  kit_forget_index(&k);
  kit_open(&k);
  int refused = 0;
  for (int32_t more = 1, known = 0; more || !known;) {
    tc_stats_query q = TC_STATS_QUERY_INIT;
    tc_stats *stats = NULL;
    tc_stats_row row = TC_STATS_ROW_INIT;
    int rc = tc_stats_periods(k.engine, &q, &stats);
    if (rc == TC_OK) {
      known = 1;
      ck_assert_int_eq(tc_stats_total(stats, &row), TC_OK);
      ck_assert_int_eq(row.tips, EVENTS);
      tc_stats_free(stats);
    } else {
      ck_assert_msg(rc == TC_EBUSY && !known, "%s", tc_last_error());
      refused++;
    }
    ck_assert_int_eq(tc_engine_tick(k.engine, &more), TC_OK);
  }
  ck_assert_int_gt(refused, 0);
  kit_answers_free(answers);
  kit_clean(&k);
}
END_TEST

START_TEST(refusals) {
  begin(_i);
  tc_stats *stats = NULL;
  tc_stats_query q = TC_STATS_QUERY_INIT;
  ck_assert_int_eq(tc_stats_periods(NULL, &q, &stats), TC_EINVAL);
  ck_assert_int_eq(tc_stats_periods(k.engine, NULL, &stats), TC_EINVAL);
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, NULL), TC_EINVAL);
  q.grain = TC_GRAIN_MONTH + 1;
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, &stats), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "granularity"));
  q.grain = 0;
  q.tz = "Mars/Olympus";
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, &stats), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "tz: Mars/Olympus"));
  q.tz = NULL;
  q.currency = "eur";
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, &stats), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "currency"));
  q.currency = NULL;
  q.flags = 4;
  ck_assert_int_eq(tc_stats_periods(k.engine, &q, &stats), TC_EINVAL);
  ck_assert_int_eq(tc_stats_rebuild(k.engine, 1, 2, NULL), TC_EINVAL);
  ck_assert_ptr_null(stats);
  tc_stats_free(NULL);
  kit_clean(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats");
  TCase *tests = tcase_create("stats");
  suite_add_tcase(suite, tests);
  tcase_add_loop_test(tests, sums_beyond_64_bits, 0, KIT_BACKENDS);
  tcase_add_test(tests, amounts_as_text);
  tcase_add_loop_test(tests, zones, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, currencies, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, shares, 0, KIT_BACKENDS);
  tcase_add_loop_test(tests, refunds, 0, KIT_BACKENDS);
  tcase_add_test(tests, too_many_rows);
  tcase_add_test(tests, never_half_an_answer);
  tcase_add_loop_test(tests, refusals, 0, KIT_BACKENDS);
  return kit_run(suite);
}
