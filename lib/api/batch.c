#include "tipcurrent/batch.h"

#include <stdatomic.h>
#include <string.h>

#include "api/door.h"
#include "api/enter.h"
#include "api/sized.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "engine/engine.h"
#include "model/money.h"
#include "tipcurrent/activity.h"
#include "tipcurrent/refund.h"

/* Design notes.
 *  - All lines are in flight at once, so that the writer commits them in a few large groups.
 *  - pending counts the lines without an answer, and one share of tc_batch_submit's own until it has handed over the last line: so it is 0 only when all is said.
 *  - The last one out frees: the caller, or the line that is answered when the caller has gone.
 */
#define GRACE_US 1000000 /* the writer answers by the deadline, unless it hangs in the disk */
#define WAKE_LINES 64 /* so many are submitted before the writer is woken: a small batch is one commit, a large one is committed while the rest of it is read */
#define ROOM_RETRY_US 2000 /* between two looks at a queue that others have filled */

typedef struct batch_line {
  tc_batch *batch;
  tc_result result; /* its detail is owned where it is not static */
  char *detail;
} batch_line;

struct tc_batch {
  tc_engine *engine; /* there as long as pending is not 0 */
  pthread_mutex_t mutex;
  pthread_cond_t moved;
  size_t pending, wake_at; /* moved is signalled when pending comes down to wake_at */
  atomic_size_t failed;
  int abandoned;
  tc_batch_done_fn done;
  void *userdata;
  size_t count;
  batch_line lines[];
};

static void destroy(tc_batch *b) {
  for (size_t i = 0; i < b->count; i++) {
    if (b->lines[i].result.event) tc_event_unref((tc_event *)b->lines[i].result.event);
    tci_free(b->lines[i].detail);
  }
  (void)pthread_cond_destroy(&b->moved);
  (void)pthread_mutex_destroy(&b->mutex);
  tci_free(b);
}

static void line_failed(batch_line *l, int code, const char *detail) {
  l->detail = tci_strndup(detail, strlen(detail));
  l->result = (tc_result){sizeof l->result, code, 0, NULL, l->detail ? l->detail : tc_strerror(code)};
  atomic_fetch_add(&l->batch->failed, 1);
}

static void drop_share(tc_batch *b) {
  pthread_mutex_lock(&b->mutex);
  size_t left = --b->pending;
  if (left <= b->wake_at) pthread_cond_broadcast(&b->moved);
  int last = !left && b->abandoned;
  tc_batch_done_fn done = left ? NULL : b->done;
  pthread_mutex_unlock(&b->mutex);
  if (last) destroy(b);
  else if (done) done(b, b->userdata); /* it is not freed before that; without a done it may be freed by now */
}

/* On the writer's thread. */
static void line_done(const tc_result *result, void *userdata) {
  batch_line *l = userdata;
  if (result->code) {
    line_failed(l, result->code, result->detail);
  } else {
    l->result = (tc_result){sizeof l->result, TC_OK, result->replayed, tc_event_ref(result->event), ""};
  }
  drop_share(l->batch);
}

static int is_blank(tc_text text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] != ' ' && text.ptr[i] != '\t' && text.ptr[i] != '\r') return 0;
  }
  return 1;
}

/* Takes the next line that is not blank off *rest. */
static int next_line(tc_text *rest, tc_text *line) {
  while (rest->len) {
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    *line = (tc_text){rest->ptr, len};
    len += end != NULL;
    rest->ptr += len;
    rest->len -= len;
    if (!is_blank(*line)) return 1;
  }
  return 0;
}

/* At most max + 1. */
static size_t count_lines(tc_text rest, size_t max) {
  tc_text line;
  size_t count = 0;
  while (count <= max && next_line(&rest, &line)) count++;
  return count;
}

/* The line's idempotencyKey as a NUL-terminated copy; *out NULL: none. A line that is no JSON object passes here: who reads it for its event says what is wrong with it. */
static int read_key(tc_text line, char **out) {
  static const char name[] = "idempotencyKey";
  const char *names[] = {name};
  tci_json_value value;
  tci_json_fault fault;
  /* Saves most lines without a key the second scan. An escaped spelling of the name holds a backslash. */
  if (!memmem(line.ptr, line.len, name, sizeof name - 1) && !memchr(line.ptr, '\\', line.len)) return TC_OK;
  if (tci_json_object(line.ptr, line.len, names, 1, &value, &fault) || value.type == TCI_JSON_ABSENT || value.type == TCI_JSON_NULL) return TC_OK;
  if (value.type != TCI_JSON_STRING) return tci_fail(TC_EINVAL, "idempotencyKey: must be a string");
  char *key = tci_alloc(value.raw.len + 1);
  if (!key) return tci_fail(TC_ENOMEM, "out of memory for one event");
  size_t len = tci_json_unescape(value.raw, key);
  key[len] = '\0';
  if (memchr(key, '\0', len)) {
    tci_free(key);
    return tci_fail(TC_EINVAL, "idempotencyKey: must not contain control characters");
  }
  *out = key;
  return TC_OK;
}

/* The tip that a line takes back. */
static int read_tip_id(tc_text line, int64_t *out) {
  const char *name = "tipId", *reason = NULL;
  tci_json_value value;
  tci_json_fault fault;
  *out = 0;
  if (tci_json_object(line.ptr, line.len, &name, 1, &value, &fault)) return tci_fail(TC_EINVAL, "body: %s at byte %zu", fault.what, fault.offset);
  if (value.type == TCI_JSON_ABSENT || value.type == TCI_JSON_NULL) reason = "is required";
  else reason = value.type == TCI_JSON_NUMBER ? tci_whole_parse(value.raw.ptr, value.raw.len, out) : "must be a number";
  return reason ? tci_fail(TC_EINVAL, "tipId: %s", reason) : TC_OK;
}

static int submit_json(tc_engine *engine, uint32_t kind, tc_text text, const char *key, batch_line *l) {
  int64_t tip_id;
  if (!kind) return tc_activity_json_submit(engine, text.ptr, text.len, key, line_done, l);
  if (kind != TC_KIND_REFUND) return tc_json_submit(engine, kind, text.ptr, text.len, key, line_done, l);
  int rc = read_tip_id(text, &tip_id);
  return rc ? rc : tc_tip_refund_json_submit(engine, tip_id, text.ptr, text.len, key, line_done, l);
}

static int is_answered(void *arg) {
  tc_batch *b = arg;
  pthread_mutex_lock(&b->mutex);
  int over = !b->pending;
  pthread_mutex_unlock(&b->mutex);
  return over;
}

static int queue_is_empty(void *engine) { return !tci_queue_has_work(engine); }

/* Without threads the caller is the writer. */
static int write_until(tc_batch *b, int (*is_done)(void *arg), void *arg, int64_t patience_us) {
  int entered = tci_pump_enter(b->engine);
  int done = tci_pump_write_until(b->engine, entered, is_done, arg, patience_us);
  tci_pump_leave(b->engine, entered);
  return done;
}

/* Waits until pending has come down to level; timeout_us negative: no limit. 1: it has. Only tc_batch_submit asks for another level than 0, while nobody else knows the batch. */
static int wait_down_to(tc_batch *b, size_t level, int64_t timeout_us) {
  int64_t give_up_us = tci_sys_monotonic_us(NULL) + timeout_us, left_us = timeout_us;
  pthread_mutex_lock(&b->mutex);
  b->wake_at = level;
  while (b->pending > level && left_us) {
    (void)tci_cond_wait(&b->moved, &b->mutex, left_us);
    if (timeout_us < 0) continue;
    left_us = give_up_us - tci_sys_monotonic_us(NULL);
    if (left_us < 0) left_us = 0;
  }
  int down = b->pending <= level;
  b->wake_at = 0;
  pthread_mutex_unlock(&b->mutex);
  return down;
}

/* The queue is full. 1: try again; 0: there will be no room, and the lines that come need not wait for it either. Half of what we have in it is waited for, so that one wake-up makes room
 * for many lines; where others have filled it, a moment. */
static int wait_for_room(tc_batch *b, int64_t *patience_us) {
  tc_engine *engine = b->engine;
  int64_t began_us = tci_sys_monotonic_us(NULL);
  tci_queue_wake(engine);
  if (b->done || tci_engine_in_writer(engine) || *patience_us <= 0) return 0;
  pthread_mutex_lock(&b->mutex);
  size_t ours = b->pending - 1;
  pthread_mutex_unlock(&b->mutex);
  int room = 1;
  if (engine->pump.on) {
    room = write_until(b, queue_is_empty, engine, *patience_us);
  } else if (ours) {
    room = wait_down_to(b, 1 + ours / 2, engine->create_deadline_us + GRACE_US);
  } else {
    (void)wait_down_to(b, 0, ROOM_RETRY_US);
    *patience_us -= tci_sys_monotonic_us(NULL) - began_us;
  }
  if (!room) *patience_us = 0;
  return room;
}

static void submit_line(tc_engine *engine, const tc_batch_options *o, tc_text text, batch_line *l, int64_t *patience_us) {
  tc_batch *b = l->batch;
  char *key = NULL;
  int rc = o->line_max_bytes && text.len > o->line_max_bytes ? tci_fail(TC_ELIMIT, "line: longer than %zu bytes", o->line_max_bytes) : read_key(text, &key);
  if (!rc) {
    do {
      pthread_mutex_lock(&b->mutex);
      b->pending++; /* before the submit: done may run before it returns */
      pthread_mutex_unlock(&b->mutex);
      tci_queue_hold(1);
      rc = submit_json(engine, o->kind, text, key, l);
      tci_queue_hold(0);
      if (rc) {
        pthread_mutex_lock(&b->mutex);
        b->pending--; /* our own share is still there */
        pthread_mutex_unlock(&b->mutex);
      }
    } while (rc == TC_EBUSY && wait_for_room(b, patience_us));
  }
  /* What was done for others while this waited may have left another detail. */
  if (rc) line_failed(l, rc, rc == TC_EBUSY && engine->pump.on ? tc_strerror(rc) : tci_fail_detail());
  tci_free(key);
}

static tc_batch *batch_new(tc_engine *engine, size_t count) {
  tc_batch *b = tci_zalloc(sizeof *b + count * sizeof *b->lines);
  if (!b) return NULL;
  if (pthread_mutex_init(&b->mutex, NULL)) goto no_mutex;
  if (tci_cond_init(&b->moved)) goto no_cond;
  b->engine = engine;
  b->pending = 1;
  b->count = count;
  for (size_t i = 0; i < count; i++) b->lines[i].batch = b;
  return b;
no_cond:
  (void)pthread_mutex_destroy(&b->mutex);
no_mutex:
  tci_free(b);
  return NULL;
}

static int check_options(const tc_batch_options *theirs, tc_batch_options *o) {
  int rc = tci_sized_in(o, sizeof *o, TCI_SIZED_UP_TO(tc_batch_options, line_max_bytes), theirs, "options");
  if (rc) return rc;
  if (o->kind > TC_KIND_REACTION && o->kind != TC_KIND_REFUND) return tci_fail(TC_EINVAL, "kind: %u cannot be made in a batch", o->kind);
  if (o->lines_max > TC_BATCH_LINES_MAX) return tci_fail(TC_EINVAL, "lines_max: at most %d", TC_BATCH_LINES_MAX);
  if (!o->lines_max) o->lines_max = TC_BATCH_LINES_MAX;
  return TC_OK;
}

int tc_batch_submit(tc_engine *engine, const tc_batch_options *options, const char *lines, size_t len, tc_batch **out) {
  tc_batch_options o;
  tc_text rest = {lines, len}, line;
  TCI_ENTER();
  int rc = tci_door_check(engine);
  if (!rc) rc = check_options(options, &o);
  if (rc) return rc;
  if (!lines || (!out && !o.done)) return tci_fail(TC_EINVAL, "%s: must not be NULL", lines ? "out" : "lines");
  size_t count = count_lines(rest, o.lines_max);
  if (!count) return tci_fail(TC_EINVAL, "lines: there is none");
  if (count > o.lines_max) return tci_fail(TC_ELIMIT, "lines: more than %u, nothing was stored", o.lines_max);
  tc_batch *b = batch_new(engine, count);
  if (!b) return tci_fail(TC_ENOMEM, "out of memory for a batch of %zu lines", count);
  b->done = o.done;
  b->userdata = o.userdata;
  int64_t patience_us = engine->create_deadline_us;
  for (size_t i = 0; i < count && next_line(&rest, &line); i++) {
    submit_line(engine, &o, line, &b->lines[i], &patience_us);
    if (i % WAKE_LINES == WAKE_LINES - 1) tci_queue_wake(engine);
  }
  tci_queue_wake(engine);
  tci_fail_clear();
  if (out) *out = b;
  drop_share(b);
  return TC_OK;
}

int tc_batch_wait(tc_batch *batch, int32_t timeout_ms) {
  TCI_ENTER();
  if (!batch) return tci_fail(TC_EINVAL, "batch: must not be NULL");
  pthread_mutex_lock(&batch->mutex);
  int over = !batch->pending, inside = !over && tci_engine_in_writer(batch->engine);
  pthread_mutex_unlock(&batch->mutex);
  if (over) return TC_OK;
  if (inside) return tci_fail(TC_EINVAL, "tc_done_fn cannot wait for a batch: it would wait for itself");
  int64_t timeout_us = timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000;
  if (timeout_ms && batch->engine->pump.on) over = write_until(batch, is_answered, batch, timeout_us < 0 ? INT64_MAX / 2 : timeout_us);
  else over = wait_down_to(batch, 0, timeout_us);
  if (!over) return tci_fail(TC_ETIMEOUT, "not all lines have an answer within %d ms", (int)timeout_ms);
  tci_fail_clear(); /* what was done here for others may have failed */
  return TC_OK;
}

size_t tc_batch_count(const tc_batch *batch) { return batch ? batch->count : 0; }

size_t tc_batch_failed(const tc_batch *batch) { return batch ? atomic_load(&batch->failed) : 0; }

const tc_result *tc_batch_at(const tc_batch *batch, size_t i) {
  if (!batch || i >= batch->count) return NULL;
  pthread_mutex_lock((pthread_mutex_t *)&batch->mutex);
  int over = !batch->pending;
  pthread_mutex_unlock((pthread_mutex_t *)&batch->mutex);
  return over ? &batch->lines[i].result : NULL;
}

void tc_batch_free(tc_batch *batch) {
  if (!batch) return;
  pthread_mutex_lock(&batch->mutex);
  batch->abandoned = 1;
  int last = !batch->pending;
  pthread_mutex_unlock(&batch->mutex);
  if (last) destroy(batch);
}
