#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DETAIL_MAX 512

static _Thread_local char detail[DETAIL_MAX];

/* The length without the code point that the cut has left half. */
static size_t whole_points(const char *text, size_t len) {
  size_t start = len;
  while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) start--;
  if (start == 0) return len;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return len - (start - 1) < need ? start - 1 : len;
}

/* By way of a buffer of its own: an argument may well be the detail that stands so far. */
static __attribute__((format(printf, 2, 0))) void set_detail(int code, const char *format, va_list args) {
  char text[DETAIL_MAX];
  int written = vsnprintf(text, sizeof text, format, args);
  size_t len = written < 0 ? 0 : (size_t)written;
  if (len >= sizeof text) len = whole_points(text, sizeof text - 1);
  if (!len) {
    (void)snprintf(text, sizeof text, "%s", tc_strerror(code)); /* all of them are short */
    len = strlen(text);
  }
  memcpy(detail, text, len);
  detail[len] = '\0';
}

int tci_fail(int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  set_detail(code, format, args);
  va_end(args);
  return code;
}

void tci_fail_env(int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  set_detail(code, format, args);
  va_end(args);
}

void tci_fail_clear(void) { detail[0] = '\0'; }

const char *tci_fail_detail(void) { return detail; }
