/* The STOMP codec: every case is read whole and in pieces, and must say the same each time. In the tables `^` stands for NUL. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "server/stomp/encode.h"
#include "server/stomp/frame.h"

#define OUT_MAX (1u << 20)

/* NUL shows as `^` here too. */
static void put_text(tci_buf *out, tc_text text) {
  for (size_t i = 0; i < text.len; i++) (void)tci_buf_append(out, text.ptr[i] ? text.ptr + i : "^", 1);
}

static void put_frame(tci_buf *out, const tcd_stomp_frame *frame) {
  put_text(out, frame->command);
  for (size_t i = 0; i < frame->header_count; i++) {
    (void)tci_buf_puts(out, " [");
    put_text(out, frame->headers[i].name);
    (void)tci_buf_puts(out, "=");
    put_text(out, frame->headers[i].value);
    (void)tci_buf_puts(out, "]");
  }
  (void)tci_buf_puts(out, " {");
  put_text(out, frame->body);
  (void)tci_buf_puts(out, "};");
}

static void put_fault(tci_buf *out, const tcd_stomp_fault *fault) {
  (void)tci_buf_printf(out, "BAD%s: %s", fault->too_large ? " 1009" : "", fault->what);
  (void)tci_buf_puts(out, " <");
  if (fault->command.ptr) put_text(out, fault->command);
  (void)tci_buf_puts(out, ">");
  if (fault->receipt.ptr) {
    (void)tci_buf_puts(out, " receipt ");
    put_text(out, fault->receipt);
  }
  (void)tci_buf_puts(out, ";");
}

/* What is read of bytes when they come step at a time (the last rest in one piece): frames, then perhaps a fault. Each piece lies in memory of exactly its size. */
static int read_all(int version, const char *bytes, size_t len, size_t step, tci_buf *out) {
  tcd_stomp_parser parser;
  int rc = TCD_STOMP_MORE;
  tcd_stomp_parser_init(&parser);
  parser.version = version;
  tci_buf_init(out, OUT_MAX);
  for (size_t at = 0; at < len && rc == TCD_STOMP_MORE;) {
    size_t piece = len - at < step ? len - at : step, left = piece;
    char *room = malloc(piece), *input = room;
    ck_assert_ptr_nonnull(room);
    memcpy(room, bytes + at, piece);
    do {
      tcd_stomp_frame frame;
      tcd_stomp_fault fault;
      /* What the parser leaves unset would be seen. */
      memset(&frame, 0xA5, sizeof frame);
      memset(&fault, 0xA5, sizeof fault);
      rc = tcd_stomp_next(&parser, &input, &left, &frame, &fault);
      ck_assert_uint_le(left, piece);
      ck_assert_ptr_eq(input + left, room + piece);
      if (rc == TCD_STOMP_FRAME) put_frame(out, &frame);
      if (rc == TCD_STOMP_BAD) put_fault(out, &fault);
    } while (rc == TCD_STOMP_FRAME);
    if (rc == TCD_STOMP_MORE) ck_assert_uint_eq(left, 0);
    at += piece;
    free(room);
  }
  ck_assert_int_eq(out->err, 0);
  tcd_stomp_parser_free(&parser);
  return rc;
}

static void check_read(int version, const char *bytes, size_t len, const char *expected) {
  static const size_t steps[] = {1u << 30, 1, 2, 3, 7, 64, 1000, 40000};
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    tci_buf out;
    (void)read_all(version, bytes, len, steps[i], &out);
    ck_assert_msg(!strcmp(out.data ? out.data : "", expected), "in pieces of %zu:\n got %s\nwant %s\n  of %.200s", steps[i], out.data ? out.data : "", expected,
                  bytes);
    tci_buf_free(&out);
  }
}

static void check_text(int version, const char *text, const char *expected) {
  size_t len = strlen(text);
  char *bytes = malloc(len + 1);
  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i <= len; i++) bytes[i] = text[i] == '^' ? '\0' : text[i];
  check_read(version, bytes, len, expected);
  free(bytes);
}

#define NO_BLANK "BAD: the head must end with a blank line before any NUL"
#define NO_NUL "BAD: content-length: no NUL behind the body"
#define NO_NUMBER "BAD: content-length: must be a whole number"
#define TOO_LARGE "BAD 1009: a frame may have at most 65536 bytes"

static const struct {
  int version;
  const char *text, *frames;
} cases[] = {
  /* Lines and what lies between frames. */
  {2, "", ""},
  {2, "\n\r\n\n", ""},
  {2, "SEND\n\n^", "SEND {};"},
  {2, "\n\n\r\nSEND\n\n^\n\r\nSEND\n\n^\n", "SEND {};SEND {};"},
  {2, "SEND\na:1\nb:2\n\nhello^", "SEND [a=1] [b=2] {hello};"},
  {2, "SEND\r\na:1\r\n\r\nok\r\n\r\nend^", "SEND [a=1] {ok\r\n\r\nend};"},
  {1, "SEND\r\na:1\r\n\r\n^", "SEND [a=1] {};"},
  {0, "SEND\r\na:1\r\n\r\n^", "SEND [a=1] {};"},
  {2, "SEND\na:1\r\r\n\n^", "SEND [a=1\r] {};"},
  {2, "SEND\na:x\ry\n\n^", "SEND [a=x\ry] {};"},
  {2, "SEND\na:1", ""},
  {2, "SEND\na:1\n\nbody", ""},
  /* Headers. */
  {2, "SEND\na:b:c\n\n^", "SEND [a=b:c] {};"},
  {0, "SEND\na:b:c\n\n^", "SEND [a=b:c] {};"},
  {2, "SEND\n a : b \n\n^", "SEND [ a = b ] {};"},
  {2, "SEND\na:\n\n^", "SEND [a=] {};"},
  {2, "SEND\na\n\n^", "BAD: header: no colon <SEND>;"},
  {2, "SEND\n:a\n\n^", "BAD: header: no name before the colon <SEND>;"},
  {2, "SEND\na:\xc3\xa9\n\n^", "SEND [a=\xc3\xa9] {};"},
  {2, "SEND\na:\xc3\n\n^", "BAD: header: not valid UTF-8 <SEND>;"},
  {2, "SEND\n\xff:a\n\n^", "BAD: header: not valid UTF-8 <SEND>;"},
  {0, "SEND\na:\xed\xa0\x80\n\n^", "BAD: header: not valid UTF-8 <SEND>;"},
  {2, "SEND\na:1\na:2\n\n^", "SEND [a=1] [a=2] {};"},
  /* Escapes are the version's, and never CONNECT's. */
  {2, "SEND\n\\c\\n:\\\\n\\r\\c\n\n^", "SEND [:\n=\\n\r:] {};"},
  {1, "SEND\na:\\\\\\n\\c\n\n^", "SEND [a=\\\n:] {};"},
  {1, "SEND\na:\\r\n\n^", "BAD: header: undefined escape <SEND>;"},
  {2, "SEND\na:\\t\n\n^", "BAD: header: undefined escape <SEND>;"},
  {2, "SEND\na\\t:1\n\n^", "BAD: header: undefined escape <SEND>;"},
  {2, "SEND\na:1\\\n\n^", "BAD: header: undefined escape <SEND>;"},
  {0, "SEND\na:\\t\\c\\\\\\\n\n^", "SEND [a=\\t\\c\\\\\\] {};"},
  {2, "CONNECT\npasscode:p\\tq:z\n\n^", "CONNECT [passcode=p\\tq:z] {};"},
  {1, "STOMP\npasscode:\\c\n\n^", "STOMP [passcode=\\c] {};"},
  {2, "SEND\na:\\\\c\n\n^SEND\nb:\\c\n\n^", "SEND [a=\\c] {};SEND [b=:] {};"},
  /* content-length. */
  {2, "SEND\ncontent-length:3\n\na^b^", "SEND [content-length=3] {a^b};"},
  {2, "SEND\ncontent-length:0\n\n^", "SEND [content-length=0] {};"},
  {2, "SEND\ncontent-length:3\n\n^^^^\nSEND\n\n^", "SEND [content-length=3] {^^^};SEND {};"},
  {2, "SEND\ncontent-length:11\n\n^SUB\nid:1\n\n^", "SEND [content-length=11] {^SUB\nid:1\n\n};"},
  {2, "SEND\ncontent-length:2\ncontent-length:9\n\nab^", "SEND [content-length=2] [content-length=9] {ab};"},
  {2, "SEND\ncontent-length:2\n\nabc^", NO_NUL " <SEND>;"},
  {2, "SEND\nreceipt:7\ncontent-length:2\n\nabc^", NO_NUL " <SEND> receipt 7;"},
  {2, "SEND\ncontent-length:4\n\nabc^", ""},
  {2, "SEND\ncontent-length:\n\n^", NO_NUMBER " <SEND>;"},
  {2, "SEND\ncontent-length:-1\n\n^", NO_NUMBER " <SEND>;"},
  {2, "SEND\ncontent-length:-1\nreceipt:1\n\n^", NO_NUMBER " <SEND> receipt 1;"},
  {2, "SEND\na^:1\nreceipt:1\n\n^", NO_BLANK " <SEND>;"},
  {2, "SEND\ncontent-length: 1\n\na^", NO_NUMBER " <SEND>;"},
  {2, "SEND\ncontent-length:1x\n\na^", NO_NUMBER " <SEND>;"},
  {2, "SEND\ncontent-length:0000000000000000001\n\na^", NO_NUMBER " <SEND>;"},
  {2, "SEND\ncontent-length:18446744073709551616\n\n^", NO_NUMBER " <SEND>;"},
  {2, "SEND\ncontent-length:999999999999999999\n\n^", "BAD 1009: content-length: a frame may have at most 65536 bytes <SEND>;"},
  {2, "SEND\ncontent-length:65537\n\n^", "BAD 1009: content-length: a frame may have at most 65536 bytes <SEND>;"},
  {2, "SEND\nContent-Length:9\n\na^", "SEND [Content-Length=9] {a};"},
  /* NUL where none may be: the same verdict wherever the pieces end. */
  {2, "^", NO_BLANK " <>;"},
  {2, "\n^", NO_BLANK " <>;"},
  {2, "SEND^\n\n^", NO_BLANK " <>;"},
  {2, "SE^ND\na:1\n\nx^", NO_BLANK " <>;"},
  {2, "SEND\n^", NO_BLANK " <SEND>;"},
  {2, "SEND\na:1^", NO_BLANK " <SEND>;"},
  {2, "SEND\na:1^2\nb:1\n\n^", NO_BLANK " <SEND>;"},
  {2, "SEND\nreceipt:r\na:1^", NO_BLANK " <SEND> receipt r;"},
  /* The receipt of a frame that cannot be read: wherever it stands, as its sender meant it. */
  {2, "SEND\nreceipt:a\\cb\nx:\\t\n\n^", "BAD: header: undefined escape <SEND> receipt a:b;"},
  {2, "SEND\nx:\\t\nreceipt:a\\cb\n\n^", "BAD: header: undefined escape <SEND> receipt a:b;"},
  {2, "SEND\nx:\\t\nreceipt:1\nreceipt:2\n\n^", "BAD: header: undefined escape <SEND> receipt 1;"},
  {2, "SEND\nreceipt:1\nx\nreceipt:2\n\n^", "BAD: header: no colon <SEND> receipt 1;"},
  {2, "SEND\nreceipt:\\t\n\n^", "BAD: header: undefined escape <SEND>;"},
  {2, "SEND\nx\nreceipt:\\t\n\n^", "BAD: header: no colon <SEND>;"},
  {2, "SEND\nx\nreceipt:\xff\n\n^", "BAD: header: no colon <SEND>;"},
  {2, "SEND\nreceipt:\xff\n\n^", "BAD: header: not valid UTF-8 <SEND>;"},
  {2, "SEND\na:\\nreceipt\\c6\nx:\\t\n\n^", "BAD: header: undefined escape <SEND>;"},
  {0, "SEND\nreceipt:a\\cb\nx\n\n^", "BAD: header: no colon <SEND> receipt a\\cb;"},
  {2, "CONNECT\nreceipt:a\\cb\nx\n\n^", "BAD: header: no colon <CONNECT> receipt a\\cb;"},
  /* Frames before a fault are given. */
  {2, "SEND\n\n1^SEND\nx\n\n^SEND\n\n2^", "SEND {1};BAD: header: no colon <SEND>;"},
};

START_TEST(reads_the_same_in_any_pieces) { check_text(cases[_i].version, cases[_i].text, cases[_i].frames); }
END_TEST

/* As large as allowed and a byte more, whole and in pieces. */
static void check_sized(const char *head, size_t size, const char *expected) {
  char *bytes = malloc(size + 1);
  ck_assert_ptr_nonnull(bytes);
  memset(bytes, 'A', size);
  memcpy(bytes, head, strlen(head));
  bytes[size] = '\0';
  static const size_t steps[] = {1u << 30, 31, 1000, 16384, 40000, 65535, 65536};
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    tci_buf out;
    (void)read_all(TCD_STOMP_12, bytes, size + 1, steps[i], &out);
    if (expected) ck_assert_msg(out.data && !strcmp(out.data, expected), "in pieces of %zu: %.200s", steps[i], out.data ? out.data : "");
    else ck_assert_msg(out.len > 60000 && !strncmp(out.data, "SEND [", 6), "in pieces of %zu: %.200s", steps[i], out.data ? out.data : "");
    tci_buf_free(&out);
  }
  free(bytes);
}

START_TEST(a_frame_has_at_most_64_kib) {
  check_sized("SEND\nreceipt:r\n\n", 65536, NULL);
  check_sized("SEND\nreceipt:r\n\n", 65537, TOO_LARGE " <SEND> receipt r;");
  check_sized("SEND\nreceipt:r\n\n", 200000, TOO_LARGE " <SEND> receipt r;");
  check_sized("SEND\nreceipt:a\\cb\nx:", 100000, TOO_LARGE " <SEND> receipt a:b;");
  check_sized("", 100000, TOO_LARGE " <>;");
  check_sized("SEND\ncontent-length:65509\n\n", 65537, NO_NUL " <SEND>;");
  check_sized("SEND\ncontent-length:65509\n\n", 65536, NULL);
  check_sized("SEND\ncontent-length:65510\n\n", 65537, "BAD 1009: content-length: a frame may have at most 65536 bytes <SEND>;");
}
END_TEST

/* The first piece is long enough that the head would not be looked at again before the limit. */
START_TEST(limit_is_seen_between_two_looks) {
  enum { FIRST = 40000, ALL = 80000 };
  tcd_stomp_parser parser;
  tcd_stomp_frame frame;
  tcd_stomp_fault fault;
  char *bytes = malloc(ALL), *at = bytes;
  ck_assert_ptr_nonnull(bytes);
  memset(bytes, 'A', ALL);
  memcpy(bytes, "SEND\nreceipt:r\n\n", 16);
  tcd_stomp_parser_init(&parser);
  parser.version = TCD_STOMP_12;
  const size_t pieces[] = {FIRST, 1, ALL - FIRST - 1};
  for (size_t i = 0; i < 3; i++) {
    size_t len = pieces[i];
    memset(&fault, 0xA5, sizeof fault);
    int rc = tcd_stomp_next(&parser, &at, &len, &frame, &fault);
    ck_assert_int_eq(rc, i < 2 ? TCD_STOMP_MORE : TCD_STOMP_BAD);
  }
  ck_assert_int_eq(fault.too_large, 1);
  ck_assert(fault.command.ptr && fault.command.len == 4 && !memcmp(fault.command.ptr, "SEND", 4));
  ck_assert(fault.receipt.ptr && fault.receipt.len == 1 && *fault.receipt.ptr == 'r');
  ck_assert_uint_le(parser.held.cap, TCD_STOMP_FRAME_MAX + 2);
  tcd_stomp_parser_free(&parser);
  free(bytes);
}
END_TEST

START_TEST(a_frame_has_at_most_64_headers) {
  tci_buf text, out;
  for (int count = 64; count <= 65; count++) {
    tci_buf_init(&text, OUT_MAX);
    (void)tci_buf_puts(&text, "SEND\nreceipt:r\n");
    for (int i = 1; i < count; i++) (void)tci_buf_printf(&text, "h%d:%d\n", i, i);
    (void)tci_buf_append(&text, "\n", 2);
    for (size_t step = 1; step < 5000; step *= 3) {
      int rc = read_all(TCD_STOMP_12, text.data, text.len, step, &out);
      ck_assert_int_eq(rc, count == 64 ? TCD_STOMP_MORE : TCD_STOMP_BAD);
      if (count == 64) ck_assert_ptr_nonnull(strstr(out.data, "[h63=63] {};"));
      else ck_assert_str_eq(out.data, "BAD 1009: more than 64 headers <SEND> receipt r;");
      tci_buf_free(&out);
    }
    tci_buf_free(&text);
  }
}
END_TEST

/* A million headers of nobody's frame must not be kept. */
START_TEST(endless_headers_end_early) {
  tcd_stomp_parser parser;
  tcd_stomp_frame frame;
  tcd_stomp_fault fault;
  int rc = TCD_STOMP_MORE;
  size_t fed = 0;
  tcd_stomp_parser_init(&parser);
  for (; fed < 100000 && rc == TCD_STOMP_MORE; fed++) {
    char line[] = "a:b\n", *at = line;
    size_t len = 4;
    rc = tcd_stomp_next(&parser, &at, &len, &frame, &fault);
  }
  ck_assert_int_eq(rc, TCD_STOMP_BAD);
  ck_assert_int_eq(fault.too_large, 1);
  ck_assert_uint_lt(fed, 200);
  tcd_stomp_parser_free(&parser);
}
END_TEST

START_TEST(nul_bytes_of_a_body_have_their_length) {
  char text[] = "SEND\ncontent-length:5\n\n\0\0\0\0\0\0", *at = text;
  size_t len = sizeof text - 1;
  tcd_stomp_parser parser;
  tcd_stomp_frame frame;
  tcd_stomp_fault fault;
  tcd_stomp_parser_init(&parser);
  ck_assert_int_eq(tcd_stomp_next(&parser, &at, &len, &frame, &fault), TCD_STOMP_FRAME);
  ck_assert_uint_eq(frame.body.len, 5);
  ck_assert_uint_eq(len, 0);
  ck_assert_int_eq(tcd_stomp_next(&parser, &at, &len, &frame, &fault), TCD_STOMP_MORE);
  tcd_stomp_parser_free(&parser);
}
END_TEST

START_TEST(whole_frames_are_read_in_place) {
  char text[] = "SEND\na:1\n\nx\0SEND\nb:2\n\ny\0SEND\nc", *at = text;
  size_t len = sizeof text - 1;
  tcd_stomp_parser parser;
  tcd_stomp_frame frame;
  tcd_stomp_fault fault;
  tc_text value;
  tcd_stomp_parser_init(&parser);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(tcd_stomp_next(&parser, &at, &len, &frame, &fault), TCD_STOMP_FRAME);
    ck_assert_ptr_null(parser.held.data);
    ck_assert(frame.command.ptr >= text && frame.command.ptr < text + sizeof text);
  }
  ck_assert_int_eq(tcd_stomp_find(&frame, "b", &value), 1);
  ck_assert(value.len == 1 && *value.ptr == '2');
  ck_assert_int_eq(tcd_stomp_find(&frame, "a", &value), 0);
  ck_assert_int_eq(tcd_stomp_next(&parser, &at, &len, &frame, &fault), TCD_STOMP_MORE);
  ck_assert_uint_eq(parser.held.len, 6);
  char rest[] = ":3\n\n\0\n";
  at = rest;
  len = sizeof rest - 1;
  ck_assert_int_eq(tcd_stomp_next(&parser, &at, &len, &frame, &fault), TCD_STOMP_FRAME);
  ck_assert_int_eq(tcd_stomp_next(&parser, &at, &len, &frame, &fault), TCD_STOMP_MORE);
  ck_assert_ptr_null(parser.held.data); /* an idle session holds nothing */
  tcd_stomp_parser_free(&parser);
}
END_TEST

START_TEST(first_of_repeated_headers_counts) {
  char text[] = "SEND\na:1\na:2\nab:3\n\n", *at = text;
  size_t len = sizeof text;
  tcd_stomp_parser parser;
  tcd_stomp_frame frame;
  tcd_stomp_fault fault;
  tc_text value;
  tcd_stomp_parser_init(&parser);
  ck_assert_int_eq(tcd_stomp_next(&parser, &at, &len, &frame, &fault), TCD_STOMP_FRAME);
  ck_assert(tcd_stomp_find(&frame, "a", &value) && value.len == 1 && *value.ptr == '1');
  ck_assert(tcd_stomp_find(&frame, "ab", &value) && value.len == 1 && *value.ptr == '3');
  ck_assert_int_eq(tcd_stomp_find(&frame, "A", &value), 0);
  tcd_stomp_parser_free(&parser);
}
END_TEST

static const struct {
  int version;
  const char *raw, *escaped;
} escapes[] = {
  {2, "a:b\\c\nd\re", "a\\cb\\\\c\\nd\\re"},
  {1, "a:b\\c\nd", "a\\cb\\\\c\\nd"},
  {0, "a:b\\c\nd\re", "a:b\\c d e"},
  {2, "", ""},
  {2, "\xc3\xa9", "\xc3\xa9"},
  {2, "::", "\\c\\c"},
};

START_TEST(writes_headers_by_version) {
  tci_buf out, again;
  tci_buf_init(&out, 1024);
  tcd_stomp_put_header(&out, "h", (tc_text){escapes[_i].raw, strlen(escapes[_i].raw)}, escapes[_i].version);
  tci_buf_init(&again, 1024);
  (void)tci_buf_printf(&again, "h:%s\n", escapes[_i].escaped);
  ck_assert_str_eq(out.data, again.data);
  /* What 1.1 and 1.2 write they read. */
  if (escapes[_i].version) {
    tci_buf frame, read;
    tci_buf_init(&frame, 1024);
    (void)tci_buf_printf(&frame, "SEND\n%s\n", out.data);
    (void)read_all(escapes[_i].version, frame.data, frame.len + 1, 1000, &read);
    tci_buf_clear(&again);
    (void)tci_buf_printf(&again, "SEND [h=%s] {};", escapes[_i].raw);
    ck_assert_str_eq(read.data, again.data);
    tci_buf_free(&frame);
    tci_buf_free(&read);
  }
  tci_buf_free(&out);
  tci_buf_free(&again);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stomp_frame");
  TCase *tcase = tcase_create("stomp_frame");
  tcase_add_loop_test(tcase, reads_the_same_in_any_pieces, 0, (int)(sizeof cases / sizeof cases[0]));
  tcase_add_test(tcase, a_frame_has_at_most_64_kib);
  tcase_add_test(tcase, limit_is_seen_between_two_looks);
  tcase_add_test(tcase, a_frame_has_at_most_64_headers);
  tcase_add_test(tcase, endless_headers_end_early);
  tcase_add_test(tcase, nul_bytes_of_a_body_have_their_length);
  tcase_add_test(tcase, whole_frames_are_read_in_place);
  tcase_add_test(tcase, first_of_repeated_headers_counts);
  tcase_add_loop_test(tcase, writes_headers_by_version, 0, (int)(sizeof escapes / sizeof escapes[0]));
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
