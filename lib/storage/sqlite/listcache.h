/* listcache.h - what is known of a list in a run: how long it is there, and its newest entry. Shared by all readers, in memory.
 *
 * A run never changes and its number is given once (index.c), so a fact stays true for as long as anything can ask for it: there is nothing to invalidate and no
 * snapshot to compare with. A fact of a run that was merged away is found by nobody and gives its slot to the next. A hot list then costs one look here a run instead
 * of a chunk a run; a list that is not here costs what it costs without the cache.
 */
#ifndef TCI_STORAGE_SQLITE_LISTCACHE_H
#define TCI_STORAGE_SQLITE_LISTCACHE_H

#include <pthread.h>

#include "storage/sqlite/runs.h"

#define TCI_LISTCACHE_SLOTS 65536u /* 3 MiB, at most resident when as many lists were asked for */

typedef struct tci_list_fact {
  int64_t run; /* 0: an empty slot */
  int64_t length;
  tci_entry newest; /* h and g name the list; the rest only when length > 0 */
} tci_list_fact;

typedef struct tci_listcache {
  pthread_mutex_t mutex;
  int ready; /* the mutex exists */
  tci_list_fact *slots;
} tci_listcache;

int tci_listcache_init(tci_listcache *cache);   /* 0 or errno */
void tci_listcache_close(tci_listcache *cache); /* takes a zeroed one */
/* For each of n facts whose run, h and g are set: completes it and returns in *missing how many it could not; those have length -1. */
void tci_listcache_get(tci_listcache *cache, tci_list_fact *facts, size_t n, size_t *missing);
/* Only of runs that a committed state has shown to be alive. */
void tci_listcache_put(tci_listcache *cache, const tci_list_fact *facts, size_t n);

#endif
