/* ws_kit.h - a service on WebSockets that does what it is told, and the client's half of a WebSocket, over front_kit.h. */
#ifndef TC_TESTS_WS_KIT_H
#define TC_TESTS_WS_KIT_H

#include <stddef.h>

#include "server/live/hub.h"

/* A front, a hub with an engine in memory, and on them: /ws, raw; /coded, with a coding of its own (`<...>`, o, h, c; five bytes a message; "drop" and "long" are faults);
 * /closing and /coded/closing, where the service closes from within open. Else it does as it is told: "close", "join ", "resume" (after 0; more than two events are too far),
 * "heard" (when the client was last heard of). The rest is echoed. */
extern tcd_hub *ws_hub;
extern tc_engine *ws_engine;
extern _Atomic int ws_opened, ws_closed, ws_messages; /* what the service was called for */
extern int ws_refuses;                                /* 1: the service cannot open. Before ws_begin */
void ws_begin(void);
void ws_end(void); /* fails unless every service that was opened has heard of its end, once */
void ws_tip(void);

/* First bytes of a frame. */
enum { TEXT = 0x81, BINARY = 0x82, CLOSE = 0x88, PING = 0x89, PONG = 0x8a, TEXT_BEGINS = 0x01, CONTINUES = 0x00, CONTINUES_LAST = 0x80 };

/* The lines of a handshake, without the empty one. */
#define HEAD(path)                                                                                                 \
  "GET " path " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
int ws_open(const char *head); /* the socket, when the 101 has come */

size_t ws_frame(char *out, int first, const char *payload, size_t len); /* writes one masked frame; its size */
void ws_send(int fd, int first, const char *payload, size_t len);
#define SEND(fd, first, payload) ws_send(fd, first, payload, sizeof payload - 1)

/* The next frame as `[OPCODE PAYLOAD]`, static; it must be whole, unmasked and as short as it can be. *len: of the payload. */
const char *ws_next(int fd, size_t *len);
void ws_expect(int fd, const char *text);

#endif
