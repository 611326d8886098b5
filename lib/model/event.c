#include "event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "fail.h"
#include "kind.h"
#include "money.h"

#define ID_HEAD "{\"id\":"
#define ID_HEAD_LEN (sizeof ID_HEAD - 1)
#define ID_DIGITS_MAX 20 /* of an int64 with its sign */
#define TIME_HEAD ",\"createdAt\":\""
#define TIME_HEAD_LEN (sizeof TIME_HEAD - 1)
#define TIME_TAIL "\"}"
#define TIME_TAIL_LEN (sizeof TIME_TAIL - 1)

static char *put(char *to, const char *bytes, size_t len) {
  memcpy(to, bytes, len);
  return to + len;
}

static int is_shown(const tci_member *member, const tc_record *record) {
  return member->type != TCI_MEMBER_CURRENCY || record->text[member->column].ptr != NULL;
}

static size_t value_len(const tci_member *member, const tci_kind *kind, const tc_record *record) {
  if (member->type == TCI_MEMBER_AMOUNT || member->type == TCI_MEMBER_COUNT) return TCI_MONEY_TEXT_MAX;
  if (member->type == TCI_MEMBER_TYPE) return strlen(kind->type) + 2;
  tc_text text = record->text[member->column];
  return text.ptr ? tci_json_string_len(text) : 4;
}

static char *put_number(char *to, const tci_member *member, const tc_record *record) {
  char digits[TCI_MONEY_TEXT_MAX];
  if (member->type == TCI_MEMBER_COUNT) return put(to, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, record->amount));
  if (!record->amount && !member->required) return put(to, "null", 4);
  return put(to, digits, tci_money_format(record->amount, digits));
}

static char *put_value(char *to, const tci_member *member, const tci_kind *kind, const tc_record *record) {
  if (member->type == TCI_MEMBER_AMOUNT || member->type == TCI_MEMBER_COUNT) return put_number(to, member, record);
  if (member->type == TCI_MEMBER_TYPE) return tci_json_write_string(to, (tc_text){kind->type, strlen(kind->type)});
  tc_text text = record->text[member->column];
  if (!text.ptr) return put(to, "null", 4);
  return member->type == TCI_MEMBER_NUMBER ? put(to, text.ptr, text.len) : tci_json_write_string(to, text);
}

/* What `bytes` must hold: the texts with a NUL each, and the JSON with the widest id and amount. */
static size_t bytes_len(const tci_kind *kind, const tc_record *record) {
  size_t len = ID_HEAD_LEN + ID_DIGITS_MAX + TIME_HEAD_LEN + TCI_RFC3339_MS_LEN + TIME_TAIL_LEN + 1;
  for (uint32_t i = 0; i < TC_COL_COUNT; i++) {
    if (record->text[i].ptr) len += record->text[i].len + 1;
  }
  for (uint32_t i = 0; i < kind->member_count; i++) {
    len += strlen(kind->members[i].name) + 4 + value_len(&kind->members[i], kind, record); /* ,"": */
  }
  return len;
}

static char *put_texts(char *to, tc_record *record) {
  for (uint32_t i = 0; i < TC_COL_COUNT; i++) {
    tc_text *text = &record->text[i];
    if (!text->ptr) continue;
    char *copy = to;
    to = put(to, text->ptr, text->len);
    *to++ = '\0';
    text->ptr = copy;
  }
  return to;
}

static void put_json(tc_event *event, const tci_kind *kind, char *room) {
  char *to = room + ID_HEAD_LEN + ID_DIGITS_MAX;
  event->json_id_end = (uint32_t)(to - event->bytes);
  for (uint32_t i = 0; i < kind->member_count; i++) {
    const tci_member *member = &kind->members[i];
    if (!is_shown(member, &event->record)) continue;
    to = put(to, ",\"", 2);
    to = put(to, member->name, strlen(member->name));
    to = put(to, "\":", 2);
    to = put_value(to, member, kind, &event->record);
  }
  to = put(to, TIME_HEAD, TIME_HEAD_LEN) + TCI_RFC3339_MS_LEN;
  to = put(to, TIME_TAIL, TIME_TAIL_LEN);
  *to = '\0';
  event->json_offset = event->json_id_end;
  event->json_len = (uint32_t)(to - event->bytes) - event->json_offset;
}

/* The id, from its last digit to the left, with the JSON's head before it; and the time. The JSON's end stays where it is. */
static void stamp(tc_event *event) {
  uint32_t end = event->json_offset + event->json_len;
  char *to = event->bytes + event->json_id_end;
  int64_t id = event->record.id;
  uint64_t left = id < 0 ? 0 - (uint64_t)id : (uint64_t)id;
  do {
    *--to = (char)('0' + left % 10);
    left /= 10;
  } while (left);
  if (id < 0) *--to = '-';
  to -= ID_HEAD_LEN;
  (void)put(to, ID_HEAD, ID_HEAD_LEN);
  event->json_offset = (uint32_t)(to - event->bytes);
  event->json_len = end - event->json_offset;
  tci_time_format_ms(event->record.created_at_us, event->bytes + end - TIME_TAIL_LEN - TCI_RFC3339_MS_LEN);
}

tc_event *tci_event_new(const tc_record *record) {
  const tci_kind *kind = tci_kind_of(record->kind);
  if (!kind) return NULL;
  size_t size = sizeof(tc_event) + bytes_len(kind, record);
  if (size > UINT32_MAX) return NULL; /* no valid record is a thousandth of it; a damaged row may be */
  tc_event *event = tci_alloc(size);
  if (!event) return NULL;
  atomic_init(&event->refs, 1);
  event->size_bytes = (uint32_t)size;
  event->record = *record;
  put_json(event, kind, put_texts(event->bytes, &event->record));
  stamp(event); /* with what the record has, so that the JSON is whole at any time */
  return event;
}

void tci_event_commit(tc_event *event, int64_t seq, int64_t id, int64_t created_at_us) {
  event->record.seq = seq;
  event->record.id = id;
  event->record.created_at_us = created_at_us;
  stamp(event);
}

tc_event *tci_event_from_row(const tc_record *row) { return tci_event_new(row); }

uint32_t tc_event_kind(const tc_event *event) { return event->record.kind; }

int64_t tc_event_seq(const tc_event *event) { return event->record.seq; }

int64_t tc_event_id(const tc_event *event) { return event->record.id; }

static const tci_member *member_of(const tci_kind *kind, uint32_t field) {
  for (uint32_t i = 0; i < kind->member_count; i++) {
    if (kind->members[i].field == field) return &kind->members[i];
  }
  return NULL;
}

const char *tc_event_str(const tc_event *event, uint32_t field) {
  const tci_kind *kind = tci_kind_of(event->record.kind);
  const tci_member *member = member_of(kind, field);
  if (!member) return NULL;
  if (member->type == TCI_MEMBER_TYPE) return kind->type;
  return member->type == TCI_MEMBER_TEXT || member->type == TCI_MEMBER_CURRENCY ? event->record.text[member->column].ptr : NULL;
}

/* A text of digits that validation has let through, which has one value and that fits. */
static int64_t number_of(const char *digits) {
  int64_t value = 0;
  for (; *digits; digits++) value = value * 10 + (*digits - '0');
  return value;
}

int tc_event_int(const tc_event *event, uint32_t field, int64_t *out) {
  tci_fail_clear();
  if (field == TC_FIELD_CREATED_AT_US) {
    *out = event->record.created_at_us;
    return TC_OK;
  }
  if (field == TC_FIELD_IRREGULAR && (event->record.kind == TC_KIND_TIP || event->record.kind == TC_KIND_REACTION)) {
    *out = event->record.ref == TC_REF_IRREGULAR;
    return TC_OK;
  }
  const tci_member *member = member_of(tci_kind_of(event->record.kind), field);
  int type = member ? member->type : TCI_MEMBER_TEXT;
  const char *digits = type == TCI_MEMBER_NUMBER ? event->record.text[member->column].ptr : NULL;
  if (!digits && type != TCI_MEMBER_AMOUNT && type != TCI_MEMBER_COUNT) {
    return tci_fail(TC_ENOTFOUND, "event %lld has no number field %u", (long long)event->record.seq, field);
  }
  *out = digits ? number_of(digits) : event->record.amount;
  return TC_OK;
}

const char *tc_event_json(const tc_event *event, size_t *len) {
  if (len) *len = event->json_len;
  return event->bytes + event->json_offset;
}

tc_event *tc_event_ref(const tc_event *event) {
  tc_event *shared = (tc_event *)event; /* const to its readers; the count is not part of what they read */
  (void)atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
  return shared;
}

/* Release, so that what this thread read stays before; acquire, so that the one who frees sees all of them done. */
void tc_event_unref(tc_event *event) {
  if (event && atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel) == 1) tci_free(event);
}
