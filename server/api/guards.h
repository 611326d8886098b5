/* guards.h - who may come and what may be asked, before any handler runs. Each returns 0 to let pass; 1 when it has filled the reply. */
#ifndef TCD_API_GUARDS_H
#define TCD_API_GUARDS_H

#include "router.h"
#include "server/config/options.h"

/* A page in a browser that rebinds its own name to our address (DNS rebinding) still sends its name in Host: 421. */
int tcd_guard_host(const tcd_config *config, const tcd_request *request, tcd_reply *reply);
/* A page of a foreign origin: 403. A welcome one gets its CORS headers, on errors too. */
int tcd_guard_origin(const tcd_config *config, const tcd_request *request, tcd_reply *reply);
/* methods: what tcd_route_find has returned. 404, 405, and the answer to OPTIONS. */
int tcd_guard_method(unsigned methods, const tcd_request *request, tcd_reply *reply);
/* 415 and 406: before anything is stored, so that a client may take a 4xx for "not done". */
int tcd_guard_media(const tcd_route *route, const tcd_request *request, tcd_reply *reply);

#endif
