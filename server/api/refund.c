/* refund.c - POST /api/tips/{id}/refund, and the refunds of a tip. */
#include <inttypes.h>
#include <stdio.h>

#include "answer.h"
#include "base/mem.h"
#include "handlers.h"
#include "key.h"
#include "list.h"
#include "media.h"
#include "param.h"

static void answer_failure(tcd_reply *reply, int code, const char *detail) {
  if (code == TC_ENOTFOUND) reply->status = 404;
  else if (code == TC_ELIMIT) tcd_answer_error(reply, 422, detail); /* a request that we understand, and that the tip does not allow */
  else tcd_answer_code(reply, code, detail);
}

/* On the engine's writer thread: passes the event on by reference. */
static void refunded(const tc_result *result, void *userdata) {
  tcd_reply *reply = userdata;
  if (result->code) {
    answer_failure(reply, result->code, result->detail);
  } else {
    reply->status = result->replayed ? 200 : 201;
    reply->content_type = TCD_MEDIA_JSON;
    reply->event = tc_event_ref(result->event);
  }
  tcd_reply_send(reply);
}

void tcd_handle_refund(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char storage[TCD_KEY_SIZE];
  const char *key;
  int64_t id;
  if (!tcd_param_id(match->param, &id, reply) && !tcd_key_read(request, storage, &key, reply)) {
    int rc = tc_tip_refund_json_submit(app->engine, id, request->body.ptr, request->body.len, key, refunded, reply);
    if (!rc) return;
    answer_failure(reply, rc, tc_last_error());
  }
  tcd_reply_send(reply);
}

void tcd_handle_refund_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const char *const names[] = {"page", "size", "after"};
  char text[24];
  int64_t id;
  tc_event *tip = NULL;
  tcd_list_query query = {.storage = NULL};
  if (!tcd_param_id(match->param, &id, reply) && !tcd_list_read(request, names, 0, &query, reply)) {
    tc_page *page = NULL;
    tc_activity_query q = TC_ACTIVITY_QUERY_INIT;
    q.type = "tip.refunded";
    (void)snprintf(text, sizeof text, "%" PRId64, id); /* as it is kept, however it was written */
    q.target_id = text;
    q.after = query.after;
    q.page = query.page;
    q.page_size = query.size;
    int rc = tc_tip_get(app->engine, id, &tip);
    if (!rc) rc = tc_activity_list(app->engine, &q, &page);
    if (rc) answer_failure(reply, rc, tc_last_error());
    else tcd_list_answer(app->engine, &query, page, reply);
    tc_page_free(page);
    tc_event_unref(tip);
  }
  tci_free(query.storage);
  tcd_reply_send(reply);
}
