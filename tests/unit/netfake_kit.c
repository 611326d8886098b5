#include "netfake_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#define FDS_MAX 4096
#define STANDS_FOR 0x08080808u
#define BROKEN 0x7f000009u

static atomic_int connects, lookups, hanging, exposed;
static atomic_int disguised[FDS_MAX]; /* by descriptor */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static int is_released;

int netfake_connects(void) { return atomic_load(&connects); }
int netfake_lookups(void) { return atomic_load(&lookups); }
int netfake_exposed(void) { return atomic_load(&exposed); }
int netfake_hanging(void) { return atomic_load(&hanging); }

void netfake_release(void) {
  pthread_mutex_lock(&mutex);
  is_released = 1;
  pthread_cond_broadcast(&released);
  pthread_mutex_unlock(&mutex);
}

static void hang(void) {
  atomic_fetch_add(&hanging, 1);
  pthread_mutex_lock(&mutex);
  while (!is_released) pthread_cond_wait(&released, &mutex);
  pthread_mutex_unlock(&mutex);
  atomic_fetch_sub(&hanging, 1);
}

int connect(int fd, const struct sockaddr *address, socklen_t len) {
  struct sockaddr_in v4;
  if (address->sa_family != AF_INET && address->sa_family != AF_INET6) return (int)syscall(SYS_connect, fd, address, len);
  atomic_fetch_add(&connects, 1);
  if (address->sa_family == AF_INET6 || fd >= FDS_MAX) {
    errno = ENETUNREACH;
    return -1;
  }
  memcpy(&v4, address, sizeof v4);
  atomic_store(&disguised[fd], v4.sin_addr.s_addr == htonl(STANDS_FOR));
  if (v4.sin_addr.s_addr == htonl(STANDS_FOR)) v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (ntohl(v4.sin_addr.s_addr) >> 24 != 127) {
    errno = ENETUNREACH;
    return -1;
  }
  int rc = (int)syscall(SYS_connect, fd, &v4, sizeof v4);
  if (v4.sin_addr.s_addr == htonl(BROKEN)) {
    (void)poll(&(struct pollfd){fd, POLLOUT, 0}, 1, -1);
    (void)shutdown(fd, SHUT_WR);
    errno = EINPROGRESS;
    rc = -1;
  }
  return rc;
}

int getpeername(int fd, struct sockaddr *address, socklen_t *len) {
  int rc = (int)syscall(SYS_getpeername, fd, address, len);
  if (!rc && fd < FDS_MAX && atomic_load(&disguised[fd])) {
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    v4.sin_addr.s_addr = htonl(STANDS_FOR);
    memcpy(address, &v4, sizeof v4);
  }
  return rc;
}

static struct addrinfo *entry(const char *text, const char *service, struct addrinfo *next) {
  struct addrinfo *out = tci_zalloc(sizeof *out);
  struct sockaddr_in6 *v6 = tci_zalloc(sizeof *v6);
  struct sockaddr_in *v4 = (struct sockaddr_in *)v6;
  if (!out || !v6) abort();
  uint16_t port = htons((uint16_t)(service ? strtoul(service, NULL, 10) : 0));
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = port;
    out->ai_addrlen = sizeof *v4;
  } else {
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) abort();
    v6->sin6_family = AF_INET6;
    v6->sin6_port = port;
    out->ai_addrlen = sizeof *v6;
  }
  out->ai_family = v6->sin6_family;
  out->ai_socktype = SOCK_STREAM;
  out->ai_protocol = IPPROTO_TCP;
  out->ai_addr = (struct sockaddr *)v6;
  out->ai_next = next;
  return out;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out) {
  (void)hints;
  atomic_fetch_add(&lookups, 1);
  sigset_t mask;
  if (pthread_sigmask(SIG_BLOCK, NULL, &mask) || !sigismember(&mask, SIGUSR1)) atomic_fetch_add(&exposed, 1);
  if (!node) return EAI_NONAME;
  if (!strcmp(node, "hang.test")) hang();
  if (!strcmp(node, "public.test")) {
    *out = entry("8.8.8.8", service, NULL);
  } else if (!strcmp(node, "two.test")) {
    *out = entry("127.0.0.1", service, entry("127.0.0.2", service, NULL));
  } else if (!strcmp(node, "inner.test")) {
    *out = entry("169.254.169.254", service, entry("10.0.0.1", service, entry("::1", service, NULL)));
  } else {
    return EAI_NONAME;
  }
  return 0;
}

void freeaddrinfo(struct addrinfo *list) {
  while (list) {
    struct addrinfo *next = list->ai_next;
    tci_free(list->ai_addr);
    tci_free(list);
    list = next;
  }
}
