/* kind.h - what each kind of event is made of: one table drives decoding, validation, encoding and the public fields. A new kind is a new row here. */
#ifndef TCI_MODEL_KIND_H
#define TCI_MODEL_KIND_H

#include <stdint.h>

#include "tipcurrent/sys/storage.h"

enum {
  TCI_MEMBER_TEXT = 0,
  TCI_MEMBER_AMOUNT,   /* the record's amount, as money; 0, where it may be, shows as null */
  TCI_MEMBER_COUNT,    /* the record's amount, as a whole number; left out it is 0 */
  TCI_MEMBER_NUMBER,   /* a text of digits, shown as a number */
  TCI_MEMBER_CURRENCY, /* a text that is shown only where it is there: old clients see no change */
  TCI_MEMBER_TYPE      /* the kind's own type: nothing of the record */
};

typedef struct tci_member {
  const char *name; /* in JSON and in messages: "roomId" */
  uint32_t field;   /* TC_FIELD_X */
  uint32_t column;  /* TC_COL_X; unused for amount, count and type */
  int type;         /* TCI_MEMBER_X */
  int required;
  uint32_t max_points; /* code points; 0: no limit of that sort */
  uint32_t max_bytes;  /* 0: no limit of that sort */
  int may_be_blank;
} tci_member;

typedef struct tci_kind {
  uint32_t kind;
  const char *name;          /* "tip", in messages */
  const char *created;       /* "tip.created": the event's name for webhooks; NULL: it hangs on the record (tci_event_name) */
  const char *type;          /* "type" in its JSON; NULL: it has none, or it is a text of the record (custom) */
  const tci_member *members; /* in declaration order, as the README shows the JSON; id before them and createdAt behind them */
  uint32_t member_count;
  int from_json; /* 1: callers may create it as it stands; 0: it takes a decision of the engine */
} tci_kind;

#define TCI_MEMBERS_MAX 8
#define TCI_METADATA_MAX_BYTES 65536
#define TCI_KEY_MAX_POINTS 255
#define TCI_COUNT_MAX INT64_C(9007199254740991) /* what every JSON reader takes exactly (RFC 8259, section 6) */
#define TCI_TYPE_MAX_POINTS 50

const tci_kind *tci_kind_of(uint32_t kind); /* NULL when unknown */
/* The built-in kind that callers create under this type ("follow"), 0: none of them. */
uint32_t tci_kind_of_type(tc_text type);
/* The record's name for webhooks: the kind's, or of a custom event "hype_train.created", in scratch. */
#define TCI_EVENT_NAME_SIZE (TCI_TYPE_MAX_POINTS * 4 + 16)
const char *tci_event_name(const tc_record *record, char scratch[TCI_EVENT_NAME_SIZE]);
/* 1: keys of a and b are compared with each other (TC_KEY_SPACE), and these two are the same. */
int tci_same_key(const tc_record *a, const tc_record *b);

#endif
