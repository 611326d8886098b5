#include "tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "chain.h"
#include "model/filter.h"

typedef struct node {
  tc_event *event;
  uint64_t hash[TCI_DIM_COUNT];
  uint32_t back[TCI_DIM_COUNT]; /* distance in seq to the next older node of the chain; 0: it is the oldest ever */
  uint32_t kind;                /* the event's: counting does not touch the event */
} node;

#define AHEAD 4 /* nodes between a prefetch and its use */

struct tci_tail {
  pthread_mutex_t mutex;
  pthread_cond_t trimmed;
  tci_sipkey key;
  node *ring;
  size_t ring_cap; /* a power of two */
  int64_t base, end, indexed;
  uint64_t bytes; /* of all nodes held */
  uint64_t unindexed_bytes;
  uint32_t max_events;
  uint64_t max_bytes;
  int64_t last_created_at_us; /* of the newest node */
  int64_t last_descent;       /* the last seq whose created_at is before its predecessor's: from there on ring order is list order */
  tci_chains chains;
};

static uint64_t node_bytes(const tc_event *event) { return event->size_bytes + sizeof(node) + TCI_DIM_COUNT * 2 * sizeof(tci_chain); }

static node *at(const tci_tail *tail, int64_t seq) { return &tail->ring[(uint64_t)seq & (tail->ring_cap - 1)]; }

static const tc_record *record_at(const void *owner, int64_t seq) { return &at(owner, seq)->event->record; }

int tci_position_before(int64_t a_created_at_us, int64_t a_seq, int64_t b_created_at_us, int64_t b_seq) {
  return a_created_at_us != b_created_at_us ? a_created_at_us > b_created_at_us : a_seq > b_seq;
}

static int text_equal(tc_text a, tc_text b) { return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0); }

int tci_tail_new(tci_tail **out, const tci_sipkey *key, int64_t end_seq, uint32_t max_events, uint64_t max_bytes) {
  tci_tail *tail = tci_zalloc(sizeof *tail);
  if (!tail) return TC_ENOMEM;
  tail->key = *key;
  tail->base = end_seq + 1;
  tail->end = tail->indexed = end_seq;
  tail->max_events = max_events;
  tail->max_bytes = max_bytes;
  tail->last_created_at_us = INT64_MIN;
  if (pthread_mutex_init(&tail->mutex, NULL)) goto no_mutex;
  if (tci_cond_init(&tail->trimmed)) goto no_cond;
  if (tci_tail_reserve(tail, 64)) goto no_ring;
  *out = tail;
  return TC_OK;
no_ring: /* one half of it may be there */
  tci_tail_free(tail);
  return TC_ENOMEM;
no_cond:
  (void)pthread_mutex_destroy(&tail->mutex);
no_mutex:
  tci_free(tail);
  return TC_ENOMEM;
}

void tci_tail_free(tci_tail *tail) {
  if (!tail) return;
  for (int64_t seq = tail->base; seq <= tail->end; seq++) tc_event_unref(at(tail, seq)->event);
  tci_chains_free(&tail->chains);
  tci_free(tail->ring);
  (void)pthread_cond_destroy(&tail->trimmed);
  (void)pthread_mutex_destroy(&tail->mutex);
  tci_free(tail);
}

static int grow_ring(tci_tail *tail, size_t need) {
  size_t cap = tail->ring_cap ? tail->ring_cap : 64;
  while (cap < need) cap *= 2;
  if (cap == tail->ring_cap) return TC_OK;
  node *ring = tci_array(cap, sizeof *ring);
  if (!ring) return TC_ENOMEM;
  for (int64_t seq = tail->base; seq <= tail->end; seq++) ring[(uint64_t)seq & (cap - 1)] = *at(tail, seq);
  tci_free(tail->ring);
  tail->ring = ring;
  tail->ring_cap = cap;
  return TC_OK;
}

int tci_tail_reserve(tci_tail *tail, size_t n) {
  pthread_mutex_lock(&tail->mutex);
  int rc = grow_ring(tail, (size_t)(tail->end - tail->base + 1) + n);
  if (!rc) rc = tci_chains_reserve(&tail->chains, n * TCI_DIM_COUNT);
  pthread_mutex_unlock(&tail->mutex);
  return rc;
}

int tci_tail_wait_room(tci_tail *tail, size_t n, uint64_t bytes, int64_t timeout_us) {
  pthread_mutex_lock(&tail->mutex);
  int fits;
  int timed_out = 0;
  for (;;) {
    uint64_t unindexed = (uint64_t)(tail->end - tail->indexed);
    fits = unindexed == 0 || (unindexed + n <= tail->max_events && tail->unindexed_bytes + bytes <= tail->max_bytes);
    if (fits || timed_out || timeout_us <= 0) break;
    timed_out = tci_cond_wait(&tail->trimmed, &tail->mutex, timeout_us) == ETIMEDOUT;
  }
  pthread_mutex_unlock(&tail->mutex);
  return fits;
}

static void add_one(tci_tail *tail, tc_event *event) {
  node *slot = at(tail, ++tail->end);
  slot->event = tc_event_ref(event);
  for (int dim = 0; dim < TCI_DIM_COUNT; dim++) {
    if (!tci_dim_has(dim, &event->record)) continue;
    int64_t older = tci_chain_push(&tail->chains, slot->hash[dim], dim, &event->record, tail->end, record_at, tail);
    /* A distance beyond 32 bits is far outside any ring: the chain ends there anyway. */
    if (older && tail->end - older <= UINT32_MAX) slot->back[dim] = (uint32_t)(tail->end - older);
  }
  if (event->record.created_at_us < tail->last_created_at_us) tail->last_descent = tail->end;
  tail->last_created_at_us = event->record.created_at_us;
  tail->bytes += node_bytes(event);
  tail->unindexed_bytes += node_bytes(event);
}

static void prefetch_chains(const tci_tail *tail, const node *slot) {
  for (int dim = 0; dim < TCI_DIM_COUNT; dim++) tci_chain_prefetch(&tail->chains, slot->hash[dim]);
}

static void prepare(tci_tail *tail, node *slot, const tc_record *record) {
  memset(slot, 0, sizeof *slot);
  slot->kind = record->kind;
  for (int dim = 0; dim < TCI_DIM_COUNT; dim++) {
    if (tci_dim_has(dim, record)) slot->hash[dim] = tci_chain_hash(&tail->key, dim, record);
  }
}

void tci_tail_add(tci_tail *tail, tc_event *const *events, size_t n) {
  pthread_mutex_lock(&tail->mutex);
  int64_t first = tail->end + 1;
  for (size_t i = 0; i < n; i++) prepare(tail, at(tail, first + (int64_t)i), &events[i]->record);
  for (size_t i = 0; i < n; i++) {
    if (i + AHEAD < n) prefetch_chains(tail, at(tail, first + (int64_t)i + AHEAD));
    add_one(tail, events[i]);
  }
  pthread_mutex_unlock(&tail->mutex);
}

/* Drops the oldest node: chains whose newest it is end with it, the others run out of the ring by themselves. */
static void drop_oldest(tci_tail *tail) {
  node *slot = at(tail, tail->base);
  if (tail->base + AHEAD <= tail->end) {
    const node *soon = at(tail, tail->base + AHEAD);
    __builtin_prefetch(soon->event);
    prefetch_chains(tail, soon);
  }
  for (int dim = 0; dim < TCI_DIM_COUNT; dim++) {
    if (tci_dim_has(dim, &slot->event->record)) tci_chain_drop(&tail->chains, slot->hash[dim], tail->base);
  }
  tail->bytes -= node_bytes(slot->event);
  tc_event_unref(slot->event);
  slot->event = NULL;
  tail->base++;
}

void tci_tail_indexed(tci_tail *tail, int64_t seq) {
  pthread_mutex_lock(&tail->mutex);
  while (tail->indexed < seq) {
    tail->indexed++;
    if (tail->indexed >= tail->base && tail->indexed <= tail->end) tail->unindexed_bytes -= node_bytes(at(tail, tail->indexed)->event);
  }
  /* What is kept for live readers only counts little: a tenth of the bytes at most. */
  while (tail->base <= tail->end && tail->base <= tail->indexed &&
         (tail->indexed - tail->base >= TCI_TAIL_BEHIND || tail->bytes - tail->unindexed_bytes > tail->max_bytes / 10)) {
    drop_oldest(tail);
  }
  pthread_cond_signal(&tail->trimmed);
  pthread_mutex_unlock(&tail->mutex);
}

int64_t tci_tail_base(tci_tail *tail) {
  pthread_mutex_lock(&tail->mutex);
  int64_t base = tail->base;
  pthread_mutex_unlock(&tail->mutex);
  return base;
}

int64_t tci_tail_end(tci_tail *tail) {
  pthread_mutex_lock(&tail->mutex);
  int64_t end = tail->end;
  pthread_mutex_unlock(&tail->mutex);
  return end;
}

void tci_tail_usage(tci_tail *tail, uint64_t *events, uint64_t *bytes) {
  pthread_mutex_lock(&tail->mutex);
  *events = (uint64_t)(tail->end - tail->base + 1);
  *bytes = tail->bytes;
  pthread_mutex_unlock(&tail->mutex);
}

static tc_event *find(tci_tail *tail, int dim, const tc_record *probe) {
  pthread_mutex_lock(&tail->mutex);
  int64_t seq = tci_chain_newest(&tail->chains, &tail->key, dim, probe, record_at, tail);
  tc_event *event = seq ? tc_event_ref(at(tail, seq)->event) : NULL;
  pthread_mutex_unlock(&tail->mutex);
  return event;
}

tc_event *tci_tail_find_key(tci_tail *tail, uint32_t kind, tc_text key) {
  tc_record probe = {.kind = kind};
  probe.text[TC_COL_KEY] = key;
  return find(tail, TCI_DIM_KEY, &probe);
}

tc_event *tci_tail_find_id(tci_tail *tail, uint32_t kind, int64_t id) {
  tc_record probe = {.kind = kind, .id = id};
  return find(tail, TCI_DIM_ID, &probe);
}

typedef struct collector {
  const tc_filter *filter;
  const tc_position *after;
  size_t need, cap;
  tci_hits *hits;
} collector;

static int collect_one(collector *c, tc_event *event) {
  const tc_record *r = &event->record;
  c->hits->total++;
  if (c->after && !tci_position_before(c->after->created_at_us, c->after->seq, r->created_at_us, r->seq)) return TC_OK;
  if (c->hits->n >= c->need) return TC_OK;
  if (c->hits->n == c->cap) {
    size_t cap = c->cap ? c->cap * 2 : 32;
    tc_event **grown = tci_realloc(c->hits->events, cap * sizeof *grown);
    if (!grown) return TC_ENOMEM;
    c->hits->events = grown;
    c->cap = cap;
  }
  c->hits->events[c->hits->n++] = tc_event_ref(event);
  return TC_OK;
}

/* The dimension to walk: room is last because it is the longest chain as a rule. -1: none of the filters has a chain, look at all. */
static int walk_dim(const tc_filter *filter) {
  static const struct {
    int dim, column;
  } order[] = {{TCI_DIM_TARGET, TC_COL_TARGET}, {TCI_DIM_USER, TC_COL_USER}, {TCI_DIM_PEER, TC_COL_PEER}, {TCI_DIM_ROOM, TC_COL_ROOM}};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    if (filter->text[order[i].column].ptr) return order[i].dim;
  }
  return -1;
}

static int filters_of(const tc_filter *filter) {
  int n = filter->absent != 0;
  for (int c = 0; c < TC_COL_COUNT; c++) n += filter->text[c].ptr != NULL;
  return n;
}

static int list_order(const void *x, const void *y) {
  const tc_record *a = &(*(tc_event *const *)x)->record, *b = &(*(tc_event *const *)y)->record;
  if (a->seq == b->seq) return 0;
  return tci_position_before(a->created_at_us, a->seq, b->created_at_us, b->seq) ? -1 : 1;
}

/* Needed only where a clock jumped back or an import brought older events. */
void tci_hits_sort(tci_hits *hits, size_t keep) {
  if (hits->n) qsort(hits->events, hits->n, sizeof *hits->events, list_order);
  while (hits->n > keep) tc_event_unref(hits->events[--hits->n]);
}

int tci_tail_collect(tci_tail *tail, const tc_filter *filter, int64_t index_seq, const tc_position *after, size_t need, tci_hits *out) {
  tci_hits hits = {0};
  collector c = {.filter = filter, .after = after, .need = need, .hits = &hits};
  int rc = TC_OK;
  tc_record probe = {.kind = filter->kind};
  memcpy(probe.text, filter->text, sizeof probe.text);
  int dim = walk_dim(filter);
  pthread_mutex_lock(&tail->mutex);
  hits.base = tail->base;
  int64_t floor = index_seq + 1 > tail->base ? index_seq + 1 : tail->base;
  int in_order = tail->last_descent <= floor;
  if (!in_order) c.need = SIZE_MAX;
  int64_t seq = dim < 0 ? tail->end : tci_chain_newest(&tail->chains, &tail->key, dim, &probe, record_at, tail);
  int exact = filters_of(filter) == (dim >= 0);
  while (!rc && seq >= floor) {
    const node *here = at(tail, seq);
    if (exact && hits.n >= c.need) {
      hits.total += here->kind == filter->kind; /* only counted from here on: every node of the chain matches */
    } else if (tci_filter_matches(filter, &here->event->record)) {
      rc = collect_one(&c, here->event);
    }
    if (dim >= 0 && here->back[dim] == 0) break;
    seq -= dim < 0 ? 1 : here->back[dim];
  }
  pthread_mutex_unlock(&tail->mutex);
  if (rc) {
    tci_hits_free(&hits);
    return rc;
  }
  if (!in_order) tci_hits_sort(&hits, need);
  *out = hits;
  return TC_OK;
}

void tci_hits_free(tci_hits *hits) {
  for (size_t i = 0; i < hits->n; i++) tc_event_unref(hits->events[i]);
  tci_free(hits->events);
  memset(hits, 0, sizeof *hits);
}

int64_t tci_tail_take(tci_tail *tail, int64_t from_seq, size_t max, tc_event **out) {
  int64_t n = 0;
  pthread_mutex_lock(&tail->mutex);
  if (from_seq < tail->base) {
    n = -1;
  } else {
    for (; (size_t)n < max && from_seq + n <= tail->end; n++) out[n] = tc_event_ref(at(tail, from_seq + n)->event);
  }
  pthread_mutex_unlock(&tail->mutex);
  return n;
}

#define FOLLOW_LOOK_MAX 4096 /* nodes looked at under the lock, so that a subscriber of a quiet room does not hold up the writer */

int64_t tci_tail_follow(tci_tail *tail, int64_t *next_seq, tc_text room, uint64_t kinds, size_t max, tc_event **out) {
  int64_t n = 0;
  pthread_mutex_lock(&tail->mutex);
  if (*next_seq < tail->base) {
    n = -1;
  } else {
    for (int looked = 0; looked < FOLLOW_LOOK_MAX && (size_t)n < max && *next_seq <= tail->end; looked++, (*next_seq)++) {
      tc_event *event = at(tail, *next_seq)->event;
      if (kinds && !(kinds >> event->record.kind & 1)) continue;
      if (room.ptr && !text_equal(room, event->record.text[TC_COL_ROOM])) continue;
      out[n++] = tc_event_ref(event);
    }
  }
  pthread_mutex_unlock(&tail->mutex);
  return n;
}
