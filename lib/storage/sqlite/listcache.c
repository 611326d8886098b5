#include "storage/sqlite/listcache.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

int tci_listcache_init(tci_listcache *cache) {
  memset(cache, 0, sizeof *cache);
  cache->slots = tci_array(TCI_LISTCACHE_SLOTS, sizeof *cache->slots);
  if (!cache->slots) return ENOMEM;
  int rc = pthread_mutex_init(&cache->mutex, NULL);
  cache->ready = !rc;
  return rc;
}

void tci_listcache_close(tci_listcache *cache) {
  if (cache->ready) (void)pthread_mutex_destroy(&cache->mutex); /* fails only while locked, and no call is running */
  tci_free(cache->slots);
  memset(cache, 0, sizeof *cache);
}

#define WAYS 8
#define SETS (TCI_LISTCACHE_SLOTS / WAYS)

/* The set of slots where a fact may be. g is a hash that the log's random id keys, so nobody can aim at a set. */
static tci_list_fact *set_of(const tci_listcache *cache, const tci_list_fact *fact) {
  uint64_t mixed = ((uint64_t)fact->newest.g ^ (uint64_t)fact->run) * UINT64_C(0x9e3779b97f4a7c15);
  return &cache->slots[(mixed >> 32) % SETS * WAYS];
}

static int same(const tci_list_fact *a, const tci_list_fact *b) { return a->run == b->run && a->newest.g == b->newest.g && a->newest.h == b->newest.h; }

/* What is found moves up by one place and what is new takes the last, so a walk through many cold lists drives out little of what is asked for again and again. */
static int get_one(tci_list_fact *set, tci_list_fact *fact) {
  for (size_t i = 0; i < WAYS && set[i].run; i++) {
    if (!same(&set[i], fact)) continue;
    *fact = set[i];
    if (i) set[i] = set[i - 1];
    if (i) set[i - 1] = *fact;
    return 1;
  }
  return 0;
}

static void put_one(tci_list_fact *set, const tci_list_fact *fact) {
  size_t i = 0;
  while (i < WAYS - 1 && set[i].run && !same(&set[i], fact)) i++;
  set[i] = *fact;
}

void tci_listcache_get(tci_listcache *cache, tci_list_fact *facts, size_t n, size_t *missing) {
  *missing = 0;
  /* The table is larger than the caches near the core: its misses are waited for together, not one by one. */
  for (size_t i = 0; i < n; i++) __builtin_prefetch(set_of(cache, &facts[i]));
  (void)pthread_mutex_lock(&cache->mutex);
  for (size_t i = 0; i < n; i++) {
    if (get_one(set_of(cache, &facts[i]), &facts[i])) continue;
    facts[i].length = -1;
    ++*missing;
  }
  (void)pthread_mutex_unlock(&cache->mutex);
}

void tci_listcache_put(tci_listcache *cache, const tci_list_fact *facts, size_t n) {
  (void)pthread_mutex_lock(&cache->mutex);
  for (size_t i = 0; i < n; i++) put_one(set_of(cache, &facts[i]), &facts[i]);
  (void)pthread_mutex_unlock(&cache->mutex);
}
