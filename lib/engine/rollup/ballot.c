/* ballot.c - a board made for one look. */
#include <string.h>

#include "base/mem.h"
#include "engine/page.h"
#include "engine/rollup/board.h"
#include "engine/rollup/cells.h"

#define PAGE 1000

struct tci_ballot {
  tc_engine *engine;
  tci_table users; /* of cells */
  tci_cell_key wanted;
  int64_t events;
};

static tci_cell_key key_of(const tci_ballot *ballot, tc_text user) { return tci_cell_key_of((tci_hash){0, 0}, 0, tci_hash_of(ballot->engine->rollup, user)); }

int tci_ballot_new(tci_ballot **out, tc_engine *engine, tc_text wanted) {
  tci_ballot *ballot = tci_zalloc(sizeof *ballot);
  if (!ballot) return tci_fail(TC_ENOMEM, "out of memory for a leaderboard");
  ballot->engine = engine;
  if (wanted.ptr) ballot->wanted = key_of(ballot, wanted);
  *out = ballot;
  return TC_OK;
}

static int free_user(void *object, void *arg) {
  (void)arg;
  tci_free(object);
  return 1;
}

void tci_ballot_free(tci_ballot *ballot) {
  if (!ballot) return;
  tci_table_sweep(&ballot->users, free_user, NULL);
  tci_free(ballot->users.slots);
  tci_free(ballot);
}

int tci_ballot_add(tci_ballot *ballot, tc_text user, tci_top_sum amount, int64_t tips, int64_t seq) {
  tci_cell_key key = key_of(ballot, user);
  tci_cell *cell = tci_table_find(&ballot->users, &key);
  if (!cell) {
    if (ballot->users.count == TCI_BOARD_USERS_MAX) return tci_fail(TC_ELIMIT, "more than %d users are on the boards to be merged", TCI_BOARD_USERS_MAX);
    if (!tci_table_reserve(&ballot->users, 1)) cell = tci_zalloc(sizeof *cell + TCI_N_BOARD * sizeof cell->n[0] + user.len);
    if (!cell) return tci_fail(TC_ENOMEM, "out of memory for a leaderboard");
    cell->key = key;
    cell->space = TCI_SPACE_BOARD;
    cell->name_len = (uint16_t)user.len;
    if (user.len) memcpy(&cell->n[TCI_N_BOARD], user.ptr, user.len);
    tci_table_add(&ballot->users, cell);
  }
  cell->sum += amount;
  cell->n[TCI_N_COUNT] += tips;
  if (seq > cell->n[TCI_N_SEQ]) cell->n[TCI_N_SEQ] = seq;
  return TC_OK;
}

/* ---- from events ---- */

static int is_wanted(const tci_board_request *request, const tc_record *record) {
  const tc_text *code = &record->text[TC_COL_CURRENCY];
  return code->len == request->currency.len && (!code->len || !memcmp(code->ptr, request->currency.ptr, code->len));
}

static tc_text user_of(const tci_board_request *request, const tc_record *record) {
  return record->text[request->role == TC_BOARD_SENDERS ? TC_COL_USER : TC_COL_PEER];
}

static int add_tip(tci_ballot *ballot, const tci_board_request *request, const tc_record *tip) {
  return is_wanted(request, tip) ? tci_ballot_add(ballot, user_of(request, tip), tip->amount, 1, tip->seq) : TC_OK;
}

/* What goes back goes back where the tip counts. */
static int take_back(tci_ballot *ballot, const tci_board_request *request, const tc_record *refund) {
  tc_event *tip = NULL;
  if (!is_wanted(request, refund)) return TC_OK;
  int rc = tci_query_seq(ballot->engine, refund->ref, &tip);
  if (!rc && tip->record.created_at_us >= request->from_us && tip->record.created_at_us < request->to_us)
    rc = tci_ballot_add(ballot, user_of(request, refund), -(tci_top_sum)refund->amount, 0, refund->seq);
  tc_event_unref(tip);
  return rc;
}

typedef int (*taker)(tci_ballot *ballot, const tci_board_request *request, const tc_record *record);

/* All of a kind created in [from_us, to_us). */
static int walk_events(tci_ballot *ballot, const tci_board_request *request, uint32_t kind, int64_t from_us, int64_t to_us, taker take) {
  tc_position after = {to_us, INT64_MIN};
  tci_list_request list = {.filter = {.kind = kind}, .after = &after, .size = PAGE};
  if (request->room.len) list.filter.text[TC_COL_ROOM] = request->room;
  int rc = TC_OK, end = 0;
  while (!rc && !end) {
    tc_page *page = NULL;
    rc = tci_query_list(ballot->engine, &list, &page);
    if (rc) break;
    end = page->n < PAGE;
    for (size_t i = 0; i < page->n && !rc; i++) {
      const tc_record *record = &page->events[i]->record;
      after = (tc_position){record->created_at_us, record->seq};
      if (record->created_at_us < from_us) {
        end = 1;
        break;
      }
      if (++ballot->events > TCI_BOARD_EVENTS_MAX) rc = tci_fail(TC_ELIMIT, "more than %d events are to be added up", TCI_BOARD_EVENTS_MAX);
      else rc = take(ballot, request, record);
    }
    tc_page_free(page);
  }
  return rc;
}

int tci_ballot_count_events(tci_ballot *ballot, const tci_board_request *request) {
  int rc = TC_OK;
  if (request->from_us >= request->to_us) return TC_OK;
  /* The refunds first: of a tip that comes between the two walks there is none among them. All of the room's: after a clock that was put back, or in an imported
   * history, one may be older than its tip. */
  rc = walk_events(ballot, request, TC_KIND_REFUND, INT64_MIN, INT64_MAX, take_back);
  return rc ? rc : walk_events(ballot, request, TC_KIND_TIP, request->from_us, request->to_us, add_tip);
}

/* ---- the result ---- */

typedef struct tally {
  tci_top *top;
  const tci_cell *wanted;
  int64_t better;
  int rc;
} tally;

static int rank_one(void *object, void *arg) {
  tally *t = arg;
  const tci_cell *cell = object;
  if (cell->sum <= 0 || t->rc) return 0;
  if (t->wanted) t->better += tci_top_before(cell->sum, cell->n[TCI_N_SEQ], t->wanted->sum, t->wanted->n[TCI_N_SEQ]);
  else if (tci_top_reserve(t->top)) t->rc = TC_ENOMEM;
  else (void)tci_top_move(t->top, tci_cell_name(cell), 0, 0, cell->sum, cell->n[TCI_N_COUNT], cell->n[TCI_N_SEQ]);
  if (!t->wanted && t->top->stale) t->rc = TC_ENOMEM;
  return 0;
}

int tci_ballot_top(const tci_ballot *ballot, tci_top *top) {
  tally t = {.top = top};
  tci_table users = ballot->users; /* nothing is taken out */
  tci_table_sweep(&users, rank_one, &t);
  return t.rc ? tci_fail(t.rc, "out of memory for a leaderboard") : TC_OK;
}

int tci_ballot_rank(const tci_ballot *ballot, tci_top_entry *entry, int64_t *rank) {
  tally t = {.wanted = tci_table_find(&ballot->users, &ballot->wanted)};
  tci_table users = ballot->users;
  if (!t.wanted || t.wanted->sum <= 0) return tci_fail(TC_ENOTFOUND, "the user is not on this leaderboard");
  tci_table_sweep(&users, rank_one, &t);
  *entry = (tci_top_entry){.sum = t.wanted->sum, .count = t.wanted->n[TCI_N_COUNT], .seq = t.wanted->n[TCI_N_SEQ]};
  *rank = t.better < TC_BOARD_RANK_MAX ? t.better + 1 : TC_BOARD_RANK_MAX + 1;
  return TC_OK;
}
