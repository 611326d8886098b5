#include "engine/errands.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/nodes.h"
#include "engine/plain.h"

#define SEQS_MAX 10000 /* in one document */
#define DOC_MAX (SEQS_MAX * 20u + 128u)
#define TAKE_MAX 64 /* at once */

/* ---- asking ---- */

typedef struct asking {
  int64_t webhook_id;
  int test;
  const int64_t *seqs;
  size_t count, done;
} asking;

static int put_some(tc_engine *engine, void *arg) {
  asking *a = arg;
  tci_buf doc;
  int64_t id = 0;
  size_t n = a->count - a->done < SEQS_MAX ? a->count - a->done : SEQS_MAX;
  tci_buf_init(&doc, DOC_MAX);
  (void)tci_buf_printf(&doc, "{\"webhook\":%lld,\"test\":%d,\"seqs\":\"", (long long)a->webhook_id, a->test);
  for (size_t i = 0; i < n; i++) (void)tci_buf_printf(&doc, "%lld ", (long long)a->seqs[a->done + i]);
  (void)tci_buf_puts(&doc, "\"}");
  int rc = doc.err ? tci_fail(doc.err, "out of memory for a webhook") : TC_OK;
  if (!rc) rc = engine->ops->config_put(engine->storage, TC_CONFIG_ERRAND, &id, (tc_text){doc.data, doc.len});
  tci_buf_free(&doc);
  if (!rc) a->done += n;
  return rc;
}

int tci_errands_ask(tci_webhooks *w, int64_t id, int test, const int64_t *seqs, size_t count) {
  asking a = {id, test, seqs, count, 0};
  if (tci_engine_in_writer(w->engine)) return tci_fail(TC_EBUSY, "another node sends this webhook, and cannot be asked in here");
  int rc;
  do rc = tci_writer_call(w->engine, put_some, &a);
  while (!rc && a.done < a.count);
  /* It may be this one by now, which hears of changes by others only. */
  atomic_store(&w->engine->nodes->errands, 1);
  tci_queue_ring(w->engine);
  return rc;
}

/* ---- taking ---- */

typedef struct errand {
  int64_t id, webhook_id;
  int test;
  int64_t *seqs;
  size_t count;
} errand;

typedef struct taking {
  const tci_webhooks *w;
  errand at[TAKE_MAX];
  size_t count;
  int rc;
} taking;

static int read_seqs(tc_text text, errand *e) {
  const char *at = text.ptr, *end = text.ptr + text.len;
  e->seqs = tci_array(SEQS_MAX, sizeof *e->seqs);
  if (!e->seqs) return TC_ENOMEM;
  while (at < end && e->count < SEQS_MAX) {
    int64_t seq = 0;
    for (; at < end && *at >= '0' && *at <= '9' && seq < INT64_MAX / 10; at++) seq = seq * 10 + (*at - '0');
    if (seq) e->seqs[e->count++] = seq;
    at++; /* the blank behind it */
  }
  return TC_OK;
}

static int keep(int64_t id, tc_text doc, void *arg) {
  enum { WEBHOOK, TEST, SEQS, MEMBERS };
  static const char *const names[MEMBERS] = {"webhook", "test", "seqs"};
  taking *t = arg;
  errand *e = &t->at[t->count];
  tci_plain plain;
  *e = (errand){.id = id};
  t->rc = tci_plain_read(&plain, doc, names, MEMBERS);
  if (!t->rc) e->webhook_id = tci_plain_number(&plain, WEBHOOK);
  if (!t->rc) e->test = tci_plain_number(&plain, TEST) != 0;
  int is_ours = tci_webhooks_holds(t->w, e->webhook_id);
  if (!t->rc && is_ours) t->rc = read_seqs(tci_plain_text(&plain, SEQS), e);
  tci_plain_free(&plain);
  if (t->rc == TC_ECORRUPT) t->rc = TC_OK; /* of no webhook: it is removed */
  if (is_ours) t->count++;
  return t->rc || t->count == TAKE_MAX;
}

int tci_errands_take(tci_webhooks *w) {
  tc_engine *engine = w->engine;
  taking *t = tci_zalloc(sizeof *t);
  if (!t) return tci_fail(TC_ENOMEM, "out of memory for webhooks");
  t->w = w;
  int rc = engine->ops->config_read(engine->storage, TC_CONFIG_ERRAND, keep, t);
  if (!rc && t->rc) rc = tci_fail(t->rc, "out of memory for webhooks");
  for (size_t i = 0; i < t->count; i++) {
    errand *e = &t->at[i];
    /* Removed first: done twice would be worse than, by a kill in between, not done. */
    if (!rc) rc = engine->ops->config_remove(engine->storage, TC_CONFIG_ERRAND, e->id);
    if (rc == TC_ENOTFOUND) rc = TC_OK;
    else if (!rc && e->webhook_id) rc = tci_hooks_errand_here(w, e->webhook_id, e->test, e->seqs, e->count);
    tci_free(e->seqs);
  }
  if (!rc && t->count == TAKE_MAX) rc = tci_fail(TC_EBUSY, "more is asked of the webhooks");
  tci_free(t);
  return rc;
}
