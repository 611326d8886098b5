/* transport.h - how a delivery is sent. The engine's own is curl.c; tests and hosts inject theirs. One thread uses a transport at a time. */
#ifndef TCI_WEBHOOK_TRANSPORT_H
#define TCI_WEBHOOK_TRANSPORT_H

#include "base/buf.h"
#include "webhook/policy.h"

#define TCI_RESPONSE_READ_MAX 65536
#define TCI_RESPONSE_KEEP_POINTS 1000

typedef struct tci_send {
  const char *url; /* NUL-terminated; everything here is borrowed until done */
  tc_text body;
  const char *const *headers; /* "Name: value", NULL-terminated */
  uint32_t connect_ms, total_ms;
  void *owner; /* the caller's */
} tci_send;

typedef struct tci_sent {
  int status;        /* HTTP status; 0: no answer. Beside an error: the answer began so, but broke off or came too late. */
  const char *error; /* borrowed, one line of valid UTF-8; NULL: there was a whole answer (or its first 64 KiB), of whatever status */
  tc_text
    response; /* the first characters (at most 1,000 code points) of the body as valid UTF-8 without U+0000: bad bytes are U+FFFD; empty when the peer was not public */
  int64_t retry_after_us; /* 0: none */
  int64_t duration_us;
} tci_sent;

typedef struct tci_transport tci_transport;
typedef struct tci_transport_ops {
  /* Begins; done is called by poll, exactly once, also for a URL that is refused. TC_OK, TC_ENOMEM, TC_EBUSY (too many at once), TC_ELIMIT (more than 24 headers). */
  int (*begin)(tci_transport *transport, tci_send *send);
  /* Gives up on one that is not done: done is not called. */
  void (*abort)(tci_transport *transport, tci_send *send);
  /* Waits until something moves, wake was called, or timeout_ms passed (negative: no limit); may return earlier. Calls done for what is finished; done may begin and abort.
   * TC_OK, TC_ENOMEM, TC_EUNKNOWN. */
  int (*poll)(tci_transport *transport, int timeout_ms);
  void (*wake)(tci_transport *transport); /* any thread */
  void (*close)(tci_transport *transport);
} tci_transport_ops;

struct tci_transport {
  const tci_transport_ops *ops;
  void (*done)(void *userdata, tci_send *send, const tci_sent *sent);
  void *userdata;
};

/* libcurl's multi interface: keep-alive, HTTP/2 over TLS where offered, certificates verified, redirects not followed, http and https only, no proxy from the environment, no
 * netrc, no cookies, no signal; the address is checked in CURLOPT_OPENSOCKETFUNCTION, so what is checked is what is connected to, each time; a connection that is used again was
 * checked when it was made. policy must outlive it; a change between calls counts for new connections. max_connections is also how many may be begun at once; those beyond
 * max_per_host (0: no limit; a host is a name with a port) wait inside, and their time runs. TC_OK, TC_ENOMEM. */
int tci_curl_open(tci_transport **out, const tci_policy *policy, uint32_t max_connections, uint32_t max_per_host,
                  void (*done)(void *, tci_send *, const tci_sent *), void *userdata);

#endif
