#include "server/live/goals.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/timefmt.h"
#include "server/live/watch.h"

#define MESSAGE_MAX (16u << 10)

/* ---- a goal's members ---- */

static void put_text(tci_buf *out, const char *name, const char *text) {
  (void)tci_buf_printf(out, ",\"%s\":", name);
  if (text) (void)tci_json_put_string(out, (tc_text){text, strlen(text)});
  else (void)tci_buf_puts(out, "null");
}

static void put_money(tci_buf *out, const char *name, int there, int64_t hundredths) {
  const char *sign = hundredths < 0 ? "-" : "";
  uint64_t size = hundredths < 0 ? 0 - (uint64_t)hundredths : (uint64_t)hundredths;
  if (there) (void)tci_buf_printf(out, ",\"%s\":%s%" PRIu64 ".%02d", name, sign, size / 100, (int)(size % 100));
  else (void)tci_buf_printf(out, ",\"%s\":null", name);
}

static void put_count(tci_buf *out, const char *name, int there, int64_t count) {
  if (there) (void)tci_buf_printf(out, ",\"%s\":%" PRId64, name, count);
  else (void)tci_buf_printf(out, ",\"%s\":null", name);
}

static void put_time(tci_buf *out, const char *name, int64_t us) {
  char text[TCI_RFC3339_MS_LEN];
  tci_time_format_ms(us, text);
  if (us) (void)tci_buf_printf(out, ",\"%s\":\"%.*s\"", name, TCI_RFC3339_MS_LEN, text);
  else (void)tci_buf_printf(out, ",\"%s\":null", name);
}

static const char *status_text(int32_t status) {
  switch (status) {
  case TC_GOAL_REACHED: return "reached";
  case TC_GOAL_EXPIRED: return "expired";
  case TC_GOAL_CLOSED: return "closed";
  default: return "open";
  }
}

static void put_target(tci_buf *out, const tc_goal *goal) {
  put_text(out, "roomId", goal->room_id);
  put_text(out, "title", goal->title);
  put_money(out, "targetAmount", goal->target_amount != 0, goal->target_amount);
  put_count(out, "targetCount", goal->target_count != 0, goal->target_count);
  if (goal->currency) put_text(out, "currency", goal->currency);
}

static void put_progress(tci_buf *out, const tc_goal *goal) {
  put_text(out, "status", status_text(goal->status));
  put_money(out, "progressAmount", goal->has_progress && goal->target_amount, goal->progress_amount);
  put_count(out, "progressCount", goal->has_progress, goal->progress_count);
}

void tcd_goal_put(tci_buf *out, const tc_goal *goal) {
  (void)tci_buf_printf(out, "{\"id\":%" PRId64, goal->id);
  put_target(out, goal);
  put_text(out, "recipientId", goal->recipient_id);
  put_time(out, "deadline", goal->deadline_us);
  put_progress(out, goal);
  put_time(out, "reachedAt", goal->reached_at_us);
  put_time(out, "closedAt", goal->closed_at_us);
  put_time(out, "createdAt", goal->created_at_us);
  (void)tci_buf_puts(out, "}");
}

/* ---- live ---- */

typedef struct look_at {
  tcd_saying *saying;
  int rc;
} look_at;

/* Nobody waits for what is closed; it goes on standing in REST. */
static void say_one(const tc_goal *goal, void *userdata) {
  look_at *l = userdata;
  tci_buf out;
  if (goal->status == TC_GOAL_CLOSED || !goal->has_progress) return;
  if (goal->status == TC_GOAL_OPEN && goal->deadline_us) tcd_saying_until(l->saying, goal->deadline_us);
  tci_buf_init(&out, MESSAGE_MAX);
  (void)tci_buf_printf(&out, "{\"type\":\"goal.progress\",\"goalId\":%" PRId64, goal->id);
  put_target(&out, goal);
  put_progress(&out, goal);
  (void)tci_buf_puts(&out, "}");
  if (out.err) l->rc = out.err;
  else tcd_saying_put(l->saying, goal->id, (tc_text){out.data, out.len});
  tci_buf_free(&out);
}

static int look(tc_engine *engine, tc_text room, int64_t now_us, tcd_saying *saying) {
  (void)now_us;
  look_at l = {saying, TC_OK};
  int rc = tc_goal_list(engine, room.ptr, say_one, &l);
  return rc ? rc : l.rc;
}

int tcd_goals_watch(tcd_hub *hub) {
  tcd_watch watch = {.what = TCD_TOPIC_EVENTS,
                     .kinds = UINT64_C(1) << TC_KIND_TIP | UINT64_C(1) << TC_KIND_REFUND | UINT64_C(1) << TC_KIND_GOAL_REACHED,
                     .greets = 1,
                     .type = "goal.progress",
                     .look = look};
  return tcd_hub_watch(hub, &watch);
}
