/* bench_ingest_pg.c - bench_ingest --storage postgresql: durable creates through the public C API, all indexes caught up, on a server that is started for this run.
 *
 * ingest_ratio: against a bare libpq program that appends and indexes the same batches (bench_bare_pg.c).
 * two_transactions_ratio: against two transactions a tip from 16 connections, the old service's way.
 */
#include "bench_ingest_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_bare_pg.h"
#include "bench_flow.h"
#include "bench_pg.h"

enum { EVENTS = 200000, EVENTS_FULL = 2000000, PAIRS = 3, PAIRS_MAX = 100, CONNECTIONS = 16, TWO_US = 3000000 };

typedef struct rates {
  double durable, caught_up, cpu_s;
} rates;

static rates run_ours(const char *url, unsigned pair, uint64_t events, double *batch, int64_t *lag_max) {
  static bench_flow flow; /* outlives the engine's last callback */
  (void)bench_pg_number(url, "DROP SCHEMA IF EXISTS ours CASCADE");
  bench_flow_init(&flow, bench_pg_open(url, "ours"), pair, BENCH_SENDERS);
  double cpu = bench_cpu_s();
  int64_t start = bench_now_us();
  bench_flow_run(&flow, events);
  int64_t durable = bench_now_us() - start;
  bench_flow_catch_up(&flow);
  int64_t caught_up = bench_now_us() - start;
  tc_status status = bench_engine_status(flow.engine);
  if (status.log_seq != (int64_t)events) bench_die("%lld events in the log instead of %llu", (long long)status.log_seq, (unsigned long long)events);
  *batch = (double)events / (double)status.commits;
  if (flow.lag_max > *lag_max) *lag_max = flow.lag_max;
  rates out = {(double)events * 1e6 / (double)durable, (double)events * 1e6 / (double)caught_up, (bench_cpu_s() - cpu) * 1e6 / (double)events};
  bench_engine_close(flow.engine);
  return out;
}

/* The bare program is only a limit if it does as much: as many events in the log, as many places in its lists. */
static void compare(const char *url, uint64_t events, int64_t rows) {
  if (bench_pg_number(url, "SELECT count(*) FROM ours.events") != (int64_t)events) bench_die("the product's log has another length");
  int64_t ours = bench_pg_number(
    url, "SELECT (SELECT sum(coalesce(length(entries)/16, 1)) FROM ours.postings)+(SELECT count(*) FROM ours.keys)+(SELECT count(*) FROM ours.events)");
  if (ours != rows) bench_die("the bare program has %lld index entries, the product %lld", (long long)rows, (long long)ours);
  bench_report("index_entries", (double)ours, "entries");
}

int bench_ingest_pg(int argc, char **argv, int storage_at) {
  static double ours_rates[PAIRS_MAX], bare_rates[PAIRS_MAX], ratios[PAIRS_MAX], durable[PAIRS_MAX], cpu[PAIRS_MAX], two[PAIRS_MAX], two_ratios[PAIRS_MAX];
  bench_args args;
  double batch = 0;
  int64_t lag_max = 0;
  const char *url = getenv("TIPCURRENT_TEST_PG");
  if (!url) bench_pg_start_server(argc, argv);
  memmove(argv + storage_at, argv + storage_at + 2, (size_t)(argc - storage_at - 1) * sizeof *argv); /* what it knows of is left */
  bench_begin(&args, argc - 2, argv, "durable creates through the C API on PostgreSQL, against bare libpq");
  uint64_t events = args.full ? EVENTS_FULL : EVENTS;
  unsigned pairs = args.pairs ? args.pairs : PAIRS;
  for (unsigned pair = 0; pair < pairs; pair++) {
    rates ours = run_ours(url, pair, events, &batch, &lag_max);
    bench_bare bare = {
      .args = &args, .name = "bare", .seed = pair, .events = events, .senders = BENCH_SENDERS, .commit_batch = batch < 1 ? 1 : (unsigned)(batch + 0.5)};
    bench_bare_pg_run(&bare, url);
    if (!pair) compare(url, events, bare.rows);
    two[pair] = bench_two_transactions(url, CONNECTIONS, TWO_US, pair);
    ours_rates[pair] = ours.caught_up;
    durable[pair] = ours.durable;
    cpu[pair] = ours.cpu_s;
    bare_rates[pair] = (double)events / bare.caught_up_s;
    ratios[pair] = ours.caught_up / bare_rates[pair];
    two_ratios[pair] = ours.caught_up / two[pair];
    printf("pair_%u %.0f / %.0f = %.3f x, two transactions a tip %.0f = %.2f x\n", pair + 1, ours.caught_up, bare_rates[pair], ratios[pair], two[pair],
           two_ratios[pair]);
  }
  (void)bench_pg_number(url, "DROP SCHEMA ours CASCADE");
  bench_report("ours_durable_rate", bench_median(durable, pairs), "events/s");
  bench_report("ours_caught_up_rate", bench_median(ours_rates, pairs), "events/s");
  bench_report("ours_index_lag_max", (double)lag_max, "events");
  bench_report("ours_commit_batch", batch, "events");
  bench_report("ours_cpu_per_million", bench_median(cpu, pairs), "s");
  bench_report("bare_caught_up_rate", bench_median(bare_rates, pairs), "events/s");
  bench_report("two_transactions_rate", bench_median(two, pairs), "events/s");
  bench_report("two_transactions_ratio", bench_median(two_ratios, pairs), "x");
  bench_report("ingest_ratio", bench_median(ratios, pairs), "x");
  return 0;
}
