/* goals.c - /api/rooms/{roomId}/goals and /api/goals/{id}. */
#include "answer.h"
#include "handlers.h"
#include "key.h"
#include "media.h"
#include "param.h"
#include "server/live/goals.h"

#define LIST_MAX_BYTES (64u << 20)

static void put_goal(const tc_goal *goal, void *userdata) {
  tci_buf *out = userdata;
  if (out->len && out->data[out->len - 1] == '}') (void)tci_buf_puts(out, ",");
  tcd_goal_put(out, goal);
}

static void answer(tcd_reply *reply, int rc, int status) {
  if (!rc) rc = reply->body.err;
  if (rc == TC_ENOTFOUND) {
    reply->status = 404;
  } else if (rc) {
    tcd_answer_code(reply, rc, tc_last_error());
  } else {
    reply->status = status;
    reply->content_type = TCD_MEDIA_JSON;
  }
  tcd_reply_send(reply);
}

void tcd_handle_goal_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char storage[TCD_KEY_SIZE];
  tcd_param_text room;
  const char *key;
  int32_t replayed = 0;
  if (tcd_param_name(match->param, "roomId", room, reply) || tcd_key_read(request, storage, &key, reply)) {
    tcd_reply_send(reply);
    return;
  }
  int rc = tc_goal_json_create(app->engine, room, request->body.len ? request->body.ptr : "", request->body.len, key, put_goal, &reply->body, &replayed);
  answer(reply, rc, replayed ? 200 : 201);
}

void tcd_handle_goal_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  tcd_param_text room;
  (void)request;
  if (tcd_param_name(match->param, "roomId", room, reply)) {
    tcd_reply_send(reply);
    return;
  }
  reply->body.max = LIST_MAX_BYTES;
  (void)tci_buf_puts(&reply->body, "[");
  int rc = tc_goal_list(app->engine, room, put_goal, &reply->body);
  (void)tci_buf_puts(&reply->body, "]");
  answer(reply, rc, 200);
}

void tcd_handle_goal_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  int64_t id;
  (void)request;
  if (tcd_param_id(match->param, &id, reply)) tcd_reply_send(reply);
  else answer(reply, tc_goal_get(app->engine, id, put_goal, &reply->body), 200);
}

void tcd_handle_goal_close(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  int64_t id;
  (void)request;
  if (tcd_param_id(match->param, &id, reply)) tcd_reply_send(reply);
  else answer(reply, tc_goal_close(app->engine, id, put_goal, &reply->body), 200);
}
