/* websocket.c - SockJS's own coding on a WebSocket: o, a[...], h, c[...]. */
#include <string.h>

#include "server/sockjs/state.h"

static void put_array(tc_text message, tci_buf *out) {
  char head[12];
  size_t len = tcd_sockjs_string_len(message) + 3, size = len < 126 ? 2 : len < 65536 ? 4 : 10;
  size_t before = out->len;
  /* A WebSocket head, then a[...] written in place: no second buffer for what every frame needs. */
  head[0] = (char)(0x80 | TCD_WS_TEXT);
  head[1] = (char)(len < 126 ? len : size == 4 ? 126 : 127);
  for (size_t i = 2; i < size; i++) head[i] = (char)((uint64_t)len >> 8 * (size - 1 - i));
  (void)tci_buf_append(out, head, size);
  (void)tci_buf_puts(out, "a[");
  tcd_sockjs_put_string(out, message);
  (void)tci_buf_puts(out, "]");
  if (out->err) out->len = before;
}

static const tcd_framing framing = {"sockjs-websocket", put_array};

static void put_frame(tcd_ws *ws, const char *data, size_t len) {
  tcd_ws_put(tcd_outlet_own(&ws->outlet), TCD_WS_TEXT, data, len);
  tcd_outlet_wrote(&ws->outlet);
}

static void on_opened(tcd_ws *ws) { put_frame(ws, "o", 1); }

static int on_incoming(tcd_ws *ws, char *data, size_t len) {
  char *at = data, *message;
  size_t message_len;
  if (!len) return 0;
  if (tcd_sockjs_count((tc_text){data, len}) < 0) return 0xFFFF; /* "the server must abruptly terminate the connection" */
  while (!ws->closing && (message = tcd_sockjs_next(&at, data + len, &message_len)) != NULL) ws->pipe.service->message(&ws->pipe, message, message_len);
  return 0;
}

static void on_closing(tcd_ws *ws, uint16_t code, const char *reason) {
  tci_buf frame;
  tci_buf_init(&frame, 1024);
  tcd_session_put_close(&frame, code, reason);
  if (!frame.err) put_frame(ws, frame.data, frame.len);
  tci_buf_free(&frame);
}

const tcd_ws_coding tcd_sockjs_coding = {
  .framing = &framing, .opened = on_opened, .incoming = on_incoming, .closing = on_closing, .beat_ms = 25000, .beat = "\x81\x01h", .plain_close = 1};
