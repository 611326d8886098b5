#include "engine/rollup/board.h"

#include <string.h>

#include "base/mem.h"
#include "engine/rollup/standing.h"

static tci_hash board_of(const tci_rollup *rollup, const tci_board_request *request) {
  tci_hash currency = request->currency.len ? tci_hash_of(rollup, request->currency) : rollup->standard;
  return tci_board_hash(rollup, tci_hash_of(rollup, request->room), request->role, currency);
}

static int is_kept(const tci_board_request *request) { return request->window == TC_WINDOW_ALL || request->window == TC_WINDOW_DAY; }

static uint32_t window_of(const tci_board_request *request) { return request->window == TC_WINDOW_ALL ? TCI_ALL_TIME : tci_day_of(request->from_us); }

/* ---- the kept top ---- */

static int copy_top(const tci_top *from, size_t n, tci_top *to) {
  for (uint32_t i = 0; i < from->n && i < n; i++) {
    tci_top_entry entry = *tci_top_at(from, i);
    if (tci_top_reserve(to)) return TC_ENOMEM;
    if (!(entry.name = tci_strndup(entry.name, entry.name_len))) return TC_ENOMEM;
    tci_top_append(to, &entry);
  }
  to->complete = from->complete && from->n <= n;
  to->stale = from->stale;
  return TC_OK;
}

typedef struct get {
  tci_top *top;
  int rc;
} get;

static int take_top(tc_text key, tc_text value, void *arg) {
  get *g = arg;
  (void)key;
  g->rc = tci_top_get(g->top, value);
  return 1;
}

static int tells(const tci_top *top, size_t n) { return !top->stale && (top->complete || top->n >= n); }

/* Into an empty top, the first n of it; *usable = 0: those cannot be told by it. What is not in memory is as the store has it. */
static int read_top(tci_rollup *rollup, const tci_cell_key *key, size_t n, tci_top *top, int *usable) {
  get g = {top, TC_OK};
  int rc = TC_OK;
  (void)pthread_mutex_lock(&rollup->mutex);
  const tci_group *group = tci_group_find(rollup, key);
  if (group) g.rc = copy_top(&group->top, n, top);
  if (group) *usable = tells(&group->top, n);
  (void)pthread_mutex_unlock(&rollup->mutex);
  if (!group) {
    tci_cell_key next = tci_cell_key_next(*key);
    rc = rollup->engine->ops->facts_scan(rollup->engine->storage, TCI_SPACE_TOP, (tc_text){(const char *)key->bytes, sizeof key->bytes},
                                         (tc_text){(const char *)next.bytes, sizeof next.bytes}, take_top, &g);
  }
  if (!group) *usable = tells(top, n);
  if (!rc && g.rc == TC_ENOMEM) rc = tci_fail(TC_ENOMEM, "out of memory for a leaderboard");
  if (!rc && g.rc) rc = tci_fail(g.rc, "a stored leaderboard cannot be read");
  return rc;
}

/* ---- the boards themselves ---- */

typedef struct merge {
  tci_ballot *ballot;
  int rc;
} merge;

static int add_user(const tci_cell_key *key, const tci_value *value, void *arg) {
  merge *m = arg;
  (void)key;
  m->rc = tci_ballot_add(m->ballot, value->name, value->sum, value->n[TCI_N_COUNT], value->n[TCI_N_SEQ]);
  return m->rc != TC_OK;
}

/* A ballot of the request's span. */
static int make_ballot(tci_rollup *rollup, const tci_board_request *request, tc_text wanted, tci_ballot **out) {
  merge m = {NULL, TC_OK};
  int rc = tci_ballot_new(&m.ballot, rollup->engine, wanted);
  if (rc) return rc;
  if (request->window == TC_WINDOW_CUSTOM) {
    rc = tci_ballot_count_events(m.ballot, request);
  } else {
    uint32_t from = window_of(request), to = request->window == TC_WINDOW_ALL ? from + 1 : tci_day_of(request->to_us - 1) + 1;
    rc = tci_standing_walk(rollup, board_of(rollup, request), from, to, add_user, &m);
    if (!rc) rc = m.rc;
  }
  if (rc) tci_ballot_free(m.ballot);
  else *out = m.ballot;
  return rc;
}

int tci_board_top(tc_engine *engine, const tci_board_request *request, tc_board **out) {
  tci_rollup *rollup;
  tci_ballot *ballot = NULL;
  int rc = tci_rollup_usable(engine, &rollup);
  if (rc) return rc;
  int usable = 0;
  tc_board *board = tci_zalloc(sizeof *board);
  if (!board) return tci_fail(TC_ENOMEM, "out of memory for a leaderboard");
  board->top.complete = 1;
  board->from_us = request->from_us;
  board->to_us = request->to_us;
  if (is_kept(request)) {
    tci_cell_key key = tci_cell_key_of(board_of(rollup, request), window_of(request), (tci_hash){0, 0});
    rc = read_top(rollup, &key, request->limit, &board->top, &usable);
  }
  if (!rc && !usable) {
    tci_top_free(&board->top);
    rc = make_ballot(rollup, request, (tc_text){NULL, 0}, &ballot);
    if (!rc) rc = tci_ballot_top(ballot, &board->top);
    tci_ballot_free(ballot);
  }
  if (rc) {
    tc_board_free(board);
    return rc;
  }
  board->shown = board->top.n < request->limit ? board->top.n : request->limit;
  *out = board;
  return TC_OK;
}

/* ---- ranks ---- */

static int is_user(tc_text a, tc_text b) { return a.len == b.len && !memcmp(a.ptr, b.ptr, a.len); }

typedef struct better {
  const tci_top_entry *than;
  tc_text user; /* he may have risen since: nobody stands before himself */
  int64_t n;
} better;

static int count_better(const tci_cell_key *key, const tci_value *value, void *arg) {
  better *b = arg;
  (void)key;
  if (value->sum > 0 && tci_top_before(value->sum, value->n[TCI_N_SEQ], b->than->sum, b->than->seq)) b->n += !is_user(value->name, b->user);
  return b->n >= TC_BOARD_RANK_MAX;
}

/* Of a board that is kept: his own cell first, then those before him, and no more than it takes to know. */
static int rank_kept(tci_rollup *rollup, const tci_board_request *request, tc_text user, tci_top_entry *entry, int64_t *rank) {
  tci_hash board = board_of(rollup, request);
  uint32_t window = window_of(request);
  tci_cell_key group = tci_cell_key_of(board, window, (tci_hash){0, 0});
  tci_value value;
  int found = 0;
  int rc = tci_standing_find(rollup, board, window, tci_hash_of(rollup, user), &value, &found);
  if (!rc && (!found || value.sum <= 0)) rc = tci_fail(TC_ENOTFOUND, "the user is not on this leaderboard");
  if (rc) return rc;
  tci_top_entry his = {.sum = value.sum, .count = value.n[TCI_N_COUNT], .seq = value.n[TCI_N_SEQ]};
  better b = {.than = &his, .user = user};
  tci_top top = {.complete = 1};
  int usable = 0;
  rc = read_top(rollup, &group, TCI_TOP_MAX, &top, &usable);
  uint32_t place = 0;
  while (!rc && place < top.n && !is_user((tc_text){tci_top_at(&top, place)->name, tci_top_at(&top, place)->name_len}, user)) place++;
  if (!rc && place < top.n) {
    *entry = *tci_top_at(&top, place);
    entry->name = NULL;
    b.n = place;
  } else if (!rc) {
    rc = tci_standing_walk(rollup, board, window, window + 1, count_better, &b);
    *entry = his;
  }
  tci_top_free(&top);
  if (!rc) *rank = b.n < TC_BOARD_RANK_MAX ? b.n + 1 : TC_BOARD_RANK_MAX + 1;
  return rc;
}

int tci_board_rank(tc_engine *engine, const tci_board_request *request, tc_text user, tci_top_entry *entry, int64_t *rank) {
  tci_rollup *rollup;
  tci_ballot *ballot = NULL;
  int rc = tci_rollup_usable(engine, &rollup);
  if (rc) return rc;
  if (is_kept(request)) return rank_kept(rollup, request, user, entry, rank);
  rc = make_ballot(rollup, request, user, &ballot);
  if (!rc) rc = tci_ballot_rank(ballot, entry, rank);
  tci_ballot_free(ballot);
  return rc;
}
