#include "media.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/config/list.h"

/* The part before the first ';', without white space. */
static tc_text essence(tc_text text) {
  const char *semicolon = text.len ? memchr(text.ptr, ';', text.len) : NULL;
  if (semicolon) text.len = (size_t)(semicolon - text.ptr);
  return tcd_trim(text);
}

/* application/xyz+json (RFC 6839 3.1) */
static int is_dialect(tc_text type) {
  static const char head[] = "application/", tail[] = "+json";
  size_t head_len = sizeof head - 1, tail_len = sizeof tail - 1;
  return type.len > head_len + tail_len && !strncasecmp(type.ptr, head, head_len) && !strncasecmp(type.ptr + type.len - tail_len, tail, tail_len);
}

int tcd_media_is_json(tc_text content_type) {
  tc_text type = essence(content_type);
  return tcd_text_is(type, TCD_MEDIA_JSON) || is_dialect(type);
}

int tcd_media_is_ndjson(tc_text content_type) {
  tc_text type = essence(content_type);
  return tcd_text_is(type, TCD_MEDIA_NDJSON) || tcd_text_is(type, "application/ndjson") || tcd_text_is(type, "application/jsonl") ||
         tcd_text_is(type, TCD_MEDIA_JSON);
}

/* "q=0.25" in thousandths (RFC 9110 12.4.2); what is no weight counts as none given. */
static int weight_in(tc_text parameter) {
  int weight = 0, scale = 1000;
  if (parameter.len < 3 || (*parameter.ptr != 'q' && *parameter.ptr != 'Q') || parameter.ptr[1] != '=') return -1;
  for (size_t i = 2; i < parameter.len; i++) {
    char c = parameter.ptr[i];
    if (c == '.' && i == 3) continue;
    if (c < '0' || c > '9') return 1000;
    weight += (c - '0') * scale;
    scale /= 10;
  }
  return weight > 1000 ? 1000 : weight;
}

static int weight_of(tc_text range) {
  const char *at = range.len ? memchr(range.ptr, ';', range.len) : NULL;
  const char *end = range.ptr + range.len;
  while (at && at < end) {
    const char *next = memchr(at + 1, ';', (size_t)(end - at - 1));
    int weight = weight_in(tcd_trim((tc_text){at + 1, (size_t)((next ? next : end) - at - 1)}));
    if (weight >= 0) return weight;
    at = next;
  }
  return 1000;
}

/* How closely a range names the type: 0 not at all, 1 for any type, 2 for any of its family, 3 for a JSON dialect (which plain JSON serves, as in the Java service), 4 exactly. */
static int closeness(tc_text range, const char *type) {
  if (tcd_text_is(range, type)) return 4;
  if (tcd_text_is(range, "*/*")) return 1;
  size_t family = (size_t)(strchr(type, '/') - type) + 1; /* "application/" */
  if (range.len == family + 1 && range.ptr[family] == '*' && !strncasecmp(range.ptr, type, family)) return 2;
  return !strcmp(type, TCD_MEDIA_JSON) && tcd_media_is_json(range) ? 3 : 0;
}

int tcd_media_weight(const tcd_request *request, const char *type) {
  int best = 0, weight = 0, ranges = 0;
  for (size_t i = 0; i < request->header_count; i++) {
    if (!tcd_text_is(request->headers[i].name, "accept")) continue;
    tc_text rest = request->headers[i].value, item;
    while (tcd_list_next(&rest, &item)) {
      if (!item.len) continue;
      ranges++;
      int close = closeness(essence(item), type);
      if (close <= best) continue;
      best = close;
      weight = weight_of(item);
    }
  }
  return ranges ? weight : 1000;
}

int tcd_media_accepted(const tcd_request *request, const char *types) {
  tc_text rest = {types, strlen(types)}, item;
  char type[64];
  while (tcd_list_next(&rest, &item)) {
    (void)snprintf(type, sizeof type, "%.*s", (int)item.len, item.ptr); /* those of the routes' table are short */
    if (tcd_media_weight(request, type)) return 1;
  }
  return 0;
}
