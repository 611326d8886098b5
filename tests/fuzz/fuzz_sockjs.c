/* Any bytes as what a SockJS client sends, and as what a server sends: what is accepted has as many strings as was counted, each is text, and each comes back the same through our own
 * escaping, which leaves nothing that browsers mangle. */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "server/sockjs/json.h"

static void check_round_trip(const char *text, size_t len) {
  tci_buf out;
  size_t again_len = 0;
  tci_buf_init(&out, len * 6 + 2);
  tcd_sockjs_put_string(&out, (tc_text){text, len});
  HOLDS(!out.err && out.len == tcd_sockjs_string_len((tc_text){text, len}));
  for (size_t i = 0; i < out.len; i++) HOLDS((unsigned char)out.data[i] >= 0x20);
  HOLDS(!memmem(out.data, out.len, "\xe2\x80\x8d", 3) && !memmem(out.data, out.len, "\xe2\x80\xa8", 3) && !memmem(out.data, out.len, "\xef\xbf\xbf", 3));
  HOLDS(tcd_sockjs_count((tc_text){out.data, out.len}) == 1);
  char *at = out.data, *again = tcd_sockjs_next(&at, out.data + out.len, &again_len);
  HOLDS(again && again_len == len && (!len || !memcmp(again, text, len)));
  HOLDS(!tcd_sockjs_next(&at, out.data + out.len, &again_len));
  tci_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *copy = tci_alloc(size);
  size_t len = 0;
  HOLDS(copy);
  if (size) memcpy(copy, data, size);
  int count = tcd_sockjs_count((tc_text){copy, size});
  char *at = copy, *message;
  for (int i = 0; i < count; i++) {
    message = tcd_sockjs_next(&at, copy + size, &len);
    HOLDS(message && message >= copy && message + len <= copy + size && tci_utf8_valid(message, len, NULL));
    check_round_trip(message, len);
  }
  if (count >= 0) HOLDS(!tcd_sockjs_next(&at, copy + size, &len));
  if (size) memcpy(copy, data, size);
  if (tci_utf8_valid(copy, size, NULL)) check_round_trip(copy, size);
  tci_free(copy);
  return 0;
}
