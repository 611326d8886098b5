/* stats.c - periods out of quarters.
 *
 * Design notes
 *  - Every bound is a quarter of an hour UTC, since that is what is kept. All offsets in use since 1972 are multiples of it, so that no calendar is bent. In older times (local mean time)
 *    a period begins with the first quarter that begins in it, and says so: its numbers are those of the bounds that it shows.
 *  - Uniques cannot be added up. The rollup says for each quarter how many of its people are new in their hour, which makes the hours of UTC sums as well; hours that lie across
 *    those of UTC, and what the rollup could not keep, are counted from the index.
 */
#include "engine/stats.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define US_PER_S INT64_C(1000000)
#define FIRST_US INT64_C(0)                        /* the clock of no event was before 1970 */
#define LAST_US (INT64_C(253402300800) * US_PER_S) /* 10000-01-01 */
#define ROWS_BEGIN 64

static int64_t quarter_down(int64_t us) { return us - (us % TCI_QUARTER_US + TCI_QUARTER_US) % TCI_QUARTER_US; }

int64_t tci_stats_quarter_up(int64_t us) {
  if (us <= FIRST_US) return FIRST_US;
  return us >= LAST_US ? LAST_US : quarter_down(us + TCI_QUARTER_US - 1);
}

void tci_stats_period(const tci_zone *zone, uint32_t grain, int64_t quarter_us, int64_t *start_us, int64_t *end_us) {
  static const int periods[] = {
    [TC_GRAIN_HOUR] = TCI_PERIOD_HOUR, [TC_GRAIN_DAY] = TCI_PERIOD_DAY, [TC_GRAIN_WEEK] = TCI_PERIOD_WEEK, [TC_GRAIN_MONTH] = TCI_PERIOD_MONTH};
  int64_t start_s, end_s;
  if (grain == TC_GRAIN_QUARTER) {
    *start_us = quarter_us;
    *end_us = quarter_us + TCI_QUARTER_US;
    return;
  }
  tci_zone_period(zone, periods[grain], quarter_us / US_PER_S, &start_s, &end_s);
  *start_us = quarter_down(start_s * US_PER_S + TCI_QUARTER_US - 1);
  *end_us = quarter_down(end_s * US_PER_S + TCI_QUARTER_US - 1);
}

void tci_stats_print(tci_int128 hundredths, char out[TC_STATS_AMOUNT_SIZE]) {
  unsigned __int128 left = hundredths < 0 ? 0 - (unsigned __int128)hundredths : (unsigned __int128)hundredths;
  char reversed[TC_STATS_AMOUNT_SIZE];
  size_t len = 0;
  for (int place = 0; place <= 2 || left; place++, left /= 10) {
    if (place == 2) reversed[len++] = '.';
    reversed[len++] = (char)('0' + (int)(left % 10));
  }
  if (hundredths < 0) reversed[len++] = '-';
  for (size_t i = 0; i < len; i++) out[i] = reversed[len - 1 - i];
  out[len] = '\0';
}

tci_int128 tci_stats_average(tci_int128 sum, int64_t count) {
  if (!count) return 0;
  tci_int128 whole = sum / count, rest = sum % count; /* rest is less than count: doubling it is safe */
  if (rest * 2 >= count) whole++;
  if (rest * 2 <= -(tci_int128)count) whole--;
  return whole;
}

tci_stats_row *tci_stats_add(tc_stats *stats, int *rc) {
  if (stats->count == TC_STATS_ROWS_MAX) {
    *rc = tci_fail(TC_ELIMIT, "startDate: more than %d rows, ask for a shorter range or a coarser granularity", TC_STATS_ROWS_MAX);
    return NULL;
  }
  if (stats->count == stats->cap) {
    size_t cap = stats->cap ? stats->cap * 2 : ROWS_BEGIN;
    tci_stats_row *larger = tci_realloc(stats->rows, cap * sizeof *larger);
    if (!larger) {
      *rc = tci_fail(TC_ENOMEM, "out of memory for %zu rows", cap);
      return NULL;
    }
    stats->rows = larger;
    stats->cap = cap;
  }
  tci_stats_row *row = &stats->rows[stats->count++];
  memset(row, 0, sizeof *row);
  return row;
}

int tci_stats_ready(const tc_engine *engine) {
  if (atomic_load(&engine->closing)) return tci_fail(TC_ECLOSED, "engine is closing");
  if (!tci_engine_ready(engine)) return tci_fail(TC_EBUSY, "the statistics are being rebuilt");
  return TC_OK;
}

typedef struct build {
  const tci_stats_request *request;
  tc_stats *stats;
  tci_stats_row row; /* of the period at hand */
  int wanted;        /* it is in the range */
  size_t codes;
  int rc;
} build;

static void flush(build *b) {
  if (b->rc || !b->wanted || (!b->row.tips && !b->row.reactions)) return;
  tci_stats_row *row = tci_stats_add(b->stats, &b->rc);
  if (!row) return;
  *row = b->row;
  tci_stats_row *total = &b->stats->total;
  total->sum += row->sum;
  total->tips += row->tips;
  total->reactions += row->reactions;
  if (b->stats->count == 1) total->start_us = row->start_us;
  total->end_us = row->end_us;
}

static void begin(build *b, int64_t quarter_us) {
  int64_t start, end, last = b->row.end_us;
  tci_stats_period(b->request->zone, b->request->grain, quarter_us, &start, &end);
  if (start < last) start = last; /* a zone's file may make hours that overlap; each quarter counts once all the same */
  b->row = (tci_stats_row){.start_us = start, .end_us = end};
  b->wanted = start >= b->request->from_us && start < b->request->to_us;
}

/* In order, so that the list is what it is whatever the log's order. */
static void note_currency(build *b, tc_text currency) {
  char *codes = b->stats->currencies;
  size_t at = 0;
  if (currency.len != 3 || b->codes == TCI_STATS_CURRENCIES_MAX - 1) return;
  while (at < b->codes && memcmp(codes + at * 4, currency.ptr, 3) < 0) at++;
  if (at < b->codes && !memcmp(codes + at * 4, currency.ptr, 3)) return;
  memmove(codes + (at + 1) * 4, codes + at * 4, (b->codes - at) * 4);
  memcpy(codes + at * 4, currency.ptr, 3);
  codes[at * 4 + 3] = ',';
  b->codes++;
}

static void add_unique(int64_t *to, int64_t more) {
  if (more < 0) *to = -1;
  else if (*to >= 0) *to += more;
}

static int take_quarter(const tci_quarter *quarter, void *arg) {
  build *b = arg;
  tc_text want = b->request->currency;
  if (quarter->start_us >= b->row.end_us) {
    flush(b);
    if (b->rc) return 1;
    begin(b, quarter->start_us);
  }
  if (!b->wanted) return 0;
  b->row.events += quarter->tips + quarter->reactions;
  if (quarter->currency.len == want.len && !memcmp(quarter->currency.ptr, want.ptr, want.len)) {
    b->row.tips += quarter->tips;
    b->row.sum += quarter->sum;
  } else if (quarter->tips) {
    note_currency(b, quarter->currency.len ? quarter->currency : b->request->standard);
  }
  if (quarter->currency.len) return 0; /* the default's row has what knows no currency */
  b->row.reactions += quarter->reactions;
  for (int i = 0; i < TCI_UNIQUES; i++) add_unique(&b->row.unique[i], b->request->grain == TC_GRAIN_QUARTER ? quarter->unique[i] : quarter->fresh[i]);
  return 0;
}

static int is_known(const tci_stats_request *request, const tci_stats_row *row) {
  if (request->grain != TC_GRAIN_QUARTER && (row->start_us % TCI_HOUR_US || row->end_us - row->start_us != TCI_HOUR_US)) return 0;
  return row->unique[TCI_SENDERS] >= 0 && row->unique[TCI_RECIPIENTS] >= 0 && row->unique[TCI_REACTORS] >= 0;
}

static void forget(tci_stats_row *row) {
  for (int i = 0; i < TCI_UNIQUES; i++) row->unique[i] = -1;
}

/* What the quarters could not tell. */
static int count_uniques(tc_engine *engine, const tci_stats_request *request, tc_stats *stats) {
  int64_t cost = 0;
  int rc = TC_OK;
  for (size_t i = 0; i < stats->count && !rc; i++) {
    tci_stats_row *row = &stats->rows[i];
    if (request->grain != TC_GRAIN_QUARTER && request->grain != TC_GRAIN_HOUR) {
      forget(row);
    } else if (!is_known(request, row)) {
      cost += row->events;
      if (cost > TCI_PEOPLE_EVENTS_MAX)
        rc = tci_fail(TC_ELIMIT, "startDate: more than %d events to count people among, ask for a shorter range", TCI_PEOPLE_EVENTS_MAX);
      else rc = tci_rollup_count_unique(engine, request->room, row->start_us, row->end_us, row->unique);
    }
  }
  forget(&stats->total);
  return rc;
}

int tci_stats_periods(tc_engine *engine, const tci_stats_request *request, tc_stats **out) {
  build b = {.request = request, .row = {.end_us = INT64_MIN}};
  int64_t start, from = FIRST_US, to = LAST_US, end;
  int rc = tci_stats_ready(engine);
  if (rc) return rc;
  b.stats = tci_zalloc(sizeof *b.stats);
  if (!b.stats) return tci_fail(TC_ENOMEM, "out of memory for statistics");
  /* The quarters of every period that can begin in the range; begin() looks at each. */
  int64_t first = tci_stats_quarter_up(request->from_us), last = tci_stats_quarter_up(request->to_us);
  if (first > FIRST_US) tci_stats_period(request->zone, request->grain, first - TCI_QUARTER_US, &from, &end);
  if (last < LAST_US) tci_stats_period(request->zone, request->grain, last, &start, &to);
  if (from < FIRST_US) from = FIRST_US;
  if (request->from_us < request->to_us) rc = tci_rollup_quarters(engine, request->room, from, to, take_quarter, &b);
  if (!rc) {
    flush(&b);
    rc = b.rc;
  }
  if (!rc) rc = count_uniques(engine, request, b.stats);
  if (rc) {
    tc_stats_free(b.stats);
    return rc;
  }
  if (b.codes) b.stats->currencies[b.codes * 4 - 1] = '\0';
  *out = b.stats;
  return TC_OK;
}
