#include <check.h>
#include <string.h>
#include <time.h>

#include "base/timefmt.h"

#define S INT64_C(1000000)

static const char *ms_text(int64_t us) {
  static char text[TCI_RFC3339_MS_LEN + 1];
  memset(text, '#', sizeof text);
  tci_time_format_ms(us, text);
  if (text[TCI_RFC3339_MS_LEN] != '#') ck_abort_msg("written beyond its length");
  text[TCI_RFC3339_MS_LEN] = '\0';
  return text;
}

static const char *http_text(int64_t us) {
  static char text[TCI_HTTP_DATE_LEN + 1];
  memset(text, '#', sizeof text);
  tci_time_format_http(us, text);
  if (text[TCI_HTTP_DATE_LEN] != '#') ck_abort_msg("written beyond its length");
  text[TCI_HTTP_DATE_LEN] = '\0';
  return text;
}

START_TEST(known_times) {
  ck_assert_str_eq(ms_text(0), "1970-01-01T00:00:00.000Z");
  ck_assert_str_eq(ms_text(1705314645123456), "2024-01-15T10:30:45.123Z");
  ck_assert_str_eq(ms_text(951782400 * S), "2000-02-29T00:00:00.000Z");
  ck_assert_str_eq(ms_text(4107542400 * S), "2100-03-01T00:00:00.000Z"); /* 2100 has no leap day */
  ck_assert_str_eq(ms_text(INT64_C(-62167219200) * S), "0000-01-01T00:00:00.000Z");
  ck_assert_str_eq(http_text(784111777 * S), "Sun, 06 Nov 1994 08:49:37 GMT");
  ck_assert_str_eq(http_text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  ck_assert_str_eq(http_text(-1 * S), "Wed, 31 Dec 1969 23:59:59 GMT");
}
END_TEST

START_TEST(a_part_of_a_millisecond_is_dropped_towards_the_past) {
  ck_assert_str_eq(ms_text(999), "1970-01-01T00:00:00.000Z");
  ck_assert_str_eq(ms_text(-1), "1969-12-31T23:59:59.999Z");
  ck_assert_str_eq(ms_text(-1000), "1969-12-31T23:59:59.999Z");
  ck_assert_str_eq(ms_text(-1001), "1969-12-31T23:59:59.998Z");
}
END_TEST

START_TEST(what_four_digits_cannot_hold_is_clamped) {
  ck_assert_str_eq(ms_text(INT64_MAX), "9999-12-31T23:59:59.999Z");
  ck_assert_str_eq(ms_text(INT64_C(253402300800) * S), "9999-12-31T23:59:59.999Z");
  ck_assert_str_eq(ms_text(INT64_C(253402300800) * S - 1), "9999-12-31T23:59:59.999Z");
  ck_assert_str_eq(ms_text(INT64_MIN), "0000-01-01T00:00:00.000Z");
  ck_assert_str_eq(http_text(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
  ck_assert_str_eq(http_text(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}
END_TEST

START_TEST(every_day_of_a_thousand_years_agrees_with_the_c_library) {
  for (int64_t day = -300000; day < 300000; day++) {
    time_t at = (time_t)(day * 86400 + (day & 1023) * 84);
    struct tm parts;
    char iso[40], http[40];
    if (!gmtime_r(&at, &parts) || !strftime(iso, sizeof iso, "%Y-%m-%dT%H:%M:%S.000Z", &parts) ||
        !strftime(http, sizeof http, "%a, %d %b %Y %H:%M:%S GMT", &parts)) {
      ck_abort_msg("the C library cannot");
    }
    /* Not by ck_assert: it reports each pass through a pipe. */
    if (strcmp(ms_text((int64_t)at * S), iso)) ck_abort_msg("%s, not %s", ms_text((int64_t)at * S), iso);
    if (strcmp(http_text((int64_t)at * S), http)) ck_abort_msg("%s, not %s", http_text((int64_t)at * S), http);
  }
}
END_TEST

static int64_t parsed(const char *text) {
  int64_t us = -1;
  if (tci_time_parse(text, strlen(text), &us)) ck_abort_msg("%s is not taken", text);
  return us;
}

START_TEST(instants_in_all_three_forms) {
  ck_assert_int_eq(parsed("2024-01-15T10:00:00Z"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("2024-01-15t10:00:00z"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("2024-01-15T10:00Z"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("2024-01-15T10:00:00.123456789Z"), INT64_C(1705312800) * S + 123456);
  ck_assert_int_eq(parsed("2024-01-15T10:00:00.5Z"), INT64_C(1705312800) * S + 500000);
  ck_assert_int_eq(parsed("2024-01-15T15:30:00+05:30"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("2024-01-15T15:30:00+0530"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("2024-01-15T02:00:00-08"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("2024-02-29T23:59:60Z"), INT64_C(1709251200) * S);
  ck_assert_int_eq(parsed("Mon, 15 Jan 2024 10:00:00 GMT"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("Mon, 5 Feb 2024 10:00:00 +0100"), INT64_C(1707123600) * S);
  ck_assert_int_eq(parsed("1705312800000"), INT64_C(1705312800) * S);
  ck_assert_int_eq(parsed("-1"), -1000);
  ck_assert_int_eq(parsed("0000-01-01T00:00:00Z"), INT64_C(-62167219200) * S);
}
END_TEST

START_TEST(what_is_no_instant) {
  static const char *const texts[] = {"",
                                      "2024-01-15",
                                      "2024-01-15T10:00:00",
                                      "2024-01-15 10:00:00Z",
                                      "2023-02-29T10:00:00Z",
                                      "2024-13-01T10:00:00Z",
                                      "2024-01-32T10:00:00Z",
                                      "2024-01-15T24:00:00Z",
                                      "2024-01-15T10:60:00Z",
                                      "2024-01-15T10:00:00.Z",
                                      "2024-01-15T10:00:00.1234567890Z",
                                      "2024-01-15T10:00:00+19:00",
                                      "2024-01-15T10:00:00Zjunk",
                                      "24-01-15T10:00:00Z",
                                      "Foo, 15 Jan 2024 10:00:00 GMT",
                                      "Mon, 15 Foo 2024 10:00:00 GMT",
                                      "Mon, 15 Jan 2024 10:00:00",
                                      "1705312800000.5",
                                      "-",
                                      "+1",
                                      " 1",
                                      "999999999999999",
                                      "9999999999999999999"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    int64_t us = 7;
    ck_assert_msg(tci_time_parse(texts[i], strlen(texts[i]), &us) == -1, "'%s' is taken", texts[i]);
    ck_assert_int_eq(us, 7);
  }
}
END_TEST

START_TEST(what_is_written_is_read) {
  for (int64_t day = -719528; day < 2932896; day += 13) {
    int64_t at = day * 86400 * S + (day & 1023) * 84 * S + 123000, us = 0;
    char text[TCI_RFC3339_MS_LEN];
    tci_time_format_ms(at, text);
    if (tci_time_parse(text, sizeof text, &us) || us != at) ck_abort_msg("%.24s is read as %lld", text, (long long)us);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("timefmt");
  TCase *tests = tcase_create("timefmt");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, known_times);
  tcase_add_test(tests, a_part_of_a_millisecond_is_dropped_towards_the_past);
  tcase_add_test(tests, what_four_digits_cannot_hold_is_clamped);
  tcase_add_test(tests, every_day_of_a_thousand_years_agrees_with_the_c_library);
  tcase_add_test(tests, instants_in_all_three_forms);
  tcase_add_test(tests, what_is_no_instant);
  tcase_add_test(tests, what_is_written_is_read);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
