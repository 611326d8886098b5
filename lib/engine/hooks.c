/* hooks.c - the registry of webhooks. */
#include <string.h>

#include "base/mem.h"
#include "engine/errands.h"
#include "engine/nodes.h"
#include "engine/webhooks.h"

#define DOC_MAX (64u << 10)

static const char on_its_way[] = "{}"; /* no webhook's document */

/* Where id stands or would stand; the list is by id. */
static size_t place(const tci_webhooks *w, int64_t id) {
  size_t low = 0, high = w->hook_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (w->hooks[middle]->id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

static tci_hook *find(const tci_webhooks *w, int64_t id) {
  size_t at = place(w, id);
  return at < w->hook_count && w->hooks[at]->id == id ? w->hooks[at] : NULL;
}

/* Under the mutex, once others read it. */
static int reserve(tci_webhooks *w) {
  if (w->hook_count < w->hook_cap) return TC_OK;
  size_t cap = w->hook_cap ? w->hook_cap * 2 : 16;
  tci_hook **larger = tci_realloc(w->hooks, cap * sizeof(tci_hook *));
  if (!larger) return tci_fail(TC_ENOMEM, "out of memory for a webhook");
  w->hooks = larger;
  w->hook_cap = cap;
  return TC_OK;
}

/* Takes the reference; there is room for a new one. */
static void put(tci_webhooks *w, tci_hook *hook) {
  size_t at = place(w, hook->id);
  if (at < w->hook_count && w->hooks[at]->id == hook->id) {
    tci_hook_unref(w->hooks[at]);
  } else {
    memmove(w->hooks + at + 1, w->hooks + at, (w->hook_count - at) * sizeof(tci_hook *));
    w->hook_count++;
  }
  w->hooks[at] = hook;
  w->version++;
}

static const uint8_t *key_of(const tci_webhooks *w) { return w->sealed ? w->seal_key : NULL; }

typedef struct loading {
  tci_webhooks *w; /* whose registry it becomes */
  const tci_webhooks *of;
  int rc;
} loading;

/* A new one whose number is taken and whose document comes at once: store(). */
static int is_on_its_way(const tci_webhooks *of, tc_text doc) {
  return of->engine->nodes && doc.len == sizeof on_its_way - 1 && !memcmp(doc.ptr, on_its_way, doc.len);
}

static int load_one(int64_t id, tc_text doc, void *arg) {
  loading *l = arg;
  tci_hook *hook = NULL;
  if (is_on_its_way(l->of, doc)) return 0;
  l->rc = tci_hook_decode(id, doc, key_of(l->of), &hook);
  if (l->rc == TC_ECORRUPT)
    l->rc = tci_fail(TC_ECORRUPT, "webhook %lld cannot be read: its secret is sealed with another key, or it is damaged", (long long)id);
  if (l->rc == TC_ECORRUPT && l->w != l->of) {
    /* Of another node, which has another key: it stays as it was known here. The log must be followed all the same. */
    tci_engine_log(l->of->engine, TC_LOG_ERROR, "%s", tci_fail_detail());
    hook = find(l->of, id);
    l->rc = TC_OK;
    if (!hook) return 0;
    tci_hook_ref(hook);
  }
  if (!l->rc) l->rc = reserve(l->w);
  if (!l->rc) put(l->w, hook);
  else tci_hook_unref(hook);
  return l->rc != TC_OK;
}

int tci_hooks_load(tci_webhooks *w) {
  loading l = {w, w, TC_OK};
  int rc = w->engine->ops->config_read(w->engine->storage, TC_CONFIG_WEBHOOK, load_one, &l);
  return rc ? rc : l.rc;
}

int tci_hooks_reload(tci_webhooks *w) {
  tci_webhooks fresh = {.hooks = NULL};
  loading l = {&fresh, w, TC_OK};
  int rc = w->engine->ops->config_read(w->engine->storage, TC_CONFIG_WEBHOOK, load_one, &l);
  if (!rc) rc = l.rc;
  if (!rc) {
    pthread_mutex_lock(&w->mutex);
    tci_hook **before = w->hooks;
    size_t count = w->hook_count;
    w->hooks = fresh.hooks;
    w->hook_count = fresh.hook_count;
    w->hook_cap = fresh.hook_cap;
    w->version++;
    pthread_mutex_unlock(&w->mutex);
    fresh.hooks = before;
    fresh.hook_count = count;
    tci_webhooks_wake(w->engine);
  }
  for (size_t i = 0; i < fresh.hook_count; i++) tci_hook_unref(fresh.hooks[i]);
  tci_free(fresh.hooks);
  return rc;
}

int tci_hooks_get(tci_webhooks *w, int64_t id, tci_hook **out) {
  pthread_mutex_lock(&w->mutex);
  tci_hook *hook = find(w, id);
  if (hook) *out = tci_hook_ref(hook);
  pthread_mutex_unlock(&w->mutex);
  return hook ? TC_OK : tci_fail(TC_ENOTFOUND, "webhook %lld does not exist", (long long)id);
}

int tci_hooks_all(tci_webhooks *w, tci_hook ***out, size_t *count, uint64_t *version) {
  int rc = TC_ENOMEM;
  pthread_mutex_lock(&w->mutex);
  tci_hook **all = tci_array(w->hook_count + 1, sizeof *all);
  if (all) {
    for (size_t i = 0; i < w->hook_count; i++) all[i] = tci_hook_ref(w->hooks[i]);
    *out = all;
    *count = w->hook_count;
    *version = w->version;
    rc = TC_OK;
  }
  pthread_mutex_unlock(&w->mutex);
  return rc ? tci_fail(rc, "out of memory for the webhooks") : TC_OK;
}

/* One change, on the writer's thread: nobody else changes the registry meanwhile, so what was read is what is replaced. */
typedef struct change {
  tci_webhooks *w;
  int64_t id; /* 0: a new one */
  int remove;
  tci_hook_parts parts;
  int (*edit)(tci_hook_parts *parts, void *arg);
  void *arg;
  int checked, replayed;
  tci_hook *made; /* a reference for the caller */
} change;

/* Writes the document; a new webhook's id is known only then, and its secrets are sealed for the id, so it is written twice. */
static int store(tci_webhooks *w, tci_hook_parts *parts, tci_hook **out) {
  tc_engine *engine = w->engine;
  tci_buf doc;
  int fresh = !parts->id;
  int rc = TC_OK;
  tci_hook *hook = NULL;
  tci_buf_init(&doc, DOC_MAX);
  if (fresh) {
    rc = engine->ops->config_put(engine->storage, TC_CONFIG_WEBHOOK, &parts->id, (tc_text){on_its_way, sizeof on_its_way - 1});
    if (rc) goto done;
  }
  hook = tci_hook_new(parts);
  rc = hook ? tci_hook_encode(hook, key_of(w), &engine->random, &doc) : TC_ENOMEM;
  if (rc) rc = tci_fail(rc, "cannot write a webhook");
  int64_t id = parts->id;
  if (!rc) rc = engine->ops->config_put(engine->storage, TC_CONFIG_WEBHOOK, &id, (tc_text){doc.data, doc.len});
  /* Another node was faster: it is tried again, with the number that it has. */
  if (rc && fresh && !(rc == TC_EBUSY && engine->nodes)) {
    (void)engine->ops->config_remove(engine->storage, TC_CONFIG_WEBHOOK,
                                     parts->id); /* best effort: one that stays is refused at the next open, and named there */
    parts->id = 0;
  }
done:
  if (doc.data) memset(doc.data, 0, doc.len);
  tci_buf_free(&doc);
  if (rc) tci_hook_unref(hook);
  else *out = hook;
  return rc;
}

/* The webhook that was made with this key, a reference; NULL: none. */
static tci_hook *find_key(tci_webhooks *w, const char *key) {
  tci_hook *found = NULL;
  int64_t born_after_us = tci_webhooks_now_us(w) - w->engine->idempotency_ttl_us;
  pthread_mutex_lock(&w->mutex);
  for (size_t i = 0; i < w->hook_count && !found; i++) {
    tci_hook *hook = w->hooks[i];
    if (hook->key && !strcmp(hook->key, key) && hook->created_at_us > born_after_us) found = tci_hook_ref(hook);
  }
  pthread_mutex_unlock(&w->mutex);
  return found;
}

/* 1: the request has been served before, and *rc says how that ends. */
static int serve_known(change *c, int *rc) {
  tci_hook *known = c->parts.key ? find_key(c->w, c->parts.key) : NULL;
  if (!known) return 0;
  if (!(c->w->engine->flags & TC_MISMATCH_REPLAY) && strcmp(known->request ? known->request : "", c->parts.request) != 0) {
    *rc = tci_fail(TC_EMISMATCH, "Idempotency-Key: was used before with a different request");
    tci_hook_unref(known);
  } else {
    c->made = known;
    c->replayed = 1;
  }
  return 1;
}

static int apply(tc_engine *engine, void *arg) {
  change *c = arg;
  tci_webhooks *w = c->w;
  tci_hook *old = NULL, *hook = NULL;
  int rc = TC_OK;
  if (c->id) rc = tci_hooks_get(w, c->id, &old);
  if (rc || (!c->id && serve_known(c, &rc))) return rc;
  if (c->remove) {
    rc = engine->ops->config_remove(engine->storage, TC_CONFIG_WEBHOOK, c->id);
    if (rc && rc != TC_ENOTFOUND) goto done;
    rc = TC_OK;
  } else {
    int64_t now_us = tci_webhooks_now_us(w);
    if (old) tci_hook_parts_of(old, &c->parts);
    else c->parts.created_at_us = c->parts.updated_at_us = now_us;
    int was_enabled = old && old->enabled;
    if (c->edit) rc = c->edit(&c->parts, c->arg);
    if (!rc && c->checked) rc = tci_hook_check(&c->parts, &w->policy);
    if (!rc && old && c->checked) c->parts.updated_at_us = now_us > old->updated_at_us ? now_us : old->updated_at_us;
    /* Exact: this is the writer's thread, so the next event has the next seq. */
    if (c->parts.enabled && !was_enabled) c->parts.after_seq = atomic_load(&engine->log_seq);
    pthread_mutex_lock(&w->mutex);
    if (!rc) rc = reserve(w); /* so that nothing can fail once it is stored */
    pthread_mutex_unlock(&w->mutex);
    if (!rc) rc = store(w, &c->parts, &hook);
    if (rc) goto done;
  }
  pthread_mutex_lock(&w->mutex);
  if (hook) {
    put(w, tci_hook_ref(hook));
  } else {
    size_t at = place(w, c->id);
    tci_hook_unref(w->hooks[at]);
    memmove(w->hooks + at, w->hooks + at + 1, (--w->hook_count - at) * sizeof(tci_hook *));
    w->version++;
  }
  pthread_mutex_unlock(&w->mutex);
  c->made = hook;
done:
  tci_hook_unref(old);
  return rc;
}

static int run(change *c, tci_hook **out) {
  int rc = tci_writer_call(c->w->engine, apply, c);
  if (!rc) tci_webhooks_wake(c->w->engine);
  if (!rc && out) *out = c->made;
  else tci_hook_unref(c->made);
  return rc;
}

int tci_hooks_create(tci_webhooks *w, tci_hook_parts *parts, tci_hook **out, int32_t *replayed) {
  char request[TCI_HOOK_REQUEST_SIZE];
  change c = {.w = w, .parts = *parts, .checked = 1};
  int rc = tci_webhooks_can_send(w);
  if (rc) return rc;
  pthread_mutex_lock(&w->mutex);
  rc = w->hook_count >= TCI_HOOKS_MAX ? TC_ELIMIT : TC_OK;
  pthread_mutex_unlock(&w->mutex);
  if (rc == TC_ELIMIT) return tci_fail(rc, "an engine has at most %d webhooks", TCI_HOOKS_MAX);
  if (!rc && c.parts.key) {
    c.parts.request = request;
    rc = tci_hook_request(&c.parts, request);
    if (rc) rc = tci_fail(rc, "cannot hash a request");
  }
  if (!rc) rc = run(&c, out);
  if (!rc && replayed) *replayed = c.replayed;
  return rc;
}

int tci_hooks_edit(tci_webhooks *w, int64_t id, int (*edit)(tci_hook_parts *, void *), void *arg, int checked, tci_hook **out) {
  change c = {.w = w, .id = id, .edit = edit, .arg = arg, .checked = checked};
  tci_hook *known = NULL;
  int rc = tci_hooks_get(w, id, &known); /* id 0 is nobody's */
  tci_hook_unref(known);
  return rc ? rc : run(&c, out);
}

int tci_hooks_remove(tci_webhooks *w, int64_t id) {
  change c = {.w = w, .id = id, .remove = 1};
  tci_hook *known = NULL;
  int rc = tci_hooks_get(w, id, &known);
  tci_hook_unref(known);
  return rc ? rc : run(&c, NULL);
}

int tci_hooks_errand(tci_webhooks *w, int64_t id, int test, const int64_t *seqs, size_t count) {
  return tci_webhooks_holds(w, id) ? tci_hooks_errand_here(w, id, test, seqs, count) : tci_errands_ask(w, id, test, seqs, count);
}

int tci_hooks_errand_here(tci_webhooks *w, int64_t id, int test, const int64_t *seqs, size_t count) {
  tci_errand *errand = tci_zalloc(sizeof *errand + count * sizeof *seqs);
  if (!errand) return tci_fail(TC_ENOMEM, "out of memory for a webhook");
  errand->webhook_id = id;
  errand->test = test;
  errand->count = count;
  if (count) memcpy(errand->seqs, seqs, count * sizeof *seqs);
  pthread_mutex_lock(&w->mutex);
  *w->last_errand = errand;
  w->last_errand = &errand->next;
  w->asked++;
  pthread_mutex_unlock(&w->mutex);
  tci_webhooks_wake(w->engine);
  return TC_OK;
}
