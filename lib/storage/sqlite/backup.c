/* backup.c - copies of the three files that open by themselves, taken while somebody writes to them.
 *
 * Each is the pages of one read transaction, so that the copy is the file as it was at one moment; without that the backup would begin anew whenever the other process commits. Outside effects
 * are copied first and the log last: what work and index say then is never about an event that the copied log does not have. The index could be left out, but a large log would be rebuilding
 * it for hours. The log gets its name last: a directory without it is no copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/sqlite/sqlite.h"

#define PAGES_A_STEP 2048 /* 8 MiB: how often progress is told */
#define PART ".part"
enum { WORK, INDEX, LOG, FILES };

typedef struct copier {
  const tc_storage_env *env;
  const char *from[FILES];
  uint32_t application_id[FILES];
  int64_t pages[FILES]; /* as they are before it begins: for progress */
  int present[FILES];   /* it is there to be copied */
  char to[FILES][PATH_MAX], part[FILES][PATH_MAX + sizeof PART];
  tc_copied_fn copied;
  void *arg;
  int64_t done, total, log_seq;
} copier;

static int system_fail(const copier *c, const char *doing, const char *path) {
  c->env->fail(TC_ESTORAGE, "cannot %s %s: %s", doing, path, strerror(errno));
  return TC_ESTORAGE;
}

static int name_target(copier *c, const char *directory, int i) {
  struct stat st;
  const char *base = strrchr(c->from[i], '/') + 1;
  if (snprintf(c->to[i], sizeof c->to[i], "%s/%s", directory, base) >= (int)sizeof c->to[i]) {
    c->env->fail(TC_EINVAL, "directory: its name is too long");
    return TC_EINVAL;
  }
  (void)snprintf(c->part[i], sizeof c->part[i], "%s" PART, c->to[i]);
  if (!stat(c->to[i], &st)) {
    c->env->fail(TC_EEXISTS, "%s is there already: a backup overwrites nothing", c->to[i]);
    return TC_EEXISTS;
  }
  return errno == ENOENT ? TC_OK : system_fail(c, "look at", c->to[i]);
}

static int prepare(copier *c, const tci_files *files, const char *directory) {
  const char *const from[FILES] = {files->work, files->index, files->log};
  static const uint32_t ids[FILES] = {TCI_WORK_APPLICATION_ID, TCI_INDEX_APPLICATION_ID, TCI_LOG_APPLICATION_ID};
  if (mkdir(directory, 0777) && errno != EEXIST) return system_fail(c, "make", directory);
  int code = TC_OK;
  for (int i = 0; i < FILES && !code; i++) {
    struct stat st;
    int state = TCI_FILE_ABSENT;
    c->from[i] = from[i];
    code = tci_file_probe(c->env, from[i], ids[i], &state);
    if (code == TC_ECORRUPT && i == INDEX) code = TC_OK; /* made anew at the next open */
    c->present[i] = state == TCI_FILE_OURS;
    if (c->present[i] && !stat(from[i], &st)) c->total += st.st_size / 4096;
    if (!code) code = name_target(c, directory, i);
  }
  if (code || c->present[LOG]) return code;
  c->env->fail(TC_ENOTFOUND, "there is no log %s", files->log);
  return TC_ENOTFOUND;
}

/* All pages, in slices. Returns SQLite's rc; *stopped: by the caller. */
static int copy_pages(copier *c, sqlite3 *from, sqlite3 *to, int *stopped) {
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
  int rc = SQLITE_OK;
  int64_t before = c->done;
  if (!backup) return sqlite3_errcode(to);
  do {
    rc = sqlite3_backup_step(backup, PAGES_A_STEP);
    c->done = before + sqlite3_backup_pagecount(backup) - sqlite3_backup_remaining(backup);
    if (c->total < c->done) c->total = c->done;
    *stopped = c->copied && c->copied(c->done, c->total, c->arg);
  } while (rc == SQLITE_OK && !*stopped);
  int finished = sqlite3_backup_finish(backup);
  return rc == SQLITE_DONE ? finished : rc;
}

static int copy_file(copier *c, int i) {
  tci_db from, to;
  int64_t seen = 0;
  int stopped = 0, rc = SQLITE_OK;
  struct stat st;
  memset(&to, 0, sizeof to);
  memset(&from, 0, sizeof from);
  int code = tci_file_remove(c->env, c->part[i]); /* of a backup that was killed */
  if (!code) code = tci_db_open(&from, c->env, c->from[i], SQLITE_OPEN_READONLY);
  if (!code) code = tci_db_exec(&from, "BEGIN", "read");
  /* The first read: from here on the view is fixed. */
  if (!code)
    code = tci_db_pragma(&from, i == LOG ? "SELECT coalesce(max(seq), 0) FROM events" : "SELECT count(*) FROM sqlite_master", i == LOG ? &c->log_seq : &seen);
  if (!code) code = tci_db_open(&to, c->env, c->part[i], SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  /* Secrets of webhooks stand in it: whoever may not read the one may not read the other. */
  if (!code && (stat(c->from[i], &st) || chmod(c->part[i], st.st_mode & 0777))) code = system_fail(c, "set the mode of", c->part[i]);
  if (!code) rc = copy_pages(c, from.handle, to.handle, &stopped);
  if (rc) code = tci_db_fail(&to, rc, "write");
  if (!code && stopped) c->env->fail(code = TC_EUSER, "the backup was stopped");
  tci_db_close(&to);
  tci_db_rollback(&from);
  tci_db_close(&from);
  return code;
}

/* The names, and that they stay after a power cut. */
static int publish(copier *c, const char *directory) {
  for (int i = 0; i < FILES; i++) {
    if (c->present[i] && rename(c->part[i], c->to[i])) return system_fail(c, "name", c->to[i]);
  }
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int failed = fd < 0 || fsync(fd);
  int code = failed ? system_fail(c, "sync", directory) : TC_OK;
  if (fd >= 0) (void)close(fd); /* only read from */
  return code;
}

int tci_sqlite_backup(const char *url, const tc_storage_env *env, const char *directory, tc_copied_fn copied, void *arg, int64_t *log_seq) {
  copier c = {.env = env, .copied = copied, .arg = arg};
  tci_files files;
  const char *path = NULL;
  int code = tci_sqlite_path(env, url, &path);
  if (!code) code = tci_files_name(&files, env, path);
  if (code) return code;
  code = prepare(&c, &files, directory);
  int begun = !code;
  for (int i = 0; i < FILES && !code; i++) {
    if (c.present[i]) code = copy_file(&c, i);
  }
  if (!code) code = publish(&c, directory);
  if (!code) *log_seq = c.log_seq;
  for (int i = 0; i < FILES && code && begun; i++) (void)tci_file_remove(env, c.part[i]); /* best effort: the next one takes them away */
  tci_files_close(&files, 0);
  return code;
}
