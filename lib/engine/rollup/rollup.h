/* rollup.h - sums, counts and boards over the log, kept as it grows: what the rest of the engine and lib/api see of it.
 *
 * The rollup is one more cursor. It runs on the indexer's thread, is as exact as the log, and nearly as fresh (0.2 to 1 s behind, in a storm a few seconds). docs/decisions/0006-cells.md says
 * how it is made. Reads: any thread, several at once; they may read the derived file, so not on the front's thread. All return TC_OK or a code with its detail:
 * TC_ENOTSUP (the storage keeps no facts), TC_EBUSY (no reader is free, or the rollup is being built anew: it is far behind the log), TC_ESTORAGE, TC_ENOMEM, TC_ELIMIT.
 */
#ifndef TCI_ENGINE_ROLLUP_H
#define TCI_ENGINE_ROLLUP_H

#include "engine/engine.h"

__extension__ typedef __int128 tci_int128;

/* 15 minutes, the grain of time; bounds of ranges are multiples of it, counted from 1970. */
#define TCI_QUARTER_US (INT64_C(900) * 1000000)
#define TCI_HOUR_US (4 * TCI_QUARTER_US)
#define TCI_DAY_US (24 * TCI_HOUR_US)

typedef struct tci_rollup tci_rollup;

/* ---- life. Not needed by readers ---- */

/* With the storage open. bytes: of memory; 0: 128 MiB. *out stays NULL, and it is no failure, when the storage has no facts. */
int tci_rollup_open(tc_engine *engine, uint64_t bytes);
/* Writes what is not written yet, as far as the disk lets it. Takes NULL. No other call is running. */
void tci_rollup_close(tci_rollup *rollup);
typedef enum tci_rollup_more {
  TCI_ROLLUP_DONE = 0,
  TCI_ROLLUP_AT_ONCE, /* there is more to do, ask again */
  TCI_ROLLUP_SOON     /* there is, and it waits for the end of a storm, or gives way to deliveries: ask again within a fifth of a second */
} tci_rollup_more;
/* Indexer's thread: these events follow what was given last, or are given again, or leave a hole: then they are read from the log. n may be 0. Failures are
 * logged and tried again: they are not the index's. */
void tci_rollup_step(tc_engine *engine, tc_event *const *events, size_t n, tci_rollup_more *more);

/* Of several nodes the leader counts, the others read what he has written. Indexer's thread.
 * take_up: reads where the facts stand, and counts from there; what was in memory goes. TC_OK, or what keeps it: then it still follows. lay_down: counts no more, and forgets what it has not
 * written. follow: the facts are up to this seq now. */
int tci_rollup_take_up(tc_engine *engine);
void tci_rollup_lay_down(tc_engine *engine);
void tci_rollup_follow(tc_engine *engine, int64_t facts_seq);

/* 1: the end of a storm, or of the engine, is waited for. Indexer's thread. */
int tci_rollup_waits(const tc_engine *engine);

/* ---- reading ---- */

/* The rollup has everything up to this seq. 0 where there is none. */
int64_t tci_rollup_seq(const tc_engine *engine);
/* 0: it is being built anew, far behind the log: reads give TC_EBUSY. */
int tci_rollup_ready(const tc_engine *engine);

enum { TCI_SENDERS = 0, TCI_RECIPIENTS, TCI_REACTORS, TCI_UNIQUES };

/* What a room had in one quarter in one currency. The row of the log's default currency (text of length 0) is there whenever there was anything at all; it alone
 * has the reactions and the uniques, which count over all currencies. */
typedef struct tci_quarter {
  int64_t start_us;
  tc_text currency; /* borrowed for the call; len 0: the default one */
  int64_t tips;
  tci_int128 sum;   /* less what was refunded of tips of this quarter; hundredths */
  int64_t refunded; /* how many refunds were of tips of this quarter */
  int64_t reactions;
  int64_t unique[TCI_UNIQUES]; /* of this quarter; -1: unknown, ask tci_rollup_count_unique */
  int64_t
    fresh[TCI_UNIQUES]; /* of them, those that none of the hour's other quarters counted before: an hour's uniques are the sum over its four. -1: unknown */
} tci_quarter;
/* Non-zero stops the walk; the function then returns TC_OK all the same. A callback does not call back. */
typedef int (*tci_quarter_fn)(const tci_quarter *quarter, void *arg);

/* room: len 0: all rooms together. [from_us, to_us): multiples of TCI_QUARTER_US. Ascending by start, then the default currency first, the others in no certain order. */
int tci_rollup_quarters(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, tci_quarter_fn fn, void *arg);

/* How often an emoji was used in a quarter. Ascending by start; within it in no certain order. */
typedef struct tci_emoji_count {
  int64_t start_us;
  tc_text emoji; /* canonical; borrowed for the call */
  int64_t count;
} tci_emoji_count;
typedef int (*tci_emoji_fn)(const tci_emoji_count *emoji, void *arg);
int tci_rollup_emojis(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, tci_emoji_fn fn, void *arg);

/* What a recipient got in a quarter in one currency. Order as above. */
typedef struct tci_recipient_sum {
  int64_t start_us;
  tc_text currency, recipient; /* borrowed for the call */
  int64_t tips;
  tci_int128 sum;
} tci_recipient_sum;
typedef int (*tci_recipient_fn)(const tci_recipient_sum *recipient, void *arg);
int tci_rollup_recipients(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, tci_recipient_fn fn, void *arg);

/* Exact from the events themselves (index and tail), whatever the bounds: costs them, at most TCI_PEOPLE_EVENTS_MAX, else TC_ELIMIT. out[TCI_SENDERS ...]. */
#define TCI_PEOPLE_EVENTS_MAX 5000000
int tci_rollup_count_unique(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, int64_t out[TCI_UNIQUES]);

/* A goal's progress since after_seq of its making. Both 0 where nothing has come. */
int tci_rollup_goal(tc_engine *engine, int64_t goal_id, tci_int128 *amount, int64_t *count);

/* Computes what the quarters of [from_us, to_us) must be anew from the log (sums, counts, uniques, emojis, recipients), compares, and puts right what differs:
 * *changed says how many values did, 0 is expected. Runs on the indexer's thread hour by hour, between its other work, and waits. */
int tci_rollup_rebuild(tc_engine *engine, int64_t from_us, int64_t to_us, int64_t *changed);

#endif
