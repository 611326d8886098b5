#include "page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void tci_cursor_format(tc_position position, char out[TCI_CURSOR_TEXT_MAX]) {
  (void)snprintf(out, TCI_CURSOR_TEXT_MAX, "%" PRId64 ".%" PRId64, position.created_at_us, position.seq);
}

/* An int64 in its one canonical spelling; returns what follows it, NULL: it is none. */
static const char *read_int(const char *text, int64_t *out) {
  int negative = *text == '-';
  const char *at = text + negative;
  if (*at < '0' || *at > '9' || (*at == '0' && (negative || (at[1] >= '0' && at[1] <= '9')))) return NULL;
  int64_t value = 0;
  for (; *at >= '0' && *at <= '9'; at++) {
    int digit = *at - '0';
    if (value < (INT64_MIN + digit) / 10) return NULL; /* counts downwards: INT64_MIN has no positive twin */
    value = value * 10 - digit;
  }
  if (!negative && value == INT64_MIN) return NULL;
  *out = negative ? value : -value;
  return at;
}

int tci_cursor_parse(const char *text, tc_position *position) {
  tc_position read;
  const char *at = read_int(text, &read.created_at_us);
  if (!at || *at != '.') return -1;
  at = read_int(at + 1, &read.seq);
  if (!at || *at || read.seq < 1) return -1;
  *position = read;
  return 0;
}

size_t tc_page_count(const tc_page *page) { return page->n; }

const tc_event *tc_page_at(const tc_page *page, size_t i) { return i < page->n ? page->events[i] : NULL; }

int64_t tc_page_total(const tc_page *page) { return page->total; }

const char *tc_page_next(const tc_page *page) { return page->next[0] ? page->next : NULL; }

void tc_page_free(tc_page *page) {
  if (!page) return;
  for (size_t i = 0; i < page->n; i++) tc_event_unref(page->events[i]);
  tci_free(page);
}
