/* What is remembered of lists in runs, and how few runs quiet times leave. */
#include <stdlib.h>

#include "sqlite_kit.h"
#include "storage/sqlite/sqlite.h"

static tci_list_fact fact_of(int64_t run, int64_t list) {
  tci_list_fact fact = {run, 0, {list, (int64_t)((uint64_t)list * UINT64_C(0x9e3779b97f4a7c15)), 0, 0}};
  return fact;
}

static int64_t length_of(tci_listcache *cache, int64_t run, int64_t list) {
  tci_list_fact fact = fact_of(run, list);
  size_t missing = 9;
  tci_listcache_get(cache, &fact, 1, &missing);
  ck_assert_uint_eq(missing, fact.length < 0);
  return fact.length;
}

static void keep(tci_listcache *cache, int64_t run, int64_t list, int64_t length) {
  tci_list_fact fact = fact_of(run, list);
  fact.length = length;
  fact.newest.seq = length * 10;
  tci_listcache_put(cache, &fact, 1);
}

START_TEST(a_fact_is_of_one_run_and_one_list) {
  tci_listcache cache;
  ck_assert_int_eq(tci_listcache_init(&cache), 0);
  ck_assert_int_eq(length_of(&cache, 1, 1), -1);
  keep(&cache, 1, 1, 11);
  keep(&cache, 2, 1, 0); /* "not in that run" is known too */
  ck_assert_int_eq(length_of(&cache, 1, 1), 11);
  ck_assert_int_eq(length_of(&cache, 2, 1), 0);
  for (int64_t run = 3; run < (int64_t)TCI_LISTCACHE_SLOTS; run++) ck_assert_int_eq(length_of(&cache, run, 1), -1); /* some share the place of run 1 */
  ck_assert_int_eq(length_of(&cache, 1, 2), -1);
  tci_list_fact facts[3] = {fact_of(1, 1), fact_of(1, 2), fact_of(2, 1)};
  size_t missing = 0;
  tci_listcache_get(&cache, facts, 3, &missing);
  ck_assert_uint_eq(missing, 1);
  ck_assert_int_eq(facts[0].newest.seq, 110);
  ck_assert_int_eq(facts[1].length, -1);
  ck_assert_int_eq(facts[2].length, 0);
  tci_listcache_close(&cache);
}
END_TEST

static void walk_cold_lists(tci_listcache *cache, int64_t from) {
  for (int64_t i = 0; i < 4 * (int64_t)TCI_LISTCACHE_SLOTS; i++) keep(cache, 1, from + i, 1);
}

START_TEST(what_is_asked_for_again_outlives_a_walk_through_cold_lists) {
  tci_listcache cache;
  int64_t left = 0;
  ck_assert_int_eq(tci_listcache_init(&cache), 0);
  walk_cold_lists(&cache, 1000000); /* every place is taken */
  for (int64_t list = 1; list <= 1000; list++) {
    keep(&cache, 1, list, list);
    ck_assert_int_eq(length_of(&cache, 1, list), list);
  }
  walk_cold_lists(&cache, 2000000);
  for (int64_t list = 1; list <= 1000; list++) {
    int64_t length = length_of(&cache, 1, list);
    ck_assert(length == -1 || length == list);
    left += length == list;
  }
  ck_assert_int_ge(left, 900); /* the others had to share a set */
  tci_listcache_close(&cache);
}
END_TEST

/* n events of one room into the index, as one batch and so as one run: three entries each. The log needs none of them, nothing is fetched. */
static void derive_room(tc_storage *storage, size_t n) {
  tc_record *rows = calloc(n, sizeof *rows);
  ck_assert_ptr_nonnull(rows);
  for (size_t i = 0; i < n; i++) {
    int64_t seq = storage->index_seq + 1 + (int64_t)i;
    rows[i] = (tc_record){.kind = TC_KIND_TIP, .seq = seq, .id = seq, .created_at_us = NOON + seq};
    rows[i].text[TC_COL_ROOM] = (tc_text){"room", 4};
  }
  ck_assert_msg(!ops->derive(storage, rows, n), "%s", detail);
  free(rows);
}

static size_t runs_now(tc_storage *storage) {
  tc_snapshot *snapshot = NULL;
  int64_t seq = 0;
  ck_assert_msg(!ops->snapshot(storage, &snapshot, &seq), "%s", detail);
  size_t runs = snapshot->runs.count;
  ops->snapshot_end(snapshot);
  return runs;
}

static void idle_to_the_end(tc_storage *storage) {
  int32_t more = 1;
  for (int slices = 0; more; slices++) {
    ck_assert_int_lt(slices, 1000);
    ck_assert_msg(!ops->idle(storage, NOON, &more), "%s", detail);
  }
}

START_TEST(a_small_run_does_not_keep_larger_ones_apart) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  for (int i = 0; i < 3; i++) derive_room(storage, 400);
  derive_room(storage, 10);
  ck_assert_uint_eq(runs_now(storage), 4);
  ck_assert_int_eq(count_room(storage), 1210); /* not known yet, then known */
  ck_assert_int_eq(count_room(storage), 1210);
  idle_to_the_end(storage);
  ck_assert_uint_eq(runs_now(storage), 1);
  ck_assert_int_eq(count_room(storage), 1210); /* many chunks of one run */
  ck_assert_int_eq(count_room(storage), 1210);
  ops->close(storage);
}
END_TEST

START_TEST(a_large_run_is_not_written_again_for_a_few_events) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  derive_room(storage, 2000);
  derive_room(storage, 10);
  idle_to_the_end(storage);
  ck_assert_uint_eq(runs_now(storage), 2);
  ck_assert_int_eq(count_room(storage), 2010);
  ops->close(storage);
}
END_TEST

/* The end of a chunk, and of a run, is where a length is easily one too many or too few. */
START_TEST(lengths_at_the_edges_of_chunks) {
  tc_storage_state state;
  tc_storage *storage = open_storage(&state);
  int64_t total = 0;
  for (size_t n = TCI_CHUNK_ENTRIES - 2; n <= TCI_CHUNK_ENTRIES * 2 + 2; n += n == TCI_CHUNK_ENTRIES + 2 ? TCI_CHUNK_ENTRIES - 4 : 1) {
    derive_room(storage, n);
    total += (int64_t)n;
    ck_assert_int_eq(count_room(storage), total);
  }
  idle_to_the_end(storage);
  ck_assert_int_eq(count_room(storage), total);
  ops->close(storage);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("list cache");
  TCase *cache = tcase_create("cache"), *runs = tcase_create("runs");
  tcase_add_test(cache, a_fact_is_of_one_run_and_one_list);
  tcase_add_test(cache, what_is_asked_for_again_outlives_a_walk_through_cold_lists);
  tcase_add_checked_fixture(runs, set_up, tear_down);
  tcase_add_test(runs, a_small_run_does_not_keep_larger_ones_apart);
  tcase_add_test(runs, a_large_run_is_not_written_again_for_a_few_events);
  tcase_add_test(runs, lengths_at_the_edges_of_chunks);
  suite_add_tcase(suite, cache);
  suite_add_tcase(suite, runs);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
