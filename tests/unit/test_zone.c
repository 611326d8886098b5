#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "base/zone.h"
#include "tipcurrent/error.h"

#define DIR "/usr/share/zoneinfo"
#define HOUR 3600
#define DAY 86400

static tci_zone *load(const char *name) {
  tci_zone *zone = NULL;
  ck_assert_msg(tci_zone_load(&zone, DIR, name) == TC_OK, "%s is not taken", name);
  return zone;
}

static int64_t at(const char *text) {
  int64_t us = 0;
  if (tci_time_parse(text, strlen(text), &us)) ck_abort_msg("%s is no instant", text);
  return us / 1000000;
}

static void expect(const char *name, int period, const char *instant, const char *start, const char *end) {
  tci_zone *zone = name ? load(name) : NULL;
  int64_t from, to;
  char got[2][TCI_RFC3339_MS_LEN + 1] = {{0}};
  tci_zone_period(zone, period, at(instant), &from, &to);
  tci_time_format_ms(from * 1000000, got[0]);
  tci_time_format_ms(to * 1000000, got[1]);
  ck_assert_msg(from == at(start) && to == at(end), "%s at %s: %s to %s, not %s to %s", name ? name : "UTC", instant, got[0], got[1], start, end);
  tci_zone_free(zone);
}

START_TEST(periods_of_utc) {
  expect(NULL, TCI_PERIOD_HOUR, "2024-01-15T10:59:59Z", "2024-01-15T10:00:00Z", "2024-01-15T11:00:00Z");
  expect(NULL, TCI_PERIOD_HOUR, "2024-01-15T11:00:00Z", "2024-01-15T11:00:00Z", "2024-01-15T12:00:00Z");
  expect(NULL, TCI_PERIOD_DAY, "2024-02-29T23:59:59Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
  expect(NULL, TCI_PERIOD_WEEK, "2024-01-14T23:59:59Z", "2024-01-08T00:00:00Z", "2024-01-15T00:00:00Z");
  expect(NULL, TCI_PERIOD_WEEK, "2024-01-15T00:00:00Z", "2024-01-15T00:00:00Z", "2024-01-22T00:00:00Z");
  expect(NULL, TCI_PERIOD_MONTH, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
  expect(NULL, TCI_PERIOD_MONTH, "2024-12-31T23:59:59Z", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z");
  expect(NULL, TCI_PERIOD_MONTH, "1969-12-31T23:59:59Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z");
  expect(NULL, TCI_PERIOD_WEEK, "1969-12-31T23:59:59Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z");
  expect("Etc/UTC", TCI_PERIOD_DAY, "2024-02-29T23:59:59Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
}
END_TEST

START_TEST(days_of_23_and_25_hours) {
  expect("Europe/Berlin", TCI_PERIOD_DAY, "2024-03-31T12:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z");
  expect("Europe/Berlin", TCI_PERIOD_DAY, "2024-10-27T12:00:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
  expect("Europe/Berlin", TCI_PERIOD_WEEK, "2024-10-27T12:00:00Z", "2024-10-20T22:00:00Z", "2024-10-27T23:00:00Z");
  expect("Europe/Berlin", TCI_PERIOD_MONTH, "2024-10-27T12:00:00Z", "2024-09-30T22:00:00Z", "2024-10-31T23:00:00Z");
  expect("America/New_York", TCI_PERIOD_DAY, "2024-03-10T12:00:00Z", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z");
  expect("America/New_York", TCI_PERIOD_DAY, "2024-11-03T12:00:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z");
  /* Beyond the table: by the footer. */
  expect("Europe/Berlin", TCI_PERIOD_DAY, "2077-03-28T12:00:00Z", "2077-03-27T23:00:00Z", "2077-03-28T22:00:00Z");
  expect("America/New_York", TCI_PERIOD_DAY, "2077-11-07T12:00:00Z", "2077-11-07T04:00:00Z", "2077-11-08T05:00:00Z");
}
END_TEST

START_TEST(zones_off_the_hour) {
  expect("Asia/Kolkata", TCI_PERIOD_HOUR, "2024-01-15T10:00:00Z", "2024-01-15T09:30:00Z", "2024-01-15T10:30:00Z");
  expect("Asia/Kolkata", TCI_PERIOD_DAY, "2024-01-15T18:30:00Z", "2024-01-15T18:30:00Z", "2024-01-16T18:30:00Z");
  expect("Asia/Kathmandu", TCI_PERIOD_HOUR, "2024-01-15T10:20:00Z", "2024-01-15T10:15:00Z", "2024-01-15T11:15:00Z");
  /* Lord Howe moves by half an hour: forth on 2024-10-06 at 02:00 (+10:30), back on 2024-04-07 at 02:00 (+11). */
  expect("Australia/Lord_Howe", TCI_PERIOD_DAY, "2024-10-06T00:00:00Z", "2024-10-05T13:30:00Z", "2024-10-06T13:00:00Z");
  expect("Australia/Lord_Howe", TCI_PERIOD_HOUR, "2024-10-05T15:29:00Z", "2024-10-05T14:30:00Z", "2024-10-05T15:30:00Z");
  expect("Australia/Lord_Howe", TCI_PERIOD_HOUR, "2024-10-05T15:31:00Z", "2024-10-05T15:30:00Z", "2024-10-05T16:00:00Z");
  expect("Australia/Lord_Howe", TCI_PERIOD_HOUR, "2024-04-06T14:59:00Z", "2024-04-06T14:00:00Z", "2024-04-06T15:00:00Z");
  expect("Australia/Lord_Howe", TCI_PERIOD_HOUR, "2024-04-06T15:00:00Z", "2024-04-06T15:00:00Z", "2024-04-06T15:30:00Z");
  expect("Australia/Lord_Howe", TCI_PERIOD_HOUR, "2024-04-06T15:30:00Z", "2024-04-06T15:30:00Z", "2024-04-06T16:30:00Z");
}
END_TEST

START_TEST(midnights_that_are_none_or_come_twice) {
  /* 00:00 does not exist: the clocks go to 01:00. */
  expect("America/Sao_Paulo", TCI_PERIOD_DAY, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
  expect("America/Sao_Paulo", TCI_PERIOD_DAY, "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z");
  expect("Africa/Cairo", TCI_PERIOD_DAY, "2024-04-26T12:00:00Z", "2024-04-25T22:00:00Z", "2024-04-26T21:00:00Z");
  /* At midnight the clocks go back to 23:00: the day begins when it comes to midnight again. */
  expect("America/Sao_Paulo", TCI_PERIOD_DAY, "2018-02-18T02:30:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z");
  /* At 00:01 they went back to 23:01: the day that had begun goes on. */
  expect("America/St_Johns", TCI_PERIOD_DAY, "2010-11-07T02:35:00Z", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z");
  expect("America/St_Johns", TCI_PERIOD_DAY, "2010-11-07T02:29:00Z", "2010-11-06T02:30:00Z", "2010-11-07T02:30:00Z");
  /* Samoa had no 2011-12-30. */
  expect("Pacific/Apia", TCI_PERIOD_DAY, "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
  expect("Pacific/Apia", TCI_PERIOD_DAY, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
}
END_TEST

START_TEST(names_and_what_is_none) {
  static const char *const bad[] = {"",
                                    "../../etc/passwd",
                                    "Europe/..",
                                    "/etc/localtime",
                                    "localtime",
                                    "right/UTC",
                                    "Europe",
                                    "Europe/",
                                    "Mars/Base1",
                                    "Europe/Berlin\n",
                                    "tzdata.zi",
                                    "Europe/Berlin/Mitte",
                                    "+VERSION",
                                    "Zulu;",
                                    "A23456789012345678901234567890123456789012345678901234567890123456"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tci_zone *zone = NULL;
    ck_assert_msg(tci_zone_load(&zone, DIR, bad[i]) == TC_ENOTFOUND, "'%s'", bad[i]);
    ck_assert_ptr_null(zone);
  }
  static const char *const good[] = {"UTC", "Etc/GMT+12", "America/Port-au-Prince", "America/Argentina/Buenos_Aires", "EST5EDT"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) tci_zone_free(load(good[i]));
  ck_assert_int_eq(tci_zone_offset(NULL, 0), 0);
}
END_TEST

/* A file of version 2 with the given block of 64-bit times; the returned memory is static. */
static const unsigned char *file_of(const unsigned char counts[6], const char *block, size_t block_len, const char *footer, size_t *len) {
  static unsigned char bytes[512];
  unsigned char *to = bytes;
  for (int i = 0; i < 2; i++, to += 44) {
    memset(to, 0, 44);
    memcpy(to, "TZif2", 5);
    for (int k = 0; i && k < 6; k++) to[23 + 4 * k] = counts[k];
  }
  memcpy(to, block, block_len);
  to += block_len;
  memcpy(to, footer, strlen(footer));
  *len = (size_t)(to - bytes) + strlen(footer);
  return bytes;
}

/* isut, isstd, leap, time, type, char counts */
static const unsigned char one_type[6] = {0, 0, 0, 0, 1, 4};
#define TYPE_CET "\0\0\x0e\x10\0\0"

static int try_file(const unsigned char counts[6], const char *block, size_t block_len, const char *footer, int32_t *offset) {
  size_t len;
  tci_zone *zone = NULL;
  const unsigned char *bytes = file_of(counts, block, block_len, footer, &len);
  int rc = tci_zone_parse(&zone, bytes, len);
  if (!rc && offset) *offset = tci_zone_offset(zone, 1720000000); /* 2024-07-03 */
  tci_zone_free(zone);
  for (size_t cut = 0; !rc && cut < len; cut++) {
    unsigned char *exact = tci_alloc(cut); /* so that a sanitizer sees a step beyond */
    memcpy(exact, bytes, cut);
    ck_assert_int_eq(tci_zone_parse(&zone, exact, cut), TC_EINVAL);
    tci_free(exact);
  }
  return rc;
}

START_TEST(files_that_are_none) {
  int32_t offset = 0;
  ck_assert_int_eq(try_file(one_type, TYPE_CET "CET\0", 10, "\n\n", &offset), TC_OK);
  ck_assert_int_eq(offset, HOUR);
  ck_assert_int_eq(try_file(one_type, TYPE_CET "CET\0", 10, "CET-1\n", NULL), TC_EINVAL);
  ck_assert_int_eq(try_file((const unsigned char[6]){0, 0, 0, 0, 0, 4}, "CET\0", 4, "\n\n", NULL), TC_EINVAL);
  ck_assert_int_eq(try_file((const unsigned char[6]){0, 0, 1, 0, 1, 4}, TYPE_CET "CET\0\0\0\0\0\x04\xb2\x58\0\0\0\0\1", 22, "\n\n", NULL),
                   TC_EINVAL);                                                                /* leap seconds */
  ck_assert_int_eq(try_file(one_type, "\0\1\xd4\xc0\0\0CET\0", 10, "\n\n", NULL), TC_EINVAL); /* 33 hours east */
  const unsigned char two_times[6] = {0, 0, 0, 2, 1, 4};
  ck_assert_int_eq(try_file(two_times, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0" TYPE_CET "CET\0", 28, "\n\n", NULL), TC_OK);
  ck_assert_int_eq(try_file(two_times, "\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1\0\0" TYPE_CET "CET\0", 28, "\n\n", NULL), TC_EINVAL); /* not ascending */
  ck_assert_int_eq(try_file(two_times, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\1" TYPE_CET "CET\0", 28, "\n\n", NULL), TC_EINVAL); /* no such type */
}
END_TEST

START_TEST(footers) {
  static const struct {
    const char *text;
    int32_t offset; /* in July; -1: refused */
  } cases[] = {{"CET-1", HOUR},
               {"CET-1CEST,M3.5.0,M10.5.0/3", 2 * HOUR},
               {"IST-1GMT0,M10.5.0,M3.5.0/1", HOUR},
               {"EST5EDT,M3.2.0,M11.1.0", -4 * HOUR},
               {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 10 * HOUR + 1800},
               {"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", -2 * HOUR},
               {"XXX3EDT4,0/0,J365/23", -4 * HOUR}, /* all year, RFC 8536 3.3.1 */
               {"AAA0BBB,J60,J300", HOUR},
               {"AAA0BBB,183,184/-24", HOUR},
               {"CE-1", -1},
               {"CET", -1},
               {"CET-25", -1},
               {"CET-1CEST", -1},
               {"CET-1CEST,M13.5.0,M10.5.0", -1},
               {"CET-1CEST,M3.6.0,M10.5.0", -1},
               {"CET-1CEST,M3.5.7,M10.5.0", -1},
               {"CET-1CEST,M3.5.0", -1},
               {"CET-1CEST,M3.5.0,M10.5.0/168", -1},
               {"CET-1CEST,J0,J1", -1},
               {"CET-1CEST,M3.5.0,M10.5.0 ", -1},
               {"<CET-1", -1},
               {"CET-99999999999999999999", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char footer[80];
    int32_t offset = 0;
    (void)snprintf(footer, sizeof footer, "\n%s\n", cases[i].text);
    int rc = try_file(one_type, TYPE_CET "CET\0", 10, footer, &offset);
    ck_assert_msg(rc == (cases[i].offset == -1 ? TC_EINVAL : TC_OK), "%s: %d", cases[i].text, rc);
    ck_assert_msg(rc || offset == cases[i].offset, "%s: offset %d", cases[i].text, (int)offset);
  }
}
END_TEST

/* glibc reads the same files: an independent opinion for every zone there is. */
static int zones;
static int compare(const char *path, const struct stat *info, int type, struct FTW *place) {
  const char *name = path + strlen(DIR) + 1;
  (void)info;
  (void)place;
  if (type != FTW_F || !tci_zone_name_valid(name)) return 0;
  tci_zone *zone = load(name);
  uint64_t random = 88172645463325252u;
  setenv("TZ", name, 1);
  tzset();
  for (int i = 0; i < 400; i++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    time_t when = (time_t)(random % (220u * 365 * DAY)) - 70 * (time_t)(365 * DAY); /* 1900 to 2120 */
    struct tm parts;
    if (!localtime_r(&when, &parts)) ck_abort_msg("the C library cannot");
    if (parts.tm_gmtoff != tci_zone_offset(zone, when))
      ck_abort_msg("%s at %lld: %d, not %ld", name, (long long)when, (int)tci_zone_offset(zone, when), parts.tm_gmtoff);
  }
  tci_zone_free(zone);
  zones++;
  return 0;
}

START_TEST(every_zone_agrees_with_the_c_library) {
  ck_assert_int_eq(nftw(DIR, compare, 16, FTW_PHYS), 0);
  ck_assert_int_gt(zones, 300);
}
END_TEST

/* Whatever the zone: periods that follow each other without a hole, each beginning where its calendar says. */
START_TEST(periods_follow_each_other) {
  static const char *const names[] = {"UTC",
                                      "Asia/Kolkata",
                                      "America/New_York",
                                      "Europe/Berlin",
                                      "Australia/Lord_Howe",
                                      "Pacific/Apia",
                                      "America/St_Johns",
                                      "Africa/Monrovia",
                                      "Pacific/Kwajalein",
                                      "Antarctica/Troll",
                                      "Africa/Casablanca",
                                      "Asia/Manila",
                                      "Europe/Dublin"};
  for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
    tci_zone *zone = load(names[n]);
    for (int period = TCI_PERIOD_HOUR; period <= TCI_PERIOD_MONTH; period++) {
      int64_t now = at("1880-01-01T00:00:00Z"), stop = at(period == TCI_PERIOD_HOUR ? "1990-01-01T00:00:00Z" : "2090-01-01T00:00:00Z"), start = 0, end = 0,
              begin, until;
      if (period == TCI_PERIOD_HOUR) now = at("1980-01-01T00:00:00Z");
      tci_zone_period(zone, period, now, &start, &end);
      for (; end < stop; start = begin, end = until) {
        tci_zone_period(zone, period, end, &begin, &until);
        if (begin != end || until <= begin) ck_abort_msg("%s: after %lld comes %lld to %lld", names[n], (long long)end, (long long)begin, (long long)until);
        int64_t first = 0, last = 0;
        tci_zone_period(zone, period, until - 1, &first, &last);
        if (first != begin || last != until)
          ck_abort_msg("%s: the end of %lld is in %lld to %lld", names[n], (long long)begin, (long long)first, (long long)last);
      }
    }
    tci_zone_free(zone);
  }
}
END_TEST

START_TEST(far_instants_do_no_harm) {
  static const int64_t far[] = {INT64_MIN, INT64_MAX, INT64_MIN + 1, -TCI_ZONE_LIMIT_S, TCI_ZONE_LIMIT_S};
  tci_zone *zone = load("Europe/Berlin");
  for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
    for (int period = TCI_PERIOD_HOUR; period <= TCI_PERIOD_MONTH; period++) {
      int64_t start = 0, end = 0;
      tci_zone_period(zone, period, far[i], &start, &end);
      ck_assert_int_lt(start, end);
    }
  }
  tci_zone_free(zone);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("zone");
  TCase *tests = tcase_create("zone");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, periods_of_utc);
  tcase_add_test(tests, days_of_23_and_25_hours);
  tcase_add_test(tests, zones_off_the_hour);
  tcase_add_test(tests, midnights_that_are_none_or_come_twice);
  tcase_add_test(tests, names_and_what_is_none);
  tcase_add_test(tests, files_that_are_none);
  tcase_add_test(tests, footers);
  tcase_add_test(tests, every_zone_agrees_with_the_c_library);
  tcase_add_test(tests, periods_follow_each_other);
  tcase_add_test(tests, far_instants_do_no_harm);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
