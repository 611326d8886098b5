#include "batch.h"

#include <string.h>

#include "base/mem.h"
#include "engine/goals.h"
#include "engine/nodes.h"
#include "engine/refunds.h"
#include "model/kind.h"
#include "model/record.h"

static const char *const late_detail = "the deadline passed before the commit, nothing was stored";

/* The slot of an earlier item with the same key, or NULL after putting this one into the table. */
static tci_slot *earlier(tci_batch *batch, uint32_t index, const tci_sipkey *key) {
  const tc_record *record = &batch->slots[index].item->event->record;
  tc_text text = record->text[TC_COL_KEY];
  size_t i = (size_t)tci_siphash(key, text.ptr, text.len) & (TCI_BATCH_TABLE - 1);
  for (; batch->table[i]; i = (i + 1) & (TCI_BATCH_TABLE - 1)) {
    tci_slot *slot = &batch->slots[batch->table[i] - 1];
    if (!tci_same_key(&slot->item->event->record, record)) continue;
    if (slot->state != TCI_SLOT_FAILED) return slot;
    break; /* a request that failed leaves no key */
  }
  batch->table[i] = index + 1;
  return NULL;
}

static void resolve_key(tc_engine *engine, tci_batch *batch, uint32_t index, const tci_sipkey *key) {
  tci_slot *slot = &batch->slots[index];
  tc_record *record = &slot->item->event->record;
  tci_slot *first = earlier(batch, index, key);
  if (first) {
    slot->state = first->state == TCI_SLOT_DEFERRED ? TCI_SLOT_DEFERRED : TCI_SLOT_TWIN;
    slot->twin = (uint32_t)(first - batch->slots);
    return;
  }
  /* Younger than the index: the tail has it. Older: the storage looks into its index, in an index snapshot opened later, so nothing falls between the two. */
  tc_event *known = tci_tail_find_key(engine->tail, record->kind, record->text[TC_COL_KEY]);
  if (known && known->record.created_at_us + engine->idempotency_ttl_us > record->created_at_us) {
    slot->state = TCI_SLOT_KNOWN;
    slot->known = known;
  } else {
    tc_event_unref(known);
  }
}

/* Appends that depend on what is in the log. */
static void decide(tc_engine *engine, tci_batch *batch, uint32_t index) {
  tci_slot *slot = &batch->slots[index];
  uint32_t kind = slot->item->event->record.kind;
  if (kind == TC_KIND_REFUND) {
    tci_refunds_decide(engine, batch, index);
  } else if (kind == TC_KIND_GOAL_REACHED && tci_goals_is_said(engine, &slot->item->event->record)) {
    slot->state = TCI_SLOT_FAILED;
    slot->code = TC_EEXISTS;
    slot->detail = "it has been said that this goal is reached";
  }
}

void tci_batch_resolve(tc_engine *engine, tci_batch *batch, const tci_sipkey *key) {
  int64_t now_us = tci_engine_mono_us(engine);
  batch->decided_seq = atomic_load(&engine->log_seq);
  memset(batch->table, 0, sizeof batch->table);
  for (uint32_t i = 0; i < batch->n; i++) {
    tci_slot *slot = &batch->slots[i];
    memset(slot, 0, sizeof *slot);
    slot->item = batch->items[i];
    slot->state = TCI_SLOT_APPEND;
    slot->item->event->record.created_at_us = batch->created_at_us;
    if (slot->item->deadline_us <= now_us) {
      slot->state = TCI_SLOT_FAILED;
      slot->code = TC_ETIMEOUT;
      slot->detail = late_detail;
    } else if (slot->item->event->record.text[TC_COL_KEY].ptr) {
      resolve_key(engine, batch, i, key);
    }
    if (slot->state == TCI_SLOT_APPEND && slot->item->event->record.kind >= TC_KIND_REFUND) decide(engine, batch, i);
  }
}

size_t tci_batch_gather(tci_batch *batch) {
  batch->append_n = 0;
  for (uint32_t i = 0; i < batch->n; i++) {
    if (batch->slots[i].state != TCI_SLOT_APPEND) continue;
    batch->appends[batch->append_n] = (tc_append){.record = &batch->slots[i].item->event->record};
    batch->append_slot[batch->append_n++] = i;
  }
  return batch->append_n;
}

uint64_t tci_batch_decided_kinds(const tci_batch *batch) {
  uint64_t kinds = 0;
  for (size_t i = 0; i < batch->append_n; i++) {
    uint32_t kind = batch->appends[i].record->kind;
    if (kind == TC_KIND_REFUND || kind == TC_KIND_GOAL_REACHED) kinds |= UINT64_C(1) << kind;
  }
  return kinds;
}

static void answer(tci_slot *slot, const tc_event *event, int replayed) {
  if (slot->answered) return;
  slot->answered = 1;
  tci_pending_answer(slot->item, slot->code, replayed, event, slot->detail);
}

void tci_batch_fail(tci_batch *batch, int code, const char *detail, int64_t late_at_us) {
  if (detail != batch->detail) {
    (void)strncpy(batch->detail, detail, sizeof batch->detail - 1);
    batch->detail[sizeof batch->detail - 1] = '\0';
  }
  for (uint32_t i = 0; i < batch->n; i++) {
    tci_slot *slot = &batch->slots[i];
    /* A twin shares the fate of its first: they stand for one append. */
    const tci_slot *first = slot->state == TCI_SLOT_TWIN ? &batch->slots[slot->twin] : slot;
    if (first->state != TCI_SLOT_APPEND && !(first != slot && first->state == TCI_SLOT_FAILED)) continue;
    if (slot->answered || slot->item->deadline_us > late_at_us) continue;
    /* The outcome of an append that is under way may still come (TC_EUNKNOWN): then the slot stays, answered, and its event goes into the tail. */
    if (code != TC_EUNKNOWN) slot->state = TCI_SLOT_FAILED;
    slot->code = code;
    slot->detail = batch->detail;
    answer(slot, NULL, 0);
  }
}

size_t tci_batch_commit(tci_batch *batch) {
  size_t appended = 0;
  for (size_t i = 0; i < batch->append_n; i++) {
    tci_slot *slot = &batch->slots[batch->append_slot[i]];
    tc_event *event = slot->item->event;
    if (batch->appends[i].result == TC_OK) {
      tci_event_commit(event, event->record.seq, event->record.id, event->record.created_at_us);
      batch->events[appended++] = event;
    }
  }
  return appended;
}

/* Who has an answer also finds the event: one that another node has stored is followed up to first. */
static int read_known(tc_engine *engine, int64_t seq, tc_event **out) {
  int rc = engine->nodes ? tci_nodes_reach(engine, seq) : TC_OK;
  return rc ? rc : tci_query_seq_soon(engine, seq, out);
}

void tci_batch_find_known(tc_engine *engine, tci_batch *batch) {
  for (size_t i = 0; i < batch->append_n; i++) {
    tci_slot *slot = &batch->slots[batch->append_slot[i]];
    if (batch->appends[i].result == TC_OK) continue;
    int rc = read_known(engine, batch->appends[i].existing_seq, &slot->known);
    if (rc) {
      /* The key is known but its event cannot be read just now: nothing was stored for this one. */
      slot->state = TCI_SLOT_FAILED;
      slot->code = rc == TC_ENOTFOUND ? TC_ECORRUPT : rc;
      slot->detail = "the event of a known idempotency key cannot be read";
    } else {
      slot->state = TCI_SLOT_KNOWN;
    }
  }
}

/* What the slot came to: its own event, or that of its key. */
static const tc_event *event_of(const tci_slot *slot) { return slot->state == TCI_SLOT_KNOWN ? slot->known : slot->item->event; }

/* Nothing is decided behind an append of which nobody will know whether it was made. */
static void give_up_deferred(tc_engine *engine, tci_batch *batch) {
  if (batch->stage != TCI_BATCH_UNKNOWN || !atomic_load(&engine->closing)) return;
  for (size_t i = 0; i < batch->n; i++) {
    tci_slot *slot = &batch->slots[i];
    if (slot->state != TCI_SLOT_DEFERRED) continue;
    slot->state = TCI_SLOT_FAILED;
    slot->code = TC_ECLOSED;
    slot->detail = "engine is closing";
  }
}

void tci_batch_put_back(tc_engine *engine, tci_batch *batch) {
  size_t done = 0, back = 0;
  for (size_t i = 0; i < batch->n; i++) {
    tci_slot *slot = &batch->slots[i];
    tc_event_unref(slot->known);
    tci_free(slot->note);
    if (slot->answered) batch->items[done++] = slot->item;
    else batch->deferred[back++] = slot->item;
  }
  if (back) tci_queue_put_back(engine, batch->deferred, back);
  tci_pending_release(engine, batch->items, done);
  batch->n = 0;
}

static void answer_with(tc_engine *engine, tci_slot *slot, const tc_event *event) {
  int replayed = event != slot->item->event;
  if (replayed && !(engine->flags & TC_MISMATCH_REPLAY) && !tci_record_same_request(&event->record, &slot->item->event->record)) {
    slot->code = TC_EMISMATCH;
    slot->detail = "Idempotency-Key: was used before with a different request";
  }
  answer(slot, event, replayed);
}

void tci_batch_answer_known(tc_engine *engine, tci_batch *batch) {
  for (size_t i = 0; i < batch->n; i++) {
    tci_slot *slot = &batch->slots[i];
    const tci_slot *first = slot->state == TCI_SLOT_TWIN ? &batch->slots[slot->twin] : slot;
    if (first->state == TCI_SLOT_KNOWN && !slot->answered) answer_with(engine, slot, first->known);
  }
}

void tci_batch_answer(tc_engine *engine, tci_batch *batch) {
  size_t done = 0, deferred = 0;
  give_up_deferred(engine, batch);
  for (size_t i = 0; i < batch->n; i++) {
    tci_slot *slot = &batch->slots[i];
    if (slot->state == TCI_SLOT_DEFERRED || slot->answered) continue;
    const tci_slot *first = slot->state == TCI_SLOT_TWIN ? &batch->slots[slot->twin] : slot;
    if (first->state == TCI_SLOT_FAILED) {
      slot->code = first->code;
      slot->detail = first->detail;
      answer(slot, NULL, 0);
      continue;
    }
    answer_with(engine, slot, event_of(first));
  }
  /* Only now: a twin's answer borrows from its first. */
  for (size_t i = 0; i < batch->n; i++) {
    tc_event_unref(batch->slots[i].known);
    tci_free(batch->slots[i].note);
    if (batch->slots[i].state == TCI_SLOT_DEFERRED) batch->deferred[deferred++] = batch->slots[i].item;
    else batch->items[done++] = batch->slots[i].item;
  }
  if (deferred) tci_queue_put_back(engine, batch->deferred, deferred);
  tci_pending_release(engine, batch->items, done);
  batch->n = 0;
}
