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

/* All strings NUL-terminated UTF-8, borrowed for the call. */
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

enum {
  TC_GOAL_OPEN = 1,
  TC_GOAL_REACHED = 2, /* and still counting */
  TC_GOAL_EXPIRED = 3, /* past its deadline, not reached */
  TC_GOAL_CLOSED = 4   /* by tc_goal_close; reached_at_us tells whether it was reached before */
};

/* A goal at one moment. Made by the library, borrowed for the call; grows at the end. */
typedef struct tc_goal {
  size_t size;
  int64_t id, target_amount, target_count, created_at_us;
  int64_t deadline_us, reached_at_us, closed_at_us; /* 0: none, not yet */
  int32_t status;                                   /* TC_GOAL_X */
  int32_t has_progress;                             /* 0: not known now: the sums are being built anew, or the storage keeps none */
  int64_t progress_count;                           /* how many tips count, some 0.3 s old at most; in a storm (stats.h) a few seconds */
  int64_t progress_amount;                          /* and their sum, of a goal with a target amount; INT64_MAX: at least that */
  const char *room_id, *title;
  const char *currency, *recipient_id; /* NULL: none was named, or the default one */
} tc_goal;
typedef void (*tc_goal_fn)(const tc_goal *goal, void *userdata);

/* Those that change something: any thread but the engine's own; block for a durable commit. fn (may be NULL) is shown the goal. *replayed (may be NULL) = 1: the key was known.
 * Errors: TC_EINVAL (names the field), TC_EMISMATCH, TC_ELIMIT (100 open goals a room, 100,000 in all), TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_goal_create(tc_engine *engine, const tc_goal_new *goal, tc_goal_fn fn, void *userdata, int32_t *replayed);
/* The same from a JSON object: "title", "targetAmount" (a number, or a string that holds one) or "targetCount", "currency", "recipientId", "deadline" (an instant, as ISO 8601 with Z or an
 * offset). json need not be NUL-terminated. */
TC_API int tc_goal_json_create(tc_engine *engine, const char *room_id, const char *json, size_t len, const char *idempotency_key, tc_goal_fn fn, void *userdata,
                               int32_t *replayed);
/* Nothing counts for it from here on; of one that is closed already nothing changes. Besides: TC_ENOTFOUND. */
TC_API int tc_goal_close(tc_engine *engine, int64_t id, tc_goal_fn fn, void *userdata);
/* Any thread; block for database reads. TC_ENOTFOUND, TC_EBUSY (indexes being rebuilt), TC_ESTORAGE, TC_ENOMEM. */
TC_API int tc_goal_get(tc_engine *engine, int64_t id, tc_goal_fn fn, void *userdata);
/* All goals of the room, by id. */
TC_API int tc_goal_list(tc_engine *engine, const char *room_id, tc_goal_fn fn, void *userdata);

#ifdef __cplusplus
}
#endif
#endif
