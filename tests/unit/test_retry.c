/* Pauses between attempts, and what is kept of an answer. */
#include <check.h>
#include <string.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "tipcurrent/error.h"
#include "webhook/retry.h"
#include "webhook/text.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define S INT64_C(1000000)

START_TEST(schedules_are_read) {
  tci_schedule schedule;
  const char *bad = NULL;
  ck_assert_int_eq(tci_schedule_read("5s,30s,30s,5m,2h,1d,7d", &schedule, &bad), TC_OK);
  static const int64_t steps[] = {5, 30, 30, 300, 7200, 86400, 604800};
  ck_assert_uint_eq(schedule.steps, COUNT(steps));
  for (size_t i = 0; i < COUNT(steps); i++) ck_assert_int_eq(schedule.step_us[i], steps[i] * S);
  ck_assert_int_eq(tci_schedule_read(NULL, &schedule, &bad), TC_OK); /* the default: three attempts, the second within 15 s */
  ck_assert_uint_eq(schedule.steps, 2);
  ck_assert_int_le(schedule.step_us[0], 15 * S);
  ck_assert_int_eq(tci_schedule_read("1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", &schedule, &bad),
                   TC_OK);
  ck_assert_uint_eq(schedule.steps, TCI_RETRY_STEPS_MAX);
}
END_TEST

START_TEST(what_is_no_schedule_is_refused_by_place) {
  static const struct {
    const char *text;
    size_t at;
  } samples[] = {{"", 0},
                 {"5", 0},
                 {"s", 0},
                 {"5x", 0},
                 {"0s", 0},
                 {"-5s", 0},
                 {"5 s", 0},
                 {" 5s", 0},
                 {"5ms", 0},
                 {"5S", 0},
                 {"1.5m", 0},
                 {"8d", 0},
                 {"604801s", 0},
                 {"9999999999999999999s", 0},
                 {"999999999d", 0},
                 {"5s,", 3},
                 {",5s", 0},
                 {"5s,,6s", 3},
                 {"30s,5s", 4},
                 {"1m,59s", 3},
                 {"5s;6s", 0},
                 {"5s,6s,x", 6},
                 {"1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s", 96}};
  tci_schedule schedule = {.steps = 99};
  for (size_t i = 0; i < COUNT(samples); i++) {
    const char *bad = NULL;
    ck_assert_msg(tci_schedule_read(samples[i].text, &schedule, &bad) == TC_EINVAL, "%s was taken", samples[i].text);
    ck_assert_msg(bad == samples[i].text + samples[i].at, "%s: at %td", samples[i].text, bad - samples[i].text);
    ck_assert_uint_eq(schedule.steps, 99);
  }
}
END_TEST

START_TEST(pauses_lie_between_half_a_step_and_all_of_it) {
  tci_schedule schedule;
  const char *bad = NULL;
  ck_assert_int_eq(tci_schedule_read("10s,60s,7d", &schedule, &bad), TC_OK);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 0, 0), 10 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 5 * S, 0), 5 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 5 * S + 1, 0), 10 * S);
  uint64_t random = 1;
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < 10000; i++) {
    random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    int64_t pause = tci_retry_pause_us(&schedule, 2, random ^ random >> 33, 0);
    if (pause < least) least = pause;
    if (pause > most) most = pause;
  }
  ck_assert(least >= 30 * S && least < 31 * S && most <= 60 * S && most > 59 * S);
  ck_assert_int_le(tci_retry_pause_us(&schedule, 3, UINT64_MAX, 0), 604800 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 4, 0, 0), -1);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 4, 0, 3600 * S), -1); /* what a receiver asks for makes no more attempts */
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 0, 0, 0), -1);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, -1, 0, 0), -1);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, INT32_MAX, 0, 0), -1);
}
END_TEST

START_TEST(what_the_receiver_asks_for_counts_when_longer) {
  tci_schedule schedule;
  const char *bad = NULL;
  ck_assert_int_eq(tci_schedule_read("10s,7d", &schedule, &bad), TC_OK);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 0, 3 * S), 10 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 0, 120 * S), 120 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 0, 86400 * S), 86400 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 0, INT64_MAX), 86400 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 2, 0, INT64_MAX), 604800 * S);
  ck_assert_int_eq(tci_retry_pause_us(&schedule, 1, 0, -5), 10 * S);
}
END_TEST

#define NOW INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */

static int64_t asked_s(const char *value, int64_t now_s) {
  size_t len = strlen(value);
  char *copy = tci_alloc(len);
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, value, len);
  int64_t pause = tci_retry_after_us((tc_text){copy, len}, now_s * S);
  tci_free(copy);
  ck_assert_int_eq(pause % S, 0);
  return pause / S;
}

START_TEST(retry_after_is_read_in_all_its_forms) {
  static const struct {
    const char *value;
    int64_t now_s, pause_s;
  } samples[] = {{"0", NOW, 0},
                 {"1", NOW, 1},
                 {"120", NOW, 120},
                 {" \t120 ", NOW, 120},
                 {"007", NOW, 7},
                 {"86401", NOW, 86400},
                 {"99999999999999999999999999", NOW, 86400},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", NOW - 90, 90},
                 {"Sunday, 06-Nov-94 08:49:37 GMT", NOW - 90, 90},
                 {"Sun Nov  6 08:49:37 1994", NOW - 90, 90},
                 {"Sun Nov 06 08:49:37 1994", NOW - 90, 90},
                 {" Sun, 06 Nov 1994 08:49:37 GMT\t", NOW - 1, 1},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", NOW, 0},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", NOW + 1, 0},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", NOW - 999999, 86400},
                 {"Sun, 06 Nov 1994 08:49:60 GMT", NOW, 23},
                 {"Thu, 01 Jan 1970 00:00:30 GMT", 10, 20},
                 {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800 - 5, 5},
                 {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200 - 5, 5},
                 {"Tue, 01 Mar 2033 00:00:00 GMT", 1993248000 - 5, 5},
                 {"Fri, 31 Dec 9999 23:59:59 GMT", NOW, 86400},
                 {"Wednesday, 25-Nov-26 12:00:00 GMT", 1795608000 - 7, 7},
                 {"Tuesday, 01-Jan-30 00:00:00 GMT", 1893456000 - 7, 7},
                 {"Friday, 01-Jan-99 00:00:00 GMT", 1795608000, 0},
                 {"Friday, 01-Jan-00 00:00:00 GMT", INT64_C(4102444800) - 7, 7},   /* seven seconds before 2100, 00 is 2100 */
                 {"Saturday, 01-Jan-40 00:00:00 GMT", INT64_C(3471292800) - 7, 0}, /* in 2079, 40 is 2040 */
                 {"", NOW, 0},
                 {" ", NOW, 0},
                 {"-1", NOW, 0},
                 {"+1", NOW, 0},
                 {"1.5", NOW, 0},
                 {"1 2", NOW, 0},
                 {"soon", NOW, 0},
                 {"0x10", NOW, 0},
                 {"12s", NOW, 0},
                 {"Sun, 06 Nov 1994 08:49:37", NOW - 90, 0},
                 {"Sun, 06 Nov 1994 08:49:37 GMTx", NOW - 90, 0},
                 {"Sun, 06 Nov 1994 08:49:37 UTC", NOW - 90, 0},
                 {"sun, 06 nov 1994 08:49:37 gmt", NOW - 90, 0},
                 {"Sun,06 Nov 1994 08:49:37 GMT", NOW - 90, 0},
                 {"Sun, 6 Nov 1994 08:49:37 GMT", NOW - 90, 0},
                 {"Sun, 06 Nov 94 08:49:37 GMT", NOW - 90, 0},
                 {"Sunday, 06 Nov 1994 08:49:37 GMT", NOW - 90, 0},
                 {"Xxx, 06 Nov 1994 08:49:37 GMT", NOW - 90, 0},
                 {"Sun, 06 Xxx 1994 08:49:37 GMT", NOW - 90, 0},
                 {"Sun, 00 Nov 1994 08:49:37 GMT", NOW - 90, 0},
                 {"Sun, 31 Nov 1994 08:49:37 GMT", 0, 0},
                 {"Wed, 29 Feb 2023 00:00:00 GMT", 0, 0},
                 {"Mon, 29 Feb 2100 00:00:00 GMT", 0, 0},
                 {"Sun, 06 Nov 1994 24:00:00 GMT", 0, 0},
                 {"Sun, 06 Nov 1994 08:60:00 GMT", 0, 0},
                 {"Sun, 06 Nov 1994 08:49:61 GMT", 0, 0},
                 {"Mon, 01 Jan 0000 00:00:00 GMT", 0, 0}};
  for (size_t i = 0; i < COUNT(samples); i++) {
    int64_t pause = asked_s(samples[i].value, samples[i].now_s);
    ck_assert_msg(pause == samples[i].pause_s, "%s: %lld", samples[i].value, (long long)pause);
  }
  ck_assert_int_eq(tci_retry_after_us((tc_text){NULL, 0}, 0), 0);
}
END_TEST

START_TEST(every_day_is_read_as_it_is_written) {
  for (int64_t day = 1; day < 366 * 150; day++) {
    char text[TCI_HTTP_DATE_LEN];
    tci_time_format_http(day * 86400 * S, text);
    ck_assert_int_eq(tci_retry_after_us((tc_text){text, sizeof text}, (day * 86400 - 3) * S), 3 * S);
  }
}
END_TEST

START_TEST(every_cut_of_a_date_is_none) {
  static const char *const forms[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
  char text[40];
  for (size_t form = 0; form < COUNT(forms); form++) {
    size_t whole = strlen(forms[form]);
    for (size_t len = 0; len < whole; len++) {
      memcpy(text, forms[form], len);
      text[len] = '\0';
      ck_assert_int_eq(asked_s(text, 0), 0);
    }
  }
}
END_TEST

START_TEST(answers_are_made_text) {
#define R "\xef\xbf\xbd"
  static const struct {
    const char *bytes;
    size_t len, points;
    const char *text;
  } samples[] = {{"", 0, 10, ""},
                 {"ok", 2, 10, "ok"},
                 {"ok", 2, 1, "o"},
                 {"ok", 2, 0, ""},
                 {"a\0b", 3, 10, "a" R "b"},
                 {"\0", 1, 10, R},
                 {"h\xc3\xa9\xf0\x9f\x94\xa5!", 8, 3, "h\xc3\xa9\xf0\x9f\x94\xa5"},
                 {"\xff\xfe", 2, 10, R R},
                 {"\x80", 1, 10, R},
                 {"\xc3", 1, 10, R},
                 {"\xc3(", 2, 10, R "("},
                 {"\xc0\x80", 2, 10, R R},
                 {"\xe0\x80\x80", 3, 10, R R R},
                 {"\xed\xa0\x80", 3, 10, R R R},
                 {"\xf0\x9f\x94", 3, 10, R},
                 {"\xf0\x9f\x94"
                  "a",
                  4, 10, R "a"},
                 {"\xe2\x82\xe2\x82\xac", 5, 10, R "\xe2\x82\xac"},
                 {"\xf4\x90\x80\x80", 4, 10, R R R R},
                 {"\xf5\x80", 2, 10, R R},
                 {"\xf4\x8f\xbf\xbf\xee\x80\x80", 7, 10, "\xf4\x8f\xbf\xbf\xee\x80\x80"},
                 {"\xff\xff\xff", 3, 2, R R}};
  for (size_t i = 0; i < COUNT(samples); i++) {
    char *copy = tci_alloc(samples[i].len), out[TCI_TEXT_SIZE(10)];
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, samples[i].bytes, samples[i].len);
    size_t len = tci_text_of(copy, samples[i].len, samples[i].points, out);
    ck_assert_msg(len == strlen(samples[i].text) && !memcmp(out, samples[i].text, len), "sample %zu: %.*s", i, (int)len, out);
    tci_free(copy);
  }
}
END_TEST

START_TEST(text_is_valid_whatever_comes) {
  uint64_t random = 7;
  for (int round = 0; round < 20000; round++) {
    char bytes[40], out[TCI_TEXT_SIZE(16)];
    for (size_t i = 0; i < sizeof bytes; i++) {
      random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
      static const unsigned char odd[] = {0, 'a', 0x80, 0x8f, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};
      bytes[i] = (char)odd[(random >> 33) % sizeof odd];
    }
    size_t points, len = tci_text_of(bytes, sizeof bytes, 16, out);
    ck_assert(tci_utf8_valid(out, len, &points));
    ck_assert_uint_le(points, 16);
    ck_assert_ptr_null(memchr(out, '\0', len));
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("retry");
  TCase *tests = tcase_create("retry");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, schedules_are_read);
  tcase_add_test(tests, what_is_no_schedule_is_refused_by_place);
  tcase_add_test(tests, pauses_lie_between_half_a_step_and_all_of_it);
  tcase_add_test(tests, what_the_receiver_asks_for_counts_when_longer);
  tcase_add_test(tests, retry_after_is_read_in_all_its_forms);
  tcase_add_test(tests, every_day_is_read_as_it_is_written);
  tcase_add_test(tests, every_cut_of_a_date_is_none);
  tcase_add_test(tests, answers_are_made_text);
  tcase_add_test(tests, text_is_valid_whatever_comes);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
