/* The scanner and the writer: RFC 8259, and cases O-29 to O-31 as far as they are JSON. */
#include <check.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "tipcurrent/error.h"

enum { A, B, LONG, NAMES };
static const char *const names[NAMES] = {"a", "b", "a\xc3\xa9\xf0\x9f\x94\xa5\n"};

static int scan_len(const char *json, size_t len, tci_json_value values[NAMES], tci_json_fault *fault) {
  /* A copy of exactly that size, so that AddressSanitizer sees a read beyond it. */
  static char *copy;
  tci_free(copy);
  copy = tci_alloc(len);
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, json, len);
  return tci_json_object(copy, len, names, NAMES, values, fault);
}

static int scan(const char *json, tci_json_value values[NAMES], tci_json_fault *fault) { return scan_len(json, strlen(json), values, fault); }

static void expect(const tci_json_value *value, int type, const char *raw) {
  ck_assert_int_eq(value->type, type);
  ck_assert_uint_eq(value->raw.len, strlen(raw));
  ck_assert_int_eq(memcmp(value->raw.ptr, raw, value->raw.len), 0);
}

START_TEST(members_are_found_with_type_and_span) {
  static const struct {
    const char *json;
    int type;
    const char *raw;
  } samples[] = {
    {"{\"a\":\"x\"}", TCI_JSON_STRING, "x"},
    {"{\"a\":\"\"}", TCI_JSON_STRING, ""},
    {" \t\r\n{ \"a\" : \"x\" , \"c\" : 1 } \n", TCI_JSON_STRING, "x"},
    {"{\"a\":null}", TCI_JSON_NULL, "null"},
    {"{\"a\":true}", TCI_JSON_TRUE, "true"},
    {"{\"a\":false}", TCI_JSON_FALSE, "false"},
    {"{\"a\":-0.5e+10}", TCI_JSON_NUMBER, "-0.5e+10"},
    {"{\"a\":0}", TCI_JSON_NUMBER, "0"},
    {"{\"a\":1E2 }", TCI_JSON_NUMBER, "1E2"},
    {"{\"a\":[ ]}", TCI_JSON_ARRAY, "[ ]"},
    {"{\"a\":{}}", TCI_JSON_OBJECT, "{}"},
    {"{\"a\":[1,\"]\",[[],{}],{\"a\":[null]}],\"b\":2}", TCI_JSON_ARRAY, "[1,\"]\",[[],{}],{\"a\":[null]}]"},
    {"{\"a\":{\"b\":{\"a\":1},\"c\":[{}]} }", TCI_JSON_OBJECT, "{\"b\":{\"a\":1},\"c\":[{}]}"},
    {"{\"a\":1,\"a\":\"last\"}", TCI_JSON_STRING, "last"},
    {"{\"\\u0061\":1,\"aa\":2,\"\":3,\"A\":4}", TCI_JSON_NUMBER, "1"},
    {"{\"b\":{\"a\":1},\"a\":7}", TCI_JSON_NUMBER, "7"},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    tci_json_value values[NAMES];
    tci_json_fault fault = {0, ""};
    ck_assert_msg(!scan(samples[i].json, values, &fault), "%s: %s at %zu", samples[i].json, fault.what, fault.offset);
    expect(&values[A], samples[i].type, samples[i].raw);
  }
}
END_TEST

START_TEST(absent_members_are_absent_and_others_passed_over) {
  tci_json_value values[NAMES];
  tci_json_fault fault;
  ck_assert_int_eq(scan("{}", values, &fault), 0);
  for (int i = 0; i < NAMES; i++) ck_assert_int_eq(values[i].type, TCI_JSON_ABSENT);
  ck_assert_int_eq(scan("{\"c\":{\"a\":1,\"b\":[2]},\"b\":\"\\\"\"}", values, &fault), 0);
  ck_assert_int_eq(values[A].type, TCI_JSON_ABSENT);
  expect(&values[B], TCI_JSON_STRING, "\\\"");
  ck_assert_int_eq(values[B].escaped, 1);
  ck_assert_int_eq(tci_json_object("{\"x\":1}", 7, NULL, 0, NULL, &fault), 0);
  ck_assert_int_eq(tci_json_object(NULL, 0, names, NAMES, values, &fault), -1);
}
END_TEST

START_TEST(names_are_compared_after_unescaping) {
  tci_json_value values[NAMES];
  tci_json_fault fault;
  ck_assert_int_eq(scan("{\"a\xc3\xa9\xf0\x9f\x94\xa5\\n\":1}", values, &fault), 0);
  expect(&values[LONG], TCI_JSON_NUMBER, "1");
  ck_assert_int_eq(scan("{\"\\u0061\\u00E9\\ud83d\\uDD25\\u000a\":2,\"a\\u0000\":3,\"a\\u00e9\":4,\"\\u0061\\u00e9\\ud83d\\udd25\\nx\":5}", values, &fault), 0);
  expect(&values[LONG], TCI_JSON_NUMBER, "2");
  ck_assert_int_eq(values[A].type, TCI_JSON_ABSENT);
}
END_TEST

typedef struct flaw {
  const char *json;
  size_t offset;
} flaw;

static void expect_refused(const flaw *flaws, size_t n) {
  for (size_t i = 0; i < n; i++) {
    tci_json_value values[NAMES];
    tci_json_fault fault = {999, NULL};
    ck_assert_msg(scan(flaws[i].json, values, &fault) == -1, "accepted: %s", flaws[i].json);
    ck_assert_ptr_nonnull(fault.what);
    ck_assert_msg(fault.offset == flaws[i].offset, "%s: %s at %zu", flaws[i].json, fault.what, fault.offset);
  }
}

START_TEST(what_is_no_json_object_is_refused_at_the_first_wrong_byte) {
  static const flaw flaws[] = {
    {"", 0},
    {"  ", 2},
    {"null", 0},
    {"[]", 0},
    {"\"x\"", 0},
    {"1", 0},
    {"{", 1},
    {"{\"a\"", 4},
    {"{\"a\":", 5},
    {"{\"a\":1", 6},
    {"{\"a\":1,", 7},
    {"{\"a\":1,}", 7},
    {"{,}", 1},
    {"{a:1}", 1},
    {"{'a':1}", 1},
    {"{\"a\" 1}", 5},
    {"{\"a\":1 \"b\":2}", 7},
    {"{\"a\":1}x", 7},
    {"{\"a\":1} x", 8},
    {"{\"a\":1}{}", 7},
    {"{\"a\":1},", 7},
    {"\xef\xbb\xbf{}", 0},
    {"{\"a\":[1,]}", 8},
    {"{\"a\":[,1]}", 6},
    {"{\"a\":[1 2]}", 8},
    {"{\"a\":[1}", 7},
    {"{\"a\":{\"b\":1]}", 11},
    {"{\"a\":{\"b\"}}", 9},
    {"{\"a\":{1:2}}", 6},
    {"{\"a\":{\"b\":1,}}", 12},
    {"{\"a\":}", 5},
    {"{\"a\":]}", 5},
    {"{\"a\":[}", 6},
    {"{\"a\":[", 6},
    {"{\"a\":{", 6},
    {"{\"a\":[1", 7},
    {"{\"a\":1/**/}", 6},
    {"{1:1}", 1},
    {"{}}", 2},
  };
  expect_refused(flaws, sizeof flaws / sizeof flaws[0]);
}
END_TEST

START_TEST(what_is_no_json_value_is_refused_at_the_first_wrong_byte) {
  static const flaw flaws[] = {
    {"{\"a\":NaN}", 5},
    {"{\"a\":Infinity}", 5},
    {"{\"a\":-}", 6},
    {"{\"a\":+1}", 5},
    {"{\"a\":.5}", 5},
    {"{\"a\":1.}", 7},
    {"{\"a\":01}", 6},
    {"{\"a\":-01}", 7},
    {"{\"a\":0x10}", 6},
    {"{\"a\":1e}", 7},
    {"{\"a\":1e+}", 8},
    {"{\"a\":1_000}", 6},
    {"{\"a\":1.e2}", 7},
    {"{\"a\":tru}", 8},
    {"{\"a\":TRUE}", 5},
    {"{\"a\":nul", 8},
    {"{\"a\":truex}", 9},
    {"{\"a\":undefined}", 5},
    {"{\"a\":\"x}", 8},
    {"{\"a\":\"\n\"}", 6},
    {"{\"a\":\"x\x01\"}", 7},
    {"{\"a\":\"\x1f\"}", 6},
    {"{\"a\":\"12345678\t\"}", 14},
    {"{\"a\":\"\\x\"}", 7},
    {"{\"a\":\"\\", 7},
    {"{\"a\":\"\\u12\"}", 10},
    {"{\"a\":\"\\u12g4\"}", 10},
    {"{\"a\":\"\\u\"}", 8},
    {"{\"a\":\"\\U0041\"}", 7},
    {"{\"a\":\"\\", 7},
    {"{\"a\":\"\\ud83d\"}", 6},
    {"{\"a\":\"\\udc00x\"}", 6},
    {"{\"a\":\"\\ud83d\\ud83d\\udd25\"}", 6},
    {"{\"a\":\"\\ud83dx\"}", 6},
    {"{\"a\":\"\\ud83d\\n\"}", 6},
    {"{\"a\":\"\xc0\x80\"}", 6},
    {"{\"a\":\"\xed\xa0\x80\"}", 6},
    {"{\"a\":\"x\xf5\x80\x80\x80\"}", 7},
    {"{\"a\":\"\xff\"}", 6},
    {"{\"a\":\"\xc3", 6},
    {"{\"\xff\":1}", 2},
    {"{\"z\":\"\\ud800\"}", 6},
    {"{\"z\":[\"\xff\"]}", 7},
    {"{\"\x01\":1}", 2},
    {"{\"z\":[01]}", 7},
    {"{\xc2\xa0}", 1},
  };
  expect_refused(flaws, sizeof flaws / sizeof flaws[0]);
  tci_json_value values[NAMES];
  tci_json_fault fault;
  ck_assert_int_eq(scan_len("{\"a\":\"x\0\"}", 10, values, &fault), -1);
  ck_assert_uint_eq(fault.offset, 7);
  ck_assert_int_eq(scan_len("{}\0", 3, values, &fault), -1);
  ck_assert_uint_eq(fault.offset, 2);
}
END_TEST

/* {"a": and then `inner` levels of open, closed again. */
static char *nested(size_t inner, const char *open, const char *close, size_t *len) {
  size_t at = 5, open_len = strlen(open), close_len = strlen(close);
  char *json = tci_alloc(at + inner * (open_len + close_len) + 2);
  ck_assert_ptr_nonnull(json);
  memcpy(json, "{\"a\":", at);
  for (size_t i = 0; i < inner; i++, at += open_len) memcpy(json + at, open, open_len);
  json[at++] = '1';
  for (size_t i = 0; i < inner; i++, at += close_len) memcpy(json + at, close, close_len);
  json[at++] = '}';
  *len = at;
  return json;
}

START_TEST(nesting_is_taken_to_64_and_refused_beyond) {
  static const struct { const char *open, *close; } kinds[] = {{"[", "]"}, {"{\"k\":", "}"}, {"[2, ", ",3]"}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    for (size_t inner = 60; inner < 140; inner++) {
      size_t len;
      char *json = nested(inner, kinds[i].open, kinds[i].close, &len);
      tci_json_value values[NAMES];
      tci_json_fault fault = {0, ""};
      int rc = tci_json_object(json, len, names, NAMES, values, &fault);
      ck_assert_msg(rc == (inner < TCI_JSON_DEPTH_MAX ? 0 : -1), "kind %zu, %zu levels: %s", i, inner + 1, fault.what);
      tci_free(json);
    }
  }
}
END_TEST

START_TEST(hostile_texts_take_linear_time) {
  static const struct {
    const char *head;
    char with;
  } samples[] = {{"{\"a\":", '['}, {"{\"a\":\"", '\\'}, {"{\"a\":\"", 'x'}, {"{\"a\":", '9'}, {"{\"a\":\"", '\xc3'}, {"", ' '}, {"{\"", 'a'}};
  size_t len = 1 << 20;
  char *json = tci_alloc(len);
  ck_assert_ptr_nonnull(json);
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    memset(json, samples[i].with, len);
    memcpy(json, samples[i].head, strlen(samples[i].head));
    tci_json_value values[NAMES];
    tci_json_fault fault;
    int64_t begin = tci_sys_monotonic_us(NULL);
    ck_assert_int_eq(tci_json_object(json, len, names, NAMES, values, &fault), -1);
    ck_assert_int_lt(tci_sys_monotonic_us(NULL) - begin, 50000);
  }
  tci_free(json);
}
END_TEST

START_TEST(every_cut_of_a_text_is_refused_within_it) {
  static const char json[] = " {\"a\":[1.5e3,{\"k\":\"\\ud83d\\udd25\xf0\x9f\x94\xa5\"},[]],\"b\":true,\"c\":null}";
  tci_json_value values[NAMES];
  tci_json_fault fault;
  ck_assert_int_eq(scan_len(json, sizeof json - 1, values, &fault), 0);
  for (size_t len = 0; len < sizeof json - 1; len++) {
    ck_assert_msg(scan_len(json, len, values, &fault) == -1, "cut at %zu", len);
    ck_assert_uint_le(fault.offset, len);
  }
}
END_TEST

START_TEST(escapes_are_resolved) {
  static const struct {
    const char *raw;
    const char *text;
    size_t len;
  } samples[] = {
    {"", "", 0},
    {"plain", "plain", 5},
    {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
    {"a\\u0000b", "a\0b", 3},
    {"\\u0041\\u00e9\\u20AC\\uD83d\\udD25", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\xa5", 10},
    {"\\udbff\\udfff\\uffff\\ud7ff\\ue000", "\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80", 13},
    {"\xf0\x9f\x94\xa5\\n\xc3\xa9", "\xf0\x9f\x94\xa5\n\xc3\xa9", 7},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    tc_text raw = {samples[i].raw, strlen(samples[i].raw)};
    char *out = tci_alloc(raw.len);
    ck_assert_ptr_nonnull(out);
    size_t len = tci_json_unescape(raw, out);
    ck_assert_msg(len == samples[i].len && !memcmp(out, samples[i].text, len), "sample %zu", i);
    tci_free(out);
  }
}
END_TEST

START_TEST(strings_are_written_with_the_escapes_that_must_be) {
  static const struct {
    const char *text;
    size_t len;
    const char *json;
  } samples[] = {
    {"", 0, "\"\""},
    {"a/b\x7f", 4, "\"a/b\x7f\""},
    {"say \"hi\" \\ bye", 14, "\"say \\\"hi\\\" \\\\ bye\""},
    {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
    {"\0\x01\x1f\x0b ", 5, "\"\\u0000\\u0001\\u001f\\u000b \""},
    {"\xf0\x9f\x94\xa5 \xc3\xa9\xe2\x80\xa8", 10, "\"\xf0\x9f\x94\xa5 \xc3\xa9\xe2\x80\xa8\""},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    tc_text text = {samples[i].text, samples[i].len};
    tci_buf buf;
    tci_buf_init(&buf, strlen(samples[i].json));
    ck_assert_int_eq(tci_json_put_string(&buf, text), 0);
    ck_assert_str_eq(buf.data, samples[i].json);
    ck_assert_uint_eq(tci_json_string_len(text), buf.len);
    ck_assert_int_eq(tci_json_put_string(&buf, text), TC_ELIMIT);
    tci_buf_free(&buf);
  }
}
END_TEST

START_TEST(each_byte_at_each_place_of_a_word_is_escaped_and_read_back) {
  for (unsigned byte = 0; byte < 0x80; byte++) {
    for (size_t place = 0; place < 20; place++) {
      char text[20], back[200];
      memset(text, 'x', sizeof text);
      text[place] = (char)byte;
      tci_buf buf;
      tci_buf_init(&buf, 200);
      tci_json_value values[NAMES];
      tci_json_fault fault;
      int ok = !tci_buf_puts(&buf, "{\"a\":") && !tci_json_put_string(&buf, (tc_text){text, sizeof text}) && !tci_buf_puts(&buf, "}") &&
               !scan_len(buf.data, buf.len, values, &fault) && tci_json_unescape(values[A].raw, back) == sizeof text && !memcmp(back, text, sizeof text);
      if (!ok) ck_abort_msg("byte %u at %zu", byte, place);
      tci_buf_free(&buf);
    }
  }
}
END_TEST

START_TEST(a_number_is_the_whole_text) {
  ck_assert(tci_json_is_number("-12.50e+3", 9));
  ck_assert(tci_json_is_number("0", 1));
  ck_assert(!tci_json_is_number("1 ", 2));
  ck_assert(!tci_json_is_number("01", 2));
  ck_assert(!tci_json_is_number("", 0));
  ck_assert(!tci_json_is_number("1\0", 2));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("json");
  TCase *tests = tcase_create("json");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, members_are_found_with_type_and_span);
  tcase_add_test(tests, absent_members_are_absent_and_others_passed_over);
  tcase_add_test(tests, names_are_compared_after_unescaping);
  tcase_add_test(tests, what_is_no_json_object_is_refused_at_the_first_wrong_byte);
  tcase_add_test(tests, what_is_no_json_value_is_refused_at_the_first_wrong_byte);
  tcase_add_test(tests, nesting_is_taken_to_64_and_refused_beyond);
  tcase_add_test(tests, hostile_texts_take_linear_time);
  tcase_add_test(tests, every_cut_of_a_text_is_refused_within_it);
  tcase_add_test(tests, escapes_are_resolved);
  tcase_add_test(tests, strings_are_written_with_the_escapes_that_must_be);
  tcase_add_test(tests, each_byte_at_each_place_of_a_word_is_escaped_and_read_back);
  tcase_add_test(tests, a_number_is_the_whole_text);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
