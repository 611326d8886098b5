/* The indexer: builds the derived file behind the log, in large transactions, and cleans up when there is nothing to build. */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/goals.h"
#include "engine/nodes.h"
#include "engine/rollup/rollup.h"
#include "engine/webhooks.h"

/* Small index transactions cost far more a row, and the tail answers for what is not indexed. So a few events wait this long for company. */
#define LINGER_US 200000
#define LINGER_EVENTS 16384
#define IDLE_SLICE_US 1000000 /* how often clean-up is asked for when there is no work */
#define RETRY_US 250000
#define NICENESS 5

typedef struct rows {
  tc_event *events[TCI_INDEX_BATCH];
  tc_record records[TCI_INDEX_BATCH];
  size_t n;
  int rc;
  int failed;                /* the last step could not index */
  tci_rollup_more more;      /* when the rollup wants to go on */
  int64_t idle_us, since_us; /* when clean-up wants to be asked again; how much of that indexing took */
} rows;

void tci_indexer_wake(tc_engine *engine) {
  /* Below the linger the indexer's own timer is soon enough, and the writer saves a futex a commit; but for the first event after a quiet time, which would wait for the idle slice. */
  if (atomic_load(&engine->log_seq) - atomic_load(&engine->index_seq) < LINGER_EVENTS && !atomic_load(&engine->index_idle)) return;
  if (engine->pump.on) {
    tci_pump_ring(engine);
    return;
  }
  pthread_mutex_lock(&engine->index_mutex);
  pthread_cond_signal(&engine->index_work);
  pthread_mutex_unlock(&engine->index_mutex);
}

int tci_indexer_is_wanted(const tc_engine *engine) { return engine->ops->derive || engine->rollup; }

void tci_indexer_ring(tc_engine *engine) {
  pthread_mutex_lock(&engine->index_mutex);
  engine->index_rung = 1;
  pthread_cond_signal(&engine->index_work);
  pthread_mutex_unlock(&engine->index_mutex);
}

static int keep_row(const tc_record *row, void *arg) {
  rows *r = arg;
  tc_event *event = tci_event_from_row(row);
  if (!event) {
    r->rc = tci_fail(TC_ENOMEM, "out of memory while indexing");
    return 1;
  }
  r->events[r->n++] = event;
  return 0;
}

/* The next events to index: from the tail, or from the log for what was there before tc_open. */
static int gather(tc_engine *engine, rows *r) {
  int64_t from_seq = atomic_load(&engine->index_seq) + 1;
  r->n = 0;
  r->rc = TC_OK;
  int64_t n = tci_tail_take(engine->tail, from_seq, TCI_INDEX_BATCH, r->events);
  if (n < 0) {
    int64_t before_tail = tci_tail_base(engine->tail) - from_seq;
    int rc = engine->ops->read_log(engine->storage, from_seq - 1, before_tail < TCI_INDEX_BATCH ? (size_t)before_tail : TCI_INDEX_BATCH, keep_row, r);
    if (!rc && !r->rc && r->n == 0) rc = tci_fail(TC_ECORRUPT, "the log has no event %lld", (long long)from_seq);
    if (rc) r->rc = rc;
  } else {
    r->n = (size_t)n;
  }
  for (size_t i = 0; i < r->n; i++) r->records[i] = r->events[i]->record;
  return r->rc;
}

static int index_some(tc_engine *engine, rows *r) {
  int rc = gather(engine, r);
  if (!rc && r->n) rc = engine->ops->derive(engine->storage, r->records, r->n);
  if (!rc && r->n) {
    int was_ready = tci_engine_ready(engine);
    int64_t seq = r->records[r->n - 1].seq;
    atomic_store(&engine->index_seq, seq);
    tci_tail_indexed(engine->tail, seq);
    if (!was_ready && tci_engine_ready(engine)) tci_engine_log(engine, TC_LOG_INFO, "indexes are built up to seq %lld", (long long)seq);
  }
  if (!rc && r->n) tci_rollup_step(engine, r->events, r->n, &r->more);
  if (!tci_nodes_is_over(engine, rc) && atomic_exchange(&engine->index_error, rc) != rc && rc)
    tci_engine_log(engine, TC_LOG_ERROR, "indexing failed: %s: %s", tc_strerror(rc), tci_fail_detail());
  for (size_t i = 0; i < r->n; i++) tc_event_unref(r->events[i]);
  return rc;
}

/* A storage that indexes by itself leaves the rollup alone to follow. */
static int64_t backlog(const tc_engine *engine) {
  return atomic_load(&engine->log_seq) - (engine->ops->derive ? atomic_load(&engine->index_seq) : tci_rollup_seq(engine));
}

int64_t tci_indexer_pause_us(const tc_engine *engine) {
  const rows *r = engine->index_rows;
  if (r->failed) return RETRY_US;
  if (engine->nodes && !atomic_load(&engine->nodes->index_epoch)) return LINGER_US;
  if (r->more == TCI_ROLLUP_AT_ONCE) return 0;
  int64_t behind = backlog(engine), idle_us = r->more == TCI_ROLLUP_SOON && r->idle_us > LINGER_US ? LINGER_US : r->idle_us;
  if (!idle_us && tci_webhooks_busy(engine)) idle_us = IDLE_SLICE_US; /* as while it indexes: it can wait, and deliveries are waited for */
  if (!engine->ops->derive) return behind ? LINGER_US : IDLE_SLICE_US;
  return behind >= LINGER_EVENTS ? 0 : behind ? LINGER_US : idle_us;
}

static void nap(tc_engine *engine) {
  int64_t pause_us = tci_indexer_pause_us(engine);
  if (!engine->index_stop && !engine->index_rung && pause_us) (void)tci_cond_wait(&engine->index_work, &engine->index_mutex, pause_us);
}

/* Sleeps until there is enough to index, or a little has lingered, or it is time to clean up. 0: stop. */
static int wait_for_work(tc_engine *engine) {
  pthread_mutex_lock(&engine->index_mutex);
  atomic_store(&engine->index_idle, 1); /* before the look: what is committed behind it rings */
  if (backlog(engine) <= 0) nap(engine);
  atomic_store(&engine->index_idle, 0);
  if (backlog(engine) > 0) nap(engine);
  int stop = engine->index_stop;
  engine->index_rung = 0;
  pthread_mutex_unlock(&engine->index_mutex);
  return !stop;
}

static void clean_up(tc_engine *engine, int64_t *again_us) {
  int32_t more = 0;
  *again_us = IDLE_SLICE_US;
  if (!engine->ops->idle) return;
  int rc = engine->ops->idle(engine->storage, engine->clock.wall_us(engine->clock.userdata), &more);
  if (tci_nodes_is_over(engine, rc)) return;
  /* Where nobody writes, this is what notices that the storage is away, and that it is back. */
  const rows *r = engine->index_rows;
  if (!r->failed && atomic_exchange(&engine->index_error, rc) != rc && rc)
    tci_engine_log(engine, TC_LOG_WARN, "clean-up failed, will be tried again: %s: %s", tc_strerror(rc), tci_fail_detail());
  if (!rc && more) *again_us = 0;
}

int tci_indexer_slice(tc_engine *engine) {
  rows *r = engine->index_rows;
  if (!tci_nodes_lead_index(engine)) return TC_OK;
  if (!engine->ops->derive) {
    int64_t before = tci_rollup_seq(engine);
    tci_rollup_step(engine, NULL, 0, &r->more);
    return tci_rollup_seq(engine) > before || !backlog(engine) ? TC_OK : TC_ESTORAGE; /* it has logged what keeps it */
  }
  int rc = index_some(engine, r);
  r->failed = rc != TC_OK;
  return rc;
}

int tci_indexer_step(tc_engine *engine, int last) {
  rows *r = engine->index_rows;
  r->failed = 0;
  if (!tci_nodes_lead_index(engine)) {
    r->more = TCI_ROLLUP_DONE;
    atomic_store(&engine->index_error, atomic_load(&engine->nodes->look_error));
    return !last;
  }
  if (backlog(engine) > 0) {
    if (tci_indexer_slice(engine) && last) return 0; /* a clean stop does not wait for a broken disk: the next open goes on from the cursor */
    if (!last) tci_goals_step(engine);
    r->since_us += LINGER_US;
    if (r->since_us < IDLE_SLICE_US) return 1;
  } else if (last) {
    if (!tci_rollup_waits(engine)) return 0;
    tci_rollup_step(engine, NULL, 0, &r->more);
    return r->more == TCI_ROLLUP_AT_ONCE;
  } else {
    tci_rollup_step(engine, NULL, 0, &r->more);
  }
  if (!last) tci_goals_step(engine);
  /* A rebuild from far behind is left to the next open too. */
  if (last && !tci_engine_ready(engine)) return 0;
  clean_up(engine, &r->idle_us);
  r->since_us = 0;
  return 1;
}

int tci_indexer_has_more(const tc_engine *engine) {
  const rows *r = engine->index_rows;
  if (engine->nodes && !atomic_load(&engine->nodes->index_epoch)) return 0;
  return backlog(engine) > 0 || r->more == TCI_ROLLUP_AT_ONCE || (engine->ops->derive && !r->idle_us);
}

/* What is behind the log gives way to what is before it: creates wait for the writer, nobody waits for indexes and sums while the tail has room. On Linux the call is about this thread alone. */
static void give_way(void) {
  int now = nice(NICENESS);
  (void)now; /* where it is not allowed, it is as it was */
}

void *tci_indexer_main(void *arg) {
  give_way();
  while (tci_indexer_step(arg, !wait_for_work(arg))) continue;
  return NULL;
}

void *tci_indexer_memory(void) {
  rows *r = tci_alloc(sizeof *r);
  if (r) r->failed = 0, r->more = TCI_ROLLUP_DONE, r->idle_us = r->since_us = 0;
  return r;
}
