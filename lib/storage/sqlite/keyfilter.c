#include "storage/sqlite/keyfilter.h"

#include <string.h>

#include "base/mem.h"

#define WORDS 8 /* of 64 bits, in a block */
#define BLOCKS (TCI_KEYFILTER_BYTES / (WORDS * 8))

int tci_keyfilter_init(tci_keyfilter *filter) {
  memset(filter, 0, sizeof *filter);
  int rc = pthread_mutex_init(&filter->mutex, NULL);
  filter->ready = !rc;
  return rc;
}

void tci_keyfilter_close(tci_keyfilter *filter) {
  for (size_t i = 0; i < filter->count; i++) tci_free(filter->generations[i].bits);
  if (filter->ready) (void)pthread_mutex_destroy(&filter->mutex); /* fails only while locked, and no call is running */
  memset(filter, 0, sizeof *filter);
}

/* All bits of a key lie in one block of 64 bytes, one cache line: the high 16 bits of the hash pick the block, eight times 6 of the others a bit of each word. */
static uint64_t *block_of(const tci_keyfilter_generation *generation, uint64_t hash) { return generation->bits + (hash >> 48) % BLOCKS * WORDS; }

static uint64_t bit_of(uint64_t hash, int i) { return UINT64_C(1) << (hash >> (i * 6) & 63); }

static int has(const tci_keyfilter_generation *generation, uint64_t hash) {
  const uint64_t *block = block_of(generation, hash);
  for (int i = 0; i < WORDS; i++) {
    if (!(block[i] & bit_of(hash, i))) return 0;
  }
  return 1;
}

/* The generation with room, or NULL when memory ran out. */
static tci_keyfilter_generation *open_generation(tci_keyfilter *filter) {
  tci_keyfilter_generation *last = filter->count ? &filter->generations[filter->count - 1] : NULL;
  if (last && (last->keys < TCI_KEYFILTER_KEYS || filter->count == TCI_KEYFILTER_GENERATIONS)) return last;
  uint64_t *bits = tci_zalloc(TCI_KEYFILTER_BYTES);
  if (!bits) return NULL;
  last = &filter->generations[filter->count++];
  last->bits = bits;
  last->keys = 0;
  last->youngest_us = INT64_MIN;
  return last;
}

void tci_keyfilter_add(tci_keyfilter *filter, const uint64_t *hashes, size_t n, int64_t youngest_us) {
  (void)pthread_mutex_lock(&filter->mutex);
  for (size_t i = 0; i < n && !filter->broken; i++) {
    tci_keyfilter_generation *generation = open_generation(filter);
    if (!generation) {
      filter->broken = 1; /* a filter that lacks a key must not speak: from here on every key is looked up */
      break;
    }
    uint64_t *block = block_of(generation, hashes[i]);
    for (int bit = 0; bit < WORDS; bit++) block[bit] |= bit_of(hashes[i], bit);
    generation->keys++;
    if (youngest_us > generation->youngest_us) generation->youngest_us = youngest_us;
  }
  (void)pthread_mutex_unlock(&filter->mutex);
}

void tci_keyfilter_completed(tci_keyfilter *filter) {
  (void)pthread_mutex_lock(&filter->mutex);
  filter->complete = 1;
  (void)pthread_mutex_unlock(&filter->mutex);
}

int tci_keyfilter_may_have(tci_keyfilter *filter, uint64_t hash) {
  (void)pthread_mutex_lock(&filter->mutex);
  int may = !filter->complete || filter->broken;
  for (size_t i = filter->count; i-- > 0 && !may;) may = has(&filter->generations[i], hash);
  (void)pthread_mutex_unlock(&filter->mutex);
  return may;
}

void tci_keyfilter_expire(tci_keyfilter *filter, int64_t before_us) {
  (void)pthread_mutex_lock(&filter->mutex);
  size_t kept = 0;
  for (size_t i = 0; i < filter->count; i++) {
    if (filter->generations[i].youngest_us <= before_us) tci_free(filter->generations[i].bits);
    else filter->generations[kept++] = filter->generations[i];
  }
  filter->count = kept;
  (void)pthread_mutex_unlock(&filter->mutex);
}
