/* router.h - which handler serves a method and a path. Pure: the table is the caller's. */
#ifndef TCD_API_ROUTER_H
#define TCD_API_ROUTER_H

#include "server/exchange.h"

typedef struct tcd_app tcd_app;
typedef struct tcd_route tcd_route;

enum { TCD_GET = 1, TCD_POST = 2, TCD_PUT = 4, TCD_PATCH = 8, TCD_DELETE = 16 };
enum {
  TCD_INLINE,
  TCD_WORKER,
  TCD_SHORT_INLINE
};                                  /* on the reactor's thread, never blocking; in the kitchen; by the length of the body, which tells how long it takes */
#define TCD_SHORT_BODY_BYTES 16384u /* up to here it is inline */
enum { TCD_BODY_NONE, TCD_BODY_JSON, TCD_BODY_NDJSON, TCD_BODY_JSON_OR_NONE };

typedef struct tcd_match {
  const tcd_route *route;
  tc_text param; /* what stands for {} in the path, of several all from the first to the last; still percent-encoded; points into the request */
} tcd_match;

static inline int tcd_is_short(const tcd_request *request) { return request->body.len <= TCD_SHORT_BODY_BYTES; }

typedef void (*tcd_handler)(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);

struct tcd_route {
  unsigned method;     /* TCD_GET ... ; HEAD is served by GET's handler */
  const char *pattern; /* "/api/tips/{}": {} is one segment, not empty */
  tcd_handler handler;
  int where;
  int body;             /* what Content-Type it takes */
  const char *produces; /* the media type of its reply, held against Accept */
  uint32_t kind;        /* TC_KIND_X of the events that it is about; 0: none */
};

unsigned tcd_method(tc_text name); /* TCD_X; 0: none that any route has. HEAD is TCD_GET */

/* Finds the first route for a path and a method, so those that are asked for most stand first. Segments are compared percent-decoded, so that %2F in one does not divide it; a trailing
 * slash is another path. Returns the methods of the path's routes up to that one and fills *match; where there is none, all methods that the path has: 405 (or OPTIONS), and 0 is 404. */
unsigned tcd_route_find(const tcd_route *routes, size_t count, unsigned method, tc_text path, tcd_match *match);

#endif
