/* The lists of a storage against a naive model, and snapshots. */
#include <stdlib.h>
#include <string.h>

#include "storage_suite.h"

static int filter_matches(const tc_filter *filter, const tc_record *record) {
  if (filter->kind != record->kind) return 0;
  if (filter->absent && record->text[TC_COL_CURRENCY].ptr) return 0;
  for (int i = TC_COL_ROOM; i < TC_COL_COUNT; i++) {
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
    if (rand() % 4 == 0) records[i].text[TC_COL_CURRENCY] = any_word(1);
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
    if (rand() % 4 == 0) filter.text[TC_COL_CURRENCY] = any_word(0);
    else if (rand() % 3 == 0) filter.absent = 1u << TC_COL_CURRENCY;
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
    from += rand() % 3 ? 20 : -60;                                      /* back-dated at times */
    derive_some(ops, storage, &index_seq, (size_t)rand() % 150 + 1);
    if (rand() % 2) idle_all(from);
    if (round % 4 == 3) assert_random_lists(60);
  }
}
END_TEST

/* What has no currency of its own is counted as all but the rest, without reading the rest. */
START_TEST(currencies_are_told_apart) {
  static const char *const codes[] = {"EUR", NULL, NULL, "JPY", NULL};
  for (int i = 0; i < 100; i++) {
    tc_record record = tip(i % 2 ? "a" : "b", "u", "p", NOON + i);
    record.text[TC_COL_CURRENCY] = text_of(codes[i % 5]);
    append_one(ops, storage, record);
  }
  derive_some(ops, storage, &index_seq, 17);
  row_list sorted = {0};
  ck_assert_int_eq(ops->read_log(storage, 0, SIZE_MAX, keep_row, &sorted), TC_OK);
  qsort(sorted.at, sorted.count, sizeof *sorted.at, in_list_order);
  tc_snapshot *snapshot = snapshot_now();
  for (int i = 0; i < 12; i++) {
    tc_filter filter = {.kind = TC_KIND_TIP, .absent = i % 3 ? 0 : 1u << TC_COL_CURRENCY};
    if (i % 3) filter.text[TC_COL_CURRENCY] = text_of(i % 3 == 1 ? "EUR" : "USD");
    if (i / 3 % 2) filter.text[TC_COL_ROOM] = text_of("a");
    if (i / 6) filter.text[TC_COL_USER] = text_of("u");
    assert_list(snapshot, &filter, &sorted);
  }
  ops->snapshot_end(snapshot);
  free_rows(&sorted);
}
END_TEST

/* U+FE0F makes no difference where the rest is an emoji; elsewhere, and in other kinds, it does. */
START_TEST(spellings_of_an_emoji_are_one_list) {
  static const char heart[] = "\xE2\x9D\xA4", heart_too[] = "\xE2\x9D\xA4\xEF\xB8\x8F", kappa_too[] = "Kappa\xEF\xB8\x8F";
  static const struct {
    uint32_t kind;
    const char *emoji;
    int64_t count;
  } cases[] = {
    {TC_KIND_REACTION, heart, 5},     {TC_KIND_REACTION, heart_too, 5}, {TC_KIND_REACTION, "Kappa", 3},
    {TC_KIND_REACTION, kappa_too, 2}, {TC_KIND_TIP, heart, 1},          {TC_KIND_TIP, heart_too, 1},
  };
  static const char *const bodies[] = {heart, heart_too, heart, heart_too, heart_too, "Kappa", "Kappa", "Kappa", kappa_too, kappa_too};
  for (int i = 0; i < 12; i++) {
    tc_record record = tip("r", i % 2 ? "a" : "b", NULL, NOON + i);
    if (i < 10) record.kind = TC_KIND_REACTION;
    record.text[TC_COL_BODY] = text_of(i < 10 ? bodies[i] : i == 10 ? heart : heart_too);
    append_one(ops, storage, record);
  }
  derive_some(ops, storage, &index_seq, 5);
  tc_snapshot *snapshot = snapshot_now();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int more = 0; more < 3; more++) { /* alone; with the room; and where rows are compared */
      tc_filter filter = {.kind = cases[i].kind};
      int64_t count = -1, of_a = -1;
      filter.text[TC_COL_BODY] = text_of(cases[i].emoji);
      if (more) filter.text[TC_COL_ROOM] = text_of("r");
      if (more == 2) filter.text[TC_COL_USER] = text_of("a");
      ck_assert_int_eq(ops->count(snapshot, &filter, &count), TC_OK);
      if (more < 2) ck_assert_int_eq(count, cases[i].count);
      if (more < 2) continue;
      filter.text[TC_COL_USER] = text_of("b");
      ck_assert_int_eq(ops->count(snapshot, &filter, &of_a), TC_OK);
      ck_assert_int_eq(count + of_a, cases[i].count);
    }
  }
  ops->snapshot_end(snapshot);
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

void storage_lists_tests(TCase *all) {
  tcase_add_loop_test(all, lists_and_counts_are_as_a_naive_model_says, 0, 4);
  tcase_add_test(all, currencies_are_told_apart);
  tcase_add_test(all, spellings_of_an_emoji_are_one_list);
  tcase_add_test(all, a_long_list_pages_to_its_end);
  tcase_add_test(all, long_values_are_exact);
  tcase_add_test(all, find_and_fetch);
  tcase_add_test(all, a_snapshot_does_not_move);
  tcase_add_test(all, too_many_snapshots_are_refused_and_recover);
}
