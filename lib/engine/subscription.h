/* subscription.h - a cursor over the log that a caller pulls, or that the dispatcher pulls for a callback. */
#ifndef TCI_ENGINE_SUBSCRIPTION_H
#define TCI_ENGINE_SUBSCRIPTION_H

#include "engine/engine.h"

#define TCI_SUB_OWN (1u << 31) /* in tc_sub_options.flags: the engine's, not counted among the callers' */
#define TCI_SUB_CHUNK 64       /* events read ahead under one lock */

struct tc_sub {
  struct tc_sub *next, *before; /* under subs.mutex */
  tc_engine *engine;
  char *room; /* NULL: all */
  int own;    /* TCI_SUB_OWN */
  uint64_t kinds;
  tc_event_fn fn;
  void *userdata;
  int fd;           /* -1 with a callback */
  atomic_int armed; /* 1: the reader found nothing and wants the bell */
  int64_t next_seq; /* first seq not looked at; the reader's thread only */
  _Atomic int64_t passed_seq;
  tc_event *ahead[TCI_SUB_CHUNK]; /* read, not yet passed on */
  size_t ahead_n, ahead_i;
  uint64_t round;    /* under subs.mutex: when the dispatcher last looked */
  int unread;        /* the dispatcher's: the log could not be read */
  int closed;        /* under subs.mutex, as the next */
  int closed_inside; /* by its own callback */
};

/* The next event into *out as a reference, without waiting. TC_ETIMEOUT: none now. */
int tci_sub_read(tc_sub *sub, tc_event **out);
int tci_sub_open(tc_engine *engine, const tc_sub_options *options, tc_event_fn fn, void *userdata, tc_sub **out);
int tci_sub_wait(tc_sub *sub, int32_t timeout_ms, tc_event **out);
void tci_sub_close(tc_sub *sub);
/* At tc_close: what is still open gets no more events. */
void tci_subs_end(tc_engine *engine);

#endif
