/* The curl transport's guards: where no connection is made (O-42), what one receiver cannot do to the others (O-41), and that a host sees no signal of ours (O-50). */
#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "base/thread.h"
#include "curl_kit.h"
#include "netfake_kit.h"
#include "tipcurrent/error.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define REFUSED "url: the address is not allowed"

static const receiver_answer answers[] = {{"/hang", NULL, 0, RECEIVER_KEEP, NULL},
                                          {"/once", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0, RECEIVER_CLOSE, NULL},
                                          {NULL, NULL, 0, 0, NULL}};

START_TEST(no_connection_is_made_to_what_is_refused) {
  receiver *to = receiver_start("127.0.0.1", NULL);
  client *from = open_client("", 4, 2);
  static const struct {
    const char *host, *error;
  } samples[] = {{"127.0.0.1", REFUSED},
                 {"169.254.169.254", REFUSED},
                 {"[::ffff:169.254.169.254]", REFUSED},
                 {"[::1]", REFUSED},
                 {"localhost", REFUSED},
                 {"localhost.", REFUSED},
                 {"inner.test", REFUSED},
                 {"two.test", REFUSED},
                 {"2130706433", "url: the host is a number, but not a.b.c.d"},
                 {"0x7f000001", "url: the host is a number, but not a.b.c.d"},
                 {"127.1", "url: the host is a number, but not a.b.c.d"},
                 {"u:p@127.0.0.1", "url: user information is not allowed"},
                 {"nowhere.test", "the host name does not resolve"}};
  for (size_t i = 0; i < COUNT(samples); i++) {
    const outcome *out = deliver(from, url_of(samples[i].host, to, "/"));
    ck_assert_int_eq(out->status, 0);
    ck_assert_str_eq(out->error, samples[i].error);
    ck_assert_int_eq(netfake_connects(), 0);
  }
  ck_assert_str_eq(deliver(from, "file:///etc/passwd")->error, "url: only http:// and https://");
  ck_assert_int_eq(deliver(from, url_of("8.8.8.8", to, "/"))->status, 200); /* it could have */
  ck_assert_int_eq(netfake_connects(), 1);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(of_several_addresses_only_the_allowed_are_connected_to) {
  receiver *to = receiver_start("0.0.0.0", NULL);
  client *from = open_client("127.0.0.2", 4, 2);
  ck_assert_int_eq(deliver(from, url_of("two.test", to, "/"))->status, 200);
  ck_assert_int_eq(receiver_count(to).connections, 1);
  ck_assert_int_eq(receiver_count(to).elsewhere, 1);
  ck_assert_int_eq(netfake_connects(), 1);
  ck_assert_str_eq(deliver(from, url_of("127.0.0.1", to, "/"))->error, REFUSED);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(addresses_are_judged_at_each_attempt) {
  receiver *to = receiver_start("127.0.0.1", answers);
  client *from = open_client("127.0.0.0/8", 4, 2);
  ck_assert_int_eq(deliver(from, url_of("two.test", to, "/once"))->status, 200);
  ck_assert_int_eq(netfake_lookups(), 1);
  /* As when the configuration changes, or the name turns: what was good for the first attempt is none for the second. */
  size_t allowed = from->policy.allowed_count;
  from->policy.allowed_count = 0;
  ck_assert_str_eq(deliver(from, url_of("two.test", to, "/once"))->error, REFUSED);
  from->policy.allowed_count = allowed;
  ck_assert_int_eq(receiver_count(to).connections, 1);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(slow_receivers_hold_no_other) {
  receiver *slow = receiver_start("127.0.0.1", answers), *quick = receiver_start("127.0.0.1", answers);
  client *from = open_client("127.0.0.1", 16, 4);
  for (int i = 0; i < 8; i++) ck_assert_int_eq(start(from, url_of("127.0.0.1", slow, "/hang"), BODY, 60000), TC_OK);
  for (int i = 0; i < 50; i++) ck_assert_int_eq(deliver(from, url_of("127.0.0.1", quick, "/"))->status, 200);
  ck_assert_int_eq(from->done, 50);
  ck_assert_int_eq(receiver_count(quick).connections, 1);
  int64_t late_us = tci_sys_monotonic_us(NULL) + PATIENCE_US;
  while (receiver_count(slow).requests < 4) {
    ck_assert_int_lt(tci_sys_monotonic_us(NULL), late_us);
    ck_assert_int_eq(from->transport.poll(from->transport.userdata, 1), TC_OK);
  }
  ck_assert_int_eq(receiver_count(slow).most_open, 4);
  close_client(from);
  receiver_stop(slow);
  receiver_stop(quick);
}
END_TEST

START_TEST(answers_that_do_not_come_are_waited_for_so_long) {
  receiver *slow = receiver_start("127.0.0.1", answers);
  client *from = open_client("127.0.0.1", 4, 4);
  const outcome *out = deliver_within(from, url_of("127.0.0.1", slow, "/hang"), 300);
  ck_assert_int_eq(out->status, 0);
  ck_assert_str_eq(out->error, "the answer did not come in time");
  ck_assert_int_ge(out->duration_us, 290000);
  ck_assert_int_lt(out->duration_us, 5000000);
  close_client(from);
  receiver_stop(slow);
}
END_TEST

START_TEST(those_that_wait_for_a_connection_end_in_time) {
  receiver *slow = receiver_start("127.0.0.1", answers);
  client *from = open_client("127.0.0.1", 4, 1);
  ck_assert_int_eq(start(from, url_of("127.0.0.1", slow, "/hang"), BODY, 20000), TC_OK);
  const outcome *out = deliver_within(from, url_of("127.0.0.1", slow, "/hang"), 200);
  ck_assert_int_eq(out->status, 0);
  ck_assert_str_eq(out->error, "the connection was not made in time");
  ck_assert_int_lt(out->duration_us, 5000000);
  ck_assert_int_eq(receiver_count(slow).connections, 1);
  close_client(from);
  receiver_stop(slow);
}
END_TEST

START_TEST(connects_that_get_no_answer_end_in_time) {
  silent none;
  open_silent(&none);
  client *from = open_client("127.0.0.1", 4, 2);
  char url[100];
  ck_assert_int_gt(snprintf(url, sizeof url, "http://127.0.0.1:%d/", none.port), 0);
  from->sends[0] = (tc_send){.url = url, .body = BODY, .headers = NULL, .connect_ms = 200, .total_ms = 20000};
  ck_assert_int_eq(start_own(from, 0), TC_OK);
  from->begun = 1;
  run_until(from, 1);
  ck_assert_int_eq(from->outcomes[0].status, 0);
  ck_assert_str_eq(from->outcomes[0].error, "the connection was not made in time");
  ck_assert_int_lt(from->outcomes[0].duration_us, 5000000);
  close_client(from);
  close_silent(&none);
}
END_TEST

/* getaddrinfo cannot be interrupted. Nobody waits for it: not the delivery whose name it is, not the others, not the end. */
START_TEST(lookups_that_hang_hold_nobody) {
  receiver *to = receiver_start("127.0.0.1", NULL);
  client *from = open_client("127.0.0.1", 8, 2);
  int64_t began_us = tci_sys_monotonic_us(NULL);
  ck_assert_int_eq(start(from, url_of("hang.test", to, "/"), BODY, 200), TC_OK);
  ck_assert_int_eq(start(from, url_of("hang.test", to, "/"), BODY, 20000), TC_OK);
  ck_assert_int_eq(start(from, url_of("127.0.0.1", to, "/"), BODY, 20000), TC_OK);
  run_until(from, 2);
  ck_assert_str_eq(from->outcomes[0].error, "the connection was not made in time");
  ck_assert_int_eq(from->outcomes[2].status, 200);
  from->transport.abort(from->transport.userdata, &from->sends[1]);
  ck_assert_int_eq(deliver(from, url_of("127.0.0.1", to, "/"))->status, 200);
  ck_assert_int_eq(start(from, url_of("hang.test", to, "/"), BODY, 20000), TC_OK);
  ck_assert_int_eq(from->transport.poll(from->transport.userdata, 10), TC_OK);
  close_client(from);
  ck_assert_int_lt(tci_sys_monotonic_us(NULL) - began_us, 5000000);
  receiver_stop(to);
  /* Let them end, so that LeakSanitizer sees that they free what they have. */
  netfake_release();
  while (netfake_hanging()) ck_assert_int_lt(tci_sys_monotonic_us(NULL) - began_us, PATIENCE_US);
}
END_TEST

START_TEST(only_so_many_at_once) {
  receiver *to = receiver_start("127.0.0.1", answers);
  client *from = open_client("127.0.0.1", 2, 2);
  ck_assert_int_eq(start(from, url_of("127.0.0.1", to, "/hang"), BODY, 300), TC_OK);
  ck_assert_int_eq(start(from, "gopher://a/", BODY, 300), TC_OK); /* also one that is never sent, until it is told */
  ck_assert_int_eq(start(from, url_of("127.0.0.1", to, "/"), BODY, 300), TC_EBUSY);
  run_until(from, 1);
  ck_assert_str_eq(from->outcomes[1].error, "url: only http:// and https://");
  ck_assert_int_eq(deliver(from, url_of("127.0.0.1", to, "/"))->status, 200);
  from->sends[9] = (tc_send){.url = "http://127.0.0.1/", .connect_ms = 1, .total_ms = 1};
  const char *many[30];
  for (size_t i = 0; i < 29; i++) many[i] = "X: y";
  many[29] = NULL;
  from->sends[9].headers = many;
  ck_assert_int_eq(start_own(from, 9), TC_ELIMIT);
  run_until(from, 3);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(what_is_given_up_is_not_told) {
  receiver *to = receiver_start("127.0.0.1", answers);
  client *from = open_client("127.0.0.1", 4, 4);
  for (int i = 0; i < 3; i++) ck_assert_int_eq(start(from, url_of("127.0.0.1", to, i == 1 ? "/" : "/hang"), BODY, 20000), TC_OK);
  ck_assert_int_eq(start(from, "gopher://a/", BODY, 20000), TC_OK);
  from->transport.abort(from->transport.userdata, &from->sends[3]);
  from->transport.abort(from->transport.userdata, &from->sends[0]);
  run_until(from, 1);
  from->transport.abort(from->transport.userdata, &from->sends[2]);
  from->transport.abort(from->transport.userdata, &from->sends[1]); /* done already: nothing */
  ck_assert_int_eq(deliver(from, url_of("127.0.0.1", to, "/"))->status, 200);
  ck_assert_int_eq(from->done, 2);
  ck_assert(!from->outcomes[0].times && !from->outcomes[2].times && !from->outcomes[3].times);
  ck_assert_int_eq(start(from, url_of("127.0.0.1", to, "/hang"), BODY, 20000), TC_OK);
  ck_assert_int_eq(from->transport.poll(from->transport.userdata, 50), TC_OK);
  close_client(from); /* with one on its way */
  receiver_stop(to);
}
END_TEST

static void *ring(void *arg) {
  client *self = arg;
  self->transport.wake(self->transport.userdata);
  return NULL;
}

START_TEST(wake_ends_the_wait) {
  client *from = open_client("", 4, 4);
  int64_t began_us = tci_sys_monotonic_us(NULL);
  for (int i = 0; i < 20; i++) {
    tci_thread thread = {0};
    ck_assert_int_eq(tci_thread_start(&thread, "ring", ring, from), 0);
    ck_assert_int_eq(from->transport.poll(from->transport.userdata, i % 2 ? 20000 : -1), TC_OK);
    tci_thread_join(&thread);
  }
  ck_assert_int_lt(tci_sys_monotonic_us(NULL) - began_us, 15000000);
  ck_assert_int_eq(from->transport.poll(from->transport.userdata, 0), TC_OK);
  close_client(from);
}
END_TEST

static volatile sig_atomic_t pipes, alarms;
static void on_pipe(int number) {
  (void)number;
  pipes++;
}
static void on_alarm(int number) {
  (void)number;
  alarms++;
}

/* A host with the default action would be dead. */
START_TEST(no_sigpipe_is_raised_in_a_host) {
  static const receiver_answer reset[] = {{"/reset", NULL, 0, RECEIVER_RESET, NULL}, {NULL, NULL, 0, 0, NULL}};
  struct sigaction action = {.sa_handler = on_pipe};
  ck_assert_int_eq(sigaction(SIGPIPE, &action, NULL), 0);
  receiver *to = receiver_start("0.0.0.0", reset);
  client *from = open_client("127.0.0.0/8", 4, 4);
  char url[100];
  ck_assert_int_gt(snprintf(url, sizeof url, "https://127.0.0.9:%d/", receiver_port(to)), 0);
  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(deliver(from, url)->status, 0);
    ck_assert_int_eq(deliver(from, url_of("127.0.0.9", to, "/"))->status, 0);
    ck_assert_int_eq(deliver(from, url_of("127.0.0.1", to, "/reset"))->status, 0);
  }
  close_client(from);
  receiver_stop(to);
  ck_assert_int_eq(pipes, 0);
  ck_assert_int_eq(raise(SIGPIPE), 0); /* and the host's own still come */
  ck_assert_int_eq(pipes, 1);
}
END_TEST

/* A host that waits in poll gets its own signals there; one that came of a write inside is taken away (raised by done, which runs where curl writes). */
static void raise_pipe(tc_send *send, const tc_sent *sent) {
  (void)sent;
  ck_assert_int_eq(pthread_kill(pthread_self(), SIGPIPE), 0);
  ck_assert_int_eq(pthread_kill(pthread_self(), SIGUSR1), 0);
  ++*(int *)send->owner;
}

START_TEST(signals_of_the_host_come_through_and_ours_do_not) {
  struct sigaction pipe_action = {.sa_handler = on_pipe}, alarm_action = {.sa_handler = on_alarm};
  ck_assert_int_eq(sigaction(SIGPIPE, &pipe_action, NULL), 0);
  ck_assert_int_eq(sigaction(SIGUSR1, &alarm_action, NULL), 0);
  tci_policy policy = {0};
  tc_transport transport;
  int done = 0;
  ck_assert_int_eq(tci_curl_open(&transport, &policy, 4, 4, 0), TC_OK);
  tc_send send = {.url = "gopher://a/", .done = raise_pipe, .owner = &done};
  ck_assert_int_eq(transport.begin(transport.userdata, &send), TC_OK);
  ck_assert_int_eq(transport.poll(transport.userdata, 1000), TC_OK);
  ck_assert_int_eq(done, 1);
  ck_assert_int_eq(pipes, 0);
  ck_assert_int_eq(alarms, 1);
  sigset_t pending;
  ck_assert_int_eq(sigpending(&pending), 0);
  ck_assert(!sigismember(&pending, SIGPIPE));
  tci_curl_close(&transport);

  client *from = open_client("", 4, 2);
  ck_assert_int_eq(deliver(from, "http://inner.test/")->status, 0);
  ck_assert_int_eq(netfake_lookups(), 1);
  ck_assert_int_eq(netfake_exposed(), 0); /* nor do its handlers run on curl's threads */
  close_client(from);
}
END_TEST

static int count_fds(void) {
  int count = 0;
  DIR *dir = opendir("/proc/self/fd");
  ck_assert_ptr_nonnull(dir);
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static void *live(void *arg) {
  receiver *to = arg;
  for (int i = 0; i < 10; i++) {
    client *from = open_client("127.0.0.1", 4, 2);
    char url[100];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", receiver_port(to));
    for (int n = 0; n < 5; n++) ck_assert_int_eq(deliver(from, url)->status, 200);
    close_client(from);
  }
  return NULL;
}

START_TEST(transports_of_several_threads_come_and_go) {
  receiver *to = receiver_start("127.0.0.1", NULL);
  (void)live(to); /* what libraries open once and keep */
  int before = count_fds();
  tci_thread threads[4] = {0};
  for (size_t i = 0; i < COUNT(threads); i++) ck_assert_int_eq(tci_thread_start(&threads[i], "live", live, to), 0);
  for (size_t i = 0; i < COUNT(threads); i++) tci_thread_join(&threads[i]);
  ck_assert_int_eq(receiver_count(to).requests, 250);
  int64_t late_us = tci_sys_monotonic_us(NULL) + PATIENCE_US;
  while (receiver_count(to).open) ck_assert_int_lt(tci_sys_monotonic_us(NULL), late_us); /* the receiver's ends are descriptors of ours here */
  ck_assert_int_le(count_fds(), before);
  receiver_stop(to);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("curl_guard");
  TCase *tests = tcase_create("guard");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, no_connection_is_made_to_what_is_refused);
  tcase_add_test(tests, of_several_addresses_only_the_allowed_are_connected_to);
  tcase_add_test(tests, addresses_are_judged_at_each_attempt);
  tcase_add_test(tests, slow_receivers_hold_no_other);
  tcase_add_test(tests, answers_that_do_not_come_are_waited_for_so_long);
  tcase_add_test(tests, those_that_wait_for_a_connection_end_in_time);
  tcase_add_test(tests, connects_that_get_no_answer_end_in_time);
  tcase_add_test(tests, lookups_that_hang_hold_nobody);
  tcase_add_test(tests, only_so_many_at_once);
  tcase_add_test(tests, what_is_given_up_is_not_told);
  tcase_add_test(tests, wake_ends_the_wait);
  tcase_add_test(tests, no_sigpipe_is_raised_in_a_host);
  tcase_add_test(tests, signals_of_the_host_come_through_and_ours_do_not);
  tcase_add_test(tests, transports_of_several_threads_come_and_go);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
