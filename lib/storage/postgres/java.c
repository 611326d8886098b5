/* java.c - the Java service's tables (Hibernate made them: contract of that service, no foreign keys, no checks), over a connection of the backend's kind.
 *
 * All of it is one REPEATABLE READ transaction: counts, what does not fit, and events are of one moment, however long it takes. The server sorts; a cursor brings the rows in portions. Numbers
 * are made by the server, exactly: hundredths by numeric, microseconds by whole seconds and the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/java.h"
#include "storage/postgres/postgres.h"

#define FETCH_ROWS "500" /* of texts without a bound */
#define SQL_MAX 6144
#define NO_END (INT64_MAX / 2)

struct tci_java {
  tc_storage_env env;
  tci_pg_home home;
  tci_pg pg;
  int has_tips, has_reactions, has_webhooks, has_keys;
};

static const char session[] = "RESET search_path; SET statement_timeout=0; SET idle_in_transaction_session_timeout=0; RESET enable_seqscan; RESET "
                              "enable_bitmapscan; RESET enable_hashjoin; RESET enable_mergejoin;"
                              " RESET plan_cache_mode; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/* Exact whatever the server's release: extract() gave a double before 14. */
#define US "(extract(epoch FROM date_trunc('second', created_at))::bigint*1000000 + extract(microseconds FROM created_at)::bigint%1000000)"
#define LIVE_KEYS                                                                                                                                \
  "(SELECT DISTINCT ON (resource_type, resource_id) resource_type, resource_id, idempotency_key FROM idempotency_records WHERE expires_at>now()" \
  " ORDER BY resource_type, resource_id, expires_at DESC, idempotency_key)"
#define TIPS "SELECT 1 AS kind, id, " US " AS us, room_id AS room FROM tips"
#define REACTIONS "SELECT 2 AS kind, id, " US " AS us, room_id AS room FROM reactions"

static int exec(tci_java *java, const char *sql, PGresult **out) { return tci_pg_exec(&java->pg, sql, NO_END, out); }

static int64_t number(const PGresult *result, int row, int column) { return strtoll(PQgetvalue(result, row, column), NULL, 10); }

static int look_for_tables(tci_java *java) {
  PGresult *result = NULL;
  int code = exec(java,
                  "SELECT (to_regclass('tips') IS NOT NULL)::int, (to_regclass('reactions') IS NOT NULL)::int, (to_regclass('webhooks') IS NOT NULL)::int,"
                  " (to_regclass('idempotency_records') IS NOT NULL)::int",
                  &result);
  if (code) return code;
  int *const has[] = {&java->has_tips, &java->has_reactions, &java->has_webhooks, &java->has_keys};
  for (int i = 0; i < 4; i++) *has[i] = number(result, 0, i) != 0;
  PQclear(result);
  if (java->has_tips) return TC_OK;
  java->env.fail(TC_ENOTFOUND, "from: %s has no table tips in its search_path: it is no database of the Java service", java->home.name);
  return TC_ENOTFOUND;
}

void tci_java_close(tci_java *java) {
  if (!java) return;
  tci_pg_close(&java->pg);
  tci_pg_home_free(&java->home);
  tci_free(java);
}

int tci_java_open(tci_java **out, const char *url, const tc_storage_env *env) {
  int missing = tci_pg_load(env);
  if (missing) return missing;
  tci_java *java = tci_zalloc(sizeof *java);
  if (!java) {
    env->fail(TC_ENOMEM, "");
    return TC_ENOMEM;
  }
  java->env = *env;
  tci_pg_init(&java->pg, &java->home, TCI_PG_READER);
  java->pg.once = 1;
  int code = tci_pg_home_init(&java->home, &java->env, url);
  /* A name, so that nobody looks for the schema of ours; the session puts the search_path back. */
  (void)snprintf(java->home.schema, sizeof java->home.schema, "public");
  (void)snprintf(java->home.schema_sql, sizeof java->home.schema_sql, "public");
  if (!code) code = tci_pg_up(&java->pg, tci_pg_in_ms(TCI_PG_OPEN_MS));
  if (!code) code = exec(java, session, NULL);
  java->pg.pinned = 1; /* another session would have another view */
  if (!code) code = look_for_tables(java);
  if (code) tci_java_close(java);
  else *out = java;
  return code;
}

int tci_java_count(tci_java *java, tci_java_counts *out) {
  char sql[SQL_MAX];
  PGresult *result = NULL;
  (void)snprintf(sql, sizeof sql, "SELECT (SELECT count(*) FROM tips), %s, %s, %s, coalesce((SELECT min(id) FROM tips), 0), %s, %s",
                 java->has_reactions ? "(SELECT count(*) FROM reactions)" : "0", java->has_webhooks ? "(SELECT count(*) FROM webhooks)" : "0",
                 java->has_keys ? "(SELECT count(*) FROM idempotency_records WHERE expires_at>now())" : "0",
                 java->has_reactions ? "coalesce((SELECT min(id) FROM reactions), 0)" : "0",
                 java->has_webhooks ? "coalesce((SELECT min(id) FROM webhooks), 0)" : "0");
  int code = exec(java, sql, &result);
  if (code) return code;
  int64_t *const to[] = {&out->tips, &out->reactions, &out->webhooks, &out->keys, &out->low_tip, &out->low_reaction, &out->low_webhook};
  for (int i = 0; i < 7; i++) *to[i] = number(result, 0, i);
  PQclear(result);
  return TC_OK;
}

/* All rows of a query by a cursor; fn gets each portion. */
static int walk(tci_java *java, const char *query, int (*fn)(const PGresult *rows, void *arg), void *arg) {
  char sql[SQL_MAX];
  int stop = 0;
  (void)snprintf(sql, sizeof sql, "DECLARE walk NO SCROLL CURSOR FOR %s", query);
  int code = exec(java, sql, NULL);
  while (!code && !stop) {
    PGresult *result = NULL;
    code = exec(java, "FETCH " FETCH_ROWS " FROM walk", &result);
    if (!code) stop = !PQntuples(result) || fn(result, arg);
    PQclear(result);
  }
  return code ? code : exec(java, "CLOSE walk", NULL);
}

typedef struct lines {
  tci_java_line_fn fn;
  void *arg;
} lines;

static int give_lines(const PGresult *rows, void *arg) {
  const lines *l = arg;
  for (int i = 0; i < PQntuples(rows); i++) {
    if (l->fn(PQgetvalue(rows, i, 0), l->arg)) return 1;
  }
  return 0;
}

#define BAD_TIME "created_at IS NULL OR NOT isfinite(created_at) OR created_at<'0001-01-01 00:00:00+00' OR created_at>='10000-01-01 00:00:00+00'"
#define TIME_WORDS                                                                                 \
  "WHEN created_at IS NULL OR NOT isfinite(created_at) THEN 'createdAt: is absent' WHEN " BAD_TIME \
  " THEN 'createdAt: '||created_at||' is beyond the years 1 to 9999'"
#define ABSENT(column, name) "WHEN " column " IS NULL THEN '" name ": is absent'"
#define BAD_AMOUNT "amount IS NULL OR abs(amount)>92233720368547758.07 OR amount<>trunc(amount, 2)"
#define BAD_IDS(table, word)                                                                                                                             \
  "SELECT '" word                                                                                                                                        \
  " '||coalesce(id::text, 'without id')||CASE WHEN id IS NULL OR id<1 THEN ': ids begin at 1' ELSE ': '||count(*)||' rows have this id' END FROM " table \
  " GROUP BY id HAVING count(*)>1 OR id IS NULL OR id<1"

int tci_java_misfits(tci_java *java, tci_java_line_fn fn, void *arg) {
  static const char tips[] = "SELECT 'tip '||coalesce(id::text, '?')||': '||CASE WHEN amount IS NULL THEN 'amount: is absent' WHEN " BAD_AMOUNT
                             " THEN 'amount: '||amount||' does not fit into hundredths of 64 bits' " ABSENT("room_id", "roomId") ABSENT("sender_id", "senderId")
                               ABSENT("recipient_id", "recipientId") TIME_WORDS " END FROM tips WHERE " BAD_AMOUNT " OR room_id IS NULL OR sender_id IS NULL"
                                                                                " OR recipient_id IS NULL OR " BAD_TIME;
  static const char reactions[] = "SELECT 'reaction '||coalesce(id::text, '?')||': '||CASE " ABSENT("room_id", "roomId") ABSENT("user_id", "userId")
    ABSENT("emoji", "emoji") TIME_WORDS " END FROM reactions WHERE room_id IS NULL OR user_id IS NULL OR emoji IS NULL OR " BAD_TIME;
  static const char webhooks[] = "SELECT 'webhook '||coalesce(id::text, '?')||': '||CASE " ABSENT("url", "url") ABSENT("event", "event")
    ABSENT("secret", "secret") TIME_WORDS " END FROM webhooks WHERE url IS NULL OR event IS NULL OR secret IS NULL OR " BAD_TIME;
  const char *const queries[] = {
    BAD_IDS("tips", "tip"),
    tips,
    java->has_reactions ? BAD_IDS("reactions", "reaction") : NULL,
    java->has_reactions ? reactions : NULL,
    java->has_webhooks ? BAD_IDS("webhooks", "webhook") : NULL,
    java->has_webhooks ? webhooks : NULL,
  };
  lines l = {fn, arg};
  int code = TC_OK;
  for (size_t i = 0; i < sizeof queries / sizeof *queries && !code; i++) {
    if (queries[i]) code = walk(java, queries[i], give_lines, &l);
  }
  return code;
}

int tci_java_rank(tci_java *java, const tci_java_place *place, int64_t *out) {
  char sql[SQL_MAX];
  PGresult *result = NULL;
  (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s%s) e WHERE (us, kind, id)<=(%lld, %u, %lld)", TIPS,
                 java->has_reactions ? " UNION ALL " REACTIONS : "", (long long)place->created_at_us, place->kind, (long long)place->id);
  int code = exec(java, sql, &result);
  if (!code) *out = number(result, 0, 0);
  PQclear(result);
  return code;
}

int tci_java_begin(tci_java *java, const tci_java_place *after) {
  static const char tips[] = "SELECT 1 AS kind, id, " US
                             " AS us, (amount*100)::bigint AS amount, room_id, sender_id, recipient_id, message, NULL::text AS target_id, metadata FROM tips";
  static const char reactions[] = " UNION ALL SELECT 2, id, " US ", 0, room_id, user_id, NULL, emoji, target_id, metadata FROM reactions";
  char sql[SQL_MAX], where[128] = "";
  if (after->kind) {
    (void)snprintf(where, sizeof where, " WHERE (us, kind, id)>(%lld, %u, %lld)", (long long)after->created_at_us, after->kind, (long long)after->id);
  }
  (void)snprintf(sql, sizeof sql,
                 "DECLARE events NO SCROLL CURSOR FOR SELECT e.kind, e.id, us, amount, room_id, sender_id, recipient_id, message, target_id, metadata, %s FROM "
                 "(%s%s) e%s%s ORDER BY us, e.kind, e.id",
                 java->has_keys ? "k.idempotency_key" : "NULL::text", tips, java->has_reactions ? reactions : "",
                 java->has_keys ? " LEFT JOIN " LIVE_KEYS " k ON k.resource_id=e.id AND k.resource_type=CASE e.kind WHEN 1 THEN 'Tip' ELSE 'Reaction' END" : "",
                 where);
  return exec(java, sql, NULL);
}

static tc_text text_at(const PGresult *result, int row, int column) {
  tc_text text = {NULL, 0};
  if (PQgetisnull(result, row, column)) return text;
  text.ptr = PQgetvalue(result, row, column);
  text.len = (size_t)PQgetlength(result, row, column);
  return text;
}

int tci_java_next(tci_java *java, tc_row_fn fn, void *arg, size_t *n) {
  static const int columns[] = {TC_COL_ROOM, TC_COL_USER, TC_COL_PEER, TC_COL_BODY, TC_COL_TARGET, TC_COL_METADATA, TC_COL_KEY};
  PGresult *result = NULL;
  int code = exec(java, "FETCH " FETCH_ROWS " FROM events", &result);
  *n = code ? 0 : (size_t)PQntuples(result);
  for (int i = 0; i < (int)*n; i++) {
    tc_record record = {
      .kind = (uint32_t)number(result, i, 0), .id = number(result, i, 1), .created_at_us = number(result, i, 2), .amount = number(result, i, 3)};
    for (int j = 0; j < (int)(sizeof columns / sizeof *columns); j++) record.text[columns[j]] = text_at(result, i, 4 + j);
    (void)fn(&record, arg);
  }
  PQclear(result);
  return code;
}

typedef struct hooks {
  tci_java_webhook_fn fn;
  void *arg;
} hooks;

static const char *string_at(const PGresult *result, int row, int column) { return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column); }

static int give_webhooks(const PGresult *rows, void *arg) {
  const hooks *h = arg;
  for (int i = 0; i < PQntuples(rows); i++) {
    tci_java_webhook webhook = {
      .id = number(rows, i, 0),
      .created_at_us = number(rows, i, 1),
      .updated_at_us = number(rows, i, 2),
      .enabled = number(rows, i, 3) != 0,
      .room = string_at(rows, i, 4),
      .url = string_at(rows, i, 5),
      .event = string_at(rows, i, 6),
      .secret = string_at(rows, i, 7),
      .description = string_at(rows, i, 8),
    };
    if (h->fn(&webhook, h->arg)) return 1;
  }
  return 0;
}

int tci_java_webhooks(tci_java *java, tci_java_webhook_fn fn, void *arg) {
  hooks h = {fn, arg};
  if (!java->has_webhooks) return TC_OK;
  return walk(java,
              "SELECT id, " US
              ", coalesce((extract(epoch FROM date_trunc('second', updated_at))::bigint*1000000 + extract(microseconds FROM updated_at)::bigint%1000000), " US
              "), coalesce(enabled, false)::int, room_id, url, event, secret, description FROM webhooks ORDER BY id",
              give_webhooks, &h);
}
