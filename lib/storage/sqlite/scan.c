/* scan.c - all that is read. A filter is answered from one list, the shortest that holds all matches; what that list does not decide is compared with the event. */
#include <string.h>

#include "base/mem.h"
#include "model/filter.h"
#include "storage/sqlite/sqlite.h"

static int step_rows(tc_storage *storage, tci_reader *reader, sqlite3_stmt *stmt, tc_row_fn row, void *arg) {
  int rc = SQLITE_ROW, stop = 0;
  while (!stop && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tc_record record;
    tci_record_read(stmt, &record);
    stop = row(&record, arg);
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? TC_OK : tci_index_fail(storage, &reader->db, rc, "read");
}

int tci_read_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg) {
  tci_reader *reader = NULL;
  if (storage->looks) return tci_look_read_log(storage, after_seq, max, row, arg);
  int code = tci_reader_take(storage, &reader);
  if (code) return code;
  sqlite3_stmt *stmt = reader->db.stmts[TCI_READ_LOG];
  int rc = sqlite3_bind_int64(stmt, 1, after_seq);
  if (!rc) rc = sqlite3_bind_int64(stmt, 2, max > INT64_MAX ? INT64_MAX : (sqlite3_int64)max);
  code = rc ? tci_db_fail(&reader->db, rc, "read") : step_rows(storage, reader, stmt, row, arg);
  tci_reader_give(storage, reader);
  return code;
}

/* One number of one row. *found = 0 when there is no row. */
static int read_number(tc_snapshot *snapshot, size_t statement, int64_t *out, int *found) {
  tci_db *db = &snapshot->reader->db;
  sqlite3_stmt *stmt = db->stmts[statement];
  int rc = sqlite3_step(stmt);
  *found = rc == SQLITE_ROW;
  if (*found) *out = sqlite3_column_int64(stmt, 0);
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? TC_OK : tci_index_fail(snapshot->storage, db, rc, "read");
}

/* Fixes what the snapshot sees. */
static int open_view(tc_snapshot *snapshot, int64_t *seq) {
  tci_db *db = &snapshot->reader->db;
  int found = 0;
  int rc = tci_db_run(db, TCI_READ_BEGIN);
  if (rc) return tci_db_fail(db, rc, "read");
  int code = read_number(snapshot, TCI_READ_CURSOR, seq, &found); /* the first read: from here on the view is fixed */
  if (!code && !found) code = tci_index_fail(snapshot->storage, db, SQLITE_CORRUPT, "read the state of");
  if (code) return code;
  rc = tci_runs_load(db, &snapshot->runs);
  if (rc) return tci_index_fail(snapshot->storage, db, rc, "read the runs of");
  size_t runs = snapshot->runs.count;
  snapshot->cursors = tci_alloc(runs * sizeof *snapshot->cursors);
  snapshot->facts = tci_alloc(runs * sizeof *snapshot->facts);
  if (!snapshot->cursors || !snapshot->facts) {
    snapshot->storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  for (size_t i = 0; i < runs; i++) tci_run_cursor_init(&snapshot->cursors[i]);
  return TC_OK;
}

int tci_snapshot_begin(tc_storage *storage, tc_snapshot **out, int64_t *index_seq) {
  int64_t seq = 0;
  tc_snapshot *snapshot = tci_zalloc(sizeof *snapshot);
  if (!snapshot) {
    storage->env.fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  snapshot->storage = storage;
  int code = tci_reader_take(storage, &snapshot->reader);
  if (code) {
    tci_free(snapshot);
    return code;
  }
  code = open_view(snapshot, &seq);
  if (code) {
    tci_snapshot_end(snapshot);
    return code;
  }
  *out = snapshot;
  *index_seq = seq;
  return TC_OK;
}

void tci_snapshot_end(tc_snapshot *snapshot) {
  if (!snapshot) return;
  tci_reader_give(snapshot->storage, snapshot->reader);
  tci_runs_free(&snapshot->runs);
  tci_free(snapshot->cursors);
  tci_free(snapshot->facts);
  tci_free(snapshot);
}

/* Fills snapshot->facts for this list: from memory, and by a look into those runs of which nothing is known. Returns SQLite's rc. */
static int learn(tc_snapshot *snapshot, tci_list_name list) {
  size_t runs = snapshot->runs.count, missing = 0;
  int rc = SQLITE_OK;
  for (size_t i = 0; i < runs; i++) snapshot->facts[i] = (tci_list_fact){snapshot->runs.at[i].run, -1, {list.h, list.g, 0, 0}};
  tci_listcache_get(&snapshot->storage->lists, snapshot->facts, runs, &missing);
  if (!missing) return SQLITE_OK;
  for (size_t i = 0; i < runs && !rc; i++) {
    tci_list_fact *fact = &snapshot->facts[i];
    tci_run_cursor *cursor = &snapshot->cursors[i];
    if (fact->length >= 0) continue;
    rc = tci_run_count(&snapshot->reader->db, cursor, fact->run, list.h, list.g, &fact->length);
    if (!rc && fact->length) fact->newest = cursor->chunk[cursor->at];
  }
  if (!rc) tci_listcache_put(&snapshot->storage->lists, snapshot->facts, runs);
  return rc;
}

static int list_length(tc_snapshot *snapshot, tci_list_name list, int64_t *out) {
  int64_t length = 0;
  int rc = learn(snapshot, list);
  if (rc) return tci_index_fail(snapshot->storage, &snapshot->reader->db, rc, "count in");
  for (size_t i = 0; i < snapshot->runs.count; i++) length += snapshot->facts[i].length;
  *out = length;
  return TC_OK;
}

/* How a filter will be answered. */
typedef struct choice {
  tci_list_name list;
  int possible; /* 0: nothing can match */
  int exact;    /* all of the list matches */
} choice;

/* *none: not one of them has a currency of its own, as in most logs, so that asking for those without says nothing. */
static int lacks_currency(tc_snapshot *snapshot, const tc_filter *filter, int *none) {
  int64_t others = 0;
  int code = filter->absent ? list_length(snapshot, tci_list_of_currencies(&snapshot->storage->hash_key, filter), &others) : TC_OK;
  *none = !others;
  return code;
}

static int choose(tc_snapshot *snapshot, const tc_filter *filter, choice *out) {
  tci_list_name names[TCI_LISTS_MAX];
  int exact[TCI_LISTS_MAX], plain = 0;
  int64_t shortest = INT64_MAX, length = 0;
  int code = lacks_currency(snapshot, filter, &plain);
  size_t n = tci_lists_of_filter(&snapshot->storage->hash_key, filter, names, exact);
  memset(out, 0, sizeof *out);
  for (size_t i = 0; i < n && !plain; i++) exact[i] = 0;
  for (size_t i = 0; i < n && !out->exact; i++) {
    if (!exact[i]) continue;
    out->list = names[i];
    out->possible = out->exact = 1;
  }
  for (size_t i = 0; i < n && !out->exact && !code; i++) {
    if (n > 1) code = list_length(snapshot, names[i], &length);
    if (code || length >= shortest) continue;
    shortest = length;
    out->list = names[i];
    out->possible = n == 1 || length > 0;
  }
  return code;
}

/* *matches: the event has all the filter's values. */
static int compare(tc_snapshot *snapshot, const tc_filter *filter, int64_t seq, int *matches) {
  tci_db *db = &snapshot->reader->db;
  sqlite3_stmt *stmt = db->stmts[TCI_READ_EVENT];
  int rc = sqlite3_bind_int64(stmt, 1, seq);
  if (!rc) rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    tc_record record;
    tci_record_read(stmt, &record);
    *matches = tci_filter_matches(filter, &record);
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  if (rc == SQLITE_ROW) return TC_OK;
  return tci_index_fail(snapshot->storage, db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "compare an event of");
}

/* A run that has the list. Of most runs nothing is emitted but what is known of them: their chunk is not read before that is taken. */
typedef struct source {
  int64_t run;
  tci_entry at;           /* its newest that was not emitted yet */
  tci_run_cursor *cursor; /* at `at`; NULL: no chunk was needed so far. Its own, so that a callback may ask this snapshot again */
} source;

static int is_in(const tci_entry *entry, tci_list_name list) { return entry->h == list.h && entry->g == list.g; }

/* To the newest of the list before *key; *found = 0: there is none. */
static int seek_source(tc_snapshot *snapshot, source *from, const tci_entry *key, tci_list_name list, int *found) {
  tci_run_cursor *cursor = tci_alloc(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  tci_run_cursor_init(cursor);
  for (size_t i = 0; i < snapshot->runs.count; i++) {
    if (snapshot->cursors[i].run == from->run) *cursor = snapshot->cursors[i]; /* that may have the chunk already */
  }
  from->cursor = cursor;
  int rc = tci_run_seek_before(&snapshot->reader->db, cursor, from->run, key, found);
  if (rc || !*found) return rc;
  *found = is_in(&cursor->chunk[cursor->at], list);
  if (*found) from->at = cursor->chunk[cursor->at];
  return SQLITE_OK;
}

static int older(tc_snapshot *snapshot, source *from, tci_list_name list, int *found) {
  tci_entry at = from->at;
  if (!from->cursor) return seek_source(snapshot, from, &at, list, found);
  int rc = tci_run_previous(&snapshot->reader->db, from->cursor, found);
  if (rc || !*found) return rc;
  *found = is_in(&from->cursor->chunk[from->cursor->at], list);
  if (*found) from->at = from->cursor->chunk[from->cursor->at];
  return SQLITE_OK;
}

/* Those runs that have the list, at its newest entry after *after. */
static int open_sources(tc_snapshot *snapshot, tci_list_name list, const tc_position *after, source *sources, size_t *count) {
  tci_entry key = {list.h, list.g, after ? after->created_at_us : INT64_MAX, after ? after->seq : INT64_MAX};
  int rc = learn(snapshot, list);
  for (size_t i = 0; i < snapshot->runs.count && !rc; i++) {
    const tci_list_fact *fact = &snapshot->facts[i];
    source *from = &sources[*count];
    int found = fact->length > 0;
    if (!found) continue;
    *from = (source){fact->run, fact->newest, NULL};
    if (tci_entry_compare(&from->at, &key) >= 0) rc = seek_source(snapshot, from, &key, list, &found);
    if (!rc && found) ++*count;
    else tci_free(from->cursor);
  }
  return rc;
}

static size_t newest_of(const source *sources, size_t count) {
  size_t newest = 0;
  for (size_t i = 1; i < count; i++) {
    if (tci_entry_compare(&sources[i].at, &sources[newest].at) > 0) newest = i;
  }
  return newest;
}

static int walk(tc_snapshot *snapshot, const tc_filter *filter, const choice *chosen, const tc_position *after, tc_position_fn position, void *arg) {
  source *sources = tci_alloc(snapshot->runs.count * sizeof *sources);
  size_t count = 0;
  int code = TC_OK, stop = 0, found = 0;
  int rc = sources ? open_sources(snapshot, chosen->list, after, sources, &count) : SQLITE_NOMEM;
  while (!rc && count) {
    source *newest = &sources[newest_of(sources, count)];
    tc_position at = {newest->at.created_at_us, newest->at.seq};
    int matches = 1;
    if (!chosen->exact) code = compare(snapshot, filter, at.seq, &matches);
    if (!code && matches) stop = position(&at, arg);
    if (code || stop) break;
    rc = older(snapshot, newest, chosen->list, &found);
    if (rc || found) continue;
    tci_free(newest->cursor);
    *newest = sources[--count];
  }
  if (rc) code = tci_index_fail(snapshot->storage, &snapshot->reader->db, rc, "scan");
  while (count) tci_free(sources[--count].cursor);
  tci_free(sources);
  return code;
}

int tci_snapshot_scan(tc_snapshot *snapshot, const tc_filter *filter, const tc_position *after, tc_position_fn position, void *arg) {
  choice chosen;
  int code = choose(snapshot, filter, &chosen);
  return code || !chosen.possible ? code : walk(snapshot, filter, &chosen, after, position, arg);
}

static int count_one(const tc_position *position, void *arg) {
  (void)position;
  ++*(int64_t *)arg;
  return 0;
}

int tci_snapshot_count(tc_snapshot *snapshot, const tc_filter *filter, int64_t *out) {
  choice chosen;
  int64_t count = 0, others = 0;
  tci_list_name all;
  if (filter->absent && tci_list_beside_currency(&snapshot->storage->hash_key, filter, &all)) {
    int code = list_length(snapshot, all, &count);
    if (!code) code = list_length(snapshot, tci_list_of_currencies(&snapshot->storage->hash_key, filter), &others);
    if (!code) *out = count - others;
    return code;
  }
  int code = choose(snapshot, filter, &chosen);
  if (!code && chosen.exact) code = list_length(snapshot, chosen.list, &count);
  else if (!code && chosen.possible) code = walk(snapshot, filter, &chosen, NULL, count_one, &count);
  if (!code) *out = count;
  return code;
}

int tci_snapshot_fetch(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg) {
  tci_db *db = &snapshot->reader->db;
  sqlite3_stmt *stmt = db->stmts[TCI_READ_EVENT];
  int code = TC_OK, stop = 0;
  for (size_t i = 0; i < n && !code && !stop; i++) {
    tc_record record;
    int rc = sqlite3_bind_int64(stmt, 1, seqs[i]);
    if (!rc) rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
      tci_record_read(stmt, &record);
      stop = row(&record, arg);
    } else if (rc == SQLITE_DONE) {
      snapshot->storage->env.fail(code = TC_ECORRUPT, "event %lld is not in %s", (long long)seqs[i], snapshot->storage->files.log);
    } else {
      code = tci_index_fail(snapshot->storage, db, rc, "read");
    }
    (void)sqlite3_reset(stmt); /* repeats rc */
  }
  return code;
}

int tci_snapshot_find_id(tc_snapshot *snapshot, uint32_t kind, int64_t id, int64_t *seq) {
  /* Not by way of the cache: one event, asked for once, would take a slot a run from the lists. */
  tci_list_name list = tci_list_of_id(&snapshot->storage->hash_key, kind, id);
  tci_entry key = {list.h, list.g, INT64_MAX, INT64_MAX};
  int rc = SQLITE_OK, found = 0;
  for (size_t i = 0; i < snapshot->runs.count && !rc && !found; i++) {
    tci_run_cursor *cursor = &snapshot->cursors[i];
    rc = tci_run_seek_before(&snapshot->reader->db, cursor, snapshot->runs.at[i].run, &key, &found);
    if (rc || !found) continue;
    const tci_entry *entry = &cursor->chunk[cursor->at];
    found = is_in(entry, list);
    if (found) *seq = entry->seq;
  }
  if (rc) return tci_index_fail(snapshot->storage, &snapshot->reader->db, rc, "scan");
  if (found) return TC_OK;
  snapshot->storage->env.fail(TC_ENOTFOUND, "no event of kind %u has id %lld", kind, (long long)id);
  return TC_ENOTFOUND;
}
