#include "analytics_kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "engine/rollup/rollup.h"

int64_t at(const char *text) {
  int64_t us = 0;
  if (tci_time_parse(text, strlen(text), &us)) ck_abort_msg("%s is no instant", text);
  return us;
}

int64_t tip_in(kit *k, const char *when, const char *room, const char *sender, const char *recipient, int64_t amount, const char *currency) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  kit_clock_set(at(when));
  tip.room_id = room;
  tip.sender_id = sender;
  tip.recipient_id = recipient;
  tip.amount = amount;
  tip.currency = currency;
  int rc = tc_tip_create(k->engine, &tip, &event, NULL);
  ck_assert_msg(rc == TC_OK, "tc_tip_create: %s", tc_last_error());
  int64_t id = tc_event_id(event);
  tc_event_unref(event);
  return id;
}

int64_t tip(kit *k, const char *when, const char *room, const char *sender, const char *recipient, int64_t amount) {
  return tip_in(k, when, room, sender, recipient, amount, NULL);
}

void reaction(kit *k, const char *when, const char *room, const char *user, const char *emoji) {
  tc_reaction_new r = TC_REACTION_NEW_INIT;
  kit_clock_set(at(when));
  r.room_id = room;
  r.user_id = user;
  r.emoji = emoji;
  int rc = tc_reaction_create(k->engine, &r, NULL, NULL);
  ck_assert_msg(rc == TC_OK, "tc_reaction_create: %s", tc_last_error());
}

static int rolled(void *arg) {
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(((kit *)arg)->engine, &status), TC_OK);
  return status.ready && tci_rollup_seq(((kit *)arg)->engine) == status.log_seq;
}

void until_rolled(kit *k) {
  for (int32_t more = 1; more && (k->options.flags & TC_NO_THREADS);) ck_assert_int_eq(tc_engine_tick(k->engine, &more), TC_OK);
  ck_assert_msg(kit_until(rolled, k), "the rollup does not come up to the log");
}

void ask(kit *k, asked *a) {
  until_rolled(k);
  a->query.size = sizeof a->query;
  int rc = tc_stats_periods(k->engine, &a->query, &a->stats);
  ck_assert_msg(rc == TC_OK, "tc_stats_periods: %d %s", rc, tc_last_error());
  a->total = (tc_stats_row)TC_STATS_ROW_INIT;
  ck_assert_int_eq(tc_stats_total(a->stats, &a->total), TC_OK);
}

asked ask_room(kit *k, const char *room) {
  asked a = {.query = {.room_id = room}};
  ask(k, &a);
  return a;
}

asked ask_range(kit *k, const char *room, const char *from, const char *to) {
  asked a = {.query = {.room_id = room}};
  if (from) a.query.from_us = at(from), a.query.flags |= TC_STATS_FROM;
  if (to) a.query.to_us = at(to), a.query.flags |= TC_STATS_TO;
  ask(k, &a);
  return a;
}

/* A row as one line: "10:00-11:00 2 300.00 150.00 s2 r1 e3 u2" (a date before a bound that is not of 2024-01-15). */
static const char *line(const tc_stats *stats, size_t i) {
  static char text[256];
  char start[TCI_RFC3339_MS_LEN], end[TCI_RFC3339_MS_LEN];
  tc_stats_row row = TC_STATS_ROW_INIT;
  ck_assert_int_eq(tc_stats_at(stats, i, &row), TC_OK);
  tci_time_format_ms(row.start_us, start);
  tci_time_format_ms(row.end_us, end);
  int other = memcmp(start, "2024-01-15", 10) != 0 || memcmp(end, "2024-01-15", 10) != 0;
  (void)snprintf(text, sizeof text, other ? "%.16s-%.16s" : "%.5s-%.5s", start + (other ? 0 : 11), end + (other ? 0 : 11));
  size_t len = strlen(text);
  (void)snprintf(text + len, sizeof text - len, " %" PRId64 " %s %s s%" PRId64 " r%" PRId64 " e%" PRId64 " u%" PRId64, row.tips, row.total_amount,
                 row.average_amount, row.unique_senders, row.unique_recipients, row.reactions, row.unique_reactors);
  return text;
}

void expect(asked *a, size_t count, const char *const *lines) {
  for (size_t i = 0; i < tc_stats_count(a->stats) && i < count; i++) ck_assert_str_eq(line(a->stats, i), lines[i]);
  ck_assert_uint_eq(tc_stats_count(a->stats), count);
}

void free_asked(asked *a) { tc_stats_free(a->stats); }
