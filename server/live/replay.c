/* replay.c - what a reader has missed, read from the log by threads of their own, in pieces.
 *
 * A replay belongs to one of two at a time: to a thread, while it is in the queue or being read, or to the front, between its task and the next push. So its fields need no lock.
 * It ends at the seam: when the thread finds the end of the log, the front lets the cursor join its channel standing still, at the seq that the hub has passed on at that moment
 * (the target), and the thread reads up to there and no further. From then on the channel holds all that comes after.
 */
#include <string.h>

#include "base/mem.h"
#include "server/live/state.h"

#define PIECE_BYTES (64u << 10)
#define PIECE_EVENTS 512

enum { MORE, END, FAR, FAILED };

struct tcd_replay {
  tcd_task task;           /* first */
  tcd_replay *prev, *next; /* all, the front's */
  tcd_replay *next_job;
  tcd_hub *hub;
  tcd_cursor *cursor; /* NULL: it has left */
  tcd_voice *voice;
  tcd_topic topic; /* its name follows */
  int64_t reached, target;
  uint64_t left; /* events */
  tci_buf piece, message;
  int result;
  int away;  /* with a thread; the front's note */
  int waits; /* for its turn, and for its sink to have room */
};

static void push(tcd_hub *hub, tcd_replay *replay) {
  replay->away = 1;
  replay->waits = 0;
  replay->cursor->sink->reading = 1;
  pthread_mutex_lock(&hub->mutex);
  replay->next_job = NULL;
  if (hub->last_job) hub->last_job->next_job = replay;
  else hub->first_job = replay;
  hub->last_job = replay;
  pthread_cond_signal(&hub->moved);
  pthread_mutex_unlock(&hub->mutex);
}

static tcd_replay *pop(tcd_hub *hub) {
  pthread_mutex_lock(&hub->mutex);
  while (!hub->first_job && !hub->over) (void)tci_cond_wait(&hub->moved, &hub->mutex, -1);
  tcd_replay *replay = hub->over ? NULL : hub->first_job;
  if (replay) hub->first_job = replay->next_job;
  if (!hub->first_job) hub->last_job = NULL;
  pthread_mutex_unlock(&hub->mutex);
  return replay;
}

/* A subscription a piece: those who wait hold none, so ten thousand clients that come back at once need two. */
static int open_sub(const tcd_replay *replay, tc_sub **sub) {
  tc_sub_options options = TC_SUB_OPTIONS_INIT;
  options.room_id = replay->topic.all ? NULL : replay->topic.room.ptr;
  options.kinds = tcd_topic_kinds(replay->topic.what);
  options.after_seq = replay->reached;
  options.flags = TC_SUB_AFTER_SEQ;
  return tc_subscribe(replay->hub->engine, &options, NULL, NULL, sub);
}

static void encode(tcd_replay *replay, const tc_event *event) {
  const tcd_shape *shape = &replay->voice->shape;
  tci_buf_clear(&replay->message);
  shape->write(shape, event, &replay->message);
  if (!replay->message.err && replay->message.len) shape->framing->put((tc_text){replay->message.data, replay->message.len}, &replay->piece);
}

static int read_events(tcd_replay *replay, tc_sub *sub) {
  for (int i = 0; i < PIECE_EVENTS && replay->piece.len < PIECE_BYTES; i++) {
    tc_event *event;
    if (replay->reached >= replay->target) return END;
    int rc = tc_sub_next(sub, 0, &event);
    if (rc == TC_ETIMEOUT) {
      replay->reached = tc_sub_seq(sub);
      return END;
    }
    if (rc) return FAILED;
    int64_t seq = tc_event_seq(event);
    int beyond = seq > replay->target, far = !beyond && !replay->left;
    if (!beyond && !far) {
      encode(replay, event);
      replay->left--;
    }
    tc_event_unref(event);
    if (far) return FAR;
    replay->reached = beyond ? replay->target : seq;
    if (replay->message.err || replay->piece.err) return FAILED;
  }
  return MORE;
}

static int read_piece(tcd_replay *replay) {
  tc_sub *sub = NULL;
  if (open_sub(replay, &sub)) return FAILED;
  int result = read_events(replay, sub);
  tc_sub_close(sub);
  return result;
}

static void *work(void *arg) {
  tcd_hub *hub = arg;
  for (tcd_replay *replay; (replay = pop(hub)) != NULL;) {
    replay->result = read_piece(replay);
    tcd_front_post(hub->front, &replay->task);
  }
  return NULL;
}

static void drop(tcd_replay *replay) {
  tcd_hub *hub = replay->hub;
  if (replay->prev) replay->prev->next = replay->next;
  else hub->replays = replay->next;
  if (replay->next) replay->next->prev = replay->prev;
  tcd_count(&hub->stat_replays, -1);
  tcd_voice_unref(replay->voice);
  tci_buf_free(&replay->piece);
  tci_buf_free(&replay->message);
  tci_free(replay);
}

/* One piece of a sink at a time, so that two hundred subscriptions that come back in one session hold no more than one does. */
static int has_room(tcd_sink *sink) { return !sink->reading && !sink->muted && sink->ops->waiting(sink) < PIECE_BYTES; }

static void hand_over(tcd_replay *replay) {
  tcd_sink *sink = replay->cursor->sink;
  if (!replay->piece.len) return;
  tc_text frames = {replay->piece.data, replay->piece.len};
  if (sink->ops->take) sink->ops->take(sink, frames);
  else tcd_outlet_append(sink, frames);
  tci_buf_clear(&replay->piece);
}

static void go_live(tcd_replay *replay) {
  tcd_cursor *cursor = replay->cursor;
  cursor->replay = NULL;
  if (replay->reached > cursor->skip_seq) cursor->skip_seq = replay->reached;
  if (cursor->at < cursor->channel->end) tcd_hub_wake_sink(cursor->sink);
  drop(replay);
}

/* The end of the log: the cursor joins where the hub stands, and what lies between is read. */
static int pin(tcd_replay *replay) {
  tcd_hub *hub = replay->hub;
  tcd_channel *channel = tcd_channel_get(hub, &replay->topic, replay->voice);
  if (!channel || tcd_channel_enter(hub, channel, replay->cursor)) return TC_ENOMEM;
  replay->target = hub->seq;
  return TC_OK;
}

static void cut(tcd_replay *replay, int why) {
  if (why == TCD_CUT_STORAGE) tcd_log(replay->hub->front, TC_LOG_WARN, "live: a replay could not go on after seq %lld", (long long)replay->reached);
  tcd_cursor_cut(replay->hub, replay->cursor, why, replay->reached); /* and so leaves the replay, which is with the front and goes */
}

/* The first that waits: in the order of their beginning, so that none stands pinned while another reads. */
static void go_on(tcd_hub *hub, tcd_sink *sink) {
  for (tcd_cursor *cursor = sink->cursors; cursor && has_room(sink); cursor = cursor->next) {
    if (cursor->replay) tcd_replay_go_on(hub, cursor->replay);
  }
}

static void on_piece(tcd_task *task) {
  tcd_replay *replay = (tcd_replay *)task;
  tcd_hub *hub = replay->hub;
  replay->away = 0;
  if (!replay->cursor) {
    drop(replay);
    return;
  }
  tcd_sink *sink = replay->cursor->sink;
  sink->reading = 0;
  hand_over(replay);
  if (replay->result == FAILED) {
    cut(replay, TCD_CUT_STORAGE);
  } else if (replay->result == FAR) {
    cut(replay, TCD_CUT_FAR);
  } else if (replay->result == END && replay->target == INT64_MAX && pin(replay)) {
    cut(replay, TCD_CUT_MEMORY);
  } else if (replay->result == END && replay->reached >= replay->target) {
    go_live(replay);
  } else {
    replay->waits = 1;
  }
  go_on(hub, sink);
}

void tcd_replay_go_on(tcd_hub *hub, tcd_replay *replay) {
  if (replay->waits && has_room(replay->cursor->sink)) push(hub, replay);
}

void tcd_replay_leave(tcd_hub *hub, tcd_replay *replay) {
  tcd_sink *sink = replay->cursor->sink;
  replay->cursor->replay = NULL;
  replay->cursor = NULL;
  if (!replay->away) {
    drop(replay);
  } else {
    sink->reading = 0; /* its piece will be nobody's */
    go_on(hub, sink);
  }
}

int tcd_replay_start(tcd_hub *hub, tcd_cursor *cursor, const tcd_topic *topic, tcd_voice *voice, int64_t after_seq) {
  tcd_replay *replay = tci_zalloc(sizeof *replay + topic->room.len + 1);
  if (!replay) return TC_ENOMEM;
  char *name = (char *)(replay + 1);
  if (topic->room.len) memcpy(name, topic->room.ptr, topic->room.len);
  replay->topic = (tcd_topic){topic->all, {name, topic->room.len}, topic->what};
  replay->task.run = on_piece;
  replay->hub = hub;
  replay->cursor = cursor;
  replay->voice = tcd_voice_ref(voice);
  replay->reached = after_seq;
  replay->target = INT64_MAX;
  replay->left = hub->max_replay;
  tci_buf_init(&replay->piece, 16u << 20);
  tci_buf_init(&replay->message, 8u << 20);
  replay->next = hub->replays;
  if (replay->next) replay->next->prev = replay;
  hub->replays = replay;
  cursor->replay = replay;
  tcd_count(&hub->stat_replays, 1);
  replay->waits = 1;
  tcd_replay_go_on(hub, replay);
  return TC_OK;
}

int tcd_replays_open(tcd_hub *hub) {
  if (pthread_mutex_init(&hub->mutex, NULL)) return TC_ENOMEM;
  hub->lock_made = 1;
  if (tci_cond_init(&hub->moved)) return TC_ENOMEM;
  hub->cond_made = 1;
  for (int i = 0; i < TCD_REPLAY_THREADS; i++) {
    if (tci_thread_start(&hub->threads[i], "tcd-replay", work, hub)) return TC_ENOMEM;
  }
  return TC_OK;
}

void tcd_replays_close(tcd_hub *hub) {
  if (hub->cond_made) {
    pthread_mutex_lock(&hub->mutex);
    hub->over = 1;
    pthread_cond_broadcast(&hub->moved);
    pthread_mutex_unlock(&hub->mutex);
  }
  for (int i = 0; i < TCD_REPLAY_THREADS; i++) tci_thread_join(&hub->threads[i]);
  while (hub->replays) drop(hub->replays);
  if (hub->cond_made) (void)pthread_cond_destroy(&hub->moved);
  if (hub->lock_made) (void)pthread_mutex_destroy(&hub->mutex);
}
