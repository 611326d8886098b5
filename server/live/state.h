/* state.h - what the hub's files share. */
#ifndef TCD_LIVE_STATE_H
#define TCD_LIVE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "base/siphash.h"
#include "base/thread.h"
#include "server/front/reactor.h"
#include "server/live/hub.h"
#include "server/live/table.h"

#define TCD_CURSORS_MAX 1000000
#define TCD_REPLAY_THREADS 2

typedef struct tcd_room tcd_room;
typedef struct tcd_channel tcd_channel;
typedef struct tcd_watches tcd_watches;
typedef struct tcd_replay tcd_replay;

/* A shape that channels and replays share. */
typedef struct tcd_voice {
  atomic_uint refs;
  tcd_shape shape; /* its text follows */
} tcd_voice;

/* One frame in a stream. */
typedef struct tcd_mark {
  int64_t seq, put_us; /* seq of a notice: the last that was passed on before it */
  uint64_t end;        /* position behind it, counted from the channel's beginning */
  int notice;
} tcd_mark;

/* The frames that somebody has not got yet. A channel has one only while that is so; then it goes to the hub's spares. */
typedef struct tcd_stream {
  struct tcd_stream *next_spare;
  tci_buf bytes;
  tcd_mark *marks;
  size_t first, count, cap; /* of marks */
} tcd_stream;

struct tcd_room {
  tcd_node node; /* first */
  tcd_channel *channels;
  int what; /* TCD_TOPIC_X */
  size_t len;
  char name[];
};

struct tcd_channel {
  tcd_node node; /* first */
  tcd_room *room;
  tcd_channel *prev, *next; /* of the room */
  tcd_voice *voice;
  tcd_cursor **members;
  size_t count, cap, behind; /* behind: members that are not at the end */
  tcd_stream *stream;        /* NULL: nobody is behind */
  uint64_t end;              /* position behind the last frame */
  tcd_channel *next_dirty;
  int dirty; /* has frames that the sweep has not told its members of */
};

struct tcd_cursor {
  tcd_sink *sink;
  tcd_cursor *prev, *next; /* of the sink */
  tcd_channel *channel;    /* NULL: not joined yet (a replay far behind), or cut */
  size_t index;            /* in the channel's members */
  uint64_t at;             /* everything before it has been sent */
  uint64_t ahead;          /* while parts are gathered: everything before it is among them */
  int64_t skip_seq;        /* frames up to it were had before the cursor joined; 0: none */
  tcd_replay *replay;      /* NULL: live. With one, the cursor stands still */
  tcd_cursor *next_cut;
  int64_t resume_seq; /* of a cut one */
  int cut;            /* TCD_CUT_X: its sink is still to be told; TCD_CUT_LEFT: it has left meanwhile */
  void *owner;
  int met; /* 1: somebody followed its topic already when it joined */
};
enum { TCD_CUT_LEFT = -1 };

struct tcd_hub {
  tcd_front *front;
  tc_engine *engine;
  tc_sub *sub;
  const tc_log *log;
  tcd_timer retry;   /* after the log could not be read */
  tcd_source source; /* the subscription's bell */
  uint64_t max_lag_bytes, max_replay;
  int64_t max_lag_us;
  int news;              /* the subscription may have something */
  int64_t wait_until_us; /* 0, or until when what is committed waits for what is being committed */
  int64_t seq;           /* passed on */
  tci_sipkey key;        /* of the tables */
  tcd_table rooms, channels;
  tcd_room *all[TCD_TOPICS];     /* every room's events */
  size_t room_count[TCD_TOPICS]; /* of those in the table */
  tcd_channel *dirty;
  tcd_sink *first_ready, *last_ready;
  tcd_cursor *cuts, **last_cut;
  struct tcd_outlet *done; /* outlets that have ended */
  tcd_stream *spares;
  size_t spare_count;
  tci_buf message; /* one, unframed */
  size_t cursor_count;
  uint64_t notices;     /* said so far */
  tcd_watches *watches; /* watch.c's; NULL: nothing is watched */
  atomic_uint_fast64_t stat_cursors, stat_channels, stat_rooms, stat_replays, stat_events, stat_notices, stat_bytes, stat_slow, stat_far, stat_channel_bytes;

  /* Replays: the list is the front's; the queue is under mutex. */
  tcd_replay *replays;
  pthread_mutex_t mutex;
  pthread_cond_t moved;
  int lock_made, cond_made, over;
  tcd_replay *first_job, *last_job;
  tci_thread threads[TCD_REPLAY_THREADS];
};

/* channel.c */
tcd_room *tcd_room_find(const tcd_hub *hub, int what, tc_text name);
tcd_channel *tcd_channel_get(tcd_hub *hub, const tcd_topic *topic, tcd_voice *voice); /* makes it; takes no reference of yours; NULL: no memory */
int tcd_channel_enter(tcd_hub *hub, tcd_channel *channel, tcd_cursor *cursor);        /* at the end; TC_OK or TC_ENOMEM (then an empty channel is gone) */
void tcd_channel_leave(tcd_hub *hub, tcd_cursor *cursor);                             /* frees an empty channel */
void tcd_channel_append(tcd_hub *hub, tcd_channel *channel, const tc_event *event);
void tcd_channel_say(tcd_hub *hub, tcd_channel *channel, const tcd_notice *notice);
void tcd_channel_clean(tcd_hub *hub, tcd_channel *channel); /* not dirty any more; frees an empty one */
void tcd_cursor_sent(tcd_hub *hub, tcd_cursor *cursor, size_t len);
/* The frame after position: its mark; NULL at the end. */
const tcd_mark *tcd_channel_mark(const tcd_channel *channel, uint64_t position);
tc_text tcd_channel_bytes(const tcd_channel *channel, uint64_t from, uint64_t to);
void tcd_cursor_cut(tcd_hub *hub, tcd_cursor *cursor, int why, int64_t resume_seq); /* leaves the channel now; the sink is told in the hub's turn */
int64_t tcd_cursor_resume(const tcd_hub *hub, const tcd_cursor *cursor);            /* everything up to it is handed over */
void tcd_hub_free_spares(tcd_hub *hub);

/* voice: hub.c */
tcd_voice *tcd_voice_new(const tcd_shape *shape);
tcd_voice *tcd_voice_ref(tcd_voice *voice);
void tcd_voice_unref(tcd_voice *voice); /* any thread; takes NULL */

/* sweep.c */
void tcd_hub_wake_sink(tcd_sink *sink); /* has something to send: into the ready list, unless it is blocked */
void tcd_hub_drop_sink(tcd_sink *sink); /* out of the ready list */
/* What the cursors of a sink have to send, in seq order: up to max parts, each with its cursor. */
int tcd_sink_gather(tcd_sink *sink, struct iovec *parts, tcd_cursor **whose, int max);
void tcd_sink_copy(tcd_sink *sink); /* all frames of a copying sink */
void tcd_hub_pull(tcd_hub *hub, size_t events);
int tcd_hub_turn(void *hub);

/* outlet.c */
void tcd_outlet_flush(tcd_sink *sink);
void tcd_outlet_unfinished(tcd_sink *sink, const tcd_cursor *cursor); /* before a cursor leaves its channel: a frame that has begun is copied, to be ended */
void tcd_outlet_copy_all(tcd_sink *sink);
void tcd_outlet_append(tcd_sink *sink, tc_text frames);
void tcd_outlet_tell(tcd_sink *sink, tc_text frames); /* bounded as all that a client provokes */
void tcd_outlets_end(tcd_hub *hub);

/* notice.c. Tells this cursor alone; 0: too much waits for it already. */
int tcd_cursor_tell(tcd_cursor *cursor, tcd_notice *notice);

/* watch.c */
void tcd_watches_see(tcd_hub *hub, const tc_event *event); /* it was passed on */
void tcd_watches_joined(tcd_hub *hub, const tcd_topic *topic, int was_followed);
void tcd_watches_close(tcd_hub *hub);

/* replay.c */
int tcd_replay_start(tcd_hub *hub, tcd_cursor *cursor, const tcd_topic *topic, tcd_voice *voice, int64_t after_seq);
void tcd_replay_leave(tcd_hub *hub, tcd_replay *replay); /* its cursor goes */
void tcd_replay_go_on(tcd_hub *hub, tcd_replay *replay); /* its sink has room */
int tcd_replays_open(tcd_hub *hub);
void tcd_replays_close(tcd_hub *hub);

#endif
