/* notice.c - what is said beside the log. */
#include "base/mem.h"
#include "server/live/state.h"

#define TELL_MAX (8u << 20)
#define TELL_WAITING (64u << 10)

int tcd_hub_follows_room(const tcd_hub *hub, int what, tc_text room) {
  if (!room.len) return 0;
  return tcd_room_find(hub, what, room) || (what == TCD_TOPIC_EVENTS && tcd_room_find(hub, TCD_TOPIC_ALL, room));
}

int tcd_hub_follows(const tcd_hub *hub, int what, tc_text room) {
  if (what == TCD_TOPIC_EVENTS && (hub->all[TCD_TOPIC_EVENTS]->channels || hub->all[TCD_TOPIC_ALL]->channels)) return 1;
  return room.len ? tcd_hub_follows_room(hub, what, room) : hub->all[what]->channels != NULL;
}

static void say_all(tcd_hub *hub, tcd_channel *first, const tcd_notice *notice) {
  for (tcd_channel *channel = first; channel; channel = channel->next) tcd_channel_say(hub, channel, notice);
}

void tcd_hub_say(tcd_hub *hub, const tcd_notice *notice) {
  tcd_notice said = *notice;
  const tcd_room *room = said.room.len ? tcd_room_find(hub, said.what, said.room) : NULL;
  const tcd_room *both =
    said.room.len && said.what == TCD_TOPIC_EVENTS ? tcd_room_find(hub, TCD_TOPIC_ALL, said.room) : NULL; /* streams that name their types */
  said.number = ++hub->notices;
  if (room) say_all(hub, room->channels, &said);
  if (both) say_all(hub, both->channels, &said);
  if (said.what == TCD_TOPIC_EVENTS) say_all(hub, hub->all[TCD_TOPIC_ALL]->channels, &said);
  if (said.what == TCD_TOPIC_EVENTS || !said.room.len) say_all(hub, hub->all[said.what]->channels, &said);
  tcd_count(&hub->stat_notices, 1);
}

int tcd_cursor_tell(tcd_cursor *cursor, tcd_notice *notice) {
  tcd_sink *sink = cursor->sink;
  tcd_hub *hub = sink->hub;
  tci_buf frame;
  if (!cursor->channel || !cursor->channel->voice->shape.say) return 1; /* nobody to be told */
  /* A client can ask for it as often as it likes: so no more than one that reads can take. */
  if (sink->blocked || sink->ops->waiting(sink) >= TELL_WAITING) return 0;
  const tcd_shape *shape = &cursor->channel->voice->shape;
  notice->number = ++hub->notices;
  tci_buf_init(&frame, TELL_MAX);
  tci_buf_clear(&hub->message);
  shape->say(shape, notice, &hub->message);
  if (!hub->message.err) shape->framing->put((tc_text){hub->message.data, hub->message.len}, &frame);
  int told = !hub->message.err && !frame.err;
  if (told && frame.len && sink->ops->take) sink->ops->take(sink, (tc_text){frame.data, frame.len});
  else if (told && frame.len) tcd_outlet_tell(sink, (tc_text){frame.data, frame.len});
  tci_buf_free(&frame);
  return told;
}
