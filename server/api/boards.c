/* boards.c - GET /api/leaderboards/...: who gave and who got most, as JSON or CSV, and where one user stands. What may be asked and how: docs/analytics.md. */
#include "server/live/boards.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analytics.h"
#include "answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/timefmt.h"
#include "base/zone.h"
#include "handlers.h"
#include "media.h"
#include "param.h"

#define BODY_MAX_BYTES (1u << 20) /* a hundred rows with the longest ids */
#define US_PER_S INT64_C(1000000)
#define DATE_LEN 10 /* 2024-01-15 */

enum { ROLE, WINDOW, DATE, START, END, CURRENCY, LIMIT, PARAMETERS };
static const char *const names[] = {"role", "window", "date", "startDate", "endDate", "currency", "limit"};
static const char *const roles[] = {[TC_BOARD_SENDERS] = "sender", [TC_BOARD_RECIPIENTS] = "recipient"};
static const char *const windows[] = {
  [TC_WINDOW_ALL] = "all", [TC_WINDOW_DAY] = "day", [TC_WINDOW_WEEK] = "week", [TC_WINDOW_MONTH] = "month", [TC_WINDOW_CUSTOM] = "custom"};

typedef struct asked {
  tc_board_query query;
  tcd_param_text room, user;
  const char *values[PARAMETERS]; /* NULL: not given */
  char *storage;                  /* owned: holds the values */
} asked;

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

/* *out is the value's place in the list; not given: 0. */
static int read_choice(const asked *a, int which, const char *const *list, size_t n, const char *must, uint32_t *out, tcd_reply *reply) {
  const char *text = a->values[which];
  *out = 0;
  for (uint32_t i = 0; text && i < n; i++) {
    if (strcmp(text, list[i]) != 0) continue;
    *out = i;
    return 0;
  }
  if (text) tcd_answer_errorf(reply, 400, "%s: must be %s", names[which], must);
  return text ? -1 : 0;
}

/* A day as it stands in the calendar, of UTC as all these windows are. */
static int read_date(asked *a, tcd_reply *reply) {
  const char *text = a->values[DATE];
  char instant[DATE_LEN + sizeof "T00:00:00Z"];
  if (!text) return 0;
  int shaped = strlen(text) == DATE_LEN && text[4] == '-' && text[7] == '-'; /* else "20240115T0" would be a time of 1970 or none at all */
  (void)snprintf(instant, sizeof instant, "%.*sT00:00:00Z", DATE_LEN, text);
  if (shaped && !tci_time_parse(instant, strlen(instant), &a->query.at_us)) return 0;
  tcd_answer_error(reply, 400, "date: must be a day, as 2024-01-15");
  return -1;
}

/* What does not belong to the window is refused: who gives it means something by it. */
static int read_window(asked *a, tcd_reply *reply) {
  uint32_t window;
  if (read_choice(a, WINDOW, windows, sizeof windows / sizeof windows[0], "all, day, week, month or custom", &window, reply)) return -1;
  int custom = window == TC_WINDOW_CUSTOM, calendar = window != TC_WINDOW_ALL && !custom;
  a->query.window = window;
  if (!custom && (a->values[START] || a->values[END])) {
    tcd_answer_errorf(reply, 400, "%s: goes with window=custom", names[a->values[START] ? START : END]);
    return -1;
  }
  if (a->values[DATE] && !calendar) {
    tcd_answer_error(reply, 400, "date: goes with window=day, week or month");
    return -1;
  }
  if (custom && !a->values[START] && !a->values[END]) {
    tcd_answer_error(reply, 400, "startDate: or endDate must be given with window=custom");
    return -1;
  }
  a->query.at_us = tci_sys_wall_us(NULL);
  a->query.from_us = INT64_MIN;
  a->query.to_us = INT64_MAX;
  return read_date(a, reply) || tcd_param_instant(a->values[START], names[START], &a->query.from_us, reply) ||
             tcd_param_instant(a->values[END], names[END], &a->query.to_us, reply)
           ? -1
           : 0;
}

/* 0, or -1 with the reply filled; a->storage is to be freed either way. */
static int read_asked(const tcd_request *request, asked *a, tcd_reply *reply) {
  int64_t limit = 0;
  a->query = (tc_board_query)TC_BOARD_QUERY_INIT;
  if (tcd_param_query(request, names, PARAMETERS, a->values, &a->storage, reply)) return -1;
  a->query.currency = a->values[CURRENCY];
  if (read_choice(a, ROLE, roles, sizeof roles / sizeof roles[0], "sender or recipient", &a->query.role, reply)) return -1;
  if (read_window(a, reply) || tcd_param_limit(a->values[LIMIT], TC_BOARD_LIMIT_MAX, &limit, reply)) return -1;
  a->query.limit = (int32_t)limit;
  return 0;
}

/* ---- as text ---- */

/* No fraction where there is none, else as many digits as it takes. */
static void put_instant(tci_buf *out, const char *name, int64_t us) {
  char text[TCI_RFC3339_MS_LEN];
  int64_t fraction = us % 1000000;
  if (us == INT64_MIN || us == INT64_MAX) {
    (void)tci_buf_printf(out, ",\"%s\":null", name);
    return;
  }
  if (fraction < 0) fraction += 1000000;
  tci_time_format_ms(us, text);
  (void)tci_buf_printf(out, ",\"%s\":\"%.19s", name, text);
  if (fraction) (void)tci_buf_printf(out, fraction % 1000 ? ".%06d" : ".%03d", (int)(fraction % 1000 ? fraction : fraction / 1000));
  (void)tci_buf_puts(out, "Z\"");
}

static void put_head(tci_buf *out, const tcd_app *app, const asked *a, int64_t from_us, int64_t to_us) {
  (void)tci_buf_puts(out, "{\"roomId\":");
  if (a->query.room_id) (void)tci_json_put_string(out, text_of(a->query.room_id));
  else (void)tci_buf_puts(out, "null");
  (void)tci_buf_printf(out, ",\"role\":\"%s\",\"window\":\"%s\"", roles[a->query.role], windows[a->query.window]);
  put_instant(out, "periodStart", from_us);
  put_instant(out, "periodEnd", to_us);
  /* One that was asked for is known, else the library had refused it. */
  (void)tci_buf_printf(out, ",\"currency\":\"%s\"", a->query.currency ? a->query.currency : tc_engine_currency(app->engine));
}

static void put_board(tci_buf *out, const tcd_app *app, const asked *a, const tc_board *board) {
  int64_t from_us, to_us;
  tc_board_span(board, &from_us, &to_us);
  put_head(out, app, a, from_us, to_us);
  (void)tci_buf_puts(out, ",\"leaderboard\":");
  (void)tcd_board_put_rows(out, board);
  (void)tci_buf_puts(out, "}");
}

static void put_csv(tci_buf *out, const tc_board *board) {
  (void)tci_buf_puts(out, "rank,userId,amount,tips\r\n");
  for (size_t i = 0; i < tc_board_count(board); i++) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    (void)tc_board_at(board, i, &row); /* an index within its count cannot fail */
    (void)tci_buf_printf(out, "%" PRId64 ",", row.rank);
    tcd_csv_put_text(out, row.user_id);
    (void)tci_buf_printf(out, ",%s,%" PRId64 "\r\n", row.total_amount, row.tips);
  }
}

static void answer(tcd_reply *reply, const char *content_type) {
  int rc = reply->body.err;
  reply->status = 200;
  reply->content_type = content_type;
  if (!rc) return;
  tci_buf_clear(&reply->body);
  tcd_answer_code(reply, rc, "");
}

static void serve_board(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  asked a;
  tc_board *board = NULL;
  int csv = tcd_media_weight(request, TCD_MEDIA_CSV) > tcd_media_weight(request, TCD_MEDIA_JSON);
  memset(&a, 0, sizeof a);
  (void)tci_buf_puts(&reply->headers, "Vary: Accept\r\n");
  reply->body.max = BODY_MAX_BYTES;
  if ((match->param.ptr && tcd_param_name(match->param, "roomId", a.room, reply)) || read_asked(request, &a, reply)) goto send;
  if (match->param.ptr) a.query.room_id = a.room;
  int rc = tc_board_top(app->engine, &a.query, &board);
  if (rc) {
    tcd_answer_code(reply, rc, tc_last_error());
  } else if (csv) {
    put_csv(&reply->body, board);
    answer(reply, TCD_MEDIA_CSV "; charset=utf-8; header=present");
  } else {
    put_board(&reply->body, app, &a, board);
    answer(reply, TCD_MEDIA_JSON);
  }
send:
  tc_board_free(board);
  tci_free(a.storage);
  tcd_reply_send(reply);
}

static void put_user(tci_buf *out, const tcd_app *app, const asked *a, const tc_board_row *row) {
  static const int periods[] = {[TC_WINDOW_DAY] = TCI_PERIOD_DAY, [TC_WINDOW_WEEK] = TCI_PERIOD_WEEK, [TC_WINDOW_MONTH] = TCI_PERIOD_MONTH};
  int64_t from_us = a->query.from_us, to_us = a->query.to_us, at_us = a->query.at_us;
  if (a->query.window >= TC_WINDOW_DAY && a->query.window <= TC_WINDOW_MONTH) {
    int64_t from_s, to_s; /* as the library has them of a board */
    tci_zone_period(NULL, periods[a->query.window], at_us / US_PER_S - (at_us % US_PER_S < 0), &from_s, &to_s);
    from_us = from_s * US_PER_S;
    to_us = to_s * US_PER_S;
  }
  put_head(out, app, a, from_us, to_us);
  (void)tci_buf_puts(out, ",\"userId\":");
  (void)tci_json_put_string(out, text_of(a->user));
  if (row->rank > TC_BOARD_RANK_MAX) (void)tci_buf_printf(out, ",\"rank\":\">%d\"", TC_BOARD_RANK_MAX);
  else (void)tci_buf_printf(out, ",\"rank\":%" PRId64, row->rank);
  (void)tci_buf_printf(out, ",\"amount\":%s,\"tips\":%" PRId64 "}", row->total_amount, row->tips);
}

/* room.ptr NULL: all rooms. */
static void serve_user(tcd_app *app, tc_text room, tc_text user, const tcd_request *request, tcd_reply *reply) {
  asked a;
  tc_board_row row = TC_BOARD_ROW_INIT;
  memset(&a, 0, sizeof a);
  reply->body.max = BODY_MAX_BYTES;
  if ((room.ptr && tcd_param_name(room, "roomId", a.room, reply)) || tcd_param_name(user, "userId", a.user, reply) || read_asked(request, &a, reply)) goto send;
  if (room.ptr) a.query.room_id = a.room;
  int rc = tc_board_rank(app->engine, &a.query, a.user, &row);
  if (rc) {
    tcd_answer_code(reply, rc, tc_last_error());
  } else {
    put_user(&reply->body, app, &a, &row);
    answer(reply, TCD_MEDIA_JSON);
  }
send:
  tci_free(a.storage);
  tcd_reply_send(reply);
}

void tcd_handle_board(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) { serve_board(app, match, request, reply); }

void tcd_handle_board_user(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  serve_user(app, (tc_text){NULL, 0}, match->param, request, reply);
}

/* What stands for both {} is "{roomId}/users/{userId}": slashes of ids are encoded. */
void tcd_handle_board_room_user(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  const char *begin = match->param.ptr, *end = begin + match->param.len, *first = memchr(begin, '/', match->param.len), *last = end;
  while (last[-1] != '/') last--;
  serve_user(app, (tc_text){begin, (size_t)(first - begin)}, (tc_text){last, (size_t)(end - last)}, request, reply);
}
