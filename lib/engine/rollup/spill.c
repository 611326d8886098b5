/* spill.c - from memory into the store: what is dirty, with the cursor, in one commit. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

#define META_VERSION 1

int tci_rollup_put_meta(const tci_rollup *rollup, tci_buf *out) {
  (void)tci_put_varint(out, META_VERSION);
  (void)tci_buf_append(out, rollup->keys, sizeof rollup->keys);
  (void)tci_put_varint(out, rollup->newest_quarter);
  return tci_put_varint(out, rollup->newest_day);
}

int tci_rollup_get_meta(tci_rollup *rollup, tc_text bytes) {
  unsigned __int128 version, quarter, day;
  if (tci_get_varint(&bytes, &version) || version != META_VERSION || bytes.len < sizeof rollup->keys) return -1;
  memcpy(rollup->keys, bytes.ptr, sizeof rollup->keys);
  bytes = (tc_text){bytes.ptr + sizeof rollup->keys, bytes.len - sizeof rollup->keys};
  if (tci_get_varint(&bytes, &quarter) || tci_get_varint(&bytes, &day) || quarter >= UINT32_MAX || day >= UINT32_MAX) return -1;
  rollup->newest_quarter = (uint32_t)quarter;
  rollup->newest_day = (uint32_t)day;
  return 0;
}

/* A fact in the making: its value lies in the buffer from `at` on, which moves while it grows. */
typedef struct item {
  const tci_cell_key *key; /* the cell, or the group, begins with it */
  size_t at;
  uint32_t space, len;
} item;

typedef struct harvest {
  item *items;
  tc_fact *facts;
  size_t n;
} harvest;

static int by_key(const void *a, const void *b) {
  const item *x = a, *y = b;
  if (x->space != y->space) return x->space < y->space ? -1 : 1;
  return memcmp(x->key, y->key, sizeof *x->key);
}

static void gather(const tci_rollup *rollup, harvest *h) {
  for (tci_group *group = rollup->dirty_groups; group; group = group->next_dirty) {
    if (group->top_dirty) h->items[h->n++] = (item){.key = &group->key, .space = TCI_SPACE_TOP};
    for (tci_cell *cell = group->dirty; cell; cell = cell->next_dirty) h->items[h->n++] = (item){.key = &cell->key, .space = cell->space};
  }
}

static int write_values(tci_rollup *rollup, harvest *h) {
  tci_buf *out = &rollup->values;
  tci_buf_clear(out);
  for (size_t i = 0; i < h->n && !out->err; i++) {
    item *it = &h->items[i];
    const tci_cell *cell = (const void *)it->key;
    it->at = out->len;
    if (it->space == TCI_SPACE_TOP) (void)tci_top_put(&((const tci_group *)(const void *)it->key)->top, out);
    else (void)tci_value_put(out, it->space, cell->sum, cell->n, tci_cell_name(cell));
    it->len = (uint32_t)(out->len - it->at);
  }
  size_t meta = out->len;
  if (tci_rollup_put_meta(rollup, out)) return tci_fail(TC_ENOMEM, "out of memory for writing the rollup down");
  for (size_t i = 0; i < h->n; i++) {
    const item *it = &h->items[i];
    h->facts[i] = (tc_fact){it->space, {(const char *)it->key->bytes, sizeof it->key->bytes}, {out->data + it->at, it->len}};
  }
  h->facts[h->n] = (tc_fact){TCI_SPACE_META, {"", 0}, {out->data + meta, out->len - meta}};
  return TC_OK;
}

static void make_clean(tci_rollup *rollup) {
  for (tci_group *group = rollup->dirty_groups, *next; group; group = next) {
    next = group->next_dirty;
    for (tci_cell *cell = group->dirty; cell; cell = cell->next_dirty) cell->dirty = 0;
    group->dirty = NULL;
    group->next_dirty = NULL;
    group->listed = group->top_dirty = 0;
  }
  rollup->dirty_groups = NULL;
  rollup->dirty_cells = 0;
  rollup->dirty_from = TCI_NEVER;
  rollup->dirty_to = 0;
  rollup->now++;
}

int tci_rollup_spill(tci_rollup *rollup) {
  const tc_storage_ops *ops = rollup->engine->ops;
  int64_t seq = atomic_load(&rollup->seq);
  harvest h = {.items = tci_alloc(rollup->dirty_cells * sizeof *h.items), .facts = tci_alloc((rollup->dirty_cells + 1) * sizeof *h.facts)};
  int rc = h.items && h.facts ? TC_OK : tci_fail(TC_ENOMEM, "out of memory for writing the rollup down");
  if (!rc) {
    gather(rollup, &h);
    qsort(h.items, h.n, sizeof *h.items, by_key);
    rc = write_values(rollup, &h);
  }
  if (!rc) {
    (void)pthread_rwlock_wrlock(&rollup->spilling);
    rc = ops->facts_commit(rollup->engine->storage, seq, h.facts, h.n + 1);
    if (!rc) {
      (void)pthread_mutex_lock(&rollup->mutex);
      make_clean(rollup);
      (void)pthread_mutex_unlock(&rollup->mutex);
      rollup->stored_seq = seq;
    }
    (void)pthread_rwlock_unlock(&rollup->spilling);
  }
  tci_free(h.items);
  tci_free(h.facts);
  if (rollup->values.len > 4u << 20) tci_buf_free(&rollup->values);
  return rc;
}

/* ---- a top from all that stand on its board ---- */

typedef struct rebuild {
  tci_top top;
  int64_t users;
  int rc;
} rebuild;

static int take_user(const tci_cell_key *key, const tci_value *value, void *arg) {
  rebuild *r = arg;
  (void)key;
  if (value->sum <= 0) return 0;
  if (tci_top_reserve(&r->top)) r->rc = TC_ENOMEM;
  /* Whoever comes first to a full top and is no better is behind it. */
  if (!r->rc) (void)tci_top_move(&r->top, value->name, 0, 0, value->sum, value->n[TCI_N_COUNT], value->n[TCI_N_SEQ]);
  if (r->top.stale) r->rc = TC_ENOMEM;
  return r->rc != TC_OK;
}

int tci_top_rebuild(tci_rollup *rollup, tci_group *group) {
  rebuild r = {.top = {.complete = 1}};
  tci_overlay overlay = {0};
  tci_cell_key to = group->key;
  memset(to.bytes + 14, 0xff, TCI_CELL_KEY - 14);
  to = tci_cell_key_next(to);
  int rc = tci_overlay_add(&overlay, group, TCI_SPACE_BOARD);
  if (!rc) {
    tci_overlay_sort(&overlay);
    rc = tci_overlay_walk(rollup, &overlay, TCI_SPACE_BOARD, &group->key, &to, take_user, &r);
  }
  if (!rc && r.rc) rc = tci_fail(TC_ENOMEM, "out of memory for a leaderboard");
  tci_overlay_free(&overlay);
  if (rc) {
    tci_top_free(&r.top);
    return rc;
  }
  tci_top_free(&group->top);
  group->top = r.top;
  tci_group_touch(rollup, group);
  return TC_OK;
}
