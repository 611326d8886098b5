/* Cases O-28 and O-29: exact decimals, and what is not a number. */
#include <check.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "model/money.h"

#define NUMBER "must be a number"
#define POSITIVE "must be greater than 0"
#define PLACES "must have at most 2 decimals"
#define LARGE "must be at most 92233720368547758.07"

START_TEST(exact_decimals_are_read) {
  static const struct {
    const char *text;
    int64_t hundredths;
  } samples[] = {
    {"100", 10000},
    {"100.0", 10000},
    {"100.00", 10000},
    {"1e2", 10000},
    {"1E+2", 10000},
    {"10000e-2", 10000},
    {"100.500", 10050},
    {"100.5000000000000000000000000000000000000", 10050},
    {"0.01", 1},
    {"1e-2", 1},
    {"1.0e-2", 1},
    {"0.1", 10},
    {"0.00000000000000000000000000001e27", 1},
    {"10", 1000},
    {"1000000", 100000000},
    {"1.10", 110},
    {"20.05", 2005},
    {"0.010e0", 1},
    {"90071992547409.93", 9007199254740993},
    {"92233720368547758.07", INT64_MAX},
    {"9223372036854775807e-2", INT64_MAX},
    {"0.9223372036854775807e17", INT64_MAX},
    {"92233720368547758.0700", INT64_MAX},
    {"9e16", 9000000000000000000},
    {"1e00000000000000000000000002", 10000},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    int64_t got = -7;
    const char *reason = tci_money_parse(samples[i].text, strlen(samples[i].text), &got);
    ck_assert_msg(!reason, "%s: %s", samples[i].text, reason);
    ck_assert_msg(got == samples[i].hundredths, "%s gave %lld", samples[i].text, (long long)got);
  }
}
END_TEST

START_TEST(what_cannot_be_hundredths_is_refused_with_its_reason) {
  static const struct {
    const char *text, *reason;
  } samples[] = {
    {"0", POSITIVE},
    {"-0", POSITIVE},
    {"0.00", POSITIVE},
    {"0e1000000000", POSITIVE},
    {"-1", POSITIVE},
    {"-0.001", POSITIVE},
    {"-1e400", POSITIVE},
    {"0.001", PLACES},
    {"100.005", PLACES},
    {"123456e-4", PLACES},
    {"1e-3", PLACES},
    {"1e-1000000000", PLACES},
    {"1e-99999999999999999999999999", PLACES},
    {"92233720368547758.08", LARGE},
    {"99999999999999999.99", LARGE},
    {"100000000000000000", LARGE},
    {"1e17", LARGE},
    {"1e1000000000", LARGE},
    {"1e99999999999999999999999999", LARGE},
    {"184467440737095516.17", LARGE},
    {"18446744073709551616", LARGE},
    {"9.99e16", LARGE},
    {"NaN", NUMBER},
    {"Infinity", NUMBER},
    {"-", NUMBER},
    {"+1", NUMBER},
    {".5", NUMBER},
    {"1.", NUMBER},
    {"01", NUMBER},
    {"00", NUMBER},
    {"-01", NUMBER},
    {"0x10", NUMBER},
    {"1e", NUMBER},
    {"1e+", NUMBER},
    {"1_000", NUMBER},
    {"1,5", NUMBER},
    {"abc", NUMBER},
    {"", NUMBER},
    {" 1", NUMBER},
    {"1 ", NUMBER},
    {"1.2.3", NUMBER},
    {"1e2e3", NUMBER},
    {"1e1.5", NUMBER},
    {"true", NUMBER},
    {"\xd9\xa1", NUMBER},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    int64_t got = -7;
    const char *reason = tci_money_parse(samples[i].text, strlen(samples[i].text), &got);
    ck_assert_msg(reason && !strcmp(reason, samples[i].reason), "%s: %s", samples[i].text, reason ? reason : "taken");
    ck_assert_msg(got == -7, "%s: the output was written", samples[i].text);
  }
  int64_t got = -7;
  ck_assert_ptr_nonnull(tci_money_parse("1\0", 2, &got));
  ck_assert_ptr_nonnull(tci_money_parse(NULL, 0, &got));
}
END_TEST

static void fill(char *text, size_t len, const char *head, char with, const char *tail) {
  memset(text, with, len);
  memcpy(text, head, strlen(head));
  memcpy(text + len - strlen(tail), tail, strlen(tail));
}

START_TEST(a_million_digits_take_linear_time) {
  static const struct {
    const char *head;
    char with;
    const char *tail, *reason;
  } samples[] = {
    {"9", '9', "9", LARGE}, {"0.", '0', "1", PLACES}, {"1.", '0', "0", NULL},    {"0.", '0', "1e999994", NULL}, {"1", '0', "0e-999990", NULL},
    {"1e", '0', "1", NULL}, {"1e", '9', "9", LARGE},  {"1e-", '9', "9", PLACES}, {"0.", '0', "0", POSITIVE},    {"1", '1', "x", NUMBER},
  };
  size_t len = 1000000;
  char *text = tci_alloc(len);
  ck_assert_ptr_nonnull(text);
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    fill(text, len, samples[i].head, samples[i].with, samples[i].tail);
    int64_t got = 0, begin = tci_sys_monotonic_us(NULL);
    const char *reason = tci_money_parse(text, len, &got);
    int64_t took = tci_sys_monotonic_us(NULL) - begin;
    ck_assert_msg(took < 50000, "sample %zu took %lld us", i, (long long)took);
    if (samples[i].reason) ck_assert_msg(reason && !strcmp(reason, samples[i].reason), "sample %zu: %s", i, reason ? reason : "taken");
    else ck_assert_msg(!reason && got > 0, "sample %zu: %s", i, reason ? reason : "not positive");
  }
  tci_free(text);
}
END_TEST

START_TEST(two_decimals_always) {
  static const struct {
    int64_t hundredths;
    const char *text;
  } samples[] = {
    {10000, "100.00"},
    {1, "0.01"},
    {10, "0.10"},
    {99, "0.99"},
    {100, "1.00"},
    {0, "0.00"},
    {-1, "-0.01"},
    {-10050, "-100.50"},
    {INT64_MAX, "92233720368547758.07"},
    {INT64_MIN, "-92233720368547758.08"},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    char text[TCI_MONEY_TEXT_MAX];
    size_t len = tci_money_format(samples[i].hundredths, text);
    ck_assert_str_eq(text, samples[i].text);
    ck_assert_uint_eq(len, strlen(text));
  }
}
END_TEST

START_TEST(what_is_printed_reads_back) {
  uint64_t state = 1;
  for (int i = 0; i < 200000; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    int64_t value = (int64_t)(state >> (1 + i % 60)), got = 0;
    if (!value) continue;
    char text[TCI_MONEY_TEXT_MAX];
    size_t len = tci_money_format(value, text);
    const char *reason = tci_money_parse(text, len, &got);
    if (reason || got != value)
      ck_abort_msg("%s gave %lld, %s", text, (long long)got, reason ? reason : "taken"); /* ck_assert would report each pass through a pipe */
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("money");
  TCase *tests = tcase_create("money");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, exact_decimals_are_read);
  tcase_add_test(tests, what_cannot_be_hundredths_is_refused_with_its_reason);
  tcase_add_test(tests, a_million_digits_take_linear_time);
  tcase_add_test(tests, two_decimals_always);
  tcase_add_test(tests, what_is_printed_reads_back);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
