/* keyset.h - which idempotency keys stood in the log lately: bounded in memory, for a walk in the log's order. */
#ifndef TCI_MOVE_KEYSET_H
#define TCI_MOVE_KEYSET_H

#include "tipcurrent/sys/storage.h"

typedef struct tci_keyset_entry {
  uint64_t name[2];      /* of key space and key; 0, 0: free */
  int64_t created_at_us; /* of the last event with it */
  int64_t seq;
} tci_keyset_entry;

typedef struct tci_keyset {
  tci_keyset_entry *at;
  size_t cap, used;
  int64_t ttl_us;
  int full; /* more keys than there is room for: from then on nothing is said */
} tci_keyset;

#define TCI_KEYSET_MAX ((size_t)1 << 22) /* entries: 128 MiB, 2,000,000 keys within their time */

int tci_keyset_init(tci_keyset *set, int64_t ttl_us); /* TC_OK, TC_ENOMEM */
void tci_keyset_free(tci_keyset *set);                /* takes a zeroed one */
/* *before: the event that had this record's key within its time, or 0. TC_OK, TC_ENOMEM. */
int tci_keyset_put(tci_keyset *set, const tc_record *record, int64_t *before);

#endif
