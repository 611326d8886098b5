#include "server/front/chunked.h"

#include <string.h>

enum { SIZE, SPACE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_TEXT, TRAILER_LF, LAST_LF };

#define DIGITS_MAX 15 /* 60 bits: cannot overflow */

static int hex_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  char l = (char)(c | 0x20);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static int is_text(char c) { return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f); }

void tcd_chunked_init(tcd_chunked *chunked, uint64_t limit) {
  memset(chunked, 0, sizeof *chunked);
  chunked->limit = limit;
}

static int size_byte(tcd_chunked *chunked, char c) {
  int digit = hex_of(c);
  if (digit >= 0) {
    if (++chunked->digits > DIGITS_MAX) return TCD_CHUNKED_BAD;
    chunked->left = chunked->left * 16 + (uint64_t)digit;
    return TCD_CHUNKED_MORE;
  }
  if (!chunked->digits) return TCD_CHUNKED_BAD;
  if (c == '\r') chunked->state = SIZE_LF;
  else if (c == ';') chunked->state = EXTENSION;
  else if (c == ' ' || c == '\t') chunked->state = SPACE; /* RFC 9112 7.1.1: bad white space, but only before an extension */
  else return TCD_CHUNKED_BAD;
  return TCD_CHUNKED_MORE;
}

/* The size line has ended: a body that will not fit is refused before it is sent. */
static int size_end(tcd_chunked *chunked) {
  if (chunked->left > chunked->limit - chunked->total) return TCD_CHUNKED_LARGE;
  chunked->total += chunked->left;
  chunked->state = chunked->left ? DATA : TRAILER;
  return TCD_CHUNKED_MORE;
}

/* A byte that is passed over: of an extension or a trailer. */
static int extra_byte(tcd_chunked *chunked, char c, uint8_t text_state, uint8_t lf_state) {
  if (++chunked->extra > TCD_CHUNKED_EXTRA_MAX) return TCD_CHUNKED_LARGE;
  if (c == '\r') chunked->state = lf_state;
  else if (is_text(c)) chunked->state = text_state;
  else return TCD_CHUNKED_BAD;
  return TCD_CHUNKED_MORE;
}

static int framing_byte(tcd_chunked *chunked, char c) {
  switch (chunked->state) {
  case SIZE: return size_byte(chunked, c);
  case SPACE:
    if (c != ' ' && c != '\t' && c != ';') return TCD_CHUNKED_BAD;
    return extra_byte(chunked, c, c == ';' ? EXTENSION : SPACE, SPACE);
  case EXTENSION: return extra_byte(chunked, c, EXTENSION, SIZE_LF);
  case SIZE_LF: return c == '\n' ? size_end(chunked) : TCD_CHUNKED_BAD;
  case DATA_CR: chunked->state = DATA_LF; return c == '\r' ? TCD_CHUNKED_MORE : TCD_CHUNKED_BAD;
  case DATA_LF:
    chunked->state = SIZE;
    chunked->digits = 0;
    return c == '\n' ? TCD_CHUNKED_MORE : TCD_CHUNKED_BAD;
  case TRAILER: return extra_byte(chunked, c, TRAILER_TEXT, LAST_LF);
  case TRAILER_TEXT: return extra_byte(chunked, c, TRAILER_TEXT, TRAILER_LF);
  case TRAILER_LF: chunked->state = TRAILER; return c == '\n' ? TCD_CHUNKED_MORE : TCD_CHUNKED_BAD;
  default: return c == '\n' ? TCD_CHUNKED_DONE : TCD_CHUNKED_BAD;
  }
}

int tcd_chunked_next(tcd_chunked *chunked, const char *in, size_t len, size_t *used, tc_text *data) {
  size_t at = 0;
  int rc = TCD_CHUNKED_MORE;
  while (at < len && rc == TCD_CHUNKED_MORE && chunked->state != DATA) rc = framing_byte(chunked, in[at++]);
  if (rc == TCD_CHUNKED_MORE && at < len) {
    size_t piece = len - at < chunked->left ? len - at : (size_t)chunked->left;
    *data = (tc_text){in + at, piece};
    at += piece;
    chunked->left -= piece;
    if (!chunked->left) chunked->state = DATA_CR;
    rc = TCD_CHUNKED_DATA;
  }
  *used = at;
  return rc;
}
