/* enter.h - how a public function begins. */
#ifndef TCI_API_ENTER_H
#define TCI_API_ENTER_H

#include <pthread.h>
#include <stddef.h>

#include "model/fail.h"

/* A host's thread that is cancelled while it waits in here, or reads a file, would unwind out of our locks and leave them held for ever. So no call ends half way: the request stays
 * pending, and acts at the host's own next cancellation point. */
static inline int tci_shelter(void) {
  int before = PTHREAD_CANCEL_ENABLE;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* fails only for a state that there is not */
  return before;
}

static inline int tci_enter(void) {
  tci_fail_clear();
  return tci_shelter();
}

static inline void tci_leave(const int *before) { (void)pthread_setcancelstate(*before, NULL); } /* the same */

/* First in a block; undone where the block ends. */
#define TCI_ENTER() __attribute__((cleanup(tci_leave), unused)) const int tci_cancel_state = tci_enter()
/* For what leaves the last error alone. */
#define TCI_SHELTER() __attribute__((cleanup(tci_leave), unused)) const int tci_cancel_state = tci_shelter()

#endif
