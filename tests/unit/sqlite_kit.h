/* sqlite_kit.h - a storage on files in a directory of its own, for the tests of the SQLite backend's files. */
#ifndef TESTS_SQLITE_KIT_H
#define TESTS_SQLITE_KIT_H

#include <check.h>

#include "tipcurrent/sys/storage.h"

#define NOON INT64_C(1705320000000000)

extern char directory[64], url[128], log_path[96], index_path[96];
extern _Thread_local char detail[512]; /* of the last failure */
extern const tc_storage_env env;
extern const tc_storage_ops *const ops;

void set_up(void);
void tear_down(void);
void assert_files(const char *expected); /* the names in the directory, sorted, a space behind each */
tc_storage *open_storage(tc_storage_state *state);
/* n tips "key-N" from number first on; records and items have room for n, at most 64. */
int append_batch(tc_storage *storage, int64_t first, size_t n, const uint8_t batch_id[16], tc_append *items, tc_record *records);
int try_append(tc_storage *storage, int64_t first, size_t n); /* and expects them to get seq and id first, first + 1 ... */

typedef struct derive_arg {
  tc_storage *storage;
  int code;
} derive_arg;
int derive_row(const tc_record *row, void *arg); /* for read_log: indexes row by row */
int64_t count_room(tc_storage *storage);         /* of all those tips that are indexed */
void run_sql(const char *path, const char *sql); /* by another connection */

#endif
