/* frame.h - the STOMP frame parser (1.0, 1.1, 1.2): pure, resumable, bounded.
 *
 * STOMP is a stream: a transport's messages are cut anywhere. Feed whatever comes; frames come out one by one.
 * Spec: https://stomp.github.io/stomp-specification-1.2.html, "Augmented BNF", "Value Encoding", "Size Limits", "Repeated Header Entries".
 */
#ifndef TCD_STOMP_FRAME_H
#define TCD_STOMP_FRAME_H

#include "base/buf.h"
#include "tipcurrent.h"

#define TCD_STOMP_FRAME_MAX 65536 /* of a frame from a client, head and body, as Spring has it */
#define TCD_STOMP_HEADERS_MAX 64

enum { TCD_STOMP_10 = 0, TCD_STOMP_11 = 1, TCD_STOMP_12 = 2 };

typedef struct tcd_stomp_header {
  tc_text name, value; /* unescaped, valid UTF-8 */
} tcd_stomp_header;

typedef struct tcd_stomp_frame {
  tc_text command;
  tcd_stomp_header headers[TCD_STOMP_HEADERS_MAX];
  size_t header_count;
  tc_text body;
} tcd_stomp_frame;

/* Of a fault the session makes an ERROR frame: whatever could be read of the frame is in it. The texts are valid as a frame's are; ptr NULL: not seen. */
typedef struct tcd_stomp_fault {
  const char *what; /* static, names the header or the limit, e.g. "header: no colon" */
  int too_large;    /* the frame or its head is beyond a limit */
  tc_text command;  /* any bytes but NUL */
  tc_text receipt;  /* unescaped, valid UTF-8 */
} tcd_stomp_fault;

typedef struct tcd_stomp_parser {
  tci_buf held;  /* an incomplete frame, or nothing */
  uint32_t want; /* how long the frame in held will be, once that is known; 0: its NUL will tell */
  uint32_t look; /* how long held must be to be measured again */
  int version;   /* TCD_STOMP_X: decides escapes; set by the session after CONNECT */
  uint8_t given; /* the last frame stands in held */
} tcd_stomp_parser;

void tcd_stomp_parser_init(tcd_stomp_parser *parser);
void tcd_stomp_parser_free(tcd_stomp_parser *parser);

enum { TCD_STOMP_MORE = 0, TCD_STOMP_FRAME = 1, TCD_STOMP_BAD = -1, TCD_STOMP_NOMEM = -2 };
/* Reads from *input (advanced past what was used) up to the end of the next frame. TCD_STOMP_FRAME: *frame is filled, its texts stay valid until the next call; input may be
 * changed (escapes are resolved in place), so it must be writable. TCD_STOMP_MORE: all input is used. After TCD_STOMP_BAD the stream is lost; *fault is filled.
 * What comes out does not depend on where the pieces of a stream end; a fault may be seen later when they are small. */
int tcd_stomp_next(tcd_stomp_parser *parser, char **input, size_t *len, tcd_stomp_frame *frame, tcd_stomp_fault *fault);

/* The first header of that name (the later ones are history, 1.2 "Repeated Header Entries"); 0: there is none. */
int tcd_stomp_find(const tcd_stomp_frame *frame, const char *name, tc_text *value);

#endif
