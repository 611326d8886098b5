#include "kind.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tipcurrent/event.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ID_TEXT(name, field, column) \
  { name, field, column, TCI_MEMBER_TEXT, 1, 255, 0, 0 }
#define OPTIONAL_TEXT(name, field, column, max_points) \
  { name, field, column, TCI_MEMBER_TEXT, 0, max_points, 0, 1 }
#define METADATA_TEXT \
  { "metadata", TC_FIELD_METADATA, TC_COL_METADATA, TCI_MEMBER_TEXT, 0, 0, TCI_METADATA_MAX_BYTES, 1 }
#define AMOUNT(required) \
  { "amount", TC_FIELD_AMOUNT, 0, TCI_MEMBER_AMOUNT, required, 0, 0, 0 }
#define CURRENCY \
  { "currency", TC_FIELD_CURRENCY, TC_COL_CURRENCY, TCI_MEMBER_CURRENCY, 0, 0, 0, 0 }
#define NUMBER(name, field, column, required) \
  { name, field, column, TCI_MEMBER_NUMBER, required, 0, 0, 0 }
#define OWN_TYPE \
  { "type", TC_FIELD_TYPE, 0, TCI_MEMBER_TYPE, 0, 0, 0, 0 }

static const tci_member tip_members[] = {
  ID_TEXT("roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM),
  ID_TEXT("senderId", TC_FIELD_SENDER_ID, TC_COL_USER),
  ID_TEXT("recipientId", TC_FIELD_RECIPIENT_ID, TC_COL_PEER),
  AMOUNT(1),
  CURRENCY,
  OPTIONAL_TEXT("message", TC_FIELD_MESSAGE, TC_COL_BODY, 1000),
  METADATA_TEXT,
};

static const tci_member reaction_members[] = {
  ID_TEXT("roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM),
  ID_TEXT("userId", TC_FIELD_USER_ID, TC_COL_USER),
  {"emoji", TC_FIELD_EMOJI, TC_COL_BODY, TCI_MEMBER_TEXT, 1, 100, 0, 0},
  OPTIONAL_TEXT("targetId", TC_FIELD_TARGET_ID, TC_COL_TARGET, 255),
  METADATA_TEXT,
};

static const tci_member webhook_members[] = {
  ID_TEXT("webhookId", TC_FIELD_WEBHOOK_ID, TC_COL_USER),
  {"roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM, TCI_MEMBER_TEXT, 0, 255, 0, 0},
  {"reason", TC_FIELD_REASON, TC_COL_BODY, TCI_MEMBER_TEXT, 1, 1000, 0, 0},
};

static const tci_member refund_members[] = {
  OWN_TYPE,
  NUMBER("tipId", TC_FIELD_TIP_ID, TC_COL_TARGET, 1),
  ID_TEXT("roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM),
  ID_TEXT("senderId", TC_FIELD_SENDER_ID, TC_COL_USER),
  ID_TEXT("recipientId", TC_FIELD_RECIPIENT_ID, TC_COL_PEER),
  AMOUNT(1),
  CURRENCY,
  OPTIONAL_TEXT("reason", TC_FIELD_REASON, TC_COL_BODY, 1000),
};

static const tci_member goal_members[] = {
  OWN_TYPE,
  NUMBER("goalId", TC_FIELD_GOAL_ID, TC_COL_TARGET, 1),
  ID_TEXT("roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM),
  {"title", TC_FIELD_TITLE, TC_COL_BODY, TCI_MEMBER_TEXT, 1, 200, 0, 0},
  AMOUNT(0),
  CURRENCY,
  NUMBER("count", TC_FIELD_COUNT, TC_COL_METADATA, 0),
};

#define ACTIVITY_MEMBERS                                                                                                              \
  ID_TEXT("roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM), ID_TEXT("userId", TC_FIELD_USER_ID, TC_COL_USER),                                 \
    OPTIONAL_TEXT("targetId", TC_FIELD_TARGET_ID, TC_COL_TARGET, 255), OPTIONAL_TEXT("message", TC_FIELD_MESSAGE, TC_COL_BODY, 1000), \
    {"count", TC_FIELD_COUNT, 0, TCI_MEMBER_COUNT, 0, 0, 0, 0}, METADATA_TEXT

static const tci_member activity_members[] = {OWN_TYPE, ACTIVITY_MEMBERS};

static const tci_member custom_members[] = {
  {"type", TC_FIELD_TYPE, TC_COL_PEER, TCI_MEMBER_TEXT, 1, TCI_TYPE_MAX_POINTS, 0, 0},
  ACTIVITY_MEMBERS,
};

_Static_assert(COUNT(tip_members) <= TCI_MEMBERS_MAX && COUNT(refund_members) <= TCI_MEMBERS_MAX && COUNT(activity_members) <= TCI_MEMBERS_MAX,
               "a kind has more members than decoding has room for");

static const tci_kind kinds[] = {
  {TC_KIND_TIP, "tip", "tip.created", NULL, tip_members, COUNT(tip_members), 1},
  {TC_KIND_REACTION, "reaction", "reaction.created", NULL, reaction_members, COUNT(reaction_members), 1},
  {TC_KIND_WEBHOOK_DISABLED, "webhook", "webhook.disabled", NULL, webhook_members, COUNT(webhook_members), 0},
  {TC_KIND_REFUND, "refund", "tip.refunded", "tip.refunded", refund_members, COUNT(refund_members), 0},
  {TC_KIND_GOAL_REACHED, "goal", "goal.reached", "goal.reached", goal_members, COUNT(goal_members), 0},
  {TC_KIND_FOLLOW, "follow", "follow.created", "follow", activity_members, COUNT(activity_members), 1},
  {TC_KIND_SUBSCRIBE, "subscribe", "subscribe.created", "subscribe", activity_members, COUNT(activity_members), 1},
  {TC_KIND_RAID, "raid", "raid.created", "raid", activity_members, COUNT(activity_members), 1},
  {TC_KIND_CUSTOM, "custom event", NULL, NULL, custom_members, COUNT(custom_members), 1},
};

const tci_kind *tci_kind_of(uint32_t kind) {
  /* In the order of their numbers, from 1 on. */
  return kind >= 1 && kind <= COUNT(kinds) ? &kinds[kind - 1] : NULL;
}

uint32_t tci_kind_of_type(tc_text type) {
  for (uint32_t kind = TC_KIND_FOLLOW; kind <= TC_KIND_RAID; kind++) {
    const char *known = kinds[kind - 1].type;
    if (type.ptr && strlen(known) == type.len && !memcmp(known, type.ptr, type.len)) return kind;
  }
  return 0;
}

const char *tci_event_name(const tc_record *record, char scratch[TCI_EVENT_NAME_SIZE]) {
  const char *created = kinds[record->kind - 1].created;
  tc_text type = record->text[TC_COL_PEER];
  if (created) return created;
  (void)snprintf(scratch, TCI_EVENT_NAME_SIZE, "%.*s.created", type.ptr ? (int)type.len : 0,
                 type.ptr ? type.ptr : ""); /* what is too long was never registered */
  return scratch;
}

int tci_same_key(const tc_record *a, const tc_record *b) {
  tc_text x = a->text[TC_COL_KEY], y = b->text[TC_COL_KEY];
  return TC_KEY_SPACE(a->kind) == TC_KEY_SPACE(b->kind) && x.ptr && y.ptr && x.len == y.len && !memcmp(x.ptr, y.ptr, x.len);
}
