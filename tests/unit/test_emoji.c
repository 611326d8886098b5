/* One emoji, one name. Against Unicode's own list where it is installed (Debian: unicode-data), else against a few. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/emoji.h"

#define DATA "/usr/share/unicode/emoji/emoji-test.txt"
#define SELECTOR "\xEF\xB8\x8F"

static tc_text span(const char *text) { return (tc_text){text, strlen(text)}; }

static void becomes(const char *text, const char *expected) {
  char scratch[TC_EMOJI_BYTES_MAX];
  tc_text got = tci_emoji_canonical(span(text), scratch);
  ck_assert_msg(got.len == strlen(expected) && !memcmp(got.ptr, expected, got.len), "'%s' became '%.*s'", text, (int)got.len, got.ptr);
}

static const struct {
  const char *text, *expected;
} cases[] = {
  {"\xE2\x9D\xA4" SELECTOR, "\xE2\x9D\xA4"}, /* red heart */
  {"\xE2\x9D\xA4", "\xE2\x9D\xA4"},
  {"\xF0\x9F\x94\xA5" SELECTOR, "\xF0\x9F\x94\xA5"},                                                    /* fire needs none: taken out all the same */
  {"1" SELECTOR "\xE2\x83\xA3", "1\xE2\x83\xA3"},                                                       /* keycap */
  {"\xC2\xA9" SELECTOR, "\xC2\xA9"},                                                                    /* copyright */
  {"\xE2\x98\x9D" SELECTOR "\xF0\x9F\x8F\xBD", "\xE2\x98\x9D\xF0\x9F\x8F\xBD"},                         /* index pointing up, medium skin tone */
  {"\xE2\x9D\xA4" SELECTOR "\xE2\x80\x8D\xF0\x9F\x94\xA5", "\xE2\x9D\xA4\xE2\x80\x8D\xF0\x9F\x94\xA5"}, /* heart on fire */
  {"\xE2\x9D\xA4" SELECTOR SELECTOR, "\xE2\x9D\xA4"},
  /* no emoji: as they are */
  {"", ""},
  {"Kappa", "Kappa"},
  {"Kappa" SELECTOR, "Kappa" SELECTOR},
  {"1" SELECTOR, "1" SELECTOR},
  {SELECTOR, SELECTOR},
  {"\xE2\x9D\xA4" SELECTOR "!", "\xE2\x9D\xA4" SELECTOR "!"},
  {"\xE2\x9D\xA4" SELECTOR "\xE2\x9D\xA4" SELECTOR, "\xE2\x9D\xA4" SELECTOR "\xE2\x9D\xA4" SELECTOR}, /* two hearts are no sequence */
  {"\xE2\x9D\xA4\xEF\xB8\x8E", "\xE2\x9D\xA4\xEF\xB8\x8E"},                                           /* asked for as text (U+FE0E) */
  {"\xEF\xB8", "\xEF\xB8"},
  /* Two women holding hands, both of light tone, are one code point; this is no sequence of the list. */
  {"\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBB\xE2\x80\x8D\xF0\x9F\xA4\x9D\xE2\x80\x8D\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBB" SELECTOR,
   "\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBB\xE2\x80\x8D\xF0\x9F\xA4\x9D\xE2\x80\x8D\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBB" SELECTOR},
  {"\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBB\xE2\x80\x8D\xF0\x9F\xA4\x9D\xE2\x80\x8D\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBC" SELECTOR,
   "\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBB\xE2\x80\x8D\xF0\x9F\xA4\x9D\xE2\x80\x8D\xF0\x9F\x91\xA9\xF0\x9F\x8F\xBC"},
};

START_TEST(some_spellings) { becomes(cases[_i].text, cases[_i].expected); }
END_TEST

START_TEST(any_text_is_taken) {
  char text[256], scratch[TC_EMOJI_BYTES_MAX];
  srand(1);
  for (int round = 0; round < 20000; round++) {
    size_t len = (size_t)rand() % sizeof text;
    for (size_t i = 0; i < len; i++)
      text[i] = "\xEF\xB8\x8F\xE2\x9D\xA4\xF0\x9F\x94\xA5"
                "1"[rand() % 11];
    tc_text got = tci_emoji_canonical((tc_text){text, len}, scratch);
    ck_assert_uint_le(got.len, len);
  }
  ck_assert_ptr_null(tci_emoji_canonical((tc_text){NULL, 0}, scratch).ptr);
}
END_TEST

static size_t put_point(char *out, unsigned long point) {
  if (point < 0x80) return (void)(out[0] = (char)point), 1;
  size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = len; i-- > 1; point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
  out[0] = (char)((0xf00 >> len & 0xf0 & ~(0x80 >> len)) | (long)point);
  return len;
}

/* Every row of the list: with its selectors, and with one more, it becomes what is left without. */
START_TEST(all_of_unicode_s) {
  FILE *data = fopen(DATA, "re");
  char line[512], text[128], bare[128], more[160];
  int rows = 0;
  if (!data) return; /* the data are a package of their own */
  while (fgets(line, sizeof line, data)) {
    size_t len = 0, bare_len = 0;
    char *end;
    if (line[0] == '#' || line[0] == '\n') continue;
    for (char *at = line; *at != ';'; at = end + strspn(end, " ")) {
      unsigned long point = strtoul(at, &end, 16);
      ck_assert_ptr_ne(at, end);
      len += put_point(text + len, point);
      if (point != 0xFE0F) bare_len += put_point(bare + bare_len, point);
    }
    text[len] = bare[bare_len] = '\0';
    becomes(text, bare);
    (void)snprintf(more, sizeof more, "%s" SELECTOR, text);
    becomes(more, bare);
    (void)snprintf(more, sizeof more, "%s" SELECTOR "x", text);
    becomes(more, more);
    rows++;
  }
  ck_assert_int_eq(fclose(data), 0);
  ck_assert_int_gt(rows, 4000);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("emoji");
  TCase *all = tcase_create("all");
  tcase_add_loop_test(all, some_spellings, 0, (int)(sizeof cases / sizeof *cases));
  tcase_add_test(all, any_text_is_taken);
  tcase_add_test(all, all_of_unicode_s);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
