/* bench_bare_pg.c - see bench_bare_pg.h. Two threads and two connections, as the product has them: one appends batches of the product's own size, each by one INSERT ... SELECT FROM unnest in a durable
 * transaction of its own; the other one sorts and indexes behind in batches of up to 16,384, without waiting for the disk. The index is the plain way to hold what the product holds: a row of a B-tree for each
 * event in each of its lists, a counter for each list, ids and keys. Parameters are binary and prepared, as the product's are.
 * What is left out is all that is not PostgreSQL's: queue, validation, tail, sums, callbacks; and the keys' check.
 */
#include "bench_bare_pg.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LISTS = 6, OID_INT8 = 20, OID_TEXT = 25 };

#define SCHEMA                                                                                                                                               \
  "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s; SET search_path=%s; SET client_min_messages=error;"                                                   \
  "CREATE TABLE events(seq bigint PRIMARY KEY, kind smallint, id bigint, created_at bigint, amount bigint, ref bigint, room text, \"user\" text, peer text," \
  " body text, target text, metadata text, key text, currency text);"                                                                                        \
  "CREATE TABLE lists(h bigint, g bigint, created_at bigint, seq bigint, PRIMARY KEY(h, g, created_at, seq));"                                               \
  "CREATE TABLE lengths(h bigint, g bigint, n bigint, PRIMARY KEY(h, g)) WITH (fillfactor=70);"                                                              \
  "CREATE TABLE ids(kind smallint, id bigint, seq bigint, PRIMARY KEY(kind, id));"                                                                           \
  "CREATE TABLE keys(hash bigint, created_at bigint, seq bigint, PRIMARY KEY(hash, seq)); CREATE TABLE state(cursor bigint); INSERT INTO state VALUES(0);"

static const char append_sql[] =
  "INSERT INTO events(seq, kind, id, created_at, amount, ref, room, \"user\", peer, body, metadata, key) SELECT seq, 1, seq, at, amount, 0, room, u, peer, "
  "body, metadata, key"
  " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])"
  " i(seq, at, amount, room, u, peer, body, metadata, key)";
/* One statement, so one transaction. */
static const char index_sql[] =
  "WITH a AS (INSERT INTO lists SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])),"
  " b AS (INSERT INTO lengths SELECT * FROM unnest($5::bigint[], $6::bigint[], $7::bigint[]) ON CONFLICT (h, g) DO UPDATE SET n=lengths.n+excluded.n),"
  " c AS (INSERT INTO keys SELECT * FROM unnest($8::bigint[], $9::bigint[], $10::bigint[])),"
  " d AS (INSERT INTO ids SELECT 1, seq, seq FROM unnest($10::bigint[]) seq) UPDATE state SET cursor=$11::bigint";

typedef struct array {
  char *bytes;
  size_t len, cap;
  uint32_t count;
} array;

typedef struct row {
  bench_tip tip;
  int64_t created_at_us;
} row;

typedef struct entry {
  int64_t h, g, created_at_us, seq;
} entry;

typedef struct shared {
  bench_bare *bare;
  row *rows;
  entry *entries;
  PGconn *log, *index;
  int64_t start_us;
  pthread_mutex_t lock;
  pthread_cond_t moved;
  int64_t committed, indexed; /* under lock */
} shared;

/* ---- libpq ---- */

static PGconn *open_db(const char *url, const char *set_up) {
  PGconn *db = PQconnectdb(url);
  if (PQstatus(db) != CONNECTION_OK) bench_die("%s", PQerrorMessage(db));
  PGresult *result = PQexec(db, set_up);
  if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) bench_die("%s", PQerrorMessage(db));
  PQclear(result);
  return db;
}

int64_t bench_pg_number(const char *url, const char *sql) {
  PGconn *db = PQconnectdb(url);
  PGresult *result = PQexec(db, sql);
  if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) bench_die("%s: %s", sql, PQerrorMessage(db));
  int64_t number = PQntuples(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
  PQclear(result);
  PQfinish(db);
  return number;
}

static void prepare(PGconn *db, const char *name, const char *sql) {
  PGresult *result = PQprepare(db, name, sql, 0, NULL);
  if (PQresultStatus(result) != PGRES_COMMAND_OK) bench_die("%s", PQerrorMessage(db));
  PQclear(result);
}

static char *room_for(array *a, size_t more) {
  if (a->len + more > a->cap) {
    a->cap = (a->cap + more) * 2;
    a->bytes = realloc(a->bytes, a->cap);
    if (!a->bytes) bench_die("out of memory");
  }
  a->len += more;
  return a->bytes + a->len - more;
}

static void put4(array *a, uint32_t value) {
  value = htonl(value);
  memcpy(room_for(a, 4), &value, 4);
}

static void put8(array *a, int64_t value) {
  put4(a, (uint32_t)((uint64_t)value >> 32));
  put4(a, (uint32_t)value);
}

static void begin(array *a, uint32_t oid) {
  a->len = a->count = 0;
  put4(a, 1);
  put4(a, 0);
  put4(a, oid);
  put4(a, 0);
  put4(a, 1);
}

static void put_number(array *a, int64_t value) {
  a->count++;
  put4(a, 8);
  put8(a, value);
}

static void put_text(array *a, const char *text) {
  size_t len = strlen(text);
  a->count++;
  put4(a, (uint32_t)len);
  memcpy(room_for(a, len), text, len);
}

static void run(PGconn *db, const char *name, array *args, int n) {
  const char *values[16];
  int lengths[16], formats[16];
  for (int i = 0; i < n; i++) {
    uint32_t count = htonl(args[i].count);
    if (args[i].count) memcpy(args[i].bytes + 12, &count, 4);
    values[i] = args[i].bytes;
    lengths[i] = (int)args[i].len;
    formats[i] = 1;
  }
  PGresult *result = PQexecPrepared(db, name, n, values, lengths, formats, 1);
  if (PQresultStatus(result) != PGRES_COMMAND_OK) bench_die("bare: %s", PQerrorMessage(db));
  PQclear(result);
}

static void free_arrays(array *args, int n) {
  for (int i = 0; i < n; i++) free(args[i].bytes);
}

/* ---- the log ---- */

static int64_t wall_us(void) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void publish(shared *s, int64_t committed) {
  pthread_mutex_lock(&s->lock);
  s->committed = committed;
  int64_t lag = committed - s->indexed;
  if (lag > s->bare->lag_max) s->bare->lag_max = lag;
  if (lag >= BENCH_LINGER || committed == (int64_t)s->bare->events) pthread_cond_signal(&s->moved);
  while (s->committed - s->indexed > BENCH_LAG_MAX - (int64_t)s->bare->commit_batch && committed < (int64_t)s->bare->events)
    pthread_cond_wait(&s->moved, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

static void *write_log(void *arg) {
  shared *s = arg;
  array args[9] = {0};
  int64_t events = (int64_t)s->bare->events;
  for (int64_t done = 0; done < events;) {
    int64_t end = done + s->bare->commit_batch < events ? done + s->bare->commit_batch : events, now_us = wall_us();
    for (int i = 0; i < 9; i++) begin(&args[i], i < 3 ? OID_INT8 : OID_TEXT);
    while (done < end) {
      row *r = &s->rows[done];
      bench_tip_make(&r->tip, s->bare->seed, (uint64_t)done, s->bare->senders);
      r->created_at_us = now_us;
      put_number(&args[0], ++done);
      put_number(&args[1], now_us);
      put_number(&args[2], r->tip.amount);
      const char *texts[] = {r->tip.room, r->tip.sender, r->tip.recipient, r->tip.message, r->tip.metadata, r->tip.key};
      for (int i = 0; i < 6; i++) put_text(&args[3 + i], texts[i]);
    }
    run(s->log, "append", args, 9);
    publish(s, done);
  }
  s->bare->durable_s = (double)(bench_now_us() - s->start_us) / 1e6;
  free_arrays(args, 9);
  return NULL;
}

/* ---- the index ---- */

static int compare_entries(const void *a, const void *b) {
  const entry *x = a, *y = b;
  int by = (x->h > y->h) - (x->h < y->h);
  if (!by) by = (x->g > y->g) - (x->g < y->g);
  if (!by) by = (x->created_at_us > y->created_at_us) - (x->created_at_us < y->created_at_us);
  return by ? by : (x->seq > y->seq) - (x->seq < y->seq);
}

static int64_t spread(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  return (int64_t)(x ^ (x >> 32));
}

static uint64_t number_of(const char *name) { return strtoull(strchr(name, '-') + 1, NULL, 10); }

static void put_entries(entry *out, const row *r, int64_t seq) {
  uint64_t room = number_of(r->tip.room), user = number_of(r->tip.sender), peer = number_of(r->tip.recipient);
  const uint64_t names[LISTS] = {2 | room << 4, 3 | user << 4, 4 | peer << 4, 1, 5 | room << 4 | user << 34, 6 | room << 4 | peer << 34};
  for (int i = 0; i < LISTS; i++) out[i] = (entry){spread(names[i]), spread(names[i] + 7), r->created_at_us, seq};
}

static void put_lists(const entry *entries, size_t n, array *args) {
  int64_t length = 0;
  for (size_t i = 0; i < n; i++) {
    const entry *e = &entries[i];
    put_number(&args[0], e->h);
    put_number(&args[1], e->g);
    put_number(&args[2], e->created_at_us);
    put_number(&args[3], e->seq);
    length++;
    if (i + 1 < n && e[1].h == e->h && e[1].g == e->g) continue;
    put_number(&args[4], e->h);
    put_number(&args[5], e->g);
    put_number(&args[6], length);
    length = 0;
  }
}

static void index_batch(shared *s, int64_t from, int64_t to, array *args) {
  size_t n = (size_t)(to - from) * LISTS;
  for (int i = 0; i < 10; i++) begin(&args[i], OID_INT8);
  for (int64_t seq = from + 1; seq <= to; seq++) {
    const row *r = &s->rows[seq - 1];
    put_entries(s->entries + (size_t)(seq - from - 1) * LISTS, r, seq);
    put_number(&args[7], spread((uint64_t)seq));
    put_number(&args[8], r->created_at_us);
    put_number(&args[9], seq);
  }
  qsort(s->entries, n, sizeof *s->entries, compare_entries);
  put_lists(s->entries, n, args);
  args[10].len = args[10].count = 0;
  put8(&args[10], to);
  run(s->index, "index", args, 11);
  s->bare->rows += (int64_t)n + 2 * (to - from);
}

static void *write_index(void *arg) {
  shared *s = arg;
  array args[11] = {0};
  int64_t events = (int64_t)s->bare->events;
  while (s->indexed < events) {
    pthread_mutex_lock(&s->lock);
    while (s->committed - s->indexed < BENCH_LINGER && s->committed < events) pthread_cond_wait(&s->moved, &s->lock);
    int64_t to = s->committed - s->indexed > BENCH_INDEX_BATCH ? s->indexed + BENCH_INDEX_BATCH : s->committed;
    pthread_mutex_unlock(&s->lock);
    index_batch(s, s->indexed, to, args);
    pthread_mutex_lock(&s->lock);
    s->indexed = to;
    pthread_cond_signal(&s->moved);
    pthread_mutex_unlock(&s->lock);
  }
  s->bare->caught_up_s = (double)(bench_now_us() - s->start_us) / 1e6;
  free_arrays(args, 11);
  return NULL;
}

void bench_bare_pg_run(bench_bare *bare, const char *url) {
  pthread_t threads[2];
  char sql[2048], path[128];
  shared s = {.bare = bare, .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
  snprintf(sql, sizeof sql, SCHEMA, bare->name, bare->name, bare->name);
  PQfinish(open_db(url, sql));
  snprintf(path, sizeof path, "SET search_path=%s; SET plan_cache_mode=force_generic_plan; SET jit=off; SET synchronous_commit=%s", bare->name, "on");
  s.log = open_db(url, path);
  snprintf(path, sizeof path, "SET search_path=%s; SET plan_cache_mode=force_generic_plan; SET jit=off; SET synchronous_commit=%s", bare->name, "off");
  s.index = open_db(url, path);
  prepare(s.log, "append", append_sql);
  prepare(s.index, "index", index_sql);
  s.rows = bench_alloc(bare->events, sizeof *s.rows);
  s.entries = bench_alloc((size_t)BENCH_INDEX_BATCH * LISTS, sizeof *s.entries);
  bare->lag_max = bare->rows = 0;
  s.start_us = bench_now_us();
  if (pthread_create(&threads[0], NULL, write_log, &s) || pthread_create(&threads[1], NULL, write_index, &s)) bench_die("cannot start a thread");
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  snprintf(sql, sizeof sql, "DROP SCHEMA %s CASCADE", bare->name);
  PQfinish(s.log);
  PQfinish(s.index);
  (void)bench_pg_number(url, sql);
  free(s.rows);
  free(s.entries);
}

/* ---- two transactions a tip ---- */

typedef struct client {
  const char *url;
  uint64_t seed;
  int64_t until_us;
  uint64_t done;
} client;

/* The event, then the record of its key, each durable by itself: what the old service does for each request. */
static void *post_tips(void *arg) {
  client *c = arg;
  PGconn *db = open_db(c->url, "SET search_path=two_tx");
  prepare(db, "known", "SELECT tip FROM keys WHERE key=$1");
  prepare(db, "tip",
          "INSERT INTO tips(room, sender, recipient, amount, message, metadata, created_at) VALUES($1, $2, $3, $4::bigint, $5, $6, now()) RETURNING id");
  prepare(db, "key", "INSERT INTO keys(key, tip, created_at) VALUES($1, $2::bigint, now())");
  while (bench_now_us() < c->until_us) {
    bench_tip tip;
    char amount[24], id[24];
    bench_tip_make(&tip, c->seed, c->done++, BENCH_SENDERS);
    snprintf(amount, sizeof amount, "%lld", (long long)tip.amount);
    const char *key[] = {tip.key, id}, *values[] = {tip.room, tip.sender, tip.recipient, amount, tip.message, tip.metadata};
    PGresult *known = PQexecPrepared(db, "known", 1, key, NULL, NULL, 0);
    PGresult *made = PQexecPrepared(db, "tip", 6, values, NULL, NULL, 0);
    if (PQntuples(known) || PQntuples(made) != 1) bench_die("two transactions: %s", PQerrorMessage(db));
    snprintf(id, sizeof id, "%s", PQgetvalue(made, 0, 0));
    PGresult *kept = PQexecPrepared(db, "key", 2, key, NULL, NULL, 0);
    if (PQresultStatus(kept) != PGRES_COMMAND_OK) bench_die("two transactions: %s", PQerrorMessage(db));
    PQclear(known);
    PQclear(made);
    PQclear(kept);
  }
  PQfinish(db);
  return NULL;
}

double bench_two_transactions(const char *url, unsigned threads, int64_t run_us, uint64_t seed) {
  client clients[64];
  pthread_t ids[64];
  uint64_t done = 0;
  if (threads > 64) bench_die("too many connections");
  (void)bench_pg_number(
    url,
    "DROP SCHEMA IF EXISTS two_tx CASCADE; CREATE SCHEMA two_tx; CREATE TABLE two_tx.tips(id bigserial PRIMARY KEY, room varchar(255), sender varchar(255), "
    "recipient"
    " varchar(255), amount bigint, message text, metadata text, created_at timestamptz); CREATE INDEX ON two_tx.tips(room, created_at); CREATE INDEX ON"
    " two_tx.tips(sender); CREATE INDEX ON two_tx.tips(recipient); CREATE TABLE two_tx.keys(key varchar(255) PRIMARY KEY, tip bigint, created_at timestamptz);"
    " CREATE INDEX ON two_tx.keys(created_at)");
  int64_t start_us = bench_now_us();
  for (unsigned i = 0; i < threads; i++) {
    clients[i] = (client){url, seed + i * 1000, start_us + run_us, 0};
    if (pthread_create(&ids[i], NULL, post_tips, &clients[i])) bench_die("cannot start a thread");
  }
  for (unsigned i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    done += clients[i].done;
  }
  double rate = (double)done * 1e6 / (double)(bench_now_us() - start_us);
  (void)bench_pg_number(url, "DROP SCHEMA two_tx CASCADE");
  return rate;
}
