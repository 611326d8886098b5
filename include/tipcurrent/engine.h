/* engine.h - open, watch and close an engine.
 *
 * An engine is one log with the threads that serve it: a writer (commits), an indexer (derived file), a dispatcher (subscription callbacks) and one that sends webhooks; or with none,
 * under a host's loop (TC_NO_THREADS). Any number of
 * engines may live in one process; they share nothing but the host's allocator (allocator.h). The library installs no signal handler, changes no signal disposition, never raises SIGPIPE, prints
 * nothing and never exits. Threads that it starts have all signals blocked.
 *
 * Threads: every function may be called from any thread at any time between tc_open and tc_close, except where a callback's rules say otherwise.
 * Cancellation: a thread that is cancelled inside a call finishes the call; the request acts at the host's own next cancellation point.
 * fork: an engine belongs to the process that opened it; the child must not call it, not even tc_close. Descriptors are closed by exec; a child that lives on does not hold the files.
 * dlclose: leaves the library loaded.
 */
#ifndef TIPCURRENT_ENGINE_H
#define TIPCURRENT_ENGINE_H

#include "common.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An open engine: opaque, of tc_open, until tc_close. Any thread may use it. */
typedef struct tc_engine tc_engine;
struct tc_storage_ops;     /* sys/storage.h */
struct tc_webhook_options; /* webhook.h */

/* Where time comes from. Both functions: any thread, must not block, must not call the library. */
typedef struct tc_clock {
  size_t size;
  int64_t (*wall_us)(void *userdata);      /* microseconds UTC; stamps events. May jump */
  int64_t (*monotonic_us)(void *userdata); /* never goes back; measures deadlines */
  void *userdata;
} tc_clock;
#define TC_CLOCK_INIT \
  { sizeof(tc_clock), 0, 0, 0 }

/* Where randomness comes from: fills buf with len unpredictable bytes, returns TC_OK or TC_EUSER. Any thread. */
typedef struct tc_random {
  size_t size;
  int (*fill)(void *userdata, void *buf, size_t len); /* must not call the library */
  void *userdata;
} tc_random;
#define TC_RANDOM_INIT \
  { sizeof(tc_random), 0, 0 }

/* How much a line of the log matters. */
enum {
  TC_LOG_ERROR = 1, /* somebody must act */
  TC_LOG_WARN = 2,  /* the engine went on, but look */
  TC_LOG_INFO = 3,  /* what happened: opened, rebuilt, migrated */
  TC_LOG_DEBUG = 4  /* for whoever works on the library */
};
/* Where the engine's own log lines go: one line without a newline, NUL-terminated, borrowed for the call. Any thread, possibly several at once. */
typedef struct tc_log {
  size_t size;
  void (*write)(void *userdata, int32_t level, const char *line); /* level: TC_LOG_X */
  void *userdata;
} tc_log;
#define TC_LOG_INIT \
  { sizeof(tc_log), 0, 0 }

/* For tc_options.flags. */
enum {
  /* A known idempotency key with another request is answered with the first event, as the Java service did, instead of TC_EMISMATCH. */
  TC_MISMATCH_REPLAY = 1u << 0,
  /* The engine starts no thread: the host runs it by tc_engine_poll, see there. */
  TC_NO_THREADS = 1u << 1
};

/* How to open an engine. Zero: the default. Beside what says otherwise all of it is copied. */
typedef struct tc_options {
  size_t size;
  const char *
    storage_url; /* "sqlite:PATH", "postgresql://..." as libpq reads it, "memory:"; required. PATH's two companions are named PATH with "-index" before its suffix */
  uint64_t max_pending_bytes;                /* accepted but not committed: beyond it TC_EBUSY. 0: 64 MiB */
  uint32_t create_deadline_ms;               /* how long a create may wait for its commit. 0: 5000 */
  uint32_t flags;                            /* TC_MISMATCH_REPLAY, TC_NO_THREADS */
  uint32_t idempotency_ttl_s;                /* how long a key is remembered. 0: 86400 */
  uint32_t tail_max_events;                  /* committed but not yet indexed: beyond it the writer waits for the indexer. 0: 262144 */
  uint64_t tail_max_bytes;                   /* the same in bytes of memory. 0: 64 MiB */
  const tc_clock *clock;                     /* NULL: the system's. Copied, like the two below; what userdata points to must outlive the engine */
  const tc_random *random;                   /* NULL: the system's */
  const tc_log *log;                         /* NULL: silence */
  const struct tc_storage_ops *storage_ops;  /* NULL: chosen by the URL's scheme; else borrowed until tc_close */
  const struct tc_webhook_options *webhooks; /* NULL: the defaults. Copied */
  const char *currency; /* ISO 4217 code of amounts that name none; NULL: as the log says, USD for a new one. TC_EINVAL: the log has events in another */
  uint64_t
    rollup_bytes; /* memory for statistics and leaderboards that are not written down yet or were used lately; a write takes half as much more for a moment. 0: 128 MiB */
} tc_options;
#define TC_OPTIONS_INIT \
  { sizeof(tc_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Opens (creating what is missing) the storage and starts the engine's threads. Strings are copied. A missing, stale or foreign derived file is rebuilt
 * behind: tc_open does not wait for it; until the backlog is indexed, reads and keyed creates answer TC_EBUSY (tc_engine_status tells how far it is).
 * *out: owned by the caller, tc_close frees it. Blocks for file I/O.
 * With PostgreSQL other engines, here and elsewhere, may have the same log open: docs/postgresql.md.
 * Errors: TC_EINVAL (options; the message names which), TC_EBUSY (another process or engine has the same files open; a migration into the log is not through), TC_ESTORAGE
 * (cannot open, create or write; the message names the path), TC_ECORRUPT (not a database, damaged or truncated; the file is left as it was), TC_ENOTSUP (unknown scheme; libpq is
 * missing, the message says so), TC_EVERSION (files written by a newer release), TC_ENOMEM. */
TC_API int tc_open(tc_engine **out, const tc_options *options);

/* Begins the end: later calls on the engine answer TC_ECLOSED, waiters wake. What was accepted before is still committed. Any thread, callbacks too; does
 * not block; may be called again. NULL is fine. */
TC_API void tc_shutdown(tc_engine *engine);

/* Shuts down, commits what was accepted, waits for running callbacks, stops the threads, closes the files, frees the engine. The caller makes sure that no
 * other call on the engine is running or will come. Subscriptions must be closed before (those left are ended, their handles stay valid only for tc_sub_close).
 * Not from a callback: TC_EINVAL, and nothing is done. NULL is fine. Blocks. */
TC_API int tc_close(tc_engine *engine);

/* The currency of amounts that name none: three capital letters. Borrowed until tc_close; any thread; does not block. */
TC_API const char *tc_engine_currency(const tc_engine *engine);

/* What an engine is among those that share its log: tc_status.role. */
enum {
  TC_ROLE_ALONE = 0,   /* the storage is one engine's */
  TC_ROLE_LEADER = 1,  /* it indexes, counts, says that goals are reached and sends webhooks, for all */
  TC_ROLE_FOLLOWER = 2 /* it takes events, follows those of the others, and reads what the leader has written */
};

/* The state of every queue and cursor at one moment. */
typedef struct tc_status {
  size_t size;
  int64_t log_seq;             /* seq of the last committed event; 0: none */
  int64_t index_seq;           /* up to here the derived file is built */
  uint64_t pending_bytes;      /* accepted, not yet answered: what max_pending_bytes bounds */
  uint64_t pending_events;     /* how many are accepted and not yet committed */
  uint64_t tail_bytes;         /* in memory */
  uint64_t tail_events;        /* the same, in number */
  uint64_t commits;            /* since tc_open */
  uint32_t ready;              /* 1: reads and keyed creates are served; 0: the backlog is being indexed */
  int32_t storage_error;       /* 0, or the code of the last commit or index batch when that failed and none has succeeded since */
  int64_t stats_seq;           /* up to here statistics, leaderboards and goals have counted; 0: the storage keeps none */
  uint32_t role;               /* TC_ROLE_X, at this moment */
  uint32_t others;             /* 1: other engines share the log, as far as has been seen lately */
  uint32_t webhook_shares;     /* how many of the webhook_shares_all parts of the webhooks this engine sends: all of them, where it is alone */
  uint32_t webhook_shares_all; /* into how many parts, by their ids, webhooks are split among the engines of a log; 0: the storage keeps no webhooks */
} tc_status;
#define TC_STATUS_INIT \
  { sizeof(tc_status), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Fills *out, whose size the caller has set. Any thread; does not block on I/O. Errors: TC_EINVAL, TC_EVERSION. */
TC_API int tc_engine_status(tc_engine *engine, tc_status *out);

/* ---- An engine without threads (TC_NO_THREADS), for hosts with a loop of their own: examples/host_loop.c.
 *
 * Nothing happens by itself. tc_engine_poll commits what was submitted and answers it, runs subscription callbacks, sends webhooks, builds the indexes. Beside it
 *  - synchronous creates, webhook changes and tc_close do the writing they wait for themselves, and what else is queued on the way; so does a tc_sub_next that waits (it polls);
 *  - any thread may call anything, as with threads; one at a time runs the engine, the others wait for it. Answers and callbacks come in whichever thread that is;
 *  - inside tc_done_fn synchronous creates answer TC_EINVAL, and inside any callback so do changes of webhooks, tc_close, tc_engine_poll, tc_engine_tick and a tc_sub_next that would wait;
 *  - a callback that waits for another thread waits for ever when that one calls the engine;
 *  - on a log that several engines share (PostgreSQL) a poll looks at the others every 200 ms, and keeps the lead and its part of the webhooks: who does not poll for six seconds loses both;
 *  - without polls or ticks nothing is indexed until the tail is full (then a create does a slice itself), reads cost more, and an engine that was opened far behind stays TC_EBUSY;
 *  - a storage that does not answer holds a synchronous create until its deadline and a second, but never tc_engine_poll for more than one try (half a second with a locked SQLite file).
 * The library starts no thread in this mode. libcurl starts one of its own for each name that it looks up, and waits for none of them; with an injected transport (transport.h) there is none. */

/* Does what is due, at most one piece of each: a commit (1,024 events, 4 MiB), a round of callbacks (64 events for each subscription), a turn of the webhooks, a slice of indexing (16,384
 * events). If there was nothing, waits up to timeout_ms for something (0: not at all, negative: no limit) and does that; may return earlier: beyond the wait it blocks for file I/O. TC_OK also when nothing was there.
 * Any thread. Errors: TC_EINVAL (an engine with threads; inside a callback), TC_ECLOSED (after tc_shutdown, when what was accepted is done), TC_EUNKNOWN (epoll failed). */
TC_API int tc_engine_poll(tc_engine *engine, int32_t timeout_ms);

/* A descriptor that polls readable when tc_engine_poll has something to do: after a submit of any thread, when a socket of the webhooks moves, when a timer of the engine's is due
 * (about once a second when idle). Level-triggered: not readable after a poll that left nothing. Belongs to the engine until tc_close; only to be watched. Its timers are the system's: a
 * host that injects a clock and moves it calls tc_engine_poll itself. -1 with tc_last_error: an engine with threads. Any thread; does not block. */
TC_API int tc_engine_fd(tc_engine *engine);

/* Does one slice of indexing, or of clean-up when there is nothing to index, whether it is due or not. *more (may be NULL): 1 when there is more to do. Blocks for file I/O.
 * Errors: TC_EINVAL (an engine with threads: it does that behind; inside a callback), those of the storage. */
TC_API int tc_engine_tick(tc_engine *engine, int32_t *more);

#ifdef __cplusplus
}
#endif
#endif
