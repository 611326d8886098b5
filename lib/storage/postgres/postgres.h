/* postgres.h - the PostgreSQL backend inside: its connections, and who may use which.
 *
 * Design notes (docs/decisions/0008-postgresql.md has the reasons and the measurements)
 *  - One connection a thread that writes: `writer` (log and configuration), `indexer` (index and facts), `worker` (outside effects); and `watcher`, which waits for other nodes. All that only
 *    reads borrows from `readers`. Each heals by itself: a call that finds its connection gone says so, and a later one has a new one.
 *  - What must happen as one is one call of a function on the server (schema.c), so no transaction and no lock ever waits for this process. Snapshots are the one
 *    exception, and they only read.
 *  - No call waits for the network beyond its deadline: sockets are not blocking, and an append whose answer is late is asked for again (log.c).
 *  - Parameters and results are binary; texts go as they are.
 */
#ifndef TCI_STORAGE_POSTGRES_H
#define TCI_STORAGE_POSTGRES_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "storage/lists.h"
#include "storage/postgres/libpq.h"
#include "tipcurrent/sys/storage.h"

#define TCI_PG_TRY_MS 500      /* one try of an append, as with SQLite: the engine asks again until the create's own deadline */
#define TCI_PG_ANSWER_MS 1000  /* an append that was sent may take so long before its outcome is called unknown */
#define TCI_PG_SILENT_MS 10000 /* a connection that owes an answer for so long is given up */
#define TCI_PG_FOLLOW_MS 1000  /* a read on the writer's thread: everybody behind it waits */
#define TCI_PG_READ_MS 15000   /* a read: the server gives up before (statement_timeout) */
#define TCI_PG_BEHIND_MS 60000 /* indexing, clean-up */
#define TCI_PG_OPEN_MS 10000
#define TCI_PG_ENDING_MS 250 /* at open: for the server to notice that the leader was killed just now */
#define TCI_PG_LOOK_MS 200   /* a node looks around so often, whatever it is told */
#define TCI_PG_LEASE_MS 6000
#define TCI_PG_CHANNEL "tipcurrent_%08x" /* of news, by the schema's number */
#define TCI_PG_ARGS_MAX 24
#define TCI_PG_READERS_MAX 12
#define TCI_PG_LOG_ID_BYTES 16

/* ---- connection.c, command.c: one connection ---- */

typedef enum tci_pg_role { TCI_PG_WRITER, TCI_PG_INDEXER, TCI_PG_WORKER, TCI_PG_WATCHER, TCI_PG_READER, TCI_PG_ROLES } tci_pg_role;

/* The statements that are prepared, each on a connection's first use of it: statements.c. */
typedef enum tci_pg_statement {
  TCI_PG_APPEND,
  TCI_PG_OUTCOME,
  TCI_PG_OUTCOME_IDS,
  TCI_PG_IMPORT,
  TCI_PG_LOOK,
  TCI_PG_TELL,
  TCI_PG_RESIGN,
  TCI_PG_CONFIG_VERSION,
  TCI_PG_CONFIG_PUT,
  TCI_PG_CONFIG_REMOVE,
  TCI_PG_CONFIG_READ,
  TCI_PG_CONFIG_LAST,
  TCI_PG_DERIVE,
  TCI_PG_INDEX_CURSOR,
  TCI_PG_CLEAN_UP,
  TCI_PG_FACTS_CURSOR,
  TCI_PG_FACTS_COMMIT,
  TCI_PG_FACT_FIRST,
  TCI_PG_FACTS_SCAN,
  TCI_PG_WORK_COMMIT,
  TCI_PG_WORK_HOLD,
  TCI_PG_WORK_STATE,
  TCI_PG_WORK_HEADS,
  TCI_PG_WORK_DUE,
  TCI_PG_OWED_READ,
  TCI_PG_WORK_FORGET,
  TCI_PG_WORK_TRIM,
  TCI_PG_DELIVERIES_TOTAL,
  TCI_PG_DELIVERIES,
  TCI_PG_DELIVERY,
  TCI_PG_READ_LOG,
  TCI_PG_FOLLOW_LOG,
  TCI_PG_LENGTHS,
  TCI_PG_POSTINGS,
  TCI_PG_FETCH,
  TCI_PG_FIND_ID,
  TCI_PG_STATEMENTS
} tci_pg_statement;
extern const char *const tci_pg_sql[TCI_PG_STATEMENTS];

/* Where to, and as whom. Fixed after open. */
typedef struct tci_pg_home {
  const tc_storage_env *env;
  char *url;
  char name[256];       /* for messages: host, port and database, no secret */
  char schema[64];      /* as the server says */
  char schema_sql[136]; /* the same as a quoted identifier */
  int schema_key;       /* a number of it: of the lock while it is made or migrated, of the channel of news */
} tci_pg_home;

/* backend.c. Before anything else of libpq is called: it is loaded when it is first wanted. */
int tci_pg_load(const tc_storage_env *env);
/* Of a zeroed one; env: borrowed. TC_EINVAL: libpq cannot read the URL. */
int tci_pg_home_init(tci_pg_home *home, const tc_storage_env *env, const char *url);
void tci_pg_home_free(tci_pg_home *home);

typedef enum tci_pg_stage { TCI_PG_DOWN, TCI_PG_CONNECTING, TCI_PG_UP } tci_pg_stage;

typedef struct tci_pg {
  tci_pg_home *home; /* borrowed */
  tci_pg_role role;
  int pinned;  /* it serves a snapshot: another session would have another view */
  int once;    /* the first refusal is the answer: at open somebody looks on */
  int old_pid; /* of one that writes: its last session */
  char old_begun[64];
  tci_pg_stage stage;
  PGconn *handle;
  PostgresPollingStatusType polling;
  int64_t begun_us;              /* of connecting */
  int64_t retry_at_us, pause_us; /* down: not before; the next pause */
  char why[256];                 /* down: the reason */
  uint64_t prepared;             /* a bit for each statement */
  int64_t sent_us;               /* an answer is owed since then; 0: none is */
  int lost;                      /* the last command met a connection that broke after it was (or may have been) sent */
  /* The command that is being put together. */
  size_t n;
  tci_buf args[TCI_PG_ARGS_MAX];
  int is_null[TCI_PG_ARGS_MAX];
  size_t counts[TCI_PG_ARGS_MAX]; /* of an array: elements so far */
} tci_pg;

void tci_pg_init(tci_pg *pg, tci_pg_home *home, tci_pg_role role);
void tci_pg_close(tci_pg *pg); /* takes a zeroed one; init again to use it again */
/* Connects if need be, at most until then. TC_OK; TC_EBUSY: not yet, ask again; what a server that was reached refuses for good: TC_ESTORAGE, TC_EVERSION. */
int tci_pg_up(tci_pg *pg, int64_t deadline_us);
void tci_pg_drop(tci_pg *pg, const char *why); /* closes the socket; the next call connects anew */

/* A command: begin, its parameters in order, run. */
void tci_pg_begin(tci_pg *pg);
void tci_pg_int8(tci_pg *pg, int64_t value);
void tci_pg_int4(tci_pg *pg, int32_t value);
void tci_pg_text(tci_pg *pg, tc_text text); /* also bytea, uuid; ptr NULL: NULL */
void tci_pg_null(tci_pg *pg);
/* The elements follow. */
enum { TCI_PG_OID_BYTEA = 17, TCI_PG_OID_INT8 = 20, TCI_PG_OID_INT4 = 23, TCI_PG_OID_TEXT = 25 };
void tci_pg_array(tci_pg *pg, int oid);
void tci_pg_put8(tci_pg *pg, size_t arg, int64_t value);
void tci_pg_put4(tci_pg *pg, size_t arg, int32_t value);
void tci_pg_put_text(tci_pg *pg, size_t arg, tc_text text);

/* Runs it and waits for all its rows. *out: to be cleared with PQclear by the caller. On failure the detail is set, and `lost` says whether it may have been done all the same.
 * TC_EBUSY: not reached, locked, cut off or too late; TC_ESTORAGE, TC_ECORRUPT, TC_ENOMEM; TC_EINVAL: a cursor that does not fit. */
int tci_pg_run(tci_pg *pg, tci_pg_statement statement, int64_t deadline_us, PGresult **out);
/* The same, but an answer that is late stays owed (sent_us): TC_EUNKNOWN. Then tci_pg_wait goes on waiting. */
int tci_pg_try(tci_pg *pg, tci_pg_statement statement, int64_t deadline_us, PGresult **out);
int tci_pg_wait(tci_pg *pg, int64_t deadline_us, PGresult **out);
/* Plain SQL, several commands at a time; *out: the last one's rows, as text. out may be NULL. */
int tci_pg_exec(tci_pg *pg, const char *sql, int64_t deadline_us, PGresult **out);
int64_t tci_pg_in_ms(int64_t ms); /* a deadline */

int64_t tci_pg_get8(const PGresult *result, int row, int column);
int32_t tci_pg_get4(const PGresult *result, int row, int column);
tc_text tci_pg_get(const PGresult *result, int row, int column);
uint64_t tci_pg_read8(const char *bytes); /* big-endian */

/* ---- session.c: what a new connection is told ---- */
int tci_pg_set_up(tci_pg *pg, int64_t deadline_us);

/* ---- readers.c ---- */
typedef struct tci_pg_readers {
  pthread_mutex_t mutex;
  pthread_cond_t returned;
  int ready; /* mutex and cond exist */
  tci_pg *idle[TCI_PG_READERS_MAX];
  int idle_count, out_count;
} tci_pg_readers;
int tci_pg_readers_init(tci_pg_readers *readers);
void tci_pg_readers_close(tci_pg_readers *readers);
/* A connection that is up. TC_EBUSY: all are in use, or the database cannot be reached. */
int tci_pg_take(tc_storage *storage, tci_pg **out);
void tci_pg_give(tc_storage *storage, tci_pg *pg);

/* ---- the backend ---- */

/* An append whose outcome may be asked for: which keys were known is settled before it is sent. */
typedef struct tci_pg_attempt {
  uint8_t batch_id[16];
  int64_t *known; /* n of them */
  size_t n;
  int64_t now_us; /* the stamp of its live records */
} tci_pg_attempt;

/* nodes.c: the watcher's. */
typedef struct tci_pg_watch {
  tc_node_view view;    /* the last one */
  int64_t looked_us;    /* when the server was asked last; 0: never */
  int64_t config;       /* the version that it said */
  int bell_fd;          /* rung by tell */
  atomic_int together;  /* there are other nodes, as far as is known */
  _Atomic int64_t told; /* 1 + an end of the log that they have not been told of; 0: none */
} tci_pg_watch;

struct tc_storage {
  tc_storage_env env;
  tci_pg_home home;
  tci_sipkey hash_key; /* of everything hashed into index and keys: the log's random id, the same on every node */
  tci_pg writer, indexer, worker, watcher;
  _Atomic int64_t led;            /* the epoch in which this node writes what only a leader may */
  int64_t sender;                 /* work thread: as whom it writes, */
  uint32_t shares;                /* and what it knows that it holds */
  int64_t log_seq;                /* writer thread: an end that it knew of */
  int64_t config_end;             /* writer thread: changes of documents hang on this end of the log; -1: on none */
  _Atomic int64_t config_version; /* of the documents as this node knows them */
  tci_pg_watch watch;
  int64_t index_seq; /* indexer thread */
  int64_t newest_us; /* indexer thread: the latest createdAt in the index */
  int index_doubt;   /* indexer thread: the answer to a batch was lost: how far the index is must be asked for */
  tci_pg_attempt attempt;
  tci_pg_readers readers;
};

/* ---- schema.c, migrate.c: made and migrated at open ---- */
typedef struct tci_pg_migration {
  int version;
  const char *sql;
} tci_pg_migration;
extern const tci_pg_migration tci_pg_log_steps[], tci_pg_work_steps[]; /* up to one without sql */
extern const char tci_pg_log_2[];                                      /* schema_nodes.c */
extern const char tci_pg_log_3[], tci_pg_work_2[];                     /* schema_shares.c */
extern const tci_pg_migration tci_pg_index_step;                       /* another version is built anew */
int tci_pg_migrate(tc_storage *storage, tci_pg *pg);                   /* the schema as this release wants it, and the log's id */
int tci_pg_read_state(tc_storage *storage, tc_storage_state *state);   /* how far everything is. At open */
/* The same for who only reads: makes nothing. TC_ENOTFOUND, TC_EVERSION. */
int tci_pg_look_at(tc_storage *storage, tci_pg *pg, tc_storage_state *state);

/* ---- log.c ---- */
#define TCI_PG_EVENT "e.seq, e.kind, e.id, e.created_at, e.amount, e.ref, e.room, e.\"user\", e.peer, e.body, e.target, e.metadata, e.key, e.currency"
void tci_pg_read_record(const PGresult *result, int row, tc_record *out);
int tci_pg_append(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us);
int tci_pg_follow_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg, int32_t *config_changed);
int tci_pg_append_on(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us, tc_append_terms *terms);
int tci_pg_append_outcome(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int32_t *stored);
int tci_pg_read_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg);

/* ---- import.c ---- */
int tci_pg_import(tc_storage *storage, tc_record *records, size_t n);

/* ---- config.c ---- */
int tci_pg_config_put(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc);
int tci_pg_config_remove(tc_storage *storage, uint32_t kind, int64_t id);
int tci_pg_config_last(tc_storage *storage, uint32_t kind, int64_t *id);
int tci_pg_config_read(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg);
int tci_pg_config_sync(tc_storage *storage, int64_t log_seq, int32_t *changed);

/* ---- nodes.c ---- */
int tci_pg_watch_open(tc_storage *storage);   /* looks, and leads if nobody does */
void tci_pg_watch_close(tc_storage *storage); /* leads no more; takes one that was never opened */
int tci_pg_look(tc_storage *storage, int32_t wait_ms, int32_t lease_ms, int32_t sends, tc_node_view *view);
void tci_pg_tell(tc_storage *storage, int64_t log_seq);
int tci_pg_take_up(tc_storage *storage, int64_t epoch, int64_t *index_seq);

/* ---- derive.c ---- */
#define TCI_PG_CHUNK_ENTRIES 120 /* of 16 bytes: four rows a page */
#define TCI_PG_SECOND_US 1000000
int tci_pg_derive(tc_storage *storage, const tc_record *rows, size_t n);
int tci_pg_idle(tc_storage *storage, int64_t now_us, int32_t *more);

/* ---- snapshot.c and scan.c ---- */
struct tc_snapshot {
  tc_storage *storage;
  tci_pg *pg;
  int64_t index_seq;
};
int tci_pg_snapshot(tc_storage *storage, tc_snapshot **out, int64_t *index_seq);
void tci_pg_snapshot_end(tc_snapshot *snapshot);
int tci_pg_fetch(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg);
int tci_pg_find_id(tc_snapshot *snapshot, uint32_t kind, int64_t id, int64_t *seq);
int tci_pg_scan(tc_snapshot *snapshot, const tc_filter *filter, const tc_position *after, tc_position_fn position, void *arg);
int tci_pg_count(tc_snapshot *snapshot, const tc_filter *filter, int64_t *out);

/* ---- facts.c ---- */
int tci_pg_facts_cursor(tc_storage *storage, int64_t *seq);
int tci_pg_facts_commit(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n);
int tci_pg_fact_first(tc_storage *storage, uint32_t space, tc_text key, tc_fact_fn fn, void *arg);
int tci_pg_facts_scan(tc_storage *storage, uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg);

/* ---- work.c and deliveries.c ---- */
int tci_pg_work_commit(tc_storage *storage, tc_work *work);
int tci_pg_work_hold(tc_storage *storage, int64_t sender, uint32_t shares, uint32_t *held, int64_t cursors[TC_WORK_SHARES]);
int tci_pg_work_state(tc_storage *storage, int64_t *cursor_seq, tc_owed_fn next, void *arg);
int tci_pg_work_due(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg);
int tci_pg_owed_read(tc_storage *storage, int64_t webhook_id, int64_t after_seq, size_t max, tc_owed_fn fn, void *arg);
int tci_pg_work_next(tc_storage *storage, int64_t webhook_id, int64_t *due_us);
int tci_pg_work_forget(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more);
int tci_pg_deliveries(tc_storage *storage, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg, int64_t *total);
int tci_pg_delivery_get(tc_storage *storage, int64_t webhook_id, int64_t id, tc_delivery_fn fn, void *arg);
int tci_pg_work_trim(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more);

#endif
