/* pool.c - the way to the kitchen: a few keep-alive connections over loopback, and the queue before them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/front/reactor.h"
#include "server/front/reframe.h"
#include "server/front/response.h"

#define QUEUE_MAX 1024
#define ANSWER_HEAD_MAX (64u << 10)
#define ANSWER_STEP (64u << 10)

enum { IDLE, SENDING, HEAD, BODY };

typedef struct oven {
  tcd_source source;     /* first */
  tcd_deadline deadline; /* runs while it has an exchange */
  tcd_pool *pool;
  struct oven *prev, *next; /* all */
  struct oven *next_idle;
  tcd_exchange *exchange; /* NULL: idle */
  tci_buf out, in;        /* the re-framed head; the answer's head and what came with it */
  size_t sent, scanned, body_left;
  uint16_t port; /* ours, by which the kitchen knows us */
  int state, readable, ended, closing;
} oven;

struct tcd_pool {
  tcd_front *front;
  uint16_t port;
  void (*admit)(void *kitchen, uint16_t local_port, const char *peer);
  void *kitchen;
  oven *ovens, *idle;
  size_t count;
  tcd_exchange *first, *last; /* waiting */
  size_t waiting;
};

int tcd_front_set_kitchen(tcd_front *front, uint16_t port, void (*admit)(void *, uint16_t, const char *), void *kitchen) {
  tcd_pool *pool = tci_zalloc(sizeof *pool);
  if (!pool) return TC_ENOMEM;
  pool->front = front;
  pool->port = port;
  pool->admit = admit;
  pool->kitchen = kitchen;
  tcd_pool_free(front->pool);
  front->pool = pool;
  return TC_OK;
}

static void drop_idle(oven *gone) {
  for (oven **at = &gone->pool->idle; *at; at = &(*at)->next_idle) {
    if (*at != gone) continue;
    *at = gone->next_idle;
    return;
  }
}

/* The kitchen hears of it before the port is free for others. */
static void close_oven(oven *gone) {
  tcd_pool *pool = gone->pool;
  if (gone->source.fd < 0) return;
  drop_idle(gone);
  tcd_deadline_stop(&gone->deadline);
  if (gone->port) pool->admit(pool->kitchen, gone->port, NULL);
  if (gone->prev) gone->prev->next = gone->next;
  else pool->ovens = gone->next;
  if (gone->next) gone->next->prev = gone->prev;
  pool->count--;
  tci_buf_free(&gone->out);
  tci_buf_free(&gone->in);
  tcd_source_close(&gone->source);
}

static void put_back(tcd_pool *pool, tcd_exchange *exchange) {
  exchange->next = pool->first;
  pool->first = exchange;
  if (!pool->last) pool->last = exchange;
  pool->waiting++;
}

static tcd_exchange *pop(tcd_pool *pool) {
  tcd_exchange *exchange = pool->first;
  pool->first = exchange->next;
  if (!pool->first) pool->last = NULL;
  pool->waiting--;
  return exchange;
}

/* An idle connection may be closed by the kitchen just when we write to it. What is safe to say twice is said again on a new one; a POST whose bytes are on the
 * way may have been done, and only the client, with its key, may repeat it (RFC 9110 9.2.2). */
static int may_have_acted(const oven *failed) {
  tc_text method = failed->exchange->request.method;
  return failed->sent && !tcd_text_is(method, "GET") && !tcd_text_is(method, "HEAD");
}

static int may_repeat(const oven *failed) { return !failed->exchange->resent && !failed->in.len && failed->state != BODY && !may_have_acted(failed); }

static void fail(oven *failed, const char *message) {
  tcd_pool *pool = failed->pool;
  tcd_exchange *exchange = failed->exchange;
  int repeat = exchange && may_repeat(failed);
  /* Whatever went wrong here, to the client of a batch only this matters. */
  if (exchange && may_have_acted(failed)) message = "outcome unknown, retry with the same keys";
  failed->exchange = NULL;
  close_oven(failed);
  if (repeat) {
    exchange->resent = 1;
    put_back(pool, exchange);
  } else if (exchange) {
    tcd_exchange_refuse(exchange, 503, message, 0);
  }
}

void tcd_pool_expired(tcd_deadline *deadline) {
  oven *late = (oven *)((char *)deadline - offsetof(oven, deadline));
  late->exchange->resent = 1; /* no second try: the time is up */
  fail(late, "the answer did not come in time");
}

static int send_request(oven *at) {
  tcd_exchange *exchange = at->exchange;
  tc_text body = exchange->request.body;
  size_t head = at->out.len, total = head + body.len;
  while (at->sent < total) {
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    size_t past = at->sent > head ? at->sent - head : 0;
    if (at->sent < head) parts[message.msg_iovlen++] = (struct iovec){at->out.data + at->sent, head - at->sent};
    if (body.len > past) parts[message.msg_iovlen++] = (struct iovec){(char *)(uintptr_t)body.ptr + past, body.len - past};
    ssize_t n = sendmsg(at->source.fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return 0;
    if (n < 0) {
      fail(at, "the request could not be passed on");
      return 0;
    }
    at->sent += (size_t)n;
  }
  at->state = HEAD;
  return 1;
}

/* As fill() of the clients' side. 1: bytes came. */
static int fill(oven *at, tci_buf *buf, size_t room) {
  char *into = at->readable ? tci_buf_room(buf, room) : NULL;
  if (at->readable && !into) fail(at, "the answer does not fit into memory");
  while (at->source.fd >= 0 && at->readable) {
    ssize_t n = recv(at->source.fd, into, room, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n > 0) {
      if ((size_t)n < room && !at->ended) at->readable = 0;
      tci_buf_grow(buf, (size_t)n);
      return 1;
    }
    at->readable = 0;
    if (n == 0 || errno != EAGAIN) fail(at, "the request was not answered");
  }
  return 0;
}

static int done(oven *at) {
  tcd_exchange *exchange = at->exchange;
  at->exchange = NULL;
  at->state = IDLE;
  tcd_deadline_stop(&at->deadline);
  if (at->closing || at->ended) {
    close_oven(at);
  } else {
    tci_buf_clear(&at->out);
    tci_buf_clear(&at->in);
    at->next_idle = at->pool->idle;
    at->pool->idle = at;
  }
  tcd_exchange_complete(exchange);
  return 0;
}

/* The answer's head stands in at->in, perhaps with some of its body. */
static int take_head(oven *at, size_t head_len) {
  tcd_front *front = at->source.front;
  tcd_exchange *exchange = at->exchange;
  tcd_reply *reply = &exchange->reply;
  tcd_response response;
  size_t have = at->in.len - head_len;
  if (tcd_response_parse(at->in.data, head_len, &response, &reply->headers) || have > response.content_length) {
    fail(at, "the answer was malformed");
    return 0;
  }
  uint64_t buffered = atomic_load_explicit(&front->buffered, memory_order_relaxed);
  if (response.content_length && buffered + response.content_length > front->options.max_buffered_bytes) {
    fail(at, "the server holds too many answers, try again");
    return 0;
  }
  if (response.content_length > reply->body.max || (response.content_length && !tci_buf_room(&reply->body, (size_t)response.content_length))) {
    fail(at, "the answer does not fit into memory");
    return 0;
  }
  tcd_exchange_charge(exchange, exchange->charged + response.content_length);
  (void)tci_buf_append(&reply->body, at->in.data + head_len, have); /* the room is there */
  reply->status = response.status;
  at->closing = response.close;
  at->body_left = (size_t)response.content_length - have;
  at->state = BODY;
  return 1;
}

static int read_head(oven *at) {
  tcd_fault fault;
  size_t head_len;
  if (!fill(at, &at->in, 4096)) return 0;
  int whole = tcd_head_scan(at->in.data, at->in.len, &at->scanned, &head_len, &fault);
  if (whole > 0) return take_head(at, head_len);
  if (whole < 0) fail(at, "the answer was malformed");
  return !whole;
}

static int read_body(oven *at) {
  tci_buf *body = &at->exchange->reply.body;
  if (!at->body_left) return done(at);
  size_t before = body->len;
  if (!fill(at, body, at->body_left < ANSWER_STEP ? at->body_left : ANSWER_STEP)) return 0;
  at->body_left -= body->len - before;
  return 1;
}

static void run(oven *at) {
  int more = 1;
  while (more && at->source.fd >= 0) {
    if (at->state == SENDING) more = send_request(at);
    else if (at->state == HEAD) more = read_head(at);
    else if (at->state == BODY) more = read_body(at);
    else more = 0;
  }
}

static void on_event(tcd_source *source, uint32_t events) {
  oven *at = (oven *)source;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) at->readable = 1;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) at->ended = 1;
  if (at->state == IDLE && at->readable) close_oven(at); /* closed by the kitchen, or it speaks unasked */
  else run(at);
}

static oven *open_oven(tcd_pool *pool) {
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(pool->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, here;
  socklen_t size = sizeof here;
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  oven *opened = tci_zalloc(sizeof *opened);
  if (fd < 0 || !opened) goto fail;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) goto fail;
  if (connect(fd, (struct sockaddr *)&there, sizeof there) && errno != EINPROGRESS) goto fail;
  if (getsockname(fd, (struct sockaddr *)&here, &size)) goto fail;
  if (tcd_source_add(pool->front, &opened->source, fd, on_event)) goto fail;
  opened->pool = pool;
  opened->port = ntohs(here.sin_port);
  tci_buf_init(&opened->out, tcd_reframe_max(pool->front->options.max_head_bytes));
  tci_buf_init(&opened->in, ANSWER_HEAD_MAX);
  opened->next = pool->ovens;
  if (pool->ovens) pool->ovens->prev = opened;
  pool->ovens = opened;
  pool->count++;
  return opened;

fail:
  if (fd >= 0) (void)close(fd);
  tci_free(opened);
  return NULL;
}

/* All connections are made before the first client can come, and kept: CivetWeb gives each a worker for as long as it is open, so no local stranger who connects
 * to the kitchen and says nothing can sit on one that we need. One that is lost later is made again when a request wants it. */
void tcd_pool_open(tcd_front *front) {
  tcd_pool *pool = front->pool;
  while (pool && pool->count < front->options.kitchen_connections) {
    oven *opened = open_oven(pool);
    if (!opened) return;
    opened->next_idle = pool->idle;
    pool->idle = opened;
  }
}

static void cook(tcd_pool *pool, tcd_exchange *exchange) {
  oven *at = pool->idle;
  if (at) pool->idle = at->next_idle;
  else at = open_oven(pool);
  if (!at) {
    tcd_exchange_refuse(exchange, 503, "the request could not be passed on", 0);
    return;
  }
  at->exchange = exchange;
  at->state = SENDING;
  at->sent = at->scanned = 0;
  tci_buf_clear(&at->out);
  tcd_deadline_start(&at->deadline, &pool->front->due[TCD_DUE_KITCHEN], exchange->forwarded_us);
  /* Told before the first byte is on its way, so the kitchen knows the port and the true peer when it reads the request. */
  pool->admit(pool->kitchen, at->port, exchange->peer);
  if (tcd_reframe(&exchange->request, &at->out)) fail(at, "the request could not be passed on");
  else run(at);
}

static void give_up_late(tcd_pool *pool) {
  int64_t before_us = pool->front->now_us - pool->front->due[TCD_DUE_KITCHEN].span_us;
  while (pool->first && (pool->first->forwarded_us <= before_us || !pool->first->conn)) {
    tcd_exchange *exchange = pop(pool);
    if (exchange->conn) tcd_exchange_refuse(exchange, 503, "the answer did not come in time", 0);
    else tcd_exchange_drop(exchange); /* its client has gone before anything was done */
  }
}

void tcd_pool_tick(tcd_front *front) {
  tcd_pool *pool = front->pool;
  if (!pool) return;
  give_up_late(pool);
  while (pool->first && (pool->idle || pool->count < front->options.kitchen_connections)) {
    cook(pool, pop(pool));
    give_up_late(pool);
  }
}

int tcd_pool_push(tcd_front *front, tcd_exchange *exchange) {
  tcd_pool *pool = front->pool;
  if (!pool || pool->waiting == QUEUE_MAX) return -1;
  exchange->next = NULL;
  if (pool->last) pool->last->next = exchange;
  else pool->first = exchange;
  pool->last = exchange;
  pool->waiting++;
  return 0;
}

void tcd_pool_stop(tcd_front *front) {
  tcd_pool *pool = front->pool;
  if (!pool) return;
  while (pool->ovens) {
    pool->ovens->exchange = NULL;
    close_oven(pool->ovens);
  }
  pool->first = pool->last = NULL;
  pool->waiting = 0;
}

void tcd_pool_free(tcd_pool *pool) { tci_free(pool); }
