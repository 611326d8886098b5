/* app.h - what the handlers share, and the two ways in: from the reactor and from the kitchen. Every request passes the same guards in the same order. */
#ifndef TCD_API_APP_H
#define TCD_API_APP_H

#include <stdatomic.h>

#include "router.h"
#include "server/config/options.h"
#include "server/front/front.h"
#include "server/sockjs/sockjs.h"
#include "server/stomp/session.h"

struct tcd_app {
  tc_engine *engine;
  tcd_front *front;
  tcd_hub *hub;
  tcd_stomp stomp;
  tcd_sockjs *live; /* /ws and below: STOMP over WebSocket and SockJS */
  const tcd_config *config;
  atomic_int stopping; /* 1: told to stop; /readyz says so */
};

/* tcd_front_options: userdata is the tcd_app. */
void tcd_app_request(void *app, const tcd_request *request, tcd_reply *reply);
void tcd_app_refusal(void *app, const tcd_request *request, int status, const char *message, tcd_reply *reply);
uint32_t tcd_app_body_limit(void *app, const tcd_request *request);
/* Opens what lives on beyond a request, on a front that does not run yet; close after it has run, before the engine. TC_OK, or a code with one line in error. */
int tcd_app_open_live(tcd_app *app, const tc_log *log, char *error, size_t error_size);
void tcd_app_close_live(tcd_app *app);
/* The kitchen's: may block. */
void tcd_app_work(void *app, const tcd_request *request, tcd_reply *reply);

#endif
