/* media.h - Content-Type and Accept (RFC 9110 8.3, 12.5.1). Pure. */
#ifndef TCD_API_MEDIA_H
#define TCD_API_MEDIA_H

#include "server/exchange.h"

#define TCD_MEDIA_JSON "application/json"
#define TCD_MEDIA_NDJSON "application/x-ndjson"
#define TCD_MEDIA_EVENTS "text/event-stream"

/* What a body may be. Parameters (charset=...) are passed over: JSON is UTF-8, whatever they say. */
int tcd_media_is_json(tc_text content_type);   /* application/json, application/xyz+json */
int tcd_media_is_ndjson(tc_text content_type); /* application/x-ndjson, application/ndjson, application/jsonl, application/json */

/* 1 when the request's Accept headers take a reply of that type: the most specific range that matches it decides, no Accept takes all. */
int tcd_media_accepted(const tcd_request *request, const char *type);

#endif
