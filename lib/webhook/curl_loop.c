#include "curl_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "base/wake.h"
#include "tipcurrent/error.h"

typedef struct tci_curl_watched {
  uint32_t events; /* in the set for them; 0: not in it */
  int kept;        /* curl does not ask for it now */
} watched;

/* NULL: no memory, then it is not remembered. */
static watched *find(tci_curl_loop *loop, curl_socket_t socket) {
  if (socket >= loop->watched_n) {
    int n = socket + 64;
    watched *larger = tci_realloc(loop->watched, (size_t)n * sizeof *larger);
    if (!larger) return NULL;
    for (int i = loop->watched_n; i < n; i++) larger[i] = (watched){0, 0};
    loop->watched = larger;
    loop->watched_n = n;
  }
  return &loop->watched[socket];
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *userdata, void *unused) {
  tci_curl_loop *loop = userdata;
  watched *w = find(loop, socket);
  struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u), .data.fd = socket};
  (void)easy;
  (void)unused;
  if (what == CURL_POLL_REMOVE) {
    if (w && w->events) w->kept = 1;
    else (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, socket, &event); /* ENOENT: it never came in */
    return 0;
  }
  if (w && w->events == event.events) {
    w->kept = 0;
    return 0;
  }
  int failed = epoll_ctl(loop->epoll_fd, w && w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
  if (failed && errno == EEXIST) failed = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, socket, &event);
  if (w) *w = (watched){failed ? 0 : event.events, 0};
  return 0; /* a failure too: see the notes */
}

static int on_timer(CURLM *multi, long timeout_ms, void *userdata) {
  tci_curl_loop *loop = userdata;
  (void)multi;
  loop->timer_us = timeout_ms < 0 ? INT64_MAX : !timeout_ms ? 0 : tci_sys_monotonic_us(NULL) + (int64_t)timeout_ms * 1000;
  return 0;
}

int tci_curl_loop_open(tci_curl_loop *loop) {
  *loop = (tci_curl_loop){.epoll_fd = -1, .bell_fd = -1, .timer_us = INT64_MAX};
  loop->bell_fd = tci_wake_open();
  loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = loop->bell_fd};
  if (loop->bell_fd >= 0 && loop->epoll_fd >= 0 && !epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->bell_fd, &event)) return TC_OK;
  tci_curl_loop_close(loop);
  return TC_ELIMIT;
}

int tci_curl_loop_serve(tci_curl_loop *loop, CURLM *multi) {
  CURLMcode rc = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  if (!rc) rc = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, loop);
  if (!rc) rc = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  if (!rc) rc = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, loop);
  if (rc) return TC_ENOMEM;
  loop->multi = multi;
  return TC_OK;
}

void tci_curl_loop_close(tci_curl_loop *loop) {
  tci_wake_close(loop->epoll_fd);
  tci_wake_close(loop->bell_fd);
  loop->epoll_fd = loop->bell_fd = -1;
  tci_free(loop->watched);
  loop->watched = NULL;
  loop->watched_n = 0;
}

int tci_curl_loop_due_ms(const tci_curl_loop *loop) {
  if (loop->timer_us == INT64_MAX) return -1;
  if (!loop->timer_us) return 0;
  int64_t left_us = loop->timer_us - tci_sys_monotonic_us(NULL);
  if (left_us <= 0) return 0;
  /* Rounded up: curl that is asked too early does nothing, and does not ask for the same time again. */
  return left_us < INT64_C(1000) * 60000 ? (int)((left_us + 999) / 1000) : 60000;
}

int tci_curl_loop_wait(tci_curl_loop *loop, int timeout_ms, tci_curl_ready *ready, int max) {
  struct epoll_event events[64];
  int count = 0, n = epoll_wait(loop->epoll_fd, events, max < 64 ? max : 64, timeout_ms); /* EINTR: a signal of the host's, it may want to look */
  for (int i = 0; i < n; i++) {
    if (events[i].data.fd == loop->bell_fd) {
      tci_wake_drain(loop->bell_fd);
      continue;
    }
    watched *w = events[i].data.fd < loop->watched_n ? &loop->watched[events[i].data.fd] : NULL;
    if (w && w->kept) {
      (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, events[i].data.fd, NULL); /* its peer has closed it: curl sees that when it wants to use it */
      *w = (watched){0, 0};
      continue;
    }
    uint32_t got = events[i].events;
    ready[count].socket = events[i].data.fd;
    ready[count++].mask =
      (got & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (got & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (got & EPOLLERR ? CURL_CSELECT_ERR : 0);
  }
  return count;
}

CURLMcode tci_curl_loop_act(tci_curl_loop *loop, const tci_curl_ready *ready, int count, int has_time) {
  CURLMcode rc = CURLM_OK;
  int running;
  for (int i = 0; i < count && !rc; i++) rc = curl_multi_socket_action(loop->multi, ready[i].socket, ready[i].mask, &running);
  int is_due = tci_curl_loop_due_ms(loop) == 0;
  if (is_due) loop->timer_us = INT64_MAX; /* curl sets the next one meanwhile, if that is another: so one that is not due yet has to stay */
  if (!rc && (is_due || has_time)) {
    rc = curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  return rc;
}

void tci_curl_loop_forget(tci_curl_loop *loop, curl_socket_t socket) {
  if (socket < loop->watched_n) loop->watched[socket] = (watched){0, 0};
}

void tci_curl_loop_wake(tci_curl_loop *loop) { tci_wake_ring(loop->bell_fd); }
