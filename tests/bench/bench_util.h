/* bench_util.h - what the benchmarks share: arguments, a scratch directory that never stays behind, clocks, reports, made-up tips, a server process.
 *
 * A benchmark prints lines `name value unit` and closes with `X_ratio VALUE x`: the median over interleaved pairs of ours divided by the limit, both measured
 * in the same run, since the machine's own speed drifts by more than what is looked for.
 */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct bench_args {
  const char *dir;    /* the scratch directory of this run: made by bench_begin, removed at exit */
  const char *server; /* tipcurrentd */
  int full;           /* --full: the long run */
  unsigned pairs;     /* --pairs: interleaved pairs; 0: as the benchmark sees fit, at least 3 */
} bench_args;

/* Reads the arguments, makes the scratch directory under --dir or TMPDIR. Ends the program on a bad argument. */
void bench_begin(bench_args *args, int argc, char **argv, const char *about);
/* DIR/NAME as a new string, which the caller frees. */
char *bench_path(const bench_args *args, const char *name);
/* Prints the reason, ends the program with 1; scratch directory and child processes go with it. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *bench_alloc(size_t n, size_t size);

int64_t bench_now_us(void);
double bench_cpu_s(void);           /* this process, user and system */
double bench_cpu_of(pid_t pid);     /* another one */
int64_t bench_rss_bytes(pid_t pid); /* resident, without shared file pages */

void bench_report(const char *name, double value, const char *unit);
double bench_median(const double *values, size_t n);
uint32_t bench_percentile(uint32_t *values, size_t n, double part); /* sorts values */

/* One made-up tip of about 250 bytes: the texts, the key and the numbers of a row. The same (seed, i) gives the same tip. */
typedef struct bench_tip {
  char room[16], sender[16], recipient[16], message[104], metadata[56], key[40];
  int64_t amount;
} bench_tip;
enum { BENCH_ROOMS = 1000, BENCH_SENDERS = 100000 };
void bench_tip_make(bench_tip *tip, uint64_t seed, uint64_t i, uint32_t senders);
/* The tip as a JSON object into buf (cap at least 512); returns its length. */
size_t bench_tip_json(const bench_tip *tip, char *buf, size_t cap, int with_key);

/* A child process that serves on a loopback port. */
typedef struct bench_server {
  pid_t pid;
  uint16_t port;
} bench_server;
/* Starts args->server on port 0 with its storage in the scratch directory and waits for its first line. extra: further arguments, NULL-terminated, or NULL. */
void bench_server_start(bench_server *server, const bench_args *args, const char *storage, const char *const *extra);
/* Forks a child that runs serve(fd), which writes the port it took as decimal text and a newline to fd, and never returns. */
void bench_server_fork(bench_server *server, void (*serve)(int fd));
/* Returns when it has next to nothing to do any more: what one run left behind (an indexer that catches up) must not burden the next one. */
void bench_settle(pid_t pid);
/* Asks it to stop (SIGTERM) and reaps it; kills it after 10 s. Returns its exit status as waitpid gives it. */
int bench_server_stop(bench_server *server);

#endif
