/* Leaderboards over their life: falls through refunds, the turn of a year, more users than are told apart, stops, memory that is far too small, and readers in between. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "base/timefmt.h"
#include "engine/rollup/cells.h"
#include "engine_kit.h"
#include "storage/schemes.h"

static kit live;

/* ---- a plain account of one room's senders ---- */

enum { USERS = 400 };

typedef struct account {
  int64_t sum, tips, last; /* last: number of the change that made it so */
  int64_t ids[4], amounts[4];
  int user, n;
} account;

static account accounts[USERS];
static int64_t changes;

static void name_of(char out[16], int user) { (void)snprintf(out, 16, "u%05d", user); }

static void give(const char *room, int user, int64_t amount) {
  char name[16];
  name_of(name, user);
  account *a = &accounts[user];
  int64_t id = kit_tip(&live, room, name, amount, NULL);
  if (a->n < 4) {
    a->ids[a->n] = id;
    a->amounts[a->n++] = amount;
  }
  a->sum += amount;
  a->tips++;
  a->last = ++changes;
}

/* Takes back all or a part of the last of his tips that has something left. */
static void take_back(int user, int all) {
  account *a = &accounts[user];
  tc_refund_new refund = TC_REFUND_NEW_INIT;
  while (a->n && !a->amounts[a->n - 1]) a->n--;
  if (!a->n) return;
  refund.tip_id = a->ids[a->n - 1];
  refund.amount = all ? a->amounts[a->n - 1] : 1;
  ck_assert_msg(!tc_tip_refund(live.engine, &refund, NULL, NULL), "%s", tc_last_error());
  a->amounts[a->n - 1] -= refund.amount;
  a->sum -= refund.amount;
  a->last = ++changes;
}

static int by_place(const void *a, const void *b) {
  const account *x = a, *y = b;
  if (x->sum != y->sum) return x->sum > y->sum ? -1 : 1;
  return x->last < y->last ? -1 : x->last > y->last;
}

static int follows(void *arg) {
  tc_status status = TC_STATUS_INIT;
  (void)arg;
  ck_assert_int_eq(tc_engine_status(live.engine, &status), TC_OK);
  return status.stats_seq == status.log_seq;
}

static tc_board_query query_of(const char *room, uint32_t window, int64_t at_us) {
  tc_board_query query = TC_BOARD_QUERY_INIT;
  query.room_id = room;
  query.window = window;
  query.at_us = at_us;
  query.to_us = INT64_MAX;
  query.limit = 100;
  return query;
}

static void compare(uint32_t window) {
  static account sorted[USERS];
  tc_board_query query = query_of("r", window, kit_clock_wall());
  tc_board *board = NULL;
  size_t n = 0;
  char name[16];
  ck_assert(kit_until(follows, NULL));
  for (int user = 0; user < USERS; user++) {
    sorted[n] = accounts[user];
    sorted[n].user = user;
    n += accounts[user].sum > 0;
  }
  qsort(sorted, n, sizeof *sorted, by_place);
  ck_assert_msg(!tc_board_top(live.engine, &query, &board), "%s", tc_last_error());
  ck_assert_uint_eq(tc_board_count(board), n < 100 ? n : 100);
  for (size_t i = 0; i < tc_board_count(board); i++) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    ck_assert_int_eq(tc_board_at(board, i, &row), TC_OK);
    name_of(name, sorted[i].user);
    ck_assert_str_eq(row.user_id, name);
    ck_assert_int_eq(row.amount, sorted[i].sum);
    ck_assert_int_eq(row.tips, sorted[i].tips);
  }
  tc_board_free(board);
  for (size_t i = 0; i < n; i += 1 + n / 9) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    name_of(name, sorted[i].user);
    ck_assert_msg(!tc_board_rank(live.engine, &query, name, &row), "%s: %s", name, tc_last_error());
    ck_assert_int_eq(row.rank, (int64_t)i + 1);
    ck_assert_int_eq(row.amount, sorted[i].sum);
  }
  for (int user = 0; user < USERS; user++) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    name_of(name, user);
    if (accounts[user].sum <= 0) ck_assert_int_eq(tc_board_rank(live.engine, &query, name, &row), TC_ENOTFOUND);
  }
}

/* The kept hundred and twenty-eight lose their best one after the other, until those that stood behind them have to come forward. */
START_TEST(refunds_bring_forward_who_stood_behind) {
  kit_init(&live, _i);
  kit_open(&live);
  for (int user = 0; user < USERS; user++) give("r", user, 10 + (user * 37) % USERS);
  compare(TC_WINDOW_ALL);
  for (int round = 0; round < 6; round++) {
    for (int k = 0; k < 40; k++) {
      int best = 0;
      for (int user = 1; user < USERS; user++) best = accounts[user].sum > accounts[best].sum ? user : best;
      take_back(best, 1);
      if (k % 8 == 0) take_back((best + 200) % USERS, 0);
    }
    compare(TC_WINDOW_ALL);
    compare(TC_WINDOW_DAY);
    compare(TC_WINDOW_WEEK);
    compare(TC_WINDOW_CUSTOM);
    if (_i && round % 2) { /* what was in memory is on disk now */
      kit_close(&live);
      kit_open(&live);
      compare(TC_WINDOW_ALL);
    }
  }
  for (int user = 0; user < USERS; user += 3) give("r", user, 1 + user % 7); /* and some come back */
  compare(TC_WINDOW_ALL);
  kit_clean(&live);
}
END_TEST

START_TEST(one_by_one_to_nobody) {
  kit_init(&live, _i);
  live.options.rollup_bytes = 1;
  kit_open(&live);
  for (int user = 0; user < 130; user++) give("r", user, 5); /* all alike: who came first */
  compare(TC_WINDOW_ALL);
  for (int user = 129; user >= 0; user -= 2) {
    take_back(user, 0);
    if (user % 26 == 25) compare(TC_WINDOW_ALL);
  }
  for (int user = 0; user < 130; user++) {
    take_back(user, 1);
    if (user % 26 == 0) compare(TC_WINDOW_ALL);
  }
  compare(TC_WINDOW_ALL);
  compare(TC_WINDOW_DAY);
  kit_clean(&live);
}
END_TEST

/* ---- time ---- */

static int64_t at(const char *instant) {
  int64_t us;
  ck_assert_int_eq(tci_time_parse(instant, strlen(instant), &us), 0);
  return us;
}

/* "a 3.00 b 2.00 2024-12-30 2025-01-06" */
static void expect_span(uint32_t window, const char *instant, const char *expected) {
  char found[512] = "", text[TCI_RFC3339_MS_LEN];
  tc_board_query query = query_of("r", window, at(instant));
  tc_board *board = NULL;
  int64_t bounds[2];
  ck_assert(kit_until(follows, NULL));
  ck_assert_msg(!tc_board_top(live.engine, &query, &board), "%s", tc_last_error());
  for (size_t i = 0; i < tc_board_count(board); i++) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    ck_assert_int_eq(tc_board_at(board, i, &row), TC_OK);
    size_t len = strlen(found);
    (void)snprintf(found + len, sizeof found - len, "%s %s ", row.user_id, row.total_amount);
    tc_board_row rank = TC_BOARD_ROW_INIT;
    ck_assert_int_eq(tc_board_rank(live.engine, &query, row.user_id, &rank), TC_OK);
    ck_assert_int_eq(rank.rank, row.rank);
    ck_assert_str_eq(rank.total_amount, row.total_amount);
  }
  tc_board_span(board, &bounds[0], &bounds[1]);
  for (int i = 0; i < 2; i++) {
    size_t len = strlen(found);
    tci_time_format_ms(bounds[i], text);
    (void)snprintf(found + len, sizeof found - len, "%s%.10s", i ? " " : "", text);
  }
  tc_board_free(board);
  ck_assert_str_eq(found, expected);
}

START_TEST(weeks_and_months_at_the_turn_of_a_year) {
  static const struct {
    const char *instant, *user;
    int64_t amount;
  } tips[] = {{"2024-12-29T23:59:59.999999Z", "a", 1}, {"2024-12-30T00:00:00Z", "b", 20},       {"2024-12-31T23:59:59.999999Z", "c", 30},
              {"2025-01-01T00:00:00Z", "b", 40},       {"2025-01-05T23:59:59.999999Z", "d", 5}, {"2025-01-06T00:00:00Z", "a", 6}};
  kit_init(&live, _i);
  kit_clock_set(at(tips[0].instant));
  kit_open(&live);
  for (size_t i = 0; i < sizeof tips / sizeof *tips; i++) {
    kit_clock_set(at(tips[i].instant));
    (void)kit_tip(&live, "r", tips[i].user, tips[i].amount, NULL);
  }
  for (int pass = 0; pass <= _i; pass++) {
    expect_span(TC_WINDOW_WEEK, "2024-12-29T12:00:00Z", "a 0.01 2024-12-23 2024-12-30");
    expect_span(TC_WINDOW_WEEK, "2024-12-30T00:00:00Z", "b 0.60 c 0.30 d 0.05 2024-12-30 2025-01-06");
    expect_span(TC_WINDOW_WEEK, "2025-01-05T23:59:59.999999Z", "b 0.60 c 0.30 d 0.05 2024-12-30 2025-01-06");
    expect_span(TC_WINDOW_WEEK, "2025-01-06T00:00:00Z", "a 0.06 2025-01-06 2025-01-13");
    expect_span(TC_WINDOW_MONTH, "2024-12-31T23:59:59.999999Z", "c 0.30 b 0.20 a 0.01 2024-12-01 2025-01-01");
    expect_span(TC_WINDOW_MONTH, "2025-01-31T00:00:00Z", "b 0.40 a 0.06 d 0.05 2025-01-01 2025-02-01");
    expect_span(TC_WINDOW_DAY, "2024-12-31T00:00:00Z", "c 0.30 2024-12-31 2025-01-01");
    expect_span(TC_WINDOW_DAY, "2024-12-29T00:00:00Z", "a 0.01 2024-12-29 2024-12-30");
    expect_span(TC_WINDOW_MONTH, "2024-02-29T00:00:00Z", "2024-02-01 2024-03-01");
    expect_span(TC_WINDOW_WEEK, "1969-12-31T12:00:00Z", "1969-12-29 1970-01-05");
    if (pass == _i) break;
    kit_close(&live);
    kit_open(&live);
  }
  kit_clean(&live);
}
END_TEST

/* ---- many ---- */

static void counted(const tc_result *result, void *unused) {
  (void)unused;
  ck_assert_int_eq(result->code, TC_OK);
}

enum { MANY = 10200 };

static void submit(const char *room, int user, int64_t amount) {
  char name[16];
  tc_tip_new tip = TC_TIP_NEW_INIT;
  name_of(name, user);
  tip.room_id = room;
  tip.sender_id = name;
  tip.recipient_id = "star";
  tip.amount = amount;
  int rc;
  while ((rc = tc_tip_submit(live.engine, &tip, counted, NULL)) == TC_EBUSY) kit_turn();
  ck_assert_msg(!rc, "%s", tc_last_error());
}

static int all_in(void *arg) {
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(live.engine, &status), TC_OK);
  return status.log_seq >= *(int64_t *)arg && status.stats_seq == status.log_seq;
}

static int64_t rank_of(const char *room, uint32_t window, int user) {
  char name[16];
  tc_board_row row = TC_BOARD_ROW_INIT;
  tc_board_query query = query_of(room, window, kit_clock_wall());
  name_of(name, user);
  ck_assert_msg(!tc_board_rank(live.engine, &query, name, &row), "%s: %s", name, tc_last_error());
  return row.rank;
}

START_TEST(ranks_to_ten_thousand) {
  int64_t n = MANY;
  kit_init(&live, _i);
  if (_i) live.options.rollup_bytes = 1 << 20; /* most of it is on disk alone */
  kit_open(&live);
  for (int i = 0; i < MANY; i++) {
    int user = (int)((int64_t)i * 7919 % MANY);
    submit("r", user, MANY - user);
  }
  ck_assert(kit_until(all_in, &n));
  static const int users[] = {0, 1, 99, 100, 127, 128, 129, 5000, 9998, 9999, 10000, 10001, MANY - 1};
  for (uint32_t window = TC_WINDOW_ALL; window <= TC_WINDOW_CUSTOM; window++) {
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
      ck_assert_int_eq(rank_of(i % 2 ? "r" : NULL, window, users[i]), users[i] < 10000 ? users[i] + 1 : TC_BOARD_RANK_MAX + 1);
  }
  kit_clean(&live);
}
END_TEST

/* ---- a kill between cells and tops ---- */

static tc_storage_ops mortal;
static atomic_int dead, commits, tops_written;

static int commit_or_die(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  if (atomic_load(&dead)) return TC_ESTORAGE;
  for (size_t i = 0; i < n; i++) tops_written += facts[i].space == TCI_SPACE_TOP;
  int rc = tci_sqlite_ops.facts_commit(storage, seq, facts, n);
  commits++;
  return rc;
}

static int has_committed(void *arg) { return atomic_load(&commits) > *(int *)arg; }

/* Somebody rises, somebody comes back, and the best ones fall. */
static void stir(unsigned round) {
  for (unsigned i = 0; i < 90; i++) {
    int user = (int)((round * 131 + i * 57) % USERS), best = 0;
    give("r", user, 1 + (int64_t)(i * 29 % 300));
    if (i % 2) continue;
    for (int other = 1; other < USERS; other++) best = accounts[other].sum > accounts[best].sum ? other : best;
    take_back(best, 1);
  }
}

/* Cells are written every few seconds, tops once a minute. What the tops have missed when a kill comes must be in them again, in those of all time and of the day. */
START_TEST(a_kill_leaves_tops_behind_their_cells) {
  kit_init(&live, 1);
  mortal = tci_sqlite_ops;
  mortal.facts_commit = commit_or_die;
  live.options.storage_ops = &mortal;
  if (_i == 1) live.options.rollup_bytes = 1 << 20; /* or in between, when they fill the memory */
  kit_open(&live);
  for (int user = 0; user < USERS; user++) give("r", user, 10 + (user * 37) % USERS);
  ck_assert(kit_until(follows, NULL));
  kit_close(&live);
  ck_assert_int_gt(tops_written, 0);
  kit_open(&live);
  for (unsigned round = 0; round < 4; round++) {
    stir(round * 2);
    ck_assert(kit_until(follows, NULL));
    int before = atomic_load(&commits);
    tops_written = 0;
    kit_clock_add(6000000);
    ck_assert(kit_until(has_committed, &before));
    if (_i == 0) ck_assert_int_eq(tops_written, 0);
    if (round % 2) stir(round * 2 + 1); /* what not even the cells know */
    atomic_store(&dead, 1);
    kit_close(&live);
    atomic_store(&dead, 0);
    kit_open(&live);
    compare(TC_WINDOW_ALL);
    compare(TC_WINDOW_DAY);
  }
  stir(9);
  compare(TC_WINDOW_ALL);
  compare(TC_WINDOW_DAY);
  kit_clean(&live);
}
END_TEST

/* ---- readers while it grows ---- */

static atomic_int over;
static int64_t looks;

/* Two hundred stand before him and do not move, he rises all the time, and nobody else comes near. */
static void *read_on(void *arg) {
  tc_board_query query = query_of("r", TC_WINDOW_ALL, 0);
  (void)arg;
  while (!atomic_load(&over)) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    int64_t before = looks % 3;
    int rc = tc_board_rank(live.engine, &query, "riser", &row);
    if (rc == TC_EBUSY) continue;
    ck_assert_msg(!rc, "%s", tc_last_error());
    ck_assert_int_eq(row.rank, 201);
    tc_board *board = NULL;
    query.limit = before ? 100 : 10;
    ck_assert_msg(!tc_board_top(live.engine, &query, &board), "%s", tc_last_error());
    ck_assert_uint_eq(tc_board_count(board), (size_t)query.limit);
    int64_t last = INT64_MAX;
    for (size_t i = 0; i < tc_board_count(board); i++) {
      ck_assert_int_eq(tc_board_at(board, i, &row), TC_OK);
      ck_assert_int_lt(row.amount, last);
      last = row.amount;
    }
    tc_board_free(board);
    looks++;
  }
  return NULL;
}

START_TEST(readers_see_whole_boards) {
  tci_thread reader;
  kit_init(&live, _i);
  live.options.rollup_bytes = 1; /* it spills and evicts without end */
  kit_open(&live);
  for (int user = 0; user < 200; user++) submit("r", user, 1000000 + user);
  kit_tip(&live, "r", "riser", 1000, NULL);
  ck_assert(kit_until(follows, NULL));
  ck_assert_int_eq(tci_thread_start(&reader, "reader", read_on, NULL), 0);
  char name[16];
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tip.room_id = "r";
  tip.recipient_id = "star";
  for (int i = 0; i < 30000; i++) {
    (void)snprintf(name, sizeof name, "small%d", i % 3000);
    tip.sender_id = i % 4 ? "riser" : name;
    tip.amount = 1;
    int rc;
    while ((rc = tc_tip_submit(live.engine, &tip, counted, NULL)) == TC_EBUSY) kit_turn();
    ck_assert_msg(!rc, "%s", tc_last_error());
  }
  ck_assert(kit_until(follows, NULL));
  atomic_store(&over, 1);
  tci_thread_join(&reader);
  ck_assert_int_gt(looks, 3);
  ck_assert_int_eq(rank_of("r", TC_WINDOW_ALL, 0), 200);
  kit_clean(&live);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("board_life");
  TCase *all = tcase_create("board_life");
  tcase_set_timeout(all, 240);
  tcase_add_loop_test(all, refunds_bring_forward_who_stood_behind, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, one_by_one_to_nobody, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, weeks_and_months_at_the_turn_of_a_year, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, ranks_to_ten_thousand, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, a_kill_leaves_tops_behind_their_cells, 0, 2);
  tcase_add_loop_test(all, readers_see_whole_boards, 0, KIT_BACKENDS);
  suite_add_tcase(suite, all);
  return kit_run(suite);
}
