#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "media.h"
#include "page.h"
#include "query.h"

#define ID_MAX_BYTES 64 /* "-9223372036854775808" has 20; more is no number, leading zeros excepted, and those nobody sends by the dozen */

void tcd_handle_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  char text[ID_MAX_BYTES];
  size_t len;
  int64_t id;
  tc_event *event;
  (void)request;
  if (match->param.len > sizeof text || tcd_decode(match->param, TCD_DECODE_PATH, text, &len) || tcd_parse_int(text, len, &id)) {
    tcd_answer_error(reply, 400, "id: must be a whole number within 64 bits");
    goto send;
  }
  int rc = match->route->kind == TC_KIND_TIP ? tc_tip_get(app->engine, id, &event) : tc_reaction_get(app->engine, id, &event);
  if (rc == TC_ENOTFOUND) {
    reply->status = 404; /* without a body, as the Java service: only an unknown path has one */
  } else if (rc) {
    tcd_answer_code(reply, rc, tc_last_error());
  } else {
    reply->status = 200;
    reply->content_type = TCD_MEDIA_JSON;
    rc = tcd_page_put_event(&reply->body, app->engine, event);
    tc_event_unref(event);
    if (rc) tcd_answer_code(reply, rc, tc_last_error());
  }
send:
  tcd_reply_send(reply);
}
