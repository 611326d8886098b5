/* helper.c - a thread that takes from the one that sends what need not be done there: the headers of what waits (two HMACs are a sixth of what a delivery costs), and the ledger's commits. */
#include <string.h>

#include "base/mem.h"
#include "engine/webhooks.h"

#define CLAIM 8 /* parcels signed for one look at what the two threads share: some 25 us, which is what the dispatcher may have to wait */

enum { NONE = 0, PUT, WAITS, IN_HAND, MADE };

static void append(tci_unsigned *list, tci_parcel *parcel) {
  parcel->next_unsigned = NULL;
  parcel->prev_unsigned = list->last;
  if (list->last) list->last->next_unsigned = parcel;
  else list->first = parcel;
  list->last = parcel;
}

static void unlink_parcel(tci_unsigned *list, tci_parcel *parcel) {
  if (parcel->prev_unsigned) parcel->prev_unsigned->next_unsigned = parcel->next_unsigned;
  else list->first = parcel->next_unsigned;
  if (parcel->next_unsigned) parcel->next_unsigned->prev_unsigned = parcel->prev_unsigned;
  else list->last = parcel->prev_unsigned;
}

static void sign_some(tci_webhooks *w, tci_helper *h) {
  tci_parcel *claimed[CLAIM];
  size_t n = 0;
  for (; n < CLAIM && h->waits.first; n++) {
    claimed[n] = h->waits.first;
    unlink_parcel(&h->waits, claimed[n]);
    atomic_store(&claimed[n]->signing, IN_HAND);
  }
  (void)pthread_mutex_unlock(&h->mutex);
  /* After the store the parcel is the dispatcher's, who may free it. */
  for (size_t i = 0; i < n; i++) atomic_store(&claimed[i]->signing, tci_parcel_prepare(w, claimed[i]) ? NONE : MADE);
  (void)pthread_mutex_lock(&h->mutex);
  if (h->awaited) (void)pthread_cond_signal(&h->done);
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
    else if (h->waits.first) sign_some(w, h);
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
  /* By the thread that will free it: two threads at one arena of malloc wait for each other. */
  if (!tci_buf_room(&parcel->lines, TCI_LINES_BYTES)) return;
  tci_hook_unref(parcel->hook);
  parcel->hook = tci_hook_ref(parcel->target->hook);
  parcel->handed = 1;
  atomic_store_explicit(&parcel->signing, PUT, memory_order_relaxed);
  append(&h->put, parcel);
}

void tci_helper_ring(tci_webhooks *w) {
  tci_helper *h = &w->helper;
  if (!h->put.first) return;
  for (tci_parcel *parcel = h->put.first; parcel; parcel = parcel->next_unsigned) atomic_store_explicit(&parcel->signing, WAITS, memory_order_relaxed);
  (void)pthread_mutex_lock(&h->mutex);
  h->put.first->prev_unsigned = h->waits.last;
  if (h->waits.last) h->waits.last->next_unsigned = h->put.first;
  else h->waits.first = h->put.first;
  h->waits.last = h->put.last;
  (void)pthread_mutex_unlock(&h->mutex);
  h->put = (tci_unsigned){NULL, NULL};
  (void)pthread_cond_signal(&h->bell);
}

int tci_helper_take(tci_webhooks *w, tci_parcel *parcel) {
  tci_helper *h = &w->helper;
  if (!parcel->handed) return 0;
  int state = atomic_load(&parcel->signing);
  if (state == PUT) unlink_parcel(&h->put, parcel);
  if (state == WAITS || state == IN_HAND) {
    (void)pthread_mutex_lock(&h->mutex);
    h->awaited = 1;
    while ((state = atomic_load(&parcel->signing)) == IN_HAND) (void)tci_cond_wait(&h->done, &h->mutex, -1); /* for microseconds */
    h->awaited = 0;
    if (state == WAITS) unlink_parcel(&h->waits, parcel);
    (void)pthread_mutex_unlock(&h->mutex);
  }
  parcel->handed = 0;
  return state == MADE;
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
