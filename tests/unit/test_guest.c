/* The library as a guest, where the host does what hosts do (case O-50 and its kind): receivers that hang up, signals all the time, fork and exec, threads that are cancelled. Each with the
 * engine's threads (0) and without (1).
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "receiver_kit.h"
#include "tipcurrent.h"

typedef struct host {
  char dir[64], url[128];
  uint32_t flags;
  tc_engine *engine;
} host;

static void host_open(host *h) {
  tc_options options = TC_OPTIONS_INIT;
  tc_webhook_options webhooks = TC_WEBHOOK_OPTIONS_INIT;
  webhooks.allow_receivers = "127.0.0.0/8";
  options.storage_url = h->url;
  options.flags = h->flags;
  options.webhooks = &webhooks;
  ck_assert_msg(tc_open(&h->engine, &options) == TC_OK, "%s", tc_last_error());
}

static void host_init(host *h, int without_threads) {
  h->flags = without_threads ? TC_NO_THREADS : 0;
  (void)snprintf(h->dir, sizeof h->dir, "/tmp/tipcurrent-guest-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(h->dir));
  (void)snprintf(h->url, sizeof h->url, "sqlite:%s/tc.db", h->dir);
  host_open(h);
}

static void host_end(host *h) {
  ck_assert_int_eq(tc_close(h->engine), TC_OK);
  DIR *dir = opendir(h->dir);
  ck_assert_ptr_nonnull(dir);
  for (struct dirent *entry; (entry = readdir(dir));) (void)unlinkat(dirfd(dir), entry->d_name, 0);
  (void)closedir(dir);
  ck_assert_int_eq(rmdir(h->dir), 0);
}

static int give(tc_engine *engine) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.sender_id = "alice";
  tip.recipient_id = "bob";
  tip.amount = 100;
  return tc_tip_create(engine, &tip, NULL, NULL);
}

static int64_t total(host *h) {
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  ck_assert_msg(tc_tip_list(h->engine, &query, &page) == TC_OK, "%s", tc_last_error());
  int64_t n = tc_page_total(page);
  tc_page_free(page);
  return n;
}

static void run(host *h, int32_t ms) {
  struct timespec pause = {0, ms * 1000000L};
  if (h->flags & TC_NO_THREADS) ck_assert_msg(tc_engine_poll(h->engine, ms) == TC_OK, "%s", tc_last_error());
  else (void)nanosleep(&pause, NULL);
}

/* ---- SIGPIPE ---- */

static const int watched[] = {SIGPIPE, SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGSEGV};
#define WATCHED (sizeof watched / sizeof *watched)

START_TEST(receivers_that_hang_up_kill_nobody) {
  const receiver_answer answers[] = {{"/close", NULL, 0, RECEIVER_CLOSE, NULL},
                                     {"/reset", NULL, 0, RECEIVER_RESET, NULL},
                                     {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0, RECEIVER_RESET, NULL},
                                     {NULL, NULL, 0, 0, NULL}};
  struct sigaction before[WATCHED], now;
  host h;
  for (size_t i = 0; i < WATCHED; i++) ck_assert(signal(watched[i], SIG_DFL) != SIG_ERR); /* Check has some of its own */
  for (size_t i = 0; i < WATCHED; i++) ck_assert_int_eq(sigaction(watched[i], NULL, &before[i]), 0);
  receiver *to = receiver_start("127.0.0.1", answers);
  host_init(&h, _i);
  for (int i = 0; answers[i].path; i++) {
    char url[64];
    tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", receiver_port(to), answers[i].path);
    hook.url = url;
    hook.events = "*";
    hook.secret = "s";
    hook.description = "hangs up";
    ck_assert_msg(tc_webhook_create(h.engine, &hook, NULL, NULL) == TC_OK, "%s", tc_last_error());
  }
  for (int i = 0; i < 1000; i++) {
    ck_assert_msg(give(h.engine) == TC_OK, "%s", tc_last_error());
    if (i % 10 == 0) run(&h, 1);
  }
  for (int i = 0; i < 20000 && receiver_count(to).requests < 300; i++) run(&h, 1);
  ck_assert_int_ge(receiver_count(to).requests, 300);
  ck_assert_int_eq(total(&h), 1000);
  host_end(&h);
  receiver_stop(to);
  for (size_t i = 0; i < WATCHED; i++) {
    ck_assert_int_eq(sigaction(watched[i], NULL, &now), 0);
    ck_assert(now.sa_handler == before[i].sa_handler && now.sa_flags == before[i].sa_flags);
  }
}
END_TEST

/* ---- EINTR ---- */

static atomic_int alarms;

static void on_alarm(int signal) {
  (void)signal;
  atomic_fetch_add(&alarms, 1);
}

START_TEST(signals_all_the_time_change_nothing) {
  host h;
  struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART: each system call that can be interrupted is */
  struct itimerval often = {{0, 400}, {0, 400}}, never = {{0, 0}, {0, 0}};
  int64_t stored = 0;
  host_init(&h, _i);
  ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
  ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
  for (int round = 0; round < 8; round++) {
    tc_sub *sub = NULL;
    ck_assert_int_eq(tc_subscribe(h.engine, NULL, NULL, NULL, &sub), TC_OK);
    for (int i = 0; i < 60; i++, stored++) ck_assert_msg(give(h.engine) == TC_OK, "%s", tc_last_error());
    for (int i = 0; i < 60; i++) {
      tc_event *event = NULL;
      ck_assert_msg(tc_sub_next(sub, 10000, &event) == TC_OK, "%s", tc_last_error());
      tc_event_unref(event);
    }
    tc_event *none = NULL;
    ck_assert_int_eq(tc_sub_next(sub, 20, &none), TC_ETIMEOUT);
    if (_i) ck_assert_msg(tc_engine_poll(h.engine, 20) == TC_OK, "%s", tc_last_error());
    ck_assert_int_eq(total(&h), stored);
    tc_sub_close(sub);
    ck_assert_int_eq(tc_close(h.engine), TC_OK);
    host_open(&h);
  }
  ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
  ck_assert_int_gt(atomic_load(&alarms), 50);
  host_end(&h);
}
END_TEST

/* ---- fork and exec ---- */

/* How many descriptors a program sees that is started now. */
static int descriptors_of_a_child(void) {
  char line[64] = "";
  FILE *child = popen("ls /proc/self/fd | wc -l", "r");
  ck_assert_ptr_nonnull(child);
  ck_assert_ptr_nonnull(fgets(line, sizeof line, child));
  ck_assert_int_eq(pclose(child), 0);
  return atoi(line);
}

START_TEST(a_program_that_is_started_inherits_nothing) {
  host h;
  receiver *to = receiver_start("127.0.0.1", (const receiver_answer[]){{"/keep", NULL, 0, RECEIVER_KEEP, NULL}, {NULL, NULL, 0, 0, NULL}});
  int before = descriptors_of_a_child();
  char url[64];
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  tc_sub *sub = NULL;
  host_init(&h, _i);
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/keep", receiver_port(to));
  hook.url = url;
  hook.events = "*";
  hook.secret = "s";
  hook.description = "never answers";
  ck_assert_msg(tc_webhook_create(h.engine, &hook, NULL, NULL) == TC_OK, "%s", tc_last_error());
  ck_assert_int_eq(tc_subscribe(h.engine, NULL, NULL, NULL, &sub), TC_OK);
  for (int i = 0; i < 5; i++) ck_assert_int_eq(give(h.engine), TC_OK);
  for (int i = 0; i < 10000 && !receiver_count(to).requests; i++) run(&h, 1);
  ck_assert_int_gt(receiver_count(to).open, 0); /* a connection of the engine's is open */
  ck_assert_int_eq(total(&h), 5);
  /* Ours are all closed. curl_multi_init has a pair of sockets to wake itself by, which until 8.10 it forgets to mark, and gives to nobody. */
  int after = descriptors_of_a_child();
  ck_assert_msg(after == before || after == before + 2, "%d before, now %d", before, after);
  tc_sub_close(sub);
  host_end(&h);
  receiver_stop(to);
}
END_TEST

static void *give_all_the_time(void *arg) {
  host *h = arg;
  for (int i = 0; i < 400; i++) ck_assert_msg(give(h->engine) == TC_OK, "%s", tc_last_error());
  return NULL;
}

START_TEST(children_come_and_go_beside_the_writer) {
  host h;
  pthread_t giver;
  host_init(&h, _i);
  ck_assert_int_eq(pthread_create(&giver, NULL, give_all_the_time, &h), 0);
  for (int i = 0; i < 30; i++) {
    int status = 0;
    pid_t child = fork();
    if (!child) { /* no assertion here: the other thread may hold Check's lock, which nobody lets go in the child */
      if (i % 2) _exit(7);
      (void)execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
      _exit(1);
    }
    ck_assert_int_ge(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  }
  (void)pthread_join(giver, NULL);
  ck_assert_int_eq(total(&h), 400);
  host_end(&h);
}
END_TEST

/* A child that forked and lives on has the files' descriptors, but not their locks. */
START_TEST(a_child_that_lives_on_does_not_hold_the_files) {
  host h;
  int ends[2], status = 0;
  char byte;
  host_init(&h, _i);
  ck_assert_int_eq(give(h.engine), TC_OK);
  ck_assert_int_eq(pipe(ends), 0);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (!child) {
    (void)close(ends[1]);
    _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1); /* until the parent lets go */
  }
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(tc_close(h.engine), TC_OK);
    host_open(&h);
    ck_assert_int_eq(give(h.engine), TC_OK);
    ck_assert_int_eq(total(&h), i + 2);
  }
  (void)close(ends[1]);
  (void)close(ends[0]);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(total(&h), 4);
  host_end(&h);
}
END_TEST

/* ---- cancellation ---- */

typedef struct victim {
  host *h;
  atomic_int stored, asked;
} victim;

/* ASan does not see that a cancelled thread leaves its frames, and would take what it marked there for the next one's: so it marks nothing in the only frame that is left so. */
__attribute__((no_sanitize_address)) static void *give_until_cancelled(void *arg) {
  victim *v = arg;
  for (;;) {
    atomic_fetch_add(&v->asked, 1);
    if (give(v->h->engine) == TC_OK) atomic_fetch_add(&v->stored, 1);
    if (atomic_load(&v->asked) % 3 == 0) {
      tc_page *page = NULL;
      tc_tip_query query = TC_TIP_QUERY_INIT;
      if (tc_tip_list(v->h->engine, &query, &page) == TC_OK) tc_page_free(page);
    }
    pthread_testcancel();
  }
  return NULL;
}

START_TEST(a_cancelled_thread_finishes_its_call) {
  host h;
  victim v = {.h = &h};
  host_init(&h, _i);
  for (int round = 0; round < 40; round++) {
    pthread_t threads[3];
    void *result = NULL;
    int from = atomic_load(&v.asked);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, give_until_cancelled, &v), 0);
    while (atomic_load(&v.asked) < from + 4) (void)sched_yield();
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_cancel(threads[i]), 0);
    for (int i = 0; i < 3; i++) {
      ck_assert_int_eq(pthread_join(threads[i], &result), 0);
      ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    }
  }
  ck_assert_int_eq(atomic_load(&v.stored), atomic_load(&v.asked));
  ck_assert_int_eq(total(&h), atomic_load(&v.stored));
  ck_assert_int_eq(give(h.engine), TC_OK);
  /* The host's own setting is as it was. */
  int state = -1;
  ck_assert_int_eq(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
  ck_assert_int_eq(state, PTHREAD_CANCEL_ENABLE);
  host_end(&h);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("guest");
  TCase *cases = tcase_create("guest");
  tcase_add_loop_test(cases, receivers_that_hang_up_kill_nobody, 0, 2);
  tcase_add_loop_test(cases, signals_all_the_time_change_nothing, 0, 2);
  tcase_add_loop_test(cases, a_program_that_is_started_inherits_nothing, 0, 2);
  tcase_add_loop_test(cases, children_come_and_go_beside_the_writer, 0, 2);
  tcase_add_loop_test(cases, a_child_that_lives_on_does_not_hold_the_files, 0, 2);
  tcase_add_loop_test(cases, a_cancelled_thread_finishes_its_call, 0, 2);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
