/* utf8.h - is it text, and how long is it. On libutf8proc, with a fast path for ASCII. */
#ifndef TCI_BASE_UTF8_H
#define TCI_BASE_UTF8_H

#include <stddef.h>

/* 1 when the bytes are valid UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF); *code_points (may be NULL) is their length. U+0000 is valid here. */
int tci_utf8_valid(const char *text, size_t len, size_t *code_points);
/* 1 when every code point is white space (Unicode White_Space) or there is none. text must be valid. */
int tci_utf8_blank(const char *text, size_t len);

#endif
