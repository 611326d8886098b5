/* epoll_host.c - a small chat server whose chat can tip. One thread, one epoll set: the listener, the clients, the signals, and the engine (TC_NO_THREADS).
 *
 * cc epoll_host.c $(pkg-config --cflags --libs tipcurrent) && ./a.out 7000 sqlite:chat.db
 * nc 127.0.0.1 7000
 *   join gaming_stream_123 alice     from now on you see what happens in the room, a line of JSON each
 *   tip bob 25.00 great play         "stored 1" once it is on disk
 *   react 🔥
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <tipcurrent.h>
#include <unistd.h>

typedef struct client {
  struct client *next;
  int fd, pending, gone; /* pending: submits that are not answered yet; a client that is gone stays for them */
  char room[64], name[64];
  char in[1024], out[65536];
  size_t in_len, out_len;
} client;

static struct host {
  int epoll_fd, listener, signals, stop;
  tc_engine *engine;
  client *clients;
} host;

/* ---- clients ---- */

static void watch(int how, int fd, uint32_t events, void *who) {
  struct epoll_event event = {.events = events, .data.ptr = who};
  if (epoll_ctl(host.epoll_fd, how, fd, &event)) perror("epoll_ctl");
}

static void drop(client *c) {
  if (!c->gone) (void)close(c->fd);
  c->gone = 1;
}

static void flush(client *c) {
  while (!c->gone && c->out_len) {
    ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return drop(c);
    c->out_len -= (size_t)n;
    memmove(c->out, c->out + n, c->out_len);
  }
  if (!c->gone) watch(EPOLL_CTL_MOD, c->fd, c->out_len ? EPOLLIN | EPOLLOUT : EPOLLIN, c);
}

/* One line. Who does not read what he gets is cut off, instead of the host growing for him. */
static void say(client *c, const char *text) {
  size_t len = strlen(text);
  if (c->gone) return;
  if (c->out_len + len + 1 > sizeof c->out) return drop(c);
  memcpy(c->out + c->out_len, text, len);
  c->out[c->out_len + len] = '\n';
  c->out_len += len + 1;
  flush(c);
}

static void sweep(void) {
  for (client **at = &host.clients; *at;) {
    client *c = *at;
    if (c->gone && !c->pending) {
      *at = c->next;
      free(c);
    } else {
      at = &c->next;
    }
  }
}

/* ---- the engine's answers: from inside tc_engine_poll, so on this thread, and nothing needs a lock ---- */

static void on_done(const tc_result *result, void *userdata) {
  client *c = userdata;
  char line[600];
  c->pending--;
  if (result->code) (void)snprintf(line, sizeof line, "refused: %s", result->detail);
  else (void)snprintf(line, sizeof line, "stored %lld", (long long)tc_event_id(result->event));
  say(c, line);
}

static void on_event(const tc_event *event, void *userdata) {
  const char *room = tc_event_str(event, TC_FIELD_ROOM_ID);
  (void)userdata;
  for (client *c = host.clients; c; c = c->next) {
    if (room && !strcmp(c->room, room)) say(c, tc_event_json(event, NULL));
  }
}

/* ---- what a client says ---- */

/* "25" or "25.00" in hundredths; what is none is 0, which the engine refuses. */
static int64_t hundredths(const char *text) {
  char *end;
  errno = 0;
  long long whole = strtoll(text, &end, 10), cents = 0;
  if (errno || end == text || whole < 0 || whole > 1000000000) return 0;
  if (*end == '.' && strlen(end) == 3 && strspn(end + 1, "0123456789") == 2) cents = (end[1] - '0') * 10 + (end[2] - '0');
  else if (*end) return 0;
  return whole * 100 + cents;
}

static void submitted(client *c, int code) {
  char line[600];
  (void)snprintf(line, sizeof line, "refused: %s", tc_last_error()); /* TC_EBUSY, or the caller's mistake: on_done does not come then */
  if (code) say(c, line);
  else c->pending++;
}

static void obey(client *c, char *line) {
  char *rest = line, *verb = strsep(&rest, " "), *first = strsep(&rest, " ");
  if (!strcmp(verb, "join") && first && rest) {
    (void)snprintf(c->room, sizeof c->room, "%s", first);
    (void)snprintf(c->name, sizeof c->name, "%s", rest);
    say(c, "welcome");
  } else if (!*c->room) {
    say(c, "join ROOM NAME first");
  } else if (!strcmp(verb, "tip") && first && rest) {
    tc_tip_new tip = TC_TIP_NEW_INIT;
    tip.room_id = c->room;
    tip.sender_id = c->name;
    tip.recipient_id = first;
    tip.amount = hundredths(strsep(&rest, " "));
    tip.message = rest;
    submitted(c, tc_tip_submit(host.engine, &tip, on_done, c));
  } else if (!strcmp(verb, "react") && first) {
    tc_reaction_new reaction = TC_REACTION_NEW_INIT;
    reaction.room_id = c->room;
    reaction.user_id = c->name;
    reaction.emoji = first;
    submitted(c, tc_reaction_submit(host.engine, &reaction, on_done, c));
  } else {
    say(c, "tip RECIPIENT AMOUNT [MESSAGE], or react EMOJI");
  }
}

static void listen_to(client *c) {
  ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return drop(c);
  c->in_len += (size_t)n;
  for (char *end; !c->gone && (end = memchr(c->in, '\n', c->in_len));) {
    size_t used = (size_t)(end - c->in) + 1;
    *end = '\0';
    c->in[strcspn(c->in, "\r")] = '\0';
    obey(c, c->in);
    c->in_len -= used;
    memmove(c->in, c->in + used, c->in_len);
  }
  if (c->in_len == sizeof c->in) drop(c); /* no line is as long */
}

static void welcome(void) {
  int fd = accept4(host.listener, NULL, NULL, SOCK_CLOEXEC);
  client *c = fd < 0 ? NULL : calloc(1, sizeof *c);
  if (!c) {
    if (fd >= 0) (void)close(fd);
    return;
  }
  c->fd = fd;
  c->next = host.clients;
  host.clients = c;
  watch(EPOLL_CTL_ADD, fd, EPOLLIN, c);
}

/* ---- the loop ---- */

static int loop(void) {
  while (!host.stop) {
    struct epoll_event events[64];
    int n = epoll_wait(host.epoll_fd, events, 64, -1), code = TC_OK;
    for (int i = 0; i < n; i++) {
      void *who = events[i].data.ptr;
      client *c = who;
      if (who == &host.listener) welcome();
      else if (who == &host.signals) host.stop = 1;
      else if (who == &host.engine) code = tc_engine_poll(host.engine, 0); /* never waits: the waiting is done above */
      else if (!c->gone && events[i].events & EPOLLOUT) flush(c);
      else if (!c->gone) listen_to(c);
    }
    if (code) return fprintf(stderr, "engine: %s\n", tc_last_error()), 1;
    sweep();
  }
  return 0;
}

static int set_up(uint16_t port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int on = 1;
  sigset_t stop;
  (void)sigemptyset(&stop);
  (void)sigaddset(&stop, SIGINT);
  (void)sigaddset(&stop, SIGTERM);
  host.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  host.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sigprocmask(SIG_BLOCK, &stop, NULL) || (host.signals = signalfd(-1, &stop, SFD_CLOEXEC)) < 0 || host.epoll_fd < 0 || host.listener < 0) return -1;
  if (setsockopt(host.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(host.listener, (struct sockaddr *)&at, len)) return -1;
  if (listen(host.listener, 64) || getsockname(host.listener, (struct sockaddr *)&at, &len)) return -1;
  watch(EPOLL_CTL_ADD, host.listener, EPOLLIN, &host.listener);
  watch(EPOLL_CTL_ADD, host.signals, EPOLLIN, &host.signals);
  watch(EPOLL_CTL_ADD, tc_engine_fd(host.engine), EPOLLIN, &host.engine);
  printf("listening on 127.0.0.1:%u\n", ntohs(at.sin_port));
  return fflush(stdout);
}

int main(int argc, char **argv) {
  tc_options options = TC_OPTIONS_INIT;
  tc_sub *sub = NULL;
  options.storage_url = argc > 2 ? argv[2] : "memory:";
  options.flags = TC_NO_THREADS;
  int code = tc_open(&host.engine, &options);
  if (!code) code = tc_subscribe(host.engine, NULL, on_event, NULL, &sub);
  if (code) fprintf(stderr, "%s: %s\n", tc_strerror(code), tc_last_error());
  else if (set_up(argc > 1 ? (uint16_t)atoi(argv[1]) : 0)) code = (perror("listen"), 1);
  if (!code) code = loop();
  tc_sub_close(sub);
  if (tc_close(host.engine)) code = 1; /* commits and answers what was submitted: on_done still finds its client */
  for (client *c = host.clients; c; c = c->next) drop(c);
  sweep();
  return code != 0;
}
