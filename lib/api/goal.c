#include "tipcurrent/goal.h"

#include <string.h>

#include "api/door.h"
#include "api/enter.h"
#include "api/sized.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "engine/goals.h"
#include "engine/rollup/rollup.h"
#include "model/money.h"

/* Goals as they are shown: the registry's texts stay until the engine is closed. */
typedef struct goals {
  tci_goal *at;
  size_t count, cap;
  int rc;
} goals;

static int collect(const tci_goal *goal, void *arg) {
  goals *all = arg;
  if (all->count == all->cap) {
    size_t cap = all->cap ? all->cap * 2 : 16;
    tci_goal *larger = tci_realloc(all->at, cap * sizeof *larger);
    if (!larger) {
      all->rc = tci_fail(TC_ENOMEM, "out of memory for goals");
      return 1;
    }
    all->at = larger;
    all->cap = cap;
  }
  all->at[all->count++] = *goal;
  return 0;
}

static int32_t status_of(const tc_engine *engine, const tci_goal *goal) {
  if (goal->closed_at_us) return TC_GOAL_CLOSED;
  if (goal->reached_at_us) return TC_GOAL_REACHED;
  return goal->deadline_us && engine->clock.wall_us(engine->clock.userdata) >= goal->deadline_us ? TC_GOAL_EXPIRED : TC_GOAL_OPEN;
}

static void show(tc_engine *engine, const tci_goal *goal, tc_goal_fn fn, void *userdata) {
  tci_int128 amount = 0;
  tc_goal shown = {.size = sizeof shown, .id = goal->id, .target_amount = goal->target_amount, .target_count = goal->target_count};
  shown.created_at_us = goal->created_at_us;
  shown.deadline_us = goal->deadline_us;
  shown.reached_at_us = goal->reached_at_us;
  shown.closed_at_us = goal->closed_at_us;
  shown.status = status_of(engine, goal);
  shown.room_id = goal->room;
  shown.title = goal->title;
  shown.currency = goal->currency;
  shown.recipient_id = goal->recipient;
  shown.has_progress = !tci_rollup_goal(engine, goal->id, &amount, &shown.progress_count);
  if (shown.has_progress && goal->target_amount) shown.progress_amount = amount > INT64_MAX ? INT64_MAX : (int64_t)amount;
  fn(&shown, userdata);
}

static int show_all(tc_engine *engine, int64_t id, const char *room, tc_goal_fn fn, void *userdata) {
  goals all = {.rc = TC_OK};
  int rc = tci_goals_read(engine, id, room, collect, &all);
  if (!rc) rc = all.rc;
  for (size_t i = 0; i < all.count && !rc; i++) show(engine, &all.at[i], fn, userdata);
  tci_free(all.at);
  return rc;
}

static int check_change(tc_engine *engine) {
  int rc = tci_door_check(engine);
  return !rc && tci_engine_on_own_thread(engine) ? tci_fail(TC_EINVAL, "a goal cannot be changed inside a callback") : rc;
}

int tc_goal_create(tc_engine *engine, const tc_goal_new *goal, tc_goal_fn fn, void *userdata, int32_t *replayed) {
  tc_goal_new n;
  int64_t id = 0;
  int32_t known = 0;
  TCI_ENTER();
  int rc = check_change(engine);
  if (!rc) rc = tci_sized_in(&n, sizeof n, TCI_SIZED_UP_TO(tc_goal_new, idempotency_key), goal, "goal");
  if (rc) return rc;
  tci_goal wanted = {.room = n.room_id, .title = n.title, .target_amount = n.target_amount, .target_count = n.target_count};
  wanted.currency = n.currency;
  wanted.any_currency = !n.currency && n.target_count;
  wanted.recipient = n.recipient_id;
  wanted.deadline_us = n.deadline_us;
  wanted.key = n.idempotency_key;
  if (n.currency && !strcmp(n.currency, engine->currency)) wanted.currency = NULL; /* as tips in it have none */
  rc = tci_goals_create(engine, &wanted, &id, &known);
  if (rc) return rc;
  if (replayed) *replayed = known;
  return fn ? show_all(engine, id, NULL, fn, userdata) : TC_OK;
}

enum { TITLE, AMOUNT, COUNT, CURRENCY, RECIPIENT, DEADLINE, MEMBERS };
static const char *const names[MEMBERS] = {"title", "targetAmount", "targetCount", "currency", "recipientId", "deadline"};

/* The member's text, NUL-terminated in *to; NULL: absent. */
static int read_text(const tci_json_value *value, const char *name, char **to, const char **out) {
  if (value->type == TCI_JSON_ABSENT || value->type == TCI_JSON_NULL) return TC_OK;
  int is_number = value->type == TCI_JSON_NUMBER && (name == names[AMOUNT] || name == names[COUNT]);
  if (value->type != TCI_JSON_STRING && !is_number)
    return tci_fail(TC_EINVAL, "%s: must be a %s", name, name == names[AMOUNT] || name == names[COUNT] ? "number" : "string");
  char *at = *to;
  size_t len = value->raw.len;
  if (value->type == TCI_JSON_STRING) len = tci_json_unescape(value->raw, at);
  else memcpy(at, value->raw.ptr, len);
  if (memchr(at, '\0', len)) return tci_fail(TC_EINVAL, "%s: must not contain U+0000", name);
  at[len] = '\0';
  *out = at;
  *to = at + len + 1;
  return TC_OK;
}

static int read_target(const char *name, const char *text, int is_money, int64_t *out) {
  if (!text) return TC_OK;
  const char *reason = is_money ? tci_money_parse(text, strlen(text), out) : tci_whole_parse(text, strlen(text), out);
  if (!reason && !*out) reason = "must be greater than 0";
  return reason ? tci_fail(TC_EINVAL, "%s: %s", name, reason) : TC_OK;
}

/* storage: room for the object's texts. */
static int read_goal(const char *json, size_t len, char *storage, tc_goal_new *goal) {
  const char *texts[MEMBERS] = {NULL};
  tci_json_value values[MEMBERS];
  tci_json_fault fault;
  int rc = TC_OK;
  if (tci_json_object(json, len, names, MEMBERS, values, &fault)) return tci_fail(TC_EINVAL, "body: %s at byte %zu", fault.what, fault.offset);
  for (size_t i = 0; i < MEMBERS && !rc; i++) rc = read_text(&values[i], names[i], &storage, &texts[i]);
  if (!rc) rc = read_target(names[AMOUNT], texts[AMOUNT], 1, &goal->target_amount);
  if (!rc) rc = read_target(names[COUNT], texts[COUNT], 0, &goal->target_count);
  if (!rc && texts[DEADLINE] && tci_time_parse(texts[DEADLINE], strlen(texts[DEADLINE]), &goal->deadline_us)) {
    rc = tci_fail(TC_EINVAL, "deadline: must be an instant such as 2026-12-31T20:00:00Z");
  }
  goal->title = texts[TITLE];
  goal->currency = texts[CURRENCY];
  goal->recipient_id = texts[RECIPIENT];
  return rc;
}

int tc_goal_json_create(tc_engine *engine, const char *room_id, const char *json, size_t len, const char *idempotency_key, tc_goal_fn fn, void *userdata,
                        int32_t *replayed) {
  tc_goal_new goal = TC_GOAL_NEW_INIT;
  TCI_ENTER();
  int rc = check_change(engine);
  if (!rc && !json) rc = tci_fail(TC_EINVAL, "json: must not be NULL");
  if (rc) return rc;
  char *storage = tci_alloc(len + MEMBERS);
  if (!storage) return tci_fail(TC_ENOMEM, "out of memory for a goal");
  rc = read_goal(json, len, storage, &goal);
  goal.room_id = room_id;
  goal.idempotency_key = idempotency_key;
  if (!rc) rc = tc_goal_create(engine, &goal, fn, userdata, replayed);
  tci_free(storage);
  return rc;
}

int tc_goal_close(tc_engine *engine, int64_t id, tc_goal_fn fn, void *userdata) {
  TCI_ENTER();
  int rc = check_change(engine);
  if (!rc) rc = tci_goals_close(engine, id);
  return rc || !fn ? rc : show_all(engine, id, NULL, fn, userdata);
}

int tc_goal_get(tc_engine *engine, int64_t id, tc_goal_fn fn, void *userdata) {
  TCI_ENTER();
  if (!engine || !fn) return tci_fail(TC_EINVAL, "%s: must not be NULL", engine ? "fn" : "engine");
  return show_all(engine, id, NULL, fn, userdata);
}

int tc_goal_list(tc_engine *engine, const char *room_id, tc_goal_fn fn, void *userdata) {
  TCI_ENTER();
  if (!engine || !room_id || !fn) return tci_fail(TC_EINVAL, "%s: must not be NULL", !engine ? "engine" : !room_id ? "room_id" : "fn");
  return show_all(engine, 0, room_id, fn, userdata);
}
