#include "tipcurrent/webhook.h"

#include <string.h>

#include "api/enter.h"
#include "api/sized.h"
#include "base/mem.h"
#include "engine/webhooks.h"
#include "model/kind.h"

#define DAY_S 86400
#define READ_ROWS 1000

static int check_door(tc_engine *engine, tci_webhooks **out) {
  if (!engine) return tci_fail(TC_EINVAL, "engine: must not be NULL");
  if (atomic_load(&engine->closing)) return tci_fail(TC_ECLOSED, "engine is closing");
  if (!engine->webhooks) return tci_fail(TC_ENOTSUP, "this storage keeps no webhooks");
  *out = engine->webhooks;
  return TC_OK;
}

/* Those that change something wait for the writer. */
static int check_writing_door(tc_engine *engine, tci_webhooks **out) {
  int rc = check_door(engine, out);
  if (!rc && (tci_engine_on_own_thread(engine) || tci_thread_is_me(&engine->webhooks->thread)))
    rc = tci_fail(TC_EINVAL, "this waits for the writer: not from a callback of the engine");
  return rc;
}

const char *tc_webhook_json(const tc_webhook *webhook, size_t *len) {
  if (len) *len = webhook->json_len;
  return webhook->json;
}

int64_t tc_webhook_id(const tc_webhook *webhook) { return webhook->id; }

void tc_webhook_unref(tc_webhook *webhook) { tci_hook_unref(webhook); }

static void hand_out(tci_hook *hook, tc_webhook **out) {
  if (out) *out = hook;
  else tci_hook_unref(hook);
}

int tc_webhook_create(tc_engine *engine, const tc_webhook_new *webhook, tc_webhook **out, int32_t *replayed) {
  tci_webhooks *w;
  tc_webhook_new n;
  tci_hook *made = NULL;
  TCI_ENTER();
  int rc = check_writing_door(engine, &w);
  if (!rc) rc = tci_sized_in(&n, sizeof n, TCI_SIZED_UP_TO(tc_webhook_new, idempotency_key), webhook, "webhook");
  if (rc) return rc;
  tci_hook_parts parts = {.flags = n.flags,
                          .enabled = 1,
                          .room = n.room_id,
                          .url = n.url,
                          .events = n.events,
                          .secret = n.secret,
                          .description = n.description ? n.description : "",
                          .key = n.idempotency_key};
  rc = tci_hook_check(&parts, &w->policy);
  if (!rc) rc = tci_hooks_create(w, &parts, &made, replayed);
  if (!rc) hand_out(made, out);
  return rc;
}

int tc_webhook_get(tc_engine *engine, int64_t id, tc_webhook **out) {
  tci_webhooks *w;
  TCI_ENTER();
  int rc = check_door(engine, &w);
  if (!rc && !out) rc = tci_fail(TC_EINVAL, "out: must not be NULL");
  return rc ? rc : tci_hooks_get(w, id, out);
}

typedef struct editing {
  tci_webhooks *w;
  const tc_webhook_change *change;
} editing;

static int edit(tci_hook_parts *parts, void *arg) {
  const editing *e = arg;
  const tc_webhook_change *c = e->change;
  if (c->room_id) parts->room = *c->room_id ? c->room_id : NULL;
  if (c->url) parts->url = c->url;
  if (c->events) parts->events = c->events;
  if (c->description) parts->description = c->description;
  if (c->secret && (!parts->secret || strcmp(c->secret, parts->secret) != 0)) {
    parts->before = parts->secret;
    parts->before_until_us = tci_webhooks_now_us(e->w) + (int64_t)(c->overlap_s ? c->overlap_s : DAY_S) * 1000000;
    parts->secret = c->secret;
  }
  parts->flags = (parts->flags & ~c->set_flags) | (c->flags & c->set_flags);
  if (c->enabled) {
    parts->enabled = c->enabled > 0;
    if (parts->enabled) parts->failing_since_us = 0;
  }
  return TC_OK;
}

int tc_webhook_update(tc_engine *engine, int64_t id, const tc_webhook_change *change, tc_webhook **out) {
  tci_webhooks *w;
  tc_webhook_change c;
  tci_hook *made = NULL, *known = NULL;
  TCI_ENTER();
  int rc = check_writing_door(engine, &w);
  if (!rc) rc = tci_sized_in(&c, sizeof c, TCI_SIZED_UP_TO(tc_webhook_change, enabled), change, "change");
  if (!rc && c.overlap_s > TCI_HOOK_OVERLAP_MAX_S) rc = tci_fail(TC_EINVAL, "overlap_s: must be at most 90 days");
  if (!rc && (c.enabled < -1 || c.enabled > 1)) rc = tci_fail(TC_EINVAL, "enabled: must be -1, 0 or 1");
  if (rc) return rc;
  /* The Java service moves updatedAt only when something has changed. */
  if (!c.room_id && !c.url && !c.events && !c.description && !c.secret && !c.set_flags) {
    rc = tci_hooks_get(w, id, &known);
    if (rc) return rc;
    if (!c.enabled || known->enabled == (c.enabled > 0)) {
      hand_out(known, out);
      return TC_OK;
    }
    tci_hook_unref(known);
  }
  editing e = {w, &c};
  rc = tci_hooks_edit(w, id, edit, &e, 1, &made);
  if (!rc) hand_out(made, out);
  return rc;
}

int tc_webhook_delete(tc_engine *engine, int64_t id) {
  tci_webhooks *w;
  TCI_ENTER();
  int rc = check_writing_door(engine, &w);
  return rc ? rc : tci_hooks_remove(w, id);
}

int tc_webhook_list(tc_engine *engine, int32_t global, const char *room_id, tc_webhook_fn fn, void *userdata) {
  tci_webhooks *w;
  tci_hook **all = NULL;
  size_t count = 0;
  uint64_t version;
  TCI_ENTER();
  int rc = check_door(engine, &w);
  if (!rc && !fn) rc = tci_fail(TC_EINVAL, "fn: must not be NULL");
  if (!rc) rc = tci_hooks_all(w, &all, &count, &version);
  if (rc) return rc;
  for (size_t i = 0; i < count; i++) {
    const char *room = all[i]->room;
    int wanted = global ? !room : !room_id || (room && !strcmp(room, room_id));
    if (wanted) fn(all[i], userdata);
    tci_hook_unref(all[i]);
  }
  tci_free(all);
  return TC_OK;
}

static int check_known(tci_webhooks *w, int64_t id) {
  tci_hook *hook = NULL;
  int rc = tci_hooks_get(w, id, &hook);
  tci_hook_unref(hook);
  return rc;
}

int tc_webhook_test(tc_engine *engine, int64_t id) {
  tci_webhooks *w;
  TCI_ENTER();
  int rc = check_door(engine, &w);
  if (!rc) rc = check_known(w, id);
  return rc ? rc : tci_hooks_errand(w, id, 1, NULL, 0);
}

static int take_seq(const tc_delivery *delivery, void *arg) {
  *(int64_t *)arg = delivery->seq;
  return 1;
}

int tc_webhook_resend(tc_engine *engine, int64_t id, int64_t delivery_id) {
  tci_webhooks *w;
  int64_t seq = 0;
  TCI_ENTER();
  int rc = check_door(engine, &w);
  if (!rc) rc = check_known(w, id);
  if (!rc) rc = engine->ops->delivery_get(engine->storage, id, delivery_id, take_seq, &seq);
  if (rc == TC_ENOTFOUND) rc = tci_fail(rc, "delivery %lld of webhook %lld does not exist", (long long)delivery_id, (long long)id);
  if (!rc && !seq) rc = tci_fail(TC_EINVAL, "deliveryId: a test cannot be sent again, test the webhook instead");
  return rc ? rc : tci_hooks_errand(w, id, 0, &seq, 1);
}

typedef struct replaying {
  const tci_hook *hook;
  int64_t to, next;
  int64_t *seqs;
  size_t count, cap;
} replaying;

static int is_wanted(const tci_hook *hook, const tc_record *row) {
  tc_text room = row->text[TC_COL_ROOM];
  if (hook->room && (!room.ptr || strlen(hook->room) != room.len || memcmp(hook->room, room.ptr, room.len) != 0)) return 0;
  char name[TCI_EVENT_NAME_SIZE];
  return tci_hook_wants(hook, tci_event_name(row, name));
}

static int add_seq(replaying *r, int64_t seq) {
  if (r->count == TCI_REPLAY_MAX) return tci_fail(TC_ELIMIT, "a replay is at most %d events, ask for a shorter range", TCI_REPLAY_MAX);
  if (r->count == r->cap) {
    size_t cap = r->cap ? r->cap * 2 : 256;
    int64_t *larger = tci_realloc(r->seqs, cap * sizeof *larger);
    if (!larger) return tci_fail(TC_ENOMEM, "out of memory for %d events", TCI_REPLAY_MAX);
    r->seqs = larger;
    r->cap = cap;
  }
  r->seqs[r->count++] = seq;
  return TC_OK;
}

typedef struct walking {
  replaying *r;
  int rc;
} walking;

static int take_row(const tc_record *row, void *arg) {
  walking *walk = arg;
  replaying *r = walk->r;
  if (row->seq > r->to) return 1;
  r->next = row->seq + 1;
  if (is_wanted(r->hook, row)) walk->rc = add_seq(r, row->seq);
  return walk->rc != TC_OK;
}

static int walk_seqs(tc_engine *engine, replaying *r) {
  walking walk = {.r = r};
  int rc = TC_OK;
  for (int64_t before = 0; !rc && !walk.rc && before != r->next && r->next <= r->to;) {
    before = r->next;
    rc = engine->ops->read_log(engine->storage, r->next - 1, READ_ROWS, take_row, &walk);
  }
  return rc ? rc : walk.rc;
}

/* The kind's list from to_us back to from_us. */
static int walk_kind(tc_engine *engine, replaying *r, const tci_kind *kind, int64_t from_us, int64_t to_us) {
  tc_position at = {to_us, 0}; /* behind it in list order stands all that was created before to_us */
  tci_list_request request = {.filter = {.kind = kind->kind}, .after = &at, .size = READ_ROWS};
  const char *room = r->hook->room;
  int rc = TC_OK, more = 1;
  if (room) request.filter.text[TC_COL_ROOM] = (tc_text){room, strlen(room)};
  while (!rc && more) {
    tc_page *page = NULL;
    rc = tci_query_list(engine, &request, &page);
    size_t count = rc ? 0 : tc_page_count(page);
    more = count == READ_ROWS;
    for (size_t i = 0; i < count && !rc; i++) {
      const tc_record *row = &tc_page_at(page, i)->record;
      at = (tc_position){row->created_at_us, row->seq};
      if (row->created_at_us < from_us) more = 0;
      else if (is_wanted(r->hook, row)) rc = add_seq(r, row->seq);
    }
    tc_page_free(page);
  }
  return rc;
}

static int walk_times(tc_engine *engine, replaying *r, int64_t from_us, int64_t to_us) {
  int rc = TC_OK;
  for (uint32_t number = 1; number <= TC_KIND_MAX && !rc; number++) {
    const tci_kind *kind = tci_kind_of(number);
    if (kind && (!kind->created || tci_hook_wants(r->hook, kind->created))) rc = walk_kind(engine, r, kind, from_us, to_us);
  }
  return rc;
}

static int replay(tc_engine *engine, int64_t id, int by_time, int64_t from, int64_t to, int64_t *count) {
  tci_webhooks *w = NULL;
  tci_hook *hook = NULL;
  int rc = check_door(engine, &w);
  if (!rc) rc = tci_hooks_get(w, id, &hook);
  if (rc) return rc;
  replaying r = {.hook = hook, .to = to, .next = from};
  if (!hook->enabled) rc = tci_fail(TC_ECONFLICT, "webhook %lld is disabled", (long long)id);
  if (!rc) rc = by_time ? walk_times(engine, &r, from, to) : walk_seqs(engine, &r);
  if (!rc && r.count) rc = tci_hooks_errand(w, id, 0, r.seqs, r.count);
  if (!rc && count) *count = (int64_t)r.count;
  tci_free(r.seqs);
  tci_hook_unref(hook);
  return rc;
}

int tc_webhook_replay(tc_engine *engine, int64_t id, int64_t from_seq, int64_t to_seq, int64_t *count) {
  TCI_ENTER();
  if (from_seq < 1 || to_seq < from_seq) return tci_fail(TC_EINVAL, "fromSeq: must be 1 or more, and toSeq not less");
  return replay(engine, id, 0, from_seq, to_seq, count);
}

int tc_webhook_replay_time(tc_engine *engine, int64_t id, int64_t from_us, int64_t to_us, int64_t *count) {
  TCI_ENTER();
  if (to_us < from_us) return tci_fail(TC_EINVAL, "to: must not be before from");
  return replay(engine, id, 1, from_us, to_us, count);
}

typedef struct listing {
  tc_webhook_delivery_fn fn;
  void *userdata;
} listing;

static int take_delivery(const tc_delivery *d, void *arg) {
  const listing *l = arg;
  tc_webhook_delivery out = {sizeof out, d->id,     d->webhook_id, d->seq,   d->created_at_us, (d->duration_us + 999) / 1000,
                             d->attempt, d->status, d->success,    d->event, d->response,      d->error};
  l->fn(&out, l->userdata);
  return 0;
}

int tc_webhook_deliveries(tc_engine *engine, int64_t id, int64_t page, int32_t size, tc_webhook_delivery_fn fn, void *userdata, int64_t *total) {
  tci_webhooks *w;
  int64_t all = 0;
  TCI_ENTER();
  int rc = check_door(engine, &w);
  if (!rc && !fn) rc = tci_fail(TC_EINVAL, "fn: must not be NULL");
  if (!rc && (size < 1 || size > 1000)) rc = tci_fail(TC_EINVAL, "size: must be from 1 to 1000");
  if (!rc && (page < 0 || page > 1000000 / size)) rc = tci_fail(TC_EINVAL, "page: page * size must be at most 1000000");
  if (!rc) rc = check_known(w, id);
  listing l = {fn, userdata};
  if (!rc) rc = engine->ops->deliveries(engine->storage, id, page * size, (size_t)size, take_delivery, &l, &all);
  if (!rc && total) *total = all;
  return rc;
}
