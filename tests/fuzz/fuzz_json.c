/* Any bytes as a JSON object: what is accepted is well-formed all through, and comes back the same when written and read again. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "fuzz.h"

#define NAMES 3
static const char *const names[NAMES] = {"a", "roomId", "\xc3\xa9"};

static void append_value(tci_buf *json, const tci_json_value *value, char *scratch) {
  if (value->type != TCI_JSON_STRING) {
    (void)tci_buf_append(json, value->raw.ptr, value->raw.len); /* the error sticks: looked at by the caller */
    return;
  }
  size_t len = tci_json_unescape(value->raw, scratch);
  HOLDS(len <= value->raw.len);
  HOLDS(value->escaped || len == value->raw.len);
  HOLDS(value->escaped == (memchr(value->raw.ptr, '\\', value->raw.len) != NULL));
  HOLDS(tci_utf8_valid(scratch, len, NULL));
  (void)tci_json_put_string(json, (tc_text){scratch, len});
}

/* Writes what was found as an object of its own, reads that, and compares. */
static void check_round_trip(const tci_json_value *values, size_t size) {
  tci_buf json;
  tci_buf_init(&json, 6 * size + 100);
  char *scratch = tci_alloc(size), *again = tci_alloc(6 * size + 100);
  HOLDS(scratch && again);
  (void)tci_buf_puts(&json, "{\"z\":0");
  for (size_t i = 0; i < NAMES; i++) {
    if (values[i].type == TCI_JSON_ABSENT) continue;
    (void)tci_buf_printf(&json, ",\"%s\":", names[i]);
    append_value(&json, &values[i], scratch);
  }
  HOLDS(tci_buf_puts(&json, "}") == 0);
  tci_json_value back[NAMES];
  tci_json_fault fault;
  HOLDS(tci_json_object(json.data, json.len, names, NAMES, back, &fault) == 0);
  for (size_t i = 0; i < NAMES; i++) {
    HOLDS(back[i].type == values[i].type);
    if (values[i].type == TCI_JSON_STRING) {
      size_t len = tci_json_unescape(values[i].raw, scratch);
      HOLDS(tci_json_unescape(back[i].raw, again) == len && !memcmp(scratch, again, len));
    } else if (values[i].type != TCI_JSON_ABSENT) {
      HOLDS(back[i].raw.len == values[i].raw.len && !memcmp(back[i].raw.ptr, values[i].raw.ptr, back[i].raw.len));
      HOLDS(values[i].type != TCI_JSON_NUMBER || tci_json_is_number(values[i].raw.ptr, values[i].raw.len));
    }
  }
  tci_free(again);
  tci_free(scratch);
  tci_buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *json = (const char *)data;
  tci_json_value values[NAMES];
  tci_json_fault fault = {SIZE_MAX, NULL};
  if (tci_json_object(json, size, names, NAMES, values, &fault)) {
    HOLDS(fault.offset <= size && fault.what);
    return 0;
  }
  HOLDS(tci_utf8_valid(json, size, NULL));
  for (size_t i = 0; i < NAMES; i++) {
    HOLDS(values[i].type == TCI_JSON_ABSENT || (values[i].raw.ptr >= json && values[i].raw.ptr + values[i].raw.len <= json + size));
  }
  check_round_trip(values, size);
  return 0;
}
