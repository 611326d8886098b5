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

typedef struct tc_event tc_event;

/* Kinds. Numbers are stored in the log and never change. */
enum { TC_KIND_TIP = 1, TC_KIND_REACTION = 2, TC_KIND_WEBHOOK_DISABLED = 3 /* made by the engine, see webhook.h */ };

/* Fields. Which kind has which: see the table in docs/events.md; asking a kind for a field that it does not have is "absent", not a mistake. */
enum {
  TC_FIELD_ROOM_ID = 1,        /* text, tip and reaction */
  TC_FIELD_SENDER_ID = 2,      /* text, tip */
  TC_FIELD_RECIPIENT_ID = 3,   /* text, tip */
  TC_FIELD_USER_ID = 4,        /* text, reaction */
  TC_FIELD_MESSAGE = 5,        /* text, tip, optional */
  TC_FIELD_EMOJI = 6,          /* text, reaction */
  TC_FIELD_TARGET_ID = 7,      /* text, reaction, optional */
  TC_FIELD_METADATA = 8,       /* text, tip and reaction, optional, opaque: never parsed */
  TC_FIELD_AMOUNT = 9,         /* int, tip: hundredths, 1 to INT64_MAX */
  TC_FIELD_CREATED_AT_US = 10, /* int, all kinds: microseconds UTC */
  TC_FIELD_WEBHOOK_ID = 11,    /* text, webhook disabled */
  TC_FIELD_REASON = 12         /* text, webhook disabled */
};

/* All accessors: any thread, never block, never fail; what they return is borrowed and lives as long as the caller's reference. */

/* TC_KIND_X. */
TC_API uint32_t tc_event_kind(const tc_event *event);
/* The event's number in the log: 1 and up, in commit order, over all kinds, without holes. */
TC_API int64_t tc_event_seq(const tc_event *event);
/* The event's number in its kind, as REST shows it: 1 and up, without holes between live events. */
TC_API int64_t tc_event_id(const tc_event *event);
/* A text field, NUL-terminated; NULL when absent. */
TC_API const char *tc_event_str(const tc_event *event, uint32_t field);
/* A number field into *out. TC_ENOTFOUND when the kind has no such field. */
TC_API int tc_event_int(const tc_event *event, uint32_t field, int64_t *out);
/* The event as JSON, compact, keys in declaration order (id, roomId, ..., createdAt), absent fields as null; NUL-terminated, *len without the NUL (len may be
 * NULL). Encoded once: REST, STOMP, SSE and webhooks hand out these very bytes. */
TC_API const char *tc_event_json(const tc_event *event, size_t *len);

/* One more reference to the same event; returns event. Any thread; does not block. */
TC_API tc_event *tc_event_ref(const tc_event *event);
/* Drops a reference; the last one frees the event. NULL is fine. Any thread; does not block. References may outlive the engine. */
TC_API void tc_event_unref(tc_event *event);

#ifdef __cplusplus
}
#endif
#endif
