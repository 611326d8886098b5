/* response.h - the head of the kitchen's answers: pure, and as strict as the requests' side, since what it lets through reaches the client. */
#ifndef TCD_FRONT_RESPONSE_H
#define TCD_FRONT_RESPONSE_H

#include "server/exchange.h"

typedef struct tcd_response {
  int status;
  int close; /* the kitchen will close this connection */
  uint64_t content_length;
} tcd_response;

/* Reads a whole head (up to and with its empty line) and appends to headers the fields that go on to the client: all but the connection's own, Content-Length and
 * Date. 0, or -1: malformed, not final, without exactly one Content-Length, or out of memory; headers is then garbage. */
int tcd_response_parse(const char *data, size_t len, tcd_response *response, tci_buf *headers);

/* 1: a field of one hop only (RFC 9110 7.6.1), or one that the sender of a message sets itself; never passed on. */
int tcd_is_hop_field(tc_text name);

#endif
