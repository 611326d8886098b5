#include <string.h>

#include "base/mem.h"
#include "server/sockjs/state.h"

#define FRAME_MAX (64u << 20)

static tcd_session *of_pipe(tcd_pipe *pipe) { return (tcd_session *)((char *)pipe - offsetof(tcd_session, pipe)); }
static tcd_session *of_sink(tcd_sink *sink) { return (tcd_session *)((char *)sink - offsetof(tcd_session, sink)); }
static tcd_session *of_timer(tcd_timer *timer) { return (tcd_session *)((char *)timer - offsetof(tcd_session, timer)); }
static tcd_front *front_of(const tcd_session *session) { return tcd_hub_front(session->mount->options.hub); }

tcd_session *tcd_session_find(const tcd_sockjs *mount, tc_text id) {
  for (tcd_node *node = tcd_table_first(&mount->sessions, tci_siphash(&mount->key, id.ptr, id.len)); node; node = tcd_table_next(node)) {
    tcd_session *session = (tcd_session *)node;
    if (session->id_len == id.len && !memcmp(session->id, id.ptr, id.len)) return session;
  }
  return NULL;
}

static void start_timer(tcd_session *session) {
  const tcd_sockjs_options *options = &session->mount->options;
  uint32_t ms = session->receiver ? options->heart_beat_ms : options->gone_ms;
  tcd_timer_start(&front_of(session)->wheel, &session->timer, front_of(session)->now_us + ms * 1000LL);
}

/* Nothing more is sent behind it, and no message comes. */
static void end(tcd_session *session, uint16_t code, const char *reason) {
  if (session->code) return;
  session->code = code;
  size_t len = strnlen(reason, sizeof session->reason - 1);
  memcpy(session->reason, reason, len);
  session->reason[len] = '\0';
}

static void close_service(tcd_session *session) {
  end(session, 1000, ""); /* should it still want to send or close */
  if (session->pipe.session) session->pipe.service->closed(&session->pipe);
  session->pipe.session = NULL;
  tcd_sink_leave(&session->sink);
}

void tcd_session_free(tcd_session *session) {
  if (!session) return;
  tcd_timer_stop(&front_of(session)->wheel, &session->timer);
  if (session->receiver) session->receiver->session = NULL;
  close_service(session);
  tcd_table_remove(&session->mount->sessions, &session->node);
  tci_buf_free(&session->waiting);
  tci_free(session);
}

void tcd_session_put_close(tci_buf *out, uint16_t code, const char *reason) {
  (void)tci_buf_printf(out, "c[%u,", code);
  tcd_sockjs_put_string(out, (tc_text){reason, strlen(reason)});
  (void)tci_buf_puts(out, "]");
}

static void send_close(tcd_session *session) {
  tci_buf frame;
  tci_buf_init(&frame, 1024);
  tcd_session_put_close(&frame, session->code, session->reason);
  if (frame.err) {
    tcd_outlet_close(&session->receiver->outlet); /* it asks again */
  } else {
    tcd_receiver_frame(session->receiver, (tc_text){frame.data, frame.len});
    if (session->receiver) tcd_receiver_end(session->receiver);
  }
  tci_buf_free(&frame);
}

/* All that waits, as one frame. */
static void send_waiting(tcd_session *session) {
  tci_buf frame;
  tci_buf_init(&frame, FRAME_MAX);
  (void)tci_buf_puts(&frame, "a[");
  (void)tci_buf_append(&frame, session->waiting.data, session->waiting.len - 1); /* without the last comma */
  (void)tci_buf_puts(&frame, "]");
  if (!frame.err) {
    tci_buf_free(&session->waiting);
    session->said = 0;
    tcd_receiver_frame(session->receiver, (tc_text){frame.data, frame.len});
    tcd_sink_drained(&session->sink);
  }
  tci_buf_free(&frame); /* without memory it waits for the next occasion */
}

void tcd_session_flush(tcd_session *session) {
  if (session->receiver && session->waiting.len && !tcd_receiver_is_full(session->receiver)) send_waiting(session);
  if (session->receiver && !session->waiting.len && session->code) send_close(session);
}

static void put_string(tc_text message, tci_buf *out) {
  tcd_sockjs_put_string(out, message);
  (void)tci_buf_puts(out, ",");
}

static const tcd_framing framing = {"sockjs", put_string};

/* A message is lost: nothing may follow it. What waits up to `before` is whole. */
static void end_at(tcd_session *session, size_t before) {
  session->waiting.len = before;
  end(session, 1011, "out of memory");
}

static void on_send(tcd_pipe *pipe, tc_text message) {
  tcd_session *session = of_pipe(pipe);
  size_t before = session->waiting.len;
  if (session->code) return;
  if (session->said >= session->mount->options.max_session_bytes) end(session, 1008, "too slow"); /* what the hub brings has been stopped before */
  else put_string(message, &session->waiting);
  session->said += session->waiting.len - before;
  if (session->waiting.err) end_at(session, before);
  tcd_session_flush(session);
}

static void on_close(tcd_pipe *pipe, uint16_t code, const char *reason) {
  tcd_session *session = of_pipe(pipe);
  if (session->code) return;
  end(session, code, reason);
  tcd_session_flush(session);
  if (!session->receiver) start_timer(session);
}

static const tcd_pipe_ops pipe_ops = {on_send, on_close};

static void on_take(tcd_sink *sink, tc_text frames) {
  tcd_session *session = of_sink(sink);
  if (session->code) return;
  if (tci_buf_append(&session->waiting, frames.ptr, frames.len)) end_at(session, session->waiting.len);
  if (session->waiting.len >= session->mount->options.max_session_bytes) sink->blocked = 1;
  tcd_session_flush(session);
}

static size_t on_waiting(tcd_sink *sink) { return of_sink(sink)->waiting.len; }

static void on_cut(tcd_sink *sink, tcd_cursor *cursor, int why, int64_t resume_seq) {
  tcd_session *session = of_sink(sink);
  if (session->pipe.session) session->pipe.service->cut(&session->pipe, cursor, why, resume_seq);
}

static const tcd_sink_ops sink_ops = {on_take, on_waiting, on_cut};

static void on_timer(tcd_timer *timer) {
  tcd_session *session = of_timer(timer);
  if (!session->receiver) {
    tcd_session_free(session); /* nobody has asked for so long */
    return;
  }
  tcd_session_flush(session);
  if (session->receiver && !tcd_receiver_is_full(session->receiver)) tcd_receiver_frame(session->receiver, (tc_text){"h", 1});
  start_timer(session);
}

tcd_session *tcd_session_open(tcd_sockjs *mount, tc_text id, const char *peer) {
  if (mount->sessions.count >= mount->options.max_sessions) return NULL;
  tcd_session *session = tci_zalloc(sizeof *session + id.len + 1);
  if (!session) return NULL;
  session->node.hash = tci_siphash(&mount->key, id.ptr, id.len);
  session->id_len = id.len;
  memcpy(session->id, id.ptr, id.len);
  if (tcd_table_add(&mount->sessions, &session->node)) {
    tci_free(session);
    return NULL;
  }
  session->mount = mount;
  session->timer.fired = on_timer;
  memcpy(session->peer, peer, strnlen(peer, sizeof session->peer - 1));
  tci_buf_init(&session->waiting, FRAME_MAX - 16);
  tcd_sink_init(&session->sink, mount->options.hub, &sink_ops);
  session->pipe = (tcd_pipe){
    .ops = &pipe_ops, .service = mount->options.service, .sink = &session->sink, .framing = &framing, .hub = mount->options.hub, .peer = session->peer};
  session->pipe.heard_us = front_of(session)->now_us;
  start_timer(session);
  return session;
}

void tcd_session_begin(tcd_session *session) {
  if (session->pipe.service->open(session->pipe.service, &session->pipe)) on_close(&session->pipe, 1011, "out of memory");
}

void tcd_session_attach(tcd_session *session, tcd_receiver *receiver) {
  session->receiver = receiver;
  receiver->session = session;
  session->pipe.heard_us = front_of(session)->now_us;
  start_timer(session);
}

void tcd_session_detach(tcd_session *session, int interrupted) {
  session->receiver->session = NULL;
  session->receiver = NULL;
  session->pipe.heard_us = front_of(session)->now_us;
  if (interrupted) {
    session->code = 0; /* an end that it was to hear of, behind messages that it has not heard */
    end(session, 1002, "Connection interrupted");
    tci_buf_free(&session->waiting);
    close_service(session); /* from the hub's turn or from a request: no call of the service is running */
  }
  start_timer(session);
}

int tcd_session_message(tcd_session *session, char *json, size_t len) {
  char *at = json, *message;
  size_t message_len;
  if (tcd_sockjs_count((tc_text){json, len}) < 0) return -1;
  session->pipe.heard_us = front_of(session)->now_us;
  while (!session->code && (message = tcd_sockjs_next(&at, json + len, &message_len)) != NULL)
    session->pipe.service->message(&session->pipe, message, message_len);
  return 0;
}
