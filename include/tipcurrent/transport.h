/* transport.h - how webhooks are sent, for a host that brings its own HTTP (or a test that brings none).
 *
 * Without one the engine uses libcurl. With one the engine still decides what is sent, where, when and how often, signs it and keeps the log; a transport only makes a request and tells
 * how it ended. Given as tc_webhook_options.transport.
 *
 * What stays with the engine: the URL is checked again before each begin (scheme, no userinfo, usual ports, literal addresses, docs/webhooks.md). What becomes the transport's: looking
 * names up and judging the addresses they stand for, TLS, redirects (none should be followed), and what of an answer is shown.
 *
 * Threads: begin, abort, poll, fd and timeout_ms are called by one thread at a time, the one that runs the engine's webhooks: its own, or with TC_NO_THREADS whoever runs the engine at
 * that moment (tc_engine_poll, a waiting tc_sub_next, tc_close). Only wake comes from any thread. None of them may call a tc_ function of the engine; done is the one way back.
 */
#ifndef TIPCURRENT_TRANSPORT_H
#define TIPCURRENT_TRANSPORT_H

#include "common.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How one request ended, filled by the transport. Everything is borrowed for the call of done. */
typedef struct tc_sent {
  size_t size;
  int32_t status;    /* HTTP status; 0: no answer. Beside an error: the answer began so, but broke off or came too late */
  const char *error; /* one line for the log; NULL: there was a whole answer, of whatever status */
  tc_text
    response; /* the beginning of the answer's body; the engine keeps 1,000 code points and makes them valid. Leave it empty for a receiver that is not public */
  int64_t retry_after_us; /* what Retry-After asked for; 0: nothing */
  int64_t duration_us;    /* 0: measured by the engine */
} tc_sent;
#define TC_SENT_INIT \
  { sizeof(tc_sent), 0, 0, {0, 0}, 0, 0 }

/* One POST. Made by the library, grows at the end; it and all that it points to stay as they are until done was called or abort returned. */
typedef struct tc_send {
  size_t size;
  const char *url;            /* NUL-terminated */
  tc_text body;               /* what to POST, UTF-8 JSON */
  const char *const *headers; /* "Name: value", NULL-terminated, at most 24; none of them is Host or Content-Length */
  uint32_t connect_ms;        /* how long the connection may take, */
  uint32_t total_ms;          /* and all of it: then done with an error */
  /* To be called once for each begin that returned TC_OK, from within poll; sent->size set. It may call begin and abort. */
  void (*done)(struct tc_send *send, const tc_sent *sent);
  void *owner;     /* the engine's */
  void *transport; /* the transport's own, NULL at begin */
} tc_send;

/* The functions are copied; what userdata points to must outlive the engine. */
typedef struct tc_transport {
  size_t size;
  /* Begins a request, without blocking and without calling done. TC_OK; TC_EBUSY (no room now), TC_ENOMEM, others: it is tried again at a later turn. */
  int (*begin)(void *userdata, tc_send *send);
  /* Gives up on a request that is not done, without calling done; afterwards the transport has forgotten it. Does not block. */
  void (*abort)(void *userdata, tc_send *send);
  /* Moves what is under way and calls done for what has ended. Waits for that up to timeout_ms (0: not at all, as always with TC_NO_THREADS; negative: no limit), may return earlier,
   * returns soon after wake. TC_OK; other codes are logged, and it is called again. */
  int (*poll)(void *userdata, int32_t timeout_ms);
  /* Ends a poll that waits, or the next one that would. Any thread, at any time; does not block. */
  void (*wake)(void *userdata);
  /* A descriptor that polls readable when poll has something to do, the same for the transport's whole life; asked for at tc_open with TC_NO_THREADS. NULL or -1: there is none, then poll
   * is called every 100 ms while something is under way. */
  int (*fd)(void *userdata);
  /* In how many milliseconds poll must be called even if the descriptor stays quiet; -1: need not. NULL: need not. */
  int32_t (*timeout_ms)(void *userdata);
  void *userdata;
} tc_transport;
#define TC_TRANSPORT_INIT \
  { sizeof(tc_transport), 0, 0, 0, 0, 0, 0, 0 }

#ifdef __cplusplus
}
#endif
#endif
