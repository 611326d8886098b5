/* The writer: the only thread that appends. */
#include <string.h>

#include "base/mem.h"
#include "engine/batch.h"

/* A live event's created_at never goes back: small backward steps of the wall clock (NTP) are held; a large one is followed, or a clock that once stood in the
 * future would freeze time for as long. */
static int64_t stamp(tc_engine *engine) {
  int64_t now_us = engine->clock.wall_us(engine->clock.userdata);
  int64_t behind_us = engine->last_created_at_us - now_us;
  if (behind_us > 0 && behind_us <= TCI_CLOCK_HOLD_US) return engine->last_created_at_us;
  if (behind_us > 0) {
    tci_engine_log(engine, TC_LOG_WARN, "the clock went back by %lld s: events follow it, lists are ordered by time", (long long)(behind_us / 1000000));
  }
  return now_us;
}

/* While the storage cannot take anything, those who wait in the queue must not wait beyond their deadline. */
static void answer_expired(tc_engine *engine, int code, const char *detail) {
  tci_pending *late[64];
  size_t n;
  while ((n = tci_queue_take_expired(engine, tci_engine_mono_us(engine), late, 64)) > 0) {
    for (size_t i = 0; i < n; i++) tci_pending_answer(late[i], code, 0, NULL, detail);
    tci_pending_release(engine, late, n);
  }
}

static void pause_ms(tc_engine *engine, int64_t ms) {
  pthread_mutex_lock(&engine->queue.mutex);
  (void)tci_cond_wait(&engine->queue.filled, &engine->queue.mutex, ms * 1000);
  pthread_mutex_unlock(&engine->queue.mutex);
}

static void failed(tc_engine *engine, tci_batch *batch, int rc) {
  if (atomic_exchange(&engine->commit_error, rc) != rc) tci_engine_log(engine, TC_LOG_ERROR, "commit failed: %s: %s", tc_strerror(rc), tci_fail_detail());
  tci_batch_fail(batch, rc, tci_fail_detail(), INT64_MAX);
}

/* The commit's outcome is unknown (an fsync failed, a connection broke in COMMIT): ask until the storage can tell. Callers hear TC_EUNKNOWN at their deadline;
 * nothing else is appended before it is settled, or numbers could be given twice. 1: the batch is stored. */
static int settle(tc_engine *engine, tci_batch *batch) {
  tci_engine_log(engine, TC_LOG_ERROR, "the outcome of a commit is unknown: %s", tci_fail_detail());
  atomic_store(&engine->commit_error, TC_EUNKNOWN);
  for (;;) {
    int32_t stored = 0;
    int rc = engine->ops->append_outcome(engine->storage, batch->appends, batch->append_n, batch->id, &stored);
    if (rc == TC_OK) {
      tci_engine_log(engine, TC_LOG_WARN, "the commit turned out to be %s", stored ? "stored" : "not stored");
      if (!stored) tci_batch_fail(batch, TC_ESTORAGE, "the commit failed, nothing was stored", INT64_MAX);
      return stored;
    }
    int64_t now_us = tci_engine_mono_us(engine);
    tci_batch_fail(batch, TC_EUNKNOWN, "outcome unknown, retry with the same key", now_us);
    answer_expired(engine, TC_EBUSY, "the storage does not answer, nothing was stored");
    int waiting = 0;
    for (size_t i = 0; i < batch->n; i++) waiting |= !batch->slots[i].answered && batch->slots[i].state == TCI_SLOT_APPEND;
    if (!waiting && atomic_load(&engine->closing)) return 0; /* the next open finds out what the log holds */
    pause_ms(engine, 50);
  }
}

/* Appends what is to be appended. 1: it is in the log; 0: those slots have failed. */
static int append(tc_engine *engine, tci_batch *batch) {
  while (tci_batch_gather(batch)) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < batch->append_n; i++) bytes += batch->slots[batch->append_slot[i]].item->bytes;
    int rc = TC_OK;
    if (!tci_tail_wait_room(engine->tail, batch->append_n, bytes, 100000)) {
      tci_batch_fail(batch, TC_EBUSY, "the indexes are too far behind, nothing was stored", tci_engine_mono_us(engine));
      answer_expired(engine, TC_EBUSY, "the indexes are too far behind, nothing was stored");
      continue;
    }
    rc = tci_tail_reserve(engine->tail, batch->append_n);
    if (rc) rc = tci_fail(rc, "out of memory for the newest events, nothing was stored");
    if (!rc) rc = engine->random.fill(engine->random.userdata, batch->id, sizeof batch->id);
    if (!rc) rc = engine->ops->append(engine->storage, batch->appends, batch->append_n, batch->id, batch->created_at_us);
    if (rc == TC_OK) return 1;
    if (rc == TC_EUNKNOWN) return settle(engine, batch);
    if (rc != TC_EBUSY) {
      failed(engine, batch, rc);
      return 0;
    }
    /* Somebody else holds the write lock: ask again until the deadlines. */
    if (atomic_exchange(&engine->commit_error, rc) != rc) tci_engine_log(engine, TC_LOG_WARN, "the log is locked: %s", tci_fail_detail());
    tci_batch_fail(batch, TC_EBUSY, "the log is locked by another process, nothing was stored", tci_engine_mono_us(engine));
    answer_expired(engine, TC_EBUSY, "the log is locked by another process, nothing was stored");
  }
  return 0;
}

static void run_batch(tc_engine *engine, tci_batch *batch, const tci_sipkey *key) {
  batch->created_at_us = stamp(engine);
  tci_batch_resolve(engine, batch, key);
  if (append(engine, batch)) {
    size_t n = tci_batch_commit(engine, batch);
    atomic_store(&engine->commit_error, 0);
    if (n) {
      engine->last_created_at_us = batch->created_at_us;
      tci_tail_add(engine->tail, batch->events, n);
      atomic_store(&engine->log_seq, batch->events[n - 1]->record.seq);
      atomic_fetch_add(&engine->commits, 1);
      if (!engine->ops->derive) {
        atomic_store(&engine->index_seq, batch->events[n - 1]->record.seq);
        tci_tail_indexed(engine->tail, batch->events[n - 1]->record.seq);
      }
      tci_subs_wake(engine);
      tci_indexer_wake(engine);
    }
  }
  tci_batch_answer(engine, batch);
}

void *tci_writer_main(void *arg) {
  tc_engine *engine = arg;
  tci_batch *batch = engine->batch;
  tci_sipkey key = engine->hash_key;
  size_t recent = 0;
  do {
    batch->n = tci_queue_take(engine, batch->items, recent);
    recent = batch->n > recent / 2 ? batch->n : recent / 2;
    if (batch->n) run_batch(engine, batch, &key);
  } while (tci_queue_run_jobs(engine, 0));
  (void)tci_queue_run_jobs(engine, 1);
  atomic_store(&engine->writer_done, 1);
  tci_subs_wake(engine);
  return NULL;
}
