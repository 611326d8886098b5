#include "storage_suite.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

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

/* ---- the storage under test ---- */

static const storage_fixture *fixture;
static const tc_storage_ops *ops;
static tc_storage *storage;
static int64_t index_seq;

static void set_up(void) {
  char url[256];
  tc_storage_state state;
  memset(&state, 0xff, sizeof state);
  clear_fail();
  fixture->url(url, sizeof url);
  ops = fixture->ops;
  ck_assert_msg(!ops->open(&storage, url, &storage_env, &state), "%s", last_fail());
  ck_assert_int_eq(state.log_seq, 0);
  ck_assert_int_eq(state.index_seq, 0);
  ck_assert_int_eq(state.last_created_at_us, 0);
  index_seq = 0;
}

static void tear_down(void) {
  ck_assert_msg(!ops->check(storage), "%s", last_fail());
  ops->close(storage);
  ops->close(NULL);
  if (fixture->clean) fixture->clean();
}

static int append_items(const tc_storage_ops *with, tc_storage *to, tc_append *items, size_t n) {
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

/* Rows copied out of the storage. */
typedef struct row_list {
  tc_record *at;
  size_t count, cap;
} row_list;

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

static int keep_row(const tc_record *row, void *arg) {
  row_list *rows = arg;
  if (rows->count == rows->cap) {
    rows->cap = rows->cap ? rows->cap * 2 : 16;
    rows->at = realloc(rows->at, rows->cap * sizeof *rows->at);
    ck_assert_ptr_nonnull(rows->at);
  }
  copy_texts(&rows->at[rows->count++], row);
  return 0;
}

static void free_rows(row_list *rows) {
  for (size_t i = 0; i < rows->count; i++) {
    for (int j = 0; j < TC_COL_COUNT; j++) free((void *)(uintptr_t)rows->at[i].text[j].ptr);
  }
  free(rows->at);
  memset(rows, 0, sizeof *rows);
}

static void derive_some(const tc_storage_ops *with, tc_storage *to, int64_t *seq, size_t batch) {
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

static tc_snapshot *snapshot_now(void) {
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

static void assert_same(const tc_record *a, const tc_record *b) {
  ck_assert_int_eq(a->seq, b->seq);
  ck_assert_int_eq(a->id, b->id);
  ck_assert_int_eq(a->created_at_us, b->created_at_us);
  ck_assert_int_eq(a->amount, b->amount);
  ck_assert_uint_eq(a->kind, b->kind);
  for (int i = 0; i < TC_COL_COUNT; i++) {
    ck_assert_int_eq(!a->text[i].ptr, !b->text[i].ptr);
    if (!a->text[i].ptr) continue;
    ck_assert_uint_eq(a->text[i].len, b->text[i].len);
    ck_assert(!memcmp(a->text[i].ptr, b->text[i].ptr, a->text[i].len));
  }
}

/* ---- the log ---- */

START_TEST(an_empty_storage_answers_everything) {
  tc_filter filter = {.kind = TC_KIND_TIP};
  row_list none = {0};
  int64_t count = -1, seq = -1;
  uint8_t batch_id[16] = {0};
  ck_assert_int_eq(ops->append(storage, NULL, 0, batch_id, NOON), TC_OK);
  ck_assert_int_eq(ops->read_log(storage, 0, 10, keep_row, &none), TC_OK);
  ck_assert_uint_eq(none.count, 0);
  tc_snapshot *snapshot = snapshot_now();
  ck_assert_int_eq(ops->count(snapshot, &filter, &count), TC_OK);
  ck_assert_int_eq(count, 0);
  clear_fail();
  ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_TIP, 1, &seq), TC_ENOTFOUND);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(seq, -1);
  ops->snapshot_end(snapshot);
  ops->snapshot_end(NULL);
  if (ops->derive) ck_assert_int_eq(ops->derive(storage, NULL, 0), TC_OK);
}
END_TEST

START_TEST(seq_counts_all_and_id_each_kind) {
  tc_record records[6];
  tc_append items[6];
  static const uint32_t kinds[6] = {1, 2, 1, 63, 2, 1};
  static const int64_t ids[6] = {1, 1, 2, 1, 2, 3};
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < 6; i++) {
      records[i] = tip("r", "u", "p", NOON);
      records[i].kind = kinds[i];
      items[i] = (tc_append){.record = &records[i], .result = 99};
    }
    ck_assert_int_eq(append_items(ops, storage, items, 6), TC_OK);
    for (int i = 0; i < 6; i++) {
      ck_assert_int_eq(items[i].result, TC_OK);
      ck_assert_int_eq(records[i].seq, round * 6 + i + 1);
      ck_assert_int_eq(records[i].id, ids[i] + round * (kinds[i] == 1 ? 3 : kinds[i] == 2 ? 2 : 1));
    }
  }
}
END_TEST

static int stop_at_second(const tc_record *row, void *arg) {
  (void)row;
  return ++*(int *)arg == 2;
}

START_TEST(the_log_reads_from_any_place) {
  for (int i = 0; i < 10; i++) append_one(ops, storage, tip("r", "u", "p", NOON + i));
  row_list some = {0};
  ck_assert_int_eq(ops->read_log(storage, 3, 4, keep_row, &some), TC_OK);
  ck_assert_uint_eq(some.count, 4);
  for (size_t i = 0; i < 4; i++) ck_assert_int_eq(some.at[i].seq, (int64_t)i + 4);
  free_rows(&some);
  ck_assert_int_eq(ops->read_log(storage, 10, 4, keep_row, &some), TC_OK);
  ck_assert_int_eq(ops->read_log(storage, 0, 0, keep_row, &some), TC_OK);
  ck_assert_uint_eq(some.count, 0);
  int seen = 0;
  ck_assert_int_eq(ops->read_log(storage, 0, 10, stop_at_second, &seen), TC_OK);
  ck_assert_int_eq(seen, 2);
}
END_TEST

START_TEST(every_byte_is_kept) {
  size_t long_size = 1 << 20;
  char *metadata = malloc(long_size + 1);
  ck_assert_ptr_nonnull(metadata);
  memset(metadata, '\'', long_size);
  metadata[long_size] = '\0';
  tc_record full = {.kind = TC_KIND_REACTION, .amount = INT64_MAX, .created_at_us = -5};
  for (int i = 0; i < TC_COL_COUNT; i++) full.text[i] = text_of("it's \"quoted\"; -- \\ \x01\x7f \xc3\xab \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80 %s ?1");
  full.text[TC_COL_METADATA] = text_of(metadata);
  tc_record empty = {.kind = TC_KIND_REACTION, .amount = INT64_MIN, .created_at_us = INT64_MAX};
  for (int i = 0; i < TC_COL_KEY; i++) empty.text[i] = text_of("");
  tc_record nulls = {.kind = TC_KIND_REACTION, .created_at_us = INT64_MIN};
  tc_append items[3] = {{.record = &full}, {.record = &empty}, {.record = &nulls}};
  ck_assert_msg(!append_items(ops, storage, items, 3), "%s", last_fail());
  row_list read = {0};
  ck_assert_int_eq(ops->read_log(storage, 0, 3, keep_row, &read), TC_OK);
  ck_assert_uint_eq(read.count, 3);
  for (size_t i = 0; i < 3; i++) assert_same(items[i].record, &read.at[i]);
  derive_all(ops, storage, &index_seq);
  free_rows(&read);
  tc_snapshot *snapshot = snapshot_now();
  int64_t seqs[4] = {3, 1, 2, 1};
  ck_assert_int_eq(ops->fetch(snapshot, seqs, 4, keep_row, &read), TC_OK);
  ck_assert_uint_eq(read.count, 4);
  for (size_t i = 0; i < 4; i++) assert_same(items[seqs[i] - 1].record, &read.at[i]);
  ops->snapshot_end(snapshot);
  free_rows(&read);
  free(metadata);
}
END_TEST

/* ---- keys ---- */

static tc_record keyed(const char *key, int64_t created_at_us) {
  tc_record record = tip("r", "u", "p", created_at_us);
  record.text[TC_COL_KEY] = text_of(key);
  return record;
}

/* The result of one append with a key: 0, or the seq that has it. */
static int64_t try_key(uint32_t kind, const char *key, int64_t created_at_us) {
  tc_record record = keyed(key, created_at_us);
  record.kind = kind;
  tc_append item = {.record = &record, .result = 99, .existing_seq = -1};
  ck_assert_msg(!append_items(ops, storage, &item, 1), "%s", last_fail());
  if (item.result == TC_OK) return 0;
  ck_assert_int_eq(item.result, TC_EEXISTS);
  return item.existing_seq;
}

START_TEST(a_known_key_is_a_result) {
  append_one(ops, storage, keyed("a", NOON));
  append_one(ops, storage, keyed("b", NOON));
  derive_all(ops, storage, &index_seq);
  tc_record records[4] = {keyed("a", NOON + 1), keyed("c", NOON + 1), tip("r", "u", "p", NOON + 1), keyed("b", NOON + 1)};
  tc_append items[4] = {{.record = &records[0]}, {.record = &records[1]}, {.record = &records[2]}, {.record = &records[3]}};
  ck_assert_int_eq(append_items(ops, storage, items, 4), TC_OK);
  ck_assert_int_eq(items[0].result, TC_EEXISTS);
  ck_assert_int_eq(items[0].existing_seq, 1);
  ck_assert_int_eq(items[3].existing_seq, 2);
  ck_assert_int_eq(items[1].result, TC_OK);
  ck_assert_int_eq(records[1].seq, 3);
  ck_assert_int_eq(records[2].seq, 4);
  ck_assert_int_eq(records[2].id, 4);
  derive_all(ops, storage, &index_seq);
  ck_assert_int_eq(index_seq, 4);
  tc_append again[2] = {{.record = &records[0]}, {.record = &records[3]}};
  ck_assert_int_eq(append_items(ops, storage, again, 2), TC_OK); /* nothing left to store */
  ck_assert_int_eq(again[1].existing_seq, 2);
}
END_TEST

START_TEST(a_key_belongs_to_its_kind) {
  append_one(ops, storage, keyed("k", NOON));
  derive_all(ops, storage, &index_seq);
  ck_assert_int_eq(try_key(TC_KIND_REACTION, "k", NOON), 0);
  derive_all(ops, storage, &index_seq);
  ck_assert_int_eq(try_key(TC_KIND_REACTION, "k", NOON), 2);
  ck_assert_int_eq(try_key(TC_KIND_TIP, "k", NOON), 1);
  ck_assert_int_eq(try_key(TC_KIND_TIP, "K", NOON), 0);
  ck_assert_int_eq(try_key(TC_KIND_TIP, "k ", NOON), 0);
}
END_TEST

START_TEST(a_key_expires_to_the_microsecond) {
  append_one(ops, storage, keyed("k", NOON));
  derive_all(ops, storage, &index_seq);
  ck_assert_int_eq(try_key(TC_KIND_TIP, "k", NOON + TTL_S * SECOND - 1), 1);
  ck_assert_int_eq(try_key(TC_KIND_TIP, "k", NOON + TTL_S * SECOND), 0);
  derive_all(ops, storage, &index_seq);
  ck_assert_int_eq(try_key(TC_KIND_TIP, "k", NOON + TTL_S * SECOND + 1), 2);
  ck_assert_int_eq(try_key(TC_KIND_TIP, "k", NOON - 5), 2); /* an older record finds the younger event */
}
END_TEST

static void idle_all(int64_t now_us) {
  int32_t more = 1;
  if (!ops->idle) return;
  for (int i = 0; more; i++) {
    more = 0;
    ck_assert_msg(!ops->idle(storage, now_us, &more), "%s", last_fail());
    ck_assert_int_lt(i, 100000);
  }
}

START_TEST(cleaning_up_forgets_only_what_expired) {
  char key[32];
  for (int i = 0; i < 3000; i++) {
    (void)snprintf(key, sizeof key, "k%d", i);
    append_one(ops, storage, keyed(key, NOON + i * SECOND));
    if (i % 700 == 0) {
      derive_all(ops, storage, &index_seq);
      idle_all(NOON + i * SECOND);
    }
  }
  derive_all(ops, storage, &index_seq);
  int64_t now = NOON + (TTL_S + 1000) * SECOND; /* k0 to k1000 are expired */
  idle_all(now);
  idle_all(now);
  for (int i = 0; i < 3000; i += 77) {
    (void)snprintf(key, sizeof key, "k%d", i);
    ck_assert_int_eq(try_key(TC_KIND_TIP, key, now), i <= 1000 ? 0 : i + 1);
  }
  derive_all(ops, storage, &index_seq);
  ck_assert_int_gt(try_key(TC_KIND_TIP, "k0", now + 1), 3000);
}
END_TEST

/* ---- lists against a naive model ---- */

static int filter_matches(const tc_filter *filter, const tc_record *record) {
  if (filter->kind != record->kind) return 0;
  for (int i = TC_COL_ROOM; i <= TC_COL_TARGET; i++) {
    const tc_text *want = &filter->text[i], *has = &record->text[i];
    if (want->ptr && (!want->len || !has->ptr || has->len != want->len || memcmp(has->ptr, want->ptr, want->len))) return 0;
  }
  return 1;
}

static int in_list_order(const void *a, const void *b) {
  const tc_record *x = a, *y = b;
  if (x->created_at_us != y->created_at_us) return x->created_at_us < y->created_at_us ? 1 : -1;
  return x->seq < y->seq ? 1 : -1;
}

typedef struct position_list {
  tc_position at[4096];
  size_t count, max;
} position_list;

static int keep_position(const tc_position *position, void *arg) {
  position_list *positions = arg;
  positions->at[positions->count++] = *position;
  return positions->count == positions->max;
}

/* Walks the list in pages of a random size, each beginning after the last one's end. */
static void assert_list(tc_snapshot *snapshot, const tc_filter *filter, const row_list *sorted) {
  position_list found = {.max = 0};
  tc_position after = {0, 0};
  int64_t count = -1;
  size_t expected = 0;
  for (size_t page = (size_t)rand() % 50 + 1; found.count == found.max; page = (size_t)rand() % 50 + 1) {
    if (found.count) after = found.at[found.count - 1];
    found.max = found.count + page;
    ck_assert_msg(!ops->scan(snapshot, filter, found.count ? &after : NULL, keep_position, &found), "%s", last_fail());
  }
  for (size_t i = 0; i < sorted->count; i++) {
    if (!filter_matches(filter, &sorted->at[i])) continue;
    ck_assert_uint_lt(expected, found.count);
    ck_assert_int_eq(found.at[expected].seq, sorted->at[i].seq);
    ck_assert_int_eq(found.at[expected++].created_at_us, sorted->at[i].created_at_us);
  }
  ck_assert_uint_eq(found.count, expected);
  ck_assert_msg(!ops->count(snapshot, filter, &count), "%s", last_fail());
  ck_assert_int_eq(count, (int64_t)expected);
}

static const char *const words[] = {"a", "b", "c", "ab", "a'b", "\xf0\x9f\x91\x8d", "", "room \xc3\xab"};

static tc_text any_word(int may_be_null) {
  size_t n = sizeof words / sizeof *words;
  size_t i = (size_t)rand() % (n + (may_be_null ? 3 : 0));
  return text_of(i < n ? words[i] : NULL);
}

static void append_random(size_t n, int64_t from_us, int span) {
  tc_record *records = calloc(n, sizeof *records);
  tc_append *items = calloc(n, sizeof *items);
  ck_assert(records && items);
  for (size_t i = 0; i < n; i++) {
    records[i] = (tc_record){.kind = (uint32_t)(rand() % 3) + 1, .amount = rand(), .created_at_us = from_us + rand() % span};
    for (int j = TC_COL_ROOM; j <= TC_COL_TARGET; j++) records[i].text[j] = any_word(1);
    items[i].record = &records[i];
  }
  ck_assert_msg(!append_items(ops, storage, items, n), "%s", last_fail());
  free(items);
  free(records);
}

static void assert_random_lists(int rounds) {
  row_list sorted = {0};
  ck_assert_int_eq(ops->read_log(storage, 0, SIZE_MAX, keep_row, &sorted), TC_OK);
  qsort(sorted.at, sorted.count, sizeof *sorted.at, in_list_order);
  tc_snapshot *snapshot = snapshot_now();
  for (int i = 0; i < rounds; i++) {
    tc_filter filter = {.kind = (uint32_t)(rand() % 4) + 1}; /* one kind that has no events */
    for (int j = TC_COL_ROOM; j <= TC_COL_TARGET; j++) {
      if (rand() % 3 == 0) filter.text[j] = any_word(0);
    }
    assert_list(snapshot, &filter, &sorted);
  }
  ops->snapshot_end(snapshot);
  free_rows(&sorted);
}

START_TEST(lists_and_counts_are_as_a_naive_model_says) {
  srand((unsigned)_i + 1);
  int64_t from = NOON;
  for (int round = 0; round < 12; round++) {
    append_random((size_t)rand() % 200 + 1, from, rand() % 2 ? 1 : 40); /* ties, and out of order */
    from += rand() % 3 ? 20 : -60;                                    /* back-dated at times */
    derive_some(ops, storage, &index_seq, (size_t)rand() % 150 + 1);
    if (rand() % 2) idle_all(from);
    if (round % 4 == 3) assert_random_lists(60);
  }
}
END_TEST

START_TEST(a_long_list_pages_to_its_end) {
  for (int i = 0; i < 30; i++) append_random(100, NOON + i, 1);
  derive_some(ops, storage, &index_seq, 1000);
  idle_all(NOON);
  assert_random_lists(40);
}
END_TEST

START_TEST(long_values_are_exact) {
  char a[1021], b[1021];
  memset(a, 'x', 1020);
  memset(b, 'x', 1020);
  a[1020] = b[1020] = '\0';
  b[1019] = 'y';
  append_one(ops, storage, tip(a, a, b, NOON));
  append_one(ops, storage, tip(b, a, a, NOON));
  append_one(ops, storage, tip(b, b, a, NOON));
  derive_all(ops, storage, &index_seq);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, a), 1);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, b), 2);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, NULL), 3);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, ""), 0);
}
END_TEST

START_TEST(find_and_fetch) {
  for (int i = 0; i < 50; i++) {
    tc_record record = tip("r", "u", "p", NOON);
    record.kind = i % 2 ? TC_KIND_REACTION : TC_KIND_TIP;
    append_one(ops, storage, record);
  }
  derive_all(ops, storage, &index_seq);
  tc_snapshot *snapshot = snapshot_now();
  int64_t seq = 0, seqs[3] = {1, 51, 2};
  for (int64_t id = 1; id <= 25; id++) {
    ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_TIP, id, &seq), TC_OK);
    ck_assert_int_eq(seq, id * 2 - 1);
    ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_REACTION, id, &seq), TC_OK);
    ck_assert_int_eq(seq, id * 2);
  }
  ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_TIP, 26, &seq), TC_ENOTFOUND);
  ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_TIP, 0, &seq), TC_ENOTFOUND);
  ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_TIP, INT64_MIN, &seq), TC_ENOTFOUND);
  ck_assert_int_eq(ops->find_id(snapshot, TC_KIND_TIP, INT64_MAX, &seq), TC_ENOTFOUND);
  ck_assert_int_eq(ops->find_id(snapshot, 7, 1, &seq), TC_ENOTFOUND);
  ck_assert_int_eq(ops->find_id(snapshot, 4000000000u, 1, &seq), TC_ENOTFOUND);
  int seen = 0;
  clear_fail();
  ck_assert_int_eq(ops->fetch(snapshot, seqs, 3, stop_at_second, &seen), TC_ECORRUPT);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(seen, 1);
  ck_assert_int_eq(ops->fetch(snapshot, seqs, 0, stop_at_second, &seen), TC_OK);
  int64_t good[3] = {5, 4, 3};
  seen = 0;
  ck_assert_int_eq(ops->fetch(snapshot, good, 3, stop_at_second, &seen), TC_OK);
  ck_assert_int_eq(seen, 2);
  ops->snapshot_end(snapshot);
}
END_TEST

START_TEST(a_snapshot_does_not_move) {
  append_one(ops, storage, tip("r", "u", "p", NOON));
  derive_all(ops, storage, &index_seq);
  tc_snapshot *before = snapshot_now();
  tc_filter filter = {.kind = TC_KIND_TIP};
  filter.text[TC_COL_ROOM] = text_of("r");
  for (int i = 0; i < 300; i++) append_one(ops, storage, tip("r", "u", "p", NOON - 150 + i));
  derive_some(ops, storage, &index_seq, 50);
  idle_all(NOON);
  int64_t count = -1, seq = -1;
  position_list found = {.max = 4096};
  ck_assert_int_eq(ops->count(before, &filter, &count), TC_OK);
  ck_assert_int_eq(count, 1);
  ck_assert_int_eq(ops->scan(before, &filter, NULL, keep_position, &found), TC_OK);
  ck_assert_uint_eq(found.count, 1);
  ck_assert_int_eq(ops->find_id(before, TC_KIND_TIP, 2, &seq), TC_ENOTFOUND);
  ops->snapshot_end(before);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, "r"), 301);
}
END_TEST

START_TEST(too_many_snapshots_are_refused_and_recover) {
  tc_snapshot *held[64];
  int64_t seq;
  int n = 0, code = TC_OK;
  clear_fail();
  while (n < 64 && !(code = ops->snapshot(storage, &held[n], &seq))) n++;
  ck_assert_int_ge(n, 4);
  if (code) ck_assert_int_eq(code, TC_EBUSY);
  if (code) ck_assert_str_ne(last_fail(), "");
  ops->snapshot_end(held[--n]);
  ops->snapshot_end(snapshot_now());
  while (n) ops->snapshot_end(held[--n]);
  append_one(ops, storage, tip("r", "u", "p", NOON));
}
END_TEST

/* ---- threads ---- */

typedef struct race_state {
  atomic_int stop;
  atomic_int failed;
} race_state;

static int check_descending(const tc_position *position, void *arg) {
  tc_position *last = arg;
  if (position->created_at_us > last->created_at_us || (position->created_at_us == last->created_at_us && position->seq >= last->seq)) return 1;
  *last = *position;
  return 0;
}

static void *read_all_the_time(void *arg) {
  race_state *race = arg;
  tc_filter filter = {.kind = TC_KIND_TIP};
  int rounds = 0;
  while (!atomic_load(&race->stop) || rounds < 3) {
    tc_snapshot *snapshot = NULL;
    int64_t seq = -1, count = -2, last_seq = -3;
    tc_position last = {INT64_MAX, INT64_MAX};
    rounds++;
    if (ops->snapshot(storage, &snapshot, &seq)) break;
    int bad = ops->count(snapshot, &filter, &count) || count != seq || ops->scan(snapshot, &filter, NULL, check_descending, &last) || (seq && last.seq != 1);
    if (!bad && seq) bad = ops->find_id(snapshot, TC_KIND_TIP, seq, &last_seq) || last_seq != seq || ops->find_id(snapshot, TC_KIND_TIP, seq + 1, &last_seq) != TC_ENOTFOUND;
    ops->snapshot_end(snapshot);
    if (bad) atomic_store(&race->failed, 1);
  }
  return NULL;
}

static void *index_all_the_time(void *arg) {
  race_state *race = arg;
  int32_t more;
  while (!atomic_load(&race->stop)) {
    derive_some(ops, storage, &index_seq, 64);
    if (ops->idle && ops->idle(storage, NOON, &more)) atomic_store(&race->failed, 1);
  }
  derive_some(ops, storage, &index_seq, 64);
  return NULL;
}

START_TEST(readers_beside_a_writer_see_whole_states) {
  race_state race;
  atomic_init(&race.stop, 0);
  atomic_init(&race.failed, 0);
  pthread_t readers[3], indexer;
  for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&readers[i], NULL, read_all_the_time, &race), 0);
  ck_assert_int_eq(pthread_create(&indexer, NULL, index_all_the_time, &race), 0);
  for (int i = 0; i < 150; i++) {
    char keys[10][40];
    tc_record records[10];
    tc_append items[10];
    for (int j = 0; j < 10; j++) {
      (void)snprintf(keys[j], sizeof keys[j], "key-%d-%d", i, j);
      records[j] = keyed(keys[j], NOON + i);
      items[j] = (tc_append){.record = &records[j]};
    }
    ck_assert_msg(!append_items(ops, storage, items, 10), "%s", last_fail());
  }
  atomic_store(&race.stop, 1);
  for (int i = 0; i < 3; i++) (void)pthread_join(readers[i], NULL);
  (void)pthread_join(indexer, NULL);
  ck_assert_int_eq(atomic_load(&race.failed), 0);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, "r"), 1500);
}
END_TEST

START_TEST(a_wrong_url_is_named) {
  char url[64];
  tc_storage *none = NULL;
  tc_storage_state state;
  (void)snprintf(url, sizeof url, "%s:", ops->scheme);
  if (!strcmp(ops->scheme, "memory")) (void)snprintf(url, sizeof url, "memory:file");
  clear_fail();
  ck_assert_int_eq(ops->open(&none, url, &storage_env, &state), TC_EINVAL);
  ck_assert_ptr_nonnull(strstr(last_fail(), "storage_url"));
  ck_assert_ptr_null(none);
}
END_TEST

Suite *storage_suite(const storage_fixture *with) {
  Suite *suite = suite_create(with->name);
  TCase *all = tcase_create("contract");
  fixture = with;
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_set_timeout(all, 120);
  tcase_add_test(all, an_empty_storage_answers_everything);
  tcase_add_test(all, seq_counts_all_and_id_each_kind);
  tcase_add_test(all, the_log_reads_from_any_place);
  tcase_add_test(all, every_byte_is_kept);
  tcase_add_test(all, a_known_key_is_a_result);
  tcase_add_test(all, a_key_belongs_to_its_kind);
  tcase_add_test(all, a_key_expires_to_the_microsecond);
  tcase_add_test(all, cleaning_up_forgets_only_what_expired);
  tcase_add_loop_test(all, lists_and_counts_are_as_a_naive_model_says, 0, 4);
  tcase_add_test(all, a_long_list_pages_to_its_end);
  tcase_add_test(all, long_values_are_exact);
  tcase_add_test(all, find_and_fetch);
  tcase_add_test(all, a_snapshot_does_not_move);
  tcase_add_test(all, too_many_snapshots_are_refused_and_recover);
  tcase_add_test(all, readers_beside_a_writer_see_whole_states);
  tcase_add_test(all, a_wrong_url_is_named);
  suite_add_tcase(suite, all);
  return suite;
}

int run_suite(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
