#include "engine/goals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine.h"
#include "engine/goaldoc.h"

#define PAGE 1000

/* One in the registry. */
typedef struct entry {
  tci_goal goal; /* first */
  int due;       /* the target is met, and it is not said yet */
  int said;      /* on its way to the log */
  int64_t due_amount, due_count;
  char bytes[];
} entry;

/* Some of the entries, by (room, id). */
typedef struct list {
  entry **at;
  size_t count;
} list;

struct tci_goals {
  pthread_mutex_t mutex;
  list all;                     /* owned */
  list open;                    /* not closed: rooms have few of them, and after some years many others */
  entry **by_id;                /* all; ids only grow */
  size_t cap;                   /* of each */
  atomic_int loaded;            /* reached_at_us are known */
  atomic_size_t takers;         /* that may take something at the log's end: not closed */
  _Atomic int64_t last_closing; /* the highest closed_seq: beyond it only open ones take */
  atomic_int due;               /* entries that are due and not said */
  int unsure;                   /* writer only: a change may be stored that is not here */
};

/* ---- the order of the registry ---- */

static int order(const char *room, int64_t id, const entry *e) {
  int by = strcmp(room, e->goal.room);
  return by ? by : (id > e->goal.id) - (id < e->goal.id);
}

/* Where (room, id) stands or would stand. */
static size_t place(const list *l, const char *room, int64_t id) {
  size_t low = 0, high = l->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (order(room, id, l->at[middle]) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

static entry *find(const tci_goals *g, int64_t id) {
  size_t low = 0, high = g->all.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (g->by_id[middle]->goal.id < id) low = middle + 1;
    else high = middle;
  }
  return low < g->all.count && g->by_id[low]->goal.id == id ? g->by_id[low] : NULL;
}

static int grow(entry ***at, size_t cap) {
  entry **larger = tci_realloc(*at, cap * sizeof *larger);
  if (!larger) return tci_fail(TC_ENOMEM, "out of memory for a goal");
  *at = larger;
  return TC_OK;
}

static int reserve(tci_goals *g) {
  if (g->all.count == TCI_GOALS_MAX) return tci_fail(TC_ELIMIT, "an engine has at most %d goals", TCI_GOALS_MAX);
  if (g->all.count < g->cap) return TC_OK;
  size_t cap = g->cap ? g->cap * 2 : 16;
  int rc = grow(&g->all.at, cap);
  if (!rc) rc = grow(&g->open.at, cap);
  if (!rc) rc = grow(&g->by_id, cap);
  if (!rc) g->cap = cap;
  return rc;
}

static entry *make(const tci_goal *goal) {
  entry *e = tci_zalloc(sizeof *e + tci_goal_text_bytes(goal));
  if (e) tci_goal_copy(goal, &e->goal, e->bytes);
  return e;
}

static void note_closing(tci_goals *g, int64_t seq) {
  if (seq > atomic_load(&g->last_closing)) atomic_store(&g->last_closing, seq);
}

static void insert(list *l, entry *e) {
  size_t at = place(l, e->goal.room, e->goal.id);
  memmove(l->at + at + 1, l->at + at, (l->count - at) * sizeof(entry *));
  l->at[at] = e;
  l->count++;
}

static void take_out(list *l, const entry *e) {
  size_t at = place(l, e->goal.room, e->goal.id);
  memmove(l->at + at, l->at + at + 1, (l->count - at - 1) * sizeof(entry *));
  l->count--;
}

/* There is room. */
static void put(tci_goals *g, entry *e) {
  g->by_id[g->all.count] = e;
  insert(&g->all, e);
  insert(&g->open, e);
  atomic_fetch_add(&g->takers, 1);
}

/* ---- loading ---- */

typedef struct loading {
  tci_goals *g;
  int rc;
} loading;

static int load_one(int64_t id, tc_text doc, void *arg) {
  loading *l = arg;
  tci_goaldoc read;
  l->rc = tci_goaldoc_read(&read, id, doc);
  entry *e = l->rc ? NULL : make(&read.goal);
  if (!l->rc) l->rc = e ? reserve(l->g) : TC_ENOMEM;
  if (!l->rc) l->g->by_id[l->g->all.count] = l->g->all.at[l->g->all.count] = e, l->g->all.count++;
  else tci_free(e);
  if (l->rc) l->rc = tci_fail(l->rc, "goal %lld cannot be read", (long long)id);
  tci_goaldoc_free(&read);
  return l->rc != TC_OK;
}

static int compare(const void *a, const void *b) {
  const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
  return order(x->goal.room, x->goal.id, y);
}

static void sort(tci_goals *g) {
  if (g->all.count) qsort(g->all.at, g->all.count, sizeof *g->all.at, compare);
  for (size_t i = 0; i < g->all.count; i++) {
    entry *e = g->all.at[i];
    if (e->goal.closed_at_us) note_closing(g, e->goal.closed_seq);
    else g->open.at[g->open.count++] = e;
  }
  atomic_store(&g->takers, g->open.count);
}

/* Which were reached, from the list of those events. */
static int load_reached(tc_engine *engine) {
  tci_goals *g = engine->goals;
  tc_position at;
  tci_list_request request = {.filter = {.kind = TC_KIND_GOAL_REACHED}, .size = PAGE};
  int rc = TC_OK, more = !atomic_load(&g->loaded);
  while (!rc && more) {
    tc_page *page = NULL;
    rc = tci_query_list(engine, &request, &page);
    size_t count = rc ? 0 : tc_page_count(page);
    pthread_mutex_lock(&g->mutex);
    for (size_t i = 0; i < count; i++) {
      const tc_event *event = tc_page_at(page, i);
      int64_t id = 0;
      at = (tc_position){event->record.created_at_us, event->record.seq};
      entry *e = tc_event_int(event, TC_FIELD_GOAL_ID, &id) ? NULL : find(g, id);
      if (e) e->goal.reached_at_us = event->record.created_at_us;
    }
    pthread_mutex_unlock(&g->mutex);
    request.after = &at;
    more = count == PAGE;
    tc_page_free(page);
  }
  if (!rc) atomic_store(&g->loaded, 1);
  return rc;
}

int tci_goals_open(tc_engine *engine) {
  tci_goals *g = tci_zalloc(sizeof *g);
  if (!g || pthread_mutex_init(&g->mutex, NULL)) {
    tci_free(g);
    return tci_fail(TC_ENOMEM, "out of memory for goals");
  }
  engine->goals = g;
  loading l = {g, TC_OK};
  int rc = engine->ops->config_read(engine->storage, TC_CONFIG_GOAL, load_one, &l);
  if (!rc) rc = l.rc;
  sort(g);
  return !rc && tci_engine_ready(engine) ? load_reached(engine) : rc;
}

void tci_goals_free(tci_goals *goals) {
  if (!goals) return;
  for (size_t i = 0; i < goals->all.count; i++) tci_free(goals->all.at[i]);
  tci_free(goals->all.at);
  tci_free(goals->open.at);
  tci_free(goals->by_id);
  (void)pthread_mutex_destroy(&goals->mutex); /* fails only while locked */
  tci_free(goals);
}

/* ---- counting ---- */

void tci_goals_of(tc_engine *engine, tc_text room, int64_t seq, tci_goal_fn fn, void *arg) {
  tci_goals *g = engine->goals;
  char name[4 * 255 + 1];
  if (!g || !room.ptr || room.len >= sizeof name || (!atomic_load(&g->takers) && seq > atomic_load(&g->last_closing))) return;
  memcpy(name, room.ptr, room.len);
  name[room.len] = '\0';
  pthread_mutex_lock(&g->mutex);
  const list *l = seq > atomic_load(&g->last_closing) ? &g->open : &g->all;
  for (size_t i = place(l, name, INT64_MIN); i < l->count && !strcmp(l->at[i]->goal.room, name); i++) {
    const tci_goal *goal = &l->at[i]->goal;
    if (seq > goal->after_seq && (!goal->closed_at_us || seq <= goal->closed_seq) && fn(goal, arg)) break;
  }
  pthread_mutex_unlock(&g->mutex);
}

/* ---- saying that a target is met ---- */

typedef struct word {
  tc_engine *engine;
  int64_t id;
} word;

static void said(const tc_result *result, void *userdata) {
  word *w = userdata;
  tci_goals *g = w->engine->goals;
  pthread_mutex_lock(&g->mutex);
  entry *e = find(g, w->id);
  if (e) e->said = 0;
  if (e && !result->code) e->goal.reached_at_us = result->event->record.created_at_us;
  if (e && e->goal.reached_at_us) e->due = 0;
  else if (e) atomic_fetch_add(&g->due, 1);
  pthread_mutex_unlock(&g->mutex);
  tci_free(w);
}

static tc_text span(const char *text) { return text ? (tc_text){text, strlen(text)} : (tc_text){NULL, 0}; }

/* With the registry locked: the queue does not look back into it. */
static int say(tc_engine *engine, entry *e) {
  char id[24], count[24], key[40];
  tc_record record;
  word *w = tci_alloc(sizeof *w);
  if (!w) return TC_ENOMEM;
  *w = (word){engine, e->goal.id};
  memset(&record, 0, sizeof record);
  (void)snprintf(id, sizeof id, "%" PRId64, e->goal.id);
  (void)snprintf(count, sizeof count, "%" PRId64, e->due_count);
  (void)snprintf(key, sizeof key, "goal/%" PRId64 "/reached", e->goal.id);
  record.kind = TC_KIND_GOAL_REACHED;
  record.text[TC_COL_ROOM] = span(e->goal.room);
  record.text[TC_COL_TARGET] = span(id);
  record.text[TC_COL_BODY] = span(e->goal.title);
  record.text[TC_COL_CURRENCY] = span(e->goal.currency);
  record.text[TC_COL_KEY] = span(key);
  if (e->goal.target_amount) record.amount = e->due_amount;
  else record.text[TC_COL_METADATA] = span(count);
  int rc = tci_queue_submit(engine, &record, said, w);
  if (rc) tci_free(w);
  return rc;
}

static void say_due(tc_engine *engine) {
  tci_goals *g = engine->goals;
  if (!atomic_load(&g->due) || !tci_engine_ready(engine) || atomic_load(&engine->closing)) return;
  if (load_reached(engine)) return;
  pthread_mutex_lock(&g->mutex);
  for (size_t i = 0; i < g->all.count; i++) {
    entry *e = g->all.at[i];
    if (!e->due || e->said) continue;
    if (e->goal.reached_at_us) e->due = 0; /* in the life of an earlier process */
    else if (say(engine, e)) break;
    else e->said = 1;
    atomic_fetch_sub(&g->due, 1);
  }
  pthread_mutex_unlock(&g->mutex);
}

void tci_goal_reached(tc_engine *engine, int64_t id, int64_t amount, int64_t count) {
  tci_goals *g = engine->goals;
  pthread_mutex_lock(&g->mutex);
  entry *e = find(g, id);
  if (e && !e->due && !e->goal.reached_at_us) {
    e->due = 1;
    e->due_amount = amount;
    e->due_count = count;
    atomic_fetch_add(&g->due, 1);
  }
  pthread_mutex_unlock(&g->mutex);
}

/* The goal that a GOAL_REACHED record is of, with the registry locked; NULL: it has none. */
static entry *of_record(const tci_goals *g, const tc_record *record) {
  char text[24] = "";
  tc_text id = record->text[TC_COL_TARGET];
  if (!id.ptr || id.len >= sizeof text) return NULL;
  memcpy(text, id.ptr, id.len);
  return find(g, strtoll(text, NULL, 10));
}

int tci_goals_is_said(tc_engine *engine, const tc_record *record) {
  tci_goals *g = engine->goals;
  pthread_mutex_lock(&g->mutex);
  const entry *e = of_record(g, record);
  int is = e && e->goal.reached_at_us;
  pthread_mutex_unlock(&g->mutex);
  return is;
}

void tci_goals_follow(tc_engine *engine, tc_event *const *events, size_t n) {
  tci_goals *g = engine->goals;
  for (size_t i = 0; i < n; i++) {
    const tc_record *record = &events[i]->record;
    if (record->kind != TC_KIND_GOAL_REACHED) continue;
    pthread_mutex_lock(&g->mutex);
    entry *e = of_record(g, record);
    if (e) e->goal.reached_at_us = record->created_at_us;
    pthread_mutex_unlock(&g->mutex);
  }
}

void tci_goals_step(tc_engine *engine) {
  if (engine->goals) say_due(engine);
}

/* ---- changing it, on the writer's thread: nobody else changes it meanwhile ---- */

typedef struct change {
  const tci_goal *wanted; /* NULL: closes id */
  int64_t id;
  int32_t replayed;
} change;

static int store(tc_engine *engine, const tci_goal *goal, int64_t *id) {
  tci_buf doc;
  int rc = tci_goaldoc_write(goal, &doc);
  if (!rc) rc = engine->ops->config_put(engine->storage, TC_CONFIG_GOAL, id, (tc_text){doc.data, doc.len});
  tci_buf_free(&doc);
  if (rc == TC_EUNKNOWN) engine->goals->unsure = 1;
  return rc;
}

static void shut(tci_goals *g, entry *e, const tci_goal *closed) {
  pthread_mutex_lock(&g->mutex);
  e->goal.closed_at_us = closed->closed_at_us;
  e->goal.closed_seq = closed->closed_seq;
  take_out(&g->open, e);
  note_closing(g, closed->closed_seq);
  atomic_fetch_sub(&g->takers, 1);
  pthread_mutex_unlock(&g->mutex);
}

static int settle_one(int64_t id, tc_text doc, void *arg) {
  loading *l = arg;
  tci_goaldoc read;
  l->rc = tci_goaldoc_read(&read, id, doc);
  entry *e = l->rc ? NULL : find(l->g, id), *made = NULL;
  if (!l->rc && !e) {
    made = make(&read.goal);
    pthread_mutex_lock(&l->g->mutex);
    l->rc = made ? reserve(l->g) : TC_ENOMEM;
    if (!l->rc) put(l->g, made);
    else tci_free(made);
    pthread_mutex_unlock(&l->g->mutex);
  }
  if (e && read.goal.closed_at_us && !e->goal.closed_at_us) shut(l->g, e, &read.goal);
  tci_goaldoc_free(&read);
  return l->rc != TC_OK;
}

int tci_goals_settle(tc_engine *engine) {
  loading l = {engine->goals, TC_OK};
  if (!l.g->unsure) return TC_OK;
  int rc = engine->ops->config_read(engine->storage, TC_CONFIG_GOAL, settle_one, &l);
  if (!rc) rc = l.rc;
  if (!rc) l.g->unsure = 0;
  return rc;
}

int tci_goals_reload(tc_engine *engine) {
  engine->goals->unsure = 1; /* none is ever removed */
  return tci_goals_settle(engine);
}

/* 1: the request has been served before, and *rc says how that ends. */
static int serve_known(tc_engine *engine, change *c, int *rc) {
  const tci_goals *g = engine->goals;
  int64_t born_after_us = engine->clock.wall_us(engine->clock.userdata) - engine->idempotency_ttl_us;
  for (size_t i = 0; i < g->all.count && c->wanted->key; i++) {
    const tci_goal *known = &g->all.at[i]->goal;
    if (!known->key || strcmp(known->key, c->wanted->key) != 0 || known->created_at_us <= born_after_us) continue;
    if (!(engine->flags & TC_MISMATCH_REPLAY) && !tci_goaldoc_same_request(known, c->wanted)) {
      *rc = tci_fail(TC_EMISMATCH, "Idempotency-Key: was used before with a different request");
      return 1;
    }
    c->id = known->id;
    c->replayed = 1;
    return 1;
  }
  return 0;
}

static int check_room(const tci_goals *g, const char *room) {
  int open = 0;
  for (size_t i = place(&g->open, room, INT64_MIN); i < g->open.count && !strcmp(g->open.at[i]->goal.room, room); i++) open++;
  return open < TCI_GOALS_OF_ROOM_MAX ? TC_OK : tci_fail(TC_ELIMIT, "a room has at most %d goals that are not closed", TCI_GOALS_OF_ROOM_MAX);
}

static int create(tc_engine *engine, void *arg) {
  change *c = arg;
  tci_goals *g = engine->goals;
  tci_goal goal = *c->wanted;
  int rc = tci_goals_settle(engine);
  if (rc) return rc;
  goal.created_at_us = engine->clock.wall_us(engine->clock.userdata);
  goal.after_seq = atomic_load(&engine->log_seq); /* exact: the next event has the next seq */
  if (serve_known(engine, c, &rc)) return rc;
  if (goal.deadline_us && goal.deadline_us <= goal.created_at_us) return tci_fail(TC_EINVAL, "deadline: must be in the future");
  rc = check_room(g, goal.room);
  if (rc) return rc;
  entry *e = make(&goal); /* first, so that nothing can fail once it is stored */
  if (!e) return tci_fail(TC_ENOMEM, "out of memory for a goal");
  pthread_mutex_lock(&g->mutex); /* readers walk the array that may move */
  rc = reserve(g);
  pthread_mutex_unlock(&g->mutex);
  if (!rc) rc = store(engine, &goal, &e->goal.id);
  if (rc) {
    tci_free(e);
    return rc;
  }
  c->id = e->goal.id;
  pthread_mutex_lock(&g->mutex);
  put(g, e);
  pthread_mutex_unlock(&g->mutex);
  return TC_OK;
}

static int end(tc_engine *engine, void *arg) {
  change *c = arg;
  tci_goals *g = engine->goals;
  int rc = tci_goals_settle(engine);
  if (rc) return rc;
  entry *e = find(g, c->id);
  if (!e) return tci_fail(TC_ENOTFOUND, "goal %lld does not exist", (long long)c->id);
  if (e->goal.closed_at_us) return TC_OK;
  pthread_mutex_lock(&g->mutex); /* that it was reached is written by others */
  tci_goal goal = e->goal;
  pthread_mutex_unlock(&g->mutex);
  int64_t id = goal.id, now_us = engine->clock.wall_us(engine->clock.userdata);
  goal.closed_at_us = now_us > goal.created_at_us ? now_us : goal.created_at_us;
  goal.closed_seq = atomic_load(&engine->log_seq);
  rc = store(engine, &goal, &id);
  if (!rc) shut(g, e, &goal);
  return rc;
}

int tci_goals_create(tc_engine *engine, const tci_goal *wanted, int64_t *id, int32_t *replayed) {
  change c = {.wanted = wanted};
  int rc = tci_goaldoc_check(wanted);
  if (!rc) rc = tci_writer_call(engine, create, &c);
  if (rc) return rc;
  *id = c.id;
  *replayed = c.replayed;
  return TC_OK;
}

int tci_goals_close(tc_engine *engine, int64_t id) {
  change c = {.id = id};
  return tci_writer_call(engine, end, &c);
}

int tci_goals_read(tc_engine *engine, int64_t id, const char *room, tci_goal_fn fn, void *arg) {
  tci_goals *g = engine->goals;
  int rc = load_reached(engine);
  if (rc) return rc;
  pthread_mutex_lock(&g->mutex);
  if (room) {
    for (size_t i = place(&g->all, room, INT64_MIN); i < g->all.count && !strcmp(g->all.at[i]->goal.room, room); i++) {
      if (fn(&g->all.at[i]->goal, arg)) break;
    }
  } else {
    const entry *e = find(g, id);
    if (e) (void)fn(&e->goal, arg);
    else rc = tci_fail(TC_ENOTFOUND, "goal %lld does not exist", (long long)id);
  }
  pthread_mutex_unlock(&g->mutex);
  return rc;
}
