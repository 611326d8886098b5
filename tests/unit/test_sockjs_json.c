/* The JSON of SockJS: what is escaped on the way out, what is taken on the way in. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/sockjs/json.h"

#define TEXT(literal) \
  (tc_text) { literal, sizeof literal - 1 }

static void expect_string(tc_text text, const char *want) {
  tci_buf out;
  tci_buf_init(&out, 1024);
  tcd_sockjs_put_string(&out, text);
  ck_assert_int_eq(out.err, 0);
  ck_assert_str_eq(out.data, want);
  ck_assert_uint_eq(tcd_sockjs_string_len(text), out.len);
  tci_buf_free(&out);
}

START_TEST(going_out) {
  expect_string(TEXT(""), "\"\"");
  expect_string(TEXT("plain / text"), "\"plain / text\"");
  expect_string(TEXT("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
  expect_string(TEXT("\0\1\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"");
  expect_string(TEXT("z\xc3\xb6\xe2\x82\xac\xf0\x9f\x9a\x80"), "\"z\xc3\xb6\xe2\x82\xac\xf0\x9f\x9a\x80\""); /* two, three and four bytes stay */
  expect_string(TEXT("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80"), "\"\xf0\x9f\x91\xa9\\u200d\xf0\x9f\x9a\x80\"");
}
END_TEST

/* Exactly the characters of the protocol's list are escaped, of all there are. */
START_TEST(what_browsers_mangle) {
  for (uint32_t c = 0; c < 0x110000; c++) {
    char text[4];
    size_t len = 0;
    if (c >= 0xd800 && c <= 0xdfff) continue;
    if (c < 0x80) text[len++] = (char)c;
    else if (c < 0x800) text[len++] = (char)(0xc0 | c >> 6);
    else if (c < 0x10000) text[len++] = (char)(0xe0 | c >> 12), text[len++] = (char)(0x80 | (c >> 6 & 0x3f));
    else text[len++] = (char)(0xf0 | c >> 18), text[len++] = (char)(0x80 | (c >> 12 & 0x3f)), text[len++] = (char)(0x80 | (c >> 6 & 0x3f));
    if (c >= 0x80) text[len++] = (char)(0x80 | (c & 0x3f));
    size_t stands = tcd_sockjs_string_len((tc_text){text, len}) - 2;
    int mangled = (c >= 0x200c && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) || (c >= 0x2060 && c <= 0x206f) || (c >= 0xfff0 && c <= 0xffff);
    int is_short = c == '"' || c == '\\' || (c >= 8 && c <= 13 && c != 11);
    if (stands != (is_short ? 2 : c < 0x20 || mangled ? 6 : len)) ck_abort_msg("U+%04X takes %zu bytes", c, stands);
  }
}
END_TEST

START_TEST(no_room) {
  tci_buf out;
  tci_buf_init(&out, 7);
  tcd_sockjs_put_string(&out, TEXT("12345"));
  ck_assert_int_eq(out.err, 0);
  tcd_sockjs_put_string(&out, TEXT(""));
  ck_assert_int_ne(out.err, 0);
  ck_assert_str_eq(out.data, "\"12345\"");
  tci_buf_free(&out);
}
END_TEST

/* Each message and a bar behind it. */
static void expect_messages(tc_text json, int count, const char *want) {
  char copy[256], *at = copy, *message;
  size_t len;
  tci_buf got;
  tci_buf_init(&got, sizeof copy * 2);
  (void)tci_buf_puts(&got, "");
  memcpy(copy, json.ptr, json.len);
  ck_assert_msg(tcd_sockjs_count((tc_text){copy, json.len}) == count, "%s", json.ptr);
  while (count > 0 && (message = tcd_sockjs_next(&at, copy + json.len, &len)) != NULL) {
    (void)tci_buf_append(&got, message, len);
    (void)tci_buf_puts(&got, "|");
  }
  ck_assert_str_eq(got.data, want);
  tci_buf_free(&got);
}

START_TEST(coming_in) {
  expect_messages(TEXT("[]"), 0, "");
  expect_messages(TEXT(" [ ] "), 0, "");
  expect_messages(TEXT("[\"a\"]"), 1, "a|");
  expect_messages(TEXT("\t[ \"a\" ,\n\"b\" , \"\" ]\r\n"), 3, "a|b||");
  expect_messages(TEXT(" \"alone\" "), 1, "alone|");
  expect_messages(TEXT("[\"[\",\"]\",\",\",\"\\\"\"]"), 4, "[|]|,|\"|");
  expect_messages(TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"), 1, "\"\\/\b\f\n\r\t|");
  expect_messages(TEXT("[\"\\u0041\\u00e9\\u20AC\\ud83d\\ude80\"]"), 1, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80|");
  expect_messages(TEXT("[\"z\xc3\xb6\"]"), 1, "z\xc3\xb6|");
}
END_TEST

START_TEST(a_zero_is_a_character) {
  char json[] = "[\"a\\u0000b\"]", *at = json;
  size_t len;
  ck_assert_int_eq(tcd_sockjs_count(TEXT("[\"a\\u0000b\"]")), 1);
  const char *message = tcd_sockjs_next(&at, json + sizeof json - 1, &len);
  ck_assert_uint_eq(len, 3);
  ck_assert_mem_eq(message, "a\0b", 3);
  ck_assert_ptr_null(tcd_sockjs_next(&at, json + sizeof json - 1, &len));
}
END_TEST

static const struct {
  const char *json;
  size_t len;
} broken[] = {
#define BROKEN(literal) \
  { literal, sizeof literal - 1 }
  BROKEN(""),
  BROKEN(" "),
  BROKEN("["),
  BROKEN("]"),
  BROKEN("[\"a"),
  BROKEN("[\"a\""),
  BROKEN("[\"a\","),
  BROKEN("[\"a\",]"),
  BROKEN("[,\"a\"]"),
  BROKEN("[\"a\"\"b\"]"),
  BROKEN("[\"a\"]x"),
  BROKEN("[]]"),
  BROKEN("\"a\"\"b\""),
  BROKEN("\"a"),
  BROKEN("{}"),
  BROKEN("1"),
  BROKEN("null"),
  BROKEN("[1]"),
  BROKEN("[null]"),
  BROKEN("[[\"a\"]]"),
  BROKEN("['a']"),
  BROKEN("[\"\n\"]"),
  BROKEN("[\"\0\"]"),
  BROKEN("[\"\\x\"]"),
  BROKEN("[\"\\\0\"]"),
  BROKEN("[\"\\"),
  BROKEN("[\"\\\"]"),
  BROKEN("[\"\\u\"]"),
  BROKEN("[\"\\u12\"]"),
  BROKEN("[\"\\u12g4\"]"),
  BROKEN("[\"\\ud800\"]"),
  BROKEN("[\"\\udc00\"]"),
  BROKEN("[\"\\ud800\\u0041\"]"),
  BROKEN("[\"\\ud800\\n\"]"),
  BROKEN("[\"\\ud800\\udbff\"]"),
  BROKEN("[\"\\ud83d\\ude8\"]"),
  BROKEN("[\"\xff\"]"),
  BROKEN("[\"\xc3\"]"),
  BROKEN("[\"\xed\xa0\x80\"]"),
  BROKEN("[\"a\"]\0"),
  BROKEN("\xef\xbb\xbf[\"a\"]"),
  BROKEN("[\"a\"]\xc3"),
};

START_TEST(none_of_both) {
  /* Of its exact size, so that a look behind the end is seen by a sanitizer. */
  char *exact = malloc(broken[_i].len);
  if (broken[_i].len) memcpy(exact, broken[_i].json, broken[_i].len);
  ck_assert_msg(tcd_sockjs_count((tc_text){exact, broken[_i].len}) == -1, "%s", broken[_i].json);
  free(exact);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sockjs_json");
  TCase *tests = tcase_create("sockjs_json");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, going_out);
  tcase_add_test(tests, what_browsers_mangle);
  tcase_add_test(tests, no_room);
  tcase_add_test(tests, coming_in);
  tcase_add_test(tests, a_zero_is_a_character);
  tcase_add_loop_test(tests, none_of_both, 0, (int)(sizeof broken / sizeof broken[0]));
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
