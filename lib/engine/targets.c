/* targets.c - one target for each webhook that may get something, found by room. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/webhooks.h"

#define FORGET_ROWS 1000
#define FORGET_SLICES 200

/* Keyed, since clients choose the rooms; 0 is kept for "all rooms". */
uint64_t tci_room_hash(const tci_webhooks *w, const char *room) {
  if (!room) return 0;
  uint64_t hash = tci_siphash(&w->engine->hash_key, room, strlen(room));
  return hash ? hash : 1;
}

static int by_room(const void *a, const void *b) {
  const tci_target *x = *(tci_target *const *)a, *y = *(tci_target *const *)b;
  if (x->room_hash != y->room_hash) return x->room_hash < y->room_hash ? -1 : 1;
  return x->hook->id < y->hook->id ? -1 : x->hook->id > y->hook->id;
}

static size_t lower_bound(const tci_webhooks *w, uint64_t hash) {
  size_t low = 0, high = w->target_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (w->targets[middle]->room_hash < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

void tci_targets_of(const tci_webhooks *w, const char *room, size_t *from, size_t *to) {
  uint64_t hash = tci_room_hash(w, room);
  *from = lower_bound(w, hash);
  *to = *from;
  while (*to < w->target_count && w->targets[*to]->room_hash == hash) (*to)++;
}

tci_target *tci_target_find(tci_webhooks *w, int64_t id) {
  for (size_t i = 0; i < w->target_count; i++) {
    if (w->targets[i]->hook->id == id && !w->targets[i]->gone) return w->targets[i];
  }
  return NULL;
}

void tci_target_touch(tci_webhooks *w, tci_target *target) {
  if (target->active) return;
  target->active = 1;
  target->next_active = w->active;
  w->active = target;
}

static void drop_waiting(tci_webhooks *w, tci_target *target) {
  while (target->first) {
    tci_parcel *parcel = target->first;
    target->first = parcel->next_waiting;
    tci_parcel_free(w, parcel);
  }
  target->last = NULL;
  target->waiting = 0;
}

static tci_target *make(tci_webhooks *w, tci_hook *hook) {
  tci_target *target = tci_zalloc(sizeof *target);
  if (!target) return NULL;
  target->hook = tci_hook_ref(hook);
  target->room_hash = tci_room_hash(w, hook->room);
  target->next_due_us = INT64_MAX;
  target->failing_since_us = hook->failing_since_us;
  return target;
}

/* What is owed to it goes before a target that takes its place can be owed anything, so mostly at once; only a large backlog goes on in later turns, and holds the new one back. */
static void forget(tci_webhooks *w, tci_target *target) {
  int32_t more = 1;
  if (target->forgotten || tci_ledger_commit(w)) return; /* what the ledger holds for it must not come after */
  for (int i = 0; i < FORGET_SLICES && more; i++) {
    if (w->engine->ops->work_forget(w->engine->storage, target->hook->id, FORGET_ROWS, &more)) return;
  }
  target->forgotten = !more;
}

static void retire(tci_webhooks *w, tci_target *target) {
  if (!target->gone) w->gone_count++;
  target->gone = 1;
  target->next_due_us = INT64_MAX;
  drop_waiting(w, target);
  forget(w, target);
}

/* A target goes when nothing of it is under way and nothing is owed any more. */
static int is_over(tci_webhooks *w, tci_target *target) {
  if (!target->gone || target->in_flight || target->active) return 0;
  forget(w, target);
  return target->forgotten;
}

static int is_forgetting(const tci_webhooks *w, int64_t id) {
  for (size_t i = 0; i < w->target_count; i++) {
    if (w->targets[i]->hook->id == id && w->targets[i]->gone && !w->targets[i]->forgotten) return 1;
  }
  return 0;
}

int tci_targets_refresh(tci_webhooks *w) {
  tci_hook **all = NULL;
  size_t count = 0, kept = 0;
  uint64_t version = w->seen_version;
  if (!w->gone_count && version == atomic_load(&w->version)) return TC_OK;
  for (size_t i = 0; i < w->target_count; i++) { /* those whose end was seen before */
    tci_target *target = w->targets[i];
    if (is_over(w, target)) {
      w->gone_count--;
      tci_hook_unref(target->hook);
      tci_free(target);
    } else {
      w->targets[kept++] = target;
    }
  }
  w->target_count = kept;
  if (version == atomic_load(&w->version)) return TC_OK;
  int rc = tci_hooks_all(w, &all, &count, &version);
  if (rc) return rc;
  tci_target **larger = tci_realloc(w->targets, (w->target_count + count + 1) * sizeof(tci_target *));
  if (!larger) rc = TC_ENOMEM;
  else w->targets = larger;
  for (size_t i = 0; i < w->target_count && !rc; i++) {
    tci_target *target = w->targets[i];
    tci_hook *now = NULL;
    for (size_t low = 0, high = count; low < high && !now;) { /* all is by id */
      size_t middle = low + (high - low) / 2;
      if (all[middle]->id == target->hook->id) now = all[middle];
      else if (all[middle]->id < target->hook->id) low = middle + 1;
      else high = middle;
    }
    if (target->gone) continue;
    /* One that was disabled and enabled again meanwhile begins anew, too. */
    if (!now || !now->enabled || now->after_seq != target->hook->after_seq) {
      retire(w, target);
    } else if (now != target->hook) {
      tci_hook_unref(target->hook);
      target->hook = tci_hook_ref(now);
      target->room_hash = tci_room_hash(w, now->room);
    }
  }
  for (size_t i = 0; i < count && !rc; i++) {
    if (!all[i]->enabled || tci_target_find(w, all[i]->id) || is_forgetting(w, all[i]->id)) continue;
    tci_target *target = make(w, all[i]);
    if (target) w->targets[w->target_count++] = target;
    else rc = TC_ENOMEM;
  }
  int waits = 0;
  for (size_t i = 0; i < count && !rc; i++) {
    waits |= all[i]->enabled && !tci_target_find(w, all[i]->id);
  }
  if (!rc && !waits) w->seen_version = version;
  if (w->target_count) qsort(w->targets, w->target_count, sizeof(tci_target *), by_room);
  for (size_t i = 0; i < count; i++) tci_hook_unref(all[i]);
  tci_free(all);
  return rc;
}

void tci_targets_free(tci_webhooks *w) {
  for (size_t i = 0; i < w->target_count; i++) {
    drop_waiting(w, w->targets[i]);
    tci_hook_unref(w->targets[i]->hook);
    tci_free(w->targets[i]);
  }
  tci_free(w->targets);
  w->targets = NULL;
  w->target_count = 0;
}
