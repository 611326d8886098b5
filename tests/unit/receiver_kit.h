/* receiver_kit.h - a receiver of webhooks for tests: an HTTP/1.1 server in a thread of its own that answers by path, on any free port. */
#ifndef TEST_RECEIVER_KIT_H
#define TEST_RECEIVER_KIT_H

#include <stddef.h>
#include <stdint.h>

enum { RECEIVER_KEEP, RECEIVER_CLOSE, RECEIVER_RESET, RECEIVER_REPEAT /* text again and again, as long as it is read */ };

typedef struct receiver_answer {
  const char *path;
  const char *text; /* all of it, with the head; NULL: no answer (with RECEIVER_KEEP: ever) */
  size_t len;       /* 0: as long as text */
  int then;
  const char *repeat; /* for RECEIVER_REPEAT */
} receiver_answer;

typedef struct receiver receiver;

/* address: "127.0.0.1", or "0.0.0.0" for all of 127.0.0.0/8. answers ends with a path of NULL and is borrowed; other paths are answered with 200 and "ok". Fails the test when it cannot. */
receiver *receiver_start(const char *address, const receiver_answer *answers);
void receiver_stop(receiver *receiver);
uint16_t receiver_port(const receiver *receiver);

typedef struct receiver_counts {
  int connections, open, most_open, requests;
  int elsewhere; /* connections that were not made to 127.0.0.1 */
} receiver_counts;
receiver_counts receiver_count(receiver *receiver);
/* The last request with its body, NUL-terminated; cut to size. */
size_t receiver_last(receiver *receiver, char *out, size_t size);

/* A listener that accepts nothing and whose queue is full: a connect to it gets no answer. Close both with close_silent. */
typedef struct silent {
  int listener, fill[8];
  uint16_t port;
} silent;
void open_silent(silent *out);
void close_silent(silent *silent);

#endif
