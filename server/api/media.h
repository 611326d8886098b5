/* media.h - Content-Type and Accept (RFC 9110 8.3, 12.5.1). Pure. */
#ifndef TCD_API_MEDIA_H
#define TCD_API_MEDIA_H

#include "server/exchange.h"

#define TCD_MEDIA_JSON "application/json"
#define TCD_MEDIA_NDJSON "application/x-ndjson"
#define TCD_MEDIA_CSV "text/csv"
#define TCD_MEDIA_EVENTS "text/event-stream"

/* What a body may be. Parameters (charset=...) are passed over: JSON is UTF-8, whatever they say. */
int tcd_media_is_json(tc_text content_type);   /* application/json, application/xyz+json */
int tcd_media_is_ndjson(tc_text content_type); /* application/x-ndjson, application/ndjson, application/jsonl, application/json */

/* How much the request's Accept headers want a reply of that type, 0 (not at all) to 1000: the most specific range that matches it decides, no Accept takes all. */
int tcd_media_weight(const tcd_request *request, const char *type);
/* 1 when they take a reply of that type, or of one of those types with commas in between. */
int tcd_media_accepted(const tcd_request *request, const char *types);

#endif
