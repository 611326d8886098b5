#include "server/front/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define DISCARD_MAX (16u << 20) /* of what a refused client still sends */

static void on_event(tcd_source *source, uint32_t events);
static void run(tcd_conn *conn);

static tcd_front *front_of(const tcd_conn *conn) { return conn->source.front; }

void tcd_conn_start(tcd_conn *conn, int class) { tcd_deadline_start(&conn->deadline, &front_of(conn)->due[class], front_of(conn)->now_us); }

/* What came behind the request goes back to the connection. */
static void take_rest(tcd_conn *conn) {
  tcd_exchange *exchange = conn->exchange;
  if (exchange->in.len <= exchange->used) return;
  tci_buf_consume(&exchange->in, exchange->used);
  tcd_input_drop(front_of(conn), &conn->in);
  conn->in = exchange->in;
  memset(&exchange->in, 0, sizeof exchange->in);
}

static tcd_conn *make(tcd_front *front, const char *peer) {
  tcd_conn *conn = tci_zalloc(sizeof *conn);
  if (!conn) return NULL;
  memcpy(conn->peer, peer, strnlen(peer, TCD_PEER_SIZE - 1) + 1);
  conn->source.front = front;
  conn->source.on_event = on_event;
  conn->readable = 1;
  return conn;
}

static void enter(tcd_conn *conn) {
  tcd_front *front = front_of(conn);
  conn->next = front->conns;
  if (front->conns) front->conns->prev = conn;
  front->conns = conn;
  front->conn_count++;
  tcd_count(&front->connections, 1);
}

static void leave(tcd_conn *conn) {
  tcd_front *front = front_of(conn);
  tcd_deadline_stop(&conn->deadline);
  tcd_input_drop(front, &conn->in);
  if (conn->prev) conn->prev->next = conn->next;
  else front->conns = conn->next;
  if (conn->next) conn->next->prev = conn->prev;
  front->conn_count--;
  tcd_count(&front->connections, -1);
}

int tcd_conn_adopt(tcd_front *front, int fd, const char *peer, tc_text rest) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
  tcd_conn *conn = make(front, peer);
  if (!conn) return -1;
  event.data.ptr = &conn->source;
  if (rest.len && (tcd_input_take(front, &conn->in) || tci_buf_append(&conn->in, rest.ptr, rest.len))) goto fail;
  if (epoll_ctl(front->epoll_fd, EPOLL_CTL_MOD, fd, &event)) goto fail;
  conn->source.fd = fd;
  enter(conn);
  tcd_conn_start(conn, TCD_DUE_IDLE);
  run(conn);
  return 0;

fail:
  tcd_input_drop(front, &conn->in);
  tci_free(conn);
  return -1;
}

void tcd_conn_leave(tcd_conn *conn, tci_buf *early) {
  tcd_exchange *exchange = conn->exchange;
  take_rest(conn);
  *early = conn->in;
  memset(&conn->in, 0, sizeof conn->in);
  leave(conn);
  conn->exchange = NULL;
  exchange->conn = NULL;
  tcd_exchange_drop(exchange);
  tcd_source_release(&conn->source);
}

int tcd_conn_open(tcd_front *front, int fd, const char *peer) {
  tcd_conn *conn = make(front, peer);
  if (!conn) {
    (void)close(fd);
    return ENOMEM;
  }
  enter(conn);
  int rc = tcd_source_add(front, &conn->source, fd, on_event);
  if (rc) {
    tcd_conn_close(conn);
    return rc;
  }
  tcd_conn_start(conn, TCD_DUE_HEAD);
  run(conn);
  return 0;
}

void tcd_conn_close(tcd_conn *conn) {
  tcd_exchange *exchange = conn->exchange;
  if (conn->source.fd < 0) return;
  leave(conn);
  conn->exchange = NULL;
  if (exchange) exchange->conn = NULL;
  if (conn->state != TCD_CONN_BUSY) tcd_exchange_drop(exchange); /* a busy one is still the handler's; it ends when it completes */
  tcd_source_close(&conn->source);
}

void tcd_conn_refuse(tcd_conn *conn, int status, const char *message) {
  tcd_exchange *exchange = conn->exchange;
  tcd_deadline_stop(&conn->deadline);
  if (!exchange) exchange = tcd_exchange_take(front_of(conn), conn, conn->peer);
  if (!exchange) {
    tcd_conn_close(conn);
    return;
  }
  conn->exchange = exchange;
  conn->state = TCD_CONN_BUSY;
  tcd_exchange_refuse(exchange, status, message, 1);
}

/* The reply is out: the connection is ready for the next request, which may be here already. */
static void finish(tcd_conn *conn) {
  tcd_front *front = front_of(conn);
  tcd_exchange *exchange = conn->exchange;
  int close = exchange->reply.close;
  if (!close) take_rest(conn);
  conn->exchange = NULL;
  tcd_exchange_drop(exchange);
  if (!close) {
    conn->state = TCD_CONN_HEAD;
    tcd_conn_start(conn, TCD_DUE_IDLE);
    return;
  }
  tcd_input_drop(front, &conn->in);
  conn->state = TCD_CONN_LINGER;
  tcd_conn_start(conn, TCD_DUE_LINGER);
  if (shutdown(conn->source.fd, SHUT_WR)) tcd_conn_close(conn); /* ENOTCONN: the client is gone */
}

static int step_sending(tcd_conn *conn) {
  int rc = tcd_answer_send(conn->exchange, conn->source.fd);
  if (rc == TCD_SENT_ALL) {
    finish(conn);
    return conn->source.fd >= 0;
  }
  if (rc == TCD_SENT_FAILED) tcd_conn_close(conn);
  else if (conn->deadline.in != &front_of(conn)->due[TCD_DUE_WRITE]) tcd_conn_start(conn, TCD_DUE_WRITE);
  return 0;
}

static int step_linger(tcd_conn *conn) {
  char waste[16u << 10];
  while (conn->readable && conn->discarded < DISCARD_MAX) {
    ssize_t n = recv(conn->source.fd, waste, sizeof waste, 0);
    if (n > 0) {
      conn->discarded += (uint32_t)n;
    } else if (n == 0 || errno != EINTR) {
      if (n == 0 || errno != EAGAIN) conn->discarded = DISCARD_MAX;
      conn->readable = 0;
    }
  }
  if (conn->discarded >= DISCARD_MAX) tcd_conn_close(conn);
  return 0;
}

static void run(tcd_conn *conn) {
  int more = 1;
  while (more && conn->source.fd >= 0) {
    switch (conn->state) {
    case TCD_CONN_HEAD: more = tcd_conn_step_head(conn); break;
    case TCD_CONN_BODY: more = tcd_conn_step_body(conn); break;
    case TCD_CONN_SENDING: more = step_sending(conn); break;
    case TCD_CONN_LINGER: more = step_linger(conn); break;
    default: more = 0;
    }
  }
}

static void on_event(tcd_source *source, uint32_t events) {
  tcd_conn *conn = (tcd_conn *)source;
  if (events & (EPOLLERR | EPOLLHUP)) { /* reset, or closed in both directions: nobody will read an answer */
    tcd_conn_close(conn);
    return;
  }
  if (events & (EPOLLIN | EPOLLRDHUP)) conn->readable = 1;
  if (events & EPOLLRDHUP) conn->ended = 1;
  run(conn);
}

static void give_up(tcd_exchange *exchange) {
  tcd_conn *conn = exchange->conn;
  if (conn) conn->state = TCD_CONN_SENDING; /* the exchange is ours again, and goes with the connection */
  if (conn) tcd_conn_close(conn);
  else tcd_exchange_drop(exchange);
}

void tcd_conn_answer(tcd_exchange *exchange) {
  tcd_conn *conn = exchange->conn;
  tcd_front *front = exchange->front;
  if (!conn) {
    tcd_exchange_drop(exchange);
    return;
  }
  tcd_reply *reply = &exchange->reply;
  tci_buf_free(&exchange->body); /* the request is history */
  reply->close = reply->close || !exchange->head.keep_alive || front->stop_seen;
  int rc = tcd_answer_build(exchange, reply->close);
  if (rc) {
    /* A reply without memory or beyond its limit: said once more, without a body; when even that fails the connection tells it by closing. */
    tcd_reply_clear(reply);
    reply->status = rc == TC_ELIMIT ? 500 : 503;
    reply->content_type = NULL;
    if (tcd_answer_build(exchange, reply->close)) {
      give_up(exchange);
      return;
    }
  }
  tcd_exchange_charge(exchange, exchange->payload.len); /* one that was joined to the head is as small as that */
  conn->state = TCD_CONN_SENDING;
  run(conn);
}

void tcd_conn_expired(tcd_deadline *deadline) {
  tcd_conn *conn = (tcd_conn *)((char *)deadline - offsetof(tcd_conn, deadline));
  if (conn->state == TCD_CONN_HEAD && conn->in.len) tcd_conn_refuse(conn, 408, "the head did not arrive in time");
  else if (conn->state == TCD_CONN_BODY) tcd_conn_refuse(conn, 408, "the body did not arrive in time");
  else tcd_conn_close(conn);
}

int tcd_conn_evict(tcd_front *front) {
  tcd_deadline *oldest = front->due[TCD_DUE_IDLE].first;
  if (!oldest) return 0;
  tcd_conn_close((tcd_conn *)((char *)oldest - offsetof(tcd_conn, deadline)));
  return 1;
}

void tcd_conn_stop(tcd_front *front) {
  tcd_conn *next;
  for (tcd_conn *conn = front->conns; conn; conn = next) {
    next = conn->next;
    if (conn->state == TCD_CONN_HEAD && !conn->in.len) tcd_conn_close(conn);
    else if (conn->state == TCD_CONN_HEAD || conn->state == TCD_CONN_BODY) tcd_conn_refuse(conn, 503, "the server is stopping");
  }
}
