/* readers.c - the pool: what reads borrows a connection, bounded in number. */
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "storage/postgres/postgres.h"

#define WAIT_US 1000000

int tci_pg_readers_init(tci_pg_readers *readers) {
  if (pthread_mutex_init(&readers->mutex, NULL)) return TC_ENOMEM;
  if (tci_cond_init(&readers->returned)) {
    (void)pthread_mutex_destroy(&readers->mutex);
    return TC_ENOMEM;
  }
  readers->ready = 1;
  return TC_OK;
}

static void discard(tci_pg *pg) {
  tci_pg_close(pg);
  tci_free(pg);
}

void tci_pg_readers_close(tci_pg_readers *readers) {
  if (!readers->ready) return;
  while (readers->idle_count) discard(readers->idle[--readers->idle_count]);
  (void)pthread_cond_destroy(&readers->returned);
  (void)pthread_mutex_destroy(&readers->mutex); /* fails only while locked, and no call is running */
  readers->ready = 0;
}

static void give_back(tci_pg_readers *readers, tci_pg *pg) {
  (void)pthread_mutex_lock(&readers->mutex);
  readers->out_count--;
  if (pg) readers->idle[readers->idle_count++] = pg;
  (void)pthread_cond_signal(&readers->returned);
  (void)pthread_mutex_unlock(&readers->mutex);
}

/* An idle one, if there is any, as long as there is room. 0: there is none. */
static int reserve(tci_pg_readers *readers, tci_pg **out) {
  int waited = 0;
  (void)pthread_mutex_lock(&readers->mutex);
  while (readers->out_count == TCI_PG_READERS_MAX && !waited) waited = tci_cond_wait(&readers->returned, &readers->mutex, WAIT_US);
  int has_room = readers->out_count < TCI_PG_READERS_MAX;
  if (has_room) readers->out_count++;
  if (has_room && readers->idle_count) *out = readers->idle[--readers->idle_count];
  (void)pthread_mutex_unlock(&readers->mutex);
  return has_room;
}

/* The server may have gone and come back since it was used last. What a snapshot left on its way is taken in first. */
static int revive(tci_pg *pg) {
  PGresult *rest = NULL;
  if (pg->stage == TCI_PG_UP && pg->sent_us) {
    int code = tci_pg_wait(pg, tci_pg_in_ms(TCI_PG_TRY_MS), &rest);
    PQclear(rest);
    if (code) tci_pg_drop(pg, "no answer");
  }
  if (pg->stage != TCI_PG_UP) pg->retry_at_us = 0;
  return tci_pg_up(pg, tci_pg_in_ms(TCI_PG_TRY_MS));
}

int tci_pg_take(tc_storage *storage, tci_pg **out) {
  tci_pg_readers *readers = &storage->readers;
  tci_pg *pg = NULL;
  if (!reserve(readers, &pg)) {
    storage->env.fail(TC_EBUSY, "cannot read %s: all %d connections are in use", storage->home.name, TCI_PG_READERS_MAX);
    return TC_EBUSY;
  }
  int code = TC_OK;
  if (!pg && (pg = tci_alloc(sizeof *pg))) tci_pg_init(pg, &storage->home, TCI_PG_READER);
  if (!pg) storage->env.fail(code = TC_ENOMEM, "");
  else code = revive(pg);
  if (code) {
    if (pg) discard(pg);
    give_back(readers, NULL);
    return code;
  }
  *out = pg;
  return TC_OK;
}

void tci_pg_give(tc_storage *storage, tci_pg *pg) {
  int usable = pg->stage == TCI_PG_UP;
  if (!usable) discard(pg);
  give_back(&storage->readers, usable ? pg : NULL);
}
