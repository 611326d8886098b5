#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "server/front/chunked.h"

#define LIMIT 64

/* Decodes text in pieces of step bytes; the last code, and how much was used. */
static int decode(const char *text, size_t len, size_t step, tci_buf *body, size_t *used_all) {
  tcd_chunked chunked;
  int rc = TCD_CHUNKED_MORE;
  size_t at = 0;
  tcd_chunked_init(&chunked, LIMIT);
  while (at < len && (rc == TCD_CHUNKED_MORE || rc == TCD_CHUNKED_DATA)) {
    size_t used = 0, piece = len - at < step ? len - at : step;
    tc_text data = {NULL, 0};
    rc = tcd_chunked_next(&chunked, text + at, piece, &used, &data);
    ck_assert_uint_le(used, piece);
    at += used;
    if (rc == TCD_CHUNKED_DATA) {
      ck_assert_uint_gt(data.len, 0);
      ck_assert_int_eq(tci_buf_append(body, data.ptr, data.len), 0);
    }
  }
  *used_all = at;
  return rc;
}

static const struct {
  const char *text, *body;
  int rc;
} cases[] = {
  {"5\r\nhello\r\n0\r\n\r\n", "hello", TCD_CHUNKED_DONE},
  {"5;x=y\r\nhello\r\nA \t;q=\"a;b\"\r\n0123456789\r\n000\r\nTrailer: t\r\nOther: u\r\n\r\n", "hello0123456789", TCD_CHUNKED_DONE},
  {"0\r\n\r\n", "", TCD_CHUNKED_DONE},
  {"40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n0\r\n\r\n", "0123456789012345678901234567890123456789012345678901234567890123",
   TCD_CHUNKED_DONE},
  {"5\r\nhel", "hel", TCD_CHUNKED_DATA},
  {"41\r\n", "", TCD_CHUNKED_LARGE},
  {"fffffffffffffff\r\n", "", TCD_CHUNKED_LARGE},
  {"ffffffffffffffff\r\n", "", TCD_CHUNKED_BAD},
  {"0000000000000005\r\n", "", TCD_CHUNKED_BAD},
  {"5\nhello\r\n", "", TCD_CHUNKED_BAD},
  {"5\r\nhello\n", "hello", TCD_CHUNKED_BAD},
  {"5\r\nhelloX", "hello", TCD_CHUNKED_BAD},
  {"0x5\r\n", "", TCD_CHUNKED_BAD},
  {"-5\r\n", "", TCD_CHUNKED_BAD},
  {"+5\r\n", "", TCD_CHUNKED_BAD},
  {" 5\r\n", "", TCD_CHUNKED_BAD},
  {"5 \r\n", "", TCD_CHUNKED_BAD},
  {"\r\n", "", TCD_CHUNKED_BAD},
  {";x\r\n", "", TCD_CHUNKED_BAD},
  {"5;x\nhello", "", TCD_CHUNKED_BAD},
  {"5;\x01\r\n", "", TCD_CHUNKED_BAD},
  {"0\r\nT: a\n\r\n", "", TCD_CHUNKED_BAD},
  {"0\r\n\rX", "", TCD_CHUNKED_BAD},
};

START_TEST(decodes_the_same_in_any_pieces) {
  size_t len = strlen(cases[_i].text);
  for (size_t step = 1; step <= len; step++) {
    tci_buf body;
    size_t used;
    tci_buf_init(&body, 4096);
    int rc = decode(cases[_i].text, len, step, &body, &used);
    ck_assert_msg(rc == cases[_i].rc, "%s: %d", cases[_i].text, rc);
    ck_assert_str_eq(body.data ? body.data : "", cases[_i].body);
    if (rc == TCD_CHUNKED_DONE) ck_assert_uint_eq(used, len);
    tci_buf_free(&body);
  }
}
END_TEST

START_TEST(leaves_what_follows) {
  static const char text[] = "3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1";
  tci_buf body;
  size_t used;
  tci_buf_init(&body, 4096);
  ck_assert_int_eq(decode(text, sizeof text - 1, sizeof text, &body, &used), TCD_CHUNKED_DONE);
  ck_assert_str_eq(text + used, "GET / HTTP/1.1");
  tci_buf_free(&body);
}
END_TEST

START_TEST(extras_are_limited) {
  static const char *const begins[] = {"1;", "0\r\nT: "};
  static char text[TCD_CHUNKED_EXTRA_MAX + 64];
  for (int i = 0; i < 2; i++) {
    tci_buf body;
    size_t used;
    tci_buf_init(&body, 4096);
    memset(text, 'a', sizeof text);
    memcpy(text, begins[i], strlen(begins[i]));
    ck_assert_int_eq(decode(text, TCD_CHUNKED_EXTRA_MAX, 100, &body, &used), TCD_CHUNKED_MORE);
    ck_assert_int_eq(decode(text, sizeof text, 100, &body, &used), TCD_CHUNKED_LARGE);
    tci_buf_free(&body);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("chunked");
  TCase *tcase = tcase_create("chunked");
  tcase_add_loop_test(tcase, decodes_the_same_in_any_pieces, 0, sizeof cases / sizeof cases[0]);
  tcase_add_test(tcase, leaves_what_follows);
  tcase_add_test(tcase, extras_are_limited);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
