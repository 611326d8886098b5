/* Several nodes on one log, as a storage offers them: who leads, what a leader of before may still write, what is said to the others, and what changes hang on. */
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/schemes.h"
#include "storage_suite.h"

#define LEASE_MS 6000

static char url[256], schema[32];
static PGconn *other; /* a session beside the storages' */
static tc_storage *second;
static tc_node_view first_view, second_view;

static void sql(const char *text) {
  PGresult *result = PQexec(other, text);
  ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(other));
  PQclear(result);
}

static tc_storage *open_one(void) {
  tc_storage_state state;
  tc_storage *opened = NULL;
  ck_assert_msg(!ops->open(&opened, url, &storage_env, &state), "%s", last_fail());
  index_seq = state.index_seq;
  return opened;
}

static tc_node_view look(tc_storage *node) {
  tc_node_view view;
  ck_assert_msg(!ops->look(node, 0, LEASE_MS, 0, &view), "%s", last_fail());
  return view;
}

static void look_both(void) {
  first_view = look(storage);
  second_view = look(second);
}

static void set_up(void) {
  const char *server = getenv("TIPCURRENT_TEST_PG");
  char set_path[64];
  ck_assert_msg(server != NULL, "TIPCURRENT_TEST_PG names no server");
  (void)snprintf(schema, sizeof schema, "n%d", (int)getpid());
  (void)snprintf(url, sizeof url, "%s?options=-csearch_path%%3D%s", server, schema);
  ops = &tci_postgres_ops;
  clear_fail();
  storage = open_one();
  second = open_one();
  other = PQconnectdb(server);
  ck_assert_msg(PQstatus(other) == CONNECTION_OK, "%s", PQerrorMessage(other));
  (void)snprintf(set_path, sizeof set_path, "SET search_path=%s", schema);
  sql(set_path);
  look_both();
}

static void tear_down(void) {
  PQfinish(other);
  if (second) ops->close(second);
  if (storage) ck_assert_msg(!ops->check(storage), "%s", last_fail());
  if (storage) ops->close(storage);
}

static void wait_a_little(int *turns) {
  ck_assert_int_lt(++*turns, 20000);
  (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static int append_on(tc_storage *node, tc_record *record, tc_append_terms *terms) {
  static uint8_t batch[16];
  tc_append item = {.record = record};
  batch[0]++;
  batch[1] = node == second;
  clear_fail();
  return ops->append_on(node, &item, 1, batch, record->created_at_us, terms);
}

/* What a leader alone may write: each of it in the node's epoch. */
static void check_duties(tc_storage *node, int expected) {
  tc_fact fact = {200, text_of("k"), text_of("v")};
  row_list rows = {0};
  int32_t more = 0;
  int64_t from_seq = 0;
  ck_assert_int_eq(ops->facts_cursor(node, &from_seq), TC_OK);
  ck_assert_int_eq(ops->facts_commit(node, from_seq, &fact, 1), expected);
  ck_assert_int_eq(ops->idle(node, NOON, &more), expected);
  append_one(ops, node, tip("r", "u", "p", NOON));
  ck_assert_int_eq(ops->read_log(node, index_seq, 10, keep_row, &rows), TC_OK);
  ck_assert_int_eq(ops->derive(node, rows.at, rows.count), expected);
  if (!expected) index_seq += (int64_t)rows.count;
  free_rows(&rows);
}

/* ---- who leads ---- */

START_TEST(the_first_leads_and_the_others_follow) {
  ck_assert_int_gt(first_view.epoch, 0);
  ck_assert_int_eq(second_view.epoch, 0);
  for (int i = 0; i < 3; i++) {
    int64_t epoch = first_view.epoch;
    look_both();
    ck_assert_int_eq(first_view.epoch, epoch);
    ck_assert_int_eq(second_view.epoch, 0);
  }
  ck_assert_int_eq(first_view.followed, 1);
  check_duties(storage, TC_OK);
}
END_TEST

START_TEST(a_follower_writes_nothing_of_a_leader) {
  check_duties(second, TC_ECONFLICT);
  ck_assert_str_ne(last_fail(), "");
  look_both();
  ck_assert_int_eq(second_view.index_seq, 0);
  ck_assert_int_eq(second_view.log_seq, 1);
}
END_TEST

START_TEST(who_closes_gives_the_lead_up_at_once) {
  ops->close(storage);
  storage = NULL;
  second_view = look(second);
  ck_assert_int_gt(second_view.epoch, first_view.epoch);
  ck_assert_int_eq(ops->take_up(second, second_view.epoch, &index_seq), TC_OK);
  check_duties(second, TC_OK);
}
END_TEST

/* Its session lives, it just says nothing: a machine that stands still. */
START_TEST(a_lease_that_is_over_is_taken_and_the_leader_of_before_is_told) {
  int turns = 0;
  while (ops->look(second, 0, LEASE_MS, 0, &second_view) || !second_view.epoch) {
    wait_a_little(&turns);
    ck_assert_int_lt(turns, 15000);
  }
  ck_assert_int_eq(ops->take_up(second, second_view.epoch, &index_seq), TC_OK);
  check_duties(storage, TC_ECONFLICT);
  check_duties(second, TC_OK);
  first_view = look(storage);
  ck_assert_int_eq(first_view.epoch, 0);
}
END_TEST

/* What it took up once it may not write in a later epoch of its own: in between another one led. */
START_TEST(an_epoch_is_taken_up_before_it_counts) {
  ops->close(second);
  second = NULL;
  sql("UPDATE lease SET epoch=epoch+1, until='-infinity', pid=0"); /* somebody led, and went */
  int64_t epoch = look(storage).epoch;
  if (!epoch) epoch = look(storage).epoch;
  ck_assert_int_gt(epoch, first_view.epoch);
  check_duties(storage, TC_ECONFLICT);
  ck_assert_int_eq(ops->take_up(storage, epoch, &index_seq), TC_OK);
  check_duties(storage, TC_OK);
}
END_TEST

/* ---- news ---- */

static void *append_and_tell(void *arg) {
  (void)arg;
  int64_t seq = append_one(ops, storage, tip("r", "u", "p", NOON));
  ops->tell(storage, seq);
  tc_node_view view;
  for (int i = 0; i < 50; i++) (void)ops->look(storage, 10, LEASE_MS, 0, &view);
  return NULL;
}

START_TEST(what_one_tells_wakes_another) {
  pthread_t thread;
  tc_node_view view = second_view;
  look_both(); /* the first knows of the second */
  ck_assert_int_eq(pthread_create(&thread, NULL, append_and_tell, NULL), 0);
  for (int i = 0; i < 100 && view.log_seq < 1; i++) ck_assert_msg(!ops->look(second, 100, LEASE_MS, 0, &view), "%s", last_fail());
  (void)pthread_join(thread, NULL);
  ck_assert_int_eq(view.log_seq, 1);
}
END_TEST

START_TEST(without_being_told_it_sees_all_the_same) {
  tc_node_view view = second_view;
  append_one(ops, storage, tip("r", "u", "p", NOON));
  derive_all(ops, storage, &index_seq);
  for (int i = 0; i < 20 && view.index_seq < 1; i++) ck_assert_msg(!ops->look(second, 1000, LEASE_MS, 0, &view), "%s", last_fail());
  ck_assert_int_eq(view.log_seq, 1);
  ck_assert_int_eq(view.index_seq, 1);
}
END_TEST

static void *notify_all_the_time(void *arg) {
  atomic_int *stop = arg;
  char text[96];
  PGconn *db = PQconnectdb(getenv("TIPCURRENT_TEST_PG"));
  PGresult *result = PQexec(other, "SELECT to_hex(hashtext(current_schema()))");
  (void)snprintf(text, sizeof text, "SELECT pg_notify('tipcurrent_' || lpad('%s', 8, '0'), '7')", PQgetvalue(result, 0, 0));
  PQclear(result);
  while (!atomic_load(stop)) {
    PQclear(PQexec(db, text));
    (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  PQfinish(db);
  return NULL;
}

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Other nodes that have much to say do not keep it from keeping its lease. */
START_TEST(a_flood_of_news_holds_nobody_up) {
  pthread_t thread;
  atomic_int stop = 0;
  tc_node_view view = {0};
  int news = 0;
  ck_assert_int_eq(pthread_create(&thread, NULL, notify_all_the_time, &stop), 0);
  for (int64_t end_ms = now_ms() + 1500; now_ms() < end_ms;) {
    int64_t begun_ms = now_ms();
    ck_assert_msg(!ops->look(storage, 200, LEASE_MS, 0, &view), "%s", last_fail());
    ck_assert_int_lt(now_ms() - begun_ms, 1000);
    news += view.log_seq == 7;
  }
  atomic_store(&stop, 1);
  (void)pthread_join(thread, NULL);
  ck_assert_int_gt(view.epoch, 0);
  ck_assert_int_gt(news, 0); /* what was told; the server says 0 in between */
}
END_TEST

/* ---- appends on terms ---- */

START_TEST(a_decision_holds_until_what_it_hangs_on_changes) {
  tc_record refund = tip("r", "u", "p", NOON);
  refund.kind = TC_KIND_REFUND;
  tc_append_terms terms = {.expect_seq = 0, .expect_kinds = UINT64_C(1) << TC_KIND_REFUND};
  append_one(ops, second, tip("r", "u", "p", NOON)); /* a tip is none of its business */
  ck_assert_msg(!append_on(storage, &refund, &terms), "%s", last_fail());
  ck_assert_int_eq(refund.seq, 2);
  ck_assert_int_eq(append_on(second, &refund, &terms), TC_ECONFLICT);
  ck_assert_str_ne(last_fail(), "");
  terms.expect_seq = 2;
  ck_assert_msg(!append_on(second, &refund, &terms), "%s", last_fail());
  ck_assert_int_eq(refund.seq, 3);
}
END_TEST

static int keep_time(const tc_record *row, void *arg) {
  *(int64_t *)arg = row->created_at_us;
  return 0;
}

START_TEST(time_does_not_go_back_from_node_to_node) {
  enum { HOLD_US = 10000000 };
  static const struct {
    int64_t at_us, expected_us;
  } turns[] = {{NOON, NOON}, {NOON - 5, NOON}, {NOON + 7, NOON + 7}, {NOON + 7 - HOLD_US, NOON + 7}, {NOON - HOLD_US, NOON - HOLD_US}};
  for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
    tc_append_terms terms = {.hold_us = HOLD_US};
    tc_record record = tip("r", "u", "p", turns[i].at_us);
    int64_t stored_us = 0;
    ck_assert_msg(!append_on(i % 2 ? second : storage, &record, &terms), "%s", last_fail());
    ck_assert_int_eq(record.created_at_us, turns[i].expected_us);
    ck_assert_int_eq(ops->read_log(storage, record.seq - 1, 1, keep_time, &stored_us), TC_OK);
    ck_assert_int_eq(stored_us, turns[i].expected_us);
  }
}
END_TEST

START_TEST(what_has_a_time_of_its_own_keeps_it) {
  tc_append_terms terms = {.hold_us = 10000000};
  tc_record records[2] = {tip("r", "u", "p", NOON - 3), tip("r", "u", "p", NOON - 2)};
  tc_append items[2] = {{.record = &records[0]}, {.record = &records[1]}};
  static const uint8_t batch[16] = {77};
  records[0].text[TC_COL_KEY] = text_of("k");
  append_one(ops, storage, tip("r", "u", "p", NOON));
  ck_assert_msg(!ops->append_on(second, items, 2, batch, NOON - 2, &terms), "%s", last_fail());
  ck_assert_int_eq(records[0].created_at_us, NOON - 3);
  ck_assert_int_eq(records[1].created_at_us, NOON);
}
END_TEST

/* ---- documents ---- */

static int32_t sync_at(tc_storage *node, int64_t log_seq) {
  int32_t changed = -1;
  ck_assert_msg(!ops->config_sync(node, log_seq, &changed), "%s", last_fail());
  return changed;
}

START_TEST(a_change_by_another_node_is_seen_before_one_is_made) {
  int64_t id = 0, theirs = 0;
  ck_assert_int_eq(ops->config_put(storage, 1, &id, text_of("{\"a\":1}")), TC_OK);
  ck_assert_int_eq(look(storage).config_changed, 0); /* its own */
  ck_assert_int_eq(look(second).config_changed, 1);
  clear_fail();
  ck_assert_int_eq(ops->config_put(second, 1, &theirs, text_of("{}")), TC_EBUSY);
  ck_assert_int_eq(ops->config_remove(second, 1, id), TC_EBUSY);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(theirs, 0);
  ck_assert_int_eq(sync_at(second, 0), 1);
  ck_assert_int_eq(sync_at(second, 0), 0);
  ck_assert_int_eq(look(second).config_changed, 0);
  ck_assert_int_eq(ops->config_put(second, 1, &theirs, text_of("{}")), TC_OK);
  ck_assert_int_eq(theirs, id + 1);
  ck_assert_int_eq(ops->config_remove(second, 1, id), TC_OK);
  ck_assert_int_eq(ops->config_remove(second, 1, id), TC_ENOTFOUND);
  ck_assert_int_eq(sync_at(storage, 0), 1);
}
END_TEST

START_TEST(a_change_hangs_on_the_end_of_the_log) {
  int64_t id = 0;
  tc_append_terms terms = {.hold_us = 0};
  tc_record record = tip("r", "u", "p", NOON);
  ck_assert_int_eq(sync_at(second, 0), 0);
  append_one(ops, storage, tip("r", "u", "p", NOON));
  ck_assert_int_eq(ops->config_put(second, 2, &id, text_of("{}")), TC_EBUSY);
  ck_assert_int_eq(sync_at(second, 1), 0);
  ck_assert_int_eq(ops->config_put(second, 2, &id, text_of("{}")), TC_OK);
  ck_assert_msg(!append_on(storage, &record, &terms), "%s", last_fail());
  ck_assert_int_eq(terms.config_changed, 1); /* it stands behind the change, and says so */
  ck_assert_int_eq(sync_at(storage, 2), 1);
  ck_assert_msg(!append_on(storage, &record, &terms), "%s", last_fail());
  ck_assert_int_eq(terms.config_changed, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nodes: storage");
  TCase *all = tcase_create("two on one log");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_set_timeout(all, 60);
  tcase_add_test(all, the_first_leads_and_the_others_follow);
  tcase_add_test(all, a_follower_writes_nothing_of_a_leader);
  tcase_add_test(all, who_closes_gives_the_lead_up_at_once);
  tcase_add_test(all, a_lease_that_is_over_is_taken_and_the_leader_of_before_is_told);
  tcase_add_test(all, an_epoch_is_taken_up_before_it_counts);
  tcase_add_test(all, what_one_tells_wakes_another);
  tcase_add_test(all, without_being_told_it_sees_all_the_same);
  tcase_add_test(all, a_flood_of_news_holds_nobody_up);
  tcase_add_test(all, a_decision_holds_until_what_it_hangs_on_changes);
  tcase_add_test(all, time_does_not_go_back_from_node_to_node);
  tcase_add_test(all, what_has_a_time_of_its_own_keeps_it);
  tcase_add_test(all, a_change_by_another_node_is_seen_before_one_is_made);
  tcase_add_test(all, a_change_hangs_on_the_end_of_the_log);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
