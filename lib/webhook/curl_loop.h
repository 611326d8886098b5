/* curl_loop.h - what curl's multi interface waits for, behind one descriptor: its sockets, its timer, a doorbell.
 *
 * Design notes
 *  - curl_multi_socket_action with an epoll set of ours, instead of curl_multi_poll: one descriptor that a host can watch, and a turn costs as much as has moved, not as much as is open.
 *  - curl takes a kept connection out between two requests, and puts it in again. It stays in the set meanwhile, which saves two calls a request; should it stir, it goes out then.
 *  - tci_curl_loop_forget is told of each socket before it is closed, so the table never takes a number for the one who had it before.
 *  - When the kernel takes no more sockets into the set, the transfer runs into its timeout: telling curl would end the whole multi handle for good.
 */
#ifndef TCI_WEBHOOK_CURL_LOOP_H
#define TCI_WEBHOOK_CURL_LOOP_H

#include <stdint.h>

#include "libcurl.h"

typedef struct tci_curl_loop {
  CURLM *multi; /* NULL: none is served yet */
  int epoll_fd, bell_fd;
  struct tci_curl_watched *watched; /* by descriptor */
  int watched_n;
  int64_t timer_us; /* when curl wants to be called, monotonic; INT64_MAX: need not */
} tci_curl_loop;

typedef struct tci_curl_ready {
  curl_socket_t socket;
  int mask;
} tci_curl_ready;

int tci_curl_loop_open(tci_curl_loop *loop);                /* TC_OK, TC_ELIMIT; closes itself then. Its descriptor stays the same, whatever it serves */
int tci_curl_loop_serve(tci_curl_loop *loop, CURLM *multi); /* once; TC_OK, TC_ENOMEM */
void tci_curl_loop_close(tci_curl_loop *loop);              /* after the multi handle */
/* In how many ms the timer is due: 0 now, -1 never. */
int tci_curl_loop_due_ms(const tci_curl_loop *loop);
/* Waits up to timeout_ms until something is ready. How many sockets of curl's were: they stand in ready, which has room for max; a bell counts for none. */
int tci_curl_loop_wait(tci_curl_loop *loop, int timeout_ms, tci_curl_ready *ready, int max);
/* Lets curl do what is due: the sockets, and the timer if its time has come or has_time (now and then: a timer that curl forgot to set would be a transfer that never ends). */
CURLMcode tci_curl_loop_act(tci_curl_loop *loop, const tci_curl_ready *ready, int count, int has_time);
void tci_curl_loop_forget(tci_curl_loop *loop, curl_socket_t socket); /* it is about to be closed */
void tci_curl_loop_wake(tci_curl_loop *loop);                         /* any thread */

#endif
