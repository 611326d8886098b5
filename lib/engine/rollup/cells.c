#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

#define HEAD_BYTES 40 /* of an allocation and its place in a table, about */

tc_text tci_cell_name(const tci_cell *cell) { return (tc_text){(const char *)&cell->n[tci_cell_n(cell->space)], cell->name_len}; }

int tci_cell_is_dirty(const tci_rollup *rollup, const tci_cell *cell) { return cell->dirty == rollup->now + 1; }

static size_t cell_bytes(const tci_cell *cell) { return sizeof *cell + tci_cell_n(cell->space) * sizeof cell->n[0] + cell->name_len + HEAD_BYTES; }

static size_t group_bytes(const tci_group *group) { return sizeof *group + tci_top_bytes(&group->top) + HEAD_BYTES; }

typedef struct look {
  uint32_t space;
  tc_text key;
  tci_value value;
  tci_top *top;
  int found, rc;
} look;

static int take_value(tc_text key, tc_text value, void *arg) {
  look *l = arg;
  if (key.len != l->key.len || memcmp(key.ptr, l->key.ptr, key.len) != 0) return 0;
  l->found = 1;
  if (l->top) l->rc = tci_top_get(l->top, value);
  else l->rc = tci_value_get(value, l->space, &l->value) ? TC_ECORRUPT : TC_OK;
  l->value.name = (tc_text){NULL, 0}; /* it does not outlive the call, and the caller has it */
  return 0;
}

static int look_up(tci_rollup *rollup, uint32_t space, const tci_cell_key *key, look *l) {
  const tc_storage_ops *ops = rollup->engine->ops;
  l->key = (tc_text){(const char *)key->bytes, sizeof key->bytes};
  l->space = space;
  int rc = ops->fact_first(rollup->engine->storage, space, l->key, take_value, l);
  if (!rc && l->rc == TC_ENOMEM) return tci_fail(TC_ENOMEM, "out of memory for the rollup");
  if (!rc && l->rc) return tci_fail(TC_ECORRUPT, "a stored value of space %u cannot be read: without the derived file it is made anew", space);
  return rc;
}

/* 1: the store may have it. */
static int may_be_stored(const tci_rollup *rollup, uint32_t space, const tci_cell_key *key) {
  uint32_t time = tci_key_time(key);
  if (rollup->shadow) return 0;
  if (space == TCI_SPACE_GOAL) return !rollup->whole;
  if (space != TCI_SPACE_BOARD && space != TCI_SPACE_PAST && space != TCI_SPACE_TOP) return time < rollup->quarters_from;
  if (space == TCI_SPACE_BOARD) return !rollup->whole && tci_ever_has(rollup, key);
  return time == TCI_ALL_TIME ? !rollup->whole : time < rollup->days_from;
}

static tci_cell *take(tci_rollup *rollup, uint32_t space, const tci_cell_key *key, int stored, tc_text prefix, tc_text name, int *rc) {
  tci_cell *cell = tci_table_find(&rollup->cells, key);
  if (cell) {
    cell->used = rollup->now;
    return cell;
  }
  look l = {.space = space};
  size_t n = tci_cell_n(space), len = prefix.len + name.len;
  if (tci_table_reserve(&rollup->cells, 1) || !(cell = tci_zalloc(sizeof *cell + n * sizeof cell->n[0] + len))) {
    *rc = tci_fail(TC_ENOMEM, "out of memory for the rollup");
    return NULL;
  }
  if (stored && may_be_stored(rollup, space, key) && (*rc = look_up(rollup, space, key, &l)) != TC_OK) {
    tci_free(cell);
    return NULL;
  }
  cell->key = *key;
  cell->space = (uint8_t)space;
  cell->used = rollup->now;
  cell->name_len = (uint16_t)len;
  cell->sum = l.value.sum;
  memcpy(cell->n, l.value.n, n * sizeof cell->n[0]);
  char *text = (char *)&cell->n[n];
  if (prefix.len) memcpy(text, prefix.ptr, prefix.len);
  if (name.len) memcpy(text + prefix.len, name.ptr, name.len);
  tci_table_add(&rollup->cells, cell);
  rollup->bytes += cell_bytes(cell);
  return cell;
}

tci_cell *tci_cell_take(tci_rollup *rollup, uint32_t space, const tci_cell_key *key, tc_text prefix, tc_text name, int *rc) {
  return take(rollup, space, key, 1, prefix, name, rc);
}

tci_cell *tci_cell_make(tci_rollup *rollup, uint32_t space, const tci_cell_key *key, tc_text name, int *rc) {
  return take(rollup, space, key, 0, (tc_text){NULL, 0}, name, rc);
}

tci_group *tci_group_find(const tci_rollup *rollup, const tci_cell_key *key) { return tci_table_find(&rollup->groups, key); }

tci_group *tci_group_take(tci_rollup *rollup, const tci_cell_key *key, int board, int *rc) {
  tci_group *group = tci_table_find(&rollup->groups, key);
  if (group) {
    group->used = rollup->now;
    return group;
  }
  if (tci_table_reserve(&rollup->groups, 1) || !(group = tci_zalloc(sizeof *group))) {
    *rc = tci_fail(TC_ENOMEM, "out of memory for the rollup");
    return NULL;
  }
  group->key = *key;
  group->used = rollup->now;
  group->board = (uint8_t)board;
  group->top.complete = 1;
  look l = {.top = &group->top};
  if (board && may_be_stored(rollup, TCI_SPACE_TOP, key) && (*rc = look_up(rollup, TCI_SPACE_TOP, key, &l)) != TC_OK) {
    tci_top_free(&group->top);
    tci_free(group);
    return NULL;
  }
  tci_table_add(&rollup->groups, group);
  rollup->bytes += group_bytes(group);
  return group;
}

static void list_group(tci_rollup *rollup, tci_group *group) {
  if (group->listed) return;
  group->listed = 1;
  group->next_dirty = rollup->dirty_groups;
  rollup->dirty_groups = group;
  uint32_t time = tci_key_time(&group->key);
  if (group->board || time == TCI_ALL_TIME) return;
  if (time < rollup->dirty_from) rollup->dirty_from = time;
  if (time > rollup->dirty_to) rollup->dirty_to = time;
}

void tci_cell_touch(tci_rollup *rollup, tci_group *group, tci_cell *cell) {
  if (tci_cell_is_dirty(rollup, cell)) return;
  cell->dirty = rollup->now + 1;
  cell->next_dirty = group->dirty;
  group->dirty = cell;
  rollup->dirty_cells++;
  rollup->dirty_of[cell->space]++;
  list_group(rollup, group);
}

void tci_group_touch(tci_rollup *rollup, tci_group *group) {
  if (group->top_dirty) return;
  group->top_dirty = 1;
  rollup->dirty_cells++;
  rollup->dirty_of[TCI_SPACE_TOP]++;
  list_group(rollup, group);
}

/* ---- eviction ---- */

typedef struct eviction {
  tci_rollup *rollup;
  uint32_t before; /* what was used last before this spill goes */
  uint64_t by_age[64];
} eviction;

static size_t age_of(const tci_rollup *rollup, uint32_t used) {
  uint32_t age = rollup->now - used;
  return age < 63 ? age : 63;
}

static int weigh_cell(void *object, void *arg) {
  eviction *e = arg;
  const tci_cell *cell = object;
  size_t bytes = cell_bytes(cell);
  if (!tci_cell_is_dirty(e->rollup, cell)) e->by_age[age_of(e->rollup, cell->used)] += bytes;
  e->rollup->bytes += bytes;
  return 0;
}

static int weigh_group(void *object, void *arg) {
  eviction *e = arg;
  const tci_group *group = object;
  if (!group->listed) e->by_age[age_of(e->rollup, group->used)] += group_bytes(group);
  e->rollup->bytes += group_bytes(group);
  return 0;
}

/* From here on what has this time may be in the store alone. */
static void note_evicted(tci_rollup *rollup, int board, uint32_t time) {
  if (time == TCI_ALL_TIME) rollup->whole = 0;
  else if (board && time >= rollup->days_from) rollup->days_from = time + 1;
  else if (!board && time >= rollup->quarters_from) rollup->quarters_from = time + 1;
}

static int evict_cell(void *object, void *arg) {
  eviction *e = arg;
  tci_cell *cell = object;
  if (tci_cell_is_dirty(e->rollup, cell) || age_of(e->rollup, cell->used) < e->before) return 0;
  note_evicted(e->rollup, cell->space == TCI_SPACE_BOARD || cell->space == TCI_SPACE_PAST, tci_key_time(&cell->key));
  e->rollup->bytes -= cell_bytes(cell);
  tci_free(cell);
  return 1;
}

static int evict_group(void *object, void *arg) {
  eviction *e = arg;
  tci_group *group = object;
  if (group->listed || age_of(e->rollup, group->used) < e->before) return 0;
  if (group->board) note_evicted(e->rollup, 1, tci_key_time(&group->key));
  e->rollup->bytes -= group_bytes(group);
  tci_top_free(&group->top);
  tci_free(group);
  return 1;
}

void tci_cells_evict(tci_rollup *rollup, uint64_t until) {
  eviction e = {.rollup = rollup};
  /* Tops have grown and shrunk uncounted: counted anew here. */
  rollup->bytes = 0;
  tci_table_sweep(&rollup->cells, weigh_cell, &e);
  tci_table_sweep(&rollup->groups, weigh_group, &e);
  if (rollup->bytes <= until) return;
  uint64_t freed = 0;
  for (e.before = 63; e.before > 0; e.before--) {
    freed += e.by_age[e.before];
    if (rollup->bytes - freed <= until) break;
  }
  tci_table_sweep(&rollup->cells, evict_cell, &e);
  tci_table_sweep(&rollup->groups, evict_group, &e);
}

static int free_cell(void *object, void *arg) {
  (void)arg;
  tci_free(object);
  return 1;
}

static int free_group(void *object, void *arg) {
  tci_group *group = object;
  (void)arg;
  tci_top_free(&group->top);
  tci_free(group);
  return 1;
}

void tci_cells_free(tci_rollup *rollup) {
  tci_table_sweep(&rollup->cells, free_cell, NULL);
  tci_table_sweep(&rollup->groups, free_group, NULL);
  tci_free(rollup->cells.slots);
  tci_free(rollup->groups.slots);
  rollup->cells = rollup->groups = (tci_table){0};
}
