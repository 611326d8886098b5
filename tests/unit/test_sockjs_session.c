/* SockJS sessions over HTTP with real sockets and a clock that stands still. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_kit.h"
#include "sockjs_kit.h"

static void expect_post(const char *path, const char *body, const char *want) { ck_assert_str_eq(sockjs_post(path, body), want); }

static void end(void) {
  sockjs_stop();
  sockjs_end();
}

/* A connection that the front knows and that waits as the session's poll. */
static int poll_on(const char *path) {
  int fd = client_open();
  sockjs_ask(fd, "/echo", NULL); /* what it says now is read before what others say later */
  (void)sockjs_answer(fd);
  sockjs_ask(fd, path, "");
  while (strstr(sockjs_post(path, ""), "2010") == NULL) continue;
  return fd;
}

START_TEST(polls) {
  sockjs_begin();
  expect_post("/echo/0/s/xhr", "", "200 o\n");
  expect_post("/echo/0/s/xhr_send", "[\"a\",\"b\"]", "204 ");
  expect_post("/echo/0/s/xhr_send", "\"c\"", "204 ");
  expect_post("/echo/1/s/xhr", "", "200 a[\"a\",\"b\",\"c\"]\n");
  int fd = poll_on("/echo/2/s/xhr");
  expect_post("/echo/0/s/xhr_send", "[\"d\"]", "204 ");
  ck_assert_str_eq(sockjs_answer(fd), "a[\"d\"]\n");
  sockjs_ask(fd, "/echo", NULL); /* and the connection goes on */
  ck_assert_str_eq(sockjs_answer(fd), "Welcome to SockJS!\n");
  ck_assert_int_eq(sockjs_opened, 1);
  end();
}
END_TEST

START_TEST(a_closing_service) {
  sockjs_begin();
  expect_post("/talk/0/s/xhr", "", "200 o\n");
  expect_post("/talk/0/s/xhr", "", "200 a[\"one\",\"two\"]\n");
  for (int i = 0; i < 3; i++) expect_post("/talk/0/s/xhr", "", "200 c[3000,\"Go away!\"]\n");
  expect_post("/talk/0/s/xhr_send", "[\"a\"]", "404 no such session");
  ck_assert_int_eq(sockjs_closed, 0);
  front_advance(5200);
  FRONT_WAIT(sockjs_closed == 1);
  expect_post("/talk/0/s/xhr", "", "200 o\n");
  int fd = sockjs_stream("/talk/0/t/xhr_streaming");
  ck_assert_uint_eq(strlen(sockjs_chunk(fd)), 2049);
  sockjs_expect(fd, "o\n");
  sockjs_expect(fd, "a[\"one\"]\n");
  sockjs_expect(fd, "a[\"two\"]\n");
  sockjs_expect(fd, "c[3000,\"Go away!\"]\n");
  sockjs_expect(fd, "");
  end();
}
END_TEST

START_TEST(gone_after_five_seconds) {
  sockjs_begin();
  expect_post("/echo/0/s/xhr", "", "200 o\n");
  front_advance(4800);
  expect_post("/echo/0/s/xhr_send", "[]", "204 "); /* sending does not keep it */
  ck_assert_int_eq(sockjs_closed, 0);
  front_advance(400);
  FRONT_WAIT(sockjs_closed == 1);
  expect_post("/echo/0/s/xhr_send", "[]", "404 no such session");
  expect_post("/echo/0/s/xhr", "", "200 o\n");
  end();
}
END_TEST

START_TEST(heart_beats) {
  sockjs_begin();
  expect_post("/echo/0/s/xhr", "", "200 o\n");
  int polling = poll_on("/echo/0/s/xhr"), streaming = sockjs_stream("/echo/0/t/xhr_streaming");
  (void)sockjs_chunk(streaming);
  sockjs_expect(streaming, "o\n");
  front_advance(24000); /* no session goes while it has a receiver */
  ck_assert_int_eq(sockjs_closed, 0);
  ck_assert(client_silent(polling) && client_silent(streaming));
  front_advance(1200);
  ck_assert_str_eq(sockjs_answer(polling), "h\n");
  sockjs_expect(streaming, "h\n");
  front_advance(25200);
  sockjs_expect(streaming, "h\n");
  FRONT_WAIT(sockjs_closed == 1); /* nobody has polled again */
  end();
}
END_TEST

/* Says no more; returns when the other kernel knows, which the front may not yet. */
static void hang_up(int fd) {
  struct tcp_info info = {0};
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  while (info.tcpi_state == 0 || info.tcpi_state == TCP_FIN_WAIT1) {
    socklen_t size = sizeof info;
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  }
  close(fd);
}

/* A client that hangs up and asks at once again must not be told that it is still there, even when the front comes to its request first. */
START_TEST(interrupted) {
  sockjs_begin();
  for (int i = 0; i < 4; i++) {
    char path[64];
    (void)snprintf(path, sizeof path, "/echo/0/s%d/xhr", i);
    expect_post(path, "", "200 o\n");
    int fd = poll_on(path), again = client_open(), blocking = client_open();
    sockjs_ask(again, "/echo", NULL);
    (void)sockjs_answer(again);
    sockjs_ask(blocking, "/block", NULL);
    FRONT_WAIT(sockjs_blocked);
    if (i % 2) hang_up(fd); /* the front sees the one first, or the other */
    sockjs_ask(again, path, "");
    if (i % 2 == 0) hang_up(fd);
    sockjs_blocked = 0;
    ck_assert_str_eq(sockjs_answer(again), "c[1002,\"Connection interrupted\"]\n");
    ck_assert_int_eq(sockjs_closed, i + 1);
    (void)snprintf(path, sizeof path, "/echo/0/s%d/xhr_send", i);
    expect_post(path, "[\"a\"]", "404 no such session");
  }
  end();
}
END_TEST

/* The first goes on waiting. */
START_TEST(a_second_receiver) {
  sockjs_begin();
  expect_post("/echo/0/s/xhr", "", "200 o\n");
  int first = poll_on("/echo/0/s/xhr"), second = sockjs_stream("/echo/0/s/xhr_streaming");
  (void)sockjs_chunk(second);
  sockjs_expect(second, "c[2010,\"Another connection still open\"]\n");
  sockjs_expect(second, "");
  expect_post("/echo/0/s/xhr_send", "[\"a\"]", "204 ");
  ck_assert_str_eq(sockjs_answer(first), "a[\"a\"]\n");
  end();
}
END_TEST

START_TEST(a_response_ends_and_the_session_goes_on) {
  static char message[4200];
  sockjs_begin();
  int fd = client_open();
  sockjs_ask(fd, "/echo/0/s/xhr_streaming", "");
  sockjs_ask(fd, "/echo/0/s/xhr", ""); /* behind it, before the first is answered */
  (void)client_read(fd, 1);
  (void)sockjs_chunk(fd);
  sockjs_expect(fd, "o\n");
  (void)snprintf(message, sizeof message, "[\"%04096d\"]", 0);
  ck_assert_str_eq(sockjs_post("/echo/0/s/xhr_send", message), "204 ");
  ck_assert_str_eq(sockjs_post("/echo/0/s/xhr_send", "[\"next\"]"), "204 ");
  ck_assert_uint_eq(strlen(sockjs_chunk(fd)), 4096 + 6);
  sockjs_expect(fd, "");
  ck_assert_str_eq(sockjs_answer(fd), "a[\"next\"]\n");
  end();
}
END_TEST

/* Messages of n zeros in one array, each six bytes on the wire. */
static void send_zeros(const char *path, size_t n, const char *want) {
  char *text = malloc(n * 6 + 4);
  ck_assert_ptr_nonnull(text);
  memcpy(text, "[\"", 2);
  for (size_t i = 0; i < n; i++) memcpy(text + 2 + i * 6, "\\u0000", 6);
  memcpy(text + 2 + n * 6, "\"]", 2);
  ck_assert_str_eq(sockjs_post_bytes(path, text, n * 6 + 4), want);
  free(text);
}

/* A frame may be larger than what a connection may have waiting. */
START_TEST(large_frames) {
  sockjs_begin();
  for (int streaming = 0; streaming < 2; streaming++) {
    expect_post("/echo/0/s/xhr", "", "200 o\n");
    for (int i = 0; i < 2; i++) send_zeros("/echo/0/s/xhr_send", 150000, "204 ");
    if (streaming) {
      int fd = sockjs_stream("/echo/0/s/xhr_streaming");
      (void)sockjs_chunk(fd);
      ck_assert_uint_eq(strlen(sockjs_chunk(fd)), 2 * (900000 + 2) + 1 + 4);
      sockjs_expect(fd, "");
    } else {
      ck_assert_uint_eq(strlen(sockjs_post("/echo/0/s/xhr", "")), 4 + 2 * (900000 + 2) + 1 + 4);
    }
    expect_post("/echo/0/s/xhr_send", "[\"after\"]", "204 ");
    expect_post("/echo/0/s/xhr", "", "200 a[\"after\"]\n");
    front_advance(5200);
    FRONT_WAIT(sockjs_closed == streaming + 1);
  }
  end();
}
END_TEST

START_TEST(nobody_reads) {
  int sent = 0;
  sockjs_begin();
  expect_post("/echo/0/s/xhr", "", "200 o\n");
  while (sent < 2) send_zeros("/echo/0/s/xhr_send", 100000, "204 "), sent++;
  send_zeros("/echo/0/s/xhr_send", 1, "204 ");                /* above a mebibyte: what is there stays, */
  send_zeros("/echo/0/s/xhr_send", 1, "404 no such session"); /* but that was the end */
  ck_assert_uint_eq(strlen(sockjs_post("/echo/0/s/xhr", "")), 4 + 2 * 600002 + 1 + 4);
  expect_post("/echo/0/s/xhr", "", "200 c[1008,\"too slow\"]\n");
  end();
}
END_TEST

START_TEST(too_many) {
  sockjs_limit = 2;
  sockjs_begin();
  expect_post("/echo/0/a/xhr", "", "200 o\n");
  expect_post("/echo/0/b/xhr", "", "200 o\n");
  expect_post("/echo/0/c/xhr", "", "503 too many sessions, try again");
  expect_post("/talk/0/c/xhr", "", "200 o\n"); /* each mount counts its own */
  front_advance(5200);
  FRONT_WAIT(sockjs_closed == 3);
  expect_post("/echo/0/c/xhr", "", "200 o\n");
  end();
}
END_TEST

START_TEST(stopped) {
  sockjs_begin();
  expect_post("/echo/0/s/xhr", "", "200 o\n");
  int polling = poll_on("/echo/0/s/xhr"), streaming = sockjs_stream("/echo/0/t/xhr_streaming");
  (void)sockjs_chunk(streaming);
  sockjs_expect(streaming, "o\n");
  expect_post("/echo/0/alone/xhr", "", "200 o\n");
  tcd_front_stop(front, 1000);
  ck_assert_str_eq(sockjs_answer(polling), "c[1001,\"the server is stopping\"]\n");
  sockjs_expect(streaming, "c[1001,\"the server is stopping\"]\n");
  sockjs_expect(streaming, "");
  ck_assert(client_ended(polling) && client_ended(streaming));
  close(polling);
  close(streaming);
  front_join();
  sockjs_end();
}
END_TEST

START_TEST(answers_for_caches_and_old_clients) {
  sockjs_begin();
  int fd = client_open();
  client_send(fd, "GET /echo/iframe.html HTTP/1.1\r\nHost: h\r\n\r\n");
  const char *tag = strstr(client_read(fd, 0), "\r\nETag: ");
  char request[256];
  ck_assert_ptr_nonnull(tag);
  (void)snprintf(request, sizeof request, "GET /echo/iframe-1.html HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"other\", W/%.18s\r\n\r\n", tag + 8);
  client_send(fd, request);
  ck_assert_int_eq(client_status(fd), 304);
  client_send(fd, "POST /echo/0/s/xhr HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n");
  const char *response = client_read(fd, 0);
  ck_assert_ptr_nonnull(strstr(response, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  ck_assert_ptr_nonnull(strstr(response, "\r\nConnection: close\r\n"));
  ck_assert_str_eq(body_of(response), "o\n");
  ck_assert(client_ended(fd));
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sockjs_session");
  TCase *tests = tcase_create("sockjs_session");
  suite_add_tcase(suite, tests);
  tcase_set_timeout(tests, 30);
  tcase_add_test(tests, polls);
  tcase_add_test(tests, a_closing_service);
  tcase_add_test(tests, gone_after_five_seconds);
  tcase_add_test(tests, heart_beats);
  tcase_add_test(tests, interrupted);
  tcase_add_test(tests, a_second_receiver);
  tcase_add_test(tests, a_response_ends_and_the_session_goes_on);
  tcase_add_test(tests, large_frames);
  tcase_add_test(tests, nobody_reads);
  tcase_add_test(tests, too_many);
  tcase_add_test(tests, stopped);
  tcase_add_test(tests, answers_for_caches_and_old_clients);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
