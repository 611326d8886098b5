#include "server/front/link.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/front/conn.h"

#define READS_MAX 4             /* of the front's scratch, before the others have their turn */
#define DISCARD_MAX (16u << 20) /* of what a client still sends when all is said */
#define WATCHED (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

static void on_event(tcd_source *source, uint32_t events);

static tcd_front *front_of(const tcd_link *link) { return link->source.front; }

static int watch(tcd_source *source) {
  struct epoll_event event = {.events = WATCHED, .data.ptr = source};
  return epoll_ctl(source->front->epoll_fd, EPOLL_CTL_MOD, source->fd, &event); /* also rings again for what is there already */
}

int tcd_front_take(tcd_reply *reply, tcd_link *link, const tcd_link_ops *ops) {
  tcd_exchange *exchange = tcd_exchange_of(reply);
  tcd_conn *conn = exchange ? exchange->conn : NULL;
  if (!conn) return -1;
  tcd_front *front = exchange->front;
  link->source = (tcd_source){.fd = conn->source.fd, .on_event = on_event, .front = front};
  if (watch(&link->source)) return -1;
  memcpy(link->peer, conn->peer, sizeof link->peer);
  link->ops = ops;
  link->heard_us = front->now_us;
  link->readable = link->writable = 1;
  link->ended = conn->ended;
  tcd_conn_leave(conn, &link->early);
  link->next = front->links;
  if (front->links) front->links->prev = link;
  front->links = link;
  front->conn_count++;
  tcd_count(&front->connections, 1);
  return 0;
}

/* 1: bytes are in the front's scratch; 0: none now, or the link is gone. */
static ssize_t receive(tcd_link *link) {
  tcd_front *front = front_of(link);
  for (;;) {
    ssize_t n = recv(link->source.fd, front->scratch, sizeof front->scratch, 0);
    if (n > 0) {
      if ((size_t)n < sizeof front->scratch && !link->ended) link->readable = 0;
      link->heard_us = front->now_us;
      return n;
    }
    if (n < 0 && errno == EINTR) continue;
    link->readable = 0;
    if (n < 0 && errno != EAGAIN) link->ops->gone(link);
    else if (n == 0) link->ops->input(link, front->scratch, 0);
    return 0;
  }
}

static void read_some(tcd_link *link) {
  tcd_front *front = front_of(link);
  for (int i = 0; i < READS_MAX; i++) {
    if (link->source.fd < 0 || !link->readable || link->finishing) return;
    ssize_t n = receive(link);
    if (n <= 0) return;
    link->ops->input(link, front->scratch, (size_t)n);
  }
  if (link->source.fd >= 0 && link->readable && !link->finishing && watch(&link->source)) link->ops->gone(link);
}

static void discard(tcd_link *link) {
  tcd_front *front = front_of(link);
  while (link->readable && link->discarded < DISCARD_MAX) {
    ssize_t n = recv(link->source.fd, front->scratch, sizeof front->scratch, 0);
    if (n > 0) {
      link->discarded += (uint32_t)n;
    } else if (n == 0 || errno != EINTR) {
      if (n == 0 || errno != EAGAIN) link->discarded = DISCARD_MAX;
      link->readable = 0;
    }
  }
  if (link->discarded >= DISCARD_MAX) tcd_link_close(link);
}

static void on_event(tcd_source *source, uint32_t events) {
  tcd_link *link = (tcd_link *)source;
  if (events & (EPOLLIN | EPOLLRDHUP)) link->readable = 1;
  if (events & EPOLLRDHUP) link->ended = 1;
  if (link->finishing) {
    if (events & (EPOLLERR | EPOLLHUP)) tcd_link_close(link);
    else discard(link);
    return;
  }
  if (events & (EPOLLERR | EPOLLHUP)) {
    link->ops->gone(link);
    return;
  }
  if (events & EPOLLOUT && !link->writable) {
    link->writable = 1;
    link->ops->writable(link);
  }
  if (!link->started || link->source.fd < 0) return;
  if (link->ops->input) read_some(link);
  else if (link->ended) link->ops->gone(link);
}

void tcd_link_start(tcd_link *link) {
  tci_buf early = link->early;
  link->started = 1;
  if (link->ops->input) {
    memset(&link->early, 0, sizeof link->early);
    if (early.len) link->ops->input(link, early.data, early.len);
    tcd_input_drop(front_of(link), &early);
    read_some(link);
  } else if (link->ended) {
    link->ops->gone(link);
  }
}

ssize_t tcd_link_send(tcd_link *link, const struct iovec *parts, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
  for (;;) {
    /* One part is the common case, and the kernel need not copy a header and a vector for it. */
    ssize_t n = count == 1 ? send(link->source.fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                           : sendmsg(link->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return -1;
    link->writable = 0;
    return 0;
  }
}

static void leave(tcd_link *link) {
  tcd_front *front = front_of(link);
  tcd_deadline_stop(&link->linger);
  tcd_input_drop(front, &link->early);
  if (link->prev) link->prev->next = link->next;
  else front->links = link->next;
  if (link->next) link->next->prev = link->prev;
  front->conn_count--;
  tcd_count(&front->connections, -1);
}

void tcd_link_close(tcd_link *link) {
  if (link->source.fd < 0) return;
  leave(link);
  tcd_source_close(&link->source);
}

void tcd_link_finish(tcd_link *link) {
  if (link->source.fd < 0) return;
  link->finishing = 1;
  tcd_deadline_start(&link->linger, &front_of(link)->due[TCD_DUE_LINK], front_of(link)->now_us);
  if (shutdown(link->source.fd, SHUT_WR)) {
    tcd_link_close(link);
    return;
  }
  link->readable = 1;
  discard(link);
}

void tcd_link_expired(tcd_deadline *deadline) { tcd_link_close((tcd_link *)((char *)deadline - offsetof(tcd_link, linger))); }

void tcd_link_return(tcd_link *link, tc_text rest) {
  tcd_front *front = front_of(link);
  if (link->source.fd < 0) return;
  if (front->stop_seen || tcd_conn_adopt(front, link->source.fd, link->peer, rest)) {
    tcd_link_finish(link);
    return;
  }
  leave(link);
  tcd_source_release(&link->source);
}

void tcd_link_stop(tcd_front *front) {
  tcd_link *next;
  for (tcd_link *link = front->links; link; link = next) {
    next = link->next;
    if (!link->finishing) link->ops->stop(link);
  }
}

void tcd_link_end(tcd_front *front) {
  tcd_link *next;
  for (tcd_link *link = front->links; link; link = next) {
    next = link->next;
    if (link->finishing) tcd_link_close(link);
    else link->ops->gone(link);
  }
}
