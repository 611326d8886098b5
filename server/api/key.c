#include "key.h"

#include <string.h>

#include "answer.h"

int tcd_key_read(const tcd_request *request, char storage[TCD_KEY_SIZE], const char **out, tcd_reply *reply) {
  tc_text value;
  size_t count = tcd_request_header(request, "Idempotency-Key", &value);
  *out = NULL;
  if (!count) return 0;
  /* A doubled header may have been one key for the proxy that added it and another for us. Money is not paid on a guess. */
  if (count > 1 || value.len >= TCD_KEY_SIZE) {
    tcd_answer_error(reply, 400, count > 1 ? "Idempotency-Key: given twice" : "Idempotency-Key: must be 1 to 255 characters");
    return -1;
  }
  memcpy(storage, value.ptr, value.len);
  storage[value.len] = '\0';
  *out = storage;
  return 0;
}
