/* bench_cluster.c - one, two and three nodes on one PostgreSQL database, which is started for this run.
 *
 * append: events a second through the C API, one producer with 8,192 in flight at each node; every node also follows what the others append. What the log's lock costs is what several nodes take less than one.
 * latency: from a create at one node until a subscriber of another has the event; idle (one after the other), and under load (LOAD_PER_NODE events a second at each of three nodes). The limit is bench_bare_news.c;
 * cluster_ratio is its median by ours, idle, the median of the pairs.
 * deliveries: tipcurrentd, a closed window of 32 tips by POST to the first node, STOMP subscribers of one room spread over all of them.
 * All of it shares the machine's cores with the server and the clients, so more nodes do not make it faster here: what is looked for is what they cost.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_bare_news.h"
#include "bench_bare_pg.h"
#include "bench_flow.h"
#include "bench_pg.h"
#include "bench_subs.h"

enum { NODES = 3, PAIRS = 3, PAIRS_MAX = 100, EVENTS = 20000, EVENTS_FULL = 200000, PROBES = 100, SHORT = 2, SUBSCRIBERS = 300, WINDOW = 32 };
enum { LOAD_PER_NODE = 1000, LOAD_US = 2000000, LOAD_TICK_US = 1000, PROBES_MAX = 100000, FAN_ROUNDS = 2 };

#define FORGET "SET client_min_messages=error; DROP SCHEMA IF EXISTS cluster CASCADE"

typedef struct node {
  bench_flow flow; /* outlives the engine's last callback */
  pthread_t thread;
  uint64_t events;
  atomic_int stop;
} node;

static node nodes[NODES];
static const char *url;

static void open_nodes(unsigned count, uint64_t seed) {
  (void)bench_pg_number(url, FORGET);
  for (unsigned i = 0; i < count; i++) bench_flow_init(&nodes[i].flow, bench_pg_open(url, "cluster"), seed * NODES + i, BENCH_SENDERS);
}

static void close_nodes(unsigned count) {
  for (unsigned i = 0; i < count; i++) bench_engine_close(nodes[i].flow.engine);
}

/* ---- append ---- */

static void *produce(void *arg) {
  node *n = arg;
  bench_flow_run(&n->flow, n->events);
  return NULL;
}

/* Events a second, until the last of all nodes is durable. */
static double run_append(unsigned count, uint64_t events, uint64_t seed, double *batch) {
  uint64_t commits = 0;
  open_nodes(count, seed);
  int64_t begin_us = bench_now_us();
  for (unsigned i = 0; i < count; i++) {
    nodes[i].events = events / count;
    if (pthread_create(&nodes[i].thread, NULL, produce, &nodes[i])) bench_die("cannot start a thread");
  }
  for (unsigned i = 0; i < count; i++) (void)pthread_join(nodes[i].thread, NULL);
  double rate = (double)(events / count * count) * 1e6 / (double)(bench_now_us() - begin_us);
  for (unsigned i = 0; i < count; i++) commits += bench_engine_status(nodes[i].flow.engine).commits;
  *batch = (double)events / (double)commits;
  if (bench_pg_number(url, "SELECT count(*) FROM cluster.events") != (int64_t)(events / count * count)) bench_die("the log has another length");
  close_nodes(count);
  return rate;
}

static void measure_append(const bench_args *args) {
  static double rates[NODES][PAIRS_MAX], batches[NODES][PAIRS_MAX], ratios[NODES][PAIRS_MAX];
  char line[64];
  for (unsigned round = 0; round < args->pairs; round++) {
    for (unsigned i = 0; i < NODES; i++) {
      unsigned at = (i + round) % NODES; /* who comes first changes */
      rates[at][round] = run_append(at + 1, args->full ? EVENTS_FULL : EVENTS, round * NODES + at, &batches[at][round]);
    }
    for (unsigned i = 0; i < NODES; i++) ratios[i][round] = rates[i][round] / rates[0][round];
    printf("append_round_%u %.0f, %.0f, %.0f events/s with 1, 2, 3 nodes: %.3f x, %.3f x\n", round + 1, rates[0][round], rates[1][round], rates[2][round],
           ratios[1][round], ratios[2][round]);
  }
  for (unsigned i = 0; i < NODES; i++) {
    snprintf(line, sizeof line, "append_%u_rate", i + 1);
    bench_report(line, bench_median(rates[i], args->pairs), "events/s");
    snprintf(line, sizeof line, "append_%u_batch", i + 1);
    bench_report(line, bench_median(batches[i], args->pairs), "events");
    if (!i) continue;
    snprintf(line, sizeof line, "append_%u_ratio", i + 1);
    bench_report(line, bench_median(ratios[i], args->pairs), "x");
  }
}

/* ---- latency ---- */

typedef struct probe {
  tc_sub *sub;
  pthread_t thread;
  sem_t arrived;
  int64_t arrived_us;
  atomic_int stop;
} probe;

static void *receive(void *arg) {
  probe *p = arg;
  while (!atomic_load(&p->stop)) {
    tc_event *event = NULL;
    int rc = tc_sub_next(p->sub, 100, &event);
    if (rc == TC_ETIMEOUT) continue;
    if (rc != TC_OK) bench_die("tc_sub_next: %s", tc_last_error());
    p->arrived_us = bench_now_us();
    tc_event_unref(event);
    if (sem_post(&p->arrived)) bench_die("sem_post: %s", strerror(errno));
  }
  return NULL;
}

static void begin_probe(probe *p, tc_engine *at) {
  tc_sub_options options = TC_SUB_OPTIONS_INIT;
  options.room_id = "probe";
  if (tc_subscribe(at, &options, NULL, NULL, &p->sub) != TC_OK) bench_die("tc_subscribe: %s", tc_last_error());
  if (sem_init(&p->arrived, 0, 0) || pthread_create(&p->thread, NULL, receive, p)) bench_die("cannot start a thread");
}

static void end_probe(probe *p) {
  atomic_store(&p->stop, 1);
  (void)pthread_join(p->thread, NULL);
  tc_sub_close(p->sub);
  (void)sem_destroy(&p->arrived);
}

/* Creates at `from`, one after the other, each awaited at `to`; n of them, or as many as until_us allows. Returns how many. */
static size_t probe_between(tc_engine *from, tc_engine *to, size_t n, int64_t until_us, uint32_t *latency_us) {
  static uint64_t made_before;
  probe p = {.arrived_us = 0};
  size_t done = 0;
  begin_probe(&p, to);
  for (; done < n && bench_now_us() < until_us; done++) {
    bench_tip made;
    bench_tip_make(&made, 1000, made_before++, BENCH_SENDERS);
    tc_tip_new tip = bench_tip_new(&made);
    tip.room_id = "probe";
    int64_t begin_us = bench_now_us();
    if (tc_tip_create(from, &tip, NULL, NULL) != TC_OK) bench_die("tc_tip_create: %s", tc_last_error());
    while (sem_wait(&p.arrived)) {
      if (errno != EINTR) bench_die("sem_wait: %s", strerror(errno));
    }
    latency_us[done] = (uint32_t)(p.arrived_us - begin_us);
  }
  end_probe(&p);
  return done;
}

static void on_done(const tc_result *result, void *userdata) {
  (void)userdata;
  if (result->code) bench_die("a tip of the load failed: %s", tc_strerror(result->code));
}

static void submit(node *n) {
  bench_tip made;
  bench_tip_make(&made, n->flow.seed, n->flow.next++, BENCH_SENDERS);
  tc_tip_new tip = bench_tip_new(&made);
  if (tc_tip_submit(n->flow.engine, &tip, on_done, NULL) != TC_OK) bench_die("tc_tip_submit: %s", tc_last_error());
}

/* LOAD_PER_NODE tips a second of other rooms, as they fall due. */
static void *load_node(void *arg) {
  node *n = arg;
  int64_t begin_us = bench_now_us();
  for (uint64_t sent = 0; !atomic_load(&n->stop); usleep(LOAD_TICK_US)) {
    uint64_t due = (uint64_t)((bench_now_us() - begin_us) * LOAD_PER_NODE / 1000000);
    for (; sent < due; sent++) submit(n);
  }
  return NULL;
}

static void report_latency(const char *name, uint32_t *latency_us, size_t n) {
  char line[64];
  snprintf(line, sizeof line, "%s_p50", name);
  bench_report(line, bench_percentile(latency_us, n, 0.5) / 1e3, "ms");
  snprintf(line, sizeof line, "%s_p99", name);
  bench_report(line, bench_percentile(latency_us, n, 0.99) / 1e3, "ms");
}

/* Interleaved: another node, the same node, bare libpq. Returns the median of the bare medians by ours. */
static double measure_idle(unsigned pairs) {
  static uint32_t across[PAIRS_MAX * SHORT * PROBES], same[PAIRS_MAX * SHORT * PROBES], bare[PAIRS_MAX * SHORT * PROBES];
  double ratios[PAIRS_MAX * SHORT];
  for (unsigned pair = 0; pair < pairs; pair++) {
    uint32_t *ours = across + pair * PROBES, *limit = bare + pair * PROBES;
    (void)probe_between(nodes[0].flow.engine, nodes[1].flow.engine, PROBES, INT64_MAX, ours);
    (void)probe_between(nodes[0].flow.engine, nodes[0].flow.engine, PROBES, INT64_MAX, same + pair * PROBES);
    bench_bare_news(url, PROBES, limit);
    double ours_ms = bench_percentile(ours, PROBES, 0.5) / 1e3, bare_ms = bench_percentile(limit, PROBES, 0.5) / 1e3;
    ratios[pair] = bare_ms / ours_ms;
    printf("latency_pair_%u bare %.3f / ours %.3f ms = %.3f x\n", pair + 1, bare_ms, ours_ms, ratios[pair]);
  }
  report_latency("latency_idle", across, (size_t)pairs * PROBES);
  report_latency("latency_same_node", same, (size_t)pairs * PROBES);
  report_latency("latency_bare", bare, (size_t)pairs * PROBES);
  return bench_median(ratios, pairs);
}

static void measure_loaded(const bench_args *args) {
  static uint32_t latency_us[PROBES_MAX];
  int64_t begin_us = bench_now_us(), before = bench_engine_status(nodes[1].flow.engine).log_seq;
  for (unsigned i = 0; i < NODES; i++) {
    atomic_store(&nodes[i].stop, 0);
    if (pthread_create(&nodes[i].thread, NULL, load_node, &nodes[i])) bench_die("cannot start a thread");
  }
  size_t n = probe_between(nodes[0].flow.engine, nodes[1].flow.engine, PROBES_MAX, begin_us + LOAD_US * (args->full ? 10 : 1), latency_us);
  double seconds = (double)(bench_now_us() - begin_us) / 1e6, events = (double)(bench_engine_status(nodes[1].flow.engine).log_seq - before);
  for (unsigned i = 0; i < NODES; i++) {
    atomic_store(&nodes[i].stop, 1);
    (void)pthread_join(nodes[i].thread, NULL);
  }
  bench_report("latency_load_events", events / seconds, "events/s");
  report_latency("latency_load", latency_us, n);
}

/* ---- deliveries ---- */

static double run_fan(const bench_args *args, unsigned count, double *p50_ms, double *p99_ms) {
  static bench_server servers[NODES];
  uint16_t ports[NODES];
  char storage[512];
  bench_fanned out;
  (void)bench_pg_number(url, FORGET);
  snprintf(storage, sizeof storage, "%s?options=-csearch_path%%3Dcluster", url);
  for (unsigned i = 0; i < count; i++) {
    bench_server_start(&servers[i], args, storage, (const char *const[]){"--log-level", "error", NULL});
    ports[i] = servers[i].port;
  }
  bench_subs *subs = bench_subs_open(&(bench_subs_options){.port = ports[0], .ports = ports, .port_count = count, .count = SUBSCRIBERS});
  bench_subs_run(subs, &(bench_published){.window = WINDOW, .warm_up_us = 300000, .measure_us = args->full ? 5000000 : 1000000}, &out);
  bench_subs_close(subs);
  for (unsigned i = count; i-- > 0;) {
    int status = bench_server_stop(&servers[i]);
    if (status) bench_die("a node did not stop in order (wait status %d)", status);
  }
  *p50_ms = out.p50_us / 1e3;
  *p99_ms = out.p99_us / 1e3;
  return (double)out.deliveries / out.seconds;
}

static void measure_fan(const bench_args *args) {
  static double rates[NODES][PAIRS_MAX], p50_ms[NODES][PAIRS_MAX], p99_ms[NODES][PAIRS_MAX];
  unsigned rounds = args->full ? args->pairs : FAN_ROUNDS;
  for (unsigned round = 0; round < rounds; round++) {
    for (unsigned i = 0; i < NODES; i++) {
      unsigned at = (i + round) % NODES;
      rates[at][round] = run_fan(args, at + 1, &p50_ms[at][round], &p99_ms[at][round]);
    }
    printf("deliveries_round_%u %.0f, %.0f, %.0f deliveries/s with 1, 2, 3 nodes\n", round + 1, rates[0][round], rates[1][round], rates[2][round]);
  }
  for (unsigned i = 0; i < NODES; i++) {
    char line[64];
    const struct {
      const char *what, *unit;
      const double *values;
    } lines[] = {{"rate", "deliveries/s", rates[i]}, {"p50", "ms", p50_ms[i]}, {"p99", "ms", p99_ms[i]}};
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
      snprintf(line, sizeof line, "deliveries_%u_%s", i + 1, lines[k].what);
      bench_report(line, bench_median(lines[k].values, rounds), lines[k].unit);
    }
  }
}

int main(int argc, char **argv) {
  bench_args args;
  url = getenv("TIPCURRENT_TEST_PG");
  if (!url) bench_pg_start_server(argc, argv);
  bench_begin(&args, argc, argv, "several nodes on one PostgreSQL database: what the log's lock costs, how long an event takes to another node, deliveries");
  if (!args.pairs) args.pairs = PAIRS;
  measure_append(&args);
  open_nodes(NODES, 100);
  double ratio = measure_idle(args.pairs * SHORT); /* the disk's syncs differ from one second to the next */
  measure_loaded(&args);
  close_nodes(NODES);
  measure_fan(&args);
  (void)bench_pg_number(url, FORGET);
  bench_report("cluster_ratio", ratio, "x");
  return 0;
}
