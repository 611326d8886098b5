/* Libraries that are loaded when they are first wanted: by whom, and what is said where one is missing. Names that no machine has stand for libraries that this one lacks. */
#include <check.h>
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/library.h"
#include "receiver_kit.h"
#include "tipcurrent.h"
#include "webhook/libcurl.h"
#include "webhook/transport.h"
#ifdef TCI_POSTGRESQL
#include "storage/postgres/libpq.h"
#endif

/* ---- base/library.h ---- */

typedef struct numbers {
  double (*cosine)(double);
  double (*root)(double);
} numbers;

static const char *const names[] = {"cos", "sqrt"}, *const wrong_names[] = {"cos", "tci_no_such_function"};

START_TEST(what_is_missing_is_named) {
  numbers n = {NULL, NULL};
  char why[TCI_LIBRARY_WHY_SIZE] = "";
  tci_library library = TCI_LIBRARY_INIT("libtci-nowhere.so.7", names, n);
  ck_assert_int_eq(tci_library_load(&library, why), TC_ENOTSUP);
  ck_assert_msg(!strncmp(why, "libtci-nowhere.so.7 cannot be loaded: ", 38) && strlen(why) > 38, "%s", why);
  ck_assert_ptr_null(strstr(why + 1, "libtci-nowhere"));
  library.file = "libm.so.6"; /* it was installed meanwhile */
  ck_assert_int_eq(tci_library_load(&library, why), TC_OK);
  ck_assert(n.cosine(0) == 1 && n.root(4) == 2);
  tci_library other = TCI_LIBRARY_INIT("libm.so.6", wrong_names, n);
  ck_assert_int_eq(tci_library_load(&other, why), TC_ENOTSUP);
  ck_assert_ptr_nonnull(strstr(why, "libm.so.6 has no tci_no_such_function"));
}
END_TEST

static numbers shared;
static tci_library shared_library = TCI_LIBRARY_INIT("libm.so.6", names, shared);

static void *load_and_call(void *unused) {
  char why[TCI_LIBRARY_WHY_SIZE];
  (void)unused;
  ck_assert_int_eq(tci_library_load(&shared_library, why), TC_OK);
  ck_assert(shared.cosine(0) == 1 && shared.root(9) == 3);
  return NULL;
}

START_TEST(threads_load_it_once) {
  pthread_t threads[8];
  for (size_t i = 0; i < 8; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, load_and_call, NULL), 0);
  for (size_t i = 0; i < 8; i++) (void)pthread_join(threads[i], NULL);
}
END_TEST

/* ---- the engine ---- */

static int is_mapped(const char *part) {
  char line[512];
  int found = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  ck_assert_ptr_nonnull(maps);
  while (fgets(line, sizeof line, maps)) found |= strstr(line, part) != NULL;
  ck_assert_int_eq(fclose(maps), 0);
  return found;
}

static char logged[1024];

static void keep_error(void *userdata, int32_t level, const char *line) {
  (void)userdata;
  if (level == TC_LOG_ERROR) (void)snprintf(logged, sizeof logged, "%s", line);
}

static const tc_log keeping = {sizeof(tc_log), keep_error, NULL};

typedef struct host {
  char dir[64], url[128];
  uint32_t flags;
  tc_engine *engine;
} host;

static void host_open(host *h) {
  tc_options options = TC_OPTIONS_INIT;
  tc_webhook_options hooks = TC_WEBHOOK_OPTIONS_INIT;
  hooks.allow_receivers = "127.0.0.0/8";
  options.storage_url = h->url;
  options.flags = h->flags;
  options.webhooks = &hooks;
  options.log = &keeping;
  logged[0] = '\0';
  ck_assert_msg(tc_open(&h->engine, &options) == TC_OK, "%s", tc_last_error());
}

static void host_init(host *h, int without_threads) {
  h->flags = without_threads ? TC_NO_THREADS : 0;
  (void)snprintf(h->dir, sizeof h->dir, "/tmp/tipcurrent-library-XXXXXX");
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

static void give(host *h) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "r";
  tip.amount = 100;
  ck_assert_msg(tc_tip_create(h->engine, &tip, NULL, NULL) == TC_OK, "%s", tc_last_error());
}

static void run(host *h) {
  if (h->flags & TC_NO_THREADS) ck_assert_msg(tc_engine_poll(h->engine, 5) == TC_OK, "%s", tc_last_error());
  else (void)nanosleep(&(struct timespec){0, 5000000}, NULL);
}

static int create_hook(host *h, const char *url, int64_t *id) {
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  hook.url = url;
  hook.events = "tip.created";
  hook.secret = "s";
  int code = tc_webhook_create(h->engine, &hook, &made, NULL);
  if (!code) *id = tc_webhook_id(made);
  tc_webhook_unref(made);
  return code;
}

typedef struct last {
  int64_t total;
  int32_t success;
  char error[512];
} last;

static void keep_last(const tc_webhook_delivery *delivery, void *arg) {
  last *l = arg;
  l->success = delivery->success;
  (void)snprintf(l->error, sizeof l->error, "%.*s", (int)delivery->error.len, delivery->error.ptr ? delivery->error.ptr : "");
}

/* The newest attempt in the webhook's log, once it has so many. */
static last wait_for(host *h, int64_t id, int64_t total) {
  last l = {0};
  for (int i = 0; l.total < total; i++) {
    ck_assert_int_lt(i, 4000);
    run(h);
    ck_assert_msg(tc_webhook_deliveries(h->engine, id, 0, 1, keep_last, &l, &l.total) == TC_OK, "%s", tc_last_error());
  }
  return l;
}

START_TEST(an_engine_loads_libcurl_with_its_first_webhook) {
  host h;
  int64_t id = 0;
  host_init(&h, _i);
  for (int i = 0; i < 10; i++) give(&h);
  run(&h);
  ck_assert(!is_mapped("libcurl") && !is_mapped("libpq") && !is_mapped("libssl"));
  ck_assert_msg(create_hook(&h, "http://127.0.0.1/", &id) == TC_OK, "%s", tc_last_error());
  ck_assert(is_mapped("/libcurl.so.4") && !is_mapped("libpq"));
  host_end(&h);
}
END_TEST

#define NOWHERE "libtci-nowhere.so.4 cannot be loaded: "

START_TEST(without_libcurl_webhooks_say_so) {
  static const receiver_answer answers[] = {{NULL, NULL, 0, 0, NULL}};
  receiver *to = receiver_start("127.0.0.1", answers);
  char url[64];
  int64_t id = 0;
  host h;
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", receiver_port(to));
  host_init(&h, _i);
  const char *file = tci_libcurl_library.file;
  tci_libcurl_library.file = "libtci-nowhere.so.4";
  ck_assert_int_eq(create_hook(&h, url, &id), TC_ENOTSUP);
  ck_assert_msg(strstr(tc_last_error(), "webhooks cannot be sent: " NOWHERE) == tc_last_error(), "%s", tc_last_error());
  /* It was there when the webhook was made, and went away. */
  tci_libcurl_library.file = file;
  ck_assert_msg(create_hook(&h, url, &id) == TC_OK, "%s", tc_last_error());
  ck_assert_str_eq(logged, "");
  ck_assert_int_eq(tc_close(h.engine), TC_OK);
  tci_libcurl_library.file = "libtci-nowhere.so.4";
  tci_libcurl_library.loaded = 0;
  host_open(&h);
  ck_assert_msg(strstr(logged, NOWHERE) != NULL, "%s", logged);
  give(&h); /* what is not about webhooks goes on */
  last l = wait_for(&h, id, 1);
  ck_assert(!l.success);
  ck_assert_msg(strstr(l.error, NOWHERE) == l.error, "%s", l.error);
  /* It is installed, and the engine needs no new start. */
  tci_libcurl_library.file = file;
  ck_assert_int_eq(tc_webhook_test(h.engine, id), TC_OK);
  l = wait_for(&h, id, 2);
  ck_assert_msg(l.success, "%s", l.error);
  host_end(&h);
  receiver_stop(to);
}
END_TEST

static curl_version_info_data *old_version(CURLversion age) {
  static curl_version_info_data data = {.version = "7.86.0", .version_num = 0x075600};
  data.age = age;
  return &data;
}

START_TEST(an_old_libcurl_is_refused) {
  char why[TCI_LIBRARY_WHY_SIZE] = "";
  ck_assert_msg(tci_curl_load(why) == TC_OK, "%s", why);
  __typeof__(curl_version_info) real = curl_version_info; /* the pointer in tci_libcurl */
  curl_version_info = old_version;
  ck_assert_int_eq(tci_curl_load(why), TC_ENOTSUP);
  ck_assert_str_eq(why, "libcurl.so.4 is of version 7.86.0, needed is 7.87");
  curl_version_info = real;
}
END_TEST

#ifdef TCI_POSTGRESQL
START_TEST(without_libpq_a_postgresql_url_says_so) {
  tc_options options = TC_OPTIONS_INIT;
  tc_engine *engine = NULL;
  options.storage_url = _i ? "postgres://127.0.0.1:1/x" : "postgresql://127.0.0.1:1/x";
  const char *file = tci_libpq_library.file;
  tci_libpq_library.file = "libtci-nowhere.so.5";
  ck_assert_int_eq(tc_open(&engine, &options), TC_ENOTSUP);
  ck_assert_ptr_null(engine);
  ck_assert_msg(!strncmp(tc_last_error(), "storage_url: a postgresql: URL needs libpq: libtci-nowhere.so.5 cannot be loaded: ", 82), "%s", tc_last_error());
  tci_libpq_library.file = file;
  ck_assert(!is_mapped("libpq"));
  ck_assert_int_eq(tc_open(&engine, &options), TC_ESTORAGE); /* nobody listens there */
  ck_assert(is_mapped("/libpq.so.5") && !is_mapped("libcurl"));
}
END_TEST
#endif

int main(void) {
  Suite *suite = suite_create("library");
  TCase *cases = tcase_create("library");
  tcase_add_test(cases, what_is_missing_is_named);
  tcase_add_test(cases, threads_load_it_once);
  tcase_add_loop_test(cases, an_engine_loads_libcurl_with_its_first_webhook, 0, 2);
  tcase_add_loop_test(cases, without_libcurl_webhooks_say_so, 0, 2);
  tcase_add_test(cases, an_old_libcurl_is_refused);
#ifdef TCI_POSTGRESQL
  tcase_add_loop_test(cases, without_libpq_a_postgresql_url_says_so, 0, 2);
#endif
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
