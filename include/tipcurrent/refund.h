/* refund.h - taking a tip back, wholly or in part, once or several times up to its amount. A refund is an event of its own (TC_KIND_REFUND, "tip.refunded"): the tip never changes.
 *
 * The limit is checked by the writer, against the log and what it is just writing: however many ask at once, a tip is never refunded beyond its amount. The engine keeps what is refunded
 * of each tip in memory, some 50 bytes for each tip that has refunds; it reads them from the log when it opens. A tip has at most 1,000 refunds.
 */
#ifndef TIPCURRENT_REFUND_H
#define TIPCURRENT_REFUND_H

#include "create.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a refund is made of. All strings NUL-terminated UTF-8, borrowed for the call. */
typedef struct tc_refund_new {
  size_t size;
  int64_t tip_id;              /* required */
  int64_t amount;              /* hundredths, in the tip's currency; 0: whatever is left */
  const char *reason;          /* optional (NULL), at most 1000 code points */
  const char *idempotency_key; /* optional (NULL), see create.h; all refunds share their keys */
} tc_refund_new;
#define TC_REFUND_NEW_INIT \
  { sizeof(tc_refund_new), 0, 0, 0, 0 }

/* Refunds and returns after the durable commit, as tc_tip_create. Besides: TC_ENOTFOUND (no such tip), TC_ELIMIT (more than is left; the message says how much that is; or the tip has 1,000 refunds),
 * TC_ECONFLICT (nothing is left). Blocks for a database read too. */
TC_API int tc_tip_refund(tc_engine *engine, const tc_refund_new *refund, tc_event **out, int32_t *replayed);
/* As tc_tip_submit, but blocks for a database read. TC_ENOTFOUND comes at once, TC_ELIMIT and TC_ECONFLICT as result code. */
TC_API int tc_tip_refund_submit(tc_engine *engine, const tc_refund_new *refund, tc_done_fn done, void *userdata);
/* The same from a JSON object with "amount" and "reason", both optional; len 0: none. As tc_json_submit. */
TC_API int tc_tip_refund_json_submit(tc_engine *engine, int64_t tip_id, const char *json, size_t len, const char *idempotency_key, tc_done_fn done,
                                     void *userdata);

/* How much of this tip is refunded, 0 to its amount. Reads its own writes: a refund that has returned is in it. Any thread; blocks only until the refunds have been read once.
 * Errors: TC_EINVAL (not a tip), TC_EBUSY (indexes being rebuilt), TC_ESTORAGE, TC_ENOMEM. */
TC_API int tc_tip_refunded(tc_engine *engine, const tc_event *tip, int64_t *amount);

#ifdef __cplusplus
}
#endif
#endif
