/* ever.c - which users' cells were ever written down.
 *
 * Once something has been evicted, a cell that is not in memory may be in the store, and each user who is new in his room would be looked for there, in vain. A Bloom filter says of most of them that there
 * is nothing: four bits of one cache line a key, one look in a hundred wrong at some three million users. It knows all that was written since the store was empty; what a store has that was there at
 * open it learns in slices, and until it has them all everything is looked for: a round trip each, where the store is a server. It never says no of what is there: a key is added before it is written. */
#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

#define FILL_KEYS 16384 /* a slice: some 10 ms */

enum { LINE_WORDS = 8, LINE_BITS = 512, PROBES = 4 };

void tci_ever_open(tci_rollup *rollup, uint64_t bytes) {
  size_t lines = 1;
  while (lines * 2 * LINE_WORDS * sizeof(uint64_t) <= bytes) lines *= 2;
  rollup->ever = tci_array(lines * LINE_WORDS, sizeof *rollup->ever); /* without memory everything is looked for */
  rollup->ever_mask = lines - 1;
  rollup->ever_filling = rollup->ever && rollup->stored_seq;
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

typedef struct filling {
  tci_rollup *rollup;
  size_t n;
} filling;

static int learn(tc_text key, tc_text value, void *arg) {
  filling *f = arg;
  (void)value;
  if (key.len != TCI_CELL_KEY) return 0;
  memcpy(&f->rollup->ever_from, key.ptr, TCI_CELL_KEY);
  tci_ever_add(f->rollup, &f->rollup->ever_from);
  return ++f->n == FILL_KEYS;
}

/* What is written meanwhile is added by whoever writes it, so it does not matter where the walk stands then. */
int tci_ever_fill(tci_rollup *rollup) {
  const tc_storage_ops *ops = rollup->engine->ops;
  tci_cell_key start = rollup->ever_from; /* the walk moves that one on */
  tc_text from = {(const char *)start.bytes, TCI_CELL_KEY}, end = {NULL, 0};
  filling f = {rollup, 0};
  if (ops->facts_scan(rollup->engine->storage, TCI_SPACE_BOARD, from, end, learn, &f)) return 0;
  rollup->ever_filling = f.n == FILL_KEYS;
  return rollup->ever_filling;
}

int tci_ever_has(const tci_rollup *rollup, const tci_cell_key *key) {
  uint64_t bits;
  int has = 1;
  if (!rollup->ever || rollup->ever_filling) return 1;
  const uint64_t *line = line_of(rollup, key, &bits);
  for (int i = 0; i < PROBES; i++) {
    unsigned bit = (unsigned)(bits >> (64 - 9 * (i + 1))) % LINE_BITS;
    has &= (int)(line[bit / 64] >> bit % 64 & 1);
  }
  return has;
}
