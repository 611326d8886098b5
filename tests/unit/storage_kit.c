/* What the storage tests stand on: the storage under test, and rows copied out of it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "model/emoji.h"
#include "storage_suite.h"

static _Thread_local char detail[512];

static void keep_fail(int code, const char *format, ...) {
  va_list args;
  (void)code;
  va_start(args, format);
  (void)vsnprintf(detail, sizeof detail, *format ? format : "out of memory", args);
  va_end(args);
}

const tc_storage_env storage_env = {
  .size = sizeof(tc_storage_env),
  .clock = {sizeof(tc_clock), tci_sys_wall_us, tci_sys_monotonic_us, NULL},
  .random = {sizeof(tc_random), tci_sys_random, NULL},
  .idempotency_ttl_s = TTL_S,
  .fail = keep_fail,
  .emoji = tci_emoji_canonical,
};

const char *last_fail(void) { return detail; }

void clear_fail(void) { detail[0] = '\0'; }

tc_text text_of(const char *text) {
  tc_text out = {text, text ? strlen(text) : 0};
  return out;
}

tc_record tip(const char *room, const char *user, const char *peer, int64_t created_at_us) {
  tc_record record = {.kind = TC_KIND_TIP, .amount = 100, .created_at_us = created_at_us};
  record.text[TC_COL_ROOM] = text_of(room);
  record.text[TC_COL_USER] = text_of(user);
  record.text[TC_COL_PEER] = text_of(peer);
  return record;
}

tc_node_view hold_shares(const tc_storage_ops *with, tc_storage *to, uint32_t *held) {
  tc_node_view view = {0};
  int64_t cursors[TC_WORK_SHARES];
  *held = 0;
  ck_assert_msg(!with->look(to, 0, 6000, 1, &view), "%s", last_fail());
  ck_assert_int_gt(view.sender, 0);
  ck_assert_msg(!with->work_hold(to, view.sender, view.shares, held, cursors), "%s", last_fail());
  return view;
}

/* ---- the storage under test ---- */

const tc_storage_ops *ops;
tc_storage *storage;
int64_t index_seq;

int append_items(const tc_storage_ops *with, tc_storage *to, tc_append *items, size_t n) {
  uint8_t batch_id[16];
  ck_assert_int_eq(tci_sys_random(NULL, batch_id, sizeof batch_id), 0);
  return with->append(to, items, n, batch_id, NOON);
}

int64_t append_one(const tc_storage_ops *with, tc_storage *to, tc_record record) {
  tc_append item = {.record = &record, .result = 99};
  ck_assert_msg(!append_items(with, to, &item, 1), "%s", last_fail());
  ck_assert_int_eq(item.result, TC_OK);
  return record.seq;
}

static void copy_texts(tc_record *to, const tc_record *from) {
  *to = *from;
  for (int i = 0; i < TC_COL_COUNT; i++) {
    if (!from->text[i].ptr) continue;
    char *copy = malloc(from->text[i].len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, from->text[i].ptr, from->text[i].len);
    to->text[i].ptr = copy;
  }
}

int keep_row(const tc_record *row, void *arg) {
  row_list *rows = arg;
  if (rows->count == rows->cap) {
    rows->cap = rows->cap ? rows->cap * 2 : 16;
    rows->at = realloc(rows->at, rows->cap * sizeof *rows->at);
    ck_assert_ptr_nonnull(rows->at);
  }
  copy_texts(&rows->at[rows->count++], row);
  return 0;
}

void free_rows(row_list *rows) {
  for (size_t i = 0; i < rows->count; i++) {
    for (int j = 0; j < TC_COL_COUNT; j++) free((void *)(uintptr_t)rows->at[i].text[j].ptr);
  }
  free(rows->at);
  memset(rows, 0, sizeof *rows);
}

void derive_some(const tc_storage_ops *with, tc_storage *to, int64_t *seq, size_t batch) {
  for (;;) {
    row_list batch_rows = {0};
    ck_assert_msg(!with->read_log(to, *seq, batch, keep_row, &batch_rows), "%s", last_fail());
    size_t n = batch_rows.count;
    if (n && with->derive) ck_assert_msg(!with->derive(to, batch_rows.at, n), "%s", last_fail());
    *seq += (int64_t)n;
    free_rows(&batch_rows);
    if (n < batch) return;
  }
}

void derive_all(const tc_storage_ops *with, tc_storage *to, int64_t *seq) { derive_some(with, to, seq, 1000); }

tc_snapshot *snapshot_now(void) {
  tc_snapshot *snapshot = NULL;
  int64_t seq = -1;
  ck_assert_msg(!ops->snapshot(storage, &snapshot, &seq), "%s", last_fail());
  ck_assert_int_eq(seq, index_seq);
  return snapshot;
}

int64_t count_all(const tc_storage_ops *with, tc_storage *in, uint32_t kind, const char *room) {
  tc_snapshot *snapshot = NULL;
  tc_filter filter = {.kind = kind};
  int64_t seq = -1, count = -1;
  filter.text[TC_COL_ROOM] = text_of(room);
  ck_assert_msg(!with->snapshot(in, &snapshot, &seq), "%s", last_fail());
  ck_assert_msg(!with->count(snapshot, &filter, &count), "%s", last_fail());
  with->snapshot_end(snapshot);
  return count;
}

void assert_same(const tc_record *a, const tc_record *b) {
  ck_assert_int_eq(a->seq, b->seq);
  ck_assert_int_eq(a->id, b->id);
  ck_assert_int_eq(a->created_at_us, b->created_at_us);
  ck_assert_int_eq(a->amount, b->amount);
  ck_assert_uint_eq(a->kind, b->kind);
  ck_assert_int_eq(a->ref, b->ref);
  for (int i = 0; i < TC_COL_COUNT; i++) {
    ck_assert_int_eq(!a->text[i].ptr, !b->text[i].ptr);
    if (!a->text[i].ptr) continue;
    ck_assert_uint_eq(a->text[i].len, b->text[i].len);
    ck_assert(!memcmp(a->text[i].ptr, b->text[i].ptr, a->text[i].len));
  }
}

int stop_at_second(const tc_record *row, void *arg) {
  (void)row;
  return ++*(int *)arg == 2;
}

void idle_all(int64_t now_us) {
  int32_t more = 1;
  if (!ops->idle) return;
  for (int i = 0; more; i++) {
    more = 0;
    ck_assert_msg(!ops->idle(storage, now_us, &more), "%s", last_fail());
    ck_assert_int_lt(i, 100000);
  }
}

int run_suite(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
