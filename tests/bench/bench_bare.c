/* bench_bare.c - see bench_bare.h. The log's schema is the product's own, since it made the file; pragmas and batch sizes are those of lib/storage/sqlite and
 * lib/engine. The index is the plain way to hold what the product holds: every entry (all, by room, sender, recipient, room and sender, room and recipient,
 * each with its length; id; key) is a row of a WITHOUT ROWID table, sorted before it goes in. bench_ingest compares the number of entries on both sides, so
 * that this program cannot fall behind what the product does. How the product stores its entries is its own affair: that is the point of comparing.
 * What is left out is all that is not SQLite's: queue, validation, key check, hashing of texts, tail, callbacks. One thread makes the tips and commits them,
 * the other one sorts them and fills the index; they share one array.
 */
#include "bench_bare.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LISTS = 6, LISTS_NARROW = 3, KIND = 1 };
enum { BEGIN = 0, COMMIT, EVENT, LOG_STATEMENTS };
enum { LIST = 2, LIST_TOP, ID, KEY, CURSOR, INDEX_STATEMENTS };

#define INDEX_SCHEMA                                                                                                                                 \
  "CREATE TABLE state(one INTEGER PRIMARY KEY, cursor INTEGER, fingerprint BLOB, newest_at INTEGER); INSERT INTO state VALUES(1, 0, x'', 0);"        \
  "CREATE TABLE lists(h INTEGER, g INTEGER, created_at INTEGER, seq INTEGER, n INTEGER NOT NULL, PRIMARY KEY(h, g, created_at, seq)) WITHOUT ROWID;" \
  "CREATE TABLE ids(kind INTEGER, id INTEGER, seq INTEGER NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;"                                           \
  "CREATE TABLE keys(hash INTEGER, seq INTEGER, PRIMARY KEY(hash, seq)) WITHOUT ROWID;"

/* The list's new head takes over its length: cheaper than a table of counters. */
#define INSERT_TOP                                                     \
  "INSERT INTO lists(h, g, created_at, seq, n) VALUES(?1, ?2, ?3, ?4," \
  " ?5 + coalesce((SELECT n FROM lists WHERE h=?1 AND g=?2 ORDER BY created_at DESC, seq DESC LIMIT 1), 0))"

static const char *const log_sql[LOG_STATEMENTS] = {
  [BEGIN] = "BEGIN IMMEDIATE",
  [COMMIT] = "COMMIT",
  [EVENT] = "INSERT INTO events(seq, kind, id, created_at, amount, room, user, peer, body, target, metadata, \"key\", batch) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
};
static const char *const index_sql[INDEX_STATEMENTS] = {
  [BEGIN] = "BEGIN IMMEDIATE",
  [COMMIT] = "COMMIT",
  [LIST] = "INSERT INTO lists(h, g, created_at, seq, n) VALUES(?1, ?2, ?3, ?4, 0)",
  [LIST_TOP] = INSERT_TOP,
  [ID] = "INSERT INTO ids(kind, id, seq) VALUES(?, ?, ?)",
  [KEY] = "INSERT INTO keys(hash, seq) VALUES(?, ?)",
  [CURSOR] = "UPDATE state SET cursor=?, fingerprint=?, newest_at=?",
};
static const char log_pragmas[] =
  "PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-8192; PRAGMA wal_autocheckpoint=4096";
static const char index_pragmas[] = "PRAGMA synchronous=NORMAL; PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=134217728; PRAGMA cache_size=-65536; PRAGMA "
                                    "wal_autocheckpoint=16384;" INDEX_SCHEMA;

typedef struct row {
  bench_tip tip;
  int64_t created_at_us;
} row;

typedef struct entry {
  int64_t h, g, created_at_us, seq;
} entry;

typedef struct key_entry {
  int64_t hash, seq;
} key_entry;

typedef struct file {
  sqlite3 *handle;
  sqlite3_stmt *stmts[INDEX_STATEMENTS];
  int count;
} file;

typedef struct shared {
  bench_bare *bare;
  row *rows;
  file log, index;
  entry *entries;
  key_entry *keys;
  int64_t start_us;
  pthread_mutex_t lock;
  pthread_cond_t moved;
  int64_t committed, indexed; /* under lock */
} shared;

static void check(const file *f, int rc) {
  if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) bench_die("bare: %s", sqlite3_errmsg(f->handle));
}

static void open_file(file *f, const bench_bare *bare, const char *suffix, const char *set_up, const char *const *sql, int count) {
  char name[64];
  snprintf(name, sizeof name, "%s%s.db", bare->name, suffix);
  char *path = bench_path(bare->args, name);
  check(f, sqlite3_open_v2(path, &f->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
  check(f, sqlite3_exec(f->handle, set_up, NULL, NULL, NULL));
  for (f->count = 0; f->count < count; f->count++)
    check(f, sqlite3_prepare_v3(f->handle, sql[f->count], -1, SQLITE_PREPARE_PERSISTENT, &f->stmts[f->count], NULL));
  free(path);
}

static void close_file(file *f) {
  for (int i = 0; i < f->count; i++) sqlite3_finalize(f->stmts[i]);
  check(f, sqlite3_close(f->handle));
}

static void run(file *f, int statement) {
  check(f, sqlite3_step(f->stmts[statement]));
  check(f, sqlite3_reset(f->stmts[statement]));
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text) { sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC); }

static void put_event(shared *s, int64_t seq, const uint8_t *batch, int batch_len) {
  sqlite3_stmt *stmt = s->log.stmts[EVENT];
  const row *r = &s->rows[seq - 1];
  sqlite3_bind_int64(stmt, 1, seq);
  sqlite3_bind_int64(stmt, 2, KIND);
  sqlite3_bind_int64(stmt, 3, seq);
  sqlite3_bind_int64(stmt, 4, r->created_at_us);
  sqlite3_bind_int64(stmt, 5, r->tip.amount);
  bind_text(stmt, 6, r->tip.room);
  bind_text(stmt, 7, r->tip.sender);
  bind_text(stmt, 8, r->tip.recipient);
  bind_text(stmt, 9, r->tip.message);
  sqlite3_bind_null(stmt, 10);
  bind_text(stmt, 11, r->tip.metadata);
  bind_text(stmt, 12, r->tip.key);
  if (batch_len) sqlite3_bind_blob(stmt, 13, batch, batch_len, SQLITE_STATIC);
  else sqlite3_bind_null(stmt, 13);
  run(&s->log, EVENT);
}

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
  /* The other side sleeps only below the linger or when it waits for room: no futex a commit. */
  if (lag >= BENCH_LINGER || committed == (int64_t)s->bare->events) pthread_cond_signal(&s->moved);
  while (s->committed - s->indexed > BENCH_LAG_MAX - (int64_t)s->bare->commit_batch && committed < (int64_t)s->bare->events)
    pthread_cond_wait(&s->moved, &s->lock);
  pthread_mutex_unlock(&s->lock);
}

static void *write_log(void *arg) {
  shared *s = arg;
  const uint8_t batch_id[25] = {1}; /* 16 of the batch, 9 of the kind's last id */
  int64_t events = (int64_t)s->bare->events;
  for (int64_t done = 0; done < events;) {
    int64_t end = done + s->bare->commit_batch < events ? done + s->bare->commit_batch : events, now_us = wall_us();
    run(&s->log, BEGIN);
    while (done < end) {
      row *r = &s->rows[done];
      bench_tip_make(&r->tip, s->bare->seed, (uint64_t)done, s->bare->senders);
      r->created_at_us = now_us;
      done++;
      put_event(s, done, batch_id, done == end ? (int)sizeof batch_id : 0);
    }
    run(&s->log, COMMIT);
    publish(s, done);
  }
  s->bare->durable_s = (double)(bench_now_us() - s->start_us) / 1e6;
  return NULL;
}

static int compare_entries(const void *a, const void *b) {
  const entry *x = a, *y = b;
  int by = (x->h > y->h) - (x->h < y->h);
  if (!by) by = (x->g > y->g) - (x->g < y->g);
  if (!by) by = (x->created_at_us > y->created_at_us) - (x->created_at_us < y->created_at_us);
  return by ? by : (x->seq > y->seq) - (x->seq < y->seq);
}

static int compare_keys(const void *a, const void *b) {
  const key_entry *x = a, *y = b;
  return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Names as well spread as the product's, at the price of a multiplication. */
static int64_t spread(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  return (int64_t)(x ^ (x >> 32));
}

static uint64_t number_of(const char *name) {
  uint64_t n = 0;
  for (const char *at = strchr(name, '-') + 1; *at; at++) n = n * 10 + (uint64_t)(*at - '0');
  return n;
}

static size_t put_entries(entry *out, const row *r, int64_t seq, int lists) {
  uint64_t room = number_of(r->tip.room), user = number_of(r->tip.sender), peer = number_of(r->tip.recipient);
  const uint64_t names[LISTS] = {2 | room << 4, 3 | user << 4, 4 | peer << 4, 1, 5 | room << 4 | user << 34, 6 | room << 4 | peer << 34};
  for (int i = 0; i < lists; i++) out[i] = (entry){spread(names[i]), spread(names[i] + 7), r->created_at_us, seq};
  return (size_t)lists;
}

static void put_list_row(file *f, int statement, const entry *e, int64_t add) {
  sqlite3_stmt *stmt = f->stmts[statement];
  sqlite3_bind_int64(stmt, 1, e->h);
  sqlite3_bind_int64(stmt, 2, e->g);
  sqlite3_bind_int64(stmt, 3, e->created_at_us);
  sqlite3_bind_int64(stmt, 4, e->seq);
  if (statement == LIST_TOP) sqlite3_bind_int64(stmt, 5, add);
  run(f, statement);
}

static void put_lists(shared *s, size_t count) {
  for (size_t i = 0, next; i < count; i = next) {
    for (next = i + 1; next < count && s->entries[next].h == s->entries[i].h && s->entries[next].g == s->entries[i].g;) next++;
    put_list_row(&s->index, s->bare->narrow ? LIST : LIST_TOP, &s->entries[next - 1], (int64_t)(next - i));
    for (size_t j = i; j + 1 < next; j++) put_list_row(&s->index, LIST, &s->entries[j], 0);
  }
}

static void index_batch(shared *s, int64_t from, int64_t to) {
  static const uint8_t fingerprint[32];
  size_t entries = 0, keys = 0;
  for (int64_t seq = from + 1; seq <= to; seq++) {
    const row *r = &s->rows[seq - 1];
    entries += put_entries(s->entries + entries, r, seq, s->bare->narrow ? LISTS_NARROW : LISTS);
    s->keys[keys++] = (key_entry){spread((uint64_t)seq), seq};
  }
  qsort(s->entries, entries, sizeof *s->entries, compare_entries);
  qsort(s->keys, keys, sizeof *s->keys, compare_keys);
  run(&s->index, BEGIN);
  put_lists(s, entries);
  for (size_t i = 0; i < keys; i++) {
    sqlite3_bind_int64(s->index.stmts[KEY], 1, s->keys[i].hash);
    sqlite3_bind_int64(s->index.stmts[KEY], 2, s->keys[i].seq);
    run(&s->index, KEY);
  }
  for (int64_t seq = from + 1; seq <= to && !s->bare->narrow; seq++) {
    sqlite3_bind_int64(s->index.stmts[ID], 1, KIND);
    sqlite3_bind_int64(s->index.stmts[ID], 2, seq);
    sqlite3_bind_int64(s->index.stmts[ID], 3, seq);
    run(&s->index, ID);
  }
  sqlite3_bind_int64(s->index.stmts[CURSOR], 1, to);
  sqlite3_bind_blob(s->index.stmts[CURSOR], 2, fingerprint, sizeof fingerprint, SQLITE_STATIC);
  sqlite3_bind_int64(s->index.stmts[CURSOR], 3, s->rows[to - 1].created_at_us);
  run(&s->index, CURSOR);
  run(&s->index, COMMIT);
  s->bare->rows += (int64_t)(entries + keys) + (s->bare->narrow ? 0 : to - from);
}

static void *write_index(void *arg) {
  shared *s = arg;
  int64_t events = (int64_t)s->bare->events;
  while (s->indexed < events) {
    pthread_mutex_lock(&s->lock);
    while (s->committed - s->indexed < BENCH_LINGER && s->committed < events) pthread_cond_wait(&s->moved, &s->lock);
    int64_t to = s->committed - s->indexed > BENCH_INDEX_BATCH ? s->indexed + BENCH_INDEX_BATCH : s->committed;
    pthread_mutex_unlock(&s->lock);
    index_batch(s, s->indexed, to);
    pthread_mutex_lock(&s->lock);
    s->indexed = to;
    pthread_cond_signal(&s->moved);
    pthread_mutex_unlock(&s->lock);
  }
  s->bare->caught_up_s = (double)(bench_now_us() - s->start_us) / 1e6;
  return NULL;
}

void bench_bare_run(bench_bare *bare) {
  pthread_t threads[2];
  shared s = {.bare = bare, .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
  s.rows = bench_alloc(bare->events, sizeof *s.rows);
  s.entries = bench_alloc((size_t)BENCH_INDEX_BATCH * LISTS, sizeof *s.entries);
  s.keys = bench_alloc(BENCH_INDEX_BATCH, sizeof *s.keys);
  open_file(&s.log, bare, "", log_pragmas, log_sql, LOG_STATEMENTS);
  open_file(&s.index, bare, "-index", index_pragmas, index_sql, INDEX_STATEMENTS);
  bare->lag_max = bare->rows = 0;
  s.start_us = bench_now_us();
  if (pthread_create(&threads[0], NULL, write_log, &s) || pthread_create(&threads[1], NULL, write_index, &s)) bench_die("cannot start a thread");
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  close_file(&s.log);
  close_file(&s.index);
  free(s.rows);
  free(s.entries);
  free(s.keys);
}
