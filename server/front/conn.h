/* conn.h - one client connection, from accept to close. */
#ifndef TCD_FRONT_CONN_H
#define TCD_FRONT_CONN_H

#include "server/front/reactor.h"

enum {
  TCD_CONN_HEAD,    /* waits for a request or collects its head; without a byte of one it is parked and holds no buffer */
  TCD_CONN_BODY,    /* collects the body */
  TCD_CONN_BUSY,    /* a handler has the exchange; nothing is read */
  TCD_CONN_SENDING, /* the reply is on its way */
  TCD_CONN_LINGER   /* all is said: what still comes is thrown away, so that the client reads our answer instead of a reset (RFC 9112 9.6) */
};

struct tcd_conn {
  tcd_source source; /* first */
  tcd_deadline deadline;
  tcd_conn *prev, *next;
  tcd_exchange *exchange;
  tci_buf in; /* of the request that is being collected, or of pipelined ones behind a chunked body */
  size_t scanned;
  uint32_t discarded;
  uint8_t state, readable, ended; /* ended: the client will send no more */
  char peer[TCD_PEER_SIZE];
};

int tcd_conn_open(tcd_front *front, int fd, const char *peer); /* takes fd in any case; 0 or an errno value */
/* A socket comes back from a link, with the beginning of its next request; 0, or -1: nothing has happened. */
int tcd_conn_adopt(tcd_front *front, int fd, const char *peer, tc_text rest);
/* The socket goes to a link: ends the exchange and gives up the descriptor. *early: what came behind the request; tcd_input_drop frees it. */
void tcd_conn_leave(tcd_conn *conn, tci_buf *early);
void tcd_conn_close(tcd_conn *conn);
void tcd_conn_start(tcd_conn *conn, int class); /* its deadline, from now */
/* Gives the request up with an answer. All refusals of the front that are about framing, size or time end the connection: where the next request would begin is
 * not known. */
void tcd_conn_refuse(tcd_conn *conn, int status, const char *message);
void tcd_conn_answer(tcd_exchange *exchange);  /* a completed exchange comes back */
void tcd_conn_expired(tcd_deadline *deadline); /* any client deadline */
int tcd_conn_evict(tcd_front *front);          /* closes the connection that has been parked longest; 0: there is none */
void tcd_conn_stop(tcd_front *front);          /* closes what is parked, refuses what has not arrived whole */

/* receive.c: each does what can be done now; 1: go on with the state that the connection has now, 0: wait for an event (or the connection is gone). */
int tcd_conn_step_head(tcd_conn *conn);
int tcd_conn_step_body(tcd_conn *conn);

#endif
