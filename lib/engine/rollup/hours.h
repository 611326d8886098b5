/* hours.h - who has been seen in an hour: sets in memory, one table an hour, for counts of different people that are exact.
 *
 * An entry is 124 bits of keyed hash of (room, role, user) and, in the last four, the quarters of the hour that have seen him. An hour's table is complete when the hour's first
 * event was its first, or when it was filled from the index. One that is too large to be kept is unknown, and stays it.
 */
#ifndef TCI_ENGINE_ROLLUP_HOURS_H
#define TCI_ENGINE_ROLLUP_HOURS_H

#include <stddef.h>
#include <stdint.h>

#define TCI_HOURS_KEPT 4 /* of which tables exist: the running one, the one before, and some for histories that come late */

enum { TCI_HOUR_NONE = 0, TCI_HOUR_KNOWN, TCI_HOUR_UNKNOWN };

typedef struct tci_hour {
  int64_t hour; /* since 1970 */
  int state;
  uint64_t used;
  uint64_t (*slots)[2]; /* {0, 0}: free */
  size_t n, mask;
} tci_hour;

typedef struct tci_hours {
  tci_hour at[TCI_HOURS_KEPT];
  uint64_t bytes, bytes_max, clock;
} tci_hours;

/* The hour's table; NULL: there is none. */
tci_hour *tci_hours_find(tci_hours *hours, int64_t hour);
/* A new, empty table for an hour that has none, in the place of the one that was not used for longest. */
tci_hour *tci_hours_begin(tci_hours *hours, int64_t hour);
/* quarter: 0 to 3. Returns TCI_SEEN_X: 0: new in the hour. An hour that cannot take him becomes unknown; then, and when it was, -1. */
enum { TCI_SEEN_IN_HOUR = 1, TCI_SEEN_IN_QUARTER = 2 };
int tci_hour_see(tci_hours *hours, tci_hour *hour, uint64_t h, uint64_t g, int quarter);
/* Has the place where one would be seen fetched into the cache. */
void tci_hours_prefetch(const tci_hours *hours, int64_t hour, uint64_t h);
void tci_hour_give_up(tci_hours *hours, tci_hour *hour); /* unknown from here on */
void tci_hour_forget(tci_hours *hours, tci_hour *hour);  /* there is none any more */
void tci_hours_free(tci_hours *hours);                   /* there is none any more of all */

#endif
