/* bench_load.h - the HTTP load client: one thread, epoll, keep-alive connections with one request in flight each. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

/* Writes the n-th request into buf and returns its length; no two calls of a run get the same n. */
typedef size_t (*bench_request_fn)(char *buf, size_t cap, uint64_t n, void *arg);

typedef struct bench_load {
  uint16_t port;
  unsigned connections;
  int64_t warm_up_us, measure_us;
  int status;         /* every answer must have it, or the run fails */
  const char *count;  /* NULL, or a text whose occurrences in the answers' bodies are counted (at most one an answer line) */
  size_t request_cap; /* of buf */
  size_t answer_cap;  /* the longest answer, head and body */
  bench_request_fn request;
  void *arg;
  uint64_t next; /* in and out: the next n */
} bench_load;

typedef struct bench_loaded {
  double seconds;    /* from the end of the warm-up to the last counted answer */
  double per_second; /* answers */
  double counted_per_second;
  uint64_t answers;
  uint32_t p50_us, p99_us;
} bench_loaded;

void bench_load_run(bench_load *load, bench_loaded *out);

#endif
