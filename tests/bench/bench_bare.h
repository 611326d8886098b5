/* bench_bare.h - the limit of bench_ingest: two threads and SQLite, nothing else, inserting for each event what the product inserts. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include "bench_util.h"

enum { BENCH_INDEX_BATCH = 16384, BENCH_LINGER = 4096, BENCH_LAG_MAX = 262144 }; /* as lib/engine has them */

typedef struct bench_bare {
  const bench_args *args;
  const char *name; /* DIR/NAME.db, made by the product itself, empty; DIR/NAME-index.db is made here */
  uint64_t seed, events;
  uint32_t senders;
  unsigned commit_batch; /* events a commit */
  int narrow;            /* only three indexes and the keys, without lengths: design.md's prototype, which can answer less */
  double durable_s, caught_up_s;
  int64_t lag_max, rows; /* out; rows: in the index */
} bench_bare;

void bench_bare_run(bench_bare *bare);

#endif
