/* bench_ingest.c - durable creates through the public C API, all indexes caught up at the end, against the bare two-thread SQLite program of bench_bare.c.
 *
 * ingest_ratio: the bare program inserts for each event all that the product does.
 * ingest_narrow_ratio: only three indexes and the keys, as design.md's prototype.
 * --storage postgresql: the same on a PostgreSQL server that is started for it (bench_ingest_pg.c).
 * The bare program commits in batches of the size that the engine's own commits had on average in the run before it; its index batches are the engine's limit.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tipcurrent.h>
#include <unistd.h>

#include "bench_bare.h"
#include "bench_flow.h"
#include "bench_ingest_pg.h"
#include "bench_util.h"

enum { EVENTS = 300000, EVENTS_FULL = 4000000, PAIRS = 3, PAIRS_MAX = 100, SINGLE_US = 1000000 };

typedef struct side {
  double durable[PAIRS_MAX], caught_up[PAIRS_MAX], counted[PAIRS_MAX], cpu_s[PAIRS_MAX], lag_max, stats_lag_max, batch; /* counted and stats: of ours */
  int64_t rows;                                                                                                         /* in the index */
} side;

static void run_ours(const bench_args *args, side *s, unsigned pair, uint64_t events) {
  static bench_flow flow; /* outlives the engine's last callback */
  bench_flow_init(&flow, bench_engine_open(args, "ours.db", NULL), pair, BENCH_SENDERS);
  double cpu = bench_cpu_s();
  int64_t start = bench_now_us();
  bench_flow_run(&flow, events);
  int64_t durable = bench_now_us() - start;
  bench_flow_catch_up(&flow);
  int64_t caught_up = bench_now_us() - start;
  bench_flow_count(&flow);
  int64_t counted = bench_now_us() - start;
  tc_status status = bench_engine_status(flow.engine);
  if (status.log_seq != (int64_t)events) bench_die("%lld events in the log instead of %llu", (long long)status.log_seq, (unsigned long long)events);
  s->durable[pair] = (double)events * 1e6 / (double)durable;
  s->caught_up[pair] = (double)events * 1e6 / (double)caught_up;
  s->counted[pair] = (double)events * 1e6 / (double)counted;
  s->cpu_s[pair] = (bench_cpu_s() - cpu) * 1e6 / (double)events;
  s->batch = (double)events / (double)status.commits;
  if ((double)flow.lag_max > s->lag_max) s->lag_max = (double)flow.lag_max;
  if ((double)flow.stats_lag_max > s->stats_lag_max) s->stats_lag_max = (double)flow.stats_lag_max;
  bench_engine_close(flow.engine);
}

static void run_bare(const bench_args *args, side *s, unsigned pair, uint64_t events, unsigned commit_batch, int narrow) {
  bench_bare bare = {.narrow = narrow, .args = args, .name = "bare", .seed = pair, .events = events, .senders = BENCH_SENDERS, .commit_batch = commit_batch};
  bench_engine_close(bench_engine_open(args, "bare.db", NULL)); /* for the log's schema */
  bench_engine_remove_index(args, "bare");
  double cpu = bench_cpu_s();
  bench_bare_run(&bare);
  s->durable[pair] = (double)events / bare.durable_s;
  s->caught_up[pair] = (double)events / bare.caught_up_s;
  s->cpu_s[pair] = (bench_cpu_s() - cpu) * 1e6 / (double)events;
  s->batch = commit_batch;
  s->rows = bare.rows;
  if ((double)bare.lag_max > s->lag_max) s->lag_max = (double)bare.lag_max;
}

/* One thread, one tip, one commit: what a client without company gets. */
static double single_rate(const bench_args *args) {
  tc_engine *engine = bench_engine_open(args, "single.db", NULL);
  int64_t start = bench_now_us(), now = start;
  uint64_t n = 0;
  for (; now - start < SINGLE_US; now = bench_now_us(), n++) {
    bench_tip made;
    bench_tip_make(&made, 99, n, BENCH_SENDERS);
    tc_tip_new tip = bench_tip_new(&made);
    if (tc_tip_create(engine, &tip, NULL, NULL) != TC_OK) bench_die("tc_tip_create: %s", tc_last_error());
  }
  bench_engine_close(engine);
  bench_engine_remove(args, "single");
  return (double)n * 1e6 / (double)(now - start);
}

static int64_t ask_number(const bench_args *args, const char *file, const char *sql) {
  sqlite3 *db = NULL;
  sqlite3_stmt *stmt = NULL;
  char *path = bench_path(args, file);
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) || sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) || sqlite3_step(stmt) != SQLITE_ROW)
    bench_die("%s: %s", path, sqlite3_errmsg(db));
  int64_t number = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  free(path);
  return number;
}

/* The bare program is only a limit if it does as much: both logs as long, both indexes with as many entries. */
static void compare(const bench_args *args, const side *bare) {
  const char *count = "SELECT count(*) FROM events";
  int64_t ours = ask_number(args, "ours-index.db", "SELECT sum(entries) FROM runs WHERE state=0");
  if (ask_number(args, "ours.db", count) != ask_number(args, "bare.db", count)) bench_die("the two logs differ in length");
  if (ours != bare->rows)
    bench_die("the bare program has %lld index entries, not %lld: it no longer does what the product does", (long long)bare->rows, (long long)ours);
  bench_report("index_entries", (double)ours, "entries");
}

static void report_side(const char *name, const side *s, unsigned pairs) {
  char line[64];
  const struct {
    const char *what, *unit;
    double value;
  } lines[] = {{"durable_rate", "events/s", bench_median(s->durable, pairs)},
               {"caught_up_rate", "events/s", bench_median(s->caught_up, pairs)},
               {"index_lag_max", "events", s->lag_max},
               {"commit_batch", "events", s->batch},
               {"cpu_per_million", "s", bench_median(s->cpu_s, pairs)}};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    snprintf(line, sizeof line, "%s_%s", name, lines[i].what);
    bench_report(line, lines[i].value, lines[i].unit);
  }
}

int main(int argc, char **argv) {
  bench_args args;
  static side ours, bare, narrow, single;
  double ratios[PAIRS_MAX], narrow_ratios[PAIRS_MAX];
#ifdef TCI_POSTGRESQL
  for (int i = 1; i + 1 < argc; i++) {
    if (!strcmp(argv[i], "--storage") && !strcmp(argv[i + 1], "postgresql")) return bench_ingest_pg(argc, argv, i);
  }
#endif
  bench_begin(&args, argc, argv, "durable creates through the C API, indexes caught up, against bare SQLite");
  uint64_t events = args.full ? EVENTS_FULL : EVENTS;
  if (!args.pairs) args.pairs = PAIRS;
  double rate = single_rate(&args);
  run_bare(&args, &single, 0, (uint64_t)rate + 1, 1, 0);
  bench_engine_remove(&args, "bare");
  bench_report("ours_one_commit_a_tip", rate, "events/s");
  bench_report("bare_one_commit_a_tip", single.durable[0], "events/s");

  for (unsigned pair = 0; pair < args.pairs; pair++) {
    run_ours(&args, &ours, pair, events);
    unsigned commit_batch = ours.batch < 1 ? 1 : (unsigned)(ours.batch + 0.5);
    run_bare(&args, &bare, pair, events, commit_batch, 0);
    if (pair == 0) compare(&args, &bare);
    bench_engine_remove(&args, "ours");
    bench_engine_remove(&args, "bare");
    run_bare(&args, &narrow, pair, events, commit_batch, 1);
    bench_engine_remove(&args, "bare");
    ratios[pair] = ours.caught_up[pair] / bare.caught_up[pair];
    narrow_ratios[pair] = ours.caught_up[pair] / narrow.caught_up[pair];
    printf("pair_%u %.0f / %.0f = %.3f x, narrow %.0f = %.3f x\n", pair + 1, ours.caught_up[pair], bare.caught_up[pair], ratios[pair], narrow.caught_up[pair],
           narrow_ratios[pair]);
  }
  report_side("ours", &ours, args.pairs);
  bench_report("ours_counted_rate", bench_median(ours.counted, args.pairs), "events/s");
  bench_report("ours_statistics_lag_max", ours.stats_lag_max, "events");
  report_side("bare", &bare, args.pairs);
  report_side("narrow", &narrow, args.pairs);
  bench_report("ingest_narrow_ratio", bench_median(narrow_ratios, args.pairs), "x");
  bench_report("ingest_ratio", bench_median(ratios, args.pairs), "x");
  if (ours.lag_max > BENCH_LAG_MAX) bench_die("the index was %.0f events behind, more than %d", ours.lag_max, BENCH_LAG_MAX);
  return 0;
}
