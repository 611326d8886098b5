/* rollup_kit.h - made-up histories with everything in them: late events, several currencies, refunds; and what they come to, computed by going over all of them again. */
#ifndef TESTS_ROLLUP_KIT_H
#define TESTS_ROLLUP_KIT_H

#include <check.h>

#include "engine/rollup/rollup.h"
#include "engine_kit.h"

enum { PAST_ROOMS = 4, PAST_USERS = 300, PAST_MAX = 40000 };

typedef struct past_event {
  uint32_t kind;
  int room, user, peer, emoji; /* numbers */
  int currency;                /* 0: the default */
  int64_t us, amount;
  int64_t tip;  /* of a refund: index of its tip */
  int64_t left; /* of a tip: what can still be refunded */
} past_event;

typedef struct past {
  past_event at[PAST_MAX];
  size_t n;
  uint64_t random;
  int64_t now_us;
} past;

extern past history;
extern kit world;                      /* SQLite; the log is written beside the engine, while there is none */
extern _Atomic int past_kill;          /* 1: nothing more of facts is committed, as after a kill */
extern _Atomic int past_commits;       /* of facts, that succeeded */
extern _Atomic int64_t past_fetched;   /* events that were read by way of the index */
extern int past_little;                /* memory is too small to count people: unknown numbers are fine, wrong ones not */
extern const char *const past_codes[]; /* "", "EUR", ... */

void past_begin(uint64_t seed, uint64_t rollup_bytes);
void past_end(void);
tc_storage *past_storage(void); /* while there is no engine; to be closed with tci_sqlite_ops.close */
uint64_t past_random(uint64_t below);
const char *past_room(int room); /* -1: "", all */
void past_name(char out[16], char first, int number);
/* Adds n events to the log, no engine running. late: one in so many lies up to days before the others; 0: none. */
void past_add(size_t n, uint64_t late, int64_t step_us);
void past_open(void); /* and waits until the rollup has everything */
void past_close(int kill);
/* Compares quarters, emojis and recipients of all rooms with the history. */
void past_compare(void);
int past_in_room(const past_event *event, int room);
const past_event *past_tip_of(const past_event *event); /* itself, or a refund's tip */

#endif
