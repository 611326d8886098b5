/* create.h - how a create ends, and the door for JSON. tip.h and reaction.h hold the typed doors.
 *
 * The path of a create: the caller's thread checks and encodes it, a bounded queue takes it, the writer commits it with whatever else waits (group commit),
 * and only then the caller hears TC_OK. An event that was answered TC_OK survives kill -9 and power loss. Nobody sees it before its commit.
 *
 * Idempotency keys: 1 to 255 code points, without control characters; remembered for idempotency_ttl_s from the event's creation. The same key with the same request (the
 * validated values, not the bytes) gives the first event and replayed = 1, also when both are in flight at once; with another request TC_EMISMATCH
 * (draft-ietf-httpapi-idempotency-key-header, section 2.7). A key belongs to one kind; the types of activity.h share theirs. A create that failed
 * leaves no key.
 */
#ifndef TIPCURRENT_CREATE_H
#define TIPCURRENT_CREATE_H

#include "engine.h"
#include "event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How one create ended. Made by the library; grows at the end. */
typedef struct tc_result {
  size_t size;
  int32_t code;          /* TC_OK; TC_EMISMATCH, TC_EBUSY, TC_ETIMEOUT, TC_ECLOSED, TC_ESTORAGE, TC_ENOMEM: nothing was stored; TC_EUNKNOWN: may be stored */
  int32_t replayed;      /* 1: the key was known, event is the first one's */
  const tc_event *event; /* TC_OK only; borrowed for the call: tc_event_ref() to keep it */
  const char *detail;    /* one line as in tc_last_error(), "" when TC_OK; borrowed for the call */
} tc_result;

/* Runs exactly once for each submit that returned TC_OK, on the engine's writer thread (without threads: whichever runs the engine), in commit order, with no engine lock held. It may call any tc_ function
 * that does not wait for the writer: synchronous creates, changes of webhooks, goals and event types, tc_stats_rebuild and tc_close answer TC_EINVAL there. It must be short: the next commit waits for it. */
typedef void (*tc_done_fn)(const tc_result *result, void *userdata);

/* Takes one tip or reaction (kind) as a JSON object (RFC 8259, UTF-8), by the rules of the REST API: members as in docs/events.md, unknown ones ignored, the
 * last of duplicates counts, amount as number or decimal text. json need not be NUL-terminated and is not kept. idempotency_key: NUL-terminated, copied; NULL: none.
 * Returns at once (TC_OK: accepted, done will run). Errors: TC_EINVAL (the message names the member and the limit), TC_EBUSY (the queue is full), TC_ECLOSED, TC_ENOMEM;
 * done does not run then. Any thread; does not block. */
TC_API int tc_json_submit(tc_engine *engine, uint32_t kind, const char *json, size_t len, const char *idempotency_key, tc_done_fn done, void *userdata);

#ifdef __cplusplus
}
#endif
#endif
