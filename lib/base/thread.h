/* thread.h - the one place where threads are started, and conditions that wait by the monotonic clock. */
#ifndef TCI_BASE_THREAD_H
#define TCI_BASE_THREAD_H

#include <pthread.h>
#include <stdint.h>

typedef struct tci_thread {
  pthread_t id;
  int started;
} tci_thread;

/* Starts fn(arg) with all signals blocked, so that the host's handlers never run on our threads. name: at most 15 bytes. 0 or an errno value. */
int tci_thread_start(tci_thread *thread, const char *name, void *(*fn)(void *), void *arg);
void tci_thread_join(tci_thread *thread); /* nothing if not started */
int tci_thread_is_me(const tci_thread *thread);

int tci_cond_init(pthread_cond_t *cond); /* 0 or errno; waits measure CLOCK_MONOTONIC */
/* Waits at most timeout_us from now (negative: for ever); 0 signalled (or spurious), ETIMEDOUT. */
int tci_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_us);

#endif
