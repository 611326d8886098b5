#include "sqlite_kit.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "storage/schemes.h"

char directory[64], url[128], log_path[96], index_path[96];
_Thread_local char detail[512];

static void keep_fail(int code, const char *format, ...) {
  va_list args;
  (void)code;
  va_start(args, format);
  (void)vsnprintf(detail, sizeof detail, *format ? format : "out of memory", args);
  va_end(args);
}

const tc_storage_env env = {
  .size = sizeof(tc_storage_env),
  .clock = {sizeof(tc_clock), tci_sys_wall_us, tci_sys_monotonic_us, NULL},
  .random = {sizeof(tc_random), tci_sys_random, NULL},
  .idempotency_ttl_s = 3600,
  .fail = keep_fail,
};
const tc_storage_ops *const ops = &tci_sqlite_ops;

void set_up(void) {
  (void)snprintf(directory, sizeof directory, "/tmp/tc-files-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  (void)snprintf(log_path, sizeof log_path, "%s/tc.db", directory);
  (void)snprintf(index_path, sizeof index_path, "%s/tc-index.db", directory);
  (void)snprintf(url, sizeof url, "sqlite:%s", log_path);
}

/* The names in the directory, sorted, each with a space behind it. */
static void list_files(char *out, size_t size) {
  struct dirent **names = NULL;
  int n = scandir(directory, &names, NULL, alphasort);
  size_t len = 0;
  ck_assert_int_ge(n, 0);
  out[0] = '\0';
  for (int i = 0; i < n; i++) {
    if (strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, "..")) len += (size_t)snprintf(out + len, size - len, "%s ", names[i]->d_name);
    free(names[i]);
  }
  free(names);
}

void assert_files(const char *expected) {
  char found[512];
  list_files(found, sizeof found);
  ck_assert_str_eq(found, expected);
}

void tear_down(void) {
  char command[128];
  (void)snprintf(command, sizeof command, "rm -rf %s", directory);
  ck_assert_int_eq(system(command), 0);
}

tc_storage *open_storage(tc_storage_state *state) {
  tc_storage *storage = NULL;
  ck_assert_msg(!ops->open(&storage, url, &env, state), "%s", detail);
  return storage;
}

int append_batch(tc_storage *storage, int64_t first, size_t n, const uint8_t batch_id[16], tc_append *items, tc_record *records) {
  static char keys[64][32];
  for (size_t i = 0; i < n; i++) {
    (void)snprintf(keys[i], sizeof keys[i], "key-%lld", (long long)(first + (int64_t)i));
    records[i] = (tc_record){.kind = TC_KIND_TIP, .amount = 5, .created_at_us = NOON + first};
    records[i].text[TC_COL_ROOM] = (tc_text){"room", 4};
    records[i].text[TC_COL_KEY] = (tc_text){keys[i], strlen(keys[i])};
    items[i] = (tc_append){.record = &records[i], .result = 99};
  }
  return ops->append(storage, items, n, batch_id, NOON);
}

int try_append(tc_storage *storage, int64_t first, size_t n) {
  tc_append items[64];
  tc_record records[64];
  uint8_t batch_id[16];
  ck_assert_int_eq(tci_sys_random(NULL, batch_id, sizeof batch_id), 0);
  int code = append_batch(storage, first, n, batch_id, items, records);
  if (!code) {
    for (size_t i = 0; i < n; i++) ck_assert_int_eq(items[i].result, TC_OK);
    for (size_t i = 0; i < n; i++) ck_assert_int_eq(records[i].seq, first + (int64_t)i);
    for (size_t i = 0; i < n; i++) ck_assert_int_eq(records[i].id, first + (int64_t)i);
  }
  return code;
}

int derive_row(const tc_record *row, void *arg) {
  derive_arg *to = arg;
  to->code = ops->derive(to->storage, row, 1);
  return to->code;
}

int64_t count_room(tc_storage *storage) {
  tc_snapshot *snapshot = NULL;
  tc_filter filter = {.kind = TC_KIND_TIP};
  int64_t seq, count = -1;
  filter.text[TC_COL_ROOM] = (tc_text){"room", 4};
  ck_assert_msg(!ops->snapshot(storage, &snapshot, &seq), "%s", detail);
  ck_assert_msg(!ops->count(snapshot, &filter, &count), "%s", detail);
  ops->snapshot_end(snapshot);
  return count;
}

void run_sql(const char *path, const char *sql) {
  sqlite3 *db = NULL;
  ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
  ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
  ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
