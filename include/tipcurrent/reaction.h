/* reaction.h - emoji reactions: create, submit, get, list. */
#ifndef TIPCURRENT_REACTION_H
#define TIPCURRENT_REACTION_H

#include "create.h"
#include "page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a reaction is made of. All strings NUL-terminated UTF-8, borrowed for the call. */
typedef struct tc_reaction_new {
  size_t size;
  const char *room_id;         /* required, 1 to 255 code points, not blank */
  const char *user_id;         /* the same */
  const char *emoji;           /* required, 1 to 100 code points, not blank; any text */
  const char *target_id;       /* optional (NULL), at most 255 code points */
  const char *metadata;        /* optional (NULL), at most 65536 bytes, opaque */
  const char *idempotency_key; /* optional (NULL), see create.h */
} tc_reaction_new;
#define TC_REACTION_NEW_INIT \
  { sizeof(tc_reaction_new), 0, 0, 0, 0, 0, 0 }

/* Creates a reaction and returns after its durable commit. out, replayed, blocking, threads and errors as tc_tip_create. */
TC_API int tc_reaction_create(tc_engine *engine, const tc_reaction_new *reaction, tc_event **out, int32_t *replayed);
/* The same without waiting. Returns and errors as tc_json_submit. */
TC_API int tc_reaction_submit(tc_engine *engine, const tc_reaction_new *reaction, tc_done_fn done, void *userdata);
/* The reaction with this id into *out; the caller unrefs. Reads its own writes; blocks and fails as tc_tip_get. Any thread. */
TC_API int tc_reaction_get(tc_engine *engine, int64_t id, tc_event **out);

/* Which reactions, and which page of them; as tc_tip_query. emoji: all spellings of one emoji are one, with the presentation selector (U+FE0F) or without; text that is no emoji is compared byte for byte. */
typedef struct tc_reaction_query {
  size_t size;
  const char *room_id, *user_id, *emoji, *target_id; /* filters */
  const char *after;                                 /* a cursor from tc_page_next, "" for the start, NULL: by page number */
  int64_t page;                                      /* 0 and up; page * page_size at most 1,000,000 */
  int32_t page_size;                                 /* 1 to 1000; 0: 20 */
} tc_reaction_query;
#define TC_REACTION_QUERY_INIT \
  { sizeof(tc_reaction_query), 0, 0, 0, 0, 0, 0, 0 }

/* One page of reactions, newest first, into *out; the caller frees it by tc_page_free. Blocks and fails as tc_tip_list. Any thread. Cost: one filter, or room_id with one other, follows the page; other combinations follow the shortest of their lists. */
TC_API int tc_reaction_list(tc_engine *engine, const tc_reaction_query *query, tc_page **out);

#ifdef __cplusplus
}
#endif
#endif
