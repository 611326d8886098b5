/* keyfilter.h - "this key was never seen", from memory: a Bloom filter in generations over the keys in the index.
 *
 * A miss saves the writer a look into the index (2.5 us a row, measured). Generations of a fixed size grow with the keys and go when the youngest key in them has
 * expired, so nothing is ever rebuilt. At the cap the last generation takes all and fills up: more keys then cost a look, none is forgotten.
 */
#ifndef TCI_STORAGE_SQLITE_KEYFILTER_H
#define TCI_STORAGE_SQLITE_KEYFILTER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define TCI_KEYFILTER_BYTES (1u << 20)    /* of one generation */
#define TCI_KEYFILTER_KEYS (512u * 1024u) /* 16 bits a key, 8 of them set: about one false hit in a thousand */
#define TCI_KEYFILTER_GENERATIONS 64      /* 64 MiB, 33 million live keys */

typedef struct tci_keyfilter_generation {
  uint64_t *bits;
  size_t keys;
  int64_t youngest_us; /* createdAt of the youngest key in it */
} tci_keyfilter_generation;

typedef struct tci_keyfilter {
  pthread_mutex_t mutex;
  int ready;    /* the mutex exists */
  int complete; /* every key of the index is in it */
  int broken;   /* out of memory: never complete */
  size_t count;
  tci_keyfilter_generation generations[TCI_KEYFILTER_GENERATIONS];
} tci_keyfilter;

int tci_keyfilter_init(tci_keyfilter *filter); /* 0 or errno. Empty and not complete */
void tci_keyfilter_close(tci_keyfilter *filter);
void tci_keyfilter_add(tci_keyfilter *filter, const uint64_t *hashes, size_t n, int64_t youngest_us);
void tci_keyfilter_completed(tci_keyfilter *filter);
int tci_keyfilter_may_have(tci_keyfilter *filter, uint64_t hash);    /* 0: certainly not */
void tci_keyfilter_expire(tci_keyfilter *filter, int64_t before_us); /* drops the generations whose youngest key is older */

#endif
