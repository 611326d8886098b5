/* signer.c - a thread that makes the headers of what waits anyway: two HMACs are a sixth of what a delivery costs the one thread that sends. */
#include <string.h>

#include "base/mem.h"
#include "engine/webhooks.h"

enum { NONE = 0, WAITS, IN_HAND, MADE };

static void unlink_parcel(tci_signer *s, tci_parcel *parcel) {
  if (parcel->prev_unsigned) parcel->prev_unsigned->next_unsigned = parcel->next_unsigned;
  else s->first = parcel->next_unsigned;
  if (parcel->next_unsigned) parcel->next_unsigned->prev_unsigned = parcel->prev_unsigned;
  else s->last = parcel->prev_unsigned;
}

static void *run(void *arg) {
  tci_webhooks *w = arg;
  tci_signer *s = &w->signer;
  (void)pthread_mutex_lock(&s->mutex);
  while (!s->stop) {
    tci_parcel *parcel = s->first;
    if (!parcel) {
      (void)tci_cond_wait(&s->work, &s->mutex, -1);
      continue;
    }
    unlink_parcel(s, parcel);
    parcel->signing = IN_HAND;
    (void)pthread_mutex_unlock(&s->mutex);
    int rc = tci_parcel_prepare(w, parcel);
    (void)pthread_mutex_lock(&s->mutex);
    parcel->signing = rc ? NONE : MADE;
    if (s->awaited == parcel) (void)pthread_cond_signal(&s->made);
  }
  (void)pthread_mutex_unlock(&s->mutex);
  return NULL;
}

int tci_signer_open(tci_signer *s) {
  memset(s, 0, sizeof *s);
  if (pthread_mutex_init(&s->mutex, NULL)) return TC_ENOMEM;
  if (tci_cond_init(&s->work)) goto no_work;
  if (tci_cond_init(&s->made)) goto no_made;
  s->open = 1;
  return TC_OK;

no_made:
  (void)pthread_cond_destroy(&s->work);
no_work:
  (void)pthread_mutex_destroy(&s->mutex);
  return TC_ENOMEM;
}

void tci_signer_close(tci_signer *s) {
  if (!s->open) return;
  (void)pthread_mutex_lock(&s->mutex);
  s->stop = 1;
  (void)pthread_cond_signal(&s->work);
  (void)pthread_mutex_unlock(&s->mutex);
  tci_thread_join(&s->thread);
  (void)pthread_cond_destroy(&s->made); /* these fail only in use */
  (void)pthread_cond_destroy(&s->work);
  (void)pthread_mutex_destroy(&s->mutex);
  s->open = 0;
}

void tci_signer_put(tci_webhooks *w, tci_parcel *parcel) {
  tci_signer *s = &w->signer;
  if (!s->open || parcel->handed) return;
  if (!s->thread.started && tci_thread_start(&s->thread, "tc-signer", run, w)) return; /* then whoever sends signs */
  tci_hook_unref(parcel->hook);
  parcel->hook = tci_hook_ref(parcel->target->hook);
  parcel->handed = 1;
  (void)pthread_mutex_lock(&s->mutex);
  parcel->signing = WAITS;
  parcel->next_unsigned = NULL;
  parcel->prev_unsigned = s->last;
  if (s->last) s->last->next_unsigned = parcel;
  else s->first = parcel;
  s->last = parcel;
  (void)pthread_mutex_unlock(&s->mutex);
  s->brought = 1;
}

void tci_signer_ring(tci_webhooks *w) {
  tci_signer *s = &w->signer;
  if (!s->brought) return;
  (void)pthread_cond_signal(&s->work); /* with the mutex free: it need not wait for us once it is awake; what was put is in the list by now */
  s->brought = 0;
}

int tci_signer_take(tci_webhooks *w, tci_parcel *parcel) {
  tci_signer *s = &w->signer;
  if (!parcel->handed) return 0;
  (void)pthread_mutex_lock(&s->mutex);
  if (parcel->signing == WAITS) {
    unlink_parcel(s, parcel);
    parcel->signing = NONE;
  }
  s->awaited = parcel;
  while (parcel->signing == IN_HAND) (void)tci_cond_wait(&s->made, &s->mutex, -1); /* for microseconds */
  s->awaited = NULL;
  int made = parcel->signing == MADE;
  (void)pthread_mutex_unlock(&s->mutex);
  parcel->handed = 0;
  return made;
}
