#include "move/filling.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "engine/plain.h"
#include "model/fail.h"

#define NOTE_ID 1
#define PATIENCE_US 60000000
#define GONE_US 10000000
#define LOOK_MS 100

typedef struct reading {
  tci_filling *out;
  int rc;
} reading;

static int read_note(int64_t id, tc_text doc, void *arg) {
  enum { WHAT, FIRST_SEQ, MEMBERS };
  static const char *const names[MEMBERS] = {"what", "firstSeq"};
  reading *r = arg;
  tci_plain plain;
  if (id != NOTE_ID) return 0;
  r->rc = tci_plain_read(&plain, doc, names, MEMBERS);
  tc_text what = tci_plain_text(&plain, WHAT);
  if (!r->rc && (!what.ptr || what.len >= sizeof r->out->what)) r->rc = TC_ECORRUPT;
  if (!r->rc) (void)snprintf(r->out->what, sizeof r->out->what, "%.*s", (int)what.len, what.ptr);
  if (!r->rc) r->out->first_seq = tci_plain_number(&plain, FIRST_SEQ);
  if (r->rc) r->rc = tci_fail(r->rc, "the note of an unfinished move cannot be read");
  tci_plain_free(&plain);
  return 1;
}

int tci_filling_read(const tci_end *end, tci_filling *out) {
  memset(out, 0, sizeof *out);
  reading r = {out, TC_OK};
  int rc = end->ops->config_read(end->storage, TC_CONFIG_MOVE, read_note, &r);
  return rc ? rc : r.rc;
}

int tci_filling_begin(const tci_end *end, const tci_filling *filling) {
  char doc[80];
  int64_t id = NOTE_ID;
  int len = snprintf(doc, sizeof doc, "{\"what\":\"%s\",\"firstSeq\":%lld}", filling->what, (long long)filling->first_seq);
  return end->ops->config_put(end->storage, TC_CONFIG_MOVE, &id, (tc_text){doc, (size_t)len});
}

int tci_filling_finish(const tci_end *end) {
  int rc = end->ops->config_remove(end->storage, TC_CONFIG_MOVE, NOTE_ID);
  return rc == TC_ENOTFOUND ? TC_OK : rc;
}

#define LEASE_MS 60000

static int look(const tci_end *end, tc_node_view *view) {
  int rc = end->ops->look(end->storage, 0, LEASE_MS, 1, view);
  return !rc && !view->epoch ? tci_fail(TC_EBUSY, "another node has the log open: stop it first") : rc;
}

int tci_filling_hold(const tci_end *end) {
  tc_node_view view;
  return TCI_OPS_HAVE(end->ops, look) ? look(end, &view) : TC_OK;
}

/* What is owed is written by who sends: of all webhooks this one, as soon as a node that was killed is seen to be gone. */
static int lead(const tci_end *end) {
  const uint32_t all = (UINT32_C(1) << TC_WORK_SHARES) - 1;
  int64_t cursors[TC_WORK_SHARES], until_us = tci_sys_monotonic_us(NULL) + GONE_US;
  uint32_t held = 0;
  if (!TCI_OPS_HAVE(end->ops, look)) return TC_OK;
  for (;;) {
    tc_node_view view;
    int rc = look(end, &view);
    if (!rc && view.sender) rc = end->ops->work_hold(end->storage, view.sender, view.shares, &held, cursors);
    if (rc || held == all) return rc;
    if (tci_sys_monotonic_us(NULL) >= until_us) return tci_fail(TC_EBUSY, "another node sends webhooks: stop it first");
    (void)poll(NULL, 0, LOOK_MS);
  }
}

int tci_filling_commit(const tci_end *to, tc_work *work) {
  int rc = tci_filling_hold(to);
  return rc ? rc : to->ops->work_commit(to->storage, work);
}

int tci_filling_append(const tci_end *to, tc_record *records, size_t n) {
  int64_t until_us = tci_sys_monotonic_us(NULL) + PATIENCE_US;
  int rc = tci_filling_hold(to);
  if (rc) return rc;
  rc = to->ops->import_rows(to->storage, records, n);
  /* Each try waits half a second for the lock or the connection, as an append's does. */
  while (rc == TC_EBUSY && tci_sys_monotonic_us(NULL) < until_us) rc = to->ops->import_rows(to->storage, records, n);
  return rc;
}

int tci_move_open(tci_move *move, const char *url, const char *name, tci_end *out) {
  memset(out, 0, sizeof *out);
  int rc = tci_move_ops(url, name, &out->ops);
  int able = !rc && TCI_OPS_HAVE(out->ops, import_rows) && TCI_OPS_HAVE(out->ops, config_last) && TCI_OPS_HAVE(out->ops, owed_read) && out->ops->work_commit &&
             TCI_OPS_HAVE(out->ops, open_read);
  if (!rc && !able) rc = tci_fail(TC_ENOTSUP, "%s: %s: cannot be moved", name, out->ops->scheme);
  if (!rc) rc = out->ops->open(&out->storage, url, &move->env, &out->state);
  return rc ? rc : lead(out);
}
