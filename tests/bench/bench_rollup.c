/* bench_rollup.c - statistics and leaderboards behind the log: how fast they follow, what they cost the ingest, and that an answer costs the same in a longer log.
 *
 * Two logs. "real": rooms by Zipf's law, each with an audience of its own, so that people come back where they were, and one to three recipients. "wide": that of bench_ingest, where
 * any of 100,000 senders is in any of 1,000 rooms, so that nearly every tip is a new pair and nothing is met twice: the worst there is.
 * rollup_ratio: events a second of the rollup over a prepared log, by the caught-up rate of an ingest without it in the same pair.
 * ingest_kept: the caught-up rate of an ingest with statistics behind it, by that of one without; counted_kept: the same, until they too have caught up. Statistics give way to a storm for up to 262,144
 * events.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tipcurrent.h>
#include <unistd.h>

#include "bench_flow.h"
#include "bench_util.h"
#include "engine/rollup/rollup.h"
#include "storage/schemes.h"

enum { EVENTS = 300000, EVENTS_FULL = 1000000, PAIRS = 2, PAIRS_MAX = 100, ROOMS = 1000, MEMBERS = 300000, LOOKS = 200, DAYS = 30 };

/* ---- the real log ---- */

static struct {
  uint32_t room_of[1 << 16]; /* by Zipf: a number drawn evenly to a room */
  uint32_t first[ROOMS + 1]; /* of a room's members among all memberships */
} world;

static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static void make_world(void) {
  double total = 0, sum = 0;
  uint32_t at = 0;
  for (int i = 1; i <= ROOMS; i++) total += 1.0 / i;
  for (uint32_t room = 0; room < ROOMS; room++) {
    world.first[room] = (uint32_t)(sum / total * MEMBERS);
    sum += 1.0 / (room + 1);
    while (at < 1 << 16 && at < sum / total * (1 << 16)) world.room_of[at++] = room;
  }
  world.first[ROOMS] = MEMBERS;
  while (at < 1 << 16) world.room_of[at++] = ROOMS - 1;
}

static void put_name(char *out, const char *prefix, uint32_t number) {
  size_t n = strlen(prefix);
  memcpy(out, prefix, n);
  for (size_t i = n + 6; i-- > n; number /= 10) out[i] = (char)('0' + number % 10);
  out[n + 6] = '\0';
}

static void make_real(bench_tip *tip, uint64_t seed, uint64_t i, uint32_t senders) {
  bench_tip_make(tip, seed, i, senders);
  uint64_t a = mix(~seed ^ mix(i)), b = mix(a);
  uint32_t room = world.room_of[a & 0xffff], members = world.first[room + 1] - world.first[room];
  /* Some tip often and most seldom, in a room as everywhere. */
  double share = (double)(b >> 11) / (double)(UINT64_C(1) << 53);
  uint32_t member = world.first[room] + (uint32_t)(share * share * (members ? members : 1));
  put_name(tip->room, "room-", room);
  put_name(tip->sender, "viewer-", (uint32_t)(mix(member) % senders));
  put_name(tip->recipient, "caster-", room * 3 + (uint32_t)((a >> 20) % (1 + room % 3)));
}

/* ---- rates ---- */

typedef void (*maker)(bench_tip *tip, uint64_t seed, uint64_t i, uint32_t senders);

static tc_storage_ops without;

static void wait_for(tc_engine *engine, int64_t seq) {
  int64_t deadline = bench_now_us() + 900000000;
  while (tci_rollup_seq(engine) < seq) {
    if (bench_now_us() > deadline) bench_die("the statistics have not caught up in 15 minutes");
    usleep(500);
  }
}

typedef struct side {
  double with[PAIRS_MAX], counted[PAIRS_MAX], bare[PAIRS_MAX], rollup[PAIRS_MAX], cpu_with[PAIRS_MAX], cpu_bare[PAIRS_MAX], cpu_rollup[PAIRS_MAX];
} side;

/* Returns events a second until they are indexed; *counted (with statistics): until they are counted as well. */
static double ingest(const bench_args *args, const char *name, const tc_storage_ops *ops, maker make, unsigned seed, uint64_t events, double *counted,
                     double *cpu) {
  static bench_flow flow; /* outlives the engine's last callback */
  bench_flow_init(&flow, bench_engine_open(args, name, ops), seed, BENCH_SENDERS);
  flow.make = make;
  double cpu_s = bench_cpu_s();
  int64_t start = bench_now_us();
  bench_flow_run(&flow, events);
  bench_flow_catch_up(&flow);
  int64_t took = bench_now_us() - start;
  if (!ops) bench_flow_count(&flow);
  if (counted) *counted = (double)events * 1e6 / (double)(bench_now_us() - start);
  *cpu = (bench_cpu_s() - cpu_s) * 1e6 / (double)events;
  bench_engine_close(flow.engine);
  return (double)events * 1e6 / (double)took;
}

static double follow(const bench_args *args, const char *name, uint64_t events, double *cpu) {
  double cpu_s = bench_cpu_s();
  int64_t start = bench_now_us();
  tc_engine *engine = bench_engine_open(args, name, NULL);
  wait_for(engine, (int64_t)events);
  int64_t took = bench_now_us() - start;
  *cpu = (bench_cpu_s() - cpu_s) * 1e6 / (double)events;
  bench_engine_close(engine);
  return (double)events * 1e6 / (double)took;
}

static void measure_rates(const bench_args *args, const char *log, maker make, uint64_t events) {
  static side s;
  double ratios[PAIRS_MAX], kept[PAIRS_MAX], counted_kept[PAIRS_MAX];
  char line[64];
  for (unsigned pair = 0; pair < args->pairs; pair++) {
    s.bare[pair] = ingest(args, "bare.db", &without, make, pair, events, NULL, &s.cpu_bare[pair]);
    s.rollup[pair] = follow(args, "bare.db", events, &s.cpu_rollup[pair]); /* the same log: now with statistics */
    s.with[pair] = ingest(args, "with.db", NULL, make, pair, events, &s.counted[pair], &s.cpu_with[pair]);
    bench_engine_remove(args, "bare");
    bench_engine_remove(args, "with");
    ratios[pair] = s.rollup[pair] / s.bare[pair];
    kept[pair] = s.with[pair] / s.bare[pair];
    counted_kept[pair] = s.counted[pair] / s.bare[pair];
    printf("%s_pair_%u ingest %.0f, with statistics %.0f = %.3f x, until they are counted %.0f = %.3f x; rollup alone %.0f = %.3f x\n", log, pair + 1,
           s.bare[pair], s.with[pair], kept[pair], s.counted[pair], counted_kept[pair], s.rollup[pair], ratios[pair]);
  }
  const struct {
    const char *what, *unit;
    double value;
  } lines[] = {{"ingest_rate", "events/s", bench_median(s.bare, args->pairs)},   {"ingest_with_rate", "events/s", bench_median(s.with, args->pairs)},
               {"rollup_rate", "events/s", bench_median(s.rollup, args->pairs)}, {"ingest_cpu", "us", bench_median(s.cpu_bare, args->pairs)},
               {"ingest_with_cpu", "us", bench_median(s.cpu_with, args->pairs)}, {"rollup_cpu", "us", bench_median(s.cpu_rollup, args->pairs)},
               {"counted_kept", "x", bench_median(counted_kept, args->pairs)},   {"ingest_kept", "x", bench_median(kept, args->pairs)},
               {"rollup_ratio", "x", bench_median(ratios, args->pairs)}};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    /* The real log's are the ones with goals. */
    snprintf(line, sizeof line, "%s%s", strcmp(log, "real") != 0 ? "wide_" : "", lines[i].what);
    bench_report(line, lines[i].value, lines[i].unit);
  }
}

/* ---- answers ---- */

/* 30 days pass while a log is filled, however long it is. */
static _Atomic int64_t now_us = INT64_C(1704067200000000);
static int64_t wall(void *unused) {
  (void)unused;
  return atomic_load(&now_us);
}
static int64_t monotonic(void *unused) {
  (void)unused;
  return bench_now_us();
}

enum { SUMS, DAY_SUMS, TOP_ALL, TOP_DAY, RANK, FAR_RANK, TOP_WEEK, CASES };
static const char *const case_names[CASES] = {"sums_30_days_by_hour", "sums_30_days_by_day", "top_10",          "top_10_of_a_day",
                                              "rank_of_100th",        "rank_far_down",       "top_10_of_a_week"};

/* Someone of the room who stands at 100, or well behind the kept ones. */
static void find_ranked(tc_engine *engine, int which, char out[16]) {
  tc_board_query query = TC_BOARD_QUERY_INIT;
  tc_board_row row = TC_BOARD_ROW_INIT;
  tc_board *board = NULL;
  query.room_id = "room-000000";
  query.limit = 100;
  if (which == RANK) {
    if (tc_board_top(engine, &query, &board) || tc_board_at(board, 99, &row)) bench_die("no hundred on the board: %s", tc_last_error());
    snprintf(out, 16, "%s", row.user_id);
    tc_board_free(board);
    return;
  }
  for (uint32_t i = 0; i < BENCH_SENDERS; i++) {
    put_name(out, "viewer-", i);
    if (!tc_board_rank(engine, &query, out, &row) && row.rank > 300) return;
  }
  bench_die("nobody stands behind the 300th");
}

static void ask(tc_engine *engine, int which, const char *user) {
  tc_stats_query stats = TC_STATS_QUERY_INIT;
  tc_board_query board = TC_BOARD_QUERY_INIT;
  tc_stats *numbers = NULL;
  tc_board *top = NULL;
  tc_board_row row = TC_BOARD_ROW_INIT;
  int rc = TC_OK;
  stats.room_id = board.room_id = "room-000000";
  stats.grain = which == DAY_SUMS ? TC_GRAIN_DAY : TC_GRAIN_HOUR;
  board.window = which == TOP_DAY ? TC_WINDOW_DAY : which == TOP_WEEK ? TC_WINDOW_WEEK : TC_WINDOW_ALL;
  board.at_us = atomic_load(&now_us) - TCI_DAY_US * 10;
  board.limit = 10;
  if (which <= DAY_SUMS) rc = tc_stats_periods(engine, &stats, &numbers);
  else if (user) rc = tc_board_rank(engine, &board, user, &row);
  else rc = tc_board_top(engine, &board, &top);
  if (rc) bench_die("%s: %s", case_names[which], tc_last_error());
  /* In a short log an hour of the room may be empty. */
  if (which <= DAY_SUMS && tc_stats_count(numbers) < (which == SUMS ? DAYS * 24 * 9 / 10 : DAYS))
    bench_die("%s: %zu rows", case_names[which], tc_stats_count(numbers));
  if (top && tc_board_count(top) < 10) bench_die("%s: %zu rows", case_names[which], tc_board_count(top));
  tc_stats_free(numbers);
  tc_board_free(top);
}

/* The median of single looks. */
static double time_case(tc_engine *engine, int which, unsigned looks) {
  double took[LOOKS];
  char user[16] = "";
  if (which == RANK || which == FAR_RANK) find_ranked(engine, which, user);
  for (unsigned i = 0; i < looks; i++) {
    int64_t start = bench_now_us();
    ask(engine, which, *user ? user : NULL);
    took[i] = (double)(bench_now_us() - start);
  }
  return bench_median(took, looks);
}

static tc_engine *fill(const bench_args *args, const char *name, uint64_t events) {
  static bench_flow flows[2];
  static int used;
  bench_flow *flow = &flows[used++];
  tc_engine *engine = NULL;
  tc_options options = TC_OPTIONS_INIT;
  tc_clock clock = {sizeof clock, wall, monotonic, NULL};
  char *path = bench_path(args, name), *url = bench_alloc(strlen(path) + 8, 1);
  snprintf(url, strlen(path) + 8, "sqlite:%s", path);
  options.storage_url = url;
  options.clock = &clock;
  int64_t start = bench_now_us();
  atomic_store(&now_us, INT64_C(1704067200000000));
  if (tc_open(&engine, &options) != TC_OK) bench_die("tc_open: %s", tc_last_error());
  bench_flow_init(flow, engine, 5, BENCH_SENDERS);
  flow->make = make_real;
  for (int i = 0; i < DAYS * 48; i++) {
    bench_flow_run(flow, events / (DAYS * 48) + ((uint64_t)i < events % (DAYS * 48)));
    atomic_fetch_add(&now_us, TCI_DAY_US / 48);
  }
  bench_flow_catch_up(flow);
  wait_for(engine, (int64_t)events);
  bench_engine_close(engine); /* what is asked for then is not in memory because it was just made */
  if (tc_open(&engine, &options) != TC_OK) bench_die("tc_open: %s", tc_last_error());
  printf("%s filled with %llu events in %.1f s\n", name, (unsigned long long)events, (double)(bench_now_us() - start) / 1e6);
  free(path);
  free(url);
  return engine;
}

static void measure_answers(const bench_args *args, uint64_t events) {
  tc_engine *small = fill(args, "small.db", events), *large = fill(args, "large.db", events * 10);
  double worst = 0;
  for (int which = 0; which < CASES; which++) {
    unsigned looks = which == SUMS || which == DAY_SUMS || which == TOP_WEEK || which == FAR_RANK ? 20 : LOOKS;
    char name[64];
    double first = time_case(small, which, looks), second = time_case(large, which, looks);
    for (int again = 0; again < 2; again++) {
      double more = time_case(small, which, looks), much = time_case(large, which, looks);
      first = more < first ? more : first;
      second = much < second ? much : second;
    }
    snprintf(name, sizeof name, "%s_small", case_names[which]);
    bench_report(name, first, "us");
    snprintf(name, sizeof name, "%s_large", case_names[which]);
    bench_report(name, second, "us");
    if (which < FAR_RANK && second / first > worst) worst = second / first; /* the others cost who stands on the boards, and say so */
  }
  bench_report("answer_growth", worst, "x");
  bench_engine_close(small);
  bench_engine_close(large);
}

int main(int argc, char **argv) {
  bench_args args;
  bench_begin(&args, argc, argv, "statistics and leaderboards: how fast they follow the log, and what an answer costs");
  if (!args.pairs) args.pairs = PAIRS;
  without = tci_sqlite_ops;
  without.facts_cursor = NULL;
  without.facts_commit = NULL;
  without.fact_first = NULL;
  without.facts_scan = NULL;
  make_world();
  uint64_t events = args.full ? EVENTS_FULL : EVENTS;
  measure_rates(&args, "wide", bench_tip_make, events);
  measure_rates(&args, "real", make_real, events);
  measure_answers(&args, args.full ? 1000000 : 20000);
  return 0;
}
