/* goal.c - what counts for goals, and when a target was met. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/goals.h"
#include "engine/rollup/cells.h"

#define ID_MAX 24

/* The cell's name is the goal's id in digits; the group is the same for all. */
static tci_cell_key key_of(const tci_rollup *rollup, int64_t id, char name[ID_MAX], tc_text *text) {
  *text = (tc_text){name, (size_t)snprintf(name, ID_MAX, "%" PRId64, id)};
  return tci_cell_key_of(tci_space_hash(TCI_SPACE_GOAL, rollup->all), TCI_ALL_TIME, tci_hash_of(rollup, *text));
}

static int64_t clamped(tci_int128 sum) { return sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : (int64_t)sum; }

typedef struct want {
  tci_stakes *stakes;
  const tc_record *record;
  int64_t tip_seq, tip_created_at_us;
} want;

static int keep(const tci_goal *goal, void *arg) {
  const want *w = arg;
  tci_stakes *s = w->stakes;
  if (s->n == TCI_STAKES_MAX) return 1; /* no room has so many open at one seq */
  if (tci_goal_takes(goal, w->record, w->tip_seq, w->tip_created_at_us, w->record->seq)) s->at[s->n++].goal = goal;
  return 0;
}

int tci_stakes_take(tci_rollup *rollup, const tc_record *record, int64_t tip_seq, int64_t tip_created_at_us, tci_stakes *out) {
  want w = {out, record, tip_seq, tip_created_at_us};
  char name[ID_MAX];
  tc_text text;
  int rc = TC_OK;
  out->n = 0;
  tci_goals_of(rollup->engine, record->text[TC_COL_ROOM], record->seq, keep, &w);
  if (!out->n) return TC_OK;
  tci_cell_key of = tci_cell_key_of(tci_space_hash(TCI_SPACE_GOAL, rollup->all), TCI_ALL_TIME, (tci_hash){0, 0});
  out->group = tci_group_take(rollup, &of, 0, &rc);
  for (size_t i = 0; i < out->n && !rc; i++) {
    tci_cell_key key = key_of(rollup, out->at[i].goal->id, name, &text);
    out->at[i].cell = tci_cell_take(rollup, TCI_SPACE_GOAL, &key, (tc_text){NULL, 0}, text, &rc);
  }
  return rc;
}

void tci_stakes_change(tci_rollup *rollup, const tci_stakes *stakes, tci_int128 amount, int64_t tips, int64_t seq) {
  for (size_t i = 0; i < stakes->n; i++) {
    const tci_goal *goal = stakes->at[i].goal; /* its id and targets never change */
    tci_cell *cell = stakes->at[i].cell;
    cell->sum += amount;
    cell->n[TCI_N_COUNT] += tips;
    tci_cell_touch(rollup, stakes->group, cell);
    int64_t sum = clamped(cell->sum), count = cell->n[TCI_N_COUNT];
    /* Kept with the cell, since a refund may come before it has been said, and a kill. */
    if (cell->n[TCI_N_MET_SEQ] || !tci_goal_is_met(goal, sum, count)) continue;
    cell->n[TCI_N_MET_SEQ] = seq;
    cell->n[TCI_N_MET] = goal->target_amount ? sum : count;
    tci_goal_reached(rollup->engine, goal->id, sum, count);
  }
}

typedef struct reading {
  tci_int128 sum;
  int64_t count;
  int damaged;
} reading;

static int take_progress(tc_text key, tc_text bytes, void *arg) {
  reading *r = arg;
  tci_value value;
  (void)key;
  if (tci_value_get(bytes, TCI_SPACE_GOAL, &value)) return r->damaged = 1;
  r->sum = value.sum;
  r->count = value.n[TCI_N_COUNT];
  return 1;
}

int tci_rollup_goal(tc_engine *engine, int64_t goal_id, tci_int128 *amount, int64_t *count) {
  tci_rollup *rollup;
  reading r = {0};
  char name[ID_MAX];
  tc_text text;
  int rc = tci_rollup_usable(engine, &rollup);
  if (rc) return rc;
  tci_cell_key key = key_of(rollup, goal_id, name, &text), next = tci_cell_key_next(key);
  tci_rollup_hold(rollup, 0);
  (void)pthread_mutex_lock(&rollup->mutex);
  const tci_cell *cell = tci_table_find(&rollup->cells, &key);
  if (cell) r = (reading){.sum = cell->sum, .count = cell->n[TCI_N_COUNT]};
  (void)pthread_mutex_unlock(&rollup->mutex);
  if (!cell) {
    tc_text from = {(const char *)key.bytes, sizeof key.bytes}, to = {(const char *)next.bytes, sizeof next.bytes};
    rc = engine->ops->facts_scan(engine->storage, TCI_SPACE_GOAL, from, to, take_progress, &r);
  }
  tci_rollup_release(rollup);
  if (!rc && r.damaged) rc = tci_fail(TC_ECORRUPT, "the stored progress of goal %" PRId64 " cannot be read", goal_id);
  if (rc) return rc;
  *amount = r.sum;
  *count = r.count;
  return TC_OK;
}

static int tell(tc_text key, tc_text bytes, void *arg) {
  tc_engine *engine = arg;
  tci_value value;
  char name[ID_MAX] = "";
  (void)key;
  if (tci_value_get(bytes, TCI_SPACE_GOAL, &value) || value.name.len >= sizeof name || !value.n[TCI_N_MET_SEQ]) return 0;
  for (size_t i = 0; i < value.name.len; i++) name[i] = value.name.ptr[i];
  tci_goal_reached(engine, strtoll(name, NULL, 10), value.n[TCI_N_MET], value.n[TCI_N_MET]);
  return 0;
}

int tci_rollup_tell_goals(const tci_rollup *rollup) {
  tc_text all = {"", 0}, end = {NULL, 0};
  return rollup->engine->ops->facts_scan(rollup->engine->storage, TCI_SPACE_GOAL, all, end, tell, rollup->engine);
}
