/* watch_kit.h - a hub with readers that copy, and a way to act on the front's thread. */
#ifndef TC_TESTS_WATCH_KIT_H
#define TC_TESTS_WATCH_KIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "front_kit.h"
#include "server/front/reactor.h"
#include "server/live/state.h"
#include "server/live/watch.h"

extern tcd_hub *hub;
extern tc_engine *engine; /* in memory */
extern tcd_hub_options hub_options;
extern int stuffing; /* bytes of padding in each event */

/* Hears events as `<seq>;` and notices as `<json>!;`. */
typedef struct ear {
  tcd_sink sink; /* first */
  tcd_cursor *cursor;
  pthread_mutex_t lock;
  char got[1 << 16];
  size_t len, waits;
  int cut;
  int64_t resume_seq;
} ear;

typedef struct joining {
  ear *who;
  const char *destination;
  int64_t after; /* -1: live */
  int code;      /* of the join */
} joining;

void watch_begin(const tcd_watch *watch); /* NULL: none */
void watch_end(void);
void ear_init(ear *who);
void join_now(void *joining); /* on the front */
void listen_to(ear *who, const char *destination, int64_t after);
int try_listen(ear *who, const char *destination); /* the join's code */
void leave(ear *who);
const char *heard(ear *who); /* all that came so far; nothing of it comes again */
int has(ear *who, const char *text);

void on_front(void (*fn)(void *arg), void *arg); /* and waits for it */
void settle(void);                               /* the front has been round: what was to be said at once has been */
int64_t passed_on(void);                         /* the hub's seq */
int64_t counted(void);                           /* the statistics' seq */
int64_t tip(const char *room);
int64_t follow_event(const char *room);
void pass_ms(int ms); /* by the front's clock, in steps */

/* Time goes by in steps, until it holds. */
#define PASSES(holds)                                         \
  do {                                                        \
    for (int i_ = 0; !(holds) && i_ < 600; i_++) pass_step(); \
    ck_assert_msg((holds), "did not come: %s", #holds);       \
  } while (0)
void pass_step(void);

#endif
