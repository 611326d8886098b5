/* bench_memory.c - resident memory of the server process (anonymous pages): idle, per parked keep-alive connection, and with its queue of creates full.
 *
 * The queue is filled by holding the log's write lock from outside: the writer cannot commit, so what is accepted stays accepted. Its limit is
 * max_pending_bytes itself: memory_ratio is that divided by what the process grew by, so 1 means that nothing is held but what is accounted for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_util.h"

enum { PARKED = 2000, WRITERS = 2500, METADATA = 60000, PENDING = 64 << 20 /* the default of max_pending_bytes */, ROUNDS = 3, ROUNDS_MAX = 100 };

static int open_connection(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) bench_die("cannot connect: %s", strerror(errno));
  return fd;
}

static void send_all(int fd, const char *data, size_t len) {
  while (len) {
    ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) bench_die("send: %s", strerror(errno));
    data += n;
    len -= (size_t)n;
  }
}

/* The answer's status once its head and some of its body are there; all that arrived within the wait is read. 0: nothing came. */
static int read_status(int fd, int wait_ms) {
  char buf[4096];
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  int status = 0;
  while (poll(&readable, 1, status ? 0 : wait_ms) == 1) {
    ssize_t n = recv(fd, buf, sizeof buf - 1, 0);
    if (n <= 0) break;
    buf[n] = '\0';
    if (!status && !strncmp(buf, "HTTP/1.1 ", 9)) status = (int)strtol(buf + 9, NULL, 10);
  }
  return status;
}

static void ask_livez(int fd, uint16_t port) {
  char request[128];
  int n = snprintf(request, sizeof request, "GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", port);
  send_all(fd, request, (size_t)n);
  int status = read_status(fd, 5000);
  if (status != 200) bench_die("/livez answered %d", status);
}

static void measure_parked(const bench_server *server, int64_t idle) {
  int *fds = bench_alloc(PARKED, sizeof *fds);
  for (int i = 0; i < PARKED; i++) {
    fds[i] = open_connection(server->port);
    ask_livez(fds[i], server->port);
  }
  int64_t parked = bench_rss_bytes(server->pid);
  bench_report("parked_connections", PARKED, "connections");
  bench_report("parked_rss", (double)parked / 1048576, "MiB");
  bench_report("parked_rss_per_connection", (double)(parked - idle) / PARKED, "bytes");
  for (int i = 0; i < PARKED; i++) close(fds[i]);
  free(fds);
}

static void run_sql(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) bench_die("%s: %s", sql, sqlite3_errmsg(db));
}

static void post_large(int fd, uint16_t port, const char *metadata) {
  char head[512], body[512];
  int body_len = snprintf(body, sizeof body, "{\"roomId\":\"room\",\"senderId\":\"viewer\",\"recipientId\":\"caster\",\"amount\":1,\"metadata\":\"");
  int n = snprintf(head, sizeof head, "POST /api/tips HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", port,
                   body_len + METADATA + 2);
  send_all(fd, head, (size_t)n);
  send_all(fd, body, (size_t)body_len);
  send_all(fd, metadata, METADATA);
  send_all(fd, "\"}", 2);
}

/* Returns what the process grew by while its queue was full. */
static double measure_full(const bench_server *server, sqlite3 *log, const char *metadata) {
  int *fds = bench_alloc(WRITERS, sizeof *fds), *held = bench_alloc(WRITERS, sizeof *held);
  int refused = 0, created = 0, waiting = 0;
  int64_t before = bench_rss_bytes(server->pid);
  run_sql(log, "BEGIN IMMEDIATE");
  for (int i = 0; i < WRITERS; i++) {
    fds[i] = open_connection(server->port);
    post_large(fds[i], server->port, metadata);
  }
  bench_settle(server->pid);
  for (int i = 0; i < WRITERS; i++) {
    int status = read_status(fds[i], 0);
    if (status == 503) refused++;
    held[i] = status == 0;
    waiting += held[i];
  }
  int64_t full = bench_rss_bytes(server->pid);
  run_sql(log, "ROLLBACK");
  for (int i = 0; i < WRITERS; i++) {
    if (held[i] && read_status(fds[i], 5000) == 201) created++;
    close(fds[i]);
  }
  free(held);
  free(fds);
  if (!refused) bench_die("the queue took everything: it was never full");
  if (created != waiting) bench_die("%d of %d accepted creates were not created", waiting - created, waiting);
  printf("full_queue %d refused, %d waiting, %d created after the lock was let go\n", refused, waiting, created);
  bench_report("full_queue_rss", (double)full / 1048576, "MiB");
  return (double)(full - before);
}

int main(int argc, char **argv) {
  bench_args args;
  bench_begin(&args, argc, argv, "the server's resident memory: idle, parked connections, full queues");
  bench_server server;
  static const char *const extra[] = {"--create-deadline-ms", "30000", NULL};
  char *path = bench_path(&args, "memory.db"), *url = bench_alloc(strlen(path) + 8, 1), *metadata = bench_alloc(METADATA, 1);
  unsigned rounds = args.pairs ? args.pairs : ROUNDS;
  double ratios[ROUNDS_MAX];
  sqlite3 *log = NULL;
  snprintf(url, strlen(path) + 8, "sqlite:%s", path);
  memset(metadata, 'm', METADATA);
  bench_server_start(&server, &args, url, extra);

  int fd = open_connection(server.port);
  ask_livez(fd, server.port);
  int64_t idle = bench_rss_bytes(server.pid);
  bench_report("idle_rss", (double)idle / 1048576, "MiB");
  measure_parked(&server, idle);

  if (sqlite3_open(path, &log) != SQLITE_OK) bench_die("cannot open %s", path);
  for (unsigned i = 0; i < rounds; i++) {
    /* Each round has a server of its own: memory that the allocator kept from the round before would hide what is held. */
    double grown = measure_full(&server, log, metadata);
    ratios[i] = PENDING / grown;
    bench_report("full_queue_growth", grown / 1048576, "MiB");
    bench_server_stop(&server);
    bench_server_start(&server, &args, url, extra);
  }
  bench_server_stop(&server);
  sqlite3_close(log);
  close(fd);
  bench_report("memory_ratio", bench_median(ratios, rounds), "x");
  free(path);
  free(url);
  free(metadata);
  return 0;
}
