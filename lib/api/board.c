#include "tipcurrent/board.h"

#include <string.h>

#include "api/enter.h"
#include "api/sized.h"
#include "api/text.h"
#include "base/mem.h"
#include "base/zone.h"
#include "engine/rollup/board.h"
#include "engine/rollup/rollup.h"
#include "engine/stats.h"
#include "model/currency.h"

#define LIMIT_DEFAULT 10
#define US_PER_S INT64_C(1000000)
#define TIME_MAX_US (INT64_C(253402300800) * US_PER_S) /* the year 10000: nothing overflows below it */

static int take_window(const tc_board_query *q, tci_board_request *request) {
  static const int periods[] = {[TC_WINDOW_DAY] = TCI_PERIOD_DAY, [TC_WINDOW_WEEK] = TCI_PERIOD_WEEK, [TC_WINDOW_MONTH] = TCI_PERIOD_MONTH};
  int64_t start_s, end_s;
  request->window = q->window;
  switch (q->window) {
  case TC_WINDOW_ALL:
    request->from_us = INT64_MIN;
    request->to_us = INT64_MAX;
    return TC_OK;
  case TC_WINDOW_CUSTOM:
    request->from_us = q->from_us;
    request->to_us = q->to_us;
    return TC_OK;
  case TC_WINDOW_DAY:
  case TC_WINDOW_WEEK:
  case TC_WINDOW_MONTH:
    if (q->at_us < -TIME_MAX_US || q->at_us >= TIME_MAX_US) return tci_fail(TC_EINVAL, "at_us: is beyond all calendars");
    tci_zone_period(NULL, periods[q->window], q->at_us / US_PER_S - (q->at_us % US_PER_S < 0), &start_s, &end_s);
    request->from_us = start_s * US_PER_S;
    request->to_us = end_s * US_PER_S;
    return TC_OK;
  default: return tci_fail(TC_EINVAL, "window: %u is not defined", q->window);
  }
}

static int take_query(const tc_engine *engine, const tc_board_query *query, tci_board_request *request) {
  tc_board_query q;
  int rc = tci_sized_in(&q, sizeof q, TCI_SIZED_UP_TO(tc_board_query, limit), query, "query");
  if (rc) return rc;
  if (q.role > TC_BOARD_RECIPIENTS) return tci_fail(TC_EINVAL, "role: %u is not defined", q.role);
  if (q.limit < 0 || q.limit > TC_BOARD_LIMIT_MAX) return tci_fail(TC_EINVAL, "limit: must be from 1 to %d", TC_BOARD_LIMIT_MAX);
  if (q.room_id && !*q.room_id) return tci_fail(TC_EINVAL, "room_id: must not be empty");
  *request = (tci_board_request){.role = (int)q.role, .limit = q.limit ? (size_t)q.limit : LIMIT_DEFAULT, .currency = {"", 0}};
  request->room = q.room_id ? tci_text_of(q.room_id) : (tc_text){"", 0};
  if (q.currency && strcmp(q.currency, engine->currency) != 0) {
    request->currency = tci_text_of(q.currency);
    if (!tci_currency_known(request->currency)) return tci_fail(TC_EINVAL, "currency: must be an ISO 4217 code, in capital letters");
  }
  return take_window(&q, request);
}

int tc_board_top(tc_engine *engine, const tc_board_query *query, tc_board **out) {
  tci_board_request request;
  TCI_ENTER();
  if (!engine || !out) return tci_fail(TC_EINVAL, "%s: must not be NULL", engine ? "out" : "engine");
  int rc = take_query(engine, query, &request);
  return rc ? rc : tci_board_top(engine, &request, out);
}

static int fill(const tci_top_entry *entry, int64_t rank, tc_board_row *out) {
  tc_board_row row = TC_BOARD_ROW_INIT;
  int rc = tci_sized_in(&row, sizeof row, TCI_SIZED_UP_TO(tc_board_row, total_amount), out, "row");
  if (rc) return rc;
  row.rank = rank;
  row.user_id = entry->name;
  row.tips = entry->count;
  row.amount = entry->sum > INT64_MAX ? INT64_MAX : (int64_t)entry->sum;
  tci_stats_print(entry->sum, row.total_amount);
  size_t size = out->size;
  memcpy(out, &row, size < sizeof row ? size : sizeof row);
  out->size = size;
  return TC_OK;
}

int tc_board_rank(tc_engine *engine, const tc_board_query *query, const char *user_id, tc_board_row *row) {
  tci_board_request request;
  tci_top_entry entry = {0};
  int64_t rank = 0;
  TCI_ENTER();
  if (!engine || !user_id || !row) return tci_fail(TC_EINVAL, "%s: must not be NULL", !engine ? "engine" : !user_id ? "user_id" : "row");
  int rc = take_query(engine, query, &request);
  if (!rc) rc = tci_board_rank(engine, &request, tci_text_of(user_id), &entry, &rank);
  return rc ? rc : fill(&entry, rank, row);
}

size_t tc_board_count(const tc_board *board) { return board->shown; }

int tc_board_at(const tc_board *board, size_t i, tc_board_row *row) {
  TCI_ENTER();
  if (i >= board->shown || !row) return tci_fail(TC_EINVAL, "i: the board has %zu rows", board->shown);
  return fill(tci_top_at(&board->top, i), (int64_t)i + 1, row);
}

void tc_board_span(const tc_board *board, int64_t *from_us, int64_t *to_us) {
  *from_us = board->from_us;
  *to_us = board->to_us;
}

void tc_board_free(tc_board *board) {
  if (!board) return;
  tci_top_free(&board->top);
  tci_free(board);
}
