/* sweep.c - the hub's turn: pull what is committed, encode it, tell the members, and serve one connection after the other. */
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "server/live/state.h"

#define PULL_EVENTS 512       /* a sweep takes no more at once, so that the slowest socket's neighbours get the first frames before the last is encoded */
#define PULL_BYTES (1u << 20) /* the same in bytes of frames */
#define FLUSHES 128           /* connections served before the loop looks at the sockets again: about a millisecond */
#define PARTS 64
#define WAIT_CURSORS 64
#define WAIT_MAX_US 1000
#define RETRY_US 250000

void tcd_hub_wake_sink(tcd_sink *sink) {
  tcd_hub *hub = sink->hub;
  if (sink->ready || sink->blocked) return;
  sink->ready = 1;
  sink->next_ready = NULL;
  sink->prev_ready = hub->last_ready;
  if (hub->last_ready) hub->last_ready->next_ready = sink;
  else hub->first_ready = sink;
  hub->last_ready = sink;
}

void tcd_hub_drop_sink(tcd_sink *sink) {
  tcd_hub *hub = sink->hub;
  if (!sink->ready) return;
  sink->ready = 0;
  if (sink->prev_ready) sink->prev_ready->next_ready = sink->next_ready;
  else hub->first_ready = sink->next_ready;
  if (sink->next_ready) sink->next_ready->prev_ready = sink->prev_ready;
  else hub->last_ready = sink->prev_ready;
}

/* 1: it has frames to send. Those that it had before it joined are passed over here. */
static int has_frames(tcd_hub *hub, tcd_cursor *cursor) {
  const tcd_channel *channel = cursor->channel;
  if (!channel || cursor->replay) return 0;
  uint64_t skip = cursor->at;
  for (uint64_t at = skip; cursor->skip_seq && at < channel->end;) {
    const tcd_mark *mark = tcd_channel_mark(channel, at);
    at = mark->end;
    if (mark->notice) continue; /* nobody has had it; one that stands before such events goes with them, as they are old, so is it */
    if (mark->seq > cursor->skip_seq) cursor->skip_seq = 0;
    else skip = at;
  }
  tcd_cursor_sent(hub, cursor, (size_t)(skip - cursor->at));
  cursor->ahead = cursor->at;
  return cursor->at < channel->end;
}

/* The cursor whose next frame is the oldest. */
static tcd_cursor *next_cursor(tcd_cursor *first, const tcd_mark **mark) {
  tcd_cursor *found = NULL;
  *mark = NULL;
  for (tcd_cursor *cursor = first; cursor; cursor = cursor->next) {
    if (!cursor->channel || cursor->replay) continue;
    const tcd_mark *its = tcd_channel_mark(cursor->channel, cursor->ahead);
    if (!its || (*mark && (its->seq > (*mark)->seq || (its->seq == (*mark)->seq && its->notice >= (*mark)->notice)))) continue;
    found = cursor;
    *mark = its;
  }
  return found;
}

static void put_part(struct iovec *part, const tcd_channel *channel, uint64_t from, uint64_t to) {
  tc_text bytes = tcd_channel_bytes(channel, from, to);
  *part = (struct iovec){(char *)(uintptr_t)bytes.ptr, bytes.len};
}

int tcd_sink_gather(tcd_sink *sink, struct iovec *parts, tcd_cursor **whose, int max) {
  tcd_cursor *only = NULL;
  const tcd_mark *mark;
  int pending = 0, count = 0;
  if (sink->muted) return 0;
  for (tcd_cursor *cursor = sink->cursors, *next; cursor; cursor = next) {
    next = cursor->next;
    if (!has_frames(sink->hub, cursor)) continue;
    only = cursor;
    pending++;
  }
  if (!pending) return 0;
  if (pending == 1) { /* nearly always: all that waits is one piece of memory */
    put_part(&parts[0], only->channel, only->at, only->channel->end);
    whose[0] = only;
    return 1;
  }
  for (tcd_cursor *cursor; (cursor = next_cursor(sink->cursors, &mark)) != NULL; cursor->ahead = mark->end) {
    if (count && whose[count - 1] == cursor) {
      parts[count - 1].iov_len += (size_t)(mark->end - cursor->ahead);
      continue;
    }
    if (count == max) break;
    put_part(&parts[count], cursor->channel, cursor->ahead, mark->end);
    whose[count++] = cursor;
  }
  return count;
}

static void append_all(tcd_hub *hub, tcd_channel *first, const tc_event *event) {
  for (tcd_channel *channel = first; channel; channel = channel->next) tcd_channel_append(hub, channel, event);
}

static void pass_on(tcd_hub *hub, int what, const tc_event *event) {
  const char *name = hub->room_count[what] ? tc_event_str(event, TC_FIELD_ROOM_ID) : NULL;
  tcd_room *room = name ? tcd_room_find(hub, what, (tc_text){name, strlen(name)}) : NULL;
  if (room) append_all(hub, room->channels, event);
  append_all(hub, hub->all[what]->channels, event);
}

static uint64_t bytes_held(const tcd_hub *hub) { return atomic_load_explicit(&hub->stat_channel_bytes, memory_order_relaxed); }

void tcd_hub_pull(tcd_hub *hub, size_t events) {
  tc_event *event;
  uint64_t before = bytes_held(hub);
  for (size_t i = 0; i < events && bytes_held(hub) < before + PULL_BYTES; i++) {
    int rc = tc_sub_next(hub->sub, 0, &event);
    if (rc) {
      hub->news = 0;
      if (rc == TC_ETIMEOUT) hub->seq = tc_sub_seq(hub->sub);
      if (rc == TC_ETIMEOUT || rc == TC_ECLOSED) return;
      tcd_log(hub->front, TC_LOG_ERROR, "live: cannot read the log, will try again: %s", tc_last_error());
      tcd_timer_start(&hub->front->wheel, &hub->retry, hub->front->now_us + RETRY_US);
      return;
    }
    hub->seq = tc_event_seq(event);
    pass_on(hub, tcd_topic_of(event), event);
    pass_on(hub, TCD_TOPIC_ALL, event);
    tcd_watches_see(hub, event);
    tcd_count(&hub->stat_events, 1);
    tc_event_unref(event);
  }
  hub->news = 1;
}

static void publish(tcd_hub *hub) {
  while (hub->dirty) {
    tcd_channel *channel = hub->dirty;
    hub->dirty = channel->next_dirty;
    for (size_t i = 0; i < channel->count; i++) {
      if (!channel->members[i]->replay) tcd_hub_wake_sink(channel->members[i]->sink);
    }
    tcd_channel_clean(hub, channel);
  }
}

void tcd_sink_copy(tcd_sink *sink) {
  struct iovec parts[PARTS];
  tcd_cursor *whose[PARTS];
  for (int count; !sink->blocked && (count = tcd_sink_gather(sink, parts, whose, PARTS)) > 0;) {
    for (int i = 0; i < count; i++) {
      sink->ops->take(sink, (tc_text){parts[i].iov_base, parts[i].iov_len});
      tcd_count(&sink->hub->stat_bytes, (int64_t)parts[i].iov_len);
      tcd_cursor_sent(sink->hub, whose[i], parts[i].iov_len);
    }
  }
}

static void tell_cuts(tcd_hub *hub) {
  while (hub->cuts) {
    tcd_cursor *cursor = hub->cuts;
    hub->cuts = cursor->next_cut;
    if (!hub->cuts) hub->last_cut = &hub->cuts;
    if (cursor->cut != TCD_CUT_LEFT) {
      int why = cursor->cut;
      cursor->sink->ops->cut(cursor->sink, cursor, why, cursor->resume_seq);
      if (cursor->cut != TCD_CUT_LEFT) tcd_cursor_leave(cursor); /* marks it, since it is a cut one */
    }
    tci_free(cursor);
  }
}

/* 1: events are about to be committed that can go in one piece with those that are. A writer that takes the first of 32 tips at once would have the hub send twice to everybody,
 * and one more send to each costs far more than the moment it takes for the others: at most a microsecond a cursor, where the sweep takes five to ten. */
static int is_worth_waiting(tcd_hub *hub) {
  tc_status status = TC_STATUS_INIT;
  int64_t now_us = tci_sys_monotonic_us(NULL);
  if (hub->cursor_count < WAIT_CURSORS || tc_engine_status(hub->engine, &status) || !status.pending_events) {
    hub->wait_until_us = 0;
    return 0;
  }
  if (!hub->wait_until_us) hub->wait_until_us = now_us + (int64_t)(hub->cursor_count < WAIT_MAX_US ? hub->cursor_count : WAIT_MAX_US);
  if (now_us < hub->wait_until_us) return 1;
  hub->wait_until_us = 0;
  return 0;
}

int tcd_hub_turn(void *userdata) {
  tcd_hub *hub = userdata;
  /* Nothing new while somebody still waits for his turn of the last sweep: what comes meanwhile goes in one piece with the next. */
  if (hub->sub && hub->news && !hub->first_ready && !is_worth_waiting(hub)) tcd_hub_pull(hub, PULL_EVENTS);
  publish(hub);
  for (int i = 0; i < FLUSHES && hub->first_ready; i++) {
    tcd_sink *sink = hub->first_ready;
    tcd_hub_drop_sink(sink);
    if (sink->ops->take) tcd_sink_copy(sink);
    else tcd_outlet_flush(sink);
  }
  tell_cuts(hub);
  tcd_outlets_end(hub);
  if (hub->first_ready || hub->dirty) return TCD_TURN_AGAIN;
  if (!hub->news) return TCD_TURN_DONE;
  return hub->wait_until_us ? TCD_TURN_SOON : TCD_TURN_AGAIN; /* a commit has creates to answer: that rings */
}
