#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "server/sockjs/state.h"

#define YEAR "31536000"
#define FOREVER "Cache-Control: public, max-age=" YEAR "\r\nExpires: Thu, 31 Dec 2037 23:55:55 GMT\r\n"

/* Credentials go with an origin that is named, never with "*" (Fetch standard, CORS protocol). Whether this origin may come at all was decided before. */
void tcd_sockjs_put_cors(const tcd_request *request, tci_buf *headers) {
  tc_text origin;
  if (tcd_request_header(request, "Origin", &origin) && origin.len)
    (void)tci_buf_printf(headers, "Access-Control-Allow-Origin: %.*s\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n", (int)origin.len,
                         origin.ptr);
  else (void)tci_buf_puts(headers, "Access-Control-Allow-Origin: *\r\n");
}

void tcd_sockjs_put_uncached(tci_buf *headers) {
  (void)tci_buf_puts(headers, "Cache-Control: no-store, no-cache, no-transform, must-revalidate, max-age=0\r\n");
}

/* The value of cookie JSESSIONID as it came, when it is one that we could have given back; else "dummy": it is there for load balancers. */
static tc_text session_cookie(const tcd_request *request) {
  static const char name[] = "JSESSIONID=";
  tc_text cookies, dummy = {"dummy", 5};
  if (!tcd_request_header(request, "Cookie", &cookies)) return dummy;
  const char *found = memmem(cookies.ptr, cookies.len, name, sizeof name - 1), *end = cookies.ptr + cookies.len;
  if (!found) return dummy;
  tc_text value = {found + sizeof name - 1, 0};
  while (value.ptr + value.len < end && value.ptr[value.len] != ';') {
    char c = value.ptr[value.len++];
    if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.') return dummy;
  }
  return value.len && value.len <= 128 ? value : dummy;
}

void tcd_sockjs_put_cookie(const tcd_sockjs *mount, const tcd_request *request, tci_buf *headers) {
  if (!mount->options.cookie_needed) return;
  tc_text value = session_cookie(request);
  (void)tci_buf_printf(headers, "Set-Cookie: JSESSIONID=%.*s; path=/\r\n", (int)value.len, value.ptr);
}

void tcd_sockjs_text(tcd_reply *reply, int status, const char *text) {
  reply->status = status;
  reply->content_type = "text/plain; charset=UTF-8";
  (void)tci_buf_puts(&reply->body, text);
  tcd_reply_send(reply);
}

void tcd_sockjs_greeting(tcd_reply *reply) { tcd_sockjs_text(reply, 200, "Welcome to SockJS!\n"); }

void tcd_sockjs_info(const tcd_sockjs *mount, tcd_reply *reply) {
  uint32_t entropy = 0;
  if (tci_sys_random(NULL, &entropy, sizeof entropy)) {
    tcd_sockjs_text(reply, 503, "no randomness, try again");
    return;
  }
  tcd_sockjs_put_uncached(&reply->headers);
  reply->status = 200;
  reply->content_type = "application/json; charset=UTF-8";
  (void)tci_buf_printf(&reply->body, "{\"websocket\":%s,\"cookie_needed\":%s,\"origins\":[\"*:*\"],\"entropy\":%u}",
                       mount->options.websocket ? "true" : "false", mount->options.cookie_needed ? "true" : "false", entropy);
  tcd_reply_send(reply);
}

void tcd_sockjs_iframe(const tcd_sockjs *mount, const tcd_request *request, tcd_reply *reply) {
  static const char page[] = "<!DOCTYPE html>\n<html>\n<head>\n  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  <meta "
                             "http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n"
                             "  <script src=\"%s\"></script>\n  <script>\n    document.domain = document.domain;\n    SockJS.bootstrap_iframe();\n  "
                             "</script>\n</head>\n<body>\n  <h2>Don't panic!</h2>\n"
                             "  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n</body>\n</html>";
  tc_text known;
  (void)tci_buf_printf(&reply->headers, FOREVER "ETag: %s\r\n", mount->etag);
  if (tcd_request_header(request, "If-None-Match", &known) && memmem(known.ptr, known.len, mount->etag, strlen(mount->etag))) { /* a list; weak ones too */
    reply->status = 304;
  } else {
    reply->status = 200;
    reply->content_type = "text/html; charset=UTF-8";
    (void)tci_buf_printf(&reply->body, page, mount->options.client_url);
  }
  tcd_reply_send(reply);
}

void tcd_sockjs_preflight(const tcd_request *request, const char *methods, tcd_reply *reply) {
  tc_text wanted;
  reply->status = 204;
  (void)tci_buf_printf(&reply->headers, FOREVER "Access-Control-Max-Age: " YEAR "\r\nAccess-Control-Allow-Methods: %s\r\nAllow: %s\r\n", methods, methods);
  if (tcd_request_header(request, "Access-Control-Request-Headers", &wanted) && wanted.len)
    (void)tci_buf_printf(&reply->headers, "Access-Control-Allow-Headers: %.*s\r\n", (int)wanted.len, wanted.ptr);
  tcd_reply_send(reply);
}
