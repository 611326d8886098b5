/* connection.c - one connection: it comes up without blocking, goes down when it breaks, and comes up again with growing pauses. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "storage/postgres/postgres.h"

#define FAREWELL_MS 50
#define PAUSE_FIRST_US 50000
#define PAUSE_LAST_US 1000000
#define CONNECTING_MAX_US 15000000 /* libpq's own connect_timeout does not count in its asynchronous way */

int64_t tci_pg_in_ms(int64_t ms) { return tci_sys_monotonic_us(NULL) + ms * 1000; }

void tci_pg_init(tci_pg *pg, tci_pg_home *home, tci_pg_role role) {
  memset(pg, 0, sizeof *pg);
  pg->home = home;
  pg->role = role;
  pg->pause_us = PAUSE_FIRST_US;
  for (size_t i = 0; i < TCI_PG_ARGS_MAX; i++) tci_buf_init(&pg->args[i], 1u << 30); /* PostgreSQL's own limit of a value */
}

void tci_pg_close(tci_pg *pg) {
  PQfinish(pg->handle); /* takes NULL */
  pg->handle = NULL;
  pg->stage = TCI_PG_DOWN;
  for (size_t i = 0; i < TCI_PG_ARGS_MAX; i++) tci_buf_free(&pg->args[i]);
}

/* libpq ends its messages with a newline, and some have several lines. */
static void one_line(char *out, size_t size, const char *text) {
  (void)snprintf(out, size, "%s", text && *text ? text : "no reason given");
  for (size_t len = strlen(out); len && strchr("\r\n ", out[len - 1]); len--) out[len - 1] = '\0';
  for (char *at = out; *at; at++) {
    if (*at == '\n' || *at == '\r' || *at == '\t') *at = ' ';
  }
}

void tci_pg_drop(tci_pg *pg, const char *why) {
  if (why != pg->why) one_line(pg->why, sizeof pg->why, why);
  PQfinish(pg->handle);
  pg->handle = NULL;
  pg->stage = TCI_PG_DOWN;
  pg->prepared = 0;
  pg->sent_us = 0;
  /* Where it was lately up it may be again at once. */
  pg->retry_at_us = tci_sys_monotonic_us(NULL) + pg->pause_us;
  pg->pause_us = pg->pause_us * 2 < PAUSE_LAST_US ? pg->pause_us * 2 : PAUSE_LAST_US;
}

/* The server may have ended the session since it was used last (a restart): noticed before something is sent, it costs nobody an open outcome. */
static void look(tci_pg *pg) {
  struct pollfd fd = {.fd = PQsocket(pg->handle), .events = POLLIN};
  /* Where something was said that nobody had asked for, the end mostly follows at once. */
  for (int wait_ms = 0; poll(&fd, 1, wait_ms) > 0; wait_ms = FAREWELL_MS) {
    if (PQconsumeInput(pg->handle) && PQstatus(pg->handle) == CONNECTION_OK && !(fd.revents & (POLLHUP | POLLERR))) {
      if (pg->role == TCI_PG_WATCHER) return; /* other nodes have something to say all the time */
      continue;
    }
    tci_pg_drop(pg, PQerrorMessage(pg->handle));
    pg->retry_at_us = 0;
    return;
  }
}

/* libpq prints them to stderr otherwise. What matters comes as an error, too. */
static void ignore_notice(void *unused, const char *message) {
  (void)unused;
  (void)message;
}

static void begin(tci_pg *pg) {
  static const char *const names[TCI_PG_ROLES] = {"tipcurrent writer", "tipcurrent indexer", "tipcurrent webhooks", "tipcurrent watcher", "tipcurrent reader"};
  /* What stands before dbname may be set otherwise in the URL, what stands behind it not. A peer that is gone is noticed in some 10 s. */
  const char *const keys[] = {"tcp_user_timeout",          "keepalives_idle", "keepalives_interval", "keepalives_count",
                              "fallback_application_name", "dbname",          "client_encoding",     NULL};
  const char *const values[] = {"10000", "5", "2", "3", names[pg->role], pg->home->url, "UTF8", NULL};
  pg->handle = PQconnectStartParams(keys, values, 1);
  if (pg->handle) (void)PQsetNoticeProcessor(pg->handle, ignore_notice, NULL);
  pg->begun_us = tci_sys_monotonic_us(NULL);
  pg->stage = TCI_PG_CONNECTING;
  pg->polling = PGRES_POLLING_WRITING;
}

/* At most until then. 0: it is time. */
static int wait_for(int fd, short events, int64_t deadline_us) {
  struct pollfd entry = {.fd = fd, .events = events};
  int64_t left_us = deadline_us - tci_sys_monotonic_us(NULL);
  if (left_us <= 0) return 0;
  return poll(&entry, fd < 0 ? 0 : 1, (int)(left_us / 1000) + 1) > 0;
}

/* One step of connecting. Drops it when it has failed. */
static void go_on(tci_pg *pg, int64_t deadline_us) {
  if (!pg->handle || PQstatus(pg->handle) == CONNECTION_BAD) {
    tci_pg_drop(pg, pg->handle ? PQerrorMessage(pg->handle) : "out of memory");
    return;
  }
  if (!wait_for(PQsocket(pg->handle), pg->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_us)) {
    if (tci_sys_monotonic_us(NULL) - pg->begun_us > CONNECTING_MAX_US) tci_pg_drop(pg, "no answer");
    return;
  }
  pg->polling = PQconnectPoll(pg->handle);
  if (pg->polling == PGRES_POLLING_FAILED) tci_pg_drop(pg, PQerrorMessage(pg->handle));
}

static int not_yet(tci_pg *pg) {
  const char *why = pg->stage == TCI_PG_DOWN ? pg->why : "it has not answered yet";
  pg->home->env->fail(TC_EBUSY, "cannot reach the database %s: %s", pg->home->name, why);
  return TC_EBUSY;
}

int tci_pg_up(tci_pg *pg, int64_t deadline_us) {
  if (pg->stage == TCI_PG_UP && !pg->sent_us) look(pg);
  if (pg->pinned && pg->stage != TCI_PG_UP) return not_yet(pg);
  while (pg->stage != TCI_PG_UP) {
    if (pg->stage == TCI_PG_DOWN) {
      while (tci_sys_monotonic_us(NULL) < pg->retry_at_us) {
        if (tci_sys_monotonic_us(NULL) >= deadline_us) return not_yet(pg);
        (void)wait_for(-1, 0, pg->retry_at_us < deadline_us ? pg->retry_at_us : deadline_us);
      }
      begin(pg);
    }
    go_on(pg, deadline_us);
    if (pg->once && pg->stage == TCI_PG_DOWN) return not_yet(pg);
    if (pg->stage == TCI_PG_CONNECTING && pg->polling == PGRES_POLLING_OK) {
      pg->stage = TCI_PG_UP;
      pg->lost = 0;
      int code = PQsetnonblocking(pg->handle, 1) ? TC_ENOMEM : tci_pg_set_up(pg, tci_pg_in_ms(TCI_PG_READ_MS));
      if (code) {
        tci_pg_drop(pg, *pg->why ? pg->why : "cannot set the session up");
        return code;
      }
      pg->pause_us = PAUSE_FIRST_US;
      pg->why[0] = '\0';
      return TC_OK;
    }
    if (pg->stage != TCI_PG_UP && tci_sys_monotonic_us(NULL) >= deadline_us) return not_yet(pg);
  }
  return TC_OK;
}
