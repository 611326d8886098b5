#include <endian.h>
#include <string.h>

#include "engine/rollup/cells.h"

#define ZERO_TIME (UINT32_C(1) << 31)

tci_hash tci_hash_of(const tci_rollup *rollup, tc_text text) {
  uint64_t out[2];
  tci_siphash128(&rollup->key, text.ptr, text.len, out);
  return (tci_hash){out[0], out[1]};
}

/* A bijection that spreads every bit (the finalizer of MurmurHash3). */
static uint64_t spread(uint64_t x) {
  x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
  x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return x ^ x >> 33;
}

/* As in the index's lists: what a client chooses has gone through a keyed hash and is random to him, so that mixing is enough here. */
tci_hash tci_hash_mix(uint64_t tag, tci_hash first, tci_hash second) {
  tag *= UINT64_C(0x9e3779b97f4a7c15);
  return (tci_hash){spread(spread(first.h + tag) + second.h), spread(spread(first.g ^ tag) + second.g)};
}

tci_cell_key tci_cell_key_of(tci_hash group, uint32_t time, tci_hash item) {
  tci_cell_key key;
  uint64_t group_h = htobe64(group.h), item_h = htobe64(item.h);
  uint32_t when = htobe32(time);
  uint16_t group_g = htobe16((uint16_t)group.g), item_g = htobe16((uint16_t)item.g);
  memcpy(key.bytes, &group_h, 8);
  memcpy(key.bytes + 8, &group_g, 2);
  memcpy(key.bytes + 10, &when, 4);
  memcpy(key.bytes + 14, &item_h, 8);
  memcpy(key.bytes + 22, &item_g, 2);
  return key;
}

tci_cell_key tci_cell_key_next(tci_cell_key key) {
  for (int i = TCI_CELL_KEY - 1; i >= 0 && !++key.bytes[i]; i--) continue;
  return key;
}

uint32_t tci_key_time(const tci_cell_key *key) {
  const uint8_t *at = key->bytes + 10;
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

tci_hash tci_key_group(const tci_cell_key *key) {
  tci_hash hash = {0, (uint64_t)key->bytes[8] << 8 | key->bytes[9]};
  for (int i = 0; i < 8; i++) hash.h = hash.h << 8 | key->bytes[i];
  return hash;
}

/* Times far beyond what has a calendar share the first and the last number. */
static uint32_t number_of(int64_t us, int64_t unit) {
  int64_t n = us / unit - (us % unit < 0);
  if (n < 1 - (int64_t)ZERO_TIME) n = 1 - (int64_t)ZERO_TIME;
  if (n >= (int64_t)ZERO_TIME - 1) n = (int64_t)ZERO_TIME - 2;
  return (uint32_t)(n + (int64_t)ZERO_TIME);
}

uint32_t tci_quarter_of(int64_t us) { return number_of(us, TCI_QUARTER_US); }

uint32_t tci_day_of(int64_t us) { return number_of(us, TCI_DAY_US); }

int64_t tci_quarter_start_us(uint32_t quarter) { return ((int64_t)quarter - (int64_t)ZERO_TIME) * TCI_QUARTER_US; }

tci_hash tci_board_hash(const tci_rollup *rollup, tci_hash room, int role, tci_hash currency) {
  (void)rollup;
  return tci_hash_mix((uint64_t)TCI_SPACE_BOARD << 8 | (unsigned)role, room, currency);
}

tci_hash tci_space_hash(uint32_t space, tci_hash room) { return tci_hash_mix((uint64_t)space << 8, room, room); }
