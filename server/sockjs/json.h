/* json.h - the little JSON of SockJS: strings out, an array of strings in. Pure; fuzzed. */
#ifndef TCD_SOCKJS_JSON_H
#define TCD_SOCKJS_JSON_H

#include "base/buf.h"
#include "tipcurrent/common.h"

/* Appends text as a JSON string with its quotes. Beside what RFC 8259 demands, what browsers mangle is escaped ("JSON Unicode Encoding" of the protocol): U+200C-200F, U+2028-202F,
 * U+2060-206F, U+FFF0-FFFF. text must be valid UTF-8. */
void tcd_sockjs_put_string(tci_buf *out, tc_text text);
size_t tcd_sockjs_string_len(tc_text text); /* how many bytes that takes */

/* What a client sends: an array of strings, or one string alone. All of it is checked before any is taken. How many there are, or -1: it is none of both, not UTF-8, or holds a lone
 * surrogate. */
int tcd_sockjs_count(tc_text json);
/* The next string of checked text, decoded in place; NULL: none is left. */
char *tcd_sockjs_next(char **at, char *end, size_t *len);

#endif
