#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "engine/nodes.h"

int tci_queue_init(tci_queue *queue) {
  memset(queue, 0, sizeof *queue);
  queue->last = &queue->head;
  queue->last_job = &queue->jobs;
  if (pthread_mutex_init(&queue->mutex, NULL)) return TC_ENOMEM;
  if (tci_cond_init(&queue->filled)) goto no_filled;
  if (tci_cond_init(&queue->job_done)) goto no_job_done;
  return TC_OK;

no_job_done:
  (void)pthread_cond_destroy(&queue->filled);
no_filled:
  (void)pthread_mutex_destroy(&queue->mutex);
  return TC_ENOMEM;
}

void tci_queue_destroy(tci_queue *queue) {
  (void)pthread_cond_destroy(&queue->job_done);
  (void)pthread_cond_destroy(&queue->filled);
  (void)pthread_mutex_destroy(&queue->mutex);
}

/* What this thread submits is a part of more: it wakes the writer itself, who else would commit the first part alone. */
static _Thread_local int held;

void tci_queue_hold(int on) { held = on; }

void tci_queue_wake(tc_engine *engine) {
  tci_queue *queue = &engine->queue;
  pthread_mutex_lock(&queue->mutex);
  if (queue->head && queue->writer_waits) pthread_cond_signal(&queue->filled);
  pthread_mutex_unlock(&queue->mutex);
}

int tci_queue_submit(tc_engine *engine, const tc_record *record, tc_done_fn done, void *userdata) {
  if (record->text[TC_COL_KEY].ptr && !tci_engine_ready(engine)) {
    return tci_fail(TC_EBUSY, "the indexes are being rebuilt, idempotency keys cannot be checked yet");
  }
  int rc = TC_ENOMEM;
  tci_pending *item = tci_alloc(sizeof *item);
  tc_event *event = tci_event_new(record);
  if (!item || !event) {
    (void)tci_fail(rc, "out of memory for one event");
    goto fail;
  }
  item->next = NULL;
  item->event = event;
  item->done = done;
  item->userdata = userdata;
  item->deadline_us = tci_engine_mono_us(engine) + engine->create_deadline_us;
  item->bytes = (uint32_t)sizeof *item + event->size_bytes;

  tci_queue *queue = &engine->queue;
  pthread_mutex_lock(&queue->mutex);
  if (queue->closing) {
    rc = TC_ECLOSED;
  } else if (queue->bytes + item->bytes > engine->max_pending_bytes) {
    rc = TC_EBUSY;
  } else {
    rc = TC_OK;
    *queue->last = item;
    queue->last = &item->next;
    queue->bytes += item->bytes;
    queue->count++;
    queue->queued++;
    if (queue->writer_waits && !held) pthread_cond_signal(&queue->filled);
  }
  pthread_mutex_unlock(&queue->mutex);
  tci_pump_ring(engine);
  if (rc == TC_OK) return TC_OK;
  (void)tci_fail(rc, rc == TC_ECLOSED ? "engine is closing" : "too much waits to be committed, try again");
fail:
  tc_event_unref(event);
  tci_free(item);
  return rc;
}

static tci_pending *pop(tci_queue *queue) {
  tci_pending *item = queue->head;
  queue->head = item->next;
  if (!queue->head) queue->last = &queue->head;
  queue->queued--;
  return item;
}

/* A writer that takes the first arrival at once makes batches of 20 out of 64 waiting clients: the others are just about to ask. So it lets them run until most
 * of a recent batch is there. sched_yield rather than a timer: on an idle machine it returns at once and costs a lone caller nothing. */
#define YIELDS_MAX 24

void tci_queue_wait(tc_engine *engine, size_t recent) {
  tci_queue *queue = &engine->queue;
  pthread_mutex_lock(&queue->mutex);
  int waited = 0;
  while (!queue->head && !queue->jobs && !queue->news && !queue->closing && !waited) {
    queue->writer_waits = 1;
    waited = tci_cond_wait(&queue->filled, &queue->mutex, atomic_load(&engine->commit_error) ? TCI_PROBE_US : -1);
    queue->writer_waits = 0;
  }
  for (int i = 0; i < YIELDS_MAX && queue->queued < recent - recent / 4 && !queue->closing; i++) {
    pthread_mutex_unlock(&queue->mutex);
    (void)sched_yield();
    pthread_mutex_lock(&queue->mutex);
  }
  pthread_mutex_unlock(&queue->mutex);
}

int tci_queue_has_work(tc_engine *engine) {
  tci_queue *queue = &engine->queue;
  pthread_mutex_lock(&queue->mutex);
  int has = queue->head || queue->jobs || queue->news || (queue->closing && !queue->writer_gone);
  pthread_mutex_unlock(&queue->mutex);
  return has;
}

void tci_queue_hear(tc_engine *engine) {
  pthread_mutex_lock(&engine->queue.mutex);
  engine->queue.news = 0;
  pthread_mutex_unlock(&engine->queue.mutex);
}

void tci_queue_ring(tc_engine *engine) {
  tci_queue *queue = &engine->queue;
  pthread_mutex_lock(&queue->mutex);
  queue->news = 1;
  if (queue->writer_waits) pthread_cond_signal(&queue->filled);
  pthread_mutex_unlock(&queue->mutex);
  tci_pump_ring(engine);
}

size_t tci_queue_take(tc_engine *engine, tci_pending **items) {
  tci_queue *queue = &engine->queue;
  size_t n = 0;
  uint64_t bytes = 0;
  pthread_mutex_lock(&queue->mutex);
  while (queue->head && n < TCI_COMMIT_MAX_EVENTS && (n == 0 || bytes + queue->head->bytes <= TCI_COMMIT_MAX_BYTES)) {
    items[n] = pop(queue);
    bytes += items[n++]->bytes;
  }
  pthread_mutex_unlock(&queue->mutex);
  return n;
}

void tci_queue_shows(tc_engine *engine, size_t n) {
  pthread_mutex_lock(&engine->queue.mutex);
  engine->queue.shown = n;
  pthread_mutex_unlock(&engine->queue.mutex);
}

static int is_done(void *arg) { return ((tci_job *)arg)->done; }

/* Without threads: the caller is the writer until its job is done, or the storage has not answered for too long. */
static void call_inline(tc_engine *engine, tci_job *job) {
  tci_queue *queue = &engine->queue;
  int entered = tci_pump_enter(engine);
  if (!tci_pump_write_until(engine, entered, is_done, job, engine->create_deadline_us)) {
    pthread_mutex_lock(&queue->mutex);
    for (tci_job **at = &queue->jobs; *at; at = &(*at)->next) {
      if (*at != job) continue;
      *at = job->next;
      if (!*at) queue->last_job = at;
      break;
    }
    pthread_mutex_unlock(&queue->mutex);
    job->rc = TC_EBUSY;
    (void)snprintf(job->detail, sizeof job->detail, "%s", "the storage does not answer, nothing was stored");
  }
  tci_pump_leave(engine, entered);
}

int tci_writer_call(tc_engine *engine, int (*run)(tc_engine *, void *), void *arg) {
  tci_queue *queue = &engine->queue;
  tci_job job = {.run = run, .arg = arg, .rc = TC_ECLOSED, .detail = "engine is closing"};
  job.deadline_us = tci_engine_mono_us(engine) + engine->create_deadline_us;
  pthread_mutex_lock(&queue->mutex);
  int queued = !queue->closing && !queue->writer_gone;
  if (queued) {
    *queue->last_job = &job;
    queue->last_job = &job.next;
    if (queue->writer_waits) pthread_cond_signal(&queue->filled);
    while (!job.done && !engine->pump.on) (void)tci_cond_wait(&queue->job_done, &queue->mutex, -1);
  }
  pthread_mutex_unlock(&queue->mutex);
  if (queued && engine->pump.on) call_inline(engine, &job);
  if (job.rc) return tci_fail(job.rc, "%s", job.detail);
  tci_fail_clear(); /* what was done here for others may have failed */
  return TC_OK;
}

static void run_job(tc_engine *engine, tci_job *job) {
  /* Without threads an injected clock may stand still while this runs: nobody else moves it. */
  int64_t patience_us = engine->pump.in_turn ? 0 : engine->create_deadline_us, began_us = tci_sys_monotonic_us(NULL);
  do {
    job->rc = tci_nodes_catch_up(engine);
    if (!job->rc) job->rc = job->run(engine, job->arg);
  } while (job->rc == TC_EBUSY && tci_engine_mono_us(engine) < job->deadline_us && !atomic_load(&engine->closing) &&
           (!engine->pump.on || tci_sys_monotonic_us(NULL) - began_us < patience_us));
  tci_nodes_tell(engine); /* most change a document */
  (void)snprintf(job->detail, sizeof job->detail, "%s", job->rc ? tci_fail_detail() : "");
}

int tci_queue_run_jobs(tc_engine *engine, int gone) {
  tci_queue *queue = &engine->queue;
  pthread_mutex_lock(&queue->mutex);
  queue->writer_gone |= gone;
  while (queue->jobs) {
    tci_job *job = queue->jobs;
    queue->jobs = job->next;
    if (!queue->jobs) queue->last_job = &queue->jobs;
    if (!gone) {
      pthread_mutex_unlock(&queue->mutex);
      run_job(engine, job);
      pthread_mutex_lock(&queue->mutex);
    }
    job->done = 1;
    pthread_cond_broadcast(&queue->job_done);
  }
  int more = queue->head || !queue->closing;
  pthread_mutex_unlock(&queue->mutex);
  return more;
}

void tci_queue_put_back(tc_engine *engine, tci_pending *const *items, size_t n) {
  tci_queue *queue = &engine->queue;
  pthread_mutex_lock(&queue->mutex);
  for (size_t i = n; i-- > 0;) {
    items[i]->next = queue->head;
    if (!queue->head) queue->last = &items[i]->next;
    queue->head = items[i];
  }
  queue->queued += n;
  pthread_mutex_unlock(&queue->mutex);
}

size_t tci_queue_take_expired(tc_engine *engine, int64_t now_us, tci_pending **items, size_t max) {
  tci_queue *queue = &engine->queue;
  size_t n = 0;
  pthread_mutex_lock(&queue->mutex);
  /* All deadlines are equally long, so the head's is the first. */
  while (n < max && queue->head && queue->head->deadline_us <= now_us) items[n++] = pop(queue);
  pthread_mutex_unlock(&queue->mutex);
  return n;
}

void tci_pending_answer(const tci_pending *item, int code, int replayed, const tc_event *event, const char *detail) {
  tc_result result = {sizeof result, code, replayed, code == TC_OK ? event : NULL, code == TC_OK ? "" : detail};
  item->done(&result, item->userdata);
}

void tci_pending_release(tc_engine *engine, tci_pending *const *items, size_t n) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < n; i++) {
    bytes += items[i]->bytes;
    tc_event_unref(items[i]->event);
    tci_free(items[i]);
  }
  pthread_mutex_lock(&engine->queue.mutex);
  engine->queue.bytes -= bytes;
  engine->queue.count -= n;
  engine->queue.shown = 0; /* of a batch all are answered at once */
  pthread_mutex_unlock(&engine->queue.mutex);
}
