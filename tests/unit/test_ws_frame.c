/* WebSocket framing: what a client may send, in whatever pieces it comes, and what the server writes. The allocator is the test's own. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/ws/frame.h"

static int blocks, allocations, fail_at;

static int fails(void) { return ++allocations == fail_at; }

static void *counted(void *made) {
  if (made) blocks++;
  return made;
}

void *tci_alloc(size_t size) { return fails() ? NULL : counted(malloc(size ? size : 1)); }
void *tci_zalloc(size_t size) { return fails() ? NULL : counted(calloc(1, size ? size : 1)); }
void *tci_array(size_t count, size_t size) { return fails() ? NULL : counted(calloc(count ? count : 1, size ? size : 1)); }
void *tci_realloc(void *old, size_t size) {
  if (fails()) return NULL;
  void *made = realloc(old, size ? size : 1);
  if (made && !old) blocks++;
  return made;
}
void tci_free(void *ptr) {
  if (ptr) blocks--;
  free(ptr);
}

enum { FIN = 0x80 };

/* What a client sends, frame after frame. */
static char stream[1 << 20];
static size_t stream_len;

static void put_head(int first, size_t len, int extra, const uint8_t mask[4]) {
  stream[stream_len++] = (char)first;
  stream[stream_len++] = (char)(0x80 | (extra == 8 ? 127 : extra == 2 ? 126 : (int)len));
  for (int i = extra - 1; i >= 0; i--) stream[stream_len++] = (char)((uint64_t)len >> 8 * i);
  memcpy(stream + stream_len, mask, 4);
  stream_len += 4;
}

static void put_frame(int first, const char *payload, size_t len) {
  static const uint8_t mask[4] = {0x9a, 0x01, 0xff, 0x42};
  put_head(first, len, len < 126 ? 0 : len < 65536 ? 2 : 8, mask);
  ck_assert_uint_le(stream_len + len, sizeof stream);
  for (size_t i = 0; i < len; i++) stream[stream_len++] = (char)((uint8_t)payload[i] ^ mask[i & 3]);
}

#define PUT(first, payload) put_frame(first, payload, sizeof payload - 1)

/* What was read, in one text: `OPCODE:PAYLOAD;` each, then `!CODE` for a fault. */
static char heard[1 << 20];
static size_t heard_len;

/* Reads the stream in pieces of step bytes, each in memory of its own. */
static int read_stream(size_t step) {
  tcd_ws_parser parser;
  tcd_ws_message message;
  int rc = 0;
  tcd_ws_parser_init(&parser);
  heard_len = 0;
  for (size_t from = 0; from < stream_len && rc >= 0; from += step) {
    size_t left = stream_len - from < step ? stream_len - from : step;
    char *piece = malloc(left), *at = piece;
    ck_assert_ptr_nonnull(piece);
    memcpy(piece, stream + from, left);
    while ((rc = tcd_ws_next(&parser, &at, &left, &message)) == 1) {
      heard_len += (size_t)snprintf(heard + heard_len, sizeof heard - heard_len, "%d:", message.opcode);
      ck_assert_uint_lt(heard_len + message.len + 16, sizeof heard);
      memcpy(heard + heard_len, message.data, message.len);
      memset(message.data, 'X', message.len); /* it is the caller's to write into */
      heard_len += message.len;
      heard[heard_len++] = ';';
    }
    ck_assert(rc < 0 || !left);
    free(piece);
  }
  if (rc < 0) heard_len += (size_t)snprintf(heard + heard_len, sizeof heard - heard_len, "!%d", -rc);
  heard[heard_len] = '\0';
  tcd_ws_parser_free(&parser);
  ck_assert_int_eq(blocks, 0);
  stream_len = rc < 0 ? 0 : stream_len;
  return rc;
}

/* However the stream comes it says the same. */
static void expect(const char *text) {
  static const size_t steps[] = {sizeof stream, 1, 2, 3, 5, 7, 64, 1000};
  size_t len = stream_len;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    stream_len = len;
    (void)read_stream(steps[i]);
    ck_assert_str_eq(heard, text);
  }
  stream_len = 0;
}

START_TEST(small_parser) { ck_assert_uint_lt(sizeof(tcd_ws_parser), 100); }
END_TEST

START_TEST(whole_messages) {
  PUT(FIN | TCD_WS_TEXT, "one");
  PUT(FIN | TCD_WS_TEXT, "");
  PUT(FIN | TCD_WS_BINARY, "two \xff");
  PUT(FIN | TCD_WS_PING, "p");
  PUT(FIN | TCD_WS_PONG, "");
  PUT(FIN | TCD_WS_CLOSE, "\x03\xe8"
                          "bye");
  expect("1:one;1:;2:two \xff;9:p;10:;8:\x03\xe8"
         "bye;");
}
END_TEST

/* Every length around a change of the head's form or of the unmasking loop, at every phase of the mask and alignment. */
START_TEST(lengths_and_masks) {
  static const size_t lens[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, TCD_WS_MESSAGE_MAX};
  static char payload[TCD_WS_MESSAGE_MAX], input[TCD_WS_MESSAGE_MAX + 32];
  for (size_t i = 0; i < sizeof payload; i++) payload[i] = (char)(i * 7 + i / 251);
  for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
    for (size_t shift = 0; shift < 8; shift++) {
      tcd_ws_parser parser;
      tcd_ws_message message;
      tcd_ws_parser_init(&parser);
      stream_len = 0;
      put_frame(FIN | TCD_WS_BINARY, payload, lens[i]);
      /* In one piece: it stays where it is. */
      char *at = memcpy(input + shift, stream, stream_len);
      size_t left = stream_len;
      ck_assert_int_eq(tcd_ws_next(&parser, &at, &left, &message), 1);
      ck_assert(message.data >= input + shift && message.data + message.len == input + shift + stream_len && !left);
      ck_assert_uint_eq(message.len, lens[i]);
      ck_assert(!lens[i] || !memcmp(message.data, payload, lens[i]));
      ck_assert_int_eq(allocations, 0);
      /* In two: the mask goes on at the phase where it was. */
      size_t cut = stream_len - lens[i] + (lens[i] < shift + 1 ? lens[i] : shift + 1);
      at = memcpy(input, stream, stream_len);
      left = cut;
      int rc = tcd_ws_next(&parser, &at, &left, &message);
      ck_assert_int_eq(rc, cut == stream_len);
      left = stream_len - cut;
      if (!rc) ck_assert_int_eq(tcd_ws_next(&parser, &at, &left, &message), 1);
      ck_assert_uint_eq(message.len, lens[i]);
      ck_assert(!lens[i] || !memcmp(message.data, payload, lens[i]));
      tcd_ws_parser_free(&parser);
      ck_assert_int_eq(blocks, 0);
      allocations = 0;
    }
  }
}
END_TEST

START_TEST(fragments) {
  PUT(TCD_WS_TEXT, "a");
  PUT(FIN | TCD_WS_PING, "between");
  PUT(TCD_WS_CONTINUATION, "");
  PUT(TCD_WS_CONTINUATION, "bc");
  PUT(FIN | TCD_WS_PONG, "");
  PUT(FIN | TCD_WS_CONTINUATION, "d");
  PUT(TCD_WS_BINARY, "");
  PUT(FIN | TCD_WS_CONTINUATION, "");
  PUT(FIN | TCD_WS_TEXT, "after");
  expect("9:between;10:;1:abcd;2:;1:after;");
}
END_TEST

START_TEST(nothing_is_held_when_idle) {
  tcd_ws_parser parser;
  tcd_ws_message message;
  tcd_ws_parser_init(&parser);
  PUT(TCD_WS_TEXT, "long");
  PUT(FIN | TCD_WS_PING, "between");
  PUT(FIN | TCD_WS_CONTINUATION, "er");
  int messages = 0;
  for (size_t i = 0; i < stream_len; i++) {
    char *at = stream + i;
    size_t left = 1;
    while (tcd_ws_next(&parser, &at, &left, &message) == 1) messages++;
  }
  ck_assert_int_eq(messages, 2);
  ck_assert_int_eq(blocks, 0); /* though the parser is not freed */
}
END_TEST

static const struct {
  const char *bytes;
  size_t len;
  int code;
} faults[] = {
#define FAULT(bytes, code) \
  { bytes, sizeof bytes - 1, code }
  FAULT("\x81\x01x", 1002),                                    /* no mask */
  FAULT("\xc1\x80____", 1002),                                 /* RSV1, as deflate would set it */
  FAULT("\xa1\x80____", 1002),                                 /* RSV2 */
  FAULT("\x91\x80____", 1002),                                 /* RSV3 */
  FAULT("\xc9\x80____", 1002),                                 /* RSV1 of a ping */
  FAULT("\x83\x80____", 1002),                                 /* opcodes that are not */
  FAULT("\x87\x80____", 1002),                                 /* */
  FAULT("\x8b\x80____", 1002),                                 /* */
  FAULT("\x8f\x80____", 1002),                                 /* */
  FAULT("\x80\x80____", 1002),                                 /* continues nothing */
  FAULT("\x00\x80____", 1002),                                 /* */
  FAULT("\x09\x80____", 1002),                                 /* a fragmented ping */
  FAULT("\x08\x80____", 1002),                                 /* and close */
  FAULT("\x89\xfe\x00\x7e____", 1002),                         /* a ping of 126 bytes */
  FAULT("\x88\xff\0\0\0\0\0\1\0\0____", 1002),                 /* a close of 65536 */
  FAULT("\x81\xfe\x00\x7d____", 1002),                         /* 125 in two bytes */
  FAULT("\x81\xfe\x00\x00____", 1002),                         /* 0 in two bytes */
  FAULT("\x82\xff\0\0\0\0\0\0\xff\xff____", 1002),             /* 65535 in eight */
  FAULT("\x01\x80____\x81\x80____", 1002),                     /* a new message within one */
  FAULT("\x01\x80____\x02\x80____", 1002),                     /* */
  FAULT("\x82\xff\0\0\0\0\0\2\0\1____", 1009),                 /* one byte too many */
  FAULT("\x82\xff\x80\0\0\0\0\2\0\0____", 1009),               /* the top bit */
  FAULT("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff____", 1009), /* */
};

START_TEST(protocol_errors) {
  char text[16];
  memcpy(stream, faults[_i].bytes, faults[_i].len);
  stream_len = faults[_i].len;
  (void)snprintf(text, sizeof text, "!%d", faults[_i].code);
  expect(text);
}
END_TEST

/* At the byte that makes it a fault, not later: nothing is kept for it. */
START_TEST(told_by_the_head_alone) {
  memcpy(stream, "\xc1\x80", 2);
  stream_len = 2;
  ck_assert_int_eq(read_stream(1), -1002);
  memcpy(stream, "\x81\x05", 2);
  stream_len = 2;
  ck_assert_int_eq(read_stream(1), -1002);
  memcpy(stream, "\x82\xff\0\0\0\0\0\2\0\1____", 14);
  stream_len = 14;
  ck_assert_int_eq(read_stream(14), -1009);
}
END_TEST

START_TEST(too_long_in_all) {
  static char half[TCD_WS_MESSAGE_MAX / 2];
  memset(half, 'h', sizeof half);
  put_frame(TCD_WS_TEXT, half, sizeof half);
  put_frame(TCD_WS_CONTINUATION, half, sizeof half);
  PUT(FIN | TCD_WS_PING, "p");
  size_t before = stream_len;
  PUT(FIN | TCD_WS_CONTINUATION, "");
  ck_assert_int_eq(read_stream(4096), 0);
  ck_assert_uint_eq(heard_len, 4 + 2 + TCD_WS_MESSAGE_MAX + 1); /* 9:p; 1:hhh...; */
  stream_len = before;
  PUT(FIN | TCD_WS_CONTINUATION, "x");
  ck_assert_int_eq(read_stream(4096), -1009);
  ck_assert_str_eq(heard, "9:p;!1009");
}
END_TEST

START_TEST(utf8_over_fragments) {
  PUT(TCD_WS_TEXT, "\xf0\x9f");
  PUT(FIN | TCD_WS_PING, "\xff"); /* of a control frame nobody asks it */
  PUT(FIN | TCD_WS_CONTINUATION, "\x94\xa5");
  PUT(TCD_WS_BINARY, "\xf0");
  PUT(FIN | TCD_WS_CONTINUATION, "\x9f");
  expect("9:\xff;1:\xf0\x9f\x94\xa5;2:\xf0\x9f;");
}
END_TEST

static const char *const broken[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\x80", "abcdefgh\xf0\x9f\x94", "\xe2\x82"};

START_TEST(not_utf8) {
  const char *text = broken[_i];
  put_frame(FIN | TCD_WS_TEXT, text, strlen(text));
  expect("!1007");
  put_frame(TCD_WS_TEXT, text, 1);
  put_frame(FIN | TCD_WS_CONTINUATION, text + 1, strlen(text + 1));
  expect("!1007");
}
END_TEST

static int code_of(const char *payload, size_t len) {
  char data[125];
  memcpy(data, payload, len);
  return tcd_ws_close_code(&(tcd_ws_message){TCD_WS_CLOSE, data, len});
}

START_TEST(close_codes) {
  ck_assert_int_eq(code_of("", 0), 1005);
  ck_assert_int_eq(code_of("\x03", 1), -1002);
  ck_assert_int_eq(code_of("\x03\xe8\xe2\x82\xac", 5), 1000);
  ck_assert_int_eq(code_of("\x03\xe8\xe2\x82", 4), -1007);
  for (int code = 0; code < 65536; code++) {
    const char bytes[2] = {(char)(code >> 8), (char)(code & 0xff)};
    /* 7.4.1, and what the registry has added since (1012 to 1014). 1004 to 1006 and 1015 are never sent. */
    int good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
    ck_assert_int_eq(code_of(bytes, 2), good ? code : -1002);
  }
}
END_TEST

static void check_put(size_t len, const char *head, size_t head_len) {
  static char payload[70000];
  tci_buf out;
  memset(payload, 'p', sizeof payload);
  tci_buf_init(&out, head_len + len);
  tcd_ws_put(&out, TCD_WS_TEXT, payload, len);
  ck_assert_int_eq(out.err, 0);
  ck_assert_uint_eq(out.len, head_len + len);
  ck_assert_mem_eq(out.data, head, head_len);
  if (len) ck_assert_mem_eq(out.data + head_len, payload, len);
  tci_buf_free(&out);
  /* Where it does not fit, not even its head comes. */
  tci_buf_init(&out, head_len + len - 1);
  tcd_ws_put(&out, TCD_WS_TEXT, payload, len);
  ck_assert(out.err && !out.len);
  tci_buf_free(&out);
}

START_TEST(writes_frames) {
  check_put(0, "\x81\x00", 2);
  check_put(125, "\x81\x7d", 2);
  check_put(126, "\x81\x7e\x00\x7e", 4);
  check_put(65535, "\x81\x7e\xff\xff", 4);
  check_put(65536, "\x81\x7f\0\0\0\0\0\1\0\0", 10);
  tci_buf out;
  tci_buf_init(&out, 64);
  tcd_ws_framing.put((tc_text){"text", 4}, &out);
  tcd_ws_put(&out, TCD_WS_PONG, "", 0);
  ck_assert_uint_eq(out.len, 8);
  ck_assert_mem_eq(out.data, "\x81\x04text\x8a\x00", 8);
  tci_buf_free(&out);
}
END_TEST

START_TEST(writes_close_frames) {
  char reason[200];
  tci_buf out;
  tci_buf_init(&out, 1000);
  tcd_ws_put_close(&out, 1001, "bye");
  ck_assert_uint_eq(out.len, 7);
  ck_assert_mem_eq(out.data,
                   "\x88\x05\x03\xe9"
                   "bye",
                   7);
  tci_buf_clear(&out);
  memset(reason, 'r', 122);
  memcpy(reason + 122, "\xe2\x82\xac", 4); /* it would end after 125 bytes */
  tcd_ws_put_close(&out, 4000, reason);
  ck_assert_uint_eq(out.len, 2 + 2 + 122);
  ck_assert_int_eq(out.data[1], 124);
  reason[121] = '\xc3';
  reason[122] = '\xa9';
  reason[123] = 'x';
  tci_buf_clear(&out);
  tcd_ws_put_close(&out, 4000, reason);
  ck_assert_uint_eq(out.len, 2 + 125); /* all that a control frame holds */
  tci_buf_free(&out);
}
END_TEST

START_TEST(no_memory) {
  int failed = 0;
  for (fail_at = 1; fail_at < 100; fail_at++) {
    static char long_text[3000];
    memset(long_text, 'l', sizeof long_text);
    stream_len = 0;
    put_frame(TCD_WS_TEXT, long_text, sizeof long_text);
    PUT(FIN | TCD_WS_PING, "between");
    put_frame(FIN | TCD_WS_CONTINUATION, long_text, sizeof long_text);
    allocations = 0;
    int rc = read_stream(500);
    if (!rc) break;
    ck_assert_int_eq(rc, -1011);
    failed++;
  }
  ck_assert_int_ge(failed, 3);
  ck_assert_int_lt(fail_at, 100);
}
END_TEST

START_TEST(no_memory_for_a_ping) {
  PUT(FIN | TCD_WS_PING, "in parts");
  fail_at = 1;
  ck_assert_int_eq(read_stream(8), -1011);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ws_frame");
  TCase *tests = tcase_create("ws_frame");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, small_parser);
  tcase_add_test(tests, whole_messages);
  tcase_add_test(tests, lengths_and_masks);
  tcase_add_test(tests, fragments);
  tcase_add_test(tests, nothing_is_held_when_idle);
  tcase_add_loop_test(tests, protocol_errors, 0, sizeof faults / sizeof faults[0]);
  tcase_add_test(tests, told_by_the_head_alone);
  tcase_add_test(tests, too_long_in_all);
  tcase_add_test(tests, utf8_over_fragments);
  tcase_add_loop_test(tests, not_utf8, 0, sizeof broken / sizeof broken[0]);
  tcase_add_test(tests, close_codes);
  tcase_add_test(tests, writes_frames);
  tcase_add_test(tests, writes_close_frames);
  tcase_add_test(tests, no_memory);
  tcase_add_test(tests, no_memory_for_a_ping);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
