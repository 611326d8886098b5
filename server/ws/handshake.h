/* handshake.h - the opening handshake (RFC 6455 section 4.2), pure but for the hash. */
#ifndef TCD_WS_HANDSHAKE_H
#define TCD_WS_HANDSHAKE_H

#include "server/exchange.h"

/* 1 when the request asks to become a WebSocket at all (Upgrade holds "websocket" and Connection holds "upgrade", as lists, over all lines, any case). */
int tcd_ws_is_upgrade(const tcd_request *request);
/* Appends the whole 101 response with its blank line to out. protocols: those we speak, NULL-terminated, NULL: none; the client's first that is among them is named, else none.
 * extra: more header lines ("Name: value\r\n"), may be NULL. 0, or the status to refuse with (400, 405, 426 with Sec-WebSocket-Version: 13 put into reply headers) and *message static. */
int tcd_ws_handshake(const tcd_request *request, const char *const *protocols, const char *extra, tci_buf *out, const char **message);

#endif
