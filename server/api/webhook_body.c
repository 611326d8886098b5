#include "webhook_body.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "query.h"

enum { ROOM, URL, EVENT, EVENTS, SECRET, DESCRIPTION, ORDERED, OVERLAP, DELIVERY, FROM_SEQ, TO_SEQ, FROM, TO, MEMBERS };
static const char *const names[MEMBERS] = {"roomId",         "url",        "event",   "events", "secret", "description", "ordered",
                                           "overlapSeconds", "deliveryId", "fromSeq", "toSeq",  "from",   "to"};

typedef struct reading {
  tci_json_value values[MEMBERS];
  char *at; /* in storage */
  tcd_reply *reply;
} reading;

static int is_given(const reading *r, int member) { return r->values[member].type != TCI_JSON_ABSENT && r->values[member].type != TCI_JSON_NULL; }

static int wrong(const reading *r, int member, const char *what) {
  tcd_answer_errorf(r->reply, 400, "%s: %s", names[member], what);
  return -1;
}

static int read_text(reading *r, int member, const char **out) {
  if (!is_given(r, member)) return 0;
  if (r->values[member].type != TCI_JSON_STRING) return wrong(r, member, "must be a string");
  size_t len = tci_json_unescape(r->values[member].raw, r->at);
  if (memchr(r->at, '\0', len)) return wrong(r, member, "U+0000 is not allowed");
  r->at[len] = '\0';
  *out = r->at;
  r->at += len + 1;
  return 0;
}

static int read_number(reading *r, int member, int64_t *out) {
  tc_text raw = r->values[member].raw;
  if (!is_given(r, member)) return 0;
  if (r->values[member].type != TCI_JSON_NUMBER || tcd_parse_int(raw.ptr, raw.len, out) || *out < 0)
    return wrong(r, member, "must be a whole number, 0 or more");
  return 0;
}

/* ["tip.created","reaction.created"] as "tip.created,reaction.created". The scanner has checked the grammar; cJSON makes the strings. */
static int read_events(reading *r, const char **out) {
  tc_text raw = r->values[EVENTS].raw;
  int rc = 0;
  if (!is_given(r, EVENTS)) return 0;
  if (r->values[EVENTS].type != TCI_JSON_ARRAY) return wrong(r, EVENTS, "must be an array of strings");
  cJSON *array = cJSON_ParseWithLength(raw.ptr, raw.len), *item;
  char *begin = r->at;
  cJSON_ArrayForEach(item, array) {
    if (!cJSON_IsString(item) || !*item->valuestring || strpbrk(item->valuestring, ", ")) {
      rc = wrong(r, EVENTS, "must hold names, without commas and blanks");
      break;
    }
    size_t len = strlen(item->valuestring);
    if (r->at != begin) r->at[-1] = ',';
    memcpy(r->at, item->valuestring, len + 1);
    r->at += len + 1;
  }
  if (!rc && r->at == begin) rc = wrong(r, EVENTS, array ? "must hold a name" : "cannot be read");
  cJSON_Delete(array);
  if (!rc) *out = begin;
  return rc;
}

static int read_switch(reading *r, int member, int *out) {
  if (!is_given(r, member)) return 0;
  if (r->values[member].type != TCI_JSON_TRUE && r->values[member].type != TCI_JSON_FALSE) return wrong(r, member, "must be true or false");
  *out = r->values[member].type == TCI_JSON_TRUE;
  return 0;
}

int tcd_webhook_body_read(const tcd_request *request, tcd_webhook_body *out, tcd_reply *reply) {
  reading r = {.reply = reply};
  tci_json_fault fault;
  const char *event = NULL;
  *out = (tcd_webhook_body){.ordered = -1, .overlap_s = -1, .delivery_id = -1, .from_seq = -1, .to_seq = -1};
  out->storage = r.at = tci_alloc(request->body.len + MEMBERS + 1); /* what is unescaped is not longer, and each text has a NUL */
  if (!out->storage) {
    tcd_answer_error(reply, 503, "out of memory");
    return -1;
  }
  if (tci_json_object(request->body.len ? request->body.ptr : "", request->body.len, names, MEMBERS, r.values, &fault)) {
    tcd_answer_errorf(reply, 400, "body: %s at byte %zu", fault.what, fault.offset);
    return -1;
  }
  int rc = read_text(&r, ROOM, &out->room_id);
  if (!rc) rc = read_text(&r, URL, &out->url);
  if (!rc) rc = read_text(&r, EVENT, &event);
  if (!rc && event && strchr(event, ',')) rc = wrong(&r, EVENT, "one name; more go into events");
  if (!rc) rc = read_events(&r, &out->events);
  if (!rc) rc = read_text(&r, SECRET, &out->secret);
  if (!rc) rc = read_text(&r, DESCRIPTION, &out->description);
  if (!rc) rc = read_switch(&r, ORDERED, &out->ordered);
  if (!rc) rc = read_number(&r, OVERLAP, &out->overlap_s);
  if (!rc) rc = read_number(&r, DELIVERY, &out->delivery_id);
  if (!rc) rc = read_number(&r, FROM_SEQ, &out->from_seq);
  if (!rc) rc = read_number(&r, TO_SEQ, &out->to_seq);
  if (!rc) rc = read_text(&r, FROM, &out->from);
  if (!rc) rc = read_text(&r, TO, &out->to);
  if (!out->events) out->events = event;
  out->room_null = r.values[ROOM].type == TCI_JSON_NULL;
  return rc;
}
