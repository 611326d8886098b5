#include "query.h"

#include <string.h>

#include "base/utf8.h"

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

const char *tcd_decode(tc_text raw, int how, char *out, size_t *len) {
  size_t n = 0;
  for (size_t i = 0; i < raw.len; i++) {
    char c = raw.ptr[i];
    if (c == '%') {
      int high = raw.len - i > 2 ? hex(raw.ptr[i + 1]) : -1, low = raw.len - i > 2 ? hex(raw.ptr[i + 2]) : -1;
      if (high < 0 || low < 0) return "malformed percent-encoding";
      c = (char)(high * 16 + low);
      i += 2;
    } else if (c == '+' && how == TCD_DECODE_FORM) {
      c = ' ';
    }
    if (!c) return "U+0000 is not allowed";
    out[n++] = c;
  }
  if (!tci_utf8_valid(out, n, NULL)) return "not valid UTF-8";
  *len = n;
  return NULL;
}

int tcd_query_pair(tc_text *rest, tc_text *name, tc_text *value) {
  while (rest->len && *rest->ptr == '&') {
    rest->ptr++;
    rest->len--;
  }
  if (!rest->len) return 0;
  const char *end = memchr(rest->ptr, '&', rest->len);
  size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
  const char *equals = memchr(rest->ptr, '=', len);
  name->ptr = rest->ptr;
  name->len = equals ? (size_t)(equals - rest->ptr) : len;
  value->ptr = equals ? equals + 1 : rest->ptr + len;
  value->len = (size_t)(rest->ptr + len - value->ptr);
  rest->ptr += len;
  rest->len -= len;
  return 1;
}

static size_t name_index(const char *name, size_t len, const char *const *names, size_t n) {
  size_t i = 0;
  while (i < n && (strlen(names[i]) != len || memcmp(names[i], name, len) != 0)) i++;
  return i;
}

int tcd_query_read(tc_text query, const char *const *names, size_t n, const char **values, char *storage, tcd_query_fault *fault) {
  tc_text name, value;
  for (size_t i = 0; i < n; i++) values[i] = NULL;
  while (tcd_query_pair(&query, &name, &value)) {
    size_t len;
    const char *what = tcd_decode(name, TCD_DECODE_FORM, storage, &len);
    if (what) {
      *fault = (tcd_query_fault){"query", what};
      return -1;
    }
    size_t i = name_index(storage, len, names, n);
    if (i == n) continue;
    if (values[i]) {
      *fault = (tcd_query_fault){names[i], "given twice"};
      return -1;
    }
    what = tcd_decode(value, TCD_DECODE_FORM, storage, &len);
    if (what) {
      *fault = (tcd_query_fault){names[i], what};
      return -1;
    }
    /* The NUL fits: a known name is not empty, so its pair is longer than its value. */
    storage[len] = '\0';
    values[i] = storage;
    storage += len + 1;
  }
  return 0;
}

int tcd_parse_int(const char *text, size_t len, int64_t *out) {
  int negative = len && *text == '-';
  size_t i = (size_t)negative;
  int64_t value = 0;
  if (i == len) return -1;
  for (; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return -1;
    int64_t digit = text[i] - '0';
    /* Built downwards, since INT64_MIN has no positive twin. */
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value)) return -1;
  }
  if (!negative && value == INT64_MIN) return -1;
  *out = negative ? value : -value;
  return 0;
}
