/* The writer: the only thread that appends. */
#include <string.h>

#include "base/mem.h"
#include "engine/batch.h"
#include "engine/goals.h"
#include "engine/nodes.h"

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

enum { LATER, NOT_STORED, STORED };

/* The commit's outcome is unknown (an fsync failed, a connection broke in COMMIT): ask until the storage can tell. Callers hear TC_EUNKNOWN at their deadline;
 * nothing else is appended before it is settled, or numbers could be given twice. */
static int settle(tc_engine *engine, tci_batch *batch) {
  int32_t stored = 0;
  int rc = engine->ops->append_outcome(engine->storage, batch->appends, batch->append_n, batch->id, &stored);
  if (rc == TC_OK) {
    tci_engine_log(engine, TC_LOG_WARN, "the commit turned out to be %s", stored ? "stored" : "not stored");
    if (!stored) tci_batch_fail(batch, TC_ESTORAGE, "the commit failed, nothing was stored", INT64_MAX);
    return stored ? STORED : NOT_STORED;
  }
  int64_t now_us = tci_engine_mono_us(engine);
  tci_batch_fail(batch, TC_EUNKNOWN, "outcome unknown, retry with the same key", now_us);
  answer_expired(engine, TC_EBUSY, "the storage does not answer, nothing was stored");
  int waiting = 0;
  for (size_t i = 0; i < batch->n; i++) waiting |= !batch->slots[i].answered && batch->slots[i].state == TCI_SLOT_APPEND;
  return !waiting && atomic_load(&engine->closing) ? NOT_STORED : LATER; /* the next open finds out what the log holds */
}

/* Without threads nobody makes room behind. */
static int has_room(tc_engine *engine, size_t n, uint64_t bytes) {
  if (tci_tail_wait_room(engine->tail, n, bytes, engine->pump.on ? 0 : 100000)) return 1;
  return engine->pump.on && engine->ops->derive && !tci_indexer_slice(engine) && tci_tail_wait_room(engine->tail, n, bytes, 0);
}

static int store(tc_engine *engine, tci_batch *batch) {
  if (!engine->nodes) return engine->ops->append(engine->storage, batch->appends, batch->append_n, batch->id, batch->created_at_us);
  tc_append_terms terms = {.expect_seq = batch->decided_seq, .expect_kinds = tci_batch_decided_kinds(batch), .hold_us = TCI_CLOCK_HOLD_US};
  int rc = engine->ops->append_on(engine->storage, batch->appends, batch->append_n, batch->id, batch->created_at_us, &terms);
  if (!rc && terms.config_changed) atomic_store(&engine->nodes->config_changed, 1);
  return rc;
}

/* Appends what is to be appended, if it can be now; NOT_STORED: those slots have failed, or there were none. */
static int append(tc_engine *engine, tci_batch *batch) {
  if (!tci_batch_gather(batch)) return NOT_STORED;
  uint64_t bytes = 0;
  for (size_t i = 0; i < batch->append_n; i++) bytes += batch->slots[batch->append_slot[i]].item->bytes;
  int rc = TC_OK;
  if (!has_room(engine, batch->append_n, bytes)) {
    tci_batch_fail(batch, TC_EBUSY, "the indexes are too far behind, nothing was stored", tci_engine_mono_us(engine));
    answer_expired(engine, TC_EBUSY, "the indexes are too far behind, nothing was stored");
    return LATER;
  }
  rc = tci_tail_reserve(engine->tail, batch->append_n);
  if (rc) rc = tci_fail(rc, "out of memory for the newest events, nothing was stored");
  if (!rc) rc = engine->random.fill(engine->random.userdata, batch->id, sizeof batch->id);
  if (!rc) rc = store(engine, batch);
  if (rc == TC_OK) return STORED;
  if (rc == TC_ECONFLICT && engine->nodes) {
    /* Decided anew, on all that there is, with those that waited meanwhile. A deadline ends it. */
    (void)tci_nodes_catch_up(engine); /* what cannot be read now is read before the next try is made */
    tci_batch_put_back(engine, batch);
    return NOT_STORED;
  }
  if (rc == TC_EUNKNOWN) {
    tci_engine_log(engine, TC_LOG_ERROR, "the outcome of a commit is unknown: %s", tci_fail_detail());
    atomic_store(&engine->commit_error, TC_EUNKNOWN);
    batch->stage = TCI_BATCH_UNKNOWN;
    tci_batch_answer_known(engine, batch);
    return settle(engine, batch);
  }
  if (rc != TC_EBUSY) {
    failed(engine, batch, rc);
    return NOT_STORED;
  }
  /* Somebody else holds the write lock, or the database is away: ask again until the deadlines. */
  if (atomic_exchange(&engine->commit_error, rc) != rc) tci_engine_log(engine, TC_LOG_WARN, "the log cannot be written now: %s", tci_fail_detail());
  tci_batch_fail(batch, TC_EBUSY, "the log cannot be written now, nothing was stored", tci_engine_mono_us(engine));
  answer_expired(engine, TC_EBUSY, "the log cannot be written now, nothing was stored");
  return LATER;
}

/* They are in the log: everybody may see them. */
static void show(tc_engine *engine, tci_batch *batch, size_t n) {
  engine->last_created_at_us = batch->events[n - 1]->record.created_at_us;
  atomic_fetch_add(&engine->commits, 1);
  tci_queue_shows(engine, n); /* before anybody sees them, and looks whether more is about to come */
  /* What cannot be shown in order now comes out of the log, in its turn. */
  if (!engine->nodes || tci_nodes_close_gap(engine, batch->events[0]->record.seq, batch->events[n - 1]->record.seq)) tci_publish(engine, batch->events, n);
  tci_nodes_tell(engine);
}

static void publish(tc_engine *engine, tci_batch *batch) {
  size_t n = tci_batch_commit(batch);
  atomic_store(&engine->commit_error, 0);
  if (n) show(engine, batch, n);
  tci_batch_find_known(engine, batch);
}

/* A goal's change whose outcome is open is settled as an append is: before anything else. */
static int is_settled(tc_engine *engine) {
  int rc = tci_goals_settle(engine);
  if (!rc || atomic_load(&engine->closing)) return 1;
  if (atomic_exchange(&engine->commit_error, rc) != rc)
    tci_engine_log(engine, TC_LOG_ERROR, "goals cannot be read: %s: %s", tc_strerror(rc), tci_fail_detail());
  answer_expired(engine, TC_EBUSY, "the storage does not answer, nothing was stored");
  if (!engine->pump.on) pause_ms(engine, 50);
  return 0;
}

/* While nobody asks for a commit, nothing else would tell that the fault is over: /readyz keeps callers away as long as it is said to last. */
static void probe(tc_engine *engine) {
  static const uint8_t no_batch[16];
  int64_t now_us = tci_engine_mono_us(engine);
  if (!atomic_load(&engine->commit_error) || atomic_load(&engine->closing) || now_us < engine->probe_at_us) return;
  engine->probe_at_us = now_us + TCI_PROBE_US;
  if (engine->ops->append(engine->storage, NULL, 0, no_batch, engine->clock.wall_us(engine->clock.userdata))) return;
  atomic_store(&engine->commit_error, 0);
  tci_engine_log(engine, TC_LOG_INFO, "the log can be written again");
}

int tci_writer_step(tc_engine *engine) {
  tci_batch *batch = engine->batch;
  if (batch->stage != TCI_BATCH_UNKNOWN) tci_nodes_follow(engine);
  if (batch->stage == TCI_BATCH_NONE && !is_settled(engine)) {
    (void)tci_queue_run_jobs(engine, 0); /* they append nothing, and their callers have no other deadline */
    return TCI_WRITER_BLOCKED;
  }
  if (batch->stage == TCI_BATCH_NONE) {
    batch->n = tci_queue_take(engine, batch->items);
    batch->recent = batch->n > batch->recent / 2 ? batch->n : batch->recent / 2;
    if (batch->n) {
      batch->created_at_us = stamp(engine);
      tci_batch_resolve(engine, batch, &engine->hash_key);
      batch->stage = TCI_BATCH_APPENDS;
    } else {
      probe(engine);
    }
  }
  if (batch->stage != TCI_BATCH_NONE) {
    int outcome = batch->stage == TCI_BATCH_APPENDS ? append(engine, batch) : settle(engine, batch);
    if (outcome == LATER) return TCI_WRITER_BLOCKED;
    if (outcome == STORED) publish(engine, batch);
    tci_batch_answer(engine, batch);
    batch->stage = TCI_BATCH_NONE;
  }
  return tci_queue_run_jobs(engine, 0) ? TCI_WRITER_READY : TCI_WRITER_OVER;
}

void tci_writer_end(tc_engine *engine) {
  (void)tci_queue_run_jobs(engine, 1);
  atomic_store(&engine->writer_done, 1);
  tci_subs_wake(engine);
}

void *tci_writer_main(void *arg) {
  tc_engine *engine = arg;
  int step = TCI_WRITER_READY;
  while (step != TCI_WRITER_OVER) {
    if (step == TCI_WRITER_READY) tci_queue_wait(engine, engine->batch->recent);
    else if (engine->batch->stage == TCI_BATCH_UNKNOWN) pause_ms(engine, 50); /* a full tail and a locked log were waited for inside */
    step = tci_writer_step(engine);
  }
  tci_writer_end(engine);
  return NULL;
}
