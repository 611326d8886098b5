#include "receiver_kit.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/wake.h"

#define PEERS_MAX 128
#define REQUEST_MAX ((size_t)8 << 20)

typedef struct peer {
  int fd;
  tci_buf in, out;
  const receiver_answer *answer; /* of the request that is being answered */
} peer;

struct receiver {
  const receiver_answer *answers;
  int listener, wake;
  uint16_t port;
  tci_thread thread;
  pthread_mutex_t mutex; /* of what follows, up to peers */
  int stopping;
  receiver_counts counts;
  tci_buf last;
  peer peers[PEERS_MAX]; /* the thread's */
  size_t peer_count;
};

static const receiver_answer no_answers = {0};

static void drop(receiver *self, size_t index, int reset) {
  peer *at = &self->peers[index];
  if (reset) (void)setsockopt(at->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
  close(at->fd);
  tci_buf_free(&at->in);
  tci_buf_free(&at->out);
  *at = self->peers[--self->peer_count];
  pthread_mutex_lock(&self->mutex);
  self->counts.open--;
  pthread_mutex_unlock(&self->mutex);
}

static void accept_one(receiver *self) {
  int fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (self->peer_count == PEERS_MAX) {
    close(fd);
    return;
  }
  struct sockaddr_in local;
  socklen_t len = sizeof local;
  int known = !getsockname(fd, (struct sockaddr *)&local, &len);
  peer *at = &self->peers[self->peer_count++];
  *at = (peer){.fd = fd};
  tci_buf_init(&at->in, REQUEST_MAX);
  tci_buf_init(&at->out, (size_t)1 << 20);
  pthread_mutex_lock(&self->mutex);
  self->counts.connections++;
  self->counts.elsewhere += !known || local.sin_addr.s_addr != htonl(INADDR_LOOPBACK);
  if (++self->counts.open > self->counts.most_open) self->counts.most_open = self->counts.open;
  pthread_mutex_unlock(&self->mutex);
}

/* The length of the request at the front; 0: not whole yet. */
static size_t request_len(const tci_buf *in) {
  const char *end = in->data ? strstr(in->data, "\r\n\r\n") : NULL;
  if (!end) return 0;
  const char *field = strcasestr(in->data, "\r\nContent-Length:");
  size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0, whole = (size_t)(end - in->data) + 4 + body;
  return whole <= in->len ? whole : 0;
}

static const receiver_answer *find_answer(const receiver *self, const tci_buf *in) {
  static const receiver_answer ok = {NULL, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, RECEIVER_KEEP, NULL};
  const char *path = strchr(in->data, ' ') + 1;
  for (const receiver_answer *answer = self->answers; answer->path; answer++) {
    size_t len = strlen(answer->path);
    if (!strncmp(path, answer->path, len) && path[len] == ' ') return answer;
  }
  return &ok;
}

/* -1: the peer is gone. */
static int take_request(receiver *self, peer *at) {
  size_t len = request_len(&at->in);
  if (!len || at->answer) return 0;
  const receiver_answer *answer = find_answer(self, &at->in);
  pthread_mutex_lock(&self->mutex);
  tci_buf_clear(&self->last);
  int err = tci_buf_append(&self->last, at->in.data, len);
  self->counts.requests++;
  pthread_mutex_unlock(&self->mutex);
  tci_buf_consume(&at->in, len);
  at->answer = answer;
  if (answer->text && !err) err = tci_buf_append(&at->out, answer->text, answer->len ? answer->len : strlen(answer->text));
  return err;
}

static int read_some(receiver *self, peer *at) {
  char *room = tci_buf_room(&at->in, 65536);
  if (!room) return -1;
  ssize_t n = recv(at->fd, room, 65536, 0);
  if (n < 0) return errno == EAGAIN ? 0 : -1;
  tci_buf_grow(&at->in, (size_t)n);
  return n ? take_request(self, at) : -1;
}

/* -1: the peer is to be closed, -2: reset. */
static int write_some(receiver *self, peer *at) {
  if (at->out.len) {
    ssize_t n = send(at->fd, at->out.data, at->out.len, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    tci_buf_consume(&at->out, (size_t)n);
  }
  if (at->out.len || !at->answer) return 0;
  switch (at->answer->then) {
  case RECEIVER_CLOSE: return -1;
  case RECEIVER_RESET: return -2;
  case RECEIVER_REPEAT: return tci_buf_puts(&at->out, at->answer->repeat) ? -1 : 0;
  default: break;
  }
  if (!at->answer->text) return 0;
  at->answer = NULL;
  return take_request(self, at); /* one that came meanwhile */
}

static int wants_write(const peer *at) { return at->out.len || (at->answer && (at->answer->text || at->answer->then != RECEIVER_KEEP)); }

static void *serve(void *arg) {
  receiver *self = arg;
  for (;;) {
    struct pollfd fds[PEERS_MAX + 2] = {{self->wake, POLLIN, 0}, {self->listener, POLLIN, 0}};
    for (size_t i = 0; i < self->peer_count; i++) {
      fds[i + 2] = (struct pollfd){self->peers[i].fd, (short)(POLLIN | (wants_write(&self->peers[i]) ? POLLOUT : 0)), 0};
    }
    size_t polled = self->peer_count;
    if (poll(fds, (nfds_t)polled + 2, -1) < 0 && errno != EINTR) abort();
    pthread_mutex_lock(&self->mutex);
    int stopping = self->stopping;
    pthread_mutex_unlock(&self->mutex);
    if (stopping) break;
    for (size_t i = polled; i-- > 0;) { /* backwards: drop puts the last one in the place of the dropped */
      int rc = fds[i + 2].revents & (POLLIN | POLLHUP | POLLERR) ? read_some(self, &self->peers[i]) : 0;
      if (!rc && wants_write(&self->peers[i])) rc = write_some(self, &self->peers[i]);
      if (rc) drop(self, i, rc == -2);
    }
    if (fds[1].revents) accept_one(self);
  }
  while (self->peer_count) drop(self, 0, 0);
  return NULL;
}

static int listen_on(const char *address, int backlog, uint16_t *port) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof at;
  ck_assert_int_eq(inet_pton(AF_INET, address, &at.sin_addr), 1);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  ck_assert_int_eq(listen(fd, backlog), 0);
  ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  *port = ntohs(at.sin_port);
  return fd;
}

receiver *receiver_start(const char *address, const receiver_answer *answers) {
  receiver *self = tci_zalloc(sizeof *self);
  ck_assert_ptr_nonnull(self);
  self->answers = answers ? answers : &no_answers;
  self->listener = listen_on(address, 128, &self->port);
  self->wake = tci_wake_open();
  ck_assert_int_ge(self->wake, 0);
  ck_assert_int_eq(pthread_mutex_init(&self->mutex, NULL), 0);
  tci_buf_init(&self->last, REQUEST_MAX);
  ck_assert_int_eq(tci_thread_start(&self->thread, "receiver", serve, self), 0);
  return self;
}

void receiver_stop(receiver *self) {
  pthread_mutex_lock(&self->mutex);
  self->stopping = 1;
  pthread_mutex_unlock(&self->mutex);
  tci_wake_ring(self->wake);
  tci_thread_join(&self->thread);
  close(self->listener);
  tci_wake_close(self->wake);
  pthread_mutex_destroy(&self->mutex);
  tci_buf_free(&self->last);
  tci_free(self);
}

uint16_t receiver_port(const receiver *self) { return self->port; }

receiver_counts receiver_count(receiver *self) {
  pthread_mutex_lock(&self->mutex);
  receiver_counts counts = self->counts;
  pthread_mutex_unlock(&self->mutex);
  return counts;
}

size_t receiver_last(receiver *self, char *out, size_t size) {
  pthread_mutex_lock(&self->mutex);
  size_t len = self->last.len < size ? self->last.len : size - 1;
  if (len) memcpy(out, self->last.data, len);
  pthread_mutex_unlock(&self->mutex);
  out[len] = '\0';
  return len;
}

void open_silent(silent *out) {
  out->listener = listen_on("127.0.0.1", 0, &out->port);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(out->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  for (size_t i = 0; i < sizeof out->fill / sizeof out->fill[0]; i++) {
    out->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(out->fill[i], 0);
    ck_assert(!connect(out->fill[i], (struct sockaddr *)&at, sizeof at) || errno == EINPROGRESS);
  }
}

void close_silent(silent *from) {
  for (size_t i = 0; i < sizeof from->fill / sizeof from->fill[0]; i++) close(from->fill[i]);
  close(from->listener);
}
