/* stream_hooks.c - the HTTP callbacks of a media server (SRS: `http_hooks`; nginx-rtmp's are alike) as the life of a room: a stream that is published opens its room, one that ends closes
 * it, and whoever plays it is a reaction in it. The engine's threads do the writing; the callbacks are answered one after the other.
 *
 * cc stream_hooks.c $(pkg-config --cflags --libs tipcurrent) && ./a.out 8085 sqlite:streams.db
 *
 * In srs.conf:  http_hooks { enabled on; on_publish http://127.0.0.1:8085/; on_unpublish http://127.0.0.1:8085/; on_play http://127.0.0.1:8085/; on_stop http://127.0.0.1:8085/; }
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <tipcurrent.h>
#include <unistd.h>

#define ROOMS 256 /* that are open at a time */

static tc_engine *engine;
static char rooms[ROOMS][256]; /* "": a free place */
static volatile sig_atomic_t stop;

/* ---- what SRS says ---- */

/* {"action":"on_publish","client_id":"9308h583","app":"live","stream":"livestream",...}: the text of a member. 0: it is not there, or has an escape, which no name of a stream needs. */
static int member(const char *json, const char *name, char *out, size_t size) {
  char quoted[64];
  (void)snprintf(quoted, sizeof quoted, "\"%s\"", name);
  const char *at = strstr(json, quoted);
  if (!at) return 0;
  at += strlen(quoted);
  at += strspn(at, " \t\r\n");
  if (*at++ != ':') return 0;
  at += strspn(at, " \t\r\n");
  if (*at++ != '"') return 0;
  size_t len = strcspn(at, "\"\\");
  if (at[len] != '"' || !len || len >= size) return 0;
  memcpy(out, at, len);
  out[len] = '\0';
  return 1;
}

/* ---- rooms ---- */

static char *find(const char *room) {
  for (int i = 0; i < ROOMS; i++) {
    if (!strcmp(rooms[i], room)) return rooms[i];
  }
  return NULL;
}

/* For everybody who follows the room, and for its webhooks. */
static int announce(const char *type, const char *room, const char *who) {
  tc_activity_new said = TC_ACTIVITY_NEW_INIT;
  said.type = type;
  said.room_id = room;
  said.user_id = who;
  return tc_activity_create(engine, &said, NULL, NULL);
}

static int open_room(const char *room, const char *who) {
  char *place = find(room);
  if (place) return TC_OK; /* the publisher came back before the server noticed that he was gone */
  place = find("");
  if (!place) return TC_ELIMIT;
  int code = announce("stream_started", room, who);
  if (!code) (void)snprintf(place, sizeof rooms[0], "%s", room);
  return code;
}

static int close_room(const char *room, const char *who) {
  char *place = find(room);
  tc_page *page = NULL;
  tc_reaction_query seen = TC_REACTION_QUERY_INIT;
  seen.room_id = room;
  if (!place) return TC_OK;
  int code = announce("stream_ended", room, who);
  if (!code) *place = '\0';
  if (!code) code = tc_reaction_list(engine, &seen, &page);
  if (!code) printf("%s has ended, %lld reactions\n", room, (long long)tc_page_total(page));
  tc_page_free(page);
  return code;
}

static int play(const char *room, const char *who) {
  tc_reaction_new here = TC_REACTION_NEW_INIT;
  here.room_id = room;
  here.user_id = who;
  here.emoji = "👀";
  if (!find(room)) return TC_ENOTFOUND; /* nobody publishes there: SRS turns the viewer away */
  return tc_reaction_create(engine, &here, NULL, NULL);
}

static int obey(const char *body) {
  char action[32], who[128], app[100], stream[128], room[256];
  if (!member(body, "action", action, sizeof action) || !member(body, "client_id", who, sizeof who) || !member(body, "app", app, sizeof app) ||
      !member(body, "stream", stream, sizeof stream))
    return TC_EINVAL;
  (void)snprintf(room, sizeof room, "%s/%s", app, stream);
  int code = TC_OK;
  if (!strcmp(action, "on_publish")) code = open_room(room, who);
  else if (!strcmp(action, "on_unpublish")) code = close_room(room, who);
  else if (!strcmp(action, "on_play")) code = play(room, who);
  printf("%s %s by %s: %s\n", action, room, who, code ? tc_strerror(code) : "ok");
  return code;
}

/* ---- as little HTTP as it takes: one request a connection, with a Content-Length ---- */

/* The body, NUL-terminated in request; NULL: what came is none. */
static const char *receive(int fd, char *request, size_t size) {
  size_t len = 0, need = 0;
  while (!need || len < need) {
    ssize_t n = recv(fd, request + len, size - 1 - len, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return NULL; /* gone, too slow (SO_RCVTIMEO), or more than there is room for */
    len += (size_t)n;
    request[len] = '\0';
    const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\nContent-Length:");
    if (!end) continue;
    if (!length || length > end) return NULL;
    unsigned long body = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    if (body >= size) return NULL;
    need = (size_t)(end + 4 - request) + body;
  }
  return strstr(request, "\r\n\r\n") + 4;
}

static void answer(int fd) {
  static char request[16384];
  struct timeval patience = {2, 0};
  char reply[128];
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const char *body = receive(fd, request, sizeof request);
  if (!body) return;
  /* SRS goes on only with {"code":0}. */
  int n = snprintf(reply, sizeof reply, "{\"code\":%d}", -obey(body));
  char whole[256];
  int len = snprintf(whole, sizeof whole, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, reply);
  (void)send(fd, whole, (size_t)len, MSG_NOSIGNAL); /* a server that does not wait for it asks again */
}

/* other: the signals as they were. Those that end the program come only while it waits, so none is missed between a look at stop and the wait. */
static int serve(uint16_t port, const sigset_t *other) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(listener, (struct sockaddr *)&at, len) || listen(listener, 64) ||
      getsockname(listener, (struct sockaddr *)&at, &len)) {
    perror("listen");
    return 1;
  }
  printf("listening on 127.0.0.1:%u\n", ntohs(at.sin_port));
  while (!stop) {
    struct pollfd watched = {listener, POLLIN, 0};
    (void)fflush(stdout);
    if (ppoll(&watched, 1, NULL, other) < 1) continue;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) continue; /* the client has left */
    answer(fd);
    (void)close(fd);
  }
  return close(listener);
}

static void on_stop(int signal) {
  (void)signal;
  stop = 1;
}

int main(int argc, char **argv) {
  struct sigaction ending = {.sa_handler = on_stop};
  sigset_t ends, other;
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = argc > 2 ? argv[2] : "memory:";
  int code = tc_open(&engine, &options);
  const char *const types[] = {"stream_started", "stream_ended"};
  for (int i = 0; i < 2 && !code; i++) code = tc_event_type_create(engine, types[i], "of a media server", NULL, NULL, NULL);
  if (code) fprintf(stderr, "%s: %s\n", tc_strerror(code), tc_last_error());
  (void)sigaction(SIGTERM, &ending, NULL);
  (void)sigaction(SIGINT, &ending, NULL);
  (void)sigemptyset(&ends);
  (void)sigaddset(&ends, SIGTERM);
  (void)sigaddset(&ends, SIGINT);
  (void)sigprocmask(SIG_BLOCK, &ends, &other);
  if (!code) code = serve(argc > 1 ? (uint16_t)atoi(argv[1]) : 0, &other);
  return tc_close(engine) || code;
}
