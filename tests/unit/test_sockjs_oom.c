/* SockJS when memory ends: whichever allocation of a conversation fails, the others' go on and nothing is kept. */
#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_kit.h"
#include "oom_kit.h"
#include "sockjs_kit.h"

/* ---- Conversations: whatever comes is read, until the stream ends. */

static char heard[1 << 16];

static void say(const char *request) {
  int fd = client_open();
  size_t len = 0;
  client_send(fd, request);
  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (!poll(&ready, 1, 20)) {
      front_advance(26000); /* what could not be sent for want of memory goes with the next heart-beat */
      continue;
    }
    ssize_t n = recv(fd, heard + len, sizeof heard - 1 - len, 0);
    if (n <= 0) break;
    len += (size_t)n;
    ck_assert_uint_lt(len, sizeof heard - 1);
  }
  heard[len] = '\0';
  close(fd);
}

#define ASK(line, body) line " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" body

static int came(const char *text) { return strstr(heard, text) != NULL; }

/* The service's own end comes behind all that it said; else another end has to tell that something is lost. */
static void polling(void) {
  int one = 0, two = 0, refused = 0;
  for (int i = 0; i < 4; i++) {
    say(ASK("POST /talk/0/p/xhr", "\r\n"));
    if (refused && oom_fail_to < oom_allocations) ck_assert(came("\r\n\r\no\n")); /* nothing is left of a session that could not be */
    refused = !i && came("too many sessions");
    one |= came("one");
    two |= came("two");
    ck_assert(!came("3000") || (one && two));
  }
}

static void sending(void) {
  say(ASK("POST /echo/0/s/xhr", "\r\n"));
  say(ASK("POST /echo/0/s/xhr_send", "Content-Length: 10\r\n\r\n[\"a\",\"\\n\"]"));
  say(ASK("POST /echo/0/s/jsonp_send", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 16\r\n\r\nd=%5B%22a%22%5D "));
  say(ASK("POST /echo/0/s/xhr", "\r\n"));
}

static void streaming(void) {
  say(ASK("POST /talk/0/x/xhr_streaming", "\r\n"));
  ck_assert(!came("3000") || (came("one") && came("two")));
  say(ASK("GET /talk/0/e/eventsource", "\r\n"));
  ck_assert(!came("3000") || (came("one") && came("two")));
  say(ASK("GET /talk/0/h/htmlfile?c=a", "\r\n"));
  ck_assert(!came("3000") || (came("one") && came("two")));
  say(ASK("GET /talk/0/j/jsonp?c=a", "\r\n"));
}

static void pages(void) {
  say(ASK("GET /echo/info", "\r\n"));
  say(ASK("GET /echo/iframe.html", "\r\n"));
  say(ASK("OPTIONS /echo/0/s/xhr", "\r\n"));
  say(ASK("GET /echo/0/s/nothing", "\r\n"));
}

static void socket_(void) {
  say("GET /talk/0/w/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x88\x80\1\2\3\4");
}

static void (*const conversations[])(void) = {polling, sending, streaming, pages, socket_};

/* All sessions have gone; a request makes the front look at the clock. */
static void settle(void) {
  front_advance(26000);
  say(ASK("GET /echo", "\r\n"));
  FRONT_WAIT(sockjs_closed == sockjs_opened && front_stats().connections == 0);
}

START_TEST(one_allocation_fails) {
  void (*talk)(void) = conversations[_i % 5];
  int forever = _i / 5, needed;
  sockjs_begin();
  talk(); /* what is made once and kept is made now */
  settle();
  int before = oom_allocations;
  talk();
  needed = oom_allocations - before;
  settle();
  ck_assert_int_gt(needed, 0);
  for (int i = 1; i <= needed; i++) {
    int from = oom_allocations + i;
    oom_fail_to = from + (forever ? 1000000 : 0);
    oom_fail_from = from;
    talk();
    oom_fail_from = 0;
    settle();
    ck_assert_str_eq(sockjs_post("/echo/0/after/xhr", ""), "200 o\n");
    settle();
  }
  talk();
  ck_assert_ptr_nonnull(strstr(heard, "HTTP/1.1 "));
  sockjs_stop();
  sockjs_end();
  ck_assert_int_eq(oom_blocks, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sockjs_oom");
  TCase *tests = tcase_create("sockjs_oom");
  suite_add_tcase(suite, tests);
  tcase_set_timeout(tests, 100);
  tcase_add_loop_test(tests, one_allocation_fails, 0, 10);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
