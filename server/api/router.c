#include "router.h"

#include <string.h>

#include "query.h"

unsigned tcd_method(tc_text name) {
  static const struct {
    const char *name;
    unsigned method;
  } known[] = {{"GET", TCD_GET}, {"HEAD", TCD_GET}, {"POST", TCD_POST}, {"PUT", TCD_PUT}, {"PATCH", TCD_PATCH}, {"DELETE", TCD_DELETE}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (strlen(known[i].name) == name.len && !memcmp(known[i].name, name.ptr, name.len)) return known[i].method; /* methods are case-sensitive, RFC 9110 9.1 */
  }
  return 0;
}

static tc_text next_segment(tc_text *path) {
  const char *slash = path->len ? memchr(path->ptr, '/', path->len) : NULL;
  tc_text segment = {path->ptr, slash ? (size_t)(slash - path->ptr) : path->len};
  path->ptr += segment.len;
  path->len -= segment.len;
  return segment;
}

static int segment_is(tc_text pattern, tc_text segment) {
  char decoded[64]; /* longer than the longest literal segment of any table, three times encoded or not */
  size_t len;
  if (segment.len == pattern.len && !memcmp(segment.ptr, pattern.ptr, pattern.len)) return 1;
  if (segment.len > sizeof decoded || !memchr(segment.ptr, '%', segment.len) || tcd_decode(segment, TCD_DECODE_PATH, decoded, &len)) return 0;
  return len == pattern.len && !memcmp(decoded, pattern.ptr, len);
}

static int path_matches(const char *pattern_text, tc_text path, tc_text *param) {
  tc_text pattern = {pattern_text, strlen(pattern_text)};
  while (pattern.len && path.len && *pattern.ptr == '/' && *path.ptr == '/') {
    pattern.ptr++, pattern.len--;
    path.ptr++, path.len--;
    tc_text want = next_segment(&pattern), have = next_segment(&path);
    if (want.len == 2 && !memcmp(want.ptr, "{}", 2)) {
      if (!have.len) return 0;
      *param = param->ptr ? (tc_text){param->ptr, (size_t)(have.ptr + have.len - param->ptr)} : have;
    } else if (!segment_is(want, have)) {
      return 0;
    }
  }
  return !pattern.len && !path.len;
}

/* Where nothing is percent-encoded, most patterns fall out at the first byte that differs. */
static int may_match(const char *pattern, tc_text path) {
  size_t i = 0;
  while (i < path.len && pattern[i] && pattern[i] == path.ptr[i]) i++;
  return pattern[i] == '{' || (!pattern[i] && i == path.len);
}

unsigned tcd_route_find(const tcd_route *routes, size_t count, unsigned method, tc_text path, tcd_match *match) {
  unsigned methods = 0;
  int is_plain = !path.len || !memchr(path.ptr, '%', path.len);
  for (size_t i = 0; i < count; i++) {
    tc_text param = {NULL, 0};
    if ((is_plain && !may_match(routes[i].pattern, path)) || !path_matches(routes[i].pattern, path, &param)) continue;
    methods |= routes[i].method;
    if (!(routes[i].method & method)) continue;
    *match = (tcd_match){&routes[i], param};
    break;
  }
  return methods;
}
