/* bench_webhooks.c - deliveries a second to one local keep-alive receiver, against a bare curl-multi loop with the same concurrency; and what a thousand webhooks of other rooms cost.
 *
 * Ours: the library, tips durable in SQLite, each matched, signed twice, posted and logged. The limit: curl's multi interface posting bodies and headers of the same size, and nothing else.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_load.h"
#include "bench_util.h"
#include "tipcurrent.h"

enum { CONCURRENCY = 8, HOOKS = 1000, PAIRS = 5, PAIRS_MAX = 100, PATIENCE_S = 60 };

static atomic_ulong *received; /* shared with the receiver */

typedef struct client {
  int fd;
  size_t len;
  char in[8192];
} client;

/* Answers each whole request that stands in the buffer. 0: the client has gone. */
static int serve_client(client *c) {
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - 1 - c->len, 0);
  if (n <= 0) return 0;
  c->len += (size_t)n;
  for (;;) {
    c->in[c->len] = '\0';
    const char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "Content-Length:");
    if (!end || !length) return 1;
    size_t total = (size_t)(end - c->in) + 4 + strtoul(length + 15, NULL, 10);
    if (c->len < total) return 1;
    if (send(c->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) != (ssize_t)sizeof answer - 1) return 0;
    atomic_fetch_add(received, 1);
    c->len -= total;
    memmove(c->in, c->in + total, c->len);
  }
}

static void serve(int fd) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  struct epoll_event events[64], event = {.events = EPOLLIN};
  int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024) || getsockname(listener, (struct sockaddr *)&address, &size))
    _exit(1);
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event)) _exit(1);
  dprintf(fd, "%d\n", ntohs(address.sin_port));
  close(fd);
  for (;;) {
    int n = epoll_wait(epoll_fd, events, 64, -1);
    for (int i = 0; i < n; i++) {
      client *c = events[i].data.ptr;
      if (c && !serve_client(c)) {
        close(c->fd);
        free(c);
      } else if (!c) {
        c = calloc(1, sizeof *c);
        if (!c) _exit(1);
        c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
        if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) _exit(1);
      }
    }
  }
}

static void wait_received(unsigned long count) {
  int64_t give_up = bench_now_us() + PATIENCE_S * INT64_C(1000000);
  while (atomic_load(received) < count) {
    if (bench_now_us() > give_up) bench_die("only %lu of %lu deliveries came", atomic_load(received), count);
    usleep(500);
  }
}

typedef struct measured {
  double per_second[PAIRS_MAX], cpu_us[PAIRS_MAX];
} measured;

static void note(measured *m, unsigned pair, unsigned long count, int64_t begin_us, double cpu_s) {
  m->per_second[pair] = (double)count * 1e6 / (double)(bench_now_us() - begin_us);
  m->cpu_us[pair] = (bench_cpu_s() - cpu_s) * 1e6 / (double)count;
}

static void done(const tc_result *result, void *unused) {
  (void)unused;
  if (result->code) bench_die("a tip failed: %s", result->detail);
}

static void submit(tc_engine *engine, uint64_t seed, uint64_t i) {
  bench_tip tip;
  tc_tip_new made = TC_TIP_NEW_INIT;
  bench_tip_make(&tip, seed, i, BENCH_SENDERS);
  made.room_id = tip.room;
  made.sender_id = tip.sender;
  made.recipient_id = tip.recipient;
  made.amount = tip.amount;
  made.message = tip.message;
  made.metadata = tip.metadata;
  /* A synchronous create commits what was submitted before. */
  if (i % 1024 ? tc_tip_submit(engine, &made, done, NULL) : tc_tip_create(engine, &made, NULL, NULL)) bench_die("%s", tc_last_error());
}

static tc_engine *open_engine(tc_options *options, uint32_t flags) {
  tc_engine *engine;
  options->flags = flags;
  if (tc_open(&engine, options)) bench_die("%s", tc_last_error());
  return engine;
}

/* The tips are stored and indexed by an engine that nobody lets deliver: that work is bench_ingest's subject. The next one finds them behind its cursor. */
static void run_ours(tc_options *options, measured *m, unsigned pair, unsigned long count) {
  static uint64_t next;
  uint64_t seed = (uint64_t)bench_now_us();
  tc_engine *engine = open_engine(options, TC_NO_THREADS);
  for (unsigned long i = 0; i < count; i++) submit(engine, seed, next++);
  if (tc_close(engine)) bench_die("%s", tc_last_error());
  atomic_store(received, 0);
  engine = open_engine(options, 0);
  double cpu = bench_cpu_s();
  int64_t begin = bench_now_us();
  unsigned long left = count - atomic_load(received);
  if (left < count / 2) bench_die("the deliveries were over before they could be measured");
  wait_received(count);
  note(m, pair, left, begin, cpu);
  if (tc_close(engine)) bench_die("%s", tc_last_error());
}

static size_t swallow(char *bytes, size_t size, size_t count, void *unused) {
  (void)bytes;
  (void)unused;
  return size * count;
}

/* What a loop has to say of each request when each goes somewhere with something, and ends some time. */
static void begin_bare(CURLM *multi, CURL *easy, const char *url, struct curl_slist *headers, const char *body, long len) {
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, len);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
  curl_multi_add_handle(multi, easy);
}

/* As many bytes as ours sends: a tip's JSON of about 300 bytes and eight header fields. */
static void run_bare(const char *url, measured *m, unsigned pair, unsigned long count) {
  static const char *const fields[] = {"Content-Type: application/json",
                                       "X-TipCurrent-Event: tip.created",
                                       "X-TipCurrent-Delivery-Attempt: 1",
                                       "webhook-id: msg_1795594701215740_1234_1",
                                       "webhook-timestamp: 1795594701",
                                       "User-Agent: tipcurrent/0.1.0",
                                       "X-TipCurrent-Signature: v21Qpf8FMALF5mMXXxGywZG0LLtREz5CvUWG5mEyHsY=",
                                       "webhook-signature: v1,7kKUAkscJPSeEC2ZYR96GGu+t4La8nAG2jcs8ayGHBc="};
  char body[512];
  bench_tip tip;
  CURLM *multi = curl_multi_init();
  struct curl_slist *headers = NULL;
  unsigned long begun = 0;
  int running = 1;
  bench_tip_make(&tip, 1, 1, BENCH_SENDERS);
  size_t len = bench_tip_json(&tip, body, sizeof body, 0);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) headers = curl_slist_append(headers, fields[i]);
  atomic_store(received, 0);
  double cpu = bench_cpu_s();
  int64_t begin = bench_now_us();
  for (; begun < CONCURRENCY; begun++) {
    CURL *easy = curl_easy_init();
    if (!easy || !headers) bench_die("curl does not start");
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
    begin_bare(multi, easy, url, headers, body, (long)len);
  }
  while (running) {
    int left;
    CURLMsg *message;
    curl_multi_perform(multi, &running);
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
      CURL *easy = message->easy_handle;
      if (message->data.result != CURLE_OK) bench_die("curl: %s", curl_easy_strerror(message->data.result));
      curl_multi_remove_handle(multi, easy);
      if (begun++ < count) {
        begin_bare(multi, easy, url, headers, body, (long)len);
        running = 1;
      } else {
        curl_easy_cleanup(easy);
      }
    }
    if (running) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
  wait_received(count);
  note(m, pair, count, begin, cpu);
  curl_multi_cleanup(multi);
  curl_slist_free_all(headers);
}

static void report(const char *name, const measured *m, unsigned pairs) {
  char text[64];
  snprintf(text, sizeof text, "%s_rate", name);
  bench_report(text, bench_median(m->per_second, pairs), "deliveries/s");
  snprintf(text, sizeof text, "%s_cpu_per_million", name);
  bench_report(text, bench_median(m->cpu_us, pairs), "s");
}

static double compare(const bench_args *args) {
  static measured ours, bare;
  double ratios[PAIRS_MAX];
  char url[64];
  bench_server receiver;
  tc_engine *engine;
  tc_options options = TC_OPTIONS_INIT;
  tc_webhook_options webhooks = TC_WEBHOOK_OPTIONS_INIT;
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  unsigned long count = args->full ? 100000 : 30000;
  char *path = bench_path(args, "webhooks.db"), *storage = bench_alloc(strlen(path) + 8, 1);
  bench_server_fork(&receiver, serve);
  snprintf(url, sizeof url, "http://127.0.0.1:%u/hook", receiver.port);
  snprintf(storage, strlen(path) + 8, "sqlite:%s", path);
  options.storage_url = storage;
  options.webhooks = &webhooks;
  webhooks.allow_receivers = "127.0.0.0/8";
  webhooks.max_per_endpoint = CONCURRENCY;
  hook.url = url;
  hook.events = "*";
  hook.secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  engine = open_engine(&options, TC_NO_THREADS);
  if (tc_webhook_create(engine, &hook, NULL, NULL) || tc_close(engine)) bench_die("%s", tc_last_error());
  for (unsigned pair = 0; pair < args->pairs; pair++) {
    run_ours(&options, &ours, pair, count);
    run_bare(url, &bare, pair, count);
    ratios[pair] = ours.per_second[pair] / bare.per_second[pair];
    printf("pair_%u %.0f / %.0f = %.3f x\n", pair + 1, ours.per_second[pair], bare.per_second[pair], ratios[pair]);
    fflush(stdout);
  }
  report("webhooks", &ours, args->pairs);
  report("bare", &bare, args->pairs);
  bench_server_stop(&receiver);
  free(path);
  free(storage);
  return bench_median(ratios, args->pairs);
}

static uint16_t port_of_requests;

static size_t request_tip(char *buf, size_t cap, uint64_t n, void *arg) {
  char body[512];
  bench_tip tip;
  bench_tip_make(&tip, *(uint64_t *)arg, n, BENCH_SENDERS);
  size_t len = bench_tip_json(&tip, body, sizeof body, 0);
  int head =
    snprintf(buf, cap, "POST /api/tips HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", port_of_requests, len);
  memcpy(buf + head, body, len);
  return (size_t)head + len;
}

static size_t request_hook(char *buf, size_t cap, uint64_t n, void *arg) {
  char body[256];
  (void)arg;
  int len =
    snprintf(body, sizeof body, "{\"url\":\"http://127.0.0.1:9999/\",\"event\":\"*\",\"secret\":\"s\",\"roomId\":\"other-room-%llu\"}", (unsigned long long)n);
  return (size_t)snprintf(buf, cap, "POST /api/webhooks HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                          port_of_requests, len, body);
}

static double rate_of_tips(const bench_server *server, uint64_t *seed, uint64_t *next) {
  bench_loaded out;
  bench_load load = {.port = server->port,
                     .connections = 64,
                     .warm_up_us = 300000,
                     .measure_us = 1000000,
                     .status = 201,
                     .request_cap = 2048,
                     .answer_cap = 8192,
                     .request = request_tip,
                     .arg = seed,
                     .next = *next};
  port_of_requests = server->port;
  bench_load_run(&load, &out);
  *next = load.next;
  return out.per_second;
}

static void start_daemon(const bench_args *args, const char *name, bench_server *server) {
  static const char *const extra[] = {"--allow-receivers", "127.0.0.0/8", NULL};
  char *path = bench_path(args, name), url[512];
  snprintf(url, sizeof url, "sqlite:%s", path);
  bench_server_start(server, args, url, extra);
  free(path);
}

/* The rate of POST /api/tips with a thousand webhooks of other rooms, by that without any. */
static double many_hooks(const bench_args *args) {
  double with[PAIRS_MAX], without[PAIRS_MAX], ratios[PAIRS_MAX];
  bench_server some, none;
  uint64_t seed = (uint64_t)bench_now_us(), next = 0;
  bench_loaded out;
  start_daemon(args, "some.db", &some);
  start_daemon(args, "none.db", &none);
  port_of_requests = some.port;
  bench_load hooks = {
    .port = some.port, .connections = 4, .measure_us = 500000, .status = 201, .request_cap = 1024, .answer_cap = 8192, .request = request_hook};
  while (hooks.next < HOOKS) bench_load_run(&hooks, &out);
  for (unsigned pair = 0; pair < args->pairs; pair++) {
    with[pair] = rate_of_tips(&some, &seed, &next);
    bench_settle(some.pid);
    without[pair] = rate_of_tips(&none, &seed, &next);
    bench_settle(none.pid);
    ratios[pair] = with[pair] / without[pair];
  }
  bench_report("registered", (double)hooks.next, "webhooks");
  bench_report("tips_with_hooks_rate", bench_median(with, args->pairs), "requests/s");
  bench_report("tips_without_hooks_rate", bench_median(without, args->pairs), "requests/s");
  if (bench_server_stop(&some) || bench_server_stop(&none)) bench_die("a server did not stop in order");
  return bench_median(ratios, args->pairs);
}

int main(int argc, char **argv) {
  bench_args args;
  bench_begin(&args, argc, argv, "webhook deliveries against a bare curl-multi loop, and what many webhooks cost a create");
  if (!args.pairs) args.pairs = PAIRS;
  received = mmap(NULL, sizeof *received, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (received == MAP_FAILED) bench_die("mmap: %s", strerror(errno));
  double ratio = compare(&args), hooks = many_hooks(&args);
  bench_report("webhooks_tips_ratio", hooks, "x");
  bench_report("webhooks_ratio", ratio, "x");
  return 0;
}
