/* migrate.c - the schema at open: made, or brought to this release's version, in one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/postgres/postgres.h"

/* What `meta` says; 0 and "": nothing yet. */
typedef struct meta {
  int log, index, work;
  char log_id[TCI_PG_LOG_ID_BYTES * 2 + 1];
} meta;

static int exec(tci_pg *pg, const char *sql) { return tci_pg_exec(pg, sql, tci_pg_in_ms(TCI_PG_READ_MS), NULL); }

static int begin(tci_pg *pg) {
  const tci_pg_home *home = pg->home;
  char sql[512];
  /* CREATE SCHEMA IF NOT EXISTS wants the right to create one, even where it is there. */
  (void)snprintf(sql, sizeof sql,
                 "BEGIN; SELECT pg_advisory_xact_lock(%d, %d); DO $$BEGIN IF to_regnamespace('%s') IS NULL THEN CREATE SCHEMA %s; END IF; END$$;", 0x54634d67,
                 home->schema_key, home->schema_sql, home->schema_sql);
  int code = exec(pg, sql);
  return code ? code : exec(pg, "CREATE TABLE IF NOT EXISTS meta(name text PRIMARY KEY, value text NOT NULL)");
}

static int read_meta(tci_pg *pg, meta *out) {
  PGresult *result = NULL;
  int code = tci_pg_exec(pg, "SELECT name, value FROM meta", tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (code) return code;
  memset(out, 0, sizeof *out);
  for (int i = 0; i < PQntuples(result); i++) {
    const char *name = PQgetvalue(result, i, 0), *value = PQgetvalue(result, i, 1);
    int number = (int)strtol(value, NULL, 10);
    if (!strcmp(name, "log_id")) (void)snprintf(out->log_id, sizeof out->log_id, "%s", value);
    else if (!strcmp(name, "log_version")) out->log = number;
    else if (!strcmp(name, "index_version")) out->index = number;
    else if (!strcmp(name, "work_version")) out->work = number;
  }
  PQclear(result);
  return TC_OK;
}

static int write_meta(tci_pg *pg, const char *name, const char *value) {
  char sql[256];
  (void)snprintf(sql, sizeof sql, "INSERT INTO meta VALUES('%s', '%s') ON CONFLICT (name) DO UPDATE SET value=excluded.value", name, value);
  return exec(pg, sql);
}

static int write_version(tci_pg *pg, const char *name, int version) {
  char text[16];
  (void)snprintf(text, sizeof text, "%d", version);
  return write_meta(pg, name, text);
}

static int run_steps(tci_pg *pg, const tci_pg_migration *steps, const char *name, int version) {
  int code = TC_OK;
  for (; steps->sql && !code; steps++) {
    if (steps->version <= version) continue;
    code = exec(pg, steps->sql);
    if (!code) code = write_version(pg, name, steps->version);
    version = steps->version;
  }
  if (code || version <= steps[-1].version) return code;
  pg->home->env->fail(TC_EVERSION, "the schema %s of %s is of a newer release: its %s is %d, this one knows %d", pg->home->schema, pg->home->name, name,
                      version, steps[-1].version);
  return TC_EVERSION;
}

static int make_log_id(tc_storage *storage, tci_pg *pg, char out[TCI_PG_LOG_ID_BYTES * 2 + 1]) {
  uint8_t bytes[TCI_PG_LOG_ID_BYTES];
  int code = storage->env.random.fill(storage->env.random.userdata, bytes, sizeof bytes);
  if (code) {
    storage->env.fail(code, "cannot get random bytes for the log's id");
    return code;
  }
  for (size_t i = 0; i < sizeof bytes; i++) (void)snprintf(out + i * 2, 3, "%02x", bytes[i]);
  return write_meta(pg, "log_id", out);
}

/* As numbers and not as bytes: every node hashes alike, whatever its byte order. */
static void take_log_id(tc_storage *storage, const char *text) {
  char half[17];
  (void)snprintf(half, sizeof half, "%.16s", text);
  storage->hash_key.k0 = strtoull(half, NULL, 16);
  storage->hash_key.k1 = strtoull(text + 16, NULL, 16);
}

static int read_state(tc_storage *storage, tci_pg *pg, const char *sql, tc_storage_state *state) {
  PGresult *result = NULL;
  int code = tci_pg_exec(pg, sql, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (code) return code;
  if (PQntuples(result) != 1) {
    pg->home->env->fail(code = TC_ECORRUPT, "the schema %s of %s has lost its state", pg->home->schema, pg->home->name);
  } else {
    state->log_seq = storage->log_seq = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    state->last_created_at_us = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    state->index_seq = storage->index_seq = strtoll(PQgetvalue(result, 0, 2), NULL, 10);
    storage->newest_us = strtoll(PQgetvalue(result, 0, 3), NULL, 10);
    atomic_store(&storage->config_version, strtoll(PQgetvalue(result, 0, 4), NULL, 10));
    storage->config_end = -1;
  }
  PQclear(result);
  return code;
}

int tci_pg_read_state(tc_storage *storage, tc_storage_state *state) {
  return read_state(storage, &storage->writer, "SELECT l.seq, l.created_at, i.cursor, i.newest_at, c.version FROM log_end l, index_state i, config_state c",
                    state);
}

static int migrate(tc_storage *storage, tci_pg *pg, meta *found) {
  int code = begin(pg);
  if (!code) code = read_meta(pg, found);
  if (!code) code = run_steps(pg, tci_pg_log_steps, "log_version", found->log);
  if (!code && found->index != tci_pg_index_step.version) {
    code = exec(pg, tci_pg_index_step.sql);
    if (!code) code = write_version(pg, "index_version", tci_pg_index_step.version);
  }
  if (!code) code = run_steps(pg, tci_pg_work_steps, "work_version", found->work);
  if (!code && !*found->log_id) code = make_log_id(storage, pg, found->log_id);
  return code ? code : exec(pg, "COMMIT");
}

/* 1: the schema has this release's tables, but for an index of another version (*has_index = 0). */
static int fits(tci_pg *pg, const meta *found, int *has_index) {
  size_t last = 0;
  while (tci_pg_log_steps[last + 1].sql) last++;
  *has_index = found->index == tci_pg_index_step.version;
  if (found->log == tci_pg_log_steps[last].version && *found->log_id) return 1;
  pg->home->env->fail(TC_EVERSION, "the schema %s of %s is of version %d, this release reads %d: a release that is not older makes it so when it opens it",
                      pg->home->schema, pg->home->name, found->log, tci_pg_log_steps[last].version);
  return 0;
}

int tci_pg_look_at(tc_storage *storage, tci_pg *pg, tc_storage_state *state) {
  static const char *const sql[] = {"SELECT seq, created_at, -1, 0, 0 FROM log_end",
                                    "SELECT l.seq, l.created_at, i.cursor, i.newest_at, 0 FROM log_end l, index_state i"};
  PGresult *result = NULL;
  meta found;
  int has_index = 0;
  int code = tci_pg_exec(pg, "SELECT to_regclass('meta') IS NOT NULL AND to_regclass('log_end') IS NOT NULL", tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code && (PQntuples(result) != 1 || *PQgetvalue(result, 0, 0) != 't'))
    pg->home->env->fail(code = TC_ENOTFOUND, "there is no log in the schema %s of %s", pg->home->schema, pg->home->name);
  PQclear(result);
  if (!code) code = read_meta(pg, &found);
  if (!code && !fits(pg, &found, &has_index)) code = TC_EVERSION;
  if (code) return code;
  take_log_id(storage, found.log_id);
  return read_state(storage, pg, sql[has_index], state);
}

int tci_pg_migrate(tc_storage *storage, tci_pg *pg) {
  meta found;
  int code = migrate(storage, pg, &found);
  if (!code) take_log_id(storage, found.log_id);
  return code; /* on failure the connection is closed, and with it goes the transaction */
}
