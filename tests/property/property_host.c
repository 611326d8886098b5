/* property_host.c - an engine on a leash: reads commands from stdin, one a line with words between tabs, and answers each with lines on stdout that end in one that begins with '.'.
 * property.py drives it. The clock is what the last `clock` said.
 *
 *   open URL THREADS BYTES    THREADS 0: no threads, the engine moves only by ticks; BYTES: tc_options.rollup_bytes
 *   close | die               die: the process ends as by kill -9
 *   clock US | tick N | sync
 *   tip ROOM SENDER RECIPIENT HUNDREDTHS CURRENCY     . ID CREATED_AT_US
 *   react ROOM USER EMOJI                             . ID CREATED_AT_US
 *   refund TIP_ID HUNDREDTHS                          . CODE
 *   periods|emojis|recipients ROOM GRAIN TZ CURRENCY FROM TO     rows, then the total
 *   rebuild                                           . CHANGED
 * "-" is a text or bound that is not given.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/rollup/rollup.h"
#include "tipcurrent.h"

#define WORDS_MAX 8
#define LINE_BYTES 4096

static _Atomic int64_t wall_us, mono_us = 1000000;
static tc_engine *engine;
static int threads;

static int64_t read_wall(void *unused) {
  (void)unused;
  return atomic_load(&wall_us);
}

static int64_t read_mono(void *unused) {
  (void)unused;
  return atomic_load(&mono_us);
}

static void die(const char *what, int rc) {
  fprintf(stderr, "property_host: %s: %s: %s\n", what, tc_strerror(rc), tc_last_error());
  exit(2);
}

static int64_t number(const char *text) { return strtoll(text, NULL, 10); }

static const char *given(const char *text) { return strcmp(text, "-") ? text : NULL; }

static void do_open(char **words) {
  static const tc_clock clock = {sizeof clock, read_wall, read_mono, NULL};
  tc_options options = TC_OPTIONS_INIT;
  threads = (int)number(words[2]);
  options.storage_url = words[1];
  options.clock = &clock;
  options.flags = threads ? 0 : TC_NO_THREADS;
  options.rollup_bytes = (uint64_t)number(words[3]);
  int rc = tc_open(&engine, &options);
  if (rc) die("tc_open", rc);
  printf(".\n");
}

/* Monotonic time goes on whatever wall time does: a history's jumps back are those of a clock that somebody sets. */
static void do_clock(char **words) {
  int64_t to = number(words[1]), by = to - atomic_load(&wall_us);
  atomic_store(&wall_us, to);
  atomic_fetch_add(&mono_us, by > 0 && by < 60000000 ? by : 1000);
  printf(".\n");
}

static int tick(void) {
  int32_t more = 0;
  int rc = tc_engine_tick(engine, &more);
  if (rc) die("tc_engine_tick", rc);
  return more;
}

static void do_tick(char **words) {
  for (int64_t i = number(words[1]); i > 0 && !threads; i--) (void)tick();
  printf(".\n");
}

static int is_behind(void) {
  tc_status status = TC_STATUS_INIT;
  int rc = tc_engine_status(engine, &status);
  if (rc) die("tc_engine_status", rc);
  return !status.ready || tci_rollup_seq(engine) < status.log_seq;
}

static void do_sync(void) {
  time_t begun = time(NULL);
  while (is_behind()) {
    if (threads) (void)nanosleep(&(struct timespec){0, 200000}, NULL);
    else (void)tick();
    if (time(NULL) - begun > 30) die("the rollup does not come up to the log", TC_ETIMEOUT);
  }
  printf(".\n");
}

static void answer_created(const char *what, int rc, tc_event *event) {
  int64_t created = 0;
  if (rc) die(what, rc);
  (void)tc_event_int(event, TC_FIELD_CREATED_AT_US, &created); /* every kind has it */
  printf(". %" PRId64 " %" PRId64 "\n", tc_event_id(event), created);
  tc_event_unref(event);
}

static void do_tip(char **words) {
  tc_tip_new tip = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  tip.room_id = words[1];
  tip.sender_id = words[2];
  tip.recipient_id = words[3];
  tip.amount = number(words[4]);
  tip.currency = given(words[5]);
  int rc = tc_tip_create(engine, &tip, &event, NULL);
  answer_created("tc_tip_create", rc, event);
}

static void do_react(char **words) {
  tc_reaction_new reaction = TC_REACTION_NEW_INIT;
  tc_event *event = NULL;
  reaction.room_id = words[1];
  reaction.user_id = words[2];
  reaction.emoji = words[3];
  int rc = tc_reaction_create(engine, &reaction, &event, NULL);
  answer_created("tc_reaction_create", rc, event);
}

/* The amount may be more than is left: TC_E... is an answer like any other. */
static void do_refund(char **words) {
  tc_refund_new refund = TC_REFUND_NEW_INIT;
  refund.tip_id = number(words[1]);
  refund.amount = number(words[2]);
  int rc = tc_tip_refund(engine, &refund, NULL, NULL);
  printf(". %d\n", rc);
}

static void print_row(const tc_stats_row *row, const char *name) {
  printf("%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\n", name, row->start_us, row->end_us, row->tips,
         row->total_amount, row->average_amount, row->unique_senders, row->unique_recipients, row->reactions, row->unique_reactors);
}

static void do_stats(char **words) {
  tc_stats_query query = TC_STATS_QUERY_INIT;
  tc_stats *stats = NULL;
  tc_stats_row row = TC_STATS_ROW_INIT;
  query.room_id = given(words[1]);
  query.grain = (uint32_t)number(words[2]);
  query.tz = given(words[3]);
  query.currency = given(words[4]);
  if (given(words[5])) query.from_us = number(words[5]), query.flags |= TC_STATS_FROM;
  if (given(words[6])) query.to_us = number(words[6]), query.flags |= TC_STATS_TO;
  int rc = *words[0] == 'p'   ? tc_stats_periods(engine, &query, &stats)
           : *words[0] == 'e' ? tc_stats_emojis(engine, &query, &stats)
                              : tc_stats_recipients(engine, &query, &stats);
  for (size_t i = 0; !rc && i < tc_stats_count(stats); i++) {
    rc = tc_stats_at(stats, i, &row);
    print_row(&row, row.name ? row.name : "");
  }
  if (!rc) rc = tc_stats_total(stats, &row);
  if (rc) die("statistics", rc);
  printf(". %s ", tc_stats_currencies(stats));
  print_row(&row, "");
  tc_stats_free(stats);
}

static void do_rebuild(void) {
  int64_t changed = -1;
  int rc = tc_stats_rebuild(engine, INT64_MIN, INT64_MAX, &changed);
  if (rc) die("tc_stats_rebuild", rc);
  printf(". %" PRId64 "\n", changed);
}

static void do_close(void) {
  int rc = tc_close(engine);
  if (rc) die("tc_close", rc);
  engine = NULL;
  printf(".\n");
}

static void obey(char **words, int count) {
  static const struct {
    const char *name;
    int count;
    void (*with)(char **words);
    void (*without)(void);
  } commands[] = {{"open", 4, do_open, NULL},     {"close", 1, NULL, do_close},  {"clock", 2, do_clock, NULL},      {"tick", 2, do_tick, NULL},
                  {"sync", 1, NULL, do_sync},     {"tip", 6, do_tip, NULL},      {"react", 4, do_react, NULL},      {"refund", 3, do_refund, NULL},
                  {"periods", 7, do_stats, NULL}, {"emojis", 7, do_stats, NULL}, {"recipients", 7, do_stats, NULL}, {"rebuild", 1, NULL, do_rebuild}};
  if (count == 1 && !strcmp(words[0], "die")) _exit(9);
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(words[0], commands[i].name) != 0 || count != commands[i].count) continue;
    if (commands[i].with) commands[i].with(words);
    else commands[i].without();
    return;
  }
  die(words[0], TC_EINVAL);
}

int main(void) {
  char line[LINE_BYTES];
  while (fgets(line, sizeof line, stdin)) {
    char *words[WORDS_MAX], *rest = line;
    int count = 0;
    line[strcspn(line, "\n")] = '\0';
    while (rest && count < WORDS_MAX) words[count++] = strsep(&rest, "\t");
    obey(words, count);
    if (fflush(stdout)) return 2;
  }
  return engine ? tc_close(engine) != TC_OK : 0;
}
