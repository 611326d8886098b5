/* fake_transport_kit.h - a transport that the test answers: what was begun waits until the test lands it. Any number of threads may look. */
#ifndef FAKE_TRANSPORT_KIT_H
#define FAKE_TRANSPORT_KIT_H

#include <pthread.h>

#include "tipcurrent.h"

#define FAKE_SENDS_MAX 4096

typedef struct fake_transport {
  tc_transport ops; /* for tc_webhook_options.transport */
  pthread_mutex_t mutex;
  int bell_fd;
  tc_send *flying[FAKE_SENDS_MAX];
  int flying_n;
  int begun, landed, aborted, polls, refuse; /* refuse: what begin says, 0: it takes */
  int auto_status;                           /* not 0: whatever is begun is answered so by the next poll */
  char seen[FAKE_SENDS_MAX][2][96];          /* of each that was begun: webhook-id and attempt */
  tc_sent answer;                            /* what land tells */
} fake_transport;

void fake_open(fake_transport *f, int with_fd);
void fake_close(fake_transport *f); /* nothing may be flying */
/* The next poll tells the first that flies (status 0: an error). */
void fake_land(fake_transport *f, int status);
int fake_flying(fake_transport *f);
int fake_begun(fake_transport *f);
const char *fake_header(const tc_send *send, const char *name); /* its value; "" */

#endif
