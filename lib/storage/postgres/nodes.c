/* nodes.c - the other nodes: who leads, what they have appended, and telling them of what was appended here. On a connection of its own, which nothing else waits for. Design notes: schema_nodes.c.
 *
 * A NOTIFY is a transaction of its own, after the commit that it speaks of: inside it commits would wait for each other a second time. It may be lost with the connection, so everything is looked
 * at once in a while besides.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/wake.h"
#include "storage/postgres/postgres.h"

#define ANSWER_MS 2000 /* of the watcher's statements, none of which waits for a lock for long */

/* What the server says, and the lease. */
static int ask(tc_storage *storage, int32_t lease_ms, int32_t sends) {
  tci_pg_watch *watch = &storage->watch;
  tci_pg *pg = &storage->watcher;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  tci_pg_int8(pg, watch->view.epoch);
  tci_pg_int4(pg, lease_ms);
  tci_pg_int4(pg, sends);
  tci_pg_int8(pg, watch->view.sender);
  int code = tci_pg_run(pg, TCI_PG_LOOK, tci_pg_in_ms(ANSWER_MS), &result);
  if (!code && PQntuples(result) != 1) storage->env.fail(code = TC_ECORRUPT, "%s has lost its state", storage->home.name);
  if (!code) {
    watch->view = (tc_node_view){.epoch = tci_pg_get8(result, 0, 0),
                                 .log_seq = tci_pg_get8(result, 0, 1),
                                 .index_seq = tci_pg_get8(result, 0, 2),
                                 .facts_seq = tci_pg_get8(result, 0, 3),
                                 .followed = tci_pg_get4(result, 0, 5),
                                 .sender = tci_pg_get8(result, 0, 6),
                                 .shares = (uint32_t)tci_pg_get4(result, 0, 7),
                                 .open_shares = (uint32_t)tci_pg_get4(result, 0, 8)};
    watch->config = tci_pg_get8(result, 0, 4);
    watch->looked_us = tci_sys_monotonic_us(NULL);
    atomic_store(&watch->together, watch->view.followed || !watch->view.epoch);
  }
  PQclear(result);
  return code;
}

static int pass_on(tc_storage *storage, int64_t log_seq) {
  tci_pg *pg = &storage->watcher;
  PGresult *result = NULL;
  char channel[32], text[24];
  (void)snprintf(channel, sizeof channel, TCI_PG_CHANNEL, (unsigned)storage->home.schema_key);
  (void)snprintf(text, sizeof text, "%lld", (long long)log_seq);
  tci_pg_begin(pg);
  tci_pg_text(pg, (tc_text){channel, strlen(channel)});
  tci_pg_text(pg, (tc_text){text, strlen(text)});
  int code = tci_pg_run(pg, TCI_PG_TELL, tci_pg_in_ms(ANSWER_MS), &result);
  PQclear(result);
  return code;
}

/* What other nodes have told: 0: nothing; 1: an end of the log, which the view has now; 2: something else. */
static int take_news(tc_storage *storage) {
  tci_pg *pg = &storage->watcher;
  int news = 0;
  if (pg->stage != TCI_PG_UP || !PQconsumeInput(pg->handle)) return 0; /* the next command notices that it is broken */
  for (PGnotify *told; (told = PQnotifies(pg->handle)) != NULL; PQfreemem(told)) {
    if (told->be_pid == PQbackendPID(pg->handle)) continue; /* our own */
    int64_t seq = strtoll(told->extra, NULL, 10);
    if (seq <= storage->watch.view.log_seq) {
      news = 2;
      continue;
    }
    storage->watch.view.log_seq = seq;
    if (!news) news = 1;
  }
  return news;
}

static void wait_for_news(tc_storage *storage, int64_t until_us) {
  const tci_pg *pg = &storage->watcher;
  struct pollfd fds[2] = {{.fd = storage->watch.bell_fd, .events = POLLIN}, {.fd = pg->stage == TCI_PG_UP ? PQsocket(pg->handle) : -1, .events = POLLIN}};
  int64_t left_us = until_us - tci_sys_monotonic_us(NULL);
  if (left_us > 0 && poll(fds, 2, (int)(left_us / 1000) + 1) > 0 && fds[0].revents) tci_wake_drain(storage->watch.bell_fd);
}

int tci_pg_look(tc_storage *storage, int32_t wait_ms, int32_t lease_ms, int32_t sends, tc_node_view *view) {
  tci_pg_watch *watch = &storage->watch;
  int64_t give_up_us = tci_pg_in_ms(wait_ms), look_us = watch->looked_us + TCI_PG_LOOK_MS * 1000;
  int code = TC_OK, news = wait_ms > 0 ? 0 : 2;
  while (!code && !news) {
    int64_t now_us = tci_sys_monotonic_us(NULL), told = atomic_load(&watch->together) ? atomic_exchange(&watch->told, 0) : 0;
    if (told) code = pass_on(storage, told - 1);
    news = take_news(storage);
    if (now_us >= look_us) news = 2;
    if (code || news || now_us >= give_up_us) break;
    wait_for_news(storage, give_up_us < look_us ? give_up_us : look_us);
  }
  if (!code && news == 2) code = ask(storage, lease_ms, sends);
  if (code) return code;
  *view = watch->view;
  view->config_changed = watch->config > atomic_load(&storage->config_version);
  return TC_OK;
}

void tci_pg_tell(tc_storage *storage, int64_t log_seq) {
  tci_pg_watch *watch = &storage->watch;
  /* Of a lone node nobody is told: who comes looks, and then we know of him. */
  if (atomic_load(&watch->together) && !atomic_exchange(&watch->told, log_seq + 1)) tci_wake_ring(watch->bell_fd);
}

int tci_pg_take_up(tc_storage *storage, int64_t epoch, int64_t *index_seq) {
  tci_pg *pg = &storage->indexer;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  int code = tci_pg_run(pg, TCI_PG_INDEX_CURSOR, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code) {
    storage->index_seq = *index_seq = tci_pg_get8(result, 0, 0);
    storage->newest_us = tci_pg_get8(result, 0, 1);
    storage->index_doubt = 0; /* the session that it was about is over, or this one's own */
    atomic_store(&storage->led, epoch);
  }
  PQclear(result);
  return code;
}

/* Somebody who leads and was killed a moment ago is not gone yet: so a node that is started again at once leads at once. */
int tci_pg_watch_open(tc_storage *storage) {
  tci_pg_watch *watch = &storage->watch;
  int64_t until_us = tci_pg_in_ms(TCI_PG_ENDING_MS);
  watch->bell_fd = tci_wake_open();
  if (watch->bell_fd < 0) {
    storage->env.fail(TC_ELIMIT, "cannot open an eventfd");
    return TC_ELIMIT;
  }
  int code = ask(storage, TCI_PG_LEASE_MS, 0);
  while (!code && !watch->view.epoch && tci_sys_monotonic_us(NULL) < until_us) {
    wait_for_news(storage, tci_pg_in_ms(TCI_PG_ENDING_MS / 10));
    code = ask(storage, TCI_PG_LEASE_MS, 0);
  }
  atomic_store(&storage->led, watch->view.epoch);
  return code;
}

void tci_pg_watch_close(tc_storage *storage) {
  tci_pg *pg = &storage->watcher;
  PGresult *result = NULL;
  if ((storage->watch.view.epoch || storage->watch.view.sender) && pg->stage == TCI_PG_UP) {
    tci_pg_begin(pg);
    tci_pg_int8(pg, storage->watch.view.epoch);
    tci_pg_int8(pg, storage->watch.view.sender);
    (void)tci_pg_run(pg, TCI_PG_RESIGN, tci_pg_in_ms(TCI_PG_TRY_MS), &result); /* else others wait until they see that the session is over */
    PQclear(result);
  }
  tci_wake_close(storage->watch.bell_fd);
  storage->watch.bell_fd = -1;
}
