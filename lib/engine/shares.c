/* shares.c - who or what makes up a sum: the quarters of a range added up by emoji or by recipient. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "engine/stats.h"

#define SLOTS_BEGIN 256 /* a power of two; at most half of them are taken */

typedef struct tally {
  const tc_engine *engine;
  const tci_stats_request *request;
  tc_stats *stats;
  tci_buf names;   /* each with its NUL */
  size_t *offsets; /* of a row's name: the buffer moves while it grows; as many as stats->cap */
  uint32_t *slots; /* row + 1; 0: free */
  size_t slot_count;
  int rc;
} tally;

static size_t slot_of(const tally *t, tc_text name) {
  size_t at = (size_t)tci_siphash(&t->engine->hash_key, name.ptr, name.len) & (t->slot_count - 1);
  for (; t->slots[at]; at = (at + 1) & (t->slot_count - 1)) {
    const char *known = t->names.data + t->offsets[t->slots[at] - 1];
    if (!strncmp(known, name.ptr, name.len) && !known[name.len]) break; /* texts of events hold no NUL */
  }
  return at;
}

static int widen(tally *t) {
  size_t count = t->slot_count ? t->slot_count * 2 : SLOTS_BEGIN;
  uint32_t *wider = tci_array(count, sizeof *wider), *old = t->slots;
  if (!wider) return tci_fail(TC_ENOMEM, "out of memory for %zu names", count / 2);
  t->slots = wider;
  t->slot_count = count;
  for (size_t i = 0; i < t->stats->count; i++) {
    const char *name = t->names.data + t->offsets[i];
    t->slots[slot_of(t, (tc_text){name, strlen(name)})] = (uint32_t)i + 1;
  }
  tci_free(old);
  return TC_OK;
}

/* The row of a name, made when it is new; NULL: t->rc says why. */
static tci_stats_row *row_of(tally *t, tc_text name) {
  if (t->stats->count * 2 >= t->slot_count && (t->rc = widen(t)) != TC_OK) return NULL;
  size_t at = slot_of(t, name), cap = t->stats->cap;
  if (t->slots[at]) return &t->stats->rows[t->slots[at] - 1];
  if (tci_buf_append(&t->names, name.ptr, name.len) || tci_buf_append(&t->names, "", 1)) {
    t->rc = t->names.err == TC_ELIMIT ? tci_fail(TC_ELIMIT, "startDate: more than %u bytes of names, ask for a shorter range", TCI_STATS_NAMES_MAX)
                                      : tci_fail(TC_ENOMEM, "out of memory for names");
    return NULL;
  }
  tci_stats_row *row = tci_stats_add(t->stats, &t->rc);
  if (row && t->stats->cap != cap) {
    size_t *larger = tci_realloc(t->offsets, t->stats->cap * sizeof *larger);
    if (!larger) {
      t->stats->count--;
      t->rc = tci_fail(TC_ENOMEM, "out of memory for %zu rows", t->stats->cap);
      return NULL;
    }
    t->offsets = larger;
  }
  if (!row) return NULL;
  t->offsets[t->stats->count - 1] = t->names.len - name.len - 1;
  t->slots[at] = (uint32_t)t->stats->count;
  return row;
}

static int take_emoji(const tci_emoji_count *count, void *arg) {
  tally *t = arg;
  tci_stats_row *row = row_of(t, count->emoji);
  if (row) row->reactions += count->count;
  return !row;
}

static int take_recipient(const tci_recipient_sum *sum, void *arg) {
  tally *t = arg;
  tc_text want = t->request->currency;
  if (sum->currency.len != want.len || memcmp(sum->currency.ptr, want.ptr, want.len) != 0) return 0;
  tci_stats_row *row = row_of(t, sum->recipient);
  if (row) {
    row->tips += sum->tips;
    row->sum += sum->sum;
  }
  return !row;
}

static int compare(const void *left, const void *right) {
  const tci_stats_row *a = left, *b = right;
  if (a->sum != b->sum) return a->sum > b->sum ? -1 : 1;
  if (a->reactions != b->reactions) return a->reactions > b->reactions ? -1 : 1;
  return strcmp(a->name, b->name); /* as unsigned bytes */
}

static void finish(tally *t) {
  tc_stats *stats = t->stats;
  stats->names = t->names.data;
  for (size_t i = 0; i < stats->count; i++) {
    tci_stats_row *row = &stats->rows[i];
    row->name = stats->names + t->offsets[i];
    memset(row->unique, 0xff, sizeof row->unique); /* -1 each: they cannot be added up */
    stats->total.tips += row->tips;
    stats->total.sum += row->sum;
    stats->total.reactions += row->reactions;
  }
  memset(stats->total.unique, 0xff, sizeof stats->total.unique);
  if (stats->count) qsort(stats->rows, stats->count, sizeof *stats->rows, compare);
}

static int share(tc_engine *engine, const tci_stats_request *request, int emojis, tc_stats **out) {
  tally t = {.engine = engine, .request = request};
  int64_t from = tci_stats_quarter_up(request->from_us), to = tci_stats_quarter_up(request->to_us);
  int rc = tci_stats_ready(engine);
  if (rc) return rc;
  tci_buf_init(&t.names, TCI_STATS_NAMES_MAX);
  t.stats = tci_zalloc(sizeof *t.stats);
  if (!t.stats) return tci_fail(TC_ENOMEM, "out of memory for statistics");
  if (from < to && emojis) rc = tci_rollup_emojis(engine, request->room, from, to, take_emoji, &t);
  else if (from < to) rc = tci_rollup_recipients(engine, request->room, from, to, take_recipient, &t);
  if (!rc) rc = t.rc;
  if (!rc) {
    finish(&t);
    *out = t.stats;
  } else {
    tci_buf_free(&t.names);
    tc_stats_free(t.stats);
  }
  tci_free(t.offsets);
  tci_free(t.slots);
  return rc;
}

int tci_stats_emojis(tc_engine *engine, const tci_stats_request *request, tc_stats **out) { return share(engine, request, 1, out); }

int tci_stats_recipients(tc_engine *engine, const tci_stats_request *request, tc_stats **out) { return share(engine, request, 0, out); }
