/* apply.c - what an event changes. */
#include <string.h>

#include "base/mem.h"
#include "engine/rollup/standing.h"
#include "model/emoji.h"

/* Events that are read again to fill an hour's table: at most TCI_FILL_MAX at once (some seconds), and of each event that comes the right to a few more. So a history that comes in no order
 * of time, in which every event is of another hour than the last, costs some times as much as any other, not its square: its hours become unknown. */
#define FILL_LEAST 4096 /* it is not worth looking for less */
#define FILL_AN_EVENT 4

/* What is added to where a tip counts: the tip itself, or, of a refund, what goes back. */
typedef struct change {
  const tc_record *record; /* room, user, peer, currency */
  const tci_ahead *ahead;  /* their hashes */
  int64_t created_at_us;   /* the tip's */
  tci_int128 amount;
  int64_t tips, refunds;
} change;

/* Where it counts in the room, or in all rooms. */
typedef struct scope {
  tci_hash room;
  tci_group *quarter;
  tci_cell *total, *people, *recipient;
  tci_standing standings[2]; /* by role */
} scope;

/* ---- an hour's people ---- */

static int64_t hour_of(uint32_t quarter) { return tci_quarter_start_us(quarter) / TCI_HOUR_US - (tci_quarter_start_us(quarter) % TCI_HOUR_US < 0); }

static tci_hash person(tci_hash room, int role, tci_hash who) { return tci_hash_mix((unsigned)role + 1, room, who); }

static int see(tci_rollup *rollup, tci_hour *hour, tci_hash room, int role, tci_hash who, uint32_t quarter) {
  tci_hash entry = person(room, role, who);
  return tci_hour_see(&rollup->hours, hour, entry.h, entry.g, (int)(quarter & 3));
}

typedef struct fill {
  tci_rollup *rollup;
  tci_hour *hour;
  int64_t rows;
} fill;

static int see_row(const tc_record *row, void *arg) {
  fill *f = arg;
  tci_rollup *rollup = f->rollup;
  uint32_t quarter = tci_quarter_of(row->created_at_us);
  f->rows++;
  tci_hash room = tci_hash_of(rollup, row->text[TC_COL_ROOM]), user = tci_hash_of(rollup, row->text[TC_COL_USER]);
  int role = row->kind == TC_KIND_TIP ? TCI_SENDERS : TCI_REACTORS;
  (void)see(rollup, f->hour, room, role, user, quarter);
  (void)see(rollup, f->hour, rollup->all, role, user, quarter);
  if (row->kind == TC_KIND_TIP) {
    tci_hash peer = tci_hash_of(rollup, row->text[TC_COL_PEER]);
    (void)see(rollup, f->hour, room, TCI_RECIPIENTS, peer, quarter);
    (void)see(rollup, f->hour, rollup->all, TCI_RECIPIENTS, peer, quarter);
  }
  return f->hour->state != TCI_HOUR_KNOWN;
}

/* From the index, what the cursor has passed of the hour. Whatever fails: the hour is unknown then, and readers count for themselves; unless they were too many for a moment, who then
 * would only be more. */
static int fill_hour(tci_rollup *rollup, tci_hour *hour) {
  fill f = {rollup, hour, 0};
  int64_t from_us = hour->hour * TCI_HOUR_US, left = rollup->fills_left;
  int rc = left < FILL_LEAST ? TC_ELIMIT : tci_rollup_replay(rollup, from_us, from_us + TCI_HOUR_US, (size_t)left, see_row, &f);
  if (rc == TC_EBUSY) {
    tci_hour_forget(&rollup->hours, hour);
    return rc;
  }
  if (rc) tci_hour_give_up(&rollup->hours, hour);
  if (left >= FILL_LEAST) rollup->fills_left -= rc == TC_ELIMIT ? left : f.rows; /* of one too large, so many have been looked at */
  return TC_OK;
}

/* Has anybody been counted in this quarter, in any room? */
static int was_counted(tci_rollup *rollup, uint32_t quarter, int *rc) {
  static const int64_t none[TCI_N_ROLLUP];
  tci_cell_key key = tci_cell_key_of(tci_space_hash(TCI_SPACE_ROLLUP, rollup->all), quarter, rollup->standard);
  const tci_cell *cell = tci_cell_take(rollup, TCI_SPACE_ROLLUP, &key, (tc_text){NULL, 0}, (tc_text){NULL, 0}, rc);
  return cell && memcmp(cell->n, none, sizeof none);
}

/* NULL: *rc says why. */
static tci_hour *take_hour(tci_rollup *rollup, uint32_t quarter, int *rc) {
  int64_t number = hour_of(quarter);
  if (rollup->fills_left < TCI_FILL_MAX) rollup->fills_left += FILL_AN_EVENT;
  tci_hour *hour = tci_hours_find(&rollup->hours, number);
  if (hour) return hour;
  int counted = 0;
  for (uint32_t i = 0; i < 4 && !*rc && !counted; i++) counted = was_counted(rollup, (quarter & ~UINT32_C(3)) + i, rc);
  if (*rc) return NULL;
  hour = tci_hours_begin(&rollup->hours, number);
  if (counted) *rc = fill_hour(rollup, hour);
  return *rc ? NULL : hour;
}

static void count_one(tci_rollup *rollup, tci_hour *hour, const scope *s, int role, tci_hash who, uint32_t quarter) {
  int64_t *unique = &s->people->n[TCI_N_UNIQUE + role], *fresh = &s->people->n[TCI_N_FRESH + role];
  int seen = see(rollup, hour, s->room, role, who, quarter);
  if (seen < 0 || *unique < 0) {
    *unique = *fresh = -1;
    return;
  }
  *unique += !(seen & TCI_SEEN_IN_QUARTER);
  *fresh += !(seen & TCI_SEEN_IN_HOUR);
}

/* ---- finding the cells ---- */

static tci_group *take_quarter(tci_rollup *rollup, tci_hash room, uint32_t quarter, int *rc) {
  tci_cell_key key = tci_cell_key_of(room, quarter, (tci_hash){0, 0});
  return tci_group_take(rollup, &key, 0, rc);
}

static tci_cell *take_total(tci_rollup *rollup, tci_hash room, uint32_t quarter, tci_hash currency, tc_text name, int *rc) {
  tci_cell_key key = tci_cell_key_of(tci_space_hash(TCI_SPACE_ROLLUP, room), quarter, currency);
  return tci_cell_take(rollup, TCI_SPACE_ROLLUP, &key, (tc_text){NULL, 0}, name, rc);
}

static tci_cell *take_recipient(tci_rollup *rollup, const scope *s, uint32_t quarter, tci_hash currency, tci_hash peer, const tc_record *record, int *rc) {
  char prefix[8];
  tc_text code = record->text[TC_COL_CURRENCY];
  size_t len = code.len < sizeof prefix - 1 ? code.len : sizeof prefix - 1; /* codes have three letters */
  prefix[0] = (char)len;
  if (len) memcpy(prefix + 1, code.ptr, len);
  tci_cell_key key = tci_cell_key_of(tci_space_hash(TCI_SPACE_RECIPIENT, s->room), quarter, tci_hash_mix(TCI_SPACE_RECIPIENT, currency, peer));
  return tci_cell_take(rollup, TCI_SPACE_RECIPIENT, &key, (tc_text){prefix, len + 1}, record->text[TC_COL_PEER], rc);
}

static int take_standings(tci_rollup *rollup, scope *s, const tc_record *record, uint32_t day, tci_hash currency, const tci_hash who[2]) {
  int rc = TC_OK;
  for (int role = TCI_SENDERS; role <= TCI_RECIPIENTS && !rc; role++) {
    tci_hash board = tci_board_hash(rollup, s->room, role, currency);
    rc = tci_standing_take(rollup, &s->standings[role], board, day, who[role], record->text[role == TCI_SENDERS ? TC_COL_USER : TC_COL_PEER]);
  }
  return rc;
}

/* ---- changing them ---- */

static void change_scope(tci_rollup *rollup, const scope *s, const change *c, uint32_t day) {
  s->total->sum += c->amount;
  s->total->n[TCI_N_TIPS] += c->tips;
  s->total->n[TCI_N_REFUNDED] += c->refunds;
  tci_cell_touch(rollup, s->quarter, s->total);
  s->recipient->sum += c->amount;
  s->recipient->n[TCI_N_COUNT] += c->tips;
  tci_cell_touch(rollup, s->quarter, s->recipient);
  if (rollup->shadow) return;
  for (int role = TCI_SENDERS; role <= TCI_RECIPIENTS; role++) tci_standing_change(rollup, &s->standings[role], day, c->amount, c->tips, c->record->seq);
}

static int apply_change(tci_rollup *rollup, const change *c) {
  const tc_record *record = c->record;
  uint32_t quarter = tci_quarter_of(c->created_at_us), day = tci_day_of(c->created_at_us);
  tci_hash who[2] = {c->ahead->user, c->ahead->peer}, currency = c->ahead->currency;
  tc_text code = record->text[TC_COL_CURRENCY], none = {NULL, 0};
  scope scopes[2] = {{.room = c->ahead->room}, {.room = rollup->all}};
  tci_stakes stakes;
  int rc = TC_OK;
  tci_hour *hour = c->tips ? take_hour(rollup, quarter, &rc) : NULL;
  for (int i = 0; i < 2 && !rc; i++) {
    scope *s = &scopes[i];
    s->quarter = take_quarter(rollup, s->room, quarter, &rc);
    if (!rc) s->total = take_total(rollup, s->room, quarter, currency, code, &rc);
    if (!rc) s->people = code.len ? take_total(rollup, s->room, quarter, rollup->standard, none, &rc) : s->total;
    if (!rc) s->recipient = take_recipient(rollup, s, quarter, currency, who[1], record, &rc);
    if (!rc && !rollup->shadow) rc = take_standings(rollup, s, record, day, currency, who);
  }
  stakes.n = 0;
  if (!rc && !rollup->shadow) rc = tci_stakes_take(rollup, record, c->tips ? record->seq : record->ref, c->created_at_us, &stakes);
  if (rc) return rc;
  tci_stakes_change(rollup, &stakes, c->amount, c->tips, record->seq);
  for (int i = 0; i < 2; i++) {
    change_scope(rollup, &scopes[i], c, day);
    if (!c->tips) continue;
    for (int role = TCI_SENDERS; role <= TCI_RECIPIENTS; role++) count_one(rollup, hour, &scopes[i], role, who[role], quarter);
    tci_cell_touch(rollup, scopes[i].quarter, scopes[i].people);
  }
  if (quarter > rollup->newest_quarter) rollup->newest_quarter = quarter;
  if (day > rollup->newest_day) rollup->newest_day = day;
  return TC_OK;
}

static int apply_reaction(tci_rollup *rollup, const tc_record *record, const tci_ahead *ahead) {
  uint32_t quarter = tci_quarter_of(record->created_at_us);
  char scratch[TC_EMOJI_BYTES_MAX];
  tc_text emoji = tci_emoji_canonical(record->text[TC_COL_BODY], scratch), none = {NULL, 0};
  tci_hash what = tci_hash_of(rollup, emoji);
  scope scopes[2] = {{.room = ahead->room}, {.room = rollup->all}};
  tci_cell *used[2] = {NULL, NULL};
  int rc = TC_OK;
  tci_hour *hour = take_hour(rollup, quarter, &rc);
  for (int i = 0; i < 2 && !rc; i++) {
    scope *s = &scopes[i];
    s->quarter = take_quarter(rollup, s->room, quarter, &rc);
    if (!rc) s->people = take_total(rollup, s->room, quarter, rollup->standard, none, &rc);
    tci_cell_key key = tci_cell_key_of(tci_space_hash(TCI_SPACE_EMOJI, s->room), quarter, what);
    if (!rc) used[i] = tci_cell_take(rollup, TCI_SPACE_EMOJI, &key, none, emoji, &rc);
  }
  if (rc) return rc;
  for (int i = 0; i < 2; i++) {
    scopes[i].people->n[TCI_N_REACTIONS]++;
    count_one(rollup, hour, &scopes[i], TCI_REACTORS, ahead->user, quarter);
    tci_cell_touch(rollup, scopes[i].quarter, scopes[i].people);
    used[i]->n[TCI_N_COUNT]++;
    tci_cell_touch(rollup, scopes[i].quarter, used[i]);
  }
  if (quarter > rollup->newest_quarter) rollup->newest_quarter = quarter;
  return TC_OK;
}

static int keep_time(const tc_record *row, void *arg) {
  *(tc_position *)arg = (tc_position){row->created_at_us, row->seq};
  return 1;
}

int tci_rollup_tip_time(tci_rollup *rollup, const tc_record *refund, int64_t *created_at_us) {
  tc_position tip = {0, 0};
  int rc = rollup->engine->ops->read_log(rollup->engine->storage, refund->ref - 1, 1, keep_time, &tip);
  if (!rc && tip.seq != refund->ref)
    rc = tci_fail(TC_ECORRUPT, "the log has no event %lld, of which event %lld is a refund", (long long)refund->ref, (long long)refund->seq);
  if (!rc) *created_at_us = tip.created_at_us;
  return rc;
}

/* What goes back goes back where the tip was counted, however long ago. */
static int apply_refund(tci_rollup *rollup, const tc_record *record, const tci_ahead *ahead) {
  change back = {record, ahead, 0, -(tci_int128)record->amount, 0, 1};
  int rc = tci_rollup_tip_time(rollup, record, &back.created_at_us);
  return rc ? rc : apply_change(rollup, &back);
}

/* ---- before its turn ---- */

static void want_cell(tci_ahead *ahead, tci_hash group, uint32_t time, tci_hash item) {
  tci_cell_key key = tci_cell_key_of(group, time, item);
  ahead->cells[ahead->n_cells++] = tci_table_tag(&key);
}

static void want_group(tci_ahead *ahead, tci_hash group, uint32_t time) {
  tci_cell_key key = tci_cell_key_of(group, time, (tci_hash){0, 0});
  ahead->groups[ahead->n_groups++] = tci_table_tag(&key);
}

void tci_rollup_look_ahead(const tci_rollup *rollup, const tc_record *record, tci_ahead *out) {
  uint32_t quarter = tci_quarter_of(record->created_at_us), day = tci_day_of(record->created_at_us);
  tc_text code = record->text[TC_COL_CURRENCY];
  out->n_cells = out->n_groups = 0;
  out->room = tci_hash_of(rollup, record->text[TC_COL_ROOM]);
  out->user = tci_hash_of(rollup, record->text[TC_COL_USER]);
  out->peer = tci_hash_of(rollup, record->text[TC_COL_PEER]);
  out->currency = code.len ? tci_hash_of(rollup, code) : rollup->standard;
  want_group(out, out->room, quarter);
  for (int i = 0; i < 2; i++) {
    tci_hash room = i ? rollup->all : out->room;
    tci_hours_prefetch(&rollup->hours, hour_of(quarter), person(room, record->kind == TC_KIND_TIP ? TCI_SENDERS : TCI_REACTORS, out->user).h);
    if (record->kind == TC_KIND_TIP) tci_hours_prefetch(&rollup->hours, hour_of(quarter), person(room, TCI_RECIPIENTS, out->peer).h);
  }
  if (record->kind == TC_KIND_TIP && !rollup->shadow) {
    for (int i = 0; i < 2; i++) {
      tci_hash room = i ? rollup->all : out->room;
      tci_hash senders = tci_board_hash(rollup, room, TCI_SENDERS, out->currency), recipients = tci_board_hash(rollup, room, TCI_RECIPIENTS, out->currency);
      want_cell(out, senders, TCI_ALL_TIME, out->user);
      want_cell(out, recipients, TCI_ALL_TIME, out->peer);
      want_cell(out, tci_space_hash(TCI_SPACE_RECIPIENT, room), quarter, tci_hash_mix(TCI_SPACE_RECIPIENT, out->currency, out->peer));
      if (i) continue; /* those of all rooms are never far */
      want_group(out, senders, TCI_ALL_TIME);
      want_group(out, recipients, TCI_ALL_TIME);
      want_group(out, senders, day);
      want_group(out, recipients, day);
    }
  }
  for (int i = 0; i < out->n_cells; i++) tci_table_prefetch(&rollup->cells, out->cells[i], 0);
  for (int i = 0; i < out->n_groups; i++) tci_table_prefetch(&rollup->groups, out->groups[i], 0);
}

void tci_rollup_look_again(const tci_rollup *rollup, const tci_ahead *ahead) {
  for (int i = 0; i < ahead->n_cells; i++) tci_table_prefetch(&rollup->cells, ahead->cells[i], 1);
  for (int i = 0; i < ahead->n_groups; i++) tci_table_prefetch(&rollup->groups, ahead->groups[i], 1);
}

int tci_rollup_apply(tci_rollup *rollup, const tc_record *record, const tci_ahead *ahead) {
  change tip = {record, ahead, record->created_at_us, record->amount, 1, 0};
  switch (record->kind) {
  case TC_KIND_TIP: return apply_change(rollup, &tip);
  case TC_KIND_REACTION: return apply_reaction(rollup, record, ahead);
  case TC_KIND_REFUND: return apply_refund(rollup, record, ahead);
  default: return TC_OK; /* nothing is counted of it */
  }
}
