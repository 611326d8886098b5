/* export.c - tipcurrentd export: the log as lines on stdout. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/timefmt.h"
#include "server/api/analytics.h"
#include "tool.h"

#define OUT_BYTES (1u << 20)        /* how much goes to stdout at a time */
#define LINE_BYTES_MAX (256u << 20) /* more than any event, however it is quoted */
#define BIT(kind) (UINT64_C(1) << (kind))

/* A column of CSV: a field, or what every event has. */
enum { TEXT, NUMBER, AMOUNT, SEQ, KIND, ID, TIME, MARK };
typedef struct column {
  const char *name;
  int type;
  uint32_t field;
  uint64_t kinds; /* whose tables have it */
} column;

#define TIPS BIT(TC_KIND_TIP)
#define REACTIONS BIT(TC_KIND_REACTION)
#define OTHERS (~(TIPS | REACTIONS)) /* "all" is every bit */
#define ALL (TIPS | REACTIONS | OTHERS)

static const column columns[] = {
  {"seq", SEQ, 0, ALL},
  {"kind", KIND, 0, OTHERS},
  {"id", ID, 0, ALL},
  {"roomId", TEXT, TC_FIELD_ROOM_ID, ALL},
  {"senderId", TEXT, TC_FIELD_SENDER_ID, TIPS | OTHERS},
  {"recipientId", TEXT, TC_FIELD_RECIPIENT_ID, TIPS | OTHERS},
  {"userId", TEXT, TC_FIELD_USER_ID, REACTIONS | OTHERS},
  {"amount", AMOUNT, TC_FIELD_AMOUNT, TIPS | OTHERS},
  {"currency", TEXT, TC_FIELD_CURRENCY, TIPS | OTHERS},
  {"message", TEXT, TC_FIELD_MESSAGE, TIPS | OTHERS},
  {"emoji", TEXT, TC_FIELD_EMOJI, REACTIONS | OTHERS},
  {"targetId", TEXT, TC_FIELD_TARGET_ID, REACTIONS | OTHERS},
  {"metadata", TEXT, TC_FIELD_METADATA, TIPS | REACTIONS | OTHERS},
  {"count", NUMBER, TC_FIELD_COUNT, OTHERS},
  {"tipId", NUMBER, TC_FIELD_TIP_ID, OTHERS},
  {"goalId", NUMBER, TC_FIELD_GOAL_ID, OTHERS},
  {"title", TEXT, TC_FIELD_TITLE, OTHERS},
  {"reason", TEXT, TC_FIELD_REASON, OTHERS},
  {"webhookId", TEXT, TC_FIELD_WEBHOOK_ID, OTHERS},
  {"createdAt", TIME, 0, ALL},
  {"irregular", MARK, TC_FIELD_IRREGULAR, ALL},
};

typedef struct writer {
  uint64_t kinds; /* 0: all */
  int csv;
  tci_buf buf;
} writer;

/* "tip", "reaction", and of the others the type that their JSON has. */
static const char *kind_name(const tc_event *event) {
  const char *type = tc_event_str(event, TC_FIELD_TYPE);
  switch (tc_event_kind(event)) {
  case TC_KIND_TIP: return "tip";
  case TC_KIND_REACTION: return "reaction";
  case TC_KIND_WEBHOOK_DISABLED: return "webhook.disabled";
  default: return type ? type : "";
  }
}

static int has_column(const writer *w, const column *c) {
  uint64_t kinds = w->kinds ? w->kinds : ALL;
  return (kinds & c->kinds) != 0;
}

static int is_irregular(const tc_event *event) {
  int64_t mark = 0;
  return !tc_event_int(event, TC_FIELD_IRREGULAR, &mark) && mark;
}

static void put_number(writer *w, const tc_event *event, const column *c) {
  int64_t value = 0;
  char amount[TC_AMOUNT_SIZE];
  if (tc_event_int(event, c->field, &value)) return; /* a kind without it: nothing */
  if (c->type == NUMBER) {
    (void)tci_buf_printf(&w->buf, "%" PRId64, value);
    return;
  }
  tc_amount_format(value, amount);
  (void)tci_buf_puts(&w->buf, amount);
}

/* null is nothing, an empty text is "". */
static void put_text(writer *w, const char *text) {
  if (text && *text) tcd_csv_put_text(&w->buf, text);
  else if (text) (void)tci_buf_puts(&w->buf, "\"\"");
}

static void put_value(writer *w, const tc_event *event, const column *c) {
  char time[TCI_RFC3339_MS_LEN];
  int64_t us = 0;
  switch (c->type) {
  case SEQ: (void)tci_buf_printf(&w->buf, "%" PRId64, tc_event_seq(event)); break;
  case KIND: put_text(w, kind_name(event)); break;
  case ID: (void)tci_buf_printf(&w->buf, "%" PRId64, tc_event_id(event)); break;
  case TIME:
    (void)tc_event_int(event, TC_FIELD_CREATED_AT_US, &us); /* every kind has it */
    tci_time_format_ms(us, time);
    (void)tci_buf_append(&w->buf, time, sizeof time);
    break;
  case MARK: (void)tci_buf_puts(&w->buf, is_irregular(event) ? "true" : ""); break;
  case TEXT: put_text(w, tc_event_str(event, c->field)); break;
  default: put_number(w, event, c); break;
  }
}

/* RFC 4180: a comma between, CRLF behind. event NULL: the names. */
static void put_row(writer *w, const tc_event *event) {
  const char *comma = "";
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    if (!has_column(w, &columns[i])) continue;
    (void)tci_buf_puts(&w->buf, comma);
    if (event) put_value(w, event, &columns[i]);
    else (void)tci_buf_puts(&w->buf, columns[i].name);
    comma = ",";
  }
  (void)tci_buf_puts(&w->buf, "\r\n");
}

/* The event's own JSON, with two members before its own. */
static void put_json(writer *w, const tc_event *event) {
  size_t len = 0;
  const char *json = tc_event_json(event, &len);
  (void)tci_buf_printf(&w->buf, "{\"seq\":%" PRId64 ",\"kind\":\"%s\",%s", tc_event_seq(event), kind_name(event),
                       is_irregular(event) ? "\"irregular\":true," : ""); /* a registered name has nothing to escape */
  (void)tci_buf_append(&w->buf, json + 1, len - 1);
  (void)tci_buf_puts(&w->buf, "\n");
}

static int flush(writer *w) {
  int failed = w->buf.err || fwrite(w->buf.data, 1, w->buf.len, stdout) != w->buf.len;
  tci_buf_clear(&w->buf);
  return failed;
}

static int take_event(void *userdata, const tc_event *event) {
  writer *w = userdata;
  if (w->csv) put_row(w, event);
  else put_json(w, event);
  return w->buf.err || (w->buf.len >= OUT_BYTES && flush(w));
}

static int usage(tcd_tool_call *call, const char *flag, const char *value, const char *range) {
  (void)snprintf(call->error, sizeof call->error, "%s: \"%.100s\" is not %s", flag, value, range);
  return TCD_TOOL_USAGE;
}

static int read_args(tcd_tool_call *call, writer *w, int64_t *after_seq) {
  const char *kind = call->args[TCD_ARG_KIND], *format = call->args[TCD_ARG_FORMAT], *after = call->args[TCD_ARG_AFTER];
  if (kind && !strcmp(kind, "tips")) w->kinds = TIPS;
  else if (kind && !strcmp(kind, "reactions")) w->kinds = REACTIONS;
  else if (kind && strcmp(kind, "all") != 0) return usage(call, "--kind", kind, "one of tips, reactions, all");
  if (format && !strcmp(format, "csv")) w->csv = 1;
  else if (format && strcmp(format, "ndjson") != 0) return usage(call, "--format", format, "one of ndjson, csv");
  for (const char *at = after; at && *at; at++) {
    if (*at < '0' || *at > '9' || *after_seq > (INT64_MAX - (*at - '0')) / 10) return usage(call, "--after", after, "a seq: a whole number from 0 on");
    *after_seq = *after_seq * 10 + (*at - '0');
  }
  return TCD_TOOL_OK;
}

int tcd_tool_export(tcd_tool_call *call) {
  writer w = {0};
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  int64_t after_seq = 0;
  int status = read_args(call, &w, &after_seq);
  if (status) return status;
  tci_buf_init(&w.buf, LINE_BYTES_MAX);
  if (w.csv) put_row(&w, NULL);
  int rc = tc_export(call->config->storage, after_seq, w.kinds, take_event, &w, &call->options, &counts);
  int unwritten = rc == TC_EUSER ? ferror(stdout) : flush(&w); /* what came before a failure is whole lines, and good */
  if (unwritten) (void)snprintf(call->error, sizeof call->error, "cannot write to stdout");
  tci_buf_free(&w.buf);
  if (rc || unwritten) return TCD_TOOL_FAILED;
  tcd_progress_end(&call->progress);
  (void)fprintf(stderr, "%" PRId64 " events, up to event %" PRId64 "\n", counts.events, counts.log_seq);
  return TCD_TOOL_OK;
}
