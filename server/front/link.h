/* link.h - a client connection that has left HTTP: a WebSocket, a stream. It stays on the front's thread and in its counts.
 *
 * tcd_front_take ends the exchange: the socket is the link's, the request is history, and whatever is to be said first (the 101, the head of a stream) the owner
 * says itself. Everything here runs on the front's thread.
 */
#ifndef TCD_FRONT_LINK_H
#define TCD_FRONT_LINK_H

#include <sys/uio.h>

#include "server/front/reactor.h"

typedef struct tcd_link tcd_link;

typedef struct tcd_link_ops {
  /* Bytes came, borrowed for the call and writable. len 0: the client will send no more; it may still read. */
  void (*input)(tcd_link *link, char *bytes, size_t len);
  /* The socket takes bytes again after it had not. */
  void (*writable)(tcd_link *link);
  /* Reset or closed by the client. The link is still open: close it, free what hangs on it. */
  void (*gone)(tcd_link *link);
  /* The front is stopping: say goodbye; what is not closed when the grace is over is closed by the front, through gone. */
  void (*stop)(tcd_link *link);
} tcd_link_ops;

struct tcd_link {
  tcd_source source; /* first; the link is the first member of an allocation by tci_alloc, which the front frees at the end of the turn in which it is closed */
  const tcd_link_ops *ops;
  tcd_link *prev, *next; /* all of the front */
  tcd_deadline linger;
  tci_buf early;    /* what came behind the request, until tcd_link_start */
  int64_t heard_us; /* when bytes last came */
  uint32_t discarded;
  uint8_t readable, writable, ended, started, finishing;
  char peer[TCD_PEER_SIZE];
};

/* From on_request, instead of an answer: moves the client of this reply to link (zeroed by the caller). Request and reply are gone afterwards, whatever of them is
 * needed is copied before. 0, or -1 when the client has gone or this is no exchange of the front (then the reply is still to be sent, and link untouched). */
int tcd_front_take(tcd_reply *reply, tcd_link *link, const tcd_link_ops *ops);
/* The owner is ready for input: delivers what came early, then what comes. May close the link before it returns. */
void tcd_link_start(tcd_link *link);
/* send(2), sendmsg(2) without blocking: bytes taken, 0 when the socket is full (writable will be called), -1 when the connection is broken (nothing is called; close it). */
ssize_t tcd_link_send(tcd_link *link, const struct iovec *parts, int count);
/* All is said: half-closes, throws away what still comes, and closes when the client has closed or after 2 s. No callback comes any more. */
void tcd_link_finish(tcd_link *link);
/* Closes at once. No callback comes any more; the memory goes at the end of the turn. */
void tcd_link_close(tcd_link *link);
/* The response is complete and the connection is kept: back to HTTP, with `rest` as the beginning of the next request. The link is freed as by close. */
void tcd_link_return(tcd_link *link, tc_text rest);

#endif
