/* goal.h - goals: what a room wants to reach in tips, by amount or by number, from the moment the goal is made.
 *
 * Which tips count: those of the room that are committed after the goal was made and before it is closed, created before its deadline, in its currency (a goal that counts tips takes
 * every currency unless it names one), for its recipient if it names one. Refunds of such tips take their amount back; they are still tips, so the number stays. When the target is met, an
 * event (TC_KIND_GOAL_REACHED, "goal.reached") says so, once for ever: a goal that was reached stays reached, and goes on counting until it is closed.
 */
#ifndef TIPCURRENT_GOAL_H
#define TIPCURRENT_GOAL_H

#include "engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a goal is made of. All strings NUL-terminated UTF-8, borrowed for the call. */
typedef struct tc_goal_new {
  size_t size;
  const char *room_id;         /* required, 1 to 255 code points, not blank */
  const char *title;           /* required, 1 to 200 code points, not blank */
  int64_t target_amount;       /* hundredths; either this */
  int64_t target_count;        /* or this many tips; the other is 0 */
  const char *currency;        /* optional (NULL), an ISO 4217 code; of an amount NULL is tc_engine_currency() */
  const char *recipient_id;    /* optional (NULL): only tips for this one, 1 to 255 code points, not blank */
  int64_t deadline_us;         /* optional (0), in the future */
  const char *idempotency_key; /* optional (NULL), see create.h; goals have keys of their own */
} tc_goal_new;
#define TC_GOAL_NEW_INIT \
  { sizeof(tc_goal_new), 0, 0, 0, 0, 0, 0, 0, 0 }

/* Where a goal stands: tc_goal.status. */
enum {
  TC_GOAL_OPEN = 1,    /* not reached yet */
  TC_GOAL_REACHED = 2, /* and still counting */
  TC_GOAL_EXPIRED = 3, /* past its deadline, not reached */
  TC_GOAL_CLOSED = 4   /* by tc_goal_close; reached_at_us tells whether it was reached before */
};

/* A goal at one moment. Made by the library, borrowed for the call; grows at the end. */
typedef struct tc_goal {
  size_t size;
  int64_t id, target_amount, target_count, created_at_us; /* as in tc_goal_new; created_at_us: from when on tips count */
  int64_t deadline_us, reached_at_us, closed_at_us;       /* 0: none, not yet */
  int32_t status;                                         /* TC_GOAL_X */
  int32_t has_progress;                                   /* 0: not known now: the sums are being built anew, or the storage keeps none */
  int64_t progress_count;                                 /* how many tips count, some 0.3 s old at most; in a storm (stats.h) a few seconds */
  int64_t progress_amount;                                /* and their sum, of a goal with a target amount; INT64_MAX: at least that */
  const char *room_id, *title;                            /* as in tc_goal_new */
  const char *currency, *recipient_id;                    /* NULL: none was named, or the default one */
} tc_goal;
/* goal: borrowed for the call. Runs in the calling thread, before the function that it was given to returns. */
typedef void (*tc_goal_fn)(const tc_goal *goal, void *userdata);

/* Makes a goal; fn (may be NULL) is shown it. *replayed (may be NULL) = 1: the key was known. Any thread, but not inside a callback (TC_EINVAL); blocks for a durable commit.
 * Errors: TC_EINVAL (names the field), TC_EMISMATCH, TC_ELIMIT (100 open goals a room, 100,000 in all), TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_goal_create(tc_engine *engine, const tc_goal_new *goal, tc_goal_fn fn, void *userdata, int32_t *replayed);
/* The same from a JSON object: "title", "targetAmount" (a number, or a string that holds one) or "targetCount", "currency", "recipientId", "deadline" (an instant, as ISO 8601 with Z or an
 * offset). json need not be NUL-terminated. Threads, blocking and errors as tc_goal_create. */
TC_API int tc_goal_json_create(tc_engine *engine, const char *room_id, const char *json, size_t len, const char *idempotency_key, tc_goal_fn fn, void *userdata,
                               int32_t *replayed);
/* Closes a goal: nothing counts for it from here on; of one that is closed already nothing changes. fn (may be NULL) is shown it. Any thread, but not inside a callback; blocks for a durable commit.
 * Errors: TC_ENOTFOUND, TC_EINVAL, TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_goal_close(tc_engine *engine, int64_t id, tc_goal_fn fn, void *userdata);
/* Shows the goal with this id to fn. Any thread; blocks for database reads. Errors: TC_ENOTFOUND, TC_EINVAL, TC_EBUSY (indexes being rebuilt), TC_ESTORAGE, TC_ENOMEM. */
TC_API int tc_goal_get(tc_engine *engine, int64_t id, tc_goal_fn fn, void *userdata);
/* Shows all goals of the room to fn, by id; a room without goals has none to show, which is no failure. Any thread; blocks and fails as tc_goal_get. */
TC_API int tc_goal_list(tc_engine *engine, const char *room_id, tc_goal_fn fn, void *userdata);

#ifdef __cplusplus
}
#endif
#endif
