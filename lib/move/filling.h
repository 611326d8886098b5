/* filling.h - a log that is being filled from another one: the note in it that says so, and writing to it. */
#ifndef TCI_MOVE_FILLING_H
#define TCI_MOVE_FILLING_H

#include "move/portion.h"

/* The note: {"what":"migrate","firstSeq":1}. While it stands no engine opens the log, and who filled it may go on. */
typedef struct tci_filling {
  char what[16];     /* "": there is none */
  int64_t first_seq; /* of the first event that comes from elsewhere */
} tci_filling;

int tci_filling_read(const tci_end *end, tci_filling *out);
int tci_filling_begin(const tci_end *end, const tci_filling *filling);
int tci_filling_finish(const tci_end *end); /* the note goes */
/* Appends them with their ids; waits for a storage that is busy, up to a minute. TC_EUNKNOWN: the next try sees what is there. */
int tci_filling_append(const tci_end *to, tc_record *records, size_t n);
/* Of a log that several nodes may open: that this one leads still. TC_EBUSY: it does not. Before each commit. */
int tci_filling_hold(const tci_end *end);
int tci_filling_commit(const tci_end *to, tc_work *work); /* work_commit */
/* Opens a log to be written, which must be able to be filled. */
int tci_move_open(tci_move *move, const char *url, const char *name, tci_end *out);

#endif
