/* bench_subs.h - the subscribers and the publisher of bench_fanout: one thread, one epoll loop, the same code whoever serves.
 *
 * A subscriber counts WebSocket frames and looks at nothing in them but their heads. A message is done when every subscriber that reads has it; at most `window`
 * messages are not done. One that never comes ends the program.
 */
#ifndef BENCH_SUBS_H
#define BENCH_SUBS_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_subs bench_subs;
enum { BENCH_FRAME_MAX = 4096 };

typedef struct bench_subs_options {
  uint16_t port;         /* of the publisher, and of all subscribers */
  const uint16_t *ports; /* or the subscribers' ports, in turn: several nodes of one log. Borrowed for bench_subs_open */
  unsigned port_count;
  unsigned count;   /* that read */
  unsigned stalled; /* more that never read, with small receive buffers */
  int bare;         /* the peer is the bare loop: no handshake, and the publisher is one plain connection */
} bench_subs_options;

/* Connects and subscribes all; returns when each is known to be subscribed. */
bench_subs *bench_subs_open(const bench_subs_options *options);
void bench_subs_close(bench_subs *subs);

typedef struct bench_published {
  unsigned window;    /* messages not done, at most */
  double per_second;  /* 0: as fast as the window allows */
  int64_t warm_up_us; /* not counted */
  int64_t measure_us; /* counted: so long, */
  uint64_t messages;  /* or, unless 0, until so many are done if that is earlier */
  /* at(arg, 0) is called when the warm-up ends, at(arg, 1) at the end of what is counted: the moments to read CPU clocks. NULL: nothing is. */
  void (*at)(void *arg, int end);
  void *arg;
} bench_published;

typedef struct bench_fanned {
  double seconds;
  uint64_t messages, deliveries;
  double coalesced;                  /* messages that a subscriber got by one recv, on average */
  uint32_t p50_us, p99_us, worst_us; /* from the post to the last subscriber */
} bench_fanned;

/* Publishes, and returns when all that was published has arrived. */
void bench_subs_run(bench_subs *subs, const bench_published *load, bench_fanned *out);
/* Reads at last what waits for those that never read, up to the server's goodbye; returns how many find an ERROR `too slow` there. *bytes: what the first of them was sent. */
unsigned bench_subs_read_stalled(bench_subs *subs, uint64_t *bytes);
/* The newest message as it came over the wire, WebSocket head and all; returns its length. out holds BENCH_FRAME_MAX bytes. */
size_t bench_subs_frame(const bench_subs *subs, char *out);

#endif
