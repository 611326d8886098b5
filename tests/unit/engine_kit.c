#include "engine_kit.h"

#include <dirent.h>
#ifdef TCI_POSTGRESQL
#include <libpq-fe.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/schemes.h"

static _Atomic int64_t wall_us, mono_us;

static int64_t fake_wall(void *unused) {
  (void)unused;
  return atomic_load(&wall_us);
}

static int64_t fake_mono(void *unused) {
  (void)unused;
  return atomic_load(&mono_us);
}

static const tc_clock fake_clock = {sizeof(tc_clock), fake_wall, fake_mono, NULL};

void kit_clock_set(int64_t us) { atomic_store(&wall_us, us); }

void kit_clock_add(int64_t us) {
  atomic_fetch_add(&wall_us, us);
  atomic_fetch_add(&mono_us, us);
}

int64_t kit_clock_wall(void) { return atomic_load(&wall_us); }

const char *kit_server(void) { return getenv("TIPCURRENT_TEST_PG"); }

void kit_init(kit *k, int backend) {
  memset(k, 0, sizeof *k);
  atomic_store(&wall_us, 1705314645123456);
  atomic_store(&mono_us, 1000000);
  if (backend == 0) {
    (void)snprintf(k->url, sizeof k->url, "memory:");
  } else {
    (void)snprintf(k->dir, sizeof k->dir, "/tmp/tc-engine-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(k->dir));
    if (kit_server()) (void)snprintf(k->url, sizeof k->url, "%s?options=-csearch_path%%3D%%22%s%%22", kit_server(), strrchr(k->dir, '/') + 1);
    else (void)snprintf(k->url, sizeof k->url, "sqlite:%s/tc.db", k->dir);
  }
  k->options = (tc_options)TC_OPTIONS_INIT;
  k->options.clock = &fake_clock;
}

static tc_engine *pumped; /* the open engine, when it has no threads */

void kit_open(kit *k) {
  k->options.storage_url = k->url;
  if (getenv("KIT_NO_THREADS")) k->options.flags |= TC_NO_THREADS;
  int rc = tc_open(&k->engine, &k->options);
  ck_assert_msg(rc == TC_OK, "tc_open: %s: %s", tc_strerror(rc), tc_last_error());
  pumped = k->options.flags & TC_NO_THREADS ? k->engine : NULL;
}

void kit_close(kit *k) {
  pumped = NULL;
  ck_assert_int_eq(tc_close(k->engine), TC_OK);
  k->engine = NULL;
}

#ifdef TCI_POSTGRESQL
static void forget_on_server(kit *k) {
  char sql[128];
  PGconn *db = PQconnectdb(kit_server());
  (void)snprintf(sql, sizeof sql, "DELETE FROM \"%s\".meta WHERE name='index_version'", strrchr(k->dir, '/') + 1);
  PGresult *result = PQexec(db, sql);
  ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(db));
  PQclear(result);
  PQfinish(db);
}
#else
static void forget_on_server(kit *k) { ck_abort_msg("%s: built without PostgreSQL", k->url); }
#endif

void kit_forget_index(kit *k) {
  char path[128];
  if (kit_server()) {
    forget_on_server(k);
    return;
  }
  (void)snprintf(path, sizeof path, "%s/tc-index.db", k->dir);
  ck_assert_msg(!unlink(path), "%s", path);
}

void kit_clean(kit *k) {
  if (k->engine) kit_close(k);
  if (!k->dir[0]) return;
  DIR *dir = opendir(k->dir);
  ck_assert_ptr_nonnull(dir);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", k->dir, entry->d_name);
    if (entry->d_name[0] != '.') ck_assert_int_eq(unlink(path), 0);
  }
  (void)closedir(dir);
  ck_assert_int_eq(rmdir(k->dir), 0);
}

kit_faults kit_fault;
static const tc_storage_ops *real_ops;
static tc_storage_ops faulty_ops;

static int faulty_append(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us) {
  while (atomic_load(&kit_fault.hold)) (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
  int code = atomic_load(&kit_fault.append_code);
  atomic_fetch_add(&kit_fault.append_calls, 1); /* from here on the test may change what the next call meets */
  if (code == TC_EBUSY) (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
  if (code && !(code == TC_EUNKNOWN && atomic_load(&kit_fault.unknown_stored))) return code;
  int rc = real_ops->append(storage, items, n, batch_id, now_us);
  return code ? code : rc;
}

static int faulty_append_on(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us, tc_append_terms *terms) {
  (void)terms; /* one node alone: they hold */
  return faulty_append(storage, items, n, batch_id, now_us);
}

/* The real append has told its items what became of them; only its return value was changed on the way. */
static int faulty_outcome(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int32_t *stored) {
  (void)storage;
  (void)items;
  (void)n;
  (void)batch_id;
  int code = atomic_load(&kit_fault.outcome_code);
  if (!code) *stored = atomic_load(&kit_fault.unknown_stored);
  return code;
}

static int faulty_derive(tc_storage *storage, const tc_record *rows, size_t n) {
  atomic_fetch_add(&kit_fault.derive_calls, 1);
  int code = atomic_load(&kit_fault.derive_code);
  return code ? code : real_ops->derive(storage, rows, n);
}

const tc_storage_ops *kit_faulty(int backend) {
  memset(&kit_fault, 0, sizeof kit_fault);
  real_ops = backend ? tci_storage_ops_of(kit_server() ? kit_server() : "sqlite:") : &tci_memory_ops;
  faulty_ops = *real_ops;
  faulty_ops.append = faulty_append;
  if (real_ops->append_on) faulty_ops.append_on = faulty_append_on;
  faulty_ops.append_outcome = faulty_outcome;
  if (real_ops->derive) faulty_ops.derive = faulty_derive;
  return &faulty_ops;
}

int kit_try_tip(kit *k, const char *room, int64_t amount, const char *key, int64_t *id, int32_t *replayed) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  tip.room_id = room;
  tip.sender_id = "alice";
  tip.recipient_id = "bob";
  tip.amount = amount;
  tip.idempotency_key = key;
  int rc = tc_tip_create(k->engine, &tip, &event, replayed);
  if (rc == TC_OK && id) *id = tc_event_id(event);
  tc_event_unref(event);
  return rc;
}

int64_t kit_tip(kit *k, const char *room, const char *sender, int64_t amount, const char *key) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  tip.room_id = room;
  tip.sender_id = sender;
  tip.recipient_id = "bob";
  tip.amount = amount;
  tip.idempotency_key = key;
  int rc = tc_tip_create(k->engine, &tip, &event, NULL);
  ck_assert_msg(rc == TC_OK, "tc_tip_create: %s: %s", tc_strerror(rc), tc_last_error());
  int64_t id = tc_event_id(event);
  tc_event_unref(event);
  return id;
}

void kit_submit(kit *k, kit_answers *answers, const char *key) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "a";
  tip.recipient_id = "b";
  tip.amount = 5;
  tip.idempotency_key = key;
  ck_assert_int_eq(tc_tip_submit(k->engine, &tip, kit_done, answers), TC_OK);
}

kit_answers *kit_answers_new(void) {
  kit_answers *answers = calloc(1, sizeof *answers);
  ck_assert_ptr_nonnull(answers);
  ck_assert_int_eq(pthread_mutex_init(&answers->mutex, NULL), 0);
  return answers;
}

void kit_answers_free(kit_answers *answers) {
  ck_assert_int_eq(pthread_mutex_destroy(&answers->mutex), 0);
  free(answers);
}

void kit_done(const tc_result *result, void *userdata) {
  kit_answers *answers = userdata;
  pthread_mutex_lock(&answers->mutex);
  if (answers->n < KIT_ANSWERS_MAX) {
    answers->got[answers->n].code = result->code;
    answers->got[answers->n].replayed = result->replayed;
    answers->got[answers->n].seq = result->event ? tc_event_seq(result->event) : 0;
    answers->got[answers->n].id = result->event ? tc_event_id(result->event) : 0;
  }
  answers->n++;
  pthread_mutex_unlock(&answers->mutex);
}

size_t kit_answers_count(kit_answers *answers) {
  pthread_mutex_lock(&answers->mutex);
  size_t n = answers->n;
  pthread_mutex_unlock(&answers->mutex);
  return n;
}

void kit_turn(void) {
  if (pumped) ck_assert_int_ne(tc_engine_poll(pumped, 0), TC_EINVAL);
}

int kit_until(int (*condition)(void *arg), void *arg) {
  struct timespec start, now;
  (void)clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    int value = condition(arg);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (value || now.tv_sec - start.tv_sec > 20) return value;
    if (pumped) ck_assert_int_ne(tc_engine_poll(pumped, 1), TC_EINVAL);
    else (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
}

static int indexed(void *arg) {
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(((kit *)arg)->engine, &status), TC_OK);
  return status.index_seq == status.log_seq && status.ready;
}

int kit_until_indexed(kit *k) { return kit_until(indexed, k); }

typedef struct enough {
  kit_answers *answers;
  size_t n;
} enough;

static int has_enough(void *arg) {
  enough *e = arg;
  return kit_answers_count(e->answers) >= e->n;
}

int kit_until_answers(kit_answers *answers, size_t n) {
  enough e = {answers, n};
  return kit_until(has_enough, &e);
}

int kit_run(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
