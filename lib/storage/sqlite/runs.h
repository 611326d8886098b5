/* runs.h - sorted runs: what the derived file is made of. See index.c for the picture.
 *
 * A run is an immutable sorted array of entries, cut into chunks of TCI_CHUNK_ENTRIES that fill one database page each; `fences` holds each chunk's first entry and
 * the position of that entry in the run. All functions return SQLite's rc and work on any connection whose statements begin with tci_run_statements.
 */
#ifndef TCI_STORAGE_SQLITE_RUNS_H
#define TCI_STORAGE_SQLITE_RUNS_H

#include <stddef.h>
#include <stdint.h>

struct tci_db;

/* (list, createdAt, seq): event seq is in the list. Sorted by all four as signed numbers. */
typedef struct tci_entry {
  int64_t h, g; /* the list's name; h < 0: the list of a key */
  int64_t created_at_us, seq;
} tci_entry;

#define TCI_CHUNK_ENTRIES 126 /* 4,032 bytes: with its cell the most that SQLite keeps in a leaf page of 4,096 without an overflow page */

enum { TCI_RUN_LIVE = 0, TCI_RUN_BUILDING, TCI_RUN_DEAD };

typedef struct tci_run {
  int64_t run, entries;
  int merging; /* an input of a merge that is under way */
} tci_run;

typedef struct tci_run_set {
  tci_run *at;
  size_t count, cap;
} tci_run_set;

/* Where in a run. at is an index into chunk; at == count: past the end. Begins as all zero; may be used again for the same or another run, and is faster when its
 * chunk already holds what is sought. */
typedef struct tci_run_cursor {
  int64_t run;
  int64_t position; /* of chunk[0] in the run */
  size_t at, count;
  tci_entry chunk[TCI_CHUNK_ENTRIES];
} tci_run_cursor;

enum { TCI_RUNS_LIVE = 0, TCI_RUNS_FLOOR, TCI_RUNS_AFTER, TCI_RUNS_BEFORE, TCI_RUNS_CHUNK, TCI_RUNS_STATEMENTS };
#define TCI_FENCE_COLUMNS "chunk, pos FROM main.fences WHERE run=? AND (h, g, created_at, seq) "
#define TCI_FENCE_DESC " ORDER BY h DESC, g DESC, created_at DESC, seq DESC LIMIT 1"
#define TCI_RUN_STATEMENTS                                                                                                                               \
  [TCI_RUNS_LIVE] = "SELECT run, entries FROM main.runs WHERE state=0", [TCI_RUNS_FLOOR] = "SELECT " TCI_FENCE_COLUMNS "<= (?, ?, ?, ?)" TCI_FENCE_DESC, \
  [TCI_RUNS_AFTER] = "SELECT " TCI_FENCE_COLUMNS "> (?, ?, ?, ?) ORDER BY h, g, created_at, seq LIMIT 1",                                                \
  [TCI_RUNS_BEFORE] = "SELECT " TCI_FENCE_COLUMNS "< (?, ?, ?, ?)" TCI_FENCE_DESC, [TCI_RUNS_CHUNK] = "SELECT data FROM main.chunks WHERE id=?"

int tci_entry_compare(const tci_entry *a, const tci_entry *b);

int tci_runs_load(struct tci_db *db, tci_run_set *set); /* the live ones; replaces what set held */
int tci_runs_reserve(tci_run_set *set, size_t more);    /* SQLITE_OK or SQLITE_NOMEM */
void tci_runs_free(tci_run_set *set);

/* To the first entry >= key, or past the end. position + at is then how many entries are < key. */
int tci_run_seek(struct tci_db *db, tci_run_cursor *cursor, int64_t run, const tci_entry *key);
int tci_run_next(struct tci_db *db, tci_run_cursor *cursor); /* not past the end */
/* To the last entry < key; *found = 0: there is none. */
int tci_run_seek_before(struct tci_db *db, tci_run_cursor *cursor, int64_t run, const tci_entry *key, int *found);
int tci_run_previous(struct tci_db *db, tci_run_cursor *cursor, int *found);
/* How many entries of the list h, g the run has. */
int tci_run_count(struct tci_db *db, tci_run_cursor *cursor, int64_t run, int64_t h, int64_t g, int64_t *out);

#endif
