/* The STOMP session: what each command answers in each state, and what the hub is asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/stomp/frame.h"
#include "stomp_kit.h"

/* On a fresh session. */
static const struct {
  const char *said, *heard;
} greetings[] = {
  {"", ""},
  {"\n", ""},
  {"\n\r\nCONNECT\naccept-version:1.2\nhost:h\n\n^\n", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"},
  {"STOMP\naccept-version:1.2\n\n^", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\n\n^", "CONNECTED\nversion:1.0\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:1.0,1.1,2.0\n\n^", "CONNECTED\nversion:1.1\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:1.1,3.14159,1.0\n\n^", "CONNECTED\nversion:1.1\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:1.2,1.1,1.0\n\n^", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:1.1, 1.2\n\n^", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:1.2\naccept-version:1.0\n\n^", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:1.2\nreceipt:5\n\n^", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:1.2\npasscode:p\\tq:z\n\n^", "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^"},
  {"CONNECT\naccept-version:2.0\n\n^",
   "ERROR\nmessage:accept-version: none of these is served\nversion:1.0,1.1,1.2\n" PLAIN "CONNECT: accept-version: served are 1.0, 1.1 and 1.2^close 1002;"},
  {"CONNECT\naccept-version:\n\n^",
   "ERROR\nmessage:accept-version: none of these is served\nversion:1.0,1.1,1.2\n" PLAIN "CONNECT: accept-version: served are 1.0, 1.1 and 1.2^close 1002;"},
  {"CONNECT\nheart-beat:x\n\n^",
   REFUSED("heart-beat: must be two whole numbers with a comma between", "", "CONNECT: heart-beat: must be two whole numbers with a comma between")},
  {"CONNECT\nheart-beat:1,2,3\n\n^",
   REFUSED("heart-beat: must be two whole numbers with a comma between", "", "CONNECT: heart-beat: must be two whole numbers with a comma between")},
  {"CONNECT\nheart-beat:12345678901,0\n\n^",
   REFUSED("heart-beat: must be two whole numbers with a comma between", "", "CONNECT: heart-beat: must be two whole numbers with a comma between")},
  {"CONNECT\n\nbody^", REFUSED("this frame has no body", "", "CONNECT: this frame has no body")},
  {"SUBSCRIBE\nid:0\ndestination:/topic/rooms/r\nreceipt:q\n\n^", REFUSED("CONNECT must come first", "receipt-id:q\n", "SUBSCRIBE: CONNECT must come first")},
  {"DISCONNECT\n\n^", REFUSED("CONNECT must come first", "", "DISCONNECT: CONNECT must come first")},
  {"GET / HTTP/1.1\r\nHost: h\r\n\r\n^", REFUSED("unknown command", "", "GET / HTTP/1.1: unknown command")},
  {"^", REFUSED("the head must end with a blank line before any NUL", "", "the head must end with a blank line before any NUL")},
};

START_TEST(greets) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say(greetings[_i].said);
  stomp_expect(greetings[_i].heard);
  stomp_end();
}
END_TEST

#define NOWHERE "destination\\c nothing there; served\\c /topic/rooms/{id}, /topic/events/{id}, * of both, /topic/**, /topic/leaderboards/{id}"
#define NOWHERE_ "destination: nothing there; served: /topic/rooms/{id}, /topic/events/{id}, * of both, /topic/**, /topic/leaderboards/{id}"
#define NOT_HERE "clients may not send to this destination\\c events are made by POST /api/tips and /api/reactions"
#define NOT_HERE_ "clients may not send to this destination: events are made by POST /api/tips and /api/reactions"

/* On a connected session. */
static const struct {
  int version;
  const char *said, *heard;
  int subscriptions; /* afterwards */
} dialogues[] = {
  {2, "\n\r\n\n", "", 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "\n^", "", 1},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "receipt:a\\cb\n\n^", "RECEIPT\nreceipt-id:a\\cb\n\n^", 1},
  {1, "SUBSCRIBE\nid:0\n" TOPIC "receipt:a\\cb\n\n^", "RECEIPT\nreceipt-id:a\\cb\n\n^", 1},
  {0, "SUBSCRIBE\nid:0\n" TOPIC "receipt:a\\cb:c\n\n^", "RECEIPT\nreceipt-id:a\\cb:c\n\n^", 1},
  {2, "SUBSCRIBE\nid:\n" TOPIC "receipt:\n\n^", "RECEIPT\nreceipt-id:\n\n^", 1},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "\n^SUBSCRIBE\nid:1\n" TOPIC "\n^UNSUBSCRIBE\nid:0\nreceipt:u\n\n^", "RECEIPT\nreceipt-id:u\n\n^", 1},
  {2, "UNSUBSCRIBE\nid:0\nreceipt:u\n\n^", "RECEIPT\nreceipt-id:u\n\n^", 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "\n^UNSUBSCRIBE\nid:0\n\n^SUBSCRIBE\nid:0\n" TOPIC "receipt:2\n\n^", "RECEIPT\nreceipt-id:2\n\n^", 1},
  {2, "UNSUBSCRIBE\n\n^", REFUSED("id\\c is missing", "", "UNSUBSCRIBE: id: is missing"), 0},
  {2, "SUBSCRIBE\n" TOPIC "receipt:z\n\n^", REFUSED("id\\c is missing", "receipt-id:z\n", "SUBSCRIBE: id: is missing"), 0},
  {1, "SUBSCRIBE\n" TOPIC "receipt:z\n\n^", REFUSED("id\\c is missing", "receipt-id:z\n", "SUBSCRIBE: id: is missing"), 0},
  {2, "SUBSCRIBE\nid:0\n\n^", REFUSED("destination\\c is missing", "", "SUBSCRIBE: destination: is missing"), 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "\n^SUBSCRIBE\nid:0\ndestination:/topic/rooms/s\n\n^",
   REFUSED("id\\c is in use by another subscription", "", "SUBSCRIBE: id: is in use by another subscription"), 0},
  {2, "SUBSCRIBE\nid:0\ndestination:/queue/x\n\n^", REFUSED(NOWHERE, "", "SUBSCRIBE: " NOWHERE_), 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "after-seq:-1\n\n^",
   REFUSED("after-seq\\c must be a whole number, 0 or more", "", "SUBSCRIBE: after-seq: must be a whole number, 0 or more"), 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "after-seq:\n\n^",
   REFUSED("after-seq\\c must be a whole number, 0 or more", "", "SUBSCRIBE: after-seq: must be a whole number, 0 or more"), 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "after-seq:1234567890123456789\n\n^",
   REFUSED("after-seq\\c must be a whole number, 0 or more", "", "SUBSCRIBE: after-seq: must be a whole number, 0 or more"), 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "\nbody^", REFUSED("this frame has no body", "", "SUBSCRIBE: this frame has no body"), 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "content-length:0\n\n^", "", 1},
  /* 1.0: the destination stands for the id. */
  {0, "SUBSCRIBE\n" TOPIC "receipt:z\n\n^", "RECEIPT\nreceipt-id:z\n\n^", 1},
  {0, "SUBSCRIBE\n" TOPIC "\n^SUBSCRIBE\n" TOPIC "\n^",
   REFUSED("destination: is subscribed to already", "", "SUBSCRIBE: destination: is subscribed to already"), 0},
  {0, "SUBSCRIBE\n" TOPIC "\n^UNSUBSCRIBE\n" TOPIC "receipt:u\n\n^", "RECEIPT\nreceipt-id:u\n\n^", 0},
  {0, "SUBSCRIBE\nid:1\n" TOPIC "\n^UNSUBSCRIBE\n" TOPIC "receipt:u\n\n^", "RECEIPT\nreceipt-id:u\n\n^", 0},
  {0, "SUBSCRIBE\nid:1\n" TOPIC "\n^UNSUBSCRIBE\nid:1\n\n^", "", 0},
  /* What is answered and does nothing. */
  {2, "ACK\nid:1\nreceipt:1\n\n^NACK\nid:1\nreceipt:2\n\n^BEGIN\ntransaction:t\nreceipt:3\n\n^COMMIT\nreceipt:4\n\n^ABORT\nreceipt:5\n\n^ACK\n\n^",
   "RECEIPT\nreceipt-id:1\n\n^RECEIPT\nreceipt-id:2\n\n^RECEIPT\nreceipt-id:3\n\n^RECEIPT\nreceipt-id:4\n\n^RECEIPT\nreceipt-id:5\n\n^", 0},
  {2, "SEND\ndestination:/app/x\nreceipt:s\n\nbody^", "RECEIPT\nreceipt-id:s\n\n^", 0},
  {2, "SEND\ndestination:/app/x\n\n^", "", 0},
  {2, "SEND\ndestination:/app/none\ncontent-length:51\n\nx^SUBSCRIBE\nid:evil\ndestination:/topic/rooms/r1\n\n^y^", "", 0},
  /* Refused. */
  {2, "SEND\n" TOPIC "receipt:s\n\n{}^", REFUSED(NOT_HERE, "receipt-id:s\n", "SEND: " NOT_HERE_), 0},
  {2, "SEND\ndestination:/app\n\n^", REFUSED(NOT_HERE, "", "SEND: " NOT_HERE_), 0},
  {2, "SEND\n\n^", REFUSED("destination\\c is missing", "", "SEND: destination: is missing"), 0},
  {2, "CONNECT\naccept-version:1.2\n\n^", REFUSED("the session is connected already", "", "CONNECT: the session is connected already"), 0},
  {2, "STOMP\naccept-version:1.2\n\n^", REFUSED("the session is connected already", "", "STOMP: the session is connected already"), 0},
  {2, "SUBSCRIB\nreceipt:1\n\n^", REFUSED("unknown command", "receipt-id:1\n", "SUBSCRIB: unknown command"), 0},
  {2, "send\n\n^", REFUSED("unknown command", "", "send: unknown command"), 0},
  {2, "\xff\n\n^", REFUSED("unknown command", "", "unknown command"), 0},
  {2, "A command that goes on for thirty-two bytes and more\n\n^", REFUSED("unknown command", "", "A command that goes on for thirt: unknown command"), 0},
  {2, "MESSAGE\n\n^", REFUSED("unknown command", "", "MESSAGE: unknown command"), 0},
  /* Frames that cannot be read: named, and their receipt as it was meant. */
  {2, "SEND\nreceipt:a\\cb\nx:\\t\n\n^", REFUSED("header\\c undefined escape", "receipt-id:a\\cb\n", "SEND: header: undefined escape"), 0},
  {1, "SEND\nx:\\r\nreceipt:a\\cb\n\n^", REFUSED("header\\c undefined escape", "receipt-id:a\\cb\n", "SEND: header: undefined escape"), 0},
  {2, "SEND\nid\n\n^", REFUSED("header\\c no colon", "", "SEND: header: no colon"), 0},
  {2, "SEND\ncontent-length:2\n\nabc^", REFUSED("content-length\\c no NUL behind the body", "", "SEND: content-length: no NUL behind the body"), 0},
  {2, "SEND\ncontent-length:9999999999\nreceipt:1\n\n^",
   "ERROR\nmessage:content-length\\c a frame may have at most 65536 bytes\nreceipt-id:1\n" PLAIN
   "SEND: content-length: a frame may have at most 65536 bytes^close 1009;",
   0},
  {2, "\xc3\xa9\n\xff:1\n\n^", REFUSED("header\\c not valid UTF-8", "", "\xc3\xa9: header: not valid UTF-8"), 0},
  /* Nothing is heard or done after the end. */
  {2, "SUBSCRIBE\nid:0\n" TOPIC "\n^BAD\n\n^SEND\ndestination:/app/x\nreceipt:1\n\n^", REFUSED("unknown command", "", "BAD: unknown command"), 0},
  {2, "SUBSCRIBE\nid:0\n" TOPIC "\n^DISCONNECT\nreceipt:77\n\n^SEND\nreceipt:1\n\n^", "settled;RECEIPT\nreceipt-id:77\n\n^close 1000;", 0},
  {2, "DISCONNECT\n\n^", "settled;close 1000;", 0},
};

START_TEST(answers) {
  stomp_connect(dialogues[_i].version);
  stomp_say(dialogues[_i].said);
  ck_assert_int_eq(stomp_cursor_count, dialogues[_i].subscriptions);
  stomp_expect(dialogues[_i].heard);
  stomp_end();
}
END_TEST

/* A stream has no messages: byte by byte it is the same dialogue. */
START_TEST(answers_byte_by_byte) {
  stomp_connect(dialogues[_i].version);
  for (const char *at = dialogues[_i].said; *at; at++) stomp_say_bytes(at, 1);
  ck_assert_int_eq(stomp_cursor_count, dialogues[_i].subscriptions);
  stomp_expect(dialogues[_i].heard);
  stomp_end();
}
END_TEST

START_TEST(greeting_and_all_else_in_one_message) {
  ck_assert_int_eq(stomp_begin(), 0);
  stomp_say("CONNECT\naccept-version:1.2\n\n^SUBSCRIBE\nid:a\\cb\n" TOPIC "receipt:1\\c1\n\n^\n\nSUBSCRIBE\nid:2\ndestination:/topic/**\nreceipt:2\n\n^SUB");
  stomp_expect("CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n^RECEIPT\nreceipt-id:1\\c1\n\n^RECEIPT\nreceipt-id:2\n\n^");
  ck_assert_int_eq(stomp_cursor_count, 2);
  stomp_end();
}
END_TEST

static const struct {
  const char *destination;
  int all;
  const char *room;
} destinations[] = {
  {"/topic/rooms/r", 0, "r"},         {"/topic/rooms/a\\cb", 0, "a:b"}, {"/topic/rooms/a/b", 0, "a/b"}, {"/topic/rooms/\xc3\xa9 x", 0, "\xc3\xa9 x"},
  {"/topic/rooms/a%2Fb", 0, "a%2Fb"}, {"/topic/rooms/*", 1, ""},        {"/topic/rooms/**", 1, ""},     {"/topic/**", 1, ""},
  {"/topic/rooms/**x", 0, "**x"},
};

START_TEST(asks_the_hub_for_the_topic) {
  char text[256];
  stomp_connect(TCD_STOMP_12);
  (void)snprintf(text, sizeof text, "SUBSCRIBE\nid:0\ndestination:%s\n\n^", destinations[_i].destination);
  stomp_say(text);
  stomp_expect("");
  ck_assert_int_eq(stomp_cursor_count, 1);
  const tcd_join *join = &stomp_cursors[0]->join;
  ck_assert_int_eq(join->topic.all, destinations[_i].all);
  ck_assert_str_eq(stomp_cursors[0]->room, destinations[_i].room);
  ck_assert_ptr_eq(join->shape.framing, &stomp_framing);
  ck_assert_int_eq(join->resume, 0);
  stomp_end();
}
END_TEST

/* Spring's headers in Spring's order, then seq; the concrete room, also for a pattern; by version. */
START_TEST(writes_messages) {
  stomp_connect(TCD_STOMP_12);
  stomp_say("SUBSCRIBE\nid:my\\csub\ndestination:/topic/**\n\n^");
  stomp_publish("a:b", 7);
  stomp_expect("MESSAGE\ndestination:/topic/rooms/a\\cb\ncontent-type:application/json\nsubscription:my\\csub\nmessage-id:7-my\\csub\nseq:7\n\n{\"x\":1}^");
  stomp_end();
  stomp_connect(TCD_STOMP_10);
  stomp_say("SUBSCRIBE\nid:my:sub\ndestination:/topic/rooms/a:b\n\n^");
  stomp_publish("a:b", 8);
  stomp_expect("MESSAGE\ndestination:/topic/rooms/a:b\ncontent-type:application/json\nsubscription:my:sub\nmessage-id:8-my:sub\nseq:8\n\n{\"x\":1}^");
  stomp_publish("other", 9);
  stomp_expect("");
  stomp_end();
}
END_TEST

START_TEST(resumes) {
  stomp_connect(TCD_STOMP_12);
  for (stomp_join_recovered = 0; stomp_join_recovered < 2; stomp_join_recovered++) {
    stomp_say("SUBSCRIBE\nid:0\n" TOPIC "after-seq:123456789012\nreceipt:r\n\n^");
    stomp_expect(stomp_join_recovered ? "RECEIPT\nreceipt-id:r\nrecovered:true\n\n^" : "RECEIPT\nreceipt-id:r\nrecovered:false\n\n^");
    ck_assert_int_eq(stomp_cursors[0]->join.resume, 1);
    ck_assert_int_eq(stomp_cursors[0]->join.after_seq, 123456789012);
    stomp_say("UNSUBSCRIBE\nid:0\n\n^");
  }
  stomp_say("SUBSCRIBE\nid:0\n" TOPIC "after-seq:0\n\n^");
  ck_assert_int_eq(stomp_cursors[0]->join.resume, 1);
  ck_assert_int_eq(stomp_cursors[0]->join.after_seq, 0);
  stomp_expect("");
  stomp_end();
}
END_TEST

START_TEST(hub_refuses) {
  stomp_connect(TCD_STOMP_12);
  stomp_say("SUBSCRIBE\nid:0\n" TOPIC "\n^");
  stomp_join_code = TC_ELIMIT;
  stomp_say("SUBSCRIBE\nid:1\n" TOPIC "receipt:q\n\n^");
  stomp_expect(REFUSED("the server cannot take more subscriptions now", "receipt-id:q\n", "SUBSCRIBE: the server cannot take more subscriptions now"));
  ck_assert_int_eq(stomp_cursor_count, 0);
  stomp_end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stomp_session");
  TCase *tcase = tcase_create("stomp_session");
  tcase_add_loop_test(tcase, greets, 0, (int)(sizeof greetings / sizeof greetings[0]));
  tcase_add_loop_test(tcase, answers, 0, (int)(sizeof dialogues / sizeof dialogues[0]));
  tcase_add_loop_test(tcase, answers_byte_by_byte, 0, (int)(sizeof dialogues / sizeof dialogues[0]));
  tcase_add_test(tcase, greeting_and_all_else_in_one_message);
  tcase_add_loop_test(tcase, asks_the_hub_for_the_topic, 0, (int)(sizeof destinations / sizeof destinations[0]));
  tcase_add_test(tcase, writes_messages);
  tcase_add_test(tcase, resumes);
  tcase_add_test(tcase, hub_refuses);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
