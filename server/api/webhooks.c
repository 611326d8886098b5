/* webhooks.c - /api/webhooks: the registry, tests and the delivery log. */
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "handlers.h"
#include "key.h"
#include "media.h"
#include "page.h"
#include "param.h"
#include "query.h"
#include "webhook_body.h"

#define SIZE_STANDARD 20

/* An unknown id has no body, as in the Java service. */
static void answer_failure(tcd_reply *reply, int rc) {
  if (rc == TC_ENOTFOUND) reply->status = 404;
  else tcd_answer_code(reply, rc, tc_last_error());
}

static void answer_webhook(tcd_reply *reply, int status, tc_webhook *webhook) {
  size_t len;
  const char *json = tc_webhook_json(webhook, &len);
  reply->status = status;
  reply->content_type = TCD_MEDIA_JSON;
  (void)tci_buf_append(&reply->body, json, len);
  tc_webhook_unref(webhook);
}

static void answer_change(tcd_reply *reply, int rc, int status, tc_webhook *webhook) {
  if (rc) answer_failure(reply, rc);
  else answer_webhook(reply, status, webhook);
}

void tcd_handle_webhook_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char storage[TCD_KEY_SIZE];
  tcd_webhook_body body = {.storage = NULL};
  tc_webhook_new webhook = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  int32_t replayed = 0;
  (void)match;
  if (!tcd_key_read(request, storage, &webhook.idempotency_key, reply) && !tcd_webhook_body_read(request, &body, reply)) {
    webhook.room_id = body.room_id;
    webhook.url = body.url;
    webhook.events = body.events;
    webhook.secret = body.secret;
    webhook.description = body.description;
    webhook.flags = body.ordered > 0 ? TC_WEBHOOK_ORDERED : 0;
    int rc = tc_webhook_create(app->engine, &webhook, &made, &replayed);
    answer_change(reply, rc, replayed ? 200 : 201, made);
  }
  tci_free(body.storage);
  tcd_reply_send(reply);
}

void tcd_handle_webhook_update(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  tcd_webhook_body body = {.storage = NULL};
  tc_webhook_change change = TC_WEBHOOK_CHANGE_INIT;
  tc_webhook *made = NULL;
  int64_t id;
  if (!tcd_param_id(match->param, &id, reply) && !tcd_webhook_body_read(request, &body, reply)) {
    change.room_id = body.room_null ? "" : body.room_id;
    change.url = body.url;
    change.events = body.events;
    change.secret = body.secret;
    change.description = body.description;
    change.set_flags = body.ordered >= 0 ? TC_WEBHOOK_ORDERED : 0;
    change.flags = body.ordered > 0 ? TC_WEBHOOK_ORDERED : 0;
    if (body.overlap_s > UINT32_MAX) body.overlap_s = UINT32_MAX; /* the library names the limit */
    change.overlap_s = body.overlap_s > 0 ? (uint32_t)body.overlap_s : 0;
    if (body.room_id && !*body.room_id) {
      tcd_answer_error(reply, 400, "roomId: must not be blank");
    } else if (!body.overlap_s) { /* which the library takes as a day: not what one who asks for none has in mind */
      tcd_answer_error(reply, 400, "overlapSeconds: must be 1 or more");
    } else {
      int rc = tc_webhook_update(app->engine, id, &change, &made);
      answer_change(reply, rc, 200, made);
    }
  }
  tci_free(body.storage);
  tcd_reply_send(reply);
}

static void set_enabled(tcd_app *app, const tcd_match *match, int32_t enabled, tcd_reply *reply) {
  tc_webhook_change change = TC_WEBHOOK_CHANGE_INIT;
  tc_webhook *made = NULL;
  int64_t id;
  change.enabled = enabled;
  if (!tcd_param_id(match->param, &id, reply)) {
    int rc = tc_webhook_update(app->engine, id, &change, &made);
    answer_change(reply, rc, 200, made);
  }
  tcd_reply_send(reply);
}

void tcd_handle_webhook_enable(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  (void)request;
  set_enabled(app, match, 1, reply);
}

void tcd_handle_webhook_disable(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  (void)request;
  set_enabled(app, match, -1, reply);
}

void tcd_handle_webhook_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  tc_webhook *webhook = NULL;
  int64_t id;
  (void)request;
  if (!tcd_param_id(match->param, &id, reply)) {
    int rc = tc_webhook_get(app->engine, id, &webhook);
    answer_change(reply, rc, 200, webhook);
  }
  tcd_reply_send(reply);
}

void tcd_handle_webhook_delete(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  int64_t id;
  (void)request;
  if (!tcd_param_id(match->param, &id, reply)) {
    int rc = tc_webhook_delete(app->engine, id);
    if (rc) answer_failure(reply, rc);
    else reply->status = 204;
  }
  tcd_reply_send(reply);
}

/* Asked for, not waited for: its outcome is in the delivery log. */
void tcd_handle_webhook_test(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  int64_t id;
  (void)request;
  if (!tcd_param_id(match->param, &id, reply)) {
    int rc = tc_webhook_test(app->engine, id);
    if (rc) answer_failure(reply, rc);
    else reply->status = 202;
  }
  tcd_reply_send(reply);
}

void tcd_handle_webhook_resend(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  tcd_webhook_body body = {.storage = NULL};
  int64_t id;
  if (!tcd_param_id(match->param, &id, reply) && !tcd_webhook_body_read(request, &body, reply)) {
    if (body.delivery_id < 0) {
      tcd_answer_error(reply, 400, "deliveryId: is required");
    } else {
      int rc = tc_webhook_resend(app->engine, id, body.delivery_id);
      if (rc) answer_failure(reply, rc);
      else reply->status = 202;
    }
  }
  tci_free(body.storage);
  tcd_reply_send(reply);
}

void tcd_handle_webhook_replay(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  tcd_webhook_body body = {.storage = NULL};
  int64_t id, count = 0;
  if (!tcd_param_id(match->param, &id, reply) && !tcd_webhook_body_read(request, &body, reply)) {
    int64_t from_us, to_us;
    int by_time = body.from || body.to, by_seq = body.from_seq >= 0 || body.to_seq >= 0;
    if (by_time == by_seq || (by_seq && (body.from_seq < 0 || body.to_seq < 0)) || (by_time && (!body.from || !body.to))) {
      tcd_answer_error(reply, 400, "fromSeq and toSeq, or from and to, are required");
    } else if (by_time && tci_time_parse(body.from, strlen(body.from), &from_us)) {
      tcd_answer_error(reply, 400, "from: must be an instant as 2024-01-15T10:00:00Z");
    } else if (by_time && tci_time_parse(body.to, strlen(body.to), &to_us)) {
      tcd_answer_error(reply, 400, "to: must be an instant as 2024-01-15T10:00:00Z");
    } else {
      int rc =
        by_time ? tc_webhook_replay_time(app->engine, id, from_us, to_us, &count) : tc_webhook_replay(app->engine, id, body.from_seq, body.to_seq, &count);
      if (rc) {
        answer_failure(reply, rc);
      } else {
        reply->status = 202;
        reply->content_type = TCD_MEDIA_JSON;
        (void)tci_buf_printf(&reply->body, "{\"count\":%lld}", (long long)count);
      }
    }
  }
  tci_free(body.storage);
  tcd_reply_send(reply);
}

static void put_webhook(const tc_webhook *webhook, void *userdata) {
  tci_buf *body = userdata;
  size_t len;
  const char *json = tc_webhook_json(webhook, &len);
  if (body->len > 1) (void)tci_buf_puts(body, ",");
  (void)tci_buf_append(body, json, len);
}

/* As Spring reads a boolean: true, on, yes, 1 and their opposites, in any case. -1: none of them. */
static int read_boolean(const char *text) {
  static const char *const words[] = {"false", "off", "no", "0", "true", "on", "yes", "1"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (!strcasecmp(text, words[i])) return i >= 4;
  }
  return -1;
}

/* The query's values, NUL-terminated in *storage. 0, or -1 with the reply filled. */
static int read_query(const tcd_request *request, const char *const *names, size_t n, const char **values, char **storage, tcd_reply *reply) {
  tcd_query_fault fault;
  *storage = tci_alloc(request->query.len + 1);
  if (!*storage) {
    tcd_answer_code(reply, TC_ENOMEM, "");
    return -1;
  }
  if (!tcd_query_read(request->query, names, n, values, *storage, &fault)) return 0;
  tcd_answer_errorf(reply, 400, "%s: %s", fault.name, fault.what);
  return -1;
}

void tcd_handle_webhook_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const char *const names[] = {"global", "roomId"};
  const char *values[2] = {NULL, NULL};
  char *storage = NULL;
  int global = 0;
  (void)match;
  if (read_query(request, names, 2, values, &storage, reply)) goto send;
  if (values[0] && *values[0]) global = read_boolean(values[0]);
  if (global < 0) {
    tcd_answer_error(reply, 400, "global: must be true or false");
    goto send;
  }
  reply->body.max = TCD_PAGE_MAX_BYTES;
  (void)tci_buf_puts(&reply->body, "[");
  int rc = tc_webhook_list(app->engine, global, values[1], put_webhook, &reply->body);
  (void)tci_buf_puts(&reply->body, "]");
  if (!rc) rc = reply->body.err;
  if (rc) {
    tci_buf_free(&reply->body);
    answer_failure(reply, rc);
  } else {
    reply->status = 200;
    reply->content_type = TCD_MEDIA_JSON;
  }
send:
  tci_free(storage);
  tcd_reply_send(reply);
}

typedef struct page_of_deliveries {
  tci_buf *body;
  size_t count;
} page_of_deliveries;

static void put_text(tci_buf *body, const char *name, tc_text value) {
  (void)tci_buf_printf(body, ",\"%s\":", name);
  if (value.ptr) (void)tci_json_put_string(body, value);
  else (void)tci_buf_puts(body, "null");
}

static void put_delivery(const tc_webhook_delivery *d, void *userdata) {
  page_of_deliveries *page = userdata;
  tci_buf *body = page->body;
  char created[TCI_RFC3339_MS_LEN];
  tci_time_format_ms(d->created_at_us, created);
  (void)tci_buf_printf(body, "%s{\"id\":%lld,\"webhookId\":%lld,\"seq\":", page->count ? "," : "", (long long)d->id, (long long)d->webhook_id);
  if (d->seq) (void)tci_buf_printf(body, "%lld", (long long)d->seq);
  else (void)tci_buf_puts(body, "null"); /* a test */
  put_text(body, "event", d->event);
  (void)tci_buf_printf(body, ",\"success\":%s,\"httpStatusCode\":%d", d->success ? "true" : "false", d->status);
  put_text(body, "responseBody", d->response);
  put_text(body, "errorMessage", d->error);
  (void)tci_buf_printf(body, ",\"attemptNumber\":%d,\"durationMs\":%lld,\"createdAt\":\"%.*s\"}", d->attempt, (long long)d->duration_ms, TCI_RFC3339_MS_LEN,
                       created);
  page->count++;
}

/* 0, or -1 with the reply filled; an empty value is the default. */
static int read_number(const char *name, const char *text, int64_t standard, int64_t *out, tcd_reply *reply) {
  *out = standard;
  if (!text || !*text || !tcd_parse_int(text, strlen(text), out)) return 0;
  tcd_answer_errorf(reply, 400, "%s: must be a whole number", name);
  return -1;
}

void tcd_handle_webhook_deliveries(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const char *const names[] = {"page", "size"};
  const char *values[2] = {NULL, NULL};
  char *storage = NULL;
  int64_t id, number, size, total = 0;
  if (tcd_param_id(match->param, &id, reply) || read_query(request, names, 2, values, &storage, reply)) goto send;
  if (read_number("page", values[0], 0, &number, reply) || read_number("size", values[1], SIZE_STANDARD, &size, reply)) goto send;
  page_of_deliveries page = {&reply->body, 0};
  reply->body.max = TCD_PAGE_MAX_BYTES;
  (void)tci_buf_puts(&reply->body, "{\"content\":[");
  int32_t rows = size < 1 || size > INT32_MAX ? 0 : (int32_t)size; /* 0: the library names the range */
  int rc = tc_webhook_deliveries(app->engine, id, number, rows, put_delivery, &page, &total);
  (void)tci_buf_puts(&reply->body, "]");
  if (!rc) rc = tcd_page_put_frame(&reply->body, page.count, total, number, rows, 0);
  if (rc) {
    tci_buf_free(&reply->body);
    answer_failure(reply, rc);
  } else {
    reply->status = 200;
    reply->content_type = TCD_MEDIA_JSON;
  }
send:
  tci_free(storage);
  tcd_reply_send(reply);
}
