#include "record.h"

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "currency.h"
#include "fail.h"
#include "kind.h"
#include "money.h"

static int check_text(const tci_member *member, tc_text text) {
  if (!text.ptr) return member->required ? tci_fail(TC_EINVAL, "%s: is required", member->name) : TC_OK;
  if (member->max_bytes && text.len > member->max_bytes) return tci_fail(TC_EINVAL, "%s: must be at most %u bytes", member->name, member->max_bytes);
  size_t points = 0;
  if (!tci_utf8_valid(text.ptr, text.len, &points)) return tci_fail(TC_EINVAL, "%s: must be valid UTF-8", member->name);
  if (memchr(text.ptr, '\0', text.len)) return tci_fail(TC_EINVAL, "%s: must not contain U+0000", member->name);
  if (member->max_points && points > member->max_points) return tci_fail(TC_EINVAL, "%s: must be at most %u characters", member->name, member->max_points);
  if (!member->may_be_blank && tci_utf8_blank(text.ptr, text.len)) return tci_fail(TC_EINVAL, "%s: must not be blank", member->name);
  return TC_OK;
}

/* Digits of an int64 that is not negative, as we write them. */
static int check_number(const tci_member *member, tc_text text) {
  if (!text.ptr) return member->required ? tci_fail(TC_EINVAL, "%s: is required", member->name) : TC_OK;
  int64_t value = 0;
  const char *reason = text.len > 1 && *text.ptr == '0' ? "must be a whole number" : tci_whole_parse(text.ptr, text.len, &value);
  for (size_t i = 0; i < text.len && !reason; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') reason = "must be a whole number";
  }
  return reason ? tci_fail(TC_EINVAL, "%s: %s", member->name, reason) : TC_OK;
}

static int check_currency(const tci_member *member, tc_text text) {
  if (!text.ptr || tci_currency_known(text)) return TC_OK;
  return tci_fail(TC_EINVAL, "%s: must be an ISO 4217 code of three capital letters, such as \"EUR\"", member->name);
}

static int check_member(const tci_member *member, const tc_record *record) {
  switch (member->type) {
  case TCI_MEMBER_TEXT: return check_text(member, record->text[member->column]);
  case TCI_MEMBER_NUMBER: return check_number(member, record->text[member->column]);
  case TCI_MEMBER_CURRENCY: return check_currency(member, record->text[member->column]);
  case TCI_MEMBER_COUNT:
    if (record->amount < 0) return tci_fail(TC_EINVAL, "%s: must be a whole number", member->name);
    return record->amount <= TCI_COUNT_MAX ? TC_OK : tci_fail(TC_EINVAL, "%s: must be at most %lld", member->name, (long long)TCI_COUNT_MAX);
  case TCI_MEMBER_AMOUNT:
    if (record->amount > 0 || (!record->amount && !member->required)) return TC_OK;
    return tci_fail(TC_EINVAL, "%s: must be greater than 0", member->name);
  default: return TC_OK;
  }
}

static int has_column(const tci_member *member) {
  return member->type == TCI_MEMBER_TEXT || member->type == TCI_MEMBER_NUMBER || member->type == TCI_MEMBER_CURRENCY;
}

/* C0, DEL and C1: what a header field may not carry, or may not show. C1 in UTF-8 is C2 80 to C2 9F. */
static int has_control(tc_text text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (c < 0x20 || c == 0x7f) return 1;
    if (c == 0xc2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xa0) return 1;
  }
  return 0;
}

int tci_record_check_key(tc_text key) {
  if (!key.ptr) return TC_OK;
  size_t points = 0;
  if (!key.len) return tci_fail(TC_EINVAL, "Idempotency-Key: must not be empty");
  if (!tci_utf8_valid(key.ptr, key.len, &points)) return tci_fail(TC_EINVAL, "Idempotency-Key: must be valid UTF-8");
  if (points > TCI_KEY_MAX_POINTS) return tci_fail(TC_EINVAL, "Idempotency-Key: must be at most %d characters", TCI_KEY_MAX_POINTS);
  if (has_control(key)) return tci_fail(TC_EINVAL, "Idempotency-Key: must not contain control characters");
  return TC_OK;
}

static const tci_kind *known_kind(uint32_t number) {
  const tci_kind *kind = tci_kind_of(number);
  if (!kind) (void)tci_fail(TC_EINVAL, "kind: there is no kind %u", number);
  return kind;
}

int tci_record_validate(const tc_record *record) {
  const tci_kind *kind = known_kind(record->kind);
  if (!kind) return TC_EINVAL;
  uint32_t columns = 1u << TC_COL_KEY;
  int has_amount = 0;
  for (uint32_t i = 0; i < kind->member_count; i++) {
    const tci_member *member = &kind->members[i];
    int rc = check_member(member, record);
    if (rc) return rc;
    if (has_column(member)) columns |= 1u << member->column;
    else has_amount |= member->type != TCI_MEMBER_TYPE;
  }
  /* What the kind does not have would be stored and compared, but never shown. */
  if (!has_amount && record->amount) return tci_fail(TC_EINVAL, "amount: a %s has none", kind->name);
  for (uint32_t i = 0; i < TC_COL_COUNT; i++) {
    if (record->text[i].ptr && !(columns >> i & 1)) return tci_fail(TC_EINVAL, "text %u: a %s has none", i, kind->name);
  }
  return tci_record_check_key(record->text[TC_COL_KEY]);
}

/* Room for every string that holds escapes, at once: the texts handed out before must not move. */
static int reserve(tci_buf *scratch, const tci_json_value *values, size_t n) {
  size_t need = 0;
  tci_buf_clear(scratch);
  for (size_t i = 0; i < n; i++) {
    if (values[i].escaped) need += values[i].raw.len;
  }
  if (need && !tci_buf_room(scratch, need)) return tci_fail(scratch->err, "body: %s", tc_strerror(scratch->err));
  return TC_OK;
}

static tc_text string_of(const tci_json_value *value, tci_buf *scratch) {
  if (!value->escaped) return value->raw;
  char *room = scratch->data + scratch->len;
  size_t len = tci_json_unescape(value->raw, room);
  tci_buf_grow(scratch, len);
  return (tc_text){room, len};
}

static int decode_member(const tci_member *member, const tci_json_value *value, tci_buf *scratch, tc_record *out) {
  int absent = value->type == TCI_JSON_ABSENT || value->type == TCI_JSON_NULL;
  if (member->type == TCI_MEMBER_TYPE) return TC_OK; /* who chose the kind has read it */
  if (has_column(member)) {
    if (!absent && value->type != TCI_JSON_STRING) return tci_fail(TC_EINVAL, "%s: must be a string", member->name);
    if (!absent) out->text[member->column] = string_of(value, scratch);
    return check_member(member, out);
  }
  if (absent) return member->type == TCI_MEMBER_COUNT ? TC_OK : tci_fail(TC_EINVAL, "%s: is required", member->name);
  if (value->type != TCI_JSON_NUMBER && value->type != TCI_JSON_STRING) return tci_fail(TC_EINVAL, "%s: must be a number", member->name);
  tc_text text = string_of(value, scratch);
  const char *reason = member->type == TCI_MEMBER_COUNT ? tci_whole_parse(text.ptr, text.len, &out->amount) : tci_money_parse(text.ptr, text.len, &out->amount);
  return reason ? tci_fail(TC_EINVAL, "%s: %s", member->name, reason) : check_member(member, out);
}

int tci_record_decode(uint32_t number, const char *json, size_t len, tci_buf *scratch, tc_record *out) {
  const tci_kind *kind = known_kind(number);
  if (!kind) return TC_EINVAL;
  if (!kind->from_json) return tci_fail(TC_EINVAL, "kind: a %s is not made from JSON", kind->name);
  const char *names[TCI_MEMBERS_MAX];
  tci_json_value values[TCI_MEMBERS_MAX];
  tci_json_fault fault;
  for (uint32_t i = 0; i < kind->member_count; i++) names[i] = kind->members[i].name;
  if (tci_json_object(json, len, names, kind->member_count, values, &fault)) return tci_fail(TC_EINVAL, "body: %s at byte %zu", fault.what, fault.offset);
  int rc = reserve(scratch, values, kind->member_count);
  if (rc) return rc;
  tc_record record;
  memset(&record, 0, sizeof record);
  record.kind = number;
  /* Each member is checked as it is read, so that the first fault in declaration order is the one that is told; nothing is left for tci_record_validate. */
  for (uint32_t i = 0; i < kind->member_count; i++) {
    rc = decode_member(&kind->members[i], &values[i], scratch, &record);
    if (rc) return rc;
  }
  *out = record;
  return TC_OK;
}

static int same_text(tc_text a, tc_text b) {
  if (!a.ptr || !b.ptr) return !a.ptr && !b.ptr;
  return a.len == b.len && !memcmp(a.ptr, b.ptr, a.len);
}

int tci_record_same_request(const tc_record *a, const tc_record *b) {
  if (a->kind != b->kind || a->ref != b->ref) return 0;
  /* A refund's metadata says that its amount was left to us (engine/refunds.h). */
  int open_amount = a->kind == TC_KIND_REFUND && a->text[TC_COL_METADATA].ptr;
  if (a->amount != b->amount && !open_amount) return 0;
  for (uint32_t i = 0; i < TC_COL_COUNT; i++) {
    if (i != TC_COL_KEY && !same_text(a->text[i], b->text[i])) return 0;
  }
  return 1;
}
