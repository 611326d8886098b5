/* storage_suite.h - what every storage backend must keep of sys/storage.h: one suite, run on each. */
#ifndef TESTS_STORAGE_SUITE_H
#define TESTS_STORAGE_SUITE_H

#include <check.h>

#include "tipcurrent/sys/storage.h"

#define TTL_S 3600
#define SECOND INT64_C(1000000)
#define NOON (INT64_C(1705320000) * SECOND)

typedef struct storage_fixture {
  const char *name;
  const tc_storage_ops *ops;
  void (*url)(char *out, size_t size); /* of a storage that does not exist yet */
  void (*clean)(void);                 /* after each test; may be NULL */
} storage_fixture;

Suite *storage_suite(const storage_fixture *fixture); /* borrowed */

/* ---- what the tests of one backend use too ---- */

extern const tc_storage_env storage_env; /* system clock and randomness, TTL_S, failures kept for last_fail() */
const char *last_fail(void);             /* this thread's last detail, "" after clear_fail() */
void clear_fail(void);

/* A record of its own texts: T("..."), or NULL. */
tc_text text_of(const char *text);
tc_record tip(const char *room, const char *user, const char *peer, int64_t created_at_us);
/* Appends one record; its seq. */
int64_t append_one(const tc_storage_ops *ops, tc_storage *storage, tc_record record);
/* Indexes all that the log has beyond *index_seq. */
void derive_all(const tc_storage_ops *ops, tc_storage *storage, int64_t *index_seq);
int64_t count_all(const tc_storage_ops *ops, tc_storage *storage, uint32_t kind, const char *room);
/* Of a storage that several nodes share: `to` is a sender, and holds what it can of all webhooks. Its view. */
tc_node_view hold_shares(const tc_storage_ops *with, tc_storage *to, uint32_t *held);
int run_suite(Suite *suite); /* main's exit code */

/* ---- the storage under test: opened and closed around each test ---- */

extern const tc_storage_ops *ops;
extern tc_storage *storage;
extern int64_t index_seq;

/* Rows copied out of the storage. */
typedef struct row_list {
  tc_record *at;
  size_t count, cap;
} row_list;

int append_items(const tc_storage_ops *with, tc_storage *to, tc_append *items, size_t n); /* under a batch id of their own */
int keep_row(const tc_record *row, void *arg);                                            /* copies into a row_list */
int stop_at_second(const tc_record *row, void *arg);                                      /* counts in an int, and stops at 2 */
void free_rows(row_list *rows);
void derive_some(const tc_storage_ops *with, tc_storage *to, int64_t *seq, size_t batch);
void idle_all(int64_t now_us);
tc_snapshot *snapshot_now(void); /* which has everything up to index_seq */
void assert_same(const tc_record *a, const tc_record *b);
void storage_lists_tests(TCase *all);
void storage_docs_tests(TCase *all);
void storage_work_tests(TCase *all);
void storage_facts_tests(TCase *all);
void storage_import_tests(TCase *all);

#endif
