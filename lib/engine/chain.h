/* chain.h - the hash table behind the tail's chains: (dimension, kind, text) -> the newest seq that has it. Not locked: the tail's mutex is held around it. */
#ifndef TCI_ENGINE_CHAIN_H
#define TCI_ENGINE_CHAIN_H

#include "base/siphash.h"
#include "tipcurrent/sys/storage.h"

/* A combination of filters walks one chain and compares the rest, so emoji needs none of its own. */
enum { TCI_DIM_ID = 0, TCI_DIM_KEY, TCI_DIM_ROOM, TCI_DIM_USER, TCI_DIM_PEER, TCI_DIM_TARGET, TCI_DIM_COUNT };

typedef struct tci_chain {
  uint64_t hash;
  int64_t newest; /* 0: free slot */
} tci_chain;

typedef struct tci_chains {
  tci_chain *slots;
  size_t cap, used; /* cap is a power of two, at most half full */
} tci_chains;

/* How the table looks at the text of a node: the record with that seq. */
typedef const tc_record *(*tci_record_at)(const void *owner, int64_t seq);

int tci_dim_has(int dim, const tc_record *record);
int tci_chains_reserve(tci_chains *chains, size_t more); /* TC_OK or TC_ENOMEM */
void tci_chains_free(tci_chains *chains);

/* The chain's hash: taken once, kept by whoever owns the node. */
uint64_t tci_chain_hash(const tci_sipkey *key, int dim, const tc_record *record);
/* A push or drop with this hash comes soon. The table is far larger than the caches, and its misses were a fifth of the writer's time. */
void tci_chain_prefetch(const tci_chains *chains, uint64_t hash);
/* seq becomes the newest of its chain; returns the newest before it, 0: none. Needs room (reserve). */
int64_t tci_chain_push(tci_chains *chains, uint64_t hash, int dim, const tc_record *record, int64_t seq, tci_record_at record_at, const void *owner);
/* The newest of the probe's chain; 0: none. */
int64_t tci_chain_newest(const tci_chains *chains, const tci_sipkey *key, int dim, const tc_record *probe, tci_record_at record_at, const void *owner);
/* seq leaves the ring: forgets the chain if seq is its newest. */
void tci_chain_drop(tci_chains *chains, uint64_t hash, int64_t seq);

#endif
