#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "server/front/conn.h"

#define BODY_STEP (64u << 10) /* asked of the kernel, and grown by, at once */

static tcd_front *front_of(const tcd_conn *conn) { return conn->source.front; }

/* 1: bytes came into buf; 0: nothing to be had, or the connection is gone. */
static int fill(tcd_conn *conn, tci_buf *buf, size_t room) {
  if (!conn->readable) return 0;
  char *at = tci_buf_room(buf, room);
  if (!at) {
    tcd_conn_refuse(conn, 503, "out of memory");
    return 0;
  }
  while (conn->readable) {
    ssize_t n = recv(conn->source.fd, at, room, 0);
    if (n > 0) {
      /* A short read has emptied the socket, and whatever comes later rings again (epoll(7)); only the end of the stream may have rung already. */
      if ((size_t)n < room && !conn->ended) conn->readable = 0;
      tci_buf_grow(buf, (size_t)n);
      return 1;
    }
    if (n < 0 && errno == EINTR) continue;
    conn->readable = 0;
    if (n < 0 && errno == EAGAIN) return 0;
    if (n == 0 && (conn->in.len || conn->exchange)) tcd_conn_refuse(conn, 400, "the request ends early");
    else tcd_conn_close(conn);
    return 0;
  }
  return 0;
}

static void fill_request(tcd_exchange *exchange) {
  const tcd_head *head = &exchange->head;
  tcd_request *request = &exchange->request;
  request->method = head->method;
  request->target = head->target;
  request->path = head->path;
  request->query = head->query;
  request->version_minor = head->version_minor;
  request->headers = head->headers;
  request->header_count = head->header_count;
}

static int dispatch(tcd_conn *conn) {
  tcd_front *front = front_of(conn);
  tcd_exchange *exchange = conn->exchange;
  tcd_deadline_stop(&conn->deadline);
  if (exchange->body.len) exchange->request.body = (tc_text){exchange->body.data, exchange->body.len};
  conn->state = TCD_CONN_BUSY;
  tcd_count(&front->requests, 1);
  front->options.on_request(front->options.app, &exchange->request, &exchange->reply);
  return 0;
}

/* RFC 9110 10.1.1: only when a body is due, none of it is here yet, and the client can understand it. */
static int say_continue(tcd_conn *conn) {
  static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
  const tcd_head *head = &conn->exchange->head;
  if (!head->expect_continue || !head->version_minor) return 0;
  ssize_t n = send(conn->source.fd, line, sizeof line - 1, MSG_NOSIGNAL);
  if (n == (ssize_t)sizeof line - 1) return 0;
  tcd_conn_close(conn); /* all earlier answers are out, so there was room for 25 bytes: the connection is broken */
  return -1;
}

/* Decodes what is in in from *at on; 1: the body is whole, 0: more is needed, -1: refused. */
static int take_chunks(tcd_conn *conn, const tci_buf *in, size_t *at) {
  tcd_exchange *exchange = conn->exchange;
  int rc = TCD_CHUNKED_DATA;
  while (rc == TCD_CHUNKED_DATA) {
    tc_text piece;
    size_t used;
    rc = tcd_chunked_next(&exchange->chunked, in->data + *at, in->len - *at, &used, &piece);
    *at += used;
    if (rc == TCD_CHUNKED_DATA && tci_buf_append(&exchange->body, piece.ptr, piece.len)) {
      tcd_conn_refuse(conn, 503, "out of memory");
      return -1;
    }
  }
  tcd_exchange_charge(exchange, exchange->body.cap);
  if (rc == TCD_CHUNKED_BAD) tcd_conn_refuse(conn, 400, "body: the chunked coding is malformed");
  if (rc == TCD_CHUNKED_LARGE) tcd_conn_refuse(conn, 413, "body: too large");
  return rc < 0 ? -1 : rc == TCD_CHUNKED_DONE;
}

static int over_buffered(tcd_conn *conn, uint64_t more) {
  tcd_front *front = front_of(conn);
  uint64_t buffered = atomic_load_explicit(&front->buffered, memory_order_relaxed);
  if (buffered + more <= front->options.max_buffered_bytes) return 0;
  tcd_conn_refuse(conn, 503, "the server holds too many bodies, try again");
  return 1;
}

/* The head is there; finds out where the body ends. Returns 1 when the state has moved on. */
static int begin_body(tcd_conn *conn, size_t head_len) {
  tcd_front *front = front_of(conn);
  tcd_exchange *exchange = conn->exchange;
  const tcd_head *head = &exchange->head;
  uint64_t length = head->content_length > 0 ? (uint64_t)head->content_length : 0, have = exchange->in.len - head_len;
  exchange->used = head_len;
  if (!length && !head->chunked) return dispatch(conn);
  uint64_t limit = front->options.body_limit ? front->options.body_limit(front->options.app, &exchange->request) : 0;
  if (!limit) limit = front->options.max_body_bytes;
  if (length > limit) {
    tcd_conn_refuse(conn, 413, "body: too large");
    return 0;
  }
  if (length && have >= length) {
    exchange->used += length;
    exchange->request.body = (tc_text){exchange->in.data + head_len, (size_t)length};
    return dispatch(conn);
  }
  /* Nothing of a chunked body's size is known but that it may be as large as the limit; it is counted as it grows. */
  if (over_buffered(conn, length ? length : 1)) return 0;
  tci_buf_init(&exchange->body, head->chunked ? limit : length);
  conn->state = TCD_CONN_BODY;
  tcd_conn_start(conn, TCD_DUE_BODY);
  if (!have && say_continue(conn)) return 0;
  if (head->chunked) {
    tcd_chunked_init(&exchange->chunked, limit);
    int rc = take_chunks(conn, &exchange->in, &exchange->used);
    return rc > 0 ? dispatch(conn) : rc == 0;
  }
  exchange->body_left = length - have;
  exchange->used += have;
  if (!tci_buf_append(&exchange->body, exchange->in.data + head_len, have)) return 1;
  tcd_conn_refuse(conn, 503, "out of memory");
  return 0;
}

/* The head stands whole in conn->in. */
static int begin_request(tcd_conn *conn, size_t head_len) {
  tcd_front *front = front_of(conn);
  tcd_fault fault;
  tcd_exchange *exchange = tcd_exchange_take(front, conn, conn->peer);
  if (!exchange) {
    tcd_conn_close(conn);
    return 0;
  }
  conn->exchange = exchange;
  exchange->in = conn->in;
  memset(&conn->in, 0, sizeof conn->in);
  conn->scanned = 0;
  int rc = tcd_head_parse(exchange->in.data, head_len, &exchange->head, &fault);
  fill_request(exchange);
  if (!rc) return begin_body(conn, head_len);
  tcd_conn_refuse(conn, fault.status, fault.message);
  return 0;
}

int tcd_conn_step_head(tcd_conn *conn) {
  tcd_front *front = front_of(conn);
  tci_buf *in = &conn->in;
  if (in->len) {
    tcd_fault fault;
    size_t head_len;
    if (!conn->scanned) tci_buf_consume(in, tcd_head_blank(in->data, in->len));
    int whole = tcd_head_scan(in->data, in->len, &conn->scanned, &head_len, &fault);
    if (whole > 0) return begin_request(conn, head_len);
    if (!whole && in->len >= front->options.max_head_bytes) {
      fault = tcd_head_too_long(in->data, in->len);
      whole = -1;
    }
    if (whole < 0) {
      tcd_conn_refuse(conn, fault.status, fault.message);
      return 0;
    }
    /* The clock of a later request starts with its first byte; the first request's has run since the accept. */
    if (in->len && conn->deadline.in != &front->due[TCD_DUE_HEAD]) tcd_conn_start(conn, TCD_DUE_HEAD);
  }
  if (!in->data && conn->readable && tcd_input_take(front, in)) {
    tcd_conn_close(conn);
    return 0;
  }
  size_t room = in->cap - in->len - 1, most = front->options.max_head_bytes - in->len;
  if (!room) room = in->len; /* doubles */
  int got = fill(conn, in, room < most ? room : most);
  if (!got && !in->len) tcd_input_drop(front, in); /* parked */
  return got;
}

int tcd_conn_step_body(tcd_conn *conn) {
  tcd_front *front = front_of(conn);
  tcd_exchange *exchange = conn->exchange;
  if (!exchange->head.chunked && !exchange->body_left) return dispatch(conn);
  if (!conn->readable || over_buffered(conn, 1)) return 0;
  if (exchange->head.chunked) {
    size_t at = 0;
    if (!conn->in.data && tcd_input_take(front, &conn->in)) {
      tcd_conn_refuse(conn, 503, "out of memory");
      return 0;
    }
    if (!fill(conn, &conn->in, conn->in.cap - conn->in.len - 1)) return 0;
    int rc = take_chunks(conn, &conn->in, &at);
    if (rc < 0) return 0;
    tci_buf_consume(&conn->in, at);
    return rc ? dispatch(conn) : 1;
  }
  size_t before = exchange->body.len;
  if (!fill(conn, &exchange->body, exchange->body_left < BODY_STEP ? (size_t)exchange->body_left : BODY_STEP)) return 0;
  exchange->body_left -= exchange->body.len - before;
  tcd_exchange_charge(exchange, exchange->body.cap);
  return 1;
}
