/* replay.c - events of a span of time, once more. */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

#define FETCH 1024

static const uint32_t kinds[] = {TC_KIND_TIP, TC_KIND_REACTION};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct positions {
  int64_t from_us, max_seq;
  int64_t *seqs;
  size_t n, cap, max;
  int rc;
} positions;

static int keep(const tc_position *position, void *arg) {
  positions *p = arg;
  if (position->created_at_us < p->from_us) return 1;
  if (position->seq > p->max_seq) return 0; /* its turn comes */
  if (p->n == p->max) {
    p->rc = tci_fail(TC_ELIMIT, "more than %zu events to be read again", p->max);
    return 1;
  }
  if (p->n == p->cap) {
    size_t cap = p->cap ? p->cap * 2 : 1024;
    int64_t *seqs = tci_realloc(p->seqs, cap * sizeof *seqs);
    if (!seqs) {
      p->rc = tci_fail(TC_ENOMEM, "out of memory for reading events again");
      return 1;
    }
    p->seqs = seqs;
    p->cap = cap;
  }
  p->seqs[p->n++] = position->seq;
  return 0;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* A view in which everything up to the cursor is indexed. */
static int open_snapshot(tci_rollup *rollup, tc_snapshot **out) {
  int64_t index_seq = 0;
  int rc = rollup->engine->ops->snapshot(rollup->engine->storage, out, &index_seq);
  if (!rc && index_seq < atomic_load(&rollup->seq)) rc = tci_fail(TC_EBUSY, "the index is not as far as the statistics");
  return rc;
}

int tci_rollup_replay(tci_rollup *rollup, int64_t from_us, int64_t to_us, size_t max, tc_row_fn row, void *arg) {
  const tc_storage_ops *ops = rollup->engine->ops;
  positions p = {.from_us = from_us, .max_seq = atomic_load(&rollup->seq), .max = max};
  tc_position end = {to_us, INT64_MIN};
  tc_snapshot *snapshot = NULL;
  int rc = open_snapshot(rollup, &snapshot);
  for (size_t i = 0; i < KINDS && !rc; i++) {
    tc_filter filter = {.kind = kinds[i]};
    rc = ops->scan(snapshot, &filter, &end, keep, &p);
    if (!rc) rc = p.rc;
  }
  if (!rc && p.n) qsort(p.seqs, p.n, sizeof *p.seqs, ascending);
  for (size_t at = 0; at < p.n && !rc; at += FETCH) rc = ops->fetch(snapshot, p.seqs + at, p.n - at < FETCH ? p.n - at : FETCH, row, arg);
  ops->snapshot_end(snapshot);
  tci_free(p.seqs);
  return rc;
}

typedef struct latest {
  int64_t max_seq, created_at_us;
} latest;

static int keep_first(const tc_position *position, void *arg) {
  latest *l = arg;
  if (position->seq > l->max_seq) return 0;
  if (position->created_at_us > l->created_at_us) l->created_at_us = position->created_at_us;
  return 1;
}

int tci_rollup_latest(tci_rollup *rollup, int64_t before_us, int64_t *out) {
  latest l = {atomic_load(&rollup->seq), INT64_MIN};
  tc_position end = {before_us, INT64_MIN};
  tc_snapshot *snapshot = NULL;
  int rc = open_snapshot(rollup, &snapshot);
  for (size_t i = 0; i < KINDS && !rc; i++) {
    tc_filter filter = {.kind = kinds[i]};
    rc = rollup->engine->ops->scan(snapshot, &filter, &end, keep_first, &l);
  }
  rollup->engine->ops->snapshot_end(snapshot);
  if (!rc) *out = l.created_at_us;
  return rc;
}
