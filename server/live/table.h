/* table.h - a hash table of things that begin with a tcd_node; the caller hashes and compares. Grows by doubling, chained. */
#ifndef TCD_LIVE_TABLE_H
#define TCD_LIVE_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct tcd_node {
  struct tcd_node *next;
  uint64_t hash;
} tcd_node;

typedef struct tcd_table { /* zeroed: empty */
  tcd_node **slots;
  size_t cap, count;
} tcd_table;

/* The first with this hash, then the next one with the same: for (n = first(...); n; n = next(n)). */
tcd_node *tcd_table_first(const tcd_table *table, uint64_t hash);
tcd_node *tcd_table_next(tcd_node *node);
int tcd_table_add(tcd_table *table, tcd_node *node); /* node->hash is set; TC_OK, or TC_ENOMEM (only for the very first) */
void tcd_table_remove(tcd_table *table, tcd_node *node);
void tcd_table_free(tcd_table *table); /* not the nodes */

#endif
