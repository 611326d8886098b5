/* Reads: an index snapshot for what is indexed, the tail for what is newer, merged into one order. */
#include <string.h>

#include "base/mem.h"
#include "engine/page.h"
#include "model/filter.h"

typedef struct one_row {
  tc_event *event;
  int rc;
} one_row;

static int keep_one(const tc_record *row, void *arg) {
  one_row *one = arg;
  one->event = tci_event_from_row(row);
  if (!one->event) one->rc = tci_fail(TC_ENOMEM, "out of memory for one event");
  return 1;
}

/* soon: it waits for no other reader. */
static int query_seq(tc_engine *engine, int soon, int64_t seq, tc_event **out) {
  one_row one = {0};
  const tc_storage_ops *ops = engine->ops;
  int rc = soon ? ops->follow_log(engine->storage, seq - 1, 1, keep_one, &one, NULL) : ops->read_log(engine->storage, seq - 1, 1, keep_one, &one);
  if (!rc) rc = one.rc;
  if (!rc && (!one.event || one.event->record.seq != seq)) rc = tci_fail(TC_ENOTFOUND, "the log has no event %lld", (long long)seq);
  if (rc) {
    tc_event_unref(one.event);
    return rc;
  }
  *out = one.event;
  return TC_OK;
}

int tci_query_seq(tc_engine *engine, int64_t seq, tc_event **out) { return query_seq(engine, 0, seq, out); }

int tci_query_seq_soon(tc_engine *engine, int64_t seq, tc_event **out) {
  if (tci_tail_take(engine->tail, seq, 1, out) == 1) return TC_OK;
  return query_seq(engine, engine->nodes != NULL, seq, out);
}

static int check_ready(const tc_engine *engine) {
  if (atomic_load(&engine->closing)) return tci_fail(TC_ECLOSED, "engine is closing");
  if (!tci_engine_ready(engine)) return tci_fail(TC_EBUSY, "the indexes are being rebuilt, lists cannot be read yet");
  return TC_OK;
}

int tci_query_get(tc_engine *engine, uint32_t kind, int64_t id, tc_event **out) {
  int rc = check_ready(engine);
  if (rc) return rc;
  /* The tail first: an event that leaves it between the two looks is in any index snapshot opened afterwards. */
  tc_event *event = tci_tail_find_id(engine->tail, kind, id);
  if (event) {
    *out = event;
    return TC_OK;
  }
  tc_snapshot *snapshot = NULL;
  int64_t index_seq, seq;
  one_row one = {0};
  rc = engine->ops->snapshot(engine->storage, &snapshot, &index_seq);
  if (!rc) rc = engine->ops->find_id(snapshot, kind, id, &seq);
  if (!rc) rc = engine->ops->fetch(snapshot, &seq, 1, keep_one, &one);
  if (!rc) rc = one.rc;
  engine->ops->snapshot_end(snapshot);
  if (rc) return rc;
  *out = one.event;
  return TC_OK;
}

/* One entry of the merged order: an event from memory, or the seq of a row still to be fetched. */
typedef struct entry {
  tc_event *event; /* borrowed from hits, or NULL */
  tc_position position;
} entry;

typedef struct merge {
  const tci_hits *hits;
  size_t hit, skip, want, n;
  entry *entries; /* room for want */
} merge;

static void emit(merge *m, tc_event *event, tc_position position) {
  if (m->skip) {
    m->skip--;
  } else if (m->n < m->want) {
    m->entries[m->n++] = (entry){event, position};
  }
}

static void emit_hit(merge *m) {
  tc_event *event = m->hits->events[m->hit++];
  emit(m, event, (tc_position){event->record.created_at_us, event->record.seq});
}

static int merge_indexed(const tc_position *position, void *arg) {
  merge *m = arg;
  while (m->hit < m->hits->n && m->n < m->want) {
    const tc_record *hit = &m->hits->events[m->hit]->record;
    if (!tci_position_before(hit->created_at_us, hit->seq, position->created_at_us, position->seq)) break;
    emit_hit(m);
  }
  if (m->n < m->want) emit(m, NULL, *position);
  return m->n == m->want;
}

typedef struct gap {
  const tc_filter *filter;
  const tc_position *after;
  int64_t to_seq;
  tci_hits hits;
  int rc;
} gap;

static int take_gap_row(const tc_record *row, void *arg) {
  gap *g = arg;
  if (row->seq > g->to_seq) return 1;
  if (!tci_filter_matches(g->filter, row)) return 0;
  g->hits.total++;
  if (g->after && !tci_position_before(g->after->created_at_us, g->after->seq, row->created_at_us, row->seq)) return 0;
  tc_event **grown = tci_realloc(g->hits.events, (g->hits.n + 1) * sizeof *grown);
  if (grown) g->hits.events = grown;
  tc_event *event = grown ? tci_event_from_row(row) : NULL;
  if (!event) {
    g->rc = tci_fail(TC_ENOMEM, "out of memory for a list");
    return 1;
  }
  g->hits.events[g->hits.n++] = event;
  return 0;
}

/* The index moved on and the tail was trimmed between the snapshot and the look into the tail: what lies between the two comes from the log. Rare and short. */
static int fill_gap(tc_engine *engine, const tci_list_request *request, int64_t index_seq, tci_hits *hits) {
  if (hits->base <= index_seq + 1) return TC_OK;
  gap g = {.filter = &request->filter, .after = request->after, .to_seq = hits->base - 1};
  int rc = engine->ops->read_log(engine->storage, index_seq, (size_t)(g.to_seq - index_seq), take_gap_row, &g);
  if (!rc) rc = g.rc;
  tc_event **grown = rc ? NULL : tci_realloc(hits->events, (hits->n + g.hits.n) * sizeof *grown);
  if (!rc && !grown) rc = tci_fail(TC_ENOMEM, "out of memory for a list");
  if (!rc) {
    hits->events = grown;
    if (g.hits.n) memcpy(hits->events + hits->n, g.hits.events, g.hits.n * sizeof *grown);
    hits->n += g.hits.n;
    hits->total += g.hits.total;
    g.hits.n = 0;
    tci_hits_sort(hits, SIZE_MAX);
  }
  tci_hits_free(&g.hits);
  return rc;
}

typedef struct filler {
  tc_page *page;
  const merge *merge;
  size_t at;
  int rc;
} filler;

/* Moves over the entries that came from memory to the next that is to be fetched. */
static void skip_memory(filler *f) {
  for (; f->at < f->page->n && f->merge->entries[f->at].event; f->at++) f->page->events[f->at] = tc_event_ref(f->merge->entries[f->at].event);
}

static int take_fetched(const tc_record *row, void *arg) {
  filler *f = arg;
  skip_memory(f);
  tc_event *event = tci_event_from_row(row);
  if (!event) {
    f->rc = tci_fail(TC_ENOMEM, "out of memory for a list");
    return 1;
  }
  f->page->events[f->at++] = event;
  return 0;
}

static int build_page(tc_engine *engine, tc_snapshot *snapshot, const merge *m, size_t size, int64_t total, tc_page **out) {
  size_t n = m->n < size ? m->n : size;
  int rc = TC_OK;
  tc_page *page = tci_zalloc(sizeof *page + n * sizeof page->events[0]);
  int64_t *seqs = tci_array(n, sizeof *seqs);
  if (!page || !seqs) {
    rc = tci_fail(TC_ENOMEM, "out of memory for a list");
    goto fail;
  }
  page->n = n;
  page->total = total;
  if (m->n > size) tci_cursor_format(m->entries[size - 1].position, page->next);
  size_t fetch_n = 0;
  for (size_t i = 0; i < n; i++) {
    if (!m->entries[i].event) seqs[fetch_n++] = m->entries[i].position.seq;
  }
  filler f = {.page = page, .merge = m};
  if (fetch_n) rc = engine->ops->fetch(snapshot, seqs, fetch_n, take_fetched, &f);
  if (!rc) rc = f.rc;
  if (rc) goto fail;
  skip_memory(&f);
  tci_free(seqs);
  *out = page;
  return TC_OK;
fail:
  tci_free(seqs);
  tc_page_free(page);
  return rc;
}

int tci_query_list(tc_engine *engine, const tci_list_request *request, tc_page **out) {
  tc_snapshot *snapshot = NULL;
  tci_hits hits = {0};
  merge m = {.hits = &hits, .skip = request->offset, .want = request->size + 1};
  int64_t index_seq, indexed = 0;
  int rc = check_ready(engine);
  if (rc) return rc;
  m.entries = tci_array(m.want, sizeof *m.entries);
  if (!m.entries) return tci_fail(TC_ENOMEM, "out of memory for a list");
  rc = engine->ops->snapshot(engine->storage, &snapshot, &index_seq);
  if (!rc) rc = tci_tail_collect(engine->tail, &request->filter, index_seq, request->after, request->offset + m.want, &hits);
  if (!rc) rc = fill_gap(engine, request, index_seq, &hits);
  if (!rc) rc = engine->ops->count(snapshot, &request->filter, &indexed);
  int64_t total = indexed + hits.total;
  /* Past the end is answered from the counters alone. */
  if (!rc && (request->after || (int64_t)request->offset < total)) rc = engine->ops->scan(snapshot, &request->filter, request->after, merge_indexed, &m);
  while (!rc && m.hit < hits.n && m.n < m.want) emit_hit(&m);
  if (!rc) rc = build_page(engine, snapshot, &m, request->size, total, out);
  engine->ops->snapshot_end(snapshot);
  tci_hits_free(&hits);
  tci_free(m.entries);
  return rc;
}
