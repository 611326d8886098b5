/* bench_flow.h - one producer thread that keeps thousands of tips in flight through the public C API. */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <tipcurrent.h>

#include "bench_util.h"

/* The producer sleeps while the window is full and is woken when half of it has drained: one wake for thousands of completions. */
typedef struct bench_window {
  pthread_mutex_t lock;
  pthread_cond_t drained;
  atomic_uint in_flight;
  atomic_uint wanted; /* wake the producer when in_flight has come down to this; UINT32_MAX: it is awake */
  atomic_int code;    /* of the first failure */
} bench_window;

/* Must live until the engine is closed: the last completion may still be looking at the window when the producer has gone on. */
typedef struct bench_flow {
  tc_engine *engine;
  uint64_t seed, next; /* next: number of the next tip */
  uint32_t senders;
  void (*make)(bench_tip *tip, uint64_t seed, uint64_t i, uint32_t senders); /* bench_tip_make, if nobody sets another */
  int64_t lag_max, stats_lag_max;                                            /* log_seq - index_seq, and - stats_seq, the most that was seen */
  bench_window window;
} bench_flow;

void bench_flow_init(bench_flow *flow, tc_engine *engine, uint64_t seed, uint32_t senders);

/* Opens an engine on DIR/NAME (ops NULL: the product's own storage). Ends the program on failure. */
tc_engine *bench_engine_open(const bench_args *args, const char *name, const struct tc_storage_ops *ops);
void bench_engine_close(tc_engine *engine);
tc_status bench_engine_status(tc_engine *engine);
/* All files of the closed engine on DIR/NAME.db; those of its index alone. */
void bench_engine_remove(const bench_args *args, const char *name);
void bench_engine_remove_index(const bench_args *args, const char *name);
/* The tip for the library, with its key; borrows the texts. */
tc_tip_new bench_tip_new(const bench_tip *made);
/* Submits n tips, each with its own key, and returns when the last one is durable. */
void bench_flow_run(bench_flow *flow, uint64_t n);
/* Returns when everything in the log is indexed. */
void bench_flow_catch_up(bench_flow *flow);
/* Returns when everything in the log is in the statistics. */
void bench_flow_count(bench_flow *flow);

#endif
