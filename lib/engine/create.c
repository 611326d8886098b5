#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"

/* What a synchronous caller waits on. Two owners, the caller and the writer, because a caller whose disk hangs in fsync stops waiting before the answer comes. */
typedef struct waiter {
  pthread_mutex_t mutex;
  pthread_cond_t answered;
  atomic_int owners;
  int done;
  int code;
  int replayed;
  tc_event *event;
  char detail[256];
} waiter;

static void waiter_drop(waiter *w) {
  if (atomic_fetch_sub(&w->owners, 1) != 1) return;
  tc_event_unref(w->event);
  (void)pthread_cond_destroy(&w->answered);
  (void)pthread_mutex_destroy(&w->mutex);
  tci_free(w);
}

static waiter *waiter_new(void) {
  waiter *w = tci_zalloc(sizeof *w);
  if (!w) return NULL;
  if (pthread_mutex_init(&w->mutex, NULL)) goto no_mutex;
  if (tci_cond_init(&w->answered)) goto no_cond;
  atomic_init(&w->owners, 2);
  return w;
no_cond:
  (void)pthread_mutex_destroy(&w->mutex);
no_mutex:
  tci_free(w);
  return NULL;
}

static void answer(const tc_result *result, void *userdata) {
  waiter *w = userdata;
  pthread_mutex_lock(&w->mutex);
  w->code = result->code;
  w->replayed = result->replayed;
  if (result->event) w->event = tc_event_ref((tc_event *)result->event);
  size_t len = strlen(result->detail);
  if (len >= sizeof w->detail) len = sizeof w->detail - 1;
  memcpy(w->detail, result->detail, len);
  w->done = 1;
  pthread_cond_signal(&w->answered);
  pthread_mutex_unlock(&w->mutex);
  waiter_drop(w);
}

/* The writer answers by the deadline unless it hangs in the disk; this much later the caller gives up on it. */
#define GRACE_US 1000000

static int is_answered(void *arg) {
  waiter *w = arg;
  pthread_mutex_lock(&w->mutex);
  int done = w->done;
  pthread_mutex_unlock(&w->mutex);
  return done;
}

/* Without threads the caller does the writer's work until its own is done. */
static void write_inline(tc_engine *engine, waiter *w) {
  int entered = tci_pump_enter(engine);
  (void)tci_pump_write_until(engine, entered, is_answered, w, engine->create_deadline_us + GRACE_US);
  tci_pump_leave(engine, entered);
}

int tci_create(tc_engine *engine, const tc_record *record, tc_event **out, int32_t *replayed) {
  if (tci_engine_in_writer(engine)) return tci_fail(TC_EINVAL, "a synchronous create inside tc_done_fn would wait for itself");
  waiter *w = waiter_new();
  if (!w) return tci_fail(TC_ENOMEM, "out of memory for one event");
  int rc = tci_queue_submit(engine, record, answer, w);
  if (rc) {
    waiter_drop(w); /* the writer's share: it never got it */
    waiter_drop(w);
    return rc;
  }
  int timed_out = engine->pump.on;
  if (engine->pump.on) write_inline(engine, w);
  pthread_mutex_lock(&w->mutex);
  while (!w->done && !timed_out) timed_out = tci_cond_wait(&w->answered, &w->mutex, engine->create_deadline_us + GRACE_US) == ETIMEDOUT;
  if (!w->done) {
    rc = tci_fail(TC_EUNKNOWN, "the storage does not answer: outcome unknown, retry with the same key");
  } else if (w->code) {
    rc = tci_fail(w->code, "%s", w->detail);
  } else {
    tci_fail_clear(); /* what was done here for others may have failed */
    if (replayed) *replayed = w->replayed;
    if (out) {
      *out = w->event;
      w->event = NULL;
    }
  }
  pthread_mutex_unlock(&w->mutex);
  waiter_drop(w);
  return rc;
}
