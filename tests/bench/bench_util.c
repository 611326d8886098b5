/* bench_util.c - arguments, scratch directory, clocks, reports, child processes. The made-up tips are in bench_tip.c. */
#include "bench_util.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What atexit and signals must find: a benchmark that fails half-way may leave neither files nor servers behind. */
static struct {
  char dir[PATH_MAX];
  pid_t owner;
  pid_t children[8];
} scratch;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk) {
  (void)st, (void)type, (void)walk;
  if (remove(path) != 0) fprintf(stderr, "cannot remove %s: %s\n", path, strerror(errno));
  return 0;
}

static void end_children(void) {
  for (size_t i = 0; i < sizeof scratch.children / sizeof *scratch.children; i++) {
    if (scratch.children[i] > 0) {
      kill(scratch.children[i], SIGKILL);
      waitpid(scratch.children[i], NULL, 0);
    }
  }
}

static void clean_up(void) {
  if (getpid() != scratch.owner) return;
  end_children();
  if (scratch.dir[0]) nftw(scratch.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Gigabytes in the temporary directory are not left there by a Ctrl-C; but nothing here may allocate: the signal may have come within malloc, or within fork. So somebody else removes them. */
static void on_signal(int number) {
  if (getpid() == scratch.owner) {
    end_children();
    if (scratch.dir[0]) execl("/bin/sh", "sh", "-c", "rm -rf -- \"$0\"; exit \"$1\"", scratch.dir, number == SIGINT ? "130" : "143", (char *)NULL);
  }
  _exit(128 + number);
}

void bench_die(const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  fputs("error: ", stderr);
  vfprintf(stderr, format, ap);
  fputc('\n', stderr);
  va_end(ap);
  exit(1);
}

void *bench_alloc(size_t n, size_t size) {
  void *p = calloc(n, size);
  if (!p) bench_die("out of memory");
  return p;
}

static const char *default_server(const char *program) {
  static char path[PATH_MAX];
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0) bench_die("%s: cannot find itself", program);
  self[n] = '\0';
  char *slash = strrchr(self, '/');
  if (slash) *slash = '\0';
  if (snprintf(path, sizeof path, "%s/../../server/tipcurrentd", self) >= (int)sizeof path) bench_die("path too long");
  return path;
}

static void make_scratch(const char *parent, const char *program) {
  const char *name = strrchr(program, '/') ? strrchr(program, '/') + 1 : program;
  if (snprintf(scratch.dir, sizeof scratch.dir, "%s/%s-XXXXXX", parent, name) >= (int)sizeof scratch.dir) bench_die("path too long");
  if (!mkdtemp(scratch.dir)) {
    scratch.dir[0] = '\0';
    bench_die("cannot make a directory in %s: %s", parent, strerror(errno));
  }
  scratch.owner = getpid();
  atexit(clean_up);
  signal(SIGINT, on_signal);
  signal(SIGTERM, on_signal);
  signal(SIGPIPE, SIG_IGN);
}

void bench_begin(bench_args *args, int argc, char **argv, const char *about) {
  const char *parent = getenv("TMPDIR");
  *args = (bench_args){0};
  if (!parent || !*parent) parent = "/tmp";
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--full")) {
      args->full = 1;
    } else if (!strcmp(argv[i], "--dir") && i + 1 < argc) {
      parent = argv[++i];
    } else if (!strcmp(argv[i], "--server") && i + 1 < argc) {
      args->server = argv[++i];
    } else if (!strcmp(argv[i], "--pairs") && i + 1 < argc) {
      long n = strtol(argv[++i], NULL, 10);
      if (n < 1 || n > 100) bench_die("--pairs: 1 to 100, not %s", argv[i]);
      args->pairs = (unsigned)n;
    } else {
      printf("%s: %s\nusage: %s [--full] [--pairs N] [--dir DIRECTORY] [--server TIPCURRENTD]\n", argv[0], about, argv[0]);
      exit(strcmp(argv[i], "--help") ? 2 : 0);
    }
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!args->server) args->server = default_server(argv[0]);
  make_scratch(parent, argv[0]);
  args->dir = scratch.dir;
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) bench_die("cannot raise the limit of open files: %s", strerror(errno));
  }
}

char *bench_path(const bench_args *args, const char *name) {
  size_t size = strlen(args->dir) + strlen(name) + 2;
  char *path = bench_alloc(size, 1);
  snprintf(path, size, "%s/%s", args->dir, name);
  return path;
}

static int64_t clock_us(clockid_t id) {
  struct timespec ts;
  if (clock_gettime(id, &ts) != 0) bench_die("clock_gettime: %s", strerror(errno));
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t bench_now_us(void) { return clock_us(CLOCK_MONOTONIC); }

double bench_cpu_s(void) { return (double)clock_us(CLOCK_PROCESS_CPUTIME_ID) / 1e6; }

double bench_cpu_of(pid_t pid) {
  clockid_t id;
  if (clock_getcpuclockid(pid, &id) != 0) bench_die("no CPU clock for process %d", (int)pid);
  return (double)clock_us(id) / 1e6;
}

int64_t bench_rss_bytes(pid_t pid) {
  char path[64], line[256];
  long long kib = -1;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *file = fopen(path, "re");
  if (!file) bench_die("cannot read %s: %s", path, strerror(errno));
  while (kib < 0 && fgets(line, sizeof line, file)) sscanf(line, "RssAnon: %lld kB", &kib);
  fclose(file);
  if (kib < 0) bench_die("%s has no RssAnon", path);
  return kib * 1024;
}

void bench_report(const char *name, double value, const char *unit) {
  int digits = value >= 1000 ? 0 : value >= 10 ? 1 : 3;
  printf("%s %.*f %s\n", name, digits, value, unit);
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(const double *values, size_t n) {
  double *sorted = bench_alloc(n, sizeof *sorted);
  memcpy(sorted, values, n * sizeof *sorted);
  qsort(sorted, n, sizeof *sorted, compare_doubles);
  double median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  free(sorted);
  return median;
}

static int compare_u32(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

uint32_t bench_percentile(uint32_t *values, size_t n, double part) {
  if (!n) bench_die("nothing was measured");
  qsort(values, n, sizeof *values, compare_u32);
  size_t at = (size_t)((double)n * part);
  return values[at < n ? at : n - 1];
}

static void remember_child(pid_t from, pid_t to) {
  for (size_t i = 0; i < sizeof scratch.children / sizeof *scratch.children; i++) {
    if (scratch.children[i] == from) {
      scratch.children[i] = to;
      return;
    }
  }
  bench_die("too many servers");
}

/* The child's first line ends in its port: "listening on http://127.0.0.1:PORT", or the bare number. */
static uint16_t read_port(int fd, const char *who) {
  char line[256];
  size_t n = 0;
  while (n < sizeof line - 1) {
    ssize_t got = read(fd, line + n, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) bench_die("%s ended before it listened", who);
    if (line[n] == '\n') break;
    n++;
  }
  line[n] = '\0';
  const char *colon = strrchr(line, ':');
  long port = strtol(colon ? colon + 1 : line, NULL, 10);
  if (port < 1 || port > 65535) bench_die("%s: no port in its first line: %s", who, line);
  return (uint16_t)port;
}

static pid_t fork_child(int fds[2]) {
  if (pipe2(fds, O_CLOEXEC) != 0) bench_die("pipe: %s", strerror(errno));
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) bench_die("fork: %s", strerror(errno));
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
  }
  return pid;
}

void bench_server_start(bench_server *server, const bench_args *args, const char *storage, const char *const *extra) {
  const char *argv[32] = {args->server, "--listen", "127.0.0.1:0", "--storage", storage};
  size_t argc = 5;
  int fds[2];
  for (; extra && *extra; extra++) {
    if (argc + 1 >= sizeof argv / sizeof *argv) bench_die("too many arguments");
    argv[argc++] = *extra;
  }
  pid_t pid = fork_child(fds);
  if (pid == 0) {
    dup2(fds[1], STDOUT_FILENO);
    execv(args->server, (char *const *)(uintptr_t)argv);
    fprintf(stderr, "error: cannot run %s: %s\n", args->server, strerror(errno));
    _exit(127);
  }
  remember_child(0, pid);
  close(fds[1]);
  *server = (bench_server){.pid = pid, .port = read_port(fds[0], args->server)};
  close(fds[0]);
}

void bench_server_fork(bench_server *server, void (*serve)(int fd)) {
  int fds[2];
  pid_t pid = fork_child(fds);
  if (pid == 0) {
    close(fds[0]);
    serve(fds[1]);
    _exit(1);
  }
  remember_child(0, pid);
  close(fds[1]);
  *server = (bench_server){.pid = pid, .port = read_port(fds[0], "the bare server")};
  close(fds[0]);
}

void bench_settle(pid_t pid) {
  int64_t deadline = bench_now_us() + 30000000;
  double before = bench_cpu_of(pid), after;
  /* Longer than the daemon waits for the end of a storm before it counts it. */
  for (int quiet = 0;; before = after) {
    usleep(50000);
    after = bench_cpu_of(pid);
    quiet = after - before < 0.002 ? quiet + 1 : 0;
    if (quiet == 10) return;
    if (bench_now_us() > deadline) bench_die("process %d does not come to rest", (int)pid);
  }
}

int bench_server_stop(bench_server *server) {
  int status = 0;
  int64_t deadline = bench_now_us() + 10000000;
  kill(server->pid, SIGTERM);
  while (waitpid(server->pid, &status, WNOHANG) == 0) {
    if (bench_now_us() > deadline) kill(server->pid, SIGKILL);
    usleep(2000);
  }
  remember_child(server->pid, 0);
  server->pid = 0;
  return status;
}
