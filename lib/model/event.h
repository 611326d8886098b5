/* event.h - tc_event: a record with its texts and its JSON in one allocation, shared by reference.
 *
 * The JSON is encoded by the creator's thread except for the two values that only the commit knows: id stands first and createdAt last, so the writer fills in
 * the digits in place (room for 20 before `,"roomId"`, exactly 24 for the time) and no encoding is left for the single writer thread.
 */
#ifndef TCI_MODEL_EVENT_H
#define TCI_MODEL_EVENT_H

#include <stdatomic.h>

#include "tipcurrent/event.h"
#include "tipcurrent/sys/storage.h"

struct tc_event {
  atomic_uint refs;
  uint32_t size_bytes;  /* of the whole allocation: what queues and the tail count */
  tc_record record;     /* texts point into bytes, each NUL-terminated */
  uint32_t json_offset; /* into bytes; moves left as the id gets digits */
  uint32_t json_len;
  uint32_t json_id_end; /* where the id's digits end */
  char bytes[];
};

/* A copy of the record (which must be valid) with its JSON but for id and time; one reference. NULL: out of memory. */
tc_event *tci_event_new(const tc_record *record);
/* Fills in what the commit decided. Once, before anybody else sees the event. */
void tci_event_commit(tc_event *event, int64_t seq, int64_t id, int64_t created_at_us);
/* Both at once, for rows read back from storage. NULL: out of memory. */
tc_event *tci_event_from_row(const tc_record *row);

#endif
