#include "front_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

#define HELD_MAX 2048

tcd_front *front;
tcd_front_options front_options;
int (*front_hook)(const tcd_request *request, tcd_reply *reply);

static _Atomic int64_t now_us = 1000000;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static tcd_reply *held[HELD_MAX], *later[HELD_MAX];
static int held_count, later_count, later_over;
static tci_thread runner, worker;

static int64_t fake_wall(void *unused) {
  (void)unused;
  return 784111777000000; /* Sun, 06 Nov 1994 08:49:37 GMT */
}

static int64_t fake_monotonic(void *unused) {
  (void)unused;
  return atomic_load(&now_us);
}

static const tc_clock fake_clock = {sizeof(tc_clock), fake_wall, fake_monotonic, NULL};

static void *answer_later(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (!later_count && !later_over) pthread_cond_wait(&some, &lock);
    if (!later_count) break;
    tcd_reply *reply = later[--later_count];
    pthread_mutex_unlock(&lock);
    reply->status = 200;
    tcd_reply_send(reply);
    pthread_mutex_lock(&lock);
  }
  pthread_mutex_unlock(&lock);
  return NULL;
}

static void keep(tcd_reply **list, int *count, tcd_reply *reply) {
  pthread_mutex_lock(&lock);
  ck_assert_int_lt(*count, HELD_MAX);
  list[(*count)++] = reply;
  pthread_cond_signal(&some);
  pthread_mutex_unlock(&lock);
}

static int begins(tc_text path, const char *with) { return path.len >= strlen(with) && !memcmp(path.ptr, with, strlen(with)); }

static void on_request(void *app, const tcd_request *request, tcd_reply *reply) {
  (void)app;
  if (front_hook && front_hook(request, reply)) return;
  reply->content_type = "text/plain";
  (void)tci_buf_append(&reply->body, request->body.ptr, request->body.len);
  if (begins(request->path, "/later")) {
    keep(later, &later_count, reply);
  } else if (begins(request->path, "/hold")) {
    keep(held, &held_count, reply);
  } else if (begins(request->path, "/k/")) {
    (void)tci_buf_puts(&reply->headers, "X-Guard: must not be seen\r\n");
    tcd_front_forward(front, reply);
  } else {
    reply->status = begins(request->path, "/none") ? 204 : 200;
    reply->close = begins(request->path, "/close");
    if (begins(request->path, "/big/")) {
      size_t size = strtoul(request->path.ptr + 5, NULL, 10) << 10;
      char *room = tci_buf_room(&reply->body, size);
      ck_assert_ptr_nonnull(room);
      memset(room, 'b', size);
      tci_buf_grow(&reply->body, size);
    }
    for (int i = 0; begins(request->path, "/many") && i < 10000; i++) (void)tci_buf_puts(&reply->headers, "X: 0123456789\r\n");
    tcd_reply_send(reply);
  }
}

static void on_refusal(void *app, const tcd_request *request, int status, const char *message, tcd_reply *reply) {
  (void)app;
  ck_assert_ptr_nonnull(request->path.ptr);
  reply->content_type = "text/plain";
  (void)tci_buf_printf(&reply->body, "%d %.*s %s", status, (int)request->path.len, request->path.ptr, message);
}

static void *run_front(void *unused) {
  (void)unused;
  ck_assert_int_eq(tcd_front_run(front), TC_OK);
  return NULL;
}

void front_open(void) {
  char error[256] = "";
  if (!front_options.listen) front_options.listen = "127.0.0.1:0";
  front_options.clock = &fake_clock;
  front_options.on_request = on_request;
  front_options.on_refusal = on_refusal;
  ck_assert_msg(tcd_front_open(&front, &front_options, error, sizeof error) == TC_OK, "%s", error);
}

void front_run(void) {
  ck_assert_int_eq(tci_thread_start(&runner, "front", run_front, NULL), 0);
  ck_assert_int_eq(tci_thread_start(&worker, "later", answer_later, NULL), 0);
}

void front_start(void) {
  front_open();
  front_run();
}

void front_join(void) { tci_thread_join(&runner); }

void front_end(void) {
  tcd_front_stop(front, 0);
  front_join();
  pthread_mutex_lock(&lock);
  later_over = 1;
  pthread_cond_signal(&some);
  pthread_mutex_unlock(&lock);
  tci_thread_join(&worker);
  tcd_front_close(front);
}

int front_held(void) {
  pthread_mutex_lock(&lock);
  int count = held_count;
  pthread_mutex_unlock(&lock);
  return count;
}

void front_release(void) {
  pthread_mutex_lock(&lock);
  while (held_count) {
    tcd_reply *reply = held[--held_count];
    reply->status = 200;
    tcd_reply_send(reply);
  }
  pthread_mutex_unlock(&lock);
}

void front_advance(int64_t ms) { atomic_fetch_add(&now_us, ms * 1000); }

tcd_front_stats front_stats(void) {
  tcd_front_stats stats;
  tcd_front_stats_get(front, &stats);
  return stats;
}

int64_t front_real_ms(void) {
  struct timespec now;
  ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void front_nap(void) {
  struct timespec ms = {0, 1000000};
  (void)nanosleep(&ms, NULL);
}

int client_open(void) {
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  there.sin_port = htons((uint16_t)strtoul(strrchr(tcd_front_address(front), ':') + 1, NULL, 10));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(connect(fd, (struct sockaddr *)&there, sizeof there), 0);
  return fd;
}

void client_send_bytes(int fd, const char *bytes, size_t len) {
  while (len) {
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return; /* it was refused meanwhile: the answer is what counts */
    ck_assert_int_gt(n, 0);
    bytes += n;
    len -= (size_t)n;
  }
}

void client_send(int fd, const char *text) { client_send_bytes(fd, text, strlen(text)); }

static void readable(int fd) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  ck_assert_msg(poll(&ready, 1, WAIT_MS) == 1, "nothing came");
}

const char *client_read(int fd, int bare) {
  static char text[8 << 20];
  size_t len = 0, need = SIZE_MAX;
  while (len < need) {
    readable(fd);
    /* Byte by byte up to the head's end, so that the next response stays where it is. */
    ssize_t n = recv(fd, text + len, need == SIZE_MAX ? 1 : need - len, 0);
    ck_assert_msg(n > 0, "the stream ends in a response: %.*s", (int)len, text);
    len += (size_t)n;
    text[len] = '\0';
    if (need != SIZE_MAX || len < 4 || memcmp(text + len - 4, "\r\n\r\n", 4)) continue;
    const char *length = strstr(text, "Content-Length: ");
    need = len + (length && !bare ? strtoul(length + 16, NULL, 10) : 0);
    ck_assert_uint_lt(need, sizeof text);
  }
  return text;
}

int client_status(int fd) {
  int status = 0;
  ck_assert_int_eq(sscanf(client_read(fd, 0), "HTTP/1.1 %d ", &status), 1);
  return status;
}

int client_ended(int fd) {
  char byte;
  readable(fd);
  return recv(fd, &byte, 1, 0) == 0;
}

int client_silent(int fd) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  return poll(&ready, 1, 0) == 0;
}

const char *body_of(const char *response) { return strstr(response, "\r\n\r\n") + 4; }
