#include "bench_bare_news.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_util.h"

enum { ROW_BYTES = 250, PATIENCE_MS = 10000 };

typedef struct news {
  PGconn *writer, *teller, *listener;
  size_t n;
  sem_t arrived;
  int64_t arrived_us;
} news;

static void run(PGconn *db, const char *sql, int rows) {
  PGresult *result = PQexec(db, sql);
  ExecStatusType status = PQresultStatus(result);
  if ((status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) || PQntuples(result) != rows) bench_die("%s: %s", sql, PQerrorMessage(db));
  PQclear(result);
}

static PGconn *open_db(const char *url, const char *set_up) {
  PGconn *db = PQconnectdb(url);
  if (PQstatus(db) != CONNECTION_OK) bench_die("%s", PQerrorMessage(db));
  run(db, "SET client_min_messages=error", 0);
  if (set_up) run(db, set_up, 0);
  return db;
}

static void prepared(PGconn *db, const char *name, const char *const *values, int n, int rows) {
  PGresult *result = PQexecPrepared(db, name, n, values, NULL, NULL, 0);
  ExecStatusType status = PQresultStatus(result);
  if ((status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) || PQntuples(result) != rows) bench_die("%s: %s", name, PQerrorMessage(db));
  PQclear(result);
}

static void prepare(PGconn *db, const char *name, const char *sql) {
  PGresult *result = PQprepare(db, name, sql, 0, NULL);
  if (PQresultStatus(result) != PGRES_COMMAND_OK) bench_die("%s: %s", sql, PQerrorMessage(db));
  PQclear(result);
}

static void *listen_to(void *arg) {
  news *w = arg;
  for (size_t got = 0; got < w->n;) {
    struct pollfd ready = {.fd = PQsocket(w->listener), .events = POLLIN};
    if (poll(&ready, 1, PATIENCE_MS) != 1 || !PQconsumeInput(w->listener)) bench_die("the bare listener waits in vain");
    for (PGnotify *told; (told = PQnotifies(w->listener)) != NULL; PQfreemem(told), got++) {
      const char *values[] = {told->extra};
      prepared(w->listener, "read", values, 1, 1);
      w->arrived_us = bench_now_us();
      if (sem_post(&w->arrived)) bench_die("sem_post: %s", strerror(errno));
    }
  }
  return NULL;
}

void bench_bare_news(const char *url, size_t n, uint32_t *latency_us) {
  static const char table[] = "DROP SCHEMA IF EXISTS barenews CASCADE; CREATE SCHEMA barenews; CREATE TABLE barenews.events(seq bigint PRIMARY KEY, body text)";
  news w = {.writer = open_db(url, table), .teller = open_db(url, NULL), .listener = open_db(url, "LISTEN barenews"), .n = n};
  char seq[24], body[ROW_BYTES + 1];
  pthread_t thread;
  memset(body, 'x', ROW_BYTES);
  body[ROW_BYTES] = '\0';
  prepare(w.writer, "append", "INSERT INTO barenews.events VALUES($1::bigint, $2)");
  prepare(w.teller, "tell", "SELECT pg_notify('barenews', $1)");
  prepare(w.listener, "read", "SELECT body FROM barenews.events WHERE seq=$1::bigint");
  if (sem_init(&w.arrived, 0, 0) || pthread_create(&thread, NULL, listen_to, &w)) bench_die("cannot start a thread");
  for (size_t i = 0; i < n; i++) {
    const char *values[] = {seq, body};
    snprintf(seq, sizeof seq, "%zu", i + 1);
    int64_t begin_us = bench_now_us();
    prepared(w.writer, "append", values, 2, 0);
    prepared(w.teller, "tell", values, 1, 1);
    while (sem_wait(&w.arrived)) {
      if (errno != EINTR) bench_die("sem_wait: %s", strerror(errno));
    }
    latency_us[i] = (uint32_t)(w.arrived_us - begin_us);
  }
  (void)pthread_join(thread, NULL);
  (void)sem_destroy(&w.arrived);
  run(w.writer, "DROP SCHEMA barenews CASCADE", 0);
  PQfinish(w.writer);
  PQfinish(w.teller);
  PQfinish(w.listener);
}
