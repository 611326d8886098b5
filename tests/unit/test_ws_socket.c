/* The WebSocket transport with real sockets: a front, a hub and a service that does what it is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_kit.h"
#include "ws_kit.h"

static void expect_close_frame(int fd, int code, const char *reason) {
  char text[160];
  size_t len;
  (void)snprintf(text, sizeof text, "[8 %c%c%s]", code >> 8, code & 0xff, reason);
  const char *got = ws_next(fd, &len);
  ck_assert_uint_eq(len, 2 + strlen(reason));
  ck_assert_mem_eq(got, text, len + 4);
}

static void expect_end(int fd) {
  ck_assert(client_ended(fd));
  close(fd);
  FRONT_WAIT(ws_closed == ws_opened);
}

/* The end of what the client has ended, or broken. */
static void expect_close(int fd, int code, const char *reason) {
  expect_close_frame(fd, code, reason);
  expect_end(fd);
}

/* A close of the service: the stream ends behind our answer. */
static void answer_close(int fd, int code, const char *reason) {
  char answer[2] = {(char)(code >> 8), (char)(code & 0xff)};
  expect_close_frame(fd, code, reason);
  ck_assert(client_silent(fd));
  ws_send(fd, CLOSE, answer, 2);
  expect_end(fd);
}

START_TEST(echoes) {
  static char big[100000];
  size_t len;
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT, "hello");
  ws_expect(fd, "[1 hello]");
  SEND(fd, BINARY, "binary");
  ws_expect(fd, "[1 binary]");
  SEND(fd, TEXT, "");
  ws_expect(fd, "[1 ]");
  SEND(fd, TEXT_BEGINS, "frag");
  SEND(fd, PING, "between");
  SEND(fd, CONTINUES_LAST, "ments");
  ws_expect(fd, "[10 between]");
  ws_expect(fd, "[1 fragments]");
  memset(big, 'b', sizeof big);
  ws_send(fd, TEXT, big, sizeof big);
  const char *got = ws_next(fd, &len);
  ck_assert_uint_eq(len, sizeof big);
  ck_assert_mem_eq(got + 3, big, sizeof big);
  ck_assert_int_eq(ws_messages, 5);
  ws_end();
}
END_TEST

START_TEST(the_answer) {
  ws_begin();
  int fd = client_open();
  client_send(fd, HEAD("/ws") "Sec-WebSocket-Protocol: none, one, two\r\n\r\n");
  const char *head = client_read(fd, 1);
  ck_assert_ptr_nonnull(strstr(head, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  ck_assert_ptr_nonnull(strstr(head, "\r\nSec-WebSocket-Protocol: one\r\n"));
  ws_end();
}
END_TEST

START_TEST(refused_and_still_http) {
  ws_begin();
  int fd = client_open();
  client_send(fd, "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n");
  const char *response = client_read(fd, 0);
  ck_assert_ptr_nonnull(strstr(response, "HTTP/1.1 400 "));
  ck_assert_str_eq(body_of(response), "Can \"Upgrade\" only to \"WebSocket\".");
  client_send(fd, "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n\r\n");
  response = client_read(fd, 0);
  ck_assert_ptr_nonnull(strstr(response, "HTTP/1.1 426 "));
  ck_assert_ptr_nonnull(strstr(response, "\r\nSec-WebSocket-Version: 13\r\n"));
  client_send(fd, HEAD("/ws") "\r\n");
  ck_assert_ptr_nonnull(strstr(client_read(fd, 1), "HTTP/1.1 101 "));
  SEND(fd, TEXT, "now");
  ws_expect(fd, "[1 now]");
  ck_assert_int_eq(ws_opened, 1);
  ws_end();
}
END_TEST

START_TEST(what_comes_with_the_request) {
  char bytes[1024] = HEAD("/ws") "\r\n";
  ws_begin();
  int fd = client_open();
  size_t len = strlen(bytes);
  len += ws_frame(bytes + len, TEXT, "one", 3);
  len += ws_frame(bytes + len, PING, "p", 1);
  len += ws_frame(bytes + len, TEXT, "two", 3);
  client_send_bytes(fd, bytes, len);
  ck_assert_ptr_nonnull(strstr(client_read(fd, 1), "HTTP/1.1 101 "));
  ws_expect(fd, "[1 one]");
  ws_expect(fd, "[10 p]");
  ws_expect(fd, "[1 two]");
  /* and a goodbye with it */
  fd = client_open();
  len = (size_t)snprintf(bytes, sizeof bytes, "%s\r\n", HEAD("/ws"));
  len += ws_frame(bytes + len, CLOSE, "\x0f\xa1", 2);
  client_send_bytes(fd, bytes, len);
  ck_assert_ptr_nonnull(strstr(client_read(fd, 1), "HTTP/1.1 101 "));
  size_t got;
  ck_assert_str_eq(ws_next(fd, &got), "[8 \x0f\xa1]");
  ck_assert(client_ended(fd));
  ws_end();
}
END_TEST

START_TEST(the_service_closes) {
  char bytes[256];
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  size_t len = ws_frame(bytes, TEXT, "close", 5);
  len += ws_frame(bytes + len, TEXT, "not heard", 9);
  len += ws_frame(bytes + len, PING, "nor this", 8);
  client_send_bytes(fd, bytes, len);
  ws_expect(fd, "[1 before]");
  answer_close(fd, 4000, "as told");
  ck_assert_int_eq(ws_messages, 1);
  ck_assert_int_eq(ws_closed, 1);
  ws_end();
}
END_TEST

/* What was on its way is not heard, and the answer is not waited for for ever. */
START_TEST(close_answered_late_or_never) {
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT, "close");
  ws_expect(fd, "[1 before]");
  expect_close_frame(fd, 4000, "as told");
  SEND(fd, TEXT, "not heard");
  SEND(fd, PING, "nor this");
  ck_assert(client_silent(fd));
  SEND(fd, CLOSE, "\x0f\xa0");
  expect_end(fd);
  ck_assert_int_eq(ws_messages, 1);
  fd = ws_open(HEAD("/coded/closing"));
  ws_expect(fd, "[1 o]");
  ws_expect(fd, "[1 c3000 Go away!]");
  expect_close_frame(fd, 1000, "");
  ck_assert(client_silent(fd));
  front_advance(2200);
  expect_end(fd);
  fd = ws_open(HEAD("/closing"));
  expect_close_frame(fd, 3000, "Go away!");
  client_send_bytes(fd, "\xc1\x80\0\0\0\0", 6); /* broken: no answer will be found behind it */
  expect_end(fd);
  ws_end();
}
END_TEST

START_TEST(closed_from_within_open) {
  char bytes[1024] = HEAD("/closing") "\r\n";
  ws_begin();
  answer_close(ws_open(HEAD("/closing")), 3000, "Go away!");
  size_t len = strlen(bytes);
  len += ws_frame(bytes + len, TEXT, "not heard", 9);
  int fd = client_open();
  client_send_bytes(fd, bytes, len);
  (void)client_read(fd, 1);
  answer_close(fd, 3000, "Go away!");
  ck_assert_int_eq(ws_opened, 2);
  ck_assert_int_eq(ws_messages, 0);
  ws_end();
}
END_TEST

START_TEST(not_opened) {
  ws_refuses = 1;
  ws_begin();
  expect_close(ws_open(HEAD("/ws")), 1011, "out of memory");
  ck_assert(!ws_opened && !ws_closed);
  ws_end();
}
END_TEST

START_TEST(the_client_closes) {
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, CLOSE,
       "\x0f\xa1"
       "because");
  expect_close(fd, 4001, "");
  fd = ws_open(HEAD("/ws"));
  SEND(fd, CLOSE, "");
  expect_close(fd, 1000, "");
  fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT_BEGINS, "half a mess");
  SEND(fd, CLOSE, "\x03\xe9");
  expect_close(fd, 1001, "");
  ck_assert_int_eq(ws_closed, 3);
  ck_assert_int_eq(ws_messages, 0);
  ws_end();
}
END_TEST

static const struct {
  const char *bytes;
  size_t len;
  int code;
  const char *reason;
} faults[] = {
#define FAULT(bytes, code, reason) \
  { bytes, sizeof bytes - 1, code, reason }
  FAULT("\x81\x01x", 1002, "protocol error"),
  FAULT("\xc1\x80\0\0\0\0", 1002, "protocol error"),
  FAULT("\x83\x80\0\0\0\0", 1002, "protocol error"),
  FAULT("\x81\x82\0\0\0\0\xc0\x80", 1007, "not valid UTF-8"),
  FAULT("\x81\xff\0\0\0\0\0\2\0\1\0\0\0\0", 1009, "the message is too long"),
  FAULT("\x88\x81\0\0\0\0x", 1002, "protocol error"),                 /* a close of one byte */
  FAULT("\x88\x82\0\0\0\0\x03\xed", 1002, "protocol error"),          /* 1005, which is never sent */
  FAULT("\x88\x84\0\0\0\0\x03\xe8\xc0\x80", 1007, "not valid UTF-8"), /* its reason */
};

START_TEST(faults_are_told) {
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT, "good");
  client_send_bytes(fd, faults[_i].bytes, faults[_i].len);
  SEND(fd, TEXT, "not heard");
  ws_expect(fd, "[1 good]");
  expect_close(fd, faults[_i].code, faults[_i].reason);
  ck_assert_int_eq(ws_messages, 1);
  ws_end();
}
END_TEST

START_TEST(pings_and_pongs) {
  char full[125];
  size_t len;
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, PING, "");
  ws_expect(fd, "[10 ]");
  memset(full, 'f', sizeof full);
  ws_send(fd, PING, full, sizeof full);
  const char *got = ws_next(fd, &len);
  ck_assert_uint_eq(len, sizeof full);
  ck_assert_mem_eq(got + 4, full, len);
  SEND(fd, PONG, "unasked");
  SEND(fd, TEXT, "after");
  ws_expect(fd, "[1 after]");
  ws_end();
}
END_TEST

/* Any byte is a sign of life, a pong too. */
START_TEST(heard_of) {
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT, "heard");
  ws_expect(fd, "[1 1000000]");
  front_advance(5000);
  SEND(fd, PONG, "");
  SEND(fd, PING, "");
  ws_expect(fd, "[10 ]");
  SEND(fd, TEXT, "heard");
  ws_expect(fd, "[1 6000000]");
  ws_end();
}
END_TEST

START_TEST(the_end_without_a_goodbye) {
  static const struct linger reset = {1, 0};
  ws_begin();
  for (int i = 0; i < 3; i++) {
    int fd = ws_open(HEAD("/ws"));
    if (i == 1) SEND(fd, TEXT_BEGINS, "half a mess");
    if (i == 2) client_send_bytes(fd, "\x81\x85\1\2", 4);
    if (i == 2) ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    FRONT_WAIT(ws_closed == i + 1);
  }
  FRONT_WAIT(front_stats().connections == 0);
  ws_end();
}
END_TEST

/* A client that says no more may still read what it asked for. */
START_TEST(half_closed) {
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT, "last words");
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  ws_expect(fd, "[1 last words]");
  ck_assert(client_ended(fd));
  FRONT_WAIT(ws_closed == 1);
  ws_end();
}
END_TEST

START_TEST(goodbye_and_half_closed) {
  char bytes[64];
  size_t len = ws_frame(bytes, CLOSE, "\x03\xe8", 2);
  ws_begin();
  for (int i = 0; i < 200; i++) {
    int fd = ws_open(HEAD("/ws"));
    client_send_bytes(fd, bytes, len);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    expect_close(fd, 1000, "");
  }
  ws_end();
}
END_TEST

START_TEST(stopped) {
  ws_begin();
  int fd = ws_open(HEAD("/ws")), coded = ws_open(HEAD("/coded"));
  SEND(fd, TEXT, "there");
  ws_expect(fd, "[1 there]");
  ws_expect(coded, "[1 o]");
  tcd_front_stop(front, 1000);
  size_t len;
  ck_assert_str_eq(ws_next(fd, &len), "[8 \x03\xe9the server is stopping]");
  SEND(fd, CLOSE, "\x03\xe9");
  ck_assert(client_ended(fd));
  ws_expect(coded, "[1 c1001 the server is stopping]");
  ck_assert_str_eq(ws_next(coded, &len), "[8 \x03\xe8]");
  close(fd);
  close(coded);
  front_join();
  ck_assert_int_eq(ws_closed, 2);
  tcd_hub_close(ws_hub);
  ck_assert_int_eq(tc_close(ws_engine), TC_OK);
  front_end();
}
END_TEST

START_TEST(events_come_as_frames) {
  ws_begin();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT, "join ");
  ws_expect(fd, "[1 joined]");
  ws_tip();
  ws_expect(fd, "[1 e1]");
  SEND(fd, CLOSE, "\x03\xe8");
  expect_close(fd, 1000, "");
  ws_tip(); /* nobody is there any more */
  tcd_hub_stats stats;
  tcd_hub_stats_get(ws_hub, &stats);
  ck_assert_uint_eq(stats.cursors, 0);
  ws_end();
}
END_TEST

START_TEST(cut_off) {
  ws_begin();
  for (int i = 0; i < 4; i++) ws_tip();
  int fd = ws_open(HEAD("/ws"));
  SEND(fd, TEXT, "resume");
  ws_expect(fd, "[1 joined]");
  ws_expect(fd, "[1 e1]");
  ws_expect(fd, "[1 e2]");
  ws_expect(fd, "[1 cut 2 2]"); /* TCD_CUT_FAR: max_replay is 2 */
  answer_close(fd, 1008, "cut");
  ws_end();
}
END_TEST

START_TEST(coded) {
  ws_begin();
  int fd = ws_open(HEAD("/coded"));
  ws_expect(fd, "[1 o]");
  SEND(fd, TEXT, "12345abc");
  ws_expect(fd, "[1 <12345>]");
  ws_expect(fd, "[1 <abc>]");
  for (int i = 0; i < 3; i++) {
    front_advance(25100);
    ws_expect(fd, "[1 h]");
  }
  SEND(fd, TEXT, "closenot heard");
  ws_expect(fd, "[1 <before>]");
  ws_expect(fd, "[1 c4000 as told]");
  answer_close(fd, 1000, "");
  ck_assert_int_eq(ws_messages, 3);
  fd = ws_open(HEAD("/coded/closing"));
  ws_expect(fd, "[1 o]");
  ws_expect(fd, "[1 c3000 Go away!]");
  answer_close(fd, 1000, "");
  fd = ws_open(HEAD("/coded"));
  ws_expect(fd, "[1 o]");
  SEND(fd, TEXT, "long");
  expect_close(fd, 1009, "the message is too long");
  ws_end();
}
END_TEST

START_TEST(dropped) {
  char bytes[64];
  ws_begin();
  int fd = ws_open(HEAD("/coded"));
  ws_expect(fd, "[1 o]");
  size_t len = ws_frame(bytes, TEXT, "drop", 4);
  len += ws_frame(bytes + len, TEXT, "abc", 3);
  client_send_bytes(fd, bytes, len);
  char byte;
  ck_assert_int_le(recv(fd, &byte, 1, 0), 0); /* no close frame */
  FRONT_WAIT(ws_closed == 1);
  ck_assert_int_eq(ws_messages, 0);
  ws_end();
}
END_TEST

/* A client that asks and never reads is let go, and only that one. */
START_TEST(pings_without_end) {
  static char full[125], bytes[1 << 16];
  ws_begin();
  int fd = ws_open(HEAD("/ws")), other = ws_open(HEAD("/ws"));
  size_t len = 0;
  while (len + sizeof full + 6 <= sizeof bytes) len += ws_frame(bytes + len, PING, full, sizeof full);
  for (int i = 0; i < 1000 && ws_closed == 0; i++) client_send_bytes(fd, bytes, len);
  FRONT_WAIT(ws_closed == 1);
  SEND(other, TEXT, "still here");
  ws_expect(other, "[1 still here]");
  close(fd);
  ws_end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ws_socket");
  TCase *tests = tcase_create("ws_socket");
  suite_add_tcase(suite, tests);
  tcase_set_timeout(tests, 30);
  tcase_add_test(tests, echoes);
  tcase_add_test(tests, the_answer);
  tcase_add_test(tests, refused_and_still_http);
  tcase_add_test(tests, what_comes_with_the_request);
  tcase_add_test(tests, the_service_closes);
  tcase_add_test(tests, close_answered_late_or_never);
  tcase_add_test(tests, closed_from_within_open);
  tcase_add_test(tests, not_opened);
  tcase_add_test(tests, the_client_closes);
  tcase_add_loop_test(tests, faults_are_told, 0, sizeof faults / sizeof faults[0]);
  tcase_add_test(tests, pings_and_pongs);
  tcase_add_test(tests, heard_of);
  tcase_add_test(tests, the_end_without_a_goodbye);
  tcase_add_test(tests, half_closed);
  tcase_add_test(tests, goodbye_and_half_closed);
  tcase_add_test(tests, stopped);
  tcase_add_test(tests, events_come_as_frames);
  tcase_add_test(tests, cut_off);
  tcase_add_test(tests, coded);
  tcase_add_test(tests, dropped);
  tcase_add_test(tests, pings_without_end);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
