/* top.h - the best of a board, in order: an exact prefix of it, so that the first hundred of any board are one look, whatever stands behind them.
 *
 * Whether a user is in the prefix follows from his old value alone: he is, where that stands at or before the last of it. So the cells need not say, and a user is found
 * by bisection. Order: larger sum first, then who reached it earlier. Only sums above zero stand on a board.
 */
#ifndef TCI_ENGINE_ROLLUP_TOP_H
#define TCI_ENGINE_ROLLUP_TOP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tipcurrent/common.h"

#define TCI_TOP_MAX 128   /* kept */
#define TCI_TOP_SHOWN 100 /* with fewer, and more behind them, it is built again: refunds take from it what they push below its end */

__extension__ typedef __int128 tci_top_sum;

typedef struct tci_top_entry {
  tci_top_sum sum;
  int64_t count, seq;
  char *name;
  size_t name_len;
} tci_top_entry;

/* Who moves, moves a byte of the order and a head: entries are a cache line each, and a busy board has a hundred moves a second. */
typedef struct tci_top {
  tci_top_entry *entries; /* in no order */
  int64_t *heads;         /* in order: the sum, or as much of it as fits. So that a place is found by a look at one of the entries */
  uint32_t n, cap;
  uint8_t order[TCI_TOP_MAX + 1]; /* the best first: which entry */
  uint8_t complete;               /* nobody stands behind these */
  uint8_t stale;                  /* memory ended while it was changed: it is to be built again */
  uint8_t settling;               /* it has a limit */
  tci_top_sum limit_sum;          /* who stands behind this and is not in it may be missing: tci_top_settle */
  int64_t limit_seq;
} tci_top;

/* i < n; 0: the best. */
tci_top_entry *tci_top_at(const tci_top *top, size_t i);
/* Behind the last. Reserved. Takes the name over. */
void tci_top_append(tci_top *top, const tci_top_entry *entry);
/* Memory for one more, so that tci_top_move can do without for all but the name. TC_OK or TC_ENOMEM. */
int tci_top_reserve(tci_top *top);
/* A user's value was old_sum, old_seq (sum 0: he was not on the board) and is now `sum`, reached at seq. Reserved. 1: the prefix has changed. Out of memory makes it stale. */
int tci_top_move(tci_top *top, tc_text name, tci_top_sum old_sum, int64_t old_seq, tci_top_sum sum, int64_t count, int64_t seq);
/* For one that was written before its users' last changes: whatever a user had when it was, his value now is this. When it has been called for all that have changed since, in any order and
 * any number of times, it is an exact prefix again, perhaps a shorter one. 1: it has changed. Out of memory makes it stale. */
int tci_top_settle(tci_top *top, tc_text name, tci_top_sum sum, int64_t count, int64_t seq);
int tci_top_needs_rebuild(const tci_top *top);
/* 1: (a_sum, a_seq) stands before (b_sum, b_seq). */
int tci_top_before(tci_top_sum a_sum, int64_t a_seq, tci_top_sum b_sum, int64_t b_seq);
size_t tci_top_bytes(const tci_top *top);
int tci_top_put(const tci_top *top, tci_buf *out); /* out->err */
int tci_top_get(tci_top *top, tc_text bytes);      /* into an empty one. TC_OK, TC_ENOMEM, TC_ECORRUPT; then it is empty */
void tci_top_free(tci_top *top);                   /* and it is empty and complete */

#endif
