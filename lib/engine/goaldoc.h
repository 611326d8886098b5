/* goaldoc.h - a goal as a document in the log, and what a caller may ask for. */
#ifndef TCI_ENGINE_GOALDOC_H
#define TCI_ENGINE_GOALDOC_H

#include "base/buf.h"
#include "engine/goals.h"
#include "engine/plain.h"

typedef struct tci_goaldoc {
  tci_goal goal; /* texts in storage */
  tci_plain plain;
  char *storage;
} tci_goaldoc;

/* TC_OK, TC_ECORRUPT, TC_ENOMEM; to be freed either way. */
int tci_goaldoc_read(tci_goaldoc *out, int64_t id, tc_text doc);
void tci_goaldoc_free(tci_goaldoc *read);
/* doc: to be freed either way. TC_OK, TC_ENOMEM. */
int tci_goaldoc_write(const tci_goal *goal, tci_buf *doc);
/* A copy whose texts stand in room, which has this many bytes. */
size_t tci_goal_text_bytes(const tci_goal *goal);
void tci_goal_copy(const tci_goal *goal, tci_goal *to, char *room);
/* TC_OK, or TC_EINVAL with the field. */
int tci_goaldoc_check(const tci_goal *goal);
int tci_goaldoc_same_request(const tci_goal *a, const tci_goal *b);

#endif
