/* migrate.c - a log with all that belongs to it from one storage to another, number by number.
 *
 * The order lets it be killed anywhere: the note that the target is being filled, the events, what is configured, what is owed, the delivery log, and the note goes. Who starts it again finds the
 * note, compares what has come so far with the source, and goes on. Every event is compared once in each run: those that lay there before anything is written, the others after.
 */
#include <string.h>

#include "base/mem.h"
#include "model/fail.h"
#include "move/filling.h"

#define WHAT "migrate"
#define OWED_ROWS 1000
#define TRY_ROWS 500

typedef struct migration {
  tci_move *move;
  tci_end from, to;
  tci_portion *here, *there;
  tci_buf doc;
  int64_t id; /* of the document that is being read */
  int rc;
  /* What a webhook owes, and its log. */
  tc_owed owed[OWED_ROWS];
  size_t owed_n;
  tc_delivery tries[TRY_ROWS];
  size_t places[TRY_ROWS][3];
  size_t tries_n;
  tci_buf texts;
  struct {
    int64_t *at;
    size_t n, cap;
  } ids; /* of documents, or of webhooks that owe */
} migration;

/* ---- events ---- */

/* Are events after_seq + 1 to upto_seq the same on both sides? */
static int compare(migration *m, int64_t after_seq, int64_t upto_seq, const char *what) {
  int rc = TC_OK;
  while (!rc && after_seq < upto_seq) {
    rc = tci_portion_read(m->here, &m->from, after_seq, upto_seq);
    if (!rc) rc = tci_portion_read(m->there, &m->to, after_seq, after_seq + (int64_t)m->here->n);
    size_t n = m->here->n < m->there->n ? m->here->n : m->there->n;
    for (size_t i = 0; i < n && !rc; i++) {
      if (!tci_same_record(&m->here->at[i], &m->there->at[i]))
        rc = tci_fail(TC_ECONFLICT, "to: its event %lld is another one than the source's", (long long)m->there->at[i].seq);
    }
    after_seq += (int64_t)n;
    if (!rc) rc = tci_move_progress(m->move, what, after_seq, upto_seq);
  }
  return rc;
}

static int copy_events(migration *m) {
  int64_t seq = m->to.state.log_seq, end = m->from.state.log_seq;
  int rc = TC_OK;
  if (seq > end) return tci_fail(TC_ECONFLICT, "to: it has %lld events, the source only %lld", (long long)seq, (long long)end);
  rc = compare(m, 0, seq, "events compared");
  while (!rc && seq < end) {
    rc = tci_portion_read(m->here, &m->from, seq, end);
    if (!rc) rc = tci_filling_append(&m->to, m->here->at, m->here->n);
    if (rc) break;
    seq += (int64_t)m->here->n;
    m->move->counts.events += (int64_t)m->here->n;
    rc = tci_move_progress(m->move, "events", seq, end);
  }
  m->move->counts.log_seq = seq;
  return rc ? rc : compare(m, m->to.state.log_seq, end, "events compared");
}

/* ---- what is configured ---- */

static int add_id(migration *m, int64_t id) {
  if (m->ids.n == m->ids.cap) {
    size_t cap = m->ids.cap ? m->ids.cap * 2 : 64;
    int64_t *at = tci_realloc(m->ids.at, cap * sizeof *at);
    if (!at) return m->rc = tci_fail(TC_ENOMEM, "out of memory for a migration");
    m->ids.at = at;
    m->ids.cap = cap;
  }
  m->ids.at[m->ids.n++] = id;
  return TC_OK;
}

static int take_id(int64_t id, tc_text doc, void *arg) {
  (void)doc;
  return add_id(arg, id) != TC_OK;
}

static int list_ids(migration *m, const tci_end *end, uint32_t kind) {
  m->ids.n = 0;
  m->rc = TC_OK;
  int rc = end->ops->config_read(end->storage, kind, take_id, m);
  return rc ? rc : m->rc;
}

static int take_doc(int64_t id, tc_text doc, void *arg) {
  migration *m = arg;
  if (id != m->id) return 0;
  (void)tci_buf_append(&m->doc, doc.ptr, doc.len);
  return 1;
}

/* One at a time: a callback must not write, and all of them together may be large. */
static int copy_doc(migration *m, uint32_t kind, int64_t id) {
  m->id = id;
  tci_buf_clear(&m->doc);
  int rc = m->from.ops->config_read(m->from.storage, kind, take_doc, m);
  if (!rc) rc = m->doc.err ? tci_fail(m->doc.err, "document %lld of kind %u: %s", (long long)id, kind, tc_strerror(m->doc.err)) : TC_OK;
  return rc ? rc : m->to.ops->config_put(m->to.storage, kind, &id, (tc_text){m->doc.data ? m->doc.data : "", m->doc.len});
}

/* The numbers that were given and taken back must not be given again: events in the log speak of them. */
static int copy_last_id(migration *m, uint32_t kind) {
  int64_t here = 0, there = 0;
  int rc = m->from.ops->config_last(m->from.storage, kind, &here);
  if (!rc) rc = m->to.ops->config_last(m->to.storage, kind, &there);
  if (rc || there >= here) return rc;
  rc = m->to.ops->config_put(m->to.storage, kind, &here, (tc_text){"{}", 2});
  return rc ? rc : m->to.ops->config_remove(m->to.storage, kind, here);
}

static int copy_kind(migration *m, uint32_t kind) {
  int rc = list_ids(m, &m->to, kind); /* of a run before, or of the target's first open */
  for (size_t i = 0; i < m->ids.n && !rc; i++) rc = m->to.ops->config_remove(m->to.storage, kind, m->ids.at[i]);
  if (!rc) rc = list_ids(m, &m->from, kind);
  for (size_t i = 0; i < m->ids.n && !rc; i++) rc = copy_doc(m, kind, m->ids.at[i]);
  m->move->counts.documents += (int64_t)m->ids.n;
  return rc ? rc : copy_last_id(m, kind);
}

static int copy_documents(migration *m) {
  int rc = tci_move_progress(m->move, "documents", 0, 0);
  for (uint32_t kind = TC_CONFIG_WEBHOOK; kind <= TC_CONFIG_EVENT_TYPE && !rc; kind++) rc = copy_kind(m, kind);
  return rc;
}

/* ---- what is owed ---- */

static int take_owing(const tc_owed *owed, void *arg) { return add_id(arg, owed->webhook_id) != TC_OK; }

static int take_owed(const tc_owed *owed, void *arg) {
  migration *m = arg;
  m->owed[m->owed_n++] = *owed;
  return 0;
}

static int copy_owed(migration *m) {
  int64_t cursor_seq = 0;
  m->ids.n = 0;
  m->rc = TC_OK;
  int rc = m->from.ops->work_state(m->from.storage, &cursor_seq, take_owing, m);
  if (!rc) rc = m->rc;
  for (size_t i = 0; i < m->ids.n && !rc; i++) {
    int64_t after_seq = INT64_MIN;
    do {
      m->owed_n = 0;
      rc = m->from.ops->owed_read(m->from.storage, m->ids.at[i], after_seq, OWED_ROWS, take_owed, m);
      if (!rc) rc = tci_filling_commit(&m->to, &(tc_work){.owed = m->owed, .owed_n = m->owed_n});
      if (!rc && m->owed_n) after_seq = m->owed[m->owed_n - 1].seq;
      m->move->counts.owed += (int64_t)m->owed_n;
      if (!rc) rc = tci_move_progress(m->move, "owed deliveries", m->move->counts.owed, 0);
    } while (!rc && m->owed_n == OWED_ROWS);
  }
  return rc ? rc : tci_filling_commit(&m->to, &(tc_work){.cursor_seq = cursor_seq});
}

/* ---- the delivery log ---- */

static int take_try(const tc_delivery *delivery, void *arg) {
  migration *m = arg;
  const tc_text *texts[] = {&delivery->event, &delivery->response, &delivery->error};
  m->tries[m->tries_n] = *delivery;
  for (size_t i = 0; i < 3; i++) {
    m->places[m->tries_n][i] = m->texts.len;
    if (texts[i]->ptr) (void)tci_buf_append(&m->texts, texts[i]->ptr, texts[i]->len);
  }
  m->tries_n++;
  return m->texts.err;
}

/* Newest first they come; oldest first they are written, so that their new numbers have the same order. */
static void turn(migration *m) {
  for (size_t i = 0; i < m->tries_n; i++) {
    tc_text *texts[] = {&m->tries[i].event, &m->tries[i].response, &m->tries[i].error};
    for (size_t j = 0; j < 3; j++) {
      if (texts[j]->ptr) texts[j]->ptr = texts[j]->len ? m->texts.data + m->places[i][j] : "";
    }
  }
  for (size_t i = 0; i < m->tries_n / 2; i++) {
    tc_delivery swap = m->tries[i];
    m->tries[i] = m->tries[m->tries_n - 1 - i];
    m->tries[m->tries_n - 1 - i] = swap;
  }
}

static int no_row(const tc_delivery *delivery, void *arg) {
  (void)delivery;
  (void)arg;
  return 1;
}

/* Of one webhook, from where an earlier run has come to. */
static int copy_log(migration *m, int64_t webhook_id) {
  int64_t total = 0, done = 0;
  int rc = m->from.ops->deliveries(m->from.storage, webhook_id, 0, 0, no_row, NULL, &total);
  if (!rc) rc = m->to.ops->deliveries(m->to.storage, webhook_id, 0, 0, no_row, NULL, &done);
  while (!rc && done < total) {
    int64_t n = total - done < TRY_ROWS ? total - done : TRY_ROWS, unused = 0;
    m->tries_n = 0;
    tci_buf_clear(&m->texts);
    rc = m->from.ops->deliveries(m->from.storage, webhook_id, total - done - n, (size_t)n, take_try, m, &unused);
    if (!rc && m->texts.err) rc = tci_fail(m->texts.err, "the delivery log: %s", tc_strerror(m->texts.err));
    if (!rc && !m->tries_n) rc = tci_fail(TC_ECORRUPT, "the delivery log of webhook %lld ends early", (long long)webhook_id);
    if (rc) break;
    turn(m);
    rc = tci_filling_commit(&m->to, &(tc_work){.log = m->tries, .log_n = m->tries_n});
    done += (int64_t)m->tries_n;
    m->move->counts.deliveries += (int64_t)m->tries_n;
    if (!rc) rc = tci_move_progress(m->move, "rows of the delivery log", m->move->counts.deliveries, 0);
  }
  return rc;
}

static int copy_logs(migration *m) {
  int rc = list_ids(m, &m->from, TC_CONFIG_WEBHOOK);
  for (size_t i = 0; i < m->ids.n && !rc; i++) rc = copy_log(m, m->ids.at[i]);
  return rc;
}

/* ---- all of it ---- */

static int is_empty(migration *m) {
  int rc = m->to.state.log_seq ? TC_EEXISTS : TC_OK;
  for (uint32_t kind = TC_CONFIG_WEBHOOK; kind <= TC_CONFIG_EVENT_TYPE && !rc; kind++) {
    if (kind == TC_CONFIG_SETTINGS) continue; /* the first open writes them */
    rc = list_ids(m, &m->to, kind);
    if (!rc && m->ids.n) rc = TC_EEXISTS;
  }
  return rc == TC_EEXISTS ? tci_fail(TC_EEXISTS, "to: it is not empty, and not half of an earlier migration") : rc;
}

static int begin(migration *m) {
  tci_filling here, there;
  int rc = tci_filling_read(&m->from, &here);
  if (!rc) rc = tci_filling_read(&m->to, &there);
  if (rc) return rc;
  if (*here.what) return tci_fail(TC_ECONFLICT, "from: it is half of a move itself (%s), which must come to its end first", here.what);
  if (*there.what && strcmp(there.what, WHAT) != 0) return tci_fail(TC_ECONFLICT, "to: another move into it (%s) has not come to its end", there.what);
  if (*there.what) return TC_OK;
  rc = is_empty(m);
  return rc ? rc : tci_filling_begin(&m->to, &(tci_filling){WHAT, 1});
}

static int stop_at_first(const tc_record *row, void *arg) {
  *(int64_t *)arg = row->seq;
  return 1;
}

/* With several nodes on a database the source's own lock does not keep everybody out. */
static int has_stood_still(migration *m) {
  int64_t more = 0;
  int rc = m->from.ops->read_log(m->from.storage, m->from.state.log_seq, 1, stop_at_first, &more);
  return !rc && more ? tci_fail(TC_EBUSY, "from: it has grown meanwhile: stop who writes to it, and start this again") : rc;
}

static int run(migration *m) {
  int rc = begin(m);
  if (!rc) rc = copy_events(m);
  if (!rc) rc = copy_documents(m);
  if (!rc) rc = copy_owed(m);
  if (!rc) rc = copy_logs(m);
  if (!rc) rc = has_stood_still(m);
  return rc ? rc : tci_filling_finish(&m->to);
}

/* Opening would make one. */
static int exists(tci_move *move, const char *url) {
  tci_end look;
  int rc = tci_move_look(move, url, &look);
  tci_move_close(&look);
  return rc == TC_EVERSION ? TC_OK : rc; /* opening brings it to this release's */
}

int tci_migrate(tci_move *move, const char *from, const char *to) {
  migration *m = tci_zalloc(sizeof *m);
  if (!m) return tci_fail(TC_ENOMEM, "out of memory for a migration");
  m->move = move;
  m->here = tci_portion_new();
  m->there = tci_portion_new();
  tci_buf_init(&m->doc, TC_CONFIG_DOC_MAX + 1);
  tci_buf_init(&m->texts, (size_t)1 << 30);
  int rc = m->here && m->there ? exists(move, from) : tci_fail(TC_ENOMEM, "out of memory for a migration");
  if (!rc) rc = tci_move_open(move, from, "from", &m->from);
  if (!rc) rc = tci_move_open(move, to, "to", &m->to);
  if (!rc) rc = run(m);
  tci_move_close(&m->to);
  tci_move_close(&m->from);
  tci_portion_free(m->here);
  tci_portion_free(m->there);
  if (m->doc.data) memset(m->doc.data, 0, m->doc.len); /* secrets of webhooks */
  tci_buf_free(&m->doc);
  tci_buf_free(&m->texts);
  tci_free(m->ids.at);
  tci_free(m);
  return rc;
}
