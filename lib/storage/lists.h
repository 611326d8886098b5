/* lists.h - which lists an event is in, and how a list is named: what every backend that keeps an index of lists builds on. Pure. */
#ifndef TCI_STORAGE_LISTS_H
#define TCI_STORAGE_LISTS_H

#include "base/siphash.h"
#include "tipcurrent/sys/storage.h"

/* A list's name: 127 bits of keyed hash over what it is a list of. h < 0 for the list of a key, >= 0 for all others. */
typedef struct tci_list_name {
  int64_t h, g;
} tci_list_name;

#define TCI_LISTS_MAX 14 /* all of its kind, each of six columns, room with each of the five others, those with any currency at all or in a room */

/* But for those of its id and its key, which have one event each. */
size_t tci_lists_of_record(const tci_sipkey *key, const tc_record *record, tci_list_name out[TCI_LISTS_MAX]);
/* The lists that hold all that matches the filter; *exact[i]: list i holds nothing else. 0: nothing can match. */
size_t tci_lists_of_filter(const tci_sipkey *key, const tc_filter *filter, tci_list_name out[TCI_LISTS_MAX], int exact[TCI_LISTS_MAX]);
/* Of the filter's kind, in its room if it names one: all with a currency. */
tci_list_name tci_list_of_currencies(const tci_sipkey *key, const tc_filter *filter);
/* 1: `all` holds what matches but for the currency, and the filter names nothing but a room, so that the list above is what is to be taken away. */
int tci_list_beside_currency(const tci_sipkey *key, const tc_filter *filter, tci_list_name *all);
tci_list_name tci_list_of_key(const tci_sipkey *key, uint32_t kind, tc_text text);
tci_list_name tci_list_of_id(const tci_sipkey *key, uint32_t kind, int64_t id);

/* (list, createdAt, seq): event seq is in the list. Sorted by all four as signed numbers. */
typedef struct tci_entry {
  int64_t h, g; /* the list's name */
  int64_t created_at_us, seq;
} tci_entry;

int tci_entry_compare(const tci_entry *a, const tci_entry *b);
/* The array gives way to a sorted one. TC_OK or TC_ENOMEM. */
int tci_entries_sort(tci_entry **entries, size_t count);

#endif
