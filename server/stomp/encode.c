#include "server/stomp/encode.h"

#include <stdio.h>
#include <string.h>

static const char *escape_of(char c, int version) {
  switch (c) {
  case '\n': return version == TCD_STOMP_10 ? " " : "\\n";
  case '\r': return version == TCD_STOMP_12 ? "\\r" : version == TCD_STOMP_10 ? " " : NULL;
  case ':': return version == TCD_STOMP_10 ? NULL : "\\c";
  case '\\': return version == TCD_STOMP_10 ? NULL : "\\\\";
  default: return NULL;
  }
}

void tcd_stomp_put_escaped(tci_buf *out, tc_text text, int version) {
  size_t from = 0;
  for (size_t i = 0; i < text.len; i++) {
    const char *escape = escape_of(text.ptr[i], version);
    if (!escape) continue;
    (void)tci_buf_append(out, text.ptr + from, i - from);
    (void)tci_buf_puts(out, escape);
    from = i + 1;
  }
  (void)tci_buf_append(out, text.ptr + from, text.len - from);
}

void tcd_stomp_put_header(tci_buf *out, const char *name, tc_text value, int version) {
  (void)tci_buf_puts(out, name);
  (void)tci_buf_puts(out, ":");
  tcd_stomp_put_escaped(out, value, version);
  (void)tci_buf_puts(out, "\n");
}

void tcd_stomp_write_message(const tcd_shape *shape, const tc_event *event, tci_buf *out) {
  size_t len;
  const char *json = tc_event_json(event, &len), *room = tc_event_str(event, TC_FIELD_ROOM_ID);
  long long seq = (long long)tc_event_seq(event);
  (void)tci_buf_puts(out, tcd_topic_of(event) == TCD_TOPIC_ROOMS ? "MESSAGE\ndestination:/topic/rooms/" : "MESSAGE\ndestination:/topic/events/");
  if (room) tcd_stomp_put_escaped(out, (tc_text){room, strlen(room)}, (int)shape->flags);
  (void)tci_buf_puts(out, "\ncontent-type:application/json\nsubscription:");
  (void)tci_buf_append(out, shape->text.ptr, shape->text.len);
  (void)tci_buf_printf(out, "\nmessage-id:%lld-", seq);
  (void)tci_buf_append(out, shape->text.ptr, shape->text.len);
  (void)tci_buf_printf(out, "\nseq:%lld\ncontent-length:%zu\n\n", seq, len);
  (void)tci_buf_append(out, json, len + 1); /* its NUL is the frame's */
}

void tcd_stomp_write_notice(const tcd_shape *shape, const tcd_notice *notice, tci_buf *out) {
  (void)tci_buf_puts(out, notice->what == TCD_TOPIC_BOARDS ? "MESSAGE\ndestination:/topic/leaderboards" : "MESSAGE\ndestination:/topic/events");
  if (notice->room.len) (void)tci_buf_puts(out, "/");
  tcd_stomp_put_escaped(out, notice->room, (int)shape->flags);
  (void)tci_buf_puts(out, "\ncontent-type:application/json\nsubscription:");
  (void)tci_buf_append(out, shape->text.ptr, shape->text.len);
  (void)tci_buf_printf(out, "\nmessage-id:n%llu-", (unsigned long long)notice->number);
  (void)tci_buf_append(out, shape->text.ptr, shape->text.len);
  (void)tci_buf_printf(out, "\ncontent-length:%zu\n\n", notice->json.len);
  (void)tci_buf_append(out, notice->json.ptr, notice->json.len);
  (void)tci_buf_append(out, "", 1);
}
