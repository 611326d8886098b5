/* host_loop.c - libtipcurrent inside a program that has a loop of its own and wants no threads: one epoll set holds the program's descriptors and the engine's.
 *
 * Here the program's own is a pipe from which it reads one JSON tip a line (main fills it); each is submitted, answered after its commit, and followed by a subscription.
 *
 * cc host_loop.c $(pkg-config --cflags --libs tipcurrent) && ./a.out sqlite:hello.db
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <tipcurrent.h>
#include <unistd.h>

typedef struct program {
  tc_engine *engine;
  FILE *input;
  int submitted, answered, followed, failed;
} program;

static int complain(const char *what, int code) {
  fprintf(stderr, "%s: %s\n", what, *tc_last_error() ? tc_last_error() : tc_strerror(code));
  return 1;
}

/* After the commit, from within tc_engine_poll: this program has no other thread, so nothing here needs a lock. */
static void on_done(const tc_result *result, void *userdata) {
  program *p = userdata;
  p->answered++;
  if (result->code) {
    p->failed = 1;
    fprintf(stderr, "tip: %s\n", result->detail);
  }
}

static void on_event(const tc_event *event, void *userdata) {
  program *p = userdata;
  p->followed++;
  printf("%s\n", tc_event_json(event, NULL));
}

/* 1: there was a line. */
static int read_line(program *p) {
  char line[4096];
  if (!fgets(line, sizeof line, p->input)) return 0;
  int code = tc_json_submit(p->engine, TC_KIND_TIP, line, strlen(line), NULL, on_done, p);
  if (code) p->failed = complain("submit", code);
  else p->submitted++;
  return 1;
}

static int watch(int epoll_fd, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int loop(program *p) {
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC), input_fd = fileno(p->input), open = 1;
  if (epoll_fd < 0 || watch(epoll_fd, input_fd) || watch(epoll_fd, tc_engine_fd(p->engine))) {
    perror("epoll");
    return 1;
  }
  while (!p->failed && (open || p->answered < p->submitted || p->followed < p->answered)) {
    struct epoll_event event;
    if (epoll_wait(epoll_fd, &event, 1, -1) < 1) continue;
    if (event.data.fd == input_fd) {
      open = read_line(p);
      if (!open) (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, input_fd, &event);
    } else {
      int code = tc_engine_poll(p->engine, 0); /* it waits in our epoll_wait, never by itself */
      if (code) p->failed = complain("poll", code);
    }
  }
  (void)close(epoll_fd);
  return p->failed;
}

int main(int argc, char **argv) {
  int ends[2];
  program p = {0};
  tc_sub *sub = NULL;
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = argc > 1 ? argv[1] : "memory:";
  options.flags = TC_NO_THREADS;
  int code = tc_open(&p.engine, &options);
  if (code) return complain("open", code);
  code = tc_subscribe(p.engine, NULL, on_event, &p, &sub);
  if (code) p.failed = complain("subscribe", code);

  if (pipe(ends)) return 1;
  for (int i = 1; i <= 3; i++) dprintf(ends[1], "{\"roomId\":\"gaming_stream_123\",\"senderId\":\"alice\",\"recipientId\":\"bob\",\"amount\":%d}\n", i);
  (void)close(ends[1]);
  p.input = fdopen(ends[0], "r");
  if (!p.input) return 1;
  setbuf(p.input, NULL); /* or a line could wait in the buffer while epoll sees an empty pipe */

  if (!p.failed) p.failed = loop(&p);
  (void)fclose(p.input);
  tc_sub_close(sub);
  code = tc_close(p.engine);
  return code ? complain("close", code) : p.failed;
}
