#include "webhook/hook.h"

#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "model/fail.h"
#include "model/record.h"
#include "webhook/sign.h"

#define DOC_MAX (64u << 10)
#define EVENT_NAME_MAX 100

static tc_text span(const char *text) { return text ? (tc_text){text, strlen(text)} : (tc_text){NULL, 0}; }

void tci_hook_parts_of(const tci_hook *hook, tci_hook_parts *out) {
  memset(out, 0, sizeof *out);
  out->id = hook->id;
  out->created_at_us = hook->created_at_us;
  out->updated_at_us = hook->updated_at_us;
  out->before_until_us = hook->before_until_us;
  out->failing_since_us = hook->failing_since_us;
  out->after_seq = hook->after_seq;
  out->flags = hook->flags;
  out->enabled = hook->enabled;
  out->room = hook->room;
  out->url = hook->url;
  out->events = hook->events;
  out->secret = hook->secret;
  out->before = hook->before;
  out->description = hook->description;
  out->key = hook->key;
  out->request = hook->request;
}

static int check_text(const char *name, const char *text, size_t max, int may_be_blank) {
  tc_text value = span(text);
  size_t points;
  if (!text) return tci_fail(TC_EINVAL, "%s: is required", name);
  if (!tci_utf8_valid(value.ptr, value.len, &points)) return tci_fail(TC_EINVAL, "%s: is not valid UTF-8", name);
  if (points > max) return tci_fail(TC_EINVAL, "%s: must have at most %zu characters", name, max);
  if (!may_be_blank && tci_utf8_blank(value.ptr, value.len)) return tci_fail(TC_EINVAL, "%s: must not be blank", name);
  return TC_OK;
}

/* The next name of a list with commas; 0: none is left. */
static int next_name(const char **rest, tc_text *name) {
  if (!*rest) return 0;
  const char *comma = strchr(*rest, ',');
  *name = (tc_text){*rest, comma ? (size_t)(comma - *rest) : strlen(*rest)};
  while (name->len && *name->ptr == ' ') name->ptr++, name->len--;
  while (name->len && name->ptr[name->len - 1] == ' ') name->len--;
  *rest = comma ? comma + 1 : NULL;
  return 1;
}

static int check_events(const char *events) {
  const char *rest = events;
  tc_text name;
  size_t count = 0, points;
  if (!events) return tci_fail(TC_EINVAL, "event: is required");
  while (next_name(&rest, &name)) {
    if (++count > TCI_HOOK_EVENTS_MAX) return tci_fail(TC_EINVAL, "events: at most %d names", TCI_HOOK_EVENTS_MAX);
    if (!tci_utf8_valid(name.ptr, name.len, &points) || tci_utf8_blank(name.ptr, name.len)) return tci_fail(TC_EINVAL, "event: must not be blank");
    if (points > EVENT_NAME_MAX) return tci_fail(TC_EINVAL, "event: must have at most %d characters", EVENT_NAME_MAX);
    for (size_t i = 0; i < name.len; i++) {
      if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f) return tci_fail(TC_EINVAL, "event: control characters are not allowed");
    }
  }
  return TC_OK;
}

int tci_hook_check(const tci_hook_parts *parts, const tci_policy *policy) {
  const char *why;
  tci_url url;
  int rc = parts->room ? check_text("roomId", parts->room, 255, 0) : TC_OK;
  if (!rc) rc = check_text("url", parts->url, TCI_URL_MAX_POINTS, 0);
  if (!rc && tci_policy_url(policy, span(parts->url), &url, &why)) rc = tci_fail(TC_EINVAL, "%s", why);
  if (!rc) rc = check_events(parts->events);
  if (!rc) rc = check_text("secret", parts->secret, 255, 0);
  if (!rc) rc = check_text("description", parts->description, 500, 1);
  if (!rc && parts->flags & ~(uint32_t)TC_WEBHOOK_ORDERED) rc = tci_fail(TC_EINVAL, "flags: 0x%x has bits that are not defined", parts->flags);
  return rc ? rc : tci_record_check_key(span(parts->key));
}

static void put_name(tci_buf *out, const char *comma, const char *name) { (void)tci_buf_printf(out, "%s\"%s\":", comma, name); }

static void put_text(tci_buf *out, const char *comma, const char *name, const char *text) {
  put_name(out, comma, name);
  if (text) (void)tci_json_put_string(out, span(text));
  else (void)tci_buf_puts(out, "null");
}

int tci_hook_request(const tci_hook_parts *p, char out[TCI_HOOK_REQUEST_SIZE]) {
  tci_buf asked;
  tci_buf_init(&asked, DOC_MAX);
  (void)tci_buf_printf(&asked, "{\"flags\":%u", p->flags);
  put_text(&asked, ",", "roomId", p->room);
  put_text(&asked, ",", "url", p->url);
  put_text(&asked, ",", "events", p->events);
  put_text(&asked, ",", "description", p->description);
  tci_signer *signer = tci_signer_new(span(p->secret));
  int rc = asked.err ? asked.err : TC_ENOMEM;
  if (!asked.err && signer) rc = tci_sign_body(signer, (tc_text){asked.data, asked.len}, out);
  tci_signer_free(signer);
  tci_buf_free(&asked);
  return rc;
}

static void put_time(tci_buf *out, const char *name, int64_t us) {
  char text[TCI_RFC3339_MS_LEN];
  tci_time_format_ms(us, text);
  (void)tci_buf_printf(out, ",\"%s\":\"%.*s\"", name, TCI_RFC3339_MS_LEN, text);
}

/* The keys of the Java service, ours among them; event is the first of events. */
static void put_public(const tci_hook *hook, tci_buf *out) {
  const char *rest = hook->events, *comma = "";
  tc_text name, first = {"", 0};
  (void)next_name(&rest, &first);
  rest = hook->events;
  (void)tci_buf_printf(out, "{\"id\":%lld", (long long)hook->id);
  put_text(out, ",", "roomId", hook->room);
  put_text(out, ",", "url", hook->url);
  put_name(out, ",", "event");
  (void)tci_json_put_string(out, first);
  (void)tci_buf_puts(out, ",\"events\":[");
  for (; next_name(&rest, &name); comma = ",") {
    (void)tci_buf_puts(out, comma);
    (void)tci_json_put_string(out, name);
  }
  (void)tci_buf_puts(out, "]");
  put_text(out, ",", "description", hook->description);
  (void)tci_buf_printf(out, ",\"enabled\":%s,\"ordered\":%s", hook->enabled ? "true" : "false", hook->flags & TC_WEBHOOK_ORDERED ? "true" : "false");
  put_time(out, "createdAt", hook->created_at_us);
  put_time(out, "updatedAt", hook->updated_at_us);
  (void)tci_buf_puts(out, "}");
}

static const char *copy(char **at, const char *text) {
  if (!text) return NULL;
  size_t size = strlen(text) + 1;
  char *here = *at;
  memcpy(here, text, size);
  *at += size;
  return here;
}

tci_hook *tci_hook_new(const tci_hook_parts *p) {
  const char *const texts[] = {p->room, p->url, p->events, p->secret, p->before, p->description, p->key, p->request};
  size_t size = sizeof(tci_hook);
  tci_buf json;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) size += texts[i] ? strlen(texts[i]) + 1 : 0;
  tci_hook *hook = tci_zalloc(size);
  if (!hook) return NULL;
  char *at = hook->bytes;
  atomic_init(&hook->refs, 1);
  hook->id = p->id;
  hook->created_at_us = p->created_at_us;
  hook->updated_at_us = p->updated_at_us;
  hook->before_until_us = p->before_until_us;
  hook->failing_since_us = p->failing_since_us;
  hook->after_seq = p->after_seq;
  hook->flags = p->flags;
  hook->enabled = p->enabled;
  hook->room = copy(&at, p->room);
  hook->url = copy(&at, p->url);
  hook->events = copy(&at, p->events);
  hook->secret = copy(&at, p->secret);
  hook->before = copy(&at, p->before);
  hook->description = copy(&at, p->description);
  hook->key = copy(&at, p->key);
  hook->request = copy(&at, p->request);
  tci_buf_init(&json, DOC_MAX);
  put_public(hook, &json);
  if (json.err) {
    tci_buf_free(&json);
    tci_free(hook);
    return NULL;
  }
  hook->json = json.data;
  hook->json_len = json.len;
  return hook;
}

tci_hook *tci_hook_ref(tci_hook *hook) {
  atomic_fetch_add(&hook->refs, 1);
  return hook;
}

static void wipe(const char *secret) {
  if (secret) mbedtls_platform_zeroize((char *)(uintptr_t)secret, strlen(secret));
}

void tci_hook_unref(tci_hook *hook) {
  if (!hook || atomic_fetch_sub(&hook->refs, 1) != 1) return;
  wipe(hook->secret);
  wipe(hook->before);
  wipe(hook->request);
  tci_signer_free(hook->signer);
  tci_signer_free(hook->before_signer);
  tci_free(hook->json);
  tci_free(hook);
}

const tci_signer *tci_hook_signer(tci_hook *hook, int before) {
  _Atomic(tci_signer *) *place = before ? &hook->before_signer : &hook->signer;
  tci_signer *known = atomic_load(place);
  if (known) return known;
  tci_signer *made = tci_signer_new(span(before ? hook->before : hook->secret));
  if (!made || atomic_compare_exchange_strong(place, &known, made)) return made;
  tci_signer_free(made); /* another thread was faster */
  return known;
}

static int put_secret(tci_buf *out, const char *name, int64_t id, const char *secret, const uint8_t *key, const tc_random *random) {
  tci_buf sealed;
  if (!key || !secret) {
    put_text(out, ",", name, secret);
    return TC_OK;
  }
  tci_buf_init(&sealed, 4096);
  int rc = tci_seal(key, id, span(secret), random->fill, random->userdata, &sealed);
  if (!rc) {
    (void)tci_buf_printf(out, ",\"%sSealed\":", name);
    (void)tci_json_put_string(out, (tc_text){sealed.data, sealed.len});
  }
  tci_buf_free(&sealed);
  return rc;
}

int tci_hook_encode(const tci_hook *hook, const uint8_t *key, const tc_random *random, tci_buf *out) {
  (void)tci_buf_printf(
    out, "{\"createdAtUs\":%lld,\"updatedAtUs\":%lld,\"beforeUntilUs\":%lld,\"failingSinceUs\":%lld,\"afterSeq\":%lld,\"flags\":%u,\"enabled\":%d",
    (long long)hook->created_at_us, (long long)hook->updated_at_us, (long long)hook->before_until_us, (long long)hook->failing_since_us,
    (long long)hook->after_seq, hook->flags, hook->enabled);
  put_text(out, ",", "roomId", hook->room);
  put_text(out, ",", "url", hook->url);
  put_text(out, ",", "events", hook->events);
  put_text(out, ",", "description", hook->description);
  put_text(out, ",", "key", hook->key);
  int rc = put_secret(out, "secret", hook->id, hook->secret, key, random);
  if (!rc) rc = put_secret(out, "before", hook->id, hook->before, key, random);
  if (!rc) rc = put_secret(out, "request", hook->id, hook->request, key, random);
  (void)tci_buf_puts(out, "}");
  return rc ? rc : out->err;
}

enum {
  CREATED,
  UPDATED,
  UNTIL,
  FAILING,
  AFTER,
  FLAGS,
  ENABLED,
  NUMBERS,
  ROOM = NUMBERS,
  URL,
  EVENTS,
  DESCRIPTION,
  KEY,
  SECRET,
  BEFORE,
  REQUEST,
  SECRET_SEALED,
  BEFORE_SEALED,
  REQUEST_SEALED,
  MEMBERS
};

typedef struct reading {
  tci_json_value values[MEMBERS];
  char *texts[MEMBERS]; /* owned */
  tci_buf secrets[REQUEST - SECRET + 1];
} reading;

static int read_member(reading *r, int member) {
  const tci_json_value *value = &r->values[member];
  if (value->type == TCI_JSON_ABSENT || value->type == TCI_JSON_NULL) return TC_OK;
  if (value->type != TCI_JSON_STRING) return TC_ECORRUPT;
  r->texts[member] = tci_alloc(value->raw.len + 1);
  if (!r->texts[member]) return TC_ENOMEM;
  r->texts[member][tci_json_unescape(value->raw, r->texts[member])] = '\0';
  return TC_OK;
}

/* A secret as it stands in the document, sealed or not. */
static int open_secret(reading *r, int64_t id, int plain, const uint8_t *key, const char **out) {
  int sealed = plain - SECRET + SECRET_SEALED;
  tci_buf *buf = &r->secrets[plain - SECRET];
  *out = r->texts[plain];
  if (!r->texts[sealed]) return TC_OK;
  if (!key) return TC_ECORRUPT;
  int rc = tci_unseal(key, id, span(r->texts[sealed]), buf);
  if (!rc && (tci_buf_append(buf, "", 1) || !buf->data)) rc = TC_ENOMEM;
  if (!rc) *out = buf->data;
  return rc;
}

static int64_t number(const tci_json_value *value) {
  char text[24] = "";
  if (value->type == TCI_JSON_NUMBER && value->raw.len < sizeof text) memcpy(text, value->raw.ptr, value->raw.len);
  return strtoll(text, NULL, 10);
}

int tci_hook_decode(int64_t id, tc_text doc, const uint8_t *key, tci_hook **out) {
  static const char *const names[MEMBERS] = {"createdAtUs", "updatedAtUs", "beforeUntilUs", "failingSinceUs", "afterSeq",     "flags",
                                             "enabled",     "roomId",      "url",           "events",         "description",  "key",
                                             "secret",      "before",      "request",       "secretSealed",   "beforeSealed", "requestSealed"};
  tci_json_fault fault;
  reading r;
  tci_hook_parts p = {.id = id};
  tci_hook *hook = NULL;
  memset(&r, 0, sizeof r);
  for (int i = 0; i <= REQUEST - SECRET; i++) tci_buf_init(&r.secrets[i], 4096);
  int rc = tci_json_object(doc.ptr, doc.len, names, MEMBERS, r.values, &fault) ? TC_ECORRUPT : TC_OK;
  for (int i = NUMBERS; i < MEMBERS && !rc; i++) rc = read_member(&r, i);
  if (!rc) rc = open_secret(&r, id, SECRET, key, &p.secret);
  if (!rc) rc = open_secret(&r, id, BEFORE, key, &p.before);
  if (!rc) rc = open_secret(&r, id, REQUEST, key, &p.request);
  if (!rc && (!r.texts[URL] || !r.texts[EVENTS] || !p.secret)) rc = TC_ECORRUPT;
  if (!rc) {
    p.created_at_us = number(&r.values[CREATED]);
    p.updated_at_us = number(&r.values[UPDATED]);
    p.before_until_us = number(&r.values[UNTIL]);
    p.failing_since_us = number(&r.values[FAILING]);
    p.after_seq = number(&r.values[AFTER]);
    p.flags = (uint32_t)number(&r.values[FLAGS]);
    p.enabled = number(&r.values[ENABLED]) != 0;
    p.room = r.texts[ROOM];
    p.url = r.texts[URL];
    p.events = r.texts[EVENTS];
    p.description = r.texts[DESCRIPTION] ? r.texts[DESCRIPTION] : "";
    p.key = r.texts[KEY];
    hook = tci_hook_new(&p);
    rc = hook ? TC_OK : TC_ENOMEM;
  }
  wipe(r.texts[SECRET]);
  wipe(r.texts[BEFORE]);
  wipe(r.texts[REQUEST]);
  for (int i = 0; i <= REQUEST - SECRET; i++) {
    if (r.secrets[i].data) mbedtls_platform_zeroize(r.secrets[i].data, r.secrets[i].len);
    tci_buf_free(&r.secrets[i]);
  }
  for (int i = 0; i < MEMBERS; i++) tci_free(r.texts[i]);
  if (!rc) *out = hook;
  return rc;
}

int tci_hook_wants(const tci_hook *hook, const char *event_name) {
  const char *rest = hook->events;
  tc_text name;
  while (next_name(&rest, &name)) {
    if (name.len == 1 && *name.ptr == '*') return 1;
    if (name.len == strlen(event_name) && !memcmp(name.ptr, event_name, name.len)) return 1;
  }
  return 0;
}
