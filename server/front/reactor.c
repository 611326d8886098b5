#include "server/front/reactor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/wake.h"
#include "server/front/conn.h"

#define SOON_US 1000
#define EVENTS_MAX 256
#define TICK_MS 100 /* the longest sleep while somebody waits for time to pass: the clock is injected and need not keep the kernel's pace */
#define LINGER_US 2000000
#define GOODBYE_US 1000000
#define KITCHEN_US 60000000

int tcd_source_add(tcd_front *front, tcd_source *source, int fd, void (*on_event)(tcd_source *, uint32_t)) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = source};
  source->front = front;
  source->fd = fd;
  source->on_event = on_event;
  return epoll_ctl(front->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? errno : 0;
}

void tcd_source_close(tcd_source *source) {
  (void)close(source->fd); /* also leaves the epoll set */
  tcd_source_release(source);
}

void tcd_source_release(tcd_source *source) {
  source->fd = -1;
  source->next_closed = source->front->closed;
  source->front->closed = source;
}

void tcd_log(const tcd_front *front, int32_t level, const char *format, ...) {
  const tc_log *log = front->options.log;
  if (!log || !log->write) return;
  char line[256];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  log->write(log->userdata, level, line);
}

void tcd_count(atomic_uint_fast64_t *counter, int64_t by) {
  if (!by) return;
  /* One writer: no locked instruction in the path of a request. */
  uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
  atomic_store_explicit(counter, now + (uint64_t)by, memory_order_relaxed);
}

static void on_wake(tcd_source *source, uint32_t events) {
  (void)events;
  tci_wake_drain(source->fd);
}

static uint32_t or_default(uint32_t value, uint32_t standard) { return value ? value : standard; }

static void init_deadlines(tcd_front *front) {
  const tcd_front_options *options = &front->options;
  const int64_t spans_us[TCD_DUE_CLASSES] = {
    [TCD_DUE_HEAD] = (int64_t)options->header_deadline_ms * 1000,
    [TCD_DUE_BODY] = (int64_t)options->body_deadline_ms * 1000,
    [TCD_DUE_IDLE] = (int64_t)options->idle_timeout_ms * 1000,
    [TCD_DUE_WRITE] = (int64_t)options->write_deadline_ms * 1000,
    [TCD_DUE_LINGER] = LINGER_US,
    [TCD_DUE_LINK] = LINGER_US,
    [TCD_DUE_KITCHEN] = KITCHEN_US,
  };
  for (int i = 0; i < TCD_DUE_CLASSES; i++) {
    front->due[i].span_us = spans_us[i];
    front->due[i].expired = tcd_conn_expired;
  }
  front->due[TCD_DUE_KITCHEN].expired = tcd_pool_expired;
  front->due[TCD_DUE_LINK].expired = tcd_link_expired;
}

static void init_options(tcd_front *front, const tcd_front_options *options) {
  tcd_front_options *own = &front->options;
  *own = *options;
  own->max_connections = or_default(own->max_connections, 10000);
  own->header_deadline_ms = or_default(own->header_deadline_ms, 10000);
  own->body_deadline_ms = or_default(own->body_deadline_ms, 30000);
  own->idle_timeout_ms = or_default(own->idle_timeout_ms, 60000);
  own->write_deadline_ms = or_default(own->write_deadline_ms, 30000);
  own->max_head_bytes = or_default(own->max_head_bytes, 16u << 10);
  own->max_body_bytes = or_default(own->max_body_bytes, 1u << 20);
  own->kitchen_connections = or_default(own->kitchen_connections, 8);
  if (!own->max_buffered_bytes) own->max_buffered_bytes = 256u << 20;
  front->clock = (tc_clock){sizeof(tc_clock), tci_sys_wall_us, tci_sys_monotonic_us, NULL};
  if (options->clock) front->clock = *options->clock;
  front->now_us = front->clock.monotonic_us(front->clock.userdata);
  tcd_wheel_init(&front->wheel, front->now_us);
}

int tcd_front_open(tcd_front **out, const tcd_front_options *options, char *error, size_t error_size) {
  tcd_front *front = tci_zalloc(sizeof *front);
  int rc = TC_ENOMEM;
  if (!front) {
    (void)snprintf(error, error_size, "out of memory");
    return rc;
  }
  front->listener.fd = front->wake.fd = front->epoll_fd = -1;
  init_options(front, options);
  init_deadlines(front);
  rc = TC_ESTORAGE;
  front->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  int wake_fd = front->epoll_fd < 0 ? -1 : tci_wake_open();
  if (wake_fd < 0 || tcd_source_add(front, &front->wake, wake_fd, on_wake)) {
    (void)snprintf(error, error_size, "cannot watch for events: %s", strerror(errno));
    tci_wake_close(wake_fd);
    front->wake.fd = -1;
    goto fail;
  }
  rc = tcd_listen(front, error, error_size);
  if (rc) goto fail;
  *out = front;
  return TC_OK;

fail:
  tcd_front_close(front);
  return rc;
}

const char *tcd_front_address(const tcd_front *front) { return front->address; }

void tcd_front_stats_get(tcd_front *front, tcd_front_stats *out) {
  out->connections = atomic_load_explicit(&front->connections, memory_order_relaxed);
  out->requests = atomic_load_explicit(&front->requests, memory_order_relaxed);
  out->buffered_bytes = atomic_load_explicit(&front->buffered, memory_order_relaxed);
  out->refused = atomic_load_explicit(&front->refused, memory_order_relaxed);
}

void tcd_front_forward(tcd_front *front, tcd_reply *reply) {
  tcd_exchange *exchange = (tcd_exchange *)reply;
  exchange->forwarded_us = front->now_us;
  reply->content_type = NULL; /* what the guards wrote before they let it pass: the kitchen's answer brings its own */
  tci_buf_clear(&reply->headers);
  tci_buf_clear(&reply->body);
  if (tcd_pool_push(front, exchange)) tcd_exchange_refuse(exchange, 503, "too many requests are waiting, try again", 0);
}

void tcd_front_stop(tcd_front *front, uint32_t grace_ms) {
  atomic_store(&front->stop_grace_ms, grace_ms);
  atomic_fetch_add(&front->stops, 1);
  tci_wake_ring(front->wake.fd); /* always: this may run in a signal handler, which cannot know what it interrupted */
}

/* How long the kernel may let us sleep: for ever only when nothing waits for time to pass. */
static int sleep_ms(const tcd_front *front) {
  int64_t left_us = (int64_t)TICK_MS * 1000;
  int waiting = front->live || front->accept_after_us || front->stop_seen || front->wheel.running;
  if (front->turn_again == TCD_TURN_AGAIN) return 0;
  if (front->turn_again == TCD_TURN_SOON) waiting = 1, left_us = SOON_US;
  if (front->accept_ready && front->now_us >= front->accept_after_us) return 0;
  for (int i = 0; i < TCD_DUE_CLASSES; i++) {
    const tcd_deadline *first = front->due[i].first;
    if (!first) continue;
    waiting = 1;
    if (first->due_us - front->now_us < left_us) left_us = first->due_us - front->now_us;
  }
  if (!waiting) return -1;
  return left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
}

void tcd_front_post(tcd_front *front, tcd_task *task) {
  tcd_task *newest = atomic_load_explicit(&front->posted, memory_order_relaxed);
  do {
    task->next = newest;
  } while (!atomic_compare_exchange_weak(&front->posted, &newest, task));
  /* From here on the task is the front's. The front says that it will sleep before it looks at the list a last time, so one of us sees the other. */
  if (atomic_exchange(&front->sleeping, 0)) tci_wake_ring(front->wake.fd);
}

/* Oldest first: the list is newest first. */
static void run_posted(tcd_front *front) {
  tcd_task *newest = atomic_exchange(&front->posted, NULL), *oldest = NULL;
  while (newest) {
    tcd_task *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest) {
    tcd_task *next = oldest->next; /* it may be freed, or be posted again, in a moment */
    oldest->run(oldest);
    oldest = next;
  }
}

void tcd_front_set_turn(tcd_front *front, int (*turn)(void *), void *userdata) {
  front->turn = turn;
  front->turn_userdata = userdata;
}

static void take_turn(tcd_front *front) { front->turn_again = front->turn ? front->turn(front->turn_userdata) : TCD_TURN_DONE; }

static void free_closed(tcd_front *front) {
  while (front->closed) {
    tcd_source *source = front->closed;
    front->closed = source->next_closed;
    tci_free(source);
  }
}

/* 1: run is over. */
static int look_at_stop(tcd_front *front) {
  unsigned stops = atomic_load(&front->stops);
  if (!stops) return 0;
  if (!front->stop_seen) {
    front->stop_seen = 1;
    front->stop_due_us = front->now_us + (int64_t)atomic_load(&front->stop_grace_ms) * 1000;
    tcd_listen_close(front);
    tcd_conn_stop(front);
  }
  int late = front->now_us >= front->stop_due_us;
  if (stops > 1) return 1;
  if (front->conns && !late) return 0;
  /* All that was accepted is answered: what lives on is told now, with everything committed before its goodbye. */
  if (!front->links_due_us) {
    front->links_due_us = front->now_us + GOODBYE_US;
    tcd_link_stop(front);
    take_turn(front);
  }
  return !front->links || front->now_us >= front->links_due_us;
}

static int wait_for_events(tcd_front *front, struct epoll_event *events) {
  int ms = sleep_ms(front);
  /* Said first, looked at after: whoever completes something in between either is seen here or sees that it has to ring. */
  atomic_store(&front->sleeping, 1);
  if (atomic_load(&front->posted)) ms = 0;
  int n = epoll_wait(front->epoll_fd, events, EVENTS_MAX, ms);
  atomic_store(&front->sleeping, 0);
  return n;
}

static void close_all(tcd_front *front) {
  tcd_listen_close(front);
  while (front->conns) tcd_conn_close(front->conns);
  tcd_link_end(front);
  take_turn(front); /* the owners of links clear up */
  tcd_pool_stop(front);
  free_closed(front);
}

int tcd_front_run(tcd_front *front) {
  struct epoll_event events[EVENTS_MAX];
  int over = 0, rc = TC_OK;
  front->now_us = front->clock.monotonic_us(front->clock.userdata);
  tcd_pool_open(front);
  while (!over) {
    int n = wait_for_events(front, events);
    front->now_us = front->clock.monotonic_us(front->clock.userdata);
    if (n < 0 && errno != EINTR) {
      tcd_log(front, TC_LOG_ERROR, "cannot wait for events: %s", strerror(errno));
      rc = TC_ESTORAGE;
      break;
    }
    for (int i = 0; i < n; i++) {
      tcd_source *source = events[i].data.ptr;
      if (source->fd >= 0) source->on_event(source, events[i].events);
    }
    tcd_listen_accept(front);
    for (int i = 0; i < TCD_DUE_CLASSES; i++) tcd_deadline_expire(&front->due[i], front->now_us);
    tcd_wheel_turn(&front->wheel, front->now_us);
    run_posted(front);
    tcd_pool_tick(front);
    take_turn(front);
    over = look_at_stop(front);
    free_closed(front);
  }
  close_all(front);
  return rc;
}

void tcd_front_close(tcd_front *front) {
  if (!front) return;
  close_all(front);
  while (front->live) tcd_exchange_drop(front->live);
  while (front->spare_exchanges) {
    tcd_exchange *exchange = front->spare_exchanges;
    front->spare_exchanges = exchange->next;
    tcd_reply_clear(&exchange->reply);
    tci_buf_free(&exchange->out);
    tci_free(exchange);
  }
  while (front->spare_input_count) tci_free(front->spare_inputs[--front->spare_input_count]);
  tcd_pool_free(front->pool);
  if (front->epoll_fd >= 0) (void)close(front->epoll_fd);
  tci_wake_close(front->wake.fd);
  tci_free(front);
}
