#include "model/fail.h"
#include "move/move.h"

static int copied(int64_t done, int64_t total, void *arg) { return tci_move_progress(arg, "pages", done, total); }

int tci_backup(tci_move *move, const char *url, const char *directory) {
  const tc_storage_ops *ops = NULL;
  int rc = tci_move_ops(url, "storage_url", &ops);
  if (!rc && !TCI_OPS_HAVE(ops, backup))
    rc = tci_fail(TC_ENOTSUP, "storage_url: %s: is not backed up this way (PostgreSQL: pg_dump or pg_basebackup)", ops->scheme);
  if (!rc) rc = ops->backup(url, &move->env, directory, copied, move, &move->counts.log_seq);
  move->counts.events = move->counts.log_seq;
  return rc;
}
