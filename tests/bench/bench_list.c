/* bench_list.c - lists cost the same in a short and in a long log:
 * a room's first page, a sender's first page, page 1,000 by cursor; with the tail empty and full.
 *
 * list_ratio is measured at rest, on lists that are asked for again and again; list_fresh_ratio is the same right after the last event was indexed, while the
 * indexer still merges what it wrote. The storage remembers how long a list is in each of its runs, so beside them stand list_cold_ratio and list_fresh_cold_ratio:
 * lists that nobody has asked for before. The runs that a read saw are told with each case.
 * Two engines side by side, so that every pair is measured within a fraction of a second. A full tail is not left to a race with the indexer: derive waits
 * behind a gate (a storage vtable around the product's own), tips are submitted until the tail is nearly at its limit, and it stays there while lists are read.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tipcurrent.h>
#include <unistd.h>

#include "bench_flow.h"
#include "bench_util.h"
#include "storage/schemes.h"
#include "storage/sqlite/sqlite.h"

enum {
  SENDERS = 2000, /* few enough that a sender's first page is full in the smaller log too */
  PAGE = 20,
  PAGES_DEEP = 1000,
  ROUNDS_MAX = 100,
  TAIL_EVENTS = 262144,
  TAIL_BYTES = 64 << 20 /* the defaults of engine.h */
};

/* For both engines: they are filled one after the other, and held together. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t opened;
  int closed;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

static int gated_derive(tc_storage *storage, const tc_record *rows, size_t n) {
  pthread_mutex_lock(&gate.lock);
  while (gate.closed) pthread_cond_wait(&gate.opened, &gate.lock);
  pthread_mutex_unlock(&gate.lock);
  return tci_sqlite_ops.derive(storage, rows, n);
}

/* How many runs the last read of an index saw: what a read costs beyond its page. Lists are read by one thread. */
static size_t runs_seen;

static int counted_snapshot(tc_storage *storage, tc_snapshot **out, int64_t *index_seq) {
  int rc = tci_sqlite_ops.snapshot(storage, out, index_seq);
  if (!rc) runs_seen = (*out)->runs.count;
  return rc;
}

static void set_gate(int closed) {
  pthread_mutex_lock(&gate.lock);
  gate.closed = closed;
  pthread_cond_broadcast(&gate.opened);
  pthread_mutex_unlock(&gate.lock);
}

typedef struct subject {
  bench_flow flow;
  char deep[128]; /* the cursor after page 999 */
  uint64_t cold;  /* the tip whose list is asked for next in the cold case */
} subject;

enum { ROOM_FIRST, SENDER_FIRST, DEEP, COLD, CASES };
static const char *const case_names[CASES] = {"room_first", "sender_first", "page_1000", "cold"};

static tc_page *list(subject *s, const tc_tip_query *query) {
  tc_page *page = NULL;
  if (tc_tip_list(s->flow.engine, query, &page) != TC_OK) bench_die("tc_tip_list: %s", tc_last_error());
  return page;
}

/* As a client would get there: page by page. */
static void find_deep_cursor(subject *s) {
  tc_tip_query query = TC_TIP_QUERY_INIT;
  query.page_size = PAGE;
  s->deep[0] = '\0';
  for (int i = 1; i < PAGES_DEEP; i++) {
    query.after = s->deep;
    tc_page *page = list(s, &query);
    const char *next = tc_page_next(page);
    if (!next || strlen(next) >= sizeof s->deep) bench_die("no cursor after page %d", i);
    memcpy(s->deep, next, strlen(next) + 1);
    tc_page_free(page);
  }
}

static double time_case(subject *s, int which, int queries) {
  int64_t start = bench_now_us();
  for (int i = 0; i < queries; i++) {
    tc_tip_query query = TC_TIP_QUERY_INIT;
    bench_tip tip;
    query.page_size = PAGE;
    bench_tip_make(&tip, 7, (uint64_t)i, SENDERS);
    /* A sender's tips in a room, nearly always one, and another pair each time: nobody has asked for that list before. */
    if (which == COLD) bench_tip_make(&tip, s->flow.seed, s->cold++, SENDERS);
    if (which == ROOM_FIRST || which == COLD) query.room_id = tip.room;
    if (which == SENDER_FIRST || which == COLD) query.sender_id = tip.sender;
    if (which == DEEP) query.after = s->deep;
    tc_page *page = list(s, &query);
    size_t least = which == COLD ? 1 : PAGE;
    if (tc_page_count(page) < least) bench_die("%s: a page of %zu instead of %zu", case_names[which], tc_page_count(page), least);
    tc_page_free(page);
  }
  return (double)(bench_now_us() - start) / queries;
}

static double measure_case(subject *small, subject *large, int which, const char *tail, unsigned rounds) {
  double ours[ROUNDS_MAX], limit[ROUNDS_MAX], ratios[ROUNDS_MAX];
  char name[64];
  /* A round of some 50 ms, whatever a query takes: the machine must not drift between the two sides of a pair. */
  double small_us = time_case(small, which, 20);
  size_t small_runs = runs_seen;
  double warm = (small_us + time_case(large, which, 20)) / 2;
  printf("%s_%s_runs %zu; %zu\n", case_names[which], tail, small_runs, runs_seen);
  int queries = warm > 2500 ? 20 : warm < 50 ? 1000 : (int)(50000 / warm);
  for (unsigned i = 0; i < rounds; i++) {
    limit[i] = time_case(small, which, queries);
    ours[i] = time_case(large, which, queries);
    ratios[i] = limit[i] / ours[i];
  }
  snprintf(name, sizeof name, "%s_%s_small", case_names[which], tail);
  bench_report(name, bench_median(limit, rounds), "us");
  snprintf(name, sizeof name, "%s_%s_large", case_names[which], tail);
  bench_report(name, bench_median(ours, rounds), "us");
  snprintf(name, sizeof name, "%s_%s", case_names[which], tail);
  bench_report(name, bench_median(ratios, rounds), "x");
  return bench_median(ratios, rounds);
}

static double measure_all(subject *small, subject *large, const char *tail, unsigned rounds, double *cold) {
  double worst = 1e9, cpu = bench_cpu_s();
  find_deep_cursor(small);
  find_deep_cursor(large);
  for (int which = 0; which < CASES; which++) {
    double ratio = measure_case(small, large, which, tail, rounds);
    if (which == COLD) *cold = ratio < *cold ? ratio : *cold;
    else if (ratio < worst) worst = ratio;
  }
  printf("%s_tail_cpu %.1f s\n", tail, bench_cpu_s() - cpu);
  return worst;
}

static void open_subject(subject *s, const bench_args *args, const char *name, const tc_storage_ops *ops, uint64_t events) {
  int64_t start = bench_now_us();
  bench_flow_init(&s->flow, bench_engine_open(args, name, ops), 1, SENDERS);
  bench_flow_run(&s->flow, events);
  bench_flow_catch_up(&s->flow);
  printf("%s_prepared %llu events in %.1f s\n", name, (unsigned long long)events, (double)(bench_now_us() - start) / 1e6);
}

/* Up to nine tenths of the limit that comes first: beyond it the writer would wait for the indexer that is held. */
static void fill_tail(subject *s, const char *name) {
  char line[64];
  tc_status status = bench_engine_status(s->flow.engine);
  while (status.tail_events < TAIL_EVENTS / 10 * 9 && status.tail_bytes < TAIL_BYTES / 10 * 9) {
    bench_flow_run(&s->flow, 4096);
    status = bench_engine_status(s->flow.engine);
  }
  snprintf(line, sizeof line, "%s_tail", name);
  bench_report(line, (double)status.tail_events, "events");
  snprintf(line, sizeof line, "%s_tail_memory", name);
  bench_report(line, (double)status.tail_bytes / 1048576, "MiB");
}

int main(int argc, char **argv) {
  bench_args args;
  bench_begin(&args, argc, argv, "the same list in a short and in a ten times longer log");
  static subject small, large;
  tc_storage_ops ops = tci_sqlite_ops;
  ops.derive = gated_derive;
  ops.snapshot = counted_snapshot;
  unsigned rounds = args.pairs ? args.pairs : 9;
  uint64_t events = args.full ? 1000000 : 100000;
  open_subject(&small, &args, "small", &ops, events);
  open_subject(&large, &args, "large", &ops, events * 10);

  /* The indexes have caught up, but what the indexer wrote in a hurry it still puts in order; then at rest. */
  double fresh_cold = 1e9, cold = 1e9;
  double fresh = measure_all(&small, &large, "fresh", rounds, &fresh_cold);
  bench_settle(getpid());
  double empty = measure_all(&small, &large, "empty", rounds, &cold);
  set_gate(1);
  fill_tail(&small, "small");
  fill_tail(&large, "large");
  double full = measure_all(&small, &large, "full", rounds, &cold);
  set_gate(0);

  bench_engine_close(small.flow.engine);
  bench_engine_close(large.flow.engine);
  bench_report("list_fresh_cold_ratio", fresh_cold, "x");
  bench_report("list_cold_ratio", cold, "x");
  bench_report("list_fresh_ratio", fresh, "x");
  bench_report("list_ratio", empty < full ? empty : full, "x");
  return 0;
}
