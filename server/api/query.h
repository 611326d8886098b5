/* query.h - names and values out of a request target: percent-decoding, query strings, numbers. Pure; fuzzed by tests/fuzz/fuzz_query.c. */
#ifndef TCD_API_QUERY_H
#define TCD_API_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "tipcurrent/common.h"

enum {
  TCD_DECODE_PATH = 0, /* a segment of a path: a plus is a plus */
  TCD_DECODE_FORM = 1  /* application/x-www-form-urlencoded: a plus is a space */
};

/* Decodes raw into out, which has room for raw.len bytes, *len of them used. Bytes outside ASCII stand for themselves, as a %XX would. NULL, or what is wrong
 * with it (static): "malformed percent-encoding", "not valid UTF-8", "U+0000 is not allowed". */
const char *tcd_decode(tc_text raw, int how, char *out, size_t *len);

/* Takes the next name=value off *rest, still encoded; a name without '=' has the value "". 1, or 0 when there is none left. Empty pairs (a&&b) are passed over. */
int tcd_query_pair(tc_text *rest, tc_text *name, tc_text *value);

typedef struct tcd_query_fault {
  const char *name; /* of the parameter; "query" when the name itself cannot be read */
  const char *what; /* static */
} tcd_query_fault;

/* Puts the values of the parameters called names[0..n) decoded and NUL-terminated into values[0..n); NULL: not given. Other parameters are passed over. One that
 * is given twice is a fault: Spring joins the two by a comma, which nobody means, and to take either would be a guess.
 * storage holds the values: query.len + 1 bytes. 0, or -1 with *fault. */
int tcd_query_read(tc_text query, const char *const *names, size_t n, const char **values, char *storage, tcd_query_fault *fault);

/* "-12": an optional minus and decimal digits, nothing else, within int64. 0, or -1. */
int tcd_parse_int(const char *text, size_t len, int64_t *out);

#endif
