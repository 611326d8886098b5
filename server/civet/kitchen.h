/* kitchen.h - CivetWeb behind the front: worker threads for requests that may block. It listens on a free loopback port and serves the front's connections only;
 * it never meets a raw client.
 */
#ifndef TCD_CIVET_KITCHEN_H
#define TCD_CIVET_KITCHEN_H

#include "server/exchange.h"

typedef struct tcd_kitchen tcd_kitchen;

typedef struct tcd_kitchen_options {
  uint32_t threads;        /* each serves one of the front's connections at a time */
  uint64_t max_body_bytes; /* the front lets no larger one through */
  const tc_log *log;
  /* On a worker thread; the reply may be sent from another one. */
  void (*on_request)(void *app, const tcd_request *request, tcd_reply *reply);
  void *app;
} tcd_kitchen_options;

/* Starts the threads. TC_OK, or TC_ENOMEM or TC_ESTORAGE with one line in error. */
int tcd_kitchen_open(tcd_kitchen **out, const tcd_kitchen_options *options, char *error, size_t error_size);
uint16_t tcd_kitchen_port(const tcd_kitchen *kitchen);
/* The front's admit callback; userdata is the kitchen. Any thread. */
void tcd_kitchen_admit(void *userdata, uint16_t local_port, const char *peer);
/* Waits for the running requests and stops the threads; admit may still be called. */
void tcd_kitchen_stop(tcd_kitchen *kitchen);
void tcd_kitchen_close(tcd_kitchen *kitchen); /* takes NULL; stops first */

#endif
