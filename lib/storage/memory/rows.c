#include "storage/memory/rows.h"

#include <string.h>

#include "base/mem.h"
#include "model/kind.h"

tci_row *tci_row_new(const tc_record *record) {
  size_t size = 0;
  for (int i = 0; i < TC_COL_COUNT; i++) size += record->text[i].ptr ? record->text[i].len : 0;
  tci_row *row = tci_alloc(sizeof *row + size);
  if (!row) return NULL;
  row->record = *record;
  row->next_by_key = NULL;
  char *at = row->bytes;
  for (int i = 0; i < TC_COL_COUNT; i++) {
    tc_text *text = &row->record.text[i];
    if (!text->ptr) continue;
    if (text->len) memcpy(at, text->ptr, text->len);
    text->ptr = at;
    at += text->len;
  }
  return row;
}

static int reserve(tci_row_array *array, size_t more) {
  size_t need = array->count + more, cap = array->cap ? array->cap : 64;
  if (need <= array->cap) return TC_OK;
  while (cap < need) cap *= 2;
  tci_row **at = tci_realloc(array->at, cap * sizeof *at);
  if (!at) return TC_ENOMEM;
  array->at = at;
  array->cap = cap;
  return TC_OK;
}

static tci_row **bucket_of(const tci_rows *rows, const tc_record *record) {
  tci_sipkey key = {rows->hash_key.k0 ^ TC_KEY_SPACE(record->kind), rows->hash_key.k1};
  return &rows->buckets[tci_siphash(&key, record->text[TC_COL_KEY].ptr, record->text[TC_COL_KEY].len) & (rows->bucket_count - 1)];
}

static void link_key(tci_rows *rows, tci_row *row) {
  tci_row **bucket = bucket_of(rows, &row->record);
  row->next_by_key = *bucket;
  *bucket = row;
}

/* About one row a bucket. */
static int reserve_buckets(tci_rows *rows, size_t need) {
  size_t count = rows->bucket_count ? rows->bucket_count : 64;
  if (rows->bucket_count >= need) return TC_OK;
  while (count < need) count *= 2;
  tci_row **buckets = tci_array(count, sizeof *buckets);
  if (!buckets) return TC_ENOMEM;
  tci_free(rows->buckets);
  rows->buckets = buckets;
  rows->bucket_count = count;
  for (size_t i = 0; i < rows->log.count; i++) {
    if (rows->log.at[i]->record.text[TC_COL_KEY].ptr) link_key(rows, rows->log.at[i]);
  }
  return TC_OK;
}

int tci_rows_reserve(tci_rows *rows, const uint32_t *kinds, size_t count) {
  int code = reserve(&rows->log, count);
  if (!code) code = reserve(&rows->listed, count);
  if (!code) code = reserve_buckets(rows, rows->log.count + count);
  for (size_t i = 0; i < count && !code; i++) code = reserve(&rows->kinds[kinds[i]], count);
  return code;
}

static size_t place_of_id(const tci_row_array *kind, int64_t id) {
  size_t low = 0, high = kind->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (kind->at[middle]->record.id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int is_before(const tc_record *a, const tc_record *b) {
  return a->created_at_us != b->created_at_us ? a->created_at_us < b->created_at_us : a->seq < b->seq;
}

const tci_row *tci_rows_find_id(const tci_rows *rows, uint32_t kind, int64_t id) {
  const tci_row_array *of = &rows->kinds[kind];
  size_t at = place_of_id(of, id);
  return at < of->count && of->at[at]->record.id == id ? of->at[at] : NULL;
}

void tci_rows_add(tci_rows *rows, tci_row *row) {
  tc_record *record = &row->record;
  tci_row_array *kind = &rows->kinds[record->kind];
  if (!record->id) record->id = kind->count ? kind->at[kind->count - 1]->record.id + 1 : 1;
  rows->log.at[rows->log.count++] = row;
  record->seq = (int64_t)rows->log.count;
  size_t place = place_of_id(kind, record->id);
  memmove(kind->at + place + 1, kind->at + place, (kind->count++ - place) * sizeof *kind->at);
  kind->at[place] = row;
  size_t at = rows->listed.count;
  while (at && is_before(record, &rows->listed.at[at - 1]->record)) at--;
  memmove(rows->listed.at + at + 1, rows->listed.at + at, (rows->listed.count - at) * sizeof *rows->listed.at);
  rows->listed.at[at] = row;
  rows->listed.count++;
  if (record->text[TC_COL_KEY].ptr) link_key(rows, row);
}

const tci_row *tci_rows_find_key(const tci_rows *rows, const tc_record *record, int64_t after_us) {
  if (!rows->bucket_count) return NULL;
  for (const tci_row *row = *bucket_of(rows, record); row; row = row->next_by_key) {
    if (row->record.created_at_us > after_us && tci_same_key(&row->record, record)) return row;
  }
  return NULL;
}

void tci_rows_free(tci_rows *rows) {
  for (size_t i = 0; i < rows->log.count; i++) tci_free(rows->log.at[i]);
  for (size_t i = 0; i <= TC_KIND_MAX; i++) tci_free(rows->kinds[i].at);
  tci_free(rows->log.at);
  tci_free(rows->listed.at);
  tci_free(rows->buckets);
  memset(rows, 0, sizeof *rows);
}
