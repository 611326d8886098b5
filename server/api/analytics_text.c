/* analytics_text.c - rows of statistics as JSON and as CSV. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analytics.h"
#include "base/json.h"
#include "base/timefmt.h"

#define NUMBER_SIZE 24

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

/* Bounds are full quarters of an hour: without a fraction, as in the README. */
typedef struct instant {
  char text[TCI_RFC3339_MS_LEN + 1];
} instant;

static instant print(int64_t us) {
  instant out;
  tci_time_format_ms(us, out.text);
  memcpy(out.text + 19, "Z", 2);
  return out;
}

/* What there is none of: null in JSON, nothing in CSV. */
static const char *number(int64_t value, const char *none, char room[NUMBER_SIZE]) {
  if (value < 0) return none;
  (void)snprintf(room, NUMBER_SIZE, "%" PRId64, value); /* it fits */
  return room;
}

/* Rows come out of an answer that was made for them: an index within its count cannot fail. */
static tc_stats_row row_at(const tc_stats *stats, size_t i) {
  tc_stats_row row = TC_STATS_ROW_INIT;
  (void)tc_stats_at(stats, i, &row);
  return row;
}

static tc_stats_row total_of(const tc_stats *stats) {
  tc_stats_row row = TC_STATS_ROW_INIT;
  (void)tc_stats_total(stats, &row);
  return row;
}

static size_t shown(const tc_stats *stats, const tcd_stats_frame *frame) {
  size_t count = tc_stats_count(stats);
  return count < frame->limit ? count : frame->limit;
}

static void begin(tci_buf *buf, const tcd_stats_frame *frame, const char *list) {
  (void)tci_buf_puts(buf, "{\"roomId\":");
  if (frame->room) (void)tci_json_put_string(buf, text_of(frame->room));
  else (void)tci_buf_puts(buf, "null");
  (void)tci_buf_printf(buf, ",\"%s\":[", list);
}

/* The Java service's BigDecimals: plain 0 where nothing was added or divided, two decimals otherwise. */
static void put_sums(tci_buf *buf, const tc_stats *stats, const tc_stats_row *total) {
  (void)tci_buf_printf(buf, "\"totalTips\":%" PRId64 ",\"totalAmount\":%s,\"averageTipAmount\":%s", total->tips,
                       tc_stats_count(stats) ? total->total_amount : "0", total->tips ? total->average_amount : "0");
}

/* New members come behind the old ones, and only where somebody has used another currency. */
static int end(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame) {
  const char *others = tc_stats_currencies(stats);
  (void)tci_buf_puts(buf, "}");
  if (frame->currency) {
    (void)tci_buf_puts(buf, ",\"currency\":");
    (void)tci_json_put_string(buf, text_of(frame->currency));
  }
  for (const char *at = others; *at; at += at[3] ? 4 : 3) (void)tci_buf_printf(buf, "%s\"%.3s\"", at == others ? ",\"currencies\":[" : ",", at);
  (void)tci_buf_puts(buf, *others ? "]}" : "}");
  return buf->err;
}

int tcd_stats_put_periods(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame) {
  begin(buf, frame, "stats");
  for (size_t i = 0; i < tc_stats_count(stats) && !buf->err; i++) {
    tc_stats_row row = row_at(stats, i);
    char people[3][NUMBER_SIZE];
    (void)tci_buf_printf(
      buf,
      "%s{\"periodStart\":\"%s\",\"periodEnd\":\"%s\",\"totalTips\":%" PRId64 ",\"totalAmount\":%s,\"uniqueSenders\":%s,\"uniqueRecipients\":%s,"
      "\"averageTipAmount\":%s,\"totalReactions\":%" PRId64 ",\"uniqueReactors\":%s}",
      i ? "," : "", print(row.start_us).text, print(row.end_us).text, row.tips, row.total_amount, number(row.unique_senders, "null", people[0]),
      number(row.unique_recipients, "null", people[1]), row.average_amount, row.reactions, number(row.unique_reactors, "null", people[2]));
  }
  tc_stats_row total = total_of(stats);
  (void)tci_buf_puts(buf, "],\"summary\":{");
  put_sums(buf, stats, &total);
  (void)tci_buf_printf(buf, ",\"totalReactions\":%" PRId64, total.reactions);
  return end(buf, stats, frame);
}

int tcd_stats_put_emojis(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame) {
  begin(buf, frame, "emojis");
  for (size_t i = 0; i < shown(stats, frame) && !buf->err; i++) {
    tc_stats_row row = row_at(stats, i);
    (void)tci_buf_puts(buf, i ? ",{\"emoji\":" : "{\"emoji\":");
    (void)tci_json_put_string(buf, text_of(row.name));
    (void)tci_buf_printf(buf, ",\"totalReactions\":%" PRId64 "}", row.reactions);
  }
  (void)tci_buf_printf(buf, "],\"summary\":{\"totalReactions\":%" PRId64, total_of(stats).reactions);
  return end(buf, stats, frame);
}

int tcd_stats_put_recipients(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame) {
  begin(buf, frame, "recipients");
  for (size_t i = 0; i < shown(stats, frame) && !buf->err; i++) {
    tc_stats_row row = row_at(stats, i);
    (void)tci_buf_puts(buf, i ? ",{\"recipientId\":" : "{\"recipientId\":");
    (void)tci_json_put_string(buf, text_of(row.name));
    (void)tci_buf_printf(buf, ",\"totalTips\":%" PRId64 ",\"totalAmount\":%s,\"averageTipAmount\":%s}", row.tips, row.total_amount, row.average_amount);
  }
  tc_stats_row total = total_of(stats);
  (void)tci_buf_puts(buf, "],\"summary\":{");
  put_sums(buf, stats, &total);
  return end(buf, stats, frame);
}

void tcd_csv_put_text(tci_buf *buf, const char *text) {
  int formula = *text && strchr("=+-@\t\r", *text) != NULL;
  if (!formula && !strpbrk(text, ",\"\r\n")) {
    (void)tci_buf_puts(buf, text);
    return;
  }
  (void)tci_buf_puts(buf, formula ? "\"'" : "\"");
  for (const char *at = text; *at;) {
    size_t run = strcspn(at, "\"");
    (void)tci_buf_append(buf, at, run);
    at += run;
    if (*at) {
      (void)tci_buf_puts(buf, "\"\"");
      at++;
    }
  }
  (void)tci_buf_puts(buf, "\"");
}

int tcd_stats_csv_periods(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame) {
  (void)frame;
  (void)tci_buf_puts(buf, "periodStart,periodEnd,totalTips,totalAmount,uniqueSenders,uniqueRecipients,averageTipAmount,totalReactions,uniqueReactors\r\n");
  for (size_t i = 0; i < tc_stats_count(stats) && !buf->err; i++) {
    tc_stats_row row = row_at(stats, i);
    char people[3][NUMBER_SIZE];
    (void)tci_buf_printf(buf, "%s,%s,%" PRId64 ",%s,%s,%s,%s,%" PRId64 ",%s\r\n", print(row.start_us).text, print(row.end_us).text, row.tips, row.total_amount,
                         number(row.unique_senders, "", people[0]), number(row.unique_recipients, "", people[1]), row.average_amount, row.reactions,
                         number(row.unique_reactors, "", people[2]));
  }
  return buf->err;
}

int tcd_stats_csv_emojis(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame) {
  (void)tci_buf_puts(buf, "emoji,totalReactions\r\n");
  for (size_t i = 0; i < shown(stats, frame) && !buf->err; i++) {
    tc_stats_row row = row_at(stats, i);
    tcd_csv_put_text(buf, row.name);
    (void)tci_buf_printf(buf, ",%" PRId64 "\r\n", row.reactions);
  }
  return buf->err;
}

int tcd_stats_csv_recipients(tci_buf *buf, const tc_stats *stats, const tcd_stats_frame *frame) {
  (void)tci_buf_puts(buf, "recipientId,totalTips,totalAmount,averageTipAmount\r\n");
  for (size_t i = 0; i < shown(stats, frame) && !buf->err; i++) {
    tc_stats_row row = row_at(stats, i);
    tcd_csv_put_text(buf, row.name);
    (void)tci_buf_printf(buf, ",%" PRId64 ",%s,%s\r\n", row.tips, row.total_amount, row.average_amount);
  }
  return buf->err;
}
