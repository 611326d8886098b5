#include "answer.h"
#include "handlers.h"
#include "key.h"
#include "media.h"

/* On the engine's writer thread: the next commit waits for this, so it passes the event on by reference and lets the front do the rest. */
static void created(const tc_result *result, void *userdata) {
  tcd_reply *reply = userdata;
  if (result->code) {
    tcd_answer_code(reply, result->code, result->detail);
  } else {
    reply->status = result->replayed ? 200 : 201;
    reply->content_type = TCD_MEDIA_JSON;
    reply->event = tc_event_ref(result->event);
  }
  tcd_reply_send(reply);
}

void tcd_handle_activity_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char storage[TCD_KEY_SIZE];
  const char *key;
  (void)match;
  if (tcd_key_read(request, storage, &key, reply)) {
    tcd_reply_send(reply);
    return;
  }
  int rc = tc_activity_json_submit(app->engine, request->body.len ? request->body.ptr : "", request->body.len, key, created, reply);
  if (!rc) return;
  tcd_answer_code(reply, rc, tc_last_error());
  tcd_reply_send(reply);
}

void tcd_handle_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char storage[TCD_KEY_SIZE];
  const char *key;
  if (tcd_key_read(request, storage, &key, reply)) {
    tcd_reply_send(reply);
    return;
  }
  int rc = tc_json_submit(app->engine, match->route->kind, request->body.len ? request->body.ptr : "", request->body.len, key, created, reply);
  if (!rc) return; /* created() has answered or will */
  tcd_answer_code(reply, rc, tc_last_error());
  tcd_reply_send(reply);
}
