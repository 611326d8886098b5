/* The engine's own transport: one multi handle, a pool of easy handles.
 *
 * Design notes
 *  - libcurl is loaded, and the multi handle made, by the first begin: many engines have no webhook, and it takes twice the memory of all the rest. Where it cannot be loaded each
 *    delivery ends with that as its error, which stands in the log, and is tried again like any other.
 *  - Addresses are judged in open_socket, which curl calls with the very address that it connects to. A connection that is used again was judged when it was made, by the same policy.
 *  - Signals. CURLOPT_NOSIGNAL keeps curl from SIGALRM, but also from ignoring SIGPIPE, which it could do only for the whole process; whether a TLS library writes with write(2) is up
 *    to the version (with OpenSSL curl sends by itself since 7.88). So every call that may write or start a thread is made with all signals blocked, and a SIGPIPE that came of it is
 *    taken away before the mask is put back. curl's resolver threads inherit the mask: the host's handlers never run on them. A thread of the library has them blocked all its life.
 *  - curl waits for a resolver's thread when a transfer ends before the name is known, and getaddrinfo can take half a minute: one dead name server would hold all deliveries.
 *    CURLOPT_QUICK_EXIT lets go of such a thread instead; it ends by itself, and frees what it has. It outlives the transport in the worst case, as the library must not be unloaded.
 *  - Transfers beyond max_per_host wait inside curl, which does not look at their time meanwhile; sweep does.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "curl_loop.h"
#include "libcurl.h"
#include "retry.h"
#include "text.h"
#include "tipcurrent/error.h"
#include "transport.h"

#define HEADERS_MAX 24
#define KEEP_BYTES TCI_TEXT_SIZE(TCI_RESPONSE_KEEP_POINTS)
#define EXPECT_BYTES 1024 /* no version of curl expects a 100 for less */
#define READY_MAX 64
#define SWEEP_MS 250
#define LATE_US INT64_C(500000) /* curl ends its own transfers before that */

typedef struct transfer {
  struct transfer *next, *prev; /* of active; idle uses next */
  struct curl *curl;
  CURL *easy; /* NULL: libcurl was not there when it was made */
  tc_send *send;
  struct curl_slist headers[HEADERS_MAX + 1];
  char keep[KEEP_BYTES];
  size_t kept, read, header_read; /* bytes; read is of the body */
  int64_t began_us, retry_after_us;
  const char *why; /* static, or the transport's: refused before anything was sent */
  int refused;     /* an address was not allowed */
  char url[256];   /* what the handle has, if it is not longer; "": none of ours */
  char detail[CURL_ERROR_SIZE];
} transfer;

typedef struct curl {
  const tci_policy *policy;
  CURLM *multi; /* NULL: not used yet, and libcurl perhaps not loaded */
  tci_curl_loop loop;
  int sheltered; /* its thread has all signals blocked */
  transfer *active, *idle;
  uint32_t max, max_per_host, count; /* count: of active */
  uint32_t unsent;                   /* of active: those with why, which curl does not know */
  int64_t sweep_us;
  char missing[TCI_LIBRARY_WHY_SIZE]; /* why there is no libcurl */
} curl;

typedef struct shelter {
  sigset_t before;
} shelter;

static void take_shelter(const curl *self, shelter *out) {
  sigset_t all;
  if (self->sheltered) return;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_BLOCK, &all, &out->before);
}

static void leave_shelter(const curl *self, const shelter *from) {
  sigset_t pipe;
  if (self->sheltered) return;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  /* A caller that had SIGPIPE blocked may have one of its own waiting, and is safe from ours. */
  if (!sigismember(&from->before, SIGPIPE)) {
    while (sigtimedwait(&pipe, NULL, &(struct timespec){0, 0}) == SIGPIPE) continue;
  }
  (void)pthread_sigmask(SIG_SETMASK, &from->before, NULL);
}

static curl_socket_t open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
  transfer *of = userdata;
  if (purpose != CURLSOCKTYPE_IPCXN || !tci_policy_address(of->curl->policy, &address->addr)) {
    of->refused = 1;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* May be called when the handle that made the connection is long gone. */
static int close_socket(void *userdata, curl_socket_t socket) {
  curl *self = userdata;
  tci_curl_loop_forget(&self->loop, socket);
  return close(socket);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *userdata) {
  transfer *of = userdata;
  size_t len = size * count, room = KEEP_BYTES - of->kept;
  memcpy(of->keep + of->kept, bytes, len < room ? len : room);
  of->kept += len < room ? len : room;
  of->read += len;
  return of->read <= TCI_RESPONSE_READ_MAX ? len : len + 1; /* any other number ends the transfer */
}

static size_t take_header(char *bytes, size_t size, size_t count, void *userdata) {
  static const char name[] = "Retry-After:";
  transfer *of = userdata;
  size_t len = size * count, name_len = sizeof name - 1;
  of->header_read += len;
  if (of->header_read > TCI_RESPONSE_READ_MAX) return len + 1;
  if (len >= 5 && !memcmp(bytes, "HTTP/", 5)) of->retry_after_us = 0; /* what an interim answer said */
  if (len > name_len && !strncasecmp(bytes, name, name_len)) {
    tc_text value = {bytes + name_len, len - name_len};
    while (value.len && (value.ptr[value.len - 1] == '\r' || value.ptr[value.len - 1] == '\n')) value.len--;
    of->retry_after_us = tci_retry_after_us(value, tci_sys_wall_us(NULL));
  }
  return len;
}

/* What every handle has for its whole life. */
static int set_constants(transfer *of) {
  static const struct {
    CURLoption option;
    long value;
  } numbers[] = {
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_QUICK_EXIT, 1},
    {CURLOPT_NOPROGRESS, 1},
    {CURLOPT_FOLLOWLOCATION, 0},
    {CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
    {CURLOPT_NETRC, CURL_NETRC_IGNORED},
    {CURLOPT_SSL_VERIFYPEER, 1},
    {CURLOPT_SSL_VERIFYHOST, 2},
    {CURLOPT_HTTP09_ALLOWED, 0},
    {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS},
    {CURLOPT_POST, 1},
  };
  CURLcode rc = CURLE_OK;
  for (size_t i = 0; !rc && i < sizeof numbers / sizeof numbers[0]; i++) rc = curl_easy_setopt(of->easy, numbers[i].option, numbers[i].value);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_PROTOCOLS_STR, "http,https");
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_NOPROXY, "*"); /* whatever the environment says: the address of a proxy is not the receiver's */
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_PRIVATE, of);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_ERRORBUFFER, of->detail);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_OPENSOCKETDATA, of);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_CLOSESOCKETDATA, of->curl);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_WRITEFUNCTION, take_body);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_WRITEDATA, of);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_HEADERFUNCTION, take_header);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_HEADERDATA, of);
  return rc ? TC_ENOMEM : TC_OK;
}

static void free_transfer(transfer *of) {
  if (of->easy) curl_easy_cleanup(of->easy);
  tci_free(of);
}

/* 0: no memory. */
static int equip(transfer *of) {
  if (of->easy || !of->curl->multi) return 1;
  of->easy = curl_easy_init();
  if (of->easy && !set_constants(of)) return 1;
  if (of->easy) curl_easy_cleanup(of->easy);
  of->easy = NULL;
  return 0;
}

static transfer *take_transfer(curl *self) {
  transfer *of = self->idle;
  if (!of) {
    of = tci_zalloc(sizeof *of);
    if (!of) return NULL;
    of->curl = self;
    self->idle = of;
  }
  if (!equip(of)) return NULL;
  self->idle = of->next;
  return of;
}

/* The nodes are ours and point to the caller's text: curl reads lists that were set, it neither copies nor frees them. */
static int set_headers(transfer *of, const char *const *headers) {
  static char no_expect[] = "Expect:"; /* or a large body waits a second for receivers that know no 100 */
  size_t count = 0;
  /* No more lines than needed: curl walks over all of them for each of some forty names that it wants to know about. */
  if (of->send->body.len >= EXPECT_BYTES) of->headers[count++].data = no_expect;
  for (size_t i = 0; headers && headers[i]; i++) {
    if (i == HEADERS_MAX) return TC_ELIMIT;
    of->headers[count++].data = (char *)headers[i];
  }
  for (size_t i = 0; i < count; i++) of->headers[i].next = i + 1 < count ? &of->headers[i + 1] : NULL;
  return curl_easy_setopt(of->easy, CURLOPT_HTTPHEADER, count ? of->headers : NULL) ? TC_ENOMEM : TC_OK;
}

/* The policy is asked again at each attempt: it may have changed since the URL was registered. But not while this transport lives, so what the handle has is allowed. */
static int set_url(transfer *of, const char *text) {
  tci_url url;
  size_t len = strlen(text);
  if (of->easy && len && len < sizeof of->url && !memcmp(of->url, text, len + 1)) return TC_OK;
  of->url[0] = '\0';
  if (tci_policy_url(of->curl->policy, (tc_text){text, len}, &url, &of->why)) return TC_OK;
  if (!of->easy) {
    of->why = of->curl->missing;
    return TC_OK;
  }
  if (curl_easy_setopt(of->easy, CURLOPT_URL, text)) return TC_ENOMEM;
  if (len < sizeof of->url) memcpy(of->url, text, len + 1);
  return TC_OK;
}

static int prepare(transfer *of, tc_send *send) {
  of->send = send;
  of->kept = of->read = of->header_read = 0;
  of->retry_after_us = 0;
  of->refused = 0;
  of->why = NULL;
  of->detail[0] = '\0';
  of->began_us = tci_sys_monotonic_us(NULL);
  int err = set_url(of, send->url);
  if (err || of->why) return err;
  CURLcode rc = curl_easy_setopt(of->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)send->body.len);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_POSTFIELDS, send->body.ptr ? send->body.ptr : "");
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)send->connect_ms);
  if (!rc) rc = curl_easy_setopt(of->easy, CURLOPT_TIMEOUT_MS, (long)send->total_ms);
  return rc ? TC_ENOMEM : set_headers(of, send->headers);
}

static void link_active(curl *self, transfer *of) {
  of->prev = NULL;
  of->next = self->active;
  if (of->next) of->next->prev = of;
  self->active = of;
  self->count++;
  self->unsent += of->why != NULL;
  of->send->transport = of;
}

/* Away from curl and the caller, back to the pool. */
static void retire(curl *self, transfer *of) {
  if (!of->why) (void)curl_multi_remove_handle(self->multi, of->easy); /* it is in this multi and no callback runs: nothing can fail */
  *(of->prev ? &of->prev->next : &self->active) = of->next;
  if (of->next) of->next->prev = of->prev;
  self->count--;
  self->unsent -= of->why != NULL;
  of->send->transport = NULL;
  of->send = NULL;
  of->next = self->idle;
  self->idle = of;
}

static int set_limits(CURLM *multi, uint32_t max_connections, uint32_t max_per_host) {
  CURLMcode rc = curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  if (!rc) rc = curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections);
  if (!rc) rc = curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)max_per_host);
  if (!rc) rc = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)max_connections); /* idle ones, too */
  return rc ? TC_ENOMEM : TC_OK;
}

/* TC_OK also where libcurl is missing: then there is no multi handle, and missing says why. */
static int set_up(curl *self) {
  if (self->multi || tci_curl_load(self->missing)) return TC_OK;
  /* Counted inside curl: each transport has its own init and cleanup, beside the host's. Safe from any thread since 7.84 where the compiler has atomics, which every one that
   * builds us has. CURL_GLOBAL_DEFAULT leaves signals and locale alone. */
  if (curl_global_init(CURL_GLOBAL_DEFAULT)) return TC_ENOMEM;
  self->multi = curl_multi_init();
  int rc = self->multi ? set_limits(self->multi, self->max, self->max_per_host) : TC_ENOMEM;
  if (!rc) rc = tci_curl_loop_serve(&self->loop, self->multi);
  if (!rc) return TC_OK;
  (void)curl_multi_cleanup(self->multi); /* new; takes NULL */
  self->multi = NULL;
  curl_global_cleanup();
  return rc;
}

static int begin(void *userdata, tc_send *send) {
  curl *self = userdata;
  if (self->count >= self->max) return TC_EBUSY;
  shelter from;
  take_shelter(self, &from);
  int err = set_up(self);
  transfer *of = err ? NULL : take_transfer(self);
  if (!err && !of) err = TC_ENOMEM;
  if (of) {
    err = prepare(of, send);
    if (!err && !of->why && curl_multi_add_handle(self->multi, of->easy)) err = TC_ENOMEM;
    if (!err) {
      link_active(self, of);
    } else {
      of->next = self->idle;
      self->idle = of;
    }
  }
  leave_shelter(self, &from);
  return err;
}

static void give_up(void *userdata, tc_send *send) {
  curl *self = userdata;
  if (!send->transport) return;
  shelter from;
  take_shelter(self, &from);
  retire(self, send->transport);
  leave_shelter(self, &from);
}

static int peer_is_public(const transfer *of) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } peer = {.v6 = {.sin6_family = AF_INET6}};
  char *text = NULL;
  if (curl_easy_getinfo(of->easy, CURLINFO_PRIMARY_IP, &text) || !text) return 0;
  if (strchr(text, ':')) {
    if (inet_pton(AF_INET6, text, &peer.v6.sin6_addr) != 1) return 0;
  } else {
    peer.v4 = (struct sockaddr_in){.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &peer.v4.sin_addr) != 1) return 0;
  }
  return tci_address_is_public(&peer.any);
}

/* The words for the log: our own where the cause is clear, curl's otherwise. */
static const char *describe(const transfer *of, CURLcode rc) {
  curl_off_t connect_us = 0;
  (void)curl_easy_getinfo(of->easy, CURLINFO_CONNECT_TIME_T, &connect_us); /* stays 0 when it fails */
  /* Of several addresses another may have been allowed: what became of that one is told only if it answered the connect. */
  if (of->refused && !connect_us && rc != CURLE_OUT_OF_MEMORY) return "url: the address is not allowed";
  switch (rc) {
  case CURLE_OPERATION_TIMEDOUT: return connect_us ? "the answer did not come in time" : "the connection was not made in time";
  case CURLE_COULDNT_RESOLVE_HOST: return "the host name does not resolve";
  case CURLE_GOT_NOTHING: return "the connection was closed without an answer";
  case CURLE_PARTIAL_FILE: return "the answer broke off";
  case CURLE_WRITE_ERROR: return "the header of the answer is too long";
  default: return of->detail[0] ? of->detail : curl_easy_strerror(rc);
  }
}

/* Everything is copied and the transfer is back in the pool before the caller hears of it: it may begin the next one at once. */
static void finish(curl *self, transfer *of, CURLcode rc) {
  char response[KEEP_BYTES], error[TCI_TEXT_SIZE(TCI_ERROR_KEEP_POINTS) + 1];
  tc_sent sent = {
    .size = sizeof sent, .response = {response, 0}, .retry_after_us = of->retry_after_us, .duration_us = tci_sys_monotonic_us(NULL) - of->began_us};
  tc_send *send = of->send;
  long status = 0;
  if (!of->why) (void)curl_easy_getinfo(of->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 when it fails */
  sent.status = rc && status < 200 ? 0 : (int)status;                               /* an interim answer is none */
  if (of->why || (rc && !(rc == CURLE_WRITE_ERROR && of->read > TCI_RESPONSE_READ_MAX))) {
    tci_line_of(of->why ? of->why : describe(of, rc), TCI_ERROR_KEEP_POINTS, error);
    sent.error = error;
  }
  if (sent.status && peer_is_public(of)) sent.response.len = tci_text_of(of->keep, of->kept, TCI_RESPONSE_KEEP_POINTS, response);
  retire(self, of);
  send->done(send, &sent);
}

static void finish_done(curl *self) {
  int left;
  for (CURLMsg *message; (message = curl_multi_info_read(self->multi, &left));) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode rc = message->data.result; /* the message dies with the handle's removal */
    transfer *of;
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&of); /* set for each handle, cannot fail */
    finish(self, of, rc);
  }
}

/* One at a time and from the start again: done may begin and abort any. */
static int finish_first(curl *self, int (*is_due)(const transfer *, int64_t), int64_t now_us, CURLcode rc) {
  for (transfer *of = self->active; of; of = of->next) {
    if (!is_due(of, now_us)) continue;
    finish(self, of, rc);
    return 1;
  }
  return 0;
}

static int is_unsent(const transfer *of, int64_t now_us) { return of->why && of->began_us <= now_us; }
static int is_late(const transfer *of, int64_t now_us) { return now_us - of->began_us > (int64_t)of->send->total_ms * 1000 + LATE_US; }

static void sweep(curl *self) {
  int64_t now_us = tci_sys_monotonic_us(NULL);
  while (self->unsent && finish_first(self, is_unsent, now_us, CURLE_OK)) continue;
  if (now_us < self->sweep_us) return;
  while (finish_first(self, is_late, now_us, CURLE_OPERATION_TIMEDOUT)) continue;
  self->sweep_us = now_us + INT64_C(1000) * SWEEP_MS;
}

static int may_sweep(const curl *self) { return self->unsent || (self->count && tci_sys_monotonic_us(NULL) >= self->sweep_us); }

static int poll_curl(void *userdata, int32_t timeout_ms) {
  curl *self = userdata;
  tci_curl_ready ready[READY_MAX];
  int due_ms = tci_curl_loop_due_ms(&self->loop);
  if (due_ms >= 0 && (timeout_ms < 0 || timeout_ms > due_ms)) timeout_ms = due_ms;
  if (self->count && (timeout_ms < 0 || timeout_ms > SWEEP_MS)) timeout_ms = SWEEP_MS;
  /* Not sheltered: it only waits, and a host that runs the engine in its own thread wants its signals. */
  int count = tci_curl_loop_wait(&self->loop, self->unsent ? 0 : timeout_ms, ready, READY_MAX);
  int sweeps = may_sweep(self);
  if (!count && !sweeps && tci_curl_loop_due_ms(&self->loop)) return TC_OK;
  shelter from;
  take_shelter(self, &from);
  CURLMcode rc = CURLM_OK;
  if (self->multi) {
    rc = tci_curl_loop_act(&self->loop, ready, count, sweeps);
    finish_done(self);
  }
  sweep(self);
  leave_shelter(self, &from);
  return !rc ? TC_OK : rc == CURLM_OUT_OF_MEMORY ? TC_ENOMEM : TC_EUNKNOWN;
}

static void wake(void *userdata) { tci_curl_loop_wake(&((curl *)userdata)->loop); }

static int get_fd(void *userdata) { return ((curl *)userdata)->loop.epoll_fd; }

static int32_t get_timeout_ms(void *userdata) {
  const curl *self = userdata;
  int due_ms = tci_curl_loop_due_ms(&self->loop);
  if (self->unsent) return 0;
  return self->count && (due_ms < 0 || due_ms > SWEEP_MS) ? SWEEP_MS : due_ms;
}

static void close_curl(curl *self) {
  shelter from;
  self->sheltered = 0; /* this may be another thread */
  take_shelter(self, &from);
  while (self->active) retire(self, self->active);
  for (transfer *of = self->idle, *next; of; of = next) {
    next = of->next;
    free_transfer(of);
  }
  if (self->multi) {
    (void)curl_multi_cleanup(self->multi); /* nothing in it, nothing running */
    curl_global_cleanup();
  }
  tci_curl_loop_close(&self->loop);
  leave_shelter(self, &from);
  tci_free(self);
}

void tci_curl_close(tc_transport *transport) {
  if (transport->userdata) close_curl(transport->userdata);
  transport->userdata = NULL;
}

int tci_curl_open(tc_transport *out, const tci_policy *policy, uint32_t max_connections, uint32_t max_per_host, int sheltered) {
  curl *self = tci_zalloc(sizeof *self);
  if (!self) return TC_ENOMEM;
  self->policy = policy;
  self->max = max_connections;
  self->max_per_host = max_per_host;
  self->sheltered = sheltered;
  int rc = tci_curl_loop_open(&self->loop);
  if (rc) {
    tci_free(self);
    return rc;
  }
  *out = (tc_transport){sizeof *out, begin, give_up, poll_curl, wake, get_fd, get_timeout_ms, self};
  return TC_OK;
}
