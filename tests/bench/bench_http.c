/* bench_http.c - durable POST /api/tips with keys over keep-alive connections, against a CivetWeb handler that only reads the body and answers 201 with it.
 *
 * Client and server share the machine's cores on both sides alike. The CPU of a request is the server process's, read by its own clock from before the run until it has come to rest: what it does for
 * the requests when they are answered (indexes, statistics) is in it, and is not left to the other side's run.
 */
#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_load.h"
#include "bench_util.h"

enum { THREADS = 256 + 16, BATCH_LINES = 1000, BATCH_CONNECTIONS = 4, PAIRS = 5, PAIRS_MAX = 100 };

static int answer_with_body(struct mg_connection *conn, void *unused) {
  char buf[4096 + 256], body[4096];
  const struct mg_request_info *info = mg_get_request_info(conn);
  (void)unused;
  int got = 0, need = (int)info->content_length;
  if (need < 0 || need > (int)sizeof body) return 0;
  while (got < need) {
    int n = mg_read(conn, body + got, (size_t)(need - got));
    if (n <= 0) return 0;
    got += n;
  }
  /* One write for head and body: CivetWeb at its best. */
  int head = snprintf(buf, sizeof buf, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n", need);
  memcpy(buf + head, body, (size_t)need);
  mg_write(conn, buf, (size_t)(head + need));
  return 201;
}

static void serve_bare(int fd) {
  char threads[16];
  snprintf(threads, sizeof threads, "%d", THREADS);
  const char *options[] = {
    "listening_ports", "127.0.0.1:0", "num_threads", threads, "enable_keep_alive", "yes", "keep_alive_timeout_ms", "60000", "request_timeout_ms",
    "60000",           "tcp_nodelay", "1",           NULL};
  struct mg_callbacks callbacks = {0};
  struct mg_server_port ports[2];
  struct mg_context *context = mg_start(&callbacks, NULL, options);
  if (!context || mg_get_server_ports(context, 2, ports) < 1) _exit(1);
  mg_set_request_handler(context, "/api/tips", answer_with_body, NULL);
  dprintf(fd, "%d\n", ports[0].port);
  close(fd);
  for (;;) pause();
}

static uint16_t port_of_requests;

static size_t request_one(char *buf, size_t cap, uint64_t n, void *arg) {
  char body[512];
  bench_tip tip;
  bench_tip_make(&tip, *(uint64_t *)arg, n, BENCH_SENDERS);
  size_t body_len = bench_tip_json(&tip, body, sizeof body, 0);
  int head =
    snprintf(buf, cap, "POST /api/tips HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\nIdempotency-Key: %s\r\nContent-Length: %zu\r\n\r\n",
             port_of_requests, tip.key, body_len);
  if (head < 0 || (size_t)head + body_len > cap) bench_die("the request buffer is too small");
  memcpy(buf + head, body, body_len);
  return (size_t)head + body_len;
}

static size_t request_batch(char *buf, size_t cap, uint64_t n, void *arg) {
  enum { HEAD = 256 };
  size_t len = HEAD;
  for (uint64_t line = 0; line < BATCH_LINES; line++) {
    bench_tip tip;
    bench_tip_make(&tip, *(uint64_t *)arg, (1u << 30) + n * BATCH_LINES + line, BENCH_SENDERS);
    if (len + 513 > cap) bench_die("the request buffer is too small");
    len += bench_tip_json(&tip, buf + len, cap - len, 1);
    buf[len++] = '\n';
  }
  /* The length is known last: the head goes right before the lines, and the whole moves down. */
  char head[HEAD];
  int head_len =
    snprintf(head, sizeof head, "POST /api/tips:batch HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n",
             port_of_requests, len - HEAD);
  memmove(buf + head_len, buf + HEAD, len - HEAD);
  memcpy(buf, head, (size_t)head_len);
  return (size_t)head_len + len - HEAD;
}

typedef struct side {
  const char *name;
  bench_server server;
  double per_second[PAIRS_MAX], p50_ms[PAIRS_MAX], p99_ms[PAIRS_MAX], cpu_us[PAIRS_MAX];
  uint64_t seed, next;
} side;

static void run_once(side *s, unsigned pair, unsigned connections, int64_t measure_us) {
  bench_loaded out;
  bench_load load = {.port = s->server.port,
                     .connections = connections,
                     .warm_up_us = 300000,
                     .measure_us = measure_us,
                     .status = 201,
                     .request_cap = 2048,
                     .answer_cap = 8192,
                     .request = request_one,
                     .arg = &s->seed,
                     .next = s->next};
  port_of_requests = s->server.port;
  double cpu = bench_cpu_of(s->server.pid);
  bench_load_run(&load, &out);
  bench_settle(s->server.pid);
  uint64_t requests = load.next - s->next;
  s->next = load.next;
  s->per_second[pair] = out.per_second;
  s->p50_ms[pair] = out.p50_us / 1e3;
  s->p99_ms[pair] = out.p99_us / 1e3;
  s->cpu_us[pair] = (bench_cpu_of(s->server.pid) - cpu) * 1e6 / (double)requests;
}

static void report_side(const side *s, unsigned pairs, unsigned connections) {
  char name[64];
  const struct {
    const char *what, *unit;
    const double *values;
  } lines[] = {{"rate", "requests/s", s->per_second}, {"p50", "ms", s->p50_ms}, {"p99", "ms", s->p99_ms}, {"cpu", "us/request", s->cpu_us}};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    snprintf(name, sizeof name, "%s_%u_%s", s->name, connections, lines[i].what);
    bench_report(name, bench_median(lines[i].values, pairs), lines[i].unit);
  }
}

static double run_pairs(side *ours, side *bare, const bench_args *args, unsigned connections) {
  double ratios[PAIRS_MAX];
  int64_t measure_us = args->full ? 10000000 : 1300000;
  for (unsigned pair = 0; pair < args->pairs; pair++) {
    run_once(ours, pair, connections, measure_us);
    run_once(bare, pair, connections, measure_us);
    ratios[pair] = ours->per_second[pair] / bare->per_second[pair];
    printf("pair_%u_%u %.0f / %.0f = %.3f x\n", connections, pair + 1, ours->per_second[pair], bare->per_second[pair], ratios[pair]);
  }
  report_side(ours, args->pairs, connections);
  report_side(bare, args->pairs, connections);
  return bench_median(ratios, args->pairs);
}

static void run_batch(side *ours, const bench_args *args) {
  bench_loaded out;
  bench_load load = {.port = ours->server.port,
                     .connections = BATCH_CONNECTIONS,
                     .warm_up_us = 300000,
                     .measure_us = args->full ? 10000000 : 3000000,
                     .status = 200,
                     .count = "\"status\":201",
                     .request_cap = BATCH_LINES * 513 + 1024,
                     .answer_cap = BATCH_LINES * 768 + 1024,
                     .request = request_batch,
                     .arg = &ours->seed};
  port_of_requests = ours->server.port;
  double cpu = bench_cpu_of(ours->server.pid);
  bench_load_run(&load, &out);
  bench_settle(ours->server.pid);
  cpu = (bench_cpu_of(ours->server.pid) - cpu) / (double)(load.next * BATCH_LINES);
  if (out.counted_per_second < out.per_second * BATCH_LINES * 0.999) bench_die("a batch line was not answered 201");
  bench_report("batch_rate", out.counted_per_second, "lines/s");
  bench_report("batch_p50", out.p50_us / 1e3, "ms");
  bench_report("batch_p99", out.p99_us / 1e3, "ms");
  bench_report("batch_cpu", cpu * 1e6, "us/line");
}

int main(int argc, char **argv) {
  bench_args args;
  bench_begin(&args, argc, argv, "durable POST /api/tips against a CivetWeb handler that answers 201 with the body");
  if (!args.pairs) args.pairs = PAIRS;
  static side ours = {.name = "durable"}, bare = {.name = "civetweb"};
  char *path = bench_path(&args, "http.db"), *url = bench_alloc(strlen(path) + 8, 1);
  snprintf(url, strlen(path) + 8, "sqlite:%s", path);
  ours.seed = bare.seed = (uint64_t)bench_now_us();
  bench_server_fork(&bare.server, serve_bare);
  bench_server_start(&ours.server, &args, url, NULL);

  double ratio64 = run_pairs(&ours, &bare, &args, 64);
  double ratio256 = run_pairs(&ours, &bare, &args, 256);
  run_batch(&ours, &args);
  bench_report("durable_cpu_per_million_256", bench_median(ours.cpu_us, args.pairs), "s");
  bench_report("civetweb_cpu_per_million_256", bench_median(bare.cpu_us, args.pairs), "s");
  bench_report("http64_ratio", ratio64, "x");
  bench_report("http_ratio", ratio256, "x");

  bench_server_stop(&bare.server);
  int status = bench_server_stop(&ours.server);
  free(path);
  free(url);
  if (status != 0) bench_die("the server did not stop in order (wait status %d)", status);
  return 0;
}
