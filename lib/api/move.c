#include "tipcurrent/move.h"

#include <string.h>

#include "api/enter.h"
#include "api/sized.h"
#include "move/move.h"

/* What every function here begins with: both structs, and the texts that must be there. */
static int begin(tci_move *move, const tc_move_options *options, const tc_move_counts *out, const char *name, const char *url) {
  tc_move_options given = TC_MOVE_OPTIONS_INIT;
  tc_move_counts room = TC_MOVE_COUNTS_INIT;
  int rc = TC_OK;
  if (options) rc = tci_sized_in(&given, sizeof given, TCI_SIZED_UP_TO(tc_move_options, secret_key), options, "options");
  if (!rc && out) rc = tci_sized_in(&room, sizeof room, TCI_SIZED_UP_TO(tc_move_counts, findings), out, "out");
  if (!rc && given.flags) rc = tci_fail(TC_EINVAL, "flags: 0x%x has bits that are not defined", given.flags);
  if (!rc && given.idempotency_ttl_s > 366u * 86400u) rc = tci_fail(TC_EINVAL, "idempotency_ttl_s: must be at most a year");
  if (!rc && !url) rc = tci_fail(TC_EINVAL, "%s: must not be NULL", name);
  if (!rc) tci_move_init(move, &given);
  return rc;
}

static void finish(const tci_move *move, tc_move_counts *out) {
  if (!out) return;
  size_t size = out->size;
  memcpy(out, &move->counts, size < sizeof move->counts ? size : sizeof move->counts);
  out->size = size;
}

int tc_backup(const char *storage_url, const char *directory, const tc_move_options *options, tc_move_counts *out) {
  tci_move move;
  TCI_ENTER();
  int rc = begin(&move, options, out, "storage_url", storage_url);
  if (!rc && (!directory || !*directory)) rc = tci_fail(TC_EINVAL, "directory: is required");
  if (!rc) rc = tci_backup(&move, storage_url, directory);
  if (!rc) finish(&move, out);
  return rc;
}

int tc_verify(const char *storage_url, const tc_move_options *options, tc_move_counts *out) {
  tci_move move;
  TCI_ENTER();
  int rc = begin(&move, options, out, "storage_url", storage_url);
  if (rc) return rc;
  rc = tci_verify(&move, storage_url);
  if (!rc || rc == TC_ECORRUPT) finish(&move, out);
  return rc;
}

int tc_export(const char *storage_url, int64_t after_seq, uint64_t kinds, tc_export_fn fn, void *userdata, const tc_move_options *options,
              tc_move_counts *out) {
  tci_move move;
  TCI_ENTER();
  int rc = begin(&move, options, out, "storage_url", storage_url);
  if (!rc && !fn) rc = tci_fail(TC_EINVAL, "fn: must not be NULL");
  if (!rc && after_seq < 0) rc = tci_fail(TC_EINVAL, "after_seq: must not be negative");
  if (!rc) rc = tci_export(&move, storage_url, after_seq, kinds, fn, userdata);
  if (!rc) finish(&move, out);
  return rc;
}

typedef int (*mover)(tci_move *move, const char *from, const char *to);

static int between(mover fn, const char *from_url, const char *to_url, const tc_move_options *options, tc_move_counts *out) {
  tci_move move;
  int rc = begin(&move, options, out, "from_url", from_url);
  if (!rc && !to_url) rc = tci_fail(TC_EINVAL, "to_url: must not be NULL");
  if (!rc) rc = fn(&move, from_url, to_url);
  if (!rc) finish(&move, out);
  return rc;
}

int tc_migrate(const char *from_url, const char *to_url, const tc_move_options *options, tc_move_counts *out) {
  TCI_ENTER();
  return between(tci_migrate, from_url, to_url, options, out);
}

int tc_import(const char *from_url, const char *to_url, const tc_move_options *options, tc_move_counts *out) {
  TCI_ENTER();
  return between(tci_import, from_url, to_url, options, out);
}
