#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_kit.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

START_TEST(answers_and_keeps_alive) {
  front_start();
  int fd = client_open();
  for (int i = 0; i < 3; i++) {
    client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    ck_assert_str_eq(client_read(fd, 0),
                     "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
  }
  ck_assert_uint_eq(front_stats().requests, 3);
  ck_assert_uint_eq(front_stats().connections, 1);
  FRONT_WAIT(front_stats().buffered_bytes == 0);
  close(fd);
  FRONT_WAIT(front_stats().connections == 0);
  front_end();
}
END_TEST

START_TEST(pipelined_answers_come_in_order) {
  front_start();
  int fd = client_open();
  client_send(fd, "\r\nPOST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n1;x=y\r\n2\r\n0\r\nT: t\r\n\r\n"
                  "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n3" GET("/none") "HEAD /big/1 HTTP/1.1\r\nHost: h\r\n\r\n" GET("/close")
                    GET("/echo"));
  ck_assert_str_eq(body_of(client_read(fd, 0)), "1");
  ck_assert_str_eq(body_of(client_read(fd, 0)), "2");
  ck_assert_str_eq(body_of(client_read(fd, 0)), "3");
  const char *none = client_read(fd, 0);
  ck_assert(strstr(none, " 204 ") && !strstr(none, "Content-Length"));
  const char *head = client_read(fd, 1);
  ck_assert_ptr_nonnull(strstr(head, "Content-Length: 1024\r\n"));
  ck_assert_ptr_nonnull(strstr(client_read(fd, 0), "Connection: close\r\n"));
  ck_assert(client_ended(fd)); /* what came after it is never answered */
  ck_assert_uint_eq(front_stats().requests, 6);
  front_end();
}
END_TEST

START_TEST(byte_by_byte) {
  static const char text[] = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nPOST /echo HTTP/1.1\r\nHost: "
                             "h\r\nContent-Length: 3\r\n\r\nxyz";
  front_start();
  int fd = client_open(), on = 1;
  ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on), 0);
  for (size_t i = 0; i < sizeof text - 1; i++) client_send_bytes(fd, text + i, 1);
  ck_assert_str_eq(body_of(client_read(fd, 0)), "abcde");
  ck_assert_str_eq(body_of(client_read(fd, 0)), "xyz");
  front_end();
}
END_TEST

START_TEST(large_bodies_both_ways) {
  static char body[1 << 20];
  front_start();
  for (int chunked = 0; chunked < 2; chunked++) {
    int fd = client_open();
    memset(body, 'x', sizeof body);
    if (chunked) client_send(fd, "POST /later HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n");
    else client_send(fd, "POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
    client_send_bytes(fd, body, sizeof body);
    if (chunked) client_send(fd, "\r\n0\r\n\r\n");
    const char *answer = body_of(client_read(fd, 0));
    ck_assert_uint_eq(strlen(answer), sizeof body);
    ck_assert_mem_eq(answer, body, sizeof body);
    close(fd);
  }
  FRONT_WAIT(front_stats().buffered_bytes == 0);
  front_end();
}
END_TEST

START_TEST(http_1_0) {
  front_start();
  int fd = client_open();
  client_send(fd, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ck_assert_ptr_nonnull(strstr(client_read(fd, 0), "Connection: keep-alive\r\n"));
  client_send(fd, "GET /echo HTTP/1.0\r\n\r\n");
  ck_assert_ptr_nonnull(strstr(client_read(fd, 0), "Connection: close\r\n"));
  ck_assert(client_ended(fd));
  front_end();
}
END_TEST

START_TEST(half_closed_client_gets_its_answer) {
  front_start();
  int fd = client_open();
  client_send(fd, GET("/later") GET("/later"));
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  ck_assert_int_eq(client_status(fd), 200);
  ck_assert_int_eq(client_status(fd), 200);
  ck_assert(client_ended(fd));
  fd = client_open();
  client_send(fd, "GET /echo HTTP/1.1\r\nHo");
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  ck_assert_int_eq(client_status(fd), 400);
  ck_assert(client_ended(fd));
  front_end();
}
END_TEST

static const struct {
  const char *text;
  int status;
} refusals[] = {
  {"GET / HTTP/1.1\n", 400},
  {"GET /a HTTP/1.1\r\n\r\n", 400},
  {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
  {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n", 413},
  {"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", 413},
  {"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
  {"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
  {"POST /a HTTP/1.1\r\nHost: h\r\nExpect: more\r\nContent-Length: 1\r\n\r\n", 417},
  {"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n", 413},
  {"GET /a HTTP/3.0\r\nHost: h\r\n\r\n", 505},
};

START_TEST(refusals_are_one_answer_and_the_end) {
  front_start();
  int fd = client_open();
  client_send(fd, refusals[_i].text);
  client_send(fd, GET("/echo")); /* smuggled: never answered */
  const char *answer = client_read(fd, 0);
  char begin[32];
  (void)snprintf(begin, sizeof begin, "HTTP/1.1 %d ", refusals[_i].status);
  ck_assert_msg(!strncmp(answer, begin, strlen(begin)), "%s: %s", refusals[_i].text, answer);
  ck_assert_ptr_nonnull(strstr(answer, "Connection: close\r\n"));
  ck_assert_int_eq((int)strtol(body_of(answer), NULL, 10), refusals[_i].status);
  ck_assert(client_ended(fd));
  ck_assert_uint_eq(front_stats().requests, 0);
  ck_assert_uint_eq(front_stats().refused, 1);
  close(fd);
  FRONT_WAIT(front_stats().connections == 0 && front_stats().buffered_bytes == 0);
  front_end();
}
END_TEST

START_TEST(long_heads) {
  static char filler[64 << 10];
  front_start();
  memset(filler, 'a', sizeof filler);
  for (int target = 0; target < 2; target++) {
    int fd = client_open();
    client_send(fd, target ? "GET /" : "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    client_send_bytes(fd, filler, sizeof filler);
    ck_assert_int_eq(client_status(fd), target ? 414 : 431);
    ck_assert(client_ended(fd));
    close(fd);
  }
  /* One that fits although it needs a larger buffer. */
  int fd = client_open();
  client_send(fd, "GET /echo HTTP/1.1\r\nHost: h\r\nX: ");
  client_send_bytes(fd, filler, 12000);
  client_send(fd, "\r\n\r\n");
  ck_assert_int_eq(client_status(fd), 200);
  front_end();
}
END_TEST

START_TEST(expect_continue) {
  front_start();
  int fd = client_open();
  client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  ck_assert_str_eq(client_read(fd, 0), "HTTP/1.1 100 Continue\r\n\r\n");
  client_send(fd, "ok");
  ck_assert_str_eq(body_of(client_read(fd, 0)), "ok");
  client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"); /* it did not wait */
  ck_assert_int_eq(client_status(fd), 200);
  client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\no");
  client_send(fd, "k");
  ck_assert_str_eq(body_of(client_read(fd, 0)), "ok");
  client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"); /* no body due */
  ck_assert_int_eq(client_status(fd), 200);
  client_send(fd, "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  front_nap();
  ck_assert(client_silent(fd));
  client_send(fd, "ok");
  ck_assert_int_eq(client_status(fd), 200);
  front_end();
}
END_TEST

static void deadlines(void) {
  front_options.header_deadline_ms = 1000;
  front_options.body_deadline_ms = 2000;
  front_options.idle_timeout_ms = 5000;
  front_options.write_deadline_ms = 3000;
  front_start();
}

/* Sends one byte now and then while the clock goes on; the deadline does not move. */
static void drip_until(int fd, int64_t deadline_ms, int status) {
  for (int64_t ms = 0; ms + 100 < deadline_ms; ms += 100) {
    client_send(fd, "a");
    front_advance(100);
  }
  front_nap();
  ck_assert(client_silent(fd));
  front_advance(200);
  ck_assert_int_eq(client_status(fd), status);
  ck_assert(client_ended(fd));
}

START_TEST(drip_extends_nothing) {
  deadlines();
  int fd = client_open();
  client_send(fd, "GET / HTTP/1.1\r\nX: ");
  FRONT_WAIT(front_stats().connections == 1);
  drip_until(fd, 1000, 408);
  fd = client_open();
  client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
  (void)client_read(fd, 0);
  drip_until(fd, 2000, 408);
  fd = client_open();
  client_send(fd, GET("/echo"));
  ck_assert_int_eq(client_status(fd), 200);
  front_advance(4000); /* parked, but not too long */
  uint64_t refused = front_stats().refused;
  client_send(fd, "GET / HTTP/1.1\r\nX: ");
  client_send(client_open(), "x\n"); /* its refusal shows that the first byte before it has been seen */
  FRONT_WAIT(front_stats().refused == refused + 1);
  drip_until(fd, 1000, 408);
  front_end();
}
END_TEST

START_TEST(silent_clients_are_closed_without_a_word) {
  deadlines();
  int fresh = client_open(), parked = client_open();
  client_send(parked, GET("/echo"));
  ck_assert_int_eq(client_status(parked), 200);
  FRONT_WAIT(front_stats().connections == 2);
  front_advance(1100);
  ck_assert(client_ended(fresh));
  ck_assert(client_silent(parked));
  front_advance(4000);
  ck_assert(client_ended(parked));
  front_end();
}
END_TEST

START_TEST(clients_that_never_read_are_cut_off) {
  deadlines();
  int fd = client_open(), small = 4096;
  ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  client_send(fd, GET("/big/65536"));
  FRONT_WAIT(front_stats().buffered_bytes >= 64u << 20);
  int other = client_open();
  client_send(other, GET("/later"));
  ck_assert_int_eq(client_status(other), 200);
  front_advance(3100);
  FRONT_WAIT(front_stats().connections == 1 && front_stats().buffered_bytes == 0);
  front_end();
}
END_TEST

START_TEST(client_goes_while_a_handler_has_its_request) {
  front_start();
  int fd = client_open();
  struct linger reset = {1, 0};
  client_send(fd, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
  FRONT_WAIT(front_held() == 1);
  ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  close(fd);
  FRONT_WAIT(front_stats().connections == 0);
  front_release();
  fd = client_open();
  client_send(fd, GET("/echo"));
  ck_assert_int_eq(client_status(fd), 200);
  front_end();
}
END_TEST

START_TEST(many_replies_from_another_thread) {
  int fds[50];
  front_start();
  for (int i = 0; i < 50; i++) fds[i] = client_open();
  for (int turn = 0; turn < 20; turn++) {
    for (int i = 0; i < 50; i++) client_send(fds[i], GET("/later") GET("/later"));
    for (int i = 0; i < 100; i++) ck_assert_int_eq(client_status(fds[i / 2]), 200);
  }
  ck_assert_uint_eq(front_stats().requests, 2000);
  front_end();
}
END_TEST

/* Without the doorbell each of these would wait for the reactor's next tick, a tenth of a second. */
START_TEST(replies_wake_the_reactor) {
  front_start();
  int fd = client_open();
  int64_t begun_ms = front_real_ms();
  for (int i = 0; i < 50; i++) {
    client_send(fd, GET("/later"));
    ck_assert_int_eq(client_status(fd), 200);
  }
  ck_assert_int_lt(front_real_ms() - begun_ms, 2500);
  front_end();
}
END_TEST

START_TEST(refused_upload_reads_its_answer) {
  static char filler[4 << 20];
  front_start();
  int fd = client_open();
  client_send(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n");
  client_send_bytes(fd, filler, sizeof filler); /* a client that looks for the answer only when it has sent all */
  ck_assert_int_eq(client_status(fd), 413);
  ck_assert(client_ended(fd));
  front_end();
}
END_TEST

START_TEST(too_many_connections) {
  int fds[5];
  front_options.max_connections = 4;
  front_start();
  for (int i = 0; i < 4; i++) {
    fds[i] = client_open();
    client_send(fds[i], i < 2 ? GET("/echo") : GET("/hold"));
    if (i < 2) ck_assert_int_eq(client_status(fds[i]), 200);
  }
  FRONT_WAIT(front_held() == 2);
  int late = client_open(); /* takes the place of the one that has been parked longest */
  client_send(late, GET("/hold"));
  ck_assert(client_ended(fds[0]));
  client_send(fds[1], GET("/hold"));
  FRONT_WAIT(front_held() == 4);
  fds[4] = client_open(); /* nobody is parked now */
  ck_assert_ptr_nonnull(strstr(client_read(fds[4], 0), "Retry-After: "));
  ck_assert(client_ended(fds[4]));
  front_release();
  ck_assert_int_eq(client_status(late), 200);
  front_end();
}
END_TEST

START_TEST(too_many_bodies) {
  static char filler[100000];
  front_options.max_buffered_bytes = 200000;
  front_start();
  memset(filler, 'x', sizeof filler);
  int first = client_open(), second = client_open();
  client_send(first, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\n\r\n");
  client_send_bytes(first, filler, 100000);
  FRONT_WAIT(front_stats().buffered_bytes >= 100000);
  client_send(second, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 150000\r\n\r\n");
  const char *refused = client_read(second, 0);
  ck_assert(strstr(refused, "HTTP/1.1 503 ") && strstr(refused, "Retry-After: "));
  client_send_bytes(first, filler, 50000);
  ck_assert_int_eq(client_status(first), 200);
  FRONT_WAIT(front_stats().buffered_bytes == 0);
  front_end();
}
END_TEST

START_TEST(out_of_descriptors) {
  struct rlimit before, tight;
  front_start();
  int fd = client_open();
  client_send(fd, GET("/hold")); /* not parked, so it cannot make room */
  FRONT_WAIT(front_held() == 1);
  int second = socket(AF_INET, SOCK_STREAM, 0);
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
  tight = before;
  tight.rlim_cur = (rlim_t)second + 1;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  there.sin_port = htons((uint16_t)strtoul(strrchr(tcd_front_address(front), ':') + 1, NULL, 10));
  ck_assert_int_eq(connect(second, (struct sockaddr *)&there, sizeof there), 0);
  client_send(second, GET("/echo"));
  front_release(); /* the front still turns */
  ck_assert_int_eq(client_status(fd), 200);
  ck_assert(client_silent(second));
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
  front_advance(200);
  ck_assert_int_eq(client_status(second), 200);
  front_end();
}
END_TEST

START_TEST(replies_beyond_their_limit_are_a_500) {
  front_start();
  int fd = client_open();
  client_send(fd, GET("/many") GET("/echo"));
  ck_assert_int_eq(client_status(fd), 500);
  ck_assert_int_eq(client_status(fd), 200);
  front_end();
}
END_TEST

int main(void) {
  const TTest *const tests[] = {answers_and_keeps_alive,
                                pipelined_answers_come_in_order,
                                byte_by_byte,
                                large_bodies_both_ways,
                                http_1_0,
                                half_closed_client_gets_its_answer,
                                long_heads,
                                expect_continue,
                                drip_extends_nothing,
                                silent_clients_are_closed_without_a_word,
                                clients_that_never_read_are_cut_off,
                                client_goes_while_a_handler_has_its_request,
                                many_replies_from_another_thread,
                                replies_wake_the_reactor,
                                refused_upload_reads_its_answer,
                                too_many_connections,
                                too_many_bodies,
                                out_of_descriptors,
                                replies_beyond_their_limit_are_a_500};
  Suite *suite = suite_create("front");
  TCase *tcase = tcase_create("front");
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) tcase_add_test(tcase, tests[i]);
  tcase_add_loop_test(tcase, refusals_are_one_answer_and_the_end, 0, sizeof refusals / sizeof refusals[0]);
  tcase_set_timeout(tcase, 60);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
