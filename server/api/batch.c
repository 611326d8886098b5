#include <string.h>

#include "answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "handlers.h"
#include "media.h"

/* Design notes.
 * - All lines are in flight at once, so that the writer commits them in a few large groups; each line stands for itself (tipcurrent/batch.h).
 * - Once submitted a line is stored whatever becomes of the client: the answer waits for all of them, as a short batch's without a thread that does.
 * - A line may be as long as the body of a single create (max_body_bytes).
 * - A line's answer holds its event as long as the reply has room for it. Beyond that (replays of large events by short lines could make it any size) it says the id only.
 */
#define LINES_MAX 10000
#define LINE_REPLY_MAX 1024 /* of a line's answer without its event */
#define LINE_FRAME 32       /* {"status":201,"event":}\n */

static void put_failure(tci_buf *buf, const tc_result *result) {
  char *readable = tcd_readable((tc_text){result->detail, strlen(result->detail)}); /* NULL, out of memory: the code's own text is shown */
  const char *message = tcd_message_of(result->code, readable ? readable : "");
  int status = tcd_status_of(result->code);
  (void)tci_buf_printf(buf, "{\"status\":%d,\"error\":\"%s\",\"message\":", status, tcd_status_text(status));
  (void)tci_json_put_string(buf, (tc_text){message, strlen(message)});
  (void)tci_buf_puts(buf, "}\n");
  tci_free(readable);
}

static void put_line(tci_buf *buf, const tc_result *result, size_t room) {
  size_t len;
  if (result->code) {
    put_failure(buf, result);
    return;
  }
  const char *json = tc_event_json(result->event, &len);
  (void)tci_buf_printf(buf, "{\"status\":%d,", result->replayed ? 200 : 201);
  if (len <= room) {
    (void)tci_buf_puts(buf, "\"event\":");
    (void)tci_buf_append(buf, json, len);
    (void)tci_buf_puts(buf, "}\n");
  } else {
    (void)tci_buf_printf(buf, "\"id\":%lld}\n", (long long)tc_event_id(result->event));
  }
}

static size_t event_len(const tc_result *result) {
  size_t len = 0;
  if (result->event) (void)tc_event_json(result->event, &len);
  return len;
}

static void answer_batch(const tcd_app *app, const tc_batch *batch, tcd_reply *reply) {
  size_t events_max = 2 * (size_t)app->config->max_batch_bytes, count = tc_batch_count(batch), used = 0, total = 0;
  for (size_t i = 0; i < count; i++) total += event_len(tc_batch_at(batch, i)) + LINE_FRAME;
  reply->body.max = events_max + count * LINE_REPLY_MAX;
  (void)tci_buf_room(&reply->body, total < events_max ? total : events_max); /* one allocation where the lines went well; its error is sticky */
  for (size_t i = 0; i < count && !reply->body.err; i++) {
    const tc_result *result = tc_batch_at(batch, i);
    size_t len = event_len(result);
    put_line(&reply->body, result, events_max - used);
    if (len <= events_max - used) used += len;
  }
  if (reply->body.err) {
    /* The events are stored: 503 with this message, not a bare failure that invites a retry without keys. */
    tci_buf_free(&reply->body);
    tcd_answer_code(reply, TC_EUNKNOWN, "");
    return;
  }
  reply->status = 200;
  reply->content_type = TCD_MEDIA_NDJSON;
}

static void refuse(tcd_reply *reply, int code) {
  if (code == TC_EINVAL) tcd_answer_error(reply, 400, "body: has no line");
  else if (code == TC_ELIMIT) tcd_answer_errorf(reply, 400, "body: has more than %d lines, nothing was stored", LINES_MAX);
  else tcd_answer_code(reply, code, tc_last_error());
}

/* A short batch, which nobody waits for. */
typedef struct call {
  const tcd_app *app;
  tcd_reply *reply;
} call;

/* On the writer's thread, as a rule. What is short is built in some microseconds. */
static void done(tc_batch *batch, void *userdata) {
  call c = *(call *)userdata;
  tci_free(userdata);
  answer_batch(c.app, batch, c.reply);
  tc_batch_free(batch);
  tcd_reply_send(c.reply);
}

static int submit(const tcd_app *app, tc_batch_options *options, const tcd_request *request, tcd_reply *reply) {
  call *c = tci_alloc(sizeof *c);
  if (!c) return TC_ENOMEM;
  *c = (call){app, reply};
  options->done = done;
  options->userdata = c;
  int rc = tc_batch_submit(app->engine, options, request->body.len ? request->body.ptr : "", request->body.len, NULL);
  if (rc) tci_free(c);
  return rc;
}

static int submit_and_wait(const tcd_app *app, const tc_batch_options *options, const tcd_request *request, tcd_reply *reply) {
  tc_batch *batch = NULL;
  int rc = tc_batch_submit(app->engine, options, request->body.ptr, request->body.len, &batch);
  if (!rc) rc = tc_batch_wait(batch, -1);
  if (!rc) answer_batch(app, batch, reply);
  tc_batch_free(batch);
  if (!rc) tcd_reply_send(reply);
  return rc;
}

void tcd_handle_batch(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  tc_batch_options options = TC_BATCH_OPTIONS_INIT;
  tc_text ignored;
  int rc;
  options.kind = match->route->kind;
  options.lines_max = LINES_MAX;
  options.line_max_bytes = (size_t)app->config->max_body_bytes;
  if (tcd_request_header(request, "Idempotency-Key", &ignored)) {
    tcd_answer_error(reply, 400, "Idempotency-Key: a batch takes one key a line, as its member idempotencyKey");
    tcd_reply_send(reply);
    return;
  }
  if (tcd_is_short(request)) rc = submit(app, &options, request, reply);
  else rc = submit_and_wait(app, &options, request, reply);
  if (!rc) return; /* it is answered, or done() will */
  refuse(reply, rc);
  tcd_reply_send(reply);
}
