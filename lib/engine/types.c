#include "engine/types.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/engine.h"
#include "engine/plain.h"
#include "model/kind.h"

#define DESCRIPTION_MAX_POINTS 500
#define DOC_MAX (16u << 10)

static tc_text span(const char *text) { return (tc_text){text, strlen(text)}; }

static tci_type *make(int64_t id, int64_t created_at_us, tc_text name, tc_text description) {
  tci_type *type = tci_alloc(sizeof *type + name.len + description.len + 2);
  if (!type) return NULL;
  atomic_init(&type->refs, 1);
  type->id = id;
  type->created_at_us = created_at_us;
  char *at = type->bytes;
  type->name = at;
  if (name.len) memcpy(at, name.ptr, name.len);
  at[name.len] = '\0';
  at += name.len + 1;
  type->description = at;
  if (description.len) memcpy(at, description.ptr, description.len);
  at[description.len] = '\0';
  return type;
}

void tci_type_unref(tci_type *type) {
  if (type && atomic_fetch_sub(&type->refs, 1) == 1) tci_free(type);
}

static tci_type *ref(tci_type *type) {
  atomic_fetch_add(&type->refs, 1);
  return type;
}

/* By bytes; a shorter one first. */
static int order(tc_text a, tc_text b) {
  int by = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
  return by ? by : (a.len > b.len) - (a.len < b.len);
}

/* Where the name stands, or would. */
static size_t place(const tci_types *types, tc_text name, int *found) {
  size_t low = 0, high = types->count;
  *found = 0;
  while (low < high && !*found) {
    size_t middle = low + (high - low) / 2;
    int by = order(span(types->at[middle]->name), name);
    *found = !by;
    if (by < 0) low = middle + 1;
    else high = middle;
  }
  return high;
}

int tci_types_known(const tc_engine *engine, tc_text name) {
  tci_types *types = engine->types;
  int found = 0;
  pthread_mutex_lock(&types->mutex);
  if (name.ptr) (void)place(types, name, &found);
  pthread_mutex_unlock(&types->mutex);
  return found;
}

/* Takes the reference. */
static void put(tci_types *types, tci_type *type) {
  int found;
  pthread_mutex_lock(&types->mutex);
  size_t at = place(types, span(type->name), &found);
  memmove(types->at + at + 1, types->at + at, (types->count - at) * sizeof *types->at);
  types->at[at] = type;
  types->count++;
  pthread_mutex_unlock(&types->mutex);
}

typedef struct loading {
  tci_types *types;
  int rc;
} loading;

static int load_one(int64_t id, tc_text doc, void *arg) {
  enum { NAME, DESCRIPTION, CREATED, MEMBERS };
  static const char *const names[MEMBERS] = {"name", "description", "createdAtUs"};
  loading *l = arg;
  tci_plain plain;
  tci_type *type = NULL;
  l->rc = tci_plain_read(&plain, doc, names, MEMBERS);
  tc_text name = tci_plain_text(&plain, NAME);
  if (!l->rc && (!name.ptr || l->types->count == TCI_TYPES_MAX)) l->rc = TC_ECORRUPT;
  if (!l->rc) type = make(id, tci_plain_number(&plain, CREATED), name, tci_plain_text(&plain, DESCRIPTION));
  if (!l->rc && !type) l->rc = TC_ENOMEM;
  if (!l->rc) put(l->types, type);
  else l->rc = tci_fail(l->rc, "event type %lld cannot be read", (long long)id);
  tci_plain_free(&plain);
  return l->rc != TC_OK;
}

static int make_registry(tci_types **out) {
  tci_types *types = tci_zalloc(sizeof *types);
  if (types) types->at = tci_array(TCI_TYPES_MAX, sizeof *types->at);
  if (types && types->at && !pthread_mutex_init(&types->mutex, NULL)) {
    *out = types;
    return TC_OK;
  }
  if (types) tci_free(types->at);
  tci_free(types);
  return tci_fail(TC_ENOMEM, "out of memory for event types");
}

static int read_all(tc_engine *engine, tci_types *types) {
  loading l = {types, TC_OK};
  int rc = engine->ops->config_read(engine->storage, TC_CONFIG_EVENT_TYPE, load_one, &l);
  return rc ? rc : l.rc;
}

int tci_types_open(tc_engine *engine) {
  int rc = make_registry(&engine->types);
  return rc ? rc : read_all(engine, engine->types);
}

int tci_types_reload(tc_engine *engine) {
  tci_types *fresh = NULL, *types = engine->types;
  int rc = make_registry(&fresh);
  if (!rc) rc = read_all(engine, fresh);
  if (!rc) {
    pthread_mutex_lock(&types->mutex);
    tci_type **before = types->at;
    size_t count = types->count;
    types->at = fresh->at;
    types->count = fresh->count;
    pthread_mutex_unlock(&types->mutex);
    fresh->at = before;
    fresh->count = count;
  }
  tci_types_free(fresh);
  return rc;
}

void tci_types_free(tci_types *types) {
  if (!types) return;
  for (size_t i = 0; i < types->count; i++) tci_type_unref(types->at[i]);
  tci_free(types->at);
  (void)pthread_mutex_destroy(&types->mutex); /* fails only while locked */
  tci_free(types);
}

/* What would read like an event of ours ("tip.created" is one), or has a meaning of its own for an EventSource. */
static int is_taken(const char *name) {
  static const char *const ours[] = {"tip", "reaction", "refund", "goal", "webhook", "ready", "cut", "open", "error", "message", "leaderboard"};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
    if (!strcmp(name, ours[i])) return 1;
  }
  return tci_kind_of_type(span(name)) != 0;
}

static int check(const char *name, const char *description) {
  size_t len = name ? strlen(name) : 0, points = 0;
  if (!name) return tci_fail(TC_EINVAL, "name: is required");
  int good = len >= 1 && len <= TCI_TYPE_MAX_POINTS && *name >= 'a' && *name <= 'z';
  for (size_t i = 0; i < len && good; i++) good = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_';
  if (!good) return tci_fail(TC_EINVAL, "name: must be 1 to %d of a-z, 0-9 and _, a letter first", TCI_TYPE_MAX_POINTS);
  if (is_taken(name)) return tci_fail(TC_EINVAL, "name: %s has another meaning", name);
  if (!tci_utf8_valid(description, strlen(description), &points)) return tci_fail(TC_EINVAL, "description: must be valid UTF-8");
  if (points > DESCRIPTION_MAX_POINTS) return tci_fail(TC_EINVAL, "description: must be at most %d characters", DESCRIPTION_MAX_POINTS);
  return TC_OK;
}

/* One change, on the writer's thread: nobody else changes the registry meanwhile. */
typedef struct change {
  const char *name, *description;
  tci_type *made; /* a reference for the caller */
  int32_t existed;
} change;

static int store(tc_engine *engine, change *c, int64_t *id, int64_t now_us) {
  tci_buf doc;
  tci_buf_init(&doc, DOC_MAX);
  (void)tci_buf_puts(&doc, "{\"name\":");
  (void)tci_json_put_string(&doc, span(c->name));
  (void)tci_buf_puts(&doc, ",\"description\":");
  (void)tci_json_put_string(&doc, span(c->description));
  (void)tci_buf_printf(&doc, ",\"createdAtUs\":%lld}", (long long)now_us);
  int rc = doc.err ? tci_fail(doc.err, "out of memory for an event type") : TC_OK;
  if (!rc) rc = engine->ops->config_put(engine->storage, TC_CONFIG_EVENT_TYPE, id, (tc_text){doc.data, doc.len});
  tci_buf_free(&doc);
  return rc;
}

static int create(tc_engine *engine, void *arg) {
  change *c = arg;
  tci_types *types = engine->types;
  int found;
  size_t at = place(types, span(c->name), &found);
  if (found && strcmp(types->at[at]->description, c->description) != 0) return tci_fail(TC_EEXISTS, "name: %s exists, with another description", c->name);
  if (found) {
    c->made = ref(types->at[at]);
    c->existed = 1;
    return TC_OK;
  }
  if (types->count == TCI_TYPES_MAX) return tci_fail(TC_ELIMIT, "an engine has at most %d event types", TCI_TYPES_MAX);
  int64_t id = 0, now_us = engine->clock.wall_us(engine->clock.userdata);
  tci_type *made = make(0, now_us, span(c->name), span(c->description)); /* first, so that nothing can fail once it is stored */
  if (!made) return tci_fail(TC_ENOMEM, "out of memory for an event type");
  int rc = store(engine, c, &id, now_us);
  if (rc) {
    tci_type_unref(made);
    return rc;
  }
  made->id = id;
  c->made = ref(made);
  put(types, made);
  return TC_OK;
}

int tci_types_create(tc_engine *engine, const char *name, const char *description, tci_type **out, int32_t *existed) {
  change c = {.name = name, .description = description ? description : ""};
  int rc = check(name, c.description);
  if (!rc) rc = tci_writer_call(engine, create, &c);
  if (rc) return rc;
  *out = c.made;
  *existed = c.existed;
  return TC_OK;
}

static int drop(tc_engine *engine, void *arg) {
  change *c = arg;
  tci_types *types = engine->types;
  int found;
  size_t at = place(types, span(c->name), &found);
  if (!found) return tci_fail(TC_ENOTFOUND, "there is no event type %.64s", c->name);
  tci_type *gone = types->at[at];
  int rc = engine->ops->config_remove(engine->storage, TC_CONFIG_EVENT_TYPE, gone->id);
  if (rc && rc != TC_ENOTFOUND) return rc;
  pthread_mutex_lock(&types->mutex);
  memmove(types->at + at, types->at + at + 1, (--types->count - at) * sizeof *types->at);
  pthread_mutex_unlock(&types->mutex);
  tci_type_unref(gone);
  return TC_OK;
}

int tci_types_remove(tc_engine *engine, const char *name) {
  change c = {.name = name};
  return tci_writer_call(engine, drop, &c);
}

int tci_types_all(tc_engine *engine, tci_type ***out, size_t *count) {
  tci_types *types = engine->types;
  pthread_mutex_lock(&types->mutex);
  tci_type **all = tci_array(types->count + 1, sizeof *all);
  for (size_t i = 0; all && i < types->count; i++) all[i] = ref(types->at[i]);
  *count = types->count;
  pthread_mutex_unlock(&types->mutex);
  if (!all) return tci_fail(TC_ENOMEM, "out of memory for event types");
  *out = all;
  return TC_OK;
}
