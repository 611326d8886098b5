/* engine.h - the engine's insides: what its threads share.
 *
 * Design notes
 *  - Three threads (webhooks.h has a fourth): the WRITER takes what is queued, appends it in one commit, puts it into the tail and answers; the INDEXER builds the derived file behind;
 *    the DISPATCHER runs subscription callbacks. Callers' threads validate and encode before, and read.
 *  - Each of them is a step and a wait: X_step does a bounded piece of the work and says what is left, X_main is the loop that waits. Without threads (pump.h) the steps are called by whoever
 *    runs the engine at that moment.
 *  - Locks, each held for memory work only, never one inside another: queue.mutex, the tail's own, subs.mutex. Numbers that everybody looks at are atomics.
 *  - Order of things in the writer: commit, tail, (reads see it), wake followers and indexer, answer. So a caller who has its answer also finds its event.
 */
#ifndef TCI_ENGINE_ENGINE_H
#define TCI_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/siphash.h"
#include "base/thread.h"
#include "engine/pump.h"
#include "engine/tail.h"
#include "model/event.h"
#include "model/fail.h"
#include "tipcurrent.h"
#include "tipcurrent/sys/storage.h"

#define TCI_COMMIT_MAX_EVENTS 1024 /* events a commit: more gain nothing (design.md section 1) and answer later */
#define TCI_COMMIT_MAX_BYTES (4u << 20)
#define TCI_INDEX_BATCH 16384      /* events an index transaction */
#define TCI_CLOCK_HOLD_US 10000000 /* a backward step of the wall clock up to this is held */
#define TCI_SUBS_MAX 1024
#define TCI_PROBE_US 1000000 /* after a commit that failed: how often it is looked whether one would do again */

/* One accepted create on its way. */
typedef struct tci_pending {
  struct tci_pending *next;
  tc_event *event; /* ours until it is answered */
  tc_done_fn done;
  void *userdata;
  int64_t deadline_us; /* monotonic */
  uint32_t bytes;
} tci_pending;

/* Something that only the writer's thread may do, for another thread that waits for it: the log file has one writer. */
typedef struct tci_job {
  struct tci_job *next;
  int (*run)(tc_engine *engine, void *arg);
  void *arg;
  int64_t deadline_us; /* a locked log is asked again until then */
  int rc, done;
  char detail[256];
} tci_job;

typedef struct tci_queue {
  pthread_mutex_t mutex;
  pthread_cond_t filled; /* the writer waits on it */
  pthread_cond_t job_done;
  tci_job *jobs, **last_job;
  tci_pending *head, **last;
  uint64_t bytes; /* of all accepted and not yet answered */
  uint64_t count; /* the same */
  uint64_t shown; /* of those, committed and in the tail: only their answers are missing */
  size_t queued;  /* of those, still in the list */
  int writer_waits;
  int news;        /* other nodes: nodes.h */
  int writer_gone; /* no job will be done any more */
  int closing;
} tci_queue;

typedef struct tci_subs {
  pthread_mutex_t mutex;
  pthread_cond_t moved; /* the dispatcher waits for news; closers wait for its callback to end */
  struct tc_sub *first;
  struct tc_sub *running; /* whose callback runs now */
  uint32_t count;
  uint64_t round;
  int news;
  int stop;
} tci_subs;

struct tc_engine {
  tc_clock clock;
  tc_random random;
  tc_log log;
  uint64_t max_pending_bytes;
  int64_t create_deadline_us;
  int64_t idempotency_ttl_us;
  char currency[4]; /* of amounts that name none */
  uint32_t flags;
  uint32_t tail_max_events;
  uint64_t tail_max_bytes;

  const tc_storage_ops *ops;
  tc_storage *storage;
  tci_tail *tail;
  tci_queue queue;
  tci_subs subs;
  tci_thread writer, indexer, dispatcher;
  tci_pump pump;
  struct tci_rollup *rollup; /* NULL: the storage keeps no facts */
  struct tci_types *types;
  struct tci_refunds *refunds;
  struct tci_goals *goals;
  struct tci_nodes *nodes;       /* NULL: the log is this engine's alone */
  struct tci_webhooks *webhooks; /* NULL: the storage keeps no outside effects */
  tci_sipkey hash_key;
  struct tci_batch *batch; /* the writer's working memory, from tc_open on, so that the writer never lacks it */

  pthread_mutex_t index_mutex; /* the indexer waits for work */
  pthread_cond_t index_work;
  int index_stop;
  int index_rung;        /* there is something else to do than indexing */
  atomic_int index_idle; /* the indexer waits for the first event */
  void *index_rows;      /* the indexer's working memory */

  int64_t last_created_at_us, probe_at_us; /* writer only */

  _Atomic int64_t log_seq, index_seq;
  _Atomic int64_t ready_at_seq; /* reads are served once index_seq is here: 0 in the usual case */
  atomic_uint_fast64_t commits;
  atomic_int commit_error, index_error; /* the last one's code, 0 after a success */
  atomic_int closing;
  atomic_int writer_done;
};

/* engine.c */
int tci_engine_ready(const tc_engine *engine);
void tci_engine_log(const tc_engine *engine, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));
int64_t tci_engine_mono_us(const tc_engine *engine);
int tci_engine_on_own_thread(const tc_engine *engine); /* writer or dispatcher: inside a callback */
int tci_engine_in_writer(const tc_engine *engine);

/* queue.c */
int tci_queue_init(tci_queue *queue);
void tci_queue_destroy(tci_queue *queue);
/* Takes the record (validated) for the writer. TC_OK, TC_EBUSY, TC_ECLOSED, TC_ENOMEM, each with its detail. */
int tci_queue_submit(tc_engine *engine, const tc_record *record, tc_done_fn done, void *userdata);
/* Writer's thread: so many of what it has taken are committed, and about to be seen. */
void tci_queue_shows(tc_engine *engine, size_t n);
void tci_queue_hold(int on);            /* of this thread's submits: 1: they wake nobody, tci_queue_wake is going to */
void tci_queue_wake(tc_engine *engine); /* the writer, if something waits for him */
/* Writer's thread: waits for work, and a little for most of a recent batch. */
void tci_queue_wait(tc_engine *engine, size_t recent);
int tci_queue_has_work(tc_engine *engine); /* also: it is closing, and the writer has not ended */
void tci_queue_ring(tc_engine *engine);    /* any thread: the writer is to look at other nodes, */
void tci_queue_hear(tc_engine *engine);    /* which it does now */
/* Writer only: takes a batch into items (room for TCI_COMMIT_MAX_EVENTS). */
size_t tci_queue_take(tc_engine *engine, tci_pending **items);
/* Runs run(engine, arg) on the writer's thread (without threads here), between two commits, and waits for it. What it returns, with its detail; TC_ECLOSED, TC_EBUSY, and it was not
 * run. Not from the writer. */
int tci_writer_call(tc_engine *engine, int (*run)(tc_engine *engine, void *arg), void *arg);
/* Writer only: runs what waits; gone: answers all with TC_ECLOSED from now on. 1: the writer has to go on. */
int tci_queue_run_jobs(tc_engine *engine, int gone);
/* Writer only: these come first with the next batch, in their order. */
void tci_queue_put_back(tc_engine *engine, tci_pending *const *items, size_t n);
/* Writer only: takes up to max from the head whose deadline has passed. */
size_t tci_queue_take_expired(tc_engine *engine, int64_t now_us, tci_pending **items, size_t max);
/* Writer only: tells one caller how it ended. detail is for failures. */
void tci_pending_answer(const tci_pending *item, int code, int replayed, const tc_event *event, const char *detail);
/* Writer only: frees answered items and gives their room in the queue back. */
void tci_pending_release(tc_engine *engine, tci_pending *const *items, size_t n);

/* create.c: the synchronous wait. */
int tci_create(tc_engine *engine, const tc_record *record, tc_event **out, int32_t *replayed);

/* writer.c: one batch, or one more try with a batch that could not be appended, and the jobs. */
enum { TCI_WRITER_OVER, TCI_WRITER_BLOCKED /* a batch waits for the storage: try again a little later */, TCI_WRITER_READY };
int tci_writer_step(tc_engine *engine); /* OVER: it is closing, and nothing is left */
void tci_writer_end(tc_engine *engine); /* after OVER, once */
void *tci_writer_main(void *engine);

/* indexer.c: one slice, of indexing or of cleaning up. last: it is closing; 0 then: that was the end. */
int tci_indexer_step(tc_engine *engine, int last);
int64_t tci_indexer_pause_us(const tc_engine *engine); /* how long after the last step the next one is wanted, as things are now */
int tci_indexer_has_more(const tc_engine *engine);
int tci_indexer_slice(tc_engine *engine); /* indexing only */
void tci_indexer_wake(tc_engine *engine);
void tci_indexer_ring(tc_engine *engine);           /* there is a job of the rollup's */
int tci_indexer_is_wanted(const tc_engine *engine); /* something is built behind the log */
void *tci_indexer_memory(void);
void *tci_indexer_main(void *engine);

/* subscription.c: one look at all callback subscriptions. over: nothing more will come. */
enum { TCI_ROUND_NONE, TCI_ROUND_SOME, TCI_ROUND_UNREAD /* the log could not be read: again after TCI_UNREAD_US */ };
#define TCI_UNREAD_US 250000
int tci_dispatcher_step(tc_engine *engine, int over);
int tci_dispatcher_has_news(tc_engine *engine);
void tci_dispatcher_stop(tc_engine *engine); /* the next empty round is the last */
void *tci_dispatcher_main(void *engine);
/* Writer, and at shutdown: there may be something new for followers. */
void tci_subs_wake(tc_engine *engine);

/* query.c */
typedef struct tci_list_request {
  tc_filter filter;
  const tc_position *after; /* NULL: by offset */
  size_t offset, size;
} tci_list_request;
int tci_query_list(tc_engine *engine, const tci_list_request *request, tc_page **out);
int tci_query_get(tc_engine *engine, uint32_t kind, int64_t id, tc_event **out);
/* The event with this seq, from the log. */
int tci_query_seq(tc_engine *engine, int64_t seq, tc_event **out);
/* The same for the writer, whom everybody waits for: from the tail, or by a read that takes no long time. */
int tci_query_seq_soon(tc_engine *engine, int64_t seq, tc_event **out);

#endif
