#include "ws_kit.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "front_kit.h"
#include "server/ws/socket.h"

/* ---- The app. */

tcd_hub *ws_hub;
tc_engine *ws_engine;
_Atomic int ws_opened, ws_closed, ws_messages;
int ws_refuses;

static void say(tcd_pipe *pipe, const char *text) { pipe->ops->send(pipe, (tc_text){text, strlen(text)}); }

static void write_event(const tcd_shape *shape, const tc_event *event, tci_buf *out) {
  (void)tci_buf_printf(out, "%.*s%lld", (int)shape->text.len, shape->text.ptr, (long long)tc_event_seq(event));
}

static void join(tcd_pipe *pipe, int64_t after) {
  tcd_join request = {.topic = {.all = 1}, .shape = {pipe->framing, write_event, {"e", 1}, 0, NULL}, .resume = after >= 0, .after_seq = after};
  tcd_cursor *cursor;
  int recovered;
  ck_assert_int_eq(tcd_hub_join(pipe->hub, pipe->sink, &request, &cursor, &recovered), TC_OK);
  say(pipe, "joined");
}

static int on_open(const tcd_service *service, tcd_pipe *pipe) {
  if (ws_refuses) return -1;
  pipe->session = (void *)(uintptr_t)service;
  atomic_fetch_add(&ws_opened, 1);
  if (service->app) pipe->ops->close(pipe, 3000, "Go away!");
  return 0;
}

/* A command, or an echo. */
static void on_message(tcd_pipe *pipe, char *data, size_t len) {
  atomic_fetch_add(&ws_messages, 1);
  if (len == 5 && !memcmp(data, "close", len)) {
    say(pipe, "before");
    pipe->ops->close(pipe, 4000, "as told");
    pipe->ops->close(pipe, 4001, "again");
    say(pipe, "behind");
  } else if (len == 5 && !memcmp(data, "join ", len)) {
    join(pipe, -1);
  } else if (len == 6 && !memcmp(data, "resume", len)) {
    join(pipe, 0);
  } else if (len == 5 && !memcmp(data, "heard", len)) {
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)pipe->heard_us);
    say(pipe, text);
  } else {
    pipe->ops->send(pipe, (tc_text){data, len});
  }
}

static void on_closed(tcd_pipe *pipe) {
  ck_assert_ptr_nonnull(pipe->session);
  pipe->ops->close(pipe, 1000, "too late"); /* does nothing, and no harm */
  say(pipe, "too late");
  atomic_fetch_add(&ws_closed, 1);
}

static void on_cut(tcd_pipe *pipe, tcd_cursor *cursor, int why, int64_t resume_seq) {
  char text[64];
  (void)cursor;
  (void)snprintf(text, sizeof text, "cut %d %lld", why, (long long)resume_seq);
  say(pipe, text);
  pipe->ops->close(pipe, 1008, "cut");
}

static const tcd_service service = {on_open, on_message, on_closed, on_cut, NULL};
static const tcd_service closing_service = {on_open, on_message, on_closed, on_cut, &ws_engine};

/* A coding of its own: every message in angle brackets, its own first and last words, beats, and messages that are a fault. */
static void put_angled(tc_text message, tci_buf *out) {
  char text[128];
  int len = snprintf(text, sizeof text, "<%.*s>", (int)message.len, message.ptr);
  tcd_ws_put(out, TCD_WS_TEXT, text, (size_t)len);
}
static const tcd_framing angled = {"angled", put_angled};

static void put_word(tcd_ws *ws, const char *word) {
  tcd_ws_put(tcd_outlet_own(&ws->outlet), TCD_WS_TEXT, word, strlen(word));
  tcd_outlet_wrote(&ws->outlet);
}
static void on_coding_opened(tcd_ws *ws) {
  ck_assert_ptr_eq(tcd_ws_of_pipe(tcd_ws_pipe(ws)), ws);
  put_word(ws, "o");
}
static void on_coding_closing(tcd_ws *ws, uint16_t code, const char *reason) {
  char text[64];
  (void)snprintf(text, sizeof text, "c%d %s", code, reason);
  put_word(ws, text);
}
static int on_coding_incoming(tcd_ws *ws, char *data, size_t len) {
  if (len == 4 && !memcmp(data, "drop", len)) return 0xFFFF;
  if (len == 4 && !memcmp(data, "long", len)) return 1009;
  for (size_t i = 0; i < len && !ws->closing; i += 5) ws->pipe.service->message(&ws->pipe, data + i, len - i < 5 ? len - i : 5);
  return 0;
}
static const tcd_ws_coding coding = {&angled, on_coding_opened, on_coding_incoming, on_coding_closing, 25000, "\x81\x01h", 1};

static void refuse(tcd_reply *reply, int status, const char *message) {
  reply->status = status;
  reply->content_type = "text/plain";
  (void)tci_buf_puts(&reply->body, message);
}

static int serve(const tcd_request *request, tcd_reply *reply) {
  static const char *const protocols[] = {"two", "one", NULL};
  if (tcd_text_is(request->path, "/ws")) tcd_ws_accept(ws_hub, &service, &tcd_ws_raw, protocols, request, reply, refuse);
  else if (tcd_text_is(request->path, "/closing")) tcd_ws_accept(ws_hub, &closing_service, &tcd_ws_raw, NULL, request, reply, refuse);
  else if (tcd_text_is(request->path, "/coded")) tcd_ws_accept(ws_hub, &service, &coding, NULL, request, reply, refuse);
  else if (tcd_text_is(request->path, "/coded/closing")) tcd_ws_accept(ws_hub, &closing_service, &coding, NULL, request, reply, refuse);
  else return 0;
  return 1;
}

void ws_begin(void) {
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = "memory:";
  ck_assert_int_eq(tc_open(&ws_engine, &options), TC_OK);
  front_hook = serve;
  front_open();
  ck_assert_int_eq(tcd_hub_open(&ws_hub, &(tcd_hub_options){.front = front, .engine = ws_engine, .max_replay = 2}), TC_OK);
  front_run();
}

void ws_end(void) {
  tcd_front_stop(front, 0);
  tcd_front_stop(front, 0); /* at once: the clock stands still, and clients are open */
  front_join();
  ck_assert_int_eq(ws_closed, ws_opened);
  tcd_hub_close(ws_hub);
  ck_assert_int_eq(tc_close(ws_engine), TC_OK);
  front_end();
}

void ws_tip(void) {
  tc_tip_new made = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  made.room_id = made.sender_id = made.recipient_id = "x";
  made.amount = 100;
  ck_assert_int_eq(tc_tip_create(ws_engine, &made, &event, NULL), TC_OK);
  tc_event_unref(event);
}

/* ---- The client. */

static const uint8_t mask[4] = {0x9a, 0x01, 0xff, 0x42};

size_t ws_frame(char *out, int first, const char *payload, size_t len) {
  size_t size = 2;
  out[0] = (char)first;
  out[1] = (char)(0x80 | (len < 126 ? len : len < 65536 ? 126 : 127));
  for (int i = len < 126 ? -1 : len < 65536 ? 1 : 7; i >= 0; i--) out[size++] = (char)((uint64_t)len >> 8 * i);
  memcpy(out + size, mask, 4);
  size += 4;
  for (size_t i = 0; i < len; i++) out[size++] = (char)((uint8_t)payload[i] ^ mask[i & 3]);
  return size;
}

void ws_send(int fd, int first, const char *payload, size_t len) {
  static char bytes[300000];
  client_send_bytes(fd, bytes, ws_frame(bytes, first, payload, len));
}

int ws_open(const char *head) {
  int fd = client_open();
  client_send(fd, head);
  client_send(fd, "\r\n");
  ck_assert_ptr_nonnull(strstr(client_read(fd, 1), "HTTP/1.1 101 "));
  return fd;
}

static void read_bytes(int fd, char *out, size_t len) {
  size_t have = 0;
  while (have < len) {
    ssize_t n = recv(fd, out + have, len - have, 0);
    ck_assert_msg(n > 0, "the stream ends within a frame");
    have += (size_t)n;
  }
}

const char *ws_next(int fd, size_t *len) {
  static char text[300000];
  uint8_t head[8];
  read_bytes(fd, (char *)head, 2);
  ck_assert((head[0] & 0xf0) == 0x80 && !(head[1] & 0x80));
  size_t size = head[1], extra = size == 127 ? 8 : size == 126 ? 2 : 0;
  int at = snprintf(text, sizeof text, "[%d ", head[0] & 0x0f);
  if (extra) {
    size = 0;
    read_bytes(fd, (char *)head, extra);
    for (size_t i = 0; i < extra; i++) size = size << 8 | head[i];
    ck_assert_uint_ge(size, extra == 2 ? 126 : 65536);
  }
  ck_assert_uint_lt((size_t)at + size + 2, sizeof text);
  read_bytes(fd, text + at, size);
  memcpy(text + at + size, "]", 2);
  *len = size;
  return text;
}

void ws_expect(int fd, const char *text) {
  size_t len;
  ck_assert_str_eq(ws_next(fd, &len), text);
}
