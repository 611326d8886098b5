/* webhook.h - webhooks: HTTP POSTs of events to other systems, at least once, signed, retried.
 *
 * A webhook is a cursor over the log like any other: an event is delivered after its commit, and what was not delivered when the process ended is delivered after the next start, with
 * the same webhook-id. Delivery runs on a thread of the engine's own (or in tc_engine_poll); no event and no other endpoint waits for a slow or dead one.
 *
 * What is sent: the event's JSON, the bytes that everybody else gets, with
 *   X-TipCurrent-Event, X-TipCurrent-Signature (base64 of HMAC-SHA256 with the secret), X-TipCurrent-Delivery-Attempt (1, 2, ...): as the Java service;
 *   webhook-id (the same for all attempts), webhook-timestamp, webhook-signature (v1): as Standard Webhooks (standardwebhooks.com).
 * Only 200 to 299 is success; redirects are not followed. 410 disables the webhook.
 */
#ifndef TIPCURRENT_WEBHOOK_H
#define TIPCURRENT_WEBHOOK_H

#include "engine.h"
#include "transport.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How webhooks behave, for tc_options.webhooks. Zero in a number: the default. Strings are copied by tc_open. */
typedef struct tc_webhook_options {
  size_t size;
  const char *allow_receivers; /* CIDRs of non-public networks that receivers may be in, e.g. "127.0.0.0/8,::1/128"; NULL: none */
  const char *retry_schedule;  /* pauses after a failed attempt, e.g. "10s,60s" (the default: three attempts); see docs/webhooks.md */
  const char *secret_key;      /* 32 bytes as 64 hex digits or base64: secrets are encrypted at rest; NULL: they are kept as they are */
  uint32_t max_in_flight;      /* requests at a time; 64 */
  uint32_t max_per_endpoint;   /* of those, for one webhook; 8 */
  uint32_t connect_timeout_ms; /* 5,000 */
  uint32_t total_timeout_ms;   /* 10,000 */
  uint32_t disable_after_s;    /* a webhook that has only failed for so long is disabled; 432,000 (five days) */
  uint32_t log_days;           /* how long attempts are kept; 30 */
  uint64_t log_rows;           /* and how many; 1,000,000 */
  uint32_t flags;              /* TC_WEBHOOK_EPOCH_TIME */
  /* NULL: libcurl, loaded with the first webhook (libcurl.so.4, 7.87 or newer). Copied; what its userdata points to must outlive the engine. */
  const tc_transport *transport;
} tc_webhook_options;
#define TC_WEBHOOK_OPTIONS_INIT \
  { sizeof(tc_webhook_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
/* For tc_webhook_options.flags. */
enum {
  TC_WEBHOOK_EPOCH_TIME = 1u << 0 /* createdAt in bodies as decimal seconds, as the Java service really sent it, instead of the README's ISO text */
};

/* A webhook at one moment: opaque, immutable, dropped by tc_webhook_unref. Any thread may use it; may outlive the engine. */
typedef struct tc_webhook tc_webhook;

/* As JSON, compact: {"id","roomId","url","event","events","description","enabled","ordered","createdAt","updatedAt"}. The secret is in nothing that comes out. Borrowed
 * from the webhook; *len (may be NULL): its bytes without the NUL. Any thread; does not block. */
TC_API const char *tc_webhook_json(const tc_webhook *webhook, size_t *len);
/* Its number: 1 and up. Any thread; does not block. */
TC_API int64_t tc_webhook_id(const tc_webhook *webhook);
/* Drops it, and what was borrowed from it. NULL is fine. Any thread; does not block. */
TC_API void tc_webhook_unref(tc_webhook *webhook);

/* For tc_webhook_new.flags and tc_webhook_change.flags. */
enum {
  TC_WEBHOOK_ORDERED = 1u << 0 /* strictly by seq within each room; a failure holds that room back until it succeeds or is given up, not others */
};

/* What a webhook is made of. Strings are borrowed for the call. */
typedef struct tc_webhook_new {
  size_t size;
  const char *room_id;         /* NULL: events of all rooms; 1 to 255 code points */
  const char *url;             /* http or https, at most 2,048 code points; see docs/webhooks.md for where it may point */
  const char *events;          /* names with commas: "tip.created", "reaction.created", "*"; at most 100 code points each, 16 of them */
  const char *secret;          /* 1 to 255 code points; "whsec_<base64>" is also understood as Standard Webhooks has it */
  const char *description;     /* NULL: ""; at most 500 code points */
  uint32_t flags;              /* TC_WEBHOOK_X */
  const char *idempotency_key; /* NULL: none; see create.h. The same key with the same request, within idempotency_ttl_s, gives the webhook as it is now */
} tc_webhook_new;
#define TC_WEBHOOK_NEW_INIT \
  { sizeof(tc_webhook_new), 0, 0, 0, 0, 0, 0, 0 }

/* Makes a webhook; it gets the events committed from here on. out (may be NULL): the caller unrefs. replayed (may be NULL): 1 when the key was known; a deleted webhook takes its key with
 * it. Blocks for a durable commit. Any thread but the engine's own.
 * Errors: TC_EINVAL (names the field), TC_EMISMATCH (the key is known with another request), TC_ELIMIT (10,000 webhooks), TC_ENOTSUP (the storage keeps none; libcurl is missing, the message says so), TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_create(tc_engine *engine, const tc_webhook_new *webhook, tc_webhook **out, int32_t *replayed);
/* The webhook as it is now; out: the caller unrefs. Any thread; does not block on I/O. Errors: TC_ENOTFOUND, TC_EINVAL, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_get(tc_engine *engine, int64_t id, tc_webhook **out);
/* What to change: strings that are NULL stay as they are, as what is zero does. Borrowed for the call. */
typedef struct tc_webhook_change {
  size_t size;
  const char *room_id;       /* "": all rooms */
  const char *url, *events;  /* as in tc_webhook_new */
  const char *secret;        /* a new one: the old one signs along for overlap_s */
  const char *description;   /* as in tc_webhook_new */
  uint32_t flags, set_flags; /* set_flags: the bits of flags that count */
  uint32_t overlap_s;        /* 0: 86,400; at most 7,776,000 (90 days) */
  int32_t enabled;           /* 0: as it is, 1: enabled, -1: disabled. A disabled one gets nothing, and what it was owed is forgotten */
} tc_webhook_change;
#define TC_WEBHOOK_CHANGE_INIT \
  { sizeof(tc_webhook_change), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
/* Changes a webhook; out (may be NULL): as it is now, the caller unrefs. What is pending follows the change at its next attempt. Any thread but the engine's own;
 * blocks for a durable commit.
 * Errors: TC_ENOTFOUND, and as tc_webhook_create. */
TC_API int tc_webhook_update(tc_engine *engine, int64_t id, const tc_webhook_change *change, tc_webhook **out);
/* Removes a webhook with what it is owed and its log. Any thread but the engine's own; blocks for a durable commit.
 * Errors: TC_ENOTFOUND, TC_EINVAL, TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_delete(tc_engine *engine, int64_t id);
/* webhook: borrowed for the call, tc_webhook_get gives one to keep. Runs in the calling thread, before the function that it was given to returns. */
typedef void (*tc_webhook_fn)(const tc_webhook *webhook, void *userdata);
/* Calls fn for each that matches, by id. global 1: those of all rooms only; room_id: those of that room only; else all. Any thread; does not block on I/O.
 * Errors: TC_EINVAL, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_list(tc_engine *engine, int32_t global, const char *room_id, tc_webhook_fn fn, void *userdata);

/* Sends {"event":"test.event","message":"This is a test webhook delivery"} soon, once, also to a disabled one; its outcome is in the delivery log.
 * Any thread; does not block on I/O, but where several engines share the log and another one sends: then this, as tc_webhook_resend and tc_webhook_replay, blocks for a durable commit by which that one is asked,
 * and not from tc_done_fn (TC_EBUSY). Errors: TC_ENOTFOUND, TC_EINVAL, TC_EBUSY, TC_ESTORAGE, TC_EUNKNOWN, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_test(tc_engine *engine, int64_t id);
/* Sends the event of a logged delivery again: a new attempt 1 with the same webhook-id. Any thread; blocks for a database read.
 * Errors: TC_ENOTFOUND (no such webhook, no such delivery in its log), TC_EINVAL (it was a test), TC_EBUSY, TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_resend(tc_engine *engine, int64_t id, int64_t delivery_id);
/* Owes the webhook every matching event with from_seq <= seq <= to_seq again; *count (may be NULL): how many. At most 100,000 (TC_ELIMIT beyond; nothing is owed then).
 * Any thread; blocks for a walk over that part of the log.
 * Errors: TC_ENOTFOUND, TC_ECONFLICT (it is disabled), TC_ELIMIT, TC_EINVAL, TC_EBUSY, TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_replay(tc_engine *engine, int64_t id, int64_t from_seq, int64_t to_seq, int64_t *count);
/* The same for the events created at from_us <= createdAt < to_us. Any thread; blocks for reads of the lists of that time. Errors: as tc_webhook_replay. */
TC_API int tc_webhook_replay_time(tc_engine *engine, int64_t id, int64_t from_us, int64_t to_us, int64_t *count);

/* One attempt. Made by the library, borrowed for the call; grows at the end. */
typedef struct tc_webhook_delivery {
  size_t size;
  int64_t id, webhook_id;             /* of the attempt, 1 and up, and of its webhook */
  int64_t seq;                        /* of the event; 0: a test */
  int64_t created_at_us, duration_ms; /* when it was made, and how long it took */
  int32_t attempt;                    /* 1 and up */
  int32_t status;                     /* HTTP; 0: no answer */
  int32_t success;                    /* 1: 200 to 299 */
  tc_text event, response, error;     /* the event's name, the beginning of the answer, and one line of what went wrong; ptr NULL: none */
} tc_webhook_delivery;
/* delivery: borrowed for the call. Runs in the calling thread, inside a database read: it must not call the engine. */
typedef void (*tc_webhook_delivery_fn)(const tc_webhook_delivery *delivery, void *userdata);
/* A page of a webhook's attempts, newest first; *total: how many there are. size 1 to 1,000, page * size at most 1,000,000. Any thread;
 * blocks for database reads. Errors: TC_ENOTFOUND, TC_EINVAL, TC_EBUSY, TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_webhook_deliveries(tc_engine *engine, int64_t id, int64_t page, int32_t size, tc_webhook_delivery_fn fn, void *userdata, int64_t *total);

#ifdef __cplusplus
}
#endif
#endif
