#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define SET_ASIDE_MAX 999

static int out_of_memory(const tc_storage_env *env) {
  env->fail(TC_ENOMEM, "");
  return TC_ENOMEM;
}

/* The path that stays right after a chdir (readers are opened later) and that is the same for every link to the file (two names must not give two locks). */
static int resolve(const tc_storage_env *env, const char *path, char **out) {
  char real[PATH_MAX], directory[PATH_MAX];
  const char *slash = strrchr(path, '/');
  const char *base = slash ? slash + 1 : path;
  size_t len = slash ? (size_t)(slash - path) + 1 : 0;
  if (!*base || len >= sizeof directory) {
    env->fail(TC_EINVAL, "storage_url: must name a file, after sqlite: stands '%s'", path);
    return TC_EINVAL;
  }
  memcpy(directory, slash ? path : "./", slash ? len : 2);
  directory[slash ? len : 2] = '\0';
  char *joined = NULL;
  if (realpath(path, real)) {
    joined = tci_strndup(real, strlen(real));
  } else if (errno == ENOENT && realpath(directory, real)) {
    size_t room = strlen(real) + strlen(base) + 2;
    if ((joined = tci_alloc(room))) (void)snprintf(joined, room, "%s/%s", strcmp(real, "/") ? real : "", base);
  } else {
    env->fail(TC_ESTORAGE, "cannot open %s: %s", path, strerror(errno));
    return TC_ESTORAGE;
  }
  if (!joined) return out_of_memory(env);
  *out = joined;
  return TC_OK;
}

/* tc.db -> tc-index.db; tc -> tc-index; .tc -> .tc-index */
static char *companion(const char *path, const char *word) {
  const char *base = strrchr(path, '/') + 1;
  const char *dot = strrchr(base, '.');
  size_t stem = dot && dot != base ? (size_t)(dot - path) : strlen(path);
  size_t room = strlen(path) + strlen(word) + 1;
  char *out = tci_alloc(room);
  if (out) (void)snprintf(out, room, "%.*s%s%s", (int)stem, path, word, path + stem);
  return out;
}

/* flock and not SQLite's own locks: it holds between two openers of one process too, and it falls with the process. */
static int take_lock(tci_files *files, const tc_storage_env *env) {
  for (;;) {
    struct stat held, named;
    files->made_lock = 0;
    files->lock_fd = open(files->lock, O_RDWR | O_CLOEXEC);
    if (files->lock_fd < 0 && errno == ENOENT) {
      files->lock_fd = open(files->lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      if (files->lock_fd < 0 && errno == EEXIST) continue;
      files->made_lock = files->lock_fd >= 0;
    }
    if (files->lock_fd < 0) {
      env->fail(TC_ESTORAGE, "cannot open %s: its lock file %s: %s", files->log, files->lock, strerror(errno));
      return TC_ESTORAGE;
    }
    if (flock(files->lock_fd, LOCK_EX | LOCK_NB)) {
      int busy = errno == EWOULDBLOCK;
      env->fail(busy ? TC_EBUSY : TC_ESTORAGE, "cannot open %s: %s", files->log, busy ? "it is open elsewhere" : strerror(errno));
      files->made_lock = 0; /* whoever holds it has it now */
      return busy ? TC_EBUSY : TC_ESTORAGE;
    }
    /* A failed open takes its own lock file away: what we hold may have lost its name in between. */
    if (!fstat(files->lock_fd, &held) && !stat(files->lock, &named) && held.st_ino == named.st_ino && held.st_dev == named.st_dev) return TC_OK;
    (void)close(files->lock_fd);
    files->lock_fd = -1;
  }
}

int tci_files_name(tci_files *files, const tc_storage_env *env, const char *path) {
  struct stat st;
  memset(files, 0, sizeof *files);
  files->lock_fd = -1;
  int code = resolve(env, path, &files->log);
  if (code) return code;
  int absent = stat(files->log, &st) != 0;
  if (!absent && !S_ISREG(st.st_mode)) {
    env->fail(TC_ESTORAGE, "cannot open %s: not a regular file", path);
    code = TC_ESTORAGE;
  } else if (!(files->index = companion(files->log, "-index")) || !(files->work = companion(files->log, "-work")) ||
             !(files->lock = companion(files->log, "-lock"))) {
    code = out_of_memory(env);
  }
  if (code) tci_files_close(files, 0);
  return code;
}

int tci_files_open(tci_files *files, const tc_storage_env *env, const char *path) {
  struct stat st;
  int code = tci_files_name(files, env, path);
  if (code) return code;
  int absent = stat(files->log, &st) != 0;
  code = take_lock(files, env);
  if (code) tci_files_close(files, 1); /* nothing made yet; the log's name may be the holder's by now */
  else files->made_log = absent;
  return code;
}

void tci_files_close(tci_files *files, int failed) {
  if (failed && files->made_log && files->log) {
    /* Best effort: the failure that led here is what gets reported. */
    (void)unlink(files->log);
    (void)unlink(files->index);
    if (files->made_work) (void)unlink(files->work); /* a log that is gone may have left one with deliveries that are owed */
  }
  if (failed && files->made_lock) (void)unlink(files->lock);
  if (files->lock_fd >= 0) {
    (void)flock(files->lock_fd, LOCK_UN); /* also where a forked child still has the descriptor */
    (void)close(files->lock_fd);
  }
  tci_free(files->log);
  tci_free(files->index);
  tci_free(files->work);
  tci_free(files->lock);
  memset(files, 0, sizeof *files);
  files->lock_fd = -1;
}

static uint32_t big_endian(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

/* Does a WAL (or, while the file was first made, a rollback journal) hold what the file itself lacks? */
static int has_content(const char *path, const char *suffix) {
  char name[PATH_MAX + 16];
  struct stat st;
  (void)snprintf(name, sizeof name, "%s%s", path, suffix);
  return !stat(name, &st) && st.st_size > 0;
}

/* The first 100 bytes of an SQLite file: https://www.sqlite.org/fileformat2.html#the_database_header */
static int probe_header(const tc_storage_env *env, const char *path, uint32_t application_id, const uint8_t head[100], int64_t size) {
  if (size < 100 || memcmp(head, "SQLite format 3", 16)) {
    env->fail(TC_ECORRUPT, "cannot open %s: not a tipcurrent database", path);
    return TC_ECORRUPT;
  }
  if (big_endian(head + 68) != application_id) {
    env->fail(TC_ECORRUPT, "cannot open %s: the database of another program", path);
    return TC_ECORRUPT;
  }
  int64_t page = head[16] << 8 | head[17];
  int64_t whole = (page == 1 ? 65536 : page) * (int64_t)big_endian(head + 28);
  /* The page count counts only when it was written with the change counter ("version-valid-for"). With a WAL a checkpoint may have been cut off in the middle:
   * that file is sound. */
  if (big_endian(head + 24) == big_endian(head + 92) && whole > size && !has_content(path, "-wal")) {
    env->fail(TC_ECORRUPT, "cannot open %s: cut off, %lld of its %lld bytes are there", path, (long long)size, (long long)whole);
    return TC_ECORRUPT;
  }
  return TC_OK;
}

/* Reads through SQLite's VFS, not by open(2): closing a second descriptor of a file drops all POSIX locks this process has on it, also those of a host that has
 * the file open in the same SQLite (https://www.sqlite.org/howtocorrupt.html section 2.2). And not by sqlite3_open, which writes a WAL beside a WAL file. */
int tci_file_probe(const tc_storage_env *env, const char *path, uint32_t application_id, int *state) {
  struct stat st;
  if (stat(path, &st)) {
    if (errno == ENOENT) {
      *state = TCI_FILE_ABSENT;
      return TC_OK;
    }
    env->fail(TC_ESTORAGE, "cannot open %s: %s", path, strerror(errno));
    return TC_ESTORAGE;
  }
  sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
  sqlite3_file *file = tci_zalloc((size_t)vfs->szOsFile);
  const char *name = sqlite3_create_filename(path, "", "", 0, NULL);
  int code = TC_ENOMEM, flags = 0;
  uint8_t head[100] = {0};
  sqlite3_int64 size = st.st_size; /* not the VFS's word: it takes a file of one byte for an empty one */
  if (!file || !name) {
    env->fail(TC_ENOMEM, "");
    goto out;
  }
  int rc = vfs->xOpen(vfs, name, file, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, &flags);
  if (!rc && size) rc = file->pMethods->xRead(file, head, sizeof head, 0);
  if (rc && rc != SQLITE_IOERR_SHORT_READ) {
    env->fail(code = TC_ESTORAGE, "cannot read %s: %s", path, sqlite3_errstr(rc));
    goto out;
  }
  /* A journal means that the very first transaction was cut off: SQLite rolls it back. */
  code = size && !has_content(path, "-journal") ? probe_header(env, path, application_id, head, size) : TC_OK;
  if (!code) *state = size ? TCI_FILE_OURS : TCI_FILE_ABSENT;
out:
  if (file && file->pMethods) (void)file->pMethods->xClose(file); /* opened for reading: nothing to lose */
  sqlite3_free_filename(name);
  tci_free(file);
  return code;
}

/* 1: neither the file nor any part of one is there; then nothing can be overwritten. */
static int is_free(const char *path) {
  struct stat st;
  return stat(path, &st) && errno == ENOENT && !has_content(path, "-wal") && !has_content(path, "-journal");
}

int tci_file_set_aside(const tc_storage_env *env, const char *path, char *to, size_t to_size) {
  static const char *const suffixes[] = {"-journal", "-wal", ""}; /* the file last, as below: whoever comes in between finds it still to be set aside */
  char from[PATH_MAX + 32], name[PATH_MAX + 64];
  int number = 0;
  do {
    if (++number > SET_ASIDE_MAX || snprintf(to, to_size, "%s.bad-%d", path, number) >= (int)to_size) {
      env->fail(TC_ESTORAGE, "cannot set %s aside: %d of its kind lie there already", path, SET_ASIDE_MAX);
      return TC_ESTORAGE;
    }
  } while (!is_free(to));
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    (void)snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
    (void)snprintf(name, sizeof name, "%s%s", to, suffixes[i]);
    if (!rename(from, name) || errno == ENOENT) continue;
    env->fail(TC_ESTORAGE, "cannot set %s aside: %s", from, strerror(errno));
    return TC_ESTORAGE;
  }
  return tci_file_remove(env, path); /* -shm: nothing but an index of the WAL */
}

int tci_file_remove(const tc_storage_env *env, const char *path) {
  static const char *const suffixes[] = {"-journal", "-shm", "-wal", ""}; /* the file last: with it gone a stale WAL could be taken for another's */
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    char name[PATH_MAX + 16];
    (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
    if (!unlink(name) || errno == ENOENT) continue;
    env->fail(TC_ESTORAGE, "cannot remove %s: %s", name, strerror(errno));
    return TC_ESTORAGE;
  }
  return TC_OK;
}
