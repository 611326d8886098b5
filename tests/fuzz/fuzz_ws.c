/* Any bytes as what a WebSocket client sends: whole, byte by byte and in odd pieces it has the same messages and the same fault; what is accepted keeps the rules of RFC 6455, and comes
 * back the same when the server writes it and it is masked again. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "server/ws/frame.h"

#define OUT_MAX (64u << 20)

static void check_message(const tcd_ws_message *message) {
  int control = message->opcode >= TCD_WS_CLOSE;
  HOLDS(message->data && message->len <= (control ? 125u : TCD_WS_MESSAGE_MAX));
  HOLDS(message->opcode == TCD_WS_TEXT || message->opcode == TCD_WS_BINARY || (control && message->opcode <= TCD_WS_PONG));
  if (message->opcode == TCD_WS_TEXT) HOLDS(tci_utf8_valid(message->data, message->len, NULL));
  if (message->opcode != TCD_WS_CLOSE) return;
  int code = tcd_ws_close_code(message);
  HOLDS(code == -1002 || code == -1007 || (code >= 1000 && code < 5000));
  if (code > 0) HOLDS(message->len ? message->len >= 2 : code == 1005);
}

/* A server's frame is a client's when a mask is put in; a mask of zeros changes nothing. */
static void check_written(const tcd_ws_message *message) {
  tci_buf frame, masked;
  tcd_ws_parser parser;
  tcd_ws_message again;
  tci_buf_init(&frame, OUT_MAX);
  tci_buf_init(&masked, OUT_MAX);
  tcd_ws_put(&frame, message->opcode, message->data, message->len);
  HOLDS(!frame.err && frame.len >= message->len + 2);
  size_t head = frame.len - message->len;
  (void)tci_buf_append(&masked, frame.data, head);
  (void)tci_buf_append(&masked, "\0\0\0\0", 4);
  (void)tci_buf_append(&masked, frame.data + head, message->len);
  HOLDS(!masked.err && !(masked.data[1] & 0x80));
  masked.data[1] = (char)(masked.data[1] | 0x80);
  char *at = masked.data;
  size_t len = masked.len;
  tcd_ws_parser_init(&parser);
  HOLDS(tcd_ws_next(&parser, &at, &len, &again) == 1 && !len);
  HOLDS(again.opcode == message->opcode && again.len == message->len && (!again.len || !memcmp(again.data, message->data, again.len)));
  tcd_ws_parser_free(&parser);
  tci_buf_free(&frame);
  tci_buf_free(&masked);
}

/* Each piece lies in memory of its own, so that a sanitizer sees a byte too far. */
static void read_all(const char *data, size_t size, size_t step, tci_buf *out) {
  tcd_ws_parser parser;
  int rc = 0;
  tcd_ws_parser_init(&parser);
  tci_buf_init(out, OUT_MAX);
  for (size_t from = 0; from < size && rc >= 0; from += step) {
    size_t left = size - from < step ? size - from : step;
    char *piece = tci_alloc(left), *at = piece;
    HOLDS(piece);
    memcpy(piece, data + from, left);
    do {
      tcd_ws_message message;
      size_t before = left;
      rc = tcd_ws_next(&parser, &at, &left, &message);
      HOLDS(left <= before && rc <= 1 && rc != -1011 && parser.held.len <= TCD_WS_MESSAGE_MAX);
      if (!rc) HOLDS(!left);
      if (rc < 0) (void)tci_buf_printf(out, "!%d", -rc);
      if (rc <= 0) continue;
      HOLDS(left < before);
      check_message(&message);
      check_written(&message);
      (void)tci_buf_printf(out, "%d:%zu:", message.opcode, message.len);
      (void)tci_buf_append(out, message.data, message.len);
    } while (rc > 0);
    tci_free(piece);
  }
  HOLDS(!out->err);
  tcd_ws_parser_free(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const size_t steps[] = {1, 2, 3, 7, 64, 1000};
  const char *data = (const char *)bytes;
  tci_buf whole, pieces;
  read_all(data, size, size ? size : 1, &whole);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    read_all(data, size, steps[i], &pieces);
    HOLDS(whole.len == pieces.len && (!whole.len || !memcmp(whole.data, pieces.data, whole.len)));
    tci_buf_free(&pieces);
  }
  tci_buf_free(&whole);
  return 0;
}
