/* goals.h - the registry of goals: what a room wants to reach, which tips count for it, and that it was reached.
 *
 * Design notes
 *  - A goal is a document in the log with the log's end at its making (after_seq) and at its closing (closed_seq), both exact: they are written on the writer's thread. So which tips count is
 *    a pure function of the log and the registry, and a rollup that is built anew counts the same ones. No event behind after_seq is committed before the registry has the goal, and the
 *    registry is loaded before the rollup: so the rollup, be it ahead or behind, never meets an event of a goal that it cannot see.
 *  - Progress is the rollup's (rollup.h), which keeps beside it at which event the target was met, and tells by tci_goal_reached. That a goal was reached is an event of its own, once for
 *    ever: the registry reads the list of those events before it appends one, the writer looks once more when it decides, and its key is the goal's (goal/7/reached). Until the indexes are
 *    ready, and while the queue is full, it waits in the registry; after a kill the rollup tells it again.
 *  - Counting is on the indexer's thread: with no goal that takes anything it is one look at an atomic.
 */
#ifndef TCI_ENGINE_GOALS_H
#define TCI_ENGINE_GOALS_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "tipcurrent/goal.h"
#include "tipcurrent/sys/storage.h"

#define TCI_GOALS_OF_ROOM_MAX 100 /* open at a time */
#define TCI_GOALS_MAX 100000

/* What a goal is. Immutable but for what stands last; all texts NUL-terminated, and there until the engine is closed. */
typedef struct tci_goal {
  int64_t id, created_at_us, after_seq;
  int64_t target_amount, target_count; /* one of them is 0 */
  int64_t deadline_us;                 /* 0: none; a tip created then or later does not count */
  const char *room, *title;
  const char *currency;             /* NULL: the default one, or (any_currency) each */
  int any_currency;                 /* of a goal that counts tips, and names none */
  const char *recipient;            /* NULL: anybody */
  const char *key;                  /* the Idempotency-Key it was made with, or NULL */
  int64_t closed_at_us, closed_seq; /* 0: open */
  int64_t reached_at_us;            /* 0: not reached, as far as is known */
} tci_goal;

typedef struct tci_goals tci_goals;

int tci_goals_open(tc_engine *engine); /* loads; sets engine->goals */
void tci_goals_free(tci_goals *goals); /* takes NULL */

/* Called with the registry locked: short, and no call back into it. Non-zero stops the walk. */
typedef int (*tci_goal_fn)(const tci_goal *goal, void *arg);

/* ---- for the rollup, on its thread ---- */

/* The goals of the room that take an event with this seq: made before it, not closed before it. The rest is tci_goal_takes. */
void tci_goals_of(tc_engine *engine, tc_text room, int64_t seq, tci_goal_fn fn, void *arg);
/* 1: a tip counts for the goal. tip: the TIP's record, or a REFUND's, which has the tip's room, recipient and currency; tip_seq and tip_created_at_us are the tip's in both cases, event_seq
 * is the event's own. A refund that comes after the goal was closed changes nothing, as the tip of one would not. Pure. */
int tci_goal_takes(const tci_goal *goal, const tc_record *tip, int64_t tip_seq, int64_t tip_created_at_us, int64_t event_seq);
/* 1: this much meets the goal's target. Pure. */
int tci_goal_is_met(const tci_goal *goal, int64_t amount, int64_t count);
/* The target is met, with this much: to be said once for ever (TC_KIND_GOAL_REACHED). May be told again, and again after a restart. Memory only; before and while the engine runs. */
void tci_goal_reached(tc_engine *engine, int64_t id, int64_t amount, int64_t count);
/* Indexer's thread: says what is to be said. Costs one look when there is nothing. */
void tci_goals_step(tc_engine *engine);

/* ---- for the writer ---- */

/* 1: this GOAL_REACHED is in the log already. The commit before may have turned out to be stored only after we asked for it once more. */
int tci_goals_is_said(tc_engine *engine, const tc_record *record);
/* Before a commit: whether a change whose outcome was unknown is stored. Not TC_OK: nobody knows, and nothing may be appended, since a goal's place in the log is its end at the change. */
int tci_goals_settle(tc_engine *engine);
/* Another node has changed some. */
int tci_goals_reload(tc_engine *engine);
/* After the commit: these are in the log. */
void tci_goals_follow(tc_engine *engine, tc_event *const *events, size_t n);

/* ---- for lib/api ---- */

int tci_goals_create(tc_engine *engine, const tci_goal *wanted, int64_t *id, int32_t *replayed);
int tci_goals_close(tc_engine *engine, int64_t id);
/* The goal with this id (room NULL), or all of a room, by id. TC_ENOTFOUND: no such id. TC_EBUSY: the indexes are not ready, so nobody knows which were reached. */
int tci_goals_read(tc_engine *engine, int64_t id, const char *room, tci_goal_fn fn, void *arg);

#endif
