/* merge.c - runs are written once and merged by size, so that there are few of them.
 *
 * Four runs of one size (a level: a factor of four) become one of the next. A merge goes on beside the writing: each batch pushes every merge that is under way by
 * twice its own size, so that a merge has ended before the next four runs of its level are there, no batch waits for a big one, and the number of runs grows with the
 * logarithm of the log. In quiet times smaller runs are merged further, until each is several times as large as all before it.
 * What a merge has written is invisible until its last commit. It is not resumed after a restart: the half-written run is swept like a dead one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define LEVEL_FACTOR 4
#define LEVEL_FIRST 1024 /* entries: what is smaller is of level 0 */
#define QUIET TCI_LEVELS /* the merge of quiet times */
#define WORK_MIN 512     /* entries a batch at least */
#define IDLE_WORK 65536  /* entries a slice: some 10 ms */
#define SWEEP_MIN 16     /* chunks */
#define IDLE_SWEEP 1024

static int bind(sqlite3_stmt *stmt, const int64_t *values, int n) {
  int rc = SQLITE_OK;
  for (int i = 0; i < n && !rc; i++) rc = sqlite3_bind_int64(stmt, i + 1, values[i]);
  return rc;
}

static int run_with(tci_db *db, size_t statement, const int64_t *values, int n) {
  int rc = bind(db->stmts[statement], values, n);
  return rc ? rc : tci_db_run(db, statement);
}

/* ---- writing a run ---- */

int tci_run_begin(tci_db *index, tci_run_writer *writer, int state) {
  int64_t values[1] = {state};
  writer->entries = writer->before = writer->of_list = 0;
  writer->count = 0;
  int rc = run_with(index, TCI_INDEX_ADD_RUN, values, 1);
  writer->run = sqlite3_last_insert_rowid(index->handle);
  return rc;
}

static int flush(tci_db *index, tci_run_writer *writer) {
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_ADD_CHUNK];
  if (!writer->count) return SQLITE_OK;
  int rc = sqlite3_bind_blob64(stmt, 1, writer->chunk, writer->count * sizeof *writer->chunk, SQLITE_STATIC);
  if (!rc) rc = tci_db_run(index, TCI_INDEX_ADD_CHUNK);
  if (rc) return rc;
  const tci_entry *first = &writer->chunk[0];
  int64_t values[7] = {writer->run, first->h, first->g, first->created_at_us, first->seq, sqlite3_last_insert_rowid(index->handle), writer->before};
  writer->entries += (int64_t)writer->count;
  writer->count = 0;
  return run_with(index, TCI_INDEX_ADD_FENCE, values, 7);
}

int tci_run_put(tci_db *index, tci_run_writer *writer, const tci_entry *entry) {
  /* A full chunk is flushed at once, but its last entry is still in its place. */
  const tci_entry *last = &writer->chunk[writer->count ? writer->count - 1 : TCI_CHUNK_ENTRIES - 1];
  int first = !writer->count && !writer->entries;
  if (first || last->h != entry->h || last->g != entry->g) writer->of_list = 0;
  if (!writer->count) writer->before = writer->of_list;
  writer->of_list++;
  writer->chunk[writer->count++] = *entry;
  return writer->count == TCI_CHUNK_ENTRIES ? flush(index, writer) : SQLITE_OK;
}

static int set_run(tci_db *index, int64_t run, int state, int64_t entries) {
  int64_t values[3] = {state, entries, run};
  return run_with(index, TCI_INDEX_SET_RUN, values, 3);
}

int tci_run_finish(tci_db *index, tci_run_writer *writer) {
  int rc = flush(index, writer);
  return rc ? rc : set_run(index, writer->run, writer->entries ? TCI_RUN_LIVE : TCI_RUN_DEAD, writer->entries);
}

/* ---- one merge ---- */

static int level_of(const tci_run *run) {
  int level = 0;
  for (int64_t size = run->entries / LEVEL_FIRST; size && level < TCI_LEVELS - 1; size /= LEVEL_FACTOR) level++;
  return level;
}

static void merge_end(tci_merge *merge) {
  tci_free(merge->inputs);
  memset(merge, 0, sizeof *merge);
}

static int merge_begin(tc_storage *storage, tci_merge *merge, tci_run **picked, size_t count) {
  static const tci_entry first = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
  merge->inputs = tci_array(count, sizeof *merge->inputs);
  if (!merge->inputs) return SQLITE_NOMEM;
  int rc = tci_run_begin(&storage->index, &merge->out, TCI_RUN_BUILDING);
  for (; merge->count < count && !rc; merge->count++) {
    merge->runs[merge->count] = picked[merge->count]->run;
    picked[merge->count]->merging = 1;
    rc = tci_run_seek(&storage->index, &merge->inputs[merge->count], picked[merge->count]->run, &first);
  }
  return rc;
}

/* The inputs die, the output lives, in one transaction: readers see the one or the other. */
static int merge_finish(tc_storage *storage, tci_merge *merge) {
  tci_run_set *set = &storage->runs;
  tci_run made = {merge->out.run, 0, 0};
  size_t kept = 0;
  int rc = tci_run_finish(&storage->index, &merge->out);
  for (size_t i = 0; i < merge->count && !rc; i++) rc = set_run(&storage->index, merge->runs[i], TCI_RUN_DEAD, 0);
  if (rc) return rc;
  made.entries = merge->out.entries;
  for (size_t i = 0; i < set->count; i++) {
    int input = 0;
    for (size_t j = 0; j < merge->count; j++) input |= set->at[i].run == merge->runs[j];
    if (!input) set->at[kept++] = set->at[i];
  }
  set->count = kept;
  if (made.entries) set->at[set->count++] = made; /* in an input's place */
  merge_end(merge);
  return SQLITE_OK;
}

/* Moves about `work` entries. Keys that have expired stay behind: no other purge is needed. */
static int merge_push(tc_storage *storage, tci_merge *merge, size_t work) {
  int64_t expired_us = tci_keys_expired_before(storage, storage->newest_us);
  int rc = SQLITE_OK;
  for (; work && !rc; work--) {
    tci_run_cursor *least = NULL;
    for (size_t i = 0; i < merge->count; i++) {
      tci_run_cursor *input = &merge->inputs[i];
      if (input->at < input->count && (!least || tci_entry_compare(&input->chunk[input->at], &least->chunk[least->at]) < 0)) least = input;
    }
    if (!least) return merge_finish(storage, merge);
    const tci_entry *entry = &least->chunk[least->at];
    if (entry->h >= 0 || entry->created_at_us > expired_us) rc = tci_run_put(&storage->index, &merge->out, entry);
    if (!rc) rc = tci_run_next(&storage->index, least);
  }
  return rc;
}

/* ---- which runs ---- */

static int begin_level(tc_storage *storage, int level) {
  tci_run *picked[TCI_MERGE_INPUTS];
  size_t count = 0;
  for (size_t i = 0; i < storage->runs.count && count < TCI_MERGE_INPUTS; i++) {
    tci_run *run = &storage->runs.at[i];
    if (!run->merging && level_of(run) == level) picked[count++] = run;
  }
  return count < LEVEL_FACTOR ? SQLITE_OK : merge_begin(storage, &storage->merges[level], picked, count);
}

static int by_entries(const void *a, const void *b) {
  const tci_run *x = *(tci_run *const *)a, *y = *(tci_run *const *)b;
  return (x->entries > y->entries) - (x->entries < y->entries);
}

/* The most of the smallest runs of which the largest is not much larger than the others together. So every run that stays is larger by LEVEL_FACTOR than all
 * smaller ones together, whatever the batches left behind: a small one in front of four of a size must not keep those apart. */
static int begin_quiet(tc_storage *storage) {
  tci_run_set *set = &storage->runs;
  tci_run **sorted = tci_array(set->count, sizeof(tci_run *));
  int64_t sum = 0;
  size_t count = 0;
  if (!sorted) return SQLITE_NOMEM;
  for (size_t i = 0; i < set->count; i++) sorted[i] = &set->at[i];
  qsort(sorted, set->count, sizeof *sorted, by_entries);
  for (size_t i = 0; i < set->count && i < TCI_MERGE_INPUTS; sum += sorted[i++]->entries) {
    if (i && sorted[i]->entries <= sum * LEVEL_FACTOR) count = i + 1;
  }
  int rc = count < 2 ? SQLITE_OK : merge_begin(storage, &storage->merges[QUIET], sorted, count);
  tci_free(sorted);
  return rc;
}

/* ---- sweeping ---- */

/* Removes about `chunks` of what is dead; *left = 1: not all. */
static int sweep(tci_db *index, int64_t chunks, int *left) {
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_DEAD];
  int rc = SQLITE_OK;
  *left = 1;
  while (!rc && chunks > 0 && *left) {
    rc = sqlite3_step(stmt);
    *left = rc == SQLITE_ROW;
    int64_t values[2] = {*left ? sqlite3_column_int64(stmt, 0) : 0, chunks};
    (void)sqlite3_reset(stmt); /* repeats rc */
    if (!*left) return rc == SQLITE_DONE ? SQLITE_OK : rc;
    rc = run_with(index, TCI_INDEX_SWEEP_CHUNKS, values, 2);
    if (!rc) rc = run_with(index, TCI_INDEX_SWEEP_FENCES, values, 2);
    int64_t swept = sqlite3_changes64(index->handle);
    if (!rc && swept < chunks) rc = run_with(index, TCI_INDEX_SWEEP_RUN, values, 1);
    chunks -= swept + 1;
  }
  return rc;
}

int tci_merge_some(tc_storage *storage, size_t entries) {
  size_t work = entries * 2 > WORK_MIN ? entries * 2 : WORK_MIN;
  int rc = SQLITE_OK, found = 0, under_way = 0;
  for (int i = 0; i < TCI_MERGES && !rc; i++) {
    tci_merge *merge = &storage->merges[i];
    if (!merge->count && i < TCI_LEVELS) rc = begin_level(storage, i);
    under_way += merge->count > 0;
    if (!rc && merge->count) rc = merge_push(storage, merge, work);
  }
  /* As fast as the merges leave dead chunks behind. */
  return rc ? rc : sweep(&storage->index, (int64_t)((size_t)(under_way + 1) * work / TCI_CHUNK_ENTRIES) + SWEEP_MIN, &found);
}

int tci_merge_idle(tc_storage *storage, int32_t *more) {
  tci_merge *first = NULL;
  int rc = SQLITE_OK, found = 0;
  for (int i = 0; i < TCI_MERGES && !first; i++) {
    if (storage->merges[i].count) first = &storage->merges[i];
  }
  if (!first) {
    rc = begin_quiet(storage);
    if (storage->merges[QUIET].count) first = &storage->merges[QUIET];
  }
  if (!rc && first) rc = merge_push(storage, first, IDLE_WORK);
  if (!rc) rc = sweep(&storage->index, IDLE_SWEEP, &found);
  if (!rc) *more = first || found;
  return rc;
}

int tci_merge_reset(tc_storage *storage) {
  for (int i = 0; i < TCI_MERGES; i++) merge_end(&storage->merges[i]);
  int rc = tci_runs_load(&storage->index, &storage->runs);
  /* The half-written ones: swept from now on. */
  if (!rc) rc = sqlite3_exec(storage->index.handle, "UPDATE runs SET state=2 WHERE state=1", NULL, NULL, NULL);
  return rc;
}

void tci_merge_free(tc_storage *storage) {
  for (int i = 0; i < TCI_MERGES && storage->merges; i++) merge_end(&storage->merges[i]);
  tci_free(storage->merges);
  storage->merges = NULL;
  tci_runs_free(&storage->runs);
}
