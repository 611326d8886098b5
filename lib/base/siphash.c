#include "siphash.h"

#include <string.h>

static inline uint64_t rotl(uint64_t x, unsigned b) { return (x << b) | (x >> (64 - b)); }

/* Forced: left to itself gcc 12 calls it, with v in memory, which doubles the time for short keys. */
__attribute__((always_inline)) static inline void round_once(uint64_t v[4]) {
  v[0] += v[1];
  v[1] = rotl(v[1], 13) ^ v[0];
  v[0] = rotl(v[0], 32);
  v[2] += v[3];
  v[3] = rotl(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotl(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotl(v[1], 17) ^ v[2];
  v[2] = rotl(v[2], 32);
}

__attribute__((always_inline)) static inline void absorb(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  round_once(v);
  round_once(v);
  v[0] ^= word;
}

/* Both variants up to the end of the text. The host's byte order shows in the values: what keeps them is this machine's. */
__attribute__((always_inline)) static inline void begin(uint64_t v[4], const tci_sipkey *key, const void *bytes, size_t len, uint64_t variant) {
  const unsigned char *at = bytes;
  uint64_t word;
  size_t left = len;
  v[0] = key->k0 ^ 0x736f6d6570736575u;
  v[1] = key->k1 ^ 0x646f72616e646f6du ^ variant;
  v[2] = key->k0 ^ 0x6c7967656e657261u;
  v[3] = key->k1 ^ 0x7465646279746573u;
  for (; left >= 8; at += 8, left -= 8) {
    memcpy(&word, at, 8);
    absorb(v, word);
  }
  word = 0;
  if (left) memcpy(&word, at, left);
  absorb(v, word | (uint64_t)(len & 0xff) << 56);
}

__attribute__((always_inline)) static inline uint64_t end(uint64_t v[4]) {
  for (int i = 0; i < 4; i++) round_once(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t tci_siphash(const tci_sipkey *key, const void *bytes, size_t len) {
  uint64_t v[4];
  begin(v, key, bytes, len, 0);
  v[2] ^= 0xff;
  return end(v);
}

void tci_siphash128(const tci_sipkey *key, const void *bytes, size_t len, uint64_t out[2]) {
  uint64_t v[4];
  begin(v, key, bytes, len, 0xee);
  v[2] ^= 0xee;
  out[0] = end(v);
  v[1] ^= 0xdd;
  out[1] = end(v);
}
