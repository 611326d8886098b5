#include "emoji.h"

#include <string.h>

#include "emoji_table.h"

#define SELECTOR "\xEF\xB8\x8F" /* U+FE0F */
#define SELECTOR_LEN 3

/* Without its selectors a text of more bytes is none of the table's. */
#define BARE_MAX (TCI_EMOJI_POINTS_MAX * 4)

_Static_assert(BARE_MAX <= TC_EMOJI_BYTES_MAX, "a canonical spelling fits");

static const char *find_selector(const char *at, const char *end) {
  while (end - at >= SELECTOR_LEN) {
    at = memchr(at, SELECTOR[0], (size_t)(end - at) - (SELECTOR_LEN - 1));
    if (!at || !memcmp(at, SELECTOR, SELECTOR_LEN)) return at;
    at++;
  }
  return NULL;
}

/* text without selectors into out (BARE_MAX). 0: too long to be an emoji. */
static size_t strip(tc_text text, const char *selector, char *out) {
  const char *at = text.ptr, *end = text.ptr + text.len;
  size_t len = 0;
  for (;;) {
    size_t piece = (size_t)((selector ? selector : end) - at);
    if (len + piece > BARE_MAX) return 0;
    memcpy(out + len, at, piece);
    len += piece;
    if (!selector) return len;
    at = selector + SELECTOR_LEN;
    selector = find_selector(at, end);
  }
}

/* Code points of valid UTF-8; of other bytes just some numbers, inside the bounds. Returns how many, 0: more than max. */
static size_t points_of(const char *text, size_t len, uint32_t *points, size_t max) {
  size_t n = 0;
  for (size_t i = 0; i < len; n++) {
    unsigned char lead = (unsigned char)text[i];
    size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    uint32_t point = more ? lead & (0x3fu >> more) : lead;
    if (n == max) return 0;
    for (i++; more && i < len; more--, i++) point = point << 6 | ((unsigned char)text[i] & 0x3f);
    points[n] = point;
  }
  return n;
}

static int is_single(uint32_t point) {
  size_t low = 0, high = tci_emoji_single_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (point < tci_emoji_singles[middle].first) high = middle;
    else if (point > tci_emoji_singles[middle].last) low = middle + 1;
    else return 1;
  }
  return 0;
}

static int compare(const uint32_t *a, const uint32_t *b) {
  for (size_t i = 0; i < TCI_EMOJI_POINTS_MAX; i++) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

/* points: n of them, 0 behind. Skin tones in it become one. */
static int is_sequence(uint32_t *points) {
  uint32_t tones[TCI_EMOJI_POINTS_MAX];
  size_t tone_count = 0, low = 0, high = tci_emoji_sequence_count;
  for (size_t i = 0; i < TCI_EMOJI_POINTS_MAX; i++) {
    if (points[i] - TCI_EMOJI_TONE >= TCI_EMOJI_TONES) continue;
    tones[tone_count++] = points[i];
    points[i] = TCI_EMOJI_TONE;
  }
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int by = compare(points, tci_emoji_sequences[middle].points);
    if (!by) return !tci_emoji_sequences[middle].tones_differ || tones[0] != tones[1];
    if (by < 0) high = middle;
    else low = middle + 1;
  }
  return 0;
}

tc_text tci_emoji_canonical(tc_text text, char *scratch) {
  uint32_t points[TCI_EMOJI_POINTS_MAX] = {0};
  /* Without a selector it is canonical already: most are, and all ASCII is. */
  const char *selector = text.ptr ? find_selector(text.ptr, text.ptr + text.len) : NULL;
  if (!selector) return text;
  size_t len = strip(text, selector, scratch), n = points_of(scratch, len, points, TCI_EMOJI_POINTS_MAX);
  int known = n == 1 ? is_single(points[0]) : n > 1 && is_sequence(points);
  return known ? (tc_text){scratch, len} : text;
}
