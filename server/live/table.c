#include "server/live/table.h"

#include "base/mem.h"
#include "tipcurrent/error.h"

#define SLOTS_MIN 64

static tcd_node **slot(const tcd_table *table, uint64_t hash) { return &table->slots[hash & (table->cap - 1)]; }

tcd_node *tcd_table_next(tcd_node *node) {
  tcd_node *at = node->next;
  while (at && at->hash != node->hash) at = at->next;
  return at;
}

tcd_node *tcd_table_first(const tcd_table *table, uint64_t hash) {
  tcd_node before = {table->cap ? *slot(table, hash) : NULL, hash};
  return tcd_table_next(&before);
}

static void grow(tcd_table *table) {
  tcd_table larger = {.cap = table->cap ? table->cap * 2 : SLOTS_MIN, .count = table->count};
  larger.slots = tci_array(larger.cap, sizeof *larger.slots);
  if (!larger.slots) return; /* longer chains, no failure */
  for (size_t i = 0; i < table->cap; i++) {
    for (tcd_node *node = table->slots[i], *next; node; node = next) {
      next = node->next;
      node->next = *slot(&larger, node->hash);
      *slot(&larger, node->hash) = node;
    }
  }
  tci_free(table->slots);
  *table = larger;
}

int tcd_table_add(tcd_table *table, tcd_node *node) {
  if (table->count >= table->cap) grow(table);
  if (!table->cap) return TC_ENOMEM;
  node->next = *slot(table, node->hash);
  *slot(table, node->hash) = node;
  table->count++;
  return TC_OK;
}

void tcd_table_remove(tcd_table *table, tcd_node *node) {
  tcd_node **at = slot(table, node->hash);
  while (*at != node) at = &(*at)->next;
  *at = node->next;
  table->count--;
}

void tcd_table_free(tcd_table *table) {
  tci_free(table->slots);
  *table = (tcd_table){NULL, 0, 0};
}
