/* event.h - an event: one row of the log, immutable, shared by reference.
 *
 * Every kind is the same object with a kind number and a set of fields, so that a new kind adds no function and breaks no ABI. An event is created by the
 * engine, never by the caller; it is the same object for the creator, every subscriber and every page that names it.
 */
#ifndef TIPCURRENT_EVENT_H
#define TIPCURRENT_EVENT_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One reference to an event: opaque, dropped by tc_event_unref. Any thread may use it. */
typedef struct tc_event tc_event;

/* Kinds. Numbers are stored in the log and never change. */
enum {
  TC_KIND_TIP = 1,              /* tip.h */
  TC_KIND_REACTION = 2,         /* reaction.h */
  TC_KIND_WEBHOOK_DISABLED = 3, /* made by the engine, see webhook.h */
  TC_KIND_REFUND = 4,           /* of a tip: takes its amount back, wholly or in part */
  TC_KIND_GOAL_REACHED = 5,     /* made by the engine */
  TC_KIND_FOLLOW = 6,           /* activity.h, as those that follow */
  TC_KIND_SUBSCRIBE = 7,        /* to a channel, for money */
  TC_KIND_RAID = 8,             /* a streamer sends his viewers over */
  TC_KIND_CUSTOM = 9            /* its type is a name that somebody registered */
};

/* Fields. Which kind has which: see the table in docs/events.md; asking a kind for a field that it does not have is "absent", not a mistake. */
enum {
  TC_FIELD_ROOM_ID = 1,        /* text, all kinds */
  TC_FIELD_SENDER_ID = 2,      /* text, tip and refund */
  TC_FIELD_RECIPIENT_ID = 3,   /* text, tip and refund */
  TC_FIELD_USER_ID = 4,        /* text, reaction, follow, subscribe, raid, custom */
  TC_FIELD_MESSAGE = 5,        /* text, optional: tip, follow, subscribe, raid, custom */
  TC_FIELD_EMOJI = 6,          /* text, reaction */
  TC_FIELD_TARGET_ID = 7,      /* text, optional: reaction, follow, subscribe, raid, custom */
  TC_FIELD_METADATA = 8,       /* text, optional, opaque (never parsed): what people create, but not a refund */
  TC_FIELD_AMOUNT = 9,         /* int, tip and refund: hundredths, 1 to INT64_MAX; goal reached: 0 when it counts tips */
  TC_FIELD_CREATED_AT_US = 10, /* int, all kinds: microseconds UTC */
  TC_FIELD_WEBHOOK_ID = 11,    /* text, webhook disabled */
  TC_FIELD_REASON = 12,        /* text, webhook disabled; optional in a refund */
  TC_FIELD_CURRENCY = 13,      /* text, tip, refund and goal reached; absent: the engine's default */
  TC_FIELD_TYPE = 14,          /* text, all kinds from refund on: "follow", or a registered name */
  TC_FIELD_COUNT = 15,         /* int, follow, subscribe, raid, custom: as its type understands it, 0 when not given; goal reached: how many tips */
  TC_FIELD_TIP_ID = 16,        /* int, refund */
  TC_FIELD_GOAL_ID = 17,       /* int, goal reached */
  TC_FIELD_TITLE = 18,         /* text, goal reached */
  TC_FIELD_IRREGULAR = 19 /* int, tip and reaction: 1 when an import kept it although it breaks a rule of its kind (an amount of -5.00, a blank room), else 0 */
};

/* All accessors: any thread, never block, never fail; what they return is borrowed and lives as long as the caller's reference. */

/* The event's kind: TC_KIND_X. Any thread; does not block. */
TC_API uint32_t tc_event_kind(const tc_event *event);
/* The event's number in the log: 1 and up, in commit order, over all kinds, without holes. Any thread; does not block. */
TC_API int64_t tc_event_seq(const tc_event *event);
/* The event's number in its kind, as REST shows it: 1 and up, without holes between live events. Any thread; does not block. */
TC_API int64_t tc_event_id(const tc_event *event);
/* A text field, NUL-terminated; NULL when absent. Any thread; does not block. */
TC_API const char *tc_event_str(const tc_event *event, uint32_t field);
/* A number field into *out. TC_ENOTFOUND when the kind has no such field. Any thread; does not block. */
TC_API int tc_event_int(const tc_event *event, uint32_t field, int64_t *out);
/* The event as JSON, compact, keys in declaration order (id, roomId, ..., createdAt), absent fields as null; NUL-terminated, *len without the NUL (len may be
 * NULL). Encoded once: REST, STOMP, SSE and webhooks hand out these very bytes. Any thread; does not block. */
TC_API const char *tc_event_json(const tc_event *event, size_t *len);

/* One more reference to the same event; returns event. Any thread; does not block. */
TC_API tc_event *tc_event_ref(const tc_event *event);
/* Drops a reference; the last one frees the event. NULL is fine. Any thread; does not block. References may outlive the engine. */
TC_API void tc_event_unref(tc_event *event);

#ifdef __cplusplus
}
#endif
#endif
