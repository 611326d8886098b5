/* bench_fanout.c - one publisher, N subscribers of one room, real tip frames, against a bare epoll loop that sends the same bytes.
 *
 * Ours: POST /api/tips on 32 keep-alive connections, durable in SQLite, to STOMP over raw WebSockets. The limit: a loop without any protocol, which gets its messages on one plain
 * connection and sends each subscriber all that has come in one send a sweep. Server and loop are pinned to one core, the client with publisher and all subscribers to another.
 * Most of a delivery is the kernel's send and the client's recv, on both sides; how much of the client's core is taken says whether the client is what is measured.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_subs.h"
#include "bench_util.h"

enum { PAIRS = 5, PAIRS_MAX = 100, WINDOW = 32, IDLE = 2000, IDLE_FULL = 10000, SWEEP_BYTES = 1 << 20 };
/* The kernel takes up to 4 MB for each that does not read before the server notices anything, and 1 MiB may wait; fewer subscribers get there sooner. */
enum { STALLED_OF = 300, STALLED_OF_FULL = 1000, STALLED_BYTES = 6 << 20, STALLED_US = 30000000, STALLED_ROUNDS = 2, STALLED_ROUNDS_FULL = 3 };

static char frame[BENCH_FRAME_MAX]; /* the bare loop's message: one of ours, as it came */
static size_t frame_bytes;

/* 0: the servers' core, 1: the client's. With one core there is nothing to separate. */
static void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)core, &set);
  if (sysconf(_SC_NPROCESSORS_ONLN) > 1 && sched_setaffinity(0, sizeof set, &set)) bench_die("sched_setaffinity: %s", strerror(errno));
}

typedef struct bare_conn {
  int fd, publishes, subscribed, blocked;
  uint64_t at; /* messages sent to it; whole sweeps only: what a full socket did not take is tried again */
  size_t part;
} bare_conn;

typedef struct bare_loop {
  int epoll_fd, listener;
  bare_conn **subs;
  size_t count, cap;
  uint64_t messages; /* in all */
  char in[1 << 16];  /* the publisher's bytes: length, body, length, body ... */
  size_t in_len;
  char *frames; /* SWEEP_BYTES of equal frames: each sweep sends a piece of it */
} bare_loop;

static void bare_flush(bare_loop *loop, bare_conn *conn) {
  uint64_t from = conn->at * frame_bytes + conn->part, to = loop->messages * frame_bytes;
  while (from < to) {
    /* Every frame is the same, so that a sweep is one piece of memory however it begins. */
    size_t offset = (size_t)(from % frame_bytes), len = to - from < SWEEP_BYTES - frame_bytes ? (size_t)(to - from) : SWEEP_BYTES - frame_bytes;
    ssize_t n = send(conn->fd, loop->frames + offset, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) break;
    from += (uint64_t)n;
  }
  conn->at = from / frame_bytes;
  conn->part = (size_t)(from % frame_bytes);
  conn->blocked = from < to;
}

static void bare_read_publisher(bare_loop *loop, bare_conn *conn) {
  for (;;) {
    ssize_t n = recv(conn->fd, loop->in + loop->in_len, sizeof loop->in - loop->in_len, MSG_DONTWAIT);
    if (n <= 0) return;
    loop->in_len += (size_t)n;
    size_t at = 0;
    for (uint32_t len; loop->in_len - at >= 4; at += 4 + len, loop->messages++) {
      memcpy(&len, loop->in + at, 4);
      if (loop->in_len - at < 4 + (size_t)len) break;
    }
    loop->in_len -= at;
    memmove(loop->in, loop->in + at, loop->in_len);
  }
}

static void bare_accept(bare_loop *loop) {
  int on = 1, fd = accept4(loop->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  bare_conn *conn = calloc(1, sizeof *conn);
  if (fd < 0 || !conn) _exit(1);
  conn->fd = fd;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event)) _exit(1);
}

static void bare_role(bare_loop *loop, bare_conn *conn) {
  char role;
  if (recv(conn->fd, &role, 1, MSG_DONTWAIT) != 1) return;
  conn->publishes = role == 'P';
  if (conn->publishes) {
    bare_read_publisher(loop, conn);
    return;
  }
  conn->subscribed = 1;
  conn->at = loop->messages;
  if (loop->count == loop->cap) {
    loop->cap = loop->cap ? loop->cap * 2 : 1024;
    loop->subs = realloc(loop->subs, loop->cap * sizeof(bare_conn *));
    if (!loop->subs) _exit(1);
  }
  loop->subs[loop->count++] = conn;
  if (send(conn->fd, "+", 1, MSG_NOSIGNAL) != 1) _exit(1);
}

static void bare_gone(bare_loop *loop, bare_conn *conn) {
  char waste[4096];
  ssize_t n = recv(conn->fd, waste, sizeof waste, MSG_DONTWAIT);
  if (n != 0 && !(n < 0 && errno != EAGAIN)) return;
  for (size_t i = 0; i < loop->count; i++) {
    if (loop->subs[i] == conn) loop->subs[i] = loop->subs[--loop->count];
  }
  close(conn->fd);
  free(conn);
}

static void serve_bare(int fd) {
  static bare_loop loop;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  struct epoll_event events[256], event = {.events = EPOLLIN};
  pin(0);
  loop.frames = calloc(1, SWEEP_BYTES);
  loop.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (!loop.frames || bind(loop.listener, (struct sockaddr *)&address, sizeof address) || listen(loop.listener, 4096)) _exit(1);
  for (size_t at = 0; at + frame_bytes <= SWEEP_BYTES; at += frame_bytes) {
    memcpy(loop.frames + at, frame, frame_bytes);
  }
  if (getsockname(loop.listener, (struct sockaddr *)&address, &size) || epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, loop.listener, &event)) _exit(1);
  dprintf(fd, "%d\n", ntohs(address.sin_port));
  close(fd);
  for (uint64_t swept = 0;; swept = loop.messages) {
    int n = epoll_wait(loop.epoll_fd, events, 256, -1);
    for (int i = 0; i < n; i++) {
      bare_conn *conn = events[i].data.ptr;
      if (!conn) bare_accept(&loop);
      else if (conn->publishes) bare_read_publisher(&loop, conn);
      else if (!conn->subscribed) bare_role(&loop, conn);
      else if (events[i].events & EPOLLIN) bare_gone(&loop, conn);
      else if (conn->blocked) bare_flush(&loop, conn);
    }
    for (size_t i = 0; loop.messages > swept && i < loop.count; i++) {
      if (!loop.subs[i]->blocked) bare_flush(&loop, loop.subs[i]);
    }
  }
}

typedef struct side {
  const char *name;
  int bare;
  bench_server server;
  double rate[PAIRS_MAX], p50_ms[PAIRS_MAX], p99_ms[PAIRS_MAX], cpu[PAIRS_MAX], coalesced[PAIRS_MAX], server_busy[PAIRS_MAX], client_busy[PAIRS_MAX];
  double cpu_at[2], client_cpu_at[2]; /* when the counted time begins, and when it ends */
} side;

static void read_cpu(void *arg, int end) {
  side *s = arg;
  s->cpu_at[end] = bench_cpu_of(s->server.pid);
  s->client_cpu_at[end] = bench_cpu_s();
}

static bench_subs *open_subs(const side *s, unsigned count, unsigned stalled) {
  return bench_subs_open(&(bench_subs_options){.port = s->server.port, .count = count, .stalled = stalled, .bare = s->bare});
}

static void run_once(side *s, unsigned pair, bench_subs *subs, bench_published load, bench_fanned *out) {
  load.window = WINDOW;
  load.at = read_cpu;
  load.arg = s;
  bench_subs_run(subs, &load, out);
  double cpu = s->cpu_at[1] - s->cpu_at[0];
  s->rate[pair] = (double)out->deliveries / out->seconds;
  s->p50_ms[pair] = out->p50_us / 1e3;
  s->p99_ms[pair] = out->p99_us / 1e3;
  s->cpu[pair] = cpu * 1e6 / (double)out->deliveries;
  s->coalesced[pair] = out->coalesced;
  s->server_busy[pair] = cpu * 100 / out->seconds;
  s->client_busy[pair] = (s->client_cpu_at[1] - s->client_cpu_at[0]) * 100 / out->seconds;
}

static void report_side(const side *s, unsigned pairs, unsigned count, const char *how) {
  char name[64];
  const struct {
    const char *what, *unit;
    const double *values;
  } lines[] = {{"rate", "deliveries/s", s->rate},
               {"p50", "ms", s->p50_ms},
               {"p99", "ms", s->p99_ms},
               {"cpu_per_million", "s", s->cpu},
               {"coalesced", "messages a recv", s->coalesced},
               {"busy", "percent", s->server_busy},
               {"client_busy", "percent", s->client_busy}};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    snprintf(name, sizeof name, "%s_%u%s_%s", s->name, count, how, lines[i].what);
    bench_report(name, bench_median(lines[i].values, pairs), lines[i].unit);
  }
}

/* Subscribers of its own for each run: those of the other side would hold descriptors, of which 20,000 are more than many a machine gives. */
static void run_fresh(side *s, unsigned pair, unsigned count, bench_published load) {
  bench_fanned out;
  bench_subs *subs = open_subs(s, count, 0);
  run_once(s, pair, subs, load, &out);
  bench_subs_close(subs);
  bench_settle(s->server.pid);
}

/* What one of our messages is on the wire, for the bare loop to send. */
static void learn_frame(const side *ours) {
  bench_fanned out;
  bench_subs *subs = open_subs(ours, 10, 0);
  bench_subs_run(subs, &(bench_published){.window = WINDOW, .measure_us = 5000000, .messages = 1}, &out);
  frame_bytes = bench_subs_frame(subs, frame);
  bench_subs_close(subs);
  bench_settle(ours->server.pid);
}

/* Returns the median of the pairs' rates, ours by the bare loop's; *cheaper, if asked for, that of the CPU a delivery costs, the other way round. */
static double run_pairs(side *ours, side *bare, const bench_args *args, unsigned count, double per_second, double *cheaper) {
  double ratios[PAIRS_MAX], cpu_ratios[PAIRS_MAX];
  const char *how = per_second > 0 ? "_paced" : "";
  const bench_published load = {.per_second = per_second, .warm_up_us = 300000, .measure_us = args->full ? 5000000 : 1500000};
  learn_frame(ours);
  bench_server_fork(&bare->server, serve_bare);
  for (unsigned pair = 0; pair < args->pairs; pair++) {
    run_fresh(ours, pair, count, load);
    run_fresh(bare, pair, count, load);
    ratios[pair] = ours->rate[pair] / bare->rate[pair];
    cpu_ratios[pair] = bare->cpu[pair] / ours->cpu[pair];
    printf("pair_%u%s_%u %.0f / %.0f = %.3f x\n", count, how, pair + 1, ours->rate[pair], bare->rate[pair], ratios[pair]);
  }
  bench_server_stop(&bare->server);
  bench_report("frame", (double)frame_bytes, "bytes");
  report_side(ours, args->pairs, count, how);
  report_side(bare, args->pairs, count, how);
  if (cheaper) *cheaper = bench_median(cpu_ratios, args->pairs);
  return bench_median(ratios, args->pairs);
}

typedef struct stall {
  double rate, p99_ms, worst_ms, taken_mib; /* taken: by the kernel, for one that does not read */
  unsigned cut;
} stall;

/* All of the run counts: buffers that fill, the stall, the moment when the server cuts them off, and what comes after. */
static void run_stall(side *ours, unsigned count, unsigned stalled, stall *result) {
  bench_fanned out;
  uint64_t taken = 0;
  bench_subs *subs = open_subs(ours, count, stalled);
  run_once(ours, 0, subs, (bench_published){.measure_us = STALLED_US, .messages = STALLED_BYTES / frame_bytes}, &out);
  *result = (stall){.rate = ours->rate[0], .p99_ms = out.p99_us / 1e3, .worst_ms = out.worst_us / 1e3, .cut = bench_subs_read_stalled(subs, &taken)};
  result->taken_mib = (double)taken / (1 << 20);
  bench_subs_close(subs);
  bench_settle(ours->server.pid);
}

/* The same readers with and without one in ten beside them that never reads, in pairs; which comes first alternates. */
static void run_stalled(side *ours, const bench_args *args) {
  unsigned of = args->full ? STALLED_OF_FULL : STALLED_OF, stalled = of / 10, readers = of - stalled,
           rounds = args->full ? STALLED_ROUNDS_FULL : STALLED_ROUNDS;
  double rates[STALLED_ROUNDS_FULL], worsts[STALLED_ROUNDS_FULL];
  for (unsigned i = 0; i < rounds; i++) {
    stall with, without;
    if (i % 2) run_stall(ours, readers, stalled, &with);
    run_stall(ours, readers, 0, &without);
    if (i % 2 == 0) run_stall(ours, readers, stalled, &with);
    printf("all_read_%u %.0f deliveries/s, p99 %.1f ms, worst %.1f ms\n", i + 1, without.rate, without.p99_ms, without.worst_ms);
    printf("one_in_ten_stalled_%u %.0f deliveries/s, p99 %.1f ms, worst %.1f ms; %u of %u cut off, after %.1f of %.1f MiB\n", i + 1, with.rate, with.p99_ms,
           with.worst_ms, with.cut, stalled, with.taken_mib, (double)STALLED_BYTES / (1 << 20));
    if (with.cut < stalled) bench_die("readers that do not read were not cut off: the run proves nothing");
    rates[i] = with.rate / without.rate;
    worsts[i] = with.worst_ms / without.worst_ms;
  }
  bench_report("stalled_rate_ratio", bench_median(rates, rounds), "x");
  bench_report("stalled_worst_ratio", bench_median(worsts, rounds), "x");
}

/* VmRSS, the file pages with it: the stricter number. */
static int64_t resident_bytes(pid_t pid) {
  char path[64];
  long long pages = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
  FILE *file = fopen(path, "re");
  if (!file || fscanf(file, "%*d %lld", &pages) != 1) bench_die("cannot read %s", path);
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static void run_idle(side *ours, const bench_args *args) {
  unsigned count = args->full ? IDLE_FULL : IDLE;
  int64_t before = resident_bytes(ours->server.pid), before_anonymous = bench_rss_bytes(ours->server.pid);
  bench_subs *subs = open_subs(ours, count, 0);
  bench_settle(ours->server.pid);
  bench_report("idle_subscribers", count, "subscribers");
  bench_report("idle_rss_per_subscriber", (double)(resident_bytes(ours->server.pid) - before) / count, "bytes");
  bench_report("idle_anonymous_per_subscriber", (double)(bench_rss_bytes(ours->server.pid) - before_anonymous) / count, "bytes");
  double cpu = bench_cpu_of(ours->server.pid);
  int64_t begin = bench_now_us();
  usleep(args->full ? 10000000 : 4000000);
  bench_report("idle_cpu", (bench_cpu_of(ours->server.pid) - cpu) * 1e8 / (double)(bench_now_us() - begin), "percent of a core");
  bench_subs_close(subs);
}

int main(int argc, char **argv) {
  static const unsigned counts[] = {100, 1000, 5000, 10000};
  bench_args args;
  bench_begin(&args, argc, argv, "live fan-out of tips to the subscribers of one room, against a bare epoll loop");
  if (!args.pairs) args.pairs = PAIRS;
  static side ours = {.name = "stomp"}, bare = {.name = "bare", .bare = 1};
  char *path = bench_path(&args, "fanout.db"), *url = bench_alloc(strlen(path) + 8, 1);
  double ratio = 0, cpu_ratio = 0;
  snprintf(url, strlen(path) + 8, "sqlite:%s", path);
  pin(0); /* inherited by all threads of the server */
  bench_server_start(&ours.server, &args, url, NULL);
  pin(1);
  run_idle(&ours, &args);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    if (!args.full && counts[i] != 1000) continue;
    double cheaper, its = run_pairs(&ours, &bare, &args, counts[i], 0, &cheaper);
    if (counts[i] == 1000) ratio = its, cpu_ratio = cheaper;
    if (args.full) (void)run_pairs(&ours, &bare, &args, counts[i], 20, NULL);
  }
  run_stalled(&ours, &args);
  int status = bench_server_stop(&ours.server);
  free(path);
  free(url);
  bench_report("fanout_cpu_ratio", cpu_ratio, "x");
  bench_report("fanout_ratio", ratio, "x");
  if (status != 0) bench_die("the server did not stop in order (wait status %d)", status);
  return 0;
}
