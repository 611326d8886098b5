#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/front/conn.h"

#define ACCEPT_BURST 64
#define BACKLOG 4096
#define RETRY_US 100000

/* "1.2.3.4:5" or "[::1]:5"; an IPv4 client of a dual-stack listener is shown as IPv4. */
static void print_address(const struct sockaddr_storage *address, char *out) {
  char host[INET6_ADDRSTRLEN] = "?";
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
  const struct sockaddr_in *four = (const struct sockaddr_in *)address;
  if (address->ss_family == AF_INET) {
    (void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
    (void)snprintf(out, TCD_PEER_SIZE, "%s:%u", host, ntohs(four->sin_port));
  } else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
    (void)inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], host, sizeof host);
    (void)snprintf(out, TCD_PEER_SIZE, "%s:%u", host, ntohs(six->sin6_port));
  } else {
    (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
    (void)snprintf(out, TCD_PEER_SIZE, "[%s]:%u", host, ntohs(six->sin6_port));
  }
}

/* Splits "host:port", "[v6]:port", ":port". host gets "" for every address. */
static int split_listen(const char *listen, char *host, size_t host_size, const char **port) {
  const char *colon = strrchr(listen, ':'), *from = listen, *to = colon;
  if (!colon) return -1;
  if (*from == '[') {
    from++;
    to = colon - 1;
    if (to < from || *to != ']') return -1;
  } else if (memchr(from, ':', (size_t)(to - from))) {
    return -1; /* ::1:80 could mean two things */
  }
  size_t len = (size_t)(to - from), digits = strspn(colon + 1, "0123456789");
  if (len >= host_size || !digits || digits > 5 || colon[1 + digits]) return -1;
  memcpy(host, from, len);
  host[len] = '\0';
  *port = colon + 1;
  return 0;
}

static int bind_one(const struct addrinfo *at, int dual) {
  int on = 1, off = 0, fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) goto fail;
  if (at->ai_family == AF_INET6 && dual && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off)) goto fail;
  if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, BACKLOG)) goto fail;
  return fd;

fail:;
  int saved = errno;
  (void)close(fd);
  errno = saved;
  return -1;
}

static void on_listener(tcd_source *source, uint32_t events) {
  (void)events;
  source->front->accept_ready = 1;
}

int tcd_listen(tcd_front *front, char *error, size_t error_size) {
  char host[256];
  const char *port, *spec = front->options.listen;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
  struct sockaddr_storage bound;
  socklen_t bound_size = sizeof bound;
  int rc = TC_EINVAL, fd = -1, dual;
  if (!spec || split_listen(spec, host, sizeof host, &port) || strtoul(port, NULL, 10) > 65535) {
    (void)snprintf(error, error_size, "listen: must be ADDRESS:PORT, [IPV6]:PORT or :PORT, not '%s'", spec ? spec : "");
    return rc;
  }
  int gai = getaddrinfo(*host ? host : NULL, port, &hints, &found);
  if (gai) {
    (void)snprintf(error, error_size, "listen: cannot resolve '%s': %s", host, gai_strerror(gai));
    return rc;
  }
  dual = !*host;
  /* "every address" is one dual-stack socket where there is IPv6, so that one port and one line say it all. */
  for (int pass = 0; pass < 2 && fd < 0; pass++) {
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
      if (!dual || (at->ai_family == AF_INET6) == !pass) fd = bind_one(at, dual);
    }
  }
  rc = TC_ESTORAGE;
  if (fd < 0 || getsockname(fd, (struct sockaddr *)&bound, &bound_size)) {
    (void)snprintf(error, error_size, "listen: cannot listen on %s: %s", spec, strerror(errno));
    goto done;
  }
  int add = tcd_source_add(front, &front->listener, fd, on_listener);
  if (add) {
    (void)snprintf(error, error_size, "listen: cannot watch the socket: %s", strerror(add));
    front->listener.fd = -1;
    goto done;
  }
  fd = -1;
  print_address(&bound, front->address);
  rc = TC_OK;

done:
  if (fd >= 0) (void)close(fd);
  freeaddrinfo(found);
  return rc;
}

void tcd_listen_close(tcd_front *front) {
  if (front->listener.fd >= 0) (void)close(front->listener.fd);
  front->listener.fd = -1;
  front->accept_ready = 0;
}

/* Beyond max_connections, with nobody parked who could make room: one 503 into the empty send buffer, then the end. The client may have written already, so
 * that the kernel may turn our close into a reset; keeping the socket to prevent that would be what the limit forbids. */
static void turn_away(tcd_front *front, int fd, const char *peer) {
  tcd_exchange *exchange = tcd_exchange_take(front, NULL, peer);
  if (exchange) {
    tcd_exchange_fill_refusal(exchange, 503, "too many connections, try again", 1);
    if (!tcd_answer_build(exchange, 1) && tcd_answer_send(exchange, fd) == TCD_SENT_ALL) (void)shutdown(fd, SHUT_WR); /* the close below is what counts */
    tcd_exchange_drop(exchange);
  }
  (void)close(fd);
}

/* 1: go on accepting; 0: enough for now. */
static int accept_failed(tcd_front *front, int why) {
  if (why == EAGAIN) {
    front->accept_ready = 0;
    return 0;
  }
  if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM) {
    /* The backlog stays as it is and the edge has been eaten, so we come back by the clock; a descriptor given up by a parked client helps at once. */
    if (!front->accept_after_us) tcd_log(front, TC_LOG_WARN, "cannot accept connections for now: %s", strerror(why));
    front->accept_after_us = front->now_us + RETRY_US;
    return tcd_conn_evict(front);
  }
  return why != EBADF && why != EINVAL; /* ECONNABORTED, EINTR and the network's own errors (accept(2)) concern that one client */
}

void tcd_listen_accept(tcd_front *front) {
  if (!front->accept_ready || front->now_us < front->accept_after_us) return;
  front->accept_after_us = 0;
  for (int i = 0; i < ACCEPT_BURST; i++) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char peer[TCD_PEER_SIZE];
    int on = 1, fd = accept4(front->listener.fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (accept_failed(front, errno)) continue;
      return;
    }
    print_address(&address, peer);
    if (front->conn_count >= front->options.max_connections && !tcd_conn_evict(front)) {
      turn_away(front, fd, peer);
      continue;
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) tcd_log(front, TC_LOG_DEBUG, "cannot set TCP_NODELAY: %s", strerror(errno));
    int rc = tcd_conn_open(front, fd, peer);
    if (rc) tcd_log(front, TC_LOG_WARN, "cannot take the connection of %s: %s", peer, strerror(rc));
  }
}
