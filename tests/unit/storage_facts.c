/* What every backend must keep of facts. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage_suite.h"

static const tc_text none = {NULL, 0};

static void commit(int64_t seq, const tc_fact *facts, size_t n) { ck_assert_msg(!ops->facts_commit(storage, seq, facts, n), "%s", last_fail()); }

static void put(uint32_t space, const char *key, const char *value) {
  int64_t seq = -1;
  ck_assert_int_eq(ops->facts_cursor(storage, &seq), TC_OK);
  tc_fact fact = {space, text_of(key), text_of(value)};
  commit(seq, &fact, 1);
}

/* "a=1 b=2 " */
static int list_fact(tc_text key, tc_text value, void *arg) {
  char *out = arg;
  size_t len = strlen(out);
  (void)snprintf(out + len, 256 - len, "%.*s=%.*s ", (int)key.len, key.ptr, (int)value.len, value.ptr);
  return 0;
}

static void assert_scan(uint32_t space, const char *from, const char *to, const char *expected) {
  char found[256] = "";
  ck_assert_msg(!ops->facts_scan(storage, space, text_of(from), text_of(to), list_fact, found), "%s", last_fail());
  ck_assert_str_eq(found, expected);
}

static void assert_get(uint32_t space, const char *key, const char *expected) {
  char found[256] = "", exact[64];
  ck_assert_msg(!ops->fact_first(storage, space, text_of(key), list_fact, found), "%s", last_fail());
  (void)snprintf(exact, sizeof exact, "%s=", key);
  ck_assert_str_eq(strncmp(found, exact, strlen(exact)) ? "" : found, expected);
}

START_TEST(facts_are_put_read_and_removed) {
  assert_scan(1, NULL, NULL, "");
  assert_get(1, "a", "");
  put(1, "b", "2");
  put(1, "a", "1");
  put(2, "a", "other");
  put(TC_FACT_SPACE_MAX, "z", "last");
  assert_scan(1, NULL, NULL, "a=1 b=2 ");
  assert_scan(2, NULL, NULL, "a=other ");
  assert_scan(TC_FACT_SPACE_MAX, NULL, NULL, "z=last ");
  assert_get(1, "b", "b=2 ");
  assert_get(2, "b", "");
  put(1, "b", "two");
  put(1, "a", NULL);
  put(1, "never", NULL);
  assert_scan(1, NULL, NULL, "b=two ");
  assert_get(1, "a", "");
}
END_TEST

START_TEST(facts_stand_in_the_order_of_their_bytes) {
  static const char *const keys[] = {"b", "", "a", "aa", "ab", "\x01", "\xff", "\xff\xff", "a\x01", "B"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) put(3, keys[i], "v");
  assert_scan(3, NULL, NULL, "=v \x01=v B=v a=v a\x01=v aa=v ab=v b=v \xff=v \xff\xff=v ");
  assert_scan(3, "a", "b", "a=v a\x01=v aa=v ab=v "); /* from is in, to is out */
  assert_scan(3, "a\x02", "aa", "");
  assert_scan(3, "aa", "aa", "");
  assert_scan(3, "b", "a", "");
  assert_scan(3, "b", NULL, "b=v \xff=v \xff\xff=v ");
  assert_scan(3, NULL, "", "");
  assert_scan(3, NULL, "a", "=v \x01=v B=v ");
  char found[256] = "";
  ck_assert_int_eq(ops->fact_first(storage, 3, text_of("a\x02"), list_fact, found), TC_OK);
  ck_assert_int_eq(ops->fact_first(storage, 3, text_of("ab"), list_fact, found), TC_OK);
  ck_assert_int_eq(ops->fact_first(storage, 3, none, list_fact, found), TC_OK);
  put(4, "a", "the next space");
  ck_assert_int_eq(ops->fact_first(storage, 3, text_of("\xff\xff\xff"), list_fact, found), TC_OK);
  ck_assert_str_eq(found, "aa=v ab=v =v ");
}
END_TEST

static int stop_at_third(tc_text key, tc_text value, void *arg) {
  (void)key;
  (void)value;
  return ++*(int *)arg == 3;
}

START_TEST(a_walk_over_facts_can_be_stopped) {
  char key[2] = "a";
  int seen = 0;
  for (; key[0] < 'k'; key[0]++) put(1, key, "v");
  ck_assert_int_eq(ops->facts_scan(storage, 1, none, none, stop_at_third, &seen), TC_OK);
  ck_assert_int_eq(seen, 3);
  assert_scan(1, "i", NULL, "i=v j=v "); /* nothing is left open by it */
}
END_TEST

START_TEST(of_two_facts_for_one_key_the_later_counts) {
  tc_fact facts[] = {{1, text_of("b"), text_of("1")}, {1, text_of("a"), text_of("1")}, {1, text_of("b"), text_of("2")}, {1, text_of("c"), text_of("1")},
                     {1, text_of("c"), none},         {1, text_of("a"), none},         {1, text_of("a"), text_of("3")}};
  commit(0, facts, sizeof facts / sizeof *facts);
  assert_scan(1, NULL, NULL, "a=3 b=2 ");
}
END_TEST

START_TEST(the_facts_cursor_only_moves_forward_and_not_beyond_the_index) {
  int64_t seq = -1;
  tc_fact fact = {1, text_of("a"), text_of("1")};
  ck_assert_int_eq(ops->facts_cursor(storage, &seq), TC_OK);
  ck_assert_int_eq(seq, 0);
  for (int i = 0; i < 5; i++) append_one(ops, storage, tip("r", "u", "p", NOON + i));
  if (ops->derive) ck_assert_int_eq(ops->facts_commit(storage, 1, &fact, 1), TC_EINVAL);
  derive_all(ops, storage, &index_seq);
  commit(3, &fact, 1);
  ck_assert_int_eq(ops->facts_cursor(storage, &seq), TC_OK);
  ck_assert_int_eq(seq, 3);
  clear_fail();
  fact.value = text_of("2");
  ck_assert_int_eq(ops->facts_commit(storage, 2, &fact, 1), TC_EINVAL);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(ops->facts_commit(storage, 6, &fact, 1), TC_EINVAL);
  assert_get(1, "a", "a=1 ");
  commit(5, NULL, 0);
  ck_assert_int_eq(ops->facts_cursor(storage, &seq), TC_OK);
  ck_assert_int_eq(seq, 5);
}
END_TEST

START_TEST(a_fact_out_of_bounds_is_refused_and_changes_nothing) {
  static char bytes[TC_FACT_VALUE_MAX + 1];
  memset(bytes, 'x', sizeof bytes);
  tc_fact facts[2] = {{1, text_of("a"), text_of("1")}, {0, text_of("b"), text_of("2")}};
  ck_assert_int_eq(ops->facts_commit(storage, 0, facts, 2), TC_EINVAL);
  facts[1].space = TC_FACT_SPACE_MAX + 1;
  ck_assert_int_eq(ops->facts_commit(storage, 0, facts, 2), TC_EINVAL);
  facts[1] = (tc_fact){1, {bytes, TC_FACT_KEY_MAX + 1}, text_of("2")};
  ck_assert_int_eq(ops->facts_commit(storage, 0, facts, 2), TC_EINVAL);
  facts[1] = (tc_fact){1, text_of("b"), {bytes, sizeof bytes}};
  ck_assert_int_eq(ops->facts_commit(storage, 0, facts, 2), TC_EINVAL);
  ck_assert_int_eq(ops->fact_first(storage, 0, text_of("b"), list_fact, bytes), TC_EINVAL);
  ck_assert_int_eq(ops->facts_scan(storage, 0, none, none, list_fact, bytes), TC_EINVAL);
  assert_scan(1, NULL, NULL, "");
}
END_TEST

static int compare_value(tc_text key, tc_text value, void *arg) {
  tc_fact *expected = arg;
  ck_assert_uint_eq(key.len, expected->key.len);
  ck_assert(!memcmp(key.ptr, expected->key.ptr, key.len));
  ck_assert_uint_eq(value.len, expected->value.len);
  ck_assert_ptr_nonnull(value.ptr);
  ck_assert(!value.len || !memcmp(value.ptr, expected->value.ptr, value.len));
  expected->space = 0;
  return 0;
}

START_TEST(a_fact_is_kept_byte_for_byte) {
  static char bytes[TC_FACT_VALUE_MAX], key[TC_FACT_KEY_MAX];
  static const size_t lengths[] = {0, 1, 5000, TC_FACT_VALUE_MAX}, key_lengths[] = {0, 1, 24, TC_FACT_KEY_MAX};
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7);
  for (size_t i = 0; i < sizeof key; i++) key[i] = (char)(255 - i);
  tc_fact fact = {9, {key, key_lengths[_i]}, {bytes, lengths[_i]}};
  commit(0, &fact, 1);
  ck_assert_int_eq(ops->fact_first(storage, 9, fact.key, compare_value, &fact), TC_OK);
  ck_assert_uint_eq(fact.space, 0);
  fact.space = 9;
  ck_assert_int_eq(ops->facts_scan(storage, 9, fact.key, none, compare_value, &fact), TC_OK);
  ck_assert_uint_eq(fact.space, 0);
}
END_TEST

/* ---- beside readers ---- */

static atomic_int stop, torn;

static int same_value(tc_text key, tc_text value, void *arg) {
  char *first = arg;
  (void)key;
  if (!first[0]) (void)snprintf(first, 16, "%.*s", (int)value.len, value.ptr);
  if (strlen(first) != value.len || memcmp(first, value.ptr, value.len)) atomic_store(&torn, 1);
  return 0;
}

static void *scan_all_the_time(void *arg) {
  (void)arg;
  while (!atomic_load(&stop)) {
    char first[16] = "";
    if (ops->facts_scan(storage, 5, none, none, same_value, first)) atomic_store(&torn, 2);
  }
  return NULL;
}

START_TEST(a_reader_sees_whole_commits) {
  pthread_t readers[2];
  for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&readers[i], NULL, scan_all_the_time, NULL), 0);
  for (int round = 0; round < 200; round++) {
    char keys[20][8], value[16];
    tc_fact facts[20];
    (void)snprintf(value, sizeof value, "v%d", round);
    for (int i = 0; i < 20; i++) {
      (void)snprintf(keys[i], sizeof keys[i], "k%02d", i);
      facts[i] = (tc_fact){5, text_of(keys[i]), text_of(value)};
    }
    commit(0, facts, 20);
    assert_get(5, "none", "");
  }
  atomic_store(&stop, 1);
  for (int i = 0; i < 2; i++) (void)pthread_join(readers[i], NULL);
  ck_assert_int_eq(atomic_load(&torn), 0);
}
END_TEST

void storage_facts_tests(TCase *all) {
  tcase_add_test(all, facts_are_put_read_and_removed);
  tcase_add_test(all, facts_stand_in_the_order_of_their_bytes);
  tcase_add_test(all, a_walk_over_facts_can_be_stopped);
  tcase_add_test(all, of_two_facts_for_one_key_the_later_counts);
  tcase_add_test(all, the_facts_cursor_only_moves_forward_and_not_beyond_the_index);
  tcase_add_test(all, a_fact_out_of_bounds_is_refused_and_changes_nothing);
  tcase_add_loop_test(all, a_fact_is_kept_byte_for_byte, 0, 4);
  tcase_add_test(all, a_reader_sees_whole_commits);
}
