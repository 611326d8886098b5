/* bench_flow.c - see bench_flow.h. The completion is an atomic decrement: what is measured is the engine, not the bookkeeping of its caller. */
#include "bench_flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IN_FLIGHT = 8192, LOOK_EVERY = 1024 };

void bench_flow_init(bench_flow *flow, tc_engine *engine, uint64_t seed, uint32_t senders) {
  *flow = (bench_flow){.engine = engine, .seed = seed, .senders = senders, .make = bench_tip_make};
  flow->window = (bench_window){.lock = PTHREAD_MUTEX_INITIALIZER, .drained = PTHREAD_COND_INITIALIZER, .wanted = UINT32_MAX};
}

tc_engine *bench_engine_open(const bench_args *args, const char *name, const struct tc_storage_ops *ops) {
  tc_engine *engine = NULL;
  tc_options options = TC_OPTIONS_INIT;
  char *path = bench_path(args, name), *url = bench_alloc(strlen(path) + 8, 1);
  snprintf(url, strlen(path) + 8, "sqlite:%s", path);
  options.storage_url = url;
  options.storage_ops = ops;
  if (tc_open(&engine, &options) != TC_OK) bench_die("tc_open: %s", tc_last_error());
  free(path);
  free(url);
  return engine;
}

void bench_engine_close(tc_engine *engine) {
  if (tc_close(engine) != TC_OK) bench_die("tc_close: %s", tc_last_error());
}

static void remove_each(const bench_args *args, const char *name, const char *const *parts) {
  static const char *const suffixes[] = {".db", ".db-wal", ".db-shm"};
  for (; *parts; parts++) {
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
      char file[64];
      snprintf(file, sizeof file, "%s%s%s", name, *parts, suffixes[i]);
      char *path = bench_path(args, file);
      (void)unlink(path); /* which of them exist is the product's business; the scratch directory goes as a whole at exit */
      free(path);
    }
  }
}

void bench_engine_remove(const bench_args *args, const char *name) {
  static const char *const parts[] = {"", "-index", "-work", "-lock", NULL};
  remove_each(args, name, parts);
}

void bench_engine_remove_index(const bench_args *args, const char *name) {
  static const char *const parts[] = {"-index", NULL};
  remove_each(args, name, parts);
}

tc_tip_new bench_tip_new(const bench_tip *made) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = made->room;
  tip.sender_id = made->sender;
  tip.recipient_id = made->recipient;
  tip.amount = made->amount;
  tip.message = made->message;
  tip.metadata = made->metadata;
  tip.idempotency_key = made->key;
  return tip;
}

tc_status bench_engine_status(tc_engine *engine) {
  tc_status status = TC_STATUS_INIT;
  if (tc_engine_status(engine, &status) != TC_OK) bench_die("tc_engine_status: %s", tc_last_error());
  return status;
}

static void on_done(const tc_result *result, void *userdata) {
  bench_window *w = userdata;
  if (result->code != TC_OK || result->replayed) {
    int none = 0;
    atomic_compare_exchange_strong(&w->code, &none, result->code ? result->code : TC_EEXISTS);
  }
  unsigned left = atomic_fetch_sub(&w->in_flight, 1) - 1;
  if (left == atomic_load(&w->wanted)) {
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->drained);
    pthread_mutex_unlock(&w->lock);
  }
}

static void wait_until(bench_window *w, unsigned level) {
  pthread_mutex_lock(&w->lock);
  atomic_store(&w->wanted, level);
  while (atomic_load(&w->in_flight) > level) pthread_cond_wait(&w->drained, &w->lock);
  atomic_store(&w->wanted, UINT32_MAX);
  pthread_mutex_unlock(&w->lock);
}

static void look(bench_flow *flow) {
  tc_status status = bench_engine_status(flow->engine);
  int64_t lag = status.log_seq - status.index_seq;
  if (lag > flow->lag_max) flow->lag_max = lag;
  if (status.log_seq - status.stats_seq > flow->stats_lag_max) flow->stats_lag_max = status.log_seq - status.stats_seq;
}

static void submit_one(bench_flow *flow) {
  bench_window *w = &flow->window;
  bench_tip made;
  flow->make(&made, flow->seed, flow->next++, flow->senders);
  tc_tip_new tip = bench_tip_new(&made);
  atomic_fetch_add(&w->in_flight, 1);
  if (tc_tip_submit(flow->engine, &tip, on_done, w) != TC_OK) bench_die("tc_tip_submit: %s", tc_last_error());
}

void bench_flow_run(bench_flow *flow, uint64_t n) {
  bench_window *w = &flow->window;
  for (uint64_t i = 0; i < n; i++) {
    if (atomic_load(&w->in_flight) >= IN_FLIGHT) wait_until(w, IN_FLIGHT / 2);
    submit_one(flow);
    if (i % LOOK_EVERY == 0) look(flow);
  }
  wait_until(w, 0);
  if (atomic_load(&w->code)) bench_die("a tip failed: %s", tc_strerror(atomic_load(&w->code)));
}

static void catch_up(bench_flow *flow, int counted) {
  int64_t deadline = bench_now_us() + 600000000;
  for (;;) {
    tc_status status = bench_engine_status(flow->engine);
    if ((counted ? status.stats_seq : status.index_seq) == status.log_seq) return;
    look(flow);
    if (bench_now_us() > deadline) bench_die("%s not caught up in 10 minutes", counted ? "statistics have" : "the index has");
    usleep(500);
  }
}

void bench_flow_catch_up(bench_flow *flow) { catch_up(flow, 0); }

void bench_flow_count(bench_flow *flow) { catch_up(flow, 1); }
