/* plain.h - reading a small document of ours back: an object of texts and whole numbers. */
#ifndef TCI_ENGINE_PLAIN_H
#define TCI_ENGINE_PLAIN_H

#include <stdint.h>

#include "base/json.h"

#define TCI_PLAIN_MEMBERS 16

typedef struct tci_plain {
  tci_json_value values[TCI_PLAIN_MEMBERS];
  tc_text texts[TCI_PLAIN_MEMBERS];
  char *storage; /* of texts with escapes */
} tci_plain;

/* TC_OK, TC_ECORRUPT, TC_ENOMEM; to be freed either way. The texts point into doc, or into it. n at most TCI_PLAIN_MEMBERS. */
int tci_plain_read(tci_plain *plain, tc_text doc, const char *const *names, size_t n);
void tci_plain_free(tci_plain *plain);
tc_text tci_plain_text(const tci_plain *plain, size_t member);   /* ptr NULL: no text */
int64_t tci_plain_number(const tci_plain *plain, size_t member); /* 0: no whole number */

#endif
