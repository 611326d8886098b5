/* duty.c - which webhooks this node sends: of several nodes its share, of one all. Beginning with that, ending it, and shares that come and go meanwhile. What is under way in memory when others have
 * taken this node for gone is forgotten here: it is owed, or behind the cursor, and they send it, with the same delivery id. */
#include <string.h>

#include "base/mem.h"
#include "engine/nodes.h"
#include "engine/webhooks.h"

#define LEAVE_GRACE_US 1000000 /* beyond the time that a request may take: then the transport has broken its word */

int tci_webhooks_holds(const tci_webhooks *w, int64_t id) { return !w->engine->nodes || atomic_load(&w->shares) >> TC_WORK_SHARE(id) & 1; }

int tci_webhooks_is_leaving(const tci_webhooks *w, int64_t id) { return w->leaving >> TC_WORK_SHARE(id) & 1; }

int tci_webhooks_has_had(const tci_webhooks *w, int64_t id, int64_t seq) { return seq <= w->passed[TC_WORK_SHARE(id)]; }

uint32_t tci_webhooks_shares(const tci_webhooks *w) { return w->engine->nodes ? (uint32_t)__builtin_popcount(atomic_load(&w->shares)) : TC_WORK_SHARES; }

static void say_shares(tci_webhooks *w) {
  tci_engine_log(w->engine, TC_LOG_INFO, "webhooks: this node has %u of %u shares", tci_webhooks_shares(w), TC_WORK_SHARES);
}

/* As it was before it began. The parcels are gone. */
static void forget(tci_webhooks *w) {
  tci_ledger *l = &w->ledger; /* the helper has nothing of it */
  tci_ledger_free(l);
  l->to_write = l->to_trim = l->trim_more = l->error = 0;
  l->dirty_since_us = l->trim_us = 0;
  tci_targets_free(w);
  w->sub = NULL;
  w->held = NULL;
  w->due = NULL;
  w->active = NULL;
  w->gone_count = w->in_flight = w->refused = 0;
  w->seen_version = 0;
  w->to_note = w->brimful = w->stuck = 0;
  w->sender = 0;
  w->leaving = 0;
  memset(w->passed, 0, sizeof w->passed);
  atomic_store(&w->shares, 0);
}

static void stop(tci_webhooks *w) {
  tci_webhooks_end(w);
  forget(w);
}

/* Holds these, as far as they can be had. *from_seq: up to there the webhooks of all that are new have had everything. TC_OK with *fresh 0: none is new. */
static int hold(tci_webhooks *w, uint32_t wanted, uint32_t *fresh, int64_t *from_seq) {
  uint32_t held = 0, had = atomic_load(&w->shares);
  int64_t cursors[TC_WORK_SHARES] = {0};
  int rc = w->engine->ops->work_hold(w->engine->storage, w->sender, wanted, &held, cursors);
  if (rc) return tci_nodes_is_cut(w->engine, rc, w->sender) ? TC_ECONFLICT : rc;
  *fresh = held & ~had;
  *from_seq = INT64_MAX;
  for (uint32_t share = 0; share < TC_WORK_SHARES; share++) {
    if (!(*fresh >> share & 1)) continue;
    w->passed[share] = cursors[share];
    if (cursors[share] < *from_seq) *from_seq = cursors[share];
  }
  atomic_store(&w->shares, held);
  if (!*fresh) return TC_OK;
  atomic_store(&w->engine->nodes->errands, 1); /* what is asked of who holds them */
  tci_queue_ring(w->engine);
  return TC_OK;
}

/* Shares that nobody else holds any more. The log is read once more from where the slowest of them is; the others have had what was pulled. */
static void take(tci_webhooks *w, uint32_t wanted) {
  uint32_t fresh = 0, had = atomic_load(&w->shares);
  int64_t from_seq = 0;
  if (tci_ledger_settle_up(w)) return; /* logged there; at a later turn */
  int64_t pulled_seq = w->pulled_seq;
  if (hold(w, wanted | had, &fresh, &from_seq) || !fresh) return;
  for (uint32_t share = 0; share < TC_WORK_SHARES; share++) {
    if (had >> share & 1 && w->passed[share] < pulled_seq) w->passed[share] = pulled_seq;
  }
  w->seen_version = 0; /* they want targets */
  int rc = tci_webhooks_seek(w, from_seq < pulled_seq ? from_seq : pulled_seq);
  if (!rc) {
    say_shares(w);
    return;
  }
  tci_engine_log(w->engine, TC_LOG_ERROR, "webhooks begin anew: %s: %s", tc_strerror(rc), tci_fail_detail());
  stop(w);
}

/* Shares that another node is to have: it gets each when nothing is under way for it any more. */
static void leave(tci_webhooks *w, uint32_t wanted) {
  uint32_t had = atomic_load(&w->shares), leaving = had & ~wanted, fresh = 0;
  int64_t now_us = tci_engine_mono_us(w->engine), from_seq = 0;
  if (leaving & ~w->leaving) w->leave_by_us = now_us + (int64_t)w->total_ms * 1000 + LEAVE_GRACE_US;
  w->leaving = leaving;
  uint32_t drained = leaving ? leaving & ~tci_targets_drain(w, leaving, now_us >= w->leave_by_us) : 0;
  if (!drained || tci_ledger_settle_up(w)) return; /* logged there; at a later turn */
  if (hold(w, had & ~drained, &fresh, &from_seq)) return;
  tci_targets_let_go(w, drained);
  w->leaving &= ~drained;
  say_shares(w);
  if (!atomic_load(&w->shares)) stop(w);
}

static int begin(tci_webhooks *w, int64_t sender, uint32_t wanted) {
  uint32_t fresh = 0;
  int64_t from_seq = 0;
  w->sender = sender;
  if (!hold(w, wanted, &fresh, &from_seq) && fresh && tci_webhooks_begin(w, from_seq)) {
    say_shares(w);
    return 1;
  }
  forget(w); /* what keeps it is said elsewhere */
  return 0;
}

static int begin_alone(tci_webhooks *w) {
  int64_t cursor = 0;
  int rc = w->engine->ops->work_state(w->engine->storage, &cursor, NULL, NULL);
  if (!rc) return tci_webhooks_begin(w, cursor);
  if (rc != w->begin_error) tci_engine_log(w->engine, TC_LOG_ERROR, "webhooks do not run: %s: %s", tc_strerror(rc), tci_fail_detail());
  w->begin_error = rc;
  return 0;
}

int tci_webhooks_on_duty(tci_webhooks *w) {
  tci_nodes *nodes = w->engine->nodes;
  if (!nodes) return w->running || begin_alone(w);
  int64_t sender = atomic_load(&nodes->sender);
  uint32_t wanted = atomic_load(&nodes->shares), open = atomic_load(&nodes->open_shares);
  if (w->running && sender != w->sender) stop(w);
  if (!w->running && sender && wanted && begin(w, sender, wanted)) return 1;
  if (!w->running) {
    tci_webhooks_run_errands(w); /* others do them */
    return 0;
  }
  leave(w, wanted);
  if (w->running && wanted & open & ~atomic_load(&w->shares)) take(w, wanted);
  return w->running;
}
