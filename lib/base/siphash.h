/* siphash.h - SipHash-2-4 (Aumasson, Bernstein 2012): the hash of every table whose keys a client chooses, with a random key per table owner. */
#ifndef TCI_BASE_SIPHASH_H
#define TCI_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct tci_sipkey {
  uint64_t k0, k1;
} tci_sipkey;

uint64_t tci_siphash(const tci_sipkey *key, const void *bytes, size_t len);
/* The variant of the same with 128 bits, for names that must never meet: one pass, not two. */
void tci_siphash128(const tci_sipkey *key, const void *bytes, size_t len, uint64_t out[2]);

#endif
