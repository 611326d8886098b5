#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/front/head.h"
#include "server/front/reframe.h"
#include "server/front/response.h"

static tcd_head head;

static int parse(const char *text, size_t len) {
  tcd_fault fault = {0, NULL};
  int rc = tcd_head_parse(text, len, &head, &fault);
  if (!rc) return 0;
  ck_assert_ptr_nonnull(fault.message);
  return fault.status;
}

#define PARSE(text) parse(text, sizeof(text) - 1)

static void same(tc_text text, const char *expected) {
  ck_assert_uint_eq(text.len, strlen(expected));
  ck_assert_mem_eq(text.ptr, expected, text.len);
}

START_TEST(reads_a_request) {
  ck_assert_int_eq(PARSE("POST /api/tips?page=1 HTTP/1.1\r\nhost: h\r\nX-A:\t b c \t\r\nContent-Length: 12\r\nEmpty:\r\n\r\n"), 0);
  same(head.method, "POST");
  same(head.target, "/api/tips?page=1");
  same(head.path, "/api/tips");
  same(head.query, "page=1");
  ck_assert_uint_eq(head.header_count, 4);
  same(head.headers[1].name, "X-A");
  same(head.headers[1].value, "b c");
  same(head.headers[3].value, "");
  ck_assert_int_eq(head.content_length, 12);
  ck_assert_int_eq(head.version_minor, 1);
  ck_assert_int_eq(head.keep_alive, 1);
  ck_assert_int_eq(head.chunked, 0);
}
END_TEST

static const struct {
  const char *text;
  int status;
} lines[] = {
  {"GET / HTTP/1.1", 0},
  {"GET /a?b=\xF0\x9F\x94\xA5 HTTP/1.1", 0}, /* raw UTF-8, as the README's curl line sends it */
  {"OPTIONS * HTTP/1.1", 0},
  {"GET http://example.com HTTP/1.1", 0},
  {"GET HTTP://example.com:80/a?b HTTP/1.1", 0},
  {"BREW /pot HTTP/1.1", 0}, /* which methods there are is not the framing's business */
  {"GET * HTTP/1.1", 400},
  {"GET http:///a HTTP/1.1", 400},
  {"GET http://u@example.com/ HTTP/1.1", 400},
  {"GET ftp://example.com/ HTTP/1.1", 400},
  {"CONNECT example.com:80 HTTP/1.1", 400},
  {"GET /a#b HTTP/1.1", 400},
  {"GET /a b HTTP/1.1", 400},
  {"GET  / HTTP/1.1", 400},
  {"GET /  HTTP/1.1", 400},
  {" GET / HTTP/1.1", 400},
  {"GET\t/ HTTP/1.1", 400},
  {"GET / HTTP/1.1 ", 400},
  {"GET /\x01 HTTP/1.1", 400},
  {"GET /\x7f HTTP/1.1", 400},
  {"GET /\r HTTP/1.1", 400},
  {"G(T / HTTP/1.1", 400},
  {"GET /", 400},
  {"GET", 400},
  {"GET / http/1.1", 400},
  {"GET / HTTP/1", 400},
  {"GET / HTTP/11", 400},
  {"GET / HTTP/1.10", 400},
  {"GET / HTTP/1.2", 505},
  {"GET / HTTP/2.0", 505},
  {"GET / HTTP/0.9", 505},
};

START_TEST(request_line) {
  char text[128];
  int len = snprintf(text, sizeof text, "%s\r\nHost: h\r\n\r\n", lines[_i].text);
  ck_assert_msg(parse(text, (size_t)len) == lines[_i].status, "%s", lines[_i].text);
}
END_TEST

static const struct {
  const char *text;
  int status;
} fields[] = {
  {"Host: h\r\n", 0},
  {"Host:\r\n", 0},
  {"Host: h\r\nX: caf\xC3\xA9\r\n", 0},
  {"", 400},
  {"Host: a\r\nHost: a\r\n", 400},
  {"Host: a\r\n folded\r\n", 400},
  {"Host: a\r\n\tfolded\r\n", 400},
  {"Host : a\r\n", 400},
  {": a\r\n", 400},
  {"Host\r\n", 400},
  {"Ho st: a\r\n", 400},
  {"Host: a\r\nX: \x01\r\n", 400},
  {"Host: a\r\nX: b\rc\r\n", 400},
  {"Host: a\r\nX: b\x7f\r\n", 400},
  {"Host: a\nX: b\r\n", 400},
  {"Host: h\r\nContent-Length: 0\r\n", 0},
  {"Host: h\r\nContent-Length: 007\r\n", 0},
  {"Host: h\r\nContent-Length:\r\n", 400},
  {"Host: h\r\nContent-Length: +10\r\n", 400},
  {"Host: h\r\nContent-Length: 0x1A\r\n", 400},
  {"Host: h\r\nContent-Length: -1\r\n", 400},
  {"Host: h\r\nContent-Length: 1 0\r\n", 400},
  {"Host: h\r\nContent-Length: 5, 5\r\n", 400},
  {"Host: h\r\nContent-Length: 99999999999999999999\r\n", 400},
  {"Host: h\r\nContent-Length: 9223372036854775808\r\n", 400},
  {"Host: h\r\nContent-Length: 9223372036854775807\r\n", 0},
  {"Host: h\r\nContent-Length: 5\r\ncontent-length: 5\r\n", 400},
  {"Host: h\r\nTransfer-Encoding: Chunked\r\n", 0},
  {"Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
  {"Host: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
  {"Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
  {"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n", 501},
  {"Host: h\r\nTransfer-Encoding: identity\r\n", 501},
  {"Host: h\r\nTransfer-Encoding: \x0b"
   "chunked\r\n",
   400},
  {"Host: h\r\nTransfer-Encoding:\r\n", 501},
  {"Host: h\r\nExpect: 100-Continue\r\n", 0},
  {"Host: h\r\nExpect: 200-ok\r\n", 417},
};

START_TEST(header_fields) {
  char text[256];
  int len = snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s\r\n", fields[_i].text);
  ck_assert_msg(parse(text, (size_t)len) == fields[_i].status, "%s", fields[_i].text);
}
END_TEST

START_TEST(nul_bytes_are_refused) {
  ck_assert_int_eq(PARSE("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  ck_assert_int_eq(PARSE("GET / HTTP/1.1\r\nHost: h\0\r\n\r\n"), 400);
  ck_assert_int_eq(PARSE("GET / HTTP/1.1\r\nHo\0st: h\r\n\r\n"), 400);
}
END_TEST

START_TEST(http_1_0) {
  ck_assert_int_eq(PARSE("GET / HTTP/1.0\r\n\r\n"), 0);
  ck_assert_int_eq(head.keep_alive, 0);
  ck_assert_int_eq(PARSE("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 0);
  ck_assert_int_eq(head.keep_alive, 1);
  ck_assert_int_eq(PARSE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}
END_TEST

START_TEST(connection_options) {
  ck_assert_int_eq(PARSE("GET / HTTP/1.1\r\nHost: h\r\nConnection: foo , CLOSE\r\n\r\n"), 0);
  ck_assert_int_eq(head.keep_alive, 0);
  ck_assert_int_eq(PARSE("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"), 0);
  ck_assert_int_eq(head.keep_alive, 0);
  ck_assert_int_eq(PARSE("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n"), 0);
  ck_assert_int_eq(head.keep_alive, 1);
}
END_TEST

START_TEST(absolute_form_replaces_host) {
  ck_assert_int_eq(PARSE("GET http://inner:81/a?b HTTP/1.1\r\nHost: outer\r\n\r\n"), 0);
  same(head.headers[0].value, "inner:81");
  same(head.path, "/a");
  same(head.query, "b");
  ck_assert_int_eq(PARSE("GET http://inner?b HTTP/1.1\r\nHost: outer\r\n\r\n"), 0);
  same(head.path, "/");
  same(head.query, "b");
}
END_TEST

START_TEST(limits) {
  static char text[64 << 10];
  size_t len = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\n"), mark;
  for (int i = 1; i < TCD_HEADERS_MAX; i++) len += (size_t)snprintf(text + len, sizeof text - len, "X: %d\r\n", i);
  mark = len;
  (void)snprintf(text + len, sizeof text - len, "\r\n");
  ck_assert_int_eq(parse(text, mark + 2), 0);
  ck_assert_uint_eq(head.header_count, TCD_HEADERS_MAX);
  (void)snprintf(text + len, sizeof text - len, "X: 100\r\n\r\n");
  ck_assert_int_eq(parse(text, mark + 10), 431);
  for (size_t over = 0; over < 2; over++) {
    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    len = 4 + TCD_TARGET_MAX + over;
    len += (size_t)snprintf(text + len, sizeof text - len, " HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert_int_eq(parse(text, len), over ? 414 : 0);
  }
  ck_assert_int_eq(tcd_head_too_long("GET /aaa", 8).status, 414);
  ck_assert_int_eq(tcd_head_too_long("GET / HTTP/1.1\r\nX: ", 19).status, 431);
}
END_TEST

/* However the bytes come, the end is found at the same place, and looked for once per byte. */
START_TEST(scan_resumes_anywhere) {
  static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /next";
  size_t whole = (size_t)(strstr(text, "\r\n\r\n") - text) + 4;
  for (size_t step = 1; step < sizeof text; step++) {
    size_t scanned = 0, head_len = 0, len = 0;
    tcd_fault fault;
    int rc = 0;
    while (!rc) {
      len = len + step < sizeof text - 1 ? len + step : sizeof text - 1;
      rc = tcd_head_scan(text, len, &scanned, &head_len, &fault);
      ck_assert(rc || len < whole);
    }
    ck_assert_int_eq(rc, 1);
    ck_assert_uint_eq(head_len, whole);
  }
}
END_TEST

START_TEST(scan_refuses_bare_lf_at_once) {
  size_t scanned = 0, head_len;
  tcd_fault fault = {0, NULL};
  ck_assert_int_eq(tcd_head_scan("GET / HTTP/1.1\nHos", 18, &scanned, &head_len, &fault), -1);
  ck_assert_int_eq(fault.status, 400);
  scanned = 0;
  ck_assert_int_eq(tcd_head_scan("\n", 1, &scanned, &head_len, &fault), -1);
  ck_assert_uint_eq(tcd_head_blank("\r\n\r\nGET", 7), 4);
  ck_assert_uint_eq(tcd_head_blank("\rGET", 4), 0);
}
END_TEST

START_TEST(text_is) {
  tc_text text = {"Content-Type", 12};
  ck_assert(tcd_text_is(text, "content-type"));
  ck_assert(!tcd_text_is(text, "content-typ"));
  ck_assert(!tcd_text_is(text, "content-type2"));
  ck_assert(!tcd_text_is((tc_text){"a[", 2}, "A{")); /* letters only */
}
END_TEST

static void reframed(const char *text, const char *body, const char *expected) {
  tci_buf out;
  ck_assert_int_eq(parse(text, strlen(text)), 0);
  tcd_request request = {.method = head.method,
                         .target = head.target,
                         .path = head.path,
                         .query = head.query,
                         .version_minor = head.version_minor,
                         .headers = head.headers,
                         .header_count = head.header_count,
                         .body = {body, strlen(body)}};
  tci_buf_init(&out, tcd_reframe_max(strlen(text)));
  ck_assert_int_eq(tcd_reframe(&request, &out), 0);
  ck_assert_str_eq(out.data, expected);
  tci_buf_free(&out);
}

START_TEST(reframes) {
  reframed("POST http://in/\xF0\x9F\x94\xA5/a?b=\xC3\xA9 HTTP/1.1\r\nX-Own: 1\r\nHost: out\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nExpect: "
           "100-continue\r\n"
           "Keep-Alive: 5\r\nTE: trailers\r\nTrailer: T\r\nUpgrade: websocket\r\nProxy-Authorization: x\r\nContent-Type: application/json\r\n\r\n",
           "abc", "POST /%F0%9F%94%A5/a?b=%C3%A9 HTTP/1.1\r\nContent-Length: 3\r\nHost: in\r\nContent-Type: application/json\r\nX-Own: 1\r\n\r\n");
  reframed("HEAD / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", "", "GET / HTTP/1.1\r\nContent-Length: 0\r\nHost: localhost\r\n\r\n");
}
END_TEST

/* CivetWeb drops what is beyond its 64th field: ours must be among the first, wherever the client puts them. */
START_TEST(reframes_ours_first) {
  static char text[8192];
  size_t len = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n");
  for (int i = 0; i < 90; i++) len += (size_t)snprintf(text + len, sizeof text - len, "X-%d: y\r\n", i);
  (void)snprintf(text + len, sizeof text - len, "Host: h\r\nAccept: a/b\r\nIdempotency-Key: k\r\n\r\n");
  ck_assert_int_eq(parse(text, strlen(text)), 0);
  tcd_request request = {.method = head.method, .path = head.path, .headers = head.headers, .header_count = head.header_count};
  tci_buf out;
  tci_buf_init(&out, 65536);
  ck_assert_int_eq(tcd_reframe(&request, &out), 0);
  ck_assert_ptr_nonnull(strstr(out.data, "\r\nHost: h\r\nAccept: a/b\r\nIdempotency-Key: k\r\nX-0: y\r\n"));
  int fields_sent = 0;
  for (const char *at = out.data; (at = strstr(at, "\r\n")); at += 2) fields_sent++;
  ck_assert_int_le(fields_sent, 64);
  tci_buf_free(&out);
}
END_TEST

static const struct {
  const char *text;
  int rc;
  const char *headers;
} responses[] = {
  {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\nConnection: keep-alive\r\nDate: x\r\n\r\n", 0, "X-A: b\r\n"},
  {"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 0, ""},
  {"HTTP/1.1 204 No Content\r\n\r\n", 0, ""},
  {"HTTP/1.1 200 OK\r\n\r\n", -1, ""},
  {"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", -1, ""},
  {"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", -1, ""},
  {"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", -1, ""},
  {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", -1, ""},
  {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", -1, ""},
  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -1, ""},
  {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: a\x01\r\n\r\n", -1, ""},
  {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nnocolon\r\n\r\n", -1, ""},
};

START_TEST(kitchen_responses) {
  tcd_response response;
  tci_buf headers;
  tci_buf_init(&headers, 1024);
  ck_assert_int_eq(tcd_response_parse(responses[_i].text, strlen(responses[_i].text), &response, &headers), responses[_i].rc);
  if (!responses[_i].rc) ck_assert_str_eq(headers.data ? headers.data : "", responses[_i].headers);
  tci_buf_free(&headers);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("head");
  TCase *tcase = tcase_create("head");
  tcase_add_test(tcase, reads_a_request);
  tcase_add_loop_test(tcase, request_line, 0, sizeof lines / sizeof lines[0]);
  tcase_add_loop_test(tcase, header_fields, 0, sizeof fields / sizeof fields[0]);
  tcase_add_test(tcase, nul_bytes_are_refused);
  tcase_add_test(tcase, http_1_0);
  tcase_add_test(tcase, connection_options);
  tcase_add_test(tcase, absolute_form_replaces_host);
  tcase_add_test(tcase, limits);
  tcase_add_test(tcase, scan_resumes_anywhere);
  tcase_add_test(tcase, scan_refuses_bare_lf_at_once);
  tcase_add_test(tcase, text_is);
  tcase_add_test(tcase, reframes);
  tcase_add_test(tcase, reframes_ours_first);
  tcase_add_loop_test(tcase, kitchen_responses, 0, sizeof responses / sizeof responses[0]);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
