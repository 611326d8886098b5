/* curl_kit.h - a client of the curl transport for tests: it begins deliveries, turns the transport until they are done, and keeps what became of each. */
#ifndef TEST_CURL_KIT_H
#define TEST_CURL_KIT_H

#include "receiver_kit.h"
#include "webhook/transport.h"

#define SENDS_MAX 256
#define PATIENCE_US INT64_C(30000000)
#define BODY ((tc_text){"{\"a\":\"\xc3\xab\"}", 10})

struct client;

typedef struct outcome {
  struct client *of;
  int times, status;
  char error[1000], response[4 * TCI_RESPONSE_KEEP_POINTS + 1];
  size_t response_len;
  int64_t retry_after_us, duration_us;
} outcome;

typedef struct client {
  tci_policy policy;
  tc_transport transport;
  tc_send sends[SENDS_MAX];
  char urls[SENDS_MAX][200];
  outcome outcomes[SENDS_MAX];
  int begun, done;
  int chain; /* how many more done begins by itself */
} client;

client *open_client(const char *allowed, uint32_t max, uint32_t max_per_host);
void close_client(client *self);
int start(client *self, const char *url, tc_text body, uint32_t total_ms); /* what begin says */
/* Begins self->sends[at] as the test has filled it; says what begin says. */
int start_own(client *self, int at);
void run_until(client *self, int done); /* fails the test when it takes PATIENCE_US */
const outcome *deliver(client *self, const char *url);
const outcome *deliver_within(client *self, const char *url, uint32_t total_ms);
/* Static, until the next call. */
const char *url_of(const char *host, const receiver *to, const char *path);

#endif
