/* subscription.h - follow the log: a subscription is a cursor.
 *
 * It holds the seq it has reached and nothing else: no queue of its own that could overflow. What is recent it reads from the tail in memory, what is older
 * from the log; so a subscriber that is slow, or that starts in the past, sees every event of its room exactly once, in seq order, however late.
 *
 * Callbacks run on the engine's dispatcher thread (without threads: whichever runs the engine, tc_engine_poll), one at a time per engine, in seq order, after the commit, with no engine lock held. They may call any tc_
 * function but tc_close, tc_stats_rebuild and what changes webhooks, goals and event types (TC_EINVAL). A slow callback delays the other callback subscribers, not the engine and not pull subscribers.
 *
 * A subscription looks at every event and passes on what matches: with thousands of rooms to serve, take one subscription for all rooms and route the events yourself.
 */
#ifndef TIPCURRENT_SUBSCRIPTION_H
#define TIPCURRENT_SUBSCRIPTION_H

#include "engine.h"
#include "event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A subscription: opaque, of tc_subscribe, until tc_sub_close. */
typedef struct tc_sub tc_sub;

/* For tc_sub_options.flags. */
enum {
  TC_SUB_AFTER_SEQ = 1u << 0 /* begin after after_seq; without this flag: with the first event committed after tc_subscribe */
};

/* Where several engines share the log (tc_status.others), one of them may have shown an event that another has yet to see: so many events beyond the log's end an after_seq is taken as it is. */
#define TC_SUB_AHEAD_MAX 1000000

/* What to follow, and from where on. */
typedef struct tc_sub_options {
  size_t size;
  const char *room_id; /* NULL: all rooms. Copied */
  uint64_t kinds;      /* bit mask of (1 << TC_KIND_X); 0: all */
  int64_t after_seq;   /* with TC_SUB_AFTER_SEQ: 0 is the whole log; beyond the log's end is taken as the end, see TC_SUB_AHEAD_MAX */
  uint32_t flags;      /* TC_SUB_AFTER_SEQ */
} tc_sub_options;
#define TC_SUB_OPTIONS_INIT \
  { sizeof(tc_sub_options), 0, 0, 0, 0 }

/* event: borrowed for the call, tc_event_ref() to keep it. */
typedef void (*tc_event_fn)(const tc_event *event, void *userdata);

/* Opens a subscription into *out, the caller closes it. options NULL: everything from now. fn NULL: pull by tc_sub_next. Any thread; does not block.
 * Errors: TC_EINVAL, TC_ELIMIT (1,024 subscriptions an engine), TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_subscribe(tc_engine *engine, const tc_sub_options *options, tc_event_fn fn, void *userdata, tc_sub **out);

/* Pull: the next event into *out, the caller unrefs. timeout_ms 0: do not wait; -1: as long as it takes; where the event is old it blocks for a read of the log. One thread at a time per subscription.
 * Errors: TC_ETIMEOUT (none came), TC_ECLOSED (shut down and drained), TC_ESTORAGE (the log could not be read; try again), TC_EINVAL (has a callback), TC_ENOMEM. */
TC_API int tc_sub_next(tc_sub *sub, int32_t timeout_ms, tc_event **out);

/* Pull: a file descriptor that polls readable when tc_sub_next may have something (also at shutdown). Level-triggered; it falls back when tc_sub_next answers
 * TC_ETIMEOUT. Owned by the subscription: do not read or close it. -1 when it has a callback. Any thread; does not block. */
TC_API int tc_sub_fd(tc_sub *sub);

/* The seq up to which this subscription has passed on everything that matches: where to resume. Any thread; does not block. */
TC_API int64_t tc_sub_seq(tc_sub *sub);

/* Ends and frees a subscription. Outside callbacks it returns once its callback no longer runs; inside its own callback it takes effect when that returns. NULL is fine. Any thread; blocks for a callback
 * that runs. */
TC_API void tc_sub_close(tc_sub *sub);

#ifdef __cplusplus
}
#endif
#endif
