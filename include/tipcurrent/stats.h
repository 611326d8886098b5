/* stats.h - numbers over time: tips, sums, people and reactions of a room or of all rooms, by quarters of an hour and what is made of them.
 *
 * Kept by a cursor over the log (docs/analytics.md): what is answered here is at most about a second behind the last create (while more than some 20,000 come a second: a few), the running hour included, and costs what the asked range
 * has in quarters that saw an event, not its events. An event counts where its created_at lies, a refund where its tip's does: it lowers sums, never counts or uniques.
 *
 * Sums are exact beyond 64 bits; averages are rounded half up to hundredths. Sums never mix currencies.
 */
#ifndef TIPCURRENT_STATS_H
#define TIPCURRENT_STATS_H

#include "engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How long a period is: tc_stats_query.grain. All but the quarter follow the wall clock of the query's zone. */
enum {
  TC_GRAIN_HOUR = 0,    /* the default */
  TC_GRAIN_QUARTER = 1, /* 15 minutes UTC */
  TC_GRAIN_DAY = 2,     /* of 23 to 25 hours where the clocks change */
  TC_GRAIN_WEEK = 3,    /* from its Monday, ISO 8601 */
  TC_GRAIN_MONTH = 4    /* from its first day */
};

/* For tc_stats_query.flags. */
enum {
  TC_STATS_FROM = 1u << 0, /* from_us counts */
  TC_STATS_TO = 1u << 1    /* to_us counts */
};

#define TC_STATS_ROWS_MAX 100000 /* of one answer */

/* Of which room, time and currency. Strings are borrowed for the call. */
typedef struct tc_stats_query {
  size_t size;
  const char *room_id;    /* NULL: all rooms; "" is a room that has no events */
  const char *tz;         /* NULL: UTC; a name of the IANA database, "Europe/Berlin" */
  const char *currency;   /* NULL: the engine's default; ISO 4217 */
  int64_t from_us, to_us; /* the periods that begin at from_us or later and before to_us; see flags */
  uint32_t flags;         /* TC_STATS_X; without them all there is */
  uint32_t grain;         /* TC_GRAIN_X; tc_stats_periods only */
} tc_stats_query;
#define TC_STATS_QUERY_INIT \
  { sizeof(tc_stats_query), 0, 0, 0, 0, 0, 0, 0 }

/* An answer: opaque, immutable, freed by tc_stats_free. Any thread may use it; may outlive the engine. */
typedef struct tc_stats tc_stats;

#define TC_STATS_AMOUNT_SIZE 48 /* bytes of an amount as text, with its NUL */

/* One row of an answer, filled by tc_stats_at and tc_stats_total: set its size first (TC_STATS_ROW_INIT). */
typedef struct tc_stats_row {
  size_t size;
  int64_t start_us, end_us; /* tc_stats_periods; quarters of an hour */
  const char *name;         /* tc_stats_emojis, tc_stats_recipients: the emoji, the recipient's id; borrowed from the answer. NULL: it has none */
  int64_t tips;             /* how many, of the currency */
  int64_t amount;           /* their sum in hundredths; INT64_MAX: it is larger than that, see total_amount */
  int64_t reactions;        /* how many */
  int64_t unique_senders, unique_recipients, unique_reactors; /* people, whatever their currency; -1: not told at this grain */
  char total_amount[TC_STATS_AMOUNT_SIZE];                    /* the sum and the average as decimal text, "2500.00"; exact */
  char average_amount[TC_STATS_AMOUNT_SIZE];                  /* "0.00" without tips */
} tc_stats_row;
#define TC_STATS_ROW_INIT                                       \
  {                                                             \
    sizeof(tc_stats_row), 0, 0, 0, 0, 0, 0, 0, 0, 0, {0}, { 0 } \
  }

/* One row for each period with a tip of the currency or a reaction, ascending. Uniques are exact for quarters and hours, -1 for longer periods.
 * *out: the caller frees it by tc_stats_free. Any thread; blocks for database reads.
 *
 * Cost: the quarters of the range; hours that are no full hours of UTC also the events in them, for their uniques.
 * Errors: TC_EINVAL (grain, tz, currency; the message names it), TC_ELIMIT (more than TC_STATS_ROWS_MAX rows), TC_EBUSY (indexes or statistics are being rebuilt),
 * TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_stats_periods(tc_engine *engine, const tc_stats_query *query, tc_stats **out);
/* One row for each emoji (all spellings of one are one), most reactions first, then by its bytes. The quarters that begin in the range. Blocks and fails as tc_stats_periods. */
TC_API int tc_stats_emojis(tc_engine *engine, const tc_stats_query *query, tc_stats **out);
/* One row for each recipient of tips of the currency, largest sum first, then by its id's bytes. Blocks and fails as tc_stats_periods. */
TC_API int tc_stats_recipients(tc_engine *engine, const tc_stats_query *query, tc_stats **out);

/* How many rows it has. Any thread; does not block. */
TC_API size_t tc_stats_count(const tc_stats *stats);
/* Fills *row, whose size the caller has set, with the i-th. Any thread; does not block. Errors: TC_EINVAL (no such row), TC_EVERSION. */
TC_API int tc_stats_at(const tc_stats *stats, size_t i, tc_stats_row *row);
/* The same for what all rows make together; uniques are -1. Any thread; does not block. */
TC_API int tc_stats_total(const tc_stats *stats, tc_stats_row *row);
/* The other currencies of tips in the range, "EUR,JPY"; "": none. tc_stats_periods only. Borrowed. Any thread; does not block. */
TC_API const char *tc_stats_currencies(const tc_stats *stats);
/* Frees the answer, and what was borrowed from it. NULL is fine. Any thread; does not block. */
TC_API void tc_stats_free(tc_stats *stats);

/* Computes the quarters of a range from the log once more and puts right what is kept, should it differ: *changed (may be NULL) says how many did; 0 is the only good answer.
 * Bounds: multiples of 15 minutes, or INT64_MIN and INT64_MAX. Blocks for a walk over the log, on the indexer's thread: lists stay exact meanwhile, but fall behind in memory.
 * Not from a callback. Errors: TC_EINVAL, TC_ECONFLICT (several engines share the log, and another one counts), TC_EBUSY, TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_stats_rebuild(tc_engine *engine, int64_t from_us, int64_t to_us, int64_t *changed);

#ifdef __cplusplus
}
#endif
#endif
