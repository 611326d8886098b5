#include "sockjs_kit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front_kit.h"

_Atomic int sockjs_opened, sockjs_closed, sockjs_blocked;
uint32_t sockjs_limit;
static tcd_hub *hub;
static tcd_sockjs *mounts[2];

static int echo_open(const tcd_service *service, tcd_pipe *pipe) {
  pipe->session = (void *)(uintptr_t)service;
  atomic_fetch_add(&sockjs_opened, 1);
  return 0;
}

static int talk_open(const tcd_service *service, tcd_pipe *pipe) {
  (void)echo_open(service, pipe);
  pipe->ops->send(pipe, (tc_text){"one", 3});
  pipe->ops->send(pipe, (tc_text){"two", 3});
  pipe->ops->close(pipe, 3000, "Go away!");
  pipe->ops->close(pipe, 3001, "again");
  pipe->ops->send(pipe, (tc_text){"behind", 6});
  return 0;
}

static void on_message(tcd_pipe *pipe, char *data, size_t len) { pipe->ops->send(pipe, (tc_text){data, len}); }

static void on_closed(tcd_pipe *pipe) {
  ck_assert_ptr_nonnull(pipe->session);
  pipe->ops->close(pipe, 1000, "too late"); /* does nothing, and no harm */
  pipe->ops->send(pipe, (tc_text){"too late", 8});
  atomic_fetch_add(&sockjs_closed, 1);
}

static void on_cut(tcd_pipe *pipe, tcd_cursor *cursor, int why, int64_t resume_seq) { (void)pipe, (void)cursor, (void)why, (void)resume_seq; }

static const tcd_service echo = {echo_open, on_message, on_closed, on_cut, NULL};
static const tcd_service talk = {talk_open, on_message, on_closed, on_cut, NULL};

static int serve(const tcd_request *request, tcd_reply *reply) {
  if (tcd_text_is(request->path, "/block")) {
    sockjs_blocked = 1;
    while (sockjs_blocked) front_nap();
  }
  return tcd_sockjs_request(mounts[0], request, reply) || tcd_sockjs_request(mounts[1], request, reply);
}

static tcd_sockjs *mount_at(const char *prefix, const tcd_service *service) {
  tcd_sockjs_options options = {.prefix = prefix, .service = service, .hub = hub, .response_bytes = 4096, .websocket = 1, .max_sessions = sockjs_limit};
  tcd_sockjs *made = NULL;
  ck_assert_int_eq(tcd_sockjs_open(&made, &options), TC_OK);
  return made;
}

void sockjs_begin(void) {
  front_hook = serve;
  front_open();
  ck_assert_int_eq(tcd_hub_open(&hub, &(tcd_hub_options){.front = front}), TC_OK);
  mounts[0] = mount_at("/echo", &echo);
  mounts[1] = mount_at("/talk", &talk);
  front_run();
}

void sockjs_stop(void) {
  tcd_front_stop(front, 0);
  tcd_front_stop(front, 0); /* at once: the clock stands still */
  front_join();
}

void sockjs_end(void) {
  for (int i = 0; i < 2; i++) tcd_sockjs_close(mounts[i]);
  ck_assert_int_eq(sockjs_closed, sockjs_opened);
  tcd_hub_close(hub);
  front_end();
}

static void send_head(int fd, const char *path, size_t len, int has_body) {
  char head[512];
  int size = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", has_body ? "POST" : "GET", path, len);
  client_send_bytes(fd, head, (size_t)size);
}

const char *sockjs_post_bytes(const char *path, const char *body, size_t len) {
  static char text[8 << 20];
  int fd = client_open(), status = 0;
  send_head(fd, path, len, 1);
  client_send_bytes(fd, body, len);
  const char *response = client_read(fd, 0);
  ck_assert_int_eq(sscanf(response, "HTTP/1.1 %d ", &status), 1);
  (void)snprintf(text, sizeof text, "%d %s", status, body_of(response));
  close(fd);
  return text;
}

const char *sockjs_post(const char *path, const char *body) { return sockjs_post_bytes(path, body, strlen(body)); }

void sockjs_ask(int fd, const char *path, const char *body) {
  send_head(fd, path, body ? strlen(body) : 0, body != NULL);
  if (body) client_send(fd, body);
}

const char *sockjs_answer(int fd) { return body_of(client_read(fd, 0)); }

int sockjs_stream(const char *path) {
  int fd = client_open();
  sockjs_ask(fd, path, "");
  ck_assert_ptr_nonnull(strstr(client_read(fd, 1), "\r\nTransfer-Encoding: chunked\r\n"));
  return fd;
}

static void read_all(int fd, char *to, size_t len) { ck_assert_int_eq(recv(fd, to, len, MSG_WAITALL), (ssize_t)len); }

const char *sockjs_chunk(int fd) {
  static char text[8 << 20];
  char size[24];
  size_t len = 0, i = 0;
  do {
    ck_assert_uint_lt(i, sizeof size - 1);
    read_all(fd, &size[i], 1);
  } while (size[i++] != '\n');
  len = strtoul(size, NULL, 16);
  ck_assert_uint_lt(len, sizeof text - 2);
  read_all(fd, text, len + 2);
  ck_assert_mem_eq(text + len, "\r\n", 2);
  text[len] = '\0';
  return text;
}

void sockjs_expect(int fd, const char *chunk) { ck_assert_str_eq(sockjs_chunk(fd), chunk); }
