#include "app.h"

#include "answer.h"
#include "guards.h"
#include "handlers.h"
#include "media.h"

static const tcd_route routes[] = {
  {TCD_POST, "/api/tips", tcd_handle_create, TCD_INLINE, TCD_BODY_JSON, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_GET, "/api/tips", tcd_handle_list_tips, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_GET, "/api/tips/{}", tcd_handle_get, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_POST, "/api/tips:batch", tcd_handle_batch, TCD_WORKER, TCD_BODY_NDJSON, TCD_MEDIA_NDJSON, TC_KIND_TIP},
  {TCD_POST, "/api/reactions", tcd_handle_create, TCD_INLINE, TCD_BODY_JSON, TCD_MEDIA_JSON, TC_KIND_REACTION},
  {TCD_GET, "/api/reactions", tcd_handle_list_reactions, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_REACTION},
  {TCD_GET, "/api/reactions/{}", tcd_handle_get, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_REACTION},
  {TCD_POST, "/api/reactions:batch", tcd_handle_batch, TCD_WORKER, TCD_BODY_NDJSON, TCD_MEDIA_NDJSON, TC_KIND_REACTION},
  {TCD_GET, "/livez", tcd_handle_livez, TCD_INLINE, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/readyz", tcd_handle_readyz, TCD_INLINE, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

/* All that is asked before any handler. 1: *match says who serves it; 0: the reply is filled. */
static int admit(tcd_app *app, const tcd_request *request, tcd_reply *reply, tcd_match *match) {
  reply->request = request;
  if (tcd_guard_host(app->config, request, reply) || tcd_guard_origin(app->config, request, reply)) return 0;
  unsigned methods = tcd_route_find(routes, ROUTE_COUNT, tcd_method(request->method), request->path, match);
  if (tcd_guard_method(methods, request, reply)) return 0;
  return !tcd_guard_media(match->route, request, reply);
}

void tcd_app_request(void *userdata, const tcd_request *request, tcd_reply *reply) {
  tcd_app *app = userdata;
  tcd_match match = {NULL, {NULL, 0}};
  if (!admit(app, request, reply, &match)) {
    tcd_reply_send(reply);
  } else if (match.route->where == TCD_WORKER) {
    tci_buf_clear(&reply->headers); /* the kitchen's reply brings its own */
    tcd_front_forward(app->front, reply);
  } else {
    match.route->handler(app, &match, request, reply);
  }
}

/* The same guards again: the kitchen makes its own reply, headers included, and a door that is checked twice costs a microsecond. */
void tcd_app_work(void *userdata, const tcd_request *request, tcd_reply *reply) {
  tcd_app *app = userdata;
  tcd_match match = {NULL, {NULL, 0}};
  if (admit(app, request, reply, &match)) match.route->handler(app, &match, request, reply);
  else tcd_reply_send(reply);
}

void tcd_app_refusal(void *userdata, const tcd_request *request, int status, const char *message, tcd_reply *reply) {
  const tcd_app *app = userdata;
  reply->request = request;
  (void)tcd_guard_origin(app->config, request, reply); /* a page that may call may also read why it was refused; what the guard says otherwise is overwritten */
  tcd_answer_error(reply, status, message);
}

uint32_t tcd_app_body_limit(void *userdata, const tcd_request *request) {
  const tcd_app *app = userdata;
  tcd_match match = {NULL, {NULL, 0}};
  unsigned method = tcd_method(request->method);
  unsigned methods = tcd_route_find(routes, ROUTE_COUNT, method, request->path, &match);
  return (methods & method) && match.route->body == TCD_BODY_NDJSON ? (uint32_t)app->config->max_batch_bytes : 0;
}
