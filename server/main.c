/* tipcurrentd - the engine behind HTTP. This file puts the parts together, and takes them apart in the right order. */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/thread.h"
#include "server/api/app.h"
#include "server/civet/kitchen.h"
#include "server/config/config.h"
#include "server/log.h"
#include "server/tools/tool.h"

#define MAX_HEAD_BYTES (16u << 10) /* the kitchen takes 64 KiB: this with its target percent-encoded */

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct daemon_parts {
  tcd_config config;
  tcd_stderr sink;
  tc_log log;
  tcd_app app; /* with the engine and the front */
  tcd_kitchen *kitchen;
  sigset_t signals;
  tci_thread watcher;
  atomic_int ended; /* 1: the watcher may go */
} daemon_parts;

static void say(const daemon_parts *d, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(const daemon_parts *d, int32_t level, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  d->log.write(d->log.userdata, level, line);
}

/* SIGTERM and SIGINT are blocked in every thread and taken here. The first stops in order, the second at once. SIGUSR1 is main's own, to end this thread. */
static void *watch_signals(void *userdata) {
  daemon_parts *d = userdata;
  int number, told = 0;
  while (!sigwait(&d->signals, &number)) {
    if (number == SIGUSR1 && atomic_load(&d->ended)) return NULL;
    if (number == SIGUSR1) continue;
    if (told) _exit(128 + number);
    told = 1;
    say(d, TC_LOG_INFO, "signal %d: stopping", number);
    atomic_store(&d->app.stopping, 1);
    tcd_front_stop(d->app.front, (uint32_t)d->config.stop_grace_ms);
  }
  return NULL;
}

/* Blocked before the first thread starts, so that all of them inherit it. */
static int take_signals(daemon_parts *d) {
  (void)sigemptyset(&d->signals);
  (void)sigaddset(&d->signals, SIGTERM);
  (void)sigaddset(&d->signals, SIGINT);
  (void)sigaddset(&d->signals, SIGUSR1);
  if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return -1; /* CivetWeb writes without MSG_NOSIGNAL */
  return pthread_sigmask(SIG_BLOCK, &d->signals, NULL) ? -1 : 0;
}

static void raise_files(const daemon_parts *d) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) || getrlimit(RLIMIT_NOFILE, &limit)) return; /* fewer connections, no failure */
  if (limit.rlim_cur < d->config.max_connections + 64) {
    say(d, TC_LOG_WARN, "only %llu files may be open, max_connections is %llu", (unsigned long long)limit.rlim_cur,
        (unsigned long long)d->config.max_connections);
  }
}

static int open_engine(daemon_parts *d, char *error, size_t error_size) {
  const tcd_config *c = &d->config;
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = c->storage;
  options.max_pending_bytes = c->max_pending_bytes;
  options.create_deadline_ms = (uint32_t)c->create_deadline_ms;
  options.flags = c->idempotency_mismatch == TCD_MISMATCH_REPLAY ? TC_MISMATCH_REPLAY : 0;
  options.idempotency_ttl_s = (uint32_t)c->idempotency_ttl_s;
  options.tail_max_events = (uint32_t)c->tail_max_events;
  options.tail_max_bytes = c->tail_max_bytes;
  options.log = &d->log;
  if (strcmp(c->currency, "none") != 0) options.currency = c->currency;
  tc_webhook_options webhooks = TC_WEBHOOK_OPTIONS_INIT;
  char secret_key[128] = "";
  if (strcmp(c->allow_receivers, "none") != 0) webhooks.allow_receivers = c->allow_receivers;
  webhooks.retry_schedule = c->webhook_retry_schedule;
  webhooks.flags = c->webhook_time_format ? TC_WEBHOOK_EPOCH_TIME : 0;
  webhooks.max_in_flight = (uint32_t)c->webhook_max_in_flight;
  webhooks.max_per_endpoint = (uint32_t)c->webhook_max_per_endpoint;
  webhooks.disable_after_s = (uint32_t)c->webhook_disable_after_s;
  webhooks.log_days = (uint32_t)c->webhook_log_days;
  webhooks.log_rows = c->webhook_log_rows;
  if (strcmp(c->webhook_secret_key_file, "none") != 0) {
    if (tcd_config_read_secret(c->webhook_secret_key_file, secret_key, sizeof secret_key)) {
      (void)snprintf(error, error_size, "webhook_secret_key_file: cannot read %s", c->webhook_secret_key_file);
      return TC_EINVAL;
    }
    webhooks.secret_key = secret_key;
  }
  options.webhooks = &webhooks;
  int rc = tc_open(&d->app.engine, &options);
  if (rc) (void)snprintf(error, error_size, "%s", tc_last_error());
  memset(secret_key, 0, sizeof secret_key);
  return rc;
}

static int open_kitchen(daemon_parts *d, char *error, size_t error_size) {
  const tcd_config *c = &d->config;
  tcd_kitchen_options options = {.threads = (uint32_t)c->kitchen_threads, .log = &d->log, .on_request = tcd_app_work, .app = &d->app};
  options.max_body_bytes = c->max_batch_bytes > c->max_body_bytes ? c->max_batch_bytes : c->max_body_bytes;
  return tcd_kitchen_open(&d->kitchen, &options, error, error_size);
}

static int open_front(daemon_parts *d, char *error, size_t error_size) {
  const tcd_config *c = &d->config;
  tcd_front_options options;
  memset(&options, 0, sizeof options);
  options.listen = c->listen;
  options.max_connections = (uint32_t)c->max_connections;
  options.header_deadline_ms = (uint32_t)c->header_deadline_ms;
  options.body_deadline_ms = (uint32_t)c->body_deadline_ms;
  options.idle_timeout_ms = (uint32_t)c->idle_timeout_ms;
  options.write_deadline_ms = (uint32_t)c->write_deadline_ms;
  options.max_head_bytes = MAX_HEAD_BYTES;
  options.max_body_bytes = (uint32_t)c->max_body_bytes;
  options.max_buffered_bytes = c->max_buffered_bytes;
  options.kitchen_connections = (uint32_t)c->kitchen_threads;
  options.log = &d->log;
  options.on_request = tcd_app_request;
  options.on_refusal = tcd_app_refusal;
  options.body_limit = tcd_app_body_limit;
  options.app = &d->app;
  int rc = tcd_front_open(&d->app.front, &options, error, error_size);
  if (!rc) rc = tcd_front_set_kitchen(d->app.front, tcd_kitchen_port(d->kitchen), tcd_kitchen_admit, d->kitchen);
  return rc ? rc : tcd_app_open_live(&d->app, &d->log, error, error_size);
}

/* The reverse of starting, but for the front: its memory goes last, since replies that outlived the grace still come back to it while the engine drains. */
static void stop(daemon_parts *d) {
  tcd_app_close_live(&d->app);
  tc_shutdown(d->app.engine);
  if (d->kitchen) tcd_kitchen_stop(d->kitchen);
  int rc = tc_close(d->app.engine);
  if (rc) say(d, TC_LOG_ERROR, "closing the storage: %s", tc_strerror(rc));
  /* Until here a second signal ends the process at once. The watcher may be inside tcd_front_stop, so it goes before the front. */
  atomic_store(&d->ended, 1);
  if (d->watcher.started) (void)pthread_kill(d->watcher.id, SIGUSR1);
  tci_thread_join(&d->watcher);
  tcd_front_close(d->app.front);
  tcd_kitchen_close(d->kitchen);
}

static int serve(daemon_parts *d) {
  char error[512] = "cannot set up signals";
  int failed = 1;
  if (take_signals(d)) goto done;
  raise_files(d);
  if (open_engine(d, error, sizeof error)) goto done;
  if (open_kitchen(d, error, sizeof error) || open_front(d, error, sizeof error)) goto done;
  if (tci_thread_start(&d->watcher, "tc-signals", watch_signals, d)) {
    (void)snprintf(error, sizeof error, "cannot start a thread");
    goto done;
  }
  if (printf("listening on http://%s\n", tcd_front_address(d->app.front)) < 0 || fflush(stdout)) {
    (void)snprintf(error, sizeof error, "cannot write to stdout");
    goto done;
  }
  tci_url_hide(d->config.storage); /* it has been opened: from here on it is only shown */
  say(d, TC_LOG_INFO, "tipcurrentd %s, storage %s", tc_version(), d->config.storage);
  failed = tcd_front_run(d->app.front) != TC_OK;
  (void)snprintf(error, sizeof error, "the reactor failed");
done:
  if (failed) (void)fprintf(stderr, "tipcurrentd: %s\n", error);
  stop(d);
  return failed ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv) {
  daemon_parts d;
  char error[TCD_CONFIG_ERROR_MAX];
  int action, status = EXIT_OK;
  if (tcd_tool_is(argc, argv)) return tcd_tool_main(argc, argv, environ);
  memset(&d, 0, sizeof d);
  int bad = tcd_config_load(&d.config, &action, argc, argv, environ, error, sizeof error);
  for (int i = 1; i < argc; i++) tci_url_hide(argv[i]); /* `ps` shows them to everybody */
  if (bad) {
    tci_url_hide(error);
    (void)fprintf(stderr, "tipcurrentd: %s\n", error);
    return EXIT_USAGE;
  }
  d.sink.level = (int32_t)d.config.log_level + TC_LOG_ERROR;
  d.log = tcd_stderr_log(&d.sink);
  d.app.config = &d.config;
  switch (action) {
  case TCD_HELP:
    tcd_config_print_help(stdout);
    tcd_tools_print_help(stdout);
    break;
  case TCD_VERSION: (void)printf("tipcurrentd %s\n", tc_version()); break;
  case TCD_PRINT_DEFAULTS:
  case TCD_CHECK_CONFIG: tcd_config_print(&d.config, stdout); break;
  default: status = serve(&d); break;
  }
  if (action != TCD_RUN && (fflush(stdout) || ferror(stdout))) status = EXIT_FAILED;
  tcd_config_free(&d.config);
  return status;
}
