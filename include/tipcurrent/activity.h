/* activity.h - what else people do in a room: follow, subscribe, raid, and types that somebody has registered. The same pipeline as tips: durable, keyed, live, to webhooks. */
#ifndef TIPCURRENT_ACTIVITY_H
#define TIPCURRENT_ACTIVITY_H

#include "create.h"
#include "page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What such an event is made of. All strings NUL-terminated UTF-8, borrowed for the call. */
typedef struct tc_activity_new {
  size_t size;
  const char *type;            /* required: "follow", "subscribe", "raid", or a registered name */
  const char *room_id;         /* required, 1 to 255 code points, not blank */
  const char *user_id;         /* the same */
  const char *target_id;       /* optional (NULL), at most 255 code points */
  const char *message;         /* optional (NULL), at most 1000 code points */
  int64_t count;               /* 0 to 9007199254740991: months of a subscription, viewers of a raid */
  const char *metadata;        /* optional (NULL), at most 65536 bytes, opaque */
  const char *idempotency_key; /* optional (NULL), see create.h; all types share their keys */
} tc_activity_new;
#define TC_ACTIVITY_NEW_INIT \
  { sizeof(tc_activity_new), 0, 0, 0, 0, 0, 0, 0, 0 }

/* Creates an event of this type and returns after its durable commit. As tc_tip_create; a type that is neither built in nor registered is TC_EINVAL. */
TC_API int tc_activity_create(tc_engine *engine, const tc_activity_new *activity, tc_event **out, int32_t *replayed);
/* The same without waiting. Returns and errors as tc_json_submit. */
TC_API int tc_activity_submit(tc_engine *engine, const tc_activity_new *activity, tc_done_fn done, void *userdata);
/* As tc_json_submit; the object's "type" says which kind it is. */
TC_API int tc_activity_json_submit(tc_engine *engine, const char *json, size_t len, const char *idempotency_key, tc_done_fn done, void *userdata);

/* The event of this type with this id into *out, as tc_tip_get. Ids count in the kind, and all registered types are one kind. type may also be "tip.refunded" and "goal.reached" here. */
TC_API int tc_activity_get(tc_engine *engine, const char *type, int64_t id, tc_event **out);

/* Which events of a type, and which page of them; filters as in tc_tip_query. */
typedef struct tc_activity_query {
  size_t size;
  const char *type;                          /* required, as for tc_activity_get; a name that nobody registered matches nothing */
  const char *room_id, *user_id, *target_id; /* filters */
  const char *after;                         /* a cursor from tc_page_next, "" for the start, NULL: by page number */
  int64_t page;                              /* 0 and up; page * page_size at most 1,000,000 */
  int32_t page_size;                         /* 1 to 1000; 0: 20 */
} tc_activity_query;
#define TC_ACTIVITY_QUERY_INIT \
  { sizeof(tc_activity_query), 0, 0, 0, 0, 0, 0, 0 }
/* One page of events of a type, newest first, into *out; the caller frees it by tc_page_free. Blocks and fails as tc_tip_list. Any thread. Of refunds user_id is the sender and target_id the tip's id; of a reached goal target_id is its id. */
TC_API int tc_activity_list(tc_engine *engine, const tc_activity_query *query, tc_page **out);

/* A registered type. Made by the library, borrowed for the call; grows at the end. */
typedef struct tc_event_type {
  size_t size;
  int64_t id, created_at_us;      /* its number, and when it was registered */
  const char *name, *description; /* as registered; description: "" when none was given */
} tc_event_type;
/* type: borrowed for the call. Runs in the calling thread, before the function that it was given to returns. */
typedef void (*tc_event_type_fn)(const tc_event_type *type, void *userdata);

/* Registers a name: [a-z][a-z0-9_]{0,49}, none that has another meaning (follow, subscribe, raid, tip, reaction, refund, goal, webhook, ready, cut, open, error, message). description: NULL is "", at most 500 code points. fn (may be NULL) is
 * shown it. *existed (may be NULL) = 1: it was there, with the same description. Blocks for a durable commit. Any thread but the engine's own.
 * Errors: TC_EINVAL, TC_EEXISTS (with another description), TC_ELIMIT (1,000 types), TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_event_type_create(tc_engine *engine, const char *name, const char *description, tc_event_type_fn fn, void *userdata, int32_t *existed);
/* No more events of this type are taken; those that are there stay. Blocks for a durable commit. Any thread but the engine's own.
 * Errors: TC_ENOTFOUND (no such type), TC_EINVAL, TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_event_type_delete(tc_engine *engine, const char *name);
/* Calls fn for each registered type, by name. Any thread; does not block on I/O. Errors: TC_EINVAL, TC_ENOMEM. */
TC_API int tc_event_type_list(tc_engine *engine, tc_event_type_fn fn, void *userdata);

#ifdef __cplusplus
}
#endif
#endif
