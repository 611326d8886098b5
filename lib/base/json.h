/* json.h - a strict, pure JSON scanner (RFC 8259) that finds the members of one object without building a tree, and the writer's escaping.
 *
 * Why our own beside cJSON: cJSON accepts `01`, raw control bytes and bad UTF-8, cuts strings at \u0000 and returns the first of duplicate members.
 */
#ifndef TCI_BASE_JSON_H
#define TCI_BASE_JSON_H

#include <stddef.h>

#include "base/buf.h"
#include "tipcurrent/common.h"

#define TCI_JSON_DEPTH_MAX 64 /* of nesting, the object itself included */

enum { TCI_JSON_ABSENT = 0, TCI_JSON_NULL, TCI_JSON_FALSE, TCI_JSON_TRUE, TCI_JSON_NUMBER, TCI_JSON_STRING, TCI_JSON_ARRAY, TCI_JSON_OBJECT };

typedef struct tci_json_value {
  int type;
  int escaped; /* a string that holds at least one backslash */
  tc_text raw; /* a string: what stands between its quotes; all others: their whole text. Points into the input */
} tci_json_value;

typedef struct tci_json_fault {
  size_t offset;    /* of the first byte that is wrong */
  const char *what; /* static, e.g. "a number may not begin with 0" */
} tci_json_fault;

/* Reads json as exactly one object (white space around it is fine) and puts the members called names[0..n) into values[0..n); of duplicates the last counts,
 * names are compared after unescaping, other members are checked and passed over. All of the text is checked: grammar, UTF-8, depth, lone surrogate escapes.
 * 0, or -1 with *fault. Linear time, no recursion, no allocation. */
int tci_json_object(const char *json, size_t len, const char *const *names, size_t n, tci_json_value *values, tci_json_fault *fault);

/* Resolves the escapes of a string value that tci_json_object has accepted. out has room for raw.len bytes; returns the length. May give U+0000. */
size_t tci_json_unescape(tc_text raw, char *out);

/* 1 when the whole text is one number by the grammar of RFC 8259 section 6. */
int tci_json_is_number(const char *text, size_t len);

/* text between quotes, escaped as RFC 8259 section 7 demands and no more (", \, U+0000 to U+001F); text must be valid UTF-8. Returns buf->err. */
int tci_json_put_string(tci_buf *buf, tc_text text);
/* The same for who sizes and holds the memory itself: how many bytes it takes, quotes included; and the writing, which returns the place behind the last byte. */
size_t tci_json_string_len(tc_text text);
char *tci_json_write_string(char *out, tc_text text);

#endif
