#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/thread.h"
#include "handlers.h"
#include "media.h"

/* Design notes.
 * - All lines are in flight at once, so that the writer commits them in a few large groups; each line stands for itself.
 * - Once submitted a line is stored whatever becomes of the client: the handler always waits for all of them.
 * - A line may be as long as the body of a single create (max_body_bytes).
 * - A line's answer holds its event as long as the reply has room for it. Beyond that (replays of large events by short lines could make it any size) it says the id only.
 */
#define LINES_MAX 10000
#define LINE_REPLY_MAX 1024 /* of a line's answer without its event */
#define LINE_FRAME 32       /* {"status":201,"event":}\n */
#define RETRY_US 2000

typedef struct batch batch;

typedef struct line {
  tc_text text;
  batch *owner;
  tc_event *event; /* TC_OK */
  char *detail;    /* owned; NULL: "" */
  int code, replayed;
} line;

struct batch {
  tcd_app *app;
  uint32_t kind;
  line *lines;
  size_t count;
  pthread_mutex_t mutex; /* guards pending and, until pending is 0, what done() writes into the lines */
  pthread_cond_t cond;
  size_t pending;
  int64_t patience_us; /* how much longer to wait for a queue that others have filled */
};

static int is_blank(tc_text text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] != ' ' && text.ptr[i] != '\t' && text.ptr[i] != '\r') return 0;
  }
  return 1;
}

/* Takes the next line that is not blank off *rest. Blank lines (the one behind the last newline, mostly) have no answer. */
static int next_line(tc_text *rest, tc_text *text) {
  while (rest->len) {
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    *text = (tc_text){rest->ptr, len};
    len += end != NULL;
    rest->ptr += len;
    rest->len -= len;
    if (!is_blank(*text)) return 1;
  }
  return 0;
}

static size_t count_lines(tc_text body) {
  tc_text text;
  size_t count = 0;
  while (count <= LINES_MAX && next_line(&body, &text)) count++;
  return count;
}

static void line_fail(line *l, int code, const char *detail) {
  l->code = code;
  l->detail = *detail ? tcd_readable((tc_text){detail, strlen(detail)}) : NULL; /* out of memory: the code's own text is shown */
}

/* On the writer's thread. */
static void line_done(const tc_result *result, void *userdata) {
  line *l = userdata;
  batch *b = l->owner;
  if (result->code) {
    line_fail(l, result->code, result->detail);
  } else {
    l->event = tc_event_ref(result->event);
    l->replayed = result->replayed;
  }
  (void)pthread_mutex_lock(&b->mutex);
  b->pending--;
  (void)pthread_cond_signal(&b->cond);
  (void)pthread_mutex_unlock(&b->mutex);
}

/* The line's idempotencyKey as a NUL-terminated copy; *out NULL: none. A line that is no JSON object passes: the library says what is wrong with it. 0, or -1 with the line failed. */
static int read_line_key(line *l, char **out) {
  static const char *const names[] = {"idempotencyKey"};
  tci_json_value value;
  tci_json_fault fault;
  *out = NULL;
  if (tci_json_object(l->text.ptr, l->text.len, names, 1, &value, &fault) || value.type == TCI_JSON_ABSENT || value.type == TCI_JSON_NULL) return 0;
  if (value.type != TCI_JSON_STRING) {
    line_fail(l, TC_EINVAL, "idempotencyKey: must be a string");
    return -1;
  }
  char *key = tci_alloc(value.raw.len + 1);
  if (!key) {
    line_fail(l, TC_ENOMEM, "");
    return -1;
  }
  size_t len = tci_json_unescape(value.raw, key);
  key[len] = '\0';
  if (memchr(key, '\0', len)) {
    line_fail(l, TC_EINVAL, "idempotencyKey: must not contain control characters");
    tci_free(key);
    return -1;
  }
  *out = key;
  return 0;
}

/* The queue is full: waits until one of our own lines is done, or a moment when others have filled it. 1: try again; 0: the patience is used up. */
static int wait_for_room(batch *b) {
  int again = 1;
  (void)pthread_mutex_lock(&b->mutex);
  if (b->pending) {
    size_t before = b->pending;
    while (b->pending == before) (void)tci_cond_wait(&b->cond, &b->mutex, -1);
  } else {
    again = b->patience_us > 0;
    int64_t began = tci_sys_monotonic_us(NULL);
    if (again) (void)tci_cond_wait(&b->cond, &b->mutex, RETRY_US);
    b->patience_us -= tci_sys_monotonic_us(NULL) - began;
  }
  (void)pthread_mutex_unlock(&b->mutex);
  return again;
}

static void submit_line(batch *b, line *l) {
  char *key, message[64];
  int rc;
  if (l->text.len > b->app->config->max_body_bytes) {
    (void)snprintf(message, sizeof message, "line: longer than %llu bytes", (unsigned long long)b->app->config->max_body_bytes);
    line_fail(l, TC_ELIMIT, message);
    return;
  }
  if (read_line_key(l, &key)) return;
  do {
    (void)pthread_mutex_lock(&b->mutex);
    b->pending++; /* before the submit: done may run before it returns */
    (void)pthread_mutex_unlock(&b->mutex);
    rc = tc_json_submit(b->app->engine, b->kind, l->text.ptr, l->text.len, key, line_done, l);
    if (rc) {
      (void)pthread_mutex_lock(&b->mutex);
      b->pending--;
      (void)pthread_mutex_unlock(&b->mutex);
    }
  } while (rc == TC_EBUSY && wait_for_room(b));
  if (rc) line_fail(l, rc, tc_last_error());
  tci_free(key);
}

static void put_line(tci_buf *buf, const line *l, size_t room) {
  size_t len;
  if (l->code) {
    const char *message = tcd_message_of(l->code, l->detail ? l->detail : "");
    int status = tcd_status_of(l->code);
    (void)tci_buf_printf(buf, "{\"status\":%d,\"error\":\"%s\",\"message\":", status, tcd_status_text(status));
    (void)tci_json_put_string(buf, (tc_text){message, strlen(message)});
    (void)tci_buf_puts(buf, "}\n");
    return;
  }
  const char *json = tc_event_json(l->event, &len);
  (void)tci_buf_printf(buf, "{\"status\":%d,", l->replayed ? 200 : 201);
  if (len <= room) {
    (void)tci_buf_puts(buf, "\"event\":");
    (void)tci_buf_append(buf, json, len);
    (void)tci_buf_puts(buf, "}\n");
  } else {
    (void)tci_buf_printf(buf, "\"id\":%lld}\n", (long long)tc_event_id(l->event));
  }
}

static void answer_batch(batch *b, tcd_reply *reply) {
  size_t events_max = 2 * (size_t)b->app->config->max_batch_bytes, used = 0, total = 0;
  for (size_t i = 0; i < b->count; i++) {
    size_t len = 0;
    if (b->lines[i].event) (void)tc_event_json(b->lines[i].event, &len);
    total += len + LINE_FRAME;
  }
  reply->body.max = events_max + b->count * LINE_REPLY_MAX;
  (void)tci_buf_room(&reply->body, total < events_max ? total : events_max); /* one allocation where the lines went well; its error is sticky */
  for (size_t i = 0; i < b->count && !reply->body.err; i++) {
    size_t len = 0;
    if (b->lines[i].event) (void)tc_event_json(b->lines[i].event, &len);
    put_line(&reply->body, &b->lines[i], events_max - used);
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

static int run_batch(batch *b, tc_text body) {
  int rc = pthread_mutex_init(&b->mutex, NULL);
  if (rc) return TC_ENOMEM;
  if (tci_cond_init(&b->cond)) {
    (void)pthread_mutex_destroy(&b->mutex);
    return TC_ENOMEM;
  }
  for (size_t i = 0; i < b->count && next_line(&body, &b->lines[i].text); i++) {
    b->lines[i].owner = b;
    submit_line(b, &b->lines[i]);
  }
  (void)pthread_mutex_lock(&b->mutex);
  while (b->pending) (void)tci_cond_wait(&b->cond, &b->mutex, -1);
  (void)pthread_mutex_unlock(&b->mutex);
  (void)pthread_cond_destroy(&b->cond);
  (void)pthread_mutex_destroy(&b->mutex);
  return TC_OK;
}

void tcd_handle_batch(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  batch b = {.app = app, .kind = match->route->kind, .count = count_lines(request->body), .patience_us = (int64_t)app->config->create_deadline_ms * 1000};
  tc_text ignored;
  int rc = TC_OK;
  if (tcd_request_header(request, "Idempotency-Key", &ignored)) {
    tcd_answer_error(reply, 400, "Idempotency-Key: a batch takes one key a line, as its member idempotencyKey");
  } else if (!b.count) {
    tcd_answer_error(reply, 400, "body: has no line");
  } else if (b.count > LINES_MAX) {
    tcd_answer_errorf(reply, 400, "body: has more than %d lines, nothing was stored", LINES_MAX);
  } else {
    b.lines = tci_array(b.count, sizeof *b.lines);
    rc = b.lines ? run_batch(&b, request->body) : TC_ENOMEM;
    if (rc) tcd_answer_code(reply, rc, "");
    else answer_batch(&b, reply);
  }
  for (size_t i = 0; b.lines && i < b.count; i++) {
    tc_event_unref(b.lines[i].event);
    tci_free(b.lines[i].detail);
  }
  tci_free(b.lines);
  tcd_reply_send(reply);
}
