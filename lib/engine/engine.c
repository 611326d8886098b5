#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "engine/batch.h"
#include "engine/goals.h"
#include "engine/nodes.h"
#include "engine/open.h"
#include "engine/refunds.h"
#include "engine/rollup/rollup.h"
#include "engine/settings.h"
#include "engine/subscription.h"
#include "engine/types.h"
#include "engine/webhooks.h"
#include "model/emoji.h"
#include "storage/schemes.h"

static void log_nowhere(void *userdata, int32_t level, const char *line) {
  (void)userdata;
  (void)level;
  (void)line;
}

int64_t tci_engine_mono_us(const tc_engine *engine) { return engine->clock.monotonic_us(engine->clock.userdata); }

int tci_engine_ready(const tc_engine *engine) { return atomic_load(&engine->index_seq) >= atomic_load(&engine->ready_at_seq); }

int tci_engine_on_own_thread(const tc_engine *engine) {
  return tci_thread_is_me(&engine->writer) || tci_thread_is_me(&engine->dispatcher) || tci_pump_is_mine(engine);
}

int tci_engine_in_writer(const tc_engine *engine) { return tci_thread_is_me(&engine->writer) || (tci_pump_is_mine(engine) && engine->pump.in_writer); }

void tci_engine_log(const tc_engine *engine, int32_t level, const char *format, ...) {
  char line[768];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  engine->log.write(engine->log.userdata, level, line);
}

static void set_options(tc_engine *engine, const tc_options *o) {
  engine->clock = o->clock ? *o->clock : (tc_clock){sizeof(tc_clock), tci_sys_wall_us, tci_sys_monotonic_us, NULL};
  engine->random = o->random ? *o->random : (tc_random){sizeof(tc_random), tci_sys_random, NULL};
  engine->log = o->log ? *o->log : (tc_log){sizeof(tc_log), log_nowhere, NULL};
  engine->max_pending_bytes = o->max_pending_bytes ? o->max_pending_bytes : 64u << 20;
  engine->create_deadline_us = (o->create_deadline_ms ? (int64_t)o->create_deadline_ms : 5000) * 1000;
  engine->idempotency_ttl_us = (o->idempotency_ttl_s ? (int64_t)o->idempotency_ttl_s : 86400) * 1000000;
  engine->tail_max_events = o->tail_max_events ? o->tail_max_events : 262144;
  engine->tail_max_bytes = o->tail_max_bytes ? o->tail_max_bytes : 64u << 20;
  engine->flags = o->flags;
}

typedef struct loader {
  tc_engine *engine;
  uint64_t bytes;
  int rc;
} loader;

static int load_row(const tc_record *row, void *arg) {
  loader *l = arg;
  tc_event *event = tci_event_from_row(row);
  l->rc = event ? tci_tail_reserve(l->engine->tail, 1) : TC_ENOMEM;
  if (!l->rc) {
    tci_tail_add(l->engine->tail, &event, 1);
    l->bytes += event->size_bytes;
    if (l->bytes > l->engine->tail_max_bytes) l->rc = TC_ELIMIT;
  }
  tc_event_unref(event);
  return l->rc != TC_OK;
}

/* What the log has beyond the index goes into the tail, so that reads are right at once; if that is too much, the indexer works through it first. */
static int load_tail(tc_engine *engine, const tc_storage_state *state) {
  loader l = {.engine = engine};
  int64_t behind = state->log_seq - state->index_seq;
  int rc = tci_tail_new(&engine->tail, &engine->hash_key, behind > engine->tail_max_events ? state->log_seq : state->index_seq, engine->tail_max_events,
                        engine->tail_max_bytes);
  if (rc) return tci_fail(rc, "out of memory for an engine");
  if (behind > 0 && behind <= engine->tail_max_events) {
    rc = engine->ops->read_log(engine->storage, state->index_seq, (size_t)behind, load_row, &l);
    if (rc) return rc;
    if (l.rc == TC_ENOMEM) return tci_fail(TC_ENOMEM, "out of memory for the events that are not indexed yet");
    if (l.rc == TC_OK) return TC_OK;
    tci_tail_free(engine->tail);
    engine->tail = NULL;
    rc = tci_tail_new(&engine->tail, &engine->hash_key, state->log_seq, engine->tail_max_events, engine->tail_max_bytes);
    if (rc) return tci_fail(rc, "out of memory for an engine");
  }
  if (behind > 0) {
    atomic_store(&engine->ready_at_seq, state->log_seq);
    tci_engine_log(engine, TC_LOG_INFO, "%lld events are to be indexed before lists and keys are served", (long long)behind);
  }
  return TC_OK;
}

static int init_locks(tc_engine *engine) {
  if (tci_queue_init(&engine->queue)) goto no_queue;
  if (pthread_mutex_init(&engine->subs.mutex, NULL)) goto no_subs;
  if (tci_cond_init(&engine->subs.moved)) goto no_moved;
  if (pthread_mutex_init(&engine->index_mutex, NULL)) goto no_index;
  if (tci_cond_init(&engine->index_work)) goto no_work;
  return TC_OK;
no_work:
  (void)pthread_mutex_destroy(&engine->index_mutex);
no_index:
  (void)pthread_cond_destroy(&engine->subs.moved);
no_moved:
  (void)pthread_mutex_destroy(&engine->subs.mutex);
no_subs:
  tci_queue_destroy(&engine->queue);
no_queue:
  return tci_fail(TC_ENOMEM, "cannot make the engine's locks");
}

static void destroy_locks(tc_engine *engine) {
  (void)pthread_cond_destroy(&engine->index_work);
  (void)pthread_mutex_destroy(&engine->index_mutex);
  (void)pthread_cond_destroy(&engine->subs.moved);
  (void)pthread_mutex_destroy(&engine->subs.mutex);
  tci_queue_destroy(&engine->queue);
}

static int open_storage(tc_engine *engine, const tc_options *o) {
  tc_storage_env env = {sizeof env,   engine->clock,      engine->random, engine->log, (uint32_t)(engine->idempotency_ttl_us / 1000000),
                        tci_fail_env, tci_emoji_canonical};
  tc_storage_state state = {0};
  engine->ops = o->storage_ops ? o->storage_ops : tci_storage_ops_of(o->storage_url);
  if (!engine->ops) return tci_fail(TC_ENOTSUP, "storage_url: no backend serves \"%.*s\"", (int)strcspn(o->storage_url, ":") + 1, o->storage_url);
  if (engine->ops->abi != TC_STORAGE_ABI) return tci_fail(TC_EVERSION, "storage_ops: abi %u, this library speaks %u", engine->ops->abi, TC_STORAGE_ABI);
  int rc = engine->ops->open(&engine->storage, o->storage_url, &env, &state);
  if (!rc) rc = tci_nodes_open(engine, &state);
  if (rc) return rc;
  atomic_store(&engine->log_seq, state.log_seq);
  atomic_store(&engine->index_seq, state.index_seq);
  engine->last_created_at_us = state.log_seq ? state.last_created_at_us : INT64_MIN / 2; /* far from overflow in differences */
  rc = tci_settings_open(engine, o->currency);
  return rc ? rc : load_tail(engine, &state);
}

static int start(tc_engine *engine) {
  if (engine->pump.on) return tci_pump_start(engine);
  int rc = tci_thread_start(&engine->writer, "tc-writer", tci_writer_main, engine);
  if (!rc && tci_indexer_is_wanted(engine)) rc = tci_thread_start(&engine->indexer, "tc-indexer", tci_indexer_main, engine);
  if (!rc) rc = tci_thread_start(&engine->dispatcher, "tc-dispatcher", tci_dispatcher_main, engine);
  if (rc) return tci_fail(TC_ENOMEM, "cannot start a thread: %s", strerror(rc));
  rc = tci_nodes_start(engine);
  if (rc) return rc;
  return engine->webhooks ? tci_webhooks_start(engine->webhooks) : TC_OK;
}

int tci_engine_open(tc_engine **out, const tc_options *o) {
  tc_engine *engine = tci_zalloc(sizeof *engine);
  if (!engine) return tci_fail(TC_ENOMEM, "out of memory for an engine");
  set_options(engine, o);
  int rc = init_locks(engine);
  if (rc) goto no_locks;
  if (o->flags & TC_NO_THREADS) rc = tci_pump_open(engine);
  if (rc) goto fail;
  engine->batch = tci_alloc(sizeof *engine->batch);
  if (engine->batch) engine->batch->stage = TCI_BATCH_NONE, engine->batch->recent = 0;
  engine->index_rows = tci_indexer_memory();
  if (!engine->batch || !engine->index_rows) {
    rc = tci_fail(TC_ENOMEM, "out of memory for an engine");
    goto fail;
  }
  rc = engine->random.fill(engine->random.userdata, &engine->hash_key, sizeof engine->hash_key);
  if (rc) {
    rc = tci_fail(rc, "no randomness for an engine");
    goto fail;
  }
  rc = open_storage(engine, o);
  if (!rc) rc = tci_types_open(engine);
  if (!rc) rc = tci_refunds_open(engine);
  if (!rc) rc = tci_goals_open(engine);
  if (!rc) rc = tci_rollup_open(engine, o->rollup_bytes); /* it counts for goals */
  if (!rc && engine->ops->work_commit) rc = tci_webhooks_open(engine, o->webhooks);
  if (!rc) rc = start(engine);
  if (rc) goto fail;
  *out = engine;
  return TC_OK;
fail:
  tci_engine_free(engine);
  return rc;
no_locks:
  tci_free(engine);
  return rc;
}

void tci_engine_shutdown(tc_engine *engine) {
  atomic_store(&engine->closing, 1);
  pthread_mutex_lock(&engine->queue.mutex);
  engine->queue.closing = 1;
  pthread_cond_broadcast(&engine->queue.filled);
  pthread_mutex_unlock(&engine->queue.mutex);
  tci_pump_ring(engine);
}

void tci_engine_free(tc_engine *engine) {
  tci_engine_shutdown(engine);
  tci_pump_finish(engine);
  tci_webhooks_stop(engine->webhooks); /* it asks the writer for things */
  tci_thread_join(&engine->writer);    /* it needs the indexer to make room in the tail: that one ends later */
  tci_dispatcher_stop(engine);
  tci_thread_join(&engine->dispatcher);
  pthread_mutex_lock(&engine->index_mutex);
  engine->index_stop = 1;
  pthread_cond_broadcast(&engine->index_work);
  pthread_mutex_unlock(&engine->index_mutex);
  tci_thread_join(&engine->indexer);
  tci_nodes_stop(engine);
  tci_subs_end(engine);
  tci_webhooks_free(engine->webhooks);
  tci_types_free(engine->types);
  tci_refunds_free(engine->refunds);
  tci_goals_free(engine->goals);
  tci_rollup_close(engine->rollup);
  if (engine->ops) engine->ops->close(engine->storage);
  tci_nodes_free(engine->nodes);
  tci_tail_free(engine->tail);
  tci_free(engine->batch);
  tci_free(engine->index_rows);
  tci_pump_close(engine);
  destroy_locks(engine);
  tci_free(engine);
}

void tci_engine_read_status(tc_engine *engine, tc_status *out) {
  pthread_mutex_lock(&engine->queue.mutex);
  out->pending_bytes = engine->queue.bytes;
  out->pending_events = engine->queue.count - engine->queue.shown;
  pthread_mutex_unlock(&engine->queue.mutex);
  tci_tail_usage(engine->tail, &out->tail_events, &out->tail_bytes);
  /* The index first: then index_seq <= log_seq in what is reported. */
  out->stats_seq = tci_rollup_seq(engine);
  out->index_seq = atomic_load(&engine->index_seq);
  out->log_seq = atomic_load(&engine->log_seq);
  out->commits = atomic_load(&engine->commits);
  out->ready = (uint32_t)tci_engine_ready(engine);
  out->role = !engine->nodes ? TC_ROLE_ALONE : tci_nodes_leads(engine) ? TC_ROLE_LEADER : TC_ROLE_FOLLOWER;
  out->others = (uint32_t)tci_nodes_has_others(engine);
  out->webhook_shares_all = engine->webhooks ? TC_WORK_SHARES : 0;
  out->webhook_shares = engine->webhooks ? tci_webhooks_shares(engine->webhooks) : 0;
  int commit_error = atomic_load(&engine->commit_error);
  out->storage_error = commit_error ? commit_error : atomic_load(&engine->index_error);
}
