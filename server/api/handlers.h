/* handlers.h - the handlers of the router's table. See router.h for the signature, exchange.h for its rules. */
#ifndef TCD_API_HANDLERS_H
#define TCD_API_HANDLERS_H

#include "app.h"

void tcd_handle_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);          /* POST /api/tips, /api/reactions */
void tcd_handle_activity_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply); /* POST /api/events */
void tcd_handle_activity_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);   /* GET /api/events/{type} */
void tcd_handle_activity_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);    /* GET /api/events/{type}/{id} */
void tcd_handle_type_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);     /* POST /api/event-types */
void tcd_handle_type_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);       /* GET /api/event-types */
void tcd_handle_type_delete(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);     /* DELETE /api/event-types/{name} */
void tcd_handle_refund(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);          /* POST /api/tips/{id}/refund */
void tcd_handle_refund_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);     /* GET /api/tips/{id}/refunds */
void tcd_handle_goal_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);     /* POST /api/rooms/{roomId}/goals */
void tcd_handle_goal_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);       /* GET /api/rooms/{roomId}/goals */
void tcd_handle_goal_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);        /* GET /api/goals/{id} */
void tcd_handle_goal_close(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);      /* POST /api/goals/{id}/close */
void tcd_handle_batch(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);           /* POST /api/tips:batch ... */
void tcd_handle_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);             /* GET /api/tips/{id} ... */
void tcd_handle_list_tips(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);       /* GET /api/tips */
void tcd_handle_list_reactions(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);  /* GET /api/reactions */
void tcd_handle_room_events(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);     /* GET /api/rooms/{roomId}/events */
void tcd_handle_events(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);          /* GET /api/events */
void tcd_handle_stats(tcd_app *app, const tcd_match *match, const tcd_request *request,
                      tcd_reply *reply); /* GET /api/analytics/stats, .../rooms/{roomId}/stats */
void tcd_handle_stats_emojis(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);     /* .../emojis */
void tcd_handle_stats_recipients(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply); /* .../recipients */
void tcd_handle_board(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);      /* GET /api/leaderboards, .../rooms/{roomId} */
void tcd_handle_board_user(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply); /* GET /api/leaderboards/users/{userId} */
void tcd_handle_board_room_user(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply); /* .../rooms/{roomId}/users/{userId} */
void tcd_handle_webhook_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_update(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_delete(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_enable(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_disable(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_test(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_resend(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_replay(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_webhook_deliveries(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_livez(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);
void tcd_handle_readyz(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);

#endif
