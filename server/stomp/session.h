/* session.h - a STOMP session on a pipe: the state table (before CONNECT, connected, over), subscriptions, receipts, heart-beats, errors. */
#ifndef TCD_STOMP_SESSION_H
#define TCD_STOMP_SESSION_H

#include "server/front/timer.h"
#include "server/live/pipe.h"

#define TCD_STOMP_SUBSCRIPTIONS_MAX 256 /* a session */
#define TCD_STOMP_HEART_BEAT_MS 10000   /* what we offer to send and want to receive */
#define TCD_STOMP_CONNECT_MS 60000      /* a client that has not sent CONNECT by then is closed */

typedef struct tcd_stomp {
  tcd_service service; /* first; its address is what transports get */
  tcd_hub *hub;
} tcd_stomp;

/* Fills stomp, which must outlive all its sessions. */
void tcd_stomp_init(tcd_stomp *stomp, tcd_hub *hub);

#endif
