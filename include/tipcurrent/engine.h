/* engine.h - open, watch and close an engine.
 *
 * An engine is one log with the threads that serve it: a writer (commits), an indexer (derived file), a dispatcher (subscription callbacks) and one that sends webhooks. Any number of
 * engines may live in one process; they share nothing. The library installs no signal handler, changes no signal disposition, never raises SIGPIPE, prints
 * nothing and never exits. Threads that it starts have all signals blocked.
 *
 * Threads: every function may be called from any thread at any time between tc_open and tc_close, except where a callback's rules say otherwise.
 * fork: an engine belongs to the process that opened it; after fork the child may only exec or _exit.
 */
#ifndef TIPCURRENT_ENGINE_H
#define TIPCURRENT_ENGINE_H

#include "common.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

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
  int (*fill)(void *userdata, void *buf, size_t len);
  void *userdata;
} tc_random;
#define TC_RANDOM_INIT \
  { sizeof(tc_random), 0, 0 }

enum {
  TC_LOG_ERROR = 1, /* somebody must act */
  TC_LOG_WARN = 2,  /* the engine went on, but look */
  TC_LOG_INFO = 3,
  TC_LOG_DEBUG = 4
};
/* Where the engine's own log lines go: one line without a newline, NUL-terminated, borrowed for the call. Any thread, possibly several at once. */
typedef struct tc_log {
  size_t size;
  void (*write)(void *userdata, int32_t level, const char *line);
  void *userdata;
} tc_log;
#define TC_LOG_INIT \
  { sizeof(tc_log), 0, 0 }

enum {
  /* A known idempotency key with another request is answered with the first event, as the Java service did, instead of TC_EMISMATCH. */
  TC_MISMATCH_REPLAY = 1u << 0
};

typedef struct tc_options {
  size_t size;
  const char *storage_url;                   /* "sqlite:PATH", "memory:"; required. PATH's two companions are named PATH with "-index" before its suffix */
  uint64_t max_pending_bytes;                /* accepted but not committed: beyond it TC_EBUSY. 0: 64 MiB */
  uint32_t create_deadline_ms;               /* how long a create may wait for its commit. 0: 5000 */
  uint32_t flags;                            /* TC_MISMATCH_REPLAY */
  uint32_t idempotency_ttl_s;                /* how long a key is remembered. 0: 86400 */
  uint32_t tail_max_events;                  /* committed but not yet indexed: beyond it the writer waits for the indexer. 0: 262144 */
  uint64_t tail_max_bytes;                   /* the same in bytes of memory. 0: 64 MiB */
  const tc_clock *clock;                     /* NULL: the system's. Copied, like the two below; what userdata points to must outlive the engine */
  const tc_random *random;                   /* NULL: the system's */
  const tc_log *log;                         /* NULL: silence */
  const struct tc_storage_ops *storage_ops;  /* NULL: chosen by the URL's scheme; else borrowed until tc_close */
  const struct tc_webhook_options *webhooks; /* NULL: the defaults. Copied */
} tc_options;
#define TC_OPTIONS_INIT \
  { sizeof(tc_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Opens (creating what is missing) the storage and starts the engine's threads. Strings are copied. A missing, stale or foreign derived file is rebuilt
 * behind: tc_open does not wait for it; until the backlog is indexed, reads and keyed creates answer TC_EBUSY (tc_engine_status tells how far it is).
 * *out: owned by the caller, tc_close frees it. Blocks for file I/O.
 * Errors: TC_EINVAL (options; the message names which), TC_EBUSY (another process or engine has the same files open), TC_ESTORAGE (cannot open, create or
 * write; the message names the path), TC_ECORRUPT (not a database, damaged or truncated; the file is left as it was), TC_ENOTSUP (unknown scheme),
 * TC_EVERSION (files written by a newer release), TC_ENOMEM. */
TC_API int tc_open(tc_engine **out, const tc_options *options);

/* Begins the end: later calls on the engine answer TC_ECLOSED, waiters wake. What was accepted before is still committed. Any thread, callbacks too; does
 * not block; may be called again. NULL is fine. */
TC_API void tc_shutdown(tc_engine *engine);

/* Shuts down, commits what was accepted, waits for running callbacks, stops the threads, closes the files, frees the engine. The caller makes sure that no
 * other call on the engine is running or will come. Subscriptions must be closed before (those left are ended, their handles stay valid only for tc_sub_close).
 * Not from a callback: TC_EINVAL, and nothing is done. NULL is fine. Blocks. */
TC_API int tc_close(tc_engine *engine);

/* The state of every queue and cursor at one moment. */
typedef struct tc_status {
  size_t size;
  int64_t log_seq;        /* seq of the last committed event; 0: none */
  int64_t index_seq;      /* up to here the derived file is built */
  uint64_t pending_bytes; /* accepted, not yet committed */
  uint64_t pending_events;
  uint64_t tail_bytes; /* in memory */
  uint64_t tail_events;
  uint64_t commits;      /* since tc_open */
  uint32_t ready;        /* 1: reads and keyed creates are served; 0: the backlog is being indexed */
  int32_t storage_error; /* 0, or the code of the last commit or index batch when that failed and none has succeeded since */
} tc_status;
#define TC_STATUS_INIT \
  { sizeof(tc_status), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Fills *out, whose size the caller has set. Any thread; does not block on I/O. Errors: TC_EINVAL, TC_EVERSION. */
TC_API int tc_engine_status(tc_engine *engine, tc_status *out);

#ifdef __cplusplus
}
#endif
#endif
