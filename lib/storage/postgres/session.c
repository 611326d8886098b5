/* session.c - what a new connection is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/postgres/postgres.h"

static int refuse(tci_pg *pg, int code, const char *why) {
  pg->home->env->fail(code, "cannot use the database %s: %s", pg->home->name, why);
  (void)snprintf(pg->why, sizeof pg->why, "%s", why);
  return code;
}

/* Where the tables are: the first schema of a search_path that the URL sets (options=-csearch_path%3Dname), or `tipcurrent`. A search_path of the role or the database is for others. */
static int find_schema(tci_pg *pg, int64_t deadline_us) {
  static const char sql[] = "SELECT s, quote_ident(s), hashtext(s), current_setting('server_encoding') FROM (SELECT CASE WHEN source='client' THEN "
                            "btrim(split_part(setting, ',', 1), ' \"')"
                            " ELSE 'tipcurrent' END FROM pg_settings WHERE name='search_path') t(s)";
  tci_pg_home *home = pg->home;
  PGresult *result = NULL;
  int code = tci_pg_exec(pg, sql, deadline_us, &result);
  if (code) return code;
  const char *schema = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
  if (!*schema || strlen(schema) >= sizeof home->schema || strpbrk(schema, "'\"\\$")) {
    code = refuse(pg, TC_EINVAL, "storage_url: search_path must begin with a schema's name, without quotes, $ and \\ in it");
  } else if (strcmp(PQgetvalue(result, 0, 3), "UTF8") != 0) {
    code = refuse(pg, TC_ENOTSUP, "its encoding is not UTF8");
  } else {
    (void)snprintf(home->schema, sizeof home->schema, "%s", schema);
    (void)snprintf(home->schema_sql, sizeof home->schema_sql, "%s", PQgetvalue(result, 0, 1));
    home->schema_key = (int)strtol(PQgetvalue(result, 0, 2), NULL, 10);
  }
  PQclear(result);
  return code;
}

/* A session is over only when what was sent to it is. So one of our own that the server still takes for alive (the network was cut), or that is still at work, is ended first, and waited for: what
 * this one reads, the former will not change behind its back. */
static int succeed(tci_pg *pg, int64_t deadline_us) {
  PGresult *result = NULL;
  char sql[256];
  if (pg->old_pid) {
    (void)snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid=%d AND backend_start='%s'", pg->old_pid, pg->old_begun);
    int code = tci_pg_exec(pg, sql, deadline_us, &result);
    if (code) return code;
    int is_there = PQntuples(result) > 0;
    PQclear(result);
    if (is_there) return refuse(pg, TC_EBUSY, "its former session is not over yet");
  }
  int code = tci_pg_exec(pg, "SELECT pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid=pg_backend_pid())", deadline_us, &result);
  if (code) return code;
  pg->old_pid = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
  (void)snprintf(pg->old_begun, sizeof pg->old_begun, "%s", PQgetvalue(result, 0, 1));
  PQclear(result);
  return TC_OK;
}

/* Whatever the server's default is. */
#define DURABLE "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')"

int tci_pg_set_up(tci_pg *pg, int64_t deadline_us) {
  /* Who waits for the log's lock asks again, as with SQLite: so "nothing was stored" is sure. The log's commits are durable, and so is what is owed: a node that outlives a crash of the
   * server goes on behind it. What can be made again does not wait for the disk. */
  static const char *const durability[TCI_PG_ROLES] = {
    [TCI_PG_WRITER] = ("SET lock_timeout=500; " DURABLE),     [TCI_PG_INDEXER] = "SET synchronous_commit=off", [TCI_PG_WORKER] = DURABLE,
    [TCI_PG_WATCHER] = "SET synchronous_commit=off", /* taking over sets it for itself */
    [TCI_PG_READER] = "SET default_transaction_read_only=on",
  };
  const int timeout_ms = pg->role == TCI_PG_INDEXER ? TCI_PG_BEHIND_MS : TCI_PG_READ_MS;
  char sql[1024];
  if (PQserverVersion(pg->handle) < 130000) return refuse(pg, TC_ENOTSUP, "it is older than PostgreSQL 13");
  int code = *pg->home->schema ? TC_OK : find_schema(pg, deadline_us);
  if (code) return code;
  /* Every statement here goes by an index; plans by guesses about arrays, made while a table is small, would stay when it no longer is. */
  (void)snprintf(
    sql, sizeof sql,
    "SET search_path=%s; SET statement_timeout=%d; SET idle_in_transaction_session_timeout=%d; SET tcp_user_timeout=10000; SET tcp_keepalives_idle=5;"
    " SET tcp_keepalives_interval=2; SET tcp_keepalives_count=3; SET jit=off; SET enable_seqscan=off; SET enable_bitmapscan=off; SET enable_hashjoin=off;"
    " SET enable_mergejoin=off; SET plan_cache_mode=force_generic_plan; SET client_min_messages=error; SET bytea_output=hex; SET datestyle=ISO; SET "
    "timezone='UTC'; %s",
    pg->home->schema_sql, timeout_ms, TCI_PG_READ_MS, durability[pg->role]);
  code = tci_pg_exec(pg, sql, deadline_us, NULL);
  if (!code && pg->role == TCI_PG_WATCHER) {
    (void)snprintf(sql, sizeof sql, "LISTEN " TCI_PG_CHANNEL, (unsigned)pg->home->schema_key);
    code = tci_pg_exec(pg, sql, deadline_us, NULL);
  }
  if (!code && pg->role <= TCI_PG_WORKER) code = succeed(pg, deadline_us);
  return code;
}
