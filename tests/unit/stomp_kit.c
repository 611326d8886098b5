#include "stomp_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- The allocator: counts, and fails once when it is told to. */

int stomp_blocks, stomp_allocations, stomp_fail_at;

static int fails(void) { return ++stomp_allocations == stomp_fail_at; }

static void *counted(void *made) {
  if (made) stomp_blocks++;
  return made;
}

void *tci_alloc(size_t size) { return fails() ? NULL : counted(malloc(size ? size : 1)); }
void *tci_zalloc(size_t size) { return fails() ? NULL : counted(calloc(1, size ? size : 1)); }
void *tci_array(size_t count, size_t size) { return fails() ? NULL : counted(calloc(count ? count : 1, size ? size : 1)); }
void *tci_realloc(void *old, size_t size) {
  if (fails()) return NULL;
  void *made = realloc(old, size ? size : 1);
  if (made && !old) stomp_blocks++;
  return made;
}
void tci_free(void *ptr) {
  if (ptr) stomp_blocks--;
  free(ptr);
}

/* ---- What was said to the client, in one text. */

static char heard_text[1u << 20];
size_t stomp_heard_len;
int stomp_closed;
static int spoke_late;

static void record(const char *bytes, size_t len) {
  ck_assert_uint_lt(stomp_heard_len + len + 1, sizeof heard_text);
  for (size_t i = 0; i < len; i++) heard_text[stomp_heard_len++] = bytes[i] ? bytes[i] : '^';
  heard_text[stomp_heard_len] = '\0';
}

/* A frame as it is, but for its content-length, which is checked here once for all and left out. */
static void record_frame(tc_text frame) {
  static const char word[] = "\ncontent-length:";
  ck_assert(frame.len && !frame.ptr[frame.len - 1]);
  const char *body = strstr(frame.ptr, "\n\n"), *line = strstr(frame.ptr, word);
  ck_assert_ptr_nonnull(body);
  if (!line || line > body) {
    record(frame.ptr, frame.len);
    return;
  }
  char *end;
  ck_assert_uint_eq(strtoul(line + sizeof word - 1, &end, 10), frame.len - 1 - (size_t)(body + 2 - frame.ptr));
  record(frame.ptr, (size_t)(line - frame.ptr));
  record(end, frame.len - (size_t)(end - frame.ptr));
}

static void on_send(tcd_pipe *pipe, tc_text message) {
  (void)pipe;
  if (stomp_closed) spoke_late = 1;
  if (message.len == 1 && *message.ptr == '\n') record("beat;", 5);
  else record_frame(message);
}

static void on_close(tcd_pipe *pipe, uint16_t code, const char *reason) {
  char text[32];
  (void)pipe;
  ck_assert_uint_le(strlen(reason), 123); /* RFC 6455 5.5: it has to fit a close frame */
  if (stomp_closed) spoke_late = 1;
  stomp_closed = code;
  int len = snprintf(text, sizeof text, "close %u;", code);
  record(text, (size_t)len);
}

static const tcd_pipe_ops pipe_ops = {on_send, on_close};

/* ---- The hub. */

#define CURSORS_MAX 300
tcd_cursor *stomp_cursors[CURSORS_MAX];
int stomp_cursor_count, stomp_join_code, stomp_join_recovered;
tcd_front stomp_front;

tcd_front *tcd_hub_front(const tcd_hub *hub) {
  (void)hub;
  return &stomp_front;
}

int tcd_hub_join(tcd_hub *hub, tcd_sink *sink, const tcd_join *join, tcd_cursor **out, int *recovered) {
  (void)hub, (void)sink;
  if (stomp_join_code) return stomp_join_code;
  ck_assert_int_lt(stomp_cursor_count, CURSORS_MAX);
  tcd_cursor *cursor = tci_zalloc(sizeof *cursor);
  if (!cursor) return TC_ENOMEM;
  cursor->owner = join->owner;
  cursor->join = *join;
  ck_assert(join->topic.room.len < sizeof cursor->room && join->shape.text.len < sizeof cursor->text);
  if (join->topic.room.len) memcpy(cursor->room, join->topic.room.ptr, join->topic.room.len);
  if (join->shape.text.len) memcpy(cursor->text, join->shape.text.ptr, join->shape.text.len);
  cursor->join.shape.text.ptr = cursor->text;
  stomp_cursors[stomp_cursor_count++] = cursor;
  if (join->resume) *recovered = stomp_join_recovered;
  *out = cursor;
  return TC_OK;
}

void *tcd_cursor_owner(const tcd_cursor *cursor) { return cursor->owner; }

void stomp_remove_cursor(tcd_cursor *cursor) {
  int i = 0;
  while (i < stomp_cursor_count && stomp_cursors[i] != cursor) i++;
  ck_assert_msg(i < stomp_cursor_count, "a cursor left that was not there");
  stomp_cursors[i] = stomp_cursors[--stomp_cursor_count];
  tci_free(cursor);
}

void tcd_cursor_greet(tcd_cursor *cursor) { ck_assert_ptr_nonnull(cursor); }

void tcd_cursor_leave(tcd_cursor *cursor) { stomp_remove_cursor(cursor); }

void tcd_sink_settle(tcd_sink *sink) {
  (void)sink;
  record("settled;", 8);
}

/* ---- Events: the encoder asks for these three. */

struct tc_event {
  const char *room, *json;
  int64_t seq;
};

const char *tc_event_json(const tc_event *event, size_t *len) {
  *len = strlen(event->json);
  return event->json;
}
const char *tc_event_str(const tc_event *event, uint32_t field) { return field == TC_FIELD_ROOM_ID ? event->room : NULL; }
int64_t tc_event_seq(const tc_event *event) { return event->seq; }
uint32_t tc_event_kind(const tc_event *event) { return event->room ? TC_KIND_TIP : TC_KIND_REACTION; }

void stomp_publish(const char *room, int64_t seq) {
  tc_event event = {room, "{\"x\":1}", seq};
  for (int i = 0; i < stomp_cursor_count; i++) {
    const tcd_cursor *cursor = stomp_cursors[i];
    if (!cursor->join.topic.all && strcmp(cursor->room, room) != 0) continue;
    tci_buf out;
    tci_buf_init(&out, 65536);
    cursor->join.shape.write(&cursor->join.shape, &event, &out);
    ck_assert_int_eq(out.err, 0);
    record_frame((tc_text){out.data, out.len});
    tci_buf_free(&out);
  }
}

/* ---- The client. */

const tcd_framing stomp_framing = {"test", NULL};
tcd_stomp stomp;
tcd_pipe stomp_pipe;

int stomp_begin(void) {
  stomp_heard_len = 0;
  heard_text[0] = '\0';
  stomp_closed = spoke_late = stomp_join_code = 0;
  stomp_front.now_us = 1000000;
  tcd_wheel_init(&stomp_front.wheel, stomp_front.now_us);
  tcd_stomp_init(&stomp, NULL);
  stomp_pipe = (tcd_pipe){.ops = &pipe_ops, .service = &stomp.service, .framing = &stomp_framing, .heard_us = stomp_front.now_us};
  return stomp.service.open(&stomp.service, &stomp_pipe);
}

void stomp_end(void) {
  stomp.service.closed(&stomp_pipe);
  ck_assert_int_eq(spoke_late, 0);
  ck_assert_int_eq(stomp_cursor_count, 0);
  ck_assert_uint_eq(stomp_front.wheel.running, 0);
  ck_assert_int_eq(stomp_blocks, 0);
}

void stomp_say_bytes(const char *text, size_t len) {
  if (stomp_closed) return; /* as a transport does */
  char *bytes = malloc(len ? len : 1);
  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i < len; i++) bytes[i] = text[i] == '^' ? '\0' : text[i];
  stomp_pipe.heard_us = stomp_front.now_us;
  stomp.service.message(&stomp_pipe, bytes, len);
  free(bytes);
}

void stomp_say(const char *text) { stomp_say_bytes(text, strlen(text)); }

void stomp_expect(const char *text) {
  ck_assert_str_eq(heard_text, text);
  stomp_heard_len = 0;
  heard_text[0] = '\0';
}

static const char *const connects[] = {"CONNECT\n\n^", "CONNECT\naccept-version:1.1\n\n^", "CONNECT\naccept-version:1.2\n\n^"};
const char *const stomp_connected[] = {"CONNECTED\nversion:1.0\nheart-beat:10000,10000\n\n^", "CONNECTED\nversion:1.1\nheart-beat:10000,10000\n\n^",
                                       "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"};

void stomp_connect(int version) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say(connects[version]);
  stomp_expect(stomp_connected[version]);
}

void stomp_pass(int64_t ms) {
  for (int64_t left = ms; left > 0; left -= 50) {
    stomp_front.now_us += 50000;
    tcd_wheel_turn(&stomp_front.wheel, stomp_front.now_us);
  }
}
