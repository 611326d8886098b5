/* sys/storage.h - what a storage backend provides. For backend authors; stable within a minor release (TC_STORAGE_ABI says which).
 *
 * A backend keeps three things: the LOG (the record itself, append-only, numbered by seq, and beside it what people configure), the INDEX (everything derived
 * from it, up to index_seq) and the WORK (what is owed to the outside, and what was tried). It may build the index inside append (then derive is NULL and index_seq
 * is always the log's end) or behind it, when the engine calls derive.
 *
 * Memory never changes owner across this line: inputs are borrowed for the call, rows go out through a callback and are valid only inside it.
 * Functions return TC_OK or a negative code of error.h, and write outputs only on success. On failure they call env->fail with one line of detail.
 *
 * Threads: append, append_on, append_outcome, follow_log, config_put, config_remove, config_sync: the engine's writer thread. derive, idle, facts_cursor, facts_commit, fact_first: its indexer
 * thread, and take_up. work_*: its work thread. Each of the three is one thread at a time, not one for ever: two of the engine's take turns as its work thread, and each call
 * sees what the one before it did. look: its node thread. Everything else: any thread, several at once. The engine never holds a lock across these calls, except that open and close have the
 * backend for themselves. A callback does
 * not call back into the storage.
 */
#ifndef TIPCURRENT_SYS_STORAGE_H
#define TIPCURRENT_SYS_STORAGE_H

#include "../common.h"
#include "../engine.h"
#include "../event.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TC_STORAGE_ABI 5u /* of everything in this header; a backend of another one is refused with TC_EVERSION */
#define TC_KIND_MAX 63u   /* kinds are 1..63: they fit a bit mask */

typedef struct tc_storage tc_storage;   /* the backend's own */
typedef struct tc_snapshot tc_snapshot; /* the backend's own */

/* The text columns of a record. What they mean for a kind: docs/events.md. */
enum {
  TC_COL_ROOM = 0, /* roomId */
  TC_COL_USER,     /* who did it: senderId of a tip, userId of a reaction */
  TC_COL_PEER,     /* to whom: recipientId of a tip; the type of a custom event */
  TC_COL_BODY,     /* message of a tip, emoji of a reaction */
  TC_COL_TARGET,   /* targetId of a reaction; of a refund the tip's id in digits */
  TC_COL_METADATA, /* metadata */
  TC_COL_KEY,      /* the idempotency key: never shown */
  TC_COL_CURRENCY, /* of a tip or refund; NULL: the log's default */
  TC_COL_COUNT     /* how many columns there are */
};

/* Whose keys are compared with whose: each kind has its own, except that what people do in a room (POST /api/events) shares them. */
#define TC_KEY_SPACE(kind) ((kind) > TC_KIND_FOLLOW && (kind) <= TC_KIND_CUSTOM ? (uint32_t)TC_KIND_FOLLOW : (uint32_t)(kind))

/* One row of the log. Text is valid UTF-8 without U+0000; ptr NULL is NULL. Kept byte for byte. */
typedef struct tc_record {
  int64_t seq, id, created_at_us, amount; /* its numbers in the log and in its kind, when it was made, and its hundredths where the kind has an amount */
  uint32_t kind;                          /* TC_KIND_X */
  uint32_t flags;                         /* 0 */
  tc_text text[TC_COL_COUNT];             /* by TC_COL_X */
  int64_t ref;                            /* of a refund: the seq of its tip; TC_REF_IRREGULAR; else 0 */
} tc_record;
#define TC_REF_IRREGULAR (-1) /* a tip or reaction that an import kept although it breaks a rule of its kind (docs/events.md) */

/* Called once a row. Non-zero stops the walk; the function then returns TC_OK all the same. */
typedef int (*tc_row_fn)(const tc_record *row, void *arg);

/* One event to append, and what became of it. */
typedef struct tc_append {
  tc_record *record;    /* in: everything but seq and id. out on success with result TC_OK: seq and id */
  int32_t result;       /* out: TC_OK appended; TC_EEXISTS the key is known: existing_seq is its event */
  int64_t existing_seq; /* out, with TC_EEXISTS */
} tc_append;

#define TC_EMOJI_BYTES_MAX 40 /* of a canonical spelling that is not the text itself */

/* What the engine lends a backend, from open to close. */
typedef struct tc_storage_env {
  size_t size;
  tc_clock clock;                                  /* the engine's */
  tc_random random;                                /* the engine's */
  tc_log log;                                      /* the engine's */
  uint32_t idempotency_ttl_s;                      /* as in tc_options, never 0 */
  void (*fail)(int code, const char *format, ...); /* sets tc_last_error() of this thread */
  /* The canonical spelling of an emoji: two are the same in filters exactly when it is. Points to text, or into scratch. Pure; any thread. */
  tc_text (*emoji)(tc_text text, char scratch[TC_EMOJI_BYTES_MAX]);
} tc_storage_env;

/* What the engine must know at open. */
typedef struct tc_storage_state {
  int64_t log_seq;            /* last seq in the log; 0: empty */
  int64_t index_seq;          /* the index is built up to here */
  int64_t last_created_at_us; /* of the event log_seq; 0: empty */
} tc_storage_state;

/* An event's place in the order of lists: createdAt DESC, seq DESC. */
typedef struct tc_position {
  int64_t created_at_us, seq; /* of the event */
} tc_position;

/* Non-NULL texts are exact filters that combine with AND; a zero-length one matches nothing. The emoji of
 * reactions (TC_COL_BODY) is compared by its canonical spelling (env->emoji): U+FE0F makes no difference where the rest is an emoji. TC_COL_KEY and TC_COL_METADATA are never filtered. */
typedef struct tc_filter {
  uint32_t kind;              /* TC_KIND_X */
  uint32_t absent;            /* 1 << TC_COL_CURRENCY: only where that is NULL; its text is NULL then. No other bit is ever set */
  tc_text text[TC_COL_COUNT]; /* by TC_COL_X */
} tc_filter;

/* Non-zero stops the walk; the function then returns TC_OK all the same. */
typedef int (*tc_position_fn)(const tc_position *position, void *arg);

/* Small documents of configuration by (kind, id): what people set up, kept with the log. */
enum {
  TC_CONFIG_WEBHOOK = 1,    /* one each */
  TC_CONFIG_GOAL = 2,       /* one each */
  TC_CONFIG_SETTINGS = 3,   /* of the log: one */
  TC_CONFIG_EVENT_TYPE = 4, /* one each */
  TC_CONFIG_ERRAND = 5,     /* what a node asks of the one that sends a webhook: one each, until it has it */
  TC_CONFIG_MOVE = 6        /* one while the log is being filled from another (move.h): an engine refuses it then */
};
#define TC_CONFIG_DOC_MAX 1048576u /* bytes of one */
/* Non-zero stops the walk; the function then returns TC_OK all the same. doc: borrowed for the call. */
typedef int (*tc_config_fn)(int64_t id, tc_text doc, void *arg);

/* A webhook delivery that is late or has failed: attempt is the number of the next one. */
typedef struct tc_owed {
  int64_t webhook_id, seq;  /* whom, and which event */
  int64_t lane;             /* -1: unordered; else the deliveries of one (webhook_id, lane) go strictly by seq */
  int64_t due_us, first_us; /* when to try next, and when it was first owed */
  int32_t attempt;          /* the next one, 1 and up */
  int32_t flags;            /* the engine's own */
} tc_owed;
typedef int (*tc_owed_fn)(const tc_owed *owed, void *arg);

/* One attempt, as the delivery log keeps it. */
typedef struct tc_delivery {
  int64_t id, webhook_id, seq, created_at_us, duration_us; /* of the attempt, of its webhook, of its event; when it was made, and how long it took */
  int32_t attempt, status, success;                        /* 1 and up; HTTP status or 0; 1: it succeeded */
  tc_text event, response, error;                          /* ptr NULL is NULL */
} tc_delivery;
typedef int (*tc_delivery_fn)(const tc_delivery *delivery, void *arg);

/* What one commit of outside effects changes. */
typedef struct tc_work {
  int64_t cursor_seq;     /* every event up to it is delivered or owed; a lower one than is stored changes nothing */
  const tc_owed *owed;    /* after settled: put, replacing by (webhook_id, seq); of two for one place the later counts */
  size_t owed_n;          /* how many */
  const tc_owed *settled; /* removed by (webhook_id, seq), whatever else they say; one that is not there is fine */
  size_t settled_n;       /* how many */
  tc_delivery *log;       /* appended; id is set on success */
  size_t log_n;           /* how many */
} tc_work;

/* Small derived values by (space, key), beside the index: sums, counts, lists that somebody keeps of the log. They are thrown away with it. */
#define TC_FACT_SPACE_MAX 254u /* spaces are 1..254 */
#define TC_FACT_KEY_MAX 512u   /* bytes */
#define TC_FACT_VALUE_MAX 1048576u
typedef struct tc_fact {
  uint32_t space;     /* 1 to TC_FACT_SPACE_MAX */
  tc_text key, value; /* any bytes. value.ptr NULL: there is no such fact any more */
} tc_fact;
/* Non-zero stops the walk; the function then returns TC_OK all the same. Both: borrowed for the call. */
typedef int (*tc_fact_fn)(tc_text key, tc_text value, void *arg);

/* How far a copy is, in pages or rows. Non-zero stops it: TC_EUSER. */
typedef int (*tc_copied_fn)(int64_t done, int64_t total, void *arg);

/* What one node sees of a log that several nodes share (tc_storage_ops.look). */
typedef struct tc_node_view {
  int64_t epoch;                         /* above 0: this node leads, in the epoch of that number; 0: it follows */
  int64_t log_seq, index_seq, facts_seq; /* how far log, index and facts are, whoever built them */
  int32_t followed;                      /* of a leader: 1: others have looked lately */
  int32_t config_changed;                /* 1: another node has changed documents since this one called config_sync */
  int64_t sender;                        /* above 0: this node is one of those that send webhooks, by that number, which nobody else ever has; 0: it is not */
  uint32_t shares;                       /* of a sender: a bit for each share that is his to send (TC_WORK_SHARE) */
  uint32_t open_shares;                  /* and of these, those that nobody else holds: he may have them (work_hold) */
} tc_node_view;

/* Several nodes share the webhooks by their ids. */
#define TC_WORK_SHARES 16u
#define TC_WORK_SHARE(webhook_id) ((uint32_t)((uint64_t)(webhook_id) % TC_WORK_SHARES))

/* What an append to a shared log hangs on, and what it meets. */
typedef struct tc_append_terms {
  int64_t expect_seq;     /* in: what the batch says was decided on the log up to here, */
  uint64_t expect_kinds;  /* in: and hangs on the events of these kinds (1 << TC_KIND_X); 0: it hangs on nothing */
  int64_t hold_us;        /* in: a record whose created_at_us is now_us gets that of the log's last event, where that is later by at most this */
  int32_t config_changed; /* out: another node has changed documents since config_sync */
} tc_append_terms;

/* A backend: const and shared by all its engines. Each function says whether a backend must have it. */
typedef struct tc_storage_ops {
  size_t size;
  uint32_t abi;       /* TC_STORAGE_ABI */
  uint32_t flags;     /* 0 */
  const char *scheme; /* "sqlite": serves URLs that begin with "sqlite:" */

  /* Must. Opens url, creating what is missing, migrating what is older; refuses a second opener with TC_EBUSY. A derived part that is missing, stale or foreign
   * is begun anew (index_seq 0), never trusted. Errors as tc_open. */
  int (*open)(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state);
  /* Must. Takes NULL. All snapshots have ended, no call is running. */
  void (*close)(tc_storage *storage);

  /* Must. Appends the items in order, all or nothing, durable on return: survives power loss. Numbers them: seq without holes, id = last of the kind + 1.
   * A key (TC_KEY_SPACE of the kind, TC_COL_KEY) that an event at or below index_seq, younger than idempotency_ttl_s at the new record's created_at_us, already has is the item's
   * result, not a failure; the engine has compared with younger events and within the batch, so keys in one call differ. Non-key items are always appended.
   * batch_id names this call for append_outcome. May block. n 0: stores no event, and tells whether one could be stored now.
   * Errors: TC_EBUSY (locked by others: nothing stored, ask again), TC_ESTORAGE (nothing stored), TC_EUNKNOWN (may be stored: ask append_outcome). */
  int (*append)(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us);
  /* Must. After TC_EUNKNOWN: *stored = 1 and the items' seq, id and results are set as append would have, or 0. Errors: TC_EUNKNOWN: still cannot tell. */
  int (*append_outcome)(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int32_t *stored);

  /* Must. Rows with seq > after_seq, ascending, at most max. */
  int (*read_log)(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg);

  /* May be NULL (the index is built in append). Indexes these rows, which follow index_seq without a hole, in one transaction with the cursor. */
  int (*derive)(tc_storage *storage, const tc_record *rows, size_t n);
  /* May be NULL. One bounded slice (some 10 ms) of clean-up: expired keys, checkpoints. *more = 1: there is more to do. */
  int (*idle)(tc_storage *storage, int64_t now_us, int32_t *more);

  /* Must. A consistent view of the index; *index_seq is how far it is built in that view. End it soon: it holds a reader. TC_EBUSY: too many at once. */
  int (*snapshot)(tc_storage *storage, tc_snapshot **out, int64_t *index_seq);
  void (*snapshot_end)(tc_snapshot *snapshot); /* Must. Takes NULL. */
  /* Must. Positions that match, in list order, beginning after *after (NULL: at the top). */
  int (*scan)(tc_snapshot *snapshot, const tc_filter *filter, const tc_position *after, tc_position_fn position, void *arg);
  /* Must. How many match, exact. Constant cost for no filter, one filter, and room with one other (absent counts as one). */
  int (*count)(tc_snapshot *snapshot, const tc_filter *filter, int64_t *out);
  /* Must. The log's rows with these seqs, in the order given. A missing one is TC_ECORRUPT. */
  int (*fetch)(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg);
  /* Must. The seq of (kind, id). TC_ENOTFOUND. */
  int (*find_id)(tc_snapshot *snapshot, uint32_t kind, int64_t id, int64_t *seq);

  /* Must; writer thread. Puts a document of at most TC_CONFIG_DOC_MAX bytes, kept byte for byte; another one of the same (kind, id) gives way. *id 0: the next
   * number of that kind, above every one it ever had, set on success. Durable on return. Errors as append (TC_EUNKNOWN: read what is there), and TC_EINVAL. */
  int (*config_put)(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc);
  /* Must; writer thread. Durable on return. Errors as config_put, and TC_ENOTFOUND. */
  int (*config_remove)(tc_storage *storage, uint32_t kind, int64_t id);
  /* Must; any thread. All documents of a kind, ascending by id. TC_EBUSY: too many readers at once. */
  int (*config_read)(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg);

  /* Outside effects (webhooks) are kept apart from the log and need not survive a power cut: losing their end means a delivery that is made again. What a killed
   * process had committed is there. A storage that never had any begins with the cursor at the log's end: what comes later must not get history. */

  /* Must; work thread. One transaction, all or nothing: cursor, settled, owed, log. log[i].id = the last one ever given + 1, set on success.
   * Errors: TC_EBUSY, TC_ESTORAGE, TC_ENOMEM (nothing changed); TC_ECORRUPT. */
  int (*work_commit)(tc_storage *storage, tc_work *work);
  /* Must; work thread. The cursor (of several: the lowest), and of each webhook that owes, ascending by its id, the row that work_due would give first. fn may be NULL. */
  int (*work_state)(tc_storage *storage, int64_t *cursor_seq, tc_owed_fn next, void *arg);
  /* Must; work thread. Rows of a webhook with due_us <= until_us, by due_us, then seq, at most max. Of a lane only the row with its lowest seq: it speaks for the
   * lane, due or not. Costs what it gives, however much else is owed. */
  int (*work_due)(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg);
  /* Must; work thread. The earliest due_us among those that work_due would ever give. TC_ENOTFOUND: it owes nothing. */
  int (*work_next)(tc_storage *storage, int64_t webhook_id, int64_t *due_us);
  /* Must; work thread. Removes what a webhook owes, at most max rows, the newest first; *more = 1: there is more. */
  int (*work_forget)(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more);
  /* Must; any thread. A webhook's log, newest (highest id) first, from offset on, at most max. *total: how many rows it has in that view, at a constant cost;
   * an offset costs a step over as many entries of an index. */
  int (*deliveries)(tc_storage *storage, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg, int64_t *total);
  /* Must; any thread. One row of a webhook's log. TC_ENOTFOUND: no such row, or it is another webhook's. */
  int (*delivery_get)(tc_storage *storage, int64_t webhook_id, int64_t id, tc_delivery_fn fn, void *arg);
  /* Must; work thread. One bounded slice (some 10 ms) of removing log rows created before before_us, and the oldest beyond max_rows of all webhooks together;
   * *more = 1: there is more. */
  int (*work_trim)(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more);

  /* Facts have a cursor of their own: they speak of the log up to it. It starts at 0, whenever the index is begun anew too, and never is beyond index_seq. */

  /* Must; indexer thread. */
  int (*facts_cursor)(tc_storage *storage, int64_t *seq);
  /* Must; indexer thread. Puts and removes facts and moves the cursor to seq (or leaves it where it is) in one transaction, all or nothing. Of two for one key
   * the later counts; removing one that is not there is fine. As durable as the index. Ascending keys are the cheapest.
   * Errors: TC_EINVAL (seq goes back or beyond index_seq; a space, key or value out of bounds), TC_ESTORAGE, TC_ENOMEM, TC_EBUSY: nothing changed. */
  int (*facts_commit)(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n);
  /* Must; indexer thread. The first fact of the space whose key is `from` or behind it: calls fn once, or not at all where there is none: that is no failure. */
  int (*fact_first)(tc_storage *storage, uint32_t space, tc_text from, tc_fact_fn fn, void *arg);
  /* Must; any thread. The facts with from <= key < to, ascending as memcmp orders them; to.ptr NULL: to the end of the space. One consistent view. TC_EBUSY: too
   * many readers at once. */
  int (*facts_scan)(tc_storage *storage, uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg);

  /* Must. Full integrity check of log, index and work; TC_ECORRUPT with a line of detail. Slow. */
  int (*check)(tc_storage *storage);

  /* Several nodes on one log: all of what follows, or NULL each. A backend that has it lets other processes open the log too; open tries to lead, close gives that up. Of all nodes one leads: it
   * alone may derive, idle and facts_commit. Those that send webhooks share them: work_commit, work_forget and work_trim are for senders, of webhooks whose shares they hold (work_hold). All of
   * these tell a node that leads, or sends, no longer TC_ECONFLICT, and change nothing. */

  /* Node thread. Waits up to wait_ms for news of other nodes or a tell of this one, passes on what was told, then says what is so; wait_ms 0: it asks at once. Leads on for lease_ms from now, by
   * the storage's own clock, or takes over where the leader's lease has ended or he is gone; what a former leader had still sent is over when a new epoch is said. sends 1: this node sends webhooks,
   * and is, for as long, one of those over whom the leader's look spreads the shares, evenly by how many webhooks they have; who is gone, or says nothing for so long, loses his number and with it
   * what he held. On failure *view is as it was. */
  int (*look)(tc_storage *storage, int32_t wait_ms, int32_t lease_ms, int32_t sends, tc_node_view *view);
  /* Any thread; does not block. There is something new in the log or the documents, committed: other nodes are to look. */
  void (*tell)(tc_storage *storage, int64_t log_seq);
  /* Indexer thread. From here on what this thread writes is written in this epoch, as look has said it. *index_seq: how far the index is. */
  int (*take_up)(tc_storage *storage, int64_t epoch, int64_t *index_seq);
  /* Work thread. From here on what this thread writes is written as this sender, as look has said him. He lets go of what he holds that is not among `shares`, and takes those of them that are his
   * and that nobody holds; what a former holder had still sent is over then. *held: what he holds now, and of each share cursors[share]: every event up to it is delivered or owed. work_commit moves
   * the cursors of those that were said here last. Durable on return. TC_ECONFLICT: he is a sender no more. */
  int (*work_hold)(tc_storage *storage, int64_t sender, uint32_t shares, uint32_t *held, int64_t cursors[TC_WORK_SHARES]);
  /* Writer thread. As read_log, and waits for no other reader. *config_changed (may be NULL) = 1: when the rows were read another node had changed documents since config_sync. */
  int (*follow_log)(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg, int32_t *config_changed);
  /* Writer thread. As append, on terms. created_at_us of the records is set too. TC_ECONFLICT: the log has gone on with one of expect_kinds, nothing was stored. */
  int (*append_on)(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us, tc_append_terms *terms);
  /* Writer thread. The documents are about to be read, or changed: *changed = 1: by another node they were, since the last call or open. From here on config_put and config_remove are made only
   * while nobody else has changed any, and the log ends with log_seq; else TC_EBUSY: sync and decide again. */
  int (*config_sync)(tc_storage *storage, int64_t log_seq, int32_t *changed);

  /* For tools (move.h). Each may be NULL, and is looked for only where size reaches it. */

  /* Opens what lies at url to be read by one thread, beside whoever has it open: read_log, config_read, snapshots and what they serve, check, close. Makes, migrates and changes
   * nothing. state->index_seq -1: there is no index that fits the log, so no snapshot. Errors as open, and TC_ENOTFOUND: there is no log. */
  int (*open_read)(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state);
  /* A copy in this directory (made when it is missing) that opens by itself, taken beside whoever has url open: *log_seq is the last event in it. What is owed is copied before the log, so
   * that a delivery may come twice out of a copy but never is lost. Nothing is overwritten: TC_EEXISTS. A copy that fails leaves nothing that could be taken for one. */
  int (*backup)(const char *url, const tc_storage_env *env, const char *directory, tc_copied_fn copied, void *arg, int64_t *log_seq);
  /* Writer thread. As append, but the records keep their ids, which the caller knows to be free, and no key is looked for. A seq that is not 0 must be the one that the record would get, or
   * nothing is stored: TC_ECONFLICT. Sets seq. Errors else as append; after TC_EUNKNOWN the log itself tells. */
  int (*import_rows)(tc_storage *storage, tc_record *records, size_t n);
  /* Any thread. The highest number that a kind of documents ever had; 0: none. */
  int (*config_last)(tc_storage *storage, uint32_t kind, int64_t *id);
  /* Work thread. All that a webhook owes with seq > after_seq, ascending, at most max. */
  int (*owed_read)(tc_storage *storage, int64_t webhook_id, int64_t after_seq, size_t max, tc_owed_fn fn, void *arg);
} tc_storage_ops;

#ifdef __cplusplus
}
#endif
#endif
