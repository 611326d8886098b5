/* buf.h - a growing byte buffer with a mandatory maximum and a sticky error: write a whole message, then look at err once. */
#ifndef TCI_BASE_BUF_H
#define TCI_BASE_BUF_H

#include <stddef.h>

typedef struct tci_buf {
  char *data; /* NUL after len whenever data is not NULL */
  size_t len, cap, max;
  int err; /* 0, TC_ELIMIT (would exceed max) or TC_ENOMEM; once set, appends do nothing */
} tci_buf;

void tci_buf_init(tci_buf *buf, size_t max);                     /* allocates nothing */
int tci_buf_append(tci_buf *buf, const void *bytes, size_t len); /* returns buf->err; all or nothing */
int tci_buf_puts(tci_buf *buf, const char *text);
int tci_buf_printf(tci_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for len more bytes at the returned place; tell by tci_buf_grow how many were written. NULL on error. */
char *tci_buf_room(tci_buf *buf, size_t len);
void tci_buf_grow(tci_buf *buf, size_t written);
void tci_buf_consume(tci_buf *buf, size_t len); /* drops len bytes at the front */
void tci_buf_clear(tci_buf *buf);               /* empty, no error, keeps its memory */
void tci_buf_free(tci_buf *buf);                /* back to the state after init */

#endif
