/* sse.h - server-sent events (HTML standard, 9.2): GET /api/rooms/{roomId}/events and /api/events. */
#ifndef TCD_SSE_SSE_H
#define TCD_SSE_SSE_H

#include "server/exchange.h"
#include "server/live/hub.h"

#define TCD_SSE_BEAT_MS 15000 /* comment lines, as the standard advises against proxies that cut idle connections */

/* From on_request: answers with a stream of topic's events until the client goes. Each: `id: <seq>`, `data: <JSON>`; with types (ptr not NULL: names with commas, or "*"; copied) only those of
 * these types, and each has its type as its name: `event: follow`. resume and after_seq as in tcd_join; when resumed or not, the
 * first is `event: ready` with {"recovered":true|false,"seq":n}. cors: header lines from the guards, already in reply->headers. */
void tcd_sse_serve(tcd_hub *hub, const tcd_topic *topic, tc_text types, int resume, int64_t after_seq, const tcd_request *request, tcd_reply *reply);
/* For tests: how an event reads. shape->flags: TCD_SSE_NAMED, then shape->text holds the types. */
#define TCD_SSE_NAMED 1u
void tcd_sse_write(const tcd_shape *shape, const tc_event *event, tci_buf *out);

#endif
