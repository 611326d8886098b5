/* tip.h - tips: create, submit, get, list. */
#ifndef TIPCURRENT_TIP_H
#define TIPCURRENT_TIP_H

#include "create.h"
#include "page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a tip is made of. All strings NUL-terminated UTF-8, borrowed for the call. */
typedef struct tc_tip_new {
  size_t size;
  const char *room_id;         /* required, 1 to 255 code points, not blank */
  const char *sender_id;       /* the same */
  const char *recipient_id;    /* the same; may equal sender_id */
  int64_t amount;              /* required, hundredths, 1 to INT64_MAX (92233720368547758.07) */
  const char *message;         /* optional (NULL), at most 1000 code points */
  const char *metadata;        /* optional (NULL), at most 65536 bytes, opaque */
  const char *idempotency_key; /* optional (NULL), see create.h */
  const char *currency; /* optional (NULL): an ISO 4217 code, "EUR"; tc_engine_currency() is the same as NULL. Amounts are hundredths in every currency */
} tc_tip_new;
#define TC_TIP_NEW_INIT \
  { sizeof(tc_tip_new), 0, 0, 0, 0, 0, 0, 0, 0 }

/* Creates a tip and returns after its durable commit. out (may be NULL): the event, the caller unrefs. replayed (may be NULL): 1 when the key was known.
 * Blocks up to create_deadline_ms. Any thread but inside tc_done_fn (TC_EINVAL).
 * Errors: TC_EINVAL, TC_EMISMATCH, TC_EBUSY, TC_ETIMEOUT, TC_ECLOSED, TC_ESTORAGE, TC_ENOMEM: nothing was stored; TC_EUNKNOWN: retry with the same key. */
TC_API int tc_tip_create(tc_engine *engine, const tc_tip_new *tip, tc_event **out, int32_t *replayed);

/* The same without waiting: one thread can keep thousands in flight. Returns and errors as tc_json_submit. */
TC_API int tc_tip_submit(tc_engine *engine, const tc_tip_new *tip, tc_done_fn done, void *userdata);

/* The tip with this id into *out; the caller unrefs. Reads its own writes: a tip whose create has returned is found.
 * Any thread; blocks for a database read. Errors: TC_ENOTFOUND, TC_EBUSY (indexes being rebuilt), TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_tip_get(tc_engine *engine, int64_t id, tc_event **out);

/* Which tips, and which page of them. Filters are exact, combine with AND, NULL: any; "" is a filter that matches nothing. */
typedef struct tc_tip_query {
  size_t size;
  const char *room_id, *sender_id, *recipient_id; /* filters */
  const char *after;                              /* a cursor from tc_page_next, or "" for the start: keyset paging, page must be 0. NULL: by page number */
  int64_t page;                                   /* 0 and up; page * page_size at most 1,000,000 (TC_EINVAL beyond, use after) */
  int32_t page_size;                              /* 1 to 1000; 0: 20 */
  const char *currency;                           /* a filter as those above; tc_engine_currency(): the tips that name none */
} tc_tip_query;
#define TC_TIP_QUERY_INIT \
  { sizeof(tc_tip_query), 0, 0, 0, 0, 0, 0, 0 }

/* One page of tips, newest first (createdAt DESC, seq DESC), into *out; the caller frees it by tc_page_free. Reads its own writes.
 * Cost: one filter, or room_id with one other, follows the page; sender_id with recipient_id, or more, follows the shortest of their lists.
 * Any thread; blocks for database reads. Errors: TC_EINVAL, TC_EBUSY, TC_ESTORAGE, TC_ECLOSED, TC_ENOMEM. */
TC_API int tc_tip_list(tc_engine *engine, const tc_tip_query *query, tc_page **out);

#ifdef __cplusplus
}
#endif
#endif
