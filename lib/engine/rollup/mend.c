/* mend.c - after a kill: tops that were written before the cells of their boards (spill.c) are brought up to them.
 *
 * Whoever is in an event between the two has a value now, which his cell knows: it is put into the tops of his boards, and they are exact again. Cells are not changed, so it may be done
 * twice, and be broken off. Nothing is applied before it is done.
 */
#include "engine/rollup/standing.h"

int tci_rollup_is_mending(const tci_rollup *rollup) { return atomic_load(&rollup->mended_seq) < atomic_load(&rollup->mend_to_seq); }

static int settle(tci_rollup *rollup, const tc_record *record, int64_t tip_created_at_us) {
  tc_text code = record->text[TC_COL_CURRENCY], users[2] = {record->text[TC_COL_USER], record->text[TC_COL_PEER]};
  tci_hash currency = code.len ? tci_hash_of(rollup, code) : rollup->standard;
  tci_hash rooms[2] = {tci_hash_of(rollup, record->text[TC_COL_ROOM]), rollup->all};
  int rc = TC_OK;
  for (int i = 0; i < 4 && !rc; i++) {
    int role = i % 2 ? TCI_RECIPIENTS : TCI_SENDERS;
    tci_hash board = tci_board_hash(rollup, rooms[i / 2], role, currency);
    rc = tci_standing_settle(rollup, board, tci_day_of(tip_created_at_us), tci_hash_of(rollup, users[i % 2]), users[i % 2]);
  }
  return rc;
}

int tci_rollup_mend(tci_rollup *rollup, const tc_record *const *records, size_t n) {
  int rc = TC_OK;
  for (size_t i = 0; i < n && !rc; i++) {
    int64_t tip_created_at_us = records[i]->created_at_us;
    if (records[i]->kind == TC_KIND_REFUND) rc = tci_rollup_tip_time(rollup, records[i], &tip_created_at_us);
    if (!rc && (records[i]->kind == TC_KIND_TIP || records[i]->kind == TC_KIND_REFUND)) rc = settle(rollup, records[i], tip_created_at_us);
    if (!rc) atomic_store(&rollup->mended_seq, records[i]->seq);
  }
  return rc;
}
