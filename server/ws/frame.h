/* frame.h - WebSocket framing (RFC 6455 section 5): pure, resumable, bounded, no extensions. */
#ifndef TCD_WS_FRAME_H
#define TCD_WS_FRAME_H

#include "base/buf.h"
#include "server/live/hub.h"

#define TCD_WS_MESSAGE_MAX (128u << 10) /* of one message from a client, all fragments; 1009 beyond */

enum { TCD_WS_CONTINUATION = 0, TCD_WS_TEXT = 1, TCD_WS_BINARY = 2, TCD_WS_CLOSE = 8, TCD_WS_PING = 9, TCD_WS_PONG = 10 };

typedef struct tcd_ws_parser {
  tci_buf held;                       /* the fragments of a message, or the part of a frame's payload that has come */
  char *control;                      /* the same of a control frame, which may come between fragments; NULL: it has not come in parts */
  uint32_t left;                      /* of the payload of the frame that is being read */
  uint8_t head[14];                   /* of that frame, as far as it has come; the mask is its last four bytes */
  uint8_t head_len, head_need, phase; /* phase: of the mask */
  uint8_t control_len;                /* how much of control has come */
  uint8_t opcode;                     /* of the message that is being put together; 0: none */
  uint8_t given;                      /* the last message stands in 1: held, 2: control */
} tcd_ws_parser;

typedef struct tcd_ws_message {
  int opcode; /* TEXT, BINARY (whole messages), CLOSE, PING, PONG */
  char *data; /* writable, valid until the next call */
  size_t len;
} tcd_ws_message;

void tcd_ws_parser_init(tcd_ws_parser *parser);
void tcd_ws_parser_free(tcd_ws_parser *parser);
/* Reads from *input (advanced; unmasked in place) to the end of the next message or control frame. 1: *message; 0: all input is used; below 0: minus the close code to fail with
 * (-1002 protocol error: unmasked, RSV bits, bad opcode, fragmented or long control frame, wrong continuation, non-minimal length; -1007 text that is not UTF-8, as early as a whole message; -1009 too long; -1011 no memory). */
int tcd_ws_next(tcd_ws_parser *parser, char **input, size_t *len, tcd_ws_message *message);
/* The code of a CLOSE payload: 1005 when empty; minus 1002 or 1007 when it is malformed (1 byte, a code that may not be sent (7.4.1), reason not UTF-8). */
int tcd_ws_close_code(const tcd_ws_message *message);

/* Appends one unmasked frame. */
void tcd_ws_put(tci_buf *out, int opcode, const char *data, size_t len);
void tcd_ws_put_close(tci_buf *out, uint16_t code, const char *reason); /* the reason is cut to 123 bytes at a character */
/* One text frame a message. */
extern const tcd_framing tcd_ws_framing;

#endif
