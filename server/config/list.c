#include "list.h"

#include <string.h>

tc_text tcd_trim(tc_text text) {
  while (text.len && (*text.ptr == ' ' || *text.ptr == '\t')) {
    text.ptr++;
    text.len--;
  }
  while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) text.len--;
  return text;
}

int tcd_list_next(tc_text *rest, tc_text *item) {
  if (!rest->ptr) return 0;
  const char *comma = memchr(rest->ptr, ',', rest->len);
  size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
  *item = tcd_trim((tc_text){rest->ptr, len});
  if (comma) {
    rest->ptr += len + 1;
    rest->len -= len + 1;
  } else {
    *rest = (tc_text){NULL, 0};
  }
  return 1;
}
