/* activity.c - /api/events/{type}: what people do in a room beside tips and reactions, and what was said of them later; /api/event-types: the registered ones. */
#include <string.h>

#include "answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "body.h"
#include "handlers.h"
#include "list.h"
#include "media.h"
#include "query.h"

#define TYPE_MAX_BYTES 256 /* no type has more; what is longer is none */
#define TYPES_MAX_BYTES (4u << 20)

/* The segment as a NUL-terminated type; 0, or -1 with the reply filled. */
static int read_type(tc_text segment, char type[TYPE_MAX_BYTES], tcd_reply *reply) {
  size_t len = 0;
  const char *wrong = segment.len < TYPE_MAX_BYTES ? tcd_decode(segment, TCD_DECODE_PATH, type, &len) : "no type has so long a name";
  if (wrong) {
    tcd_answer_errorf(reply, 400, "type: %s", wrong);
    return -1;
  }
  type[len] = '\0';
  return 0;
}

void tcd_handle_activity_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  static const char *const names[] = {"roomId", "userId", "targetId", "page", "size", "after"};
  char type[TYPE_MAX_BYTES];
  tcd_list_query query = {.storage = NULL};
  if (!read_type(match->param, type, reply) && !tcd_list_read(request, names, 3, &query, reply)) {
    tc_page *page = NULL;
    tc_activity_query q = TC_ACTIVITY_QUERY_INIT;
    q.type = type;
    q.room_id = query.values[0];
    q.user_id = query.values[1];
    q.target_id = query.values[2];
    q.after = query.after;
    q.page = query.page;
    q.page_size = query.size;
    int rc = tc_activity_list(app->engine, &q, &page);
    if (rc) tcd_answer_code(reply, rc, tc_last_error());
    else tcd_list_answer(app->engine, &query, page, reply);
    tc_page_free(page);
  }
  tci_free(query.storage);
  tcd_reply_send(reply);
}

void tcd_handle_activity_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char type[TYPE_MAX_BYTES];
  const char *slash = memchr(match->param.ptr, '/', match->param.len); /* the pattern has one */
  tc_text first = {match->param.ptr, (size_t)(slash - match->param.ptr)}, second = {slash + 1, match->param.len - first.len - 1};
  int64_t id = 0;
  tc_event *event = NULL;
  (void)request;
  if (read_type(first, type, reply)) goto send;
  if (tcd_parse_int(second.ptr, second.len, &id)) {
    tcd_answer_error(reply, 400, "id: must be a whole number within 64 bits");
    goto send;
  }
  int rc = tc_activity_get(app->engine, type, id, &event);
  if (rc == TC_ENOTFOUND) {
    reply->status = 404;
  } else if (rc) {
    tcd_answer_code(reply, rc, tc_last_error());
  } else {
    reply->status = 200;
    reply->content_type = TCD_MEDIA_JSON;
    reply->event = event;
  }
send:
  tcd_reply_send(reply);
}

static void put_type(const tc_event_type *type, void *userdata) {
  tci_buf *out = userdata;
  char created[TCI_RFC3339_MS_LEN];
  tci_time_format_ms(type->created_at_us, created);
  if (out->len && out->data[out->len - 1] == '}') (void)tci_buf_puts(out, ",");
  (void)tci_buf_printf(out, "{\"id\":%lld,\"name\":\"%s\",\"description\":", (long long)type->id, type->name); /* a name needs no escapes */
  (void)tci_json_put_string(out, (tc_text){type->description, strlen(type->description)});
  (void)tci_buf_printf(out, ",\"createdAt\":\"%.*s\"}", TCI_RFC3339_MS_LEN, created);
}

/* A name is its own key: the same again is answered with what is there. */
void tcd_handle_type_create(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  enum { NAME, DESCRIPTION, MEMBERS };
  static const tcd_member members[MEMBERS] = {{"name", TCD_MEMBER_TEXT}, {"description", TCD_MEMBER_TEXT}};
  tcd_body body;
  int32_t existed = 0;
  (void)match;
  if (!tcd_body_read(request, members, MEMBERS, 0, &body, reply)) {
    int rc = tc_event_type_create(app->engine, body.values[NAME], body.values[DESCRIPTION], put_type, &reply->body, &existed);
    reply->status = existed ? 200 : 201;
    reply->content_type = TCD_MEDIA_JSON;
    if (rc) tcd_answer_code(reply, rc, tc_last_error());
  }
  tcd_body_free(&body);
  tcd_reply_send(reply);
}

void tcd_handle_type_list(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  (void)match;
  (void)request;
  reply->body.max = TYPES_MAX_BYTES;
  reply->status = 200;
  reply->content_type = TCD_MEDIA_JSON;
  (void)tci_buf_puts(&reply->body, "[");
  int rc = tc_event_type_list(app->engine, put_type, &reply->body);
  (void)tci_buf_puts(&reply->body, "]");
  if (!rc) rc = reply->body.err;
  if (rc) tcd_answer_code(reply, rc, "");
  tcd_reply_send(reply);
}

void tcd_handle_type_delete(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char name[TYPE_MAX_BYTES];
  (void)request;
  if (!read_type(match->param, name, reply)) {
    int rc = tc_event_type_delete(app->engine, name);
    if (rc == TC_ENOTFOUND) reply->status = 404;
    else if (rc) tcd_answer_code(reply, rc, tc_last_error());
    else reply->status = 204;
  }
  tcd_reply_send(reply);
}
