#include "buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "tipcurrent/error.h"

void tci_buf_init(tci_buf *buf, size_t max) {
  memset(buf, 0, sizeof *buf);
  buf->max = max;
}

char *tci_buf_room(tci_buf *buf, size_t len) {
  if (buf->err) return NULL;
  if (len > buf->max || buf->len > buf->max - len) {
    buf->err = TC_ELIMIT;
    return NULL;
  }
  size_t need = buf->len + len + 1;
  if (need > buf->cap) {
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2; /* doubling: many small appends stay linear */
    if (cap - 1 > buf->max) cap = buf->max + 1;
    char *grown = tci_realloc(buf->data, cap);
    if (!grown) {
      buf->err = TC_ENOMEM;
      return NULL;
    }
    buf->data = grown;
    buf->cap = cap;
  }
  return buf->data + buf->len;
}

void tci_buf_grow(tci_buf *buf, size_t written) {
  buf->len += written;
  buf->data[buf->len] = '\0';
}

int tci_buf_append(tci_buf *buf, const void *bytes, size_t len) {
  char *room = tci_buf_room(buf, len);
  if (!room) return buf->err;
  if (len) memcpy(room, bytes, len);
  tci_buf_grow(buf, len);
  return 0;
}

int tci_buf_puts(tci_buf *buf, const char *text) { return tci_buf_append(buf, text, strlen(text)); }

int tci_buf_printf(tci_buf *buf, const char *format, ...) {
  va_list args;
  if (buf->err) return buf->err;
  size_t free_bytes = buf->cap - buf->len; /* with the NUL's */
  va_start(args, format);
  int len = vsnprintf(free_bytes ? buf->data + buf->len : NULL, free_bytes, format, args);
  va_end(args);
  if (len < 0 || (size_t)len >= free_bytes) {
    if (free_bytes) buf->data[buf->len] = '\0'; /* what fitted of it does not stay */
    char *room = tci_buf_room(buf, len < 0 ? buf->max : (size_t)len);
    if (!room || len < 0) return buf->err;
    va_start(args, format);
    (void)vsnprintf(room, (size_t)len + 1, format, args); /* it has room now */
    va_end(args);
  }
  tci_buf_grow(buf, (size_t)len);
  return 0;
}

void tci_buf_consume(tci_buf *buf, size_t len) {
  if (len >= buf->len) {
    buf->len = 0;
  } else {
    memmove(buf->data, buf->data + len, buf->len - len);
    buf->len -= len;
  }
  if (buf->data) buf->data[buf->len] = '\0';
}

void tci_buf_clear(tci_buf *buf) {
  buf->len = 0;
  buf->err = 0;
  if (buf->data) buf->data[0] = '\0';
}

void tci_buf_free(tci_buf *buf) {
  tci_free(buf->data);
  tci_buf_init(buf, buf->max);
}
