#include "engine/pump.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/sys.h"
#include "base/wake.h"
#include "engine/batch.h"
#include "engine/nodes.h"
#include "engine/webhooks.h"

#define BLOCKED_MS 50 /* between two tries with a storage that does not answer */

static int64_t now_us(void) { return tci_sys_monotonic_us(NULL); }

static int watch(const tci_pump *pump, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  return epoll_ctl(pump->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int tci_pump_open(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  int err = pthread_mutex_init(&pump->mutex, NULL);
  if (err) return tci_fail(TC_ENOMEM, "cannot make the engine's locks");
  pump->on = 1;
  pump->bell_fd = tci_wake_open();
  pump->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  pump->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (pump->bell_fd < 0 || pump->timer_fd < 0 || pump->epoll_fd < 0 || watch(pump, pump->bell_fd) || watch(pump, pump->timer_fd))
    return tci_fail(TC_ELIMIT, "cannot open the engine's descriptors: %s", strerror(errno));
  pump->timer_us = pump->round_us = pump->write_us = pump->turn_us = INT64_MAX;
  return TC_OK;
}

void tci_pump_close(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (!pump->on) return;
  tci_wake_close(pump->epoll_fd);
  tci_wake_close(pump->timer_fd);
  tci_wake_close(pump->bell_fd);
  (void)pthread_mutex_destroy(&pump->mutex);
}

int tci_pump_is_mine(const tc_engine *engine) {
  const tci_pump *pump = &engine->pump;
  /* Both are mine or neither is, as far as I can see: only I write myself there, and I clear held before I let go. */
  return pump->on && atomic_load(&pump->held) && pthread_equal(atomic_load(&pump->holder), pthread_self());
}

int tci_pump_enter(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (tci_pump_is_mine(engine)) return 0;
  pthread_mutex_lock(&pump->mutex);
  atomic_store(&pump->holder, pthread_self());
  atomic_store(&pump->held, 1);
  return 1;
}

void tci_pump_leave(tc_engine *engine, int entered) {
  if (!entered) return;
  atomic_store(&engine->pump.held, 0);
  pthread_mutex_unlock(&engine->pump.mutex);
}

void tci_pump_ring(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (pump->on && atomic_exchange(&pump->armed, 0)) tci_wake_ring(pump->bell_fd);
}

static int write_step(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (atomic_load(&engine->writer_done)) return TCI_WRITER_OVER;
  pump->in_writer = 1;
  int step = tci_writer_step(engine);
  pump->in_writer = 0;
  if (step == TCI_WRITER_OVER) tci_writer_end(engine);
  pump->write_us = step == TCI_WRITER_BLOCKED ? now_us() + BLOCKED_MS * 1000 : INT64_MAX;
  return step;
}

int tci_pump_write_until(tc_engine *engine, int entered, int (*is_done)(void *arg), void *arg, int64_t patience_us) {
  int64_t give_up_us = engine->pump.in_turn ? 0 : now_us() + patience_us; /* webhooks try again by themselves */
  while (!is_done(arg)) {
    int step = write_step(engine);
    if (step == TCI_WRITER_READY) continue;
    if (step == TCI_WRITER_OVER || now_us() >= give_up_us) return is_done(arg);
    tci_pump_leave(engine, entered);
    (void)poll(NULL, 0, BLOCKED_MS);
    int taken = tci_pump_enter(engine);
    (void)taken; /* as before */
  }
  return 1;
}

/* ---- A pass: every step that has something to do, once. Each says 1 when it did something. */

static int write_some(tc_engine *engine) {
  if (engine->batch->stage == TCI_BATCH_NONE && !tci_queue_has_work(engine)) return 0;
  return write_step(engine) == TCI_WRITER_READY;
}

static int pass_on(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (!tci_dispatcher_has_news(engine) && now_us() < pump->round_us) return 0;
  int found = tci_dispatcher_step(engine, 0);
  pump->round_us = found == TCI_ROUND_SOME ? 0 : found == TCI_ROUND_UNREAD ? now_us() + TCI_UNREAD_US : INT64_MAX;
  return found == TCI_ROUND_SOME;
}

/* Nothing that others have told is heard in between: it is looked again and again. */
static void look_around(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (!engine->nodes || now_us() < pump->look_us) return;
  tci_nodes_look(engine, 0);
  pump->look_us = now_us() + TCI_LOOK_MS * 1000;
}

static int send_some(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  tci_webhooks *w = engine->webhooks;
  if (!w || (!w->running && !engine->nodes) || !tci_webhooks_on_duty(w)) return 0;
  pump->in_turn = 1;
  int wait_ms = tci_webhooks_turn(w);
  int landed = tci_webhooks_poll(w, 0);
  pump->in_turn = 0;
  int32_t due_ms = w->transport.timeout_ms ? w->transport.timeout_ms(w->transport.userdata) : -1;
  if (due_ms >= 0 && due_ms < wait_ms) wait_ms = due_ms;
  pump->turn_us = landed || !wait_ms ? 0 : now_us() + (int64_t)wait_ms * 1000;
  return landed || !wait_ms;
}

static int index_some(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (!tci_indexer_is_wanted(engine) || now_us() < pump->indexed_us + tci_indexer_pause_us(engine)) return 0;
  int64_t before = atomic_load(&engine->index_seq);
  (void)tci_indexer_step(engine, 0);
  pump->indexed_us = now_us();
  return atomic_load(&engine->index_seq) > before;
}

static int64_t min_us(int64_t a, int64_t b) { return a < b ? a : b; }

/* The bell is cleared, then armed, then all is looked at again: what comes in between is seen or rings. */
static void set_bell(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  tci_wake_drain(pump->bell_fd);
  atomic_store(&pump->armed, 1);
  int64_t now = now_us(), due_us = min_us(min_us(pump->round_us, pump->turn_us), pump->write_us);
  if (engine->nodes) due_us = min_us(due_us, pump->look_us);
  if (tci_indexer_is_wanted(engine)) due_us = min_us(due_us, pump->indexed_us + tci_indexer_pause_us(engine));
  if (engine->webhooks && engine->webhooks->running && !atomic_load(&engine->webhooks->armed)) due_us = 0;
  if (tci_dispatcher_has_news(engine)) due_us = 0;
  if (engine->batch->stage == TCI_BATCH_NONE && pump->write_us == INT64_MAX && tci_queue_has_work(engine))
    due_us = 0; /* else the storage is asked again at write_us */
  if (due_us <= now) {
    tci_pump_ring(engine);
  } else if (due_us < pump->timer_us || pump->timer_us <= now) { /* one that rings too early costs less than to set it at each pass */
    struct itimerspec at = {0};
    if (due_us < INT64_MAX) at.it_value = (struct timespec){due_us / 1000000, due_us % 1000000 * 1000};
    (void)timerfd_settime(pump->timer_fd, TFD_TIMER_ABSTIME, &at, NULL); /* the arguments are right; also takes back a ring */
    pump->timer_us = due_us;
  }
}

static int pass(tc_engine *engine) {
  int entered = tci_pump_enter(engine);
  look_around(engine);
  int did = write_some(engine);
  did |= pass_on(engine);
  did |= send_some(engine);
  did |= index_some(engine);
  set_bell(engine);
  tci_pump_leave(engine, entered);
  return did;
}

int tci_pump_poll(tc_engine *engine, int timeout_ms) {
  if (pass(engine)) return TC_OK;
  if (atomic_load(&engine->writer_done)) return tci_fail(TC_ECLOSED, "engine is closing, and has done what it accepted");
  if (!timeout_ms) return TC_OK;
  struct epoll_event event;
  int n = epoll_wait(engine->pump.epoll_fd, &event, 1, timeout_ms < 0 ? -1 : timeout_ms);
  if (n < 0 && errno != EINTR) return tci_fail(TC_EUNKNOWN, "epoll_wait failed: %s", strerror(errno));
  if (n > 0) (void)pass(engine);
  return TC_OK;
}

int tci_pump_wait(tc_engine *engine, int fd, int timeout_ms) {
  if (pass(engine)) return 0;
  struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = engine->pump.epoll_fd, .events = POLLIN}};
  return poll(both, 2, timeout_ms);
}

int tci_pump_tick(tc_engine *engine, int32_t *more) {
  int entered = tci_pump_enter(engine), rc = TC_OK;
  if (tci_indexer_is_wanted(engine)) {
    (void)tci_indexer_step(engine, 0);
    engine->pump.indexed_us = now_us();
    rc = atomic_load(&engine->index_error);
    if (!rc && more) *more = tci_indexer_has_more(engine);
  } else if (more) {
    *more = 0;
  }
  set_bell(engine);
  tci_pump_leave(engine, entered);
  return rc;
}

int tci_pump_start(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  tci_webhooks *w = engine->webhooks;
  if (w && w->transport.fd) {
    int fd = w->transport.fd(w->transport.userdata);
    if (fd >= 0 && watch(pump, fd)) return tci_fail(TC_ELIMIT, "the transport's descriptor cannot be watched: %s", strerror(errno));
  }
  pump->running = 1;
  if (w) (void)tci_webhooks_on_duty(w); /* logged there: the engine runs without, as with threads */
  atomic_store(&pump->armed, 1);
  tci_pump_ring(engine);
  return TC_OK;
}

void tci_pump_finish(tc_engine *engine) {
  tci_pump *pump = &engine->pump;
  if (!pump->on || !pump->running) return;
  int entered = tci_pump_enter(engine);
  if (engine->webhooks && engine->webhooks->running) tci_webhooks_end(engine->webhooks);
  for (int step = TCI_WRITER_READY; step != TCI_WRITER_OVER;) {
    step = write_step(engine);
    if (step == TCI_WRITER_BLOCKED) (void)poll(NULL, 0, BLOCKED_MS);
  }
  tci_dispatcher_stop(engine);
  while (tci_dispatcher_step(engine, 1) == TCI_ROUND_SOME) continue;
  while (tci_indexer_is_wanted(engine) && tci_indexer_step(engine, 1)) continue;
  pump->running = 0;
  tci_pump_leave(engine, entered);
}
