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
  target->success_us = tci_engine_mono_us(w->engine); /* nothing is known against it */
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

/* Frees those whose end was seen before. */
static void drop_over(tci_webhooks *w) {
  size_t kept = 0;
  for (size_t i = 0; i < w->target_count; i++) {
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
}

static size_t place_of(tci_hook *const *all, size_t count, int64_t id) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (all[middle]->id < id) low = middle + 1;
    else high = middle;
  }
  return low < count && all[low]->id == id ? low : count;
}

/* What is configured, by id, and which of it needs no new target: it has one, or has to wait until what was owed to the one before is forgotten. */
typedef struct wanted {
  tci_hook **all;
  char *has, *waits;
  size_t count;
} wanted;

static void follow(tci_webhooks *w, const wanted *now) {
  for (size_t i = 0; i < w->target_count; i++) {
    tci_target *target = w->targets[i];
    size_t at = place_of(now->all, now->count, target->hook->id);
    tci_hook *hook = at < now->count ? now->all[at] : NULL;
    /* One that was disabled and enabled again meanwhile begins anew, too. */
    if (!target->gone && (!hook || !hook->enabled || hook->after_seq != target->hook->after_seq)) retire(w, target);
    if (target->gone) {
      if (hook && !target->forgotten) now->waits[at] = 1;
      continue;
    }
    now->has[at] = 1;
    if (hook == target->hook) continue;
    tci_hook_unref(target->hook);
    target->hook = tci_hook_ref(hook);
    target->room_hash = tci_room_hash(w, hook->room);
  }
}

/* There is room for all in targets. 1: some have to wait; TC_ENOMEM. */
static int add_new(tci_webhooks *w, const wanted *now) {
  int waits = 0;
  for (size_t i = 0; i < now->count; i++) {
    if (!now->all[i]->enabled || now->has[i] || !tci_webhooks_holds(w, now->all[i]->id)) continue;
    waits |= now->waits[i];
    if (now->waits[i]) continue;
    tci_target *target = make(w, now->all[i]);
    if (!target) return TC_ENOMEM;
    w->targets[w->target_count++] = target;
    if (!w->engine->nodes || !w->sub) continue;
    /* Who held its share before may have owed it something before this node knew of it. At the start what is owed is read for all. */
    target->next_due_us = w->turn_us;
    target->owed_before = 1;
    tci_target_touch(w, target);
  }
  return waits;
}

int tci_targets_refresh(tci_webhooks *w) {
  wanted now = {NULL, NULL, NULL, 0};
  uint64_t version = w->seen_version;
  if (!w->gone_count && version == atomic_load(&w->version)) return TC_OK;
  drop_over(w);
  if (version == atomic_load(&w->version)) return TC_OK;
  int rc = tci_hooks_all(w, &now.all, &now.count, &version);
  if (rc) return rc;
  now.has = tci_array(now.count + 1, 2);
  now.waits = now.has ? now.has + now.count : NULL;
  tci_target **larger = now.has ? tci_realloc(w->targets, (w->target_count + now.count + 1) * sizeof(tci_target *)) : NULL;
  if (larger) {
    w->targets = larger;
    follow(w, &now);
    rc = add_new(w, &now);
    if (!rc) w->seen_version = version;
    if (w->target_count) qsort(w->targets, w->target_count, sizeof(tci_target *), by_room);
  } else {
    rc = TC_ENOMEM;
  }
  tci_free(now.has);
  for (size_t i = 0; i < now.count; i++) tci_hook_unref(now.all[i]);
  tci_free(now.all);
  return rc < 0 ? tci_fail(rc, "out of memory for webhooks") : TC_OK;
}

/* ---- of several nodes: shares that go to another one ---- */

static int is_of(const tci_target *target, uint32_t shares) { return shares >> TC_WORK_SHARE(target->hook->id) & 1; }

static void owe_waiting(tci_webhooks *w, tci_target *target) {
  while (target->first) {
    tci_parcel *parcel = target->first;
    if (!parcel->recorded && tci_parcel_owe(w, parcel, parcel->attempt, tci_webhooks_now_us(w))) return; /* without memory at a later turn */
    target->first = parcel->next_waiting;
    if (!target->first) target->last = NULL;
    target->waiting--;
    tci_parcel_free(w, parcel);
  }
}

uint32_t tci_targets_drain(tci_webhooks *w, uint32_t shares, int give_up) {
  uint32_t busy = 0;
  for (size_t i = 0; i < w->target_count; i++) {
    tci_target *target = w->targets[i];
    if (!is_of(target, shares)) continue;
    owe_waiting(w, target);
    if (give_up) tci_target_give_up(w, target);
    if (target->first || target->in_flight || (target->gone && !target->forgotten && !give_up)) busy |= UINT32_C(1) << TC_WORK_SHARE(target->hook->id);
  }
  return busy;
}

void tci_targets_let_go(tci_webhooks *w, uint32_t shares) {
  size_t kept = 0;
  for (tci_target **at = &w->active; *at;) {
    if (is_of(*at, shares)) *at = (*at)->next_active;
    else at = &(*at)->next_active;
  }
  for (size_t i = 0; i < w->target_count; i++) {
    tci_target *target = w->targets[i];
    if (!is_of(target, shares)) {
      w->targets[kept++] = target;
      continue;
    }
    w->gone_count -= (size_t)target->gone;
    tci_hook_unref(target->hook);
    tci_free(target);
  }
  w->target_count = kept;
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
