/* The way to the kitchen: server/front/pool.c before a kitchen of our own that can misbehave. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "front_kit.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define PORTS 65536

/* The kitchen serves each connection on a thread of its own, by path: /k/echo the request itself, /k/once answers and closes, /k/die closes without a word,
 * /k/half answers half, /k/bad nonsense, /k/wait never, /k/huge announces a gigabyte, /k/flaky dies the first time. */
static int listener = -1;
static tci_thread cook;
static uint16_t kitchen_port;
static atomic_int arrived, dishes, flaky;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char admitted[PORTS][64]; /* by local port: the peer; "" not admitted */
static atomic_int admitted_count, strangers;

static void admit(void *kitchen, uint16_t port, const char *peer) {
  ck_assert_ptr_eq(kitchen, &listener);
  pthread_mutex_lock(&lock);
  if (peer && !*admitted[port]) atomic_fetch_add(&admitted_count, 1);
  if (!peer && *admitted[port]) atomic_fetch_sub(&admitted_count, 1);
  (void)snprintf(admitted[port], sizeof admitted[port], "%s", peer ? peer : "");
  pthread_mutex_unlock(&lock);
}

/* One request with its body into text; 0 when the front has closed. */
static size_t read_request(int fd, char *text, size_t size) {
  size_t len = 0, need = SIZE_MAX;
  while (len < need) {
    ssize_t n = recv(fd, text + len, need == SIZE_MAX ? 1 : need - len, 0);
    if (n <= 0) return 0;
    len += (size_t)n;
    text[len] = '\0';
    ck_assert_uint_lt(len, size - 1);
    if (need != SIZE_MAX || len < 4 || memcmp(text + len - 4, "\r\n\r\n", 4)) continue;
    need = len + strtoul(strstr(text, "Content-Length: ") + 16, NULL, 10);
  }
  return len;
}

static int answer(int fd, const char *request, size_t len) {
  static const char bad[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", half[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345";
  static const char huge[] = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
  char head[256];
  const char *path = strchr(request, ' ') + 1;
  if (!strncmp(path, "/k/die", 6) || (!strncmp(path, "/k/flaky", 8) && !atomic_fetch_add(&flaky, 1))) return 0;
  if (!strncmp(path, "/k/bad", 6)) return send(fd, bad, sizeof bad - 1, MSG_NOSIGNAL) > 0;
  if (!strncmp(path, "/k/half", 7)) return send(fd, half, sizeof half - 1, MSG_NOSIGNAL) < 0;
  if (!strncmp(path, "/k/huge", 7)) return send(fd, huge, sizeof huge - 1, MSG_NOSIGNAL) > 0;
  if (!strncmp(path, "/k/wait", 7)) return recv(fd, head, 1, 0) > 0; /* until the front gives up */
  int n =
    snprintf(head, sizeof head, "HTTP/1.1 207 Own Words\r\nContent-Type: text/echo\r\nX-Own: 1\r\nConnection: keep-alive\r\nContent-Length: %zu\r\n\r\n", len);
  if (send(fd, head, (size_t)n, MSG_NOSIGNAL) != n || send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) return 0;
  return strncmp(path, "/k/once", 7) != 0;
}

static void *serve_one(void *arg) {
  static _Thread_local char request[2 << 20];
  int fd = (int)(intptr_t)arg;
  struct sockaddr_in there;
  socklen_t size = sizeof there;
  size_t len;
  if (getpeername(fd, (struct sockaddr *)&there, &size)) memset(&there, 0, sizeof there);
  while ((len = read_request(fd, request, sizeof request))) {
    pthread_mutex_lock(&lock);
    if (!*admitted[ntohs(there.sin_port)]) atomic_fetch_add(&strangers, 1);
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&dishes, 1);
    if (!answer(fd, request, len)) break;
  }
  close(fd);
  return NULL;
}

static void *serve(void *unused) {
  (void)unused;
  int fd;
  while ((fd = accept(listener, NULL, NULL)) >= 0) {
    pthread_t id;
    atomic_fetch_add(&arrived, 1);
    ck_assert_int_eq(pthread_create(&id, NULL, serve_one, (void *)(intptr_t)fd), 0);
    (void)pthread_detach(id);
  }
  return NULL;
}

static void open_kitchen(void) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof here;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(bind(listener, (struct sockaddr *)&here, sizeof here), 0);
  ck_assert_int_eq(listen(listener, 128), 0);
  ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&here, &size), 0);
  kitchen_port = ntohs(here.sin_port);
  ck_assert_int_eq(tci_thread_start(&cook, "kitchen", serve, NULL), 0);
}

static void close_kitchen(void) {
  if (listener < 0) return;
  (void)shutdown(listener, SHUT_RDWR); /* wakes accept */
  tci_thread_join(&cook);
  close(listener);
  listener = -1;
}

static void start(uint32_t connections) {
  open_kitchen();
  front_options.kitchen_connections = connections;
  front_open();
  ck_assert_int_eq(tcd_front_set_kitchen(front, kitchen_port, admit, &listener), TC_OK);
  front_run();
}

static void end(void) {
  front_end();
  close_kitchen();
  ck_assert_int_eq(atomic_load(&admitted_count), 0); /* told of every end */
  ck_assert_int_eq(atomic_load(&strangers), 0);      /* and of every request before it came */
}

START_TEST(passes_on_and_back) {
  start(2);
  int fd = client_open();
  client_send(fd, "POST /k/echo?q=\xC3\xA9 HTTP/1.1\r\nHost: h\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  ck_assert_str_eq(client_read(fd, 0),
                   "HTTP/1.1 207 Unknown\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/echo\r\nX-Own: 1\r\nContent-Length: 73\r\n\r\n"
                   "POST /k/echo?q=%C3%A9 HTTP/1.1\r\nContent-Length: 3\r\nHost: h\r\nX-A: b\r\n\r\nabc");
  client_send(fd, "HEAD /k/echo HTTP/1.1\r\nHost: h\r\n\r\n");
  ck_assert_ptr_nonnull(strstr(client_read(fd, 1), "Content-Length: 52\r\n"));
  for (int i = 0; i < 10; i++) {
    client_send(fd, GET("/k/echo") GET("/echo"));
    ck_assert_int_eq(client_status(fd), 207);
    ck_assert_int_eq(client_status(fd), 200);
  }
  FRONT_WAIT(atomic_load(&arrived) >= 2);
  ck_assert_int_eq(atomic_load(&arrived), 2); /* both were made at the start, and are kept */
  FRONT_WAIT(front_stats().buffered_bytes == 0);
  end();
}
END_TEST

START_TEST(large_bodies) {
  static char body[1 << 20];
  start(2);
  memset(body, 'x', sizeof body);
  int fd = client_open();
  client_send(fd, "POST /k/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n");
  client_send_bytes(fd, body, sizeof body);
  const char *echo = body_of(body_of(client_read(fd, 0)));
  ck_assert_uint_eq(strlen(echo), sizeof body);
  ck_assert_mem_eq(echo, body, sizeof body);
  end();
}
END_TEST

START_TEST(more_clients_than_connections) {
  int fds[40];
  start(3);
  for (int i = 0; i < 40; i++) fds[i] = client_open();
  for (int turn = 0; turn < 5; turn++) {
    for (int i = 0; i < 40; i++) client_send(fds[i], GET("/k/echo"));
    for (int i = 0; i < 40; i++) ck_assert_int_eq(client_status(fds[i]), 207);
  }
  ck_assert_int_le(atomic_load(&arrived), 3);
  end();
}
END_TEST

/* What the kitchen does wrong is a 503 for that one request, and nothing else. */
static const char *const faults[] = {"/k/die", "/k/half", "/k/bad", "/k/huge"};

START_TEST(faults_are_a_503) {
  char request[64];
  start(2);
  int fd = client_open();
  (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", faults[_i]);
  client_send(fd, request);
  ck_assert_ptr_nonnull(strstr(client_read(fd, 0), "Retry-After: "));
  client_send(fd, GET("/k/echo"));
  ck_assert_int_eq(client_status(fd), 207);
  end();
}
END_TEST

START_TEST(only_what_is_safe_is_sent_again) {
  start(1);
  int fd = client_open();
  client_send(fd, GET("/k/flaky"));
  ck_assert_int_eq(client_status(fd), 207);
  ck_assert_int_eq(atomic_load(&dishes), 2);
  atomic_store(&flaky, 0);
  client_send(fd, "POST /k/flaky HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1");
  const char *answer = client_read(fd, 0);
  ck_assert_int_eq(strncmp(answer, "HTTP/1.1 503 ", 13), 0);
  ck_assert_ptr_nonnull(strstr(answer, "outcome unknown")); /* it may have been done */
  ck_assert_int_eq(atomic_load(&dishes), 3);
  end();
}
END_TEST

START_TEST(closed_between_requests) {
  start(1);
  int fd = client_open();
  for (int i = 1; i <= 5; i++) {
    client_send(fd, "POST /k/once HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    ck_assert_int_eq(client_status(fd), 207);
    FRONT_WAIT(atomic_load(&admitted_count) == 0); /* the front has seen the close */
    ck_assert_int_eq(atomic_load(&arrived), i);
  }
  end();
}
END_TEST

START_TEST(deadline_of_the_kitchen_and_of_its_queue) {
  start(1);
  int first = client_open();
  client_send(first, GET("/k/wait"));
  FRONT_WAIT(atomic_load(&dishes) == 1);
  front_advance(30000);
  int second = client_open(), third = client_open();
  client_send(second, GET("/k/echo")); /* waits for the one connection */
  client_send(third, GET("/echo"));
  ck_assert_int_eq(client_status(third), 200);
  FRONT_WAIT(front_stats().requests == 3);
  front_advance(29000);
  front_nap();
  ck_assert(client_silent(first) && client_silent(second));
  front_advance(1100);
  ck_assert_int_eq(client_status(first), 503);
  ck_assert_int_eq(client_status(second), 207);
  end();
}
END_TEST

START_TEST(client_goes_while_the_kitchen_works) {
  start(1);
  int first = client_open(), second = client_open(), third = client_open();
  struct linger reset = {1, 0};
  client_send(first, GET("/k/wait"));
  FRONT_WAIT(atomic_load(&dishes) == 1);
  client_send(second, GET("/k/echo"));
  FRONT_WAIT(front_stats().requests == 2);
  ck_assert_int_eq(setsockopt(first, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  ck_assert_int_eq(setsockopt(second, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  close(first);
  close(second);
  client_send(third, GET("/k/echo"));
  FRONT_WAIT(front_stats().connections == 1 && front_stats().requests == 3);
  front_advance(60100);
  int status = client_status(third);
  ck_assert(status == 207 || status == 503); /* served next, or as late as the first */
  ck_assert_int_le(atomic_load(&dishes), 2); /* the second was never cooked */
  end();
}
END_TEST

START_TEST(queue_is_bounded) {
  enum { N = 1100 };
  static int fds[N];
  int refused = 0;
  start(1);
  for (int i = 0; i < N; i++) {
    fds[i] = client_open();
    client_send(fds[i], GET("/k/wait"));
  }
  FRONT_WAIT(front_stats().requests == N && front_stats().refused > 0);
  for (int i = 0; i < N; i++) {
    if (client_silent(fds[i])) continue;
    ck_assert_int_eq(client_status(fds[i]), 503);
    refused++;
  }
  ck_assert_int_gt(refused, N - 1024 - 32);
  ck_assert_int_le(refused, N - 1024);
  end();
}
END_TEST

START_TEST(no_kitchen_at_all) {
  open_kitchen();
  close_kitchen();
  front_open();
  ck_assert_int_eq(tcd_front_set_kitchen(front, kitchen_port, admit, &listener), TC_OK);
  front_run();
  int fd = client_open();
  client_send(fd, GET("/k/echo") GET("/echo"));
  ck_assert_int_eq(client_status(fd), 503);
  ck_assert_int_eq(client_status(fd), 200);
  end();
}
END_TEST

START_TEST(stop_waits_for_the_kitchen) {
  start(1);
  int fd = client_open();
  client_send(fd, GET("/k/wait"));
  FRONT_WAIT(atomic_load(&dishes) == 1);
  tcd_front_stop(front, 3600000);
  front_nap();
  ck_assert(client_silent(fd));
  tcd_front_stop(front, 0);
  front_join();
  ck_assert(client_ended(fd));
  end();
}
END_TEST

int main(void) {
  const TTest *const tests[] = {passes_on_and_back,
                                large_bodies,
                                more_clients_than_connections,
                                only_what_is_safe_is_sent_again,
                                closed_between_requests,
                                deadline_of_the_kitchen_and_of_its_queue,
                                client_goes_while_the_kitchen_works,
                                queue_is_bounded,
                                no_kitchen_at_all,
                                stop_waits_for_the_kitchen};
  Suite *suite = suite_create("pool");
  TCase *tcase = tcase_create("pool");
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) tcase_add_test(tcase, tests[i]);
  tcase_add_loop_test(tcase, faults_are_a_503, 0, sizeof faults / sizeof faults[0]);
  tcase_set_timeout(tcase, 60);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
