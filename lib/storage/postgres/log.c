/* log.c - the record itself: append, what became of an append, and reading it in order.
 *
 * An append is sent once. Its answer may be late, or its connection may break: then its outcome is asked for, first by waiting for the answer, then on another connection by the batch's id. "Not stored"
 * is said only when it cannot be stored any more (schema.c, outcome).
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "storage/postgres/postgres.h"

#define READ_ROWS 512

void tci_pg_read_record(const PGresult *result, int row, tc_record *out) {
  uint16_t kind = 0;
  const char *bytes = PQgetvalue(result, row, 1);
  if (PQgetlength(result, row, 1) == 2) kind = (uint16_t)((uint8_t)bytes[0] << 8 | (uint8_t)bytes[1]);
  out->seq = tci_pg_get8(result, row, 0);
  out->kind = kind;
  out->id = tci_pg_get8(result, row, 2);
  out->created_at_us = tci_pg_get8(result, row, 3);
  out->amount = tci_pg_get8(result, row, 4);
  out->ref = tci_pg_get8(result, row, 5);
  out->flags = 0;
  for (int i = 0; i < TC_COL_COUNT; i++) out->text[i] = tci_pg_get(result, row, 6 + i);
}

/* *version, where it is wanted: of the documents as they were with the last of the rows. */
static int read_rows(tci_pg *pg, int64_t after_seq, size_t max, int64_t wait_ms, tc_row_fn row, void *arg, int64_t *version) {
  int code = TC_OK, stop = 0;
  while (max && !code && !stop) {
    PGresult *result = NULL;
    size_t want = max < READ_ROWS ? max : READ_ROWS;
    tci_pg_begin(pg);
    tci_pg_int8(pg, after_seq);
    tci_pg_int8(pg, (int64_t)want);
    code = tci_pg_run(pg, version ? TCI_PG_FOLLOW_LOG : TCI_PG_READ_LOG, tci_pg_in_ms(wait_ms), &result);
    if (code) break;
    int n = PQntuples(result);
    if (n && version) *version = tci_pg_get8(result, n - 1, 6 + TC_COL_COUNT);
    for (int i = 0; i < n && !stop; i++) {
      tc_record record;
      tci_pg_read_record(result, i, &record);
      after_seq = record.seq;
      stop = row(&record, arg);
    }
    PQclear(result);
    max -= (size_t)n;
    if ((size_t)n < want) break;
  }
  return code;
}

int tci_pg_read_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg) {
  tci_pg *pg = NULL;
  int code = tci_pg_take(storage, &pg);
  if (code) return code;
  code = read_rows(pg, after_seq, max, TCI_PG_READ_MS, row, arg, NULL);
  tci_pg_give(storage, pg);
  return code;
}

int tci_pg_follow_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg, int32_t *config_changed) {
  int64_t version = 0;
  int code = read_rows(&storage->writer, after_seq, max, TCI_PG_FOLLOW_MS, row, arg, &version);
  if (!code && config_changed) *config_changed = version > atomic_load(&storage->config_version);
  return code;
}

/* ---- append ---- */

/* The places of a batch that go into the log: all but those whose key is known. */
typedef struct fresh {
  tc_append *items;
  const int64_t *known; /* 0: fresh */
  size_t n;
} fresh;

static int64_t expired_before(const tc_storage *storage, int64_t created_at_us) {
  int64_t ttl_us = (int64_t)storage->env.idempotency_ttl_s * 1000000;
  return created_at_us < INT64_MIN + ttl_us ? INT64_MIN : created_at_us - ttl_us;
}

enum {
  KINDS = 1,
  RANKS,
  CREATED,
  AMOUNTS,
  REFS,
  TEXTS,
  KEY_POS = TEXTS + TC_COL_COUNT,
  KEY_H,
  KEY_G,
  KEY_AFTER,
  GROWN,
  GROWN_BY,
  EXPECT,
  EXPECT_KINDS,
  NOW,
  HOLD
};

static void put_arrays(tci_pg *pg, const fresh *f) {
  unsigned used = 0, refs = 0;
  for (size_t i = 0; i < f->n; i++) {
    if (f->known[i]) continue;
    for (int j = 0; j < TC_COL_COUNT; j++) used |= (unsigned)(f->items[i].record->text[j].ptr != NULL) << j;
    refs |= f->items[i].record->ref != 0;
  }
  tci_pg_array(pg, TCI_PG_OID_INT4);
  tci_pg_array(pg, TCI_PG_OID_INT4);
  tci_pg_array(pg, TCI_PG_OID_INT8);
  tci_pg_array(pg, TCI_PG_OID_INT8);
  if (refs) tci_pg_array(pg, TCI_PG_OID_INT8);
  else tci_pg_null(pg);
  for (int j = 0; j < TC_COL_COUNT; j++) {
    if (used >> j & 1) tci_pg_array(pg, TCI_PG_OID_TEXT);
    else tci_pg_null(pg); /* a column that nobody fills */
  }
  tci_pg_array(pg, TCI_PG_OID_INT4);
  for (size_t arg = KEY_H; arg <= KEY_AFTER; arg++) tci_pg_array(pg, TCI_PG_OID_INT8);
  tci_pg_array(pg, TCI_PG_OID_INT4);
  tci_pg_array(pg, TCI_PG_OID_INT4);
}

static void put_key(const tc_storage *storage, tci_pg *pg, const tc_record *record, int32_t place) {
  tci_list_name name = tci_list_of_key(&storage->hash_key, record->kind, record->text[TC_COL_KEY]);
  tci_pg_put4(pg, KEY_POS, place);
  tci_pg_put8(pg, KEY_H, name.h);
  tci_pg_put8(pg, KEY_G, name.g);
  tci_pg_put8(pg, KEY_AFTER, expired_before(storage, record->created_at_us));
}

static void put_terms(tci_pg *pg, const tc_append_terms *terms, int64_t now_us) {
  if (terms && terms->expect_kinds) tci_pg_int8(pg, terms->expect_seq), tci_pg_int8(pg, (int64_t)terms->expect_kinds);
  else tci_pg_null(pg), tci_pg_null(pg);
  if (terms) tci_pg_int8(pg, now_us), tci_pg_int8(pg, terms->hold_us);
  else tci_pg_null(pg), tci_pg_null(pg);
}

static void put_items(const tc_storage *storage, tci_pg *pg, const fresh *f, const uint8_t batch_id[16]) {
  int32_t grown[TC_KIND_MAX + 1] = {0}, place = 0;
  tci_pg_begin(pg);
  tci_pg_text(pg, (tc_text){(const char *)batch_id, 16});
  put_arrays(pg, f);
  for (size_t i = 0; i < f->n; i++) {
    const tc_record *record = f->items[i].record;
    if (f->known[i]) continue;
    place++;
    tci_pg_put4(pg, KINDS, (int32_t)record->kind);
    tci_pg_put4(pg, RANKS, ++grown[record->kind]);
    tci_pg_put8(pg, CREATED, record->created_at_us);
    tci_pg_put8(pg, AMOUNTS, record->amount);
    if (!pg->is_null[REFS]) tci_pg_put8(pg, REFS, record->ref);
    for (size_t j = 0; j < TC_COL_COUNT; j++) {
      if (!pg->is_null[TEXTS + j]) tci_pg_put_text(pg, TEXTS + j, record->text[j]);
    }
    if (record->text[TC_COL_KEY].ptr) put_key(storage, pg, record, place);
  }
  for (int32_t kind = 1; kind <= (int32_t)TC_KIND_MAX; kind++) {
    if (!grown[kind]) continue;
    tci_pg_put4(pg, GROWN, kind);
    tci_pg_put4(pg, GROWN_BY, grown[kind]);
  }
}

/* One of an array of bigint without NULLs, as a result has it. */
static int64_t element(tc_text array, size_t at) {
  size_t place = 20 + at * 12 + 4;
  return place + 8 <= array.len ? (int64_t)tci_pg_read8(array.ptr + place) : 0;
}

static void publish(tc_append *item, int64_t known, int64_t seq, int64_t id) {
  item->result = known ? TC_EEXISTS : TC_OK;
  item->existing_seq = known;
  if (known) return;
  item->record->seq = seq;
  item->record->id = id;
}

/* What a row of append() says: numbers, or which keys are known. *again: nothing was stored, some of the keys are known now. */
static int take_answer(tc_storage *storage, const fresh *f, int64_t *known, const PGresult *result, int *again) {
  if (PQntuples(result) != 1) {
    storage->env.fail(TC_ECORRUPT, "the database %s gives no answer to an append", storage->home.name);
    return TC_ECORRUPT;
  }
  tc_text keys = tci_pg_get(result, 0, 2), base = tci_pg_get(result, 0, 1);
  *again = keys.ptr != NULL;
  for (size_t i = 0, key = 0; i < f->n && *again; i++) {
    if (!known[i] && f->items[i].record->text[TC_COL_KEY].ptr) known[i] = element(keys, key++);
  }
  if (*again) return TC_OK;
  int64_t seq = tci_pg_get8(result, 0, 0), grown[TC_KIND_MAX + 1] = {0};
  for (size_t i = 0; i < f->n; i++) {
    uint32_t kind = f->items[i].record->kind;
    if (f->known[i]) {
      publish(&f->items[i], f->known[i], 0, 0);
      continue;
    }
    publish(&f->items[i], 0, seq, element(base, kind - 1) + ++grown[kind]);
    if (!PQgetisnull(result, 0, 3) && f->items[i].record->created_at_us == storage->attempt.now_us)
      f->items[i].record->created_at_us = tci_pg_get8(result, 0, 3);
    storage->log_seq = seq++;
  }
  return TC_OK;
}

static int remember(tc_storage *storage, size_t n, const uint8_t batch_id[16]) {
  tci_pg_attempt *attempt = &storage->attempt;
  int64_t *known = tci_array(n, sizeof *known);
  if (!known) {
    storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  tci_free(attempt->known);
  attempt->known = known;
  attempt->n = n;
  memcpy(attempt->batch_id, batch_id, sizeof attempt->batch_id);
  return TC_OK;
}

static int is_anything_fresh(const fresh *f) {
  for (size_t i = 0; i < f->n; i++) {
    if (!f->known[i]) return 1;
  }
  return 0;
}

/* A key's age is measured from record to record: now_us counts with terms only. */
int tci_pg_append_on(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us, tc_append_terms *terms) {
  tci_pg *pg = &storage->writer;
  int again = 1;
  if (!n) return tci_pg_exec(pg, "SELECT 1 FROM log_end WHERE one=1 FOR UPDATE", tci_pg_in_ms(TCI_PG_TRY_MS), NULL);
  int code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_TRY_MS));
  if (!code && pg->sent_us) { /* to a batch that was given up */
    tci_pg_drop(pg, "it owes an answer");
    code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_TRY_MS));
  }
  if (!code) code = remember(storage, n, batch_id);
  if (!code) storage->attempt.now_us = now_us;
  fresh f = {items, storage->attempt.known, n};
  while (!code && again && is_anything_fresh(&f)) {
    PGresult *result = NULL;
    put_items(storage, pg, &f, batch_id);
    put_terms(pg, terms, now_us);
    code = tci_pg_try(pg, TCI_PG_APPEND, tci_pg_in_ms(TCI_PG_ANSWER_MS), &result);
    if (code && pg->lost) code = TC_EUNKNOWN; /* the detail is that of what broke */
    if (!code) code = take_answer(storage, &f, storage->attempt.known, result, &again);
    if (!code && !again && terms) terms->config_changed = tci_pg_get8(result, 0, 4) != atomic_load(&storage->config_version);
    PQclear(result);
  }
  for (size_t i = 0; i < n && !code && again; i++) publish(&items[i], f.known[i], 0, 0); /* all are known */
  return code;
}

int tci_pg_append(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us) {
  return tci_pg_append_on(storage, items, n, batch_id, now_us, NULL);
}

/* ---- what became of it ---- */

/* The answer that is owed may still come. TC_EUNKNOWN: not yet. *settled = 0: it will not come any more. */
static int await_answer(tc_storage *storage, const fresh *f, int32_t *stored, int *settled) {
  tci_pg *pg = &storage->writer;
  PGresult *result = NULL;
  int again = 0;
  *settled = 0;
  if (pg->stage != TCI_PG_UP || !pg->sent_us) return TC_OK;
  int code = tci_pg_wait(pg, tci_pg_in_ms(TCI_PG_TRY_MS), &result);
  if (code == TC_EUNKNOWN) {
    if (tci_sys_monotonic_us(NULL) - pg->sent_us > TCI_PG_SILENT_MS * INT64_C(1000)) tci_pg_drop(pg, "no answer in time");
    return TC_EUNKNOWN;
  }
  if (code && pg->lost) return TC_OK; /* broken: by the batch's id then */
  *settled = 1;
  if (!code) code = take_answer(storage, f, storage->attempt.known, result, &again);
  PQclear(result);
  *stored = !code && !again;
  return TC_OK; /* refused: not stored */
}

static int read_ids(tc_storage *storage, const fresh *f, int64_t first_seq, int64_t last_seq) {
  tci_pg *pg = &storage->writer;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_int8(pg, first_seq);
  tci_pg_int8(pg, last_seq);
  int code = tci_pg_run(pg, TCI_PG_OUTCOME_IDS, tci_pg_in_ms(TCI_PG_ANSWER_MS), &result);
  if (code) return code;
  size_t wanted = 0;
  for (size_t i = 0; i < f->n; i++) wanted += !f->known[i];
  if ((size_t)PQntuples(result) != wanted || last_seq - first_seq + 1 != (int64_t)wanted) {
    storage->env.fail(code = TC_EUNKNOWN, "the batch from event %lld on has another length in %s", (long long)first_seq, storage->home.name);
  }
  for (size_t i = 0, row = 0; i < f->n && !code; i++) {
    publish(&f->items[i], f->known[i], first_seq + (int64_t)row, f->known[i] ? 0 : tci_pg_get8(result, (int)row, 0));
    if (!f->known[i]) f->items[i].record->created_at_us = tci_pg_get8(result, (int)row++, 1);
  }
  PQclear(result);
  return code;
}

static int look_it_up(tc_storage *storage, const fresh *f, const uint8_t batch_id[16], int32_t *stored) {
  tci_pg *pg = &storage->writer;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_text(pg, (tc_text){(const char *)batch_id, 16});
  tci_pg_int8(pg, storage->log_seq);
  int code = tci_pg_run(pg, TCI_PG_OUTCOME, tci_pg_in_ms(TCI_PG_ANSWER_MS), &result);
  if (code) return code;
  int found = PQntuples(result) == 1 && !PQgetisnull(result, 0, 0);
  int64_t first_seq = found ? tci_pg_get8(result, 0, 0) : 0, last_seq = found ? tci_pg_get8(result, 0, 1) : 0;
  PQclear(result);
  if (found) code = read_ids(storage, f, first_seq, last_seq);
  if (code) return code;
  if (found) storage->log_seq = last_seq;
  *stored = found;
  return TC_OK;
}

int tci_pg_append_outcome(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int32_t *stored) {
  tci_pg_attempt *attempt = &storage->attempt;
  int settled = 0;
  int32_t found = 0;
  int mine = attempt->known && attempt->n == n && !memcmp(attempt->batch_id, batch_id, sizeof attempt->batch_id);
  if (!mine && remember(storage, n, batch_id)) return TC_EUNKNOWN;
  fresh f = {items, attempt->known, n};
  int code = mine ? await_answer(storage, &f, &found, &settled) : TC_OK;
  if (!code && !settled) code = look_it_up(storage, &f, batch_id, &found);
  if (code) return TC_EUNKNOWN; /* its detail is set */
  *stored = found;
  return TC_OK;
}
