/* front.h - the reactor: one epoll thread that owns every client socket for all its life.
 *
 * It reads whole requests under fixed deadlines (dripping extends nothing), checks framing strictly, parks idle connections, answers in order, and passes each
 * complete request to on_request on its own thread. on_request must not block: it answers at once, answers later (tcd_reply_send from any thread), or hands
 * the exchange to the kitchen by tcd_front_forward.
 */
#ifndef TCD_FRONT_H
#define TCD_FRONT_H

#include "server/exchange.h"

typedef struct tcd_front tcd_front;

/* Zero in a number: the default of reactor.c. What is pointed to must outlive the front; listen only tcd_front_open. */
typedef struct tcd_front_options {
  const char *listen;           /* "127.0.0.1:8080", "[::1]:0", ":8080" is every address */
  uint32_t max_connections;     /* beyond it the longest parked one is closed; where none is parked the newcomer gets a 503 */
  uint32_t header_deadline_ms;  /* from a request's first byte (or the accept) to the end of its head */
  uint32_t body_deadline_ms;    /* from the end of the head to the end of the body */
  uint32_t idle_timeout_ms;     /* keep-alive between requests */
  uint32_t write_deadline_ms;   /* a reply that the client does not read */
  uint32_t max_head_bytes;      /* 431 beyond */
  uint32_t max_body_bytes;      /* 413 beyond */
  uint64_t max_buffered_bytes;  /* of all bodies and replies together: 503 beyond */
  uint32_t kitchen_connections; /* loopback connections to the kitchen */
  const tc_clock *clock;
  const tc_log *log;
  /* Runs on the front's thread once a complete request is there. */
  void (*on_request)(void *app, const tcd_request *request, tcd_reply *reply);
  /* The front's own refusals (400, 408, 413, 431, 503 ...) get their body here, so that all errors have one shape. request may be partly filled (method, target and
   * path may be empty). It fills content_type, headers and body; status is set, the front adds Retry-After to a 503 and sends the reply itself. */
  void (*on_refusal)(void *app, const tcd_request *request, int status, const char *message, tcd_reply *reply);
  /* How much a body of this request may be, known when its head is there; 0: max_body_bytes. */
  uint32_t (*body_limit)(void *app, const tcd_request *request);
  void *app;
} tcd_front_options;

/* Binds and listens (so that the port is known), starts nothing. TC_OK, or TC_EINVAL / TC_ESTORAGE-like code with one line in error (at least 256 bytes). */
int tcd_front_open(tcd_front **out, const tcd_front_options *options, char *error, size_t error_size);
const char *tcd_front_address(const tcd_front *front); /* "127.0.0.1:43127", "[::1]:8080" */
/* Where forwarded requests go, before run; admit is told each local port of the pool before it is used and when it is gone (peer NULL). */
int tcd_front_set_kitchen(tcd_front *front, uint16_t port, void (*admit)(void *kitchen, uint16_t local_port, const char *peer), void *kitchen);
/* Serves until tcd_front_stop; on the calling thread. */
int tcd_front_run(tcd_front *front);
/* From on_request: the kitchen will answer this one. The target is re-framed in origin form with every byte beyond ASCII percent-encoded, since CivetWeb answers
 * those with 400. The reply must hold nothing yet. */
void tcd_front_forward(tcd_front *front, tcd_reply *reply);
/* Any thread, async-signal-safe: closes the listener, lets running exchanges finish (at most grace_ms), closes idle connections, refuses requests that have not
 * arrived whole (503), then run returns. A second call ends it at once. */
void tcd_front_stop(tcd_front *front, uint32_t grace_ms);
void tcd_front_close(
  tcd_front *front); /* Takes NULL. After run has returned and when no tcd_reply_send for it can come any more: stop the kitchen and close the engine before. */

typedef struct tcd_front_stats {
  uint64_t connections, requests, buffered_bytes, refused;
} tcd_front_stats;
void tcd_front_stats_get(tcd_front *front, tcd_front_stats *out); /* any thread */

#endif
