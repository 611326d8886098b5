/* admitted.h - the loopback connections that are the front's own, by their port, and the client that each serves at the moment. Any local process can connect to
 * the kitchen's port; only what stands here is answered.
 */
#ifndef TCD_CIVET_ADMITTED_H
#define TCD_CIVET_ADMITTED_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define TCD_PEER_MAX 64

typedef struct tcd_admitted {
  pthread_mutex_t mutex;
  struct tcd_admission *entries; /* in no order: there are as many as kitchen threads, a scan is a cache line or two */
  size_t count, cap;
} tcd_admitted;

int tcd_admitted_init(tcd_admitted *admitted, size_t cap); /* 0 or TC_ENOMEM */
void tcd_admitted_free(tcd_admitted *admitted);
/* peer NULL: the port is gone. 0, or TC_ELIMIT: cap ports are admitted already. */
int tcd_admitted_set(tcd_admitted *admitted, uint16_t port, const char *peer);
/* Copies the peer of a port into out (TCD_PEER_MAX bytes). 1, or 0: not one of ours. */
int tcd_admitted_get(tcd_admitted *admitted, uint16_t port, char *out);

#endif
