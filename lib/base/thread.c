#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

int tci_thread_start(tci_thread *thread, const char *name, void *(*fn)(void *), void *arg) {
  sigset_t all, before;
  sigfillset(&all);
  int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (rc) return rc;
  rc = pthread_create(&thread->id, NULL, fn, arg);
  if (!rc) {
    thread->started = 1;
    (void)pthread_setname_np(thread->id, name); /* cosmetic */
  }
  int restored = pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)restored; /* cannot fail with a mask that the call above returned */
  return rc;
}

void tci_thread_join(tci_thread *thread) {
  if (!thread->started) return;
  (void)pthread_join(thread->id, NULL);
  thread->started = 0;
}

int tci_thread_is_me(const tci_thread *thread) { return thread->started && pthread_equal(thread->id, pthread_self()); }

int tci_cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);
  if (rc) return rc;
  rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  if (!rc) rc = pthread_cond_init(cond, &attr);
  (void)pthread_condattr_destroy(&attr);
  return rc;
}

int tci_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t timeout_us) {
  if (timeout_us < 0) return pthread_cond_wait(cond, mutex);
  struct timespec at;
  if (clock_gettime(CLOCK_MONOTONIC, &at)) return errno;
  at.tv_sec += (time_t)(timeout_us / 1000000);
  at.tv_nsec += (long)(timeout_us % 1000000) * 1000;
  if (at.tv_nsec >= 1000000000) {
    at.tv_sec++;
    at.tv_nsec -= 1000000000;
  }
  return pthread_cond_timedwait(cond, mutex, &at);
}
