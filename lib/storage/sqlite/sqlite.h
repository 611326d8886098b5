/* sqlite.h - the SQLite backend inside: its files, its connections, and who may use which.
 *
 * Three files, one writing connection each: `log` belongs to the engine's writer thread, `index` to its indexer thread, `work.db` to its work thread. Everything
 * that reads log or index borrows a read-only connection (index as main, log attached) from `readers`; `work.reader` reads the delivery log. Nothing else opens
 * the files: SQLite's WAL-reset fault (before 3.51.3) needs a second connection that writes or checkpoints.
 */
#ifndef TCI_STORAGE_SQLITE_H
#define TCI_STORAGE_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "base/siphash.h"
#include "storage/lists.h"
#include "storage/sqlite/keyfilter.h"
#include "storage/sqlite/listcache.h"
#include "storage/sqlite/runs.h"
#include "tipcurrent/sys/storage.h"

#define TCI_LOG_APPLICATION_ID 0x54634c67   /* "TcLg", big-endian at offset 68 of the file */
#define TCI_INDEX_APPLICATION_ID 0x54634978 /* "TcIx" */
#define TCI_WORK_APPLICATION_ID 0x5463576b  /* "TcWk" */
#define TCI_BUSY_TIMEOUT_MS 500             /* one try of an append: the engine asks again until the create's own deadline */
#define TCI_BATCH_ID_BYTES 16
#define TCI_LOG_ID_BYTES 16
#define TCI_HASH_BYTES 32

/* ---- connection.c: one connection with its statements ---- */

typedef struct tci_db {
  sqlite3 *handle;
  const char *path;          /* for messages; borrowed */
  const tc_storage_env *env; /* borrowed */
  sqlite3_stmt **stmts;
  size_t stmt_count;
  int wal_frames;        /* after the last commit, as SQLite's hook tells */
  int checkpoint_frames; /* 0: this connection never checkpoints */
} tci_db;

typedef struct tci_migration {
  int version;
  const char *sql;
} tci_migration;

int tci_db_open(tci_db *db, const tc_storage_env *env, const char *path, int flags);
void tci_db_close(tci_db *db); /* takes a zeroed or half-open one */
/* Sets the detail "cannot DOING PATH: REASON" and returns the TC code of SQLite's rc. */
int tci_db_fail(const tci_db *db, int rc, const char *doing);
int tci_db_exec(tci_db *db, const char *sql, const char *doing);
int tci_db_pragma(tci_db *db, const char *sql, int64_t *out);
int tci_db_prepare(tci_db *db, const char *const *sql, size_t count);
int tci_db_migrate(tci_db *db, const tci_migration *steps, size_t count);
/* A statement that gives no row: steps and resets. Returns SQLite's rc, SQLITE_OK for SQLITE_DONE. */
int tci_db_run(tci_db *db, size_t stmt);
/* From here on the connection checkpoints by itself after a commit that leaves more than this many frames in the WAL. */
void tci_db_checkpoint_after(tci_db *db, int frames);
int tci_db_commit(tci_db *db, size_t commit_stmt); /* SQLite's rc; a checkpoint that fails is no failure of the commit: the next one tries again */
void tci_db_rollback(tci_db *db);                  /* nothing when there is no transaction */
int tci_bind_text(sqlite3_stmt *stmt, int at, tc_text text);
tc_text tci_column_text(sqlite3_stmt *stmt, int at);

/* ---- files.c: names, the lock, and a look at a file before SQLite touches it ---- */

typedef struct tci_files {
  char *log, *index, *work, *lock; /* absolute */
  int lock_fd;
  int made_lock, made_log, made_work; /* by this open: a failed one takes them away again */
} tci_files;

enum { TCI_FILE_ABSENT = 0, TCI_FILE_OURS };

int tci_files_name(tci_files *files, const tc_storage_env *env, const char *path); /* the names alone */
int tci_files_open(tci_files *files, const tc_storage_env *env, const char *path);
void tci_files_close(tci_files *files, int failed);
/* *state: TCI_FILE_ABSENT (also when it is empty) or TCI_FILE_OURS. TC_ECORRUPT: something else, or cut off; TC_ESTORAGE: cannot be read. Changes nothing. */
int tci_file_probe(const tc_storage_env *env, const char *path, uint32_t application_id, int *state);
int tci_file_remove(const tc_storage_env *env, const char *path); /* the database with its WAL; absent is fine */
/* Renames the database with its WAL to PATH.bad-N, the first N from 1 that is free; to: that name. Never overwrites. */
int tci_file_set_aside(const tc_storage_env *env, const char *path, char *to, size_t to_size);

/* ---- guard.c: against another copy of SQLite in this process ---- */

#define TCI_GUARD_FDS 6
typedef struct tci_guard {
  int fds[TCI_GUARD_FDS], count;
} tci_guard;

/* Behind the last open, when all WALs are there. Errors: TC_ESTORAGE. */
int tci_guard_take(tc_storage *storage);
void tci_guard_release(tci_guard *guard); /* before our own connections are closed: the last one wants its WAL away */
void tci_guard_close(tci_guard *guard);   /* after it: closing a file takes the process's POSIX locks on it */

/* ---- the backend ---- */

typedef struct tci_reader {
  tci_db db;
  int64_t opened_us;
} tci_reader;

#define TCI_READERS_MAX 16

typedef struct tci_readers {
  pthread_mutex_t mutex;
  pthread_cond_t returned;
  int ready; /* mutex and cond exist */
  tci_reader *idle[TCI_READERS_MAX];
  int idle_count, out_count;
} tci_readers;

typedef struct tci_merge tci_merge;

/* Where the log ends. */
typedef struct tci_log_end {
  int64_t seq, created_at_us;
  int64_t last_id[TC_KIND_MAX + 1]; /* by kind */
} tci_log_end;

/* Outside effects. */
typedef struct tci_work {
  tci_db db; /* the work thread's, with what follows */
  int64_t cursor_seq;
  int64_t last_id, kept; /* of the delivery log: the last id given, and how many rows there are */

  pthread_mutex_t mutex; /* of reader, the one connection that reads the delivery log: few ask, and none of them may hold up the work thread */
  tci_db reader;
  int ready;          /* the mutex exists */
  atomic_int damaged; /* any thread: as index_damaged, but close sets the file aside */
} tci_work;

struct tc_storage {
  tc_storage_env env;
  tci_files files;
  tci_guard guard;
  int looks; /* 1: opened by look.c, for reading alone */
  uint8_t log_id[TCI_LOG_ID_BYTES];
  tci_sipkey hash_key; /* of everything hashed into the index: the log's random id, so that nobody can aim for a collision */

  tci_db log; /* the writer thread's, with what follows */
  tci_log_end end;
  tci_reader *key_reader; /* its own, so that a rush of readers cannot hold up the writer */
  tci_run_set key_runs;   /* as key_reader's transaction sees them */

  tci_db index; /* the indexer thread's, with what follows */
  int64_t index_seq;
  int64_t facts_seq;
  int facts_reading;    /* fact_first has a read transaction open */
  int64_t newest_us;    /* the latest createdAt in the index: the clock by which keys expire there */
  tci_run_set runs;     /* the live ones */
  tci_merge *merges;    /* TCI_MERGES of them */
  tci_entry fill_after; /* how far the key filter is filled */
  int filled;

  tci_work work;

  atomic_int index_damaged; /* any thread: SQLite found the derived file damaged; close throws it away, the next open builds it anew */
  tci_keyfilter filter;     /* any thread */
  tci_listcache lists;      /* any thread */
  tci_readers readers;      /* any thread */
};

struct tc_snapshot {
  tc_storage *storage;
  tci_reader *reader;
  tci_run_set runs;
  tci_run_cursor *cursors; /* one a run: a count and a scan of the same list read its chunks once */
  tci_list_fact *facts;    /* one a run: of the list that was asked for last */
};

/* ---- log.c ---- */
/* Of an event `e`, as tci_record_read takes them. */
#define TCI_RECORD_COLUMNS "e.seq, e.kind, e.id, e.created_at, e.amount, e.room, e.user, e.peer, e.body, e.target, e.metadata, e.\"key\", e.currency, e.ref"
void tci_record_read(sqlite3_stmt *stmt, tc_record *out);
enum {
  TCI_LOG_BEGIN = 0,
  TCI_LOG_COMMIT,
  TCI_LOG_INSERT,
  TCI_LOG_LAST,
  TCI_LOG_SETTLE,
  TCI_CONFIG_LAST_ID,
  TCI_CONFIG_SET_LAST_ID,
  TCI_CONFIG_PUT,
  TCI_CONFIG_REMOVE,
  TCI_CONFIG_GET,
  TCI_LOG_STATEMENTS
};
int tci_log_open(tc_storage *storage);
int tci_log_look(tc_storage *storage); /* for reading. TC_ENOTFOUND, TC_EVERSION */
/* After a COMMIT that failed in its fsync: it may have left whole frames in the WAL which this connection ignores, but which a recovery after kill -9 would take
 * for committed. So "not stored" may be said only after another commit, this one, has overwritten them. Returns SQLite's rc. */
int tci_log_overwrite(tc_storage *storage, const uint8_t stamp[TCI_BATCH_ID_BYTES]);
int tci_log_append(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us);
int tci_log_import(tc_storage *storage, tc_record *records, size_t n);
int tci_log_append_outcome(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int32_t *stored);

/* ---- config.c: documents of configuration, in the log's file. Writing: writer thread; reading: any ---- */
#define TCI_CONFIG_STATEMENTS                                                                                                                          \
  [TCI_CONFIG_LAST_ID] = "SELECT last_id FROM config_ids WHERE kind=?",                                                                                \
  [TCI_CONFIG_SET_LAST_ID] = "INSERT OR REPLACE INTO config_ids(kind, last_id) VALUES(?, ?)",                                                          \
  [TCI_CONFIG_PUT] = "INSERT OR REPLACE INTO config(kind, id, doc) VALUES(?, ?, ?)", [TCI_CONFIG_REMOVE] = "DELETE FROM config WHERE kind=? AND id=?", \
  [TCI_CONFIG_GET] = "SELECT doc FROM config WHERE kind=? AND id=?"
int tci_config_put(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc);
int tci_config_remove(tc_storage *storage, uint32_t kind, int64_t id);
int tci_config_read(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg);
int tci_config_last(tc_storage *storage, uint32_t kind, int64_t *id);
int tci_config_any(tc_storage *storage, int *any); /* is there any document? Before the first reader */

/* ---- fingerprint.c ---- */
/* SHA-256 of all of a record. */
int tci_record_fingerprint(const tc_record *record, uint8_t out[TCI_HASH_BYTES]);

/* ---- index.c ---- */
enum {
  TCI_INDEX_BEGIN = TCI_RUNS_STATEMENTS,
  TCI_INDEX_COMMIT,
  TCI_INDEX_CURSOR,
  TCI_INDEX_ADD_RUN,
  TCI_INDEX_SET_RUN,
  TCI_INDEX_ADD_CHUNK,
  TCI_INDEX_ADD_FENCE,
  TCI_INDEX_DEAD,
  TCI_INDEX_SWEEP_CHUNKS,
  TCI_INDEX_SWEEP_FENCES,
  TCI_INDEX_SWEEP_RUN,
  TCI_INDEX_BEGIN_READ,
  TCI_INDEX_FIRST_FACT,
  TCI_INDEX_PUT_FACT,
  TCI_INDEX_REMOVE_FACT,
  TCI_INDEX_FACTS_CURSOR,
  TCI_INDEX_STATEMENTS
};
int tci_index_open(tc_storage *storage);              /* opens or begins anew; needs the log open */
int tci_index_look(tc_storage *storage, int *usable); /* opens for reading what fits the log, and else nothing */
/* tci_db_fail for the derived file: remembers damage. */
int tci_index_fail(tc_storage *storage, const tci_db *db, int rc, const char *doing);

/* ---- derive.c ---- */
int tci_index_derive(tc_storage *storage, const tc_record *rows, size_t n);
int tci_index_idle(tc_storage *storage, int64_t now_us, int32_t *more);

/* ---- facts.c ---- */
int tci_facts_cursor(tc_storage *storage, int64_t *seq);
int tci_facts_commit(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n);
int tci_fact_first(tc_storage *storage, uint32_t space, tc_text key, tc_fact_fn fn, void *arg);
int tci_facts_scan(tc_storage *storage, uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg);
/* Before anything is written to the index: ends the transaction in which fact_first reads. Returns SQLite's rc. */
int tci_facts_end_read(tc_storage *storage);

/* ---- merge.c: writing runs, and merging them. Indexer thread, inside a transaction of the index; all return SQLite's rc ---- */
#define TCI_MERGE_INPUTS 16
#define TCI_LEVELS 12
#define TCI_MERGES (TCI_LEVELS + 1) /* one a level, and one for quiet times */

/* A run that is being written. */
typedef struct tci_run_writer {
  int64_t run, entries;
  int64_t before;  /* entries of chunk[0]'s list in earlier chunks */
  int64_t of_list; /* entries so far of the list of the last one put */
  size_t count;    /* in chunk */
  tci_entry chunk[TCI_CHUNK_ENTRIES];
} tci_run_writer;

struct tci_merge {
  size_t count; /* of inputs; 0: idle */
  tci_run_cursor *inputs;
  int64_t runs[TCI_MERGE_INPUTS];
  tci_run_writer out;
};

int tci_run_begin(tci_db *index, tci_run_writer *writer, int state);
int tci_run_put(tci_db *index, tci_run_writer *writer, const tci_entry *entry);
int tci_run_finish(tci_db *index, tci_run_writer *writer);
/* Merges and sweeps about as much as keeps up with `entries` new ones. */
int tci_merge_some(tc_storage *storage, size_t entries);
/* One slice while nothing else is to do; *more = 1: there is more. */
int tci_merge_idle(tc_storage *storage, int32_t *more);
/* After a rollback: forgets what was under way and reads the runs again. */
int tci_merge_reset(tc_storage *storage);
void tci_merge_free(tc_storage *storage);

/* ---- keys.c ---- */
/* *seq: the event with this key, younger than the ttl at the record's createdAt, or 0. Writer thread. Begins a read transaction in key_reader when it must look: end it. */
int tci_keys_find(tc_storage *storage, const tc_record *record, int64_t *seq);
void tci_keys_find_end(tc_storage *storage);
int64_t tci_keys_expired_before(const tc_storage *storage, int64_t now_us); /* keys of events created then or earlier count no more */
/* One slice of filling the filter with the keys that the index held at open. Indexer thread. */
int tci_keys_fill(tc_storage *storage, int64_t now_us);

/* ---- readers.c ---- */
enum { TCI_READ_BEGIN = TCI_RUNS_STATEMENTS, TCI_READ_COMMIT, TCI_READ_CURSOR, TCI_READ_LOG, TCI_READ_EVENT, TCI_READ_FACTS, TCI_READ_STATEMENTS };
int tci_readers_init(tci_readers *readers);
void tci_readers_close(tci_readers *readers);
int tci_reader_open(tc_storage *storage, tci_reader **out);
void tci_reader_close(tci_reader *reader); /* takes NULL */
int tci_reader_take(tc_storage *storage, tci_reader **out);
void tci_reader_give(tc_storage *storage, tci_reader *reader); /* ends its transaction */

/* ---- scan.c ---- */
int tci_read_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg);
int tci_snapshot_begin(tc_storage *storage, tc_snapshot **out, int64_t *index_seq);
void tci_snapshot_end(tc_snapshot *snapshot);
int tci_snapshot_scan(tc_snapshot *snapshot, const tc_filter *filter, const tc_position *after, tc_position_fn position, void *arg);
int tci_snapshot_count(tc_snapshot *snapshot, const tc_filter *filter, int64_t *out);
int tci_snapshot_fetch(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg);
int tci_snapshot_find_id(tc_snapshot *snapshot, uint32_t kind, int64_t id, int64_t *seq);

/* ---- workfile.c: the work file at open, at close, and under check ---- */
enum {
  TCI_WORK_BEGIN = 0,
  TCI_WORK_COMMIT,
  TCI_WORK_STATE,
  TCI_WORK_GET,
  TCI_WORK_HEAD,
  TCI_WORK_SET_HEAD,
  TCI_WORK_UPDATE,
  TCI_WORK_INSERT,
  TCI_WORK_DELETE,
  TCI_WORK_FIRST,
  TCI_WORK_DUE,
  TCI_WORK_OWED,
  TCI_WORK_FORGET,
  TCI_WORK_OWES,
  TCI_WORK_LOG,
  TCI_WORK_COUNT,
  TCI_WORK_OLDEST,
  TCI_WORK_UNLOG,
  TCI_WORK_UNCOUNT,
  TCI_WORK_STATEMENTS
};
enum { TCI_DELIVERIES_BEGIN = 0, TCI_DELIVERIES_COMMIT, TCI_DELIVERIES_TOTAL, TCI_DELIVERIES_PAGE, TCI_DELIVERIES_GET, TCI_DELIVERIES_STATEMENTS };
int tci_work_open(tc_storage *storage); /* needs the log open; sets aside what does not fit */
void tci_work_close(tc_storage *storage, int failed);
int tci_work_check(tc_storage *storage);
/* tci_db_fail for the work file: remembers damage. */
int tci_work_fail(tc_storage *storage, const tci_db *db, int rc, const char *doing);

/* ---- work.c: what is owed. Work thread ---- */
int tci_work_commit(tc_storage *storage, tc_work *work);
int tci_work_state(tc_storage *storage, int64_t *cursor_seq, tc_owed_fn next, void *arg);
int tci_work_due(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg);
int tci_owed_read(tc_storage *storage, int64_t webhook_id, int64_t after_seq, size_t max, tc_owed_fn fn, void *arg);
int tci_work_next(tc_storage *storage, int64_t webhook_id, int64_t *due_us);
int tci_work_forget(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more);

/* ---- look.c: reading beside whoever has the files open ---- */
int tci_sqlite_look(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state);
void tci_look_close(tc_storage *storage);
int tci_look_read_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg);

/* ---- backup.c ---- */
int tci_sqlite_backup(const char *url, const tc_storage_env *env, const char *directory, tc_copied_fn copied, void *arg, int64_t *log_seq);

/* ---- backend.c ---- */
#define TCI_SQLITE_SCHEME "sqlite:"
int tci_sqlite_path(const tc_storage_env *env, const char *url, const char **path); /* TC_EINVAL: it is none of ours */

/* ---- deliveries.c: the delivery log. Writing: work thread; reading: any ---- */
/* Inside a transaction: appends the rows as id *last + 1 and so on (moved on), and counts them. Returns SQLite's rc. */
int tci_deliveries_add(tci_db *work, const tc_delivery *rows, size_t n, int64_t *last);
int tci_deliveries(tc_storage *storage, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg, int64_t *total);
int tci_delivery_get(tc_storage *storage, int64_t webhook_id, int64_t id, tc_delivery_fn fn, void *arg);
int tci_work_trim(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more);

#endif
