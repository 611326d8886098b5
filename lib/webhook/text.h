/* text.h - what is kept of a receiver's answer. */
#ifndef TCI_WEBHOOK_TEXT_H
#define TCI_WEBHOOK_TEXT_H

#include <stddef.h>

/* Writes the first max_points code points of bytes as valid UTF-8 without U+0000 to out, which has room for TCI_TEXT_SIZE(max_points) bytes; returns the length, no NUL. Bytes that are
 * no UTF-8, and U+0000, become U+FFFD: one for each maximal part (Unicode 3.9, the practice of the WHATWG). */
#define TCI_TEXT_SIZE(max_points) ((max_points)*4)
size_t tci_text_of(const char *bytes, size_t len, size_t max_points, char *out);
/* The same as one line: control characters become blanks. out has room for one byte more, for the NUL. */
void tci_line_of(const char *text, size_t max_points, char *out);

#endif
