#include "storage/lists.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/emoji.h"

enum {
  ROOM = 1 << TC_COL_ROOM,
  USER = 1 << TC_COL_USER,
  PEER = 1 << TC_COL_PEER,
  BODY = 1 << TC_COL_BODY,
  TARGET = 1 << TC_COL_TARGET,
  CURRENCY = 1 << TC_COL_CURRENCY,
  ALL = ROOM | USER | PEER | BODY | TARGET | CURRENCY
};

/* A body is listed where it is an emoji. Elsewhere it is prose of up to 4 kB that nobody lists by; a filter on it is exact all the same, it reads the rows. */
static unsigned listed_columns(uint32_t kind) {
  unsigned without_target = ROOM | USER | PEER | CURRENCY;
  if (kind == TC_KIND_TIP) return without_target;
  return kind == TC_KIND_REACTION ? ALL : without_target | TARGET;
}

/* What a list is of, beside columns. */
enum { OF_KEY = 1 << 16, OF_ID, OF_ANY_CURRENCY = 1 << 18 };

typedef struct value {
  uint64_t h, g;
} value;

static value hash(const tci_sipkey *key, const void *bytes, size_t len) {
  uint64_t out[2];
  tci_siphash128(key, bytes, len, out);
  return (value){out[0], out[1]};
}

static const value nothing = {0, 0};

/* A bijection that spreads every bit (the finalizer of MurmurHash3). */
static uint64_t spread(uint64_t x) {
  x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
  x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return x ^ x >> 33;
}

/* What a client chooses has gone through a keyed hash by now and is random to it, so that mixing is enough here: with keyed hashes here too they were
 * a sixth of the time of indexing. The order of the two values counts. */
static tci_list_name name_of(uint32_t kind, unsigned of, value first, value second) {
  uint64_t tag = ((uint64_t)kind << 32 | of) * UINT64_C(0x9e3779b97f4a7c15);
  uint64_t h = spread(spread(first.h + tag) + second.h), g = spread(spread(first.g ^ tag) + second.g);
  /* In SQLite's runs the keys stand together at the front, so that its filter is filled from there alone. */
  h = of == OF_KEY ? h | UINT64_C(1) << 63 : h & ~(UINT64_C(1) << 63);
  tci_list_name name = {(int64_t)h, (int64_t)g};
  return name;
}

tci_list_name tci_list_of_key(const tci_sipkey *key, uint32_t kind, tc_text text) {
  return name_of(TC_KEY_SPACE(kind), OF_KEY, hash(key, text.ptr, text.len), nothing);
}

tci_list_name tci_list_of_id(const tci_sipkey *key, uint32_t kind, int64_t id) { return name_of(kind, OF_ID, hash(key, &id, sizeof id), nothing); }

static tci_list_name list_of_currencies(const tci_sipkey *key, uint32_t kind, const tc_text *room) {
  return room ? name_of(kind, OF_ANY_CURRENCY | ROOM, hash(key, room->ptr, room->len), nothing) : name_of(kind, OF_ANY_CURRENCY, nothing, nothing);
}

/* The lists of these columns' values: each alone, and room with each other. columns_of[i] tells what list i is made of. */
static size_t lists_of(const tci_sipkey *key, uint32_t kind, const tc_text text[TC_COL_COUNT], unsigned columns, tci_list_name *out, unsigned *columns_of) {
  value room = nothing;
  char scratch[TC_EMOJI_BYTES_MAX];
  size_t n = 0;
  for (unsigned i = 0; 1u << i < ALL; i++) { /* the room is the first */
    unsigned column = 1u << i;
    if (!(columns & column)) continue;
    tc_text named = column == BODY && kind == TC_KIND_REACTION ? tci_emoji_canonical(text[i], scratch) : text[i];
    value other = hash(key, named.ptr, named.len);
    columns_of[n] = column;
    out[n++] = name_of(kind, column, other, nothing);
    if (column == ROOM) {
      room = other;
    } else if (columns & ROOM) {
      columns_of[n] = ROOM | column;
      out[n++] = name_of(kind, ROOM | column, room, other);
    }
  }
  return n;
}

size_t tci_lists_of_record(const tci_sipkey *key, const tc_record *record, tci_list_name out[TCI_LISTS_MAX]) {
  unsigned columns = 0, columns_of[TCI_LISTS_MAX];
  for (unsigned i = 0; 1u << i < ALL; i++) {
    if (record->text[i].ptr && record->text[i].len) columns |= 1u << i & ALL;
  }
  size_t n = 0;
  out[n++] = name_of(record->kind, 0, nothing, nothing);
  /* Most have none: what has none is counted as all but these. */
  if (record->text[TC_COL_CURRENCY].ptr) {
    out[n++] = list_of_currencies(key, record->kind, NULL);
    if (columns & ROOM) out[n++] = list_of_currencies(key, record->kind, &record->text[TC_COL_ROOM]);
  }
  return n + lists_of(key, record->kind, record->text, columns & listed_columns(record->kind), out + n, columns_of);
}

tci_list_name tci_list_of_currencies(const tci_sipkey *key, const tc_filter *filter) {
  const tc_text *room = &filter->text[TC_COL_ROOM];
  return list_of_currencies(key, filter->kind, room->ptr && room->len ? room : NULL);
}

int tci_list_beside_currency(const tci_sipkey *key, const tc_filter *filter, tci_list_name *all) {
  for (int i = 0; i < TC_COL_COUNT; i++) {
    if (filter->text[i].ptr && (i != TC_COL_ROOM || !filter->text[i].len)) return 0;
  }
  const tc_text *room = &filter->text[TC_COL_ROOM];
  *all = room->ptr ? name_of(filter->kind, ROOM, hash(key, room->ptr, room->len), nothing) : name_of(filter->kind, 0, nothing, nothing);
  return 1;
}

size_t tci_lists_of_filter(const tci_sipkey *key, const tc_filter *filter, tci_list_name out[TCI_LISTS_MAX], int exact[TCI_LISTS_MAX]) {
  unsigned columns = 0, columns_of[TCI_LISTS_MAX] = {0};
  for (unsigned i = 0; 1u << i < ALL; i++) {
    if (!filter->text[i].ptr) continue;
    if (!filter->text[i].len) return 0;
    columns |= 1u << i & ALL;
  }
  size_t n = lists_of(key, filter->kind, filter->text, columns & listed_columns(filter->kind), out, columns_of);
  if (!n) out[n++] = name_of(filter->kind, 0, nothing, nothing);
  for (size_t i = 0; i < n; i++) exact[i] = columns_of[i] == columns;
  return n;
}

/* ---- entries ---- */

static int order(int64_t a, int64_t b) { return (a > b) - (a < b); }

int tci_entry_compare(const tci_entry *a, const tci_entry *b) {
  int by = order(a->h, b->h);
  if (!by) by = order(a->g, b->g);
  if (!by) by = order(a->created_at_us, b->created_at_us);
  return by ? by : order(a->seq, b->seq);
}

static int by_entry(const void *a, const void *b) { return tci_entry_compare(a, b); }

#define BUCKETS 4096 /* by the leading 12 bits of h */

static size_t bucket_of(const tci_entry *entry) { return (size_t)(((uint64_t)entry->h ^ UINT64_C(1) << 63) >> 52); }

/* h is a hash, so one distribution by its leading bits leaves a few entries a bucket, or one list, to compare. */
int tci_entries_sort(tci_entry **entries, size_t count) {
  size_t *starts = tci_array(BUCKETS + 1, sizeof *starts);
  tci_entry *sorted = tci_alloc(count * sizeof *sorted);
  if (!starts || !sorted) {
    tci_free(starts);
    tci_free(sorted);
    return TC_ENOMEM;
  }
  for (size_t i = 0; i < count; i++) starts[bucket_of(&(*entries)[i]) + 1]++;
  for (size_t i = 0; i < BUCKETS; i++) starts[i + 1] += starts[i];
  for (size_t i = 0; i < count; i++) sorted[starts[bucket_of(&(*entries)[i])]++] = (*entries)[i];
  /* Each start has moved on to its bucket's end. */
  for (size_t i = 0, from = 0; i < BUCKETS; from = starts[i++]) qsort(sorted + from, starts[i] - from, sizeof *sorted, by_entry);
  tci_free(starts);
  tci_free(*entries);
  *entries = sorted;
  return TC_OK;
}
