/* state.h - what the files of SockJS share.
 *
 * Design notes
 *  - A session (of the transports over HTTP) outlives its connections. What its service sends, and what its subscriptions bring, waits in it as JSON strings, `"...",` one behind the
 *    other, until a receiver takes it all as one `a[...]` frame.
 *  - A receiver is one response that brings frames: an outlet. A session has one or none. A polling one ends with its first frame, a streaming one after response_bytes.
 *  - A session that has ended stays for gone_ms and answers every receiver with its close frame. Then, or when no receiver has come for as long, it is freed. Its service hears of the
 *    end from a timer or from the hub's turn, never from inside a call of its own.
 *  - A WebSocket needs no session: ws/socket.h with another coding.
 */
#ifndef TCD_SOCKJS_STATE_H
#define TCD_SOCKJS_STATE_H

#include "base/siphash.h"
#include "server/live/outlet.h"
#include "server/live/table.h"
#include "server/sockjs/json.h"
#include "server/sockjs/sockjs.h"
#include "server/ws/socket.h"

typedef struct tcd_session tcd_session;
typedef struct tcd_receiver tcd_receiver;

struct tcd_sockjs {
  tcd_sockjs_options options;
  char *prefix;
  size_t prefix_len;
  tci_sipkey key;
  tcd_table sessions;
  char etag[24];
};

/* One way to receive. */
typedef struct tcd_transport {
  const char *name;
  const char *method;
  const char *content_type;
  const char *prelude; /* of a streaming one; NULL: it polls, and ends with its first frame */
  size_t prelude_len;
  int callback; /* 1: needs ?c= */
  /* Appends one frame as the transport writes it. */
  void (*put)(const tcd_receiver *receiver, tc_text frame, tci_buf *out);
} tcd_transport;

#define TCD_CALLBACK_MAX 128

struct tcd_receiver {
  tcd_outlet outlet; /* first */
  const tcd_transport *transport;
  tcd_session *session; /* NULL: it has none, or has lost it */
  tci_buf headers;      /* of the response, until they are sent */
  size_t sent;          /* bytes of frames */
  uint32_t limit;
  uint8_t keep, chunked, over; /* keep: the connection goes back to HTTP */
  char callback[TCD_CALLBACK_MAX + 1];
};

struct tcd_session {
  tcd_node node; /* first */
  tcd_sockjs *mount;
  tcd_pipe pipe;
  tcd_sink sink;
  tcd_receiver *receiver;
  tci_buf waiting;
  size_t said;     /* of what waits, that which its service sent: the rest came from the hub, which stops at max_session_bytes */
  tcd_timer timer; /* with a receiver: its heart-beat; without: the end */
  uint16_t code;   /* 0: open */
  char reason[124];
  char peer[TCD_PEER_SIZE];
  size_t id_len;
  char id[];
};

/* session.c */
tcd_session *tcd_session_find(const tcd_sockjs *mount, tc_text id);
tcd_session *tcd_session_open(tcd_sockjs *mount, tc_text id, const char *peer); /* the service is not opened yet; NULL: too many, or no memory */
void tcd_session_begin(tcd_session *session);                                   /* opens the service */
void tcd_session_attach(tcd_session *session, tcd_receiver *receiver);
void tcd_session_flush(tcd_session *session); /* what waits, to the receiver */
/* The receiver's response is over: whole, or interrupted (then the session is lost: what was on its way may not have come). */
void tcd_session_detach(tcd_session *session, int interrupted);
int tcd_session_message(tcd_session *session, char *json, size_t len); /* 0, or -1: broken JSON */
void tcd_session_free(tcd_session *session);
void tcd_session_put_close(tci_buf *out, uint16_t code, const char *reason); /* c[...] */

/* receiver.c */
const tcd_transport *tcd_transport_find(tc_text name);
void tcd_receiver_serve(tcd_sockjs *mount, const tcd_transport *transport, tc_text id, const tcd_request *request, tcd_reply *reply);
void tcd_receiver_frame(tcd_receiver *receiver, tc_text frame); /* sends one; ends the response when it is the last */
void tcd_receiver_end(tcd_receiver *receiver);
int tcd_receiver_is_full(const tcd_receiver *receiver); /* enough waits in its socket for now */

/* pages.c: what is not a session. */
void tcd_sockjs_put_cors(const tcd_request *request, tci_buf *headers);
void tcd_sockjs_put_uncached(tci_buf *headers);
void tcd_sockjs_put_cookie(const tcd_sockjs *mount, const tcd_request *request, tci_buf *headers);
void tcd_sockjs_greeting(tcd_reply *reply);
void tcd_sockjs_info(const tcd_sockjs *mount, tcd_reply *reply);
void tcd_sockjs_iframe(const tcd_sockjs *mount, const tcd_request *request, tcd_reply *reply);
void tcd_sockjs_preflight(const tcd_request *request, const char *methods, tcd_reply *reply);
void tcd_sockjs_text(tcd_reply *reply, int status, const char *text);

/* websocket.c */
extern const tcd_ws_coding tcd_sockjs_coding;

#endif
