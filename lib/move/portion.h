/* portion.h - some events of a log, copied out of it: as many as are written at a time, bounded in number and bytes. */
#ifndef TCI_MOVE_PORTION_H
#define TCI_MOVE_PORTION_H

#include "base/buf.h"
#include "move/move.h"

#define TCI_PORTION_BYTES ((size_t)4 << 20) /* of texts; one event may have more */

typedef struct tci_portion {
  tc_record at[TCI_MOVE_ROWS];
  size_t place[TCI_MOVE_ROWS][TC_COL_COUNT]; /* of the texts, while bytes may still move */
  size_t n;
  tci_buf bytes;
  int rc;
} tci_portion;

tci_portion *tci_portion_new(void);           /* NULL: out of memory */
void tci_portion_free(tci_portion *portion);  /* takes NULL */
void tci_portion_clear(tci_portion *portion); /* to be filled anew */
/* Copies a row; portion->rc says how that went. 1: it is full. As tc_row_fn, when arg is the portion. */
int tci_portion_take(const tc_record *row, void *arg);
void tci_portion_seal(tci_portion *portion); /* when nothing more comes: the texts are where the records say */
/* The rows with seq > after_seq and <= upto_seq, as many as fit. */
int tci_portion_read(tci_portion *portion, const tci_end *from, int64_t after_seq, int64_t upto_seq);
/* 1: the same in everything. */
int tci_same_record(const tc_record *a, const tc_record *b);

#endif
