/* The seams of an engine without threads: what comes in the middle of a turn, what fails again and again, and where the host's callbacks may run. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine_kit.h"
#include "fake_transport_kit.h"
#include "model/fail.h"

#define SECOND INT64_C(1000000)

/* A fake transport with the test's hands in it. */
typedef struct host {
  kit k;
  fake_transport f;
  tc_transport real, ops;
  tc_webhook_options hooks;
  tc_log log;
  int64_t id;      /* of the webhook */
  int ask, submit; /* the next begin has another thread ask for a test; the next poll has it submit a tip */
  int asked;       /* until the poll behind it */
  int broken;      /* what poll says instead of doing anything */
  atomic_int inside, woken, late, logged, answered_inside, answered, polls;
} host;

static int64_t mono_us(void) {
  struct timespec now;
  ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  return (int64_t)now.tv_sec * SECOND + now.tv_nsec / 1000;
}

static void elsewhere(void *(*run)(void *), host *h) {
  pthread_t thread;
  ck_assert_int_eq(pthread_create(&thread, NULL, run, h), 0);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void on_done(const tc_result *result, void *userdata) {
  host *h = userdata;
  ck_assert_int_eq(result->code, TC_OK);
  atomic_fetch_add(&h->answered, 1);
  atomic_fetch_add(&h->answered_inside, atomic_load(&h->inside));
}

static void *submit(void *userdata) {
  host *h = userdata;
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  ck_assert_int_eq(tc_tip_submit(h->k.engine, &tip, on_done, h), TC_OK);
  return NULL;
}

static void *ask_test(void *userdata) {
  host *h = userdata;
  ck_assert_int_eq(tc_webhook_test(h->k.engine, h->id), TC_OK);
  return NULL;
}

static int begin(void *userdata, tc_send *send) {
  host *h = userdata;
  int rc = h->real.begin(h->real.userdata, send), ask = h->ask;
  h->ask = 0;
  if (ask) {
    atomic_store(&h->woken, 0);
    elsewhere(ask_test, h);
    h->asked = 1;
  }
  return rc;
}

static void give_up(void *userdata, tc_send *send) {
  host *h = userdata;
  h->real.abort(h->real.userdata, send);
}

static int turn(void *userdata, int32_t timeout_ms) {
  host *h = userdata;
  atomic_fetch_add(&h->polls, 1);
  if (h->asked) atomic_store(&h->late, timeout_ms != 0 && !atomic_load(&h->woken));
  h->asked = 0;
  if (h->broken) return h->broken;
  if (h->submit) elsewhere(submit, h);
  h->submit = 0;
  atomic_store(&h->inside, 1);
  int rc = h->real.poll(h->real.userdata, timeout_ms);
  atomic_store(&h->inside, 0);
  return rc;
}

static void wake(void *userdata) {
  host *h = userdata;
  atomic_fetch_add(&h->woken, 1);
  h->real.wake(h->real.userdata);
}

static int get_fd(void *userdata) {
  host *h = userdata;
  return h->real.fd(h->real.userdata);
}

static void count_line(void *userdata, int32_t level, const char *line) {
  host *h = userdata;
  (void)level;
  if (strstr(line, "transport failed")) atomic_fetch_add(&h->logged, 1);
}

static void init_host(host *h, int backend, uint32_t flags) {
  memset(h, 0, sizeof *h);
  fake_open(&h->f, 1);
  h->real = h->f.ops;
  h->ops = (tc_transport){sizeof h->ops, begin, give_up, turn, wake, get_fd, NULL, h};
  h->log = (tc_log){sizeof h->log, count_line, h};
  h->hooks = (tc_webhook_options)TC_WEBHOOK_OPTIONS_INIT;
  h->hooks.transport = &h->ops;
  kit_init(&h->k, backend);
  h->k.options.flags = flags;
  h->k.options.log = &h->log;
  h->k.options.webhooks = &h->hooks;
}

static void open_host(host *h, int backend, uint32_t flags) {
  init_host(h, backend, flags);
  kit_open(&h->k);
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  hook.url = "https://receiver.example/";
  hook.events = "*";
  hook.secret = "s3cret";
  ck_assert_int_eq(tc_webhook_create(h->k.engine, &hook, &made, NULL), TC_OK);
  h->id = tc_webhook_id(made);
  tc_webhook_unref(made);
}

static void close_host(host *h) {
  kit_clean(&h->k);
  fake_close(&h->f);
}

static int is_readable(host *h, int timeout_ms) {
  struct pollfd p = {.fd = tc_engine_fd(h->k.engine), .events = POLLIN};
  return poll(&p, 1, timeout_ms);
}

static void run_idle(host *h) {
  int turns = 0;
  do {
    ck_assert_int_eq(tc_engine_poll(h->k.engine, 0), TC_OK);
    ck_assert_int_lt(turns++, 10000);
  } while (is_readable(h, 0));
}

/* Asked for while the turn had looked for errands already, but had not yet said that it has to be woken. */
START_TEST(what_is_asked_in_the_middle_of_a_turn_is_not_left_for_the_next_timer) {
  host h;
  open_host(&h, _i, TC_NO_THREADS);
  run_idle(&h);
  h.ask = 1;
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  while (!fake_begun(&h.f)) ck_assert_int_eq(tc_engine_poll(h.k.engine, 0), TC_OK);
  ck_assert_int_eq(is_readable(&h, 0), 1);
  run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 2);
  close_host(&h);
}
END_TEST

static int two_begun(void *arg) { return fake_begun(&((host *)arg)->f) >= 2; }

START_TEST(nor_is_it_with_threads) {
  host h;
  unsetenv("KIT_NO_THREADS");
  open_host(&h, _i, 0);
  h.ask = 1;
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  ck_assert(kit_until(two_begun, &h));
  ck_assert_int_eq(atomic_load(&h.late), 0);
  close_host(&h);
}
END_TEST

static int disabled(void *arg) {
  host *h = arg;
  tc_webhook *now = NULL;
  ck_assert_int_eq(tc_webhook_get(h->k.engine, h->id, &now), TC_OK);
  int is = strstr(tc_webhook_json(now, NULL), "\"enabled\":false") != NULL;
  tc_webhook_unref(now);
  return is;
}

/* To disable a webhook is a commit, which without threads answers whoever waits; not under the transport, which may have taken the signals of the thread away. */
START_TEST(no_callback_of_the_host_runs_inside_the_transport) {
  host h;
  open_host(&h, _i, TC_NO_THREADS);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  run_idle(&h);
  fake_land(&h.f, 410);
  h.submit = 1;
  run_idle(&h);
  ck_assert(disabled(&h));
  ck_assert_int_eq(atomic_load(&h.answered), 1);
  ck_assert_int_eq(atomic_load(&h.answered_inside), 0);
  close_host(&h);
}
END_TEST

START_TEST(a_test_waits_for_room_in_the_transport) {
  host h;
  tc_webhook_change change = TC_WEBHOOK_CHANGE_INIT;
  open_host(&h, 0, TC_NO_THREADS);
  change.enabled = _i ? -1 : 0;
  if (_i) ck_assert_int_eq(tc_webhook_update(h.k.engine, h.id, &change, NULL), TC_OK);
  run_idle(&h);
  h.f.refuse = TC_EBUSY;
  ck_assert_int_eq(tc_webhook_test(h.k.engine, h.id), TC_OK);
  run_idle(&h);
  kit_clock_add(SECOND);
  run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 0);
  h.f.refuse = 0;
  ck_assert_int_eq(is_readable(&h, 5000), 1);
  run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 1);
  ck_assert_str_eq(fake_header(h.f.flying[0], "X-TipCurrent-Event"), "test.event");
  fake_land(&h.f, 200);
  run_idle(&h);
  close_host(&h);
}
END_TEST

static int polled_often(void *arg) { return atomic_load(&((host *)arg)->polls) >= 6; }

START_TEST(a_transport_that_only_fails_is_no_busy_loop) {
  host h;
  unsetenv("KIT_NO_THREADS");
  init_host(&h, 0, 0);
  h.broken = TC_EUNKNOWN;
  int64_t before_us = mono_us();
  kit_open(&h.k);
  ck_assert(kit_until(polled_often, &h));
  ck_assert_int_ge(mono_us() - before_us, 300000);
  ck_assert_int_eq(atomic_load(&h.logged), 1);
  close_host(&h);
}
END_TEST

static int (*real_put)(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc);

static int busy_put(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc) {
  return kind == TC_CONFIG_WEBHOOK ? TC_EBUSY : real_put(storage, kind, id, doc);
}

START_TEST(a_clock_that_stands_holds_no_change_of_a_webhook) {
  host h;
  init_host(&h, _i, TC_NO_THREADS);
  tc_storage_ops ops = *kit_faulty(_i);
  real_put = ops.config_put;
  ops.config_put = busy_put;
  h.k.options.storage_ops = &ops;
  h.k.options.create_deadline_ms = 100;
  kit_open(&h.k);
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  hook.url = "https://receiver.example/";
  hook.events = "*";
  hook.secret = "s3cret";
  ck_assert_int_eq(tc_webhook_create(h.k.engine, &hook, NULL, NULL), TC_EBUSY);
  close_host(&h);
}
END_TEST

static int unreadable(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn fn, void *userdata) {
  (void)storage;
  (void)after_seq;
  (void)max;
  (void)fn;
  (void)userdata;
  return TC_ESTORAGE;
}

/* Only the statistics are behind, and they cannot be brought up. */
START_TEST(a_log_that_cannot_be_read_holds_no_close) {
  host h;
  if (_i) unsetenv("KIT_NO_THREADS");
  init_host(&h, 0, _i ? 0 : TC_NO_THREADS);
  tc_storage_ops ops = *kit_faulty(0);
  ops.read_log = unreadable;
  h.k.options.storage_ops = &ops;
  kit_open(&h.k);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  close_host(&h);
}
END_TEST

static int (*real_append)(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us);
static int full;

static int append_once_full(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us) {
  return full ? tci_fail(TC_ESTORAGE, "the disk is full") : real_append(storage, items, n, batch_id, now_us);
}

static void on_any(const tc_result *result, void *userdata) {
  if (result->code) full = 0;
  (void)userdata;
}

/* What was done on the way for others may have failed; the call itself has not. */
START_TEST(a_call_that_went_well_leaves_no_error_behind) {
  host h;
  init_host(&h, 0, TC_NO_THREADS);
  tc_storage_ops ops = *kit_faulty(0);
  real_append = ops.append;
  ops.append = append_once_full;
  h.k.options.storage_ops = &ops;
  kit_open(&h.k);
  tc_sub *sub = NULL;
  tc_event *event = NULL;
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  hook.url = "https://receiver.example/";
  hook.events = "*";
  hook.secret = "s3cret";
  ck_assert_int_eq(tc_subscribe(h.k.engine, NULL, NULL, NULL, &sub), TC_OK);
  for (int i = 0; i < 2; i++) {
    full = 1;
    for (int n = 0; n < 1025; n++) ck_assert_int_eq(tc_tip_submit(h.k.engine, &tip, on_any, NULL), TC_OK); /* the last is not in the commit that fails */
    if (i) ck_assert_int_eq(tc_webhook_create(h.k.engine, &hook, NULL, NULL), TC_OK);
    else ck_assert_int_eq(tc_sub_next(sub, -1, &event), TC_OK);
    ck_assert_int_eq(full, 0);
    ck_assert_str_eq(tc_last_error(), "");
  }
  tc_event_unref(event);
  tc_sub_close(sub);
  run_idle(&h);
  while (fake_flying(&h.f)) {
    fake_land(&h.f, 200);
    run_idle(&h);
  }
  close_host(&h);
}
END_TEST

/* A transport that answers all there is at its next poll. */
static tc_send *under_way[64];
static int under_way_n, all_begun, all_status = 200;

static int begin_any(void *userdata, tc_send *send) {
  (void)userdata;
  if (under_way_n == 64) return TC_EBUSY;
  under_way[under_way_n++] = send;
  all_begun++;
  return TC_OK;
}

static void abort_any(void *userdata, tc_send *send) {
  (void)userdata;
  for (int i = 0; i < under_way_n; i++) {
    if (under_way[i] == send) under_way[i--] = under_way[--under_way_n];
  }
}

static int answer_all(void *userdata, int32_t timeout_ms) {
  tc_sent sent = TC_SENT_INIT;
  (void)userdata;
  (void)timeout_ms;
  sent.status = all_status;
  while (under_way_n) {
    tc_send *send = under_way[--under_way_n];
    send->done(send, &sent);
  }
  return TC_OK;
}

static void wake_nobody(void *userdata) { (void)userdata; }

static int (*real_commit)(tc_storage *storage, tc_work *work);
static size_t owed;

static int commit_counted(tc_storage *storage, tc_work *work) {
  owed += work->owed_n;
  return real_commit(storage, work);
}

#define BACKLOG 10000 /* more than wait in memory for one webhook */

/* One webhook alone is waited for while it gets on, and also behind what is due again of it (2); with two (1), the second must not be held up by the first. */
START_TEST(a_backlog_is_written_down_only_for_the_sake_of_others) {
  kit k;
  kit_init(&k, 0);
  tc_storage_ops ops = *kit_faulty(0);
  real_commit = ops.work_commit;
  ops.work_commit = commit_counted;
  tc_transport all = {sizeof all, begin_any, abort_any, answer_all, wake_nobody, NULL, NULL, NULL};
  tc_webhook_options hooks = TC_WEBHOOK_OPTIONS_INIT;
  hooks.transport = &all;
  k.options.flags = TC_NO_THREADS;
  k.options.webhooks = &hooks;
  k.options.storage_ops = &ops;
  kit_open(&k);
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  hook.url = "https://receiver.example/";
  hook.events = "*";
  hook.secret = "s3cret";
  int count = _i == 1 ? 2 : 1;
  for (int i = 0; i < count; i++) ck_assert_int_eq(tc_webhook_create(k.engine, &hook, NULL, NULL), TC_OK);
  if (_i == 2) {
    all_status = 500;
    (void)kit_tip(&k, "r", "a", 1, NULL);
    while (!all_begun || under_way_n) ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_OK);
    all_status = 200;
    kit_clock_add(11 * SECOND);
  }
  kit_answers *answers = kit_answers_new();
  for (int i = 0; i < BACKLOG; i++) kit_submit(&k, answers, NULL);
  (void)kit_tip(&k, "r", "a", 1, NULL); /* commits them all */
  int64_t give_up_us = mono_us() + 20 * SECOND;
  while (all_begun < (BACKLOG + 1) * count + (_i == 2)) {
    ck_assert_int_eq(tc_engine_poll(k.engine, 1), TC_OK);
    ck_assert_int_lt(mono_us(), give_up_us);
  }
  if (_i == 1) ck_assert_uint_gt(owed, BACKLOG / 10);
  else ck_assert_uint_lt(owed, _i ? BACKLOG / 10 : 1);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

#define CHANGES 400

static void *come_and_go(void *arg) {
  host *h = arg;
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  hook.url = "https://receiver.example/";
  hook.events = "*";
  hook.secret = "s3cret";
  for (int i = 0; i < CHANGES; i++) {
    ck_assert_int_eq(tc_webhook_create(h->k.engine, &hook, NULL, NULL), TC_OK);
    ck_assert_int_eq(tc_webhook_delete(h->k.engine, h->id + 1 + i), TC_OK);
  }
  atomic_store(&h->answered, 1);
  return NULL;
}

START_TEST(webhooks_change_while_they_go) {
  host h;
  pthread_t thread;
  tc_webhook_change change = TC_WEBHOOK_CHANGE_INIT;
  open_host(&h, 0, _i ? TC_NO_THREADS : 0);
  change.enabled = 1; /* as they are: nothing is written, and the answer is the one that is there */
  ck_assert_int_eq(pthread_create(&thread, NULL, come_and_go, &h), 0);
  for (int64_t id = h.id + 1; !atomic_load(&h.answered);) {
    int rc = tc_webhook_update(h.k.engine, id, &change, NULL);
    ck_assert(rc == TC_OK || rc == TC_ENOTFOUND);
    id = id < h.id + CHANGES ? id + (rc == TC_ENOTFOUND) : h.id + 1;
  }
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  close_host(&h);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("host_turns");
  TCase *tc = tcase_create("turns");
  tcase_set_timeout(tc, 30);
  tcase_add_loop_test(tc, what_is_asked_in_the_middle_of_a_turn_is_not_left_for_the_next_timer, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, nor_is_it_with_threads, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, no_callback_of_the_host_runs_inside_the_transport, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_test_waits_for_room_in_the_transport, 0, 2);
  tcase_add_test(tc, a_transport_that_only_fails_is_no_busy_loop);
  tcase_add_loop_test(tc, a_clock_that_stands_holds_no_change_of_a_webhook, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_log_that_cannot_be_read_holds_no_close, 0, 2);
  tcase_add_test(tc, a_call_that_went_well_leaves_no_error_behind);
  tcase_add_loop_test(tc, a_backlog_is_written_down_only_for_the_sake_of_others, 0, 3);
  tcase_add_loop_test(tc, webhooks_change_while_they_go, 0, 2);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
