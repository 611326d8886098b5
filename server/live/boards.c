#include "server/live/boards.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/timefmt.h"
#include "server/live/watch.h"

#define ROWS 10
#define MESSAGE_MAX (256u << 10) /* forty rows with ids of 255 code points */
#define DAY_US (INT64_C(86400) * 1000000)

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

int tcd_board_put_rows(tci_buf *out, const tc_board *board) {
  (void)tci_buf_puts(out, "[");
  for (size_t i = 0; i < tc_board_count(board) && !out->err; i++) {
    tc_board_row row = TC_BOARD_ROW_INIT;
    (void)tc_board_at(board, i, &row); /* an index within its count cannot fail */
    (void)tci_buf_printf(out, "%s{\"rank\":%" PRId64 ",\"userId\":", i ? "," : "", row.rank);
    (void)tci_json_put_string(out, text_of(row.user_id));
    (void)tci_buf_printf(out, ",\"amount\":%s,\"tips\":%" PRId64 "}", row.total_amount, row.tips);
  }
  return tci_buf_puts(out, "]");
}

/* "all":{"senders":[...],"recipients":[...]} */
static int put_window(tci_buf *out, tc_engine *engine, const char *room, uint32_t window, int64_t now_us) {
  static const char *const roles[] = {[TC_BOARD_SENDERS] = "\"senders\":", [TC_BOARD_RECIPIENTS] = ",\"recipients\":"};
  int rc = TC_OK;
  (void)tci_buf_puts(out, "{");
  for (uint32_t role = TC_BOARD_SENDERS; role <= TC_BOARD_RECIPIENTS && !rc; role++) {
    tc_board_query query = TC_BOARD_QUERY_INIT;
    tc_board *board = NULL;
    query.room_id = room;
    query.role = role;
    query.window = window;
    query.at_us = now_us;
    query.limit = ROWS;
    rc = tc_board_top(engine, &query, &board);
    if (rc) break;
    (void)tci_buf_puts(out, roles[role]);
    rc = tcd_board_put_rows(out, board);
    tc_board_free(board);
  }
  (void)tci_buf_puts(out, "}");
  return rc ? rc : out->err;
}

static int look(tc_engine *engine, tc_text room, int64_t now_us, tcd_saying *saying) {
  char date[TCI_RFC3339_MS_LEN + 1];
  tci_buf out;
  tci_buf_init(&out, MESSAGE_MAX);
  tci_time_format_ms(now_us, date);
  (void)tci_buf_puts(&out, "{\"type\":\"leaderboard\",\"roomId\":");
  if (room.len) (void)tci_json_put_string(&out, room);
  else (void)tci_buf_puts(&out, "null");
  (void)tci_buf_printf(&out, ",\"currency\":\"%s\",\"all\":", tc_engine_currency(engine));
  int rc = put_window(&out, engine, room.len ? room.ptr : NULL, TC_WINDOW_ALL, now_us);
  (void)tci_buf_printf(&out, ",\"date\":\"%.10s\",\"today\":", date);
  if (!rc) rc = put_window(&out, engine, room.len ? room.ptr : NULL, TC_WINDOW_DAY, now_us);
  (void)tci_buf_puts(&out, "}");
  if (!rc) rc = out.err;
  if (!rc) tcd_saying_put(saying, 0, (tc_text){out.data, out.len});
  tcd_saying_until(saying, now_us - (now_us % DAY_US + DAY_US) % DAY_US + DAY_US);
  tci_buf_free(&out);
  return rc;
}

int tcd_boards_watch(tcd_hub *hub) {
  tcd_watch watch = {.what = TCD_TOPIC_BOARDS,
                     .kinds = UINT64_C(1) << TC_KIND_TIP | UINT64_C(1) << TC_KIND_REFUND,
                     .all_rooms = 1,
                     .greets = 1,
                     .type = "leaderboard",
                     .look = look};
  return tcd_hub_watch(hub, &watch);
}
