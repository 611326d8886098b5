#include "app.h"

#include <stdio.h>

#include "answer.h"
#include "guards.h"
#include "handlers.h"
#include "media.h"
#include "server/live/boards.h"
#include "server/live/goals.h"

#define STATS_MEDIA TCD_MEDIA_JSON ", " TCD_MEDIA_CSV

static const tcd_route routes[] = {
  {TCD_POST, "/api/tips", tcd_handle_create, TCD_INLINE, TCD_BODY_JSON, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_GET, "/api/tips", tcd_handle_list_tips, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_GET, "/api/tips/{}", tcd_handle_get, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_POST, "/api/tips/{}/refund", tcd_handle_refund, TCD_WORKER, TCD_BODY_JSON_OR_NONE, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_GET, "/api/tips/{}/refunds", tcd_handle_refund_list, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_TIP},
  {TCD_POST, "/api/tips:batch", tcd_handle_batch, TCD_SHORT_INLINE, TCD_BODY_NDJSON, TCD_MEDIA_NDJSON, TC_KIND_TIP},
  {TCD_POST, "/api/reactions", tcd_handle_create, TCD_INLINE, TCD_BODY_JSON, TCD_MEDIA_JSON, TC_KIND_REACTION},
  {TCD_GET, "/api/reactions", tcd_handle_list_reactions, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_REACTION},
  {TCD_GET, "/api/reactions/{}", tcd_handle_get, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, TC_KIND_REACTION},
  {TCD_POST, "/api/reactions:batch", tcd_handle_batch, TCD_SHORT_INLINE, TCD_BODY_NDJSON, TCD_MEDIA_NDJSON, TC_KIND_REACTION},
  {TCD_POST, "/api/webhooks", tcd_handle_webhook_create, TCD_WORKER, TCD_BODY_JSON, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/webhooks", tcd_handle_webhook_list, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/webhooks/{}", tcd_handle_webhook_get, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_PATCH, "/api/webhooks/{}", tcd_handle_webhook_update, TCD_WORKER, TCD_BODY_JSON, TCD_MEDIA_JSON, 0},
  {TCD_DELETE, "/api/webhooks/{}", tcd_handle_webhook_delete, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_PATCH, "/api/webhooks/{}/enable", tcd_handle_webhook_enable, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_PATCH, "/api/webhooks/{}/disable", tcd_handle_webhook_disable, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_POST, "/api/webhooks/{}/test", tcd_handle_webhook_test, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_POST, "/api/webhooks/{}/resend", tcd_handle_webhook_resend, TCD_WORKER, TCD_BODY_JSON, TCD_MEDIA_JSON, 0},
  {TCD_POST, "/api/webhooks/{}/replay", tcd_handle_webhook_replay, TCD_WORKER, TCD_BODY_JSON, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/webhooks/{}/deliveries", tcd_handle_webhook_deliveries, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/rooms/{}/events", tcd_handle_room_events, TCD_INLINE, TCD_BODY_NONE, TCD_MEDIA_EVENTS, 0},
  {TCD_GET, "/api/events", tcd_handle_events, TCD_INLINE, TCD_BODY_NONE, TCD_MEDIA_EVENTS, 0},
  {TCD_GET, "/api/analytics/rooms/{}/stats", tcd_handle_stats, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/analytics/rooms/{}/emojis", tcd_handle_stats_emojis, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/analytics/rooms/{}/recipients", tcd_handle_stats_recipients, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/analytics/stats", tcd_handle_stats, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/analytics/emojis", tcd_handle_stats_emojis, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/analytics/recipients", tcd_handle_stats_recipients, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/leaderboards", tcd_handle_board, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/leaderboards/users/{}", tcd_handle_board_user, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/leaderboards/rooms/{}", tcd_handle_board, TCD_WORKER, TCD_BODY_NONE, STATS_MEDIA, 0},
  {TCD_GET, "/api/leaderboards/rooms/{}/users/{}", tcd_handle_board_room_user, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_POST, "/api/events", tcd_handle_activity_create, TCD_INLINE, TCD_BODY_JSON, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/events/{}", tcd_handle_activity_list, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/events/{}/{}", tcd_handle_activity_get, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_POST, "/api/rooms/{}/goals", tcd_handle_goal_create, TCD_WORKER, TCD_BODY_JSON, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/rooms/{}/goals", tcd_handle_goal_list, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/goals/{}", tcd_handle_goal_get, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_POST, "/api/goals/{}/close", tcd_handle_goal_close, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_POST, "/api/event-types", tcd_handle_type_create, TCD_WORKER, TCD_BODY_JSON, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/api/event-types", tcd_handle_type_list, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_DELETE, "/api/event-types/{}", tcd_handle_type_delete, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/livez", tcd_handle_livez, TCD_INLINE, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
  {TCD_GET, "/readyz", tcd_handle_readyz, TCD_INLINE, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

static int is_stranger(tcd_app *app, const tcd_request *request, tcd_reply *reply) {
  reply->request = request;
  return tcd_guard_host(app->config, request, reply) || tcd_guard_origin(app->config, request, reply);
}

/* What is asked before any handler of the table. 1: *match says who serves it; 0: the reply is filled. */
static int find(const tcd_request *request, tcd_reply *reply, tcd_match *match) {
  unsigned methods = tcd_route_find(routes, ROUTE_COUNT, tcd_method(request->method), request->path, match);
  if (tcd_guard_method(methods, request, reply)) return 0;
  return !tcd_guard_media(match->route, request, reply);
}

void tcd_app_request(void *userdata, const tcd_request *request, tcd_reply *reply) {
  tcd_app *app = userdata;
  tcd_match match = {NULL, {NULL, 0}};
  if (is_stranger(app, request, reply)) {
    tcd_reply_send(reply);
  } else if (app->live && tcd_sockjs_request(app->live, request, reply)) {
    return;
  } else if (!find(request, reply, &match)) {
    tcd_reply_send(reply);
  } else if (match.route->where == TCD_WORKER || (match.route->where == TCD_SHORT_INLINE && !tcd_is_short(request))) {
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
  if (!is_stranger(app, request, reply) && find(request, reply, &match)) match.route->handler(app, &match, request, reply);
  else tcd_reply_send(reply);
}

int tcd_app_open_live(tcd_app *app, const tc_log *log, char *error, size_t error_size) {
  static const char *const protocols[] = {"v12.stomp", "v11.stomp", "v10.stomp", NULL};
  const tcd_config *config = app->config;
  tcd_hub_options hub = {.front = app->front, .engine = app->engine, .log = log};
  hub.max_lag_bytes = config->live_max_lag_bytes;
  hub.max_lag_ms = (uint32_t)config->live_max_lag_ms;
  hub.max_replay = config->live_max_replay;
  int rc = tcd_hub_open(&app->hub, &hub);
  if (!rc) rc = tcd_boards_watch(app->hub);
  if (!rc) rc = tcd_goals_watch(app->hub);
  if (rc) goto fail;
  tcd_stomp_init(&app->stomp, app->hub);
  tcd_sockjs_options mount = {
    .prefix = "/ws", .hub = app->hub, .service = &app->stomp.service, .protocols = protocols, .websocket = 1, .raw_on_prefix = 1, .refuse = tcd_answer_error};
  mount.client_url = config->sockjs_client_url;
  mount.max_sessions = (uint32_t)config->max_connections;
  mount.max_session_bytes = config->live_max_lag_bytes;
  rc = tcd_sockjs_open(&app->live, &mount);
  if (!rc) return TC_OK;

fail:
  (void)snprintf(error, error_size, "cannot start the live side: %s", tc_strerror(rc));
  return rc;
}

void tcd_app_close_live(tcd_app *app) {
  tcd_sockjs_close(app->live);
  tcd_hub_close(app->hub);
  app->live = NULL;
  app->hub = NULL;
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
