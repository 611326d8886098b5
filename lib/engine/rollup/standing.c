#include "engine/rollup/standing.h"

#include <string.h>

#include "base/mem.h"

static const tci_hash zero = {0, 0};
static const tc_text no_text = {NULL, 0};

/* A sum in two numbers of a cell. */
static tci_int128 day_sum(const int64_t *n) { return (tci_int128)((unsigned __int128)(uint64_t)n[TCI_N_DAY_HIGH] << 64 | (uint64_t)n[TCI_N_DAY_LOW]); }

static void set_day(int64_t *n, uint32_t day, tci_int128 sum, int64_t count, int64_t seq) {
  n[TCI_N_DAY] = day;
  n[TCI_N_DAY_COUNT] = count;
  n[TCI_N_DAY_SEQ] = seq;
  n[TCI_N_DAY_LOW] = (int64_t)(uint64_t)((unsigned __int128)sum & UINT64_MAX);
  n[TCI_N_DAY_HIGH] = (int64_t)(uint64_t)((unsigned __int128)sum >> 64);
}

/* ---- changing it ---- */

static tci_group *take_group(tci_rollup *rollup, tci_hash board, uint32_t time, int *rc) {
  tci_cell_key key = tci_cell_key_of(board, time, zero);
  tci_group *group = *rc ? NULL : tci_group_take(rollup, &key, 1, rc);
  if (group && tci_top_reserve(&group->top)) *rc = tci_fail(TC_ENOMEM, "out of memory for the rollup");
  return group;
}

int tci_standing_take(tci_rollup *rollup, tci_standing *out, tci_hash board, uint32_t day, tci_hash who, tc_text name) {
  int rc = TC_OK;
  tci_cell_key key = tci_cell_key_of(board, TCI_ALL_TIME, who);
  *out = (tci_standing){.all = take_group(rollup, board, TCI_ALL_TIME, &rc), .day = take_group(rollup, board, day, &rc)};
  if (!rc) out->cell = tci_cell_take(rollup, TCI_SPACE_BOARD, &key, no_text, name, &rc);
  if (rc) return rc;
  uint32_t last = (uint32_t)out->cell->n[TCI_N_DAY];
  if (last > day) {
    key = tci_cell_key_of(board, day, who);
    out->past = tci_cell_take(rollup, TCI_SPACE_PAST, &key, no_text, name, &rc);
  } else if (last && last < day) {
    /* It is in neither memory nor store: there was no later day that could have left something behind. */
    key = tci_cell_key_of(board, last, who);
    out->left_group = take_group(rollup, board, last, &rc);
    if (!rc) out->left = tci_cell_make(rollup, TCI_SPACE_PAST, &key, name, &rc);
  }
  return rc;
}

static void move_top(tci_rollup *rollup, tci_group *group, const tci_cell *cell, tci_int128 old_sum, int64_t old_seq, tci_int128 sum, int64_t count,
                     int64_t seq) {
  if (tci_top_move(&group->top, tci_cell_name(cell), old_sum, old_seq, sum, count, seq)) tci_group_touch(rollup, group);
  /* What cannot be read now is read later, whoever asks first. */
  if (tci_top_needs_rebuild(&group->top)) (void)tci_top_rebuild(rollup, group);
}

static void leave_day(tci_rollup *rollup, const tci_standing *s) {
  int64_t *n = s->cell->n;
  s->left->sum = day_sum(n);
  s->left->n[TCI_N_COUNT] = n[TCI_N_DAY_COUNT];
  s->left->n[TCI_N_SEQ] = n[TCI_N_DAY_SEQ];
  tci_cell_touch(rollup, s->left_group, s->left);
  set_day(n, 0, 0, 0, 0);
}

void tci_standing_change(tci_rollup *rollup, const tci_standing *s, uint32_t day, tci_int128 amount, int64_t tips, int64_t seq) {
  tci_cell *cell = s->cell;
  int64_t *n = cell->n;
  tci_int128 old_sum = cell->sum, old_day_sum, sum;
  int64_t old_seq = n[TCI_N_SEQ], old_day_seq, count;
  if (s->left) leave_day(rollup, s);
  cell->sum += amount;
  n[TCI_N_COUNT] += tips;
  n[TCI_N_SEQ] = seq;
  tci_cell_touch(rollup, s->all, cell);
  if (s->past) {
    old_day_sum = s->past->sum;
    old_day_seq = s->past->n[TCI_N_SEQ];
    sum = s->past->sum += amount;
    count = s->past->n[TCI_N_COUNT] += tips;
    s->past->n[TCI_N_SEQ] = seq;
    tci_cell_touch(rollup, s->day, s->past);
  } else {
    old_day_sum = day_sum(n);
    old_day_seq = n[TCI_N_DAY_SEQ];
    sum = old_day_sum + amount;
    count = n[TCI_N_DAY_COUNT] + tips;
    set_day(n, day, sum, count, seq);
  }
  move_top(rollup, s->all, cell, old_sum, old_seq, cell->sum, n[TCI_N_COUNT], seq);
  move_top(rollup, s->day, cell, old_day_sum, old_day_seq, sum, count, seq);
}

static void settle_top(tci_rollup *rollup, tci_group *group, tc_text name, tci_int128 sum, int64_t count, int64_t seq) {
  if (tci_top_settle(&group->top, name, sum, count, seq)) tci_group_touch(rollup, group);
}

int tci_standing_settle(tci_rollup *rollup, tci_hash board, uint32_t day, tci_hash who, tc_text name) {
  int rc = TC_OK;
  tci_group *all = take_group(rollup, board, TCI_ALL_TIME, &rc), *of_day = take_group(rollup, board, day, &rc);
  tci_cell_key key = tci_cell_key_of(board, TCI_ALL_TIME, who), past_key = tci_cell_key_of(board, day, who);
  const tci_cell *cell = rc ? NULL : tci_cell_take(rollup, TCI_SPACE_BOARD, &key, no_text, name, &rc), *past = NULL;
  if (!rc && cell->n[TCI_N_DAY] != day) past = tci_cell_take(rollup, TCI_SPACE_PAST, &past_key, no_text, name, &rc);
  if (rc) return rc;
  const int64_t *n = cell->n;
  settle_top(rollup, all, name, cell->sum, n[TCI_N_COUNT], n[TCI_N_SEQ]);
  if (past) settle_top(rollup, of_day, name, past->sum, past->n[TCI_N_COUNT], past->n[TCI_N_SEQ]);
  else settle_top(rollup, of_day, name, day_sum(n), n[TCI_N_DAY_COUNT], n[TCI_N_DAY_SEQ]);
  return TC_OK;
}

/* ---- reading it ---- */

/* Everything in memory that a window of a board needs. */
typedef struct window {
  tci_hash board;
  uint32_t from, to;
  tci_overlay cells, past;
  tci_value_fn fn;
  void *arg;
  int stopped;
} window;

static int is_all(const window *w) { return w->from == TCI_ALL_TIME; }

/* Under the mutex: so that both are of one moment. */
static int collect(tci_rollup *rollup, window *w) {
  tci_cell_key key = tci_cell_key_of(w->board, TCI_ALL_TIME, zero);
  const tci_group *group = tci_group_find(rollup, &key);
  int rc = group ? tci_overlay_add(&w->cells, group, TCI_SPACE_BOARD) : TC_OK;
  for (uint32_t day = w->from; !is_all(w) && day < w->to && !rc; day++) {
    key = tci_cell_key_of(w->board, day, zero);
    group = tci_group_find(rollup, &key);
    if (group) rc = tci_overlay_add(&w->past, group, TCI_SPACE_PAST);
  }
  return rc;
}

static void drop(window *w) {
  tci_overlay_free(&w->cells);
  tci_overlay_free(&w->past);
}

/* The day's part of a user's cell, when that is in the window. */
static int give_last_day(const tci_cell_key *key, const tci_value *value, void *arg) {
  window *w = arg;
  if (value->n[TCI_N_DAY] < w->from || value->n[TCI_N_DAY] >= w->to) return 0;
  tci_value day = {.sum = day_sum(value->n), .name = value->name};
  day.n[TCI_N_COUNT] = value->n[TCI_N_DAY_COUNT];
  day.n[TCI_N_SEQ] = value->n[TCI_N_DAY_SEQ];
  return w->stopped = w->fn(key, &day, w->arg);
}

/* `spilling` is held for reading, or this is the thread that would write. */
static int walk(tci_rollup *rollup, window *w) {
  tci_cell_key first = tci_cell_key_of(w->board, TCI_ALL_TIME, zero), end = tci_cell_key_of(w->board, TCI_ALL_TIME + 1, zero);
  tci_overlay_sort(&w->cells);
  if (is_all(w)) return tci_overlay_walk(rollup, &w->cells, TCI_SPACE_BOARD, &first, &end, w->fn, w->arg);
  int rc = tci_overlay_walk(rollup, &w->cells, TCI_SPACE_BOARD, &first, &end, give_last_day, w);
  if (rc || w->stopped) return rc;
  tci_overlay_sort(&w->past);
  first = tci_cell_key_of(w->board, w->from, zero);
  end = tci_cell_key_of(w->board, w->to, zero);
  return tci_overlay_walk(rollup, &w->past, TCI_SPACE_PAST, &first, &end, w->fn, w->arg);
}

int tci_standing_walk(tci_rollup *rollup, tci_hash board, uint32_t from, uint32_t to, tci_value_fn fn, void *arg) {
  window w = {.board = board, .from = from, .to = to, .fn = fn, .arg = arg};
  tci_rollup_hold(rollup, 0);
  (void)pthread_mutex_lock(&rollup->mutex);
  int rc = collect(rollup, &w);
  (void)pthread_mutex_unlock(&rollup->mutex);
  if (!rc) rc = walk(rollup, &w);
  tci_rollup_release(rollup);
  drop(&w);
  return rc;
}

typedef struct one {
  tci_value *value;
  int found;
} one;

static int keep_one(const tci_cell_key *key, const tci_value *value, void *arg) {
  one *o = arg;
  (void)key;
  *o->value = *value;
  o->value->name = no_text;
  o->found = 1;
  return 1;
}

/* One cell, from memory or the store. `spilling` is held for reading. */
static int read_cell(tci_rollup *rollup, uint32_t space, const tci_cell_key *key, tci_value *value, int *found) {
  static const tci_overlay nothing;
  one o = {value, 0};
  tci_cell_key next = tci_cell_key_next(*key);
  (void)pthread_mutex_lock(&rollup->mutex);
  const tci_cell *cell = tci_table_find(&rollup->cells, key);
  if (cell) {
    *value = (tci_value){.sum = cell->sum};
    memcpy(value->n, cell->n, tci_cell_n(space) * sizeof cell->n[0]);
    o.found = 1;
  }
  (void)pthread_mutex_unlock(&rollup->mutex);
  int rc = o.found ? TC_OK : tci_overlay_walk(rollup, &nothing, space, key, &next, keep_one, &o);
  if (!rc) *found = o.found;
  return rc;
}

int tci_standing_find(tci_rollup *rollup, tci_hash board, uint32_t at, tci_hash who, tci_value *value, int *found) {
  window w = {.from = at, .to = at + 1};
  one o = {value, 0};
  tci_value cell;
  tci_cell_key key = tci_cell_key_of(board, TCI_ALL_TIME, who);
  w.fn = keep_one;
  w.arg = &o;
  tci_rollup_hold(rollup, 0);
  int rc = read_cell(rollup, TCI_SPACE_BOARD, &key, &cell, found);
  if (!rc && *found && is_all(&w)) *value = cell;
  if (!rc && *found && !is_all(&w) && !give_last_day(&key, &cell, &w)) {
    key = tci_cell_key_of(board, at, who);
    rc = read_cell(rollup, TCI_SPACE_PAST, &key, value, found);
  }
  tci_rollup_release(rollup);
  return rc;
}

/* ---- a top from all that stand on its board ---- */

typedef struct rebuild {
  tci_top top;
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
  uint32_t time = tci_key_time(&group->key);
  window w = {.board = tci_key_group(&group->key), .from = time, .to = time + 1, .fn = take_user, .arg = &r};
  int rc = collect(rollup, &w);
  if (!rc) rc = walk(rollup, &w);
  if (!rc && r.rc) rc = tci_fail(TC_ENOMEM, "out of memory for a leaderboard");
  drop(&w);
  if (rc) {
    tci_top_free(&r.top);
    return rc;
  }
  tci_top_free(&group->top);
  group->top = r.top;
  tci_group_touch(rollup, group);
  return TC_OK;
}
