#include "subscription.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "base/wake.h"
#include "engine/nodes.h"
#include "engine/webhooks.h"

#define LOG_CHUNK 512 /* rows looked at in one read of the log */

static void ring_if_armed(tc_sub *sub) {
  if (sub->fd >= 0 && atomic_exchange(&sub->armed, 0)) tci_wake_ring(sub->fd);
}

void tci_subs_wake(tc_engine *engine) {
  tci_subs *subs = &engine->subs;
  pthread_mutex_lock(&subs->mutex);
  int callbacks = 0;
  for (tc_sub *sub = subs->first; sub; sub = sub->next) {
    ring_if_armed(sub);
    callbacks |= sub->fn != NULL;
  }
  subs->news = 1;
  if (callbacks) pthread_cond_broadcast(&subs->moved);
  pthread_mutex_unlock(&subs->mutex);
  if (callbacks) tci_pump_ring(engine);
  tci_webhooks_wake(engine);
}

int tci_sub_open(tc_engine *engine, const tc_sub_options *options, tc_event_fn fn, void *userdata, tc_sub **out) {
  int rc = TC_ENOMEM;
  tci_subs *subs = &engine->subs;
  tc_sub *sub = tci_zalloc(sizeof *sub);
  if (!sub) return tci_fail(rc, "out of memory for a subscription");
  sub->fd = -1;
  sub->engine = engine;
  sub->fn = fn;
  sub->userdata = userdata;
  sub->kinds = options->kinds;
  sub->own = (options->flags & TCI_SUB_OWN) != 0;
  if (options->room_id) {
    sub->room = tci_strndup(options->room_id, strlen(options->room_id));
    if (!sub->room) {
      (void)tci_fail(rc, "out of memory for a subscription");
      goto fail;
    }
  }
  if (!fn) {
    sub->fd = tci_wake_open();
    if (sub->fd < 0) {
      rc = tci_fail(TC_ELIMIT, "cannot open an eventfd for a subscription: %s", strerror(errno));
      goto fail;
    }
    tci_wake_ring(sub->fd); /* readable until the first read finds nothing */
  }
  int64_t end = tci_tail_end(engine->tail);
  /* Who was told of an event by another node may know it before this one does. */
  int ahead = tci_nodes_has_others(engine) && options->flags & TC_SUB_AFTER_SEQ && options->after_seq > end;
  if (ahead && options->after_seq - end <= TC_SUB_AHEAD_MAX) end = options->after_seq;
  sub->next_seq = options->flags & TC_SUB_AFTER_SEQ && options->after_seq < end ? options->after_seq + 1 : end + 1;
  atomic_init(&sub->passed_seq, sub->next_seq - 1);
  pthread_mutex_lock(&subs->mutex);
  if (subs->stop) {
    rc = TC_ECLOSED;
  } else if (!sub->own && subs->count >= TCI_SUBS_MAX) {
    rc = TC_ELIMIT;
  } else {
    rc = TC_OK;
    sub->next = subs->first;
    if (sub->next) sub->next->before = sub;
    subs->first = sub;
    subs->count += !sub->own;
    subs->news = 1;
    if (fn) pthread_cond_broadcast(&subs->moved);
  }
  pthread_mutex_unlock(&subs->mutex);
  if (rc == TC_OK) {
    if (fn) tci_pump_ring(engine);
    *out = sub;
    return TC_OK;
  }
  (void)tci_fail(rc, rc == TC_ECLOSED ? "engine is closing" : "an engine has at most %d subscriptions", TCI_SUBS_MAX);
fail:
  tci_wake_close(sub->fd);
  tci_free(sub->room);
  tci_free(sub);
  return rc;
}

typedef struct log_reader {
  tc_sub *sub;
  tc_text room;
  int rc;
} log_reader;

static int take_row(const tc_record *row, void *arg) {
  log_reader *reader = arg;
  tc_sub *sub = reader->sub;
  if (row->seq > atomic_load(&sub->engine->log_seq)) return 1; /* of another node, and not shown here yet */
  int wanted = !sub->kinds || (sub->kinds >> row->kind & 1);
  tc_text room = row->text[TC_COL_ROOM];
  if (wanted && reader->room.ptr) wanted = room.ptr && room.len == reader->room.len && memcmp(room.ptr, reader->room.ptr, room.len) == 0;
  if (wanted) {
    if (sub->ahead_n == TCI_SUB_CHUNK) return 1;
    tc_event *event = tci_event_from_row(row);
    if (!event) {
      reader->rc = tci_fail(TC_ENOMEM, "out of memory for an event of the log");
      return 1;
    }
    sub->ahead[sub->ahead_n++] = event;
  }
  sub->next_seq = row->seq + 1;
  return 0;
}

/* Fills ahead with what comes next. TC_OK: there may be more; TC_ETIMEOUT: this is the end for now. */
static int read_ahead(tc_sub *sub) {
  tc_engine *engine = sub->engine;
  log_reader reader = {.sub = sub};
  if (sub->room) reader.room = (tc_text){sub->room, strlen(sub->room)};
  sub->ahead_n = sub->ahead_i = 0;
  int64_t before = sub->next_seq;
  int64_t n = tci_tail_follow(engine->tail, &sub->next_seq, reader.room, sub->kinds, TCI_SUB_CHUNK, sub->ahead);
  if (n >= 0) {
    sub->ahead_n = (size_t)n;
    return sub->next_seq > before ? TC_OK : TC_ETIMEOUT;
  }
  int rc = engine->ops->read_log(engine->storage, sub->next_seq - 1, LOG_CHUNK, take_row, &reader);
  if (!rc) rc = reader.rc;
  if (rc && sub->ahead_n) rc = TC_OK; /* pass on what was read, the next call meets the fault again */
  return rc;
}

int tci_sub_read(tc_sub *sub, tc_event **out) {
  while (sub->ahead_i == sub->ahead_n) {
    atomic_store(&sub->passed_seq, sub->next_seq - 1);
    int rc = read_ahead(sub);
    if (rc) return rc;
  }
  tc_event *event = sub->ahead[sub->ahead_i++];
  atomic_store(&sub->passed_seq, event->record.seq);
  *out = event;
  return TC_OK;
}

int tci_sub_wait(tc_sub *sub, int32_t timeout_ms, tc_event **out) {
  tc_engine *engine = sub->engine;
  if (timeout_ms && tci_pump_is_mine(engine)) return tci_fail(TC_EINVAL, "a callback of an engine without threads cannot wait for it: timeout_ms must be 0");
  int64_t give_up_us = timeout_ms < 0 ? INT64_MAX : tci_engine_mono_us(engine) + (int64_t)timeout_ms * 1000;
  for (;;) {
    /* Looked at before the read: if the writer was done by then, an empty read is the end. */
    int over = atomic_load(&engine->writer_done);
    int rc = tci_sub_read(sub, out);
    if (rc != TC_ETIMEOUT) return rc;
    if (over) return tci_fail(TC_ECLOSED, "engine is closing");
    tci_wake_drain(sub->fd);
    atomic_store(&sub->armed, 1);
    /* Again after arming: what was committed in between rang no bell. */
    over = atomic_load(&engine->writer_done);
    rc = tci_sub_read(sub, out);
    if (rc != TC_ETIMEOUT) {
      tci_wake_ring(sub->fd); /* there may be more: stay readable */
      return rc;
    }
    if (over) {
      tci_wake_ring(sub->fd);
      return tci_fail(TC_ECLOSED, "engine is closing");
    }
    int64_t left_us = timeout_ms < 0 ? 0 : give_up_us - tci_engine_mono_us(engine);
    if (timeout_ms >= 0 && left_us <= 0) return tci_fail(TC_ETIMEOUT, "no event within %d ms", (int)timeout_ms);
    int left_ms = timeout_ms < 0 ? -1 : (int)((left_us + 999) / 1000);
    struct pollfd bell = {.fd = sub->fd, .events = POLLIN};
    if ((engine->pump.on ? tci_pump_wait(engine, sub->fd, left_ms) : poll(&bell, 1, left_ms)) < 0 && errno != EINTR)
      return tci_fail(TC_ESTORAGE, "poll failed: %s", strerror(errno));
  }
}

static void sub_free(tc_sub *sub) {
  while (sub->ahead_i < sub->ahead_n) tc_event_unref(sub->ahead[sub->ahead_i++]);
  tci_wake_close(sub->fd);
  tci_free(sub->room);
  tci_free(sub);
}

static void unlink_sub(tci_subs *subs, tc_sub *sub) {
  if (sub->before) sub->before->next = sub->next;
  if (sub->next) sub->next->before = sub->before;
  if (subs->first == sub) subs->first = sub->next;
  sub->next = sub->before = NULL;
  subs->count -= !sub->own;
}

void tci_sub_close(tc_sub *sub) {
  if (!sub) return;
  if (!sub->engine) { /* the engine was closed before */
    sub_free(sub);
    return;
  }
  tc_engine *engine = sub->engine;
  tci_subs *subs = &engine->subs;
  pthread_mutex_lock(&subs->mutex);
  sub->closed = 1;
  int own = subs->running == sub && (tci_thread_is_me(&engine->dispatcher) || tci_pump_is_mine(engine));
  if (own) {
    sub->closed_inside = 1; /* the dispatcher frees it when the callback returns */
  } else {
    while (subs->running == sub) (void)tci_cond_wait(&subs->moved, &subs->mutex, -1);
    unlink_sub(subs, sub);
  }
  pthread_mutex_unlock(&subs->mutex);
  if (!own) sub_free(sub);
}

void tci_subs_end(tc_engine *engine) {
  tci_subs *subs = &engine->subs;
  while (subs->first) {
    tc_sub *sub = subs->first;
    unlink_sub(subs, sub);
    sub->engine = NULL;
  }
}

/* The next callback subscription that this round has not looked at. */
static tc_sub *next_in_round(tci_subs *subs) {
  for (tc_sub *sub = subs->first; sub; sub = sub->next) {
    if (sub->fn && !sub->closed && sub->round != subs->round) return sub;
  }
  return NULL;
}

/* Passes on a chunk of one subscription, unlocked. 1: there was something. */
static int dispatch(tc_engine *engine, tc_sub *sub, int over) {
  int some = 0;
  /* At the end, those who follow live get the rest; one that is still reading history does not hold up tc_close. */
  if (over && sub->next_seq < tci_tail_base(engine->tail)) return 0;
  for (int i = 0; i < TCI_SUB_CHUNK; i++) {
    tc_event *event = NULL;
    int rc = tci_sub_read(sub, &event);
    if (rc) {
      sub->unread = rc != TC_ETIMEOUT;
      if (sub->unread) tci_engine_log(engine, TC_LOG_ERROR, "a subscription cannot read the log, will try again: %s: %s", tc_strerror(rc), tci_fail_detail());
      break;
    }
    sub->fn(event, sub->userdata);
    tc_event_unref(event);
    some = 1;
    pthread_mutex_lock(&engine->subs.mutex);
    int closed = sub->closed;
    pthread_mutex_unlock(&engine->subs.mutex);
    if (closed) break;
  }
  return some;
}

/* One look at every callback subscription, under subs.mutex but for the callbacks. over: the writer is done, what is found now is the last. */
static int run_round(tc_engine *engine, int over) {
  tci_subs *subs = &engine->subs;
  int some = 0, unread = 0;
  subs->news = 0;
  subs->round++;
  for (tc_sub *sub; (sub = next_in_round(subs)) != NULL;) {
    sub->round = subs->round;
    sub->unread = 0;
    subs->running = sub;
    pthread_mutex_unlock(&subs->mutex);
    some |= dispatch(engine, sub, over);
    pthread_mutex_lock(&subs->mutex);
    subs->running = NULL;
    unread |= sub->unread;
    if (sub->closed_inside) {
      unlink_sub(subs, sub);
      sub_free(sub);
    }
    pthread_cond_broadcast(&subs->moved);
  }
  return some ? TCI_ROUND_SOME : unread ? TCI_ROUND_UNREAD : TCI_ROUND_NONE;
}

int tci_dispatcher_step(tc_engine *engine, int over) {
  pthread_mutex_lock(&engine->subs.mutex);
  int found = run_round(engine, over);
  pthread_mutex_unlock(&engine->subs.mutex);
  return found;
}

int tci_dispatcher_has_news(tc_engine *engine) {
  pthread_mutex_lock(&engine->subs.mutex);
  int news = engine->subs.news;
  pthread_mutex_unlock(&engine->subs.mutex);
  return news;
}

void tci_dispatcher_stop(tc_engine *engine) {
  pthread_mutex_lock(&engine->subs.mutex);
  engine->subs.stop = 1;
  pthread_cond_broadcast(&engine->subs.moved);
  pthread_mutex_unlock(&engine->subs.mutex);
}

void *tci_dispatcher_main(void *arg) {
  tc_engine *engine = arg;
  tci_subs *subs = &engine->subs;
  pthread_mutex_lock(&subs->mutex);
  for (;;) {
    /* Read before the round: once the writer is done, a round that finds nothing is the last. */
    int over = subs->stop;
    if (run_round(engine, over) == TCI_ROUND_SOME) continue;
    if (over) break;
    /* A log that could not be read is tried again. */
    if (!subs->news && !subs->stop) (void)tci_cond_wait(&subs->moved, &subs->mutex, subs->first ? TCI_UNREAD_US : -1);
  }
  pthread_mutex_unlock(&subs->mutex);
  return NULL;
}
