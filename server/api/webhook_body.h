/* webhook_body.h - what a client says about a webhook, read from JSON. */
#ifndef TCD_API_WEBHOOK_BODY_H
#define TCD_API_WEBHOOK_BODY_H

#include "server/exchange.h"

/* NULL: not given (or null). Texts are owned by storage. */
typedef struct tcd_webhook_body {
  const char *room_id, *url, *events, *secret, *description;
  int ordered;                                      /* -1: not given */
  int room_null;                                    /* 1: roomId is null, as said: all rooms */
  int64_t overlap_s, delivery_id, from_seq, to_seq; /* -1: not given */
  const char *from, *to;
  char *storage; /* owned */
} tcd_webhook_body;

/* 0, or -1 with the reply filled: a 400 that names the member. storage is to be tci_free'd either way. */
int tcd_webhook_body_read(const tcd_request *request, tcd_webhook_body *out, tcd_reply *reply);

#endif
