/* Several nodes that send webhooks, as a storage offers it: who is to send which share, who holds it, what a sender of before may still write, and how far each share is. */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/postgres/postgres.h"
#include "storage/schemes.h"
#include "storage_suite.h"

#define LEASE_MS 6000
#define ALL ((1u << TC_WORK_SHARES) - 1)
#define GONE_S 15 /* what is promised after a kill -9 */

static char url[256], schema[32];
static PGconn *other; /* a session beside the storages' */
static tc_storage *second;
static tc_node_view first_view, second_view;

static void sql(const char *text) {
  PGresult *result = PQexec(other, text);
  ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(other));
  PQclear(result);
}

static int64_t number(const char *text) {
  PGresult *result = PQexec(other, text);
  ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1, "%s", PQerrorMessage(other));
  int64_t out = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
  PQclear(result);
  return out;
}

static tc_storage *open_one(void) {
  tc_storage_state state;
  tc_storage *opened = NULL;
  ck_assert_msg(!ops->open(&opened, url, &storage_env, &state), "%s", last_fail());
  return opened;
}

static tc_node_view look(tc_storage *node) {
  tc_node_view view;
  ck_assert_msg(!ops->look(node, 0, LEASE_MS, 1, &view), "%s", last_fail());
  return view;
}

/* The leader's last look may have planned anew. */
static void look_both(void) {
  (void)look(storage);
  second_view = look(second);
  first_view = look(storage);
  second_view = look(second);
}

static uint32_t hold(tc_storage *node, const tc_node_view *view, int64_t cursors[TC_WORK_SHARES]) {
  uint32_t held = 0;
  ck_assert_msg(!ops->work_hold(node, view->sender, view->shares, &held, cursors), "%s", last_fail());
  return held;
}

/* Both hold what they are to. */
static void share_out(void) {
  int64_t cursors[TC_WORK_SHARES];
  look_both();
  (void)hold(storage, &first_view, cursors);
  ck_assert_uint_eq(hold(second, &second_view, cursors), second_view.shares);
  ck_assert_uint_eq(hold(storage, &first_view, cursors), first_view.shares);
}

static int commit(tc_storage *node, int64_t cursor_seq) {
  clear_fail();
  return ops->work_commit(node, &(tc_work){.cursor_seq = cursor_seq});
}

static void connect_other(void) {
  const char *server = getenv("TIPCURRENT_TEST_PG");
  char set_path[64];
  ck_assert_msg(server != NULL, "TIPCURRENT_TEST_PG names no server");
  (void)snprintf(schema, sizeof schema, "w%d", (int)getpid());
  (void)snprintf(url, sizeof url, "%s?options=-csearch_path%%3D%s", server, schema);
  ops = &tci_postgres_ops;
  clear_fail();
  ck_assert_int_eq(tci_pg_load(&storage_env), TC_OK); /* PQclear is what it has loaded */
  other = PQconnectdb(server);
  ck_assert_msg(PQstatus(other) == CONNECTION_OK, "%s", PQerrorMessage(other));
  (void)snprintf(set_path, sizeof set_path, "SET search_path=%s", schema);
  sql(set_path);
}

static void set_up(void) {
  connect_other();
  storage = open_one();
  second = open_one();
}

static void tear_down(void) {
  PQfinish(other);
  if (second) ops->close(second);
  ck_assert_msg(!ops->check(storage), "%s", last_fail());
  ops->close(storage);
}

static void register_hooks(int n) {
  for (int i = 0; i < n; i++) {
    int64_t id = 0;
    ck_assert_msg(!ops->config_put(storage, TC_CONFIG_WEBHOOK, &id, text_of("{}")), "%s", last_fail());
    ck_assert_int_eq(id, i + 1);
  }
}

static int hooks_in(uint32_t shares, int n) {
  int found = 0;
  for (int id = 1; id <= n; id++) found += (int)(shares >> TC_WORK_SHARE(id) & 1);
  return found;
}

static int count_of(uint32_t shares) { return __builtin_popcount(shares); }

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Looks until the first may take all; the milliseconds that it took. */
static int64_t take_all(void) {
  int64_t cursors[TC_WORK_SHARES], begun_ms = now_ms();
  while (hold(storage, &first_view, cursors) != ALL) {
    ck_assert_int_lt(now_ms(), begun_ms + GONE_S * 1000);
    (void)nanosleep(&(struct timespec){0, 5000000}, NULL);
    first_view = look(storage);
  }
  return now_ms() - begun_ms;
}

/* ---- who sends what ---- */

START_TEST(a_node_that_does_not_send_gets_nothing) {
  tc_node_view view;
  ck_assert_int_eq(ops->look(second, 0, LEASE_MS, 0, &view), TC_OK);
  ck_assert_int_eq(view.sender, 0);
  first_view = look(storage);
  ck_assert_uint_eq(first_view.shares, ALL);
  ck_assert_uint_eq(first_view.open_shares, ALL);
  ck_assert_uint_eq(look(second).shares, 0); /* it does now; its part comes with the leader's next look */
  look_both();
  ck_assert_int_eq(count_of(second_view.shares), TC_WORK_SHARES / 2);
}
END_TEST

START_TEST(two_share_and_nobody_takes_what_another_holds) {
  int64_t cursors[TC_WORK_SHARES];
  first_view = look(storage);
  ck_assert_uint_eq(hold(storage, &first_view, cursors), ALL);
  look_both();
  ck_assert_int_ne(first_view.sender, second_view.sender);
  ck_assert_uint_eq(first_view.shares ^ second_view.shares, ALL);
  ck_assert_int_eq(count_of(first_view.shares), TC_WORK_SHARES / 2);
  ck_assert_uint_eq(second_view.open_shares, 0);
  ck_assert_uint_eq(hold(second, &second_view, cursors), 0); /* the first has still to let go */
  ck_assert_uint_eq(hold(storage, &first_view, cursors), first_view.shares);
  second_view = look(second);
  ck_assert_uint_eq(second_view.open_shares, second_view.shares);
  ck_assert_uint_eq(hold(second, &second_view, cursors), second_view.shares);
  tc_node_view greedy = {.sender = second_view.sender, .shares = ALL};
  ck_assert_uint_eq(hold(second, &greedy, cursors), second_view.shares); /* not what is not its */
  for (int i = 0; i < 5; i++) {
    uint32_t before = first_view.shares;
    look_both();
    ck_assert_uint_eq(first_view.shares, before);
    ck_assert_uint_eq(second_view.open_shares, second_view.shares);
  }
}
END_TEST

START_TEST(webhooks_are_spread_evenly_over_nodes) {
  tc_storage *third = open_one();
  tc_node_view third_view;
  register_hooks(9);
  look_both();
  ck_assert_int_eq(hooks_in(first_view.shares, 9) + hooks_in(second_view.shares, 9), 9);
  ck_assert_int_le(abs(hooks_in(first_view.shares, 9) - hooks_in(second_view.shares, 9)), 1);
  (void)look(third);
  look_both();
  third_view = look(third);
  ck_assert_int_eq(hooks_in(first_view.shares, 9), 3);
  ck_assert_int_eq(hooks_in(second_view.shares, 9), 3);
  ck_assert_int_eq(hooks_in(third_view.shares, 9), 3);
  for (int64_t id = 1; id <= 9; id++) {
    if (first_view.shares >> TC_WORK_SHARE(id) & 1) ck_assert_int_eq(ops->config_remove(storage, TC_CONFIG_WEBHOOK, id), TC_OK);
  }
  look_both();
  ck_assert_int_eq(number("SELECT count(*) FROM config WHERE kind=1"), 6); /* two each, now */
  ck_assert_int_eq(number("SELECT max(n) FROM (SELECT count(*) AS n FROM config c JOIN share_plan p ON p.share=c.id%16 WHERE kind=1 GROUP BY p.sender) t"), 2);
  ops->close(third);
}
END_TEST

/* ---- who is gone ---- */

START_TEST(what_one_that_closes_had_is_free_at_once) {
  share_out();
  ops->close(second);
  second = NULL;
  first_view = look(storage);
  ck_assert_uint_eq(first_view.shares, ALL);
  ck_assert_uint_eq(first_view.open_shares, ALL);
  ck_assert_int_lt(take_all(), 1000);
}
END_TEST

static void end_second(void) {
  char text[256];
  (void)snprintf(text, sizeof text, "SELECT count(pg_terminate_backend(pid)) FROM senders WHERE id=%lld", (long long)second_view.sender);
  sql(text);
}

/* Its session is over and it does not look any more: as after a kill -9. */
START_TEST(what_a_killed_one_had_is_taken_over) {
  share_out();
  end_second();
  ck_assert_int_lt(take_all(), GONE_S * 1000);
  ck_assert_int_eq(commit(second, 1), TC_ECONFLICT);
  ck_assert_str_ne(last_fail(), "");
}
END_TEST

START_TEST(who_is_back_soon_keeps_what_it_had) {
  share_out();
  for (int i = 0; i < 3; i++) {
    tc_node_view before = second_view;
    end_second();
    first_view = look(storage);
    while (ops->look(second, 0, LEASE_MS, 1, &second_view)) continue;
    look_both();
    ck_assert_int_eq(second_view.sender, before.sender);
    ck_assert_uint_eq(second_view.shares, before.shares);
  }
  ck_assert_int_eq(commit(second, 1), TC_OK);
}
END_TEST

/* Its sessions live, it just says nothing: a machine that stands still. Afterwards it is another sender. */
START_TEST(a_silent_one_is_taken_for_gone_and_told_so) {
  int32_t more = 0;
  int64_t cursors[TC_WORK_SHARES];
  uint32_t held = 99;
  share_out();
  tc_node_view before = second_view;
  ck_assert_int_ge(take_all(), LEASE_MS / 4);
  ck_assert_int_eq(commit(second, 1), TC_ECONFLICT);
  ck_assert_int_eq(ops->work_forget(second, 1, 10, &more), TC_ECONFLICT);
  ck_assert_int_eq(ops->work_trim(second, 0, 10, &more), TC_ECONFLICT);
  ck_assert_int_eq(ops->work_hold(second, before.sender, ALL, &held, cursors), TC_ECONFLICT);
  ck_assert_uint_eq(held, 99);
  share_out();
  ck_assert_int_gt(second_view.sender, before.sender);
  ck_assert_int_eq(count_of(second_view.shares), TC_WORK_SHARES / 2);
  ck_assert_int_eq(commit(second, 1), TC_OK);
}
END_TEST

/* What it had still sent is over before anybody takes what it had. */
START_TEST(a_commit_that_is_on_its_way_is_waited_for) {
  char text[128];
  share_out();
  (void)snprintf(text, sizeof text, "BEGIN; SELECT work_fence(%lld)", (long long)second_view.sender); /* what its commit begins with */
  sql(text);
  PGconn *third = PQconnectdb(getenv("TIPCURRENT_TEST_PG"));
  (void)snprintf(text, sizeof text, "UPDATE %s.senders SET until='-infinity' WHERE id=%lld", schema, (long long)second_view.sender);
  PGresult *result = PQexec(third, text);
  ck_assert_int_eq(PQresultStatus(result), PGRES_COMMAND_OK);
  PQclear(result);
  PQfinish(third);
  for (int i = 0; i < 10; i++) {
    int64_t begun_ms = now_ms();
    first_view = look(storage);
    ck_assert_int_lt(now_ms(), begun_ms + 1000);                            /* and whoever leads waits for nobody */
    ck_assert_int_eq(count_of(first_view.open_shares), TC_WORK_SHARES / 2); /* its own */
  }
  sql("COMMIT");
  (void)take_all();
}
END_TEST

/* ---- how far each is ---- */

START_TEST(each_share_has_a_cursor_of_its_own) {
  int64_t cursors[TC_WORK_SHARES] = {0}, lowest = -1;
  share_out();
  ck_assert_int_eq(commit(storage, 9), TC_OK);
  ck_assert_int_eq(commit(second, 5), TC_OK);
  ck_assert_int_eq(commit(second, 3), TC_OK); /* it does not go back */
  ck_assert_int_eq(ops->work_state(storage, &lowest, NULL, NULL), TC_OK);
  ck_assert_int_eq(lowest, 5);
  uint32_t theirs = second_view.shares;
  ops->close(second);
  second = NULL;
  first_view = look(storage);
  ck_assert_uint_eq(hold(storage, &first_view, cursors), ALL);
  for (uint32_t share = 0; share < TC_WORK_SHARES; share++) ck_assert_int_eq(cursors[share], theirs >> share & 1 ? 5 : 9);
  ck_assert_int_eq(commit(storage, 7), TC_OK);
  ck_assert_uint_eq(hold(storage, &first_view, cursors), ALL);
  for (uint32_t share = 0; share < TC_WORK_SHARES; share++) ck_assert_int_eq(cursors[share], theirs >> share & 1 ? 7 : 9);
}
END_TEST

/* The answer to a taking is lost: what it did not hear of it does not pass over. */
START_TEST(a_share_that_was_taken_unheard_stays_where_it_is) {
  int64_t cursors[TC_WORK_SHARES] = {0};
  char text[96];
  share_out();
  uint32_t theirs = second_view.shares;
  ck_assert_int_eq(commit(second, 3), TC_OK);
  ops->close(second);
  second = NULL;
  first_view = look(storage);
  (void)snprintf(text, sizeof text, "SELECT work_hold(%lld, %u)", (long long)first_view.sender, ALL);
  sql(text);
  ck_assert_int_eq(commit(storage, 9), TC_OK);
  first_view = look(storage);
  ck_assert_uint_eq(first_view.open_shares, ALL); /* it may still ask what it has */
  ck_assert_uint_eq(hold(storage, &first_view, cursors), ALL);
  for (uint32_t share = 0; share < TC_WORK_SHARES; share++) ck_assert_int_eq(cursors[share], theirs >> share & 1 ? 3 : 9);
}
END_TEST

START_TEST(who_holds_nothing_moves_no_cursor) {
  int64_t cursors[TC_WORK_SHARES], lowest = -1;
  ck_assert_int_eq(commit(storage, 5), TC_ECONFLICT); /* nor is it a sender yet */
  first_view = look(storage);
  ck_assert_uint_eq(hold(storage, &first_view, cursors), ALL);
  look_both();
  ck_assert_uint_eq(hold(second, &second_view, cursors), 0);
  ck_assert_int_eq(commit(second, 5), TC_OK);
  ck_assert_int_eq(ops->work_state(storage, &lowest, NULL, NULL), TC_OK);
  ck_assert_int_eq(lowest, 0);
}
END_TEST

enum { COMMITS = 60, ROWS = 40 };
static atomic_int numbered[2 * COMMITS * ROWS + 1]; /* how often each number was given */

/* A webhook's share of the delivery log, and, of the first node, trimming it all the while. */
static void *log_many(void *arg) {
  tc_storage *node = arg;
  for (int i = 0; i < COMMITS; i++) {
    tc_delivery rows[ROWS];
    int32_t more = 0;
    for (int j = 0; j < ROWS; j++) rows[j] = (tc_delivery){.webhook_id = 1 + (node == second), .seq = i * ROWS + j, .created_at_us = NOON + i, .attempt = 1};
    ck_assert_msg(!ops->work_commit(node, &(tc_work){.log = rows, .log_n = ROWS}), "%s", last_fail());
    for (int j = 0; j < ROWS; j++) {
      ck_assert_int_le(rows[j].id, 2 * COMMITS * ROWS);
      atomic_fetch_add(&numbered[rows[j].id], 1);
    }
    if (node == storage) ck_assert_msg(!ops->work_trim(node, NOON + i - 5, 1000000, &more), "%s", last_fail());
  }
  return NULL;
}

START_TEST(what_two_log_at_once_is_numbered_once) {
  pthread_t threads[2];
  share_out();
  ck_assert_int_eq(pthread_create(&threads[0], NULL, log_many, storage), 0);
  ck_assert_int_eq(pthread_create(&threads[1], NULL, log_many, second), 0);
  for (int i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
  ck_assert_int_eq(number("SELECT last_id FROM work_state"), 2 * COMMITS * ROWS);
  for (int i = 1; i <= 2 * COMMITS * ROWS; i++) ck_assert_int_eq(atomic_load(&numbered[i]), 1);
}
END_TEST

/* ---- a schema of the release before ---- */

static const char *step(const tci_pg_migration *steps, int version) {
  while (steps->version != version) steps++;
  return steps->sql;
}

START_TEST(a_schema_in_which_the_leader_sent_all_goes_on_where_it_was) {
  char text[256];
  int64_t cursors[TC_WORK_SHARES] = {0};
  connect_other();
  (void)snprintf(text, sizeof text, "CREATE SCHEMA %s; CREATE TABLE meta(name text PRIMARY KEY, value text NOT NULL)", schema);
  sql(text);
  sql(step(tci_pg_log_steps, 1));
  sql(step(tci_pg_log_steps, 2));
  sql(tci_pg_index_step.sql);
  sql(step(tci_pg_work_steps, 1));
  (void)snprintf(text, sizeof text, "INSERT INTO meta VALUES('log_version', 2), ('work_version', 1), ('index_version', %d), ('log_id', '%032d')",
                 tci_pg_index_step.version, 7);
  sql(text);
  sql("UPDATE work_state SET cursor=41, last_id=5");
  sql("INSERT INTO owed VALUES(3, 40, -1, true, 0, 0, 2, 0)");
  storage = open_one();
  first_view = look(storage);
  ck_assert_uint_eq(hold(storage, &first_view, cursors), ALL);
  for (uint32_t share = 0; share < TC_WORK_SHARES; share++) ck_assert_int_eq(cursors[share], 41);
  tc_delivery row = {.webhook_id = 3, .seq = 40, .attempt = 2};
  tc_owed settled = {.webhook_id = 3, .seq = 40};
  ck_assert_int_eq(ops->work_commit(storage, &(tc_work){.cursor_seq = 42, .settled = &settled, .settled_n = 1, .log = &row, .log_n = 1}), TC_OK);
  ck_assert_int_eq(row.id, 6);
  ck_assert_int_eq(number("SELECT count(*) FROM owed"), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nodes: shares of webhooks");
  TCase *two = tcase_create("two on one log"), *former = tcase_create("a former schema");
  tcase_add_checked_fixture(two, set_up, tear_down);
  tcase_add_checked_fixture(former, NULL, tear_down);
  tcase_set_timeout(two, 60);
  tcase_add_test(two, a_node_that_does_not_send_gets_nothing);
  tcase_add_test(two, two_share_and_nobody_takes_what_another_holds);
  tcase_add_test(two, webhooks_are_spread_evenly_over_nodes);
  tcase_add_test(two, what_one_that_closes_had_is_free_at_once);
  tcase_add_test(two, what_a_killed_one_had_is_taken_over);
  tcase_add_test(two, who_is_back_soon_keeps_what_it_had);
  tcase_add_test(two, a_silent_one_is_taken_for_gone_and_told_so);
  tcase_add_test(two, a_commit_that_is_on_its_way_is_waited_for);
  tcase_add_test(two, each_share_has_a_cursor_of_its_own);
  tcase_add_test(two, a_share_that_was_taken_unheard_stays_where_it_is);
  tcase_add_test(two, who_holds_nothing_moves_no_cursor);
  tcase_add_test(two, what_two_log_at_once_is_numbered_once);
  tcase_add_test(former, a_schema_in_which_the_leader_sent_all_goes_on_where_it_was);
  suite_add_tcase(suite, two);
  suite_add_tcase(suite, former);
  return run_suite(suite);
}
