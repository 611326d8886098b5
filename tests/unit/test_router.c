/* The router's table, media types, guards, and the shapes of pages and errors that need no engine; and who the kitchen lets in. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "server/api/answer.h"
#include "server/api/guards.h"
#include "server/api/media.h"
#include "server/civet/admitted.h"

static tc_text text(const char *s) { return (tc_text){s, strlen(s)}; }

static void no_handler(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  (void)app;
  (void)match;
  (void)request;
  (void)reply;
}

static const tcd_route routes[] = {
  {TCD_POST, "/api/tips", no_handler, TCD_INLINE, TCD_BODY_JSON, TCD_MEDIA_JSON, 1},
  {TCD_GET, "/api/tips", no_handler, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 1},
  {TCD_GET, "/api/tips/{}", no_handler, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 1},
  {TCD_POST, "/api/tips:batch", no_handler, TCD_WORKER, TCD_BODY_NDJSON, TCD_MEDIA_NDJSON, 1},
  {TCD_GET, "/api/rooms/{}/stats", no_handler, TCD_WORKER, TCD_BODY_NONE, TCD_MEDIA_JSON, 0},
};
enum { POST_TIPS, GET_TIPS, GET_TIP, BATCH, STATS, NONE = -1 };

static unsigned find(const char *method, const char *path, tcd_match *match) {
  *match = (tcd_match){NULL, {NULL, 0}};
  return tcd_route_find(routes, sizeof routes / sizeof routes[0], tcd_method(text(method)), text(path), match);
}

START_TEST(paths_find_their_route) {
  static const struct {
    const char *method, *path;
    int route;
    const char *param;
  } cases[] = {
    {"GET", "/api/tips", GET_TIPS, ""},
    {"HEAD", "/api/tips", GET_TIPS, ""},
    {"POST", "/api/tips", POST_TIPS, ""},
    {"POST", "/api/tips:batch", BATCH, ""},
    {"GET", "/api/tips/7", GET_TIP, "7"},
    {"GET", "/api/tips/%37", GET_TIP, "%37"},
    {"GET", "/api/rooms/a%2Fb/stats", STATS, "a%2Fb"},
    {"GET", "/api/%74ips", GET_TIPS, ""},
    {"POST", "/api/tips%3Abatch", BATCH, ""},
    {"GET", "/api/rooms/a+b/stats", STATS, "a+b"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tcd_match match;
    (void)find(cases[i].method, cases[i].path, &match);
    ck_assert_msg(match.route == &routes[cases[i].route], "%s %s", cases[i].method, cases[i].path);
    ck_assert(match.param.len == strlen(cases[i].param) && (!match.param.len || !memcmp(match.param.ptr, cases[i].param, match.param.len)));
  }
}
END_TEST

START_TEST(other_paths_do_not) {
  static const char *const paths[] = {"",
                                      "/",
                                      "*",
                                      "/api",
                                      "/api/",
                                      "/api/tips/",
                                      "/api/tips/7/",
                                      "/api/tips/7/8",
                                      "//api/tips",
                                      "/api//tips",
                                      "/API/tips",
                                      "/api/tips:batc",
                                      "/api/rooms//stats",
                                      "/api%2Ftips",
                                      "/api/tips%",
                                      "/api/tips%00",
                                      "api/tips",
                                      "/api/tips:batch/1",
                                      "/api/rooms/x/stats/",
                                      "/api/tipsxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    tcd_match match;
    ck_assert_msg(!find("GET", paths[i], &match), "%s has a route", paths[i]);
    ck_assert_ptr_null(match.route);
  }
}
END_TEST

START_TEST(other_methods_are_told_apart_from_other_paths) {
  static const char *const methods[] = {"PUT", "DELETE", "get", "OPTIONS", "TRACE", ""};
  tcd_match match;
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
    ck_assert_uint_eq(find(methods[i], "/api/tips", &match), TCD_GET | TCD_POST);
    ck_assert_ptr_null(match.route);
  }
  ck_assert_uint_eq(find("POST", "/api/tips/1", &match), TCD_GET);
}
END_TEST

START_TEST(content_types) {
  static const char *const json[] = {"application/json",       "Application/JSON",       "application/json;charset=UTF-8",
                                     "application/json ; x=y", "application/vnd.x+json", " application/json"};
  static const char *const not_json[] = {
    "",     "text/plain",           "text/json",  "application/jsonx", "application/x-www-form-urlencoded", "application/+json",
    "json", "application/x-ndjson", "text/x+json"};
  static const char *const ndjson[] = {"application/x-ndjson", "application/ndjson; charset=utf-8", "application/jsonl", "application/json"};
  for (size_t i = 0; i < sizeof json / sizeof json[0]; i++) ck_assert_msg(tcd_media_is_json(text(json[i])), "%s", json[i]);
  for (size_t i = 0; i < sizeof not_json / sizeof not_json[0]; i++) ck_assert_msg(!tcd_media_is_json(text(not_json[i])), "%s", not_json[i]);
  for (size_t i = 0; i < sizeof ndjson / sizeof ndjson[0]; i++) ck_assert_msg(tcd_media_is_ndjson(text(ndjson[i])), "%s", ndjson[i]);
  ck_assert(!tcd_media_is_ndjson(text("text/plain")) && !tcd_media_is_ndjson(text("application/vnd.x+json")));
}
END_TEST

static int accepts(const char *accept, const char *type) {
  tcd_header header = {text("ACCEPT"), text(accept)};
  tcd_request request = {.headers = &header, .header_count = 1};
  return tcd_media_accepted(&request, type);
}

START_TEST(accept) {
  static const char *const yes[] = {"",
                                    "*/*",
                                    "application/*",
                                    "application/json",
                                    "text/html, */*;q=0.1",
                                    "application/json;q=0.5",
                                    "application/json;q=1, */*;q=0",
                                    "text/html,application/xml;q=0.9,*/*;q=0.8",
                                    "application/hal+json",
                                    "application/json;charset=utf-8",
                                    ",,application/json",
                                    "text/plain;q=0, application/*"};
  static const char *const no[] = {
    "application/xml",      "text/*", "application/json;q=0", "application/json;q=0.000, */*", "application/json ; Q=0.0,application/*", "*/*;q=0",
    "application/x-ndjson", "json"};
  tcd_request none = {.headers = NULL, .header_count = 0};
  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) ck_assert_msg(accepts(yes[i], TCD_MEDIA_JSON), "%s", yes[i]);
  for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) ck_assert_msg(!accepts(no[i], TCD_MEDIA_JSON), "%s", no[i]);
  ck_assert(tcd_media_accepted(&none, TCD_MEDIA_JSON));
  ck_assert(accepts("application/x-ndjson", TCD_MEDIA_NDJSON) && !accepts("application/json", TCD_MEDIA_NDJSON));
}
END_TEST

static void not_delivered(tcd_reply *reply) {
  (void)reply;
  ck_abort_msg("a guard fills the reply, it does not send it");
}

/* What the guards say to one Host and one Origin (NULL: none): 0 to let pass, else the status. */
static int guarded(const char *hosts, const char *origins, const char *host, const char *origin) {
  char hosts_copy[128], origins_copy[128];
  (void)snprintf(hosts_copy, sizeof hosts_copy, "%s", hosts);
  (void)snprintf(origins_copy, sizeof origins_copy, "%s", origins);
  tcd_config config;
  memset(&config, 0, sizeof config);
  config.allowed_hosts = hosts_copy;
  config.origins = origins_copy;
  tcd_header headers[2];
  tcd_request request = {.path = text("/x"), .headers = headers};
  if (host) headers[request.header_count++] = (tcd_header){text("Host"), text(host)};
  if (origin) headers[request.header_count++] = (tcd_header){text("Origin"), text(origin)};
  tcd_reply reply;
  tcd_reply_init(&reply, not_delivered);
  reply.request = &request;
  int status = tcd_guard_host(&config, &request, &reply) || tcd_guard_origin(&config, &request, &reply) ? reply.status : 0;
  int cors = reply.headers.data && strstr(reply.headers.data, "Access-Control-Allow-Origin") != NULL;
  ck_assert_int_eq(cors, origin && !status);
  tcd_reply_clear(&reply);
  return status;
}

#define LOOPBACK "localhost,127.0.0.1,[::1]"
#define WELCOME "same,loopback,null"

START_TEST(hosts) {
  static const char *const good[] = {"localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]", "[::1]:9", "localhost:"};
  static const char *const bad[] = {
    "evil", "localhost.evil", "localhost@evil", "localhost:1@evil", "localhost:1:2", "[::2]", "[::1]x", "[::1", "127.0.0.1.evil", "", ":80"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) ck_assert_msg(!guarded(LOOPBACK, WELCOME, good[i], NULL), "%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) ck_assert_msg(guarded(LOOPBACK, WELCOME, bad[i], NULL) == 421, "%s", bad[i]);
  ck_assert_int_eq(guarded(LOOPBACK, WELCOME, NULL, NULL), 421);
  ck_assert_int_eq(guarded("*", WELCOME, "evil", NULL), 0);
  ck_assert_int_eq(guarded("tips.example", WELCOME, "tips.example:443", NULL), 0);
}
END_TEST

START_TEST(origins) {
  static const char *const good[] = {"null", "http://localhost", "https://LOCALHOST:3000", "http://127.8.0.1", "http://[::1]:5173"};
  static const char *const bad[] = {"http://evil",
                                    "",
                                    "localhost",
                                    "file://",
                                    "http://localhost@evil",
                                    "http://localhost:1@evil",
                                    "http://localhost.evil",
                                    "http://127.0.0.1.nip.io",
                                    "http://",
                                    "ftp://localhost",
                                    "http://localhost/",
                                    "same",
                                    "loopback"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) ck_assert_msg(!guarded(LOOPBACK, WELCOME, "localhost", good[i]), "%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) ck_assert_msg(guarded(LOOPBACK, WELCOME, "localhost", bad[i]) == 403, "%s", bad[i]);
  ck_assert_int_eq(guarded("*", "same", "tips.example:8080", "https://tips.example:8080"), 0);
  ck_assert_int_eq(guarded("*", "same", "tips.example:8080", "https://tips.example"), 403);
  ck_assert_int_eq(guarded("*", "same", "tips.example", "http://localhost"), 403);
  ck_assert_int_eq(guarded("*", "*", "tips.example", "https://anything"), 0);
  ck_assert_int_eq(guarded("*", "https://a.example", "x", "https://A.example"), 0);
}
END_TEST

START_TEST(errors_are_json_whatever_the_path) {
  tcd_request request = {.path = text("/a\xFF\xC3\"\\\x01\xF0\x9F\x94\xA5\xF0\x9F")};
  tcd_reply reply;
  tcd_reply_init(&reply, not_delivered);
  reply.request = &request;
  tcd_answer_error(&reply, 503, "busy");
  ck_assert_int_eq(reply.status, 503);
  ck_assert_str_eq(reply.content_type, "application/json");
  ck_assert_ptr_nonnull(strstr(reply.headers.data, "Retry-After: 1\r\n"));
  char timestamp[16];
  int end = 0;
  ck_assert_int_eq(sscanf(reply.body.data, "{\"timestamp\":\"%15[0-9T-]:%*2[0-9]:%*2[0-9].%*3[0-9]Z\"%n", timestamp, &end), 1);
  ck_assert_str_eq(reply.body.data + end,
                   ",\"status\":503,\"error\":\"Service "
                   "Unavailable\",\"path\":\"/a\xEF\xBF\xBD\xEF\xBF\xBD\\\"\\\\\\u0001\xF0\x9F\x94\xA5\xEF\xBF\xBD\xEF\xBF\xBD\",\"message\":\"busy\"}");
  tcd_reply_clear(&reply);
}
END_TEST

START_TEST(codes_become_statuses) {
  ck_assert_int_eq(tcd_status_of(TC_EINVAL), 400);
  ck_assert_int_eq(tcd_status_of(TC_ELIMIT), 400);
  ck_assert_int_eq(tcd_status_of(TC_EMISMATCH), 422);
  static const int later[] = {TC_EBUSY, TC_ETIMEOUT, TC_ECLOSED, TC_ESTORAGE, TC_EUNKNOWN, TC_ENOMEM};
  for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) ck_assert_int_eq(tcd_status_of(later[i]), 503);
  ck_assert_int_eq(tcd_status_of(TC_ENOTSUP), 501);
  ck_assert_int_eq(tcd_status_of(TC_ECORRUPT), 500);
  ck_assert_str_eq(tcd_message_of(TC_EUNKNOWN, "fsync of /var/x failed"), "outcome unknown, retry with the same key");
  ck_assert_str_eq(tcd_message_of(TC_ESTORAGE, "/var/x: disk full"), tc_strerror(TC_ESTORAGE));
  ck_assert_str_eq(tcd_message_of(TC_EINVAL, "amount: missing"), "amount: missing");
  ck_assert_str_eq(tcd_message_of(TC_EBUSY, ""), tc_strerror(TC_EBUSY));
}
END_TEST

START_TEST(only_admitted_ports_are_ours) {
  tcd_admitted admitted;
  char peer[TCD_PEER_MAX] = "untouched";
  ck_assert_int_eq(tcd_admitted_init(&admitted, 2), 0);
  ck_assert_int_eq(tcd_admitted_get(&admitted, 1, peer), 0);
  ck_assert_str_eq(peer, "untouched");
  ck_assert_int_eq(tcd_admitted_set(&admitted, 1, "a:1"), 0);
  ck_assert_int_eq(tcd_admitted_set(&admitted, 2, "b:1"), 0);
  ck_assert_int_eq(tcd_admitted_set(&admitted, 3, "c:1"), TC_ELIMIT);
  ck_assert_int_eq(tcd_admitted_set(&admitted, 1, "a:2"), 0);
  ck_assert_int_eq(tcd_admitted_get(&admitted, 1, peer), 1);
  ck_assert_str_eq(peer, "a:2");
  ck_assert_int_eq(tcd_admitted_set(&admitted, 1, NULL), 0);
  ck_assert_int_eq(tcd_admitted_set(&admitted, 9, NULL), 0);
  ck_assert_int_eq(tcd_admitted_get(&admitted, 1, peer), 0);
  ck_assert_int_eq(tcd_admitted_set(&admitted, 3, "c:1"), 0);
  ck_assert_int_eq(tcd_admitted_get(&admitted, 2, peer), 1);
  ck_assert_str_eq(peer, "b:1");
  tcd_admitted_free(&admitted);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("router");
  TCase *tests = tcase_create("router");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, paths_find_their_route);
  tcase_add_test(tests, other_paths_do_not);
  tcase_add_test(tests, other_methods_are_told_apart_from_other_paths);
  tcase_add_test(tests, content_types);
  tcase_add_test(tests, accept);
  tcase_add_test(tests, hosts);
  tcase_add_test(tests, origins);
  tcase_add_test(tests, errors_are_json_whatever_the_path);
  tcase_add_test(tests, codes_become_statuses);
  tcase_add_test(tests, only_admitted_ports_are_ours);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
