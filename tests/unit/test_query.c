/* Percent-decoding, query strings, numbers; O-33 and O-35 below the wire. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/query.h"

static tc_text text(const char *s) { return (tc_text){s, strlen(s)}; }

static void decodes(const char *raw, int how, const char *want) {
  char out[256];
  size_t len = 99;
  ck_assert_ptr_null(tcd_decode(text(raw), how, out, &len));
  ck_assert_msg(len == strlen(want) && !memcmp(out, want, len), "%s became %.*s", raw, (int)len, out);
}

static void refuses(const char *raw, const char *why) {
  char out[256];
  size_t len = 99;
  const char *what = tcd_decode(text(raw), TCD_DECODE_FORM, out, &len);
  ck_assert_msg(what != NULL, "%s was taken", raw);
  ck_assert_ptr_nonnull(strstr(what, why));
  ck_assert_uint_eq(len, 99);
}

START_TEST(decoding) {
  decodes("", TCD_DECODE_FORM, "");
  decodes("a+b", TCD_DECODE_FORM, "a b");
  decodes("a+b", TCD_DECODE_PATH, "a+b");
  decodes("a%2Bb%2bc", TCD_DECODE_FORM, "a+b+c");
  decodes("a%2Fb", TCD_DECODE_PATH, "a/b");
  decodes("%F0%9F%94%A5", TCD_DECODE_FORM, "\xF0\x9F\x94\xA5");
  decodes("\xF0\x9F\x94\xA5", TCD_DECODE_FORM, "\xF0\x9F\x94\xA5");
  decodes("%25", TCD_DECODE_FORM, "%");
}
END_TEST

START_TEST(bad_encodings) {
  static const char *const malformed[] = {"%", "a%", "%2", "%zz", "%2z", "%z2", "%u0041", "%%41", "% 41", "%+1"};
  static const char *const bad_utf8[] = {"%FF", "%C0%80", "%ED%A0%80", "%F5%80%80%80", "%F0%9F%94", "\xFF", "%C3"};
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) refuses(malformed[i], "percent");
  for (size_t i = 0; i < sizeof bad_utf8 / sizeof *bad_utf8; i++) refuses(bad_utf8[i], "UTF-8");
  refuses("a%00b", "U+0000");
}
END_TEST

START_TEST(a_percent_at_the_end_reads_nothing_behind_it) {
  char out[4];
  size_t len;
  tc_text cut = {"%41", 2}; /* the 1 is not ours */
  ck_assert_ptr_nonnull(tcd_decode(cut, TCD_DECODE_FORM, out, &len));
}
END_TEST

START_TEST(pairs) {
  tc_text rest = text("a=1&&b&=x&c=d=e&"), name, value;
  static const char *const want[][2] = {{"a", "1"}, {"b", ""}, {"", "x"}, {"c", "d=e"}};
  for (size_t i = 0; i < 4; i++) {
    ck_assert_int_eq(tcd_query_pair(&rest, &name, &value), 1);
    ck_assert(name.len == strlen(want[i][0]) && !memcmp(name.ptr, want[i][0], name.len));
    ck_assert(value.len == strlen(want[i][1]) && !memcmp(value.ptr, want[i][1], value.len));
  }
  ck_assert_int_eq(tcd_query_pair(&rest, &name, &value), 0);
  tc_text none = {NULL, 0};
  ck_assert_int_eq(tcd_query_pair(&none, &name, &value), 0);
}
END_TEST

static const char *const names[] = {"roomId", "page"};

/* The storage is exactly as large as the contract says, so that a sanitizer sees one byte more. */
static int read_query(const char *query, const char **values, char **storage, tcd_query_fault *fault) {
  *storage = malloc(strlen(query) + 1);
  ck_assert_ptr_nonnull(*storage);
  return tcd_query_read(text(query), names, 2, values, *storage, fault);
}

START_TEST(reading) {
  const char *values[2];
  char *storage;
  tcd_query_fault fault;
  ck_assert_int_eq(read_query("roomId=a+b&x=%zz&page=", values, &storage, &fault), 0);
  ck_assert_str_eq(values[0], "a b");
  ck_assert_str_eq(values[1], "");
  free(storage);
  ck_assert_int_eq(read_query("room%49d=1", values, &storage, &fault), 0);
  ck_assert_str_eq(values[0], "1");
  ck_assert_ptr_null(values[1]);
  free(storage);
  ck_assert_int_eq(read_query("page&roomId", values, &storage, &fault), 0);
  ck_assert_str_eq(values[0], "");
  free(storage);
  ck_assert_int_eq(read_query("", values, &storage, &fault), 0);
  ck_assert_ptr_null(values[0]);
  free(storage);
  ck_assert_int_eq(read_query("ROOMID=1&roomIdx=2&roomI=3", values, &storage, &fault), 0);
  ck_assert_ptr_null(values[0]);
  free(storage);
}
END_TEST

START_TEST(reading_faults) {
  static const struct {
    const char *query, *name;
  } cases[] = {{"roomId=%zz", "roomId"}, {"page=1&roomId=%00", "roomId"}, {"page=1&page=1", "page"}, {"roomId=&roomId=a", "roomId"},
               {"%zz=1", "query"},       {"%FF=1&roomId=a", "query"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *values[2];
    char *storage;
    tcd_query_fault fault = {NULL, NULL};
    ck_assert_msg(read_query(cases[i].query, values, &storage, &fault) == -1, "%s was taken", cases[i].query);
    ck_assert_str_eq(fault.name, cases[i].name);
    ck_assert_ptr_nonnull(fault.what);
    free(storage);
  }
}
END_TEST

START_TEST(numbers) {
  static const struct {
    const char *text;
    int64_t value;
  } good[] = {{"0", 0}, {"-0", 0}, {"007", 7}, {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN}, {"-1", -1}};
  static const char *const bad[] = {
    "", "-", "+1", "1 ", " 1", "1.5", "1e1", "0x1", "--1", "abc", "9223372036854775808", "-9223372036854775809", "99999999999999999999999", "1a"};
  int64_t value;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ck_assert_int_eq(tcd_parse_int(good[i].text, strlen(good[i].text), &value), 0);
    ck_assert_int_eq(value, good[i].value);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    value = 42;
    ck_assert_msg(tcd_parse_int(bad[i], strlen(bad[i]), &value) == -1, "%s was taken", bad[i]);
    ck_assert_int_eq(value, 42);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("query");
  TCase *tests = tcase_create("query");
  tcase_add_test(tests, decoding);
  tcase_add_test(tests, bad_encodings);
  tcase_add_test(tests, a_percent_at_the_end_reads_nothing_behind_it);
  tcase_add_test(tests, pairs);
  tcase_add_test(tests, reading);
  tcase_add_test(tests, reading_faults);
  tcase_add_test(tests, numbers);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
