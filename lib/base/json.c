#include "json.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#define EACH_BYTE 0x0101010101010101u
#define HIGH_BITS 0x8080808080808080u

typedef struct scan {
  const char *at, *end;
  const char *what; /* of the fault, which is at `at` */
} scan;

static int wrong(scan *s, const char *what) {
  s->what = s->at == s->end ? "the text ends too early" : what;
  return -1;
}

/* The byte to be looked at next, or -1 at the end. */
static int peek(const scan *s) { return s->at < s->end ? (unsigned char)*s->at : -1; }

static void skip_space(scan *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

static int must_escape(unsigned char byte) { return byte < 0x20 || byte == '"' || byte == '\\'; }

/* Non-zero when one of eight bytes must be escaped ("Determine if a word has a byte less than n", Bit Twiddling Hacks; exact for the word, not for each byte). */
static uint64_t must_escape_8(uint64_t word) {
  uint64_t quote = word ^ (EACH_BYTE * '"'), slash = word ^ (EACH_BYTE * '\\');
  uint64_t control = (word - EACH_BYTE * 0x20) & ~word;
  return (control | ((quote - EACH_BYTE) & ~quote) | ((slash - EACH_BYTE) & ~slash)) & HIGH_BITS;
}

/* How many bytes stand before the first one that must be escaped. */
static size_t literal_run(const char *text, size_t len) {
  size_t run = 0;
  uint64_t word;
  for (; len - run >= sizeof word; run += sizeof word) {
    memcpy(&word, text + run, sizeof word);
    if (must_escape_8(word)) break;
  }
  while (run < len && !must_escape((unsigned char)text[run])) run++;
  return run;
}

/* The same, and ASCII too: what a reader may pass over without a further look. */
static size_t plain_run(const char *text, size_t len) {
  size_t run = 0;
  uint64_t word;
  for (; len - run >= sizeof word; run += sizeof word) {
    memcpy(&word, text + run, sizeof word);
    if (must_escape_8(word) || (word & HIGH_BITS)) break;
  }
  while (run < len && !must_escape((unsigned char)text[run]) && !((unsigned char)text[run] & 0x80)) run++;
  return run;
}

static int hex_value(int c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static int scan_hex4(scan *s, unsigned *unit) {
  unsigned value = 0;
  for (int i = 0; i < 4; i++, s->at++) {
    int digit = hex_value(peek(s));
    if (digit < 0) return wrong(s, "\\u must be followed by four hexadecimal digits");
    value = value << 4 | (unsigned)digit;
  }
  *unit = value;
  return 0;
}

static int scan_escape(scan *s) {
  const char *begin = s->at++;
  int c = peek(s);
  if (c < 0) return wrong(s, "");
  if (c != 'u') {
    if (!memchr("\"\\/bfnrt", c, 8)) return wrong(s, "there is no such escape");
    s->at++;
    return 0;
  }
  s->at++;
  unsigned unit = 0, low = 0;
  if (scan_hex4(s, &unit)) return -1;
  if (unit < 0xd800 || unit > 0xdfff) return 0;
  /* RFC 8259 section 8.2 leaves lone surrogates to the reader. They have no UTF-8, so whatever we stored would not be what was sent. */
  if (unit <= 0xdbff && s->end - s->at >= 2 && s->at[0] == '\\' && s->at[1] == 'u') {
    s->at += 2;
    if (scan_hex4(s, &low)) return -1;
  }
  if (low >= 0xdc00 && low <= 0xdfff) return 0;
  s->at = begin;
  return wrong(s, "a surrogate escape must be half of a pair");
}

static int scan_utf8(scan *s) {
  utf8proc_int32_t point;
  utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s->at, (utf8proc_ssize_t)(s->end - s->at), &point);
  if (n <= 0) return wrong(s, "the text is not valid UTF-8");
  s->at += n;
  return 0;
}

static int scan_string(scan *s, tci_json_value *out) {
  const char *begin = ++s->at;
  int escaped = 0, rc = 0;
  for (;;) {
    s->at += plain_run(s->at, (size_t)(s->end - s->at));
    int c = peek(s);
    if (c == '"') break;
    if (c == '\\') {
      escaped = 1;
      rc = scan_escape(s);
    } else if (c >= 0x80) {
      rc = scan_utf8(s);
    } else {
      rc = wrong(s, "a control character in a string must be escaped");
    }
    if (rc) return rc;
  }
  *out = (tci_json_value){TCI_JSON_STRING, escaped, {begin, (size_t)(s->at - begin)}};
  s->at++;
  return 0;
}

static int is_digit(int c) { return c >= '0' && c <= '9'; }

static int scan_digits(scan *s) {
  if (!is_digit(peek(s))) return wrong(s, "a digit is expected");
  while (is_digit(peek(s))) s->at++;
  return 0;
}

static int scan_number(scan *s, tci_json_value *out) {
  const char *begin = s->at;
  if (peek(s) == '-') s->at++;
  if (peek(s) == '0') {
    s->at++;
    if (is_digit(peek(s))) return wrong(s, "a number may not begin with 0");
  } else if (scan_digits(s)) {
    return -1;
  }
  if (peek(s) == '.') {
    s->at++;
    if (scan_digits(s)) return -1;
  }
  if (peek(s) == 'e' || peek(s) == 'E') {
    s->at++;
    if (peek(s) == '+' || peek(s) == '-') s->at++;
    if (scan_digits(s)) return -1;
  }
  *out = (tci_json_value){TCI_JSON_NUMBER, 0, {begin, (size_t)(s->at - begin)}};
  return 0;
}

static int scan_word(scan *s, int type, const char *word, tci_json_value *out) {
  const char *begin = s->at;
  for (; *word; word++, s->at++) {
    if (peek(s) != *word) return wrong(s, "a value is expected");
  }
  *out = (tci_json_value){type, 0, {begin, (size_t)(s->at - begin)}};
  return 0;
}

static int scan_scalar(scan *s, tci_json_value *out) {
  int c = peek(s);
  if (c == '"') return scan_string(s, out);
  if (c == '-' || is_digit(c)) return scan_number(s, out);
  if (c == 't') return scan_word(s, TCI_JSON_TRUE, "true", out);
  if (c == 'f') return scan_word(s, TCI_JSON_FALSE, "false", out);
  if (c == 'n') return scan_word(s, TCI_JSON_NULL, "null", out);
  return wrong(s, "a value is expected");
}

/* A member's name and its colon; stands at the value then. */
static int scan_name(scan *s, tci_json_value *name) {
  skip_space(s);
  if (peek(s) != '"') return wrong(s, "a member's name is expected");
  if (scan_string(s, name)) return -1;
  skip_space(s);
  if (peek(s) != ':') return wrong(s, "a colon is expected");
  s->at++;
  skip_space(s);
  return 0;
}

/* An array or object inside the object, to its end. Which levels are objects is one bit each, so that hostile nesting costs neither stack nor memory. */
static int scan_nested(scan *s, tci_json_value *out) {
  const char *begin = s->at;
  int type = *begin == '{' ? TCI_JSON_OBJECT : TCI_JSON_ARRAY;
  uint64_t objects = 0;
  unsigned depth = 1; /* the object that we are in */
  tci_json_value passed;
  do {
    int c = peek(s), complete = 1;
    if (c == '{' || c == '[') {
      if (depth == TCI_JSON_DEPTH_MAX) return wrong(s, "the nesting is too deep");
      objects = objects << 1 | (c == '{');
      depth++;
      s->at++;
      skip_space(s);
      complete = peek(s) == (c == '{' ? '}' : ']'); /* empty: it ends below, as a full one does behind its last value */
      if (!complete && c == '{' && scan_name(s, &passed)) return -1;
    } else if (scan_scalar(s, &passed)) {
      return -1;
    }
    while (complete && depth > 1) {
      int object = (int)(objects & 1);
      skip_space(s);
      c = peek(s);
      if (c == ',') {
        s->at++;
        skip_space(s);
        if (object && scan_name(s, &passed)) return -1;
        complete = 0;
      } else if (c == (object ? '}' : ']')) {
        s->at++;
        objects >>= 1;
        depth--;
      } else {
        return wrong(s, object ? "a comma or } is expected" : "a comma or ] is expected");
      }
    }
  } while (depth > 1);
  *out = (tci_json_value){type, 0, {begin, (size_t)(s->at - begin)}};
  return 0;
}

/* Resolves the escape at *at, which scan_escape has accepted, and moves behind it; returns how many bytes out got. */
static size_t unescape_one(const char **at, const char *end, char out[4]) {
  static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  scan s = {*at + 1, end, NULL};
  size_t len = 1;
  if (*s.at == 'u') {
    unsigned unit = 0, low = 0;
    s.at++;
    (void)scan_hex4(&s, &unit); /* cannot fail: accepted before */
    if (unit >= 0xd800 && unit <= 0xdfff) {
      s.at += 2;
      (void)scan_hex4(&s, &low);
      unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    len = (size_t)utf8proc_encode_char((utf8proc_int32_t)unit, (utf8proc_uint8_t *)out);
  } else {
    out[0] = meant[strchr(letters, *s.at) - letters];
    s.at++;
  }
  *at = s.at;
  return len;
}

static int name_is(const tci_json_value *name, const char *wanted) {
  const char *at = name->raw.ptr, *end = at + name->raw.len;
  if (!name->escaped) return !strncmp(wanted, at, name->raw.len) && !wanted[name->raw.len]; /* at holds no NUL, so equal means as long at least */
  while (at < end) {
    char bytes[4] = {*at, 0, 0, 0};
    size_t n = 1;
    if (*at == '\\') {
      n = unescape_one(&at, end, bytes);
    } else {
      at++;
    }
    for (size_t i = 0; i < n; i++, wanted++) {
      if (!*wanted || *wanted != bytes[i]) return 0;
    }
  }
  return !*wanted;
}

static int scan_object(scan *s, const char *const *names, size_t n, tci_json_value *values) {
  tci_json_value name, value;
  int more = 1;
  skip_space(s);
  if (peek(s) != '{') return wrong(s, "a JSON object is expected");
  s->at++;
  skip_space(s);
  if (peek(s) == '}') more = 0;
  while (more) {
    if (scan_name(s, &name)) return -1;
    int c = peek(s);
    if (c == '{' || c == '[' ? scan_nested(s, &value) : scan_scalar(s, &value)) return -1;
    for (size_t i = 0; i < n; i++) {
      if (name_is(&name, names[i])) values[i] = value;
    }
    skip_space(s);
    more = peek(s) == ',';
    if (more) s->at++;
  }
  if (peek(s) != '}') return wrong(s, "a comma or } is expected");
  s->at++;
  skip_space(s);
  return s->at == s->end ? 0 : wrong(s, "nothing may follow the object");
}

int tci_json_object(const char *json, size_t len, const char *const *names, size_t n, tci_json_value *values, tci_json_fault *fault) {
  const char *begin = len ? json : "";
  scan s = {begin, begin + len, NULL};
  for (size_t i = 0; i < n; i++) values[i] = (tci_json_value){TCI_JSON_ABSENT, 0, {NULL, 0}};
  if (scan_object(&s, names, n, values)) {
    *fault = (tci_json_fault){(size_t)(s.at - begin), s.what};
    return -1;
  }
  return 0;
}

int tci_json_is_number(const char *text, size_t len) {
  if (!len) return 0;
  scan s = {text, text + len, NULL};
  tci_json_value value;
  return !scan_number(&s, &value) && s.at == s.end;
}

size_t tci_json_unescape(tc_text raw, char *out) {
  const char *at = raw.ptr, *end = at + raw.len;
  char *to = out;
  while (at < end) {
    const char *escape = memchr(at, '\\', (size_t)(end - at));
    size_t run = (size_t)((escape ? escape : end) - at);
    memcpy(to, at, run);
    to += run;
    at += run;
    if (escape) to += unescape_one(&at, end, to);
  }
  return (size_t)(to - out);
}

/* The letter behind the backslash for the bytes that have a short escape, else 0. */
static char short_escape(char byte) {
  switch (byte) {
  case '"':
  case '\\': return byte;
  case '\b': return 'b';
  case '\f': return 'f';
  case '\n': return 'n';
  case '\r': return 'r';
  case '\t': return 't';
  default: return 0;
  }
}

size_t tci_json_string_len(tc_text text) {
  size_t len = text.len + 2;
  for (size_t at = literal_run(text.ptr, text.len); at < text.len; at += literal_run(text.ptr + at, text.len - at)) {
    len += short_escape(text.ptr[at]) ? 1 : 5;
    at++;
  }
  return len;
}

char *tci_json_write_string(char *out, tc_text text) {
  static const char hex[] = "0123456789abcdef";
  *out++ = '"';
  for (size_t at = 0; at < text.len;) {
    size_t run = literal_run(text.ptr + at, text.len - at);
    memcpy(out, text.ptr + at, run);
    out += run;
    at += run;
    if (at == text.len) break;
    char byte = text.ptr[at++], letter = short_escape(byte);
    *out++ = '\\';
    if (letter) {
      *out++ = letter;
    } else {
      memcpy(out, "u00", 3);
      out[3] = hex[byte >> 4];
      out[4] = hex[byte & 15];
      out += 5;
    }
  }
  *out++ = '"';
  return out;
}

int tci_json_put_string(tci_buf *buf, tc_text text) {
  size_t len = tci_json_string_len(text);
  char *room = tci_buf_room(buf, len);
  if (!room) return buf->err;
  (void)tci_json_write_string(room, text); /* it writes len bytes */
  tci_buf_grow(buf, len);
  return 0;
}
