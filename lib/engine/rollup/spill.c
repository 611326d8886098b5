/* spill.c - from memory into the store: what is dirty, with the cursor, in one commit.
 *
 * A top is a hundred users' bytes, a storm changes nearly every one of them between two spills, and all can be told from the cells: so tops are written once in many spills, and the meta
 * fact says up to which event they have everything. After a kill mend.c settles what has changed since.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

#define META_VERSION 3

int tci_rollup_put_meta(const tci_rollup *rollup, tci_buf *out) {
  (void)tci_put_varint(out, META_VERSION);
  (void)tci_buf_append(out, &rollup->key, sizeof rollup->key);
  (void)tci_put_varint(out, rollup->newest_quarter);
  (void)tci_put_varint(out, rollup->newest_day);
  return tci_put_varint(out, (uint64_t)rollup->tops_seq);
}

int tci_rollup_get_meta(tci_rollup *rollup, tc_text bytes) {
  unsigned __int128 version, quarter, day, tops_seq;
  if (tci_get_varint(&bytes, &version) || version != META_VERSION || bytes.len < sizeof rollup->key) return -1;
  if (memcmp(&rollup->key, bytes.ptr, sizeof rollup->key) != 0) memcpy(&rollup->key, bytes.ptr, sizeof rollup->key); /* once: readers hash with it */
  bytes = (tc_text){bytes.ptr + sizeof rollup->key, bytes.len - sizeof rollup->key};
  if (tci_get_varint(&bytes, &quarter) || tci_get_varint(&bytes, &day) || quarter >= UINT32_MAX || day >= UINT32_MAX) return -1;
  if (tci_get_varint(&bytes, &tops_seq) || tops_seq > INT64_MAX) return -1;
  rollup->newest_quarter = (uint32_t)quarter;
  rollup->newest_day = (uint32_t)day;
  rollup->tops_seq = (int64_t)tops_seq;
  return 0;
}

/* One that is to be written, with what its key says: sorted by a look at the keys themselves, each step would be a cache miss. Of at most 32 bytes, or qsort sorts pointers to them. */
typedef struct item {
  uint64_t group, place, who; /* the key as numbers: its first 8 bytes, the next 6, the next 8 */
  const tci_cell_key *key;    /* the cell, or the group, begins with it */
} item;

typedef struct harvest {
  item *items; /* by space */
  size_t from[TCI_SPACE_PAST + 2], n;
  tc_fact *facts;
} harvest;

static uint64_t number(const uint8_t *bytes, int n) {
  uint64_t value = 0;
  for (int i = 0; i < n; i++) value = value << 8 | bytes[i];
  return value;
}

static int by_key(const void *a, const void *b) {
  const item *x = a, *y = b;
  if (x->group != y->group) return x->group < y->group ? -1 : 1;
  if (x->place != y->place) return x->place < y->place ? -1 : 1;
  if (x->who != y->who) return x->who < y->who ? -1 : 1;
  return memcmp(x->key, y->key, sizeof *x->key);
}

static void put(harvest *h, size_t *filled, uint32_t space, const tci_cell_key *key) {
  h->items[h->from[space] + filled[space]++] = (item){number(key->bytes, 8), number(key->bytes + 8, 6), number(key->bytes + 14, 8), key};
}

/* Dirty cells are chained, and lie anywhere in memory: one chain alone would wait for each of them, so several are followed at once. */
#define CHAINS 8

static tci_cell *next_chain(tci_group **group) {
  tci_cell *cell = NULL;
  while (*group && !cell) {
    cell = (*group)->dirty;
    *group = (*group)->next_dirty;
  }
  if (cell) __builtin_prefetch(cell);
  return cell;
}

static void gather(const tci_rollup *rollup, harvest *h, int tops) {
  size_t filled[TCI_SPACE_PAST + 1] = {0};
  tci_group *more = rollup->dirty_groups;
  tci_cell *chains[CHAINS];
  for (size_t space = 0; space <= TCI_SPACE_PAST; space++)
    h->from[space + 1] = h->from[space] + (space == TCI_SPACE_TOP && !tops ? 0 : rollup->dirty_of[space]);
  for (tci_group *group = rollup->dirty_groups; group && tops; group = group->next_dirty) {
    if (group->top_dirty) put(h, filled, TCI_SPACE_TOP, &group->key);
  }
  for (size_t i = 0; i < CHAINS; i++) chains[i] = next_chain(&more);
  for (size_t i = 0, idle = 0; idle < CHAINS; i = (i + 1) % CHAINS) {
    tci_cell *cell = chains[i];
    idle = cell ? 0 : idle + 1;
    if (!cell) continue;
    put(h, filled, cell->space, &cell->key);
    chains[i] = cell->next_dirty ? cell->next_dirty : next_chain(&more);
    if (cell->next_dirty) __builtin_prefetch(cell->next_dirty);
  }
  for (size_t space = 0; space <= TCI_SPACE_PAST; space++) qsort(h->items + h->from[space], filled[space], sizeof *h->items, by_key);
}

#define AHEAD 8 /* cells lie anywhere in memory */

static int write_values(tci_rollup *rollup, harvest *h) {
  tci_buf *out = &rollup->values;
  uint32_t space = 0;
  tci_buf_clear(out);
  for (size_t i = 0; i < h->n && !out->err; i++) {
    const tci_cell_key *key = h->items[i].key;
    const tci_cell *cell = (const void *)key;
    /* The key too: the storage would look for it in the cell again, which is far away by then. */
    (void)tci_buf_append(out, key->bytes, sizeof key->bytes);
    size_t at = out->len;
    if (i + AHEAD < h->n) __builtin_prefetch(h->items[i + AHEAD].key);
    while (i >= h->from[space + 1]) space++;
    if (space == TCI_SPACE_TOP) (void)tci_top_put(&((const tci_group *)(const void *)key)->top, out);
    else (void)tci_value_put(out, space, cell->sum, cell->n, tci_cell_name(cell));
    h->facts[i] = (tc_fact){space, {NULL, sizeof key->bytes}, {NULL, out->len - at}};
  }
  size_t meta = out->len, at = 0;
  if (tci_rollup_put_meta(rollup, out)) return tci_fail(TC_ENOMEM, "out of memory for writing the rollup down");
  for (size_t i = 0; i < h->n; i++) {
    h->facts[i].key.ptr = out->data + at; /* only now: it moved while it grew */
    h->facts[i].value.ptr = h->facts[i].key.ptr + h->facts[i].key.len;
    at += h->facts[i].key.len + h->facts[i].value.len;
  }
  h->facts[h->n] = (tc_fact){TCI_SPACE_META, {"", 0}, {out->data + meta, out->len - meta}};
  return TC_OK;
}

static void make_clean(tci_rollup *rollup, int tops) {
  tci_group *left = NULL;
  for (tci_group *group = rollup->dirty_groups, *next; group; group = next) {
    next = group->next_dirty;
    group->dirty = NULL;
    group->next_dirty = NULL;
    if (tops) group->top_dirty = 0;
    group->listed = group->top_dirty;
    if (!group->listed) continue;
    group->next_dirty = left;
    left = group;
  }
  size_t tops_left = tops ? 0 : rollup->dirty_of[TCI_SPACE_TOP];
  memset(rollup->dirty_of, 0, sizeof rollup->dirty_of);
  rollup->dirty_groups = left;
  rollup->dirty_cells = rollup->dirty_of[TCI_SPACE_TOP] = tops_left;
  rollup->dirty_from = TCI_NEVER;
  rollup->dirty_to = 0;
  rollup->now++; /* that makes the cells clean */
}

/* The facts, and what they are made of, in one commit with the cursor. */
static int commit(tci_rollup *rollup, int64_t seq, const harvest *h, int tops) {
  tci_rollup_hold(rollup, 1);
  int rc = rollup->engine->ops->facts_commit(rollup->engine->storage, seq, h->facts, h->n + 1);
  if (!rc) {
    (void)pthread_mutex_lock(&rollup->mutex);
    make_clean(rollup, tops);
    (void)pthread_mutex_unlock(&rollup->mutex);
    rollup->stored_seq = seq;
  }
  tci_rollup_release(rollup);
  return rc;
}

int tci_rollup_spill(tci_rollup *rollup, int tops) {
  int64_t seq = atomic_load(&rollup->seq), tops_seq_before = rollup->tops_seq;
  tops = tops || !rollup->dirty_of[TCI_SPACE_TOP];
  harvest h = {.n = rollup->dirty_cells - (tops ? 0 : rollup->dirty_of[TCI_SPACE_TOP])};
  h.items = tci_alloc(h.n * sizeof *h.items);
  h.facts = tci_alloc((h.n + 1) * sizeof *h.facts);
  int rc = h.items && h.facts ? TC_OK : tci_fail(TC_ENOMEM, "out of memory for writing the rollup down");
  if (tops) rollup->tops_seq = tci_rollup_is_mending(rollup) ? atomic_load(&rollup->mended_seq) : seq;
  if (!rc) {
    gather(rollup, &h, tops);
    rc = write_values(rollup, &h);
    for (size_t i = h.from[TCI_SPACE_BOARD]; i < h.from[TCI_SPACE_BOARD + 1]; i++) tci_ever_add(rollup, h.items[i].key);
  }
  if (!rc) rc = commit(rollup, seq, &h, tops);
  if (rc) rollup->tops_seq = tops_seq_before;
  else if (tops) rollup->tops_dirty_since_us = 0;
  tci_free(h.items);
  tci_free(h.facts);
  if (rollup->values.len > 4u << 20) tci_buf_free(&rollup->values);
  return rc;
}
