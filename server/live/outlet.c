#include "server/live/outlet.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "server/live/state.h"

#define PARTS 64
#define KEEP_BYTES 1024 /* a larger own buffer goes when it is empty: ten thousand idle connections hold nothing */

enum { GOES_ON, FINISHES, RETURNS };

static tcd_outlet *of_sink(tcd_sink *sink) { return (tcd_outlet *)((char *)sink - offsetof(tcd_outlet, sink)); }

/* What has ended is told in the hub's turn, so that no owner is called from inside its own call. */
static void end(tcd_outlet *outlet) {
  tcd_hub *hub = outlet->sink.hub;
  if (outlet->done) return;
  outlet->done = 1;
  tcd_timer_stop(&hub->front->wheel, &outlet->stall);
  outlet->sink.begun = NULL; /* nothing will be ended any more */
  outlet->sink.muted = 1;
  tcd_hub_drop_sink(&outlet->sink);
  outlet->next_done = hub->done;
  hub->done = outlet;
}

void tcd_outlet_close(tcd_outlet *outlet) {
  outlet->ending = GOES_ON;
  end(outlet);
}

void tcd_outlets_end(tcd_hub *hub) {
  while (hub->done) {
    tcd_outlet *outlet = hub->done;
    hub->done = outlet->next_done;
    if (outlet->ops->closed) outlet->ops->closed(outlet);
    tcd_sink_leave(&outlet->sink);
    tci_buf_free(&outlet->own);
    if (outlet->ending == FINISHES) tcd_link_finish(&outlet->link);
    else if (outlet->ending == RETURNS) tcd_link_return(&outlet->link, (tc_text){outlet->link.early.data, outlet->link.early.len});
    else tcd_link_close(&outlet->link);
  }
}

static void on_input(tcd_link *link, char *bytes, size_t len) {
  tcd_outlet *outlet = (tcd_outlet *)link;
  /* When all is said a client's end says nothing new: it may have half-closed and still read the last words. If it has gone, sending them tells. */
  if (!outlet->done && !outlet->ending) outlet->ops->input(outlet, bytes, len);
}

static void on_writable(tcd_link *link) {
  tcd_outlet *outlet = (tcd_outlet *)link;
  outlet->sink.blocked = 0;
  if (!outlet->done) tcd_hub_wake_sink(&outlet->sink);
}

static void on_gone(tcd_link *link) { tcd_outlet_close((tcd_outlet *)link); }

static void on_stop(tcd_link *link) {
  tcd_outlet *outlet = (tcd_outlet *)link;
  if (outlet->done || outlet->ending) return;
  tcd_sink_settle(&outlet->sink);
  if (outlet->ops->stop) outlet->ops->stop(outlet);
  else tcd_outlet_finish(outlet);
}

static const tcd_link_ops listening = {on_input, on_writable, on_gone, on_stop};
static const tcd_link_ops deaf = {NULL, on_writable, on_gone, on_stop};

static size_t waiting(tcd_sink *sink) { return of_sink(sink)->own.len - of_sink(sink)->own_sent; }

static void on_cut(tcd_sink *sink, tcd_cursor *cursor, int why, int64_t resume_seq) {
  tcd_outlet *outlet = of_sink(sink);
  if (outlet->ops->cut) outlet->ops->cut(outlet, cursor, why, resume_seq);
  else tcd_outlet_close(outlet);
}

static const tcd_sink_ops sink_ops = {NULL, waiting, on_cut};

static tcd_outlet *of_stall(tcd_timer *timer) { return (tcd_outlet *)((char *)timer - offsetof(tcd_outlet, stall)); }

/* Since when the oldest thing waits; INT64_MAX: nothing does. *slow: the cursor that it is of, NULL: own bytes. */
static int64_t oldest_us(tcd_outlet *outlet, tcd_cursor **slow) {
  int64_t oldest = waiting(&outlet->sink) ? outlet->put_us : INT64_MAX;
  *slow = NULL;
  for (tcd_cursor *cursor = outlet->sink.cursors; cursor; cursor = cursor->next) {
    if (!cursor->channel || cursor->replay) continue;
    const tcd_mark *mark = tcd_channel_mark(cursor->channel, cursor->at);
    if (!mark || mark->put_us >= oldest) continue;
    oldest = mark->put_us;
    *slow = cursor;
  }
  return oldest;
}

static void on_stall(tcd_timer *timer) {
  tcd_outlet *outlet = of_stall(timer);
  tcd_hub *hub = outlet->sink.hub;
  tcd_cursor *slow;
  int64_t since_us = oldest_us(outlet, &slow);
  if (outlet->done || since_us == INT64_MAX) return;
  if (since_us + hub->max_lag_us > hub->front->now_us) {
    tcd_timer_start(&hub->front->wheel, &outlet->stall, since_us + hub->max_lag_us);
  } else if (!slow || outlet->ending) {
    tcd_count(&hub->stat_slow, 1);
    tcd_outlet_close(outlet); /* it does not even read why */
  } else {
    tcd_cursor_cut(hub, slow, TCD_CUT_SLOW, tcd_cursor_resume(hub, slow));
    outlet->put_us = hub->front->now_us; /* the goodbye gets as long again */
    tcd_timer_start(&hub->front->wheel, &outlet->stall, hub->front->now_us + hub->max_lag_us);
  }
}

int tcd_outlet_take(tcd_outlet *outlet, tcd_hub *hub, tcd_reply *reply, const tcd_outlet_ops *ops) {
  outlet->ops = ops;
  outlet->stall.fired = on_stall;
  tcd_sink_init(&outlet->sink, hub, &sink_ops);
  tci_buf_init(&outlet->own, (size_t)hub->max_lag_bytes);
  return tcd_front_take(reply, &outlet->link, ops->input ? &listening : &deaf);
}

void tcd_outlet_start(tcd_outlet *outlet) { tcd_link_start(&outlet->link); }

tci_buf *tcd_outlet_own(tcd_outlet *outlet) {
  if (!waiting(&outlet->sink)) outlet->put_us = outlet->sink.hub->front->now_us;
  if (outlet->own_sent) tci_buf_consume(&outlet->own, outlet->own_sent);
  outlet->own_sent = 0;
  return &outlet->own;
}

void tcd_outlet_wrote(tcd_outlet *outlet) {
  if (outlet->done) return;
  if (outlet->own.err)
    outlet->sink.blocked = 0; /* a lost frame ends the connection, even one whose socket is full: in its turn, since whoever puts may hold cursors of it */
  tcd_hub_wake_sink(&outlet->sink);
}

void tcd_outlet_put(tcd_outlet *outlet, const void *bytes, size_t len) {
  if (outlet->done) return;
  (void)tci_buf_append(tcd_outlet_own(outlet), bytes, len); /* tcd_outlet_wrote looks at the error */
  tcd_outlet_wrote(outlet);
}

void tcd_outlet_append(tcd_sink *sink, tc_text frames) {
  tcd_outlet *outlet = of_sink(sink);
  outlet->own.max += frames.len; /* these are replays and settled frames, bounded where they are made; the limit is for what clients provoke */
  tcd_outlet_put(outlet, frames.ptr, frames.len);
  outlet->own.max -= frames.len;
}

void tcd_outlet_tell(tcd_sink *sink, tc_text frames) { tcd_outlet_put(of_sink(sink), frames.ptr, frames.len); }

/* The rest of the frame that has begun, if there is one. */
static int begun_part(tcd_sink *sink, struct iovec *part) {
  tcd_cursor *cursor = sink->begun;
  if (!cursor) return 0;
  tc_text rest = tcd_channel_bytes(cursor->channel, cursor->at, tcd_channel_mark(cursor->channel, cursor->at)->end);
  *part = (struct iovec){(char *)(uintptr_t)rest.ptr, rest.len};
  return 1;
}

void tcd_outlet_unfinished(tcd_sink *sink, const tcd_cursor *cursor) {
  tcd_outlet *outlet = of_sink(sink);
  struct iovec part;
  if (sink->begun != cursor || !begun_part(sink, &part)) return;
  sink->begun = NULL;
  tci_buf *own = tcd_outlet_own(outlet);
  own->max += part.iov_len;
  size_t len = own->len;
  char *room = tci_buf_room(own, part.iov_len);
  if (room) {
    memmove(own->data + part.iov_len, own->data, len);
    memcpy(own->data, part.iov_base, part.iov_len);
    tci_buf_grow(own, part.iov_len);
  }
  own->max -= part.iov_len;
  tcd_outlet_wrote(outlet);
}

void tcd_outlet_copy_all(tcd_sink *sink) {
  struct iovec parts[PARTS];
  tcd_cursor *whose[PARTS];
  if (sink->begun) { /* its rest goes before all that is put */
    struct iovec rest;
    tcd_cursor *cursor = sink->begun;
    (void)begun_part(sink, &rest);
    tcd_outlet_unfinished(sink, cursor);
    tcd_cursor_sent(sink->hub, cursor, rest.iov_len);
  }
  for (int count; (count = tcd_sink_gather(sink, parts, whose, PARTS)) > 0;) {
    for (int i = 0; i < count; i++) {
      tcd_outlet_append(sink, (tc_text){parts[i].iov_base, parts[i].iov_len});
      tcd_cursor_sent(sink->hub, whose[i], parts[i].iov_len);
    }
  }
}

static void sent_own(tcd_outlet *outlet, size_t len) {
  outlet->own_sent += len;
  if (outlet->own_sent < outlet->own.len) return;
  outlet->own_sent = 0;
  if (outlet->own.cap > KEEP_BYTES) tci_buf_free(&outlet->own);
  else tci_buf_clear(&outlet->own);
}

/* Books n bytes that the kernel has taken of these parts. */
static void book(tcd_outlet *outlet, const struct iovec *parts, tcd_cursor *const *whose, int count, size_t n) {
  tcd_sink *sink = &outlet->sink;
  tcd_count(&sink->hub->stat_bytes, (int64_t)n);
  for (int i = 0; i < count && n; i++) {
    size_t part = n < parts[i].iov_len ? n : parts[i].iov_len;
    tcd_cursor *cursor = whose[i];
    n -= part;
    if (!cursor) {
      sent_own(outlet, part);
      continue;
    }
    uint64_t at = cursor->at + part;
    const tcd_mark *mark = part < parts[i].iov_len || sink->begun == cursor ? tcd_channel_mark(cursor->channel, at - 1) : NULL;
    sink->begun = mark && mark->end != at ? cursor : NULL;
    tcd_cursor_sent(sink->hub, cursor, part);
  }
}

static int gather(tcd_outlet *outlet, struct iovec *parts, tcd_cursor **whose) {
  tcd_sink *sink = &outlet->sink;
  size_t own = waiting(sink);
  int count = 0, alone = sink->begun && !own && !sink->muted && !sink->cursors->next;
  if (sink->begun && !alone) {
    whose[count] = sink->begun;
    count += begun_part(sink, &parts[count]);
    if (!own) return count; /* what follows it is gathered from where it ends, the next time */
  }
  if (own) {
    whose[count] = NULL;
    parts[count++] = (struct iovec){outlet->own.data + outlet->own_sent, own};
    if (count > 1) return count;
  }
  return count + tcd_sink_gather(sink, parts + count, whose + count, PARTS - count);
}

void tcd_outlet_flush(tcd_sink *sink) {
  tcd_outlet *outlet = of_sink(sink);
  tcd_hub *hub = sink->hub;
  struct iovec parts[PARTS];
  tcd_cursor *whose[PARTS];
  int count;
  if (outlet->done) return;
  if (outlet->own.err) {
    tcd_count(&hub->stat_slow, 1);
    tcd_outlet_close(outlet);
    return;
  }
  while ((count = gather(outlet, parts, whose)) > 0) {
    size_t total = 0;
    for (int i = 0; i < count; i++) total += parts[i].iov_len;
    ssize_t n = tcd_link_send(&outlet->link, parts, count);
    if (n < 0) {
      tcd_outlet_close(outlet);
      return;
    }
    book(outlet, parts, whose, count, (size_t)n);
    if (!outlet->link.writable) break;
    if ((size_t)n < total) continue; /* the next one finds the socket full, and so does the kernel, which will ring */
  }
  if (count > 0) {
    tcd_cursor *ignored;
    sink->blocked = 1;
    if (!outlet->stall.prev) tcd_timer_start(&hub->front->wheel, &outlet->stall, oldest_us(outlet, &ignored) + hub->max_lag_us);
    return;
  }
  tcd_timer_stop(&hub->front->wheel, &outlet->stall);
  if (outlet->ending) {
    end(outlet);
    return;
  }
  if (sink->cursors) tcd_sink_drained(sink);
  if (outlet->ops->drained) outlet->ops->drained(outlet);
}

static void end_after(tcd_outlet *outlet, uint8_t how) {
  if (outlet->done || outlet->ending) return;
  outlet->sink.muted = 1;
  outlet->ending = how;
  tcd_hub_wake_sink(&outlet->sink);
}

void tcd_outlet_finish(tcd_outlet *outlet) { end_after(outlet, FINISHES); }

void tcd_outlet_return(tcd_outlet *outlet) { end_after(outlet, RETURNS); }
