/* import.c - the Java service's events, webhooks and live keys into a log.
 *
 * The source's order (by time, tips before reactions, by id) is fixed and every event keeps its id, so how far a run has come is told by the last event of the log: as many of the source's events
 * stand before it or at its place as were written. What no record can hold is found before anything is written; what our validation would refuse is kept and marked (TC_REF_IRREGULAR).
 */
#include <string.h>

#include "base/mem.h"
#include "model/fail.h"
#include "model/record.h"
#include "move/filling.h"
#include "webhook/hook.h"

#ifdef TCI_POSTGRESQL

#include "storage/java.h"

#define WHAT "import"
#define FETCH_MAX 512 /* what tci_java_next gives at most, and a portion must have room for */

typedef struct importer {
  tci_move *move;
  tci_java *java;
  tci_java_counts counts;
  tci_end to;
  tci_filling note;
  tci_portion *rows, *back;
  int64_t seq; /* the log's end */
  int64_t misfits, marked;
  int rc;
  tci_policy policy;
  uint8_t seal_key[32];
  int sealed;
  int64_t taken[TC_KIND_MAX + 1]; /* the target's highest ids */
  tci_buf doc;
} importer;

static int64_t source_events(const importer *im) { return im->counts.tips + im->counts.reactions; }

/* ---- what does not fit ---- */

static int take_misfit(const char *line, void *arg) {
  importer *im = arg;
  if (im->misfits++ < TCI_MOVE_NOTES_MAX) tci_move_note(im->move, "%s", line);
  return 0;
}

static int refuse_misfits(importer *im) {
  int rc = tci_move_progress(im->move, "rows looked at", 0, source_events(im));
  if (!rc) rc = tci_java_misfits(im->java, take_misfit, im);
  if (rc || !im->misfits) return rc;
  return tci_fail(TC_EINVAL, "from: %lld rows cannot be kept as they are: nothing was written", (long long)im->misfits);
}

/* ---- where to begin ---- */

static int take_highest(const tc_record *row, void *arg) {
  importer *im = arg;
  im->seq = row->seq;
  if (row->kind <= TC_KIND_MAX && row->id > im->taken[row->kind]) im->taken[row->kind] = row->id;
  return 0;
}

static int refuse_taken(const char *word, int64_t lowest, int64_t taken) {
  if (!lowest || lowest > taken) return TC_OK;
  return tci_fail(TC_EEXISTS, "to: its %s have ids up to %lld, and the source's begin at %lld: an import keeps them, so they must be free", word,
                  (long long)taken, (long long)lowest);
}

/* What is imported is history, that no webhook of the target gets: the cursor will be set behind it. */
static int refuse_unsent(importer *im) {
  int64_t cursor_seq = 0, hooks = 0;
  int rc = im->to.ops->config_last(im->to.storage, TC_CONFIG_WEBHOOK, &hooks);
  if (!rc) rc = im->to.ops->work_state(im->to.storage, &cursor_seq, NULL, NULL);
  if (rc || !hooks || cursor_seq >= im->to.state.log_seq) return rc;
  return tci_fail(TC_EBUSY, "to: %lld events are still to be given to webhooks: let the daemon do that first", (long long)(im->to.state.log_seq - cursor_seq));
}

static int begin(importer *im) {
  int64_t hooks = 0;
  int rc = TC_OK;
  while (!rc && im->seq < im->to.state.log_seq) rc = im->to.ops->read_log(im->to.storage, im->seq, TCI_MOVE_ROWS, take_highest, im);
  if (!rc) rc = im->to.ops->config_last(im->to.storage, TC_CONFIG_WEBHOOK, &hooks);
  if (!rc) rc = refuse_taken("tips", im->counts.low_tip, im->taken[TC_KIND_TIP]);
  if (!rc) rc = refuse_taken("reactions", im->counts.low_reaction, im->taken[TC_KIND_REACTION]);
  if (!rc) rc = refuse_taken("webhooks", im->counts.low_webhook, hooks);
  if (!rc) rc = refuse_unsent(im);
  im->note = (tci_filling){WHAT, im->to.state.log_seq + 1};
  return rc ? rc : tci_filling_begin(&im->to, &im->note);
}

static int take_place(const tc_record *row, void *arg) {
  *(tci_java_place *)arg = (tci_java_place){row->created_at_us, row->id, row->kind};
  return 1;
}

/* *after: the source's place that the log has come to. */
static int go_on(importer *im, tci_java_place *after) {
  int64_t done = im->to.state.log_seq - im->note.first_seq + 1, rank = 0;
  im->seq = im->to.state.log_seq;
  if (done <= 0) return TC_OK;
  int rc = im->to.ops->read_log(im->to.storage, im->seq - 1, 1, take_place, after);
  if (!rc) rc = tci_java_rank(im->java, after, &rank);
  if (rc || rank == done) return rc;
  return tci_fail(TC_ECONFLICT, "to: %lld events of an import stand in it, and %lld of the source: it is another database, or it has changed", (long long)done,
                  (long long)rank);
}

static int find_start(importer *im, tci_java_place *after) {
  int rc = tci_filling_read(&im->to, &im->note);
  if (rc) return rc;
  if (!*im->note.what) return begin(im);
  if (strcmp(im->note.what, WHAT) != 0) return tci_fail(TC_ECONFLICT, "to: another move into it (%s) has not come to its end", im->note.what);
  return go_on(im, after);
}

/* ---- events ---- */

static const char *word_of(uint32_t kind) { return kind == TC_KIND_TIP ? "tip" : "reaction"; }

static int take_event(const tc_record *row, void *arg) {
  importer *im = arg;
  tc_record record = *row;
  if (tci_record_check_key(record.text[TC_COL_KEY])) {
    /* Nobody can send it again. */
    if (im->move->counts.left_out++ < TCI_MOVE_NOTES_MAX)
      tci_move_note(im->move, "%s %lld: its key is left out: %s", word_of(row->kind), (long long)row->id, tci_fail_detail());
    record.text[TC_COL_KEY] = (tc_text){NULL, 0};
  }
  if (tci_record_validate(&record)) {
    record.ref = TC_REF_IRREGULAR;
    if (im->marked++ < TCI_MOVE_NOTES_MAX) tci_move_note(im->move, "%s %lld: kept as it is: %s", word_of(row->kind), (long long)row->id, tci_fail_detail());
  }
  (void)tci_portion_take(&record, im->rows);
  return 0;
}

/* As many as are written at a time. *more = 0: these are the last. */
static int fetch(importer *im, int *more) {
  tci_portion *rows = im->rows;
  size_t n = 1;
  int rc = TC_OK;
  tci_portion_clear(rows);
  while (!rc && n && rows->n + FETCH_MAX <= TCI_MOVE_ROWS && rows->bytes.len < TCI_PORTION_BYTES) {
    rc = tci_java_next(im->java, take_event, im, &n);
    if (!rc) rc = rows->rc;
  }
  tci_portion_seal(rows);
  *more = n != 0;
  return rc;
}

/* Writes them, and looks whether they are there. */
static int store(importer *im) {
  tci_portion *rows = im->rows;
  int rc = tci_filling_append(&im->to, rows->at, rows->n);
  size_t compared = 0;
  while (!rc && compared < rows->n) {
    rc = tci_portion_read(im->back, &im->to, im->seq + (int64_t)compared, im->seq + (int64_t)rows->n);
    for (size_t i = 0; i < im->back->n && !rc; i++, compared++) {
      if (!tci_same_record(&im->back->at[i], &rows->at[compared]))
        rc = tci_fail(TC_ECORRUPT, "to: event %lld is not what was written", (long long)im->back->at[i].seq);
    }
  }
  im->seq += rc ? 0 : (int64_t)rows->n;
  im->move->counts.events += rc ? 0 : (int64_t)rows->n;
  return rc;
}

static int import_events(importer *im, const tci_java_place *after) {
  int more = 1;
  int rc = tci_java_begin(im->java, after);
  while (!rc && more) {
    rc = fetch(im, &more);
    if (!rc && im->rows->n) rc = store(im);
    if (!rc) rc = tci_move_progress(im->move, "events", im->seq - im->note.first_seq + 1, source_events(im));
  }
  return rc;
}

/* ---- webhooks ---- */

/* NULL: ours would take it, and it would mean the same. */
static const char *objection(const importer *im, const tci_hook_parts *parts) {
  if (tci_hook_check(parts, &im->policy)) return tci_fail_detail();
  /* There it was compared as it stands. */
  return strpbrk(parts->events, "*,") ? "event: * and , have a meaning here that they had not" : NULL;
}

static int take_webhook(const tci_java_webhook *w, void *arg) {
  importer *im = arg;
  tci_hook_parts parts = {.id = w->id, .created_at_us = w->created_at_us, .updated_at_us = w->updated_at_us, .after_seq = im->seq, .enabled = w->enabled};
  parts.room = w->room;
  parts.url = w->url;
  parts.events = w->event;
  parts.secret = w->secret;
  parts.description = w->description ? w->description : "";
  const char *why = objection(im, &parts);
  if (why) {
    parts.enabled = 0;
    tci_move_note(im->move, "webhook %lld: kept, but disabled: %s", (long long)w->id, why);
    im->move->counts.irregular++;
  }
  tci_hook *hook = tci_hook_new(&parts);
  tci_buf_clear(&im->doc);
  im->rc = hook ? tci_hook_encode(hook, im->sealed ? im->seal_key : NULL, &im->move->env.random, &im->doc) : TC_ENOMEM;
  if (im->rc) im->rc = tci_fail(im->rc, "cannot write webhook %lld", (long long)w->id);
  int64_t id = w->id;
  if (!im->rc) im->rc = im->to.ops->config_put(im->to.storage, TC_CONFIG_WEBHOOK, &id, (tc_text){im->doc.data, im->doc.len});
  if (im->doc.data) memset(im->doc.data, 0, im->doc.len);
  tci_hook_unref(hook);
  im->move->counts.documents += !im->rc;
  return im->rc != TC_OK;
}

static int import_webhooks(importer *im) {
  int rc = tci_java_webhooks(im->java, take_webhook, im);
  return rc ? rc : im->rc;
}

/* ---- what it came to ---- */

typedef struct sums {
  int64_t tips, reactions, others, keys, irregular, seq;
} sums;

static int take_sum(const tc_record *row, void *arg) {
  sums *s = arg;
  s->tips += row->kind == TC_KIND_TIP;
  s->reactions += row->kind == TC_KIND_REACTION;
  s->others += row->kind != TC_KIND_TIP && row->kind != TC_KIND_REACTION;
  s->keys += row->text[TC_COL_KEY].ptr != NULL;
  s->irregular += row->ref == TC_REF_IRREGULAR;
  s->seq = row->seq;
  return 0;
}

static int check_counts(importer *im) {
  sums s = {.seq = im->note.first_seq - 1};
  tc_move_counts *out = &im->move->counts;
  int rc = TC_OK;
  while (!rc && s.seq < im->seq) {
    int64_t before = s.seq;
    rc = im->to.ops->read_log(im->to.storage, s.seq, TCI_MOVE_ROWS, take_sum, &s);
    if (!rc && s.seq == before) rc = tci_fail(TC_ECORRUPT, "to: event %lld is missing", (long long)before + 1);
    if (!rc) rc = tci_move_progress(im->move, "events counted", s.seq - im->note.first_seq + 1, source_events(im));
  }
  if (!rc && (s.tips != im->counts.tips || s.reactions != im->counts.reactions || s.others)) {
    rc = tci_fail(TC_ECORRUPT, "to: %lld tips and %lld reactions are in it, the source has %lld and %lld", (long long)s.tips, (long long)s.reactions,
                  (long long)im->counts.tips, (long long)im->counts.reactions);
  }
  out->log_seq = im->seq;
  out->keys = s.keys;
  out->irregular += s.irregular;
  int64_t lost = im->counts.keys - s.keys - out->left_out;
  if (!rc && lost > 0) {
    tci_move_note(im->move, "%lld keys are left out: they have expired meanwhile, their event is gone, or it has another key that lives longer",
                  (long long)lost);
    out->left_out += lost;
  }
  return rc;
}

static int run(importer *im, const char *from, const char *to) {
  tci_java_place after = {0, 0, 0};
  int rc = tci_java_open(&im->java, from, &im->move->env);
  if (!rc) rc = tci_java_count(im->java, &im->counts);
  if (!rc) rc = refuse_misfits(im);
  if (!rc) rc = tci_move_open(im->move, to, "to", &im->to);
  if (!rc) rc = find_start(im, &after);
  if (!rc) rc = import_events(im, &after);
  if (!rc) rc = import_webhooks(im);
  if (!rc) rc = check_counts(im);
  if (!rc) rc = tci_filling_commit(&im->to, &(tc_work){.cursor_seq = im->seq});
  return rc ? rc : tci_filling_finish(&im->to);
}

int tci_import(tci_move *move, const char *from, const char *to) {
  const char *bad = NULL;
  importer *im = tci_zalloc(sizeof *im);
  if (!im) return tci_fail(TC_ENOMEM, "out of memory for an import");
  im->move = move;
  im->rows = tci_portion_new();
  im->back = tci_portion_new();
  tci_buf_init(&im->doc, TC_CONFIG_DOC_MAX);
  im->sealed = move->o.secret_key != NULL;
  /* Only how a receiver is written counts here: where webhooks may go is for the daemon to say, each time. */
  int rc = im->rows && im->back && !tci_policy_read(&im->policy, "0.0.0.0/0,::/0", &bad) ? TC_OK : tci_fail(TC_ENOMEM, "out of memory for an import");
  if (!rc && im->sealed && tci_seal_key(move->o.secret_key, im->seal_key)) rc = tci_fail(TC_EINVAL, "secret_key: must be 32 bytes as 64 hex digits or base64");
  if (!rc) rc = run(im, from, to);
  tci_java_close(im->java);
  tci_move_close(&im->to);
  tci_policy_free(&im->policy);
  tci_portion_free(im->rows);
  tci_portion_free(im->back);
  tci_buf_free(&im->doc);
  memset(im->seal_key, 0, sizeof im->seal_key);
  tci_free(im);
  return rc;
}

#else

int tci_import(tci_move *move, const char *from, const char *to) {
  (void)move;
  (void)from;
  (void)to;
  return tci_fail(TC_ENOTSUP, "from: this library is built without PostgreSQL");
}

#endif
