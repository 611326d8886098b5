/* Any bytes as a percent-encoded text, a query string, a number and a path: what is accepted is text, fits, and means the same when it is encoded again. */
#include <string.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "server/api/query.h"
#include "server/api/router.h"

static void no_handler(tcd_app *app, const tcd_match *match, const tcd_request *request, tcd_reply *reply) {
  (void)app;
  (void)match;
  (void)request;
  (void)reply;
}

/* out has room for 3 * len bytes. */
static size_t encode(const char *text, size_t len, char *out) {
  static const char hex[] = "0123456789abcdef";
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    *out++ = '%';
    *out++ = hex[c >> 4];
    *out++ = hex[c & 15];
  }
  return len * 3;
}

static void check_decode(tc_text raw, int how) {
  char *out = tci_alloc(raw.len), *again = tci_alloc(raw.len * 3), *back = tci_alloc(raw.len * 3);
  size_t len = 0, back_len = 0;
  HOLDS(out && again && back);
  if (!tcd_decode(raw, how, out, &len)) {
    HOLDS(len <= raw.len && tci_utf8_valid(out, len, NULL) && !memchr(out, '\0', len));
    tc_text encoded = {again, encode(out, len, again)};
    HOLDS(!tcd_decode(encoded, how, back, &back_len));
    HOLDS(back_len == len && !memcmp(back, out, len));
  }
  tci_free(out);
  tci_free(again);
  tci_free(back);
}

static void check_query(tc_text query) {
  static const char *const names[] = {"roomId", "page", "a"};
  enum { NAMES = sizeof names / sizeof names[0] };
  const char *values[NAMES];
  tcd_query_fault fault = {NULL, NULL};
  char *storage = tci_alloc(query.len + 1);
  HOLDS(storage);
  if (tcd_query_read(query, names, NAMES, values, storage, &fault)) {
    HOLDS(fault.name && fault.what);
  } else {
    for (size_t i = 0; i < NAMES; i++) {
      if (!values[i]) continue;
      HOLDS(values[i] >= storage && values[i] + strlen(values[i]) <= storage + query.len);
      HOLDS(tci_utf8_valid(values[i], strlen(values[i]), NULL));
    }
  }
  tci_free(storage);
}

static void check_pairs(tc_text query) {
  tc_text rest = query, name, value;
  const char *end = query.ptr;
  while (tcd_query_pair(&rest, &name, &value)) {
    HOLDS(name.ptr >= end && name.ptr + name.len <= value.ptr);
    end = value.ptr + value.len;
    HOLDS(end == rest.ptr && end <= query.ptr + query.len);
    HOLDS(!memchr(name.ptr, '=', name.len) && !memchr(value.ptr, '&', value.len));
  }
}

static void check_number(tc_text text) {
  int64_t value, again;
  char printed[24];
  if (tcd_parse_int(text.ptr, text.len, &value)) return;
  int len = snprintf(printed, sizeof printed, "%lld", (long long)value);
  HOLDS(len > 0 && !tcd_parse_int(printed, (size_t)len, &again) && again == value);
}

static void check_instant(tc_text text) {
  char printed[TCI_RFC3339_MS_LEN];
  int64_t us, again;
  if (tci_time_parse(text.ptr, text.len, &us)) return;
  tci_time_format_ms(us, printed);
  if (us >= 0) HOLDS(!tci_time_parse(printed, sizeof printed, &again) && again == us - us % 1000);
}

static void check_path(tc_text path) {
  static const tcd_route routes[] = {
    {TCD_GET, "/a/{}", no_handler, 0, 0, "", 0}, {TCD_POST, "/a/{}/b", no_handler, 0, 0, "", 0}, {TCD_GET, "/a:b", no_handler, 0, 0, "", 0}};
  tcd_match match = {NULL, {NULL, 0}};
  unsigned methods = tcd_route_find(routes, sizeof routes / sizeof routes[0], TCD_GET | TCD_POST, path, &match);
  HOLDS(!methods == !match.route);
  if (!methods || !match.param.ptr) return;
  HOLDS(match.param.len && !memchr(match.param.ptr, '/', match.param.len));
  HOLDS(match.param.ptr > path.ptr && match.param.ptr + match.param.len <= path.ptr + path.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  /* A copy, so that a sanitizer sees a read behind its end. */
  char *copy = tci_strndup((const char *)data, size);
  HOLDS(copy);
  tc_text text = {copy, size};
  check_decode(text, TCD_DECODE_FORM);
  check_decode(text, TCD_DECODE_PATH);
  check_query(text);
  check_pairs(text);
  check_number(text);
  check_instant(text);
  check_path(text);
  tci_free(copy);
  return 0;
}
