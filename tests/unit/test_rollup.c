/* The rollup against a plain computation: made-up histories, restarts, kills, small memory. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "engine/engine.h"
#include "engine/rollup/cells.h"
#include "rollup_kit.h"
#include "storage/schemes.h"

static void rebuild_finds(int64_t expected) {
  int64_t changed = -1;
  ck_assert_msg(!tci_rollup_rebuild(world.engine, INT64_MIN, INT64_MAX, &changed), "%s", tc_last_error());
  ck_assert_int_eq(changed, expected);
}

START_TEST(a_history_is_counted_as_it_is) {
  past_begin((uint64_t)_i + 1, 0);
  past_open();
  past_compare();
  past_close(0);
  past_add(1500, _i == 0 ? 0 : 7, 60 * 1000000);
  past_open();
  past_compare();
  rebuild_finds(0);
  past_compare();
  past_end();
}
END_TEST

START_TEST(restarts_and_kills_change_nothing) {
  past_begin((uint64_t)_i + 100, _i & 1 ? 1 : 0);
  for (int round = 0; round < 6; round++) {
    past_add(1 + past_random(700), 9, 20 * 1000000);
    past_open();
    past_compare();
    past_close((int)past_random(2));
  }
  past_open();
  past_compare();
  rebuild_finds(0);
  past_end();
}
END_TEST

/* The least memory there is: values are evicted and looked for again all the time. */
START_TEST(little_memory_changes_nothing) {
  past_begin(7, 1);
  for (int round = 0; round < 4; round++) {
    past_add(5000, 11, 4 * 1000000);
    past_open();
    past_close(round == 2);
  }
  past_open();
  past_compare();
  rebuild_finds(0);
  past_end();
  ck_assert_int_gt(atomic_load(&past_commits), 8);
}
END_TEST

static int has_all(void *arg) {
  (void)arg;
  return tci_rollup_seq(world.engine) == (int64_t)history.n + 1;
}

static int take_one(tc_text key, tc_text value, void *arg) {
  static char kept_key[64], kept_value[256];
  memcpy(kept_key, key.ptr, key.len);
  memcpy(kept_value, value.ptr, value.len);
  kept_value[0] ^= 2; /* the sum's lowest digit */
  *(tc_fact *)arg = (tc_fact){*(uint32_t *)arg, {kept_key, key.len}, {kept_value, value.len}};
  return past_random(40) == 0;
}

/* What is kept is made wrong behind the engine's back: one value is another, or is gone. */
static void make_wrong(uint32_t space, int gone) {
  tc_text all = {NULL, 0};
  tc_fact fact = {.space = space};
  int64_t seq;
  tc_storage *storage = past_storage();
  ck_assert_int_eq(tci_sqlite_ops.facts_scan(storage, space, all, all, take_one, &fact), TC_OK);
  ck_assert_int_eq(tci_sqlite_ops.facts_cursor(storage, &seq), TC_OK);
  if (gone) fact.value = all;
  ck_assert_int_eq(tci_sqlite_ops.facts_commit(storage, seq, &fact, 1), TC_OK);
  tci_sqlite_ops.close(storage);
}

START_TEST(a_rebuild_puts_right_what_is_wrong) {
  past_begin(5, 0);
  past_add(800, 7, 60 * 1000000);
  past_open();
  rebuild_finds(0);
  for (int i = 0; i < 6; i++) {
    past_close(0);
    make_wrong((uint32_t)i / 2 + 1, i & 1);
    past_open();
    rebuild_finds(1);
    past_compare();
    rebuild_finds(0);
  }
  past_end();
}
END_TEST

/* All values of a space are made something that nobody wrote, behind the engine's back. */
static int take_key(tc_text key, tc_text value, void *arg) {
  static char keys[4096][32];
  tc_fact *facts = arg;
  size_t n = facts[0].value.len;
  (void)value;
  memcpy(keys[n], key.ptr, key.len);
  facts[n] = (tc_fact){facts[0].space, {keys[n], key.len}, {"\xff\xff", 2}};
  facts[0].value.len = n + 1;
  return n + 1 == 4096;
}

static void damage(uint32_t space) {
  static tc_fact facts[4096];
  tc_text all = {NULL, 0};
  int64_t seq;
  tc_storage *storage = past_storage();
  facts[0] = (tc_fact){.space = space};
  ck_assert_int_eq(tci_sqlite_ops.facts_scan(storage, space, all, all, take_key, facts), TC_OK);
  size_t n = facts[0].value.len;
  facts[0].value.len = 2;
  ck_assert_uint_gt(n, 0);
  ck_assert_int_eq(tci_sqlite_ops.facts_cursor(storage, &seq), TC_OK);
  ck_assert_int_eq(tci_sqlite_ops.facts_commit(storage, seq, facts, n), TC_OK);
  tci_sqlite_ops.close(storage);
}

static void remove_derived(void) {
  char pattern[96];
  glob_t found;
  (void)snprintf(pattern, sizeof pattern, "%s/*-index.db*", world.dir);
  ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) ck_assert_int_eq(unlink(found.gl_pathv[i]), 0);
  globfree(&found);
}

static int pass(const tci_quarter *quarter, void *arg) {
  (void)quarter;
  return *(int *)arg;
}

/* Tips and lists go on, statistics say what is wrong and answer nothing, and the derived file is nothing to mourn. */
START_TEST(damaged_values_are_no_numbers) {
  static const uint32_t spaces[] = {TCI_SPACE_META, TCI_SPACE_ROLLUP, TCI_SPACE_TOP};
  tc_text all = {"", 0};
  int go_on = 0;
  past_begin(15, 0);
  past_add(300, 7, 60 * 1000000);
  past_open();
  past_close(0);
  damage(spaces[_i]);
  kit_open(&world);
  ck_assert_int_eq(kit_tip(&world, "lobby", "u1", 100, NULL) > 0, 1);
  ck_assert(kit_until_indexed(&world));
  int rc = tci_rollup_quarters(world.engine, all, 0, history.now_us + TCI_DAY_US - history.now_us % TCI_DAY_US, pass, &go_on);
  if (spaces[_i] != TCI_SPACE_TOP) ck_assert_int_eq(rc, spaces[_i] == TCI_SPACE_META ? TC_ENOTSUP : TC_ECORRUPT);
  tc_board_query query = TC_BOARD_QUERY_INIT;
  tc_board *board = NULL;
  if (spaces[_i] == TCI_SPACE_TOP) ck_assert_int_eq(tc_board_top(world.engine, &query, &board), TC_ECORRUPT);
  ck_assert_ptr_null(board);
  kit_close(&world);
  remove_derived();
  kit_open(&world);
  ck_assert(kit_until_indexed(&world));
  ck_assert(kit_until(has_all, NULL));
  rebuild_finds(0);
  kit_close(&world);
  past_end();
}
END_TEST

START_TEST(people_are_counted_from_events_too) {
  past_begin(11, 0);
  past_add(1500, 0, 30 * 1000000);
  past_open();
  int64_t from = history.now_us - 3 * TCI_HOUR_US + 12345, to = history.now_us - TCI_HOUR_US, out[TCI_UNIQUES];
  ck_assert_int_eq(tci_rollup_count_unique(world.engine, (tc_text){"lobby", 5}, from, to, out), TC_OK);
  char seen[3][PAST_USERS] = {{0}};
  int64_t n[3] = {0, 0, 0};
  for (size_t i = 0; i < history.n; i++) {
    const past_event *event = &history.at[i];
    if (event->kind == TC_KIND_REFUND || event->room != 0 || event->us < from || event->us >= to) continue;
    int role = event->kind == TC_KIND_TIP ? TCI_SENDERS : TCI_REACTORS;
    n[role] += !seen[role][event->user];
    seen[role][event->user] = 1;
    if (event->kind == TC_KIND_TIP) n[TCI_RECIPIENTS] += !seen[1][event->peer];
    if (event->kind == TC_KIND_TIP) seen[1][event->peer] = 1;
  }
  for (int i = 0; i < 3; i++) ck_assert_int_eq(out[i], n[i]);
  ck_assert_int_gt(n[0], 3);
  past_end();
}
END_TEST

START_TEST(counting_people_of_a_short_time_costs_little) {
  past_begin(12, 0);
  past_add(3000, 0, 30 * 1000000);
  past_open();
  int64_t out[TCI_UNIQUES], to = history.now_us - TCI_HOUR_US;
  atomic_store(&past_fetched, 0);
  ck_assert_int_eq(tci_rollup_count_unique(world.engine, (tc_text){"", 0}, to - 60 * 1000000, to, out), TC_OK); /* some four events */
  ck_assert_int_le(atomic_load(&past_fetched), 64);
  past_end();
}
END_TEST

typedef struct unknown {
  int64_t rows, known;
} unknown;

static int add_unknown(const tci_quarter *quarter, void *arg) {
  unknown *u = arg;
  u->rows += quarter->fresh[TCI_SENDERS] < 0;
  u->known += quarter->fresh[TCI_SENDERS] > 0 ? quarter->fresh[TCI_SENDERS] : 0;
  return 0;
}

static unknown count_unknown(void) {
  unknown u = {0, 0};
  ck_assert_int_eq(tci_rollup_quarters(world.engine, (tc_text){"", 0}, 0, history.now_us + TCI_DAY_US - history.now_us % TCI_DAY_US, add_unknown, &u), TC_OK);
  return u;
}

/* Each event is of another hour than the last, so each would have its hour read again. */
START_TEST(a_history_in_no_order_costs_no_square) {
  past_begin(13, 0);
  past_add(18000, 1, 1000);
  atomic_store(&past_fetched, 0);
  past_open();
  ck_assert_int_le(atomic_load(&past_fetched), 1200000); /* and not 2,250,000 */
  unknown u = count_unknown();
  ck_assert_int_gt(u.rows, 0);
  ck_assert_int_gt(u.known, 0);
  rebuild_finds(0); /* what was unknown is no difference, but is known then */
  ck_assert_int_eq(count_unknown().rows, 0);
  ck_assert_int_gt(count_unknown().known, u.known);
  past_end();
}
END_TEST

static tci_rollup *of_world;
static _Atomic int order, spilled_as, read_as;

static void *spill(void *arg) {
  tci_rollup_hold(of_world, 1);
  atomic_store(&spilled_as, atomic_fetch_add(&order, 1) + 1);
  tci_rollup_release(of_world);
  return arg;
}

static void *read_on(void *arg) {
  tci_rollup_hold(of_world, 0);
  atomic_store(&read_as, atomic_fetch_add(&order, 1) + 1);
  tci_rollup_release(of_world);
  return arg;
}

static int spill_waits(void *arg) {
  (void)arg;
  if (pthread_mutex_trylock(&of_world->gate)) return 1;
  (void)pthread_mutex_unlock(&of_world->gate);
  return 0;
}

START_TEST(readers_do_not_overtake_a_spill) {
  pthread_t spiller, reader;
  past_begin(14, 0);
  past_open();
  of_world = world.engine->rollup;
  tci_rollup_hold(of_world, 0);
  ck_assert_int_eq(pthread_create(&spiller, NULL, spill, NULL), 0);
  ck_assert(kit_until(spill_waits, NULL));
  ck_assert_int_eq(pthread_create(&reader, NULL, read_on, NULL), 0);
  tci_rollup_release(of_world);
  ck_assert_int_eq(pthread_join(spiller, NULL), 0);
  ck_assert_int_eq(pthread_join(reader, NULL), 0);
  ck_assert_int_eq(atomic_load(&spilled_as), 1);
  ck_assert_int_eq(atomic_load(&read_as), 2);
  past_end();
}
END_TEST

/* ---- live, on both backends ---- */

static kit live;

static int follows(void *arg) {
  tc_status status = TC_STATUS_INIT;
  (void)arg;
  ck_assert_int_eq(tc_engine_status(live.engine, &status), TC_OK);
  return tci_rollup_seq(live.engine) == status.log_seq;
}

typedef struct total {
  int64_t tips, quarters, unique;
  tci_int128 sum;
} total;

static int add_quarter(const tci_quarter *quarter, void *arg) {
  total *t = arg;
  t->tips += quarter->tips;
  t->sum += quarter->sum;
  t->unique += quarter->fresh[TCI_SENDERS];
  t->quarters++;
  return 0;
}

static total ask(const char *room) {
  total t = {0};
  ck_assert(kit_until(follows, NULL));
  ck_assert_msg(!tci_rollup_quarters(live.engine, (tc_text){room, strlen(room)}, 0, INT64_C(4102444800000000), add_quarter, &t), "%s", tc_last_error());
  return t;
}

START_TEST(the_running_quarter_is_there) {
  kit_init(&live, _i);
  kit_open(&live);
  ck_assert_int_eq(ask("r").quarters, 0);
  kit_tip(&live, "r", "alice", 1000, NULL);
  kit_tip(&live, "r", "carol", 250, NULL);
  kit_tip(&live, "other", "alice", 1, NULL);
  total t = ask("r");
  ck_assert_int_eq(t.tips, 2);
  ck_assert(t.sum == 1250);
  ck_assert_int_eq(t.unique, 2);
  kit_clock_add(16 * 60 * INT64_C(1000000)); /* the next quarter of the same hour: 10:46 */
  kit_tip(&live, "r", "alice", 5, NULL);
  t = ask("r");
  ck_assert_int_eq(t.quarters, 2);
  ck_assert_int_eq(t.unique, 2);
  t = ask("");
  ck_assert_int_eq(t.tips, 4);
  ck_assert(t.sum == 1256);
  kit_clean(&live);
}
END_TEST

START_TEST(what_was_counted_is_there_after_a_restart) {
  kit_init(&live, 1);
  kit_open(&live);
  kit_tip(&live, "r", "alice", 1000, NULL);
  kit_close(&live);
  kit_open(&live);
  total t = {0};
  /* At once: tc_open has waited for it. */
  ck_assert_int_eq(tci_rollup_quarters(live.engine, (tc_text){"r", 1}, 0, INT64_C(4102444800000000), add_quarter, &t), TC_OK);
  ck_assert_int_eq(t.tips, 1);
  kit_tip(&live, "r", "alice", 1, NULL);
  kit_tip(&live, "r", "bob", 1, NULL);
  t = ask("r");
  ck_assert_int_eq(t.unique, 2); /* alice was seen before the restart */
  kit_clean(&live);
}
END_TEST

START_TEST(a_second_rebuild_of_a_live_log_finds_nothing) {
  kit_init(&live, _i);
  kit_open(&live);
  for (int i = 0; i < 50; i++) {
    char who[16];
    (void)snprintf(who, sizeof who, "s%d", i % 7);
    kit_tip(&live, i % 3 ? "r" : "q", who, i + 1, NULL);
    kit_clock_add(5 * 60 * INT64_C(1000000));
  }
  ck_assert(kit_until(follows, NULL));
  int64_t changed = -1;
  ck_assert_msg(!tci_rollup_rebuild(live.engine, INT64_MIN, INT64_MAX, &changed), "%s", tc_last_error());
  ck_assert_int_eq(changed, 0);
  ck_assert_int_eq(ask("").tips, 50);
  kit_clean(&live);
}
END_TEST

/* A no of the filter is believed: a cell that it denies would begin at nothing. */
START_TEST(the_filter_denies_nothing_that_was_written) {
  enum { KEYS = 20000 };
  tci_rollup rollup;
  int others = 0;
  memset(&rollup, 0, sizeof rollup);
  tci_cell_key key = tci_cell_key_of(tci_hash_mix(1, (tci_hash){7, 7}, (tci_hash){0, 0}), TCI_ALL_TIME, tci_hash_mix(2, (tci_hash){9, 9}, (tci_hash){0, 0}));
  ck_assert(tci_ever_has(&rollup, &key)); /* it knows nothing */
  tci_ever_open(&rollup, 32768);          /* 13 bits a key */
  for (uint64_t i = 0; i < 2 * KEYS; i++) {
    key = tci_cell_key_of(tci_hash_mix(1, (tci_hash){i % 300, i % 300}, (tci_hash){0, 0}), TCI_ALL_TIME, tci_hash_mix(2, (tci_hash){i, i}, (tci_hash){0, 0}));
    if (i < KEYS) tci_ever_add(&rollup, &key);
    else others += tci_ever_has(&rollup, &key);
  }
  for (uint64_t i = 0; i < KEYS; i++) {
    key = tci_cell_key_of(tci_hash_mix(1, (tci_hash){i % 300, i % 300}, (tci_hash){0, 0}), TCI_ALL_TIME, tci_hash_mix(2, (tci_hash){i, i}, (tci_hash){0, 0}));
    ck_assert_msg(tci_ever_has(&rollup, &key), "key %d is denied", (int)i);
  }
  ck_assert_int_lt(others, KEYS / 50);
  tci_free(rollup.ever);
}
END_TEST

static tci_cell_key filter_key(uint64_t i) {
  return tci_cell_key_of(tci_hash_mix(1, (tci_hash){i % 300, i % 300}, (tci_hash){0, 0}), TCI_ALL_TIME, tci_hash_mix(2, (tci_hash){i, i}, (tci_hash){0, 0}));
}

static int put_fact(const tc_storage_ops *ops, tc_storage *storage, uint64_t i) {
  tci_cell_key key = filter_key(i);
  tc_fact fact = {TCI_SPACE_BOARD, {(const char *)key.bytes, sizeof key.bytes}, {"", 0}};
  return ops->facts_commit(storage, 0, &fact, 1);
}

/* Of a store that was there at open: until all of it is known nothing is denied. */
START_TEST(the_filter_learns_what_a_store_has) {
  enum { KEYS = 40000, WRITTEN = 100 };
  static tc_fact facts[KEYS];
  static tci_cell_key keys[KEYS];
  tc_storage_env env = {.size = sizeof env, .random = {sizeof(tc_random), tci_sys_random, NULL}, .fail = tci_fail_env};
  tc_storage_state state;
  tc_engine engine;
  tci_rollup rollup;
  int slices = 0, others = 0;
  memset(&engine, 0, sizeof engine);
  memset(&rollup, 0, sizeof rollup);
  engine.ops = &tci_memory_ops;
  rollup.engine = &engine;
  rollup.stored_seq = 1;
  ck_assert_int_eq(engine.ops->open(&engine.storage, "memory:", &env, &state), TC_OK);
  for (uint64_t i = 0; i < KEYS; i++) {
    keys[i] = filter_key(i);
    facts[i] = (tc_fact){TCI_SPACE_BOARD, {(const char *)keys[i].bytes, sizeof keys[i].bytes}, {"", 0}};
  }
  ck_assert_int_eq(engine.ops->facts_commit(engine.storage, 0, facts, KEYS), TC_OK);
  tci_ever_open(&rollup, 65536);
  while (rollup.ever_filling) {
    for (uint64_t i = 0; i < 2 * KEYS; i += 97) {
      tci_cell_key key = filter_key(i);
      ck_assert(tci_ever_has(&rollup, &key));
    }
    uint64_t written = KEYS + (uint64_t)slices; /* behind the walk or before it */
    tci_cell_key key = filter_key(written);
    tci_ever_add(&rollup, &key);
    ck_assert_int_eq(put_fact(engine.ops, engine.storage, written), TC_OK);
    tci_ever_fill(&rollup);
    ck_assert_int_lt(++slices, WRITTEN);
  }
  ck_assert_int_ge(slices, 3);
  for (uint64_t i = 0; i < KEYS + (uint64_t)slices; i++) {
    tci_cell_key key = filter_key(i);
    ck_assert_msg(tci_ever_has(&rollup, &key), "key %d is denied", (int)i);
  }
  for (uint64_t i = KEYS + WRITTEN; i < 2 * KEYS; i++) {
    tci_cell_key key = filter_key(i);
    others += tci_ever_has(&rollup, &key);
  }
  ck_assert_int_lt(others, KEYS / 20);
  engine.ops->close(engine.storage);
  tci_free(rollup.ever);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rollup");
  TCase *made_up = tcase_create("histories"), *now = tcase_create("live");
  tcase_set_timeout(made_up, 240);
  tcase_add_loop_test(made_up, a_history_is_counted_as_it_is, 0, 3);
  tcase_add_loop_test(made_up, restarts_and_kills_change_nothing, 0, 4);
  tcase_add_test(made_up, little_memory_changes_nothing);
  tcase_add_test(made_up, a_rebuild_puts_right_what_is_wrong);
  tcase_add_loop_test(made_up, damaged_values_are_no_numbers, 0, 3);
  tcase_add_test(made_up, people_are_counted_from_events_too);
  tcase_add_test(made_up, counting_people_of_a_short_time_costs_little);
  tcase_add_test(made_up, a_history_in_no_order_costs_no_square);
  tcase_add_test(made_up, readers_do_not_overtake_a_spill);
  tcase_add_test(made_up, the_filter_denies_nothing_that_was_written);
  tcase_add_test(made_up, the_filter_learns_what_a_store_has);
  tcase_add_loop_test(now, the_running_quarter_is_there, 0, KIT_BACKENDS);
  tcase_add_test(now, what_was_counted_is_there_after_a_restart);
  tcase_add_loop_test(now, a_second_rebuild_of_a_live_log_finds_nothing, 0, KIT_BACKENDS);
  suite_add_tcase(suite, made_up);
  suite_add_tcase(suite, now);
  return kit_run(suite);
}
