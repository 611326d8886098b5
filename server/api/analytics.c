/* analytics.c - GET /api/analytics/...: numbers over time, as JSON or CSV. What may be asked and how: docs/analytics.md. */
#include <string.h>

#include "analytics.h"
#include "answer.h"
#include "base/mem.h"
#include "handlers.h"
#include "media.h"
#include "param.h"

#define BODY_MAX_BYTES (128u << 20) /* TC_STATS_ROWS_MAX rows of some 300 bytes; names are bounded by the library */

enum { START, END, GRANULARITY, TZ, CURRENCY, LIMIT, PARAMETERS };
static const char *const names[] = {"startDate", "endDate", "granularity", "tz", "currency", "limit"};

typedef struct asked {
  tc_stats_query query;
  tcd_param_text room;
  const char *values[PARAMETERS]; /* NULL: not given */
  char *storage;                  /* owned: holds the values */
  int64_t limit;
} asked;

static int read_granularity(asked *a, tcd_reply *reply) {
  static const char *const grains[] = {
    [TC_GRAIN_HOUR] = "hour", [TC_GRAIN_QUARTER] = "15m", [TC_GRAIN_DAY] = "day", [TC_GRAIN_WEEK] = "week", [TC_GRAIN_MONTH] = "month"};
  const char *text = a->values[GRANULARITY];
  for (uint32_t i = 0; text && i < sizeof grains / sizeof grains[0]; i++) {
    if (!strcmp(text, grains[i])) {
      a->query.grain = i;
      return 0;
    }
  }
  if (text) tcd_answer_error(reply, 400, "granularity: must be 15m, hour, day, week or month");
  return text ? -1 : 0;
}

/* 0, or -1 with the reply filled; a->storage is to be freed either way. */
static int read_asked(const tcd_match *match, const tcd_request *request, asked *a, tcd_reply *reply) {
  tc_stats_query *query = &a->query;
  memset(a, 0, sizeof *a);
  query->size = sizeof *query;
  a->limit = TC_STATS_ROWS_MAX;
  if (match->param.ptr && tcd_param_name(match->param, "roomId", a->room, reply)) return -1;
  if (match->param.ptr) query->room_id = a->room;
  if (tcd_param_query(request, names, PARAMETERS, a->values, &a->storage, reply)) return -1;
  query->tz = a->values[TZ];
  query->currency = a->values[CURRENCY];
  if (a->values[START]) query->flags |= TC_STATS_FROM;
  if (a->values[END]) query->flags |= TC_STATS_TO;
  if (tcd_param_instant(a->values[START], names[START], &query->from_us, reply) || tcd_param_instant(a->values[END], names[END], &query->to_us, reply))
    return -1;
  return read_granularity(a, reply) || tcd_param_limit(a->values[LIMIT], TC_STATS_ROWS_MAX, &a->limit, reply) ? -1 : 0;
}

typedef struct view {
  int (*make)(tc_engine *engine, const tc_stats_query *query, tc_stats **out);
  int (*put_json)(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);
  int (*put_csv)(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame);
} view;

static void answer(const view *v, const asked *a, const tc_stats *stats, int csv, tcd_reply *reply) {
  tcd_stats_frame frame = {.room = a->query.room_id, .currency = a->query.currency, .limit = (size_t)a->limit};
  reply->body.max = BODY_MAX_BYTES;
  int rc = (csv ? v->put_csv : v->put_json)(&reply->body, stats, &frame);
  if (rc == TC_ELIMIT) {
    tci_buf_clear(&reply->body);
    tcd_answer_error(reply, 400, "startDate: the answer would be too large, ask for a shorter range");
  } else if (rc) {
    tci_buf_clear(&reply->body);
    tcd_answer_code(reply, rc, "");
  } else {
    reply->status = 200;
    reply->content_type = csv ? TCD_MEDIA_CSV "; charset=utf-8; header=present" : TCD_MEDIA_JSON; /* RFC 4180 section 3 */
  }
}

static void serve(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply, const view *v) {
  asked a;
  tc_stats *stats = NULL;
  int csv = tcd_media_weight(request, TCD_MEDIA_CSV) > tcd_media_weight(request, TCD_MEDIA_JSON);
  (void)tci_buf_puts(&reply->headers, "Vary: Accept\r\n");
  if (!read_asked(match, request, &a, reply)) {
    int rc = v->make(app->engine, &a.query, &stats);
    if (rc) tcd_answer_code(reply, rc, tc_last_error());
    else answer(v, &a, stats, csv, reply);
  }
  tc_stats_free(stats);
  tci_free(a.storage);
  tcd_reply_send(reply);
}

void tcd_handle_stats(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const view periods = {tc_stats_periods, tcd_stats_put_periods, tcd_stats_csv_periods};
  serve(app, match, request, reply, &periods);
}

void tcd_handle_stats_emojis(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const view emojis = {tc_stats_emojis, tcd_stats_put_emojis, tcd_stats_csv_emojis};
  serve(app, match, request, reply, &emojis);
}

void tcd_handle_stats_recipients(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const view recipients = {tc_stats_recipients, tcd_stats_put_recipients, tcd_stats_csv_recipients};
  serve(app, match, request, reply, &recipients);
}
