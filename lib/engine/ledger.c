/* ledger.c - what the dispatcher will write to the work store. */
#include <string.h>

#include "base/mem.h"
#include "engine/nodes.h"
#include "engine/webhooks.h"

#define TEXT_MAX (64u << 20)
#define TRIM_EVERY_US 60000000
#define ROWS_MAX (4 * TCI_LEDGER_ROWS) /* in a page that stays open while the one before is written, but for what is in flight */

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
  tci_page *p = &w->ledger.open;
  /* The last word counts: a delivery that is owed again after it was settled in this very page is owed. */
  for (size_t i = p->settled_n; i-- > 0;) {
    if (owed_is(&p->settled[i], row->webhook_id, row->seq)) p->settled[i] = p->settled[--p->settled_n];
  }
  if (grow((void **)&p->owed, &p->owed_cap, p->owed_n, sizeof *p->owed)) return TC_ENOMEM;
  p->owed[p->owed_n++] = *row;
  mark(w);
  return TC_OK;
}

int tci_ledger_settle(tci_webhooks *w, int64_t webhook_id, int64_t seq) {
  tci_page *p = &w->ledger.open;
  for (size_t i = p->owed_n; i-- > 0;) {
    if (owed_is(&p->owed[i], webhook_id, seq)) p->owed[i] = p->owed[--p->owed_n];
  }
  if (grow((void **)&p->settled, &p->settled_cap, p->settled_n, sizeof *p->settled)) return TC_ENOMEM;
  p->settled[p->settled_n++] = (tc_owed){.webhook_id = webhook_id, .seq = seq};
  mark(w);
  return TC_OK;
}

/* Copies a text; the row holds its offset + 1 until the page is shut, since the buffer may move. */
static int keep(tci_buf *text, tc_text *value) {
  size_t at = text->len;
  if (!value->ptr) return TC_OK;
  if (tci_buf_append(text, value->ptr, value->len)) return TC_ENOMEM;
  value->ptr = (const char *)(uintptr_t)(at + 1);
  return TC_OK;
}

int tci_ledger_log(tci_webhooks *w, const tc_delivery *row) {
  tci_page *p = &w->ledger.open;
  tc_delivery copy = *row;
  size_t before = p->text.len;
  if (grow((void **)&p->log, &p->log_cap, p->log_n, sizeof *p->log)) return TC_ENOMEM;
  if (keep(&p->text, &copy.event) || keep(&p->text, &copy.response) || keep(&p->text, &copy.error)) {
    p->text.len = before;
    p->text.err = 0;
    return TC_ENOMEM;
  }
  p->log[p->log_n++] = copy;
  mark(w);
  return TC_OK;
}

static size_t rows_of(const tci_page *p) { return p->owed_n + p->settled_n + p->log_n; }

int tci_ledger_is_full(const tci_webhooks *w) { return rows_of(&w->ledger.open) >= TCI_LEDGER_ROWS; }

int tci_ledger_has_room(const tci_webhooks *w) { return rows_of(&w->ledger.open) < ROWS_MAX; }

static void place(const tci_buf *text, tc_text *value) {
  static const char nothing[1] = "";
  if (value->ptr) value->ptr = text->data ? text->data + ((uintptr_t)value->ptr - 1) : nothing;
}

/* The page that rows were added to becomes the one to be written, if there is anything in it. Nothing is there to be written before it. */
static void turn_page(tci_webhooks *w) {
  tci_ledger *l = &w->ledger;
  /* Everything up to here is delivered or owed: the oldest parcel that is neither holds the cursor. */
  int64_t cursor = w->unrecorded ? w->unrecorded->seq - 1 : w->pulled_seq;
  if (!rows_of(&l->open) && cursor <= l->written_cursor) return;
  tci_page shut = l->open;
  l->open = l->shut;
  l->shut = shut;
  l->shut.cursor_seq = cursor;
  l->to_write = 1;
  for (size_t i = 0; i < shut.log_n; i++) {
    place(&shut.text, &shut.log[i].event);
    place(&shut.text, &shut.log[i].response);
    place(&shut.text, &shut.log[i].error);
  }
}

static int write_page(tci_webhooks *w) {
  tci_page *p = &w->ledger.shut;
  tc_work work = {
    .cursor_seq = p->cursor_seq, .owed = p->owed, .owed_n = p->owed_n, .settled = p->settled, .settled_n = p->settled_n, .log = p->log, .log_n = p->log_n};
  int rc = w->engine->ops->work_commit(w->engine->storage, &work);
  if (rc && rc != w->ledger.error && !tci_nodes_is_cut(w->engine, rc, w->sender))
    tci_engine_log(w->engine, TC_LOG_ERROR, "webhooks: the work store cannot be written, will try again: %s: %s", tc_strerror(rc), tci_fail_detail());
  return rc;
}

static int trim(tci_webhooks *w) {
  int32_t more = 0;
  int rc = w->engine->ops->work_trim(w->engine->storage, tci_webhooks_now_us(w) - w->log_age_us, w->log_rows, &more);
  if (rc && !tci_nodes_is_cut(w->engine, rc, w->sender))
    tci_engine_log(w->engine, TC_LOG_WARN, "webhooks: the delivery log cannot be trimmed: %s", tci_fail_detail());
  return more && !rc;
}

int tci_ledger_work(tci_webhooks *w) {
  tci_ledger *l = &w->ledger;
  int rc = l->to_write ? write_page(w) : TC_OK;
  if (l->to_trim) l->trim_more = trim(w);
  return rc;
}

static void note_done(tci_webhooks *w, int rc) {
  tci_ledger *l = &w->ledger;
  if (l->to_trim) l->trim_us = tci_engine_mono_us(w->engine) + (l->trim_more ? 0 : TRIM_EVERY_US);
  l->to_trim = 0;
  l->error = rc;
  if (rc || !l->to_write) return;
  l->written_cursor = l->shut.cursor_seq;
  l->shut.owed_n = l->shut.settled_n = l->shut.log_n = 0;
  tci_buf_clear(&l->shut.text);
  l->to_write = 0;
}

/* 1: the helper has nothing of it, the work store is ours. */
static int take_back(tci_webhooks *w, int wait) {
  tci_ledger *l = &w->ledger;
  int rc = TC_OK;
  if (!l->handed) return 1;
  if (!tci_helper_has_worked(w, wait, &rc)) return 0;
  l->handed = 0;
  note_done(w, rc);
  return 1;
}

static void hand_over(tci_webhooks *w) {
  w->ledger.handed = 1;
  tci_helper_work(w);
}

int tci_ledger_commit(tci_webhooks *w) {
  tci_ledger *l = &w->ledger;
  (void)take_back(w, 1);
  for (int pages = 0; pages < 2; pages++) { /* the one that could not be written before, and the open one */
    if (!l->to_write) turn_page(w);
    if (l->to_write) note_done(w, tci_ledger_work(w));
    if (l->to_write) return l->error;
  }
  l->dirty_since_us = 0;
  return TC_OK;
}

int tci_ledger_settle_up(tci_webhooks *w) {
  int64_t now_us = tci_webhooks_now_us(w);
  while (w->unrecorded) {
    int rc = tci_parcel_owe(w, w->unrecorded, w->unrecorded->attempt, now_us);
    if (rc) return rc;
  }
  return tci_ledger_commit(w);
}

int tci_ledger_post(tci_webhooks *w) {
  tci_ledger *l = &w->ledger;
  if (!tci_helper_is_there(w)) return tci_ledger_commit(w);
  if (!take_back(w, !tci_ledger_has_room(w))) return TC_OK;
  if (!l->to_write) turn_page(w);
  l->dirty_since_us = l->to_write ? w->turn_mono_us : 0; /* the next look asks what became of it */
  if (l->to_write) hand_over(w);
  return l->error;
}

void tci_ledger_trim(tci_webhooks *w) {
  tci_ledger *l = &w->ledger;
  if (!tci_webhooks_holds(w, 0)) return; /* of several nodes the one that holds the first share: it is one log */
  if (w->turn_mono_us < l->trim_us || !take_back(w, 0)) return;
  l->to_trim = 1;
  if (tci_helper_is_there(w)) hand_over(w);
  else note_done(w, tci_ledger_work(w));
}

static void free_page(tci_page *p) {
  tci_free(p->owed);
  tci_free(p->settled);
  tci_free(p->log);
  tci_buf_free(&p->text);
  memset(p, 0, sizeof *p);
  tci_buf_init(&p->text, TEXT_MAX);
}

void tci_ledger_free(tci_ledger *l) {
  free_page(&l->open);
  free_page(&l->shut);
}
