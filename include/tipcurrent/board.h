/* board.h - leaderboards: who gave and who got most, in a room or in all rooms together.
 *
 * Kept by a cursor over the log (docs/analytics.md), a fraction of a second behind it: the best hundred of all time and of a day are one look, whatever the history. Weeks and months
 * merge the boards of their days and cost whoever stands on them; a custom span costs its events. Sums never mix currencies; a refund lowers a sum where its tip counted, and who has
 * nothing left is on no board. Order: the larger sum first, then who reached it earlier, which is the same at every look.
 */
#ifndef TIPCURRENT_BOARD_H
#define TIPCURRENT_BOARD_H

#include "engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who stands on a board: tc_board_query.role. */
enum {
  TC_BOARD_SENDERS = 0,   /* who gave */
  TC_BOARD_RECIPIENTS = 1 /* who got */
};

/* What a board spans: tc_board_query.window. All but the custom one are of UTC. */
enum {
  TC_WINDOW_ALL = 0,   /* all time */
  TC_WINDOW_DAY = 1,   /* from 00:00 */
  TC_WINDOW_WEEK = 2,  /* from its Monday, ISO 8601 */
  TC_WINDOW_MONTH = 3, /* from its first day */
  TC_WINDOW_CUSTOM = 4 /* from_us <= created_at < to_us, to the microsecond */
};

#define TC_BOARD_LIMIT_MAX 100  /* rows of one answer */
#define TC_BOARD_RANK_MAX 10000 /* the lowest rank that is told exactly */
#define TC_BOARD_AMOUNT_SIZE 48 /* bytes of an amount as text, with its NUL */

/* Which board, and how much of it. Strings are borrowed for the call. */
typedef struct tc_board_query {
  size_t size;
  const char *room_id;    /* NULL: all rooms */
  const char *currency;   /* NULL: the engine's default; ISO 4217 */
  uint32_t role;          /* TC_BOARD_X */
  uint32_t window;        /* TC_WINDOW_X */
  int64_t at_us;          /* day, week, month: any moment in it */
  int64_t from_us, to_us; /* custom */
  int32_t limit;          /* 1 to TC_BOARD_LIMIT_MAX; 0: 10 */
} tc_board_query;
#define TC_BOARD_QUERY_INIT \
  { sizeof(tc_board_query), 0, 0, 0, 0, 0, 0, 0, 0 }

/* An answer: opaque, immutable, freed by tc_board_free. Any thread may use it; may outlive the engine. */
typedef struct tc_board tc_board;

/* One row of a board, filled by tc_board_at and tc_board_rank: set its size first (TC_BOARD_ROW_INIT). */
typedef struct tc_board_row {
  size_t size;
  int64_t rank;                            /* 1: the best. Beyond TC_BOARD_RANK_MAX: TC_BOARD_RANK_MAX + 1 */
  const char *user_id;                     /* borrowed from the board; of tc_board_rank NULL */
  int64_t tips;                            /* how many */
  int64_t amount;                          /* their sum in hundredths; INT64_MAX: it is larger than that, see total_amount */
  char total_amount[TC_BOARD_AMOUNT_SIZE]; /* the same as decimal text, "2500.00"; exact */
} tc_board_row;
#define TC_BOARD_ROW_INIT                   \
  {                                         \
    sizeof(tc_board_row), 0, 0, 0, 0, { 0 } \
  }

/* The best of a board. *out: the caller frees it by tc_board_free. Any thread; blocks for database reads: cost as above; of weeks and months at most 2,000,000 users, of custom spans at most
 * 5,000,000 events, its room's refunds among them.
 * Errors: TC_EINVAL (the message names the field), TC_ELIMIT (beyond these bounds), TC_EBUSY (indexes or statistics are being rebuilt), TC_ENOTSUP (the storage keeps none),
 * TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_board_top(tc_engine *engine, const tc_board_query *query, tc_board **out);

/* Where a user stands. row->size: set by the caller. Within the best hundred as tc_board_top; further down it costs a walk over the board until TC_BOARD_RANK_MAX better ones are found.
 * Errors: as tc_board_top, and TC_ENOTFOUND: not on the board. */
TC_API int tc_board_rank(tc_engine *engine, const tc_board_query *query, const char *user_id, tc_board_row *row);

/* How many rows it has: 0 to the limit asked for. Any thread; does not block. */
TC_API size_t tc_board_count(const tc_board *board);
/* Fills *row, whose size the caller has set, with the i-th, the best being 0. Any thread; does not block. Errors: TC_EINVAL (no such row), TC_EVERSION. */
TC_API int tc_board_at(const tc_board *board, size_t i, tc_board_row *row);
/* What it spans: *from_us <= created_at < *to_us. INT64_MIN and INT64_MAX for all time. Any thread; does not block. */
TC_API void tc_board_span(const tc_board *board, int64_t *from_us, int64_t *to_us);
/* Frees the answer, and what was borrowed from it. NULL is fine. Any thread; does not block. */
TC_API void tc_board_free(tc_board *board);

#ifdef __cplusplus
}
#endif
#endif
