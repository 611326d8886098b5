#include "server/ws/socket.h"

#include <string.h>

#include "base/mem.h"
#include "server/ws/handshake.h"

#define ANSWER_US 2000000         /* how long a client has to answer our close frame, */
#define ANSWER_BYTES (256u << 10) /* and how much it may still say before: what was on its way */

static tcd_ws *of_outlet(tcd_outlet *outlet) { return (tcd_ws *)outlet; }
static tcd_ws *of_beat(tcd_timer *timer) { return (tcd_ws *)((char *)timer - offsetof(tcd_ws, beat)); }

tcd_pipe *tcd_ws_pipe(tcd_ws *ws) { return &ws->pipe; }
tcd_ws *tcd_ws_of_pipe(tcd_pipe *pipe) { return (tcd_ws *)((char *)pipe - offsetof(tcd_ws, pipe)); }

static tcd_front *front_of(const tcd_ws *ws) { return tcd_hub_front(ws->pipe.hub); }

/* Our close frame and nothing behind it. The stream ends when the client has answered (7.1.1): many take an end before that for a connection that broke, and lose the code. */
static void close_with(tcd_ws *ws, uint16_t code, const char *reason) {
  if (ws->closing) return;
  ws->closing = 1;
  tcd_ws_put_close(tcd_outlet_own(&ws->outlet), code, reason);
  tcd_outlet_wrote(&ws->outlet);
  ws->outlet.sink.muted = 1;
  tcd_timer_start(&front_of(ws)->wheel, &ws->beat, front_of(ws)->now_us + ANSWER_US);
}

/* No answer is waited for. */
static void end_with(tcd_ws *ws, uint16_t code, const char *reason) {
  close_with(ws, code, reason);
  tcd_outlet_finish(&ws->outlet);
}

static void on_send(tcd_pipe *pipe, tc_text message) {
  tcd_ws *ws = tcd_ws_of_pipe(pipe);
  if (ws->closing) return;
  ws->coding->framing->put(message, tcd_outlet_own(&ws->outlet));
  tcd_outlet_wrote(&ws->outlet);
}

static void on_close(tcd_pipe *pipe, uint16_t code, const char *reason) {
  tcd_ws *ws = tcd_ws_of_pipe(pipe);
  if (ws->closing) return;
  if (ws->coding->closing) ws->coding->closing(ws, code, reason);
  if (ws->coding->plain_close) close_with(ws, 1000, "");
  else close_with(ws, code, reason);
}

static const tcd_pipe_ops pipe_ops = {on_send, on_close};

/* A code of ours by which a coding says: no close frame, just the end. */
static void fail(tcd_ws *ws, int code) {
  if (code == 0xFFFF) tcd_outlet_close(&ws->outlet);
  else
    end_with(ws, (uint16_t)code,
             code == 1009   ? "the message is too long"
             : code == 1007 ? "not valid UTF-8"
             : code == 1011 ? "out of memory"
                            : "protocol error");
}

static void on_message(tcd_ws *ws, tcd_ws_message *message) {
  int code;
  switch (message->opcode) {
  case TCD_WS_PING:
    tcd_ws_put(tcd_outlet_own(&ws->outlet), TCD_WS_PONG, message->data, message->len);
    tcd_outlet_wrote(&ws->outlet);
    break;
  case TCD_WS_PONG: break;
  case TCD_WS_CLOSE:
    code = tcd_ws_close_code(message);
    if (code < 0) fail(ws, -code);
    else end_with(ws, (uint16_t)(code == 1005 ? 1000 : code), ""); /* 5.5.1: the answer carries the code that came */
    break;
  default:
    code = ws->coding->incoming(ws, message->data, message->len);
    if (code) fail(ws, code);
  }
}

static void on_input(tcd_outlet *outlet, char *bytes, size_t len) {
  tcd_ws *ws = of_outlet(outlet);
  tcd_ws_message message;
  if (!len) { /* it may still read what it was answered */
    ws->closing = 1;
    tcd_outlet_finish(outlet);
    return;
  }
  ws->pipe.heard_us = outlet->link.heard_us;
  if (ws->closing) ws->ignored += len;
  if (ws->ignored > ANSWER_BYTES) tcd_outlet_finish(outlet);
  /* A message may end it all: by a fault, by the client's own close or its answer to ours. */
  while (!outlet->ending && !outlet->done) {
    int rc = tcd_ws_next(&ws->parser, &bytes, &len, &message);
    if (!rc) return;
    if (!ws->closing) {
      if (rc < 0) fail(ws, -rc);
      else on_message(ws, &message);
    } else if (rc < 0 || message.opcode == TCD_WS_CLOSE) {
      tcd_outlet_finish(outlet);
    }
  }
}

static void on_closed(tcd_outlet *outlet) {
  tcd_ws *ws = of_outlet(outlet);
  ws->closing = 1; /* should the service still want to close */
  tcd_timer_stop(&front_of(ws)->wheel, &ws->beat);
  if (ws->pipe.session) ws->pipe.service->closed(&ws->pipe);
  tcd_ws_parser_free(&ws->parser);
}

static void on_stop(tcd_outlet *outlet) { on_close(&of_outlet(outlet)->pipe, 1001, "the server is stopping"); }

static void on_cut(tcd_outlet *outlet, tcd_cursor *cursor, int why, int64_t resume_seq) {
  tcd_ws *ws = of_outlet(outlet);
  ws->pipe.service->cut(&ws->pipe, cursor, why, resume_seq);
}

static const tcd_outlet_ops outlet_ops = {.input = on_input, .closed = on_closed, .stop = on_stop, .cut = on_cut};

static void on_beat(tcd_timer *timer) {
  tcd_ws *ws = of_beat(timer);
  if (ws->closing) {
    tcd_outlet_finish(&ws->outlet);
    return;
  }
  tcd_outlet_put(&ws->outlet, ws->coding->beat, strlen(ws->coding->beat));
  tcd_timer_start(&front_of(ws)->wheel, timer, front_of(ws)->now_us + ws->coding->beat_ms * 1000LL);
}

static int raw_incoming(tcd_ws *ws, char *data, size_t len) {
  ws->pipe.service->message(&ws->pipe, data, len);
  return 0;
}

const tcd_ws_coding tcd_ws_raw = {.framing = &tcd_ws_framing, .incoming = raw_incoming};

static tcd_ws *make(tcd_hub *hub, const tcd_service *service, const tcd_ws_coding *coding) {
  tcd_ws *ws = tci_zalloc(sizeof *ws);
  if (!ws) return NULL;
  ws->coding = coding;
  ws->beat.fired = on_beat;
  ws->pipe = (tcd_pipe){.ops = &pipe_ops, .service = service, .framing = coding->framing, .hub = hub, .sink = &ws->outlet.sink};
  tcd_ws_parser_init(&ws->parser);
  return ws;
}

static void open_service(tcd_ws *ws) {
  tcd_front *front = front_of(ws);
  ws->pipe.peer = ws->outlet.link.peer;
  ws->pipe.heard_us = front->now_us;
  if (ws->coding->opened) ws->coding->opened(ws);
  if (ws->pipe.service->open(ws->pipe.service, &ws->pipe)) {
    end_with(ws, 1011, "out of memory");
    return;
  }
  if (ws->coding->beat_ms && !ws->closing) tcd_timer_start(&front->wheel, &ws->beat, front->now_us + ws->coding->beat_ms * 1000LL);
  tcd_outlet_start(&ws->outlet);
}

void tcd_ws_accept(tcd_hub *hub, const tcd_service *service, const tcd_ws_coding *coding, const char *const *protocols, const tcd_request *request,
                   tcd_reply *reply, void (*refuse)(tcd_reply *reply, int status, const char *message)) {
  const char *message = "out of memory";
  tcd_ws *ws = NULL;
  tci_buf head;
  tci_buf_init(&head, 16u << 10);
  int status = tcd_ws_handshake(request, protocols, NULL, &head, &message);
  if (status == 426) (void)tci_buf_puts(&reply->headers, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
  if (!status) {
    ws = make(hub, service, coding);
    if (!ws || head.err || tcd_outlet_take(&ws->outlet, hub, reply, &outlet_ops)) status = 503;
  }
  if (status) {
    if (ws) tcd_ws_parser_free(&ws->parser);
    tci_free(ws);
    refuse(reply, status, message);
    tcd_reply_send(reply);
  } else {
    tcd_outlet_put(&ws->outlet, head.data, head.len);
    open_service(ws);
  }
  tci_buf_free(&head);
}
