/* pump.h - an engine without threads: its steps, one after the other, in the thread of whoever calls.
 *
 * Design notes
 *  - Who holds pump.mutex is the engine's writer, dispatcher, indexer and sender of webhooks. Callbacks run while it is held, so a holder may come in again: a synchronous create inside a
 *    subscription's callback, or of the webhooks themselves, runs the writer once more. Only inside the writer that cannot be (in_writer).
 *  - Work is found by looking, not by messages: a pass does every step that has something. The bell only ends a wait. armed says that nobody has rung since the last look, so that a burst of
 *    submits costs one write(2).
 *  - Time in here is the system's, whatever clock was injected: the pauses between steps are for the machine's sake. What the injected clock makes due is found by the next pass.
 */
#ifndef TCI_ENGINE_PUMP_H
#define TCI_ENGINE_PUMP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tipcurrent/engine.h"

typedef struct tci_pump {
  int on; /* TC_NO_THREADS; all else is only set then */
  pthread_mutex_t mutex;
  atomic_int held;
  _Atomic pthread_t holder;
  int epoll_fd, bell_fd, timer_fd;
  atomic_int armed;

  /* The holder's. */
  int running;     /* between start and finish */
  int in_writer;   /* inside the writer's step */
  int in_turn;     /* inside the webhooks' */
  int64_t look_us; /* when other nodes are looked at again */
  int64_t timer_us, indexed_us, round_us, write_us,
    turn_us; /* when the timer rings; when the last index step was; when the others want to be looked at again. INT64_MAX: need not */
} tci_pump;

int tci_pump_open(tc_engine *engine);    /* TC_OK, TC_ELIMIT, TC_ENOMEM */
int tci_pump_start(tc_engine *engine);   /* with storage and webhooks open */
void tci_pump_finish(tc_engine *engine); /* what the threads do when they end; nothing when it was not started */
void tci_pump_close(tc_engine *engine);

int tci_pump_is_mine(const tc_engine *engine); /* this thread holds it: it is inside a callback, or inside the engine */
int tci_pump_enter(tc_engine *engine);         /* 1: taken; 0: it was mine already */
void tci_pump_leave(tc_engine *engine, int entered);
/* Does the writer's work until is_done(arg). 0: the storage has kept it waiting for patience_us. entered: as tci_pump_enter said; the pump is left and taken again around pauses. */
int tci_pump_write_until(tc_engine *engine, int entered, int (*is_done)(void *arg), void *arg, int64_t patience_us);
void tci_pump_ring(tc_engine *engine); /* any thread: there may be something to do. Nothing with threads */

/* tc_engine_poll, tc_engine_tick. */
int tci_pump_poll(tc_engine *engine, int timeout_ms);
int tci_pump_tick(tc_engine *engine, int32_t *more);
/* A pass; if it found nothing, waits for the pump's own or this descriptor. As poll(2). */
int tci_pump_wait(tc_engine *engine, int fd, int timeout_ms);

#endif
