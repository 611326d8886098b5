/* Leaderboards against a plain computation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rollup_kit.h"

#define DAY_US TCI_DAY_US

typedef struct standing {
  tci_int128 sum;
  int64_t tips, seq;
  int user;
} standing;

static int by_place(const void *a, const void *b) {
  const standing *x = a, *y = b;
  if (x->sum != y->sum) return x->sum > y->sum ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* All who stand on it, the best first. */
static size_t work_out(int room, int currency, int role, int64_t from_us, int64_t to_us, standing out[PAST_USERS]) {
  static standing all[PAST_USERS];
  size_t n = 0;
  memset(all, 0, sizeof all);
  for (size_t i = 0; i < history.n; i++) {
    const past_event *event = &history.at[i], *tip = past_tip_of(event);
    if (event->kind == TC_KIND_REACTION || event->currency != currency || !past_in_room(event, room) || tip->us < from_us || tip->us >= to_us) continue;
    standing *s = &all[role == TC_BOARD_SENDERS ? event->user : event->peer];
    s->sum += event == tip ? (tci_int128)event->amount : -(tci_int128)event->amount;
    s->tips += event == tip;
    s->seq = (int64_t)i + 1;
  }
  for (int user = 0; user < PAST_USERS; user++) {
    all[user].user = user;
    if (all[user].sum > 0) out[n++] = all[user];
  }
  qsort(out, n, sizeof *out, by_place);
  return n;
}

static void print(tci_int128 sum, char out[TC_BOARD_AMOUNT_SIZE]) {
  (void)snprintf(out, TC_BOARD_AMOUNT_SIZE, "%lld%09lld", (long long)(sum / 1000000000), (long long)(sum % 1000000000));
  size_t zeros = strspn(out, "0"), len = strlen(out);
  if (zeros > len - 3) zeros = len - 3;
  memmove(out, out + zeros, len - zeros + 1);
  len -= zeros;
  memmove(out + len - 1, out + len - 2, 3);
  out[len - 2] = '.';
}

static void assert_row(const tc_board_row *row, const standing *s, size_t place) {
  char amount[TC_BOARD_AMOUNT_SIZE];
  print(s->sum, amount);
  ck_assert_int_eq(row->rank, (int64_t)place + 1);
  ck_assert_int_eq(row->tips, s->tips);
  ck_assert_str_eq(row->total_amount, amount);
  ck_assert_int_eq(row->amount, s->sum > INT64_MAX ? INT64_MAX : (int64_t)s->sum);
}

static void assert_board(const tc_board_query *query, int room, int currency) {
  static standing all[PAST_USERS];
  tc_board *board = NULL;
  int64_t from, to;
  char name[16], letter = query->role == TC_BOARD_SENDERS ? 'u' : 'p';
  ck_assert_msg(!tc_board_top(world.engine, query, &board), "%s", tc_last_error());
  tc_board_span(board, &from, &to);
  size_t n = work_out(room, currency, (int)query->role, from, to, all), shown = n < 100 ? n : 100;
  ck_assert_uint_eq(tc_board_count(board), shown);
  for (size_t i = 0; i < shown; i++) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    ck_assert_int_eq(tc_board_at(board, i, &row), TC_OK);
    past_name(name, letter, all[i].user);
    ck_assert_str_eq(row.user_id, name);
    assert_row(&row, &all[i], i);
  }
  tc_board_free(board);
  for (size_t i = 0; i < n; i += 1 + n / 5) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    past_name(name, letter, all[i].user);
    ck_assert_msg(!tc_board_rank(world.engine, query, name, &row), "%s", tc_last_error());
    ck_assert_ptr_null(row.user_id);
    assert_row(&row, &all[i], i);
  }
  tc_board_row row = TC_BOARD_ROW_INIT;
  ck_assert_int_eq(tc_board_rank(world.engine, query, "nobody", &row), TC_ENOTFOUND);
}

static void compare_boards(void) {
  for (int room = -1; room < PAST_ROOMS; room++) {
    for (int currency = 0; currency < 2; currency++) {
      for (uint32_t role = TC_BOARD_SENDERS; role <= TC_BOARD_RECIPIENTS; role++) {
        tc_board_query query = TC_BOARD_QUERY_INIT;
        query.room_id = room < 0 ? NULL : past_room(room);
        query.currency = currency ? past_codes[currency] : past_random(2) ? NULL : "USD";
        query.role = role;
        query.limit = 100;
        assert_board(&query, room, currency);
        for (query.window = TC_WINDOW_DAY; query.window <= TC_WINDOW_MONTH; query.window++) {
          query.at_us = history.now_us - (int64_t)past_random(4) * DAY_US;
          assert_board(&query, room, currency);
        }
        query.window = TC_WINDOW_CUSTOM;
        query.from_us = history.now_us - (int64_t)past_random(3 * 86400) * 1000000;
        query.to_us = query.from_us + (int64_t)past_random(86400) * 1000000;
        assert_board(&query, room, currency);
      }
    }
  }
}

START_TEST(boards_are_what_the_events_make_them) {
  past_begin((uint64_t)_i + 50, _i == 2 ? 1 : 0);
  for (int round = 0; round < 3; round++) {
    past_add(2500, 9, 40 * 1000000);
    past_open();
    compare_boards();
    past_close((int)past_random(2));
  }
  past_open();
  compare_boards();
  past_end();
}
END_TEST

/* ---- by hand, on both backends ---- */

static kit live;

static int follows(void *arg) {
  tc_status status = TC_STATUS_INIT;
  (void)arg;
  ck_assert_int_eq(tc_engine_status(live.engine, &status), TC_OK);
  return tci_rollup_seq(live.engine) == status.log_seq;
}

/* "a 3.00 b 2.00 " */
static void expect(const char *room, uint32_t window, int32_t limit, const char *expected) {
  char found[512] = "";
  tc_board *board = NULL;
  tc_board_query query = TC_BOARD_QUERY_INIT;
  query.room_id = room;
  query.window = window;
  query.at_us = kit_clock_wall();
  query.to_us = INT64_MAX;
  query.limit = limit;
  ck_assert(kit_until(follows, NULL));
  ck_assert_msg(!tc_board_top(live.engine, &query, &board), "%s", tc_last_error());
  for (size_t i = 0; i < tc_board_count(board); i++) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    ck_assert_int_eq(tc_board_at(board, i, &row), TC_OK);
    size_t len = strlen(found);
    (void)snprintf(found + len, sizeof found - len, "%s %s ", row.user_id, row.total_amount);
  }
  tc_board_free(board);
  ck_assert_str_eq(found, expected);
}

START_TEST(whoever_came_first_stands_first) {
  kit_init(&live, _i);
  kit_open(&live);
  expect("r", TC_WINDOW_ALL, 0, "");
  kit_tip(&live, "r", "zoe", 500, NULL);
  kit_tip(&live, "r", "adam", 500, NULL);
  kit_tip(&live, "r", "carol", 200, NULL);
  kit_tip(&live, "q", "carol", 1000, NULL);
  expect("r", TC_WINDOW_ALL, 0, "zoe 5.00 adam 5.00 carol 2.00 ");
  kit_tip(&live, "r", "carol", 300, NULL); /* 5.00 as well, but later */
  expect("r", TC_WINDOW_ALL, 0, "zoe 5.00 adam 5.00 carol 5.00 ");
  expect(NULL, TC_WINDOW_ALL, 2, "carol 15.00 zoe 5.00 ");
  expect(NULL, TC_WINDOW_CUSTOM, 2, "carol 15.00 zoe 5.00 ");
  for (uint32_t window = TC_WINDOW_ALL; window <= TC_WINDOW_CUSTOM; window++) expect("r", window, 0, "zoe 5.00 adam 5.00 carol 5.00 ");
  kit_clock_add(DAY_US);
  kit_tip(&live, "r", "adam", 1, NULL);
  expect("r", TC_WINDOW_DAY, 0, "adam 0.01 ");
  expect("r", TC_WINDOW_ALL, 0, "adam 5.01 zoe 5.00 carol 5.00 ");
  expect("r", TC_WINDOW_WEEK, 0, "adam 5.01 zoe 5.00 carol 5.00 "); /* it was a Monday */
  kit_clock_add(-2 * DAY_US);
  expect("r", TC_WINDOW_WEEK, 0, "");
  expect("r", TC_WINDOW_MONTH, 0, "adam 5.01 zoe 5.00 carol 5.00 ");
  kit_clean(&live);
}
END_TEST

START_TEST(more_than_a_top_holds) {
  kit_init(&live, _i);
  kit_open(&live);
  char name[16];
  for (int i = 0; i < 300; i++) {
    (void)snprintf(name, sizeof name, "s%03d", i * 7 % 300);
    kit_tip(&live, "r", name, 1 + i * 7 % 300, NULL);
  }
  ck_assert(kit_until(follows, NULL));
  for (int pass = 0; pass < 2; pass++) {
    expect("r", TC_WINDOW_ALL, 3, "s299 3.00 s298 2.99 s297 2.98 ");
    for (int i = 0; i < 300; i += 23) {
      tc_board_query query = TC_BOARD_QUERY_INIT;
      tc_board_row row = TC_BOARD_ROW_INIT;
      query.room_id = "r";
      (void)snprintf(name, sizeof name, "s%03d", i);
      ck_assert_msg(!tc_board_rank(live.engine, &query, name, &row), "%s", tc_last_error());
      ck_assert_int_eq(row.rank, 300 - i);
    }
    if (!_i) break;
    kit_close(&live);
    kit_open(&live);
  }
  kit_tip(&live, "r", "s000", 10000, NULL);
  expect("r", TC_WINDOW_ALL, 2, "s000 100.01 s299 3.00 ");
  kit_clean(&live);
}
END_TEST

START_TEST(wrong_questions_are_named) {
  tc_board *board = NULL;
  tc_board_row row = TC_BOARD_ROW_INIT;
  kit_init(&live, 0);
  kit_open(&live);
  static const struct {
    uint32_t role, window;
    int32_t limit;
    const char *currency, *room, *named;
  } wrong[] = {{2, 0, 0, NULL, NULL, "role"},   {0, 5, 0, NULL, NULL, "window"},    {0, 0, 101, NULL, NULL, "limit"},
               {0, 0, -1, NULL, NULL, "limit"}, {0, 0, 0, "usd", NULL, "currency"}, {0, 0, 0, NULL, "", "room"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    tc_board_query query = {sizeof query, wrong[i].room, wrong[i].currency, wrong[i].role, wrong[i].window, 0, 0, 0, wrong[i].limit};
    ck_assert_int_eq(tc_board_top(live.engine, &query, &board), TC_EINVAL);
    ck_assert_ptr_nonnull(strstr(tc_last_error(), wrong[i].named));
    ck_assert_int_eq(tc_board_rank(live.engine, &query, "u", &row), TC_EINVAL);
  }
  ck_assert_ptr_null(board);
  tc_board_query query = TC_BOARD_QUERY_INIT;
  ck_assert_int_eq(tc_board_top(NULL, &query, &board), TC_EINVAL);
  ck_assert_int_eq(tc_board_top(live.engine, &query, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_board_rank(live.engine, &query, NULL, &row), TC_EINVAL);
  query.window = TC_WINDOW_DAY;
  query.at_us = INT64_MAX;
  ck_assert_int_eq(tc_board_top(live.engine, &query, &board), TC_EINVAL);
  query.at_us = 0;
  ck_assert_int_eq(tc_board_top(live.engine, &query, &board), TC_OK);
  ck_assert_int_eq(tc_board_at(board, 0, &row), TC_EINVAL);
  tc_board_free(board);
  tc_board_free(NULL);
  kit_clean(&live);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("boards");
  TCase *all = tcase_create("boards");
  tcase_set_timeout(all, 240);
  tcase_add_loop_test(all, boards_are_what_the_events_make_them, 0, 3);
  tcase_add_loop_test(all, whoever_came_first_stands_first, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, more_than_a_top_holds, 0, KIT_BACKENDS);
  tcase_add_test(all, wrong_questions_are_named);
  suite_add_tcase(suite, all);
  return kit_run(suite);
}
