/* rows.h - the memory backend's rows: each one allocation that never moves, reachable by seq, by (kind, id), in list order and by key. */
#ifndef TCI_STORAGE_MEMORY_ROWS_H
#define TCI_STORAGE_MEMORY_ROWS_H

#include "base/siphash.h"
#include "tipcurrent/sys/storage.h"

typedef struct tci_row {
  tc_record record;
  struct tci_row *next_by_key; /* the one before it in its bucket */
  char bytes[];
} tci_row;

/* A growing array of borrowed rows. */
typedef struct tci_row_array {
  tci_row **at;
  size_t count, cap;
} tci_row_array;

typedef struct tci_rows {
  tci_row_array log;                    /* seq - 1; owns the rows */
  tci_row_array kinds[TC_KIND_MAX + 1]; /* by id */
  tci_row_array listed;                 /* by (createdAt, seq), ascending */
  tci_row **buckets;                    /* by key */
  size_t bucket_count;                  /* 0 or a power of two */
  tci_sipkey hash_key;
} tci_rows;

/* A copy; NULL: out of memory. */
tci_row *tci_row_new(const tc_record *record);
/* Makes room for count more of these kinds, so that adding them cannot fail. TC_OK or TC_ENOMEM. */
int tci_rows_reserve(tci_rows *rows, const uint32_t *kinds, size_t count);
/* NULL: none. */
const tci_row *tci_rows_find_id(const tci_rows *rows, uint32_t kind, int64_t id);
/* Numbers the row (an id that it has already, it keeps) and takes it. Needs reserved room. */
void tci_rows_add(tci_rows *rows, tci_row *row);
/* The latest row with this key (TC_KEY_SPACE) that was created after after_us, or NULL. */
const tci_row *tci_rows_find_key(const tci_rows *rows, const tc_record *record, int64_t after_us);
void tci_rows_free(tci_rows *rows);

#endif
