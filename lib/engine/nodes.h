/* nodes.h - several nodes on one log: who leads, and following what the others append. docs/decisions/0009-nodes.md.
 *
 * Design notes
 *  - engine->nodes is NULL where the storage is one node's alone: then none of this is there.
 *  - A thread of its own (without threads: the pump, every 200 ms) LOOKS: it keeps the lease, and learns how far the log, the index and the facts are. What it has seen are atomics, and it rings
 *    whoever has to do something about it. It waits for nothing else, so a busy engine does not lose its lease.
 *  - The WRITER follows: it alone adds to the tail. It reads the log behind the tail's end, and the documents when another node has changed them: those that had changed when the events
 *    were read, before it shows them. So what counts and what sends never meets an event of a goal or a webhook that it cannot see.
 *  - A leader's duty, index and facts, is taken up and laid down by the indexer's thread, in an epoch. Webhooks are not the leader's: each node sends a part of them, under a number of its own
 *    (duty.c). The storage refuses what is written in an epoch that is over, or by a sender who is one no more.
 */
#ifndef TCI_ENGINE_NODES_H
#define TCI_ENGINE_NODES_H

#include "engine/engine.h"

#define TCI_LOOK_MS 200
#define TCI_LEASE_MS 6000
#define TCI_FOLLOW_MAX 1024 /* events read from the log at once */

typedef struct tci_nodes {
  tci_thread thread;
  atomic_int stop;

  /* What was seen last. */
  _Atomic int64_t epoch; /* above 0: this node leads; 0: it follows */
  _Atomic int64_t log_seq, index_seq, facts_seq;
  atomic_int followed, config_changed;
  atomic_int look_error;
  atomic_int errands;           /* something may be asked of who sends webhooks */
  _Atomic int64_t sender;       /* as whom this node sends webhooks; 0: it does not */
  _Atomic uint32_t shares;      /* which of them it is to send, */
  _Atomic uint32_t open_shares; /* and which of these nobody else holds */
  _Atomic int64_t known_epoch;  /* the documents are those of this epoch's beginning, or later: its duties may be taken up */

  /* The looking thread's. */
  int64_t sure_until_us; /* the system's monotonic clock: nobody else has taken over before */

  /* The writer's. */
  tc_event *events[TCI_FOLLOW_MAX];
  size_t n;
  int rc;
  int unread; /* documents have changed, and could not be read yet */
  int config_error, log_error;

  _Atomic int64_t index_epoch; /* the indexer's: what it leads in; 0: it follows */
  int index_rc;
} tci_nodes;

/* With the storage open: looks for the first time; of a leader *state is what nobody else moves any more. TC_OK, and engine->nodes stays NULL, for a storage of one node. */
int tci_nodes_open(tc_engine *engine, tc_storage_state *state);
int tci_nodes_start(tc_engine *engine); /* its thread */
void tci_nodes_stop(tc_engine *engine); /* joins it; the lease goes with the storage */
void tci_nodes_free(tci_nodes *nodes);  /* takes NULL */
/* One look: by the thread, or whoever runs an engine without threads. */
void tci_nodes_look(tc_engine *engine, int wait_ms);

/* Any thread. */
int tci_nodes_leads(const tc_engine *engine);       /* also: it is alone */
int64_t tci_nodes_epoch(const tc_engine *engine);   /* in which a duty may be taken up; 0: in none now */
int tci_nodes_is_followed(const tc_engine *engine); /* it leads, and others read what it writes */
int tci_nodes_has_others(const tc_engine *engine);  /* as far as has been seen lately */
void tci_nodes_tell(tc_engine *engine);             /* something was committed */
/* A write of a leader was refused: 1: because another one leads; then it is no failure, and this one leads no more. */
int tci_nodes_is_over(tc_engine *engine, int rc);
/* The same of what was written as this sender of webhooks. */
int tci_nodes_is_cut(tc_engine *engine, int rc, int64_t sender);

/* ---- follow.c. Writer's thread ---- */

/* The next events, which follow the tail: everybody may see them. There is room. */
void tci_publish(tc_engine *engine, tc_event *const *events, size_t n);
/* What is known to be there and is not in the tail, a bounded piece of it; documents that have changed. */
void tci_nodes_follow(tc_engine *engine);
/* Reads up to the event before seq. 1: it is what comes next. 0: it cannot be now, and tci_nodes_follow has the rest, up to the event end_seq. */
int tci_nodes_close_gap(tc_engine *engine, int64_t seq, int64_t end_seq);
/* Up to the event seq, which is in the log. TC_OK, or what reading met. */
int tci_nodes_reach(tc_engine *engine, int64_t seq);
/* Up to the log's end, whatever was seen of it, with its documents: so that something can be decided on it. TC_OK, or what reading met. */
int tci_nodes_catch_up(tc_engine *engine);

/* ---- The indexer's thread ---- */

/* 1: this node leads, and the index and the facts are this thread's. 0: it follows, and has done so. */
int tci_nodes_lead_index(tc_engine *engine);

#endif
