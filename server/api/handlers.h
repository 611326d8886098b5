/* handlers.h - the handlers of the router's table. See router.h for the signature, exchange.h for its rules. */
#ifndef TCD_API_HANDLERS_H
#define TCD_API_HANDLERS_H

#include "app.h"

void tcd_handle_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);         /* POST /api/tips, /api/reactions */
void tcd_handle_batch(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);          /* POST /api/tips:batch ... */
void tcd_handle_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);            /* GET /api/tips/{id} ... */
void tcd_handle_list_tips(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);      /* GET /api/tips */
void tcd_handle_list_reactions(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply); /* GET /api/reactions */
void tcd_handle_room_events(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);    /* GET /api/rooms/{roomId}/events */
void tcd_handle_events(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply);         /* GET /api/events */
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
