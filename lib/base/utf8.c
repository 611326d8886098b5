#include "utf8.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#define HIGH_BITS 0x8080808080808080u

/* How many bytes at the front are ASCII, looked at eight at a time: most ids and messages are nothing else. */
static size_t ascii_run(const char *text, size_t len) {
  size_t run = 0;
  uint64_t word;
  for (; len - run >= sizeof word; run += sizeof word) {
    memcpy(&word, text + run, sizeof word);
    if (word & HIGH_BITS) break;
  }
  while (run < len && !((unsigned char)text[run] & 0x80)) run++;
  return run;
}

int tci_utf8_valid(const char *text, size_t len, size_t *code_points) {
  size_t points = 0, at = 0;
  while (at < len) {
    size_t run = ascii_run(text + at, len - at);
    points += run;
    at += run;
    /* The whole run of other scripts before the next look for ASCII, or mixed text would pay for both paths at every character. */
    while (at < len && ((unsigned char)text[at] & 0x80)) {
      utf8proc_int32_t point;
      utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(len - at), &point);
      if (n <= 0) return 0;
      points++;
      at += (size_t)n;
    }
  }
  if (code_points) *code_points = points;
  return 1;
}

/* White_Space of Unicode's PropList.txt: the three separator categories, and the six controls that no category tells from the others. */
static int is_space(utf8proc_int32_t point) {
  if (point == 0x20 || (point >= 0x09 && point <= 0x0d) || point == 0x85) return 1;
  if (point < 0x80) return 0;
  utf8proc_category_t category = utf8proc_category(point);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

int tci_utf8_blank(const char *text, size_t len) {
  for (size_t at = 0; at < len;) {
    utf8proc_int32_t point;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(len - at), &point);
    if (n <= 0 || !is_space(point)) return 0;
    at += (size_t)n;
  }
  return 1;
}
