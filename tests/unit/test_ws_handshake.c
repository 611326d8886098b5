/* The opening handshake: what is accepted, what is answered, and what is refused with which status. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "server/ws/handshake.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n" /* of RFC 6455 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define VERSION "Sec-WebSocket-Version: 13\n"
#define UPGRADE "Upgrade: websocket\nConnection: Upgrade\n"

static const char *const stomps[] = {"v12.stomp", "v11.stomp", "v10.stomp", NULL};

/* A request with these header lines. */
static tcd_request request_of(const char *lines) {
  static tcd_header headers[16];
  tcd_request request = {.method = {"GET", 3}, .target = {"/ws", 3}, .path = {"/ws", 3}, .version_minor = 1, .headers = headers};
  for (const char *line = lines; *line;) {
    const char *colon = strchr(line, ':'), *end = strchr(line, '\n'), *value = colon + 1 + strspn(colon + 1, " ");
    headers[request.header_count++] = (tcd_header){{line, (size_t)(colon - line)}, {value, (size_t)(end - value)}};
    line = end + 1;
  }
  return request;
}

static tci_buf out;
static const char *message;

static int shake(const char *lines, const char *const *protocols, const char *extra) {
  tcd_request request = request_of(lines);
  tci_buf_free(&out);
  tci_buf_init(&out, 4096);
  message = NULL;
  return tcd_ws_handshake(&request, protocols, extra, &out, &message);
}

static int count(const char *word) {
  int found = 0;
  for (const char *at = out.data; (at = strstr(at, word)) != NULL; at++) found++;
  return found;
}

START_TEST(the_whole_answer) {
  ck_assert_int_eq(shake(UPGRADE VERSION KEY, NULL, NULL), 0);
  ck_assert_str_eq(out.data, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n");
  ck_assert_int_eq(shake(UPGRADE VERSION KEY "Sec-WebSocket-Protocol: v11.stomp\n", stomps, "X-Extra: 1\r\n"), 0);
  ck_assert_str_eq(out.data, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT
                             "\r\nSec-WebSocket-Protocol: v11.stomp\r\nX-Extra: 1\r\n\r\n");
}
END_TEST

static const char *const tolerated[] = {
  "Upgrade: WebSocket\nConnection: keep-alive, Upgrade\n" VERSION KEY,
  "upgrade: WEBSOCKET\nconnection: upgrade\nsec-websocket-version: 13\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n",
  "Upgrade: websocket\nConnection: keep-alive\nConnection: Upgrade\n" VERSION KEY,
  "Upgrade: h2c\nUpgrade: foo , websocket\nConnection: ,Upgrade,\n" VERSION KEY,
  UPGRADE VERSION KEY "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n",
  UPGRADE VERSION KEY "Origin: null\nPragma: no-cache\nCookie: a=b\n",
};

START_TEST(tolerance) {
  tcd_request request = request_of(tolerated[_i]);
  ck_assert_int_eq(tcd_ws_is_upgrade(&request), 1);
  ck_assert_int_eq(shake(tolerated[_i], stomps, NULL), 0);
  ck_assert_int_eq(count("Sec-WebSocket-Accept: " ACCEPT "\r\n"), 1);
  ck_assert_int_eq(count("Sec-WebSocket-Protocol"), 0);
  ck_assert_int_eq(count("Sec-WebSocket-Extensions"), 0); /* we have none */
}
END_TEST

static const struct {
  const char *offer, *chosen;
} protocols[] = {
  {"Sec-WebSocket-Protocol: v10.stomp, v11.stomp\n", "v10.stomp"}, /* the client's order is its wish */
  {"Sec-WebSocket-Protocol: v12.stomp\n", "v12.stomp"},
  {"Sec-WebSocket-Protocol: mqtt, v11.stomp ,v12.stomp\n", "v11.stomp"},
  {"Sec-WebSocket-Protocol: mqtt\nSec-WebSocket-Protocol: v10.stomp\n", "v10.stomp"},
  {"Sec-WebSocket-Protocol: mqtt\n", NULL},
  {"Sec-WebSocket-Protocol: V12.STOMP\n", NULL},
  {"Sec-WebSocket-Protocol: v12.stompx, v1\n", NULL},
  {"Sec-WebSocket-Protocol: \n", NULL},
  {"", NULL},
};

START_TEST(sub_protocols) {
  char lines[512], line[64];
  (void)snprintf(lines, sizeof lines, "%s%s", UPGRADE VERSION KEY, protocols[_i].offer);
  ck_assert_int_eq(shake(lines, stomps, NULL), 0);
  ck_assert_int_eq(count("Sec-WebSocket-Protocol:"), protocols[_i].chosen ? 1 : 0);
  if (protocols[_i].chosen) {
    (void)snprintf(line, sizeof line, "\r\nSec-WebSocket-Protocol: %s\r\n", protocols[_i].chosen);
    ck_assert_int_eq(count(line), 1);
  }
  ck_assert_int_eq(shake(lines, NULL, NULL), 0); /* who speaks none names none */
  ck_assert_int_eq(count("Sec-WebSocket-Protocol:"), 0);
}
END_TEST

static const struct {
  const char *lines;
  int status;
} refused[] = {
  {VERSION KEY, 400},
  {"Upgrade: websocket\n" VERSION KEY, 400},
  {"Connection: Upgrade\n" VERSION KEY, 400},
  {"Upgrade: websocket\nConnection: keep-alive\n" VERSION KEY, 400},
  {"Upgrade: websockets\nConnection: Upgrade\n" VERSION KEY, 400},
  {"Upgrade: h2c\nConnection: Upgrade\n" VERSION KEY, 400},
  {UPGRADE KEY, 426},
  {UPGRADE KEY "Sec-WebSocket-Version: 12\n", 426},
  {UPGRADE KEY "Sec-WebSocket-Version: 8\n", 426},
  {UPGRADE KEY "Sec-WebSocket-Version: 013\n", 426},
  {UPGRADE KEY "Sec-WebSocket-Version:\n", 426},
  {UPGRADE KEY VERSION VERSION, 426},
  {UPGRADE VERSION, 400},
  {UPGRADE VERSION KEY KEY, 400},
  {UPGRADE VERSION "Sec-WebSocket-Key:\n", 400},
  {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\n", 400},
  {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\n", 400},     /* 17 bytes */
  {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\n", 400},         /* 15 */
  {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==AAAA\n", 400}, /* behind the end */
  {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\n", 400},
  {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhb-Bsb_Bub25jZQ==\n", 400}, /* another alphabet */
  {UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhb Bsb Bub25jZQ==\n", 400},
};

START_TEST(refusals) {
  ck_assert_int_eq(shake(refused[_i].lines, stomps, NULL), refused[_i].status);
  ck_assert_ptr_nonnull(message);
  ck_assert_uint_eq(out.len, 0); /* the answer is the caller's */
}
END_TEST

START_TEST(methods_and_versions) {
  tcd_request request = request_of(UPGRADE VERSION KEY);
  request.version_minor = 0;
  ck_assert_int_eq(tcd_ws_handshake(&request, NULL, NULL, &out, &message), 400);
  request.version_minor = 1;
  request.method = (tc_text){"POST", 4};
  ck_assert_int_eq(tcd_ws_handshake(&request, NULL, NULL, &out, &message), 400);
  request.method = (tc_text){"PUT", 3};
  ck_assert_int_eq(tcd_ws_handshake(&request, NULL, NULL, &out, &message), 400);
}
END_TEST

START_TEST(asks_at_all) {
  static const char *const asking[] = {UPGRADE, "Connection: x, upgrade\nUpgrade: y, WebSocket\n"};
  static const char *const others[] = {"", "Upgrade: websocket\n", "Connection: Upgrade\n", "Connection: Upgrade\nUpgrade: h2c\n",
                                       "Connection: close\nUpgrade: websocket\n"};
  for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++) {
    tcd_request request = request_of(asking[i]);
    ck_assert_int_eq(tcd_ws_is_upgrade(&request), 1);
  }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    tcd_request request = request_of(others[i]);
    ck_assert_int_eq(tcd_ws_is_upgrade(&request), 0);
  }
}
END_TEST

START_TEST(no_room) {
  tcd_request request = request_of(UPGRADE VERSION KEY);
  tci_buf small;
  tci_buf_init(&small, 40);
  ck_assert_int_eq(tcd_ws_handshake(&request, NULL, NULL, &small, &message), 0);
  ck_assert(small.err); /* sticky: who sends it looks */
  tci_buf_free(&small);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ws_handshake");
  TCase *tests = tcase_create("ws_handshake");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, the_whole_answer);
  tcase_add_loop_test(tests, tolerance, 0, sizeof tolerated / sizeof tolerated[0]);
  tcase_add_loop_test(tests, sub_protocols, 0, sizeof protocols / sizeof protocols[0]);
  tcase_add_loop_test(tests, refusals, 0, sizeof refused / sizeof refused[0]);
  tcase_add_test(tests, methods_and_versions);
  tcase_add_test(tests, asks_at_all);
  tcase_add_test(tests, no_room);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
