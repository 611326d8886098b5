#include "nodes_kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

tc_engine *nodes[NODES_MAX];
tc_options nodes_options;
PGconn *nodes_db;
static char url[256], schema[32];

static void say(void *which, int32_t level, const char *line) {
  if (getenv("NODES_LOG")) (void)fprintf(stderr, "node %d of %d [%d]: %s\n", (int)(intptr_t)which, (int)getpid(), (int)level, line);
}

void nodes_set_up(void) {
  const char *server = getenv("TIPCURRENT_TEST_PG");
  ck_assert_msg(server != NULL, "TIPCURRENT_TEST_PG names no server");
  (void)snprintf(schema, sizeof schema, "m%d", (int)getpid());
  (void)snprintf(url, sizeof url, "%s?options=-csearch_path%%3D%s", server, schema);
  nodes_options = (tc_options)TC_OPTIONS_INIT;
  nodes_db = PQconnectdb(server);
  ck_assert_msg(PQstatus(nodes_db) == CONNECTION_OK, "%s", PQerrorMessage(nodes_db));
}

void nodes_tear_down(void) {
  for (int i = 0; i < NODES_MAX; i++) nodes_close(i);
  PQfinish(nodes_db);
}

void nodes_open(int which) {
  tc_log log = {sizeof log, say, (void *)(intptr_t)which};
  nodes_options.storage_url = url;
  nodes_options.log = &log;
  int rc = tc_open(&nodes[which], &nodes_options);
  ck_assert_msg(!rc, "node %d: %s: %s", which, tc_strerror(rc), tc_last_error());
}

void nodes_close(int which) {
  ck_assert_int_eq(tc_close(nodes[which]), TC_OK);
  nodes[which] = NULL;
}

int64_t nodes_ask(const char *sql) {
  char text[512];
  (void)snprintf(text, sizeof text, "SET search_path=%s; %s", schema, sql);
  PGresult *result = PQexec(nodes_db, text);
  ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(nodes_db));
  int64_t number = PQntuples(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
  PQclear(result);
  return number;
}

int nodes_try_tip(int which, const char *room, const char *sender, int64_t amount, const char *key, int64_t *seq, int32_t *replayed) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  tip.room_id = room;
  tip.sender_id = sender;
  tip.recipient_id = "bob";
  tip.amount = amount;
  tip.idempotency_key = key;
  int rc = tc_tip_create(nodes[which], &tip, &event, replayed);
  if (!rc && seq) *seq = tc_event_seq(event);
  tc_event_unref(event);
  return rc;
}

int64_t nodes_tip(int which, const char *room, const char *sender, int64_t amount, const char *key) {
  int64_t seq = 0;
  int rc = nodes_try_tip(which, room, sender, amount, key, &seq, NULL);
  ck_assert_msg(!rc, "node %d: %s: %s", which, tc_strerror(rc), tc_last_error());
  return seq;
}

int64_t nodes_total(int which, const char *room) {
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_page *page = NULL;
  query.room_id = room;
  int64_t total = tc_tip_list(nodes[which], &query, &page) ? -1 : tc_page_total(page);
  tc_page_free(page);
  return total;
}

tc_status nodes_status(int which) {
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(nodes[which], &status), TC_OK);
  return status;
}

int nodes_until(int (*is_so)(void *arg), void *arg) {
  struct timespec now, end;
  (void)clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += TAKE_OVER_S;
  for (;;) {
    if (is_so(arg)) return 1;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec)) return is_so(arg);
    (void)nanosleep(&(struct timespec){0, 2000000}, NULL);
  }
}

typedef struct mark {
  int which;
  int64_t seq;
} mark;

static int has_log(void *arg) {
  const mark *m = arg;
  return nodes_status(m->which).log_seq >= m->seq;
}

static int has_index(void *arg) {
  const mark *m = arg;
  return nodes_status(m->which).index_seq >= m->seq;
}

static int has_counted(void *arg) {
  const mark *m = arg;
  return nodes_status(m->which).stats_seq >= m->seq;
}

int nodes_has(int which, int64_t seq) { return nodes_until(has_log, &(mark){which, seq}); }

int nodes_is_indexed(int which, int64_t seq) { return nodes_until(has_index, &(mark){which, seq}); }

int nodes_has_counted(int which, int64_t seq) { return nodes_until(has_counted, &(mark){which, seq}); }

pid_t nodes_fork(const char *room, int n) {
  int told[2];
  char word = 0;
  ck_assert_int_eq(pipe(told), 0);
  pid_t node = fork();
  ck_assert_int_ge(node, 0);
  if (!node) {
    nodes_open(0);
    for (int i = 0; i < n; i++) (void)nodes_tip(0, room, "child", 100, NULL);
    if (write(told[1], "x", 1) != 1) _exit(1);
    for (;;) (void)pause();
  }
  (void)close(told[1]);
  ck_assert_int_eq(read(told[0], &word, 1), 1);
  (void)close(told[0]);
  return node;
}

void nodes_kill(pid_t node) {
  ck_assert_int_eq(kill(node, SIGKILL), 0);
  ck_assert_int_eq(waitpid(node, NULL, 0), node);
}

int nodes_run(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
