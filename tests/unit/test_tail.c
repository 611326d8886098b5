/* The tail by itself, against a plain model: chains, trimming, bounds. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tail.h"

static const tci_sipkey key = {1, 2};

static tc_event *make(int64_t seq, int room, int user, int with_key) {
  static char text[3][32];
  tc_record r = {.kind = TC_KIND_TIP, .amount = 1, .seq = seq, .id = seq, .created_at_us = seq * 10};
  (void)snprintf(text[0], 32, "room%d", room);
  (void)snprintf(text[1], 32, "user%d", user);
  (void)snprintf(text[2], 32, "key%lld", (long long)seq);
  r.text[TC_COL_ROOM] = (tc_text){text[0], strlen(text[0])};
  r.text[TC_COL_USER] = (tc_text){text[1], strlen(text[1])};
  r.text[TC_COL_PEER] = r.text[TC_COL_ROOM];
  if (with_key) r.text[TC_COL_KEY] = (tc_text){text[2], strlen(text[2])};
  tc_event *event = tci_event_from_row(&r);
  ck_assert_ptr_nonnull(event);
  return event;
}

static void add(tci_tail *tail, int64_t seq, int room, int user) {
  tc_event *event = make(seq, room, user, 1);
  ck_assert_int_eq(tci_tail_reserve(tail, 1), TC_OK);
  tci_tail_add(tail, &event, 1);
  tc_event_unref(event);
}

START_TEST(random_growth_and_trimming_equal_a_model) {
  enum { N = 40000 };
  tci_tail *tail = NULL;
  int *rooms = calloc(N + 1, sizeof *rooms), *users = calloc(N + 1, sizeof *users);
  ck_assert(rooms && users);
  ck_assert_int_eq(tci_tail_new(&tail, &key, 0, 1000000, 1u << 30), TC_OK);
  uint32_t x = 99;
  int64_t indexed = 0;
  for (int64_t seq = 1; seq <= N; seq++) {
    x = x * 1664525u + 1013904223u;
    rooms[seq] = (int)(x >> 16) % 50;
    users[seq] = (int)(x >> 8) % 3000;
    add(tail, seq, rooms[seq], users[seq]);
    if (x % 97 == 0) {
      indexed += (int64_t)(x >> 10) % (seq - indexed + 1);
      tci_tail_indexed(tail, indexed);
    }
    if (x % 211 != 0) continue;
    int64_t base = tci_tail_base(tail);
    ck_assert_int_le(base, indexed + 1);
    ck_assert_int_eq(tci_tail_end(tail), seq);
    /* A filtered look equals a plain walk. */
    char text[32];
    tc_filter filter = {.kind = TC_KIND_TIP};
    int by_user = x >> 20 & 1;
    int value = by_user ? users[seq - (int64_t)(x >> 12) % seq] : (int)(x >> 12) % 51;
    (void)snprintf(text, sizeof text, by_user ? "user%d" : "room%d", value);
    filter.text[by_user ? TC_COL_USER : TC_COL_ROOM] = (tc_text){text, strlen(text)};
    tci_hits hits = {0};
    ck_assert_int_eq(tci_tail_collect(tail, &filter, indexed, NULL, 10, &hits), TC_OK);
    int64_t total = 0;
    for (int64_t s = seq; s > indexed && s >= base; s--) {
      if ((by_user ? users[s] : rooms[s]) != value) continue;
      if (total < 10) ck_assert_int_eq(tc_event_seq(hits.events[total]), s);
      total++;
    }
    ck_assert_int_eq(hits.total, total);
    ck_assert_uint_eq(hits.n, total < 10 ? (size_t)total : 10);
    ck_assert_int_eq(hits.base, base);
    tci_hits_free(&hits);
    /* Every key and id it holds is found, none that it dropped. */
    for (int i = 0; i < 5; i++) {
      x = x * 1664525u + 1013904223u;
      int64_t s = 1 + (int64_t)(x >> 4) % seq;
      (void)snprintf(text, sizeof text, "key%lld", (long long)s);
      tc_event *by_key = tci_tail_find_key(tail, TC_KIND_TIP, (tc_text){text, strlen(text)});
      tc_event *by_id = tci_tail_find_id(tail, TC_KIND_TIP, s);
      ck_assert_int_eq(by_key != NULL, s >= base);
      ck_assert_ptr_eq(by_key, by_id);
      if (by_key) ck_assert_int_eq(tc_event_seq(by_key), s);
      ck_assert_ptr_null(tci_tail_find_id(tail, TC_KIND_REACTION, s));
      tc_event_unref(by_key);
      tc_event_unref(by_id);
    }
  }
  tci_tail_free(tail);
  free(rooms);
  free(users);
}
END_TEST

START_TEST(what_is_indexed_goes_but_for_a_little) {
  tci_tail *tail = NULL;
  ck_assert_int_eq(tci_tail_new(&tail, &key, 100, 1000000, 1u << 30), TC_OK);
  ck_assert_int_eq(tci_tail_base(tail), 101);
  for (int64_t seq = 101; seq <= 20000; seq++) add(tail, seq, 1, 1);
  tci_tail_indexed(tail, 20000);
  ck_assert_int_eq(tci_tail_base(tail), 20000 - TCI_TAIL_BEHIND + 1);
  uint64_t events, bytes;
  tci_tail_usage(tail, &events, &bytes);
  ck_assert_uint_eq(events, TCI_TAIL_BEHIND);
  tc_event *out[8];
  ck_assert_int_eq(tci_tail_take(tail, 100, 8, out), -1);
  ck_assert_int_eq(tci_tail_take(tail, 20001, 8, out), 0);
  ck_assert_int_eq(tci_tail_take(tail, 19998, 8, out), 3);
  for (int i = 0; i < 3; i++) tc_event_unref(out[i]);
  tci_tail_free(tail);
}
END_TEST

START_TEST(what_is_not_indexed_is_bounded_in_events_and_bytes) {
  tci_tail *tail = NULL;
  ck_assert_int_eq(tci_tail_new(&tail, &key, 0, 10, 1u << 30), TC_OK);
  ck_assert_int_eq(tci_tail_wait_room(tail, 1000, 1000, 0), 1); /* nothing unindexed: anything goes */
  for (int64_t seq = 1; seq <= 8; seq++) add(tail, seq, 1, 1);
  ck_assert_int_eq(tci_tail_wait_room(tail, 2, 10, 0), 1);
  ck_assert_int_eq(tci_tail_wait_room(tail, 3, 10, 1000), 0);
  tci_tail_indexed(tail, 4);
  ck_assert_int_eq(tci_tail_wait_room(tail, 3, 10, 0), 1);
  tci_tail_free(tail);
  ck_assert_int_eq(tci_tail_new(&tail, &key, 0, 1000, 5000), TC_OK);
  add(tail, 1, 1, 1);
  ck_assert_int_eq(tci_tail_wait_room(tail, 1, 5000, 0), 0);
  tci_tail_indexed(tail, 1);
  ck_assert_int_eq(tci_tail_wait_room(tail, 1, 5000, 0), 1);
  tci_tail_free(tail);
  tci_tail_free(NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tail");
  TCase *tc = tcase_create("tail");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, random_growth_and_trimming_equal_a_model);
  tcase_add_test(tc, what_is_indexed_goes_but_for_a_little);
  tcase_add_test(tc, what_is_not_indexed_is_bounded_in_events_and_bytes);
  suite_add_tcase(suite, tc);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
