/* goals.c - /api/rooms/{roomId}/goals and /api/goals/{id}. */
#include "answer.h"
#include "handlers.h"
#include "key.h"
#include "media.h"
#include "query.h"
#include "server/live/goals.h"

#define ID_MAX_BYTES 64
#define ROOM_MAX_BYTES (255 * 12) /* four bytes a code point, three times as long when encoded */
#define LIST_MAX_BYTES (64u << 20)

static int read_id(const tcd_match *match, int64_t *id, tcd_reply *reply) {
  char text[ID_MAX_BYTES];
  size_t len;
  if (match->param.len <= sizeof text && !tcd_decode(match->param, TCD_DECODE_PATH, text, &len) && !tcd_parse_int(text, len, id)) return 0;
  tcd_answer_error(reply, 400, "id: must be a whole number within 64 bits");
  return -1;
}

/* NUL-terminated. 0, or -1 with the reply filled. */
static int read_room(const tcd_match *match, char room[ROOM_MAX_BYTES + 1], tcd_reply *reply) {
  size_t len = 0;
  const char *wrong = match->param.len > ROOM_MAX_BYTES ? "must be at most 255 characters" : tcd_decode(match->param, TCD_DECODE_PATH, room, &len);
  if (wrong) {
    tcd_answer_errorf(reply, 400, "roomId: %s", wrong);
    return -1;
  }
  room[len] = '\0';
  return 0;
}

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
  char storage[TCD_KEY_SIZE], room[ROOM_MAX_BYTES + 1];
  const char *key;
  int32_t replayed = 0;
  if (read_room(match, room, reply) || tcd_key_read(request, storage, &key, reply)) {
    tcd_reply_send(reply);
    return;
  }
  int rc = tc_goal_json_create(app->engine, room, request->body.len ? request->body.ptr : "", request->body.len, key, put_goal, &reply->body, &replayed);
  answer(reply, rc, replayed ? 200 : 201);
}

void tcd_handle_goal_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char room[ROOM_MAX_BYTES + 1];
  (void)request;
  if (read_room(match, room, reply)) {
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
  if (read_id(match, &id, reply)) tcd_reply_send(reply);
  else answer(reply, tc_goal_get(app->engine, id, put_goal, &reply->body), 200);
}

void tcd_handle_goal_close(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  int64_t id;
  (void)request;
  if (read_id(match, &id, reply)) tcd_reply_send(reply);
  else answer(reply, tc_goal_close(app->engine, id, put_goal, &reply->body), 200);
}
