/* The indexer: builds the derived file behind the log, in large transactions, and cleans up when there is nothing to build. */
#include <errno.h>

#include "base/mem.h"
#include "engine/engine.h"

/* Small index transactions cost far more a row, and the tail answers for what is not indexed. So a few events wait this long for company. */
#define LINGER_US 200000
#define LINGER_EVENTS 4096
#define IDLE_SLICE_US 1000000 /* how often clean-up is asked for when there is no work */
#define RETRY_US 250000

typedef struct rows {
  tc_event *events[TCI_INDEX_BATCH];
  tc_record records[TCI_INDEX_BATCH];
  size_t n;
  int rc;
} rows;

void tci_indexer_wake(tc_engine *engine) {
  /* Below the linger the indexer's own timer is soon enough, and the writer saves a futex a commit. */
  if (atomic_load(&engine->log_seq) - atomic_load(&engine->index_seq) < LINGER_EVENTS) return;
  pthread_mutex_lock(&engine->index_mutex);
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
  if (atomic_exchange(&engine->index_error, rc) != rc && rc)
    tci_engine_log(engine, TC_LOG_ERROR, "indexing failed: %s: %s", tc_strerror(rc), tci_fail_detail());
  for (size_t i = 0; i < r->n; i++) tc_event_unref(r->events[i]);
  return rc;
}

static int64_t backlog(const tc_engine *engine) { return atomic_load(&engine->log_seq) - atomic_load(&engine->index_seq); }

/* Sleeps until there is enough to index, or a little has lingered, or it is time to clean up. 0: stop. */
static int wait_for_work(tc_engine *engine, int64_t idle_us) {
  pthread_mutex_lock(&engine->index_mutex);
  if (!engine->index_stop && backlog(engine) < LINGER_EVENTS) {
    (void)tci_cond_wait(&engine->index_work, &engine->index_mutex, backlog(engine) ? LINGER_US : idle_us);
  }
  int stop = engine->index_stop;
  pthread_mutex_unlock(&engine->index_mutex);
  return !stop;
}

static void clean_up(tc_engine *engine, int64_t *again_us) {
  int32_t more = 0;
  *again_us = IDLE_SLICE_US;
  if (!engine->ops->idle) return;
  int rc = engine->ops->idle(engine->storage, engine->clock.wall_us(engine->clock.userdata), &more);
  if (rc) tci_engine_log(engine, TC_LOG_WARN, "clean-up failed, will be tried again: %s: %s", tc_strerror(rc), tci_fail_detail());
  if (!rc && more) *again_us = 0;
}

void *tci_indexer_main(void *arg) {
  tc_engine *engine = arg;
  rows *r = engine->index_rows;
  int64_t idle_us = 0, slept_us = 0;
  for (;;) {
    int go_on = wait_for_work(engine, idle_us);
    if (backlog(engine) > 0) {
      if (index_some(engine, r)) {
        if (!go_on) break; /* a clean stop does not wait for a broken disk: the next open goes on from the cursor */
        pthread_mutex_lock(&engine->index_mutex);
        if (!engine->index_stop) (void)tci_cond_wait(&engine->index_work, &engine->index_mutex, RETRY_US);
        pthread_mutex_unlock(&engine->index_mutex);
      }
      slept_us += LINGER_US;
      if (slept_us < IDLE_SLICE_US) continue;
    } else if (!go_on) {
      break;
    }
    /* A rebuild from far behind is left to the next open too. */
    if (!go_on && !tci_engine_ready(engine)) break;
    clean_up(engine, &idle_us);
    slept_us = 0;
  }
  return NULL;
}

void *tci_indexer_memory(void) { return tci_alloc(sizeof(rows)); }
