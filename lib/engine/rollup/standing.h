/* standing.h - where a user stands: what he has of all time, and of the day he came last, in one cell.
 *
 * Design notes
 *  - A tip changes two windows of a board, all time and its day. One cell for both (TCI_SPACE_BOARD, time TCI_ALL_TIME) halves what is found, kept and written a tip. When the user
 *    comes on a later day, what he had of the former goes into a cell of that day (TCI_SPACE_PAST): once a user and day.
 *  - So what a user has of a day is in one place: in his cell, while that is his last day, else in the day's. A tip or refund of an earlier day than his last goes to the day's.
 */
#ifndef TCI_ENGINE_ROLLUP_STANDING_H
#define TCI_ENGINE_ROLLUP_STANDING_H

#include "engine/rollup/cells.h"

/* All that one change touches of a board. */
typedef struct tci_standing {
  tci_group *all, *day; /* their tops */
  tci_cell *cell;
  tci_group *left_group; /* the day he came last, when this is a later one: NULL otherwise */
  tci_cell *left;
  tci_cell *past; /* of the change's day, when that is an earlier one */
} tci_standing;

/* Finds everything, changes no value. Indexer's thread, under the mutex, as the next. */
int tci_standing_take(tci_rollup *rollup, tci_standing *out, tci_hash board, uint32_t day, tci_hash who, tc_text name);
/* Cannot fail. */
void tci_standing_change(tci_rollup *rollup, const tci_standing *standing, uint32_t day, tci_int128 amount, int64_t tips, int64_t seq);

/* What he has now of both windows, into their tops: of a board whose tops were written before that (tci_top_settle). Indexer's thread, under the mutex. */
int tci_standing_settle(tci_rollup *rollup, tci_hash board, uint32_t day, tci_hash who, tc_text name);

/* What a reader gets. Of a window from == TCI_ALL_TIME: all time, else the days [from, to), a user as often as he is on one of them; value->n is as of TCI_SPACE_PAST, key says nothing. */
int tci_standing_walk(tci_rollup *rollup, tci_hash board, uint32_t from, uint32_t to, tci_value_fn fn, void *arg);
/* A user's, of all time or of a day. *found = 0: he is not there. value->name is not set. */
int tci_standing_find(tci_rollup *rollup, tci_hash board, uint32_t window, tci_hash who, tci_value *value, int *found);

/* Makes a group's top anew from all that stand on its board. Indexer's thread, under the mutex. */
int tci_top_rebuild(tci_rollup *rollup, tci_group *group);

#endif
