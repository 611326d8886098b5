/* follow.c - what comes into the tail: this node's own events after their commit, and those of other nodes out of the log. Writer's thread. */
#include <errno.h>

#include "engine/errands.h"
#include "engine/goals.h"
#include "engine/nodes.h"
#include "engine/refunds.h"
#include "engine/types.h"

void tci_publish(tc_engine *engine, tc_event *const *events, size_t n) {
  int64_t end = events[n - 1]->record.seq;
  /* Before anybody can see them: who has seen that a goal is reached, or a tip taken back, finds it so. */
  tci_goals_follow(engine, events, n);
  tci_refunds_follow(engine, events, n);
  tci_tail_add(engine->tail, events, n);
  atomic_store(&engine->log_seq, end);
  tci_refunds_follow(engine, events, n); /* again, for a table that was read meanwhile, up to the end as it was */
  if (!engine->ops->derive) {
    atomic_store(&engine->index_seq, end);
    tci_tail_indexed(engine->tail, end);
  }
  tci_subs_wake(engine);
  tci_indexer_wake(engine);
}

/* ---- documents ---- */

/* All of them: they are few, and change seldom. */
static int read_documents(tc_engine *engine) {
  tci_webhooks *w = engine->webhooks;
  int rc = tci_types_reload(engine);
  if (!rc) rc = tci_goals_reload(engine);
  if (!rc && w) rc = tci_hooks_reload(w);
  return rc;
}

/* What others ask of this one. What is left has its turn with the next look. */
static void take_errands(tc_engine *engine) {
  atomic_store(&engine->nodes->errands, 0); /* before: shares that are taken meanwhile ask for another look */
  if (engine->webhooks && tci_errands_take(engine->webhooks)) atomic_store(&engine->nodes->errands, 1);
}

/* From here on changes of this node hang on the log's end as the tail has it. */
static int sync_documents(tc_engine *engine) {
  tci_nodes *nodes = engine->nodes;
  int32_t changed = 0;
  int64_t epoch = atomic_load(&nodes->epoch);
  int rc = engine->ops->config_sync(engine->storage, atomic_load(&engine->log_seq), &changed);
  if (!rc && (changed || epoch != atomic_load(&nodes->known_epoch))) nodes->unread = 1, atomic_store(&nodes->errands, 1);
  if (!rc && nodes->unread) rc = read_documents(engine);
  if (!rc) nodes->unread = 0;
  if (!rc) atomic_store(&nodes->config_changed, 0); /* a look that was on its way may say so once more */
  if (!rc && epoch != atomic_load(&nodes->known_epoch)) {
    atomic_store(&nodes->known_epoch, epoch);
    tci_indexer_ring(engine);
  }
  if (rc && rc != nodes->config_error)
    tci_engine_log(engine, TC_LOG_ERROR, "what other nodes have configured cannot be read, will be tried again: %s: %s", tc_strerror(rc), tci_fail_detail());
  nodes->config_error = rc;
  return rc;
}

static int must_sync(const tc_engine *engine) {
  const tci_nodes *nodes = engine->nodes;
  return nodes->unread || atomic_load(&nodes->config_changed) || atomic_load(&nodes->epoch) != atomic_load(&nodes->known_epoch);
}

/* ---- events ---- */

static int keep_row(const tc_record *row, void *arg) {
  tci_nodes *nodes = arg;
  tc_event *event = tci_event_from_row(row);
  if (!event) {
    nodes->rc = tci_fail(TC_ENOMEM, "out of memory for an event of the log");
    return 1;
  }
  nodes->events[nodes->n++] = event;
  return 0;
}

static int has_room(tc_engine *engine, size_t n, uint64_t bytes) {
  if (tci_tail_wait_room(engine->tail, n, bytes, engine->pump.on ? 0 : 100000)) return 1;
  if (!engine->pump.on) return 0;
  (void)tci_indexer_slice(engine); /* without threads nobody makes room behind */
  return tci_tail_wait_room(engine->tail, n, bytes, 0);
}

/* A piece of the log behind the tail, up to to_seq. *n: how many that were. */
static int read_some(tc_engine *engine, int64_t to_seq, size_t *n) {
  tci_nodes *nodes = engine->nodes;
  int64_t from_seq = atomic_load(&engine->log_seq), left = to_seq - from_seq;
  uint64_t bytes = 0;
  int32_t changed = 0;
  *n = nodes->n = 0;
  nodes->rc = TC_OK;
  if (left <= 0) return TC_OK;
  int rc = engine->ops->follow_log(engine->storage, from_seq, left < TCI_FOLLOW_MAX ? (size_t)left : TCI_FOLLOW_MAX, keep_row, nodes, &changed);
  if (!rc) rc = nodes->rc;
  if (!rc && nodes->n && nodes->events[0]->record.seq != from_seq + 1) rc = tci_fail(TC_ECORRUPT, "the log has no event %lld", (long long)from_seq + 1);
  for (size_t i = 0; i < nodes->n; i++) bytes += nodes->events[i]->size_bytes;
  /* Between reading and showing: who has appended one of these did so with these documents. */
  if (!rc && nodes->n && (changed || must_sync(engine))) rc = sync_documents(engine);
  if (!rc && nodes->n && !has_room(engine, nodes->n, bytes)) rc = tci_fail(TC_EBUSY, "the indexes are too far behind");
  if (!rc && nodes->n && tci_tail_reserve(engine->tail, nodes->n)) rc = tci_fail(TC_ENOMEM, "out of memory for the newest events");
  if (!rc && nodes->n) tci_publish(engine, nodes->events, nodes->n);
  if (!rc) *n = nodes->n;
  for (size_t i = 0; i < nodes->n; i++) tc_event_unref(nodes->events[i]);
  if (rc && rc != TC_EBUSY && rc != nodes->log_error)
    tci_engine_log(engine, TC_LOG_ERROR, "what other nodes append cannot be read, will be tried again: %s: %s", tc_strerror(rc), tci_fail_detail());
  nodes->log_error = rc;
  return rc;
}

void tci_nodes_follow(tc_engine *engine) {
  tci_nodes *nodes = engine->nodes;
  size_t n;
  if (!nodes) return;
  tci_queue_hear(engine);
  if (atomic_load(&engine->closing)) return;
  if ((must_sync(engine) || atomic_load(&nodes->errands)) && sync_documents(engine)) return; /* the next look rings again */
  if (atomic_load(&nodes->errands)) take_errands(engine);
  if (read_some(engine, atomic_load(&nodes->log_seq), &n)) return;
  if (atomic_load(&nodes->log_seq) > atomic_load(&engine->log_seq) && n) tci_queue_ring(engine); /* in between others have their turn */
}

int tci_nodes_close_gap(tc_engine *engine, int64_t seq, int64_t end_seq) {
  tci_nodes *nodes = engine->nodes;
  size_t n = 1;
  int rc = must_sync(engine) ? sync_documents(engine) : TC_OK;
  while (!rc && n && atomic_load(&engine->log_seq) + 1 < seq) rc = read_some(engine, seq - 1, &n);
  /* What the gap took was reserved for what comes behind it. */
  if (!rc && atomic_load(&engine->log_seq) + 1 == seq && !tci_tail_reserve(engine->tail, (size_t)(end_seq - seq + 1))) return 1;
  if (end_seq > atomic_load(&nodes->log_seq)) atomic_store(&nodes->log_seq, end_seq);
  tci_queue_ring(engine);
  return 0;
}

int tci_nodes_reach(tc_engine *engine, int64_t seq) {
  size_t n = 1;
  int rc = TC_OK;
  while (!rc && n && atomic_load(&engine->log_seq) < seq) rc = read_some(engine, seq, &n);
  return rc || atomic_load(&engine->log_seq) >= seq ? rc : tci_fail(TC_EBUSY, "this node is not as far as event %lld yet", (long long)seq);
}

int tci_nodes_catch_up(tc_engine *engine) {
  size_t n = TCI_FOLLOW_MAX;
  int rc = TC_OK;
  if (!engine->nodes) return TC_OK;
  while (!rc && n == TCI_FOLLOW_MAX) rc = read_some(engine, INT64_MAX, &n);
  return rc ? rc : sync_documents(engine);
}
