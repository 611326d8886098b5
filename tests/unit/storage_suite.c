#include "storage_suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const storage_fixture *fixture;

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
  uint32_t held = 0;
  if (ops->work_hold) ck_assert_int_gt(hold_shares(ops, storage, &held).shares, 0);
  if (ops->work_hold) ck_assert_uint_eq(held, (1u << TC_WORK_SHARES) - 1); /* it is alone */
}

static void tear_down(void) {
  ck_assert_msg(!ops->check(storage), "%s", last_fail());
  ops->close(storage);
  ops->close(NULL);
  if (fixture->clean) fixture->clean();
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
  tc_record full = {.kind = TC_KIND_REACTION, .amount = INT64_MAX, .created_at_us = -5, .ref = INT64_MAX};
  for (int i = 0; i < TC_COL_COUNT; i++) full.text[i] = text_of("it's \"quoted\"; -- \\ \x01\x7f \xc3\xab \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80 %s ?1");
  full.text[TC_COL_METADATA] = text_of(metadata);
  tc_record empty = {.kind = TC_KIND_REACTION, .amount = INT64_MIN, .created_at_us = INT64_MAX, .ref = INT64_MIN};
  for (int i = 0; i < TC_COL_COUNT; i++) {
    if (i != TC_COL_KEY) empty.text[i] = text_of("");
  }
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

/* What people do in a room is one door, so its keys are one space, whatever its type. */
START_TEST(a_key_is_shared_among_activities) {
  append_one(ops, storage, keyed("x", NOON));
  ck_assert_int_eq(try_key(TC_KIND_FOLLOW, "x", NOON), 0);
  derive_all(ops, storage, &index_seq);
  for (uint32_t kind = TC_KIND_FOLLOW; kind <= TC_KIND_CUSTOM; kind++) ck_assert_int_eq(try_key(kind, "x", NOON), 2);
  ck_assert_int_eq(try_key(TC_KIND_REFUND, "x", NOON), 0);
  ck_assert_int_eq(try_key(TC_KIND_CUSTOM, "y", NOON), 0);
  derive_all(ops, storage, &index_seq);
  ck_assert_int_eq(try_key(TC_KIND_SUBSCRIBE, "y", NOON), 4);
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
    if (!bad && seq)
      bad = ops->find_id(snapshot, TC_KIND_TIP, seq, &last_seq) || last_seq != seq || ops->find_id(snapshot, TC_KIND_TIP, seq + 1, &last_seq) != TC_ENOTFOUND;
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
  tcase_add_test(all, a_key_is_shared_among_activities);
  tcase_add_test(all, a_key_expires_to_the_microsecond);
  tcase_add_test(all, cleaning_up_forgets_only_what_expired);
  storage_lists_tests(all);
  storage_docs_tests(all);
  storage_work_tests(all);
  storage_facts_tests(all);
  storage_import_tests(all);
  tcase_add_test(all, readers_beside_a_writer_see_whole_states);
  tcase_add_test(all, a_wrong_url_is_named);
  suite_add_tcase(suite, all);
  return suite;
}
