/* waiting.h - events that are indexed and not yet counted: copies of what the rollup needs of them, in the log's order. */
#ifndef TCI_ENGINE_ROLLUP_WAITING_H
#define TCI_ENGINE_ROLLUP_WAITING_H

#include <stddef.h>

#include "tipcurrent/sys/storage.h"

typedef struct tci_waiting {
  struct tci_waiting_event *first, *last;
  size_t n;
  uint64_t bytes;
  int64_t last_seq, since_us; /* monotonic: since when the first of them waits. Of none, nothing */
  int draining;               /* they have waited long enough */
} tci_waiting;

/* TC_OK or TC_ENOMEM: then it is as it was. */
int tci_waiting_put(tci_waiting *waiting, const tc_record *record, int64_t now_us);
/* The first of them, at most max. Returns how many. */
size_t tci_waiting_first(const tci_waiting *waiting, size_t max, const tc_record **out);
void tci_waiting_drop(tci_waiting *waiting, size_t n);

#endif
