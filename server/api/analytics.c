/* analytics.c - GET /api/analytics/...: numbers over time, as JSON or CSV. What may be asked and how: docs/analytics.md. */
#include <string.h>

#include "analytics.h"
#include "answer.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "handlers.h"
#include "media.h"
#include "query.h"

#define ROOM_MAX_CODE_POINTS 255    /* as in events; docs/events.md */
#define BODY_MAX_BYTES (128u << 20) /* TC_STATS_ROWS_MAX rows of some 300 bytes; names are bounded by the library */

enum { START, END, GRANULARITY, TZ, CURRENCY, LIMIT, PARAMETERS };
static const char *const names[] = {"startDate", "endDate", "granularity", "tz", "currency", "limit"};

typedef struct asked {
  tc_stats_query query;
  char room[ROOM_MAX_CODE_POINTS * 12 + 1]; /* four bytes a code point, three times as long when encoded */
  const char *values[PARAMETERS];           /* decoded; NULL: not given, or empty, which is the same here */
  char *storage;                            /* owned: holds the values */
  int64_t limit;
} asked;

static int read_room(const tcd_match *match, asked *a, tcd_reply *reply) {
  size_t len = 0, code_points = 0;
  if (!match->param.ptr) return 0;
  const char *wrong = match->param.len >= sizeof a->room ? "must have at most 255 characters" : tcd_decode(match->param, TCD_DECODE_PATH, a->room, &len);
  if (!wrong && (!tci_utf8_valid(a->room, len, &code_points) || code_points > ROOM_MAX_CODE_POINTS)) wrong = "must have at most 255 characters";
  if (wrong) {
    tcd_answer_errorf(reply, 400, "roomId: %s", wrong);
    return -1;
  }
  a->room[len] = '\0';
  a->query.room_id = a->room;
  return 0;
}

static int read_date(asked *a, int which, uint32_t flag, int64_t *out, tcd_reply *reply) {
  const char *text = a->values[which];
  if (!text) return 0;
  if (tci_time_parse(text, strlen(text), out)) {
    /* The space is a plus that was not encoded: the mistake that people make. */
    tcd_answer_errorf(reply, 400, "%s: must be an instant, as 2024-01-15T10:00:00Z%s", names[which],
                      strchr(text, ' ') ? " (a plus in a query is written %2B)" : "");
    return -1;
  }
  a->query.flags |= flag;
  return 0;
}

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

static int read_limit(asked *a, tcd_reply *reply) {
  const char *text = a->values[LIMIT];
  a->limit = TC_STATS_ROWS_MAX;
  if (!text || (!tcd_parse_int(text, strlen(text), &a->limit) && a->limit >= 1 && a->limit <= TC_STATS_ROWS_MAX)) return 0;
  tcd_answer_errorf(reply, 400, "limit: must be a whole number from 1 to %d", TC_STATS_ROWS_MAX);
  return -1;
}

/* 0, or -1 with the reply filled; a->storage is to be freed either way. */
static int read_asked(const tcd_match *match, const tcd_request *request, asked *a, tcd_reply *reply) {
  tcd_query_fault fault;
  memset(a, 0, sizeof *a);
  a->query.size = sizeof a->query;
  a->storage = tci_alloc(request->query.len + 1);
  if (!a->storage) {
    tcd_answer_code(reply, TC_ENOMEM, "");
    return -1;
  }
  if (read_room(match, a, reply)) return -1;
  if (tcd_query_read(request->query, names, PARAMETERS, a->values, a->storage, &fault)) {
    tcd_answer_errorf(reply, 400, "%s: %s", fault.name, fault.what);
    return -1;
  }
  for (int i = 0; i < PARAMETERS; i++) {
    if (a->values[i] && !*a->values[i]) a->values[i] = NULL;
  }
  a->query.tz = a->values[TZ];
  a->query.currency = a->values[CURRENCY];
  if (read_date(a, START, TC_STATS_FROM, &a->query.from_us, reply) || read_date(a, END, TC_STATS_TO, &a->query.to_us, reply)) return -1;
  return read_granularity(a, reply) || read_limit(a, reply) ? -1 : 0;
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
