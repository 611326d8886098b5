/* config.c - documents of configuration, beside the log and as durable. There are few and they change seldom. */
#include "storage/postgres/postgres.h"

static int check_arguments(const tc_storage *storage, uint32_t kind, int64_t id, tc_text doc) {
  const char *wrong = NULL;
  if (!kind || kind > TC_KIND_MAX) wrong = "kind: must be 1 to 63";
  else if (id < 0) wrong = "id: must not be negative";
  else if (!doc.ptr || doc.len > TC_CONFIG_DOC_MAX) wrong = "doc: must be a text of at most 1 MiB";
  if (!wrong) return TC_OK;
  storage->env.fail(TC_EINVAL, "%s", wrong);
  return TC_EINVAL;
}

/* What the change was decided on goes with it; each counts. Whose answer is lost looks like another node's: the next sync says so. */
static int change(tc_storage *storage, tci_pg_statement statement, PGresult **result) {
  tci_pg *pg = &storage->writer;
  tci_pg_int8(pg, atomic_load(&storage->config_version));
  if (storage->config_end < 0) tci_pg_null(pg);
  else tci_pg_int8(pg, storage->config_end);
  int code = tci_pg_run(pg, statement, tci_pg_in_ms(TCI_PG_ANSWER_MS), result);
  if (!code) atomic_fetch_add(&storage->config_version, 1);
  return code && pg->lost ? TC_EUNKNOWN : code;
}

int tci_pg_config_sync(tc_storage *storage, int64_t log_seq, int32_t *changed) {
  tci_pg *pg = &storage->writer;
  PGresult *result = NULL;
  tci_pg_begin(pg);
  int code = tci_pg_run(pg, TCI_PG_CONFIG_VERSION, tci_pg_in_ms(TCI_PG_ANSWER_MS), &result);
  int64_t version = code ? 0 : tci_pg_get8(result, 0, 0);
  PQclear(result);
  if (code) return code;
  *changed = atomic_exchange(&storage->config_version, version) != version;
  storage->config_end = log_seq;
  return TC_OK;
}

int tci_pg_config_put(tc_storage *storage, uint32_t kind, int64_t *id, tc_text doc) {
  tci_pg *pg = &storage->writer;
  PGresult *result = NULL;
  int code = check_arguments(storage, kind, *id, doc);
  if (!code) code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_TRY_MS));
  if (code) return code;
  tci_pg_begin(pg);
  tci_pg_int4(pg, (int32_t)kind);
  tci_pg_int8(pg, *id);
  tci_pg_text(pg, doc);
  code = change(storage, TCI_PG_CONFIG_PUT, &result);
  if (!code) *id = tci_pg_get8(result, 0, 0);
  PQclear(result);
  return code;
}

int tci_pg_config_remove(tc_storage *storage, uint32_t kind, int64_t id) {
  tci_pg *pg = &storage->writer;
  PGresult *result = NULL;
  int code = tci_pg_up(pg, tci_pg_in_ms(TCI_PG_TRY_MS));
  if (code) return code;
  tci_pg_begin(pg);
  tci_pg_int4(pg, (int32_t)kind);
  tci_pg_int8(pg, id);
  code = change(storage, TCI_PG_CONFIG_REMOVE, &result);
  if (!code && !tci_pg_get4(result, 0, 0)) storage->env.fail(code = TC_ENOTFOUND, "no document of kind %u has id %lld", kind, (long long)id);
  PQclear(result);
  return code;
}

int tci_pg_config_last(tc_storage *storage, uint32_t kind, int64_t *id) {
  tci_pg *pg = NULL;
  PGresult *result = NULL;
  int code = tci_pg_take(storage, &pg);
  if (code) return code;
  tci_pg_begin(pg);
  tci_pg_int4(pg, (int32_t)kind);
  code = tci_pg_run(pg, TCI_PG_CONFIG_LAST, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  if (!code) *id = tci_pg_get8(result, 0, 0);
  PQclear(result);
  tci_pg_give(storage, pg);
  return code;
}

int tci_pg_config_read(tc_storage *storage, uint32_t kind, tc_config_fn fn, void *arg) {
  tci_pg *pg = NULL;
  PGresult *result = NULL;
  int code = tci_pg_take(storage, &pg);
  if (code) return code;
  tci_pg_begin(pg);
  tci_pg_int4(pg, (int32_t)kind);
  code = tci_pg_run(pg, TCI_PG_CONFIG_READ, tci_pg_in_ms(TCI_PG_READ_MS), &result);
  for (int i = 0; !code && i < PQntuples(result); i++) {
    if (fn(tci_pg_get8(result, i, 0), tci_pg_get(result, i, 1), arg)) break;
  }
  PQclear(result);
  tci_pg_give(storage, pg);
  return code;
}
