/* tail.h - the newest events in memory: everything that is committed but not yet indexed, and a little more for those who follow live.
 *
 * Design notes
 *  - A ring of nodes, contiguous in seq: [base, end]. Events up to `indexed` may be dropped; TCI_TAIL_BEHIND of them are kept so that a live reader which
 *    wakes a moment after the indexer still finds its next event here instead of in the log.
 *  - Chains: in each dimension (room, user, key ...) a node points back to the next older one with the same kind and text, and a hash table knows the newest of
 *    each chain; so a read walks only what matches. A chain ends where it would leave the ring, so dropping old nodes needs no unlinking.
 *  - One mutex, held for walks in memory only. The writer adds a whole batch under it. Memory is reserved before the commit: adding cannot fail afterwards.
 */
#ifndef TCI_ENGINE_TAIL_H
#define TCI_ENGINE_TAIL_H

#include "base/siphash.h"
#include "model/event.h"

#define TCI_TAIL_BEHIND 4096

typedef struct tci_tail tci_tail;

/* An empty tail whose next event is end_seq + 1. TC_OK or TC_ENOMEM. */
int tci_tail_new(tci_tail **out, const tci_sipkey *key, int64_t end_seq, uint32_t max_events, uint64_t max_bytes);
void tci_tail_free(tci_tail *tail); /* drops its references */

/* Writer only. Room for n more nodes, so that tci_tail_add cannot fail. TC_OK or TC_ENOMEM. */
int tci_tail_reserve(tci_tail *tail, size_t n);
/* Writer only: what may be unindexed is bounded. 1 when n more events of so many bytes fit (or nothing at all is unindexed), else 0 after at most timeout_us. */
int tci_tail_wait_room(tci_tail *tail, size_t n, uint64_t bytes, int64_t timeout_us);
/* Writer only, after the commit: the next n events in seq order. Takes a reference of each. */
void tci_tail_add(tci_tail *tail, tc_event *const *events, size_t n);
/* The index is built up to seq: what is older may go. */
void tci_tail_indexed(tci_tail *tail, int64_t seq);

int64_t tci_tail_base(tci_tail *tail); /* first seq it holds; end + 1 when empty */
int64_t tci_tail_end(tci_tail *tail);
void tci_tail_usage(tci_tail *tail, uint64_t *events, uint64_t *bytes);

/* The newest with this key or id; the caller unrefs. NULL: none here. */
tc_event *tci_tail_find_key(tci_tail *tail, uint32_t kind, tc_text key);
tc_event *tci_tail_find_id(tci_tail *tail, uint32_t kind, int64_t id);

typedef struct tci_hits {
  tc_event **events; /* list order: createdAt DESC, seq DESC; each a reference */
  size_t n;
  int64_t total; /* all that match, from the top */
  int64_t base;  /* the tail's base at that moment: what lies between index_seq and it must come from the log */
} tci_hits;

/* What matches beyond index_seq: counts all, collects the first `need` that come after *after (NULL: from the top). TC_OK or TC_ENOMEM. */
int tci_tail_collect(tci_tail *tail, const tc_filter *filter, int64_t index_seq, const tc_position *after, size_t need, tci_hits *out);
/* Into list order; drops all but the first keep. */
void tci_hits_sort(tci_hits *hits, size_t keep);
void tci_hits_free(tci_hits *hits);

/* Contiguous events from from_seq on, at most max, as references into out. Returns how many; 0 when there are none yet; -1 when from_seq is before the base. */
int64_t tci_tail_take(tci_tail *tail, int64_t from_seq, size_t max, tc_event **out);
/* For subscriptions: the same, but only those of the room (ptr NULL: all) and kinds (bit mask); *next_seq moves past all that was looked at. */
int64_t tci_tail_follow(tci_tail *tail, int64_t *next_seq, tc_text room, uint64_t kinds, size_t max, tc_event **out);

/* 1 when a stands before b in list order. */
int tci_position_before(int64_t a_created_at_us, int64_t a_seq, int64_t b_created_at_us, int64_t b_seq);

#endif
