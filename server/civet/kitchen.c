#include "kitchen.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admitted.h"
#include "base/mem.h"
#include "base/thread.h"

#define ONE_WRITE_MAX (16u << 10) /* a body up to here goes out with its head in one call */
#define POKE_US 10000
#define ADMITTED_SPARE 64 /* ports of connections that the front replaces before it has told of their end */

struct tcd_kitchen {
  struct mg_context *context; /* NULL: stopped */
  tcd_kitchen_options options;
  tc_log log;
  tcd_admitted admitted;
  uint16_t port;
};

/* A request on its worker thread, until its reply is there. */
typedef struct meal {
  tcd_reply reply; /* first: deliver gets this address */
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  int served;
} meal;

static void say(const tcd_kitchen *kitchen, int32_t level, const char *what, const char *detail) {
  char line[256];
  (void)snprintf(line, sizeof line, "kitchen: %s%s", what, detail);
  if (kitchen->log.write) kitchen->log.write(kitchen->log.userdata, level, line);
}

static void serve(tcd_reply *reply) {
  meal *m = (meal *)reply;
  (void)pthread_mutex_lock(&m->mutex);
  m->served = 1;
  (void)pthread_cond_signal(&m->cond);
  (void)pthread_mutex_unlock(&m->mutex);
}

/* The front hears of a failed write by the connection's end, and answers the client; so there is nothing to tell here but to keep the connection no longer. */
static void write_all(struct mg_connection *conn, const void *bytes, size_t len) {
  if (len && mg_write(conn, bytes, len) != (int)len) mg_disable_connection_keep_alive(conn);
}

static void write_bare(struct mg_connection *conn, int status) {
  char head[128];
  int len = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, tcd_status_text(status));
  mg_disable_connection_keep_alive(conn);
  write_all(conn, head, (size_t)len);
}

static void write_reply(struct mg_connection *conn, const tcd_request *request, tcd_reply *reply) {
  tc_text body = {reply->body.data, reply->body.len};
  if (reply->event) body.ptr = tc_event_json(reply->event, &body.len);
  tci_buf head;
  tci_buf_init(&head, reply->headers.len + 1024 + ONE_WRITE_MAX);
  (void)tci_buf_printf(&head, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", reply->status, tcd_status_text(reply->status), body.len);
  if (reply->content_type) (void)tci_buf_printf(&head, "Content-Type: %s\r\n", reply->content_type);
  (void)tci_buf_append(&head, reply->headers.data, reply->headers.len);
  (void)tci_buf_puts(&head, "\r\n");
  if (request->method.len == 4 && !memcmp(request->method.ptr, "HEAD", 4)) body.len = 0; /* Content-Length stays what GET would have, RFC 9110 9.3.2 */
  int together = body.len <= ONE_WRITE_MAX;
  if (together) (void)tci_buf_append(&head, body.ptr, body.len);
  if (head.err || reply->body.err || reply->headers.err) {
    write_bare(conn, 500);
  } else {
    write_all(conn, head.data, head.len);
    if (!together) write_all(conn, body.ptr, body.len);
  }
  tci_buf_free(&head);
}

static int read_body(struct mg_connection *conn, char *out, size_t len) {
  size_t have = 0;
  while (have < len) {
    int n = mg_read(conn, out + have, len - have);
    if (n <= 0) return -1;
    have += (size_t)n;
  }
  return 0;
}

/* request->headers has room for all that CivetWeb keeps. storage: the target and the body, copied. */
static void fill_request(const struct mg_request_info *info, tcd_header *headers, const char *peer, tcd_request *request) {
  memset(request, 0, sizeof *request);
  request->method = (tc_text){info->request_method, strlen(info->request_method)};
  request->path = (tc_text){info->request_uri, strlen(info->request_uri)};
  if (info->query_string) request->query = (tc_text){info->query_string, strlen(info->query_string)};
  request->version_minor = 1;
  for (int i = 0; i < info->num_headers; i++) {
    const struct mg_header *h = &info->http_headers[i];
    headers[i] = (tcd_header){{h->name, strlen(h->name)}, {h->value, strlen(h->value)}};
  }
  request->headers = headers;
  request->header_count = (size_t)info->num_headers;
  request->peer = peer;
}

static void cook(tcd_kitchen *kitchen, struct mg_connection *conn, const tcd_request *request) {
  meal m = {.served = 0};
  if (pthread_mutex_init(&m.mutex, NULL)) goto no_mutex;
  if (tci_cond_init(&m.cond)) goto no_cond;
  tcd_reply_init(&m.reply, serve);
  kitchen->options.on_request(kitchen->options.app, request, &m.reply);
  (void)pthread_mutex_lock(&m.mutex);
  while (!m.served) (void)tci_cond_wait(&m.cond, &m.mutex, -1);
  (void)pthread_mutex_unlock(&m.mutex);
  write_reply(conn, request, &m.reply);
  tcd_reply_clear(&m.reply);
  (void)pthread_cond_destroy(&m.cond);
  (void)pthread_mutex_destroy(&m.mutex);
  return;
no_cond:
  (void)pthread_mutex_destroy(&m.mutex);
no_mutex:
  write_bare(conn, 503);
}

static int begin_request(struct mg_connection *conn) {
  const struct mg_request_info *info = mg_get_request_info(conn);
  tcd_kitchen *kitchen = info->user_data;
  char peer[TCD_PEER_MAX];
  if (!tcd_admitted_get(&kitchen->admitted, (uint16_t)info->remote_port, peer)) {
    say(kitchen, TC_LOG_WARN, "a stranger on the loopback port was refused", "");
    write_bare(conn, 403);
    return 403;
  }
  tcd_header headers[MG_MAX_HEADERS];
  tcd_request request;
  fill_request(info, headers, peer, &request);
  uint64_t body_len = info->content_length > 0 ? (uint64_t)info->content_length : 0;
  size_t query_len = info->query_string ? request.query.len + 1 : 0, target_len = request.path.len + query_len;
  char *storage = body_len <= kitchen->options.max_body_bytes ? tci_alloc(target_len + (size_t)body_len + 1) : NULL;
  if (!storage) {
    write_bare(conn, body_len > kitchen->options.max_body_bytes ? 413 : 503);
    return 503;
  }
  memcpy(storage, request.path.ptr, request.path.len);
  if (query_len) {
    storage[request.path.len] = '?';
    memcpy(storage + request.path.len + 1, request.query.ptr, request.query.len);
  }
  request.target = (tc_text){storage, target_len};
  request.body = (tc_text){storage + target_len, (size_t)body_len};
  if (read_body(conn, storage + target_len, (size_t)body_len)) mg_disable_connection_keep_alive(conn); /* the front has given this one up */
  else cook(kitchen, conn, &request);
  tci_free(storage);
  return 200; /* handled; only CivetWeb's access log, which is off, would look at the number */
}

static int log_message(const struct mg_connection *conn, const char *message) {
  const struct mg_context *context = conn ? mg_get_context(conn) : NULL;
  const tcd_kitchen *kitchen = context ? mg_get_user_data(context) : NULL;
  if (kitchen) say(kitchen, TC_LOG_WARN, "", message);
  return 1; /* handled: CivetWeb writes no file of its own */
}

/* What CivetWeb itself would refuse the front has refused before; should it happen, the front gets a head that it can read instead of a page. */
static int http_error(struct mg_connection *conn, int status, const char *message) {
  (void)message;
  write_bare(conn, status);
  return 0;
}

static int start(tcd_kitchen *kitchen) {
  char threads[16];
  (void)snprintf(threads, sizeof threads, "%" PRIu32, kitchen->options.threads);
  /* max_request_size holds the front's largest head (16 KiB) with its target percent-encoded. The front makes its connections at the start and keeps them, one a
   * thread: when an idle one ends is its business, so both timeouts (the first is for the first request too) are a day. */
  const char *options[][2] = {
    {"listening_ports", "127.0.0.1:0"},
    {"num_threads", threads},
    {"enable_keep_alive", "yes"},
    {"request_timeout_ms", "86400000"},
    {"keep_alive_timeout_ms", "86400000"},
    {"tcp_nodelay", "1"},
    {"max_request_size", "65536"},
    {"decode_url", "no"},
    {"enable_directory_listing", "no"},
    {"enable_auth_domain_check", "no"},
    {NULL, NULL},
  };
  struct mg_callbacks callbacks;
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.begin_request = begin_request;
  callbacks.log_message = log_message;
  callbacks.http_error = http_error;
  struct mg_server_port port;
  memset(&port, 0, sizeof port);
  kitchen->context = mg_start(&callbacks, kitchen, options[0]);
  if (!kitchen->context) return -1;
  if (mg_get_server_ports(kitchen->context, 1, &port) != 1) return -1;
  kitchen->port = (uint16_t)port.port;
  return 0;
}

int tcd_kitchen_open(tcd_kitchen **out, const tcd_kitchen_options *options, char *error, size_t error_size) {
  int rc = TC_ENOMEM;
  tcd_kitchen *kitchen = tci_zalloc(sizeof *kitchen);
  if (!kitchen) goto no_memory;
  kitchen->options = *options;
  if (options->log) kitchen->log = *options->log;
  if (tcd_admitted_init(&kitchen->admitted, options->threads + ADMITTED_SPARE)) goto no_memory;
  rc = TC_ESTORAGE;
  (void)mg_init_library(MG_FEATURES_DEFAULT); /* counts its calls; answers 0 for no features, which is what we ask for */
  if (start(kitchen)) {
    (void)snprintf(error, error_size, "cannot start %" PRIu32 " kitchen threads on a loopback port", options->threads);
    tcd_kitchen_close(kitchen);
    return rc;
  }
  *out = kitchen;
  return TC_OK;
no_memory:
  tci_free(kitchen);
  (void)snprintf(error, error_size, "out of memory");
  return rc;
}

uint16_t tcd_kitchen_port(const tcd_kitchen *kitchen) { return kitchen->port; }

void tcd_kitchen_admit(void *userdata, uint16_t local_port, const char *peer) {
  tcd_kitchen *kitchen = userdata;
  if (tcd_admitted_set(&kitchen->admitted, local_port, peer)) say(kitchen, TC_LOG_ERROR, "more connections of the front than it may have", "");
}

typedef struct stopping {
  struct mg_context *context;
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  int done;
} stopping;

static void *stop_context(void *userdata) {
  stopping *s = userdata;
  mg_stop(s->context);
  (void)pthread_mutex_lock(&s->mutex);
  s->done = 1;
  (void)pthread_cond_signal(&s->cond);
  (void)pthread_mutex_unlock(&s->mutex);
  return NULL;
}

/* A connection that says nothing. It needs no answer, so a failure (the listener is closed already) is as good. */
static void poke(uint16_t port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  int rc = connect(fd, (struct sockaddr *)&to, sizeof to);
  (void)rc;
  (void)close(fd);
}

/* mg_stop sets a flag that CivetWeb's threads see when their poll returns: up to 2 s later each. Connections end those polls at once. */
void tcd_kitchen_stop(tcd_kitchen *kitchen) {
  stopping s = {.context = kitchen->context};
  tci_thread stopper = {.started = 0};
  kitchen->context = NULL;
  if (!s.context) return;
  if (pthread_mutex_init(&s.mutex, NULL)) goto slowly;
  if (tci_cond_init(&s.cond)) goto no_cond;
  if (tci_thread_start(&stopper, "tc-kitchen-stop", stop_context, &s)) goto no_thread;
  (void)pthread_mutex_lock(&s.mutex);
  while (!s.done) {
    poke(kitchen->port);
    (void)tci_cond_wait(&s.cond, &s.mutex, POKE_US);
  }
  (void)pthread_mutex_unlock(&s.mutex);
  tci_thread_join(&stopper);
  s.context = NULL;
no_thread:
  (void)pthread_cond_destroy(&s.cond);
no_cond:
  (void)pthread_mutex_destroy(&s.mutex);
slowly:
  if (s.context) mg_stop(s.context);
}

void tcd_kitchen_close(tcd_kitchen *kitchen) {
  if (!kitchen) return;
  tcd_kitchen_stop(kitchen);
  (void)mg_exit_library();
  tcd_admitted_free(&kitchen->admitted);
  tci_free(kitchen);
}
