/* Any bytes as an amount: what is accepted is a positive number of hundredths that prints, reads back, and stays the same with zeros added. */
#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "model/money.h"

static void check_format(int64_t value) {
  char text[TCI_MONEY_TEXT_MAX];
  size_t len = tci_money_format(value, text);
  HOLDS(len == strlen(text) && len >= 4 && text[len - 3] == '.');
  HOLDS(tci_json_is_number(text, len));
  int64_t back = 0;
  const char *reason = tci_money_parse(text, len, &back);
  HOLDS(value > 0 ? !reason && back == value : reason != NULL);
}

/* 1 and 1.0, 1e2 and 1e02: the same amount. */
static void check_padded(const char *text, size_t len, int64_t value) {
  char padded[256];
  if (len + 3 > sizeof padded) return;
  size_t mantissa = strcspn(text, "eE");
  int has_point = memchr(text, '.', mantissa) != NULL;
  memcpy(padded, text, mantissa);
  size_t at = mantissa;
  if (!has_point) padded[at++] = '.';
  padded[at++] = '0';
  memcpy(padded + at, text + mantissa, len - mantissa);
  int64_t back = 0;
  HOLDS(!tci_money_parse(padded, at + len - mantissa, &back) && back == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[200];
  int64_t value = -1;
  if (size >= sizeof value) {
    memcpy(&value, data, sizeof value);
    check_format(value);
    value = -1;
  }
  const char *reason = tci_money_parse((const char *)data, size, &value);
  if (reason) {
    HOLDS(value == -1);
    return 0;
  }
  HOLDS(value > 0 && tci_json_is_number((const char *)data, size));
  check_format(value);
  if (size < sizeof text) {
    memcpy(text, data, size); /* a copy with a NUL */
    text[size] = '\0';
    check_padded(text, size, value);
  }
  return 0;
}
