/* A STOMP session's end: cut off, at its limits, by the clock, out of memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/stomp/frame.h"
#include "stomp_kit.h"

static const struct {
  int why;
  const char *heard;
} cuts[] = {
  {TCD_CUT_SLOW, "ERROR\nmessage:too slow\nresume-seq:42\n" PLAIN "too slow^close 1008;"},
  {TCD_CUT_FAR, "ERROR\nmessage:too far behind\nresume-seq:42\n" PLAIN "too far behind^close 1008;"},
  {TCD_CUT_STORAGE, "ERROR\nmessage:the log cannot be read now\nresume-seq:42\n" PLAIN "the log cannot be read now^close 1011;"},
  {TCD_CUT_MEMORY, "ERROR\nmessage:out of memory\nresume-seq:42\n" PLAIN "out of memory^close 1011;"},
};

START_TEST(is_cut_off) {
  stomp_connect(TCD_STOMP_12);
  stomp_say("SUBSCRIBE\nid:0\n" TOPIC "\n^SUBSCRIBE\nid:1\n" TOPIC "\n^");
  tcd_cursor *cut = stomp_cursors[0];
  stomp.service.cut(&stomp_pipe, cut, cuts[_i].why, 42);
  stomp_remove_cursor(cut); /* the hub's: had the session let it leave, this would fail */
  ck_assert_int_eq(stomp_cursor_count, 0);
  stomp_expect(cuts[_i].heard);
  stomp_end();
}
END_TEST

START_TEST(limits) {
  static char text[70000];
  stomp_connect(TCD_STOMP_12);
  for (int i = 0; i < TCD_STOMP_SUBSCRIPTIONS_MAX; i++) {
    (void)snprintf(text, sizeof text, "SUBSCRIBE\nid:%d\n" TOPIC "\n^", i);
    stomp_say(text);
  }
  stomp_expect("");
  ck_assert_int_eq(stomp_cursor_count, TCD_STOMP_SUBSCRIPTIONS_MAX);
  stomp_say("SUBSCRIBE\nid:more\n" TOPIC "\n^");
  stomp_expect(REFUSED("a session has at most 256 subscriptions", "", "SUBSCRIBE: a session has at most 256 subscriptions"));
  stomp_end();
  for (int len = 1024; len <= 1025; len++) {
    stomp_connect(TCD_STOMP_12);
    (void)snprintf(text, sizeof text, "SUBSCRIBE\nid:%0*d\n" TOPIC "\n^", len, 1);
    stomp_say(text);
    stomp_expect(len == 1024 ? "" : REFUSED("id\\c at most 1024 bytes", "", "SUBSCRIBE: id: at most 1024 bytes"));
    stomp_end();
  }
  /* 255 characters, the longest room there can be, of four bytes each. */
  for (int len = 1020; len <= 1021; len++) {
    for (int version = 0; version < 3; version += 2) {
      stomp_connect(version);
      (void)snprintf(text, sizeof text, "SUBSCRIBE\n%sdestination:/topic/rooms/%0*d\n\n^", version ? "id:0\n" : "", len, 1);
      stomp_say(text);
      if (len == 1020) stomp_expect("");
      else if (version) stomp_expect(REFUSED("destination\\c no room has so long an id", "", "SUBSCRIBE: destination: no room has so long an id"));
      else stomp_expect(REFUSED("destination: no room has so long an id", "", "SUBSCRIBE: destination: no room has so long an id"));
      stomp_end();
    }
  }
}
END_TEST

/* The largest answers that a frame of 64 KiB can make: a receipt all of whose bytes are escaped again. */
START_TEST(longest_receipt) {
  static char text[70000];
  stomp_connect(TCD_STOMP_12);
  (void)snprintf(text, sizeof text, "ACK\nreceipt:%65000d\n\n^", 1);
  memset(strchr(text, ' '), ':', 64999);
  stomp_say(text);
  ck_assert_uint_eq(stomp_heard_len, strlen("RECEIPT\nreceipt-id:1\n\n^") + 2 * 64999);
  ck_assert_int_eq(stomp_closed, 0);
  stomp_end();
}
END_TEST

/* What comes between a limit's last look and the limit: the fault names the frame. */
START_TEST(frame_that_never_ends) {
  static char text[40001];
  stomp_connect(TCD_STOMP_12);
  memset(text, 'A', sizeof text - 1);
  memcpy(text, "SEND\nreceipt:r\nx:", 17);
  stomp_say(text);
  stomp_say("A");
  memset(text, 'A', sizeof text - 1);
  stomp_say(text);
  stomp_expect("ERROR\nmessage:a frame may have at most 65536 bytes\nreceipt-id:r\n" PLAIN "SEND: a frame may have at most 65536 bytes^close 1009;");
  stomp_end();
}
END_TEST

START_TEST(connect_has_a_deadline) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say("\n");
  stomp_pass(59000);
  stomp_expect("");
  stomp_say("\n"); /* heart-beats are no CONNECT */
  stomp_pass(1300);
  stomp_expect(REFUSED("no CONNECT within 60 s", "", "no CONNECT within 60 s"));
  stomp_end();
}
END_TEST

START_TEST(without_heart_beats_silence_is_no_fault) {
  stomp_connect(TCD_STOMP_12);
  stomp_pass(500000);
  stomp_expect("");
  stomp_end();
}
END_TEST

/* What the client wants, but no oftener than we offer (1.2, "Heart-beating"): never later than promised, though timers may be late. */
START_TEST(beats_in_time) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say("CONNECT\naccept-version:1.2\nheart-beat:0,5000\n\n^");
  stomp_expect("CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^");
  size_t heard = 0;
  int64_t last_us = stomp_front.now_us;
  for (int beats = 0; beats < 50;) {
    stomp_pass(50);
    int64_t since_us = stomp_front.now_us - last_us;
    ck_assert_int_le(since_us, 10000000);
    if (stomp_heard_len == heard) continue;
    ck_assert_int_ge(since_us, 9700000);
    heard = stomp_heard_len;
    last_us = stomp_front.now_us;
    beats++;
  }
  stomp_end();
}
END_TEST

/* The longer of the client's period and ours, twice, and a grace. */
START_TEST(silence_ends_it) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say("CONNECT\naccept-version:1.2\nheart-beat:20000,30000\n\n^");
  stomp_expect("CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^");
  stomp_pass(29000);
  stomp_expect("");
  stomp_say("\n");
  stomp_pass(30000); /* 59 s: one beat of ours; 30 s of silence are less than two of its periods */
  stomp_expect("beat;");
  stomp_pass(10900); /* 40.9 s of silence */
  stomp_expect("beat;");
  stomp_pass(400);
  stomp_expect(REFUSED("no heart-beat for two periods", "", "nothing was heard from the client for two of its heart-beat periods"));
  stomp_pass(100000);
  stomp_expect("");
  stomp_end();
}
END_TEST

/* Whatever comes counts, also what the session never sees: the transport sets heard_us. */
START_TEST(pongs_count_as_heard) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say("CONNECT\nheart-beat:10000,0\n\n^");
  stomp_expect(stomp_connected[0]);
  for (int i = 0; i < 20; i++) {
    stomp_pass(15000);
    stomp_pipe.heard_us = stomp_front.now_us;
  }
  stomp_expect("");
  stomp_pass(20900);
  stomp_expect("");
  stomp_pass(300);
  ck_assert_int_eq(stomp_closed, 1002);
  stomp_end();
}
END_TEST

START_TEST(end_stops_the_clock) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say("CONNECT\nheart-beat:10000,10000\n\n^DISCONNECT\n\n^");
  ck_assert_uint_eq(stomp_front.wheel.running, 0);
  stomp_pass(100000);
  ck_assert_int_eq(stomp_closed, 1000);
  stomp_end();
}
END_TEST

/* A whole life, with the n-th allocation failing. 1: one failed. */
static int live_with_failure(int n) {
  static const char *const parts[] = {
    "CONNECT\naccept-version:1.2\nheart-beat:10000,10000\n\n^SUBSCRIBE\nid:0\n" TOPIC "receipt:1\n\n^SUBSC",
    "RIBE\nid:1\ndestination:/topic/rooms/a\\cb\nafter-seq:5\nrecei",
    "pt:2\n\n^UNSUBSCRIBE\nid:0\nreceipt:3\n\n^",
    "SEND\ndestination:/app/x\nreceipt:4\n\n^\nSUBSCRIBE\nid:2\ndestination:/topic/**\n\n^DISCONNECT\nreceipt:5\n\n^",
    "SEND\ndestination:/app/x\nreceipt:6\n\n^",
  };
  stomp_allocations = 0;
  stomp_fail_at = n;
  if (stomp_begin() == 0) {
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) stomp_say(parts[i]);
    ck_assert_int_ne(stomp_closed, 0);
    /* It may refuse a subscription or give up, but it never takes what it could not keep for done. */
    if (stomp_allocations >= n) ck_assert(stomp_closed == 1011 || stomp_closed == 1002);
    else ck_assert_int_eq(stomp_closed, 1000);
    stomp_end();
  }
  ck_assert_int_eq(stomp_blocks, 0);
  stomp_fail_at = 0;
  return stomp_allocations >= n;
}

/* The same for a life that ends with an ERROR: that it has no memory for one is no reason to speak twice. */
static int refuse_with_failure(int n) {
  stomp_allocations = 0;
  stomp_fail_at = n;
  if (stomp_begin() == 0) {
    stomp_say("CONNECT\naccept-version:1.2\nheart-beat:10000,10000\n\n^");
    stomp_say("SUBSCRIBE\nid:0\n" TOPIC "\n^BAD\nreceipt:1\n\n^SEND\ndestination:/app/x\nreceipt:6\n\n^");
    ck_assert(stomp_closed == 1002 || stomp_closed == 1011);
    stomp_end();
  }
  ck_assert_int_eq(stomp_blocks, 0);
  stomp_fail_at = 0;
  return stomp_allocations >= n;
}

START_TEST(out_of_memory_anywhere) {
  int n = 1, m = 1;
  while (live_with_failure(n)) n++;
  ck_assert_int_gt(n, 10);
  while (refuse_with_failure(m)) m++;
  ck_assert_int_gt(m, 5);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stomp_life");
  TCase *tcase = tcase_create("stomp_life");
  tcase_add_loop_test(tcase, is_cut_off, 0, (int)(sizeof cuts / sizeof cuts[0]));
  tcase_add_test(tcase, limits);
  tcase_add_test(tcase, longest_receipt);
  tcase_add_test(tcase, frame_that_never_ends);
  tcase_add_test(tcase, connect_has_a_deadline);
  tcase_add_test(tcase, without_heart_beats_silence_is_no_fault);
  tcase_add_test(tcase, beats_in_time);
  tcase_add_test(tcase, silence_ends_it);
  tcase_add_test(tcase, pongs_count_as_heard);
  tcase_add_test(tcase, end_stops_the_clock);
  tcase_add_test(tcase, out_of_memory_anywhere);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
