/* sockjs_services.c - what the public SockJS conformance suite (sockjs/sockjs-protocol) runs against: the daemon's reactor and SockJS modules with an echo and a closing service in
 * place of STOMP, and responses that end after 4,096 bytes. It stops on SIGTERM or SIGINT.
 *
 *   sockjs_services --listen 127.0.0.1:8081
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "server/front/front.h"
#include "server/live/hub.h"
#include "server/sockjs/sockjs.h"

#define RESPONSE_BYTES 4096
#define SERVICES 4

static tcd_front *front;
static tcd_sockjs *mounts[SERVICES];
static tcd_hub *hub;

static int echo_open(const tcd_service *service, tcd_pipe *pipe) {
  (void)service;
  pipe->session = pipe; /* there is nothing to remember */
  return 0;
}

static void echo_message(tcd_pipe *pipe, char *data, size_t len) { pipe->ops->send(pipe, (tc_text){data, len}); }

static int close_open(const tcd_service *service, tcd_pipe *pipe) {
  (void)service;
  pipe->session = pipe;
  pipe->ops->close(pipe, 3000, "Go away!");
  return 0;
}

static void ignore_message(tcd_pipe *pipe, char *data, size_t len) { (void)pipe, (void)data, (void)len; }
static void ignore_closed(tcd_pipe *pipe) { (void)pipe; }
static void ignore_cut(tcd_pipe *pipe, tcd_cursor *cursor, int why, int64_t resume_seq) { (void)pipe, (void)cursor, (void)why, (void)resume_seq; }

static const tcd_service echo_service = {echo_open, echo_message, ignore_closed, ignore_cut, NULL};
static const tcd_service close_service = {close_open, ignore_message, ignore_closed, ignore_cut, NULL};

static const struct {
  const char *prefix;
  const tcd_service *service;
  int websocket, cookie_needed;
} services[SERVICES] = {
  {"/echo", &echo_service, 1, 0},
  {"/close", &close_service, 1, 0},
  {"/disabled_websocket_echo", &echo_service, 0, 0},
  {"/cookie_needed_echo", &echo_service, 1, 1},
};

static void on_refusal(void *app, const tcd_request *request, int status, const char *message, tcd_reply *reply) {
  (void)app, (void)request, (void)status;
  reply->content_type = "text/plain; charset=UTF-8";
  (void)tci_buf_puts(&reply->body, message);
}

static void on_request(void *app, const tcd_request *request, tcd_reply *reply) {
  (void)app;
  for (int i = 0; i < SERVICES; i++) {
    if (tcd_sockjs_request(mounts[i], request, reply)) return;
  }
  reply->status = 404;
  tcd_reply_send(reply);
}

static void on_signal(int number) {
  (void)number;
  tcd_front_stop(front, 1000);
}

static int open_services(const char *listen, char *error, size_t error_size) {
  tcd_front_options options = {.listen = listen, .on_request = on_request, .on_refusal = on_refusal};
  int rc = tcd_front_open(&front, &options, error, error_size);
  if (!rc) rc = tcd_hub_open(&hub, &(tcd_hub_options){.front = front});
  for (int i = 0; i < SERVICES && !rc; i++) {
    tcd_sockjs_options mount = {.prefix = services[i].prefix, .service = services[i].service, .hub = hub, .response_bytes = RESPONSE_BYTES};
    mount.websocket = services[i].websocket;
    mount.cookie_needed = services[i].cookie_needed;
    rc = tcd_sockjs_open(&mounts[i], &mount);
  }
  return rc;
}

int main(int argc, char **argv) {
  char error[256] = "out of memory";
  int rc = 1;
  if (argc != 3 || strcmp(argv[1], "--listen") != 0) {
    (void)fprintf(stderr, "usage: sockjs_services --listen ADDRESS:PORT\n");
    return 2;
  }
  if (open_services(argv[2], error, sizeof error)) {
    (void)fprintf(stderr, "sockjs_services: %s\n", error);
  } else {
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    (void)printf("listening on http://%s\n", tcd_front_address(front));
    (void)fflush(stdout);
    rc = tcd_front_run(front);
  }
  for (int i = 0; i < SERVICES; i++) tcd_sockjs_close(mounts[i]);
  tcd_hub_close(hub);
  tcd_front_close(front);
  return rc;
}
