/* bench_subs.h - the subscribers and the publisher of bench_fanout: one thread, one epoll loop, the same code whoever serves.
 *
 * A subscriber counts WebSocket frames and looks at nothing in them. A message is done when every subscriber that reads has it; at most `window` messages are not done.
 */
#ifndef BENCH_SUBS_H
#define BENCH_SUBS_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_subs bench_subs;

typedef struct bench_subs_options {
  uint16_t port;
  unsigned count;   /* that read */
  unsigned stalled; /* more that never read, with small receive buffers */
  int bare;         /* the peer is the bare loop: no handshake, and the publisher is one plain connection */
} bench_subs_options;

/* Connects and subscribes all; returns when each is known to be subscribed. */
bench_subs *bench_subs_open(const bench_subs_options *options);
void bench_subs_close(bench_subs *subs);

typedef struct bench_fanned {
  double seconds;
  uint64_t messages, deliveries, bytes;
  uint32_t p50_us, p99_us, worst_us; /* from the post to the last subscriber */
} bench_fanned;

/* Publishes for warm_up_us + measure_us and counts the latter. per_second 0: a closed window of `window` messages; else paced. at_start: when the warm-up ends. */
void bench_subs_run(bench_subs *subs, unsigned window, double per_second, int64_t warm_up_us, int64_t measure_us, void (*at_start)(void *), void *arg,
                    bench_fanned *out);
/* Bytes of one message on the wire, as the last run saw them. */
size_t bench_subs_frame_bytes(const bench_subs *subs);

#endif
