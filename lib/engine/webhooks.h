/* webhooks.h - the webhook dispatcher: a cursor over the log that posts.
 *
 * Design notes
 *  - REGISTRY (hooks.c): what is configured, in memory, a reference each; changed by its callers through the writer, read by everybody under one mutex.
 *  - DISPATCHER (dispatch.c), one thread: takes events behind its cursor, makes a parcel for each webhook that wants one, and gives parcels to the transport. A target is one webhook with
 *    what is under way for it; it has its own bounds, so none waits for another.
 *  - LEDGER (ledger.c): what is to be written to the work store, a page at a time: the cursor, what is owed, what is settled, the log of attempts. The cursor never passes a parcel that is
 *    neither delivered nor owed; a parcel that takes long becomes owed, so that a hanging receiver does not hold the cursor (and with it the repetitions after a kill).
 *  - HELPER (helper.c), a thread that begins when deliveries have to wait: signs ahead, and writes the ledger's pages while the dispatcher fills the next one. The work store is used by one of the
 *    two at a time: by the helper while a page is handed to it (tci_ledger.handed), else by the dispatcher. Without it the dispatcher does both itself.
 *  - What does not fit into memory is owed at once, and comes back when its target has room; only a webhook that is alone and gets on is waited for.
 *    Ordered webhooks always go through what is owed, which knows their lanes.
 *  - What an answer means for the webhook's configuration (it failed for too long, it is gone) is written after the transport's poll, never from within it (tci_targets_note).
 *  - After a kill everything behind the cursor is delivered again, with the same webhook-id. At tc_close what is under way is owed.
 *  - Several nodes share the webhooks by their ids (TC_WORK_SHARE; docs/decisions/0011-webhook-shares.md), duty.c: targets are there for those of the shares that this node holds, and no others. What
 *    it is to hold, look says (engine/nodes.h). A share that is to go is drained: what comes is owed at once, nothing is sent any more, and when nothing is under way the share is let go. One that
 *    comes may lag: then the log is read from its cursor on once more, and the others pass over what they have had. A node alone holds all.
 */
#ifndef TCI_ENGINE_WEBHOOKS_H
#define TCI_ENGINE_WEBHOOKS_H

#include "engine/engine.h"
#include "webhook/hook.h"
#include "webhook/retry.h"
#include "webhook/transport.h"

#define TCI_HOOKS_MAX 10000
#define TCI_PARCELS_MAX 16384       /* in memory, of all targets */
#define TCI_PARCELS_PER_TARGET 8192 /* waiting in memory */
#define TCI_REPLAY_MAX 100000
#define TCI_RECORD_AFTER_US 1000000 /* a parcel that is not delivered by then becomes owed */
#define TCI_LEDGER_ROWS 512         /* a commit at the latest */
#define TCI_LEDGER_US 100000
#define TCI_LINES_BYTES 511 /* of a parcel's headers, as a rule */

typedef struct tci_target tci_target;
typedef struct tci_parcel tci_parcel;

/* One delivery under way in memory. */
struct tci_parcel {
  tci_parcel *prev, *next; /* of those that are not recorded, by seq; or of none */
  tci_parcel *next_waiting;
  tci_parcel *prev_sending, *next_sending;
  tci_parcel *prev_unsigned, *next_unsigned;
  int handed;         /* the helper has it, or had: body, lines, headers and prepared_us are his until tci_helper_take */
  atomic_int signing; /* helper.c's: whose it is */
  tci_target *target;
  tci_hook *hook;  /* as it was when the attempt began, or was made ready */
  tc_event *event; /* NULL: a test */
  int64_t seq, first_us, made_us, began_us;
  int32_t attempt;
  int recorded;    /* an owed row stands for it */
  int again;       /* it was asked for once more while it was on its way: its row stays */
  const char *why; /* static: the policy refuses its URL by now, it was not sent */
  struct tci_webhooks *webhooks;
  tc_send send;
  int64_t prepared_us; /* 0: not ready to be sent */
  tci_buf lines, body; /* the headers' texts, NUL-terminated each; a body that is not the event's own */
  const char *headers[16];
};

typedef struct tci_unsigned {
  tci_parcel *first, *last;
} tci_unsigned;

/* What the two threads share is under mutex. */
typedef struct tci_helper {
  pthread_mutex_t mutex;
  pthread_cond_t bell, done;
  tci_thread thread; /* started by the first parcel that has to wait */
  tci_unsigned waits;
  int awaited;           /* the dispatcher waits for a parcel */
  int has_work, work_rc; /* the ledger has something to be done; what became of it */
  int open, stop;
  tci_unsigned put; /* the dispatcher's: since it was rung for */
} tci_helper;

struct tci_target {
  tci_hook *hook;
  uint64_t room_hash;       /* 0: all rooms */
  tci_parcel *first, *last; /* waiting */
  tci_parcel *sending;
  uint32_t waiting, in_flight;
  int64_t next_due_us; /* when to look for what is owed; INT64_MAX: nothing is */
  int64_t success_us;  /* the last one, or its beginning; monotonic */
  int64_t failing_since_us;
  int owed_before;         /* something was owed to it at the start */
  int gone;                /* deleted or disabled: nothing new, and what is owed is forgotten */
  int forgotten;           /* what it was owed is gone too */
  int to_note;             /* its answers came to something that its configuration has to say, */
  const char *disable_why; /* static: that it is disabled, and why; NULL: only since when it fails */
  tci_target *next_active;
  int active; /* in the list of those that the turn looks at */
};

/* What other threads ask of the dispatcher. */
typedef struct tci_errand {
  struct tci_errand *next;
  int64_t webhook_id;
  int test;
  size_t count, done;
  int64_t seqs[]; /* to be owed */
} tci_errand;

/* One commit of the work store. */
typedef struct tci_page {
  tc_owed *owed, *settled;
  tc_delivery *log;
  size_t owed_n, owed_cap, settled_n, settled_cap, log_n, log_cap;
  tci_buf text; /* of the log rows, which hold offsets + 1 until the page is shut */
  int64_t cursor_seq;
} tci_page;

typedef struct tci_ledger {
  tci_page open;          /* rows are added to it */
  tci_page shut;          /* to be written, before the open one */
  int to_write;           /* shut has something that is not written yet */
  int to_trim, trim_more; /* a slice of the delivery log is to be removed; it was not the last */
  int handed;             /* the helper is at it: shut, trim_more and the work store are his until it is taken back, error stays as it is */
  int error;              /* what the last write came to */
  int64_t dirty_since_us; /* 0: clean */
  int64_t written_cursor, trim_us;
} tci_ledger;

typedef struct tci_webhooks {
  tc_engine *engine;
  tci_policy policy;
  tci_schedule schedule;
  uint8_t seal_key[32];
  int sealed;
  uint32_t max_in_flight, max_per_endpoint, connect_ms, total_ms, flags;
  int64_t disable_after_us, log_age_us, log_rows;

  pthread_mutex_t mutex; /* the registry and the errands */
  int mutex_made;
  tci_hook **hooks; /* by id */
  size_t hook_count, hook_cap;
  _Atomic uint64_t version; /* written under mutex */
  tci_errand *errands, **last_errand;
  _Atomic uint64_t asked; /* how many errands there were; written under mutex */

  tci_helper helper;
  tc_transport transport;
  int own_transport; /* curl's */
  tci_thread thread;
  atomic_int stop;
  atomic_int busy;  /* deliveries are under way */
  atomic_int armed; /* 1: nothing was seen, whoever brings something has to wake; without threads: 0 when there is something */

  /* The dispatcher's own. */
  struct tc_sub *sub;
  int64_t turn_us, turn_mono_us; /* when the turn began */
  tci_target **targets;          /* by room_hash, then id */
  size_t target_count, gone_count;
  tci_target *active;
  uint64_t seen_version;
  tci_parcel *unrecorded, *last_unrecorded;
  tci_parcel *landed; /* the transport has done with them */
  size_t parcels, in_flight;
  size_t refused;                 /* of in_flight: those with why */
  int to_note;                    /* of some target */
  int transport_error;            /* what its last poll said */
  int begin_error, read_error;    /* of the start, of the log: each is logged once */
  int brimful;                    /* the only webhook has so much waiting that nothing is taken until half of it has gone */
  int stuck;                      /* the last pull met a log that cannot be read, the end of memory, or a webhook that is waited for */
  int running;                    /* between begin and end */
  int64_t sender;                 /* of several nodes: as whom this one sends while it runs */
  _Atomic uint32_t shares;        /* it holds these; others read it */
  uint32_t leaving;               /* of these: they are to go */
  int64_t leave_by_us;            /* what is under way for them is given up then; monotonic */
  int64_t passed[TC_WORK_SHARES]; /* the webhooks of a share have had every event up to here */
  int64_t horizon_seq;            /* the log's end at the start: up to here an event behind the cursor may be owed already, from before a kill */
  int64_t pulled_seq;             /* every event up to it has become parcels or owed rows */
  tc_event *held;                 /* the next event, when there was no memory for its parcels */
  struct due_rows *due;           /* dispatch.c's working memory */
  tci_ledger ledger;
} tci_webhooks;

/* webhooks.c: life. options NULL: the defaults. */
int tci_webhooks_open(tc_engine *engine, const tc_webhook_options *options);
int tci_webhooks_start(tci_webhooks *webhooks);
void tci_webhooks_stop(tci_webhooks *webhooks); /* joins the thread; takes NULL */
void tci_webhooks_free(tci_webhooks *webhooks); /* takes NULL */
void tci_webhooks_wake(tc_engine *engine);      /* there may be something new */
int tci_webhooks_busy(const tc_engine *engine); /* 1: deliveries are under way, as far as has been said lately. Any thread */
/* TC_OK; TC_ENOTSUP with its detail: libcurl, which is loaded here at the latest, is missing. Any thread; blocks for file I/O the first time. */
int tci_webhooks_can_send(const tci_webhooks *webhooks);

/* hooks.c: the registry. */
int tci_hooks_load(tci_webhooks *webhooks);
int tci_hooks_reload(tci_webhooks *webhooks); /* writer's thread: another node has changed some */
int tci_hooks_get(tci_webhooks *webhooks, int64_t id, tci_hook **out);
/* With a key that another webhook, younger than idempotency_ttl_s, was created with: that one and *replayed = 1, or TC_EMISMATCH. */
int tci_hooks_create(tci_webhooks *webhooks, tci_hook_parts *parts, tci_hook **out, int32_t *replayed);
/* Calls edit on a copy of the webhook's parts under the writer, checks them when checked, and keeps the result. */
int tci_hooks_edit(tci_webhooks *webhooks, int64_t id, int (*edit)(tci_hook_parts *parts, void *arg), void *arg, int checked, tci_hook **out);
int tci_hooks_remove(tci_webhooks *webhooks, int64_t id);
/* A reference to each, by id; tci_free the array after the unrefs. */
int tci_hooks_all(tci_webhooks *webhooks, tci_hook ***out, size_t *count, uint64_t *version);
/* Of a node that does not hold its share: asks the one that does, and waits until that is committed. */
int tci_hooks_errand(tci_webhooks *webhooks, int64_t id, int test, const int64_t *seqs, size_t count);
int tci_hooks_errand_here(tci_webhooks *webhooks, int64_t id, int test, const int64_t *seqs, size_t count); /* any thread; does not wait */

/* duty.c */
int tci_webhooks_holds(const tci_webhooks *w, int64_t id);                /* any thread. 1: this node sends the webhook of that id */
uint32_t tci_webhooks_shares(const tci_webhooks *w);                      /* any thread: how many of TC_WORK_SHARES it sends */
int tci_webhooks_is_leaving(const tci_webhooks *w, int64_t id);           /* 1: it does not for long */
int tci_webhooks_has_had(const tci_webhooks *w, int64_t id, int64_t seq); /* 1: whoever held its share before has seen to that event */
int tci_webhooks_on_duty(tci_webhooks *w);                                /* 1: it runs; begins and ends it, takes shares and lets go of them */

/* dispatch.c, targets.c, attempt.c, ledger.c */
void *tci_webhooks_main(void *webhooks);
int tci_webhooks_begin(tci_webhooks *w, int64_t seq); /* behind this event. 1: it runs. What keeps it from that is logged */
/* Goes on behind this event, with what is owed to all targets there are. The ledger is written. TC_OK, or what it met: then it is to end. */
int tci_webhooks_seek(tci_webhooks *w, int64_t seq);
void tci_webhooks_run_errands(tci_webhooks *w);      /* what it can; those of webhooks that other nodes send are passed on */
int tci_webhooks_turn(tci_webhooks *w);              /* in how many ms the next is wanted; 0: there is more to do */
int tci_webhooks_poll(tci_webhooks *w, int wait_ms); /* the transport's part; 1: something has landed */
void tci_webhooks_end(tci_webhooks *w);
int tci_helper_open(tci_helper *helper);                       /* TC_OK, TC_ENOMEM */
void tci_helper_close(tci_helper *helper);                     /* nothing is with it. Takes one that is zero */
void tci_helper_sign(tci_webhooks *w, tci_parcel *parcel);     /* it will be sent, but not now. Best effort */
void tci_helper_ring(tci_webhooks *w);                         /* that it may begin to sign what was put */
int tci_helper_take(tci_webhooks *w, tci_parcel *parcel);      /* it is the caller's again. 1: prepared */
int tci_helper_is_there(const tci_webhooks *w);                /* 1: its thread runs */
void tci_helper_work(tci_webhooks *w);                         /* that it calls tci_ledger_work */
int tci_helper_has_worked(tci_webhooks *w, int wait, int *rc); /* 1: it has, and *rc is what came of it */
int tci_targets_refresh(tci_webhooks *w);                      /* follows the registry */
void tci_targets_free(tci_webhooks *w);
/* Of these shares: nothing waits in memory any more, it is owed. give_up: nor is anything under way. Those of which something is left. */
uint32_t tci_targets_drain(tci_webhooks *w, uint32_t shares, int give_up);
void tci_targets_let_go(tci_webhooks *w, uint32_t shares);    /* these are another node's; they are drained */
void tci_target_give_up(tci_webhooks *w, tci_target *target); /* what is under way for it, and what waits, is owed */
void tci_target_touch(tci_webhooks *w, tci_target *target);   /* something waits for it, is owed to it, or it is gone */
tci_target *tci_target_find(tci_webhooks *w, int64_t id);     /* one that is not gone */
/* The first target that a room's events concern in targets, and behind the last. */
void tci_targets_of(const tci_webhooks *w, const char *room, size_t *from, size_t *to);
uint64_t tci_room_hash(const tci_webhooks *w, const char *room);

tci_parcel *tci_parcel_new(tci_webhooks *w, tci_target *target, tc_event *event, int64_t seq, int32_t attempt, int64_t first_us, int recorded);
void tci_parcel_free(tci_webhooks *w, tci_parcel *parcel);
/* Body and headers of an attempt that begins about now, for parcel->hook. Any one thread. TC_OK, TC_ENOMEM. */
int tci_parcel_prepare(tci_webhooks *w, tci_parcel *parcel);
int tci_parcel_send(tci_webhooks *w, tci_parcel *parcel); /* TC_OK: under way */
/* For those that were refused when they were to be sent: what the transport does for the others. */
void tci_parcels_refuse(tci_webhooks *w);
void tci_targets_note(
  tci_webhooks *w); /* writes what the last answers came to. Outside the transport: it waits for the writer, which without threads may call the host */
/* What a parcel still owes, due at due_us. */
int tci_parcel_owe(tci_webhooks *w, tci_parcel *parcel, int32_t attempt, int64_t due_us);

int tci_ledger_owe(tci_webhooks *w, const tc_owed *row);
int tci_ledger_settle(tci_webhooks *w, int64_t webhook_id, int64_t seq);
int tci_ledger_log(tci_webhooks *w, const tc_delivery *row);
int tci_ledger_is_full(const tci_webhooks *w);  /* it is time to write it */
int tci_ledger_has_room(const tci_webhooks *w); /* else nothing more is sent */
int tci_ledger_settle_up(tci_webhooks *w);      /* owes what is under way too, so that the cursor passes all that was pulled, and commits */
int tci_ledger_commit(tci_webhooks *w);         /* all that it holds, and the cursor; afterwards the work store is the caller's */
/* Begins to write what it holds, or does it if nobody helps: one page at a time, and it waits for that when far too much has come meanwhile. What could not be written is tried again at the next
 * call. An error: nothing new should be taken, the last write failed. */
int tci_ledger_post(tci_webhooks *w);
void tci_ledger_trim(tci_webhooks *w); /* the delivery log, when it is time */
int tci_ledger_work(tci_webhooks *w);  /* what is to be written and trimmed. The thread that the ledger is handed to, or the dispatcher */
void tci_ledger_free(tci_ledger *ledger);
int64_t tci_webhooks_now_us(const tci_webhooks *w);

#endif
