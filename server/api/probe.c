#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "media.h"

/* cJSON's numbers are doubles; a count of bytes or events is not. */
static int add_count(cJSON *json, const char *name, uint64_t count) {
  char text[24];
  (void)snprintf(text, sizeof text, "%" PRIu64, count);
  return cJSON_AddRawToObject(json, name, text) != NULL;
}

static void answer_json(tcd_reply *reply, int status, cJSON *json, int whole) {
  char *printed = whole ? cJSON_PrintUnformatted(json) : NULL;
  reply->status = printed ? status : 503;
  reply->content_type = printed ? TCD_MEDIA_JSON : NULL;
  if (printed) (void)tci_buf_puts(&reply->body, printed);
  cJSON_free(printed);
  cJSON_Delete(json);
  tcd_reply_send(reply);
}

/* Answers as long as the reactor turns, whatever the disk does: an orchestrator restarts on this one. */
void tcd_handle_livez(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  (void)app;
  (void)match;
  (void)request;
  cJSON *json = cJSON_CreateObject();
  int whole = cJSON_AddStringToObject(json, "status", "live") != NULL;
  answer_json(reply, 200, json, whole);
}

void tcd_handle_readyz(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  tc_status status = TC_STATUS_INIT;
  tcd_front_stats stats;
  (void)match;
  (void)request;
  int rc = tc_engine_status(app->engine, &status);
  if (rc) {
    tcd_answer_code(reply, rc, tc_last_error());
    tcd_reply_send(reply);
    return;
  }
  tcd_front_stats_get(app->front, &stats);
  const char *word = "ready";
  if (atomic_load(&app->stopping)) word = "stopping";
  else if (status.storage_error) word = "storage failed";
  else if (!status.ready) word = "indexing";
  int ready = !strcmp(word, "ready");
  if (!ready) (void)tci_buf_puts(&reply->headers, "Retry-After: 1\r\n");
  cJSON *json = cJSON_CreateObject();
  int whole = cJSON_AddStringToObject(json, "status", word) && add_count(json, "logSeq", (uint64_t)status.log_seq) &&
              add_count(json, "indexSeq", (uint64_t)status.index_seq) && add_count(json, "pendingEvents", status.pending_events) &&
              add_count(json, "pendingBytes", status.pending_bytes) && add_count(json, "tailEvents", status.tail_events) &&
              add_count(json, "tailBytes", status.tail_bytes) && add_count(json, "commits", status.commits) &&
              add_count(json, "connections", stats.connections) && add_count(json, "requests", stats.requests) && add_count(json, "refused", stats.refused) &&
              add_count(json, "bufferedBytes", stats.buffered_bytes);
  if (status.role != TC_ROLE_ALONE)
    whole = whole && cJSON_AddStringToObject(json, "role", status.role == TC_ROLE_LEADER ? "leader" : "follower") != NULL &&
            add_count(json, "webhookShares", status.webhook_shares);
  answer_json(reply, ready ? 200 : 503, json, whole);
}
