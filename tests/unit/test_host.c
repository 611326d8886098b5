/* The library as a guest in its host's process (case O-50): signals, descriptors, threads and output stay the host's; two engines share nothing. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tipcurrent.h"

#define SIGNALS 32 /* the real-time ones have no default that a library would think of changing */

typedef struct host {
  char dir[64];
  char url[2][128];
} host;

static void host_init(host *h) {
  (void)snprintf(h->dir, sizeof h->dir, "/tmp/tipcurrent-host-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(h->dir));
  for (int i = 0; i < 2; i++) (void)snprintf(h->url[i], sizeof h->url[i], "sqlite:%s/%d.db", h->dir, i);
}

static void host_clean(host *h) {
  DIR *dir = opendir(h->dir);
  ck_assert_ptr_nonnull(dir);
  for (struct dirent *entry; (entry = readdir(dir));) (void)unlinkat(dirfd(dir), entry->d_name, 0);
  (void)closedir(dir);
  ck_assert_int_eq(rmdir(h->dir), 0);
}

static tc_engine *engine_open(const char *url) {
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = url;
  tc_engine *engine = NULL;
  ck_assert_msg(tc_open(&engine, &options) == TC_OK, "%s", tc_last_error());
  return engine;
}

static int64_t tip_create(tc_engine *engine, const char *room, const char *key, int32_t *replayed) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = room;
  tip.sender_id = "alice";
  tip.recipient_id = "bob";
  tip.amount = 10000;
  tip.idempotency_key = key;
  tc_event *event = NULL;
  ck_assert_msg(tc_tip_create(engine, &tip, &event, replayed) == TC_OK, "%s", tc_last_error());
  int64_t id = tc_event_id(event);
  tc_event_unref(event);
  return id;
}

static int entries(const char *path) {
  DIR *dir = opendir(path);
  ck_assert_ptr_nonnull(dir);
  int n = 0;
  while (readdir(dir)) n++;
  (void)closedir(dir);
  return n;
}

/* A joined thread may stand in /proc for a moment longer. */
static void until_threads(int n) {
  struct timespec pause = {0, 1000000};
  for (int i = 0; i < 10000 && entries("/proc/self/task") > n; i++) (void)nanosleep(&pause, NULL);
  ck_assert_int_eq(entries("/proc/self/task"), n);
}

typedef struct dispositions {
  struct sigaction action[SIGNALS];
  sigset_t mask;
} dispositions;

static void dispositions_get(dispositions *out) {
  memset(out, 0, sizeof *out);
  for (int signal = 1; signal < SIGNALS; signal++) ck_assert_int_eq(sigaction(signal, NULL, &out->action[signal]), 0);
  ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &out->mask), 0);
}

static void dispositions_check(const dispositions *before) {
  dispositions now;
  dispositions_get(&now);
  for (int signal = 1; signal < SIGNALS; signal++) {
    ck_assert_msg(now.action[signal].sa_handler == before->action[signal].sa_handler && now.action[signal].sa_flags == before->action[signal].sa_flags,
                  "signal %d has changed hands", signal);
    ck_assert_int_eq(sigismember(&now.mask, signal), sigismember(&before->mask, signal));
  }
}

START_TEST(signal_dispositions_stay_the_hosts) {
  host h;
  host_init(&h);
  /* Check itself catches some signals; the host of the case has the default actions. */
  const int defaults[] = {SIGPIPE, SIGINT, SIGTERM, SIGCHLD};
  for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) ck_assert(signal(defaults[i], SIG_DFL) != SIG_ERR);
  dispositions before;
  dispositions_get(&before);
  tc_engine *engine = engine_open(h.url[0]);
  dispositions_check(&before);
  for (int i = 0; i < 1000; i++) {
    /* Subscribers come and go beside the creates, some without ever reading. */
    tc_sub *sub = NULL;
    if (i % 10 == 0) ck_assert_int_eq(tc_subscribe(engine, NULL, NULL, NULL, &sub), TC_OK);
    ck_assert_int_eq(tip_create(engine, "r", NULL, NULL), i + 1);
    tc_sub_close(sub);
  }
  dispositions_check(&before);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  dispositions_check(&before);
  host_clean(&h);
}
END_TEST

static atomic_int caught;
static _Atomic(pid_t) catcher;

static void on_signal(int signal) {
  (void)signal;
  atomic_store(&catcher, gettid());
  atomic_fetch_add(&caught, 1);
}

static void on_done(const tc_result *result, void *arg) {
  ck_assert_int_eq(result->code, TC_OK);
  atomic_fetch_add((atomic_int *)arg, 1);
}

START_TEST(signals_reach_the_hosts_threads_only) {
  host h;
  host_init(&h);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
  tc_engine *engine = engine_open(h.url[0]);
  /* The host's only thread does not want it now: unless the library's threads block it too, one of them gets it. */
  sigset_t set, old, pending;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGUSR1);
  ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
  ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
  for (int i = 0; i < 50; i++) (void)tip_create(engine, "r", NULL, NULL);
  ck_assert_int_eq(atomic_load(&caught), 0);
  ck_assert_int_eq(sigpending(&pending), 0);
  ck_assert(sigismember(&pending, SIGUSR1));
  ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
  ck_assert_int_eq(atomic_load(&caught), 1);
  ck_assert_int_eq(atomic_load(&catcher), gettid());
  ck_assert_int_eq(tc_close(engine), TC_OK);
  host_clean(&h);
}
END_TEST

START_TEST(descriptors_and_threads_are_given_back) {
  host h;
  host_init(&h);
  /* Once before counting: a first use may open what the C library or SQLite keeps for the process. */
  ck_assert_int_eq(tc_close(engine_open(h.url[0])), TC_OK);
  int fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  for (int i = 0; i < 10; i++) {
    tc_engine *engine = engine_open(h.url[0]);
    tc_sub *sub = NULL;
    ck_assert_int_eq(tc_subscribe(engine, NULL, NULL, NULL, &sub), TC_OK);
    (void)tip_create(engine, "r", NULL, NULL);
    tc_tip_query query = TC_TIP_QUERY_INIT;
    tc_page *page = NULL;
    ck_assert_int_eq(tc_tip_list(engine, &query, &page), TC_OK);
    ck_assert_int_eq(tc_page_total(page), i + 1);
    tc_page_free(page);
    /* A child that the host execs inherits none of them. */
    for (int fd = 3; fd < 256; fd++) {
      char name[64], target[256];
      (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
      ssize_t n = readlink(name, target, sizeof target - 1);
      if (n <= 0) continue;
      target[n] = '\0';
      if (strstr(target, h.dir) || fd == tc_sub_fd(sub)) ck_assert_msg(fcntl(fd, F_GETFD) & FD_CLOEXEC, "%s would leak into children", target);
    }
    tc_sub_close(sub);
    ck_assert_int_eq(tc_close(engine), TC_OK);
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
    until_threads(threads);
  }
  host_clean(&h);
}
END_TEST

START_TEST(failed_opens_return_and_leave_nothing) {
  host h;
  host_init(&h);
  char text[128], url[192];
  (void)snprintf(text, sizeof text, "%s/text.db", h.dir);
  FILE *file = fopen(text, "w");
  ck_assert_ptr_nonnull(file);
  for (int i = 0; i < 40; i++) ck_assert_int_gt(fputs("this is no database, it is a poem\n", file), 0);
  ck_assert_int_eq(fclose(file), 0);
  int fds = entries("/proc/self/fd"), threads = entries("/proc/self/task"), files = entries(h.dir);
  dispositions before;
  dispositions_get(&before);
  const struct {
    const char *scheme, *name;
    int code;
  } cases[] = {{"sqlite", "/text.db", TC_ECORRUPT}, {"sqlite", "/missing/tc.db", TC_ESTORAGE}, {"sqlite", "", TC_ESTORAGE}, {"nonsense", "", TC_ENOTSUP}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    (void)snprintf(url, sizeof url, "%s:%s%s", cases[i].scheme, h.dir, cases[i].name);
    tc_options options = TC_OPTIONS_INIT;
    options.storage_url = url;
    tc_engine *engine = (tc_engine *)&options, *untouched = engine;
    ck_assert_msg(tc_open(&engine, &options) == cases[i].code, "%s: %s", url, tc_last_error());
    ck_assert_ptr_eq(engine, untouched);
    ck_assert_ptr_nonnull(strstr(tc_last_error(), i < 3 ? h.dir : "nonsense"));
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
    until_threads(threads);
    ck_assert_int_eq(entries(h.dir), files);
  }
  dispositions_check(&before);
  host_clean(&h);
}
END_TEST

START_TEST(the_library_prints_nothing) {
  host h;
  host_init(&h);
  char path[128];
  (void)snprintf(path, sizeof path, "%s/output", h.dir);
  (void)fflush(NULL);
  int kept[2] = {dup(1), dup(2)}, out = open(path, O_RDWR | O_CREAT, 0600);
  ck_assert_int_ge(out, 0);
  ck_assert_int_eq(dup2(out, 1), 1);
  ck_assert_int_eq(dup2(out, 2), 2);
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = "sqlite:/nowhere/at/all.db";
  tc_engine *engine = NULL;
  int failed = tc_open(&engine, &options);
  options.storage_url = h.url[0];
  int opened = tc_open(&engine, &options);
  int refused = opened == TC_OK ? tc_tip_create(engine, &(tc_tip_new)TC_TIP_NEW_INIT, NULL, NULL) : 0;
  int64_t id = opened == TC_OK ? tip_create(engine, "r", "k", NULL) : 0;
  int closed = opened == TC_OK ? tc_close(engine) : -1;
  (void)fflush(NULL);
  ck_assert_int_eq(dup2(kept[0], 1), 1);
  ck_assert_int_eq(dup2(kept[1], 2), 2);
  ck_assert_int_eq(failed, TC_ESTORAGE);
  ck_assert_int_eq(opened, TC_OK);
  ck_assert_int_eq(refused, TC_EINVAL);
  ck_assert_int_eq(id, 1);
  ck_assert_int_eq(closed, TC_OK);
  struct stat status;
  ck_assert_int_eq(fstat(out, &status), 0);
  ck_assert_int_eq(status.st_size, 0);
  for (int i = 0; i < 2; i++) (void)close(kept[i]);
  (void)close(out);
  host_clean(&h);
}
END_TEST

typedef struct lane {
  tc_engine *engine;
  const char *room;
  int events;
  int wrong;
} lane;

static void *lane_run(void *arg) {
  lane *l = arg;
  for (int i = 0; i < 200; i++) {
    char key[32];
    (void)snprintf(key, sizeof key, "key-%d", i);
    int32_t replayed = 7;
    if (tip_create(l->engine, l->room, key, &replayed) != i + 1 || replayed != 0) l->wrong++;
  }
  return NULL;
}

static void lane_event(const tc_event *event, void *arg) {
  lane *l = arg;
  if (strcmp(tc_event_str(event, TC_FIELD_ROOM_ID), l->room) != 0) l->wrong++;
  l->events++;
}

START_TEST(two_engines_share_nothing) {
  host h;
  host_init(&h);
  lane lanes[2] = {{engine_open(h.url[0]), "left", 0, 0}, {engine_open(h.url[1]), "right", 0, 0}};
  tc_sub *subs[2];
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) ck_assert_int_eq(tc_subscribe(lanes[i].engine, NULL, lane_event, &lanes[i], &subs[i]), TC_OK);
  /* The same keys and ids in both: each engine numbers and remembers for itself. */
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, lane_run, &lanes[i]), 0);
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  struct timespec pause = {0, 1000000};
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 10000 && tc_sub_seq(subs[i]) < 200; j++) (void)nanosleep(&pause, NULL);
    tc_sub_close(subs[i]);
    ck_assert_int_eq(lanes[i].events, 200);
    ck_assert_int_eq(lanes[i].wrong, 0);
  }
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = h.url[1];
  tc_engine *third = NULL;
  ck_assert_int_eq(tc_open(&third, &options), TC_EBUSY);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), h.dir));
  /* One ends, the other goes on. */
  ck_assert_int_eq(tc_close(lanes[0].engine), TC_OK);
  ck_assert_int_eq(tip_create(lanes[1].engine, "right", NULL, NULL), 201);
  ck_assert_int_eq(tc_close(lanes[1].engine), TC_OK);
  host_clean(&h);
}
END_TEST

START_TEST(pending_submits_are_answered_before_close_returns) {
  host h;
  host_init(&h);
  tc_engine *engine = engine_open(h.url[0]);
  atomic_int answered = 0;
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "x";
  tip.amount = 1;
  for (int i = 0; i < 1000; i++) ck_assert_int_eq(tc_tip_submit(engine, &tip, on_done, &answered), TC_OK);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  ck_assert_int_eq(atomic_load(&answered), 1000);
  host_clean(&h);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("host");
  TCase *cases = tcase_create("host");
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, signal_dispositions_stay_the_hosts);
  tcase_add_test(cases, signals_reach_the_hosts_threads_only);
  tcase_add_test(cases, descriptors_and_threads_are_given_back);
  tcase_add_test(cases, failed_opens_return_and_leave_nothing);
  tcase_add_test(cases, the_library_prints_nothing);
  tcase_add_test(cases, two_engines_share_nothing);
  tcase_add_test(cases, pending_submits_are_answered_before_close_returns);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
