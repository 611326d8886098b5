#include "param.h"

#include <string.h>

#include "base/mem.h"
#include "base/timefmt.h"
#include "base/utf8.h"
#include "query.h"

#define ID_MAX_BYTES 64 /* "-9223372036854775808" has 20; more is no number, leading zeros excepted, and those nobody sends by the dozen */

int tcd_param_id(tc_text segment, int64_t *id, tcd_reply *reply) {
  char text[ID_MAX_BYTES];
  size_t len;
  if (segment.len <= sizeof text && !tcd_decode(segment, TCD_DECODE_PATH, text, &len) && !tcd_parse_int(text, len, id)) return 0;
  tcd_answer_error(reply, 400, "id: must be a whole number within 64 bits");
  return -1;
}

int tcd_param_name(tc_text segment, const char *name, tcd_param_text out, tcd_reply *reply) {
  static const char too_long[] = "must have at most 255 characters";
  size_t len = 0, code_points = 0;
  const char *wrong = segment.len >= sizeof(tcd_param_text) ? too_long : tcd_decode(segment, TCD_DECODE_PATH, out, &len);
  if (!wrong && (!tci_utf8_valid(out, len, &code_points) || code_points > TCD_PARAM_TEXT_MAX_CODE_POINTS)) wrong = too_long;
  if (wrong) {
    tcd_answer_errorf(reply, 400, "%s: %s", name, wrong);
    return -1;
  }
  out[len] = '\0';
  return 0;
}

int tcd_param_query(const tcd_request *request, const char *const *names, size_t n, const char **values, char **storage, tcd_reply *reply) {
  tcd_query_fault fault;
  *storage = tci_alloc(request->query.len + 1);
  if (!*storage) {
    tcd_answer_code(reply, TC_ENOMEM, "");
    return -1;
  }
  if (tcd_query_read(request->query, names, n, values, *storage, &fault)) {
    tcd_answer_errorf(reply, 400, "%s: %s", fault.name, fault.what);
    return -1;
  }
  for (size_t i = 0; i < n; i++) {
    if (values[i] && !*values[i]) values[i] = NULL;
  }
  return 0;
}

int tcd_param_instant(const char *text, const char *name, int64_t *out, tcd_reply *reply) {
  if (!text || !tci_time_parse(text, strlen(text), out)) return 0;
  /* The space is a plus that was not encoded: the mistake that people make. */
  tcd_answer_errorf(reply, 400, "%s: must be an instant, as 2024-01-15T10:00:00Z%s", name, strchr(text, ' ') ? " (a plus in a query is written %2B)" : "");
  return -1;
}

int tcd_param_limit(const char *text, int max, int64_t *out, tcd_reply *reply) {
  int64_t limit;
  if (!text) return 0;
  if (tcd_parse_int(text, strlen(text), &limit) || limit < 1 || limit > max) {
    tcd_answer_errorf(reply, 400, "limit: must be a whole number from 1 to %d", max);
    return -1;
  }
  *out = limit;
  return 0;
}
