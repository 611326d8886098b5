#include "fake_transport_kit.h"

#include <check.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void ring(const fake_transport *f) {
  uint64_t one = 1;
  ck_assert_int_eq(write(f->bell_fd, &one, sizeof one), sizeof one);
}

const char *fake_header(const tc_send *send, const char *name) {
  for (size_t i = 0; send->headers[i]; i++) {
    if (!strncasecmp(send->headers[i], name, strlen(name)) && send->headers[i][strlen(name)] == ':') return send->headers[i] + strlen(name) + 2;
  }
  return "";
}

static int begin(void *userdata, tc_send *send) {
  fake_transport *f = userdata;
  pthread_mutex_lock(&f->mutex);
  int rc = f->refuse ? f->refuse : f->flying_n == FAKE_SENDS_MAX || f->begun == FAKE_SENDS_MAX ? TC_EBUSY : TC_OK;
  ck_assert_uint_eq(send->size, sizeof *send);
  ck_assert_ptr_null(send->transport);
  if (!rc) {
    f->flying[f->flying_n++] = send;
    (void)snprintf(f->seen[f->begun][0], 96, "%s", fake_header(send, "webhook-id"));
    (void)snprintf(f->seen[f->begun][1], 96, "%s", fake_header(send, "X-TipCurrent-Delivery-Attempt"));
    f->begun++;
    if (f->auto_status) ring(f);
  }
  pthread_mutex_unlock(&f->mutex);
  return rc;
}

static void give_up(void *userdata, tc_send *send) {
  fake_transport *f = userdata;
  pthread_mutex_lock(&f->mutex);
  for (int i = 0; i < f->flying_n; i++) {
    if (f->flying[i] != send) continue;
    memmove(f->flying + i, f->flying + i + 1, (size_t)(--f->flying_n - i) * sizeof(tc_send *));
    f->aborted++;
    break;
  }
  pthread_mutex_unlock(&f->mutex);
}

static tc_send *take(fake_transport *f, tc_sent *sent) {
  tc_send *send = NULL;
  pthread_mutex_lock(&f->mutex);
  if (f->flying_n && (f->auto_status || f->answer.size)) {
    send = f->flying[0];
    memmove(f->flying, f->flying + 1, (size_t)--f->flying_n * sizeof(tc_send *));
    *sent = f->answer.size ? f->answer : (tc_sent)TC_SENT_INIT;
    if (!f->answer.size) sent->status = f->auto_status;
    f->answer.size = 0;
    f->landed++;
  }
  pthread_mutex_unlock(&f->mutex);
  return send;
}

static int turn(void *userdata, int32_t timeout_ms) {
  fake_transport *f = userdata;
  tc_sent sent;
  struct pollfd bell = {.fd = f->bell_fd, .events = POLLIN};
  uint64_t count;
  if (poll(&bell, 1, timeout_ms) > 0) ck_assert_int_eq(read(f->bell_fd, &count, sizeof count), sizeof count);
  pthread_mutex_lock(&f->mutex);
  f->polls++;
  pthread_mutex_unlock(&f->mutex);
  for (tc_send *send; (send = take(f, &sent)) != NULL;) send->done(send, &sent);
  return TC_OK;
}

static void wake(void *userdata) { ring(userdata); }
static int get_fd(void *userdata) { return ((fake_transport *)userdata)->bell_fd; }

void fake_open(fake_transport *f, int with_fd) {
  memset(f, 0, sizeof *f);
  ck_assert_int_eq(pthread_mutex_init(&f->mutex, NULL), 0);
  f->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ck_assert_int_ge(f->bell_fd, 0);
  f->ops = (tc_transport)TC_TRANSPORT_INIT;
  f->ops.begin = begin;
  f->ops.abort = give_up;
  f->ops.poll = turn;
  f->ops.wake = wake;
  f->ops.fd = with_fd ? get_fd : NULL;
  f->ops.userdata = f;
}

void fake_close(fake_transport *f) {
  ck_assert_int_eq(f->flying_n, 0);
  ck_assert_int_eq(close(f->bell_fd), 0);
  ck_assert_int_eq(pthread_mutex_destroy(&f->mutex), 0);
}

void fake_land(fake_transport *f, int status) {
  pthread_mutex_lock(&f->mutex);
  f->answer = (tc_sent)TC_SENT_INIT;
  f->answer.status = status;
  if (!status) f->answer.error = "no\r\nanswer \xff";
  pthread_mutex_unlock(&f->mutex);
  ring(f);
}

int fake_flying(fake_transport *f) {
  pthread_mutex_lock(&f->mutex);
  int n = f->flying_n;
  pthread_mutex_unlock(&f->mutex);
  return n;
}

int fake_begun(fake_transport *f) {
  pthread_mutex_lock(&f->mutex);
  int n = f->begun;
  pthread_mutex_unlock(&f->mutex);
  return n;
}
