#include "watch_kit.h"

#include <stdio.h>
#include <string.h>

tcd_hub *hub;
tc_engine *engine;
tcd_hub_options hub_options;

/* ---- Readers. */

static void take(tcd_sink *sink, tc_text frames) {
  ear *e = (ear *)sink;
  pthread_mutex_lock(&e->lock);
  ck_assert_uint_lt(e->len + frames.len, sizeof e->got);
  memcpy(e->got + e->len, frames.ptr, frames.len);
  e->len += frames.len;
  e->got[e->len] = '\0';
  pthread_mutex_unlock(&e->lock);
}
static size_t waiting(tcd_sink *sink) { return ((ear *)sink)->waits; }
static void cut(tcd_sink *sink, tcd_cursor *cursor, int why, int64_t resume_seq) {
  ear *e = (ear *)sink;
  ck_assert_ptr_eq(cursor, e->cursor);
  pthread_mutex_lock(&e->lock);
  e->cursor = NULL;
  e->resume_seq = resume_seq;
  e->cut = why;
  pthread_mutex_unlock(&e->lock);
}
static const tcd_sink_ops ops = {take, waiting, cut};

static void put(tc_text message, tci_buf *out) {
  (void)tci_buf_append(out, message.ptr, message.len);
  (void)tci_buf_puts(out, ";");
}
static const tcd_framing framing = {"line", put};

int stuffing;
static void write_event(const tcd_shape *shape, const tc_event *event, tci_buf *out) {
  (void)shape;
  (void)tci_buf_printf(out, "%lld", (long long)tc_event_seq(event));
  if (stuffing) (void)tci_buf_printf(out, "%*s", stuffing, "");
}
static void say_notice(const tcd_shape *shape, const tcd_notice *notice, tci_buf *out) {
  (void)shape;
  (void)tci_buf_printf(out, "%.*s!", (int)notice->json.len, notice->json.ptr);
}

/* All that came so far; nothing of it comes again. */
const char *heard(ear *e) {
  static char text[1 << 16];
  pthread_mutex_lock(&e->lock);
  memcpy(text, e->got, e->len + 1);
  e->len = 0;
  e->got[0] = '\0';
  pthread_mutex_unlock(&e->lock);
  return text;
}

int has(ear *e, const char *text) {
  pthread_mutex_lock(&e->lock);
  int found = strstr(e->got, text) != NULL;
  pthread_mutex_unlock(&e->lock);
  return found;
}

/* ---- On the front's thread. */

typedef struct act {
  tcd_task task; /* first */
  void (*fn)(void *arg);
  void *arg;
  atomic_int done;
} act;

static void run(tcd_task *task) {
  act *a = (act *)task;
  a->fn(a->arg);
  atomic_store(&a->done, 1);
}

void on_front(void (*fn)(void *arg), void *arg) {
  act a = {.task = {.run = run}, .fn = fn, .arg = arg};
  tcd_front_post(front, &a.task);
  FRONT_WAIT(atomic_load(&a.done));
}

void join_now(void *arg) {
  joining *j = arg;
  tcd_join request = {.shape = {&framing, write_event, {"e", 1}, 0, say_notice}, .resume = j->after >= 0, .after_seq = j->after};
  ck_assert_int_eq(tcd_topic_parse((tc_text){j->destination, strlen(j->destination)}, &request.topic), 0);
  j->code = tcd_hub_join(hub, &j->who->sink, &request, &j->who->cursor, NULL);
  if (!j->code) tcd_cursor_greet(j->who->cursor);
}

void ear_init(ear *who) {
  memset(who, 0, sizeof *who);
  ck_assert_int_eq(pthread_mutex_init(&who->lock, NULL), 0);
  tcd_sink_init(&who->sink, hub, &ops);
}

void listen_to(ear *who, const char *destination, int64_t after) {
  joining j = {who, destination, after, TC_OK};
  ear_init(who);
  on_front(join_now, &j);
  ck_assert_int_eq(j.code, TC_OK);
}

int try_listen(ear *who, const char *destination) {
  joining j = {who, destination, -1, TC_OK};
  ear_init(who);
  on_front(join_now, &j);
  return j.code;
}

static void leave_now(void *arg) { tcd_sink_leave(&((ear *)arg)->sink); }
void leave(ear *who) { on_front(leave_now, who); }
static void nothing(void *arg) { (void)arg; }

/* The front has been round: what was to be said at once has been. */
void settle(void) {
  for (int i = 0; i < 3; i++) on_front(nothing, NULL);
}

static void read_seq(void *arg) { *(int64_t *)arg = tcd_hub_seq(hub); }
int64_t passed_on(void) {
  int64_t seq = 0;
  on_front(read_seq, &seq);
  return seq;
}

void watch_begin(const tcd_watch *watch) {
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = "memory:";
  ck_assert_int_eq(tc_open(&engine, &options), TC_OK);
  front_open();
  hub_options.front = front;
  hub_options.engine = engine;
  ck_assert_int_eq(tcd_hub_open(&hub, &hub_options), TC_OK);
  if (watch) ck_assert_int_eq(tcd_hub_watch(hub, watch), TC_OK);
  front_run();
}

void watch_end(void) {
  tcd_front_stop(front, 0);
  front_join();
  tcd_hub_close(hub);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  front_end();
}

int64_t tip(const char *room) {
  tc_tip_new made = TC_TIP_NEW_INIT;
  tc_event *event = NULL;
  made.room_id = room;
  made.sender_id = made.recipient_id = "x";
  made.amount = 100;
  ck_assert_int_eq(tc_tip_create(engine, &made, &event, NULL), TC_OK);
  int64_t seq = tc_event_seq(event);
  tc_event_unref(event);
  return seq;
}

int64_t follow_event(const char *room) {
  tc_activity_new made = TC_ACTIVITY_NEW_INIT;
  tc_event *event = NULL;
  made.type = "follow";
  made.room_id = room;
  made.user_id = "x";
  ck_assert_int_eq(tc_activity_create(engine, &made, &event, NULL), TC_OK);
  int64_t seq = tc_event_seq(event);
  tc_event_unref(event);
  return seq;
}

int64_t counted(void) {
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(engine, &status), TC_OK);
  return status.stats_seq;
}

void pass_step(void) {
  front_advance(50);
  for (int i = 0; i < 5; i++) front_nap();
}

void pass_ms(int ms) {
  for (int i = 0; i < ms / 50; i++) pass_step();
  settle();
}
