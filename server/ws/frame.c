#include "server/ws/frame.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define CONTROL_MAX 125 /* RFC 6455 5.5 */

enum { PROTOCOL = -1002, NOT_UTF8 = -1007, TOO_LONG = -1009, NO_MEMORY = -1011 };

void tcd_ws_parser_init(tcd_ws_parser *parser) {
  memset(parser, 0, sizeof *parser);
  tci_buf_init(&parser->held, TCD_WS_MESSAGE_MAX);
}

static void drop_control(tcd_ws_parser *parser) {
  tci_free(parser->control);
  parser->control = NULL;
  parser->control_len = 0;
}

void tcd_ws_parser_free(tcd_ws_parser *parser) {
  tci_buf_free(&parser->held);
  drop_control(parser);
}

static int opcode_of(const tcd_ws_parser *parser) { return parser->head[0] & 0x0f; }
static int is_last(const tcd_ws_parser *parser) { return parser->head[0] & 0x80; }
static int is_control(const tcd_ws_parser *parser) { return parser->head[0] & 0x08; }

/* The first two bytes are there: what they must not say (5.2, 5.4, 5.5), and how long the head is. */
static int begin_head(tcd_ws_parser *parser) {
  int opcode = opcode_of(parser), short_len = parser->head[1] & 0x7f;
  if (parser->head[0] & 0x70) return PROTOCOL;    /* no extension was agreed on */
  if (!(parser->head[1] & 0x80)) return PROTOCOL; /* a client masks */
  if (is_control(parser)) {
    if (opcode > TCD_WS_PONG || !is_last(parser) || short_len > CONTROL_MAX) return PROTOCOL;
  } else if (opcode > TCD_WS_BINARY || (opcode == TCD_WS_CONTINUATION) != (parser->opcode != 0)) {
    return PROTOCOL;
  }
  parser->head_need = (uint8_t)(6 + (short_len == 126 ? 2 : short_len == 127 ? 8 : 0));
  return 0;
}

/* The head is whole. */
static int end_head(tcd_ws_parser *parser) {
  uint64_t len = parser->head[1] & 0x7f;
  int extra = parser->head_need - 6;
  if (extra) {
    len = 0;
    for (int i = 0; i < extra; i++) len = len << 8 | parser->head[2 + i];
    if (len < (extra == 2 ? 126u : 65536u)) return PROTOCOL; /* "the minimal number of bytes MUST be used" */
  }
  if (!is_control(parser)) {
    if (len > TCD_WS_MESSAGE_MAX - parser->held.len) return TOO_LONG;
    if (opcode_of(parser) != TCD_WS_CONTINUATION) parser->opcode = (uint8_t)opcode_of(parser);
  }
  parser->left = (uint32_t)len;
  parser->phase = 0;
  return 0;
}

/* 1: the head is whole, 0: more is needed. */
static int read_head(tcd_ws_parser *parser, char **input, size_t *len) {
  while (parser->head_len < 2 || parser->head_len < parser->head_need) {
    if (!*len) return 0;
    parser->head[parser->head_len++] = (uint8_t) * (*input)++;
    (*len)--;
    int rc = parser->head_len == 2 ? begin_head(parser) : 0;
    if (!rc && parser->head_len >= 2 && parser->head_len == parser->head_need) rc = end_head(parser);
    if (rc) return rc;
  }
  return 1;
}

static void unmask(tcd_ws_parser *parser, char *bytes, size_t len) {
  uint8_t mask[8];
  uint64_t wide, word;
  size_t i = 0;
  for (size_t k = 0; k < 8; k++) mask[k] = parser->head[parser->head_need - 4 + (int)((parser->phase + k) & 3)];
  memcpy(&wide, mask, 8);
  for (; i + 8 <= len; i += 8) {
    memcpy(&word, bytes + i, 8);
    word ^= wide;
    memcpy(bytes + i, &word, 8);
  }
  for (; i < len; i++) bytes[i] = (char)((uint8_t)bytes[i] ^ mask[i & 7]);
  parser->phase = (uint8_t)((parser->phase + len) & 3);
}

static int finish(int opcode, char *data, size_t len, tcd_ws_message *message) {
  if (opcode == TCD_WS_TEXT && !tci_utf8_valid(data, len, NULL)) return NOT_UTF8;
  *message = (tcd_ws_message){opcode, data, len};
  return 1;
}

static size_t held_len(const tcd_ws_parser *parser) { return is_control(parser) ? parser->control_len : parser->held.len; }

static int hold(tcd_ws_parser *parser, const char *bytes, size_t len) {
  if (!is_control(parser)) return tci_buf_append(&parser->held, bytes, len) ? NO_MEMORY : 0;
  if (!parser->control) parser->control = tci_alloc(CONTROL_MAX);
  if (!parser->control) return NO_MEMORY;
  memcpy(parser->control + parser->control_len, bytes, len);
  parser->control_len = (uint8_t)(parser->control_len + len);
  return 0;
}

/* The frame's payload is all there: in place at data, or (data NULL) at the end of its buffer. */
static int end_frame(tcd_ws_parser *parser, char *data, size_t len, tcd_ws_message *message) {
  int control = is_control(parser), opcode = control ? opcode_of(parser) : parser->opcode, last = is_last(parser);
  if (!data) {
    data = control ? parser->control : parser->held.data;
    len = held_len(parser);
    if (last) parser->given = control ? 2 : 1;
  }
  parser->head_len = parser->head_need = 0;
  if (!last) return 0;
  if (!control) parser->opcode = 0;
  return finish(opcode, data, len, message);
}

static int read_payload(tcd_ws_parser *parser, char **input, size_t *len, tcd_ws_message *message) {
  size_t piece = parser->left < *len ? parser->left : *len;
  char *at = *input;
  unmask(parser, at, piece);
  *input += piece;
  *len -= piece;
  parser->left -= (uint32_t)piece;
  /* A whole message in one piece is passed on where it stands. */
  if (!parser->left && !held_len(parser) && is_last(parser)) return end_frame(parser, at, piece, message);
  if (hold(parser, at, piece)) return NO_MEMORY;
  return parser->left ? 0 : end_frame(parser, NULL, 0, message);
}

int tcd_ws_next(tcd_ws_parser *parser, char **input, size_t *len, tcd_ws_message *message) {
  if (parser->given == 1) tci_buf_free(&parser->held);
  if (parser->given == 2) drop_control(parser);
  parser->given = 0;
  for (;;) {
    int rc = read_head(parser, input, len);
    if (rc <= 0) return rc;
    if (parser->left && !*len) return 0;
    rc = read_payload(parser, input, len, message);
    if (rc) return rc;
    if (!*len) return 0;
  }
}

int tcd_ws_close_code(const tcd_ws_message *message) {
  if (!message->len) return 1005;
  if (message->len == 1) return PROTOCOL;
  int code = (uint8_t)message->data[0] << 8 | (uint8_t)message->data[1];
  int known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
  if (!known) return PROTOCOL;
  return tci_utf8_valid(message->data + 2, message->len - 2, NULL) ? code : NOT_UTF8;
}

void tcd_ws_put(tci_buf *out, int opcode, const char *data, size_t len) {
  unsigned char head[10] = {(unsigned char)(0x80 | opcode)};
  size_t size = 2;
  if (len < 126) {
    head[1] = (unsigned char)len;
  } else {
    size_t bytes = len < 65536 ? 2 : 8;
    head[1] = bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < bytes; i++) head[size++] = (unsigned char)((uint64_t)len >> 8 * (bytes - 1 - i));
  }
  if (!tci_buf_room(out, size + len)) return; /* all or nothing */
  (void)tci_buf_append(out, head, size);
  (void)tci_buf_append(out, data, len);
}

void tcd_ws_put_close(tci_buf *out, uint16_t code, const char *reason) {
  char payload[CONTROL_MAX];
  size_t len = strlen(reason);
  if (len > sizeof payload - 2) len = sizeof payload - 2;
  while (len && !tci_utf8_valid(reason, len, NULL)) len--;
  payload[0] = (char)(code >> 8);
  payload[1] = (char)(code & 0xff);
  memcpy(payload + 2, reason, len);
  tcd_ws_put(out, TCD_WS_CLOSE, payload, len + 2);
}

static void put_text(tc_text message, tci_buf *out) { tcd_ws_put(out, TCD_WS_TEXT, message.ptr, message.len); }

const tcd_framing tcd_ws_framing = {"websocket", put_text};
