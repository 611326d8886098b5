#include "tipcurrent/amount.h"

#include "api/enter.h"
#include "model/fail.h"
#include "model/money.h"

_Static_assert(TC_AMOUNT_SIZE == TCI_MONEY_TEXT_MAX, "one size of amounts as text");

int tc_amount_parse(const char *text, size_t len, int64_t *hundredths) {
  int64_t value = 0;
  TCI_ENTER();
  if (!text || !hundredths) return tci_fail(TC_EINVAL, "%s: must not be NULL", text ? "hundredths" : "text");
  const char *reason = tci_money_parse(text, len, &value);
  if (reason) return tci_fail(TC_EINVAL, "amount: %s", reason);
  *hundredths = value;
  return TC_OK;
}

size_t tc_amount_format(int64_t hundredths, char out[TC_AMOUNT_SIZE]) { return tci_money_format(hundredths, out); }
