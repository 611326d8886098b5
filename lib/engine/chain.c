#include "chain.h"

#include <string.h>

#include "base/mem.h"
#include "model/kind.h"

static const int column_of[TCI_DIM_COUNT] = {[TCI_DIM_ID] = -1,
                                             [TCI_DIM_KEY] = TC_COL_KEY,
                                             [TCI_DIM_ROOM] = TC_COL_ROOM,
                                             [TCI_DIM_USER] = TC_COL_USER,
                                             [TCI_DIM_PEER] = TC_COL_PEER,
                                             [TCI_DIM_TARGET] = TC_COL_TARGET};

int tci_dim_has(int dim, const tc_record *record) { return dim == TCI_DIM_ID || record->text[column_of[dim]].ptr != NULL; }

uint64_t tci_chain_hash(const tci_sipkey *key, int dim, const tc_record *record) {
  /* Dimension and kind go into the key, so that one table serves all and the text is hashed as it stands. */
  tci_sipkey mixed = {key->k0 ^ (uint64_t)(unsigned)dim << 32, key->k1 ^ (dim == TCI_DIM_KEY ? TC_KEY_SPACE(record->kind) : record->kind)};
  if (dim == TCI_DIM_ID) return tci_siphash(&mixed, &record->id, sizeof record->id);
  tc_text text = record->text[column_of[dim]];
  return tci_siphash(&mixed, text.ptr, text.len);
}

static int same(int dim, const tc_record *a, const tc_record *b) {
  if (dim == TCI_DIM_KEY) return tci_same_key(a, b);
  if (a->kind != b->kind) return 0;
  if (dim == TCI_DIM_ID) return a->id == b->id;
  tc_text x = a->text[column_of[dim]], y = b->text[column_of[dim]];
  return x.ptr && y.ptr && x.len == y.len && (x.len == 0 || memcmp(x.ptr, y.ptr, x.len) == 0);
}

static size_t slot_of(const tci_chains *chains, uint64_t hash, int dim, const tc_record *probe, tci_record_at record_at, const void *owner) {
  size_t mask = chains->cap - 1;
  size_t i = (size_t)hash & mask;
  for (; chains->slots[i].newest; i = (i + 1) & mask) {
    if (chains->slots[i].hash == hash && same(dim, record_at(owner, chains->slots[i].newest), probe)) break;
  }
  return i;
}

int tci_chains_reserve(tci_chains *chains, size_t more) {
  size_t cap = chains->cap ? chains->cap : 256;
  while (cap < (chains->used + more) * 2) cap *= 2;
  if (cap == chains->cap) return TC_OK;
  tci_chain *slots = tci_array(cap, sizeof *slots);
  if (!slots) return TC_ENOMEM;
  for (size_t i = 0; i < chains->cap; i++) {
    if (!chains->slots[i].newest) continue;
    size_t j = (size_t)chains->slots[i].hash & (cap - 1);
    while (slots[j].newest) j = (j + 1) & (cap - 1);
    slots[j] = chains->slots[i];
  }
  tci_free(chains->slots);
  chains->slots = slots;
  chains->cap = cap;
  return TC_OK;
}

void tci_chains_free(tci_chains *chains) {
  tci_free(chains->slots);
  memset(chains, 0, sizeof *chains);
}

void tci_chain_prefetch(const tci_chains *chains, uint64_t hash) { __builtin_prefetch(&chains->slots[(size_t)hash & (chains->cap - 1)], 1); }

int64_t tci_chain_push(tci_chains *chains, uint64_t hash, int dim, const tc_record *record, int64_t seq, tci_record_at record_at, const void *owner) {
  tci_chain *slot = &chains->slots[slot_of(chains, hash, dim, record, record_at, owner)];
  int64_t before = slot->newest;
  if (!before) chains->used++;
  slot->hash = hash;
  slot->newest = seq;
  return before;
}

int64_t tci_chain_newest(const tci_chains *chains, const tci_sipkey *key, int dim, const tc_record *probe, tci_record_at record_at, const void *owner) {
  if (!chains->cap) return 0;
  return chains->slots[slot_of(chains, tci_chain_hash(key, dim, probe), dim, probe, record_at, owner)].newest;
}

void tci_chain_drop(tci_chains *chains, uint64_t hash, int64_t seq) {
  size_t mask = chains->cap - 1;
  size_t hole = (size_t)hash & mask;
  /* A seq with its hash names one chain: two dimensions of one event have different hashes, or both texts would have to be compared here. */
  while (chains->slots[hole].newest && (chains->slots[hole].newest != seq || chains->slots[hole].hash != hash)) hole = (hole + 1) & mask;
  if (!chains->slots[hole].newest) return;
  chains->used--;
  /* Linear probing without tombstones (Knuth 6.4, algorithm R): move back whatever the hole would cut off from its home slot. */
  for (size_t i = (hole + 1) & mask; chains->slots[i].newest; i = (i + 1) & mask) {
    size_t home = (size_t)chains->slots[i].hash & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      chains->slots[hole] = chains->slots[i];
      hole = i;
    }
  }
  chains->slots[hole].newest = 0;
}
