#include "server/sockjs/json.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

/* The code point at text, with its length in *size; text is valid UTF-8. */
static uint32_t decode(const unsigned char *text, size_t *size) {
  if (*text < 0x80) return *size = 1, *text;
  if (*text < 0xe0) return *size = 2, (text[0] & 0x1fu) << 6 | (text[1] & 0x3fu);
  if (*text < 0xf0) return *size = 3, (text[0] & 0x0fu) << 12 | (text[1] & 0x3fu) << 6 | (text[2] & 0x3fu);
  *size = 4;
  return (text[0] & 0x07u) << 18 | (text[1] & 0x3fu) << 12 | (text[2] & 0x3fu) << 6 | (text[3] & 0x3fu);
}

static int is_mangled(uint32_t c) {
  return (c >= 0x200c && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) || (c >= 0x2060 && c <= 0x206f) || (c >= 0xfff0 && c <= 0xffff);
}

/* How a character stands in a string: 0 as it is, else the letter of its short escape, 'u' for the long one. */
static char escape_of(uint32_t c) {
  switch (c) {
  case '"': return '"';
  case '\\': return '\\';
  case '\n': return 'n';
  case '\r': return 'r';
  case '\t': return 't';
  case '\b': return 'b';
  case '\f': return 'f';
  default: return c < 0x20 || is_mangled(c) ? 'u' : 0;
  }
}

/* Bytes that certainly stand for themselves: most of all text. E2 and EF lead what browsers mangle. */
static int is_plain(unsigned char c) { return c >= 0x20 && c != '"' && c != '\\' && c != 0xe2 && c != 0xef; }

size_t tcd_sockjs_string_len(tc_text text) {
  size_t len = 2;
  for (size_t i = 0, size; i < text.len; i += size) {
    size = 1;
    if (is_plain((unsigned char)text.ptr[i])) {
      len++;
      continue;
    }
    char escape = escape_of(decode((const unsigned char *)text.ptr + i, &size));
    len += !escape ? size : escape == 'u' ? 6 : 2;
  }
  return len;
}

void tcd_sockjs_put_string(tci_buf *out, tc_text text) {
  static const char hex[] = "0123456789abcdef";
  char *at = tci_buf_room(out, tcd_sockjs_string_len(text)), *begin = at;
  if (!at) return;
  *at++ = '"';
  for (size_t i = 0, size; i < text.len; i += size) {
    size = 1;
    if (is_plain((unsigned char)text.ptr[i])) {
      *at++ = text.ptr[i];
      continue;
    }
    uint32_t c = decode((const unsigned char *)text.ptr + i, &size);
    char escape = escape_of(c);
    if (!escape) {
      memcpy(at, text.ptr + i, size);
      at += size;
      continue;
    }
    *at++ = '\\';
    *at++ = escape;
    if (escape != 'u') continue;
    for (int shift = 12; shift >= 0; shift -= 4) *at++ = hex[c >> shift & 15];
  }
  *at++ = '"';
  tci_buf_grow(out, (size_t)(at - begin));
}

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static const char *skip_space(const char *at, const char *end) {
  while (at < end && is_space(*at)) at++;
  return at;
}

/* Four hex digits; -1: they are none. */
static int32_t read_hex(const char *at, const char *end) {
  int32_t value = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/* The character of the escape that begins at the backslash; *at behind it. -1: none that there is. */
static int32_t read_escape(const char **at, const char *end) {
  static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *from = *at + 1;
  if (from >= end) return -1;
  const char *known = *from ? strchr(letters, *from) : NULL;
  *at = from + 1;
  if (known) return values[known - letters];
  int32_t c = *from == 'u' ? read_hex(from + 1, end) : -1;
  if (c < 0) return -1;
  *at = from + 5;
  if (c < 0xd800 || c > 0xdfff) return c;
  if (c > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return -1;
  int32_t low = read_hex(*at + 2, end);
  if (low < 0xdc00 || low > 0xdfff) return -1;
  *at += 6;
  return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Behind the closing quote of the string that begins at the opening one; NULL: malformed. */
static const char *check_string(const char *at, const char *end) {
  at++;
  while (at < end && *at != '"') {
    if ((unsigned char)*at < 0x20) return NULL;
    if (*at != '\\') at++;
    else if (read_escape(&at, end) < 0) return NULL;
  }
  return at < end ? at + 1 : NULL;
}

int tcd_sockjs_count(tc_text json) {
  const char *at = json.ptr, *end = at + json.len;
  int count = 0;
  if (!json.len || !tci_utf8_valid(json.ptr, json.len, NULL)) return -1;
  at = skip_space(at, end);
  if (at < end && *at == '"') {
    at = check_string(at, end);
    return at && skip_space(at, end) == end ? 1 : -1;
  }
  if (at == end || *at != '[') return -1;
  at = skip_space(at + 1, end);
  if (at < end && *at == ']') return skip_space(at + 1, end) == end ? 0 : -1;
  for (;;) {
    if (at == end || *at != '"') return -1;
    at = check_string(at, end);
    if (!at) return -1;
    count++;
    at = skip_space(at, end);
    if (at == end) return -1;
    if (*at == ']') return skip_space(at + 1, end) == end ? count : -1;
    if (*at != ',') return -1;
    at = skip_space(at + 1, end);
  }
}

static char *put_utf8(char *out, int32_t c) {
  if (c < 0x80) {
    *out++ = (char)c;
  } else if (c < 0x800) {
    *out++ = (char)(0xc0 | c >> 6);
    *out++ = (char)(0x80 | (c & 0x3f));
  } else {
    if (c >= 0x10000) {
      *out++ = (char)(0xf0 | c >> 18);
      *out++ = (char)(0x80 | (c >> 12 & 0x3f));
    } else {
      *out++ = (char)(0xe0 | c >> 12);
    }
    *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    *out++ = (char)(0x80 | (c & 0x3f));
  }
  return out;
}

char *tcd_sockjs_next(char **at, char *end, size_t *len) {
  while (*at < end && **at != '"') (*at)++;
  if (*at >= end) return NULL;
  const char *from = *at + 1;
  char *begin = *at + 1, *out = begin;
  while (*from != '"') { /* what was checked has one */
    if (*from == '\\') out = put_utf8(out, read_escape(&from, end));
    else *out++ = *from++;
  }
  *at = begin + (from - begin) + 1;
  *len = (size_t)(out - begin);
  return begin;
}
