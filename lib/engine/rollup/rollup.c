/* rollup.c - the cursor: its life, its steps, and what others ask the indexer's thread to do. */
#include "engine/rollup/rollup.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/nodes.h"
#include "engine/rollup/cells.h"
#include "engine/webhooks.h"

#define BYTES_DEFAULT (UINT64_C(128) << 20)
#define BYTES_LEAST (UINT64_C(64) << 10)
#define EVER_SHARE 12 /* one of so many bytes of memory, beside it */
#define SLICE 16384   /* events read from the log at once */
#define UNDER_LOCK 64 /* events applied without letting readers in */
#define SPILL_EVENTS 262144
#define SPILL_US 5000000    /* what is in memory alone has to be read from the log again after a kill */
#define FOLLOWED_US 1000000 /* the same where other nodes read it */
#define RETRY_US 1000000
#define BYTES_A_DIRTY 256   /* one of this many bytes of memory may be dirty: writing down takes as much again for a moment */
#define TOPS_EVENTS 1048576 /* tops are written after so many, or so long: what was not has to be settled after a kill, some microseconds an event */
#define TOPS_US 60000000
#define BYTES_A_TOP 12288  /* a full one, in memory: half of it may be those that wait for that */
#define STORM_EVENTS 4096  /* as many at once */
#define WAIT_EVENTS 262144 /* so many may wait, so long */
#define WAIT_US 2000000
#define AT_OPEN_MAX 65536 /* events that tc_open waits for, so that what was there before is there at once */

int64_t tci_rollup_seq(const tc_engine *engine) { return engine->rollup ? atomic_load(&engine->rollup->seq) : 0; }

int tci_rollup_waits(const tc_engine *engine) { return engine->rollup && engine->rollup->waiting.n; }

int tci_rollup_ready(const tc_engine *engine) {
  const tci_rollup *rollup = engine->rollup;
  return !rollup || (!tci_rollup_is_mending(rollup) && atomic_load(&rollup->seq) >= atomic_load(&rollup->ready_at_seq));
}

int tci_rollup_new(tci_rollup **out, tc_engine *engine, uint64_t bytes) {
  tci_rollup *rollup = tci_zalloc(sizeof *rollup);
  if (!rollup) return tci_fail(TC_ENOMEM, "out of memory for the rollup");
  if (!bytes) bytes = BYTES_DEFAULT;
  if (bytes < BYTES_LEAST) bytes = BYTES_LEAST;
  rollup->engine = engine;
  rollup->bytes_max = bytes / 4 * 3;
  rollup->hours.bytes_max = bytes / 4;
  rollup->fills_left = TCI_FILL_MAX;
  rollup->dirty_from = TCI_NEVER;
  rollup->whole = 1;
  tci_buf_init(&rollup->values, SIZE_MAX / 2);
  if (pthread_mutex_init(&rollup->mutex, NULL)) goto no_mutex;
  if (pthread_rwlock_init(&rollup->spilling, NULL)) goto no_spilling;
  if (pthread_mutex_init(&rollup->gate, NULL)) goto no_gate;
  if (pthread_mutex_init(&rollup->jobs_mutex, NULL)) goto no_jobs;
  if (tci_cond_init(&rollup->job_done)) goto no_done;
  *out = rollup;
  return TC_OK;
no_done:
  (void)pthread_mutex_destroy(&rollup->jobs_mutex);
no_jobs:
  (void)pthread_mutex_destroy(&rollup->gate);
no_gate:
  (void)pthread_rwlock_destroy(&rollup->spilling);
no_spilling:
  (void)pthread_mutex_destroy(&rollup->mutex);
no_mutex:
  tci_free(rollup);
  return tci_fail(TC_ENOMEM, "cannot make the rollup's locks");
}

int tci_rollup_new_shadow(tci_rollup **out, const tci_rollup *of, uint64_t bytes) {
  tci_rollup *rollup = NULL;
  int rc = tci_rollup_new(&rollup, of->engine, bytes);
  if (rc) return rc;
  rollup->shadow = 1;
  memcpy(&rollup->key, &of->key, sizeof rollup->key);
  rollup->all = of->all;
  rollup->standard = of->standard;
  *out = rollup;
  return TC_OK;
}

void tci_rollup_free(tci_rollup *rollup) {
  if (!rollup) return;
  tci_cells_free(rollup);
  tci_hours_free(&rollup->hours);
  tci_buf_free(&rollup->values);
  tci_free(rollup->ever);
  tci_waiting_drop(&rollup->waiting, rollup->waiting.n);
  (void)pthread_cond_destroy(&rollup->job_done); /* these fail only in use */
  (void)pthread_mutex_destroy(&rollup->jobs_mutex);
  (void)pthread_mutex_destroy(&rollup->gate);
  (void)pthread_rwlock_destroy(&rollup->spilling);
  (void)pthread_mutex_destroy(&rollup->mutex);
  tci_free(rollup);
}

/* ---- steps ---- */

/* Failures come again and again: one line for each new one. */
static void note(tci_rollup *rollup, int rc) {
  if (tci_nodes_is_over(rollup->engine, rc)) return; /* laid down by the next step */
  if (rc) rollup->retry_at_us = tci_engine_mono_us(rollup->engine) + RETRY_US;
  if (rc && rollup->failed != rc)
    tci_engine_log(rollup->engine, TC_LOG_ERROR, "statistics cannot follow the log, will be tried again: %s: %s", tc_strerror(rc), tci_fail_detail());
  rollup->failed = rc;
}

/* Of those that are dirty. */
static int are_tops_due(const tci_rollup *rollup, int64_t now_us) {
  return atomic_load(&rollup->seq) - rollup->tops_seq >= TOPS_EVENTS || now_us - rollup->tops_dirty_since_us >= TOPS_US ||
         rollup->dirty_of[TCI_SPACE_TOP] * BYTES_A_TOP > rollup->bytes_max / 2;
}

static int is_spill_due(const tci_rollup *rollup, int64_t now_us) {
  int64_t seq = atomic_load(&rollup->seq);
  if (seq == rollup->stored_seq) return 0;
  return seq - rollup->stored_seq >= SPILL_EVENTS || now_us - rollup->dirty_since_us >= SPILL_US || rollup->bytes > rollup->bytes_max ||
         rollup->dirty_cells > rollup->bytes_max / BYTES_A_DIRTY;
}

/* Who reads it elsewhere sees what is written, tops too, and nothing else. */
static int is_wanted_elsewhere(const tci_rollup *rollup, int64_t now_us) {
  if (!tci_nodes_is_followed(rollup->engine)) return 0;
  return (rollup->dirty_since_us && now_us - rollup->dirty_since_us >= FOLLOWED_US) ||
         (rollup->tops_dirty_since_us && now_us - rollup->tops_dirty_since_us >= FOLLOWED_US);
}

static int spill_if_due(tci_rollup *rollup) {
  int64_t now_us = tci_engine_mono_us(rollup->engine);
  if (!rollup->dirty_since_us && atomic_load(&rollup->seq) != rollup->stored_seq) rollup->dirty_since_us = now_us;
  if (!rollup->tops_dirty_since_us && rollup->dirty_of[TCI_SPACE_TOP]) rollup->tops_dirty_since_us = now_us;
  int due = is_wanted_elsewhere(rollup, now_us) || is_spill_due(rollup, now_us);
  int tops = rollup->dirty_of[TCI_SPACE_TOP] && ((due && tci_nodes_is_followed(rollup->engine)) || are_tops_due(rollup, now_us));
  if (tops || due) {
    int rc = tci_rollup_spill(rollup, tops);
    if (rc) return rc;
    rollup->dirty_since_us = 0;
  }
  if (rollup->bytes > rollup->bytes_max) {
    (void)pthread_mutex_lock(&rollup->mutex);
    tci_cells_evict(rollup, rollup->bytes_max / 4 * 3);
    (void)pthread_mutex_unlock(&rollup->mutex);
  }
  return TC_OK;
}

enum { PLACES_EARLY = 8, CELLS_EARLY = 4, RING = 16 };

/* Under the mutex. */
static int apply_some(tci_rollup *rollup, const tc_record *const *records, size_t n) {
  tci_ahead ring[RING];
  size_t placed = 0, found = 0;
  int rc = TC_OK;
  for (size_t i = 0; i < n && !rc; i++) {
    for (; placed < n && placed <= i + PLACES_EARLY; placed++) tci_rollup_look_ahead(rollup, records[placed], &ring[placed % RING]);
    for (; found < n && found <= i + CELLS_EARLY; found++) tci_rollup_look_again(rollup, &ring[found % RING]);
    if (records[i]->seq <= atomic_load(&rollup->seq)) continue;
    rc = tci_rollup_apply(rollup, records[i], &ring[i % RING]);
    if (!rc) atomic_store(&rollup->seq, records[i]->seq);
  }
  return rc;
}

/* In the log's order; those that the cursor has passed are passed over. */
static int apply_records(tci_rollup *rollup, const tc_record *const *records, size_t n) {
  int rc = TC_OK;
  for (size_t at = 0; at < n && !rc; at += UNDER_LOCK) {
    (void)pthread_mutex_lock(&rollup->mutex);
    rc = apply_some(rollup, records + at, n - at < UNDER_LOCK ? n - at : UNDER_LOCK);
    (void)pthread_mutex_unlock(&rollup->mutex);
    if (!rc) rc = spill_if_due(rollup);
  }
  return rc;
}

static int apply_events(tci_rollup *rollup, tc_event *const *events, size_t n) {
  const tc_record *records[1024];
  int rc = TC_OK;
  for (size_t at = 0; at < n && !rc;) {
    size_t count = 0;
    for (; count < sizeof records / sizeof *records && at < n; at++) records[count++] = &events[at]->record;
    rc = apply_records(rollup, records, count);
  }
  return rc;
}

typedef int (*taker)(tci_rollup *rollup, const tc_record *const *records, size_t n);

/* Gives the first n of them, or as many as there are; what was taken is dropped. */
static int give(tci_rollup *rollup, tci_waiting *waiting, size_t n, taker fn) {
  const tc_record *records[1024];
  int rc = TC_OK;
  while (n && waiting->n && !rc) {
    size_t count = tci_waiting_first(waiting, n < sizeof records / sizeof *records ? n : sizeof records / sizeof *records, records);
    rc = fn(rollup, records, count);
    if (!rc) tci_waiting_drop(waiting, count);
    n -= count;
  }
  return rc;
}

static int apply_waiting(tci_rollup *rollup, size_t n) { return give(rollup, &rollup->waiting, n, apply_records); }

static int mend_records(tci_rollup *rollup, const tc_record *const *records, size_t n) {
  (void)pthread_mutex_lock(&rollup->mutex);
  int rc = tci_rollup_mend(rollup, records, n);
  (void)pthread_mutex_unlock(&rollup->mutex);
  return rc ? rc : spill_if_due(rollup);
}

/* Rows copied out of the log: applying them may read the storage, which the walk over it may not. */
typedef struct slice {
  tci_waiting rows;
  int64_t to_seq;
  int rc;
} slice;

static int keep_row(const tc_record *row, void *arg) {
  slice *s = arg;
  if (row->seq > s->to_seq) return 1;
  if (tci_waiting_put(&s->rows, row, 0)) s->rc = tci_fail(TC_ENOMEM, "out of memory for the rollup");
  return s->rc != TC_OK;
}

/* As far as the rollup may go: facts must not be ahead of the index. */
static int64_t bound_of(const tc_engine *engine) { return engine->ops->derive ? atomic_load(&engine->index_seq) : atomic_load(&engine->log_seq); }

/* A slice of the log behind seq. */
static int from_log(tci_rollup *rollup, int64_t seq, int64_t to_seq, taker fn) {
  tc_engine *engine = rollup->engine;
  slice s = {.to_seq = to_seq};
  int rc = engine->ops->read_log(engine->storage, seq, SLICE, keep_row, &s);
  if (!rc) rc = s.rc;
  if (!rc && !s.rows.n && seq < to_seq) rc = tci_fail(TC_ECORRUPT, "the log has no event %lld", (long long)seq + 1);
  if (!rc) rc = give(rollup, &s.rows, s.rows.n, fn);
  tci_waiting_drop(&s.rows, s.rows.n);
  return rc;
}

/* What lies behind the cursor, from the log. */
static int catch_up(tci_rollup *rollup) {
  if (tci_rollup_is_mending(rollup)) return from_log(rollup, atomic_load(&rollup->mended_seq), atomic_load(&rollup->mend_to_seq), mend_records);
  return from_log(rollup, atomic_load(&rollup->seq), bound_of(rollup->engine), apply_records);
}

/* One job, if one waits. 1: there are more. */
static int run_job(tci_rollup *rollup) {
  (void)pthread_mutex_lock(&rollup->jobs_mutex);
  tci_rollup_job *job = rollup->jobs;
  if (job) rollup->jobs = job->next;
  int more = rollup->jobs != NULL;
  (void)pthread_mutex_unlock(&rollup->jobs_mutex);
  if (!job) return 0;
  int rc = job->run(rollup, job->arg);
  (void)pthread_mutex_lock(&rollup->jobs_mutex);
  (void)snprintf(job->detail, sizeof job->detail, "%s", rc ? tci_fail_detail() : "");
  job->rc = rc;
  job->done = 1;
  (void)pthread_cond_broadcast(&rollup->job_done);
  (void)pthread_mutex_unlock(&rollup->jobs_mutex);
  return more;
}

/* ---- storms ---- */

/* While events pour in, counting them waits: a storm is over in seconds, and until then the cores are for those who tip. What is waited for is bounded, in time and in memory. */
static int may_wait(tci_rollup *rollup, size_t n, int64_t now_us) {
  tci_waiting *w = &rollup->waiting;
  if (n < STORM_EVENTS || w->n + n > WAIT_EVENTS || w->bytes > rollup->bytes_max / 2 || (w->n && now_us - w->since_us >= WAIT_US)) w->draining = 1;
  return !w->draining;
}

/* In the order in which they came, none of them applied. */
static int put_waiting(tci_rollup *rollup, tc_event *const *events, size_t n, int64_t now_us) {
  int rc = TC_OK;
  for (size_t i = 0; i < n && !rc; i++) {
    if (rollup->waiting.n && events[i]->record.seq <= rollup->waiting.last_seq) continue;
    rc = tci_waiting_put(&rollup->waiting, &events[i]->record, now_us);
  }
  if (!rc) return TC_OK;
  tci_waiting_drop(&rollup->waiting, rollup->waiting.n); /* the log has them too */
  return tci_fail(TC_ENOMEM, "out of memory for the rollup");
}

/* These follow what is applied and what waits. */
static int follow(tci_rollup *rollup, tc_event *const *events, size_t n, int *soon) {
  int64_t now_us = tci_engine_mono_us(rollup->engine);
  int wait = may_wait(rollup, n, now_us);
  if (!wait && !rollup->waiting.n) {
    rollup->waiting.draining = 0;
    return apply_events(rollup, events, n);
  }
  int rc = put_waiting(rollup, events, n, now_us);
  if (!rc && !wait) rc = apply_waiting(rollup, n + SLICE);
  *soon = wait;
  return rc;
}

/* ---- one step ---- */

static int step(tci_rollup *rollup, tc_event *const *events, size_t n, int *soon) {
  int64_t seq = rollup->waiting.n ? rollup->waiting.last_seq : atomic_load(&rollup->seq);
  int rc = TC_OK;
  if (tci_rollup_is_mending(rollup)) rc = catch_up(rollup);
  else if (n && events[0]->record.seq <= seq + 1) rc = follow(rollup, events, n, soon);
  else if (rollup->waiting.n) rc = apply_waiting(rollup, n + SLICE);
  else if (seq < bound_of(rollup->engine)) rc = catch_up(rollup);
  return rc ? rc : spill_if_due(rollup);
}

/* Without a derived file behind memory, everything stays in memory: then more of it is let grow, and nothing written. */
void tci_rollup_step(tc_engine *engine, tc_event *const *events, size_t n, tci_rollup_more *more) {
  tci_rollup *rollup = engine->rollup;
  int soon = 0;
  *more = TCI_ROLLUP_DONE;
  if (!rollup) return;
  if (rollup->failed && tci_engine_mono_us(engine) < rollup->retry_at_us) {
    *more = run_job(rollup) ? TCI_ROLLUP_AT_ONCE : TCI_ROLLUP_DONE;
    return;
  }
  int learns = rollup->ever_filling && tci_ever_fill(rollup);
  int rc = step(rollup, events, n, &soon);
  note(rollup, rc);
  int behind = !rc && (tci_rollup_is_mending(rollup) || atomic_load(&rollup->seq) < bound_of(engine));
  if (run_job(rollup) || (behind && !soon) || (!rc && learns && !tci_webhooks_busy(engine))) *more = TCI_ROLLUP_AT_ONCE;
  else if (soon || learns || (rollup->dirty_since_us && tci_nodes_is_followed(engine))) *more = TCI_ROLLUP_SOON;
}

/* ---- jobs ---- */

int tci_rollup_call(tci_rollup *rollup, int (*run)(tci_rollup *rollup, void *arg), void *arg) {
  tci_rollup_job job = {.run = run, .arg = arg}, **last = &rollup->jobs;
  if (rollup->engine->pump.on) {
    int entered = tci_pump_enter(rollup->engine);
    int rc = run(rollup, arg);
    tci_pump_leave(rollup->engine, entered);
    return rc;
  }
  (void)pthread_mutex_lock(&rollup->jobs_mutex);
  while (*last) last = &(*last)->next;
  *last = &job;
  (void)pthread_mutex_unlock(&rollup->jobs_mutex);
  tci_indexer_ring(rollup->engine);
  (void)pthread_mutex_lock(&rollup->jobs_mutex);
  while (!job.done) (void)tci_cond_wait(&rollup->job_done, &rollup->jobs_mutex, -1);
  (void)pthread_mutex_unlock(&rollup->jobs_mutex);
  return job.rc ? tci_fail(job.rc, "%s", job.detail) : TC_OK;
}

/* ---- life ---- */

static int take_meta(tc_text key, tc_text value, void *arg) {
  tci_rollup *rollup = arg;
  (void)key;
  rollup->failed = tci_rollup_get_meta(rollup, value) ? TC_ECORRUPT : TC_OK;
  rollup->keyed = !rollup->failed;
  return 0;
}

/* Where the facts are of several nodes, their key is there before anything else is: who only reads them cannot wait for the first spill. */
static int put_key(tci_rollup *rollup) {
  tci_buf meta;
  tci_buf_init(&meta, 256);
  int rc = tci_rollup_put_meta(rollup, &meta) ? tci_fail(TC_ENOMEM, "out of memory for the rollup") : TC_OK;
  tc_fact fact = {TCI_SPACE_META, {"", 0}, {meta.data, meta.len}};
  if (!rc) rc = rollup->engine->ops->facts_commit(rollup->engine->storage, 0, &fact, 1);
  tci_buf_free(&meta);
  if (!rc) rollup->keyed = 1;
  return rc;
}

/* Once, before anybody reads: what follows says the same again. */
static void name_standard(tci_rollup *rollup) {
  tci_hash hash = tci_hash_of(rollup, (tc_text){"", 0});
  if (hash.h == rollup->all.h && hash.g == rollup->all.g) return;
  rollup->all = rollup->standard = hash;
}

/* Where the store stands. */
static int load(tci_rollup *rollup) {
  tc_engine *engine = rollup->engine;
  int rc = TC_OK;
  if (!rollup->keyed) rc = engine->random.fill(engine->random.userdata, &rollup->key, sizeof rollup->key);
  if (rc) return tci_fail(rc, "no randomness for the rollup");
  rc = engine->ops->facts_cursor(engine->storage, &rollup->stored_seq);
  if (!rc && (rollup->stored_seq || engine->nodes)) rc = engine->ops->fact_first(engine->storage, TCI_SPACE_META, (tc_text){"", 0}, take_meta, rollup);
  if (!rc && (rollup->failed || (rollup->stored_seq && !rollup->keyed)))
    rc = tci_fail(TC_ECORRUPT, "the derived file's statistics are of another sort: remove it, it is built anew");
  if (!rc && engine->nodes && !rollup->follows && !rollup->keyed) rc = put_key(rollup);
  if (!rc && rollup->stored_seq && !rollup->follows) rc = tci_rollup_tell_goals(rollup);
  if (rc) return rc;
  rollup->failed = 0;
  rollup->whole = !rollup->stored_seq;
  if (!rollup->follows) tci_ever_open(rollup, rollup->bytes_max / EVER_SHARE);
  rollup->quarters_from = rollup->stored_seq ? rollup->newest_quarter + 1 : 0;
  rollup->days_from = rollup->stored_seq ? rollup->newest_day + 1 : 0;
  name_standard(rollup);
  atomic_store(&rollup->seq, rollup->stored_seq);
  atomic_store(&rollup->mended_seq, rollup->follows ? rollup->stored_seq : rollup->tops_seq);
  atomic_store(&rollup->mend_to_seq, rollup->stored_seq);
  return TC_OK;
}

/* A follower serves as soon as it knows the key: its numbers are what the leader has written, seconds ago. */
static void set_ready(tci_rollup *rollup) { atomic_store(&rollup->ready_at_seq, rollup->keyed ? 0 : INT64_MAX); }

int tci_rollup_open(tc_engine *engine, uint64_t bytes) {
  tci_rollup *rollup = NULL;
  if (!engine->ops->facts_commit) return TC_OK;
  int rc = tci_rollup_new(&rollup, engine, bytes);
  if (!rc) rollup->follows = engine->nodes && !atomic_load(&engine->nodes->index_epoch);
  if (!rc) rc = load(rollup);
  if (rc) tci_rollup_free(rollup);
  if (rc == TC_ECORRUPT) {
    /* Tips go on all the same. */
    tci_engine_log(engine, TC_LOG_ERROR, "no statistics: %s", tci_fail_detail());
    return TC_OK;
  }
  if (rc) return rc;
  engine->rollup = rollup;
  if (rollup->follows) {
    set_ready(rollup);
    return TC_OK;
  }
  int64_t behind = bound_of(engine) - rollup->tops_seq;
  atomic_store(
    &rollup->ready_at_seq,
    atomic_load(&engine->log_seq)); /* what the log had at open, indexed or not: lists show it at once, by the tail, and no number may be without it */
  while (behind <= AT_OPEN_MAX && (tci_rollup_is_mending(rollup) || atomic_load(&rollup->seq) < bound_of(engine)) && !rc) rc = catch_up(rollup);
  note(rollup, rc);
  return TC_OK;
}

/* ---- of several nodes ---- */

static void forget(tci_rollup *rollup) {
  tci_rollup_hold(rollup, 1);
  (void)pthread_mutex_lock(&rollup->mutex);
  tci_cells_free(rollup);
  tci_hours_free(&rollup->hours);
  tci_free(rollup->ever);
  rollup->ever = NULL;
  rollup->ever_filling = 0;
  memset(&rollup->ever_from, 0, sizeof rollup->ever_from);
  rollup->dirty_groups = NULL;
  memset(rollup->dirty_of, 0, sizeof rollup->dirty_of);
  rollup->dirty_cells = 0;
  rollup->bytes = 0;
  rollup->dirty_from = TCI_NEVER;
  rollup->dirty_to = 0;
  (void)pthread_mutex_unlock(&rollup->mutex);
  tci_rollup_release(rollup);
  tci_waiting_drop(&rollup->waiting, rollup->waiting.n);
  rollup->dirty_since_us = rollup->tops_dirty_since_us = 0;
  rollup->failed = 0;
}

int tci_rollup_take_up(tc_engine *engine) {
  tci_rollup *rollup = engine->rollup;
  if (!rollup) return TC_OK;
  forget(rollup);
  rollup->follows = 0;
  int rc = load(rollup);
  if (rc) rollup->follows = 1;
  set_ready(rollup);
  return rc;
}

void tci_rollup_lay_down(tc_engine *engine) {
  tci_rollup *rollup = engine->rollup;
  if (!rollup) return;
  forget(rollup);
  rollup->follows = 1;
  atomic_store(&rollup->mend_to_seq, 0);
  atomic_store(&rollup->mended_seq, 0);
  set_ready(rollup);
}

void tci_rollup_follow(tc_engine *engine, int64_t facts_seq) {
  tci_rollup *rollup = engine->rollup;
  if (!rollup) return;
  if (!rollup->keyed) {
    int rc = engine->ops->fact_first(engine->storage, TCI_SPACE_META, (tc_text){"", 0}, take_meta, rollup);
    note(rollup, rc ? rc : rollup->failed);
    if (rollup->keyed) name_standard(rollup);
    if (rollup->keyed) set_ready(rollup);
  }
  rollup->stored_seq = facts_seq;
  atomic_store(&rollup->seq, facts_seq);
  (void)run_job(rollup);
}

void tci_rollup_close(tci_rollup *rollup) {
  if (!rollup) return;
  int rc = TC_OK;
  if (atomic_load(&rollup->seq) != rollup->stored_seq || rollup->dirty_of[TCI_SPACE_TOP]) rc = tci_rollup_spill(rollup, 1);
  note(rollup, rc);
  tci_rollup_free(rollup);
}
