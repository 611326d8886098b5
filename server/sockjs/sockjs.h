/* sockjs.h - SockJS (protocol 0.3.3): one mount serves everything below its prefix, for any service.
 * Spec: the annotated tests of sockjs-protocol. test_haproxy (a pre-RFC handshake) is not served.
 */
#ifndef TCD_SOCKJS_SOCKJS_H
#define TCD_SOCKJS_SOCKJS_H

#include "server/live/pipe.h"

typedef struct tcd_sockjs tcd_sockjs;

typedef struct tcd_sockjs_options {
  const char *prefix; /* "/ws"; copied, as are no other pointers here: they must outlive the mount */
  tcd_hub *hub;
  const tcd_service *service;
  const char *const *protocols; /* WebSocket sub-protocols, NULL-terminated; may be NULL */
  const char *client_url;       /* where the iframe page loads the client from; NULL: a path on this server that the page's owner must serve */
  uint32_t response_bytes;      /* a streaming response ends after that many; 0: 131,072 */
  uint32_t heart_beat_ms;       /* "h" frames; 0: 25,000, as a WebSocket's always */
  uint32_t gone_ms;             /* a session without a receiver lives that long; 0: 5,000 */
  uint32_t max_sessions;        /* 0: 10,000; 503 beyond */
  uint64_t max_session_bytes;   /* waiting for a receiver, from the service and from its subscriptions each; beyond it the session is closed (1008). 0: 1 MiB */
  int websocket;                /* 0: disabled, as /disabled_websocket_echo */
  int raw_on_prefix;            /* 1: a WebSocket handshake on the prefix itself is a raw WebSocket, as on prefix/websocket */
  int cookie_needed;            /* JSESSIONID */
  /* Called after status and our own headers are set: makes the body of a refusal (error JSON). NULL: plain text. */
  void (*refuse)(tcd_reply *reply, int status, const char *message);
} tcd_sockjs_options;

int tcd_sockjs_open(tcd_sockjs **out, const tcd_sockjs_options *options); /* TC_OK, TC_ENOMEM */
void tcd_sockjs_close(tcd_sockjs *mount);                                 /* takes NULL; after the front has run */
/* 1: the path is the prefix or below it, and request and reply are taken care of (answered, or the client taken over); 0: not ours. On the front's thread.
 * The caller has checked Host and Origin before; CORS headers are made here (what stands in reply->headers is dropped). */
int tcd_sockjs_request(tcd_sockjs *mount, const tcd_request *request, tcd_reply *reply);

#endif
