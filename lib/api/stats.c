#include "tipcurrent/stats.h"

#include <string.h>

#include "api/enter.h"
#include "api/sized.h"
#include "api/text.h"
#include "base/mem.h"
#include "engine/stats.h"
#include "model/currency.h"

/* TCI_ZONEINFO: meson's option zoneinfo. A file of one to four KiB is read and parsed in 7 us: no cache, so that an update of the database is seen without a restart. UTC needs none. */
static int take_zone(const char *name, tci_zone **zone) {
  if (!name || !strcmp(name, "UTC")) return TC_OK;
  int rc = tci_zone_load(zone, TCI_ZONEINFO, name);
  if (rc == TC_ENOTFOUND || rc == TC_EINVAL) return tci_fail(TC_EINVAL, "tz: %.64s is no time zone that " TCI_ZONEINFO " has", name);
  return rc ? tci_fail(rc, "the time zone %.64s cannot be read", name) : TC_OK;
}

static int take_currency(const tc_engine *engine, const char *code, tci_stats_request *request) {
  request->standard = tci_text_of(engine->currency);
  request->currency = (tc_text){"", 0};
  if (!code || !strcmp(code, engine->currency)) return TC_OK;
  request->currency = tci_text_of(code);
  return tci_currency_known(request->currency) ? TC_OK : tci_fail(TC_EINVAL, "currency: must be an ISO 4217 code, in capital letters");
}

typedef int (*maker)(tc_engine *engine, const tci_stats_request *request, tc_stats **out);

static int make(tc_engine *engine, const tc_stats_query *query, maker fn, tc_stats **out) {
  tc_stats_query q;
  tci_zone *zone = NULL;
  tci_stats_request request = {.from_us = INT64_MIN, .to_us = INT64_MAX};
  TCI_ENTER();
  if (!engine || !out) return tci_fail(TC_EINVAL, "%s: must not be NULL", engine ? "out" : "engine");
  int rc = tci_sized_in(&q, sizeof q, TCI_SIZED_UP_TO(tc_stats_query, grain), query, "query");
  if (rc) return rc;
  if (q.flags & ~(uint32_t)(TC_STATS_FROM | TC_STATS_TO)) return tci_fail(TC_EINVAL, "flags: 0x%x has bits that are not defined", q.flags);
  if (q.grain > TC_GRAIN_MONTH) return tci_fail(TC_EINVAL, "granularity: %u is not defined", q.grain);
  rc = take_currency(engine, q.currency, &request);
  if (!rc) rc = take_zone(q.tz, &zone);
  if (rc) return rc;
  if (q.flags & TC_STATS_FROM) request.from_us = q.from_us;
  if (q.flags & TC_STATS_TO) request.to_us = q.to_us;
  if (q.room_id && !*q.room_id) request.to_us = request.from_us; /* "" stands for all rooms further down */
  request.room = q.room_id ? tci_text_of(q.room_id) : (tc_text){"", 0};
  request.zone = zone;
  request.grain = q.grain;
  rc = fn(engine, &request, out);
  tci_zone_free(zone);
  return rc;
}

int tc_stats_periods(tc_engine *engine, const tc_stats_query *query, tc_stats **out) { return make(engine, query, tci_stats_periods, out); }

int tc_stats_emojis(tc_engine *engine, const tc_stats_query *query, tc_stats **out) { return make(engine, query, tci_stats_emojis, out); }

int tc_stats_recipients(tc_engine *engine, const tc_stats_query *query, tc_stats **out) { return make(engine, query, tci_stats_recipients, out); }

int tc_stats_rebuild(tc_engine *engine, int64_t from_us, int64_t to_us, int64_t *changed) {
  int64_t found = 0;
  TCI_ENTER();
  if (!engine) return tci_fail(TC_EINVAL, "engine: must not be NULL");
  if ((from_us != INT64_MIN && from_us % TCI_QUARTER_US) || (to_us != INT64_MAX && to_us % TCI_QUARTER_US)) {
    return tci_fail(TC_EINVAL, "bounds must be multiples of 15 minutes");
  }
  if (tci_engine_on_own_thread(engine)) return tci_fail(TC_EINVAL, "this waits for the indexer: not from a callback of the engine");
  int rc = tci_stats_ready(engine);
  from_us = tci_stats_quarter_up(from_us);
  to_us = tci_stats_quarter_up(to_us);
  if (!rc && from_us < to_us) rc = tci_rollup_rebuild(engine, from_us, to_us, &found);
  if (!rc && changed) *changed = found;
  return rc;
}

size_t tc_stats_count(const tc_stats *stats) { return stats->count; }

static int fill(const tci_stats_row *from, tc_stats_row *out) {
  tc_stats_row row = TC_STATS_ROW_INIT;
  int rc = tci_sized_in(&row, sizeof row, TCI_SIZED_UP_TO(tc_stats_row, average_amount), out, "row");
  if (rc) return rc;
  row.start_us = from->start_us;
  row.end_us = from->end_us;
  row.name = from->name;
  row.tips = from->tips;
  row.amount = from->sum > INT64_MAX ? INT64_MAX : (int64_t)from->sum;
  row.reactions = from->reactions;
  row.unique_senders = from->unique[0];
  row.unique_recipients = from->unique[1];
  row.unique_reactors = from->unique[2];
  tci_stats_print(from->sum, row.total_amount);
  tci_stats_print(tci_stats_average(from->sum, from->tips), row.average_amount);
  size_t size = out->size;
  memcpy(out, &row, size < sizeof row ? size : sizeof row);
  out->size = size;
  return TC_OK;
}

int tc_stats_at(const tc_stats *stats, size_t i, tc_stats_row *row) {
  TCI_ENTER();
  if (i >= stats->count) return tci_fail(TC_EINVAL, "there is no row %zu", i);
  return fill(&stats->rows[i], row);
}

int tc_stats_total(const tc_stats *stats, tc_stats_row *row) {
  TCI_ENTER();
  return fill(&stats->total, row);
}

const char *tc_stats_currencies(const tc_stats *stats) { return stats->currencies; }

void tc_stats_free(tc_stats *stats) {
  if (!stats) return;
  tci_free(stats->rows);
  tci_free(stats->names);
  tci_free(stats);
}
