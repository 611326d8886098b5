/* settings.c - what a log was begun with and must be opened with again: kept in the log, because the amounts in it have no meaning without. */
#include "engine/settings.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "engine/nodes.h"
#include "model/currency.h"

#define SETTINGS_ID 1
#define TRIES 10

typedef struct stored {
  char currency[TCI_CURRENCY_LEN + 1]; /* "": the log says nothing, it is new or from before there were currencies */
  int rc;
} stored;

static int read_one(int64_t id, tc_text doc, void *arg) {
  stored *out = arg;
  const char *name = "currency";
  tci_json_value value;
  tci_json_fault fault;
  if (id != SETTINGS_ID) return 0;
  if (tci_json_object(doc.ptr, doc.len, &name, 1, &value, &fault) || value.type != TCI_JSON_STRING || !tci_currency_known(value.raw)) {
    out->rc = tci_fail(TC_ECORRUPT, "the settings in the log cannot be read");
    return 1;
  }
  memcpy(out->currency, value.raw.ptr, TCI_CURRENCY_LEN);
  return 1;
}

static int note_move(int64_t id, tc_text doc, void *arg) {
  (void)id;
  (void)doc;
  *(int *)arg = 1;
  return 1;
}

/* Half a log would be served, and new events would take the numbers of those that are still to come. */
static int refuse_half(tc_engine *engine) {
  int moving = 0;
  int rc = engine->ops->config_read(engine->storage, TC_CONFIG_MOVE, note_move, &moving);
  return !rc && moving ? tci_fail(TC_EBUSY, "a migration or an import into this log has not come to its end: start it again (docs/moving.md)") : rc;
}

static int open_once(tc_engine *engine, const char *wanted) {
  stored log = {.rc = TC_OK};
  int half = refuse_half(engine);
  if (half) return half;
  if (wanted && !tci_currency_known((tc_text){wanted, strlen(wanted)})) {
    return tci_fail(TC_EINVAL, "currency: must be an ISO 4217 code of three capital letters, not \"%.32s\"", wanted);
  }
  int rc = engine->ops->config_read(engine->storage, TC_CONFIG_SETTINGS, read_one, &log);
  if (rc || log.rc) return rc ? rc : log.rc;
  const char *chosen = wanted ? wanted : *log.currency ? log.currency : TCI_CURRENCY_STANDARD;
  memcpy(engine->currency, chosen, sizeof engine->currency);
  if (!strcmp(log.currency, engine->currency)) return TC_OK;
  if (*log.currency && (atomic_load(&engine->log_seq) || !tci_nodes_leads(engine))) {
    return tci_fail(TC_EINVAL, "currency: the amounts in this log are %s, it cannot be opened with %s", log.currency, engine->currency);
  }
  char doc[32];
  int64_t id = SETTINGS_ID;
  int len = snprintf(doc, sizeof doc, "{\"currency\":\"%s\"}", engine->currency);
  return engine->ops->config_put(engine->storage, TC_CONFIG_SETTINGS, &id, (tc_text){doc, (size_t)len});
}

int tci_settings_open(tc_engine *engine, const char *wanted) {
  int32_t changed = 0;
  int rc = open_once(engine, wanted);
  /* Several nodes that begin a log together: one of them says what it is. */
  for (int i = 0; i < TRIES && rc == TC_EBUSY && engine->nodes; i++) {
    rc = engine->ops->config_sync(engine->storage, atomic_load(&engine->log_seq), &changed);
    if (!rc) rc = open_once(engine, wanted);
  }
  return rc;
}

void tci_settings_apply(const tc_engine *engine, tc_record *record) {
  tc_text *currency = &record->text[TC_COL_CURRENCY];
  if (currency->ptr && currency->len == TCI_CURRENCY_LEN && !memcmp(currency->ptr, engine->currency, TCI_CURRENCY_LEN)) *currency = (tc_text){NULL, 0};
}
