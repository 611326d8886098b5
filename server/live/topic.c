#include <string.h>

#include "server/live/hub.h"

static int same(tc_text text, const char *word) { return text.len == strlen(word) && !memcmp(text.ptr, word, text.len); }

/* "/topic/WHAT/..." */
static int parse_under(tc_text destination, const char *prefix, int what, tcd_topic *out) {
  size_t len = strlen(prefix);
  if (destination.len <= len || memcmp(destination.ptr, prefix, len) != 0) return -1;
  tc_text room = {destination.ptr + len, destination.len - len};
  *out = same(room, "*") || same(room, "**") ? (tcd_topic){.all = 1, .what = what} : (tcd_topic){.room = room, .what = what};
  return 0;
}

int tcd_topic_parse(tc_text destination, tcd_topic *out) {
  if (same(destination, "/topic/**")) {
    *out = (tcd_topic){.all = 1, .what = TCD_TOPIC_ALL};
    return 0;
  }
  if (same(destination, "/topic/leaderboards")) {
    *out = (tcd_topic){.all = 1, .what = TCD_TOPIC_BOARDS};
    return 0;
  }
  if (!parse_under(destination, "/topic/leaderboards/", TCD_TOPIC_BOARDS, out)) return out->all ? -1 : 0;
  if (!parse_under(destination, "/topic/rooms/", TCD_TOPIC_ROOMS, out)) return 0;
  return parse_under(destination, "/topic/events/", TCD_TOPIC_EVENTS, out);
}

int tcd_topic_of(const tc_event *event) { return tcd_topic_kinds(TCD_TOPIC_ROOMS) >> tc_event_kind(event) & 1 ? TCD_TOPIC_ROOMS : TCD_TOPIC_EVENTS; }

uint64_t tcd_topic_kinds(int what) {
  static const uint64_t rooms = 1u << TC_KIND_TIP | 1u << TC_KIND_REACTION;
  static const uint64_t events = 1u << TC_KIND_REFUND | 1u << TC_KIND_GOAL_REACHED | 1u << TC_KIND_FOLLOW | 1u << TC_KIND_SUBSCRIBE | 1u << TC_KIND_RAID |
                                 1u << TC_KIND_CUSTOM; /* what the engine says of webhooks is for webhooks */
  if (what == TCD_TOPIC_BOARDS) return 0;
  return (what != TCD_TOPIC_EVENTS ? rooms : 0) | (what != TCD_TOPIC_ROOMS ? events : 0);
}
