/* helper.c - a thread that takes from the one that sends what need not be done there: the headers of what waits (two HMACs are a sixth of what a delivery costs), and the ledger's commits. */
#include <string.h>

#include "base/mem.h"
#include "engine/webhooks.h"

enum { NONE = 0, WAITS, IN_HAND, MADE };

static void unlink_parcel(tci_helper *h, tci_parcel *parcel) {
  if (parcel->prev_unsigned) parcel->prev_unsigned->next_unsigned = parcel->next_unsigned;
  else h->first = parcel->next_unsigned;
  if (parcel->next_unsigned) parcel->next_unsigned->prev_unsigned = parcel->prev_unsigned;
  else h->last = parcel->prev_unsigned;
}

static void sign_first(tci_webhooks *w, tci_helper *h) {
  tci_parcel *parcel = h->first;
  unlink_parcel(h, parcel);
  parcel->signing = IN_HAND;
  (void)pthread_mutex_unlock(&h->mutex);
  int rc = tci_parcel_prepare(w, parcel);
  (void)pthread_mutex_lock(&h->mutex);
  parcel->signing = rc ? NONE : MADE;
  if (h->awaited == parcel) (void)pthread_cond_signal(&h->done);
}

static void do_work(tci_webhooks *w, tci_helper *h) {
  (void)pthread_mutex_unlock(&h->mutex);
  int rc = tci_ledger_work(w);
  (void)pthread_mutex_lock(&h->mutex);
  h->has_work = 0;
  h->work_rc = rc;
  (void)pthread_cond_signal(&h->done);
}

static void *run(void *arg) {
  tci_webhooks *w = arg;
  tci_helper *h = &w->helper;
  (void)pthread_mutex_lock(&h->mutex);
  while (!h->stop) {
    if (h->has_work) do_work(w, h);
    else if (h->first) sign_first(w, h);
    else (void)tci_cond_wait(&h->bell, &h->mutex, -1);
  }
  (void)pthread_mutex_unlock(&h->mutex);
  return NULL;
}

int tci_helper_open(tci_helper *h) {
  memset(h, 0, sizeof *h);
  if (pthread_mutex_init(&h->mutex, NULL)) return TC_ENOMEM;
  if (tci_cond_init(&h->bell)) goto no_bell;
  if (tci_cond_init(&h->done)) goto no_done;
  h->open = 1;
  return TC_OK;

no_done:
  (void)pthread_cond_destroy(&h->bell);
no_bell:
  (void)pthread_mutex_destroy(&h->mutex);
  return TC_ENOMEM;
}

void tci_helper_close(tci_helper *h) {
  if (!h->open) return;
  (void)pthread_mutex_lock(&h->mutex);
  h->stop = 1;
  (void)pthread_cond_signal(&h->bell);
  (void)pthread_mutex_unlock(&h->mutex);
  tci_thread_join(&h->thread);
  (void)pthread_cond_destroy(&h->done); /* these fail only in use */
  (void)pthread_cond_destroy(&h->bell);
  (void)pthread_mutex_destroy(&h->mutex);
  h->open = 0;
}

void tci_helper_sign(tci_webhooks *w, tci_parcel *parcel) {
  tci_helper *h = &w->helper;
  if (!h->open || parcel->handed) return;
  if (!h->thread.started && tci_thread_start(&h->thread, "tc-helper", run, w)) return; /* then whoever sends signs */
  tci_hook_unref(parcel->hook);
  parcel->hook = tci_hook_ref(parcel->target->hook);
  parcel->handed = 1;
  (void)pthread_mutex_lock(&h->mutex);
  parcel->signing = WAITS;
  parcel->next_unsigned = NULL;
  parcel->prev_unsigned = h->last;
  if (h->last) h->last->next_unsigned = parcel;
  else h->first = parcel;
  h->last = parcel;
  (void)pthread_mutex_unlock(&h->mutex);
  h->brought = 1;
}

void tci_helper_ring(tci_webhooks *w) {
  tci_helper *h = &w->helper;
  if (!h->brought) return;
  (void)pthread_cond_signal(&h->bell); /* with the mutex free: it need not wait for us once it is awake; what was put is in the list by now */
  h->brought = 0;
}

int tci_helper_take(tci_webhooks *w, tci_parcel *parcel) {
  tci_helper *h = &w->helper;
  if (!parcel->handed) return 0;
  (void)pthread_mutex_lock(&h->mutex);
  if (parcel->signing == WAITS) {
    unlink_parcel(h, parcel);
    parcel->signing = NONE;
  }
  h->awaited = parcel;
  while (parcel->signing == IN_HAND) (void)tci_cond_wait(&h->done, &h->mutex, -1); /* for microseconds */
  h->awaited = NULL;
  int made = parcel->signing == MADE;
  (void)pthread_mutex_unlock(&h->mutex);
  parcel->handed = 0;
  return made;
}

int tci_helper_is_there(const tci_webhooks *w) { return w->helper.thread.started; }

void tci_helper_work(tci_webhooks *w) {
  tci_helper *h = &w->helper;
  (void)pthread_mutex_lock(&h->mutex);
  h->has_work = 1;
  (void)pthread_mutex_unlock(&h->mutex);
  (void)pthread_cond_signal(&h->bell);
}

int tci_helper_has_worked(tci_webhooks *w, int wait, int *rc) {
  tci_helper *h = &w->helper;
  (void)pthread_mutex_lock(&h->mutex);
  while (wait && h->has_work) (void)tci_cond_wait(&h->done, &h->mutex, -1);
  int has = !h->has_work;
  if (has) *rc = h->work_rc;
  (void)pthread_mutex_unlock(&h->mutex);
  return has;
}
