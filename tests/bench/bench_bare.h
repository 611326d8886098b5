/* bench_bare.h - the limit of bench_ingest: two threads and SQLite, nothing else, doing the very inserts that the product does. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include "bench_util.h"

enum { BENCH_INDEX_BATCH = 16384, BENCH_LINGER = 4096, BENCH_LAG_MAX = 262144 }; /* as lib/engine has them */

typedef struct bench_bare {
  const bench_args *args;
  const char *name;      /* DIR/NAME.db and DIR/NAME-index.db, made by the product itself, empty */
  uint64_t seed, events;
  uint32_t senders;
  unsigned commit_batch; /* events a commit */
  double durable_s, caught_up_s;
  int64_t lag_max;       /* out */
} bench_bare;

void bench_bare_run(bench_bare *bare);

#endif
