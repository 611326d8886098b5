/* head.h - the head of an HTTP/1.1 request (RFC 9112), strictly: pure functions over bytes, so that they can be fuzzed without a socket. */
#ifndef TCD_FRONT_HEAD_H
#define TCD_FRONT_HEAD_H

#include "server/exchange.h"

#define TCD_TARGET_MAX (8u << 10)

/* Why a request is refused. message: static, lower case. */
typedef struct tcd_fault {
  int status;
  const char *message;
} tcd_fault;

typedef struct tcd_head {
  tc_text method, target, path, query; /* as in tcd_request; of an absolute-form target the path and query only */
  int version_minor;
  int keep_alive;         /* the client is ready for another request after this one */
  int chunked;            /* Transfer-Encoding: chunked */
  int expect_continue;    /* Expect: 100-continue */
  int64_t content_length; /* -1: not given */
  size_t header_count;
  tcd_header headers[TCD_HEADERS_MAX]; /* in an absolute-form request Host is the target's authority (RFC 9112 3.2.2) */
} tcd_head;

/* How many bytes of empty lines stand before the request line; RFC 9112 2.2 wants them passed over. */
size_t tcd_head_blank(const char *data, size_t len);

/* Looks for the end of the head. *scanned is where the last call stopped (0 at first), so that a dripping client costs linear time. 1: the head is whole and *head_len
 * long; 0: more is needed; -1: refused already (a bare LF). */
int tcd_head_scan(const char *data, size_t len, size_t *scanned, size_t *head_len, tcd_fault *fault);

/* Which refusal a head deserves that has outgrown its limit: 414 while the request line has not ended, else 431. */
tcd_fault tcd_head_too_long(const char *data, size_t len);

/* Reads a whole head, its empty line included. Spans point into data. 0, or -1 with *fault; *head then holds what was read before (all else zero). */
int tcd_head_parse(const char *data, size_t len, tcd_head *head, tcd_fault *fault);

#endif
