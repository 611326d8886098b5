#include "guards.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "media.h"
#include "server/config/list.h"

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

static int same_text(tc_text a, tc_text b) { return a.len == b.len && !strncasecmp(a.ptr, b.ptr, a.len); }

/* "[::1]:8080" and "host:80" without the port; empty when what stands there is no host and port ("localhost:1@evil.example"). */
static tc_text host_of(tc_text authority) {
  size_t len = 0;
  if (authority.len && *authority.ptr == '[') {
    while (len < authority.len && authority.ptr[len] != ']') len++;
    if (len < authority.len) len++;
  } else {
    while (len < authority.len && authority.ptr[len] != ':') len++;
  }
  for (size_t i = len; i < authority.len; i++) {
    if (i == len ? authority.ptr[i] != ':' : authority.ptr[i] < '0' || authority.ptr[i] > '9') return (tc_text){"", 0};
  }
  authority.len = len;
  return authority;
}

static int list_holds(const char *list, tc_text text) {
  tc_text rest = text_of(list), item;
  while (tcd_list_next(&rest, &item)) {
    if (tcd_text_is(item, "*") || same_text(item, text)) return 1;
  }
  return 0;
}

int tcd_guard_host(const tcd_config *config, const tcd_request *request, tcd_reply *reply) {
  tc_text host = {"", 0};
  size_t count = tcd_request_header(request, "Host", &host);
  if (count > 1) {
    tcd_answer_error(reply, 400, "Host: given twice");
    return 1;
  }
  if (list_holds(config->allowed_hosts, host_of(host))) return 0;
  tcd_answer_errorf(reply, 421, "Host: %.*s is not served here, see --allowed-hosts", (int)(host.len < 255 ? host.len : 255), host.ptr);
  return 1;
}

static int is_loopback(tc_text host) {
  char text[64];
  struct in_addr v4;
  if (tcd_text_is(host, "localhost") || tcd_text_is(host, "[::1]")) return 1;
  if (host.len >= sizeof text) return 0;
  memcpy(text, host.ptr, host.len);
  text[host.len] = '\0';
  return inet_pton(AF_INET, text, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

/* The authority of an origin, "https://example.com:8443" to "example.com:8443"; empty for "null" and what is none. The scheme is not compared: behind a proxy
 * that ends TLS the page is https and we are not. */
static tc_text origin_authority(tc_text origin) {
  static const char *const schemes[] = {"http://", "https://"};
  for (size_t i = 0; i < 2; i++) {
    size_t len = strlen(schemes[i]);
    if (origin.len > len && !strncasecmp(origin.ptr, schemes[i], len)) return (tc_text){origin.ptr + len, origin.len - len};
  }
  return (tc_text){"", 0};
}

static int origin_is_welcome(const char *list, tc_text origin, tc_text host) {
  tc_text rest = text_of(list), item, authority = origin_authority(origin);
  while (tcd_list_next(&rest, &item)) {
    if (tcd_text_is(item, "*")) return 1;
    if (same_text(item, origin) && (authority.len || tcd_text_is(item, "null"))) return 1; /* `same` is a word of ours, not an origin */
    if (tcd_text_is(item, "same") && authority.len && same_text(authority, host)) return 1;
    if (tcd_text_is(item, "loopback") && authority.len && is_loopback(host_of(authority))) return 1;
  }
  return 0;
}

int tcd_guard_origin(const tcd_config *config, const tcd_request *request, tcd_reply *reply) {
  tc_text origin, host = {"", 0};
  size_t count = tcd_request_header(request, "Origin", &origin);
  if (!count) return 0;
  (void)tcd_request_header(request, "Host", &host);
  if (count > 1 || !origin_is_welcome(config->origins, origin, host)) {
    tcd_answer_errorf(reply, 403, "Origin: %.*s may not call, see --origins", (int)(origin.len < 255 ? origin.len : 255), origin.ptr);
    return 1;
  }
  (void)tci_buf_printf(&reply->headers, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n", (int)origin.len, origin.ptr);
  return 0;
}

/* "GET, HEAD, POST, OPTIONS" */
static void put_methods(tci_buf *headers, const char *name, unsigned methods) {
  static const struct {
    unsigned method;
    const char *text;
  } names[] = {{TCD_GET, "GET, HEAD, "}, {TCD_POST, "POST, "}, {TCD_PUT, "PUT, "}, {TCD_PATCH, "PATCH, "}, {TCD_DELETE, "DELETE, "}};
  (void)tci_buf_printf(headers, "%s: ", name);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (methods & names[i].method) (void)tci_buf_puts(headers, names[i].text);
  }
  (void)tci_buf_puts(headers, "OPTIONS\r\n");
}

/* A preflight (Fetch standard, CORS-preflight fetch) is an OPTIONS whose origin has passed the guard before. */
static void answer_options(unsigned methods, const tcd_request *request, tcd_reply *reply) {
  tc_text ignored;
  reply->status = 200;
  put_methods(&reply->headers, "Allow", methods);
  if (!tcd_request_header(request, "Origin", &ignored) || !tcd_request_header(request, "Access-Control-Request-Method", &ignored)) return;
  put_methods(&reply->headers, "Access-Control-Allow-Methods", methods);
  (void)tci_buf_puts(&reply->headers,
                     "Access-Control-Allow-Headers: Content-Type, Idempotency-Key, Last-Event-ID, Cache-Control\r\nAccess-Control-Max-Age: 600\r\n");
}

int tcd_guard_method(unsigned methods, const tcd_request *request, tcd_reply *reply) {
  if (!methods) {
    tcd_answer_error(reply, 404, "no such path");
    return 1;
  }
  if (request->method.len == 7 && !memcmp(request->method.ptr, "OPTIONS", 7)) {
    answer_options(methods, request, reply);
    return 1;
  }
  if (methods & tcd_method(request->method)) return 0;
  put_methods(&reply->headers, "Allow", methods);
  tcd_answer_errorf(reply, 405, "method %.*s is not supported here", (int)(request->method.len < 32 ? request->method.len : 32), request->method.ptr);
  return 1;
}

static int refuse_type(const tcd_route *route, tcd_reply *reply, const char *message) {
  (void)tci_buf_puts(&reply->headers, route->body == TCD_BODY_NDJSON
                                        ? "Accept: application/x-ndjson, application/ndjson, application/jsonl, application/json\r\n"
                                        : "Accept: application/json, application/*+json\r\n");
  tcd_answer_error(reply, 415, message);
  return 1;
}

int tcd_guard_media(const tcd_route *route, const tcd_request *request, tcd_reply *reply) {
  tc_text value;
  if (route->body != TCD_BODY_NONE && (route->body != TCD_BODY_JSON_OR_NONE || request->body.len)) {
    size_t count = tcd_request_header(request, "Content-Type", &value);
    if (count != 1) return refuse_type(route, reply, count ? "Content-Type: given twice" : "Content-Type: missing");
    int good = route->body == TCD_BODY_NDJSON ? tcd_media_is_ndjson(value) : tcd_media_is_json(value);
    if (!good) return refuse_type(route, reply, "Content-Type: not supported here");
    if (tcd_request_header(request, "Content-Encoding", &value) && !tcd_text_is(value, "identity")) {
      return refuse_type(route, reply, "Content-Encoding: not supported");
    }
  }
  if (tcd_media_accepted(request, route->produces)) return 0;
  tcd_answer_errorf(reply, 406, "Accept: only %s is available", route->produces);
  return 1;
}
