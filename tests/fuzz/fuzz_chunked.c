/* Any bytes as a chunked body: whole, byte by byte and in odd pieces give the same body, the same end and the same verdict, never more than the limit. */
#include <string.h>

#include "base/buf.h"
#include "fuzz.h"
#include "server/front/chunked.h"

#define LIMIT 4096

typedef struct outcome {
  int rc;
  size_t used;
  tci_buf body;
} outcome;

static void decode(outcome *out, const char *data, size_t size, size_t step) {
  tcd_chunked chunked;
  tcd_chunked_init(&chunked, LIMIT);
  tci_buf_init(&out->body, LIMIT);
  out->rc = TCD_CHUNKED_MORE;
  out->used = 0;
  while (out->used < size && out->rc >= 0 && out->rc != TCD_CHUNKED_DONE) {
    size_t piece = size - out->used < step ? size - out->used : step, used = 0;
    tc_text span = {NULL, 0};
    out->rc = tcd_chunked_next(&chunked, data + out->used, piece, &used, &span);
    HOLDS(used && used <= piece);
    if (out->rc == TCD_CHUNKED_DATA) {
      HOLDS(span.ptr >= data + out->used && span.ptr + span.len <= data + out->used + used && span.len);
      HOLDS(tci_buf_append(&out->body, span.ptr, span.len) == 0); /* never beyond the limit */
      out->rc = TCD_CHUNKED_MORE;
    }
    out->used += used;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const size_t steps[] = {1, 2, 3, 7, 64};
  const char *data = (const char *)bytes;
  outcome whole, pieces;
  decode(&whole, data, size, size ? size : 1);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    decode(&pieces, data, size, steps[i]);
    HOLDS(pieces.rc == whole.rc && pieces.used == whole.used && pieces.body.len == whole.body.len);
    HOLDS(!whole.body.len || !memcmp(pieces.body.data, whole.body.data, whole.body.len));
    tci_buf_free(&pieces.body);
  }
  tci_buf_free(&whole.body);
  return 0;
}
