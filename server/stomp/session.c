#include "server/stomp/session.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "server/front/reactor.h"
#include "server/stomp/encode.h"

#define FRAME_OUT_MAX (256u << 10)                                     /* of a frame that answers one of at most 64 KiB, escaped */
#define SUBSCRIPTION_ID_MAX 1024                                       /* bytes: it stands twice in every message */
#define ROOM_MAX (4 * 255)                                             /* bytes: of the longest room there can be (tip.h) */
#define DESTINATION_MAX (sizeof "/topic/leaderboards/" - 1 + ROOM_MAX) /* a longer one is not even looked at */
#define GRACE_MS 1000
#define COMMAND_SHOWN_MAX 32

enum { FRESH, CONNECTED, OVER };

typedef struct subscription {
  struct subscription *next;
  tcd_cursor *cursor;
  size_t id_len, destination_len;
  char id[]; /* then, in 1.0, the destination */
} subscription;

typedef struct session {
  tcd_pipe *pipe;
  tcd_stomp_parser parser;
  subscription *subscriptions;
  tcd_timer hear, say;     /* the client's heart-beats, ours */
  int64_t hear_us, say_us; /* periods; 0: none */
  uint16_t count;
  uint8_t state;
} session;

static tcd_front *front_of(const session *s) { return tcd_hub_front(s->pipe->hub); }

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

static int is(tc_text text, const char *word) { return text.len == strlen(word) && !memcmp(text.ptr, word, text.len); }

static const char *subscription_destination(const subscription *sub) { return sub->id + sub->id_len; }

static void begin_frame(tci_buf *frame, const char *command) {
  tci_buf_init(frame, FRAME_OUT_MAX);
  (void)tci_buf_puts(frame, command);
  (void)tci_buf_puts(frame, "\n");
}

static void end_subscription(session *s, subscription **at) {
  subscription *gone = *at;
  *at = gone->next;
  s->count--;
  if (gone->cursor) tcd_cursor_leave(gone->cursor);
  tci_free(gone);
}

static void end_subscriptions(session *s) {
  while (s->subscriptions) end_subscription(s, &s->subscriptions);
}

static void over(session *s) {
  s->state = OVER;
  end_subscriptions(s);
  tcd_timer_stop(&front_of(s)->wheel, &s->hear);
  tcd_timer_stop(&front_of(s)->wheel, &s->say);
}

/* Closes the pipe, once: a session may run out of memory while it says its last word. */
static void end(session *s, uint16_t code, const char *reason) {
  if (s->state == OVER) return;
  over(s);
  s->pipe->ops->close(s->pipe, code, reason);
}

/* Without memory for a frame there is no session any more: what it leaves out its client would wait for. */
static void send_frame(session *s, tci_buf *frame) {
  (void)tci_buf_append(frame, "", 1);
  if (frame->err) end(s, 1011, "out of memory");
  else s->pipe->ops->send(s->pipe, (tc_text){frame->data, frame->len});
  tci_buf_free(frame);
}

/* An ERROR is the end (1.2, "ERROR"). message: one line; detail: what a person can act on. headers: more of them, complete lines, may be NULL. */
static void fail(session *s, uint16_t code, const char *message, tc_text receipt, const char *headers, const char *detail) {
  tci_buf frame;
  if (s->state == OVER) return;
  begin_frame(&frame, "ERROR");
  tcd_stomp_put_header(&frame, "message", text_of(message), s->parser.version);
  if (receipt.ptr) tcd_stomp_put_header(&frame, "receipt-id", receipt, s->parser.version);
  if (headers) (void)tci_buf_puts(&frame, headers);
  (void)tci_buf_printf(&frame, "content-type:text/plain\ncontent-length:%zu\n\n%s", strlen(detail), detail);
  end_subscriptions(s); /* no MESSAGE behind it */
  send_frame(s, &frame);
  end(s, code, message);
}

/* "<command>: <what>", or what alone when the command is no text. A long one is cut. */
static const char *name_frame(char *out, size_t size, tc_text command, const char *what) {
  if (command.len > COMMAND_SHOWN_MAX) command.len = COMMAND_SHOWN_MAX;
  if (!command.ptr || !tci_utf8_valid(command.ptr, command.len, NULL)) return what;
  (void)snprintf(out, size, "%.*s: %s", (int)command.len, command.ptr, what);
  return out;
}

static void refuse(session *s, const tcd_stomp_frame *frame, const char *what) {
  char detail[256];
  tc_text receipt = {NULL, 0};
  (void)tcd_stomp_find(frame, "receipt", &receipt);
  fail(s, 1002, what, receipt, NULL, name_frame(detail, sizeof detail, frame->command, what));
}

static void answer_receipt(session *s, const tcd_stomp_frame *frame, int recovered) {
  tci_buf out;
  tc_text receipt;
  if (!tcd_stomp_find(frame, "receipt", &receipt)) return;
  begin_frame(&out, "RECEIPT");
  tcd_stomp_put_header(&out, "receipt-id", receipt, s->parser.version);
  if (recovered >= 0) (void)tci_buf_puts(&out, recovered ? "recovered:true\n" : "recovered:false\n");
  (void)tci_buf_puts(&out, "\n");
  send_frame(s, &out);
}

static session *of_hear(tcd_timer *timer) { return (session *)((char *)timer - offsetof(session, hear)); }
static session *of_say(tcd_timer *timer) { return (session *)((char *)timer - offsetof(session, say)); }

/* Before CONNECT: its deadline. After: silence for two periods is death. */
static void on_hear(tcd_timer *timer) {
  session *s = of_hear(timer);
  tcd_front *front = front_of(s);
  if (s->state == FRESH) {
    fail(s, 1002, "no CONNECT within 60 s", (tc_text){NULL, 0}, NULL, "no CONNECT within 60 s");
    return;
  }
  int64_t due_us = s->pipe->heard_us + 2 * s->hear_us + GRACE_MS * 1000;
  if (due_us > front->now_us) tcd_timer_start(&front->wheel, timer, due_us);
  else fail(s, 1002, "no heart-beat for two periods", (tc_text){NULL, 0}, NULL, "nothing was heard from the client for two of its heart-beat periods");
}

static void on_say(tcd_timer *timer) {
  session *s = of_say(timer);
  tcd_front *front = front_of(s);
  s->pipe->ops->send(s->pipe, text_of("\n"));
  tcd_timer_start(&front->wheel, timer, front->now_us + s->say_us);
}

/* "<cx>,<cy>": what the client can send and wants to receive, in ms. 0, or -1. */
static int read_beats(tc_text value, int64_t beats[2]) {
  size_t at = 0;
  for (int i = 0; i < 2; i++) {
    size_t from = at;
    for (beats[i] = 0; at < value.len && value.ptr[at] >= '0' && value.ptr[at] <= '9' && at - from < 10; at++) beats[i] = beats[i] * 10 + (value.ptr[at] - '0');
    if (at == from) return -1;
    if (i == 0 && (at == value.len || value.ptr[at++] != ',')) return -1;
  }
  return at == value.len ? 0 : -1;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static void start_beats(session *s, const int64_t beats[2]) {
  tcd_front *front = front_of(s);
  tcd_timer_stop(&front->wheel, &s->hear);
  if (beats[0]) s->hear_us = larger(beats[0], TCD_STOMP_HEART_BEAT_MS) * 1000;
  /* Timers may be late, but a beat may not: "at least every n ms" is promised. */
  if (beats[1]) s->say_us = larger(beats[1], TCD_STOMP_HEART_BEAT_MS) * 1000 - 2 * TCD_WHEEL_SLOT_US;
  if (s->hear_us) tcd_timer_start(&front->wheel, &s->hear, front->now_us + 2 * s->hear_us + GRACE_MS * 1000);
  if (s->say_us) tcd_timer_start(&front->wheel, &s->say, front->now_us + s->say_us);
}

/* The best of a comma list that we speak; -1: none. Blanks around an item are forgiven. */
static int best_version(tc_text list) {
  static const char *const known[] = {"1.0", "1.1", "1.2"};
  int best = -1;
  for (size_t at = 0; at <= list.len;) {
    const char *comma = at < list.len ? memchr(list.ptr + at, ',', list.len - at) : NULL;
    size_t end = comma ? (size_t)(comma - list.ptr) : list.len;
    tc_text item = {list.ptr + at, end - at};
    while (item.len && *item.ptr == ' ') item.ptr++, item.len--;
    while (item.len && item.ptr[item.len - 1] == ' ') item.len--;
    for (int i = 0; i < 3; i++) {
      if (i > best && is(item, known[i])) best = i;
    }
    at = end + 1;
  }
  return best;
}

static void on_connect(session *s, const tcd_stomp_frame *frame) {
  static const char *const names[] = {"1.0", "1.1", "1.2"};
  tc_text value;
  int64_t beats[2] = {0, 0};
  tci_buf out;
  int version = tcd_stomp_find(frame, "accept-version", &value) ? best_version(value) : TCD_STOMP_10;
  if (version < 0) {
    fail(s, 1002, "accept-version: none of these is served", (tc_text){NULL, 0}, "version:1.0,1.1,1.2\n",
         "CONNECT: accept-version: served are 1.0, 1.1 and 1.2");
    return;
  }
  if (tcd_stomp_find(frame, "heart-beat", &value) && read_beats(value, beats)) {
    refuse(s, frame, "heart-beat: must be two whole numbers with a comma between");
    return;
  }
  s->parser.version = version;
  s->state = CONNECTED;
  start_beats(s, beats);
  begin_frame(&out, "CONNECTED");
  (void)tci_buf_printf(&out, "version:%s\nheart-beat:%d,%d\n\n", names[version], TCD_STOMP_HEART_BEAT_MS, TCD_STOMP_HEART_BEAT_MS);
  send_frame(s, &out);
}

static subscription **find_subscription(session *s, tc_text id, tc_text destination) {
  for (subscription **at = &s->subscriptions; *at; at = &(*at)->next) {
    const subscription *sub = *at;
    if (id.ptr && sub->id_len == id.len && !memcmp(sub->id, id.ptr, id.len)) return at;
    if (!id.ptr && sub->destination_len == destination.len && !memcmp(subscription_destination(sub), destination.ptr, destination.len)) return at;
  }
  return NULL;
}

static int read_seq(tc_text text, int64_t *out) {
  int64_t value = 0;
  if (!text.len || text.len > 18) return -1;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
    value = value * 10 + (text.ptr[i] - '0');
  }
  *out = value;
  return 0;
}

/* What is wrong with a SUBSCRIBE; NULL: nothing, and join is filled but for the shape's text. */
static const char *read_subscribe(session *s, const tcd_stomp_frame *frame, tc_text *id, tc_text *destination, tcd_join *join) {
  tc_text after;
  if (!tcd_stomp_find(frame, "destination", destination)) return "destination: is missing";
  int named = tcd_stomp_find(frame, "id", id);
  if (!named && s->parser.version != TCD_STOMP_10) return "id: is missing";
  if (named && id->len > SUBSCRIPTION_ID_MAX) return "id: at most 1024 bytes";
  if (destination->len > DESTINATION_MAX) return "destination: no room has so long an id";
  if (find_subscription(s, named ? *id : (tc_text){NULL, 0}, *destination))
    return named ? "id: is in use by another subscription" : "destination: is subscribed to already";
  if (!named) *id = *destination; /* 1.0: the destination stands for it; what it is called in MESSAGE nobody reads */
  if (tcd_topic_parse(*destination, &join->topic))
    return "destination: nothing there; served: /topic/rooms/{id}, /topic/events/{id}, * of both, /topic/**, /topic/leaderboards/{id}";
  if (join->topic.room.len > ROOM_MAX) return "destination: no room has so long an id";
  join->resume = tcd_stomp_find(frame, "after-seq", &after);
  if (join->resume && read_seq(after, &join->after_seq)) return "after-seq: must be a whole number, 0 or more";
  if (s->count >= TCD_STOMP_SUBSCRIPTIONS_MAX) return "a session has at most 256 subscriptions";
  return NULL;
}

static void on_subscribe(session *s, const tcd_stomp_frame *frame) {
  tc_text id = {NULL, 0}, destination;
  tcd_join join;
  tci_buf escaped;
  int recovered = -1;
  memset(&join, 0, sizeof join);
  const char *wrong = read_subscribe(s, frame, &id, &destination, &join);
  if (wrong) {
    refuse(s, frame, wrong);
    return;
  }
  tci_buf_init(&escaped, 2 * TCD_STOMP_FRAME_MAX);
  tcd_stomp_put_escaped(&escaped, id, s->parser.version);
  size_t kept = s->parser.version == TCD_STOMP_10 ? destination.len : 0; /* later versions never ask by destination */
  subscription *sub = tci_zalloc(sizeof *sub + id.len + kept);
  if (!sub || escaped.err) goto fail;
  sub->id_len = id.len;
  sub->destination_len = kept;
  memcpy(sub->id, id.ptr, id.len);
  memcpy(sub->id + id.len, destination.ptr, kept);
  join.owner = sub;
  join.shape = (tcd_shape){s->pipe->framing, tcd_stomp_write_message, {escaped.data, escaped.len}, (uint32_t)s->parser.version, tcd_stomp_write_notice};
  if (tcd_hub_join(s->pipe->hub, s->pipe->sink, &join, &sub->cursor, &recovered)) goto fail;
  tci_buf_free(&escaped);
  sub->next = s->subscriptions;
  s->subscriptions = sub;
  s->count++;
  answer_receipt(s, frame, join.resume ? recovered : -1);
  if (s->state != OVER) tcd_cursor_greet(sub->cursor);
  return;

fail:
  tci_buf_free(&escaped);
  tci_free(sub);
  refuse(s, frame, "the server cannot take more subscriptions now");
}

static void on_unsubscribe(session *s, const tcd_stomp_frame *frame) {
  tc_text id = {NULL, 0}, destination = {NULL, 0};
  int named = tcd_stomp_find(frame, "id", &id);
  if (!named && (s->parser.version != TCD_STOMP_10 || !tcd_stomp_find(frame, "destination", &destination))) {
    refuse(s, frame, "id: is missing");
    return;
  }
  subscription **at = find_subscription(s, id, destination);
  if (at) end_subscription(s, at); /* one that is not there is gone, which is what was wanted */
  answer_receipt(s, frame, -1);
}

static void on_send(session *s, const tcd_stomp_frame *frame) {
  tc_text destination;
  if (!tcd_stomp_find(frame, "destination", &destination)) refuse(s, frame, "destination: is missing");
  else if (destination.len >= 5 && !memcmp(destination.ptr, "/app/", 5)) answer_receipt(s, frame, -1); /* nobody listens there, as in the Java service */
  else refuse(s, frame, "clients may not send to this destination: events are made by POST /api/tips and /api/reactions");
}

static void on_disconnect(session *s, const tcd_stomp_frame *frame) {
  /* All that is committed comes before the last word. */
  tcd_sink_settle(s->pipe->sink);
  answer_receipt(s, frame, -1);
  end(s, 1000, "goodbye");
}

static void on_nothing(session *s, const tcd_stomp_frame *frame) { answer_receipt(s, frame, -1); }

static void on_second_connect(session *s, const tcd_stomp_frame *frame) { refuse(s, frame, "the session is connected already"); }

/* The whole session: what each command does in each state. */
static const struct {
  const char *command;
  void (*fresh)(session *s, const tcd_stomp_frame *frame); /* NULL: CONNECT must come first */
  void (*connected)(session *s, const tcd_stomp_frame *frame);
  int body; /* 1: may have one (1.2, "Body") */
} commands[] = {
  {"CONNECT", on_connect, on_second_connect, 0},
  {"STOMP", on_connect, on_second_connect, 0},
  {"SUBSCRIBE", NULL, on_subscribe, 0},
  {"UNSUBSCRIBE", NULL, on_unsubscribe, 0},
  {"SEND", NULL, on_send, 1},
  {"DISCONNECT", NULL, on_disconnect, 0},
  {"ACK", NULL, on_nothing, 0},
  {"NACK", NULL, on_nothing, 0},
  {"BEGIN", NULL, on_nothing, 0},
  {"COMMIT", NULL, on_nothing, 0},
  {"ABORT", NULL, on_nothing, 0},
};

static void on_frame(session *s, const tcd_stomp_frame *frame) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (!is(frame->command, commands[i].command)) continue;
    if (!commands[i].body && frame->body.len) refuse(s, frame, "this frame has no body");
    else if (s->state == CONNECTED) commands[i].connected(s, frame);
    else if (commands[i].fresh) commands[i].fresh(s, frame);
    else refuse(s, frame, "CONNECT must come first");
    return;
  }
  refuse(s, frame, "unknown command");
}

static void on_message(tcd_pipe *pipe, char *data, size_t len) {
  session *s = pipe->session;
  tcd_stomp_frame frame;
  tcd_stomp_fault fault;
  while (s->state != OVER) {
    int rc = tcd_stomp_next(&s->parser, &data, &len, &frame, &fault);
    if (rc == TCD_STOMP_MORE) return;
    if (rc == TCD_STOMP_FRAME) {
      on_frame(s, &frame);
    } else if (rc == TCD_STOMP_BAD) {
      char detail[256];
      fail(s, fault.too_large ? 1009 : 1002, fault.what, fault.receipt, NULL, name_frame(detail, sizeof detail, fault.command, fault.what));
    } else {
      end(s, 1011, "out of memory");
    }
  }
}

static void on_cut(tcd_pipe *pipe, tcd_cursor *cursor, int why, int64_t resume_seq) {
  session *s = pipe->session;
  char headers[64];
  const char *message = why == TCD_CUT_SLOW      ? "too slow"
                        : why == TCD_CUT_FAR     ? "too far behind"
                        : why == TCD_CUT_STORAGE ? "the log cannot be read now"
                                                 : "out of memory";
  subscription *sub = tcd_cursor_owner(cursor);
  sub->cursor = NULL; /* the hub ends it */
  (void)snprintf(headers, sizeof headers, "resume-seq:%lld\n", (long long)resume_seq);
  fail(s, why == TCD_CUT_SLOW || why == TCD_CUT_FAR ? 1008 : 1011, message, (tc_text){NULL, 0}, headers, message);
}

static int on_open(const tcd_service *service, tcd_pipe *pipe) {
  (void)service;
  session *s = tci_zalloc(sizeof *s);
  if (!s) return -1;
  s->pipe = pipe;
  s->hear.fired = on_hear;
  s->say.fired = on_say;
  tcd_stomp_parser_init(&s->parser);
  pipe->session = s;
  tcd_timer_start(&front_of(s)->wheel, &s->hear, front_of(s)->now_us + TCD_STOMP_CONNECT_MS * 1000LL);
  return 0;
}

static void on_closed(tcd_pipe *pipe) {
  session *s = pipe->session;
  over(s);
  tcd_stomp_parser_free(&s->parser);
  tci_free(s);
  pipe->session = NULL;
}

void tcd_stomp_init(tcd_stomp *stomp, tcd_hub *hub) {
  *stomp = (tcd_stomp){.service = {.open = on_open, .message = on_message, .closed = on_closed, .cut = on_cut}, .hub = hub};
}
