/* hook_kit.h - an engine without threads whose webhooks go to a transport that the test answers (fake_transport_kit.h), under a clock that only the test moves (engine_kit.h). */
#ifndef HOOK_KIT_H
#define HOOK_KIT_H

#include "engine_kit.h"
#include "fake_transport_kit.h"

#define SECOND INT64_C(1000000)

typedef struct host {
  kit k;
  fake_transport f;
  tc_webhook_options hooks; /* to change between kit_close and kit_open */
} host;

void host_open(host *h, int backend);
void host_close(host *h);
int64_t host_hook(host *h, const char *url, uint32_t flags); /* of all events, with the secret "s3cret" */
int host_is_readable(host *h, int timeout_ms);
void host_run_idle(host *h); /* until nothing is left that does not wait for time */
void host_pass_time(host *h, int64_t us);
void host_land(host *h, int status); /* the first that is on its way is answered so */
int host_is_enabled(host *h, int64_t id);

typedef struct logged {
  int64_t total;
  int n;
  struct {
    int attempt, status, success;
    char response[4096], error[1024];
    size_t response_len;
  } row[32]; /* newest first */
} logged;
void host_keep(const tc_webhook_delivery *delivery, void *logged);
void host_read_log(host *h, int64_t id, logged *out); /* a second passes: the ledger is written now and then */

#endif
