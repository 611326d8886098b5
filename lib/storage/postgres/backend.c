#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "storage/postgres/postgres.h"
#include "storage/schemes.h"

void tci_pg_home_free(tci_pg_home *home) {
  if (home->url) memset(home->url, 0, strlen(home->url)); /* the password */
  tci_free(home->url);
  home->url = NULL;
}

static void close_all(tc_storage *storage) {
  if (!storage) return;
  tci_pg_readers_close(&storage->readers);
  tci_pg_watch_close(storage);
  tci_pg_close(&storage->watcher);
  tci_pg_close(&storage->writer);
  tci_pg_close(&storage->indexer);
  tci_pg_close(&storage->worker);
  tci_pg_home_free(&storage->home);
  tci_free(storage->attempt.known);
  tci_free(storage);
}

static int out_of_memory(const tc_storage_env *env) {
  env->fail(TC_ENOMEM, "");
  return TC_ENOMEM;
}

/* libpq quotes what it cannot read, which may be the password. These two quote a parameter's name. */
static int wrong_url(const tc_storage_env *env, const char *message) {
  int harmless = message && (!strncmp(message, "invalid URI query parameter", 27) || !strncmp(message, "invalid connection option", 25));
  if (harmless) env->fail(TC_EINVAL, "storage_url: %.*s", (int)strcspn(message, "\n"), message);
  else env->fail(TC_EINVAL, "storage_url: must be postgresql://[user[:password]@][host][:port][/database][?option=value&...], with other characters as %%XX");
  return TC_EINVAL;
}

/* host:port/database, for messages. */
static void take_name(tci_pg_home *home, const PQconninfoOption *options) {
  const char *host = NULL, *port = NULL, *database = NULL;
  for (; options->keyword; options++) {
    if (!options->val || !*options->val) continue;
    if (!strcmp(options->keyword, "host")) host = options->val;
    if (!strcmp(options->keyword, "port")) port = options->val;
    if (!strcmp(options->keyword, "dbname")) database = options->val;
  }
  (void)snprintf(home->name, sizeof home->name, "%s%s%s/%s", host ? host : "local", port ? ":" : "", port ? port : "", database ? database : "");
}

int tci_pg_home_init(tci_pg_home *home, const tc_storage_env *env, const char *url) {
  home->env = env;
  char *message = NULL;
  if (!strstr(url, "://") || strlen(url) > 4096) return wrong_url(home->env, NULL);
  PQconninfoOption *options = PQconninfoParse(url, &message);
  int code = options ? TC_OK : wrong_url(home->env, message);
  if (options) take_name(home, options);
  PQconninfoFree(options);
  PQfreemem(message); /* takes NULL */
  if (code) return code;
  home->url = tci_strndup(url, strlen(url));
  return home->url ? TC_OK : out_of_memory(home->env);
}

static int connect_first(tci_pg *pg) {
  pg->once = 1;
  int code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_OPEN_MS));
  pg->once = 0;
  return code == TC_EBUSY ? TC_ESTORAGE : code; /* here nobody asks again by himself */
}

int tci_pg_load(const tc_storage_env *env) {
  char why[TCI_LIBRARY_WHY_SIZE];
  int missing = tci_library_load(&tci_libpq_library, why);
  if (missing) env->fail(missing, "storage_url: a postgresql: URL needs libpq: %s", why);
  return missing;
}

static int postgres_open(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state) {
  tc_storage_state found = {0};
  int missing = tci_pg_load(env);
  if (missing) return missing;
  tc_storage *storage = tci_zalloc(sizeof *storage);
  if (!storage) return out_of_memory(env);
  storage->env = *env;
  tci_pg_init(&storage->writer, &storage->home, TCI_PG_WRITER);
  tci_pg_init(&storage->indexer, &storage->home, TCI_PG_INDEXER);
  tci_pg_init(&storage->worker, &storage->home, TCI_PG_WORKER);
  tci_pg_init(&storage->watcher, &storage->home, TCI_PG_WATCHER);
  storage->watch.bell_fd = -1;
  int code = tci_pg_home_init(&storage->home, &storage->env, url);
  if (!code && tci_pg_readers_init(&storage->readers)) code = out_of_memory(env);
  if (!code) code = connect_first(&storage->writer);
  if (!code) code = connect_first(&storage->indexer);
  if (!code) code = connect_first(&storage->worker);
  if (!code) code = connect_first(&storage->watcher);
  if (!code) code = tci_pg_migrate(storage, &storage->writer);
  if (!code) code = tci_pg_watch_open(storage); /* first: what a leader reads nobody else changes any more */
  if (!code) code = tci_pg_read_state(storage, &found);
  if (code) {
    close_all(storage);
    return code;
  }
  *state = found;
  *out = storage;
  return TC_OK;
}

/* As open, without the writer and its lock: what reads has its own connections. */
static int postgres_look(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state) {
  tc_storage_state found = {0};
  tci_pg pg;
  int missing = tci_pg_load(env);
  if (missing) return missing;
  tc_storage *storage = tci_zalloc(sizeof *storage);
  if (!storage) return out_of_memory(env);
  storage->env = *env;
  storage->watch.bell_fd = -1;
  int code = tci_pg_home_init(&storage->home, &storage->env, url);
  if (!code && tci_pg_readers_init(&storage->readers)) code = out_of_memory(env);
  tci_pg_init(&pg, &storage->home, TCI_PG_READER);
  pg.once = 1;
  if (!code) code = tci_pg_up(&pg, tci_pg_in_ms(TCI_PG_OPEN_MS));
  if (!code) code = tci_pg_look_at(storage, &pg, &found);
  tci_pg_close(&pg);
  if (code) {
    close_all(storage);
    return code;
  }
  *state = found;
  *out = storage;
  return TC_OK;
}

/* ---- check ---- */

/* Each gives rows only where something is wrong. */
static const char *const contradictions[][2] = {
  {"SELECT FROM log_end l, (SELECT count(*) AS n, coalesce(min(seq), 1) AS low, coalesce(max(seq), 0) AS high FROM events) e WHERE e.low<>1 OR e.n<>e.high OR "
   "l.seq<>e.high",
   "events are missing"},
  {"SELECT FROM log_end l, (SELECT kind, max(id) AS id FROM events GROUP BY kind) e WHERE l.ids[e.kind]<e.id", "a kind's last number is too low"},
  {"SELECT FROM keys k LEFT JOIN events e ON e.seq=k.seq WHERE e.key IS NULL OR e.created_at<>k.created_at", "a key is that of no event"},
  {"SELECT FROM index_state i, log_end l WHERE i.cursor>l.seq OR i.facts_cursor>i.cursor", "indexes events that the log does not have"},
  {"SELECT FROM (SELECT h, g, sum(coalesce(length(entries)/16, 1)) AS n, (array_agg(total ORDER BY at DESC, seq DESC))[1] AS total FROM postings GROUP BY h, "
   "g) p WHERE n<>total",
   "a list's length is not that of its entries"},
  {"SELECT FROM postings WHERE (low_at IS NULL)<>(entries IS NULL) OR low_at>at OR length(entries)%16<>0", "a list's row contradicts itself"},
  {"SELECT FROM counts c WHERE kept<>(SELECT count(*) FROM deliveries d WHERE d.webhook=c.webhook)", "counts deliveries that are not there"},
  {"SELECT FROM work_state WHERE kept<>(SELECT count(*) FROM deliveries) OR kept<>(SELECT coalesce(sum(kept), 0) FROM counts) OR last_id<(SELECT "
   "coalesce(max(id), 0) FROM deliveries)",
   "delivery rows are missing"},
  {"SELECT FROM (SELECT count(*) AS n FROM work_shares) w WHERE n<>16", "how far webhooks are is not known"},
  {"SELECT FROM owed o WHERE ready<>(lane=-1 OR NOT EXISTS(SELECT FROM owed p WHERE p.webhook=o.webhook AND p.lane=o.lane AND p.lane<>-1 AND p.seq<o.seq))",
   "has a lane without its first"},
};

static int check_all(tci_pg *pg) {
  static const char begin[] = "SET statement_timeout=0; SET enable_seqscan=on; SET enable_hashjoin=on; SET enable_mergejoin=on; SET enable_bitmapscan=on;"
                              " SET idle_in_transaction_session_timeout=0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
  const int64_t no_end = INT64_MAX / 2;
  int code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_OPEN_MS));
  if (!code) code = tci_pg_exec(pg, begin, no_end, NULL);
  for (size_t i = 0; i < sizeof contradictions / sizeof *contradictions && !code; i++) {
    PGresult *result = NULL;
    char sql[512];
    (void)snprintf(sql, sizeof sql, "%s LIMIT 1", contradictions[i][0]);
    code = tci_pg_exec(pg, sql, no_end, &result);
    if (!code && PQntuples(result)) pg->home->env->fail(code = TC_ECORRUPT, "%s: %s", pg->home->name, contradictions[i][1]);
    PQclear(result);
  }
  return code;
}

/* On a connection of its own: it takes long. */
static int postgres_check(tc_storage *storage) {
  tci_pg pg;
  tci_pg_init(&pg, &storage->home, TCI_PG_READER);
  int code = check_all(&pg);
  tci_pg_close(&pg);
  return code;
}

const tc_storage_ops tci_postgres_ops = {
  .size = sizeof(tc_storage_ops),
  .abi = TC_STORAGE_ABI,
  .scheme = "postgresql",
  .open = postgres_open,
  .close = close_all,
  .append = tci_pg_append,
  .append_outcome = tci_pg_append_outcome,
  .read_log = tci_pg_read_log,
  .derive = tci_pg_derive,
  .idle = tci_pg_idle,
  .snapshot = tci_pg_snapshot,
  .snapshot_end = tci_pg_snapshot_end,
  .scan = tci_pg_scan,
  .count = tci_pg_count,
  .fetch = tci_pg_fetch,
  .find_id = tci_pg_find_id,
  .config_put = tci_pg_config_put,
  .config_remove = tci_pg_config_remove,
  .config_read = tci_pg_config_read,
  .work_commit = tci_pg_work_commit,
  .work_hold = tci_pg_work_hold,
  .work_state = tci_pg_work_state,
  .work_due = tci_pg_work_due,
  .work_next = tci_pg_work_next,
  .work_forget = tci_pg_work_forget,
  .deliveries = tci_pg_deliveries,
  .delivery_get = tci_pg_delivery_get,
  .work_trim = tci_pg_work_trim,
  .facts_cursor = tci_pg_facts_cursor,
  .facts_commit = tci_pg_facts_commit,
  .fact_first = tci_pg_fact_first,
  .facts_scan = tci_pg_facts_scan,
  .check = postgres_check,
  .open_read = postgres_look,
  .import_rows = tci_pg_import,
  .config_last = tci_pg_config_last,
  .owed_read = tci_pg_owed_read,
  .look = tci_pg_look,
  .tell = tci_pg_tell,
  .take_up = tci_pg_take_up,
  .follow_log = tci_pg_follow_log,
  .append_on = tci_pg_append_on,
  .config_sync = tci_pg_config_sync,
};
