#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "server/api/query.h"
#include "server/sockjs/state.h"
#include "server/ws/handshake.h"

#define SEGMENT_MAX 256

static int is(tc_text text, const char *word) { return text.len == strlen(word) && !memcmp(text.ptr, word, text.len); }

static int method_is(const tcd_request *request, const char *name) { return is(request->method, name); }

static uint64_t or_default(uint64_t value, uint64_t standard) { return value ? value : standard; }

int tcd_sockjs_open(tcd_sockjs **out, const tcd_sockjs_options *options) {
  tcd_sockjs *mount = tci_zalloc(sizeof *mount);
  if (!mount) return TC_ENOMEM;
  tcd_sockjs_options *own = &mount->options;
  *own = *options;
  own->response_bytes = (uint32_t)or_default(own->response_bytes, 128u << 10);
  own->heart_beat_ms = (uint32_t)or_default(own->heart_beat_ms, 25000);
  own->gone_ms = (uint32_t)or_default(own->gone_ms, 5000);
  own->max_sessions = (uint32_t)or_default(own->max_sessions, 10000);
  own->max_session_bytes = or_default(own->max_session_bytes, 1u << 20);
  if (!own->client_url) own->client_url = "/sockjs.min.js";
  mount->prefix_len = strlen(options->prefix);
  mount->prefix = tci_strndup(options->prefix, mount->prefix_len);
  if (!mount->prefix || tci_sys_random(NULL, &mount->key, sizeof mount->key)) {
    tci_free(mount->prefix);
    tci_free(mount);
    return TC_ENOMEM;
  }
  own->prefix = mount->prefix;
  /* The page changes with nothing but the client's address. */
  tci_sipkey plain = {0, 0};
  (void)snprintf(mount->etag, sizeof mount->etag, "\"%016llx\"", (unsigned long long)tci_siphash(&plain, own->client_url, strlen(own->client_url)));
  *out = mount;
  return TC_OK;
}

void tcd_sockjs_close(tcd_sockjs *mount) {
  if (!mount) return;
  for (size_t i = 0; i < mount->sessions.cap; i++) {
    while (mount->sessions.slots[i]) tcd_session_free((tcd_session *)mount->sessions.slots[i]);
  }
  tcd_table_free(&mount->sessions);
  tci_free(mount->prefix);
  tci_free(mount);
}

static void refuse(const tcd_sockjs *mount, tcd_reply *reply, int status, const char *message) {
  if (mount->options.refuse) {
    mount->options.refuse(reply, status, message);
    tcd_reply_send(reply);
  } else {
    tcd_sockjs_text(reply, status, message);
  }
}

/* Without a body: the suite's. */
static void not_allowed(tcd_reply *reply, const char *methods) {
  reply->status = 405;
  reply->content_type = NULL;
  (void)tci_buf_printf(&reply->headers, "Allow: %s\r\n", methods);
  tcd_reply_send(reply);
}

static void plain_refuse(tcd_reply *reply, int status, const char *message) {
  reply->status = status;
  reply->content_type = "text/plain; charset=UTF-8";
  (void)tci_buf_puts(&reply->body, message);
}

static void serve_websocket(tcd_sockjs *mount, const tcd_ws_coding *coding, const tcd_request *request, tcd_reply *reply) {
  const tcd_sockjs_options *options = &mount->options;
  tci_buf_clear(&reply->headers);
  if (!options->websocket) refuse(mount, reply, 404, "WebSocket is not served here");
  else if (!method_is(request, "GET")) not_allowed(reply, "GET");
  else tcd_ws_accept(options->hub, options->service, coding, options->protocols, request, reply, options->refuse ? options->refuse : plain_refuse);
}

/* What a form field d= holds, or the body itself (jsonp_send). 0 with *data in storage (or in the body), -1: nothing. */
static int read_form(const tcd_request *request, char **data, size_t *len, char *storage) {
  static const char *const names[] = {"d"};
  const char *value = NULL;
  tc_text type = {"", 0};
  tcd_query_fault fault;
  (void)tcd_request_header(request, "Content-Type", &type);
  if (type.len < 33 || !tcd_text_is((tc_text){type.ptr, 33}, "application/x-www-form-urlencoded")) {
    memcpy(storage, request->body.ptr ? request->body.ptr : "", request->body.len);
    *data = storage;
    *len = request->body.len;
    return request->body.len ? 0 : -1;
  }
  if (tcd_query_read(request->body, names, 1, &value, storage, &fault) || !value || !*value) return -1;
  *data = storage + (value - storage);
  *len = strlen(value);
  return 0;
}

static void serve_send(tcd_sockjs *mount, int jsonp, tc_text id, const tcd_request *request, tcd_reply *reply) {
  tcd_session *session = tcd_session_find(mount, id);
  char *storage = NULL, *data = NULL;
  size_t len = 0;
  if (!session || session->code) {
    refuse(mount, reply, 404, "no such session");
    return;
  }
  storage = tci_alloc(request->body.len + 1);
  if (!storage) {
    refuse(mount, reply, 503, "out of memory");
    return;
  }
  if (jsonp) {
    if (read_form(request, &data, &len, storage)) len = 0;
  } else if (request->body.len) {
    memcpy(storage, request->body.ptr, request->body.len);
    data = storage;
    len = request->body.len;
  }
  tcd_sockjs_put_uncached(&reply->headers);
  tcd_sockjs_put_cookie(mount, request, &reply->headers);
  /* The two 500s of a client's mistake that the protocol demands. */
  if (!len) tcd_sockjs_text(reply, 500, "Payload expected.");
  else if (tcd_session_message(session, data, len)) tcd_sockjs_text(reply, 500, "Broken JSON encoding.");
  else tcd_sockjs_text(reply, jsonp ? 200 : 204, jsonp ? "ok" : "");
  tci_free(storage);
}

static int segment_is_good(tc_text segment) { return segment.len && segment.len <= SEGMENT_MAX && !memchr(segment.ptr, '.', segment.len); }

/* /{server}/{session}/{transport} */
static void serve_session(tcd_sockjs *mount, tc_text id, tc_text name, const tcd_request *request, tcd_reply *reply) {
  const tcd_transport *transport = tcd_transport_find(name);
  int xhr_send = is(name, "xhr_send"), jsonp_send = is(name, "jsonp_send");
  if (is(name, "websocket")) {
    serve_websocket(mount, &tcd_sockjs_coding, request, reply);
    return;
  }
  if (!transport && !xhr_send && !jsonp_send) {
    refuse(mount, reply, 404, "no such transport");
    return;
  }
  const char *method = transport ? transport->method : "POST";
  const char *methods = *method == 'G' ? "OPTIONS, GET" : "OPTIONS, POST";
  tci_buf_clear(&reply->headers);
  if (method_is(request, "OPTIONS")) {
    tcd_sockjs_put_cors(request, &reply->headers);
    tcd_sockjs_put_cookie(mount, request, &reply->headers);
    tcd_sockjs_preflight(request, methods, reply);
  } else if (!method_is(request, method)) {
    not_allowed(reply, methods);
  } else if (transport) {
    tcd_receiver_serve(mount, transport, id, request, reply);
  } else {
    tcd_sockjs_put_cors(request, &reply->headers);
    serve_send(mount, jsonp_send, id, request, reply);
  }
}

/* iframe.html, iframe-0.1.2.html ... */
static int is_iframe(tc_text name) {
  static const char begin[] = "iframe", end[] = ".html";
  size_t b = sizeof begin - 1, e = sizeof end - 1;
  if (name.len < b + e || memcmp(name.ptr, begin, b) != 0 || memcmp(name.ptr + name.len - e, end, e) != 0) return 0;
  for (size_t i = b; i < name.len - e; i++) {
    char c = name.ptr[i];
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_') return 0;
  }
  return 1;
}

/* A path of one segment. */
static void serve_page(tcd_sockjs *mount, tc_text name, const tcd_request *request, tcd_reply *reply) {
  int reads = method_is(request, "GET") || method_is(request, "HEAD");
  if (is(name, "websocket")) {
    serve_websocket(mount, &tcd_ws_raw, request, reply);
    return;
  }
  if (!is(name, "info") && !is_iframe(name)) {
    refuse(mount, reply, 404, "no such path");
    return;
  }
  tci_buf_clear(&reply->headers);
  if (is(name, "info")) tcd_sockjs_put_cors(request, &reply->headers);
  if (method_is(request, "OPTIONS")) {
    tcd_sockjs_preflight(request, "OPTIONS, GET", reply);
  } else if (!reads) {
    not_allowed(reply, "OPTIONS, GET");
  } else if (is(name, "info")) {
    tcd_sockjs_info(mount, reply);
  } else {
    tcd_sockjs_iframe(mount, request, reply);
  }
}

static void serve_top(tcd_sockjs *mount, int bare, const tcd_request *request, tcd_reply *reply) {
  if (bare && mount->options.raw_on_prefix && tcd_ws_is_upgrade(request)) {
    serve_websocket(mount, &tcd_ws_raw, request, reply);
    return;
  }
  tci_buf_clear(&reply->headers);
  if (method_is(request, "GET") || method_is(request, "HEAD")) tcd_sockjs_greeting(reply);
  else not_allowed(reply, "GET");
}

int tcd_sockjs_request(tcd_sockjs *mount, const tcd_request *request, tcd_reply *reply) {
  tc_text rest = request->path, parts[3];
  size_t count = 0;
  if (rest.len < mount->prefix_len || memcmp(rest.ptr, mount->prefix, mount->prefix_len) != 0) return 0;
  rest.ptr += mount->prefix_len;
  rest.len -= mount->prefix_len;
  if (rest.len && *rest.ptr != '/') return 0;
  if (rest.len <= 1) {
    serve_top(mount, !rest.len, request, reply);
    return 1;
  }
  while (rest.len && count < 3) {
    const char *slash = memchr(rest.ptr + 1, '/', rest.len - 1);
    size_t len = slash ? (size_t)(slash - rest.ptr) : rest.len;
    parts[count++] = (tc_text){rest.ptr + 1, len - 1};
    rest.ptr += len;
    rest.len -= len;
  }
  if (!rest.len && count == 1) serve_page(mount, parts[0], request, reply);
  else if (!rest.len && count == 3 && segment_is_good(parts[0]) && segment_is_good(parts[1])) serve_session(mount, parts[1], parts[2], request, reply);
  else refuse(mount, reply, 404, "no such path");
  return 1;
}
