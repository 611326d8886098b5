/* pipe.h - a message pipe to one client: the small vtable between transports (WebSocket, SockJS) and what runs on them (a STOMP session, an echo service).
 *
 * All on the front's thread. The transport owns the pipe; the service owns pipe->session.
 */
#ifndef TCD_LIVE_PIPE_H
#define TCD_LIVE_PIPE_H

#include "server/live/hub.h"

typedef struct tcd_pipe tcd_pipe;
typedef struct tcd_service tcd_service;

typedef struct tcd_pipe_ops {
  /* One text message, copied. Never calls back. */
  void (*send)(tcd_pipe *pipe, tc_text message);
  /* Everything sent so far, then the close with this code (RFC 6455 7.4, SockJS c[code,"reason"]). Nothing can be sent afterwards and no message comes any more;
   * service->closed is called later, never from inside. */
  void (*close)(tcd_pipe *pipe, uint16_t code, const char *reason);
} tcd_pipe_ops;

struct tcd_service {
  /* A client is there. Sets pipe->session. 0, or -1: no memory, the transport closes with 1011. May send and close. */
  int (*open)(const tcd_service *service, tcd_pipe *pipe);
  /* One message (text or binary), borrowed and writable. WebSocket text is checked UTF-8. len may be 0. */
  void (*message)(tcd_pipe *pipe, char *data, size_t len);
  /* The transport has ended. Frees the session; cursors of pipe->sink that have not left leave behind it. Called once after each successful open. */
  void (*closed)(tcd_pipe *pipe);
  /* See tcd_sink_ops. */
  void (*cut)(tcd_pipe *pipe, tcd_cursor *cursor, int why, int64_t resume_seq);
  void *app;
};

struct tcd_pipe {
  const tcd_pipe_ops *ops;
  const tcd_service *service;
  void *session;              /* the service's */
  tcd_sink *sink;             /* where its subscriptions join */
  const tcd_framing *framing; /* for their shapes */
  tcd_hub *hub;
  const char *peer;
  int64_t heard_us; /* when anything last came from the client, WebSocket pongs and SockJS polls too; the front's clock */
};

#endif
