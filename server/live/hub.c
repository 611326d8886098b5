#include "server/live/hub.h"

#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "server/live/state.h"

#define MESSAGE_MAX (8u << 20) /* metadata of 64 KiB, escaped twice, and the rest of an event many times over */
#define SETTLE_EVENTS 4096
#define SETTLE_ROUNDS 16

tcd_voice *tcd_voice_new(const tcd_shape *shape) {
  tcd_voice *voice = tci_zalloc(sizeof *voice + shape->text.len + 1);
  if (!voice) return NULL;
  char *text = (char *)(voice + 1);
  atomic_init(&voice->refs, 1);
  voice->shape = *shape;
  if (shape->text.len) memcpy(text, shape->text.ptr, shape->text.len);
  voice->shape.text.ptr = text;
  return voice;
}

tcd_voice *tcd_voice_ref(tcd_voice *voice) {
  atomic_fetch_add(&voice->refs, 1);
  return voice;
}

void tcd_voice_unref(tcd_voice *voice) {
  if (voice && atomic_fetch_sub(&voice->refs, 1) == 1) tci_free(voice);
}

static void on_bell(tcd_source *source, uint32_t events) {
  (void)events;
  ((tcd_hub *)((char *)source - offsetof(tcd_hub, source)))->news = 1;
}

static void on_retry(tcd_timer *timer) { ((tcd_hub *)((char *)timer - offsetof(tcd_hub, retry)))->news = 1; }

static int follow(tcd_hub *hub) {
  tc_sub_options options = TC_SUB_OPTIONS_INIT;
  options.kinds = tcd_topic_kinds(TCD_TOPIC_ALL);
  int rc = tc_subscribe(hub->engine, &options, NULL, NULL, &hub->sub);
  if (rc) return rc;
  hub->seq = tc_sub_seq(hub->sub);
  hub->news = 1;
  return tcd_source_add(hub->front, &hub->source, tc_sub_fd(hub->sub), on_bell) ? TC_ESTORAGE : TC_OK;
}

int tcd_hub_open(tcd_hub **out, const tcd_hub_options *options) {
  int rc = TC_ENOMEM;
  tcd_hub *hub = tci_zalloc(sizeof *hub);
  if (!hub) return rc;
  hub->front = options->front;
  hub->engine = options->engine;
  hub->log = options->log;
  hub->max_lag_bytes = options->max_lag_bytes ? options->max_lag_bytes : 1u << 20;
  hub->max_lag_us = (int64_t)(options->max_lag_ms ? options->max_lag_ms : 10000) * 1000;
  hub->max_replay = options->max_replay ? options->max_replay : 100000;
  hub->last_cut = &hub->cuts;
  hub->source.fd = -1;
  hub->retry.fired = on_retry;
  tci_buf_init(&hub->message, MESSAGE_MAX);
  for (int what = 0; what < TCD_TOPICS; what++) {
    hub->all[what] = tci_zalloc(sizeof *hub->all[what] + 1);
    if (!hub->all[what]) goto fail;
    hub->all[what]->what = what;
  }
  rc = tci_sys_random(NULL, &hub->key, sizeof hub->key);
  if (!rc && hub->engine) rc = follow(hub);
  if (!rc && hub->engine) rc = tcd_replays_open(hub);
  if (rc) goto fail;
  tcd_front_set_turn(hub->front, tcd_hub_turn, hub);
  *out = hub;
  return TC_OK;

fail:
  tcd_hub_close(hub);
  return rc;
}

void tcd_hub_close(tcd_hub *hub) {
  if (!hub) return;
  tcd_front_set_turn(hub->front, NULL, NULL);
  tcd_replays_close(hub);
  tcd_watches_close(hub);
  tc_sub_close(hub->sub); /* and its bell, which leaves the front's epoll set by that */
  while (hub->cuts) {
    tcd_cursor *cursor = hub->cuts;
    hub->cuts = cursor->next_cut;
    tci_free(cursor);
  }
  tcd_timer_stop(&hub->front->wheel, &hub->retry);
  tcd_hub_free_spares(hub);
  tcd_table_free(&hub->rooms);
  tcd_table_free(&hub->channels);
  tci_buf_free(&hub->message);
  for (int what = 0; what < TCD_TOPICS; what++) tci_free(hub->all[what]);
  tci_free(hub);
}

tcd_front *tcd_hub_front(const tcd_hub *hub) { return hub->front; }

int64_t tcd_hub_seq(const tcd_hub *hub) { return hub->seq; }

void tcd_sink_init(tcd_sink *sink, tcd_hub *hub, const tcd_sink_ops *ops) {
  sink->hub = hub;
  sink->ops = ops;
}

static void attach(tcd_sink *sink, tcd_cursor *cursor) {
  tcd_cursor **end = &sink->cursors, *last = NULL;
  for (; *end; end = &(*end)->next) last = *end;
  cursor->prev = last;
  *end = cursor;
}

static void detach(tcd_cursor *cursor) {
  if (cursor->prev) cursor->prev->next = cursor->next;
  else cursor->sink->cursors = cursor->next;
  if (cursor->next) cursor->next->prev = cursor->prev;
  cursor->prev = cursor->next = NULL;
}

static int begin(tcd_hub *hub, tcd_cursor *cursor, const tcd_join *join, tcd_voice *voice, int *recovered) {
  tc_status status = TC_STATUS_INIT;
  *recovered = 1;
  if (join->resume && join->topic.what != TCD_TOPIC_BOARDS) {
    int rc = tc_engine_status(hub->engine, &status);
    if (rc) return rc;
    /* On a log that several nodes share one may be behind what another has shown its client. */
    int64_t ahead = status.others ? TC_SUB_AHEAD_MAX : 0;
    *recovered = join->after_seq <= status.log_seq + ahead;
    if (*recovered && join->after_seq < hub->seq) return tcd_replay_start(hub, cursor, &join->topic, voice, join->after_seq);
    /* The client has seen what the hub is only about to pass on: it may come from a page, or from another node. */
    if (*recovered) cursor->skip_seq = join->after_seq;
  }
  tcd_channel *channel = tcd_channel_get(hub, &join->topic, voice);
  return channel ? tcd_channel_enter(hub, channel, cursor) : TC_ENOMEM;
}

int tcd_hub_join(tcd_hub *hub, tcd_sink *sink, const tcd_join *join, tcd_cursor **out, int *recovered) {
  int complete = 0, rc = TC_ENOMEM, followed = tcd_hub_follows(hub, join->topic.what, join->topic.room);
  if (!hub->engine) return TC_ENOTSUP;
  if (hub->cursor_count >= TCD_CURSORS_MAX) return TC_ELIMIT;
  tcd_voice *voice = tcd_voice_new(&join->shape);
  tcd_cursor *cursor = tci_zalloc(sizeof *cursor);
  if (!voice || !cursor) goto fail;
  cursor->sink = sink;
  cursor->owner = join->owner;
  rc = begin(hub, cursor, join, voice, &complete);
  if (rc) goto fail;
  attach(sink, cursor);
  hub->cursor_count++;
  tcd_count(&hub->stat_cursors, 1);
  tcd_voice_unref(voice);
  cursor->met = followed;
  tcd_watches_joined(hub, &join->topic, followed);
  *out = cursor;
  if (recovered) *recovered = complete;
  return TC_OK;

fail:
  tcd_voice_unref(voice);
  tci_free(cursor);
  return rc;
}

void *tcd_cursor_owner(const tcd_cursor *cursor) { return cursor->owner; }

void tcd_cursor_leave(tcd_cursor *cursor) {
  tcd_hub *hub = cursor->sink->hub;
  if (cursor->replay) tcd_replay_leave(hub, cursor->replay);
  tcd_channel_leave(hub, cursor);
  detach(cursor);
  hub->cursor_count--;
  tcd_count(&hub->stat_cursors, -1);
  if (cursor->cut) cursor->cut = TCD_CUT_LEFT; /* the list of cuts frees it */
  else tci_free(cursor);
}

void tcd_sink_leave(tcd_sink *sink) {
  sink->muted = 1; /* no replay goes on for it */
  while (sink->cursors) tcd_cursor_leave(sink->cursors);
  tcd_hub_drop_sink(sink);
}

void tcd_sink_drained(tcd_sink *sink) {
  if (sink->ops->take && sink->blocked) {
    sink->blocked = 0;
    tcd_hub_wake_sink(sink);
  }
  for (tcd_cursor *cursor = sink->cursors, *next; cursor; cursor = next) {
    next = cursor->next;
    if (cursor->replay) tcd_replay_go_on(sink->hub, cursor->replay);
  }
}

void tcd_sink_settle(tcd_sink *sink) {
  tcd_hub *hub = sink->hub;
  /* In rounds, since one is bounded in bytes too; a log that grows faster than this is not waited for. */
  for (int i = 0; hub->sub && i < SETTLE_ROUNDS; i++) {
    tcd_hub_pull(hub, SETTLE_EVENTS);
    if (!hub->news) break;
  }
  if (sink->ops->take) tcd_sink_copy(sink);
  else tcd_outlet_copy_all(sink);
}

void tcd_hub_stats_get(tcd_hub *hub, tcd_hub_stats *out) {
#define LOOK(name) atomic_load_explicit(&hub->stat_##name, memory_order_relaxed)
  *out = (tcd_hub_stats){.cursors = LOOK(cursors),
                         .channels = LOOK(channels),
                         .topics = LOOK(rooms),
                         .replays = LOOK(replays),
                         .events = LOOK(events),
                         .notices = LOOK(notices),
                         .delivered_bytes = LOOK(bytes),
                         .cut_slow = LOOK(slow),
                         .cut_far = LOOK(far),
                         .channel_bytes = LOOK(channel_bytes)};
#undef LOOK
}
