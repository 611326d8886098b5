/* stats.h - answers over quarters of an hour: what include/tipcurrent/stats.h promises, on top of the rollup's cells. */
#ifndef TCI_ENGINE_STATS_H
#define TCI_ENGINE_STATS_H

#include "base/zone.h"
#include "engine/engine.h"
#include "engine/rollup/rollup.h"
#include "tipcurrent/stats.h"

#define TCI_STATS_NAMES_MAX (64u << 20) /* bytes of names in one answer */
#define TCI_STATS_CURRENCIES_MAX 256    /* ISO 4217 has fewer */

typedef struct tci_stats_row {
  int64_t start_us, end_us;
  tci_int128 sum;
  int64_t tips, reactions;
  int64_t events;              /* of all currencies: what counting them would cost */
  int64_t unique[TCI_UNIQUES]; /* -1: unknown or not told */
  const char *name;            /* into tc_stats.names */
} tci_stats_row;

struct tc_stats {
  size_t count, cap;
  tci_stats_row *rows;
  tci_stats_row total;
  char *names;
  char currencies[TCI_STATS_CURRENCIES_MAX * 4];
};

typedef struct tci_stats_request {
  tc_text room;         /* "": all */
  tc_text currency;     /* "": the default */
  tc_text standard;     /* the default's code */
  const tci_zone *zone; /* NULL: UTC */
  uint32_t grain;
  int64_t from_us, to_us; /* INT64_MIN, INT64_MAX: no bound */
} tci_stats_request;

/* stats.c, shares.c: each makes *out. */
int tci_stats_periods(tc_engine *engine, const tci_stats_request *request, tc_stats **out);
int tci_stats_emojis(tc_engine *engine, const tci_stats_request *request, tc_stats **out);
int tci_stats_recipients(tc_engine *engine, const tci_stats_request *request, tc_stats **out);

/* A zeroed row at the end; NULL, with the detail and *rc set: too many, or out of memory. */
tci_stats_row *tci_stats_add(tc_stats *stats, int *rc);
/* TC_OK when the rollup may be asked. */
int tci_stats_ready(const tc_engine *engine);

/* The bounds in quarters: those that begin in [from_us, to_us). Pure. */
int64_t tci_stats_quarter_up(int64_t us);
/* The period of a quarter, in quarters: where the zone's calendar begins a period within one, that quarter belongs to the period before. Pure. */
void tci_stats_period(const tci_zone *zone, uint32_t grain, int64_t quarter_us, int64_t *start_us, int64_t *end_us);

/* Decimal text with two decimals; exact. out gets a NUL. Pure. */
void tci_stats_print(tci_int128 hundredths, char out[TC_STATS_AMOUNT_SIZE]);
/* Half away from zero; 0 of none. Pure. */
tci_int128 tci_stats_average(tci_int128 sum, int64_t count);

#endif
