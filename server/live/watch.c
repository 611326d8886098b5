#include "server/live/watch.h"

#include <string.h>

#include "base/mem.h"
#include "server/live/state.h"

#define WATCHES_MAX 4
#define SPOTS_MAX 65536     /* rooms that are kept because of a pattern's followers; those that are followed themselves are bounded by their followers */
#define PACE_US 1000000     /* a room is said no more often */
#define TICK_US 100000      /* while something is due */
#define REST_US 1000000     /* while nothing is */
#define PATIENCE_US 2000000 /* statistics that are further behind than this are not waited for */
#define SWEEP_US 60000000

typedef struct said {
  struct said *next;
  int64_t key;
  size_t len;
  char json[];
} said;

struct tcd_saying {
  said *first;
  int64_t until_us; /* INT64_MAX: nothing changes by itself */
  int err;
};

/* A room of a watch. With a thread from ask to on_looked (away): then `saying`, `seq` and `rc` are its, all else stays the front's. */
typedef struct spot {
  tcd_node node; /* first */
  tcd_task task;
  struct spot *next_due, *next_job;
  tcd_hub *hub;
  int watch;
  uint64_t epoch;              /* of the watch, when it was looked at */
  int due, listed, away;       /* listed: in the list of those that are due, or were */
  int64_t first_seq, last_seq; /* of the events that made it due: they must have been counted; last_seq stays */
  int64_t due_us, next_us;     /* since when it is due; no sooner than then it is looked at */
  int64_t until_us;
  said *last; /* what was said */
  tcd_saying saying;
  int64_t seq; /* up to which events were counted when it was looked at */
  int rc;
  size_t len;
  char room[];
} spot;

struct tcd_watches {
  tcd_hub *hub;
  tcd_watch watch[WATCHES_MAX];
  uint64_t epoch[WATCHES_MAX]; /* grows when a pattern is followed for the first time again: what was said before may be old */
  int count;
  tcd_table spots;
  spot *due;
  tcd_timer tick;
  int64_t until_us, sweep_us; /* the earliest until_us of all spots, by the wall clock; the next sweep, by the other */
  pthread_mutex_t mutex;
  pthread_cond_t moved;
  int lock_made, cond_made, over;
  spot *first_job, *last_job;
  tci_thread thread;
};

static int64_t wall_us(const tcd_hub *hub) { return hub->front->clock.wall_us(hub->front->clock.userdata); }

static tc_text room_of(const spot *s) { return (tc_text){s->room, s->len}; }

static int is_followed(const spot *s) { return tcd_hub_follows(s->hub, s->hub->watches->watch[s->watch].what, room_of(s)); }

static void free_said(said *first) {
  for (said *next; first; first = next) {
    next = first->next;
    tci_free(first);
  }
}

static void free_spot(spot *s) {
  free_said(s->last);
  free_said(s->saying.first);
  tci_free(s);
}

/* ---- the thread ---- */

void tcd_saying_put(tcd_saying *saying, int64_t key, tc_text json) {
  said *made = tci_alloc(sizeof *made + json.len);
  if (!made) {
    saying->err = TC_ENOMEM;
    return;
  }
  made->key = key;
  made->len = json.len;
  memcpy(made->json, json.ptr, json.len);
  said **end = &saying->first; /* in the order of putting */
  while (*end) end = &(*end)->next;
  made->next = NULL;
  *end = made;
}

void tcd_saying_until(tcd_saying *saying, int64_t at_us) {
  if (at_us < saying->until_us) saying->until_us = at_us;
}

static spot *pop(tcd_watches *w) {
  pthread_mutex_lock(&w->mutex);
  while (!w->first_job && !w->over) (void)tci_cond_wait(&w->moved, &w->mutex, -1);
  spot *s = w->over ? NULL : w->first_job;
  if (s) w->first_job = s->next_job;
  if (!w->first_job) w->last_job = NULL;
  pthread_mutex_unlock(&w->mutex);
  return s;
}

static void *work(void *arg) {
  tcd_watches *w = arg;
  for (spot *s; (s = pop(w)) != NULL;) {
    tc_status status = TC_STATUS_INIT;
    s->saying = (tcd_saying){.until_us = INT64_MAX};
    /* Before the look: what is counted meanwhile may be in it or not. */
    s->rc = tc_engine_status(w->hub->engine, &status);
    s->seq = status.stats_seq;
    if (!s->rc) s->rc = w->watch[s->watch].look(w->hub->engine, room_of(s), wall_us(w->hub), &s->saying);
    if (!s->rc) s->rc = s->saying.err;
    tcd_front_post(w->hub->front, &s->task);
  }
  return NULL;
}

/* ---- the front ---- */

static void arm(tcd_watches *w, int64_t in_us) {
  tcd_front *front = w->hub->front;
  if (!w->tick.prev || w->tick.due_us > front->now_us + in_us) tcd_timer_start(&front->wheel, &w->tick, front->now_us + in_us);
}

static void ask(spot *s) {
  tcd_watches *w = s->hub->watches;
  s->due = 0;
  s->away = 1;
  s->next_us = s->hub->front->now_us + PACE_US;
  s->epoch = w->epoch[s->watch];
  pthread_mutex_lock(&w->mutex);
  s->next_job = NULL;
  if (w->last_job) w->last_job->next_job = s;
  else w->first_job = s;
  w->last_job = s;
  pthread_cond_signal(&w->moved);
  pthread_mutex_unlock(&w->mutex);
}

/* To be looked at when what has come up to first_seq is counted. */
static void need(spot *s, int64_t first_seq) {
  tcd_watches *w = s->hub->watches;
  if (!s->due) {
    s->first_seq = first_seq;
    s->due_us = s->hub->front->now_us;
  }
  s->due = 1;
  if (!s->listed) {
    s->listed = 1;
    s->next_due = w->due;
    w->due = s;
  }
  arm(w, TICK_US);
}

static spot *find_spot(const tcd_watches *w, int watch, tc_text room, uint64_t hash) {
  for (tcd_node *node = tcd_table_first(&w->spots, hash); node; node = tcd_table_next(node)) {
    spot *s = (spot *)node;
    if (s->watch == watch && s->len == room.len && (!room.len || !memcmp(s->room, room.ptr, room.len))) return s;
  }
  return NULL;
}

static void on_looked(tcd_task *task);

/* NULL: no memory, or too many. */
static spot *get_spot(tcd_watches *w, int watch, tc_text room) {
  uint64_t hash = tci_siphash(&w->hub->key, room.ptr ? room.ptr : "", room.len) + (unsigned)watch;
  spot *s = find_spot(w, watch, room, hash);
  if (s || (w->spots.count >= SPOTS_MAX && room.len && !tcd_hub_follows_room(w->hub, w->watch[watch].what, room))) return s;
  s = tci_zalloc(sizeof *s + room.len + 1);
  if (!s) return NULL;
  s->node.hash = hash;
  s->task.run = on_looked;
  s->hub = w->hub;
  s->watch = watch;
  s->until_us = INT64_MAX;
  s->len = room.len;
  if (room.len) memcpy(s->room, room.ptr, room.len);
  if (tcd_table_add(&w->spots, &s->node)) {
    tci_free(s);
    return NULL;
  }
  return s;
}

static const said *find_said(const said *first, int64_t key) {
  while (first && first->key != key) first = first->next;
  return first;
}

static tcd_notice notice_of(const spot *s, const said *text) {
  const tcd_watch *watch = &s->hub->watches->watch[s->watch];
  return (tcd_notice){.what = watch->what, .room = room_of(s), .type = {watch->type, strlen(watch->type)}, .json = {text->json, text->len}};
}

static void say_news(spot *s) {
  for (const said *text = s->saying.first; text; text = text->next) {
    const said *before = find_said(s->last, text->key);
    if (before && before->len == text->len && !memcmp(before->json, text->json, text->len)) continue;
    tcd_notice notice = notice_of(s, text);
    tcd_hub_say(s->hub, &notice);
    s->next_us = s->hub->front->now_us + PACE_US;
  }
  free_said(s->last);
  s->last = s->saying.first;
  s->until_us = s->saying.until_us;
  if (s->until_us < s->hub->watches->until_us) s->hub->watches->until_us = s->until_us;
}

static void on_looked(tcd_task *task) {
  spot *s = (spot *)((char *)task - offsetof(spot, task));
  s->away = 0;
  if (s->rc) {
    free_said(s->saying.first);
    if (s->rc != TC_ENOTSUP && s->rc != TC_ECLOSED) need(s, 0);
  } else {
    say_news(s);
    /* Events that came meanwhile may be in it already. first_seq 0 is a newcomer, or a day that has ended: he counts for himself. */
    if (s->due && s->first_seq && s->last_seq <= s->seq) s->due = 0;
    else if (s->last_seq > s->seq) need(s, s->seq + 1);
  }
  s->saying.first = NULL;
}

static int is_time(const spot *s, int64_t counted_seq) {
  int64_t now_us = s->hub->front->now_us;
  return !s->away && now_us >= s->next_us && (s->first_seq <= counted_seq || now_us >= s->due_us + PATIENCE_US);
}

/* Those whose day has ended are due; those that nobody follows go. */
static void sweep(tcd_watches *w) {
  int64_t now_us = wall_us(w->hub), mono_us = w->hub->front->now_us;
  int old = mono_us >= w->sweep_us;
  if (now_us < w->until_us && !old) return;
  w->until_us = INT64_MAX;
  if (old) w->sweep_us = mono_us + SWEEP_US;
  for (size_t i = 0; i < w->spots.cap; i++) {
    for (tcd_node *node = w->spots.slots[i], *next; node; node = next) {
      spot *s = (spot *)node;
      next = node->next;
      if (s->until_us <= now_us) {
        s->until_us = INT64_MAX;
        need(s, 0);
      }
      if (s->until_us < w->until_us) w->until_us = s->until_us;
      /* A pattern's room that is quiet is begun anew when it is not: it is said once more then, unchanged at worst. */
      int direct = s->len ? tcd_hub_follows_room(w->hub, w->watch[s->watch].what, room_of(s)) : is_followed(s);
      if (!old || direct || s->due || s->listed || s->away || mono_us < s->next_us + SWEEP_US) continue;
      tcd_table_remove(&w->spots, node);
      free_spot(s);
    }
  }
}

static void on_tick(tcd_timer *timer) {
  tcd_watches *w = (tcd_watches *)((char *)timer - offsetof(tcd_watches, tick));
  tc_status status = TC_STATUS_INIT;
  sweep(w);
  (void)tc_engine_status(w->hub->engine, &status); /* it fails only for its arguments */
  spot *list = w->due;
  w->due = NULL;
  for (spot *s = list, *next; s; s = next) {
    next = s->next_due;
    s->listed = 0;
    if (!s->due) continue;
    s->due = is_followed(s);
    if (!s->due) continue;
    if (is_time(s, status.stats_seq)) {
      ask(s);
    } else {
      s->listed = 1;
      s->next_due = w->due;
      w->due = s;
    }
  }
  if (w->due) arm(w, TICK_US);
  else if (w->spots.count) arm(w, REST_US);
}

static void see(tcd_watches *w, int watch, tc_text room, int64_t seq) {
  if (!tcd_hub_follows(w->hub, w->watch[watch].what, room)) return;
  spot *s = get_spot(w, watch, room);
  if (!s) return; /* the next event asks for the memory again */
  s->last_seq = seq;
  need(s, seq);
}

void tcd_watches_see(tcd_hub *hub, const tc_event *event) {
  tcd_watches *w = hub->watches;
  for (int i = 0; w && i < w->count; i++) {
    if (!(w->watch[i].kinds >> tc_event_kind(event) & 1)) continue;
    const char *room = tc_event_str(event, TC_FIELD_ROOM_ID);
    if (room) see(w, i, (tc_text){room, strlen(room)}, tc_event_seq(event));
    if (w->watch[i].all_rooms) see(w, i, (tc_text){NULL, 0}, tc_event_seq(event));
  }
}

/* What is known is told at once, if all that came since it was looked at was noticed. */
static void greet(tcd_watches *w, int watch, tcd_cursor *cursor, tc_text room) {
  spot *s = get_spot(w, watch, room);
  if (!s) { /* as when a frame is lost: it comes again, and knows */
    tcd_cursor_cut(w->hub, cursor, TCD_CUT_MEMORY, tcd_cursor_resume(w->hub, cursor));
    return;
  }
  int told = cursor->met && s->epoch == w->epoch[watch] && (s->last || s->away);
  for (const said *text = s->last; text && told; text = text->next) {
    tcd_notice notice = notice_of(s, text);
    told = tcd_cursor_tell(cursor, &notice);
  }
  if (told) return; /* or a look is under way: it will be */
  free_said(s->last);
  s->last = NULL;
  s->first_seq = 0;
  need(s, 0);
  if (!s->away && s->hub->front->now_us >= s->next_us) ask(s);
}

void tcd_cursor_greet(tcd_cursor *cursor) {
  tcd_hub *hub = cursor->sink->hub;
  tcd_watches *w = hub->watches;
  const tcd_room *room = cursor->channel ? cursor->channel->room : NULL;
  int pattern = room && (room == hub->all[TCD_TOPIC_EVENTS] || room == hub->all[TCD_TOPIC_ALL]);
  int what = room && room->what == TCD_TOPIC_ALL ? TCD_TOPIC_EVENTS : room ? room->what : 0; /* a room's stream that names its types */
  for (int i = 0; w && room && !pattern && cursor->channel && i < w->count; i++) {
    if (w->watch[i].what == what && w->watch[i].greets) greet(w, i, cursor, (tc_text){room->name, room->len});
  }
}

void tcd_watches_joined(tcd_hub *hub, const tcd_topic *topic, int was_followed) {
  tcd_watches *w = hub->watches;
  for (int i = 0; w && i < w->count; i++) {
    if (w->watch[i].what == TCD_TOPIC_EVENTS && topic->all && topic->what != TCD_TOPIC_ROOMS && !was_followed) w->epoch[i]++;
  }
}

/* ---- life ---- */

static int open_watches(tcd_hub *hub) {
  tcd_watches *w = tci_zalloc(sizeof *w);
  if (!w) return TC_ENOMEM;
  hub->watches = w; /* tcd_watches_close takes a half of it too */
  w->hub = hub;
  w->tick.fired = on_tick;
  w->until_us = INT64_MAX;
  w->sweep_us = hub->front->now_us + SWEEP_US;
  if (pthread_mutex_init(&w->mutex, NULL)) return TC_ENOMEM;
  w->lock_made = 1;
  if (tci_cond_init(&w->moved)) return TC_ENOMEM;
  w->cond_made = 1;
  return tci_thread_start(&w->thread, "tcd-watch", work, w) ? TC_ENOMEM : TC_OK;
}

int tcd_hub_watch(tcd_hub *hub, const tcd_watch *watch) {
  if (!hub->engine) return TC_ENOTSUP;
  if (!hub->watches) {
    int rc = open_watches(hub);
    if (rc) {
      tcd_watches_close(hub);
      return rc;
    }
  }
  if (hub->watches->count == WATCHES_MAX) return TC_ELIMIT;
  hub->watches->watch[hub->watches->count++] = *watch;
  return TC_OK;
}

void tcd_watches_close(tcd_hub *hub) {
  tcd_watches *w = hub->watches;
  if (!w) return;
  if (w->cond_made) {
    pthread_mutex_lock(&w->mutex);
    w->over = 1;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->mutex);
  }
  tci_thread_join(&w->thread);
  tcd_timer_stop(&hub->front->wheel, &w->tick);
  for (size_t i = 0; i < w->spots.cap; i++) {
    for (tcd_node *node = w->spots.slots[i], *next; node; node = next) {
      next = node->next;
      free_spot((spot *)node);
    }
  }
  tcd_table_free(&w->spots);
  if (w->cond_made) (void)pthread_cond_destroy(&w->moved);
  if (w->lock_made) (void)pthread_mutex_destroy(&w->mutex);
  tci_free(w);
  hub->watches = NULL;
}
