/* kind.h - what each kind of event is made of: one table drives decoding, validation, encoding and the public fields. A new kind is a new row here. */
#ifndef TCI_MODEL_KIND_H
#define TCI_MODEL_KIND_H

#include <stdint.h>

#include "tipcurrent/sys/storage.h"

enum { TCI_MEMBER_TEXT = 0, TCI_MEMBER_AMOUNT };

typedef struct tci_member {
  const char *name; /* in JSON and in messages: "roomId" */
  uint32_t field;   /* TC_FIELD_X */
  uint32_t column;  /* TC_COL_X; unused for the amount */
  int type;         /* TCI_MEMBER_X */
  int required;
  uint32_t max_points; /* code points; 0: no limit of that sort */
  uint32_t max_bytes;  /* 0: no limit of that sort */
  int may_be_blank;
} tci_member;

typedef struct tci_kind {
  uint32_t kind;
  const char *name;          /* "tip" */
  const char *created;       /* "tip.created": the event's name for webhooks */
  const tci_member *members; /* in declaration order, as the README shows the JSON; id before them and createdAt behind them */
  uint32_t member_count;
} tci_kind;

#define TCI_MEMBERS_MAX 8
#define TCI_METADATA_MAX_BYTES 65536
#define TCI_KEY_MAX_POINTS 255

const tci_kind *tci_kind_of(uint32_t kind); /* NULL when unknown */

#endif
