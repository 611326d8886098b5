#include "answer.h"
#include "handlers.h"
#include "media.h"
#include "page.h"
#include "param.h"

void tcd_handle_get(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  int64_t id;
  tc_event *event;
  (void)request;
  if (tcd_param_id(match->param, &id, reply)) goto send;
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
