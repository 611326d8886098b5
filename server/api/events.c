/* events.c - GET /api/rooms/{roomId}/events and GET /api/events: the live log as server-sent events. */
#include <string.h>

#include "answer.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "handlers.h"
#include "query.h"
#include "server/sse/sse.h"

#define TYPES_MAX 1024
#define ROOM_MAX_CODE_POINTS 255 /* as in events; docs/events.md */

static int read_seq(const char *name, const char *text, size_t len, int64_t *out, tcd_reply *reply) {
  if (!tcd_parse_int(text, len, out) && *out >= 0) return 0;
  tcd_answer_errorf(reply, 400, "%s: must be a whole number, 0 or more", name);
  return -1;
}

/* Where to begin: Last-Event-ID, which a browser sends when it comes back (HTML 9.2.4), else after=. 1: *seq says it; 0: with what comes next; -1: the reply is filled. */
static int read_position(const tcd_request *request, const char *after, int64_t *seq, tcd_reply *reply) {
  tc_text last;
  if (tcd_request_header(request, "Last-Event-ID", &last) && last.len) return read_seq("Last-Event-ID", last.ptr, last.len, seq, reply) ? -1 : 1;
  if (!after || !*after) return 0;
  return read_seq("after", after, strlen(after), seq, reply) ? -1 : 1;
}

/* Without types= a stream is what it always was: tips and reactions, without names. */
static void serve(tcd_app *app, tcd_topic topic, const tcd_request *request, tcd_reply *reply) {
  enum { AFTER, TYPES, PARAMETERS };
  static const char *const names[PARAMETERS] = {"after", "types"};
  const char *values[PARAMETERS] = {NULL};
  tcd_query_fault fault;
  int64_t seq = 0;
  int resume = -1;
  char *storage = tci_alloc(request->query.len + 1);
  if (!storage) tcd_answer_code(reply, TC_ENOMEM, "");
  else if (tcd_query_read(request->query, names, PARAMETERS, values, storage, &fault)) tcd_answer_errorf(reply, 400, "%s: %s", fault.name, fault.what);
  else if (values[TYPES] && (!*values[TYPES] || strlen(values[TYPES]) > TYPES_MAX)) tcd_answer_errorf(reply, 400, "types: must be names with commas, or *");
  else resume = read_position(request, values[AFTER], &seq, reply);
  tc_text types = {values[TYPES], values[TYPES] ? strlen(values[TYPES]) : 0};
  if (types.ptr) topic.what = TCD_TOPIC_ALL;
  if (resume < 0) tcd_reply_send(reply);
  else tcd_sse_serve(app->hub, &topic, types, resume, seq, request, reply);
  tci_free(storage);
}

void tcd_handle_room_events(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char room[ROOM_MAX_CODE_POINTS * 12]; /* four bytes a code point, three times as long when encoded */
  size_t len = 0, code_points = 0;
  const char *wrong = match->param.len > sizeof room ? "must have at most 255 characters" : tcd_decode(match->param, TCD_DECODE_PATH, room, &len);
  if (!wrong && (!tci_utf8_valid(room, len, &code_points) || code_points > ROOM_MAX_CODE_POINTS)) wrong = "must have at most 255 characters";
  if (!wrong) {
    serve(app, (tcd_topic){.room = {room, len}}, request, reply);
    return;
  }
  tcd_answer_errorf(reply, 400, "roomId: %s", wrong);
  tcd_reply_send(reply);
}

void tcd_handle_events(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  (void)match;
  serve(app, (tcd_topic){.all = 1}, request, reply);
}
