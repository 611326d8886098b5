/* property_host.c - an engine on a leash: reads commands from stdin, one a line with words between tabs, and answers each with lines on stdout, the last of which
 * begins with '.'. property.py drives it. The clock is what the last `clock` said.
 *
 *   past KIND CREATED_AT_US ROOM USER PEER HUNDREDTHS CURRENCY EMOJI REF TIP_ID
 *                             what the next `open` finds in the log besides: an imported history, in any order of time. KIND: tip, react, refund. REF: the seq of a refund's tip
 *   next URL                  . the seq that the next event of the log will have: nobody has it open
 *   open URL THREADS BYTES    THREADS 0: no threads, the engine moves only by ticks; BYTES: tc_options.rollup_bytes. A line `ID SEQ` for each of the past
 *   close | die               die: the process ends as by kill -9
 *   full 0|1                  1: the disk takes no statistics
 *   clock US | tick N | sync
 *   tip ROOM SENDER RECIPIENT HUNDREDTHS CURRENCY     . ID CREATED_AT_US SEQ
 *   react ROOM USER EMOJI                             . ID CREATED_AT_US SEQ
 *   refund TIP_ID HUNDREDTHS                          . CODE
 *   periods|emojis|recipients ROOM GRAIN TZ CURRENCY FROM TO     rows, then the total
 *   board ROOM ROLE WINDOW AT FROM TO CURRENCY LIMIT  RANK USER TIPS AMOUNT
 *   rank ROOM ROLE WINDOW AT FROM TO CURRENCY USER    . RANK TIPS AMOUNT, or nothing: he is not on it
 *   goal ROOM RECIPIENT CURRENCY HUNDREDTHS TIPS DEADLINE_US   . ID
 *   end GOAL_ID                                       the goal is closed
 *   goals ROOM                                        ID TIPS HUNDREDTHS REACHED
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

#include "base/sys.h"
#include "engine/rollup/rollup.h"
#include "model/emoji.h"
#include "model/fail.h"
#include "storage/schemes.h"
#include "tipcurrent.h"

#define WORDS_MAX 12
#define LINE_BYTES 4096
#define PAST_MAX 4096

static _Atomic int64_t wall_us, mono_us = 1000000;
static _Atomic int is_full;
static tc_engine *engine;
static int threads;
static const tc_storage_ops *backend;
static tc_record past[PAST_MAX];
static char *past_lines[PAST_MAX]; /* what the records' texts point into */
static size_t past_n;

static int64_t read_wall(void *unused) {
  (void)unused;
  return atomic_load(&wall_us);
}

static int64_t read_mono(void *unused) {
  (void)unused;
  return atomic_load(&mono_us);
}

static const tc_clock the_clock = {sizeof(tc_clock), read_wall, read_mono, NULL};

static void die(const char *what, int rc) {
  fprintf(stderr, "property_host: %s: %s: %s\n", what, tc_strerror(rc), tc_last_error());
  exit(2);
}

static int64_t number(const char *text) { return strtoll(text, NULL, 10); }

static const char *given(const char *text) { return strcmp(text, "-") ? text : NULL; }

static tc_text text_of(const char *text) { return given(text) ? (tc_text){text, strlen(text)} : (tc_text){NULL, 0}; }

/* ---- the storage: with a past, and now and then full ---- */

static void do_past(char **words) {
  tc_record *record = &past[past_n];
  size_t len = (size_t)(words[10] - words[0]) + strlen(words[10]) + 1;
  char *line = malloc(len);
  if (!line || past_n == PAST_MAX) die("past", TC_ENOMEM);
  memcpy(line, words[0], len);
  for (int i = 1; i <= 10; i++) words[i] = line + (words[i] - words[0]);
  *record = (tc_record){.kind = *words[1] == 't' ? TC_KIND_TIP : words[1][2] == 'a' ? TC_KIND_REACTION : TC_KIND_REFUND};
  record->created_at_us = number(words[2]);
  record->text[TC_COL_ROOM] = text_of(words[3]);
  record->text[TC_COL_USER] = text_of(words[4]);
  record->text[TC_COL_PEER] = text_of(words[5]);
  record->amount = number(words[6]);
  record->text[TC_COL_CURRENCY] = text_of(words[7]);
  record->text[TC_COL_BODY] = text_of(words[8]);
  record->ref = number(words[9]);
  record->text[TC_COL_TARGET] = text_of(words[10]);
  past_lines[past_n++] = line;
  printf(".\n");
}

static int append_past(tc_storage *storage) {
  static tc_append items[PAST_MAX];
  uint8_t id[16];
  int rc = tci_sys_random(NULL, id, sizeof id);
  for (size_t i = 0; i < past_n; i++) items[i] = (tc_append){.record = &past[i]};
  return rc ? rc : backend->append(storage, items, past_n, id, atomic_load(&wall_us));
}

static int open_with_past(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state) {
  int rc = backend->open(out, url, env, state);
  if (rc || !past_n) return rc;
  rc = append_past(*out);
  if (rc) die("the past", rc);
  state->log_seq = past[past_n - 1].seq;
  if (!backend->derive) state->index_seq = state->log_seq;
  state->last_created_at_us = past[past_n - 1].created_at_us;
  return TC_OK;
}

static int commit_facts(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  return atomic_load(&is_full) ? tci_fail(TC_ESTORAGE, "the disk is full") : backend->facts_commit(storage, seq, facts, n);
}

static void do_next(char **words) {
  tc_storage *storage = NULL;
  tc_storage_env env = {sizeof env,   the_clock,          {sizeof(tc_random), tci_sys_random, NULL}, {sizeof(tc_log), NULL, NULL}, 3600,
                        tci_fail_env, tci_emoji_canonical};
  tc_storage_state state;
  int rc = tci_storage_ops_of(words[1])->open(&storage, words[1], &env, &state);
  if (rc) die("next", rc);
  tci_storage_ops_of(words[1])->close(storage);
  printf(". %" PRId64 "\n", state.log_seq + 1);
}

static void do_full(char **words) {
  atomic_store(&is_full, (int)number(words[1]));
  printf(".\n");
}

static void do_open(char **words) {
  static tc_storage_ops ops;
  tc_options options = TC_OPTIONS_INIT;
  threads = (int)number(words[2]);
  backend = tci_storage_ops_of(words[1]);
  ops = *backend;
  ops.open = open_with_past;
  ops.facts_commit = commit_facts;
  options.storage_url = words[1];
  options.storage_ops = &ops;
  options.clock = &the_clock;
  options.flags = threads ? 0 : TC_NO_THREADS;
  options.rollup_bytes = (uint64_t)number(words[3]);
  int rc = tc_open(&engine, &options);
  if (rc) die("tc_open", rc);
  for (size_t i = 0; i < past_n; i++) {
    printf("%" PRId64 "\t%" PRId64 "\n", past[i].id, past[i].seq);
    free(past_lines[i]);
  }
  past_n = 0;
  printf(".\n");
}

/* ---- time ---- */

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
    atomic_fetch_add(&mono_us, 100000); /* what has failed is tried again when some time has passed */
    if (time(NULL) - begun > 30) die("the rollup does not come up to the log", TC_ETIMEOUT);
  }
  printf(".\n");
}

/* ---- events ---- */

static void answer_created(const char *what, int rc, tc_event *event) {
  int64_t created = 0;
  if (rc) die(what, rc);
  (void)tc_event_int(event, TC_FIELD_CREATED_AT_US, &created); /* every kind has it */
  printf(". %" PRId64 " %" PRId64 " %" PRId64 "\n", tc_event_id(event), created, tc_event_seq(event));
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

/* ---- answers ---- */

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

static tc_board_query read_board(char **words) {
  tc_board_query query = TC_BOARD_QUERY_INIT;
  query.room_id = given(words[1]);
  query.role = (uint32_t)number(words[2]);
  query.window = (uint32_t)number(words[3]);
  query.at_us = number(words[4]);
  query.from_us = number(words[5]);
  query.to_us = number(words[6]);
  query.currency = given(words[7]);
  return query;
}

static void do_board(char **words) {
  tc_board_query query = read_board(words);
  tc_board_row row = TC_BOARD_ROW_INIT;
  tc_board *board = NULL;
  query.limit = (int32_t)number(words[8]);
  int rc = tc_board_top(engine, &query, &board);
  if (rc) die("tc_board_top", rc);
  for (size_t i = 0; i < tc_board_count(board); i++) {
    rc = tc_board_at(board, i, &row);
    if (rc) die("tc_board_at", rc);
    printf("%" PRId64 "\t%s\t%" PRId64 "\t%s\n", row.rank, row.user_id, row.tips, row.total_amount);
  }
  tc_board_free(board);
  printf(".\n");
}

static void do_rank(char **words) {
  tc_board_query query = read_board(words);
  tc_board_row row = TC_BOARD_ROW_INIT;
  int rc = tc_board_rank(engine, &query, words[8], &row);
  if (rc && rc != TC_ENOTFOUND) die("tc_board_rank", rc);
  if (rc) printf(".\n");
  else printf(". %" PRId64 " %" PRId64 " %s\n", row.rank, row.tips, row.total_amount);
}

static void print_goal(const tc_goal *goal, void *what) {
  if (*(const char *)what == 'l')
    printf("%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%d\n", goal->id, goal->has_progress ? goal->progress_count : -1, goal->progress_amount,
           goal->reached_at_us != 0);
  else printf(". %" PRId64 "\n", goal->id);
}

static void do_goal(char **words) {
  tc_goal_new goal = TC_GOAL_NEW_INIT;
  goal.room_id = words[1];
  goal.title = "a goal";
  goal.recipient_id = given(words[2]);
  goal.currency = given(words[3]);
  goal.target_amount = number(words[4]);
  goal.target_count = number(words[5]);
  goal.deadline_us = number(words[6]);
  int rc = tc_goal_create(engine, &goal, print_goal, "new", NULL);
  if (rc) die("tc_goal_create", rc);
}

static void do_end(char **words) {
  int rc = tc_goal_close(engine, number(words[1]), print_goal, "end");
  if (rc) die("tc_goal_close", rc);
}

static void do_goals(char **words) {
  int rc = threads ? TC_OK : tc_engine_poll(engine, 0); /* that a target is met is an event like any other, to be committed */
  if (rc) die("tc_engine_poll", rc);
  rc = tc_goal_list(engine, words[1], print_goal, "list");
  if (rc) die("tc_goal_list", rc);
  printf(".\n");
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
  } commands[] = {{"open", 4, do_open, NULL},        {"close", 1, NULL, do_close}, {"clock", 2, do_clock, NULL},   {"tick", 2, do_tick, NULL},
                  {"sync", 1, NULL, do_sync},        {"tip", 6, do_tip, NULL},     {"react", 4, do_react, NULL},   {"refund", 3, do_refund, NULL},
                  {"past", 11, do_past, NULL},       {"next", 2, do_next, NULL},   {"full", 2, do_full, NULL},     {"rebuild", 1, NULL, do_rebuild},
                  {"board", 9, do_board, NULL},      {"rank", 9, do_rank, NULL},   {"periods", 7, do_stats, NULL}, {"emojis", 7, do_stats, NULL},
                  {"recipients", 7, do_stats, NULL}, {"goal", 7, do_goal, NULL},   {"end", 2, do_end, NULL},       {"goals", 2, do_goals, NULL}};
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
