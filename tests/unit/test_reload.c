/* A program that is not linked to the library, but loads it while it runs: dlopen, use, dlclose, a hundred times, without growth of memory, threads or descriptors, and with nothing of the
 * library's that runs after it is gone. The path of the library is the first argument.
 */
#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tipcurrent.h"

#define ROUNDS 100
#define WARM_UP 20 /* what the loader, the C library and OpenSSL keep for the process is there by then */

#ifdef __SANITIZE_THREAD__
#define THREADS_OF_TSAN 1
#else
#define THREADS_OF_TSAN 0
#endif

static const char *library_path;
static char dir[64], url[128];

static const struct way {
  int on_files, has_webhook;
  uint32_t flags;
} ways[] = {{0, 0, 0}, {1, 0, 0}, {0, 0, TC_NO_THREADS}, {1, 0, TC_NO_THREADS}, {1, 1, 0}, {1, 1, TC_NO_THREADS}};
static const struct way *way;

typedef struct api {
  void *library;
  int (*open)(tc_engine **out, const tc_options *options);
  int (*close)(tc_engine *engine);
  int (*tip_create)(tc_engine *engine, const tc_tip_new *tip, tc_event **out, int32_t *replayed);
  void (*event_unref)(tc_event *event);
  int (*subscribe)(tc_engine *engine, const tc_sub_options *options, tc_event_fn fn, void *userdata, tc_sub **out);
  int (*sub_next)(tc_sub *sub, int32_t timeout_ms, tc_event **out);
  void (*sub_close)(tc_sub *sub);
  int (*webhook_create)(tc_engine *engine, const tc_webhook_new *webhook, tc_webhook **out, int32_t *replayed);
  int (*poll)(tc_engine *engine, int32_t timeout_ms);
  const char *(*last_error)(void);
} api;

static void *symbol(const api *a, const char *name) {
  void *found = dlsym(a->library, name);
  ck_assert_msg(found != NULL, "%s", dlerror());
  return found;
}

static void load(api *a) {
  a->library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL);
  ck_assert_msg(a->library != NULL, "%s", dlerror());
  *(void **)&a->open = symbol(a, "tc_open");
  *(void **)&a->close = symbol(a, "tc_close");
  *(void **)&a->tip_create = symbol(a, "tc_tip_create");
  *(void **)&a->event_unref = symbol(a, "tc_event_unref");
  *(void **)&a->subscribe = symbol(a, "tc_subscribe");
  *(void **)&a->sub_next = symbol(a, "tc_sub_next");
  *(void **)&a->sub_close = symbol(a, "tc_sub_close");
  *(void **)&a->webhook_create = symbol(a, "tc_webhook_create");
  *(void **)&a->poll = symbol(a, "tc_engine_poll");
  *(void **)&a->last_error = symbol(a, "tc_last_error");
}

typedef struct visit {
  const api *a;
  tc_engine *engine;
} visit;

/* On a thread of the host's: what the library keeps for a thread (its last error) ends with it. */
static void *fail_once(void *arg) {
  const visit *v = arg;
  ck_assert_int_eq(v->a->tip_create(v->engine, NULL, NULL, NULL), TC_EINVAL);
  ck_assert_str_ne(v->a->last_error(), "");
  return NULL;
}

/* So that libcurl has something to do. Nobody listens there: the port is bound, and no more. */
static void add_webhook(const api *a, tc_engine *engine, int port_of) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof at;
  char receiver[64];
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  ck_assert_int_eq(getsockname(port_of, (struct sockaddr *)&at, &len), 0);
  (void)snprintf(receiver, sizeof receiver, "http://127.0.0.1:%d/", ntohs(at.sin_port));
  hook.url = receiver;
  hook.events = "*";
  hook.secret = "s";
  hook.idempotency_key = "the one";
  ck_assert_msg(a->webhook_create(engine, &hook, NULL, NULL) == TC_OK, "%s", a->last_error());
}

static void use(int nobody) {
  api a;
  load(&a);
  tc_options options = TC_OPTIONS_INIT;
  tc_webhook_options hooks = TC_WEBHOOK_OPTIONS_INIT;
  tc_engine *engine = NULL;
  tc_sub *sub = NULL;
  hooks.allow_receivers = "127.0.0.0/8";
  options.storage_url = url;
  options.flags = way->flags;
  options.webhooks = &hooks;
  ck_assert_msg(a.open(&engine, &options) == TC_OK, "%s", a.last_error());
  if (way->has_webhook) add_webhook(&a, engine, nobody);
  ck_assert_int_eq(a.subscribe(engine, NULL, NULL, NULL, &sub), TC_OK);
  for (int i = 0; i < 10; i++) {
    tc_tip_new tip = TC_TIP_NEW_INIT;
    tc_event *event = NULL;
    tip.room_id = tip.sender_id = tip.recipient_id = "r";
    tip.amount = 1;
    ck_assert_msg(a.tip_create(engine, &tip, NULL, NULL) == TC_OK, "%s", a.last_error());
    ck_assert_msg(a.sub_next(sub, 10000, &event) == TC_OK, "%s", a.last_error());
    a.event_unref(event);
  }
  for (int i = 0; i < 10 && way->flags & TC_NO_THREADS; i++) ck_assert_int_eq(a.poll(engine, 0), TC_OK);
  visit v = {&a, engine};
  pthread_t other;
  ck_assert_int_eq(pthread_create(&other, NULL, fail_once, &v), 0);
  a.sub_close(sub);
  (void)pthread_join(other, NULL);
  ck_assert_int_eq(a.close(engine), TC_OK);
  ck_assert_int_eq(dlclose(a.library), 0);
}

static int entries(const char *path) {
  DIR *all = opendir(path);
  ck_assert_ptr_nonnull(all);
  int n = 0;
  while (readdir(all)) n++;
  (void)closedir(all);
  return n;
}

/* A joined thread may stand in /proc for a moment longer; TSan starts one of its own at some time. */
static void until_threads(int n) {
  struct timespec pause = {0, 1000000};
  for (int i = 0; i < 10000 && entries("/proc/self/task") > n + THREADS_OF_TSAN; i++) (void)nanosleep(&pause, NULL);
  ck_assert_int_le(entries("/proc/self/task"), n + THREADS_OF_TSAN);
}

/* What is allocated; malloc counts what it keeps for a thread's next calls, some 20 KiB, as allocated. */
static long used_kib(void) {
  struct mallinfo2 info = mallinfo2();
  return (long)((info.uordblks + info.hblkhd) / 1024);
}

static int mappings(void) {
  char line[512];
  int n = 0, curls = 0;
  FILE *file = fopen("/proc/self/maps", "re");
  ck_assert_ptr_nonnull(file);
  while (fgets(line, sizeof line, file)) {
    n++;
    curls += strstr(line, "/libcurl.so.4") != NULL;
    ck_assert_msg(!strstr(line, "libpq"), "loaded by an engine on %s: %s", url, line);
  }
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_int_eq(curls > 0, way->has_webhook);
  return n;
}

START_TEST(a_hundred_times_without_growth) {
  int fds = 0, threads = entries("/proc/self/task"), maps = 0;
  long kib = 0;
  int nobody = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  ck_assert_int_eq(bind(nobody, (struct sockaddr *)&any, sizeof any), 0);
  way = &ways[_i];
  (void)snprintf(dir, sizeof dir, "/tmp/tipcurrent-reload-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  if (way->on_files) (void)snprintf(url, sizeof url, "sqlite:%s/tc.db", dir);
  else (void)snprintf(url, sizeof url, "memory:");
  for (int round = 0; round < ROUNDS; round++) {
    use(nobody);
    until_threads(threads);
    if (round + 1 < WARM_UP) continue;
    if (round + 1 == WARM_UP) {
      fds = entries("/proc/self/fd");
      maps = mappings();
      kib = used_kib();
    }
    ck_assert_int_eq(entries("/proc/self/fd"), fds);
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* theirs grow, and malloc is theirs */
  ck_assert_msg(used_kib() <= kib + 64, "%ld KiB after %d rounds, %ld after %d", kib, WARM_UP, used_kib(), ROUNDS);
  ck_assert_int_le(mappings(), maps + 4);
#endif
  ck_assert_int_eq(close(nobody), 0);
  /* It stays where it is: a thread of libcurl's that still looks up a name must find its code. */
  void *still = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
  ck_assert_ptr_nonnull(still);
  ck_assert_int_eq(dlclose(still), 0);
  DIR *all = opendir(dir);
  ck_assert_ptr_nonnull(all);
  for (struct dirent *entry; (entry = readdir(all));) (void)unlinkat(dirfd(all), entry->d_name, 0);
  (void)closedir(all);
  ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

int main(int argc, char **argv) {
  if (argc < 2) {
    (void)fprintf(stderr, "usage: test_reload LIBRARY\n");
    return EXIT_FAILURE;
  }
  library_path = argv[1];
  Suite *suite = suite_create("reload");
  TCase *cases = tcase_create("reload");
  tcase_set_timeout(cases, 120);
  tcase_add_loop_test(cases, a_hundred_times_without_growth, 0, sizeof ways / sizeof *ways);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
