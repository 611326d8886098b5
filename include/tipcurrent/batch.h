/* batch.h - many creates in one call: lines of JSON in, one answer a line, one place to wait for them all.
 *
 * For whoever has thousands of events at hand, and for bindings whose callbacks would be slow on the engine's thread: the writer only notes each answer, and nobody is called. Every line
 * stands for itself: one that is refused stops none of the others, and a batch is not a transaction. The writer commits lines in large groups with whatever else waits.
 */
#ifndef TIPCURRENT_BATCH_H
#define TIPCURRENT_BATCH_H

#include "create.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The answers to many creates: opaque, of tc_batch_submit, until tc_batch_free. */
typedef struct tc_batch tc_batch;

#define TC_BATCH_LINES_MAX 100000 /* of one call */

/* Called once, when every line has its answer: tc_batch_at gives them all. By the thread that gives the last answer, mostly the engine's writer, with what tc_done_fn says of it; or by
 * tc_batch_submit before it returns. The batch is still the caller's, who frees it here or later, but not before. */
typedef void (*tc_batch_done_fn)(tc_batch *batch, void *userdata);

/* What the lines are. */
typedef struct tc_batch_options {
  size_t size;
  uint32_t kind;         /* TC_KIND_TIP, TC_KIND_REACTION, TC_KIND_REFUND, or 0: what people do in a room (activity.h) */
  uint32_t lines_max;    /* of the call; 0: TC_BATCH_LINES_MAX, which is the most */
  size_t line_max_bytes; /* a longer line is answered TC_ELIMIT; 0: no limit */
  tc_batch_done_fn
    done; /* for callers that cannot wait: tc_batch_submit does not block then, lines that find no room are answered TC_EBUSY at once. NULL: nobody is called */
  void *userdata; /* for done */
} tc_batch_options;
#define TC_BATCH_OPTIONS_INIT \
  { sizeof(tc_batch_options), 0, 0, 0, NULL, NULL }

/* Takes one create a line: JSON objects by the rules of tc_json_submit, each with an optional member "idempotencyKey", separated by newlines; blank lines have no answer. Refunds
 * have a member "tipId" besides, and cost a database read each; of what people do in a room "type" says which it is. lines need not be NUL-terminated and is not kept. *out: the caller frees it by
 * tc_batch_free; with a done it may be NULL, since done gets it too.
 * A line that is wrong does not fail the call: its answer says so. When the queue is full this waits for room, some create_deadline_ms at most without any progress (not at all
 * inside tc_done_fn); lines that find none are answered TC_EBUSY.
 * Any thread. May block for room, without a done. Errors, of the call as a whole, nothing was stored and done is not called: TC_EINVAL (no line, or an unknown kind), TC_ELIMIT (more than lines_max lines), TC_EVERSION, TC_ECLOSED,
 * TC_ENOMEM. */
TC_API int tc_batch_submit(tc_engine *engine, const tc_batch_options *options, const char *lines, size_t len, tc_batch **out);

/* Blocks until every line has its answer. timeout_ms 0: only looks; -1: as long as it takes. With TC_NO_THREADS the caller commits meanwhile.
 * Any thread, also several, also after tc_close. Errors: TC_ETIMEOUT, TC_EINVAL (inside tc_done_fn it would wait for itself). */
TC_API int tc_batch_wait(tc_batch *batch, int32_t timeout_ms);

/* How many lines there are answers for. Any thread; does not block. */
TC_API size_t tc_batch_count(const tc_batch *batch);
/* How many of them are not TC_OK; before tc_batch_wait has returned TC_OK: so far. Any thread; does not block. */
TC_API size_t tc_batch_failed(const tc_batch *batch);
/* The answer to the i-th line that is not blank, as tc_done_fn gets it (TC_EINVAL and TC_ELIMIT besides); borrowed from the batch. NULL: out of range, or tc_batch_wait has not returned
 * TC_OK yet. Any thread; does not block. */
TC_API const tc_result *tc_batch_at(const tc_batch *batch, size_t i);
/* Frees it; without a done this may come before the answers, the events are stored all the same. NULL is fine. Any thread; does not block. May outlive the engine. */
TC_API void tc_batch_free(tc_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
