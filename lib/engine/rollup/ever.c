/* ever.c - which users' cells were ever written down.
 *
 * Once something has been evicted, a cell that is not in memory may be in the store, and each user who is new in his room would be looked for there, in vain. A Bloom filter says of most of them that there
 * is nothing: four bits of one cache line a key, one look in a hundred wrong at some three million users. It knows all that was written since the store was empty; of a store that was there at
 * open it knows nothing, and then everything is looked for. It never says no of what is there: a key is added before it is written. */
#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

enum { LINE_WORDS = 8, LINE_BITS = 512, PROBES = 4 };

void tci_ever_open(tci_rollup *rollup, uint64_t bytes) {
  size_t lines = 1;
  while (lines * 2 * LINE_WORDS * sizeof(uint64_t) <= bytes) lines *= 2;
  rollup->ever = tci_array(lines * LINE_WORDS, sizeof *rollup->ever); /* without memory everything is looked for */
  rollup->ever_mask = lines - 1;
}

/* Group and item are keyed hashes: what they say is as good as random. */
static uint64_t *line_of(const tci_rollup *rollup, const tci_cell_key *key, uint64_t *bits) {
  uint64_t group, item;
  memcpy(&group, key->bytes, sizeof group);
  memcpy(&item, key->bytes + 14, sizeof item);
  uint64_t mixed = (group ^ (item << 31 | item >> 33)) * UINT64_C(0x9e3779b97f4a7c15);
  *bits = (group + item) * UINT64_C(0xd6e8feb86659fd93);
  return &rollup->ever[((size_t)(mixed >> 20) & rollup->ever_mask) * LINE_WORDS];
}

void tci_ever_add(tci_rollup *rollup, const tci_cell_key *key) {
  uint64_t bits;
  if (!rollup->ever) return;
  uint64_t *line = line_of(rollup, key, &bits);
  for (int i = 0; i < PROBES; i++) {
    unsigned bit = (unsigned)(bits >> (64 - 9 * (i + 1))) % LINE_BITS;
    line[bit / 64] |= UINT64_C(1) << bit % 64;
  }
}

int tci_ever_has(const tci_rollup *rollup, const tci_cell_key *key) {
  uint64_t bits;
  int has = 1;
  if (!rollup->ever) return 1;
  const uint64_t *line = line_of(rollup, key, &bits);
  for (int i = 0; i < PROBES; i++) {
    unsigned bit = (unsigned)(bits >> (64 - 9 * (i + 1))) % LINE_BITS;
    has &= (int)(line[bit / 64] >> bit % 64 & 1);
  }
  return has;
}
