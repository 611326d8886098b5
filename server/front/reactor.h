/* reactor.h - what the front's files share: the reactor's state, and the three things that move in it.
 *
 * Design notes
 *  - A source is anything with a file descriptor in the epoll set. It is registered once, edge-triggered, for both directions: no epoll_ctl in the path of a request.
 *    A client that leaves HTTP (WebSocket, SSE) goes from a tcd_conn to a tcd_link: the same socket, another source.
 *  - An exchange is one request with its reply. It owns the bytes that its request points into, so it outlives the connection when the client goes away
 *    while a handler still has it. Only the front's thread looks at exchange->conn.
 *  - Every reply, from whatever thread, is a task on one lock-free list and is written when the loop comes round: no recursion, one order of things, one wake for
 *    as many completions as come while the front sleeps.
 *  - Nothing is freed while a batch of epoll events is being worked off, since a later event of the batch may name it: closed sources go on a list first.
 */
#ifndef TCD_FRONT_REACTOR_H
#define TCD_FRONT_REACTOR_H

#include <stdatomic.h>

#include "server/front/chunked.h"
#include "server/front/deadline.h"
#include "server/front/front.h"
#include "server/front/head.h"
#include "server/front/task.h"
#include "server/front/timer.h"

#define TCD_PEER_SIZE 56              /* "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535" */
#define TCD_INPUT_BYTES 4096          /* of a new input buffer */
#define TCD_SCRATCH_BYTES (64u << 10) /* what links read into: none holds a buffer of its own while it has nothing to hold */
#define TCD_SPARES_MAX 256            /* idle input buffers and exchanges kept for the next request */

typedef struct tcd_source tcd_source;
typedef struct tcd_conn tcd_conn;
typedef struct tcd_exchange tcd_exchange;
typedef struct tcd_pool tcd_pool;
struct tcd_link;

struct tcd_source {
  int fd; /* -1: closed; events that still come are to be ignored */
  void (*on_event)(tcd_source *source, uint32_t events);
  tcd_source *next_closed;
  tcd_front *front;
};

struct tcd_exchange {
  tcd_reply reply; /* first: deliver gets this address */
  tcd_request request;
  tcd_front *front;
  tcd_task task;      /* of its completion */
  tcd_conn *conn;     /* NULL: the client has gone */
  tcd_exchange *next; /* in the kitchen's queue or the spares */
  tcd_exchange *live_prev, *live_next;
  tci_buf in;   /* head and, if it came along, body */
  size_t used;  /* of in; the rest is the next request */
  tci_buf body; /* a body that came later or in chunks */
  tcd_chunked chunked;
  uint64_t body_left; /* Content-Length framing */
  tci_buf out;        /* the reply's head */
  tc_text payload;    /* the reply's body */
  size_t sent;        /* of out and payload together */
  uint64_t charged;   /* this exchange's part of front->buffered */
  int64_t forwarded_us;
  int resent; /* went to the kitchen a second time */
  char peer[TCD_PEER_SIZE];
  tcd_head head;
};

enum { TCD_DUE_HEAD, TCD_DUE_BODY, TCD_DUE_IDLE, TCD_DUE_WRITE, TCD_DUE_LINGER, TCD_DUE_LINK, TCD_DUE_KITCHEN, TCD_DUE_CLASSES };

struct tcd_front {
  tcd_front_options options;
  tc_clock clock;
  int64_t now_us; /* read once a turn of the loop */
  int epoll_fd;
  tcd_source listener, wake;
  char address[TCD_PEER_SIZE];
  int accept_ready;        /* the backlog may hold more */
  int64_t accept_after_us; /* out of descriptors: not before */
  tcd_deadline_class due[TCD_DUE_CLASSES];
  tcd_conn *conns;        /* all */
  struct tcd_link *links; /* all */
  size_t conn_count;      /* of both */
  tcd_wheel wheel;
  int (*turn)(void *userdata);
  void *turn_userdata;
  int turn_again;     /* TCD_TURN_X of the last turn */
  tcd_exchange *live; /* all that are not spare */
  tcd_exchange *spare_exchanges;
  size_t spare_exchange_count;
  char *spare_inputs[TCD_SPARES_MAX];
  size_t spare_input_count;
  tcd_source *closed; /* freed at the end of the turn */
  tcd_pool *pool;
  int64_t date_second; /* of date */
  char date[32];
  int stop_seen;
  int64_t stop_due_us, links_due_us; /* links_due_us 0: they have not been told yet */
  _Atomic(tcd_task *) posted;        /* newest first */
  atomic_int sleeping;               /* 1: whoever posts something has to ring */
  atomic_uint stops;
  atomic_uint stop_grace_ms;
  atomic_uint_fast64_t connections, requests, buffered, refused; /* written by the front's thread only */
  char scratch[TCD_SCRATCH_BYTES];
};

/* reactor.c */
int tcd_source_add(tcd_front *front, tcd_source *source, int fd, void (*on_event)(tcd_source *, uint32_t)); /* 0 or errno */
void tcd_source_close(tcd_source *source); /* closes the descriptor; the memory goes at the end of the turn. source must be the first member of an allocation */
void tcd_source_release(tcd_source *source); /* the same for one whose descriptor another source has taken over */
void tcd_log(const tcd_front *front, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void tcd_count(atomic_uint_fast64_t *counter, int64_t by);

/* flight.c: exchanges. */
tcd_exchange *tcd_exchange_of(tcd_reply *reply);                                     /* NULL: not a reply of the front */
tcd_exchange *tcd_exchange_take(tcd_front *front, tcd_conn *conn, const char *peer); /* NULL: out of memory */
void tcd_exchange_drop(tcd_exchange *exchange);                                      /* takes NULL */
void tcd_exchange_charge(tcd_exchange *exchange, uint64_t bytes);                    /* sets its part of buffered_bytes */
void tcd_exchange_complete(tcd_exchange *exchange);                                  /* any thread: the reply is filled */
/* Fills the reply with one of the front's own refusals (a 503 says when to come again); refuse also completes it. */
void tcd_exchange_fill_refusal(tcd_exchange *exchange, int status, const char *message, int close);
void tcd_exchange_refuse(tcd_exchange *exchange, int status, const char *message, int close);
int tcd_input_take(tcd_front *front, tci_buf *in); /* 0 or TC_ENOMEM */
void tcd_input_drop(tcd_front *front, tci_buf *in);

/* answer.c: the bytes of a reply. */
int tcd_answer_build(tcd_exchange *exchange, int close); /* 0 or TC_ENOMEM, TC_ELIMIT: nothing was built */
enum { TCD_SENT_ALL, TCD_SENT_PART, TCD_SENT_FAILED };
int tcd_answer_send(tcd_exchange *exchange, int fd);

/* listen.c */
int tcd_listen(tcd_front *front, char *error, size_t error_size); /* TC_OK, TC_EINVAL, TC_ESTORAGE */
void tcd_listen_accept(tcd_front *front);                         /* a bounded burst */
void tcd_listen_close(tcd_front *front);

/* link.c */
void tcd_link_expired(tcd_deadline *deadline);
void tcd_link_stop(tcd_front *front); /* tells them */
void tcd_link_end(tcd_front *front);  /* all are gone */

/* pool.c */
void tcd_pool_open(tcd_front *front);
void tcd_pool_stop(tcd_front *front);                        /* closes all connections; the exchanges stay in front->live */
int tcd_pool_push(tcd_front *front, tcd_exchange *exchange); /* 0, or -1: the queue is full */
void tcd_pool_free(tcd_pool *pool);                          /* takes NULL */
void tcd_pool_expired(tcd_deadline *deadline);
void tcd_pool_tick(tcd_front *front); /* gives up on what has waited too long */

#endif
