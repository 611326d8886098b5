/* bench_fanout.c - one publisher, N subscribers of one room, real tip frames, against a bare epoll loop that sends the same bytes.
 *
 * Ours: POST /api/tips on 32 keep-alive connections, durable in SQLite, to STOMP over raw WebSockets. The limit: a loop without any protocol, which gets its messages on one plain
 * connection and sends each subscriber all that has come in one send a sweep. Server and loop are pinned to one core, the client with publisher and all subscribers to another.
 * Most of a delivery is the kernel's send, on both sides.
 */
#include <dirent.h>
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

static size_t frame_bytes = 500; /* of the bare loop's messages: what ours had */

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
    memset(loop.frames + at, 'x', frame_bytes);
    memcpy(loop.frames + at, "\x81\x7e", 2);
    loop.frames[at + 2] = (char)((frame_bytes - 4) >> 8);
    loop.frames[at + 3] = (char)((frame_bytes - 4) & 0xff);
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
  double rate[PAIRS_MAX], p50_ms[PAIRS_MAX], p99_ms[PAIRS_MAX], cpu[PAIRS_MAX], cpu_at_start;
} side;

static void read_cpu(void *arg) {
  side *s = arg;
  s->cpu_at_start = bench_cpu_of(s->server.pid);
}

static void run_once(side *s, unsigned pair, bench_subs *subs, double per_second, int64_t measure_us, bench_fanned *out) {
  bench_subs_run(subs, WINDOW, per_second, 300000, measure_us, read_cpu, s, out);
  s->rate[pair] = (double)out->deliveries / out->seconds;
  s->p50_ms[pair] = out->p50_us / 1e3;
  s->p99_ms[pair] = out->p99_us / 1e3;
  s->cpu[pair] = (bench_cpu_of(s->server.pid) - s->cpu_at_start) * 1e6 / (double)out->deliveries;
}

static void report_side(const side *s, unsigned pairs, unsigned count, const char *how) {
  char name[64];
  const struct {
    const char *what, *unit;
    const double *values;
  } lines[] = {{"rate", "deliveries/s", s->rate}, {"p50", "ms", s->p50_ms}, {"p99", "ms", s->p99_ms}, {"cpu_per_million", "s", s->cpu}};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    snprintf(name, sizeof name, "%s_%u%s_%s", s->name, count, how, lines[i].what);
    bench_report(name, bench_median(lines[i].values, pairs), lines[i].unit);
  }
}

static bench_subs *open_subs(const side *s, unsigned count, unsigned stalled) {
  return bench_subs_open(&(bench_subs_options){.port = s->server.port, .count = count, .stalled = stalled, .bare = s->bare});
}

static double run_pairs(side *ours, side *bare, const bench_args *args, unsigned count, double per_second) {
  double ratios[PAIRS_MAX];
  int64_t measure_us = args->full ? 5000000 : 1500000;
  bench_fanned out;
  bench_subs *mine = open_subs(ours, count, 0);
  bench_subs_run(mine, WINDOW, 0, 0, 200000, NULL, NULL, &out);
  frame_bytes = bench_subs_frame_bytes(mine);
  bench_server_fork(&bare->server, serve_bare);
  bench_subs *theirs = open_subs(bare, count, 0);
  for (unsigned pair = 0; pair < args->pairs; pair++) {
    run_once(ours, pair, mine, per_second, measure_us, &out);
    bench_settle(ours->server.pid);
    run_once(bare, pair, theirs, per_second, measure_us, &out);
    ratios[pair] = ours->rate[pair] / bare->rate[pair];
    printf("pair_%u_%u %.0f / %.0f = %.3f x\n", count, pair + 1, ours->rate[pair], bare->rate[pair], ratios[pair]);
    fflush(stdout);
  }
  bench_subs_close(mine);
  bench_subs_close(theirs);
  bench_server_stop(&bare->server);
  bench_report("frame", (double)frame_bytes, "bytes");
  report_side(ours, args->pairs, count, per_second > 0 ? "_paced" : "");
  report_side(bare, args->pairs, count, per_second > 0 ? "_paced" : "");
  return bench_median(ratios, args->pairs);
}

static unsigned open_files(pid_t pid) {
  char path[64];
  unsigned count = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *dir = opendir(path);
  if (!dir) bench_die("%s: %s", path, strerror(errno));
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

/* One in ten never reads, against all reading, in pairs. What is measured comes after several seconds: past the kernel's own buffers, where the server has to decide. */
static void run_stalled(side *ours, const bench_args *args, unsigned count) {
  double with[3], without[3], worst_with[3], worst_without[3], cut[3];
  unsigned rounds = args->full ? 3 : 1;
  bench_fanned out;
  for (unsigned i = 0; i < rounds; i++) {
    bench_subs *all = open_subs(ours, count - count / 10, 0);
    run_once(ours, 0, all, 0, 2500000, &out);
    without[i] = ours->rate[0];
    worst_without[i] = out.worst_us / 1e3;
    bench_subs_close(all);
    bench_settle(ours->server.pid);
    bench_subs *some = open_subs(ours, count - count / 10, count / 10);
    unsigned files = open_files(ours->server.pid);
    bench_subs_run(some, WINDOW, 0, 0, 7000000, NULL, NULL, &out);
    run_once(ours, 0, some, 0, 2500000, &out);
    with[i] = ours->rate[0];
    worst_with[i] = out.worst_us / 1e3;
    cut[i] = files - open_files(ours->server.pid);
    bench_subs_close(some);
  }
  bench_report("all_read_rate", bench_median(without, rounds), "deliveries/s");
  bench_report("one_in_ten_stalled_rate", bench_median(with, rounds), "deliveries/s");
  bench_report("all_read_worst", bench_median(worst_without, rounds), "ms");
  bench_report("one_in_ten_stalled_worst", bench_median(worst_with, rounds), "ms");
  bench_report("stalled_cut_off", bench_median(cut, rounds), "of 100 subscribers");
}

static void run_idle(side *ours, const bench_args *args) {
  unsigned count = args->full ? IDLE_FULL : IDLE;
  int64_t before = bench_rss_bytes(ours->server.pid);
  bench_subs *subs = open_subs(ours, count, 0);
  bench_settle(ours->server.pid);
  bench_report("idle_subscribers", count, "subscribers");
  bench_report("idle_rss_per_subscriber", (double)(bench_rss_bytes(ours->server.pid) - before) / count, "bytes");
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
  double ratio = 0;
  snprintf(url, strlen(path) + 8, "sqlite:%s", path);
  pin(0);                                                                                                 /* inherited by all threads of the server */
  bench_server_start(&ours.server, &args, url, (const char *const[]){"--live-max-lag-ms", "2000", NULL}); /* the stalled are to be seen to go within the run */
  pin(1);
  run_idle(&ours, &args);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    if (!args.full && counts[i] != 1000) continue;
    double its = run_pairs(&ours, &bare, &args, counts[i], 0);
    if (counts[i] == 1000) ratio = its;
    if (args.full) (void)run_pairs(&ours, &bare, &args, counts[i], 20);
  }
  run_stalled(&ours, &args, 1000);
  int status = bench_server_stop(&ours.server);
  free(path);
  free(url);
  bench_report("fanout_ratio", ratio, "x");
  if (status != 0) bench_die("the server did not stop in order (wait status %d)", status);
  return 0;
}
