#include <check.h>
#include <string.h>

#include "base/utf8.h"

typedef struct sample {
  const char *text;
  size_t len;
  size_t points;
} sample;

#define BYTES(text) text, sizeof(text) - 1

START_TEST(valid_text_is_counted_in_code_points) {
  static const sample samples[] = {
    {BYTES(""), 0},
    {BYTES("a"), 1},
    {BYTES("just under a word"), 17},
    {BYTES("\xc3\xa9"), 1},
    {BYTES("\xf0\x9f\x94\xa5"), 1},
    {BYTES("12345678\xc3\xa9"
           "12345678"),
     17},
    {BYTES("1234567\xc3\xa9"), 8}, /* the sequence spans two words */
    {BYTES("\xe2\x82\xac\xe2\x82\xac!\xe2\x82\xac"), 4},
    {BYTES("a\0b"), 3},
    {BYTES("\xed\x9f\xbf\xee\x80\x80"), 2}, /* around the surrogates */
    {BYTES("\xf4\x8f\xbf\xbf"), 1},         /* U+10FFFF */
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    size_t points = 99;
    ck_assert_msg(tci_utf8_valid(samples[i].text, samples[i].len, &points), "sample %zu", i);
    ck_assert_msg(points == samples[i].points, "sample %zu: %zu", i, points);
    ck_assert(tci_utf8_valid(samples[i].text, samples[i].len, NULL));
  }
}
END_TEST

START_TEST(what_rfc_3629_excludes_is_refused_at_every_place) {
  static const sample samples[] = {
    {BYTES("\xc0\x80"), 0},         /* overlong NUL */
    {BYTES("\xc1\xbf"), 0},         /* overlong */
    {BYTES("\xe0\x9f\xbf"), 0},     /* overlong, three bytes */
    {BYTES("\xf0\x8f\xbf\xbf"), 0}, /* overlong, four bytes */
    {BYTES("\xed\xa0\x80"), 0},     /* a surrogate */
    {BYTES("\xed\xbf\xbf"), 0},
    {BYTES("\xf4\x90\x80\x80"), 0}, /* beyond U+10FFFF */
    {BYTES("\xf5\x80\x80\x80"), 0},
    {BYTES("\xff"), 0},
    {BYTES("\x80"), 0}, /* a lone continuation */
    {BYTES("\xc3"), 0}, /* cut short */
    {BYTES("\xe2\x82"), 0},
    {BYTES("\xf0\x9f\x94"), 0},
    {BYTES("\xc3("), 0},
  };
  for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
    for (size_t before = 0; before < 17; before++) {
      char text[64];
      memset(text, 'x', sizeof text);
      memcpy(text + before, samples[i].text, samples[i].len);
      size_t points = 99;
      ck_assert_msg(!tci_utf8_valid(text, before + samples[i].len, &points), "sample %zu behind %zu bytes", i, before);
      ck_assert_msg(!tci_utf8_valid(text, sizeof text, &points), "sample %zu behind %zu bytes, in a long text", i, before);
      ck_assert_uint_eq(points, 99);
    }
  }
}
END_TEST

START_TEST(blank_is_what_unicode_calls_white_space) {
  static const sample blank[] = {
    {BYTES(""), 0},
    {BYTES(" \t\n\v\f\r"), 0},
    {BYTES("\xc2\x85\xc2\xa0"), 0},         /* NEL, NO-BREAK SPACE */
    {BYTES("\xe1\x9a\x80"), 0},             /* OGHAM SPACE MARK */
    {BYTES("\xe2\x80\x80\xe2\x80\x8a"), 0}, /* EN QUAD, HAIR SPACE */
    {BYTES("\xe2\x80\xa8\xe2\x80\xa9"), 0}, /* LINE and PARAGRAPH SEPARATOR */
    {BYTES("\xe2\x80\xaf\xe2\x81\x9f\xe3\x80\x80"), 0},
  };
  static const sample solid[] = {
    {BYTES("a"), 0},
    {BYTES("   a   "), 0},
    {BYTES(" \xf0\x9f\x94\xa5"), 0},
    {BYTES("\0"), 0},
    {BYTES("\x1f"), 0},         /* a separator to C's mind, not to Unicode's */
    {BYTES("\xe2\x80\x8b"), 0}, /* ZERO WIDTH SPACE is no White_Space */
  };
  for (size_t i = 0; i < sizeof blank / sizeof blank[0]; i++) ck_assert_msg(tci_utf8_blank(blank[i].text, blank[i].len), "sample %zu", i);
  for (size_t i = 0; i < sizeof solid / sizeof solid[0]; i++) ck_assert_msg(!tci_utf8_blank(solid[i].text, solid[i].len), "sample %zu", i);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("utf8");
  TCase *tests = tcase_create("utf8");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, valid_text_is_counted_in_code_points);
  tcase_add_test(tests, what_rfc_3629_excludes_is_refused_at_every_place);
  tcase_add_test(tests, blank_is_what_unicode_calls_white_space);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
