#include "engine/goaldoc.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/currency.h"
#include "model/fail.h"
#include "model/kind.h"
#include "model/record.h"

#define DOC_MAX (64u << 10)
#define ID_MAX_POINTS 255
#define TITLE_MAX_POINTS 200

enum { ROOM, TITLE, CURRENCY, RECIPIENT, KEY, TEXTS, CREATED = TEXTS, AFTER, AMOUNT, COUNT, DEADLINE, CLOSED, CLOSED_SEQ, ANY_CURRENCY, MEMBERS };
static const char *const names[MEMBERS] = {"roomId",       "title",       "currency",   "recipientId", "key",       "createdAtUs", "afterSeq",
                                           "targetAmount", "targetCount", "deadlineUs", "closedAtUs",  "closedSeq", "anyCurrency"};

_Static_assert((int)MEMBERS <= TCI_PLAIN_MEMBERS, "a goal has more members than a document is read with");

static tc_text span(const char *text) { return text ? (tc_text){text, strlen(text)} : (tc_text){NULL, 0}; }

int tci_goaldoc_read(tci_goaldoc *out, int64_t id, tc_text doc) {
  const char *texts[TEXTS];
  memset(out, 0, sizeof *out);
  int rc = tci_plain_read(&out->plain, doc, names, MEMBERS);
  if (rc) return rc;
  char *at = out->storage = tci_alloc(doc.len + TEXTS);
  if (!at) return TC_ENOMEM;
  for (size_t i = 0; i < TEXTS; i++) {
    tc_text text = tci_plain_text(&out->plain, i);
    texts[i] = text.ptr ? at : NULL;
    if (!text.ptr) continue;
    memcpy(at, text.ptr, text.len);
    at[text.len] = '\0';
    at += text.len + 1;
  }
  if (!texts[ROOM] || !texts[TITLE]) return TC_ECORRUPT;
  out->goal = (tci_goal){.id = id,
                         .created_at_us = tci_plain_number(&out->plain, CREATED),
                         .after_seq = tci_plain_number(&out->plain, AFTER),
                         .target_amount = tci_plain_number(&out->plain, AMOUNT),
                         .target_count = tci_plain_number(&out->plain, COUNT),
                         .deadline_us = tci_plain_number(&out->plain, DEADLINE),
                         .room = texts[ROOM],
                         .title = texts[TITLE],
                         .currency = texts[CURRENCY],
                         .any_currency = tci_plain_number(&out->plain, ANY_CURRENCY) != 0,
                         .recipient = texts[RECIPIENT],
                         .key = texts[KEY],
                         .closed_at_us = tci_plain_number(&out->plain, CLOSED),
                         .closed_seq = tci_plain_number(&out->plain, CLOSED_SEQ)};
  return TC_OK;
}

void tci_goaldoc_free(tci_goaldoc *read) {
  tci_plain_free(&read->plain);
  tci_free(read->storage);
}

int tci_goaldoc_write(const tci_goal *goal, tci_buf *doc) {
  const char *const texts[TEXTS] = {goal->room, goal->title, goal->currency, goal->recipient, goal->key};
  const int64_t numbers[MEMBERS - TEXTS] = {goal->created_at_us, goal->after_seq,    goal->target_amount, goal->target_count,
                                            goal->deadline_us,   goal->closed_at_us, goal->closed_seq,    goal->any_currency};
  tci_buf_init(doc, DOC_MAX);
  for (size_t i = 0; i < MEMBERS; i++) {
    (void)tci_buf_printf(doc, "%c\"%s\":", i ? ',' : '{', names[i]);
    if (i >= TEXTS) (void)tci_buf_printf(doc, "%lld", (long long)numbers[i - TEXTS]);
    else if (texts[i]) (void)tci_json_put_string(doc, span(texts[i]));
    else (void)tci_buf_puts(doc, "null");
  }
  (void)tci_buf_puts(doc, "}");
  return doc->err ? tci_fail(TC_ENOMEM, "out of memory for a goal") : TC_OK;
}

static size_t size_of(const char *text) { return text ? strlen(text) + 1 : 0; }

size_t tci_goal_text_bytes(const tci_goal *goal) {
  return size_of(goal->room) + size_of(goal->title) + size_of(goal->currency) + size_of(goal->recipient) + size_of(goal->key);
}

static const char *copy(char **to, const char *text) {
  char *at = *to;
  if (!text) return NULL;
  memcpy(at, text, size_of(text));
  *to += size_of(text);
  return at;
}

void tci_goal_copy(const tci_goal *goal, tci_goal *to, char *room) {
  *to = *goal;
  to->room = copy(&room, goal->room);
  to->title = copy(&room, goal->title);
  to->currency = copy(&room, goal->currency);
  to->recipient = copy(&room, goal->recipient);
  to->key = copy(&room, goal->key);
}

static int check_text(const char *name, const char *text, size_t max_points) {
  size_t points = 0;
  if (!text) return tci_fail(TC_EINVAL, "%s: is required", name);
  if (!tci_utf8_valid(text, strlen(text), &points)) return tci_fail(TC_EINVAL, "%s: must be valid UTF-8", name);
  if (points > max_points) return tci_fail(TC_EINVAL, "%s: must be at most %zu characters", name, max_points);
  if (tci_utf8_blank(text, strlen(text))) return tci_fail(TC_EINVAL, "%s: must not be blank", name);
  return TC_OK;
}

int tci_goaldoc_check(const tci_goal *goal) {
  int rc = check_text("roomId", goal->room, ID_MAX_POINTS);
  if (!rc) rc = check_text("title", goal->title, TITLE_MAX_POINTS);
  if (!rc && goal->recipient) rc = check_text("recipientId", goal->recipient, ID_MAX_POINTS);
  if (!rc) rc = tci_record_check_key(span(goal->key));
  if (rc) return rc;
  if (goal->target_amount < 0) return tci_fail(TC_EINVAL, "targetAmount: must be greater than 0");
  if (goal->target_count > TCI_COUNT_MAX) return tci_fail(TC_EINVAL, "targetCount: must be at most %lld", (long long)TCI_COUNT_MAX);
  if (goal->target_count < 0) return tci_fail(TC_EINVAL, "targetCount: must be greater than 0");
  if (!goal->target_amount == !goal->target_count) return tci_fail(TC_EINVAL, "targetAmount: is required, or targetCount, and not both");
  if (goal->currency && !tci_currency_known(span(goal->currency))) {
    return tci_fail(TC_EINVAL, "currency: must be an ISO 4217 code of three capital letters, such as \"EUR\"");
  }
  return goal->deadline_us < 0 ? tci_fail(TC_EINVAL, "deadline: must be in the future") : TC_OK;
}

static int same(const char *a, const char *b) { return a && b ? !strcmp(a, b) : !a && !b; }

int tci_goaldoc_same_request(const tci_goal *a, const tci_goal *b) {
  return same(a->room, b->room) && same(a->title, b->title) && same(a->currency, b->currency) && same(a->recipient, b->recipient) &&
         a->target_amount == b->target_amount && a->target_count == b->target_count && a->deadline_us == b->deadline_us && a->any_currency == b->any_currency;
}

static int is_text(const char *a, tc_text b) { return a && b.ptr && strlen(a) == b.len && !memcmp(a, b.ptr, b.len); }

int tci_goal_takes(const tci_goal *goal, const tc_record *tip, int64_t tip_seq, int64_t tip_created_at_us, int64_t event_seq) {
  if (!is_text(goal->room, tip->text[TC_COL_ROOM]) || tip_seq <= goal->after_seq || (goal->closed_at_us && event_seq > goal->closed_seq)) return 0;
  if (goal->deadline_us && tip_created_at_us >= goal->deadline_us) return 0;
  if (goal->recipient && !is_text(goal->recipient, tip->text[TC_COL_PEER])) return 0;
  tc_text currency = tip->text[TC_COL_CURRENCY];
  if (goal->currency) return is_text(goal->currency, currency);
  return goal->any_currency || !currency.ptr;
}

int tci_goal_is_met(const tci_goal *goal, int64_t amount, int64_t count) {
  return goal->target_amount ? amount >= goal->target_amount : count >= goal->target_count;
}
