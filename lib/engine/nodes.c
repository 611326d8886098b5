#include "engine/nodes.h"

#include <poll.h>

#include "base/mem.h"
#include "base/sys.h"
#include "engine/rollup/rollup.h"
#include "engine/webhooks.h"

int tci_nodes_leads(const tc_engine *engine) { return !engine->nodes || atomic_load(&engine->nodes->epoch); }

int64_t tci_nodes_epoch(const tc_engine *engine) {
  int64_t epoch = atomic_load(&engine->nodes->epoch);
  return epoch == atomic_load(&engine->nodes->known_epoch) ? epoch : 0;
}

int tci_nodes_is_followed(const tc_engine *engine) { return engine->nodes && atomic_load(&engine->nodes->epoch) && atomic_load(&engine->nodes->followed); }

int tci_nodes_has_others(const tc_engine *engine) { return engine->nodes && (!atomic_load(&engine->nodes->epoch) || atomic_load(&engine->nodes->followed)); }

void tci_nodes_tell(tc_engine *engine) {
  if (engine->nodes) engine->ops->tell(engine->storage, atomic_load(&engine->log_seq));
}

static void ring_all(tc_engine *engine) {
  tci_queue_ring(engine);
  tci_indexer_ring(engine);
  tci_webhooks_wake(engine);
}

int tci_nodes_is_over(tc_engine *engine, int rc) {
  tci_nodes *nodes = engine->nodes;
  if (!nodes || rc != TC_ECONFLICT) return 0;
  /* The next look says what is so; until then nothing more is tried. */
  if (atomic_exchange(&nodes->epoch, 0)) tci_engine_log(engine, TC_LOG_WARN, "another node leads now, this one follows");
  return 1;
}

int tci_nodes_is_cut(tc_engine *engine, int rc, int64_t sender) {
  if (!engine->nodes || rc != TC_ECONFLICT) return 0;
  /* Unless a look has said a new number by now. */
  if (atomic_compare_exchange_strong(&engine->nodes->sender, &sender, 0))
    tci_engine_log(engine, TC_LOG_WARN, "others send the webhooks of this node: they took it for gone");
  return 1;
}

static void note_role(tc_engine *engine, int64_t epoch) {
  int64_t before = atomic_exchange(&engine->nodes->epoch, epoch);
  if (before == epoch) return;
  if (epoch) tci_engine_log(engine, TC_LOG_INFO, "this node leads: it indexes and counts");
  else tci_engine_log(engine, TC_LOG_WARN, "another node leads now, this one follows");
}

static void note_failure(tc_engine *engine, int rc) {
  tci_nodes *nodes = engine->nodes;
  if (atomic_exchange(&nodes->look_error, rc) != rc)
    tci_engine_log(engine, TC_LOG_WARN, "the other nodes cannot be seen now: %s: %s", tc_strerror(rc), tci_fail_detail());
  /* It is fenced whatever it believes; but it must not send webhooks while another one does. */
  if (tci_sys_monotonic_us(NULL) <= nodes->sure_until_us) return;
  if (atomic_exchange(&nodes->epoch, 0)) tci_engine_log(engine, TC_LOG_WARN, "this node may lead no longer: it could not say so in time");
  if (atomic_exchange(&nodes->sender, 0))
    tci_engine_log(engine, TC_LOG_WARN, "others may send the webhooks of this node: it could not say in time that it is there");
}

/* 1: that has changed. */
static int note_shares(tci_nodes *nodes, const tc_node_view *view) {
  int moved = atomic_exchange(&nodes->shares, view->shares) != view->shares;
  moved |= atomic_exchange(&nodes->open_shares, view->open_shares) != view->open_shares;
  return (atomic_exchange(&nodes->sender, view->sender) != view->sender) | moved;
}

void tci_nodes_look(tc_engine *engine, int wait_ms) {
  tci_nodes *nodes = engine->nodes;
  tc_node_view view = {0};
  int64_t asked_us = tci_sys_monotonic_us(NULL), epoch_before = atomic_load(&nodes->epoch), sender_before = atomic_load(&nodes->sender);
  int rc = engine->ops->look(engine->storage, wait_ms, TCI_LEASE_MS, engine->webhooks != NULL, &view);
  if (rc) {
    note_failure(engine, rc);
    if (epoch_before != atomic_load(&nodes->epoch) || sender_before != atomic_load(&nodes->sender)) ring_all(engine);
    return;
  }
  atomic_store(&nodes->look_error, TC_OK);
  nodes->sure_until_us = asked_us + TCI_LEASE_MS * INT64_C(1000) / 2;
  int moved = atomic_exchange(&nodes->index_seq, view.index_seq) != view.index_seq;
  moved |= atomic_exchange(&nodes->facts_seq, view.facts_seq) != view.facts_seq;
  atomic_store(&nodes->followed, view.followed);
  atomic_store(&nodes->config_changed, view.config_changed);
  if (view.log_seq > atomic_load(&nodes->log_seq)) atomic_store(&nodes->log_seq, view.log_seq);
  note_role(engine, view.epoch);
  if (note_shares(nodes, &view)) tci_webhooks_wake(engine);
  if (view.config_changed || atomic_load(&nodes->errands) || view.epoch != atomic_load(&nodes->known_epoch) || view.log_seq > atomic_load(&engine->log_seq))
    tci_queue_ring(engine);
  if (moved && !view.epoch) tci_indexer_ring(engine);
  if (view.epoch != epoch_before) ring_all(engine);
}

int tci_nodes_open(tc_engine *engine, tc_storage_state *state) {
  if (!engine->ops->look) return TC_OK;
  tci_nodes *nodes = tci_zalloc(sizeof *nodes);
  tc_node_view view = {0};
  if (!nodes) return tci_fail(TC_ENOMEM, "out of memory for an engine");
  engine->nodes = nodes;
  int64_t asked_us = tci_sys_monotonic_us(NULL);
  int rc = engine->ops->look(engine->storage, 0, TCI_LEASE_MS, 0, &view);
  if (!rc && view.epoch) rc = engine->ops->take_up(engine->storage, view.epoch, &state->index_seq);
  if (rc) return rc;
  /* Who leads may be ahead of what was the log's end just before. */
  if (state->index_seq > state->log_seq) state->index_seq = state->log_seq;
  nodes->sure_until_us = asked_us + TCI_LEASE_MS * INT64_C(1000) / 2;
  atomic_store(&nodes->epoch, view.epoch);
  atomic_store(&nodes->known_epoch, view.epoch); /* the documents are read after this */
  atomic_store(&nodes->index_epoch, view.epoch);
  atomic_store(&nodes->log_seq, view.log_seq);
  atomic_store(&nodes->index_seq, view.index_seq);
  atomic_store(&nodes->facts_seq, view.facts_seq);
  if (!view.epoch) tci_engine_log(engine, TC_LOG_INFO, "another node leads, this one follows");
  return TC_OK;
}

static void *look_around(void *arg) {
  tc_engine *engine = arg;
  while (!atomic_load(&engine->nodes->stop)) {
    tci_nodes_look(engine, TCI_LOOK_MS);
    /* A storage that says no at once is not asked without a pause. */
    if (atomic_load(&engine->nodes->look_error)) (void)poll(NULL, 0, TCI_LOOK_MS / 2);
  }
  return NULL;
}

int tci_nodes_start(tc_engine *engine) {
  if (!engine->nodes) return TC_OK;
  tci_nodes_look(engine, 0); /* that it sends webhooks is known from the start on */
  int rc = tci_thread_start(&engine->nodes->thread, "tc-nodes", look_around, engine);
  return rc ? tci_fail(TC_ENOMEM, "cannot start a thread") : TC_OK;
}

void tci_nodes_stop(tc_engine *engine) {
  if (!engine->nodes) return;
  atomic_store(&engine->nodes->stop, 1);
  tci_thread_join(&engine->nodes->thread);
}

void tci_nodes_free(tci_nodes *nodes) { tci_free(nodes); }

/* ---- the index ---- */

static void move_index(tc_engine *engine, int64_t seq) {
  int was_ready = tci_engine_ready(engine);
  if (seq <= atomic_load(&engine->index_seq)) return;
  atomic_store(&engine->index_seq, seq);
  tci_tail_indexed(engine->tail, seq);
  if (!was_ready && tci_engine_ready(engine)) tci_engine_log(engine, TC_LOG_INFO, "indexes are built up to seq %lld", (long long)seq);
}

static int take_up(tc_engine *engine, int64_t epoch) {
  tci_nodes *nodes = engine->nodes;
  int64_t index_seq = 0;
  int rc = engine->ops->take_up(engine->storage, epoch, &index_seq);
  if (rc) return rc;
  if (index_seq > atomic_load(&engine->log_seq)) return TC_EBUSY; /* the writer gets there first */
  rc = tci_rollup_take_up(engine);
  if (rc) return rc;
  move_index(engine, index_seq);
  atomic_store(&nodes->index_epoch, epoch);
  return TC_OK;
}

int tci_nodes_lead_index(tc_engine *engine) {
  tci_nodes *nodes = engine->nodes;
  if (!nodes) return 1;
  int64_t epoch = tci_nodes_epoch(engine), led = atomic_load(&nodes->index_epoch);
  if (led && led == epoch) return 1;
  if (led) {
    atomic_store(&nodes->index_epoch, 0);
    tci_rollup_lay_down(engine);
  }
  int rc = epoch ? take_up(engine, epoch) : TC_OK;
  if (rc && rc != TC_EBUSY && rc != nodes->index_rc)
    tci_engine_log(engine, TC_LOG_ERROR, "indexing cannot be taken up, will be tried again: %s: %s", tc_strerror(rc), tci_fail_detail());
  nodes->index_rc = rc;
  if (epoch && !rc) return 1;
  int64_t seq = atomic_load(&nodes->index_seq), end = atomic_load(&engine->log_seq);
  move_index(engine, seq < end ? seq : end);
  tci_rollup_follow(engine, atomic_load(&nodes->facts_seq));
  return 0;
}
