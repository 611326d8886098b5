/* reframe.h - a request as the kitchen gets it: pure. */
#ifndef TCD_FRONT_REFRAME_H
#define TCD_FRONT_REFRAME_H

#include "server/exchange.h"

/* Room for the re-framed head of any request whose head is at most head_max long. */
size_t tcd_reframe_max(size_t head_max);

/* Appends the head of request to out: origin-form target with raw non-ASCII bytes percent-encoded, exactly one Content-Length, no field of one hop only. HEAD
 * goes as GET: the front leaves the body away itself, and so its headers are the very ones that GET would give. 0 or out->err. */
int tcd_reframe(const tcd_request *request, tci_buf *out);

#endif
