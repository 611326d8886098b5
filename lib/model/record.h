/* record.h - checking and comparing records, and reading them from JSON. Pure but for tci_fail. */
#ifndef TCI_MODEL_RECORD_H
#define TCI_MODEL_RECORD_H

#include "base/buf.h"
#include "tipcurrent/sys/storage.h"

/* Checks kind, every text and the amount by the kind's table, and the key (1 to 255 code points, valid UTF-8, no control characters U+0000-001F, 007F-009F).
 * TC_OK or TC_EINVAL with the field's JSON name and the limit ("Idempotency-Key: ..." for the key). */
int tci_record_validate(const tc_record *record);

/* An Idempotency-Key alone. */
int tci_record_check_key(tc_text key);

/* Reads one JSON object as a record of that kind. Texts of *out point into json, or into scratch (cleared first, must outlive *out; its max at least len) when they held escapes.
 * seq, id, created_at_us and the key are left 0. Then validates. TC_OK, TC_EINVAL with the member's name (or "body: ... at byte N" when it is not JSON), TC_ENOMEM. */
int tci_record_decode(uint32_t kind, const char *json, size_t len, tci_buf *scratch, tc_record *out);

/* 1 when both ask for the same thing: kind, amount and all texts but the key are equal (NULL differs from ""). This is the request's fingerprint: the record itself. */
int tci_record_same_request(const tc_record *a, const tc_record *b);

#endif
