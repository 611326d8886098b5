/* The curl transport against a receiver in the same process: what is sent, what becomes of every kind of answer (O-40, O-41), and where no connection is made (O-42). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/utf8.h"
#include "curl_kit.h"
#include "tipcurrent/error.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

START_TEST(a_delivery_arrives_as_it_is) {
  receiver *to = receiver_start("127.0.0.1", NULL);
  client *from = open_client("127.0.0.1", 4, 2);
  (void)setenv("http_proxy", "http://127.0.0.1:1/", 1);
  const outcome *out = deliver(from, url_of("127.0.0.1", to, "/tips?room=1"));
  ck_assert_int_eq(out->status, 200);
  ck_assert_str_eq(out->error, "");
  ck_assert_int_gt(out->duration_us, 0);
  ck_assert_int_eq(out->retry_after_us, 0);
  char expected[400], got[4000];
  ck_assert_int_gt(
    snprintf(expected, sizeof expected,
             "POST /tips?room=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nContent-Type: application/json\r\nX-TipCurrent-Event: tip.created\r\n"
             "Content-Length: 10\r\n\r\n{\"a\":\"\xc3\xab\"}",
             receiver_port(to)),
    0);
  receiver_last(to, got, sizeof got);
  ck_assert_str_eq(got, expected);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(large_and_empty_bodies_arrive_at_once) {
  receiver *to = receiver_start("127.0.0.1", NULL);
  client *from = open_client("127.0.0.1", 4, 2);
  size_t size = (size_t)2 << 20;
  char *large = tci_alloc(size), *got = tci_alloc(size + 4000);
  ck_assert(large && got);
  memset(large, 'x', size);
  ck_assert_int_eq(start(from, url_of("127.0.0.1", to, "/"), (tc_text){large, size}, 20000), TC_OK);
  run_until(from, 1);
  ck_assert_int_eq(from->outcomes[0].status, 200);
  size_t len = receiver_last(to, got, size + 4000);
  ck_assert_int_eq(memcmp(got + len - size, large, size), 0);
  ck_assert_ptr_null(strstr(got, "Expect"));
  ck_assert_int_eq(start(from, url_of("127.0.0.1", to, "/"), (tc_text){NULL, 0}, 20000), TC_OK);
  run_until(from, 2);
  ck_assert_int_eq(from->outcomes[1].status, 200);
  receiver_last(to, got, size);
  ck_assert_ptr_nonnull(strstr(got, "Content-Length: 0\r\n\r\n"));
  tci_free(large);
  tci_free(got);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(connections_are_kept_and_used_again) {
  receiver *to = receiver_start("127.0.0.1", NULL);
  client *from = open_client("127.0.0.1", 8, 2);
  for (int i = 0; i < 50; i++) ck_assert_int_eq(deliver(from, url_of("127.0.0.1", to, "/"))->status, 200);
  ck_assert_int_eq(receiver_count(to).connections, 1);
  from->chain = 100; /* done begins the next one */
  ck_assert_int_eq(deliver(from, url_of("127.0.0.1", to, "/"))->status, 200);
  run_until(from, 151);
  ck_assert_int_eq(receiver_count(to).connections, 1);
  ck_assert_int_eq(receiver_count(to).requests, 151);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(idle_connections_are_bounded) {
  enum { MAX = 3, HOSTS = 9 };
  receiver *to[HOSTS];
  client *from = open_client("127.0.0.1", MAX, 2);
  for (int i = 0; i < HOSTS; i++) {
    to[i] = receiver_start("127.0.0.1", NULL);
    ck_assert_int_eq(deliver(from, url_of("127.0.0.1", to[i], "/"))->status, 200);
  }
  /* Those that were dropped are seen as closed by their receivers only when these come round to it; each has served its one request. */
  int64_t late_us = tci_sys_monotonic_us(NULL) + PATIENCE_US;
  for (int open = HOSTS; open > MAX;) {
    ck_assert_msg(tci_sys_monotonic_us(NULL) < late_us, "%d are open", open);
    ck_assert_int_eq(from->transport.poll(from->transport.userdata, 1), TC_OK);
    open = 0;
    for (int i = 0; i < HOSTS; i++) open += receiver_count(to[i]).open;
  }
  close_client(from);
  for (int i = 0; i < HOSTS; i++) receiver_stop(to[i]);
}
END_TEST

static const receiver_answer statuses[] = {
  {"/204", "HTTP/1.1 204 No Content\r\n\r\n", 0, RECEIVER_KEEP, NULL},
  {"/410", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 0, RECEIVER_KEEP, NULL},
  {"/500", "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 0, RECEIVER_KEEP, NULL},
  {"/503", "HTTP/1.1 503 Busy\r\nretry-AFTER:  7 \r\nContent-Length: 0\r\n\r\n", 0, RECEIVER_KEEP, NULL},
  {"/103", "HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 0, RECEIVER_KEEP, NULL},
  {"/only100", "HTTP/1.1 100 Continue\r\n\r\n", 0, RECEIVER_CLOSE, NULL},
  {NULL, NULL, 0, 0, NULL}};

START_TEST(statuses_are_passed_up) {
  receiver *to = receiver_start("127.0.0.1", statuses);
  client *from = open_client("127.0.0.1", 4, 2);
  static const struct {
    const char *path;
    int status, retry_after_s;
  } samples[] = {{"/204", 204, 0}, {"/410", 410, 0}, {"/500", 500, 0}, {"/503", 503, 7}, {"/103", 202, 0}, {"/200", 200, 0}};
  for (size_t i = 0; i < COUNT(samples); i++) {
    const outcome *out = deliver(from, url_of("127.0.0.1", to, samples[i].path));
    ck_assert_int_eq(out->status, samples[i].status);
    ck_assert_str_eq(out->error, "");
    ck_assert_int_eq(out->retry_after_us, samples[i].retry_after_s * INT64_C(1000000));
  }
  ck_assert_int_eq(receiver_count(to).connections, 1);
  const outcome *out = deliver(from, url_of("127.0.0.1", to, "/only100"));
  ck_assert_int_eq(out->status, 0); /* an interim answer is none */
  ck_assert_str_ne(out->error, "");
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(redirects_are_not_followed) {
  receiver *second = receiver_start("127.0.0.1", NULL);
  char texts[2][300];
  for (int i = 0; i < 2; i++) {
    ck_assert_int_gt(snprintf(texts[i], sizeof texts[i], "HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n", i ? 307 : 302,
                              receiver_port(second)),
                     0);
  }
  const receiver_answer answers[] = {{"/302", texts[0], 0, RECEIVER_KEEP, NULL}, {"/307", texts[1], 0, RECEIVER_KEEP, NULL}, {NULL, NULL, 0, 0, NULL}};
  receiver *first = receiver_start("127.0.0.1", answers);
  client *from = open_client("127.0.0.1", 4, 2);
  ck_assert_int_eq(deliver(from, url_of("127.0.0.1", first, "/302"))->status, 302);
  ck_assert_int_eq(deliver(from, url_of("127.0.0.1", first, "/307"))->status, 307);
  ck_assert_int_eq(receiver_count(second).connections, 0);
  close_client(from);
  receiver_stop(first);
  receiver_stop(second);
}
END_TEST

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static const receiver_answer bodies[] = {{"/bad", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\na\0b\xff\xc3\xa9\xc3", 45, RECEIVER_KEEP, NULL},
                                         {"/long", "HTTP/1.1 200 OK\r\nContent-Length: 2002\r\n\r\n\xc3\xa9" THOUSAND THOUSAND, 0, RECEIVER_KEEP, NULL},
                                         {"/endless", "HTTP/1.1 200 OK\r\n\r\n", 0, RECEIVER_REPEAT, THOUSAND},
                                         {"/endless500", "HTTP/1.1 500 Oh\r\nContent-Length: 999999999999\r\n\r\n", 0, RECEIVER_REPEAT, THOUSAND},
                                         {"/endlesshead", "HTTP/1.1 200 OK\r\n", 0, RECEIVER_REPEAT, "X: " THOUSAND "\r\n"},
                                         {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0, RECEIVER_CLOSE, NULL},
                                         {"/stops", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0, RECEIVER_KEEP, NULL},
                                         {"/close", NULL, 0, RECEIVER_CLOSE, NULL},
                                         {"/reset", NULL, 0, RECEIVER_RESET, NULL},
                                         {"/hang", NULL, 0, RECEIVER_KEEP, NULL},
                                         {"/nonsense", "SSH-2.0-OpenSSH_9.2\r\n", 0, RECEIVER_CLOSE, NULL},
                                         {NULL, NULL, 0, 0, NULL}};

/* 8.8.8.8 is the receiver of this test (netfake_kit.h); its port is one of the free ones, all above 1023. */
START_TEST(answers_of_public_receivers_are_kept_as_text) {
  receiver *to = receiver_start("127.0.0.1", bodies);
  client *from = open_client("", 4, 2);
  const outcome *out = deliver(from, url_of("8.8.8.8", to, "/bad"));
  ck_assert_int_eq(out->status, 200);
  ck_assert_str_eq(out->response, "a\xef\xbf\xbd"
                                  "b\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
  out = deliver(from, url_of("public.test", to, "/long"));
  size_t points = 0;
  ck_assert_int_eq(out->status, 200);
  ck_assert(tci_utf8_valid(out->response, out->response_len, &points));
  ck_assert_uint_eq(points, TCI_RESPONSE_KEEP_POINTS);
  ck_assert_int_eq(memcmp(out->response, "\xc3\xa9" TEN, 12), 0);
  out = deliver(from, url_of("8.8.8.8", to, "/"));
  ck_assert_str_eq(out->response, "ok"); /* nothing of the one before */
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(answers_of_others_are_never_kept) {
  receiver *to = receiver_start("127.0.0.1", bodies);
  client *from = open_client("127.0.0.1", 4, 2);
  const outcome *out = deliver(from, url_of("127.0.0.1", to, "/long"));
  ck_assert_int_eq(out->status, 200);
  ck_assert_uint_eq(out->response_len, 0);
  /* The same handle, the same receiver, and a connection that is used again: each answer by its own peer. */
  ck_assert_str_eq(deliver(from, url_of("8.8.8.8", to, "/"))->response, "ok");
  ck_assert_uint_eq(deliver(from, url_of("127.0.0.1", to, "/"))->response_len, 0);
  ck_assert_str_eq(deliver(from, url_of("8.8.8.8", to, "/"))->response, "ok");
  ck_assert_int_eq(receiver_count(to).connections, 2);
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(long_answers_are_cut_and_count_by_their_status) {
  receiver *to = receiver_start("127.0.0.1", bodies);
  client *from = open_client("", 4, 2);
  const outcome *out = deliver(from, url_of("8.8.8.8", to, "/endless"));
  ck_assert_int_eq(out->status, 200);
  ck_assert_str_eq(out->error, "");
  ck_assert_uint_eq(out->response_len, 1000);
  out = deliver(from, url_of("8.8.8.8", to, "/endless500"));
  ck_assert_int_eq(out->status, 500);
  ck_assert_str_eq(out->error, "");
  out = deliver(from, url_of("8.8.8.8", to, "/endlesshead"));
  ck_assert_str_eq(out->error, "the header of the answer is too long");
  close_client(from);
  receiver_stop(to);
}
END_TEST

START_TEST(what_breaks_off_is_an_error) {
  receiver *to = receiver_start("127.0.0.1", bodies);
  client *from = open_client("127.0.0.1", 4, 2);
  const outcome *out = deliver(from, url_of("127.0.0.1", to, "/short"));
  ck_assert_int_eq(out->status, 200);
  ck_assert_str_eq(out->error, "the answer broke off");
  out = deliver_within(from, url_of("127.0.0.1", to, "/stops"), 200);
  ck_assert_int_eq(out->status, 200);
  ck_assert_str_eq(out->error, "the answer did not come in time");
  static const char *const paths[] = {"/close", "/reset", "/nonsense"};
  for (size_t i = 0; i < COUNT(paths); i++) {
    out = deliver(from, url_of("127.0.0.1", to, paths[i]));
    ck_assert_int_eq(out->status, 0);
    ck_assert_str_ne(out->error, "");
    ck_assert_ptr_null(strchr(out->error, '\n'));
  }
  char url[100];
  (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", receiver_port(to));
  out = deliver_within(from, url, 200); /* speaks no TLS: it waits for the end of a head */
  ck_assert_int_eq(out->status, 0);
  ck_assert_str_ne(out->error, "");
  ck_assert_str_eq(deliver(from, "http://nowhere.test/")->error, "the host name does not resolve");
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", receiver_port(to));
  receiver_stop(to);
  out = deliver(from, url);
  ck_assert_int_eq(out->status, 0);
  ck_assert_str_ne(out->error, "");
  ck_assert_str_ne(out->error, "url: the address is not allowed");
  close_client(from);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("curl");
  TCase *tests = tcase_create("answers");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, a_delivery_arrives_as_it_is);
  tcase_add_test(tests, large_and_empty_bodies_arrive_at_once);
  tcase_add_test(tests, connections_are_kept_and_used_again);
  tcase_add_test(tests, idle_connections_are_bounded);
  tcase_add_test(tests, statuses_are_passed_up);
  tcase_add_test(tests, redirects_are_not_followed);
  tcase_add_test(tests, answers_of_public_receivers_are_kept_as_text);
  tcase_add_test(tests, answers_of_others_are_never_kept);
  tcase_add_test(tests, long_answers_are_cut_and_count_by_their_status);
  tcase_add_test(tests, what_breaks_off_is_an_error);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
