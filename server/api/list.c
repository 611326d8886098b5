#include <string.h>

#include "answer.h"
#include "base/mem.h"
#include "handlers.h"
#include "list.h"
#include "media.h"
#include "page.h"
#include "query.h"

#define SIZE_STANDARD 20
#define SIZE_MAX_EVENTS 1000

enum { PAGE = 0, SIZE, AFTER };

/* An empty value is the default, as in Spring. */
static int read_int(const char *name, const char *text, int64_t standard, int64_t min, int64_t max, int64_t *out, tcd_reply *reply) {
  int64_t value = standard;
  if (text && *text && tcd_parse_int(text, strlen(text), &value)) {
    tcd_answer_errorf(reply, 400, "%s: must be a whole number", name);
    return -1;
  }
  if (value < min || value > max) {
    if (max == INT64_MAX) tcd_answer_errorf(reply, 400, "%s: must be %lld or more", name, (long long)min);
    else tcd_answer_errorf(reply, 400, "%s: must be from %lld to %lld", name, (long long)min, (long long)max);
    return -1;
  }
  *out = value;
  return 0;
}

int tcd_list_read(const tcd_request *request, const char *const *names, size_t filters, tcd_list_query *query, tcd_reply *reply) {
  tcd_query_fault fault;
  int64_t size;
  memset(query, 0, sizeof *query);
  query->storage = tci_alloc(request->query.len + 1);
  if (!query->storage) {
    tcd_answer_code(reply, TC_ENOMEM, "");
    return -1;
  }
  if (tcd_query_read(request->query, names, filters + TCD_LIST_PAGING, query->values, query->storage, &fault)) {
    tcd_answer_errorf(reply, 400, "%s: %s", fault.name, fault.what);
    return -1;
  }
  const char *const *paging = query->values + filters;
  if (read_int("page", paging[PAGE], 0, 0, INT64_MAX, &query->page, reply)) return -1;
  if (read_int("size", paging[SIZE], SIZE_STANDARD, 1, SIZE_MAX_EVENTS, &size, reply)) return -1;
  query->size = (int32_t)size;
  query->after = paging[AFTER];
  return 0;
}

void tcd_list_answer(tc_engine *engine, const tcd_list_query *query, const tc_page *page, tcd_reply *reply) {
  reply->body.max = TCD_PAGE_MAX_BYTES;
  int rc = query->after ? tcd_page_put_keyset(&reply->body, engine, page, query->size) : tcd_page_put(&reply->body, engine, page, query->page, query->size);
  if (!rc) {
    reply->status = 200;
    reply->content_type = TCD_MEDIA_JSON;
    return;
  }
  tci_buf_free(&reply->body);
  if (rc == TC_ELIMIT)
    tcd_answer_errorf(reply, 400, "size: a page of %d of these events has more than %u bytes, ask for fewer", query->size, TCD_PAGE_MAX_BYTES);
  else tcd_answer_code(reply, rc, "");
}

void tcd_handle_list_tips(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const char *const names[] = {"roomId", "senderId", "recipientId", "currency", "page", "size", "after"};
  tcd_list_query query;
  (void)match;
  if (!tcd_list_read(request, names, 4, &query, reply)) {
    tc_page *page = NULL;
    tc_tip_query q = TC_TIP_QUERY_INIT;
    q.room_id = query.values[0];
    q.sender_id = query.values[1];
    q.recipient_id = query.values[2];
    q.currency = query.values[3];
    q.after = query.after;
    q.page = query.page;
    q.page_size = query.size;
    int rc = tc_tip_list(app->engine, &q, &page);
    if (rc) tcd_answer_code(reply, rc, tc_last_error());
    else tcd_list_answer(app->engine, &query, page, reply);
    tc_page_free(page);
  }
  tci_free(query.storage);
  tcd_reply_send(reply);
}

void tcd_handle_list_reactions(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const char *const names[] = {"roomId", "userId", "emoji", "targetId", "page", "size", "after"};
  tcd_list_query query;
  (void)match;
  if (!tcd_list_read(request, names, 4, &query, reply)) {
    tc_page *page = NULL;
    tc_reaction_query q = TC_REACTION_QUERY_INIT;
    q.room_id = query.values[0];
    q.user_id = query.values[1];
    q.emoji = query.values[2];
    q.target_id = query.values[3];
    q.after = query.after;
    q.page = query.page;
    q.page_size = query.size;
    int rc = tc_reaction_list(app->engine, &q, &page);
    if (rc) tcd_answer_code(reply, rc, tc_last_error());
    else tcd_list_answer(app->engine, &query, page, reply);
    tc_page_free(page);
  }
  tci_free(query.storage);
  tcd_reply_send(reply);
}
