/* batch.h - one commit's worth of creates, and what becomes of each: the writer's working memory, and the rule for idempotency keys. */
#ifndef TCI_ENGINE_BATCH_H
#define TCI_ENGINE_BATCH_H

#include "engine/engine.h"

enum {
  TCI_SLOT_APPEND = 1, /* goes into the log with this batch */
  TCI_SLOT_KNOWN,      /* its key belongs to an event that is there: known */
  TCI_SLOT_TWIN,       /* its key is that of an earlier slot of this batch: twin */
  TCI_SLOT_FAILED,     /* code and detail say why */
  TCI_SLOT_DEFERRED    /* hangs on an append of this very batch: goes back to the head of the queue */
};

typedef struct tci_slot {
  tci_pending *item;
  tc_event *known;    /* a reference */
  const char *detail; /* static, batch->detail, or note */
  char *note;         /* owned */
  int state;
  int code;
  uint32_t twin;
  int answered;
} tci_slot;

#define TCI_BATCH_TABLE (TCI_COMMIT_MAX_EVENTS * 4)

enum { TCI_BATCH_NONE, TCI_BATCH_APPENDS, TCI_BATCH_UNKNOWN /* an append was made whose outcome is open */ };

typedef struct tci_batch {
  int stage;
  size_t recent; /* how many came lately, falling slowly */
  size_t n, append_n;
  int64_t created_at_us;
  int64_t decided_seq; /* the log up to here was known when it was decided what appends */
  uint8_t id[16];
  char detail[512];
  tci_pending *items[TCI_COMMIT_MAX_EVENTS];
  tci_slot slots[TCI_COMMIT_MAX_EVENTS];
  tc_append appends[TCI_COMMIT_MAX_EVENTS];    /* of the slots that append, in order */
  uint32_t append_slot[TCI_COMMIT_MAX_EVENTS]; /* which slot each is */
  tc_event *events[TCI_COMMIT_MAX_EVENTS];     /* borrowed, for the tail */
  tci_pending *deferred[TCI_COMMIT_MAX_EVENTS];
  uint32_t table[TCI_BATCH_TABLE]; /* keys of this batch: slot + 1, 0 is free */
} tci_batch;

/* batch->items[0..n) become slots: late ones fail, known keys and twins are found, the rest will append. */
void tci_batch_resolve(tc_engine *engine, tci_batch *batch, const tci_sipkey *key);
/* Lists the slots that append in batch->appends; returns how many. */
size_t tci_batch_gather(tci_batch *batch);
/* Those that append (or whose twin does) and are late by now, or all of them, fail with code, and are answered at once. */
void tci_batch_fail(tci_batch *batch, int code, const char *detail, int64_t late_at_us);
/* After a commit: the events get their numbers, are listed in batch->events. Returns how many were appended. */
size_t tci_batch_commit(tci_batch *batch);
/* After that, with all that was appended shown: the events of keys that the storage knew. */
void tci_batch_find_known(tc_engine *engine, tci_batch *batch);
/* Those whose key is known already do not wait for an append whose outcome is open. */
void tci_batch_answer_known(tc_engine *engine, tci_batch *batch);
/* What the appends hang on: a mask of the kinds of those that are decided by what the log has of their kind. */
uint64_t tci_batch_decided_kinds(const tci_batch *batch);
/* Those that have no answer go back to the head of the queue; the others are freed. */
void tci_batch_put_back(tc_engine *engine, tci_batch *batch);
/* Answers every slot that has no answer yet, in order, and frees the items. */
void tci_batch_answer(tc_engine *engine, tci_batch *batch);

#endif
