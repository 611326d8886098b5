#include "move/keyset.h"

#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

#define FIRST_CAP 4096

int tci_keyset_init(tci_keyset *set, int64_t ttl_us) {
  memset(set, 0, sizeof *set);
  set->at = tci_array(FIRST_CAP, sizeof *set->at);
  if (!set->at) return TC_ENOMEM;
  set->cap = FIRST_CAP;
  set->ttl_us = ttl_us;
  return TC_OK;
}

void tci_keyset_free(tci_keyset *set) {
  tci_free(set->at);
  memset(set, 0, sizeof *set);
}

static int is_young(const tci_keyset *set, const tci_keyset_entry *entry, int64_t now_us) {
  int64_t age_us = 0;
  int overflow = __builtin_sub_overflow(now_us, entry->created_at_us, &age_us);
  return entry->seq && !overflow && age_us < set->ttl_us;
}

static tci_keyset_entry *place(const tci_keyset *set, const uint64_t name[2]) {
  size_t at = (size_t)name[0] & (set->cap - 1);
  while ((set->at[at].name[0] || set->at[at].name[1]) && memcmp(set->at[at].name, name, sizeof set->at[at].name) != 0) at = (at + 1) & (set->cap - 1);
  return &set->at[at];
}

/* What is out of its time is left behind; only where that is not enough the table grows. */
static int make_room(tci_keyset *set, int64_t now_us) {
  tci_keyset larger = *set;
  size_t alive = 0;
  for (size_t i = 0; i < set->cap; i++) alive += (size_t)is_young(set, &set->at[i], now_us);
  while (alive * 4 > larger.cap) larger.cap *= 2;
  if (larger.cap > TCI_KEYSET_MAX) {
    set->full = 1;
    return TC_OK;
  }
  larger.used = alive;
  larger.at = tci_array(larger.cap, sizeof *larger.at);
  if (!larger.at) return TC_ENOMEM;
  for (size_t i = 0; i < set->cap; i++) {
    if (is_young(set, &set->at[i], now_us)) *place(&larger, set->at[i].name) = set->at[i];
  }
  tci_free(set->at);
  *set = larger;
  return TC_OK;
}

int tci_keyset_put(tci_keyset *set, const tc_record *record, int64_t *before) {
  tci_sipkey key = {TC_KEY_SPACE(record->kind), 0};
  tc_text text = record->text[TC_COL_KEY];
  uint64_t name[2];
  *before = 0;
  if (!text.ptr || set->full) return TC_OK;
  if (set->used * 2 >= set->cap && make_room(set, record->created_at_us)) return TC_ENOMEM;
  if (set->full) return TC_OK;
  tci_siphash128(&key, text.ptr, text.len, name);
  tci_keyset_entry *entry = place(set, name);
  if (entry->seq < record->seq && is_young(set, entry, record->created_at_us)) *before = entry->seq;
  set->used += !entry->seq;
  *entry = (tci_keyset_entry){{name[0], name[1]}, record->created_at_us, record->seq};
  return TC_OK;
}
