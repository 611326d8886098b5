/* Configuration and outside effects when memory ends: each allocation of each call, the backend's own and SQLite's, fails once. Then the call has changed nothing, and
 * the next try does it. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oom_kit.h"
#include "storage/schemes.h"
#include "storage_suite.h"

static sqlite3_mem_methods real_methods;

static void *failing_malloc(int size) { return oom_fails() ? NULL : real_methods.xMalloc(size); }
static void *failing_realloc(void *old, int size) { return oom_fails() ? NULL : real_methods.xRealloc(old, size); }

static void replace_sqlite_s(void) {
  sqlite3_mem_methods methods;
  ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_methods), SQLITE_OK);
  methods = real_methods;
  methods.xMalloc = failing_malloc;
  methods.xRealloc = failing_realloc;
  ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
}

/* ---- what is done, in order ---- */

static int64_t doc_id;
static char directory[64];

static int put(void) { return ops->config_put(storage, 1, &doc_id, text_of("{\"url\":\"http://127.0.0.1/\"}")); }

static int ignore_doc(int64_t id, tc_text doc, void *arg) {
  (void)id;
  (void)doc;
  ++*(int *)arg;
  return 0;
}

static int read_docs(void) {
  int count = 0;
  return ops->config_read(storage, 1, ignore_doc, &count);
}

static int commit(void) {
  static tc_owed owed[40], settled[1];
  static tc_delivery log[80];
  memset(log, 0, sizeof log);
  for (int i = 0; i < 40; i++) owed[i] = (tc_owed){.webhook_id = i % 2, .seq = i, .lane = i % 4 - 1, .due_us = i};
  for (int i = 0; i < 80; i++)
    log[i] = (tc_delivery){.webhook_id = i % 2, .seq = i, .created_at_us = NOON + i, .event = text_of("e"), .response = text_of("r")};
  tc_work work = {.cursor_seq = 9, .owed = owed, .owed_n = 40, .settled = settled, .settled_n = 1, .log = log, .log_n = 80};
  int code = ops->work_commit(storage, &work);
  ck_assert_int_eq(log[79].id, code ? 0 : 80); /* a failed one has used up no number */
  return code;
}

static int count_owed(const tc_owed *row, void *arg) {
  (void)row;
  ++*(int *)arg;
  return 0;
}

static int read_state(void) {
  int64_t cursor = -1;
  int count = 0;
  int code = ops->work_state(storage, &cursor, count_owed, &count);
  ck_assert_int_eq(cursor, code ? -1 : 9);
  return code;
}

static int read_due(void) {
  int count = 0;
  return ops->work_due(storage, 1, INT64_MAX, SIZE_MAX, count_owed, &count);
}

static int read_next(void) {
  int64_t due = -1;
  int code = ops->work_next(storage, 1, &due);
  ck_assert_int_eq(due, code ? -1 : 1);
  return code;
}

static int count_delivery(const tc_delivery *row, void *arg) {
  (void)row;
  ++*(int *)arg;
  return 0;
}

static int read_log(void) {
  int64_t total = -1;
  int count = 0;
  int code = ops->deliveries(storage, 1, 0, 100, count_delivery, &count, &total);
  ck_assert_int_eq(total, code ? -1 : 40);
  return code;
}

static int read_one(void) {
  int count = 0;
  return ops->delivery_get(storage, 0, 1, count_delivery, &count);
}

static int trim(void) {
  int32_t more = -1;
  int code = ops->work_trim(storage, NOON + 60, INT64_MAX, &more);
  ck_assert_int_eq(more, code ? -1 : 0);
  return code;
}

static int forget(void) {
  int32_t more = -1;
  int code = ops->work_forget(storage, 1, 5, &more);
  ck_assert_int_eq(more, code ? -1 : 1);
  return code;
}

static int commit_facts(void) {
  static char value[6000];
  static tc_fact facts[40];
  static char keys[40][48];
  for (size_t i = 0; i < 40; i++) {
    (void)snprintf(keys[i], sizeof keys[i], "%04zu%043d", i, 0);
    facts[i] = (tc_fact){1, {keys[i], 4 + i}, {value, i * 150}};
  }
  return ops->facts_commit(storage, 0, facts, 40);
}

static int count_fact(tc_text key, tc_text value, void *arg) {
  (void)key;
  (void)value;
  ++*(int *)arg;
  return 0;
}

static int first_fact(void) {
  int count = 0;
  static const char none[] = "none";
  return ops->fact_first(storage, 1, (tc_text){none, 4}, count_fact, &count);
}

static int scan_facts(void) {
  int count = 0;
  int code = ops->facts_scan(storage, 1, (tc_text){NULL, 0}, (tc_text){NULL, 0}, count_fact, &count);
  if (!code) ck_assert_int_eq(count, 40);
  return code;
}

static int remove_doc(void) { return ops->config_remove(storage, 1, doc_id); }

static int (*const steps[])(void) = {put,      read_docs, commit, read_state,   read_due,   read_next,  read_log,
                                     read_one, trim,      forget, commit_facts, first_fact, scan_facts, remove_doc};
#define STEPS (sizeof steps / sizeof *steps)

/* Runs all steps; the nth allocation of step `at` fails. Returns how many it makes. */
static int run(size_t at, int nth) {
  const char *server = getenv("TIPCURRENT_TEST_PG"); /* then this run is about PostgreSQL */
  char url[256];
  tc_storage_state state;
  int made = 0;
  (void)snprintf(directory, sizeof directory, "/tmp/tc-oom-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  if (server) (void)snprintf(url, sizeof url, "%s?options=-csearch_path%%3Do%d_%d", server, (int)getpid(), nth);
  else (void)snprintf(url, sizeof url, ops == &tci_memory_ops ? "memory:" : "sqlite:%s/tc.db", directory);
  ck_assert_int_eq(ops->open(&storage, url, &storage_env, &state), TC_OK);
  uint32_t held = 0;
  if (ops->work_hold) (void)hold_shares(ops, storage, &held);
  doc_id = 0;
  for (size_t i = 0; i < STEPS; i++) {
    oom_allocations = 0;
    oom_fail_at(i == at ? nth : 0);
    int code = steps[i]();
    if (i == at) made = oom_allocations;
    oom_fail_at(0);
    if (code) ck_assert_msg(i == at && code == TC_ENOMEM, "step %zu, allocation %d: %d %s", i, nth, code, last_fail());
    if (code) ck_assert_msg(!steps[i](), "step %zu, allocation %d, again: %s", i, nth, last_fail());
  }
  ck_assert_msg(!ops->check(storage), "step %zu, allocation %d: %s", at, nth, last_fail());
  ops->close(storage);
  ck_assert_int_eq(oom_blocks, 0);
  if (ops != &tci_sqlite_ops) return rmdir(directory) ? -1 : made;
  char command[96];
  (void)snprintf(command, sizeof command, "rm -rf %s", directory);
  ck_assert_int_eq(system(command), 0);
  return made;
}

static void run_each(size_t at) {
  for (int nth = 1; nth <= run(at, nth); nth += 1 + nth / 16) continue; /* the first ones each; then a commit's pages are many and alike */
}

START_TEST(memory_backend) {
  ops = &tci_memory_ops;
  run_each((size_t)_i);
}
END_TEST

START_TEST(sqlite_backend) {
  replace_sqlite_s();
  ops = &tci_sqlite_ops;
  run_each((size_t)_i);
}
END_TEST

#ifdef TCI_POSTGRESQL
/* Ours only: libpq has an allocator of its own, and says so when it has no memory. */
START_TEST(postgres_backend) {
  ops = &tci_postgres_ops;
  run_each((size_t)_i);
}
END_TEST
#endif

int main(void) {
  Suite *suite = suite_create("storage: out of memory");
  TCase *all = tcase_create("each allocation");
  tcase_set_timeout(all, 120);
  if (!getenv("TIPCURRENT_TEST_PG")) {
    tcase_add_loop_test(all, memory_backend, 0, (int)STEPS);
    tcase_add_loop_test(all, sqlite_backend, 0, (int)STEPS);
  }
#ifdef TCI_POSTGRESQL
  else {
    tcase_add_loop_test(all, postgres_backend, 0, (int)STEPS);
  }
#endif
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
