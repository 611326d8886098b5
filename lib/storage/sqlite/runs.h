/* runs.h - sorted runs: what the derived file is made of. See index.c for the picture.
 *
 * A run is an immutable sorted array of entries, cut into chunks of TCI_CHUNK_ENTRIES that fill one database page each; `fences` holds each chunk's first entry and
 * how many entries of the same list stand before it in the run, so that a list's newest chunk alone tells the list's length.
 * All functions return SQLite's rc and work on any connection whose statements begin with TCI_RUN_STATEMENTS.
 */
#ifndef TCI_STORAGE_SQLITE_RUNS_H
#define TCI_STORAGE_SQLITE_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "storage/lists.h"

struct tci_db;

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

/* Where in a run. at is an index into chunk; at == count: past the end. Begins as all zero or with tci_run_cursor_init; may be used again for the same or another
 * run, and is faster when its chunk already holds what is sought. */
typedef struct tci_run_cursor {
  int64_t run;
  int64_t before; /* entries of chunk[0]'s list in earlier chunks */
  size_t at, count;
  tci_entry chunk[TCI_CHUNK_ENTRIES];
} tci_run_cursor;

enum { TCI_RUNS_LIVE = 0, TCI_RUNS_FLOOR, TCI_RUNS_AFTER, TCI_RUNS_BEFORE, TCI_RUNS_STATEMENTS };
/* Fence and chunk in one statement: a second one costs as much as its look-up. LEFT: a chunk that is missing must be seen, not skipped. */
#define TCI_FENCES                                                                      \
  "SELECT f.before, c.data FROM main.fences f LEFT JOIN main.chunks c ON c.id=f.chunk " \
  "WHERE f.run=? AND (f.h, f.g, f.created_at, f.seq) "
#define TCI_FENCES_UP " ORDER BY f.h, f.g, f.created_at, f.seq LIMIT 1"
#define TCI_FENCES_DOWN " ORDER BY f.h DESC, f.g DESC, f.created_at DESC, f.seq DESC LIMIT 1"
#define TCI_RUN_STATEMENTS                                                                                                               \
  [TCI_RUNS_LIVE] = "SELECT run, entries FROM main.runs WHERE state=0", [TCI_RUNS_FLOOR] = TCI_FENCES "<= (?, ?, ?, ?)" TCI_FENCES_DOWN, \
  [TCI_RUNS_AFTER] = TCI_FENCES "> (?, ?, ?, ?)" TCI_FENCES_UP, [TCI_RUNS_BEFORE] = TCI_FENCES "< (?, ?, ?, ?)" TCI_FENCES_DOWN

void tci_run_cursor_init(tci_run_cursor *cursor);       /* spares clearing its 4 kB */
int tci_runs_load(struct tci_db *db, tci_run_set *set); /* the live ones; replaces what set held */
int tci_runs_reserve(tci_run_set *set, size_t more);    /* SQLITE_OK or SQLITE_NOMEM */
void tci_runs_free(tci_run_set *set);

/* To the first entry >= key, or past the end. */
int tci_run_seek(struct tci_db *db, tci_run_cursor *cursor, int64_t run, const tci_entry *key);
int tci_run_next(struct tci_db *db, tci_run_cursor *cursor); /* not past the end */
/* To the last entry < key; *found = 0: there is none. */
int tci_run_seek_before(struct tci_db *db, tci_run_cursor *cursor, int64_t run, const tci_entry *key, int *found);
int tci_run_previous(struct tci_db *db, tci_run_cursor *cursor, int *found);
/* How many entries of the list h, g the run has. The cursor is then at the newest of them, if there is one: a page from there on costs no other look-up. */
int tci_run_count(struct tci_db *db, tci_run_cursor *cursor, int64_t run, int64_t h, int64_t g, int64_t *out);

#endif
