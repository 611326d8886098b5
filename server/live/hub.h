/* hub.h - the live fan-out: every event of the log, once, in order, to everybody who follows its room.
 *
 * Design notes
 *  - The hub is one pull subscription to the engine (all rooms). What it pulls it has from the tail, after the commit and in commit order; nothing else reaches a reader.
 *  - A channel is (topic, shape): all subscriptions to one topic whose frames are the same bytes. Browsers number their subscriptions alike ("sub-0"), so a room has one
 *    or a few channels however many thousands watch. An event is encoded once per channel, into the channel's byte stream.
 *  - A subscriber is a cursor: a position in that stream. It has no queue. A sweep sends each connection all that lies before it, in one call, from the shared bytes;
 *    a reader that stalls stands still, and holds bytes that all stalled readers of the channel share. Too far behind (bytes or age) it is cut off with the seq to resume from.
 *  - Joining with after_seq: a replay thread reads the log in pieces until it meets the live position, at which the cursor was pinned before; so there is no gap and no double at the seam.
 *  - A notice is a message beside the log (a leaderboard, a goal's progress): it has no seq and no replay, and goes through the same channels to the same cursors, so it is encoded once for
 *    all and costs a slow reader what events cost. Who says notices as things change uses watch.h, which does it at most once a second and only while somebody follows.
 *  - Everything here is the front's thread, but for the replay threads, which see only the engine and an immutable shape.
 */
#ifndef TCD_LIVE_HUB_H
#define TCD_LIVE_HUB_H

#include "server/front/task.h"

typedef struct tcd_hub tcd_hub;
typedef struct tcd_cursor tcd_cursor;
typedef struct tcd_sink tcd_sink;
typedef struct tcd_shape tcd_shape;
typedef struct tcd_notice tcd_notice;

/* How a transport puts one message on the wire, e.g. as one WebSocket text frame. Static; the address is its identity. put appends to out; pure, any thread. */
typedef struct tcd_framing {
  const char *name;
  void (*put)(tc_text message, tci_buf *out); /* failure: out->err */
} tcd_framing;

/* How the messages of a subscription read. Two with the same framing, write, text and flags share one channel. */
struct tcd_shape {
  const tcd_framing *framing;
  /* Appends the message of event, unframed; nothing: these readers do not want it. Pure, any thread. */
  void (*write)(const tcd_shape *shape, const tc_event *event, tci_buf *out);
  tc_text text;   /* e.g. the subscription's id as it stands in the frame */
  uint32_t flags; /* write's own, e.g. the STOMP version */
  /* The same of a notice. NULL: these readers are told none. */
  void (*say)(const tcd_shape *shape, const tcd_notice *notice, tci_buf *out);
};

/* A message beside the log: what is so at a moment. */
struct tcd_notice {
  int what;     /* TCD_TOPIC_X of its destination: _EVENTS or _BOARDS */
  tc_text room; /* len 0: of all rooms together */
  tc_text type; /* "leaderboard": as it stands in json; NUL-terminated */
  tc_text json;
  uint64_t number; /* differs from that of every other notice of the hub; set by it */
};

/* What a topic carries. Rooms stay with tips and reactions for ever: old clients take anything else for a tip. */
enum { TCD_TOPIC_ROOMS = 0, TCD_TOPIC_EVENTS /* all later kinds */, TCD_TOPIC_ALL /* both */, TCD_TOPIC_BOARDS /* notices alone */, TCD_TOPICS };

/* The topics that exist. */
typedef struct tcd_topic {
  int all;      /* 1: every room */
  tc_text room; /* else this one, verbatim */
  int what;     /* TCD_TOPIC_X */
} tcd_topic;
// "/topic/rooms/{roomId}" and "/topic/events/{roomId}" (the rest verbatim, slashes too), both with "*" and "**" for every room, and "/topic/**", which is all events.
// "/topic/leaderboards/{roomId}", and "/topic/leaderboards", the board of all rooms together (all is 1); patterns are nothing there: they would have every board made once a second.
// 0, or -1: nothing is published there. Pure; out points into destination.
int tcd_topic_parse(tc_text destination, tcd_topic *out);
/* Whether its event stands under TCD_TOPIC_ROOMS or _EVENTS. Pure. */
int tcd_topic_of(const tc_event *event);
/* Bit mask of the kinds that what (TCD_TOPIC_X) carries. */
uint64_t tcd_topic_kinds(int what);

enum {
  TCD_CUT_SLOW = 1, /* beyond max_lag_bytes or max_lag_ms */
  TCD_CUT_FAR,      /* a replay beyond max_replay events */
  TCD_CUT_STORAGE,  /* the log could not be read */
  TCD_CUT_MEMORY
};

typedef struct tcd_sink_ops {
  /* Whole frames for this sink, borrowed: it copies them. It may neither join nor leave in here; it may set sink->blocked, and is then left alone
   * until it calls tcd_sink_drained. NULL: the sink is an outlet, which sends straight from the channels. */
  void (*take)(tcd_sink *sink, tc_text frames);
  /* Bytes that wait in the sink itself: a replay goes on when they are few. After they have become fewer the sink calls tcd_sink_drained. */
  size_t (*waiting)(tcd_sink *sink);
  /* This cursor cannot go on; it is gone when this returns. Everything of its topic up to resume_seq was handed to the sink. May join, leave and close. */
  void (*cut)(tcd_sink *sink, tcd_cursor *cursor, int why, int64_t resume_seq);
} tcd_sink_ops;

struct tcd_sink {
  const tcd_sink_ops *ops;
  tcd_hub *hub;
  /* The hub's own. */
  tcd_cursor *cursors;               /* all of this sink */
  tcd_sink *prev_ready, *next_ready; /* those that the sweep has still to serve */
  tcd_cursor *begun;                 /* of an outlet: whose frame is partly out */
  uint8_t muted;                     /* its cursors send nothing more; they are there until their owners hear of the end */
  uint8_t ready, blocked;            /* blocked: an outlet whose socket is full */
  uint8_t reading;                   /* a replay of it is with a thread */
};

/* Fills a zeroed sink. */
void tcd_sink_init(tcd_sink *sink, tcd_hub *hub, const tcd_sink_ops *ops);

typedef struct tcd_join {
  tcd_topic topic;   /* copied */
  tcd_shape shape;   /* copied */
  int resume;        /* 1: begin after after_seq; 0: with the first event that the hub has not passed on yet. Of _BOARDS it is 0 */
  int64_t after_seq; /* 0 is the whole log */
  void *owner;       /* for the sink: tcd_cursor_owner */
} tcd_join;

typedef struct tcd_hub_options {
  tcd_front *front;
  tc_engine *engine;      /* NULL: a hub that only flushes outlets; joining is TC_ENOTSUP */
  uint64_t max_lag_bytes; /* 0: 1 MiB. What a reader may be behind, per connection and channel */
  uint32_t max_lag_ms;    /* 0: 10,000. How old the oldest thing may be that it has not read */
  uint64_t max_replay;    /* 0: 100,000 events a join */
  const tc_log *log;
} tcd_hub_options;

/* Opens a hub on a front that does not run yet. TC_OK, TC_ENOMEM, or the engine's code. close: after tcd_front_run has returned (and so all links are gone), before the engine
 * is closed; takes NULL. */
int tcd_hub_open(tcd_hub **out, const tcd_hub_options *options);
void tcd_hub_close(tcd_hub *hub);
tcd_front *tcd_hub_front(const tcd_hub *hub);

/* Joins. With resume, *recovered (may be NULL) says whether everything after after_seq will come: 0 when the log has not got that far (another log), then it begins live.
 * TC_OK, TC_ENOMEM, TC_ELIMIT (a million cursors), TC_ENOTSUP, TC_ESTORAGE. Calls no callback. */
int tcd_hub_join(tcd_hub *hub, tcd_sink *sink, const tcd_join *join, tcd_cursor **out, int *recovered);
void *tcd_cursor_owner(const tcd_cursor *cursor);
/* What is so on its topic (watch.h) is told to it at once, or as soon as it is known. After whatever answers the join; once. Nothing for one that is resumed far behind. */
void tcd_cursor_greet(tcd_cursor *cursor);
/* No frame of it is sent that had not begun; an unfinished one ends. cursor is gone. */
void tcd_cursor_leave(tcd_cursor *cursor);
/* All cursors of a sink leave. */
void tcd_sink_leave(tcd_sink *sink);
void tcd_sink_drained(tcd_sink *sink);
/* Hands to the sink (an outlet copies it into its own buffer) all that is committed at this moment, so that what is put behind it comes after. Replays are not waited for. */
void tcd_sink_settle(tcd_sink *sink);
/* The last seq that the hub has passed on. */
int64_t tcd_hub_seq(const tcd_hub *hub);

/* Says a notice to whoever follows its topic: of _EVENTS those of the room, of its patterns and of everything; of _BOARDS those of just this board. Goes out in the hub's next turn, behind
 * all events passed on so far. Out of memory cuts the readers off, as with events. Not from inside a sink's callback. */
void tcd_hub_say(tcd_hub *hub, const tcd_notice *notice);
/* 1: somebody would be told. room: len 0: of all rooms together. A look or two into a table. */
int tcd_hub_follows(const tcd_hub *hub, int what, tc_text room);
int tcd_hub_follows_room(const tcd_hub *hub, int what, tc_text room); /* not by a pattern */

typedef struct tcd_hub_stats {
  uint64_t cursors, channels, topics, replays; /* now */
  uint64_t events, notices, delivered_bytes, cut_slow, cut_far, channel_bytes;
} tcd_hub_stats;
void tcd_hub_stats_get(tcd_hub *hub, tcd_hub_stats *out); /* any thread */

#endif
