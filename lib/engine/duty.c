/* duty.c - of several nodes the one that leads sends webhooks: beginning with that, and ending it. What is under way in memory when another one takes over is forgotten here: it is owed, or behind
 * the cursor, and the other sends it, with the same delivery id. */
#include "base/mem.h"
#include "engine/nodes.h"
#include "engine/webhooks.h"

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
  w->epoch = 0;
}

/* Of what a former leader has delivered or owes nothing is taken up before the tail has it: else it would be passed over. */
static int may_begin(tci_webhooks *w) {
  tc_engine *engine = w->engine;
  int64_t epoch = tci_nodes_epoch(engine), index_seq = 0, cursor = 0;
  if (!epoch) return 0;
  int rc = engine->ops->take_up(engine->storage, TC_DUTY_WORK, epoch, &index_seq);
  if (!rc) rc = engine->ops->work_state(engine->storage, &cursor, NULL, NULL);
  if (rc || cursor > atomic_load(&engine->log_seq)) return 0; /* what keeps it is seen, and said, elsewhere */
  w->epoch = epoch;
  return 1;
}

int tci_webhooks_on_duty(tci_webhooks *w) {
  tci_nodes *nodes = w->engine->nodes;
  if (w->running && (!nodes || atomic_load(&nodes->epoch) == w->epoch)) return 1;
  if (w->running) {
    tci_webhooks_end(w);
    forget(w);
  }
  return (!nodes || may_begin(w)) && tci_webhooks_begin(w);
}
