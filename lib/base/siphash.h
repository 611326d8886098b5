/* siphash.h - SipHash-2-4 (Aumasson, Bernstein 2012): the hash of every table whose keys a client chooses, with a random key per table owner. */
#ifndef TCI_BASE_SIPHASH_H
#define TCI_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct tci_sipkey {
  uint64_t k0, k1;
} tci_sipkey;

uint64_t tci_siphash(const tci_sipkey *key, const void *bytes, size_t len);

#endif
