#include "allocator.h"

#include <pthread.h>
#include <stdatomic.h>

static tci_allocator of_host, of_system; /* of_system: a mark, never called */
static _Atomic(const tci_allocator *) settled;
static pthread_mutex_t setting = PTHREAD_MUTEX_INITIALIZER; /* so that the one who comes second does not write of_host */

int tci_allocator_set(const tci_allocator *allocator) {
  const tci_allocator *none = NULL;
  int late = pthread_mutex_lock(&setting);
  if (late) return late;
  late = atomic_load(&settled) != NULL;
  if (!late) {
    of_host = *allocator;
    late = !atomic_compare_exchange_strong(&settled, &none, &of_host);
  }
  (void)pthread_mutex_unlock(&setting); /* we hold it */
  return late;
}

const tci_allocator *tci_allocator_get(void) {
  const tci_allocator *now = atomic_load_explicit(&settled, memory_order_acquire);
  /* now becomes what somebody else was faster with. */
  if (!now && atomic_compare_exchange_strong(&settled, &now, &of_system)) return NULL;
  return now == &of_system ? NULL : now;
}
