/* Who else may look at the files, in the same process (case O-47): the host's own connections, of the SQLite that the library uses, or of a copy that the host brings along. Locks of POSIX do
 * not hold between two copies. Each case ends as `kill -9` ends it; then everything that was answered must be there.
 */
#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tipcurrent.h"

enum { SAME_COPY, OTHER_COPY };

static char dir[64], path[128], url[160];

static void set_up(void) {
  (void)snprintf(dir, sizeof dir, "/tmp/tipcurrent-copies-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  (void)snprintf(path, sizeof path, "%s/tc.db", dir);
  (void)snprintf(url, sizeof url, "sqlite:%s", path);
}

static void tear_down(void) {
  DIR *entries = opendir(dir);
  ck_assert_ptr_nonnull(entries);
  for (struct dirent *entry; (entry = readdir(entries));) (void)unlinkat(dirfd(entries), entry->d_name, 0);
  (void)closedir(entries);
  ck_assert_int_eq(rmdir(dir), 0);
}

typedef struct sqlite {
  int (*open)(const char *path, sqlite3 **db, int flags, const char *vfs);
  int (*exec)(sqlite3 *db, const char *sql, int (*row)(void *arg, int n, char **texts, char **names), void *arg, char **error);
  int (*close)(sqlite3 *db);
} sqlite;

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  ck_assert_msg(found != NULL, "%s", dlerror());
  return found;
}

static void copy_file(const char *from, const char *to) {
  char bytes[65536];
  ssize_t n;
  int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  ck_assert(in >= 0 && out >= 0);
  while ((n = read(in, bytes, sizeof bytes)) > 0) ck_assert_int_eq(write(out, bytes, (size_t)n), n);
  ck_assert_int_eq(n, 0);
  (void)close(in);
  (void)close(out);
}

/* The same library from another file: for the loader another one, with state of its own. */
static void load(sqlite *s, int which) {
  Dl_info ours;
  char other[128];
  *s = (sqlite){sqlite3_open_v2, sqlite3_exec, sqlite3_close};
  if (which == SAME_COPY) return;
  ck_assert_int_ne(dladdr((void *)(uintptr_t)sqlite3_open_v2, &ours), 0);
  (void)snprintf(other, sizeof other, "%s/libother.so", dir);
  copy_file(ours.dli_fname, other);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  void *library = dlmopen(LM_ID_NEWLM, other, RTLD_NOW | RTLD_LOCAL); /* they forbid DEEPBIND */
#else
  void *library = dlopen(other, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
#endif
  ck_assert_msg(library != NULL, "%s", dlerror());
  *(void **)&s->open = symbol(library, "sqlite3_open_v2");
  *(void **)&s->exec = symbol(library, "sqlite3_exec");
  *(void **)&s->close = symbol(library, "sqlite3_close");
  ck_assert(s->open != sqlite3_open_v2);
}

static int keep_number(void *arg, int n, char **texts, char **names) {
  (void)names;
  if (n) *(int64_t *)arg = strtoll(texts[0], NULL, 10);
  return 0;
}

/* What the host does: look, and go. */
static int64_t look(const sqlite *s, int flags) {
  sqlite3 *db = NULL;
  int64_t n = -1;
  char *error = NULL;
  ck_assert_int_eq(s->open(path, &db, flags, NULL), SQLITE_OK);
  ck_assert_msg(s->exec(db, "SELECT count(*) FROM events", keep_number, &n, &error) == SQLITE_OK, "%s", error ? error : "");
  ck_assert_int_eq(s->close(db), SQLITE_OK);
  return n;
}

static tc_engine *open_engine(void) {
  tc_options options = TC_OPTIONS_INIT;
  tc_engine *engine = NULL;
  options.storage_url = url;
  ck_assert_msg(tc_open(&engine, &options) == TC_OK, "%s", tc_last_error());
  return engine;
}

static void give(tc_engine *engine, int n) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = tip.sender_id = tip.recipient_id = "r";
  tip.amount = 1;
  while (n-- > 0) ck_assert_msg(tc_tip_create(engine, &tip, NULL, NULL) == TC_OK, "%s", tc_last_error());
}

static int64_t total(tc_engine *engine) {
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  int code;
  do code = tc_tip_list(engine, &query, &page);
  while (code == TC_EBUSY);
  ck_assert_msg(code == TC_OK, "%s", tc_last_error());
  int64_t n = tc_page_total(page);
  tc_page_free(page);
  return n;
}

static void child_that_is_killed(int which, int flags) {
  sqlite other;
  load(&other, which);
  tc_engine *engine = open_engine();
  give(engine, 200);
  for (int i = 1; i <= 4; i++) {
    ck_assert_int_eq(look(&other, flags), i * 200);
    give(engine, 200);
    ck_assert_int_eq(total(engine), (i + 1) * 200);
  }
  (void)kill(getpid(), SIGKILL);
}

/* Read-only, or as people open it without thinking. */
static const int flags_of[] = {SQLITE_OPEN_READONLY, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE};

START_TEST(nothing_is_lost_behind_a_look) {
  int status = 0, which = _i / 2;
  int64_t broken = -1;
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (!child) {
    child_that_is_killed(which, flags_of[_i % 2]);
    _exit(1);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  tc_engine *engine = open_engine();
  ck_assert_int_eq(total(engine), 1000);
  give(engine, 1);
  ck_assert_int_eq(total(engine), 1001);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  sqlite3 *db = NULL;
  char *error = NULL;
  ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
  ck_assert_int_eq(sqlite3_exec(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", keep_number, &broken, &error), SQLITE_OK);
  ck_assert_int_eq(broken, 0);
  ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
END_TEST

/* An orderly close still puts everything into the files and takes the WALs away, whoever looked. */
START_TEST(a_close_leaves_no_wal) {
  sqlite other;
  char name[160];
  load(&other, _i);
  for (int round = 1; round <= 3; round++) {
    tc_engine *engine = open_engine();
    give(engine, 10);
    ck_assert_int_eq(look(&other, SQLITE_OPEN_READWRITE), round * 10);
    ck_assert_int_eq(tc_close(engine), TC_OK);
    static const char *const companions[] = {"tc.db-wal", "tc.db-shm", "tc-index.db-wal", "tc-work.db-wal"};
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
      (void)snprintf(name, sizeof name, "%s/%s", dir, companions[i]);
      ck_assert_msg(access(name, F_OK) != 0, "%s is left", name);
    }
    ck_assert_int_eq(look(&other, SQLITE_OPEN_READONLY), round * 10);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sqlite copies");
  TCase *cases = tcase_create("sqlite copies");
  tcase_add_checked_fixture(cases, set_up, tear_down);
  tcase_add_loop_test(cases, nothing_is_lost_behind_a_look, 0, 4);
  tcase_add_loop_test(cases, a_close_leaves_no_wal, SAME_COPY, OTHER_COPY + 1);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
