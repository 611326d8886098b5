/* read.c - what is in the store, and over it what is only in memory yet. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

int tci_rollup_usable(tc_engine *engine, tci_rollup **out) {
  if (atomic_load(&engine->closing)) return tci_fail(TC_ECLOSED, "engine is closing");
  if (!engine->rollup) return tci_fail(TC_ENOTSUP, "the storage keeps no statistics");
  if (!tci_rollup_ready(engine)) return tci_fail(TC_EBUSY, "the statistics are being rebuilt");
  *out = engine->rollup;
  return TC_OK;
}

/* Who goes first at a rwlock is left open by POSIX, and glibc lets readers in while a spill waits: some that overlap all the time would hold up the indexer for seconds or for ever.
 * So all go through a gate, at which they stand in line behind it. */
void tci_rollup_hold(tci_rollup *rollup, int writes) {
  (void)pthread_mutex_lock(&rollup->gate);
  if (writes) (void)pthread_rwlock_wrlock(&rollup->spilling);
  else (void)pthread_rwlock_rdlock(&rollup->spilling);
  (void)pthread_mutex_unlock(&rollup->gate);
}

void tci_rollup_release(tci_rollup *rollup) { (void)pthread_rwlock_unlock(&rollup->spilling); }

/* ---- overlay ---- */

int tci_overlay_add(tci_overlay *overlay, const tci_group *group, uint32_t space) {
  for (const tci_cell *cell = group->dirty; cell; cell = cell->next_dirty) {
    if (cell->space != space) continue;
    if (overlay->n == overlay->cap) {
      size_t cap = overlay->cap ? overlay->cap * 2 : 64;
      tci_cell **cells = tci_realloc(overlay->cells, cap * sizeof *cells);
      if (!cells) return tci_fail(TC_ENOMEM, "out of memory for statistics");
      overlay->cells = cells;
      overlay->cap = cap;
    }
    size_t size = sizeof *cell + tci_cell_n(space) * sizeof cell->n[0] + cell->name_len;
    tci_cell *copy = tci_alloc(size);
    if (!copy) return tci_fail(TC_ENOMEM, "out of memory for statistics");
    memcpy(copy, cell, size);
    overlay->cells[overlay->n++] = copy;
  }
  return TC_OK;
}

static int by_key(const void *a, const void *b) { return memcmp(*(tci_cell *const *)a, *(tci_cell *const *)b, sizeof(tci_cell_key)); }

void tci_overlay_sort(tci_overlay *overlay) {
  if (overlay->n) qsort(overlay->cells, overlay->n, sizeof *overlay->cells, by_key);
}

void tci_overlay_free(tci_overlay *overlay) {
  for (size_t i = 0; i < overlay->n; i++) tci_free(overlay->cells[i]);
  tci_free(overlay->cells);
}

typedef struct walk {
  const tci_overlay *overlay;
  size_t at;
  uint32_t space;
  tci_value_fn fn;
  void *arg;
  int stopped, damaged;
} walk;

static void give_copy(walk *w) {
  const tci_cell *cell = w->overlay->cells[w->at++];
  tci_value value = {.sum = cell->sum, .name = tci_cell_name(cell)};
  memcpy(value.n, cell->n, tci_cell_n(w->space) * sizeof cell->n[0]);
  w->stopped = w->fn(&cell->key, &value, w->arg);
}

static int merge_stored(tc_text key, tc_text bytes, void *arg) {
  walk *w = arg;
  tci_value value;
  int order = 1;
  if (key.len != TCI_CELL_KEY || tci_value_get(bytes, w->space, &value)) return w->damaged = 1;
  while (!w->stopped && w->at < w->overlay->n && (order = memcmp(w->overlay->cells[w->at], key.ptr, TCI_CELL_KEY)) < 0) give_copy(w);
  if (w->stopped) return 1;
  if (w->at < w->overlay->n && !order) {
    give_copy(w); /* the newer one */
  } else {
    tci_cell_key stored;
    memcpy(&stored, key.ptr, sizeof stored);
    w->stopped = w->fn(&stored, &value, w->arg);
  }
  return w->stopped;
}

int tci_overlay_walk(tci_rollup *rollup, const tci_overlay *overlay, uint32_t space, const tci_cell_key *from, const tci_cell_key *to, tci_value_fn fn,
                     void *arg) {
  walk w = {.overlay = overlay, .space = space, .fn = fn, .arg = arg};
  tc_text first = {(const char *)from->bytes, sizeof from->bytes}, end = {(const char *)to->bytes, sizeof to->bytes};
  if (!memcmp(to, &(tci_cell_key){{0}}, sizeof *to)) end = (tc_text){NULL, 0};
  int rc = rollup->shadow ? TC_OK : rollup->engine->ops->facts_scan(rollup->engine->storage, space, first, end, merge_stored, &w);
  if (!rc && w.damaged) rc = tci_fail(TC_ECORRUPT, "a stored value of space %u cannot be read: without the derived file it is made anew", space);
  while (!rc && !w.stopped && w.at < overlay->n) give_copy(&w);
  return rc;
}

/* ---- a room's quarters ---- */

/* What is dirty of [from, to) of the room. Under `spilling`: so it and the store are of one moment. */
static int collect_quarters(tci_rollup *rollup, uint32_t space, tci_hash room, uint32_t from, uint32_t to, tci_overlay *overlay) {
  int rc = TC_OK;
  (void)pthread_mutex_lock(&rollup->mutex);
  if (from < rollup->dirty_from) from = rollup->dirty_from;
  if (to > rollup->dirty_to && rollup->dirty_to != TCI_NEVER) to = rollup->dirty_to + 1;
  /* One late event makes the span years long: then what is dirty is looked through instead. */
  int wide = to > from && to - from > rollup->dirty_cells;
  for (uint32_t quarter = from; quarter < to && !wide && !rc; quarter++) {
    tci_cell_key key = tci_cell_key_of(room, quarter, (tci_hash){0, 0});
    const tci_group *group = tci_group_find(rollup, &key);
    if (group && group->dirty) rc = tci_overlay_add(overlay, group, space);
  }
  for (const tci_group *group = wide ? rollup->dirty_groups : NULL; group && !rc; group = group->next_dirty) {
    uint32_t quarter = tci_key_time(&group->key);
    tci_cell_key key = tci_cell_key_of(room, quarter, (tci_hash){0, 0});
    if (quarter >= from && quarter < to && !memcmp(&key, &group->key, sizeof key)) rc = tci_overlay_add(overlay, group, space);
  }
  (void)pthread_mutex_unlock(&rollup->mutex);
  tci_overlay_sort(overlay);
  return rc;
}

static int walk_quarters(tc_engine *engine, uint32_t space, tc_text room, int64_t from_us, int64_t to_us, tci_value_fn fn, void *arg) {
  tci_rollup *rollup;
  tci_overlay overlay = {0};
  int rc = tci_rollup_usable(engine, &rollup);
  if (rc || from_us >= to_us) return rc;
  tci_hash of = tci_hash_of(rollup, room), group = tci_space_hash(space, of), zero = {0, 0};
  uint32_t from = tci_quarter_of(from_us), to = tci_quarter_of(to_us - 1) + 1;
  tci_cell_key first = tci_cell_key_of(group, from, zero), end = tci_cell_key_of(group, to, zero);
  tci_rollup_hold(rollup, 0);
  rc = collect_quarters(rollup, space, of, from, to, &overlay);
  if (!rc) rc = tci_overlay_walk(rollup, &overlay, space, &first, &end, fn, arg);
  tci_rollup_release(rollup);
  tci_overlay_free(&overlay);
  return rc;
}

#define CODE_MAX 7

/* The rows of one quarter, held back until its default currency's is there to go first. */
typedef struct quarters {
  tci_quarter_fn fn;
  void *arg;
  struct held {
    tci_quarter row;
    char code[CODE_MAX + 1];
  } * held;
  size_t n, cap;
  int rc;
} quarters;

static int release(quarters *q) {
  int stop = 0;
  for (int standard = 1; standard >= 0; standard--) {
    for (size_t i = 0; i < q->n && !stop; i++) {
      struct held *held = &q->held[i];
      held->row.currency.ptr = held->code;
      if ((held->row.currency.len == 0) == standard) stop = q->fn(&held->row, q->arg);
    }
  }
  q->n = 0;
  return stop;
}

static int hold(const tci_cell_key *key, const tci_value *value, void *arg) {
  quarters *q = arg;
  int64_t start_us = tci_quarter_start_us(tci_key_time(key));
  if (q->n && q->held[0].row.start_us != start_us && release(q)) return 1;
  if (q->n == q->cap) {
    size_t cap = q->cap ? q->cap * 2 : 4;
    struct held *held = tci_realloc(q->held, cap * sizeof *held);
    if (!held) return q->rc = tci_fail(TC_ENOMEM, "out of memory for statistics");
    q->held = held;
    q->cap = cap;
  }
  struct held *held = &q->held[q->n++];
  size_t len = value->name.len < CODE_MAX ? value->name.len : CODE_MAX;
  memset(held, 0, sizeof *held);
  if (len) memcpy(held->code, value->name.ptr, len);
  held->row = (tci_quarter){.start_us = start_us, .currency = {NULL, len}, .sum = value->sum};
  held->row.tips = value->n[TCI_N_TIPS];
  held->row.refunded = value->n[TCI_N_REFUNDED];
  held->row.reactions = value->n[TCI_N_REACTIONS];
  memcpy(held->row.unique, value->n + TCI_N_UNIQUE, sizeof held->row.unique);
  memcpy(held->row.fresh, value->n + TCI_N_FRESH, sizeof held->row.fresh);
  return 0;
}

int tci_rollup_quarters(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, tci_quarter_fn fn, void *arg) {
  quarters q = {.fn = fn, .arg = arg};
  int rc = walk_quarters(engine, TCI_SPACE_ROLLUP, room, from_us, to_us, hold, &q);
  if (!rc) rc = q.rc;
  if (!rc) (void)release(&q);
  tci_free(q.held);
  return rc;
}

typedef struct emojis {
  tci_emoji_fn fn;
  void *arg;
} emojis;

static int give_emoji(const tci_cell_key *key, const tci_value *value, void *arg) {
  const emojis *e = arg;
  tci_emoji_count count = {tci_quarter_start_us(tci_key_time(key)), value->name, value->n[TCI_N_COUNT]};
  return e->fn(&count, e->arg);
}

int tci_rollup_emojis(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, tci_emoji_fn fn, void *arg) {
  emojis e = {fn, arg};
  return walk_quarters(engine, TCI_SPACE_EMOJI, room, from_us, to_us, give_emoji, &e);
}

typedef struct recipients {
  tci_recipient_fn fn;
  void *arg;
} recipients;

static int give_recipient(const tci_cell_key *key, const tci_value *value, void *arg) {
  const recipients *r = arg;
  tc_text name = value->name;
  size_t code_len = name.len ? (unsigned char)name.ptr[0] : 0;
  if (!name.len || code_len >= name.len) return 0; /* a recipient's id is not blank */
  tci_recipient_sum sum = {
    tci_quarter_start_us(tci_key_time(key)), {name.ptr + 1, code_len}, {name.ptr + 1 + code_len, name.len - 1 - code_len}, value->n[TCI_N_COUNT], value->sum};
  return r->fn(&sum, r->arg);
}

int tci_rollup_recipients(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, tci_recipient_fn fn, void *arg) {
  recipients r = {fn, arg};
  return walk_quarters(engine, TCI_SPACE_RECIPIENT, room, from_us, to_us, give_recipient, &r);
}
