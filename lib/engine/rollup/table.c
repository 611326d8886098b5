#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

#define SLOTS_BEGIN 256

uint64_t tci_table_tag(const tci_cell_key *key) {
  uint64_t group, item;
  uint32_t time;
  memcpy(&group, key->bytes, 8);
  memcpy(&time, key->bytes + 10, 4);
  memcpy(&item, key->bytes + 14, 8);
  /* Group and item are hashes; only the time is not. */
  uint64_t tag = (group ^ item) + (uint64_t)time * UINT64_C(0x9e3779b97f4a7c15);
  return tag ^ tag >> 29;
}

static size_t place_of(const tci_table *table, const tci_cell_key *key, uint64_t tag) {
  size_t at = (size_t)tag & table->mask;
  for (; table->slots[at].at; at = (at + 1) & table->mask) {
    if (table->slots[at].tag == tag && !memcmp(table->slots[at].at, key, sizeof *key)) break;
  }
  return at;
}

void tci_table_prefetch(const tci_table *table, uint64_t tag, int object) {
  if (!table->mask) return;
  const tci_table_slot *slot = &table->slots[(size_t)tag & table->mask];
  if (object) __builtin_prefetch(slot->at);
  else __builtin_prefetch(slot);
}

void *tci_table_find(const tci_table *table, const tci_cell_key *key) { return table->mask ? table->slots[place_of(table, key, tci_table_tag(key))].at : NULL; }

int tci_table_reserve(tci_table *table, size_t more) {
  size_t count = table->mask ? table->mask + 1 : SLOTS_BEGIN;
  while ((table->count + more) * 3 > count * 2) count *= 2;
  if (table->mask && count == table->mask + 1) return TC_OK;
  tci_table grown = {tci_array(count, sizeof *grown.slots), table->count, count - 1};
  if (!grown.slots) return TC_ENOMEM;
  for (size_t i = 0; table->mask && i <= table->mask; i++) {
    tci_table_slot slot = table->slots[i];
    if (!slot.at) continue;
    size_t at = (size_t)slot.tag & grown.mask;
    while (grown.slots[at].at) at = (at + 1) & grown.mask;
    grown.slots[at] = slot;
  }
  tci_free(table->slots);
  *table = grown;
  return TC_OK;
}

void tci_table_add(tci_table *table, void *object) {
  uint64_t tag = tci_table_tag(object);
  size_t at = place_of(table, object, tag);
  table->slots[at] = (tci_table_slot){tag, object};
  table->count++;
}

/* Closes the gap at `at`: whoever a walk from his home would no longer find moves into it. */
static void close_gap(tci_table *table, size_t at) {
  for (size_t next = (at + 1) & table->mask; table->slots[next].at; next = (next + 1) & table->mask) {
    size_t home = (size_t)table->slots[next].tag & table->mask;
    if (((next - home) & table->mask) < ((next - at) & table->mask)) continue;
    table->slots[at] = table->slots[next];
    at = next;
  }
  table->slots[at].at = NULL;
}

void tci_table_sweep(tci_table *table, int (*gone)(void *object, void *arg), void *arg) {
  for (size_t i = 0; table->mask && i <= table->mask; i++) {
    /* What moves into the gap is looked at next; what moves around the end was looked at, and stays once more. */
    while (table->slots[i].at && gone(table->slots[i].at, arg)) {
      close_gap(table, i);
      table->count--;
    }
  }
}
