/* reaction.h - emoji reactions: create, submit, get, list. */
#ifndef TIPCURRENT_REACTION_H
#define TIPCURRENT_REACTION_H

#include "create.h"
#include "page.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All strings NUL-terminated UTF-8, borrowed for the call. */
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

/* As tc_tip_create, tc_tip_submit, tc_tip_get. */
TC_API int tc_reaction_create(tc_engine *engine, const tc_reaction_new *reaction, tc_event **out, int32_t *replayed);
TC_API int tc_reaction_submit(tc_engine *engine, const tc_reaction_new *reaction, tc_done_fn done, void *userdata);
TC_API int tc_reaction_get(tc_engine *engine, int64_t id, tc_event **out);

/* As tc_tip_query. emoji: all spellings of one emoji are one, with the presentation selector (U+FE0F) or without; text that is no emoji is compared byte for byte. */
typedef struct tc_reaction_query {
  size_t size;
  const char *room_id, *user_id, *emoji, *target_id;
  const char *after;
  int64_t page;
  int32_t page_size;
} tc_reaction_query;
#define TC_REACTION_QUERY_INIT \
  { sizeof(tc_reaction_query), 0, 0, 0, 0, 0, 0, 0 }

/* As tc_tip_list. Cost: one filter, or room_id with one other, follows the page; other combinations follow the shortest of their lists. */
TC_API int tc_reaction_list(tc_engine *engine, const tc_reaction_query *query, tc_page **out);

#ifdef __cplusplus
}
#endif
#endif
