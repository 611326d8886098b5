#include "model/event.h"
#include "model/fail.h"
#include "model/kind.h"
#include "move/move.h"

typedef struct walk {
  tci_move *move;
  uint64_t kinds;
  tc_export_fn fn;
  void *userdata;
  int64_t seq;
  size_t rows;
  int rc;
} walk;

static int take_row(const tc_record *row, void *arg) {
  walk *w = arg;
  w->rows++;
  if (row->seq != w->seq + 1) {
    w->rc = tci_fail(TC_ECORRUPT, "events %lld to %lld are missing", (long long)w->seq + 1, (long long)row->seq - 1);
    return 1;
  }
  w->seq = row->seq;
  if (row->kind > TC_KIND_MAX || (w->kinds && !(w->kinds >> row->kind & 1))) return 0;
  if (!tci_kind_of(row->kind)) {
    w->rc = tci_fail(TC_EVERSION, "event %lld is of kind %u, which this release does not know", (long long)row->seq, row->kind);
    return 1;
  }
  tc_event *event = tci_event_from_row(row);
  if (!event) w->rc = tci_fail(TC_ENOMEM, "out of memory for event %lld", (long long)row->seq);
  else if (w->fn(w->userdata, event)) w->rc = tci_fail(TC_EUSER, "stopped at event %lld", (long long)row->seq);
  else w->move->counts.events++;
  tc_event_unref(event);
  return w->rc != TC_OK;
}

int tci_export(tci_move *move, const char *url, int64_t after_seq, uint64_t kinds, tc_export_fn fn, void *userdata) {
  walk w = {.move = move, .kinds = kinds, .fn = fn, .userdata = userdata, .seq = after_seq};
  tci_end end;
  int rc = tci_move_look(move, url, &end);
  int64_t last = rc ? 0 : end.state.log_seq;
  while (!rc && w.seq < last) {
    int64_t left = last - w.seq;
    w.rows = 0;
    rc = end.ops->read_log(end.storage, w.seq, left < TCI_MOVE_ROWS ? (size_t)left : TCI_MOVE_ROWS, take_row, &w);
    if (!rc) rc = w.rc;
    if (!rc && !w.rows) rc = tci_fail(TC_ECORRUPT, "events %lld to %lld are missing", (long long)w.seq + 1, (long long)last);
    if (!rc) rc = tci_move_progress(move, "events", w.seq, last);
  }
  move->counts.log_seq = w.seq;
  tci_move_close(&end);
  return rc;
}
