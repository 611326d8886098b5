/* ledger.c - what the dispatcher will write to the work store with its next commit. */
#include <string.h>

#include "base/mem.h"
#include "engine/webhooks.h"

#define TEXT_MAX (64u << 20)

static int grow(void **rows, size_t *cap, size_t n, size_t size) {
  if (n < *cap) return TC_OK;
  size_t larger_cap = *cap ? *cap * 2 : 64;
  void *larger = tci_realloc(*rows, larger_cap * size);
  if (!larger) return TC_ENOMEM;
  *rows = larger;
  *cap = larger_cap;
  return TC_OK;
}

static void mark(tci_webhooks *w) {
  if (!w->ledger.dirty_since_us) w->ledger.dirty_since_us = tci_engine_mono_us(w->engine);
}

static int owed_is(const tc_owed *row, int64_t webhook_id, int64_t seq) { return row->webhook_id == webhook_id && row->seq == seq; }

int tci_ledger_owe(tci_webhooks *w, const tc_owed *row) {
  tci_ledger *l = &w->ledger;
  /* The last word counts: a delivery that is owed again after it was settled in this very batch is owed. */
  for (size_t i = l->settled_n; i-- > 0;) {
    if (owed_is(&l->settled[i], row->webhook_id, row->seq)) l->settled[i] = l->settled[--l->settled_n];
  }
  if (grow((void **)&l->owed, &l->owed_cap, l->owed_n, sizeof *l->owed)) return TC_ENOMEM;
  l->owed[l->owed_n++] = *row;
  mark(w);
  return TC_OK;
}

int tci_ledger_settle(tci_webhooks *w, int64_t webhook_id, int64_t seq) {
  tci_ledger *l = &w->ledger;
  for (size_t i = l->owed_n; i-- > 0;) {
    if (owed_is(&l->owed[i], webhook_id, seq)) l->owed[i] = l->owed[--l->owed_n];
  }
  if (grow((void **)&l->settled, &l->settled_cap, l->settled_n, sizeof *l->settled)) return TC_ENOMEM;
  l->settled[l->settled_n++] = (tc_owed){.webhook_id = webhook_id, .seq = seq};
  mark(w);
  return TC_OK;
}

/* Copies a text; the row holds its offset + 1 until the commit, since the buffer may move. */
static int keep(tci_buf *text, tc_text *value) {
  size_t at = text->len;
  if (!value->ptr) return TC_OK;
  if (tci_buf_append(text, value->ptr, value->len)) return TC_ENOMEM;
  value->ptr = (const char *)(uintptr_t)(at + 1);
  return TC_OK;
}

int tci_ledger_log(tci_webhooks *w, const tc_delivery *row) {
  tci_ledger *l = &w->ledger;
  tc_delivery copy = *row;
  size_t before = l->text.len;
  if (grow((void **)&l->log, &l->log_cap, l->log_n, sizeof *l->log)) return TC_ENOMEM;
  if (keep(&l->text, &copy.event) || keep(&l->text, &copy.response) || keep(&l->text, &copy.error)) {
    l->text.len = before;
    l->text.err = 0;
    return TC_ENOMEM;
  }
  l->log[l->log_n++] = copy;
  mark(w);
  return TC_OK;
}

int tci_ledger_is_full(const tci_webhooks *w) { return w->ledger.owed_n + w->ledger.settled_n + w->ledger.log_n >= TCI_LEDGER_ROWS; }

static void place(const tci_buf *text, tc_text *value) {
  static const char nothing[1] = "";
  if (value->ptr) value->ptr = text->data ? text->data + ((uintptr_t)value->ptr - 1) : nothing;
}

int tci_ledger_commit(tci_webhooks *w) {
  tci_ledger *l = &w->ledger;
  /* Everything up to here is delivered or owed: the oldest parcel that is neither holds the cursor. */
  int64_t cursor = w->unrecorded ? w->unrecorded->seq - 1 : w->pulled_seq;
  if (!l->owed_n && !l->settled_n && !l->log_n && cursor <= l->written_cursor) {
    l->dirty_since_us = 0;
    return TC_OK;
  }
  tc_delivery *rows = l->log_n ? tci_array(l->log_n, sizeof *rows) : NULL;
  if (l->log_n && !rows) return tci_fail(TC_ENOMEM, "out of memory for the delivery log");
  for (size_t i = 0; i < l->log_n; i++) {
    rows[i] = l->log[i];
    place(&l->text, &rows[i].event);
    place(&l->text, &rows[i].response);
    place(&l->text, &rows[i].error);
  }
  tc_work work = {.cursor_seq = cursor, .owed = l->owed, .owed_n = l->owed_n, .settled = l->settled, .settled_n = l->settled_n, .log = rows, .log_n = l->log_n};
  int rc = w->engine->ops->work_commit(w->engine->storage, &work);
  tci_free(rows);
  if (rc) return rc;
  l->written_cursor = cursor;
  l->owed_n = l->settled_n = l->log_n = 0;
  tci_buf_clear(&l->text);
  l->dirty_since_us = 0;
  return TC_OK;
}

void tci_ledger_free(tci_ledger *l) {
  tci_free(l->owed);
  tci_free(l->settled);
  tci_free(l->log);
  tci_buf_free(&l->text);
  memset(l, 0, sizeof *l);
  tci_buf_init(&l->text, TEXT_MAX);
}
