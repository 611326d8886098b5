/* derive.c - what the indexer thread does: a batch of events into `postings`, and a slice of clean-up. Design notes: schema.c. */
#include <string.h>

#include "base/mem.h"
#include "storage/postgres/postgres.h"

enum { BACK_H = 3, BACK_G, BACK_AT, BACK_SEQ, BACK_N, H, G, AT, SEQ, UPTO, LOW_AT, LOW_SEQ, ENTRIES };

typedef struct new_entries {
  tci_entry *at;
  size_t count;
  int64_t oldest_us, newest_us;
} new_entries;

static int collect(new_entries *entries, const tci_sipkey *key, const tc_record *rows, size_t n) {
  entries->at = n > SIZE_MAX / TCI_LISTS_MAX / sizeof *entries->at ? NULL : tci_alloc(n * TCI_LISTS_MAX * sizeof *entries->at);
  if (!entries->at) return TC_ENOMEM;
  entries->oldest_us = INT64_MAX;
  entries->newest_us = INT64_MIN;
  for (size_t i = 0; i < n; i++) {
    const tc_record *row = &rows[i];
    tci_list_name names[TCI_LISTS_MAX];
    size_t lists = tci_lists_of_record(key, row, names);
    for (size_t j = 0; j < lists; j++) entries->at[entries->count++] = (tci_entry){names[j].h, names[j].g, row->created_at_us, row->seq};
    if (row->created_at_us > entries->newest_us) entries->newest_us = row->created_at_us;
    if (row->created_at_us < entries->oldest_us) entries->oldest_us = row->created_at_us;
  }
  return tci_entries_sort(&entries->at, entries->count);
}

/* Of the second, also before 1970. */
static int64_t second_of(int64_t us) { return us / TCI_PG_SECOND_US - (us % TCI_PG_SECOND_US < 0); }

/* How many from here on make a row: of one list and one second, and not too many. */
static size_t row_length(const tci_entry *from, size_t left) {
  size_t n = 1;
  while (n < left && n < TCI_PG_CHUNK_ENTRIES && from[n].h == from->h && from[n].g == from->g &&
         second_of(from[n].created_at_us) == second_of(from->created_at_us))
    n++;
  return n;
}

static void put_big_endian(char *out, int64_t value) {
  for (int i = 0; i < 8; i++) out[i] = (char)((uint64_t)value >> (56 - 8 * i));
}

static void put_row(tci_pg *pg, const tci_entry *from, size_t n, int64_t upto) {
  char bytes[TCI_PG_CHUNK_ENTRIES * 16];
  const tci_entry *last = &from[n - 1];
  tc_text entries = {NULL, 0}, nothing = {NULL, 0};
  tci_pg_put8(pg, H, from->h);
  tci_pg_put8(pg, G, from->g);
  tci_pg_put8(pg, AT, last->created_at_us);
  tci_pg_put8(pg, SEQ, last->seq);
  tci_pg_put8(pg, UPTO, upto);
  if (n > 1) {
    for (size_t i = 0; i < n; i++) {
      put_big_endian(bytes + i * 16, from[i].created_at_us);
      put_big_endian(bytes + i * 16 + 8, from[i].seq);
    }
    entries = (tc_text){bytes, n * 16};
    tci_pg_put8(pg, LOW_AT, from->created_at_us);
    tci_pg_put8(pg, LOW_SEQ, from->seq);
  } else {
    tci_pg_put_text(pg, LOW_AT, nothing);
    tci_pg_put_text(pg, LOW_SEQ, nothing);
  }
  tci_pg_put_text(pg, ENTRIES, entries);
}

/* The whole of a list's new entries: its rows, and where it may be older than what is there, the list itself. */
static void put_list(tci_pg *pg, const tci_entry *from, size_t n, int is_back_dated) {
  const tci_entry *last = &from[n - 1];
  for (size_t done = 0, length; done < n; done += length) {
    length = row_length(from + done, n - done);
    put_row(pg, from + done, length, (int64_t)(done + length));
  }
  if (!is_back_dated) return;
  tci_pg_put8(pg, BACK_H, last->h);
  tci_pg_put8(pg, BACK_G, last->g);
  tci_pg_put8(pg, BACK_AT, last->created_at_us);
  tci_pg_put8(pg, BACK_SEQ, last->seq);
  tci_pg_put8(pg, BACK_N, (int64_t)n);
}

static void put_entries(tci_pg *pg, const new_entries *entries, int64_t first_seq, int64_t last_seq, int64_t indexed_us) {
  tci_pg_begin(pg);
  tci_pg_int8(pg, first_seq);
  tci_pg_int8(pg, last_seq);
  tci_pg_int8(pg, entries->newest_us);
  for (size_t arg = BACK_H; arg <= LOW_SEQ; arg++) tci_pg_array(pg, TCI_PG_OID_INT8);
  tci_pg_array(pg, TCI_PG_OID_BYTEA);
  for (size_t i = 0, next; i < entries->count; i = next) {
    const tci_entry *from = &entries->at[i];
    for (next = i + 1; next < entries->count && entries->at[next].h == from->h && entries->at[next].g == from->g;) next++;
    put_list(pg, from, next - i, entries->oldest_us < indexed_us);
  }
}

/* After an answer that was lost: what of these rows is indexed already. */
static int resolve(tc_storage *storage, const tc_record **rows, size_t *n) {
  tci_pg *pg = &storage->indexer;
  PGresult *result = NULL;
  if (!storage->index_doubt) return TC_OK;
  tci_pg_begin(pg);
  int code = tci_pg_run(pg, TCI_PG_INDEX_CURSOR, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (code) return code;
  int64_t done = tci_pg_get8(result, 0, 0) - storage->index_seq;
  PQclear(result);
  size_t skip = done <= 0 ? 0 : (size_t)done > *n ? *n : (size_t)done;
  for (size_t i = 0; i < skip; i++) {
    if ((*rows)[i].created_at_us > storage->newest_us) storage->newest_us = (*rows)[i].created_at_us;
  }
  storage->index_seq += (int64_t)skip;
  storage->index_doubt = 0;
  *rows += skip;
  *n -= skip;
  return TC_OK;
}

static int index_rows(tc_storage *storage, const tc_record *rows, size_t n) {
  tci_pg *pg = &storage->indexer;
  PGresult *result = NULL;
  new_entries entries = {0};
  int code = collect(&entries, &storage->hash_key, rows, n);
  if (code) {
    storage->env.fail(code, "out of memory for indexing");
  } else {
    put_entries(pg, &entries, rows[0].seq, rows[n - 1].seq, storage->newest_us);
    tci_pg_int8(pg, atomic_load(&storage->led));
    code = tci_pg_run(pg, TCI_PG_DERIVE, tci_pg_in_ms(TCI_PG_BEHIND_MS), &result);
    storage->index_doubt = code && pg->lost;
    PQclear(result);
  }
  if (!code) {
    storage->index_seq = rows[n - 1].seq;
    if (entries.newest_us > storage->newest_us) storage->newest_us = entries.newest_us;
  }
  tci_free(entries.at);
  return code;
}

int tci_pg_derive(tc_storage *storage, const tc_record *rows, size_t n) {
  if (!n) return TC_OK;
  if (rows[0].seq != storage->index_seq + 1 || rows[n - 1].seq != storage->index_seq + (int64_t)n) {
    storage->env.fail(TC_EINVAL, "events %lld to %lld do not follow %lld", (long long)rows[0].seq, (long long)rows[n - 1].seq, (long long)storage->index_seq);
    return TC_EINVAL;
  }
  int code = resolve(storage, &rows, &n);
  return code || !n ? code : index_rows(storage, rows, n);
}

int tci_pg_idle(tc_storage *storage, int64_t now_us, int32_t *more) {
  tci_pg *pg = &storage->indexer;
  PGresult *result = NULL;
  int64_t ttl_us = (int64_t)storage->env.idempotency_ttl_s * 1000000;
  int code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_TRY_MS));
  if (code) return code;
  tci_pg_begin(pg);
  tci_pg_int8(pg, now_us < INT64_MIN + ttl_us ? INT64_MIN : now_us - ttl_us);
  tci_pg_int8(pg, atomic_load(&storage->led));
  code = tci_pg_run(pg, TCI_PG_CLEAN_UP, tci_pg_in_ms(TCI_PG_BEHIND_MS), &result);
  if (!code) *more = tci_pg_get4(result, 0, 0);
  PQclear(result);
  return code;
}
