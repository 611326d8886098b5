/* memory.h - the memory backend inside: events (rows.h), documents of configuration, and outside effects, all under one lock. */
#ifndef TCI_STORAGE_MEMORY_H
#define TCI_STORAGE_MEMORY_H

#include <pthread.h>

#include "storage/memory/rows.h"

/* ---- config.c ---- */

typedef struct tci_memory_doc {
  uint32_t kind;
  int64_t id;
  size_t len;
  char bytes[];
} tci_memory_doc;

typedef struct tci_memory_config {
  tci_memory_doc **docs; /* by (kind, id); owned */
  size_t count, cap;
  int64_t last_id[TC_KIND_MAX + 1];
} tci_memory_config;

int tci_memory_config_put(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc);
int tci_memory_config_remove(tc_storage *storage, uint32_t kind, int64_t id);
int tci_memory_config_read(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg);
int tci_memory_config_last(tc_storage *storage, uint32_t kind, int64_t *id);
void tci_memory_config_free(tci_memory_config *config);

/* ---- work.c and deliveries.c ---- */

/* One row of the delivery log with its texts. */
typedef struct tci_memory_try {
  tc_delivery delivery;
  int gone; /* while it is being trimmed */
  char bytes[];
} tci_memory_try;

typedef struct tci_memory_work {
  int64_t cursor_seq, last_id;
  tc_owed *owed; /* by (webhook_id, seq) */
  size_t owed_count, owed_cap;
  tci_memory_try **by_id;  /* owned */
  tci_memory_try **by_age; /* the same, by (createdAt, id) */
  size_t tries, tries_cap;
} tci_memory_work;

int tci_memory_work_commit(tc_storage *storage, tc_work *work);
int tci_memory_work_state(tc_storage *storage, int64_t *cursor_seq, tc_owed_fn next, void *arg);
int tci_memory_work_due(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg);
int tci_memory_work_next(tc_storage *storage, int64_t webhook_id, int64_t *due_us);
int tci_memory_owed_read(tc_storage *storage, int64_t webhook_id, int64_t after_seq, size_t max, tc_owed_fn fn, void *arg);
int tci_memory_work_forget(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more);
int tci_memory_deliveries(tc_storage *storage, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg, int64_t *total);
int tci_memory_delivery_get(tc_storage *storage, int64_t webhook_id, int64_t id, tc_delivery_fn fn, void *arg);
int tci_memory_work_trim(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more);
void tci_memory_work_free(tci_memory_work *work);

/* A copy; NULL: out of memory. */
tci_memory_try *tci_memory_try_new(const tc_delivery *delivery);
/* Makes room for n more, so that adding them cannot fail. */
int tci_memory_tries_reserve(tci_memory_work *work, size_t n);
/* Numbers it and takes it. Needs reserved room. */
void tci_memory_tries_add(tci_memory_work *work, tci_memory_try *one);

/* ---- facts.c ---- */

/* A fact with its key and value. */
typedef struct tci_memory_fact {
  uint32_t space;
  int removed;  /* in a commit: it takes the key's fact away */
  size_t order; /* in its commit */
  size_t key_len, value_len;
  char bytes[];
} tci_memory_fact;

typedef struct tci_memory_facts {
  int64_t seq;
  tci_memory_fact **at; /* by (space, key); owned */
  size_t count;
} tci_memory_facts;

int tci_memory_facts_cursor(tc_storage *storage, int64_t *seq);
int tci_memory_facts_commit(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n);
int tci_memory_fact_first(tc_storage *storage, uint32_t space, tc_text key, tc_fact_fn fn, void *arg);
int tci_memory_facts_scan(tc_storage *storage, uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg);
void tci_memory_facts_free(tci_memory_facts *facts);

/* ---- memory.c ---- */

struct tc_storage {
  tc_storage_env env;
  pthread_rwlock_t lock; /* of all that follows */
  tci_rows rows;
  tci_memory_config config;
  tci_memory_work work;
  tci_memory_facts facts;
};

int tci_memory_fail(const tc_storage_env *env); /* TC_ENOMEM */
void tci_memory_read_lock(tc_storage *storage);
void tci_memory_write_lock(tc_storage *storage);
void tci_memory_unlock(tc_storage *storage);

#endif
