/* What is PostgreSQL's alone: sessions that the server ends, outcomes, a killed node. */
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storage/schemes.h"
#include "storage_suite.h"

static char url[256], schema[32];
static PGconn *other; /* a session beside the storage's */

static void sql(const char *text) {
  PGresult *result = PQexec(other, text);
  ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(other));
  PQclear(result);
}

static void open_storage(void) {
  tc_storage_state state;
  ck_assert_msg(!ops->open(&storage, url, &storage_env, &state), "%s", last_fail());
  index_seq = state.index_seq;
}

static void set_up(void) {
  const char *server = getenv("TIPCURRENT_TEST_PG");
  char set_path[64];
  ck_assert_msg(server != NULL, "TIPCURRENT_TEST_PG names no server");
  (void)snprintf(schema, sizeof schema, "p%d", (int)getpid());
  (void)snprintf(url, sizeof url, "%s?options=-csearch_path%%3D%s", server, schema);
  ops = &tci_postgres_ops;
  clear_fail();
  open_storage();
  other = PQconnectdb(server);
  ck_assert_msg(PQstatus(other) == CONNECTION_OK, "%s", PQerrorMessage(other));
  (void)snprintf(set_path, sizeof set_path, "SET search_path=%s", schema);
  sql(set_path);
}

static void tear_down(void) {
  PQfinish(other);
  ck_assert_msg(!ops->check(storage), "%s", last_fail());
  ops->close(storage);
}

#define OWN_SESSIONS " FROM pg_stat_activity WHERE application_name LIKE 'tipcurrent%'" /* there are no others: one test runs at a time */

static int sessions(void) {
  PGresult *result = PQexec(other, "SELECT 1" OWN_SESSIONS);
  int n = PQntuples(result);
  PQclear(result);
  return n;
}

/* All of the storage's, and waits until they are gone. */
static void end_sessions(void) {
  sql("SELECT pg_terminate_backend(pid)" OWN_SESSIONS);
  for (int i = 0; sessions(); i++) {
    ck_assert_int_lt(i, 5000);
    (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
}

static tc_record keyed(const char *key) {
  tc_record record = tip("r", "u", "p", NOON);
  record.text[TC_COL_KEY] = text_of(key);
  return record;
}

static const uint8_t batch_a[16] = {1, 2, 3}, batch_b[16] = {9};

/* ---- outcomes ---- */

START_TEST(a_stored_batch_is_told_as_append_would_have) {
  tc_record first = keyed("known");
  tc_append one = {.record = &first};
  ck_assert_int_eq(ops->append(storage, &one, 1, batch_b, NOON), TC_OK);
  tc_record records[4] = {keyed("known"), keyed("new"), tip("r", "u", "p", NOON), keyed("newer")};
  records[2].kind = TC_KIND_REACTION;
  tc_append items[4] = {{.record = &records[0]}, {.record = &records[1]}, {.record = &records[2]}, {.record = &records[3]}};
  ck_assert_int_eq(ops->append(storage, items, 4, batch_a, NOON), TC_OK);
  ck_assert_int_eq(items[0].existing_seq, 1);
  ops->close(storage); /* a node that knows nothing any more: the end it knew was before the batch */
  sql("UPDATE log_end SET seq=1");
  open_storage();
  sql("UPDATE log_end SET seq=4");
  for (int i = 1; i < 4; i++) records[i].seq = records[i].id = 0, items[i].result = 99;
  int32_t stored = -1;
  ck_assert_int_eq(ops->append_outcome(storage, items + 1, 3, batch_a, &stored), TC_OK);
  ck_assert_int_eq(stored, 1);
  static const int64_t ids[] = {2, 1, 3};
  for (int i = 1; i < 4; i++) {
    ck_assert_int_eq(items[i].result, TC_OK);
    ck_assert_int_eq(records[i].seq, i + 1);
    ck_assert_int_eq(records[i].id, ids[i - 1]);
  }
  ck_assert_int_eq(append_one(ops, storage, tip("r", "u", "p", NOON)), 5);
}
END_TEST

START_TEST(what_was_said_to_be_not_stored_never_is) {
  tc_record record = keyed("late");
  tc_append item = {.record = &record};
  int32_t stored = -1;
  ck_assert_int_eq(ops->append_outcome(storage, &item, 1, batch_a, &stored), TC_OK);
  ck_assert_int_eq(stored, 0);
  clear_fail();
  ck_assert_int_eq(ops->append(storage, &item, 1, batch_a, NOON), TC_ESTORAGE);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(append_one(ops, storage, keyed("late")), 1); /* its key is free */
}
END_TEST

START_TEST(a_locked_log_says_busy_and_stores_nothing) {
  tc_record record = keyed("k");
  tc_append item = {.record = &record};
  sql("BEGIN; SELECT FROM log_end FOR UPDATE");
  clear_fail();
  ck_assert_int_eq(ops->append(storage, &item, 1, batch_a, NOON), TC_EBUSY);
  ck_assert_str_ne(last_fail(), "");
  sql("ROLLBACK");
  ck_assert_int_eq(ops->append(storage, &item, 1, batch_b, NOON), TC_OK);
  ck_assert_int_eq(item.result, TC_OK);
  ck_assert_int_eq(record.seq, 1);
}
END_TEST

static void *end_while_it_waits(void *arg) {
  int *found = arg;
  PGconn *db = PQconnectdb(getenv("TIPCURRENT_TEST_PG"));
  for (int i = 0; i < 400 && !*found; i++) {
    PGresult *result =
      PQexec(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='tipcurrent writer' AND wait_event_type='Lock'");
    *found = PQntuples(result);
    PQclear(result);
    (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  PQfinish(db);
  return NULL;
}

START_TEST(a_connection_that_breaks_in_an_append_leaves_it_open_and_then_known) {
  tc_record record = keyed("k");
  tc_append item = {.record = &record};
  pthread_t thread;
  int found = 0;
  int32_t stored = -1;
  sql("BEGIN; SELECT FROM log_end FOR UPDATE");
  ck_assert_int_eq(pthread_create(&thread, NULL, end_while_it_waits, &found), 0);
  clear_fail();
  int code = ops->append(storage, &item, 1, batch_a, NOON);
  (void)pthread_join(thread, NULL);
  ck_assert_int_eq(found, 1);
  ck_assert_int_eq(code, TC_EUNKNOWN);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(ops->append_outcome(storage, &item, 1, batch_a, &stored), TC_EUNKNOWN); /* while the log is locked nobody can tell */
  ck_assert_int_eq(stored, -1);
  sql("ROLLBACK");
  ck_assert_msg(!ops->append_outcome(storage, &item, 1, batch_a, &stored), "%s", last_fail());
  ck_assert_int_eq(stored, 0);
  ck_assert_int_eq(append_one(ops, storage, keyed("k")), 1);
}
END_TEST

/* ---- keys ---- */

/* For many nodes: what another one has just appended is in nobody's memory here, and in no index. */
START_TEST(a_key_is_known_before_it_is_indexed) {
  append_one(ops, storage, keyed("k"));
  tc_record record = keyed("k");
  tc_append item = {.record = &record};
  ck_assert_int_eq(append_items(ops, storage, &item, 1), TC_OK);
  ck_assert_int_eq(item.result, TC_EEXISTS);
  ck_assert_int_eq(item.existing_seq, 1);
}
END_TEST

/* ---- sessions that end ---- */

static int count_row(const tc_record *row, void *arg) {
  (void)row;
  ++*(int *)arg;
  return 0;
}

START_TEST(ended_sessions_are_noticed_before_they_are_used) {
  for (int round = 0; round < 3; round++) {
    int rows = 0;
    int64_t id = 0, cursor = -1;
    append_one(ops, storage, tip("r", "u", "p", NOON));
    end_sessions();
    append_one(ops, storage, tip("r", "u", "p", NOON));
    ck_assert_int_eq(ops->read_log(storage, 0, 100, count_row, &rows), TC_OK);
    ck_assert_int_eq(rows, 2 * round + 2);
    end_sessions();
    derive_all(ops, storage, &index_seq);
    ck_assert_int_eq(ops->config_put(storage, 1, &id, text_of("{}")), TC_OK);
    ck_assert_int_eq(ops->work_state(storage, &cursor, NULL, NULL), TC_OK);
    ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, "r"), 2 * round + 2);
  }
}
END_TEST

START_TEST(a_snapshot_whose_session_ends_says_busy_and_the_next_one_serves) {
  append_one(ops, storage, tip("r", "u", "p", NOON));
  derive_all(ops, storage, &index_seq);
  tc_snapshot *snapshot = snapshot_now();
  tc_filter filter = {.kind = TC_KIND_TIP};
  int64_t count = -1;
  end_sessions();
  clear_fail();
  ck_assert_int_eq(ops->count(snapshot, &filter, &count), TC_EBUSY);
  ck_assert_str_ne(last_fail(), "");
  ck_assert_int_eq(count, -1);
  ck_assert_int_eq(ops->count(snapshot, &filter, &count), TC_EBUSY); /* never another view by accident */
  ops->snapshot_end(snapshot);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, NULL), 1);
}
END_TEST

static void *end_the_indexer(void *arg) {
  int *found = arg;
  PGconn *db = PQconnectdb(getenv("TIPCURRENT_TEST_PG"));
  for (int i = 0; i < 2000 && !*found; i++) {
    PGresult *result =
      PQexec(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='tipcurrent indexer' AND wait_event_type='Lock'");
    *found = PQntuples(result);
    PQclear(result);
    (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  PQfinish(db);
  return NULL;
}

/* _i: how much of the batch was indexed all the same, when its answer was lost. */
START_TEST(an_index_batch_whose_answer_was_lost_is_taken_up_where_it_is) {
  char moved[80];
  row_list rows = {0};
  pthread_t thread;
  int found = 0;
  for (int i = 0; i < 10; i++) append_one(ops, storage, tip("r", "u", "p", NOON + i));
  ck_assert_int_eq(ops->read_log(storage, 0, 10, keep_row, &rows), TC_OK);
  ck_assert_int_eq(ops->derive(storage, rows.at, 1), TC_OK);
  sql("BEGIN; SELECT FROM index_state FOR UPDATE");
  ck_assert_int_eq(pthread_create(&thread, NULL, end_the_indexer, &found), 0);
  clear_fail();
  ck_assert_int_eq(ops->derive(storage, rows.at + 1, 5), TC_EBUSY);
  (void)pthread_join(thread, NULL);
  ck_assert_int_eq(found, 1);
  ck_assert_str_ne(last_fail(), "");
  (void)snprintf(moved, sizeof moved, "UPDATE index_state SET cursor=cursor+%d", _i);
  sql(moved);
  sql("COMMIT");
  ck_assert_msg(!ops->derive(storage, rows.at + 1, 9), "%s", last_fail());
  index_seq = 10;
  ops->snapshot_end(snapshot_now());
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, "r"), 10 - _i);
  free_rows(&rows);
}
END_TEST

/* ---- a killed node ---- */

static int count_sessions(const char *which) {
  char text[256];
  sql("SELECT pg_stat_clear_snapshot()"); /* a transaction sees them as they were */
  (void)snprintf(text, sizeof text, "SELECT 1 FROM pg_stat_activity WHERE %s", which);
  PGresult *result = PQexec(other, text);
  int n = PQntuples(result);
  PQclear(result);
  return n;
}

static void wait_a_little(int *turns) {
  ck_assert_int_lt(++*turns, 20000);
  (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
}

/* A node of its own that appends three events, and is killed while the server has still to index them. */
static void kill_a_node_that_indexes(void) {
  int turns = 0;
  pid_t node = fork();
  ck_assert_int_ge(node, 0);
  if (!node) {
    row_list rows = {0};
    open_storage();
    for (int i = 0; i < 3; i++) append_one(ops, storage, tip("r", "u", "p", NOON + i));
    if (!ops->read_log(storage, 0, 10, keep_row, &rows)) (void)ops->derive(storage, rows.at, 3);
    _exit(1);
  }
  while (!count_sessions("application_name='tipcurrent indexer' AND wait_event_type='Lock'")) wait_a_little(&turns);
  ck_assert_int_eq(kill(node, SIGKILL), 0);
  ck_assert_int_eq(waitpid(node, NULL, 0), node);
}

START_TEST(a_node_waits_for_what_a_killed_one_had_still_sent) {
  tc_node_view view = {.epoch = 0};
  int turns = 0;
  ops->close(storage);
  sql("BEGIN; SELECT FROM index_state FOR UPDATE");
  kill_a_node_that_indexes();
  open_storage(); /* it follows: nobody leads before that is over */
  for (int i = 0; i < 20; i++) {
    ck_assert_msg(!ops->look(storage, 0, 6000, 0, &view), "%s", last_fail());
    ck_assert_int_eq(view.epoch, 0);
    ck_assert_int_eq(view.index_seq, 0);
  }
  sql("COMMIT");
  while (!view.epoch) {
    wait_a_little(&turns);
    ck_assert_msg(!ops->look(storage, 0, 6000, 0, &view), "%s", last_fail());
  }
  ck_assert_int_eq(view.index_seq, 3);
  ck_assert_int_eq(ops->take_up(storage, view.epoch, &index_seq), TC_OK);
  ck_assert_int_eq(index_seq, 3);
  ck_assert_int_eq(count_all(ops, storage, TC_KIND_TIP, "r"), 3);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("postgresql");
  TCase *all = tcase_create("sessions");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_set_timeout(all, 60);
  tcase_add_test(all, a_stored_batch_is_told_as_append_would_have);
  tcase_add_test(all, what_was_said_to_be_not_stored_never_is);
  tcase_add_test(all, a_locked_log_says_busy_and_stores_nothing);
  tcase_add_test(all, a_connection_that_breaks_in_an_append_leaves_it_open_and_then_known);
  tcase_add_test(all, a_key_is_known_before_it_is_indexed);
  tcase_add_test(all, ended_sessions_are_noticed_before_they_are_used);
  tcase_add_test(all, a_snapshot_whose_session_ends_says_busy_and_the_next_one_serves);
  tcase_add_loop_test(all, an_index_batch_whose_answer_was_lost_is_taken_up_where_it_is, 0, 2);
  tcase_add_loop_test(all, an_index_batch_whose_answer_was_lost_is_taken_up_where_it_is, 9, 10);
  tcase_add_test(all, a_node_waits_for_what_a_killed_one_had_still_sent);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
