#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "media.h"

#define KEY_MAX_BYTES (255 * 4) /* what 255 code points may take; the library counts them */

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

/* The header as the NUL-terminated text that the library wants; *out NULL: none. 0, or -1 with the reply filled. */
static int read_key(const tcd_request *request, char *storage, const char **out, tcd_reply *reply) {
  tc_text value;
  size_t count = tcd_request_header(request, "Idempotency-Key", &value);
  *out = NULL;
  if (!count) return 0;
  /* A doubled header may have been one key for the proxy that added it and another for us. Money is not paid on a guess. */
  if (count > 1 || value.len > KEY_MAX_BYTES) {
    tcd_answer_error(reply, 400, count > 1 ? "Idempotency-Key: given twice" : "Idempotency-Key: must be 1 to 255 characters");
    return -1;
  }
  memcpy(storage, value.ptr, value.len);
  storage[value.len] = '\0';
  *out = storage;
  return 0;
}

void tcd_handle_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char storage[KEY_MAX_BYTES + 1];
  const char *key;
  if (read_key(request, storage, &key, reply)) {
    tcd_reply_send(reply);
    return;
  }
  int rc = tc_json_submit(app->engine, match->route->kind, request->body.len ? request->body.ptr : "", request->body.len, key, created, reply);
  if (!rc) return; /* created() has answered or will */
  tcd_answer_code(reply, rc, tc_last_error());
  tcd_reply_send(reply);
}
