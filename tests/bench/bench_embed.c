/* bench_embed.c - what the library costs a host that does nothing with it: the size of the file, the time to open and to close, and the resident memory of a process that has an engine open on
 * SQLite files and waits, beside one that has not loaded it.
 *
 * The program is not linked to the library; its children load it, as a host with plugins does, so that with and without are the same program. embed_ratio is 8 MiB, the goal, divided by
 * what the process grows by, pages of files included: more than half of it, and shared with whoever else has them. So embed_anonymous stands beside it, what is the process's alone.
 * embed_rss_webhook is the same with one webhook and a delivery tried, for which libcurl and the thirty libraries below it are loaded.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_util.h"
#include "tipcurrent.h"

enum { PAIRS = 5, PAIRS_MAX = 100, OPENS = 20, LIMIT_BYTES = 8 << 20 };

typedef struct api {
  int (*open)(tc_engine **out, const tc_options *options);
  int (*close)(tc_engine *engine);
  int (*tip_create)(tc_engine *engine, const tc_tip_new *tip, tc_event **out, int32_t *replayed);
  int (*webhook_create)(tc_engine *engine, const tc_webhook_new *webhook, tc_webhook **out, int32_t *replayed);
  const char *(*last_error)(void);
} api;

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found) bench_die("%s: %s", name, dlerror());
  return found;
}

static void load(api *a) {
  void *library = dlopen(BENCH_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) bench_die("%s", dlerror());
  *(void **)&a->open = symbol(library, "tc_open");
  *(void **)&a->close = symbol(library, "tc_close");
  *(void **)&a->tip_create = symbol(library, "tc_tip_create");
  *(void **)&a->webhook_create = symbol(library, "tc_webhook_create");
  *(void **)&a->last_error = symbol(library, "tc_last_error");
}

static tc_engine *open_engine(const api *a, const char *url, uint32_t flags) {
  tc_options options = TC_OPTIONS_INIT;
  tc_webhook_options hooks = TC_WEBHOOK_OPTIONS_INIT;
  tc_engine *engine = NULL;
  hooks.allow_receivers = "127.0.0.0/8";
  options.storage_url = url;
  options.flags = flags;
  options.webhooks = &hooks;
  if (a->open(&engine, &options)) bench_die("%s: %s", url, a->last_error());
  return engine;
}

static void report_size(const bench_args *args) {
  struct stat status;
  char *stripped = bench_path(args, "stripped.so"), command[2048];
  snprintf(command, sizeof command, "strip -o '%s' '%s'", stripped, BENCH_LIBRARY);
  if (system(command) != 0 || stat(stripped, &status) != 0) bench_die("%s failed", command);
  bench_report("library_stripped", (double)status.st_size / 1024, "KiB");
  free(stripped);
}

/* A line of /proc/PID/status, in bytes. */
static double status_of(pid_t pid, const char *name) {
  char path[64], line[256];
  long long kib = -1;
  size_t len = strlen(name);
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *file = fopen(path, "re");
  if (!file) bench_die("cannot read %s: %s", path, strerror(errno));
  while (kib < 0 && fgets(line, sizeof line, file)) {
    if (!strncmp(line, name, len) && line[len] == ':') kib = strtoll(line + len + 1, NULL, 10);
  }
  fclose(file);
  if (kib < 0) bench_die("%s has no %s", path, name);
  return (double)kib * 1024;
}

typedef struct weight {
  double rss, anonymous, threads;
} weight;

/* To a port where nobody listens: it is bound, and no more. */
static void add_webhook(const api *a, tc_engine *engine) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  char url[64];
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* until the child ends */
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || getsockname(fd, (struct sockaddr *)&at, &len) != 0) bench_die("bind: %s", strerror(errno));
  snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(at.sin_port));
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  hook.url = url;
  hook.events = "*";
  hook.secret = "s";
  if (a->webhook_create(engine, &hook, NULL, NULL)) bench_die("%s", a->last_error());
}

static void give(const api *a, tc_engine *engine) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "someone";
  tip.amount = 100;
  if (a->tip_create(engine, &tip, NULL, NULL)) bench_die("%s", a->last_error());
}

/* A child that opens url (NULL: does not load the library), takes one tip, and is looked at when it has been idle for a while. */
static weight weigh(const char *url, uint32_t flags, int has_webhook) {
  int ready[2], done[2];
  char byte = 'r';
  if (pipe(ready) != 0 || pipe(done) != 0) bench_die("pipe: %s", strerror(errno));
  pid_t child = fork();
  if (child < 0) bench_die("fork: %s", strerror(errno));
  if (!child) {
    tc_engine *engine = NULL;
    api a = {0};
    close(done[1]);
    if (url) {
      load(&a);
      engine = open_engine(&a, url, flags);
      if (has_webhook) add_webhook(&a, engine);
      give(&a, engine);
    }
    if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 0) _exit(1);
    _exit(url ? a.close(engine) : 0);
  }
  close(done[0]);
  if (read(ready[0], &byte, 1) != 1) bench_die("the host ended before it was ready");
  bench_settle(child);
  weight w = {status_of(child, "VmRSS"), status_of(child, "RssAnon"), status_of(child, "Threads") / 1024};
  close(done[1]);
  close(ready[0]);
  close(ready[1]);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) bench_die("the host ended with %d", status);
  return w;
}

static void report_times(const api *a, const char *url) {
  double opens[OPENS], closes[OPENS], begun = (double)bench_now_us();
  tc_engine *engine = open_engine(a, url, 0);
  bench_report("open_new", ((double)bench_now_us() - begun) / 1000, "ms");
  a->close(engine);
  for (int i = 0; i < OPENS; i++) {
    begun = (double)bench_now_us();
    engine = open_engine(a, url, 0);
    double opened = (double)bench_now_us();
    a->close(engine);
    opens[i] = (opened - begun) / 1000;
    closes[i] = ((double)bench_now_us() - opened) / 1000;
  }
  bench_report("open", bench_median(opens, OPENS), "ms");
  bench_report("close", bench_median(closes, OPENS), "ms");
}

int main(int argc, char **argv) {
  bench_args args;
  bench_begin(&args, argc, argv, "what the library costs a host: size, time to open and close, memory when idle");
  unsigned pairs = args.pairs ? args.pairs : PAIRS;
  double ratios[PAIRS_MAX], grown[PAIRS_MAX], anonymous[PAIRS_MAX], bare[PAIRS_MAX];
  char *path = bench_path(&args, "embed.db"), *url = bench_alloc(strlen(path) + 8, 1);
  snprintf(url, strlen(path) + 8, "sqlite:%s", path);
  report_size(&args);
  for (unsigned i = 0; i < pairs; i++) {
    weight with = weigh(url, 0, 0), without = weigh(NULL, 0, 0);
    grown[i] = with.rss - without.rss;
    anonymous[i] = with.anonymous - without.anonymous;
    ratios[i] = LIMIT_BYTES / grown[i];
    if (!i) bench_report("threads", with.threads - without.threads, "threads");
    bare[i] = without.rss;
  }
  weight loop = weigh(url, TC_NO_THREADS, 0), memory = weigh("memory:", TC_NO_THREADS, 0), webhook = weigh(url, 0, 1);
  double host = bench_median(bare, pairs);
  bench_report("host_rss", host / 1048576, "MiB");
  bench_report("embed_rss", bench_median(grown, pairs) / 1048576, "MiB");
  bench_report("embed_anonymous", bench_median(anonymous, pairs) / 1048576, "MiB");
  bench_report("embed_rss_no_threads", (loop.rss - host) / 1048576, "MiB");
  bench_report("embed_rss_memory", (memory.rss - host) / 1048576, "MiB");
  bench_report("embed_rss_webhook", (webhook.rss - host) / 1048576, "MiB");
  /* Last, since from here on this program has the library too. */
  api a;
  load(&a);
  char *other = bench_path(&args, "again.db");
  snprintf(url, strlen(path) + 8, "sqlite:%s", other); /* a name as long */
  report_times(&a, url);
  bench_report("embed_ratio", bench_median(ratios, pairs), "x");
  free(other);
  free(path);
  free(url);
  return 0;
}
