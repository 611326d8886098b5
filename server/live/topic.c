#include <string.h>

#include "server/live/hub.h"

static int same(tc_text text, const char *word) { return text.len == strlen(word) && !memcmp(text.ptr, word, text.len); }

int tcd_topic_parse(tc_text destination, tcd_topic *out) {
  static const char rooms[] = "/topic/rooms/";
  size_t len = sizeof rooms - 1;
  if (same(destination, "/topic/**") || same(destination, "/topic/rooms/*") || same(destination, "/topic/rooms/**")) {
    *out = (tcd_topic){.all = 1};
    return 0;
  }
  if (destination.len <= len || memcmp(destination.ptr, rooms, len) != 0) return -1;
  *out = (tcd_topic){.room = {destination.ptr + len, destination.len - len}};
  return 0;
}
