/* An engine without threads (TC_NO_THREADS) under a host's loop, with a transport that the test answers and a clock that only the test moves. The suites of engine_kit.h run so too
 * (meson test test_engine_no_threads ...); here is what only this mode has. */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine_kit.h"
#include "fake_transport_kit.h"

static int entries_of(const char *path) {
  int n = 0;
  DIR *dir = opendir(path);
  ck_assert_ptr_nonnull(dir);
  while (readdir(dir)) n++;
  ck_assert_int_eq(closedir(dir), 0);
  return n;
}

static int threads_now(void) { return entries_of("/proc/self/task"); }
static int fds_now(void) { return entries_of("/proc/self/fd"); }

static int is_readable(tc_engine *engine, int timeout_ms) {
  struct pollfd p = {.fd = tc_engine_fd(engine), .events = POLLIN};
  ck_assert_int_ge(p.fd, 0);
  return poll(&p, 1, timeout_ms);
}

/* Until nothing is left that does not wait for time. */
static void run_idle(tc_engine *engine) {
  int turns = 0;
  do {
    ck_assert_int_eq(tc_engine_poll(engine, 0), TC_OK);
    ck_assert_int_lt(turns++, 10000);
  } while (is_readable(engine, 0));
}

/* A kit without threads and with f as its transport (NULL: libcurl). */
static void open_host(kit *k, int backend, tc_webhook_options *hooks, fake_transport *f) {
  kit_init(k, backend);
  k->options.flags = TC_NO_THREADS;
  *hooks = (tc_webhook_options)TC_WEBHOOK_OPTIONS_INIT;
  if (f) hooks->transport = &f->ops;
  k->options.webhooks = hooks;
  kit_open(k);
}

typedef struct follower {
  kit *k;
  tc_sub *sub;
  int count, create, close_at;
  int64_t last;
  int created, polled, ticked, closed, pulled, hooked;
} follower;

static void follow(const tc_event *event, void *userdata) {
  follower *f = userdata;
  ck_assert_int_gt(tc_event_seq(event), f->last);
  f->last = tc_event_seq(event);
  f->count++;
  if (f->create && f->count == 1) {
    tc_event *pulled = NULL;
    f->created = kit_try_tip(f->k, "nested", 1, "nested", NULL, NULL);
    f->polled = tc_engine_poll(f->k->engine, 0);
    f->ticked = tc_engine_tick(f->k->engine, NULL);
    f->closed = tc_close(f->k->engine);
    f->hooked = tc_webhook_delete(f->k->engine, 1);
    tc_sub *other = NULL;
    ck_assert_int_eq(tc_subscribe(f->k->engine, NULL, NULL, NULL, &other), TC_OK);
    f->pulled = tc_sub_next(other, 10, &pulled);
    ck_assert_int_eq(tc_sub_next(other, 0, &pulled), TC_ETIMEOUT);
    tc_sub_close(other);
  }
  if (f->count == f->close_at) tc_sub_close(f->sub);
}

START_TEST(the_host_runs_everything_and_no_thread_is_started) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  int threads = threads_now(), fds = fds_now();
  open_host(&k, _i, &hooks, &f);
  ck_assert_int_eq(kit_tip(&k, "r", "a", 100, "k1"), 1);
  ck_assert_int_eq(kit_tip(&k, "r", "a", 100, "k1"), 1);

  tc_sub *pull = NULL;
  tc_event *event = NULL;
  tc_sub_options from_start = TC_SUB_OPTIONS_INIT;
  from_start.flags = TC_SUB_AFTER_SEQ;
  ck_assert_int_eq(tc_subscribe(k.engine, &from_start, NULL, NULL, &pull), TC_OK);
  follower seen = {.k = &k};
  ck_assert_int_eq(tc_subscribe(k.engine, &from_start, follow, &seen, &seen.sub), TC_OK);
  kit_answers *answers = kit_answers_new();
  for (int i = 0; i < 300; i++) kit_submit(&k, answers, NULL);
  ck_assert_uint_eq(kit_answers_count(answers), 0); /* nothing happens by itself */
  run_idle(k.engine);
  ck_assert_uint_eq(kit_answers_count(answers), 300);
  for (size_t i = 0; i < 300; i++) ck_assert_int_eq(answers->got[i].seq, (int64_t)i + 2);
  ck_assert_int_eq(seen.count, 301);
  for (int i = 0; i < 301; i++) {
    ck_assert_int_eq(tc_sub_next(pull, 0, &event), TC_OK);
    tc_event_unref(event);
  }
  ck_assert_int_eq(tc_sub_next(pull, 0, &event), TC_ETIMEOUT);
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  query.room_id = "r";
  ck_assert_int_eq(tc_tip_list(k.engine, &query, &page), TC_OK);
  ck_assert_int_eq(tc_page_total(page), 301);
  tc_page_free(page);
  for (int32_t more = 1; more;) ck_assert_int_eq(tc_engine_tick(k.engine, &more), TC_OK);
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_int_eq(status.index_seq, 301);
  ck_assert_int_eq(threads_now(), threads);
  tc_sub_close(pull);
  tc_sub_close(seen.sub);
  kit_clean(&k);
  kit_answers_free(answers);
  ck_assert_int_eq(fds_now(), fds);
  fake_close(&f);
}
END_TEST

START_TEST(with_curl_neither) {
  int threads = threads_now(), fds = fds_now();
  kit k;
  tc_webhook_options hooks;
  open_host(&k, _i, &hooks, NULL);
  for (int i = 0; i < 10; i++) (void)kit_tip(&k, "r", "a", 1, NULL);
  run_idle(k.engine);
  ck_assert_int_eq(threads_now(), threads);
  kit_clean(&k);
  ck_assert_int_eq(fds_now(), fds);
}
END_TEST

START_TEST(the_fd_says_when) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  open_host(&k, _i, &hooks, &f);
  kit_answers *answers = kit_answers_new();
  ck_assert_int_eq(is_readable(k.engine, 0), 1); /* it has just been opened */
  for (int round = 0; round < 3; round++) {
    run_idle(k.engine);
    ck_assert_int_eq(is_readable(k.engine, 0), 0);
    kit_submit(&k, answers, NULL);
    ck_assert_int_eq(is_readable(k.engine, 0), 1);
  }
  run_idle(k.engine);
  ck_assert_int_eq(is_readable(k.engine, 5000), 1); /* a timer of its own */
  ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_OK);
  run_idle(k.engine);
  tc_shutdown(k.engine);
  ck_assert_int_eq(is_readable(k.engine, 0), 1);
  int rc;
  while ((rc = tc_engine_poll(k.engine, -1)) == TC_OK) continue;
  ck_assert_int_eq(rc, TC_ECLOSED);
  kit_clean(&k);
  kit_answers_free(answers);
  fake_close(&f);
}
END_TEST

/* Waits in the loop until the test submits: the wait ends long before its limit. */
static void *wait_in_loop(void *engine) {
  for (tc_status status = TC_STATUS_INIT; !status.log_seq;) {
    ck_assert_int_eq(tc_engine_poll(engine, 60000), TC_OK);
    ck_assert_int_eq(tc_engine_status(engine, &status), TC_OK);
  }
  return NULL;
}

START_TEST(a_submit_of_another_thread_ends_the_wait) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  open_host(&k, _i, &hooks, &f);
  kit_answers *answers = kit_answers_new();
  pthread_t loop;
  ck_assert_int_eq(pthread_create(&loop, NULL, wait_in_loop, k.engine), 0);
  kit_submit(&k, answers, NULL);
  ck_assert_int_eq(pthread_join(loop, NULL), 0);
  ck_assert_uint_eq(kit_answers_count(answers), 1);
  kit_clean(&k);
  kit_answers_free(answers);
  fake_close(&f);
}
END_TEST

START_TEST(a_pull_that_waits_runs_the_engine) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  open_host(&k, _i, &hooks, &f);
  kit_answers *answers = kit_answers_new();
  tc_sub *sub = NULL;
  tc_event *event = NULL;
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, NULL, NULL, &sub), TC_OK);
  kit_submit(&k, answers, NULL);
  ck_assert_int_eq(tc_sub_next(sub, -1, &event), TC_OK);
  tc_event_unref(event);
  ck_assert_uint_eq(kit_answers_count(answers), 1);
  kit_submit(&k, answers, NULL);
  tc_shutdown(k.engine);
  ck_assert_int_eq(tc_sub_next(sub, -1, &event), TC_OK); /* what was accepted is still committed */
  tc_event_unref(event);
  ck_assert_int_eq(tc_sub_next(sub, -1, &event), TC_ECLOSED);
  tc_sub_close(sub);
  kit_clean(&k);
  kit_answers_free(answers);
  fake_close(&f);
}
END_TEST

typedef struct asking {
  kit *k;
  int created, closed, hooked, submitted, answered;
} asking;

static void count_answer(const tc_result *result, void *userdata) {
  ck_assert_int_eq(result->code, TC_OK);
  ++*(int *)userdata;
}

static void ask(const tc_result *result, void *userdata) {
  asking *a = userdata;
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  ck_assert_int_eq(result->code, TC_OK);
  a->created = kit_try_tip(a->k, "r", 1, NULL, NULL, NULL);
  a->closed = tc_close(a->k->engine);
  a->hooked = tc_webhook_delete(a->k->engine, 1);
  a->submitted = tc_tip_submit(a->k->engine, &tip, count_answer, &a->answered);
}

START_TEST(inside_an_answer_nothing_waits_for_itself) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  open_host(&k, _i, &hooks, &f);
  asking a = {.k = &k};
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  ck_assert_int_eq(tc_tip_submit(k.engine, &tip, ask, &a), TC_OK);
  (void)kit_tip(&k, "r", "a", 1, NULL); /* answers it on the way */
  ck_assert_int_eq(a.created, TC_EINVAL);
  ck_assert_int_eq(a.closed, TC_EINVAL);
  ck_assert_int_eq(a.hooked, TC_EINVAL);
  ck_assert_int_eq(a.submitted, TC_OK);
  ck_assert_int_eq(a.answered, 0);
  run_idle(k.engine);
  ck_assert_int_eq(a.answered, 1);
  kit_clean(&k);
  fake_close(&f);
}
END_TEST

START_TEST(inside_a_callback_creates_work_and_turns_do_not) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  open_host(&k, _i, &hooks, &f);
  follower seen = {.k = &k, .create = 1, .close_at = 3};
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, follow, &seen, &seen.sub), TC_OK);
  (void)kit_tip(&k, "r", "a", 1, NULL);
  run_idle(k.engine);
  ck_assert_int_eq(seen.created, TC_OK); /* as with threads */
  ck_assert_int_eq(seen.polled, TC_EINVAL);
  ck_assert_int_eq(seen.ticked, TC_EINVAL);
  ck_assert_int_eq(seen.closed, TC_EINVAL);
  ck_assert_int_eq(seen.hooked, TC_EINVAL);
  ck_assert_int_eq(seen.pulled, TC_EINVAL);
  ck_assert_int_eq(seen.count, 2);
  for (int i = 0; i < 3; i++) (void)kit_tip(&k, "r", "a", 1, NULL);
  run_idle(k.engine);
  ck_assert_int_eq(seen.count, 3); /* closed by itself */
  kit_clean(&k);
  fake_close(&f);
}
END_TEST

#define CREATORS 4
#define EACH 150

static void *create_many(void *arg) {
  kit *k = arg;
  for (int i = 0; i < EACH; i++) {
    if (kit_try_tip(k, "r", 1, NULL, NULL, NULL)) return k;
  }
  return NULL;
}

static void *poll_meanwhile(void *arg) {
  follower *seen = arg;
  while (seen->last < (int64_t)CREATORS * EACH) {
    if (tc_engine_poll(seen->k->engine, 20)) return arg;
  }
  return NULL;
}

START_TEST(several_threads_create_at_once_beside_a_loop) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  open_host(&k, _i, &hooks, &f);
  follower seen = {.k = &k};
  pthread_t threads[CREATORS + 1];
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, follow, &seen, &seen.sub), TC_OK);
  for (int i = 0; i < CREATORS; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, create_many, &k), 0);
  ck_assert_int_eq(pthread_create(&threads[CREATORS], NULL, poll_meanwhile, &seen), 0);
  for (int i = 0; i <= CREATORS; i++) {
    void *failed = NULL;
    ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
    ck_assert_ptr_null(failed);
  }
  ck_assert_int_eq(seen.count, CREATORS * EACH);
  tc_sub_close(seen.sub);
  kit_clean(&k);
  fake_close(&f);
}
END_TEST

START_TEST(close_does_what_was_accepted) {
  kit k;
  fake_transport f;
  tc_webhook_options hooks;
  fake_open(&f, 1);
  open_host(&k, _i, &hooks, &f);
  follower seen = {.k = &k};
  kit_answers *answers = kit_answers_new();
  ck_assert_int_eq(tc_subscribe(k.engine, NULL, follow, &seen, &seen.sub), TC_OK);
  for (int i = 0; i < 3000; i++) kit_submit(&k, answers, NULL);
  kit_close(&k);
  ck_assert_uint_eq(kit_answers_count(answers), 3000);
  for (size_t i = 0; i < 3000; i++) ck_assert_int_eq(answers->got[i].code, TC_OK);
  ck_assert_int_eq(seen.count, 3000);
  tc_sub_close(seen.sub);
  kit_clean(&k);
  kit_answers_free(answers);
  fake_close(&f);
}
END_TEST

START_TEST(a_full_tail_is_indexed_on_the_way) {
  kit k;
  kit_init(&k, 1);
  k.options.flags = TC_NO_THREADS;
  k.options.tail_max_events = 200;
  kit_open(&k);
  for (int i = 0; i < 1000; i++) (void)kit_tip(&k, "r", "a", 1, NULL); /* nobody polls */
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_int_eq(status.log_seq, 1000);
  ck_assert_int_ge(status.index_seq, 800);
  kit_clean(&k);
}
END_TEST

START_TEST(a_backlog_is_indexed_by_ticks) {
  kit k;
  kit_init(&k, 1);
  k.options.flags = TC_NO_THREADS;
  k.options.storage_ops = kit_faulty(1);
  kit_open(&k);
  kit_answers *answers = kit_answers_new();
  for (int i = 0; i < 3000; i++) kit_submit(&k, answers, NULL);
  kit_close(&k);
  kit_answers_free(answers);
  kit_forget_index(&k);
  k.options.tail_max_events = 1000;
  kit_open(&k);
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  ck_assert_int_eq(tc_tip_list(k.engine, &query, &page), TC_EBUSY);
  int32_t more = 7;
  atomic_store(&kit_fault.derive_code, TC_ESTORAGE);
  ck_assert_int_eq(tc_engine_tick(k.engine, &more), TC_ESTORAGE);
  ck_assert_int_eq(more, 7);
  atomic_store(&kit_fault.derive_code, 0);
  for (more = 1; more;) ck_assert_int_eq(tc_engine_tick(k.engine, &more), TC_OK);
  ck_assert_int_eq(tc_tip_list(k.engine, &query, &page), TC_OK);
  ck_assert_int_eq(tc_page_total(page), 3000);
  tc_page_free(page);
  kit_clean(&k);
}
END_TEST

/* A storage that does not answer holds no turn of the loop; the fd asks for another try. */
START_TEST(a_silent_storage_holds_no_turn) {
  kit k;
  kit_init(&k, _i);
  k.options.flags = TC_NO_THREADS;
  k.options.storage_ops = kit_faulty(_i);
  kit_open(&k);
  run_idle(k.engine);
  kit_answers *answers = kit_answers_new();
  atomic_store(&kit_fault.unknown_stored, 1);
  atomic_store(&kit_fault.outcome_code, TC_EUNKNOWN);
  atomic_store(&kit_fault.append_code, TC_EUNKNOWN);
  kit_submit(&k, answers, "k");
  for (int i = 0; i < 3; i++) ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_OK);
  ck_assert_int_eq(atomic_load(&kit_fault.append_calls), 1); /* asked for its outcome, not appended again */
  atomic_store(&kit_fault.append_code, 0);
  ck_assert_int_eq(is_readable(k.engine, 5000), 1);
  atomic_store(&kit_fault.outcome_code, 0);
  ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_OK);
  ck_assert_uint_eq(kit_answers_count(answers), 1);
  ck_assert_int_eq(answers->got[0].code, TC_OK);
  atomic_store(&kit_fault.append_code, TC_EBUSY);
  kit_submit(&k, answers, NULL);
  ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_OK);
  ck_assert_uint_eq(kit_answers_count(answers), 1);
  kit_clock_add(6000000);
  ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_OK);
  ck_assert_int_eq(answers->got[1].code, TC_EBUSY);
  kit_clean(&k);
  kit_answers_free(answers);
}
END_TEST

START_TEST(without_descriptors_it_does_not_open_and_leaves_none) {
  kit k;
  kit_init(&k, _i);
  k.options.flags = TC_NO_THREADS;
  k.options.storage_url = k.url;
  struct rlimit usual, few;
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
  int before = fds_now(), rc = TC_EBUSY;
  for (int more = 0; rc && more < 64; more++) {
    few = usual;
    few.rlim_cur = (rlim_t)(before + more);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    rc = tc_open(&k.engine, &k.options);
    ck_assert(rc == TC_OK || rc == TC_ELIMIT || rc == TC_ESTORAGE || rc == TC_ENOMEM);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    if (rc) ck_assert_int_eq(fds_now(), before);
  }
  ck_assert_int_eq(rc, TC_OK);
  kit_clean(&k);
  ck_assert_int_eq(fds_now(), before);
}
END_TEST

START_TEST(with_threads_the_loop_is_not_the_hosts) {
  kit k;
  kit_init(&k, _i);
  unsetenv("KIT_NO_THREADS");
  kit_open(&k);
  int32_t more = 0;
  ck_assert_int_eq(tc_engine_poll(k.engine, 0), TC_EINVAL);
  ck_assert_int_eq(tc_engine_tick(k.engine, &more), TC_EINVAL);
  ck_assert_int_eq(tc_engine_fd(k.engine), -1);
  ck_assert_str_ne(tc_last_error(), "");
  ck_assert_int_eq(tc_engine_poll(NULL, 0), TC_EINVAL);
  ck_assert_int_eq(tc_engine_fd(NULL), -1);
  kit_clean(&k);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("host_loop");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, the_host_runs_everything_and_no_thread_is_started, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, with_curl_neither, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, the_fd_says_when, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_submit_of_another_thread_ends_the_wait, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_pull_that_waits_runs_the_engine, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, inside_an_answer_nothing_waits_for_itself, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, inside_a_callback_creates_work_and_turns_do_not, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, several_threads_create_at_once_beside_a_loop, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, close_does_what_was_accepted, 0, KIT_BACKENDS);
  tcase_add_test(tc, a_full_tail_is_indexed_on_the_way);
  tcase_add_test(tc, a_backlog_is_indexed_by_ticks);
  tcase_add_loop_test(tc, a_silent_storage_holds_no_turn, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, without_descriptors_it_does_not_open_and_leaves_none, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, with_threads_the_loop_is_not_the_hosts, 0, KIT_BACKENDS);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
