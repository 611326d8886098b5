/* bench_load.c - see bench_load.h. It checks what it counts: an answer with another status, a short body or a closed connection ends the run. */
#include "bench_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_util.h"

typedef struct client {
  int fd;
  char *out, *in;
  size_t out_len, out_sent, in_len;
  size_t need; /* length of the whole answer once its head is in; 0 before */
  int64_t sent_us;
} client;

typedef struct run {
  bench_load *load;
  client *clients;
  int epoll;
  int64_t start_us, end_us; /* of what is measured */
  uint32_t *latency_us;
  size_t answers, latency_cap;
  uint64_t counted;
} run;

static int connect_to(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) bench_die("cannot connect to port %u: %s", port, strerror(errno));
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) bench_die("TCP_NODELAY: %s", strerror(errno));
  return fd;
}

static void watch(run *r, client *c, int op, uint32_t events) {
  struct epoll_event event = {.events = events, .data = {.ptr = c}};
  if (epoll_ctl(r->epoll, op, c->fd, &event) != 0) bench_die("epoll_ctl: %s", strerror(errno));
}

static void send_some(run *r, client *c, int was_waiting) {
  while (c->out_sent < c->out_len) {
    ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!was_waiting) watch(r, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      return;
    }
    if (n < 0) bench_die("send: %s", strerror(errno));
    c->out_sent += (size_t)n;
  }
  if (was_waiting) watch(r, c, EPOLL_CTL_MOD, EPOLLIN);
}

static void next_request(run *r, client *c) {
  c->out_len = r->load->request(c->out, r->load->request_cap, r->load->next++, r->load->arg);
  c->out_sent = c->in_len = c->need = 0;
  c->sent_us = bench_now_us();
  send_some(r, c, 0);
}

/* The length of the whole answer, 0 while its head is not complete. Our two servers both answer with a Content-Length. */
static size_t answer_length(run *r, client *c) {
  c->in[c->in_len] = '\0';
  const char *end = strstr(c->in, "\r\n\r\n");
  if (!end) return 0;
  if (strncmp(c->in, "HTTP/1.1 ", 9) != 0 || strtol(c->in + 9, NULL, 10) != r->load->status) bench_die("unexpected answer: %.600s", c->in);
  const char *field = c->in;
  while ((field = strstr(field, "\r\n")) != NULL && field < end) {
    field += 2;
    if (!strncasecmp(field, "Content-Length:", 15)) {
      size_t body = (size_t)strtoul(field + 15, NULL, 10);
      return (size_t)(end - c->in) + 4 + body;
    }
  }
  bench_die("an answer without Content-Length: %.600s", c->in);
}

static uint64_t count_text(const char *in, size_t len, const char *text) {
  uint64_t n = 0;
  size_t text_len = strlen(text);
  const char *at = in;
  while ((at = memmem(at, len - (size_t)(at - in), text, text_len)) != NULL) {
    n++;
    at += text_len;
  }
  return n;
}

static void take_answer(run *r, client *c) {
  int64_t now = bench_now_us();
  if (now >= r->start_us && now < r->end_us) {
    if (r->answers == r->latency_cap) {
      r->latency_cap = r->latency_cap ? r->latency_cap * 2 : 65536;
      r->latency_us = realloc(r->latency_us, r->latency_cap * sizeof *r->latency_us);
      if (!r->latency_us) bench_die("out of memory");
    }
    r->latency_us[r->answers++] = (uint32_t)(now - c->sent_us);
    if (r->load->count) r->counted += count_text(c->in, c->in_len, r->load->count);
  }
  if (now < r->end_us) next_request(r, c);
  else c->need = c->in_len = c->out_len = 0;
}

/* Returns 1 when the answer that was in flight is complete. */
static int receive_some(run *r, client *c) {
  ssize_t n = recv(c->fd, c->in + c->in_len, r->load->answer_cap - c->in_len, MSG_DONTWAIT);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  if (n < 0) bench_die("recv: %s", strerror(errno));
  if (n == 0) bench_die("the server closed a connection after %zu bytes of an answer", c->in_len);
  c->in_len += (size_t)n;
  if (!c->need) c->need = answer_length(r, c);
  if (c->need > r->load->answer_cap || (c->need && c->in_len > c->need)) bench_die("an answer longer than announced or expected");
  if (!c->need || c->in_len < c->need) return 0;
  return 1;
}

static void open_clients(run *r) {
  r->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (r->epoll < 0) bench_die("epoll_create1: %s", strerror(errno));
  r->clients = bench_alloc(r->load->connections, sizeof *r->clients);
  for (unsigned i = 0; i < r->load->connections; i++) {
    client *c = &r->clients[i];
    *c = (client){.fd = connect_to(r->load->port), .out = bench_alloc(r->load->request_cap, 1), .in = bench_alloc(r->load->answer_cap + 1, 1)};
    watch(r, c, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static void close_clients(run *r) {
  for (unsigned i = 0; i < r->load->connections; i++) {
    close(r->clients[i].fd);
    free(r->clients[i].out);
    free(r->clients[i].in);
  }
  close(r->epoll);
  free(r->clients);
  free(r->latency_us);
}

/* Serves events until every request that was sent is answered: none is left behind to burden the next run. */
static void serve(run *r) {
  unsigned busy = r->load->connections;
  while (busy) {
    struct epoll_event events[256];
    int n = epoll_wait(r->epoll, events, 256, 5000);
    if (n < 0 && errno != EINTR) bench_die("epoll_wait: %s", strerror(errno));
    if (n == 0) bench_die("no answer for 5 s");
    for (int i = 0; i < n; i++) {
      client *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) send_some(r, c, 1);
      if (!(events[i].events & ~(uint32_t)EPOLLOUT)) continue;
      if (!receive_some(r, c)) continue;
      take_answer(r, c);
      if (!c->out_len) busy--;
    }
  }
}

void bench_load_run(bench_load *load, bench_loaded *out) {
  run r = {.load = load};
  open_clients(&r);
  r.start_us = bench_now_us() + load->warm_up_us;
  r.end_us = r.start_us + load->measure_us;
  for (unsigned i = 0; i < load->connections; i++) next_request(&r, &r.clients[i]);
  serve(&r);
  double seconds = (double)load->measure_us / 1e6;
  *out = (bench_loaded){.seconds = seconds, .answers = r.answers, .per_second = (double)r.answers / seconds, .counted_per_second = (double)r.counted / seconds};
  out->p50_us = bench_percentile(r.latency_us, r.answers, 0.50);
  out->p99_us = bench_percentile(r.latency_us, r.answers, 0.99);
  close_clients(&r);
}
