/* attempt.c - one parcel: what is posted, and what becomes of it. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "engine/webhooks.h"
#include "model/kind.h"
#include "model/record.h"
#include "webhook/sign.h"
#include "webhook/text.h"

#define LINES_MAX (16u << 10)
#define PREPARED_FOR_US 5000000
#define BODY_MAX (8u << 20)
#define TEST_BODY "{\"event\":\"test.event\",\"message\":\"This is a test webhook delivery\"}"

static const char *event_name(const tci_parcel *parcel, char scratch[TCI_EVENT_NAME_SIZE]) {
  return parcel->event ? tci_event_name(&parcel->event->record, scratch) : "test.event";
}

static tc_text span(const char *text) { return (tc_text){text, strlen(text)}; }

static void link_unrecorded(tci_webhooks *w, tci_parcel *parcel) {
  parcel->prev = w->last_unrecorded;
  if (w->last_unrecorded) w->last_unrecorded->next = parcel;
  else w->unrecorded = parcel;
  w->last_unrecorded = parcel;
}

static void unlink_unrecorded(tci_webhooks *w, tci_parcel *parcel) {
  if (parcel->recorded) return;
  if (parcel->prev) parcel->prev->next = parcel->next;
  else w->unrecorded = parcel->next;
  if (parcel->next) parcel->next->prev = parcel->prev;
  else w->last_unrecorded = parcel->prev;
  parcel->prev = parcel->next = NULL;
  parcel->recorded = 1;
}

tci_parcel *tci_parcel_new(tci_webhooks *w, tci_target *target, tc_event *event, int64_t seq, int32_t attempt, int64_t first_us, int recorded) {
  tci_parcel *parcel = tci_zalloc(sizeof *parcel);
  if (!parcel) return NULL;
  parcel->webhooks = w;
  parcel->target = target;
  parcel->event = event ? tc_event_ref(event) : NULL;
  parcel->seq = seq;
  parcel->attempt = attempt;
  parcel->first_us = first_us;
  parcel->made_us = w->turn_mono_us;
  parcel->recorded = recorded;
  tci_buf_init(&parcel->lines, LINES_MAX);
  tci_buf_init(&parcel->body, BODY_MAX);
  if (!recorded) link_unrecorded(w, parcel); /* events come in order, so the list is by seq */
  w->parcels++;
  return parcel;
}

void tci_parcel_free(tci_webhooks *w, tci_parcel *parcel) {
  (void)tci_helper_take(w, parcel);
  unlink_unrecorded(w, parcel);
  tci_hook_unref(parcel->hook);
  tc_event_unref(parcel->event);
  tci_buf_free(&parcel->lines);
  tci_buf_free(&parcel->body);
  tci_free(parcel);
  w->parcels--;
}

/* The same in every process and on every node, since rows outlive them: so not under the engine's own key. Rooms whose hashes are the same in all 63 bits would wait for each other, no more. */
static int64_t lane_of(const tci_parcel *parcel) {
  static const tci_sipkey stable = {0, 0};
  if (!(parcel->target->hook->flags & TC_WEBHOOK_ORDERED) || !parcel->event) return -1;
  const char *room = tc_event_str(parcel->event, TC_FIELD_ROOM_ID);
  return room ? (int64_t)(tci_siphash(&stable, room, strlen(room)) >> 1) : 0;
}

int tci_parcel_owe(tci_webhooks *w, tci_parcel *parcel, int32_t attempt, int64_t due_us) {
  tci_target *target = parcel->target;
  tc_owed row = {
    .webhook_id = target->hook->id, .seq = parcel->seq, .lane = lane_of(parcel), .due_us = due_us, .first_us = parcel->first_us, .attempt = attempt};
  if (target->gone) { /* it is owed nothing any more */
    unlink_unrecorded(w, parcel);
    return TC_OK;
  }
  int rc = tci_ledger_owe(w, &row);
  if (rc) return rc;
  if (due_us < target->next_due_us) target->next_due_us = due_us;
  tci_target_touch(w, target);
  unlink_unrecorded(w, parcel);
  return TC_OK;
}

/* {"...","createdAt":"2026-01-15T10:30:45.123Z"} with the time as decimal seconds: what the Java service really sent (contract.md 0.1). */
static int put_epoch_body(tci_parcel *parcel) {
  size_t len;
  const char *json = tc_event_json(parcel->event, &len);
  const size_t tail = sizeof "\"2026-01-15T10:30:45.123Z\"}" - 1; /* createdAt is the last member of every kind */
  int64_t us = parcel->event->record.created_at_us;
  (void)tci_buf_append(&parcel->body, json, len - tail);
  (void)tci_buf_printf(&parcel->body, "%lld.%06lld000}", (long long)(us / 1000000), (long long)(us % 1000000));
  return parcel->body.err;
}

static int set_body(tci_webhooks *w, tci_parcel *parcel) {
  size_t len;
  if (!parcel->event) {
    parcel->send.body = span(TEST_BODY);
  } else if (w->flags & TC_WEBHOOK_EPOCH_TIME) {
    if (put_epoch_body(parcel)) return TC_ENOMEM;
    parcel->send.body = (tc_text){parcel->body.data, parcel->body.len};
  } else {
    const char *json = tc_event_json(parcel->event, &len);
    parcel->send.body = (tc_text){json, len};
  }
  return TC_OK;
}

/* The same for every attempt and every later sending of this event to this webhook, and never that of another event: a log that is begun anew has another time under the same seq. */
static void put_id(const tci_parcel *parcel, char *out, size_t size) {
  long long hook = (long long)parcel->hook->id;
  if (parcel->event) (void)snprintf(out, size, "msg_%lld_%lld_%lld", (long long)parcel->event->record.created_at_us, (long long)parcel->seq, hook);
  else (void)snprintf(out, size, "test_%lld_%lld", (long long)parcel->first_us, hook);
}

static int put_signatures(tci_parcel *parcel, const char *id, int64_t now_us) {
  tci_hook *hook = parcel->hook;
  const tci_signer *signer = tci_hook_signer(hook, 0);
  int overlaps = hook->before && now_us < hook->before_until_us;
  const tci_signer *before = overlaps ? tci_hook_signer(hook, 1) : NULL;
  tc_text body = parcel->send.body;
  char signature[TCI_SIGNATURE_SIZE];
  tci_buf *lines = &parcel->lines;
  int rc = signer && (before || !overlaps) ? tci_sign_body(signer, body, signature) : TC_ENOMEM;
  if (rc) return rc;
  (void)tci_buf_printf(lines, "X-TipCurrent-Signature: %s", signature);
  (void)tci_buf_append(lines, "", 1);
  (void)tci_buf_puts(lines, "webhook-signature: ");
  rc = tci_sign_standard(signer, id, now_us / 1000000, body, lines);
  if (!rc && before) {
    (void)tci_buf_puts(lines, " ");
    rc = tci_sign_standard(before, id, now_us / 1000000, body, lines);
  }
  (void)tci_buf_append(lines, "", 1);
  return rc ? rc : lines->err;
}

static int set_headers(tci_parcel *parcel, int64_t now_us) {
  char name[TCI_EVENT_NAME_SIZE];
  char id[96];
  tci_buf *lines = &parcel->lines;
  size_t n = 0;
  put_id(parcel, id, sizeof id);
  (void)tci_buf_room(lines, TCI_LINES_BYTES); /* at once, what is needed as a rule */
  (void)tci_buf_puts(lines, "Content-Type: application/json");
  (void)tci_buf_append(lines, "", 1);
  (void)tci_buf_printf(lines, "X-TipCurrent-Event: %s", event_name(parcel, name));
  (void)tci_buf_append(lines, "", 1);
  (void)tci_buf_printf(lines, "X-TipCurrent-Delivery-Attempt: %d", parcel->attempt);
  (void)tci_buf_append(lines, "", 1);
  (void)tci_buf_printf(lines, "webhook-id: %s", id);
  (void)tci_buf_append(lines, "", 1);
  (void)tci_buf_printf(lines, "webhook-timestamp: %lld", (long long)(now_us / 1000000));
  (void)tci_buf_append(lines, "", 1);
  (void)tci_buf_printf(lines, "User-Agent: tipcurrent/%s", TC_VERSION);
  (void)tci_buf_append(lines, "", 1);
  int rc = put_signatures(parcel, id, now_us);
  if (rc) return rc;
  for (size_t at = 0; at < lines->len; at += strlen(lines->data + at) + 1) parcel->headers[n++] = lines->data + at;
  parcel->headers[n] = NULL;
  return TC_OK;
}

typedef struct disabling {
  int64_t failing_since_us, now_us;
  int disable;
} disabling;

static int edit_health(tci_hook_parts *parts, void *arg) {
  const disabling *d = arg;
  parts->failing_since_us = d->failing_since_us;
  if (!d->disable) return TC_OK;
  parts->enabled = 0;
  if (d->now_us > parts->updated_at_us) parts->updated_at_us = d->now_us;
  return TC_OK;
}

/* The event comes before the change, under a key that the webhook's last change makes: after a kill in between the next failure finds it said, and says it no second time. */
static int say_disabled(tci_webhooks *w, const tci_hook *hook, const char *why) {
  char id[24], key[96];
  tc_record record = {.kind = TC_KIND_WEBHOOK_DISABLED};
  (void)snprintf(id, sizeof id, "%lld", (long long)hook->id);
  (void)snprintf(key, sizeof key, "webhook/%s/disabled/%lld", id, (long long)hook->updated_at_us);
  record.text[TC_COL_USER] = span(id);
  if (hook->room) record.text[TC_COL_ROOM] = span(hook->room);
  record.text[TC_COL_BODY] = span(why);
  record.text[TC_COL_KEY] = span(key);
  int rc = tci_record_validate(&record);
  return rc ? rc : tci_create(w->engine, &record, NULL, NULL);
}

/* Best effort: what cannot be written now is found again at the next failure. */
static void note_health(tci_webhooks *w, const tci_target *target) {
  const char *why = target->disable_why;
  int disable = why != NULL;
  disabling d = {target->failing_since_us, tci_webhooks_now_us(w), disable};
  tci_hook *hook = NULL;
  int64_t id = target->hook->id;
  if (target->gone) return;
  if ((disable && say_disabled(w, target->hook, why)) || tci_hooks_edit(w, id, edit_health, &d, 0, &hook)) {
    tci_engine_log(w->engine, TC_LOG_WARN, "webhook %lld: its state cannot be written: %s", (long long)id, tci_fail_detail());
    return;
  }
  if (disable) tci_engine_log(w->engine, TC_LOG_WARN, "webhook %lld is disabled: %s", (long long)id, why);
  tci_hook_unref(hook);
}

void tci_targets_note(tci_webhooks *w) {
  for (size_t i = 0; i < w->target_count && w->to_note; i++) {
    tci_target *target = w->targets[i];
    if (!target->to_note) continue;
    note_health(w, target);
    target->to_note = 0;
    target->disable_why = NULL;
  }
  w->to_note = 0;
}

static void note_later(tci_webhooks *w, tci_target *target, const char *disable_why) {
  w->to_note = target->to_note = 1;
  if (disable_why) target->disable_why = disable_why;
}

#define NOTE_FAILING_AFTER_US 60000000 /* a receiver that fails now and then costs no write of the configuration */

static void judge_health(tci_webhooks *w, tci_target *target, const tc_sent *sent, int success) {
  if (success) {
    target->success_us = tci_engine_mono_us(w->engine);
    target->failing_since_us = 0;
    if (target->hook->failing_since_us) note_later(w, target, NULL);
    return;
  }
  int64_t now_us = tci_webhooks_now_us(w);
  if (!target->failing_since_us) target->failing_since_us = now_us;
  int64_t failing_us = now_us - target->failing_since_us;
  if (sent->status == 410) note_later(w, target, "its receiver answered 410 Gone");
  else if (failing_us >= w->disable_after_us) note_later(w, target, "it has only failed for too long");
  else if (failing_us >= NOTE_FAILING_AFTER_US && !target->hook->failing_since_us) note_later(w, target, NULL);
}

static void write_log(tci_webhooks *w, const tci_parcel *parcel, const tc_sent *sent, int success) {
  char name[TCI_EVENT_NAME_SIZE];
  tc_delivery row = {.webhook_id = parcel->target->hook->id,
                     .seq = parcel->seq,
                     .created_at_us = tci_webhooks_now_us(w),
                     .duration_us = sent->duration_us > 0 ? sent->duration_us : 1,
                     .attempt = parcel->attempt,
                     .status = sent->status,
                     .success = success,
                     .event = span(event_name(parcel, name)),
                     .response = sent->status ? sent->response : (tc_text){NULL, 0},
                     .error = sent->error ? span(sent->error) : (tc_text){NULL, 0}};
  if (sent->status && !row.response.ptr) row.response = span("");
  if (tci_ledger_log(w, &row))
    tci_engine_log(w->engine, TC_LOG_ERROR, "out of memory: an attempt of webhook %lld is missing in its log", (long long)row.webhook_id);
}

/* What a failed attempt leaves: another one later, or nothing. */
static int retry(tci_webhooks *w, tci_parcel *parcel, const tc_sent *sent) {
  uint64_t chance = 0;
  if (!parcel->event || parcel->target->gone) return 0;
  (void)w->engine->random.fill(w->engine->random.userdata, &chance, sizeof chance); /* without randomness the pause is the same for all, no more */
  int64_t pause_us = sent->status == 410 ? -1 : tci_retry_pause_us(&w->schedule, parcel->attempt, chance, sent->retry_after_us);
  return pause_us >= 0 && !tci_parcel_owe(w, parcel, parcel->attempt + 1, tci_webhooks_now_us(w) + pause_us);
}

static void landed(tc_send *send, const tc_sent *sent) {
  tci_parcel *parcel = send->owner;
  tci_webhooks *w = parcel->webhooks;
  tci_target *target = parcel->target;
  int success = sent->status >= 200 && sent->status <= 299 && !sent->error;
  if (parcel->prev_sending) parcel->prev_sending->next_sending = parcel->next_sending;
  else target->sending = parcel->next_sending;
  if (parcel->next_sending) parcel->next_sending->prev_sending = parcel->prev_sending;
  target->in_flight--;
  w->in_flight--;
  w->refused -= parcel->why != NULL;
  write_log(w, parcel, sent, success);
  if (success || !retry(w, parcel, sent)) {
    if (parcel->event && !parcel->again && (parcel->recorded || (target->owed_before && parcel->seq <= w->horizon_seq)))
      (void)tci_ledger_settle(w, target->hook->id, parcel->seq); /* without memory it is delivered once more */
  }
  if (parcel->event) judge_health(w, target, sent, success);
  /* Its lane is free, or its row: what comes next may have been due for long. */
  if (parcel->recorded && parcel->event && target->next_due_us != INT64_MAX && !target->gone) target->next_due_us = tci_webhooks_now_us(w);
  parcel->next_waiting = w->landed;
  w->landed = parcel; /* the transport may still look at send */
}

/* From a transport that the host brought: it may be newer or older than we are, and what it says is no more than bytes. */
static void landed_outside(tc_send *send, const tc_sent *told) {
  const tci_parcel *parcel = send->owner;
  char response[TCI_TEXT_SIZE(TCI_RESPONSE_KEEP_POINTS)], error[TCI_TEXT_SIZE(TCI_ERROR_KEEP_POINTS) + 1];
  tc_sent sent = {0};
  memcpy(&sent, told, told->size < sizeof sent ? told->size : sizeof sent);
  if (sent.error) {
    tci_line_of(sent.error, TCI_ERROR_KEEP_POINTS, error);
    sent.error = error;
  } else if (sent.status < 100 || sent.status > 999) {
    sent.error = "no answer";
  }
  if (sent.status < 100 || sent.status > 999) sent.status = 0;
  sent.response.len = sent.response.ptr ? tci_text_of(sent.response.ptr, sent.response.len, TCI_RESPONSE_KEEP_POINTS, response) : 0;
  sent.response.ptr = response;
  if (sent.retry_after_us < 0) sent.retry_after_us = 0;
  if (sent.duration_us <= 0) sent.duration_us = tci_webhooks_now_us(parcel->webhooks) - parcel->began_us;
  landed(send, &sent);
}

int tci_parcel_prepare(tci_webhooks *w, tci_parcel *parcel) {
  parcel->prepared_us = 0;
  tci_buf_clear(&parcel->lines);
  tci_buf_clear(&parcel->body);
  int64_t now_us = tci_webhooks_now_us(w);
  int rc = set_body(w, parcel);
  if (!rc) rc = set_headers(parcel, now_us);
  if (!rc) parcel->prepared_us = now_us;
  return rc;
}

/* The signed time may be a little old: receivers allow for minutes. */
static int is_ready(const tci_parcel *parcel, int64_t now_us) {
  int64_t age_us = now_us - parcel->prepared_us;
  return parcel->hook == parcel->target->hook && age_us >= 0 && age_us < PREPARED_FOR_US;
}

int tci_parcel_send(tci_webhooks *w, tci_parcel *parcel) {
  tci_target *target = parcel->target;
  int rc = TC_OK, made = tci_helper_take(w, parcel);
  parcel->began_us = tci_webhooks_now_us(w);
  if (!made || !is_ready(parcel, parcel->began_us)) {
    tci_hook_unref(parcel->hook);
    parcel->hook = tci_hook_ref(target->hook);
    rc = tci_parcel_prepare(w, parcel);
  }
  if (rc) return rc;
  tci_url url;
  parcel->why = NULL;
  /* Again at each attempt: the configuration may have changed since the URL was registered. Curl's transport asks by itself, and for each address. */
  if (!w->own_transport && !tci_policy_url(&w->policy, span(parcel->hook->url), &url, &parcel->why)) parcel->why = NULL;
  parcel->send.size = sizeof parcel->send;
  parcel->send.url = parcel->hook->url;
  parcel->send.headers = parcel->headers;
  parcel->send.connect_ms = w->connect_ms;
  parcel->send.total_ms = w->total_ms;
  parcel->send.done = w->own_transport ? landed : landed_outside;
  parcel->send.owner = parcel;
  parcel->send.transport = NULL;
  if (!parcel->why) rc = w->transport.begin(w->transport.userdata, &parcel->send);
  if (rc) return rc;
  w->refused += parcel->why != NULL;
  parcel->prev_sending = NULL;
  parcel->next_sending = target->sending;
  if (target->sending) target->sending->prev_sending = parcel;
  target->sending = parcel;
  target->in_flight++;
  w->in_flight++;
  return TC_OK;
}

void tci_parcels_refuse(tci_webhooks *w) {
  for (size_t i = 0; i < w->target_count && w->refused; i++) {
    for (tci_parcel *parcel = w->targets[i]->sending, *next; parcel; parcel = next) {
      next = parcel->next_sending;
      tc_sent sent = {.size = sizeof sent, .error = parcel->why, .duration_us = 1};
      if (parcel->why) landed(&parcel->send, &sent);
    }
  }
}
