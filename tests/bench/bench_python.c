/* bench_python.c - durable creates through the Python binding against the same through C, in interleaved pairs.
 *
 * bulk_ratio: Tips.create_many by tc_tip_submit with 8,192 in flight, one producer each, until the last one is durable.
 * python_ratio: one thread that creates one tip after the other; both wait for the same commits.
 * Either side has its tips at hand or makes them for next to nothing, its own files, and a process of its own on the Python side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tipcurrent.h>
#include <unistd.h>

#include "bench_flow.h"
#include "bench_util.h"

enum { EVENTS = 120000, EVENTS_FULL = 2000000, SUBMITS = 30000, SYNC_MS = 1000, PAIRS = 3, PAIRS_MAX = 100 };

typedef struct rates {
  double rate[PAIRS_MAX], cpu_us[PAIRS_MAX];
} rates;

static void c_bulk(const bench_args *args, rates *r, unsigned pair, uint64_t events) {
  static bench_flow flow; /* outlives the engine's last callback */
  bench_flow_init(&flow, bench_engine_open(args, "c.db", NULL), pair, BENCH_SENDERS);
  double cpu = bench_cpu_s();
  int64_t start = bench_now_us();
  bench_flow_run(&flow, events);
  r->rate[pair] = (double)events * 1e6 / (double)(bench_now_us() - start);
  bench_flow_catch_up(&flow);
  bench_flow_count(&flow);
  r->cpu_us[pair] = (bench_cpu_s() - cpu) * 1e6 / (double)events;
  bench_engine_close(flow.engine);
  bench_engine_remove(args, "c");
}

static void c_sync(const bench_args *args, rates *r, unsigned pair) {
  tc_engine *engine = bench_engine_open(args, "c.db", NULL);
  int64_t start = bench_now_us(), now = start;
  uint64_t n = 0;
  for (; now - start < SYNC_MS * 1000; now = bench_now_us(), n++) {
    bench_tip made;
    bench_tip_make(&made, pair, n, BENCH_SENDERS);
    tc_tip_new tip = bench_tip_new(&made);
    tc_event *event = NULL;
    if (tc_tip_create(engine, &tip, &event, NULL) != TC_OK) bench_die("tc_tip_create: %s", tc_last_error());
    tc_event_unref(event);
  }
  r->rate[pair] = (double)n * 1e6 / (double)(now - start);
  bench_engine_close(engine);
  bench_engine_remove(args, "c");
}

/* Reads what the child writes until it closes its end; returns how many bytes. */
static size_t read_all(int fd, char *buf, size_t cap) {
  size_t n = 0;
  while (n < cap - 1) {
    ssize_t got = read(fd, buf + n, cap - 1 - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) bench_die("read: %s", strerror(errno));
    if (!got) break;
    n += (size_t)got;
  }
  buf[n] = '\0';
  return n;
}

static void python(const bench_args *args, rates *r, unsigned pair, const char *mode, uint64_t count) {
  char url[4096], number[32], seed[32], senders[32], said[256];
  int ends[2], status = 0;
  char *path = bench_path(args, "python.db");
  snprintf(url, sizeof url, "sqlite:%s", path);
  free(path);
  snprintf(number, sizeof number, "%llu", (unsigned long long)count);
  snprintf(seed, sizeof seed, "%u", pair);
  snprintf(senders, sizeof senders, "%d", BENCH_SENDERS);
  if (pipe(ends)) bench_die("pipe: %s", strerror(errno));
  pid_t child = fork();
  if (child < 0) bench_die("fork: %s", strerror(errno));
  if (child == 0) {
    if (dup2(ends[1], STDOUT_FILENO) < 0 || setenv("PYTHONPATH", BENCH_PYTHONPATH, 1) || setenv("TIPCURRENT_LIBRARY", BENCH_LIBRARY, 1)) _exit(126);
    (void)close(ends[0]);
    (void)close(ends[1]);
    execl(BENCH_PYTHON, "python3", BENCH_SCRIPT, mode, url, number, seed, senders, (char *)NULL);
    _exit(127);
  }
  (void)close(ends[1]);
  (void)read_all(ends[0], said, sizeof said);
  (void)close(ends[0]);
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) bench_die("waitpid: %s", strerror(errno));
  }
  char *end = NULL;
  r->rate[pair] = strtod(said, &end);
  r->cpu_us[pair] = strtod(end, NULL);
  if (status || !(r->rate[pair] > 0)) bench_die("the Python side failed (%s): status %d, said \"%s\"", mode, status, said);
  bench_engine_remove(args, "python");
}

static double ratio(const rates *ours, const rates *limit, unsigned pairs) {
  double ratios[PAIRS_MAX];
  for (unsigned i = 0; i < pairs; i++) ratios[i] = ours->rate[i] / limit->rate[i];
  return bench_median(ratios, pairs);
}

int main(int argc, char **argv) {
  bench_args args;
  static rates c_bulks, c_syncs, py_bulks, py_syncs, py_submits;
  bench_begin(&args, argc, argv, "durable creates through the Python binding, by those through C");
  uint64_t events = args.full ? EVENTS_FULL : EVENTS;
  if (!args.pairs) args.pairs = PAIRS;
  for (unsigned pair = 0; pair < args.pairs; pair++) {
    c_bulk(&args, &c_bulks, pair, events);
    python(&args, &py_bulks, pair, "bulk", events);
    c_sync(&args, &c_syncs, pair);
    python(&args, &py_syncs, pair, "sync", SYNC_MS);
    python(&args, &py_submits, pair, "submit", SUBMITS);
    printf("pair_%u bulk %.0f / %.0f = %.3f x, sync %.0f / %.0f = %.3f x\n", pair + 1, py_bulks.rate[pair], c_bulks.rate[pair],
           py_bulks.rate[pair] / c_bulks.rate[pair], py_syncs.rate[pair], c_syncs.rate[pair], py_syncs.rate[pair] / c_syncs.rate[pair]);
  }
  bench_report("c_bulk_rate", bench_median(c_bulks.rate, args.pairs), "events/s");
  bench_report("python_bulk_rate", bench_median(py_bulks.rate, args.pairs), "events/s");
  bench_report("python_submit_rate", bench_median(py_submits.rate, args.pairs), "events/s");
  bench_report("c_bulk_cpu", bench_median(c_bulks.cpu_us, args.pairs), "us");
  bench_report("python_bulk_cpu", bench_median(py_bulks.cpu_us, args.pairs), "us");
  bench_report("c_sync_rate", bench_median(c_syncs.rate, args.pairs), "events/s");
  bench_report("python_sync_rate", bench_median(py_syncs.rate, args.pairs), "events/s");
  bench_report("python_ratio", ratio(&py_syncs, &c_syncs, args.pairs), "x");
  bench_report("bulk_ratio", ratio(&py_bulks, &c_bulks, args.pairs), "x");
  return 0;
}
