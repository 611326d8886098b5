#include "rollup_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/engine.h"
#include "model/emoji.h"
#include "model/fail.h"
#include "storage/schemes.h"

past history;
kit world;
_Atomic int past_kill, past_commits;
_Atomic int64_t past_fetched;
int past_little;
const char *const past_codes[] = {"", "EUR", "JPY"};
static const char *const emojis[] = {"\xf0\x9f\x94\xa5", "\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4", "Kappa"};
static tc_storage_ops ops;

static int commit_facts(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  if (atomic_load(&past_kill)) return tci_fail(TC_ESTORAGE, "killed");
  int rc = tci_sqlite_ops.facts_commit(storage, seq, facts, n);
  if (!rc) atomic_fetch_add(&past_commits, 1);
  return rc;
}

static int fetch(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg) {
  atomic_fetch_add(&past_fetched, (int64_t)n);
  return tci_sqlite_ops.fetch(snapshot, seqs, n, row, arg);
}

void past_begin(uint64_t seed, uint64_t rollup_bytes) {
  memset(&history, 0, sizeof history);
  history.random = seed;
  kit_init(&world, 1);
  history.now_us = kit_clock_wall();
  ops = tci_sqlite_ops;
  ops.facts_commit = commit_facts;
  ops.fetch = fetch;
  world.options.storage_ops = &ops;
  world.options.rollup_bytes = rollup_bytes;
  past_little = rollup_bytes != 0;
  kit_open(&world); /* makes the files */
  kit_close(&world);
}

void past_end(void) { kit_clean(&world); }

uint64_t past_random(uint64_t below) {
  history.random += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t x = history.random;
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return (x ^ x >> 31) % below;
}

const char *past_room(int room) {
  static const char *const names[PAST_ROOMS] = {"lobby", "b", "a very long name of a room \xc3\xab", "r3"};
  return room < 0 ? "" : names[room];
}

void past_name(char out[16], char first, int number) { (void)snprintf(out, 16, "%c%d", first, number); }

static void make_event(past_event *event, uint64_t late, int64_t step_us) {
  memset(event, 0, sizeof *event);
  history.now_us += (int64_t)past_random((uint64_t)step_us);
  event->us = history.now_us;
  if (late && !past_random(late)) event->us -= (int64_t)past_random(3 * 86400) * 1000000;
  event->room = (int)past_random(PAST_ROOMS * 2) / 2;
  event->user = (int)(past_random(PAST_USERS) * past_random(PAST_USERS) / PAST_USERS);
  event->peer = (int)past_random(5);
  uint64_t what = past_random(10);
  event->kind = what < 6 ? TC_KIND_TIP : what < 9 || !history.n ? TC_KIND_REACTION : TC_KIND_REFUND;
  event->currency = past_random(4) ? 0 : 1 + (int)past_random(2);
  event->amount = 1 + (int64_t)past_random(1000);
  if (!past_random(50)) event->amount = INT64_MAX - (int64_t)past_random(9);
  event->emoji = (int)past_random(4);
  event->left = event->amount;
  if (event->kind != TC_KIND_REFUND) return;
  size_t tip = past_random(history.n);
  past_event *of = &history.at[tip];
  if (of->kind != TC_KIND_TIP || !of->left) {
    event->kind = TC_KIND_REACTION;
    return;
  }
  event->tip = (int64_t)tip;
  event->room = of->room;
  event->user = of->user;
  event->peer = of->peer;
  event->currency = of->currency;
  event->amount = past_random(2) ? of->left : 1 + (int64_t)past_random((uint64_t)of->left);
  of->left -= event->amount;
}

/* user, peer: room for the names. */
static void make_record(const past_event *event, tc_record *record, char user[16], char peer[16]) {
  const char *room = past_room(event->room), *code = past_codes[event->currency];
  *record = (tc_record){.kind = event->kind, .created_at_us = event->us, .amount = event->kind == TC_KIND_REACTION ? 0 : event->amount};
  past_name(user, 'u', event->user);
  past_name(peer, 'p', event->peer);
  record->text[TC_COL_ROOM] = (tc_text){room, strlen(room)};
  record->text[TC_COL_USER] = (tc_text){user, strlen(user)};
  if (event->kind == TC_KIND_REACTION) {
    record->text[TC_COL_BODY] = (tc_text){emojis[event->emoji], strlen(emojis[event->emoji])};
    return;
  }
  record->text[TC_COL_PEER] = (tc_text){peer, strlen(peer)};
  if (*code) record->text[TC_COL_CURRENCY] = (tc_text){code, strlen(code)};
  if (event->kind != TC_KIND_REFUND) return;
  record->ref = event->tip + 1;
  record->text[TC_COL_TARGET] = (tc_text){"1", 1};
}

tc_storage *past_storage(void) {
  tc_storage *storage = NULL;
  tc_storage_state state;
  static tc_storage_env env;
  env = (tc_storage_env){sizeof env,
                         {sizeof(tc_clock), tci_sys_wall_us, tci_sys_monotonic_us, NULL},
                         {sizeof(tc_random), tci_sys_random, NULL},
                         {sizeof(tc_log), NULL, NULL},
                         3600,
                         tci_fail_env,
                         tci_emoji_canonical};
  ck_assert_int_eq(tci_sqlite_ops.open(&storage, world.url, &env, &state), TC_OK);
  ck_assert_uint_eq((size_t)state.log_seq, history.n);
  return storage;
}

void past_add(size_t n, uint64_t late, int64_t step_us) {
  static char names[256][2][16];
  tc_record records[256];
  tc_append items[256];
  tc_storage *storage = past_storage();
  while (n) {
    size_t batch = n < 256 ? n : 256;
    uint8_t id[16];
    ck_assert_uint_le(history.n + batch, PAST_MAX);
    for (size_t i = 0; i < batch; i++) {
      past_event *event = &history.at[history.n];
      make_event(event, late, step_us);
      make_record(event, &records[i], names[i][0], names[i][1]);
      items[i] = (tc_append){.record = &records[i]};
      history.n++;
    }
    ck_assert_int_eq(tci_sys_random(NULL, id, sizeof id), 0);
    ck_assert_int_eq(tci_sqlite_ops.append(storage, items, batch, id, history.now_us), TC_OK);
    n -= batch;
  }
  tci_sqlite_ops.close(storage);
}

static int is_caught_up(void *arg) {
  (void)arg;
  return tci_rollup_seq(world.engine) == (int64_t)history.n;
}

void past_open(void) {
  atomic_store(&past_kill, 0);
  kit_clock_set(history.now_us);
  kit_open(&world);
  ck_assert(kit_until(is_caught_up, NULL));
}

void past_close(int kill) {
  atomic_store(&past_kill, kill);
  kit_close(&world);
}

int past_in_room(const past_event *event, int room) { return room < 0 || event->room == room; }

const past_event *past_tip_of(const past_event *event) { return event->kind == TC_KIND_REFUND ? &history.at[event->tip] : event; }

/* ---- what must be ---- */

static int64_t down(int64_t us, int64_t unit) { return us - (us % unit + unit) % unit; }

/* How many different people of a role, in [from, to). */
static int64_t count_people(int room, int role, int64_t from_us, int64_t to_us) {
  static char seen[PAST_USERS];
  int64_t n = 0;
  memset(seen, 0, sizeof seen);
  for (size_t i = 0; i < history.n; i++) {
    const past_event *event = &history.at[i];
    if (event->kind == TC_KIND_REFUND || (event->kind == TC_KIND_REACTION) != (role == TCI_REACTORS)) continue;
    if (!past_in_room(event, room) || event->us < from_us || event->us >= to_us) continue;
    char *who = &seen[role == TCI_RECIPIENTS ? event->peer : event->user];
    n += !*who;
    *who = 1;
  }
  return n;
}

typedef struct check {
  int room;
  int64_t last_us, hour_us;
  int64_t fresh[TCI_UNIQUES];
  int unknown[TCI_UNIQUES];
  int64_t tips, reactions, rows;
  tci_int128 sum;
} check;

static void check_hour(const check *c) {
  for (int role = 0; role < TCI_UNIQUES && c->rows; role++) {
    if (c->unknown[role] && past_little) continue;
    ck_assert(!c->unknown[role]);
    ck_assert_int_eq(c->fresh[role], count_people(c->room, role, c->hour_us, c->hour_us + TCI_HOUR_US));
  }
}

static int check_quarter(const tci_quarter *quarter, void *arg) {
  check *c = arg;
  int64_t tips = 0, refunds = 0, reactions = 0;
  tci_int128 sum = 0;
  if (!quarter->currency.len) ck_assert_int_gt(quarter->start_us, c->last_us); /* the default currency first */
  else ck_assert_int_eq(quarter->start_us, c->last_us);
  c->last_us = quarter->start_us;
  for (size_t i = 0; i < history.n; i++) {
    const past_event *event = &history.at[i];
    if (!past_in_room(event, c->room) || down(past_tip_of(event)->us, TCI_QUARTER_US) != quarter->start_us) continue;
    reactions += event->kind == TC_KIND_REACTION && !quarter->currency.len;
    const char *code = past_codes[event->currency];
    if (event->kind == TC_KIND_REACTION || strlen(code) != quarter->currency.len || memcmp(code, quarter->currency.ptr, quarter->currency.len) != 0) continue;
    tips += event->kind == TC_KIND_TIP;
    refunds += event->kind == TC_KIND_REFUND;
    sum += event->kind == TC_KIND_TIP ? (tci_int128)event->amount : -(tci_int128)event->amount;
  }
  ck_assert_int_eq(quarter->tips, tips);
  ck_assert_int_eq(quarter->refunded, refunds);
  ck_assert_int_eq(quarter->reactions, reactions);
  ck_assert(quarter->sum == sum);
  if (!c->rows || down(quarter->start_us, TCI_HOUR_US) != c->hour_us) {
    check_hour(c);
    c->hour_us = down(quarter->start_us, TCI_HOUR_US);
    memset(c->fresh, 0, sizeof c->fresh);
    memset(c->unknown, 0, sizeof c->unknown);
  }
  for (int role = 0; role < TCI_UNIQUES; role++) {
    c->unknown[role] |= quarter->fresh[role] < 0;
    c->fresh[role] += quarter->fresh[role];
    if (quarter->currency.len || (past_little && quarter->unique[role] < 0)) continue;
    ck_assert_int_eq(quarter->unique[role], count_people(c->room, role, quarter->start_us, quarter->start_us + TCI_QUARTER_US));
  }
  c->rows++;
  c->tips += tips;
  c->reactions += reactions;
  c->sum += sum;
  return 0;
}

static int add_emoji(const tci_emoji_count *emoji, void *arg) {
  int64_t n = 0;
  int room = *(int *)arg;
  for (size_t i = 0; i < history.n; i++) {
    const past_event *event = &history.at[i];
    const char *text = event->emoji == 1 ? emojis[2] : emojis[event->emoji]; /* without the selector */
    if (event->kind != TC_KIND_REACTION || !past_in_room(event, room) || down(event->us, TCI_QUARTER_US) != emoji->start_us) continue;
    n += strlen(text) == emoji->emoji.len && !memcmp(text, emoji->emoji.ptr, emoji->emoji.len);
  }
  ck_assert_int_eq(emoji->count, n);
  ((int64_t *)arg)[1] += n;
  return 0;
}

static int add_recipient(const tci_recipient_sum *recipient, void *arg) {
  int64_t tips = 0;
  int room = *(int *)arg;
  tci_int128 sum = 0;
  for (size_t i = 0; i < history.n; i++) {
    const past_event *event = &history.at[i];
    const char *code = past_codes[event->currency];
    char peer[16];
    past_name(peer, 'p', event->peer);
    if (event->kind == TC_KIND_REACTION || !past_in_room(event, room) || down(past_tip_of(event)->us, TCI_QUARTER_US) != recipient->start_us) continue;
    if (strlen(code) != recipient->currency.len || memcmp(code, recipient->currency.ptr, recipient->currency.len) != 0) continue;
    if (strlen(peer) != recipient->recipient.len || memcmp(peer, recipient->recipient.ptr, recipient->recipient.len) != 0) continue;
    tips += event->kind == TC_KIND_TIP;
    sum += event->kind == TC_KIND_TIP ? (tci_int128)event->amount : -(tci_int128)event->amount;
  }
  ck_assert_int_eq(recipient->tips, tips);
  ck_assert(recipient->sum == sum);
  ((int64_t *)arg)[1] += tips;
  return 0;
}

void past_compare(void) {
  int64_t from = history.now_us - 40 * TCI_DAY_US, to = history.now_us + TCI_DAY_US;
  from = down(from, TCI_QUARTER_US);
  to = down(to, TCI_QUARTER_US);
  for (int room = -1; room < PAST_ROOMS; room++) {
    tc_text name = {past_room(room), strlen(past_room(room))};
    int64_t tips = 0, reactions = 0;
    check c = {.room = room, .last_us = INT64_MIN};
    for (size_t i = 0; i < history.n; i++) {
      tips += history.at[i].kind == TC_KIND_TIP && past_in_room(&history.at[i], room);
      reactions += history.at[i].kind == TC_KIND_REACTION && past_in_room(&history.at[i], room);
    }
    ck_assert_msg(!tci_rollup_quarters(world.engine, name, from, to, check_quarter, &c), "%s", tc_last_error());
    check_hour(&c);
    ck_assert_int_eq(c.tips, tips);
    ck_assert_int_eq(c.reactions, reactions);
    int64_t found[2] = {0, 0};
    memcpy(found, &room, sizeof room);
    ck_assert_msg(!tci_rollup_emojis(world.engine, name, from, to, add_emoji, found), "%s", tc_last_error());
    ck_assert_int_eq(found[1], reactions);
    found[1] = 0;
    ck_assert_msg(!tci_rollup_recipients(world.engine, name, from, to, add_recipient, found), "%s", tc_last_error());
    ck_assert_int_eq(found[1], tips);
  }
}
