/* bench_embed.c - what the library costs a host that does nothing with it: the size of the file, the time to open and to close, and the resident memory of a process that has an engine open on
 * SQLite files and waits, beside one that has not loaded it.
 *
 * The program is not linked to the library; its children load it, as a host with plugins does, so that with and without are the same program. embed_ratio is 8 MiB, the goal, divided by
 * what the process grows by, pages of files included: those of the libraries below (libcurl brings thirty) are most of it, and shared with whoever else has them. So two more numbers stand
 * beside it: embed_anonymous, what is the process's alone, and embed_rss_beside_curl, by which a host grows that has SQLite and an initialised libcurl already.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_util.h"
#include "tipcurrent.h"

enum { PAIRS = 5, PAIRS_MAX = 100, OPENS = 20, LIMIT_BYTES = 8 << 20, OTHERS = 1 };

typedef struct api {
  int (*open)(tc_engine **out, const tc_options *options);
  int (*close)(tc_engine *engine);
  int (*tip_create)(tc_engine *engine, const tc_tip_new *tip, tc_event **out, int32_t *replayed);
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
  *(void **)&a->last_error = symbol(library, "tc_last_error");
}

static tc_engine *open_engine(const api *a, const char *url, uint32_t flags) {
  tc_options options = TC_OPTIONS_INIT;
  tc_engine *engine = NULL;
  options.storage_url = url;
  options.flags = flags;
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

/* What many hosts have anyhow. */
static void load_others(void) {
  static const char *const names[] = {"libsqlite3.so.0", "libcurl.so.4"};
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) bench_die("%s", dlerror());
  }
  int (*init)(long flags);
  *(void **)&init = symbol(library, "curl_global_init");
  if (init(3) != 0) bench_die("curl_global_init failed"); /* CURL_GLOBAL_DEFAULT */
}

/* A child that opens url (NULL: does not load the library, but with OTHERS what that is built on), takes one tip, and is looked at when it has been idle for a while. */
static weight weigh(const char *url, uint32_t flags) {
  int ready[2], done[2];
  char byte = 'r';
  if (pipe(ready) != 0 || pipe(done) != 0) bench_die("pipe: %s", strerror(errno));
  pid_t child = fork();
  if (child < 0) bench_die("fork: %s", strerror(errno));
  if (!child) {
    tc_engine *engine = NULL;
    api a = {0};
    close(done[1]);
    if (!url && flags == OTHERS) load_others();
    if (url) {
      tc_tip_new tip = TC_TIP_NEW_INIT;
      load(&a);
      engine = open_engine(&a, url, flags);
      tip.room_id = tip.sender_id = tip.recipient_id = "someone";
      tip.amount = 100;
      if (a.tip_create(engine, &tip, NULL, NULL)) bench_die("%s", a.last_error());
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
    weight with = weigh(url, 0), without = weigh(NULL, 0);
    grown[i] = with.rss - without.rss;
    anonymous[i] = with.anonymous - without.anonymous;
    ratios[i] = LIMIT_BYTES / grown[i];
    if (!i) bench_report("threads", with.threads - without.threads, "threads");
    bare[i] = without.rss;
  }
  weight others = weigh(NULL, OTHERS), engine = weigh(url, 0);
  weight loop = weigh(url, TC_NO_THREADS), memory = weigh("memory:", TC_NO_THREADS);
  double host = bench_median(bare, pairs);
  bench_report("host_rss", host / 1048576, "MiB");
  bench_report("embed_rss", bench_median(grown, pairs) / 1048576, "MiB");
  bench_report("embed_anonymous", bench_median(anonymous, pairs) / 1048576, "MiB");
  bench_report("embed_rss_beside_curl", (engine.rss - others.rss) / 1048576, "MiB");
  bench_report("embed_rss_no_threads", (loop.rss - host) / 1048576, "MiB");
  bench_report("embed_rss_memory", (memory.rss - host) / 1048576, "MiB");
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
