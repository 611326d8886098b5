/* watch.h - what is so in a room (its leaderboard, its goals' progress), said to its followers as it changes: at most once a second a room, only while somebody follows.
 *
 * How to add one: fill a tcd_watch and give it to tcd_hub_watch between tcd_hub_open and the front's run. From then on
 *  - an event of one of its kinds, in a room whose topic somebody follows, makes the room due. That is all that a tip pays: a look into a table, on the front's thread;
 *  - within 100 ms of the statistics having counted the event, and not within a second of the last time, look is called for the room on a thread of the hub's own, where it may read
 *    the derived file. It puts each thing that can be said under a key of its own: 0 when there is one a room, a goal's id when there are several;
 *  - back on the front's thread what differs from what was said last under its key is said by tcd_hub_say. While a look is under way the room waits, so one that takes long is said less often.
 * A look that fails is tried again a second later; TC_ENOTSUP and TC_ECLOSED are the end of it.
 */
#ifndef TCD_LIVE_WATCH_H
#define TCD_LIVE_WATCH_H

#include "server/live/hub.h"

typedef struct tcd_saying tcd_saying;

typedef struct tcd_watch {
  int what;         /* TCD_TOPIC_EVENTS or _BOARDS: whose followers are told */
  uint64_t kinds;   /* bit mask of TC_KIND_X: events that may change something in their room */
  int all_rooms;    /* 1: they change what is said of all rooms together too: look is called with an empty room */
  int greets;       /* 1: who joins the topic of a room (or of _BOARDS: of all) is told what is so, at once if somebody follows already */
  const char *type; /* static: tcd_notice.type */
  /* The watches' thread. now_us: the wall clock's. TC_OK, or a code with the detail in tc_last_error. */
  int (*look)(tc_engine *engine, tc_text room, int64_t now_us, tcd_saying *saying);
} tcd_watch;

/* Both: in look. json: one object, copied; the same text as before under this key is not said again. Out of memory fails the look. */
void tcd_saying_put(tcd_saying *saying, int64_t key, tc_text json);
/* At this moment of the wall clock it will change by itself (a day ends, a goal expires): look again then. The earliest counts. */
void tcd_saying_until(tcd_saying *saying, int64_t at_us);

/* Front's thread, before it runs. Copied. TC_OK, TC_ENOMEM, TC_ELIMIT (four a hub), TC_ENOTSUP (a hub without an engine). */
int tcd_hub_watch(tcd_hub *hub, const tcd_watch *watch);

#endif
