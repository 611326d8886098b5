#include "text.h"

#include <string.h>

#include "base/utf8.h"

static int follows(unsigned char byte, unsigned char low, unsigned char high) { return byte >= low && byte <= high; }

/* How many bytes at the front belong together: a character, or the longest beginning of one (Unicode table 3-7). */
static size_t part_len(const unsigned char *at, size_t len) {
  unsigned char first = at[0], low = 0x80, high = 0xbf;
  size_t want = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  size_t have = 1;
  while (have < want && have < len && follows(at[have], low, high)) {
    have++;
    low = 0x80;
    high = 0xbf;
  }
  return have;
}

size_t tci_text_of(const char *bytes, size_t len, size_t max_points, char *out) {
  static const char replacement[] = "\xef\xbf\xbd";
  size_t at = 0, written = 0;
  for (size_t points = 0; points < max_points && at < len; points++) {
    size_t part = part_len((const unsigned char *)bytes + at, len - at);
    if (bytes[at] && tci_utf8_valid(bytes + at, part, NULL)) {
      memcpy(out + written, bytes + at, part);
      written += part;
    } else {
      memcpy(out + written, replacement, sizeof replacement - 1);
      written += sizeof replacement - 1;
    }
    at += part;
  }
  return written;
}

void tci_line_of(const char *text, size_t max_points, char *out) {
  size_t len = tci_text_of(text, strlen(text), max_points, out);
  for (size_t i = 0; i < len; i++) {
    if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f) out[i] = ' ';
  }
  out[len] = '\0';
}
