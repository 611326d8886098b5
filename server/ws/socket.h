/* socket.h - the WebSocket transport: a pipe on an outlet. SockJS's websocket transport is the same with another message coding. */
#ifndef TCD_WS_SOCKET_H
#define TCD_WS_SOCKET_H

#include "server/live/outlet.h"
#include "server/live/pipe.h"
#include "server/ws/frame.h"

typedef struct tcd_ws tcd_ws;

/* How the pipe's messages stand in WebSocket messages. Raw: as they are. */
typedef struct tcd_ws_coding {
  const tcd_framing *framing; /* of one outgoing pipe message as a whole WebSocket frame */
  void (*opened)(tcd_ws *ws); /* before service->open; e.g. puts "o"; may be NULL */
  /* One incoming WebSocket text or binary message: calls service->message for each pipe message in it. Not 0: the close code to fail with (0xFFFF: drop the connection without a close frame). */
  int (*incoming)(tcd_ws *ws, char *data, size_t len);
  /* Puts what is said before the WebSocket close frame, e.g. c[3000,"Go away!"]; may be NULL. */
  void (*closing)(tcd_ws *ws, uint16_t code, const char *reason);
  uint32_t beat_ms; /* how often something is sent to keep proxies awake ("h"); 0: never */
  const char *beat;
  int plain_close; /* 1: the close frame carries 1000 whatever the code, since the coding has told it (SockJS) */
} tcd_ws_coding;

extern const tcd_ws_coding tcd_ws_raw;

struct tcd_ws {
  tcd_outlet outlet; /* first */
  tcd_pipe pipe;
  tcd_ws_parser parser;
  const tcd_ws_coding *coding;
  tcd_timer beat;  /* when closing: the end of waiting for the client's answer */
  size_t ignored;  /* bytes that came when closing */
  uint8_t closing; /* our close frame is put, or the client has ended: nothing more is said, and of what comes only the client's close counts */
};

/* From on_request: answers the handshake (or refuses it through the reply, with the error body made by refuse) and runs service on it.
 * protocols as in handshake.h. */
void tcd_ws_accept(tcd_hub *hub, const tcd_service *service, const tcd_ws_coding *coding, const char *const *protocols, const tcd_request *request,
                   tcd_reply *reply, void (*refuse)(tcd_reply *reply, int status, const char *message));
tcd_pipe *tcd_ws_pipe(tcd_ws *ws);
tcd_ws *tcd_ws_of_pipe(tcd_pipe *pipe);

#endif
