/* dispatch.c - the dispatcher's loop. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/errands.h"
#include "engine/nodes.h"
#include "engine/subscription.h"
#include "engine/webhooks.h"
#include "model/kind.h"

#define PULL_EVENTS 256 /* in one turn */
#define POLL_MS 100     /* the longest wait while time has to pass: the clock is injected */
#define IDLE_POLL_MS 1000
#define DUE_ROWS 512   /* read back at once */
#define READ_ROWS 1024 /* of the log, looked at once */
#define LOOK_AGAIN_US 1000000

int64_t tci_webhooks_now_us(const tci_webhooks *w) { return w->engine->clock.wall_us(w->engine->clock.userdata); }

static int has_room(const tci_webhooks *w, const tci_target *target) {
  return target->in_flight < w->max_per_endpoint && w->in_flight < w->max_in_flight && tci_ledger_has_room(w);
}

static void wait_in_line(tci_webhooks *w, tci_target *target, tci_parcel *parcel) {
  tci_target_touch(w, target);
  parcel->next_waiting = NULL;
  if (target->last) target->last->next_waiting = parcel;
  else target->first = parcel;
  target->last = parcel;
  target->waiting++;
  if (target->waiting > w->max_per_endpoint) tci_helper_sign(w, parcel);
}

/* An event for one webhook: sent, kept waiting, or owed. */
static int offer(tci_webhooks *w, tci_target *target, tc_event *event) {
  int64_t seq = event->record.seq, now_us = w->turn_us;
  tci_parcel *parcel = tci_parcel_new(w, target, event, seq, 1, now_us, 0);
  if (!parcel) return TC_ENOMEM;
  int later = tci_webhooks_is_leaving(w, target->hook->id) || target->hook->flags & TC_WEBHOOK_ORDERED || target->waiting >= TCI_PARCELS_PER_TARGET ||
              w->parcels > TCI_PARCELS_MAX || target->next_due_us <= now_us;
  if (later) {
    int rc = tci_parcel_owe(w, parcel, 1, now_us);
    tci_parcel_free(w, parcel);
    return rc;
  }
  wait_in_line(w, target, parcel);
  return TC_OK;
}

static int offer_range(tci_webhooks *w, size_t from, size_t to, const char *name, tc_event *event) {
  for (size_t i = from; i < to; i++) {
    tci_target *target = w->targets[i];
    if (target->gone || !tci_hook_wants(target->hook, name)) continue;
    if (event->record.seq <= target->hook->after_seq || tci_webhooks_has_had(w, target->hook->id, event->record.seq)) continue;
    int rc = offer(w, target, event);
    if (rc) return rc;
  }
  return TC_OK;
}

/* Room hooks and those of all rooms. */
static int take_event(tci_webhooks *w, tc_event *event) {
  char scratch[TCI_EVENT_NAME_SIZE];
  const char *name = tci_event_name(&event->record, scratch), *room = tc_event_str(event, TC_FIELD_ROOM_ID);
  size_t from, to, global_to;
  tci_targets_of(w, NULL, &from, &global_to);
  int rc = offer_range(w, from, global_to, name, event);
  if (rc || !room) return rc;
  tci_targets_of(w, room, &from, &to);
  return offer_range(w, from, to, name, event);
}

/* One webhook alone that gets on is waited for: what it cannot take yet would be written down only to be read back. With another the cursor goes on, or the one would hold up the other. */
static int is_to_be_waited_for(tci_webhooks *w) {
  const tci_target *only = w->target_count == 1 ? w->targets[0] : NULL;
  if (!only || only->hook->flags & TC_WEBHOOK_ORDERED || only->success_us <= w->turn_mono_us - 2 * TCI_RECORD_AFTER_US) return 0;
  if (only->next_due_us <= w->turn_us) return 1;
  /* Many at once, and then for a while none: so its log is read, and its helper woken, once for hundreds. */
  if (only->waiting >= TCI_PARCELS_PER_TARGET) w->brimful = 1;
  if (only->waiting < TCI_PARCELS_PER_TARGET / 2) w->brimful = 0;
  return w->brimful;
}

/* 1: there may be more. */
static int pull(tci_webhooks *w) {
  w->stuck = 1;
  for (int i = 0; i < PULL_EVENTS; i++) {
    if (is_to_be_waited_for(w)) return 0; /* what is sent in this turn makes room for the next */
    if (tci_ledger_is_full(w) && tci_ledger_post(w)) return 0;
    tc_event *event = w->held;
    int rc = event ? TC_OK : tci_sub_read(w->sub, &event);
    if (rc) {
      if (rc == TC_ETIMEOUT) w->stuck = 0, w->pulled_seq = atomic_load(&w->sub->passed_seq);
      else if (rc != w->read_error) tci_engine_log(w->engine, TC_LOG_ERROR, "webhooks: the log cannot be read, will try again: %s", tci_fail_detail());
      w->read_error = rc == TC_ETIMEOUT ? TC_OK : rc;
      return 0;
    }
    w->read_error = TC_OK;
    /* Who was registered before this event was committed must be among the targets; else it would pass him by. So the look comes after the event. */
    if (w->seen_version != atomic_load(&w->version)) {
      w->held = event;
      return 0;
    }
    rc = take_event(w, event);
    w->held = rc ? event : NULL; /* without memory it is offered again, to some of its webhooks a second time */
    if (rc) return 0;
    w->pulled_seq = event->record.seq;
    tc_event_unref(event);
  }
  w->stuck = 0;
  return 1;
}

static void send_waiting(tci_webhooks *w, tci_target *target) {
  while (target->first && has_room(w, target)) {
    tci_parcel *parcel = target->first;
    if (tci_parcel_send(w, parcel)) return; /* no memory, or no room: the next turn tries again */
    target->first = parcel->next_waiting;
    if (!target->first) target->last = NULL;
    target->waiting--;
    parcel->next_waiting = NULL;
  }
}

struct due_rows {
  size_t count;
  tc_owed rows[DUE_ROWS];
};
typedef struct due_rows due_rows;

static int take_due(const tc_owed *row, void *arg) {
  due_rows *due = arg;
  due->rows[due->count++] = *row;
  return due->count == DUE_ROWS;
}

static tci_parcel *find_sending(const tci_target *target, int64_t seq) {
  for (tci_parcel *parcel = target->sending; parcel; parcel = parcel->next_sending) {
    if (parcel->event && parcel->seq == seq) return parcel;
  }
  return NULL;
}

static int by_seq(const void *a, const void *b) {
  int64_t x = ((const tc_owed *)a)->seq, y = ((const tc_owed *)b)->seq;
  return (x > y) - (x < y);
}

typedef struct recalling {
  tci_webhooks *w;
  tci_target *target;
  const tc_owed *rows; /* by seq */
  size_t count, at;
  int rc;
} recalling;

/* An owed delivery comes back into memory. Its row stays until it is settled: after a kill it is simply due. */
static int recall(const tc_record *record, void *arg) {
  recalling *r = arg;
  /* A row whose event is not in the log: the log was put back to an earlier state. */
  while (r->at < r->count && r->rows[r->at].seq < record->seq && !r->rc)
    r->rc = tci_ledger_settle(r->w, r->rows[r->at].webhook_id, r->rows[r->at].seq), r->at++;
  if (r->rc || r->at == r->count) return 1;
  const tc_owed *row = &r->rows[r->at];
  if (row->seq != record->seq) return 0;
  r->at++;
  tc_event *event = tci_event_from_row(record);
  tci_parcel *parcel = event ? tci_parcel_new(r->w, r->target, event, row->seq, row->attempt, row->first_us, 1) : NULL;
  tc_event_unref(event);
  if (parcel) wait_in_line(r->w, r->target, parcel);
  else r->rc = TC_ENOMEM;
  return r->rc || r->at == r->count;
}

/* A backlog stands together in the log, so that one read brings most of it. */
static int recall_all(tci_webhooks *w, tci_target *target, tc_owed *rows, size_t count) {
  recalling r = {w, target, rows, count, 0, TC_OK};
  qsort(rows, count, sizeof *rows, by_seq);
  while (r.at < r.count && !r.rc) {
    size_t before = r.at;
    int rc = w->engine->ops->read_log(w->engine->storage, rows[r.at].seq - 1, READ_ROWS, recall, &r);
    if (rc) return rc;
    if (r.at == before && !r.rc) r.rc = tci_ledger_settle(w, rows[r.at].webhook_id, rows[r.at].seq), r.at++; /* behind the log's end */
  }
  return r.rc;
}

/* Reads what is due back into memory when nothing waits there any more: so many deliveries share one commit and one look. */
static void serve_owed(tci_webhooks *w, tci_target *target) {
  const tc_storage_ops *ops = w->engine->ops;
  int64_t now_us = w->turn_us;
  size_t fresh = 0;
  due_rows *due = w->due;
  if (target->gone || target->next_due_us > now_us || target->first || !has_room(w, target)) return;
  if (tci_ledger_commit(w)) return; /* what is owed must be where it is read from */
  due->count = 0;
  int rc = ops->work_due(w->engine->storage, target->hook->id, now_us, DUE_ROWS, take_due, due);
  for (size_t i = 0; i < due->count && !rc; i++) {
    if (!find_sending(target, due->rows[i].seq)) due->rows[fresh++] = due->rows[i]; /* else its row is still there */
  }
  if (!rc) rc = recall_all(w, target, due->rows, fresh);
  int64_t next_us = now_us;
  if (!rc && !fresh && target->in_flight) next_us = now_us + LOOK_AGAIN_US; /* only what is under way: the rest becomes due later, or with the next landing */
  else if (!rc && !fresh) rc = ops->work_next(w->engine->storage, target->hook->id, &next_us);
  if (rc == TC_ENOTFOUND) next_us = INT64_MAX;
  else if (rc) next_us = now_us + LOOK_AGAIN_US;
  target->next_due_us = next_us;
}

/* What has been on its way for long becomes owed, and lets the cursor pass. A target that gets on keeps what waits in memory; one that does not gives it up to the store. */
static void record_late(tci_webhooks *w) {
  int64_t now_us = w->turn_mono_us, due_us = w->turn_us;
  for (tci_parcel *parcel = w->unrecorded, *next; parcel && parcel->made_us <= now_us - TCI_RECORD_AFTER_US; parcel = next) {
    next = parcel->next;
    tci_target *target = parcel->target;
    if (tci_parcel_owe(w, parcel, parcel->attempt, due_us)) return;
    if (target->first != parcel || target->success_us > now_us - 2 * TCI_RECORD_AFTER_US) continue;
    target->first = parcel->next_waiting;
    if (!target->first) target->last = NULL;
    target->waiting--;
    tci_parcel_free(w, parcel);
  }
}

static void free_landed(tci_webhooks *w) {
  while (w->landed) {
    tci_parcel *parcel = w->landed;
    w->landed = parcel->next_waiting;
    tci_parcel_free(w, parcel);
  }
}

/* A disabled one is tested too: by a target for this parcel alone, which is of no room. There is room for it in targets. */
static tci_target *make_test_target(tci_hook *hook) {
  tci_target *target = tci_zalloc(sizeof *target);
  if (!target) return NULL;
  target->hook = tci_hook_ref(hook);
  target->room_hash = UINT64_MAX; /* behind all */
  target->next_due_us = INT64_MAX;
  target->gone = target->forgotten = 1;
  return target;
}

static int send_test(tci_webhooks *w, int64_t id) {
  tci_hook *hook = NULL;
  tci_target *target = tci_target_find(w, id), *made = NULL;
  if (!target) {
    if (tci_hooks_get(w, id, &hook)) return TC_OK; /* deleted meanwhile */
    tci_target **larger = tci_realloc(w->targets, (w->target_count + 1) * sizeof(tci_target *));
    if (larger) w->targets = larger;
    target = made = larger ? make_test_target(hook) : NULL;
    tci_hook_unref(hook);
    if (!made) return TC_ENOMEM;
  }
  tci_parcel *parcel = tci_parcel_new(w, target, NULL, 0, 1, w->turn_us, 1);
  int rc = parcel ? tci_parcel_send(w, parcel) : TC_ENOMEM;
  if (rc && parcel) tci_parcel_free(w, parcel);
  if (rc && made) {
    tci_hook_unref(made->hook);
    tci_free(made);
  } else if (made) {
    w->gone_count++;
    w->targets[w->target_count++] = made;
    w->seen_version = 0; /* it is over when its parcel has landed */
  }
  return rc;
}

/* 1: it is done with. */
static int run_errand(tci_webhooks *w, tci_errand *errand) {
  if (!tci_webhooks_holds(w, errand->webhook_id)) /* no longer: who does is asked */
    return !tci_errands_ask(w, errand->webhook_id, errand->test, errand->seqs + errand->done, errand->count - errand->done);
  tci_target *target = tci_target_find(w, errand->webhook_id);
  if (errand->test) {
    return w->in_flight < w->max_in_flight && !send_test(w, errand->webhook_id); /* without room or memory at a later turn */
  }
  int64_t now_us = w->turn_us;
  for (; errand->done < errand->count; errand->done++) {
    if (!target || target->gone) return 1;
    if (tci_ledger_is_full(w) && tci_ledger_post(w)) return 0;
    tc_owed row = {.webhook_id = errand->webhook_id, .seq = errand->seqs[errand->done], .lane = -1, .due_us = now_us, .first_us = now_us, .attempt = 1};
    if (tci_ledger_owe(w, &row)) return 0;
    tci_parcel *sending = find_sending(target, row.seq);
    if (sending) sending->again = 1;
  }
  if (target) target->next_due_us = now_us;
  if (target) tci_target_touch(w, target);
  return 1;
}

void tci_webhooks_run_errands(tci_webhooks *w) {
  for (;;) {
    pthread_mutex_lock(&w->mutex);
    tci_errand *errand = w->errands;
    pthread_mutex_unlock(&w->mutex);
    if (!errand || !run_errand(w, errand)) return;
    pthread_mutex_lock(&w->mutex);
    w->errands = errand->next;
    if (!w->errands) w->last_errand = &w->errands;
    pthread_mutex_unlock(&w->mutex);
    tci_free(errand);
  }
}

static int poll_ms(const tci_webhooks *w, int more) {
  if (more) return 0;
  int ms = IDLE_POLL_MS;
  if (w->ledger.dirty_since_us || w->unrecorded || w->in_flight || w->leaving) ms = POLL_MS;
  return w->active || w->gone_count ? POLL_MS : ms;
}

/* Those that have something, and no others: a thousand idle webhooks cost nothing. */
static void serve_active(tci_webhooks *w) {
  for (tci_target **at = &w->active; *at;) {
    tci_target *target = *at;
    int stays = !tci_webhooks_is_leaving(w, target->hook->id);
    if (stays) serve_owed(w, target);
    if (stays) send_waiting(w, target);
    if (target->first || target->next_due_us != INT64_MAX) {
      at = &target->next_active;
    } else {
      *at = target->next_active;
      target->active = 0;
    }
  }
}

static int turn(tci_webhooks *w) {
  w->turn_us = tci_webhooks_now_us(w);
  w->turn_mono_us = tci_engine_mono_us(w->engine);
  int rc = tci_targets_refresh(w);
  if (rc) tci_engine_log(w->engine, TC_LOG_ERROR, "webhooks: %s", tci_fail_detail());
  tci_webhooks_run_errands(w);
  int more = w->parcels < TCI_PARCELS_MAX * 2 ? pull(w) : 0;
  tci_helper_ring(w);
  int64_t since_us = w->ledger.dirty_since_us;
  if (tci_ledger_is_full(w) || (since_us && w->turn_mono_us - since_us >= TCI_LEDGER_US)) (void)tci_ledger_post(w); /* logged there, tried again */
  serve_active(w);
  record_late(w);
  tci_ledger_trim(w);
  atomic_store_explicit(&w->busy, w->in_flight != 0, memory_order_relaxed);
  return more;
}

static int row_of_target(const tc_owed *row, void *arg) {
  tci_target *target = tci_target_find(arg, row->webhook_id);
  if (!target) return 0;
  target->next_due_us = row->due_us;
  target->owed_before = 1;
  tci_target_touch(arg, target);
  return 0;
}

int tci_webhooks_seek(tci_webhooks *w, int64_t seq) {
  int64_t cursor = 0;
  tc_sub_options options = TC_SUB_OPTIONS_INIT;
  options.after_seq = w->pulled_seq = w->ledger.written_cursor = seq;
  options.flags = TC_SUB_AFTER_SEQ | TCI_SUB_OWN;
  tc_event_unref(w->held);
  tci_sub_close(w->sub);
  w->held = NULL;
  w->sub = NULL;
  w->horizon_seq = atomic_load(&w->engine->log_seq);
  int rc = tci_targets_refresh(w);
  if (!rc) rc = w->engine->ops->work_state(w->engine->storage, &cursor, row_of_target, w);
  if (!rc) rc = tci_sub_open(w->engine, &options, NULL, NULL, &w->sub);
  return rc;
}

void tci_target_give_up(tci_webhooks *w, tci_target *target) {
  while (target->sending) {
    tci_parcel *parcel = target->sending;
    if (!parcel->why) w->transport.abort(w->transport.userdata, &parcel->send);
    target->sending = parcel->next_sending;
    if (target->sending) target->sending->prev_sending = NULL;
    target->in_flight--;
    w->in_flight--;
    w->refused -= parcel->why != NULL;
    if (parcel->event && !target->gone)
      (void)tci_parcel_owe(w, parcel, parcel->attempt, tci_webhooks_now_us(w)); /* without memory it is behind the cursor, or owed already */
    tci_parcel_free(w, parcel);
  }
  while (target->first) {
    tci_parcel *parcel = target->first;
    target->first = parcel->next_waiting;
    target->waiting--;
    (void)tci_parcel_owe(w, parcel, parcel->attempt, tci_webhooks_now_us(w)); /* as above */
    tci_parcel_free(w, parcel);
  }
  target->last = NULL;
}

/* The next start sends it again. */
static void finish(tci_webhooks *w) {
  for (size_t i = 0; i < w->target_count; i++) tci_target_give_up(w, w->targets[i]);
  free_landed(w);
  (void)tci_ledger_commit(w); /* logged there; what is not written is repeated */
}

int tci_webhooks_begin(tci_webhooks *w, int64_t seq) {
  int rc = TC_ENOMEM;
  w->due = tci_alloc(sizeof(due_rows));
  rc = w->due ? tci_webhooks_seek(w, seq) : tci_fail(rc, "out of memory for webhooks");
  w->running = !rc;
  if (!rc) return 1;
  if (rc != w->begin_error) tci_engine_log(w->engine, TC_LOG_ERROR, "webhooks do not run: %s: %s", tc_strerror(rc), tci_fail_detail());
  w->begin_error = rc;
  tci_free(w->due);
  w->due = NULL;
  return 0;
}

int tci_webhooks_turn(tci_webhooks *w) {
  uint64_t asked = atomic_load(&w->asked), version = atomic_load(&w->version);
  int more = turn(w);
  /* Said before the last look: who commits in between either is seen or sees that it has to wake us. */
  atomic_store(&w->armed, 1);
  if (!more && atomic_load(&w->engine->log_seq) > w->pulled_seq) more = !w->stuck && w->parcels < TCI_PARCELS_MAX * 2;
  more |= asked != atomic_load(&w->asked) || version != atomic_load(&w->version);
  return poll_ms(w, more);
}

int tci_webhooks_poll(tci_webhooks *w, int wait_ms) {
  int rc = w->transport.poll(w->transport.userdata, w->refused ? 0 : wait_ms);
  if (rc && rc != w->transport_error) tci_engine_log(w->engine, TC_LOG_ERROR, "webhooks: the transport failed: %s", tc_strerror(rc));
  w->transport_error = rc;
  if (w->refused) tci_parcels_refuse(w);
  tci_targets_note(w);
  int some = w->landed != NULL;
  free_landed(w);
  return some;
}

void tci_webhooks_end(tci_webhooks *w) {
  finish(w);
  tc_event_unref(w->held);
  tci_sub_close(w->sub);
  tci_free(w->due);
  w->running = 0;
  atomic_store(&w->busy, 0);
}

void *tci_webhooks_main(void *arg) {
  tci_webhooks *w = arg;
  while (!atomic_load(&w->stop)) {
    if (!tci_webhooks_on_duty(w)) { /* a database that is away comes back; another node that leads may go */
      (void)poll(NULL, 0, POLL_MS);
      continue;
    }
    int wait_ms = tci_webhooks_turn(w);
    (void)tci_webhooks_poll(w, atomic_load(&w->stop) ? 0 : wait_ms);
    if (w->transport_error) (void)poll(NULL, 0, POLL_MS); /* it may not have waited */
    atomic_store(&w->armed, 0);
  }
  if (w->running) tci_webhooks_end(w);
  return NULL;
}
