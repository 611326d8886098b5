#include "engine/plain.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tipcurrent/error.h"

int tci_plain_read(tci_plain *plain, tc_text doc, const char *const *names, size_t n) {
  tci_json_fault fault;
  memset(plain, 0, sizeof *plain);
  if (tci_json_object(doc.ptr, doc.len, names, n, plain->values, &fault)) return TC_ECORRUPT;
  plain->storage = tci_alloc(doc.len);
  if (!plain->storage) return TC_ENOMEM;
  char *at = plain->storage;
  for (size_t i = 0; i < n; i++) {
    const tci_json_value *value = &plain->values[i];
    if (value->type != TCI_JSON_STRING) continue;
    plain->texts[i] = (tc_text){at, tci_json_unescape(value->raw, at)};
    at += plain->texts[i].len;
  }
  return TC_OK;
}

void tci_plain_free(tci_plain *plain) { tci_free(plain->storage); }

tc_text tci_plain_text(const tci_plain *plain, size_t member) { return plain->texts[member]; }

int64_t tci_plain_number(const tci_plain *plain, size_t member) {
  const tci_json_value *value = &plain->values[member];
  char text[24] = "";
  if (value->type == TCI_JSON_NUMBER && value->raw.len < sizeof text) memcpy(text, value->raw.ptr, value->raw.len);
  return strtoll(text, NULL, 10);
}
