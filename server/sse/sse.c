#include "server/sse/sse.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "server/live/outlet.h"

typedef struct stream {
  tcd_outlet outlet; /* first */
  tcd_timer beat;
} stream;

static stream *of_beat(tcd_timer *timer) { return (stream *)((char *)timer - offsetof(stream, beat)); }
static tcd_front *front_of(const stream *s) { return tcd_hub_front(s->outlet.sink.hub); }

static const char *type_of(const tc_event *event) {
  switch (tc_event_kind(event)) {
  case TC_KIND_TIP: return "tip";
  case TC_KIND_REACTION: return "reaction";
  default: return tc_event_str(event, TC_FIELD_TYPE);
  }
}

/* Is it one of the names with commas? */
static int is_among(const char *type, tc_text types) {
  size_t len = strlen(type);
  for (const char *at = types.ptr, *end = types.ptr + types.len; at <= end;) {
    const char *comma = memchr(at, ',', (size_t)(end - at));
    size_t name = (size_t)((comma ? comma : end) - at);
    if ((name == 1 && *at == '*') || (name == len && !memcmp(at, type, len))) return 1;
    if (!comma) return 0;
    at = comma + 1;
  }
  return 0;
}

void tcd_sse_write(const tcd_shape *shape, const tc_event *event, tci_buf *out) {
  size_t len;
  const char *json = tc_event_json(event, &len), *type = shape->flags & TCD_SSE_NAMED ? type_of(event) : NULL;
  if (type && !is_among(type, shape->text)) return;
  if (type) (void)tci_buf_printf(out, "event: %s\n", type);
  (void)tci_buf_printf(out, "id: %lld\ndata: ", (long long)tc_event_seq(event)); /* one line: JSON escapes line ends */
  (void)tci_buf_append(out, json, len);
}

/* Without an id: a browser that comes back goes on behind the last event. */
static void say(const tcd_shape *shape, const tcd_notice *notice, tci_buf *out) {
  if (!is_among(notice->type.ptr, shape->text)) return;
  (void)tci_buf_printf(out, "event: %s\ndata: ", notice->type.ptr);
  (void)tci_buf_append(out, notice->json.ptr, notice->json.len);
}

static void put_event(tc_text message, tci_buf *out) {
  (void)tci_buf_append(out, message.ptr, message.len);
  (void)tci_buf_puts(out, "\n\n");
}

static const tcd_framing framing = {"sse", put_event};

static void on_beat(tcd_timer *timer) {
  stream *s = of_beat(timer);
  tcd_outlet_put(&s->outlet, ":\n\n", 3);
  tcd_timer_start(&front_of(s)->wheel, timer, front_of(s)->now_us + TCD_SSE_BEAT_MS * 1000LL);
}

static void on_closed(tcd_outlet *outlet) {
  stream *s = (stream *)outlet;
  tcd_timer_stop(&front_of(s)->wheel, &s->beat);
}

/* The position goes along as an id too: a browser that comes back by itself goes on from there. */
static void on_cut(tcd_outlet *outlet, tcd_cursor *cursor, int why, int64_t resume_seq) {
  char event[192];
  const char *reason = why == TCD_CUT_SLOW      ? "too slow"
                       : why == TCD_CUT_FAR     ? "too far behind"
                       : why == TCD_CUT_STORAGE ? "the log cannot be read now"
                                                : "out of memory";
  (void)cursor;
  int len =
    snprintf(event, sizeof event, "event: cut\nid: %lld\ndata: {\"reason\":\"%s\",\"seq\":%lld}\n\n", (long long)resume_seq, reason, (long long)resume_seq);
  tcd_outlet_put(outlet, event, (size_t)len);
  tcd_timer_stop(&front_of((stream *)outlet)->wheel, &((stream *)outlet)->beat);
  tcd_outlet_finish(outlet);
}

static const tcd_outlet_ops outlet_ops = {.closed = on_closed, .cut = on_cut};

/* Ended by the connection's end: an event is the same bytes for everybody, without a chunk's head around it. */
static void put_head(tci_buf *out, const tcd_front *front, const tcd_reply *reply) {
  char date[TCI_HTTP_DATE_LEN];
  tci_time_format_http(front->clock.wall_us(front->clock.userdata), date);
  (void)tci_buf_printf(out, "HTTP/1.1 200 OK\r\nDate: %.*s\r\n", TCI_HTTP_DATE_LEN, date);
  (void)tci_buf_puts(out, "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\nConnection: close\r\n");
  (void)tci_buf_append(out, reply->headers.data, reply->headers.len);
  (void)tci_buf_puts(out, "\r\n");
}

/* Where it stands, with an id: a browser that is cut off before the first event comes back to this place. */
static void put_ready(stream *s, int recovered, int64_t seq) {
  tci_buf *own = tcd_outlet_own(&s->outlet);
  (void)tci_buf_printf(own, "retry: 1000\n\nevent: ready\nid: %lld\ndata: {\"recovered\":%s,\"seq\":%lld}\n\n", (long long)seq, recovered ? "true" : "false",
                       (long long)seq);
  tcd_outlet_wrote(&s->outlet);
}

static void begin(stream *s, const tcd_topic *topic, tc_text types, int resume, int64_t after_seq) {
  uint32_t flags = types.ptr ? TCD_SSE_NAMED : 0;
  tcd_join join = {.topic = *topic,
                   .shape = {&framing, tcd_sse_write, types.ptr ? types : (tc_text){"", 0}, flags, types.ptr ? say : NULL},
                   .resume = resume,
                   .after_seq = after_seq};
  tcd_front *front = front_of(s);
  tcd_hub *hub = s->outlet.sink.hub;
  tcd_cursor *cursor;
  int recovered;
  if (tcd_hub_join(hub, &s->outlet.sink, &join, &cursor, &recovered)) {
    tcd_outlet_finish(&s->outlet); /* the browser comes again in its own time */
    return;
  }
  put_ready(s, recovered, resume && recovered ? after_seq : tcd_hub_seq(hub));
  tcd_cursor_greet(cursor);
  tcd_timer_start(&front->wheel, &s->beat, front->now_us + TCD_SSE_BEAT_MS * 1000LL);
}

void tcd_sse_serve(tcd_hub *hub, const tcd_topic *topic, tc_text types, int resume, int64_t after_seq, const tcd_request *request, tcd_reply *reply) {
  int bare = tcd_text_is(request->method, "HEAD");
  tci_buf head;
  stream *s = tci_zalloc(sizeof *s);
  tci_buf_init(&head, reply->headers.max + 1024);
  put_head(&head, tcd_hub_front(hub), reply);
  if (!s || head.err || tcd_outlet_take(&s->outlet, hub, reply, &outlet_ops)) {
    tci_free(s);
    reply->status = 503;
    tcd_reply_send(reply);
  } else {
    s->beat.fired = on_beat;
    tcd_outlet_put(&s->outlet, head.data, head.len);
    if (bare) {
      tcd_outlet_finish(&s->outlet); /* not started: a client that has half-closed behind its HEAD would count as gone */
    } else {
      begin(s, topic, types, resume, after_seq);
      tcd_outlet_start(&s->outlet);
    }
  }
  tci_buf_free(&head);
}
