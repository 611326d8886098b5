#include "kind.h"

#include <stddef.h>

#include "tipcurrent/event.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ID_TEXT(name, field, column) \
  { name, field, column, TCI_MEMBER_TEXT, 1, 255, 0, 0 }
#define METADATA_TEXT \
  { "metadata", TC_FIELD_METADATA, TC_COL_METADATA, TCI_MEMBER_TEXT, 0, 0, TCI_METADATA_MAX_BYTES, 1 }

static const tci_member tip_members[] = {
  ID_TEXT("roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM),
  ID_TEXT("senderId", TC_FIELD_SENDER_ID, TC_COL_USER),
  ID_TEXT("recipientId", TC_FIELD_RECIPIENT_ID, TC_COL_PEER),
  {"amount", TC_FIELD_AMOUNT, 0, TCI_MEMBER_AMOUNT, 1, 0, 0, 0},
  {"message", TC_FIELD_MESSAGE, TC_COL_BODY, TCI_MEMBER_TEXT, 0, 1000, 0, 1},
  METADATA_TEXT,
};

static const tci_member reaction_members[] = {
  ID_TEXT("roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM),
  ID_TEXT("userId", TC_FIELD_USER_ID, TC_COL_USER),
  {"emoji", TC_FIELD_EMOJI, TC_COL_BODY, TCI_MEMBER_TEXT, 1, 100, 0, 0},
  {"targetId", TC_FIELD_TARGET_ID, TC_COL_TARGET, TCI_MEMBER_TEXT, 0, 255, 0, 1},
  METADATA_TEXT,
};

static const tci_member webhook_members[] = {
  ID_TEXT("webhookId", TC_FIELD_WEBHOOK_ID, TC_COL_USER),
  {"roomId", TC_FIELD_ROOM_ID, TC_COL_ROOM, TCI_MEMBER_TEXT, 0, 255, 0, 0},
  {"reason", TC_FIELD_REASON, TC_COL_BODY, TCI_MEMBER_TEXT, 1, 1000, 0, 0},
};

_Static_assert(COUNT(tip_members) <= TCI_MEMBERS_MAX && COUNT(reaction_members) <= TCI_MEMBERS_MAX, "a kind has more members than decoding has room for");

static const tci_kind kinds[] = {
  {TC_KIND_TIP, "tip", "tip.created", tip_members, COUNT(tip_members)},
  {TC_KIND_REACTION, "reaction", "reaction.created", reaction_members, COUNT(reaction_members)},
  {TC_KIND_WEBHOOK_DISABLED, "webhook", "webhook.disabled", webhook_members, COUNT(webhook_members)},
};

const tci_kind *tci_kind_of(uint32_t kind) {
  for (size_t i = 0; i < COUNT(kinds); i++) {
    if (kinds[i].kind == kind) return &kinds[i];
  }
  return NULL;
}
