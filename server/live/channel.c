/* channel.c - a channel's frames, and who stands where in them. */
#include <string.h>

#include "base/mem.h"
#include "server/live/state.h"

#define SPARES_MAX 64
#define SPARE_BYTES (64u << 10)

static uint64_t base_of(const tcd_channel *channel) { return channel->end - (channel->stream ? channel->stream->bytes.len : 0); }

tc_text tcd_channel_bytes(const tcd_channel *channel, uint64_t from, uint64_t to) {
  return (tc_text){channel->stream->bytes.data + (from - base_of(channel)), (size_t)(to - from)};
}

const tcd_mark *tcd_channel_mark(const tcd_channel *channel, uint64_t position) {
  const tcd_stream *stream = channel->stream;
  if (position >= channel->end || !stream) return NULL;
  size_t low = stream->first, high = stream->first + stream->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (stream->marks[middle].end > position) high = middle;
    else low = middle + 1;
  }
  return &stream->marks[low];
}

static void free_stream(tcd_stream *stream) {
  tci_buf_free(&stream->bytes);
  tci_free(stream->marks);
  tci_free(stream);
}

void tcd_hub_free_spares(tcd_hub *hub) {
  while (hub->spares) {
    tcd_stream *stream = hub->spares;
    hub->spares = stream->next_spare;
    free_stream(stream);
  }
  hub->spare_count = 0;
}

static int take_stream(tcd_hub *hub, tcd_channel *channel) {
  tcd_stream *stream = hub->spares;
  if (stream) {
    hub->spares = stream->next_spare;
    hub->spare_count--;
  } else {
    stream = tci_zalloc(sizeof *stream);
    if (!stream) return TC_ENOMEM;
    /* Room for the readers that are allowed to lag, and for the frames of one pull. */
    tci_buf_init(&stream->bytes, (size_t)hub->max_lag_bytes * 2 + (16u << 20));
  }
  channel->stream = stream;
  return TC_OK;
}

static void drop_stream(tcd_hub *hub, tcd_channel *channel) {
  tcd_stream *stream = channel->stream;
  if (!stream) return;
  channel->stream = NULL;
  tcd_count(&hub->stat_channel_bytes, -(int64_t)stream->bytes.len);
  if (hub->spare_count == SPARES_MAX || stream->bytes.cap > SPARE_BYTES || stream->cap * sizeof *stream->marks > SPARE_BYTES) {
    free_stream(stream);
    return;
  }
  tci_buf_clear(&stream->bytes);
  stream->first = stream->count = 0;
  stream->next_spare = hub->spares;
  hub->spares = stream;
  hub->spare_count++;
}

static uint64_t hash_of(const tcd_hub *hub, const tcd_room *room, const tcd_shape *shape) {
  uint64_t parts[4] = {(uint64_t)(uintptr_t)room, (uint64_t)(uintptr_t)shape->framing, shape->flags, tci_siphash(&hub->key, shape->text.ptr, shape->text.len)};
  return tci_siphash(&hub->key, parts, sizeof parts);
}

static int same_shape(const tcd_shape *a, const tcd_shape *b) {
  return a->framing == b->framing && a->write == b->write && a->flags == b->flags && a->text.len == b->text.len &&
         !memcmp(a->text.ptr, b->text.ptr, a->text.len);
}

static uint64_t hash_room(const tcd_hub *hub, int what, tc_text name) { return tci_siphash(&hub->key, name.ptr, name.len) + (uint64_t)what; }

static tcd_room *find_room(const tcd_hub *hub, int what, tc_text name, uint64_t hash) {
  for (tcd_node *node = tcd_table_first(&hub->rooms, hash); node; node = tcd_table_next(node)) {
    tcd_room *room = (tcd_room *)node;
    if (room->what == what && room->len == name.len && !memcmp(room->name, name.ptr, name.len)) return room;
  }
  return NULL;
}

tcd_room *tcd_room_find(const tcd_hub *hub, int what, tc_text name) {
  return hub->room_count[what] ? find_room(hub, what, name, hash_room(hub, what, name)) : NULL;
}

static tcd_room *get_room(tcd_hub *hub, const tcd_topic *topic) {
  if (topic->all) return hub->all[topic->what];
  uint64_t hash = hash_room(hub, topic->what, topic->room);
  tcd_room *room = find_room(hub, topic->what, topic->room, hash);
  if (room) return room;
  room = tci_zalloc(sizeof *room + topic->room.len + 1);
  if (!room) return NULL;
  room->node.hash = hash;
  room->what = topic->what;
  room->len = topic->room.len;
  memcpy(room->name, topic->room.ptr, room->len);
  if (tcd_table_add(&hub->rooms, &room->node)) {
    tci_free(room);
    return NULL;
  }
  hub->room_count[room->what]++;
  tcd_count(&hub->stat_rooms, 1);
  return room;
}

static void drop_empty_room(tcd_hub *hub, tcd_room *room) {
  if (room == hub->all[room->what] || room->channels) return;
  tcd_table_remove(&hub->rooms, &room->node);
  hub->room_count[room->what]--;
  tcd_count(&hub->stat_rooms, -1);
  tci_free(room);
}

tcd_channel *tcd_channel_get(tcd_hub *hub, const tcd_topic *topic, tcd_voice *voice) {
  tcd_room *room = get_room(hub, topic);
  if (!room) return NULL;
  uint64_t hash = hash_of(hub, room, &voice->shape);
  for (tcd_node *node = tcd_table_first(&hub->channels, hash); node; node = tcd_table_next(node)) {
    tcd_channel *known = (tcd_channel *)node;
    if (known->room == room && same_shape(&known->voice->shape, &voice->shape)) return known;
  }
  tcd_channel *channel = tci_zalloc(sizeof *channel);
  if (channel) channel->node.hash = hash;
  if (!channel || tcd_table_add(&hub->channels, &channel->node)) {
    tci_free(channel);
    drop_empty_room(hub, room);
    return NULL;
  }
  channel->room = room;
  channel->voice = tcd_voice_ref(voice);
  channel->next = room->channels;
  if (channel->next) channel->next->prev = channel;
  room->channels = channel;
  tcd_count(&hub->stat_channels, 1);
  return channel;
}

static void drop_empty(tcd_hub *hub, tcd_channel *channel) {
  tcd_room *room = channel->room;
  if (channel->count || channel->dirty) return; /* a dirty one is still in the sweep's list */
  drop_stream(hub, channel);
  tcd_table_remove(&hub->channels, &channel->node);
  if (channel->prev) channel->prev->next = channel->next;
  else room->channels = channel->next;
  if (channel->next) channel->next->prev = channel->prev;
  tcd_count(&hub->stat_channels, -1);
  tcd_voice_unref(channel->voice);
  tci_free(channel->members);
  tci_free(channel);
  drop_empty_room(hub, room);
}

void tcd_channel_clean(tcd_hub *hub, tcd_channel *channel) {
  channel->dirty = 0;
  drop_empty(hub, channel);
}

int tcd_channel_enter(tcd_hub *hub, tcd_channel *channel, tcd_cursor *cursor) {
  if (channel->count == channel->cap) {
    size_t cap = channel->cap ? channel->cap * 2 : 1;
    tcd_cursor **larger = tci_realloc(channel->members, cap * sizeof(tcd_cursor *));
    if (!larger) {
      drop_empty(hub, channel);
      return TC_ENOMEM;
    }
    channel->members = larger;
    channel->cap = cap;
  }
  cursor->channel = channel;
  cursor->index = channel->count;
  cursor->at = channel->end;
  channel->members[channel->count++] = cursor;
  return TC_OK;
}

static void one_less_behind(tcd_hub *hub, tcd_channel *channel) {
  if (!--channel->behind) drop_stream(hub, channel);
}

void tcd_channel_leave(tcd_hub *hub, tcd_cursor *cursor) {
  tcd_channel *channel = cursor->channel;
  if (!channel) return;
  if (!cursor->sink->ops->take) tcd_outlet_unfinished(cursor->sink, cursor);
  tcd_cursor *last = channel->members[--channel->count];
  channel->members[cursor->index] = last;
  last->index = cursor->index;
  if (cursor->at != channel->end) one_less_behind(hub, channel);
  cursor->channel = NULL;
  if (channel->cap > 16 && channel->count < channel->cap / 4) {
    tcd_cursor **smaller = tci_realloc(channel->members, channel->cap / 2 * sizeof(tcd_cursor *));
    if (smaller) {
      channel->members = smaller;
      channel->cap /= 2;
    }
  }
  drop_empty(hub, channel);
}

void tcd_cursor_sent(tcd_hub *hub, tcd_cursor *cursor, size_t len) {
  cursor->at += len;
  if (len && cursor->at == cursor->channel->end) one_less_behind(hub, cursor->channel);
}

int64_t tcd_cursor_resume(const tcd_hub *hub, const tcd_cursor *cursor) {
  const tcd_mark *mark = cursor->channel ? tcd_channel_mark(cursor->channel, cursor->at) : NULL;
  int64_t seq = !mark ? hub->seq : cursor->sink->begun == cursor || mark->notice ? mark->seq : mark->seq - 1; /* a frame that has begun will be ended */
  return seq > cursor->skip_seq ? seq : cursor->skip_seq;
}

void tcd_cursor_cut(tcd_hub *hub, tcd_cursor *cursor, int why, int64_t resume_seq) {
  if (cursor->cut) return;
  if (cursor->replay) tcd_replay_leave(hub, cursor->replay);
  cursor->replay = NULL;
  tcd_channel_leave(hub, cursor);
  cursor->cut = why;
  cursor->resume_seq = resume_seq;
  cursor->next_cut = NULL;
  *hub->last_cut = cursor;
  hub->last_cut = &cursor->next_cut;
  tcd_count(why == TCD_CUT_FAR ? &hub->stat_far : &hub->stat_slow, 1);
}

/* Bytes that everybody has had go; who holds more than max_lag_bytes is cut. Runs each time a quarter of that limit has been added, so the look at all members is
 * shared by many frames. */
static void trim(tcd_hub *hub, tcd_channel *channel) {
  uint64_t limit = channel->end - hub->max_lag_bytes, least = channel->end;
  /* From behind: a member that leaves is replaced by the last, which has been looked at. The channel is dirty and so survives being empty. */
  for (size_t i = channel->count; i-- > 0;) {
    tcd_cursor *cursor = channel->members[i];
    /* One that is not blocked has only not had its turn of this sweep. */
    if (cursor->at < limit && cursor->sink->blocked) tcd_cursor_cut(hub, cursor, TCD_CUT_SLOW, tcd_cursor_resume(hub, cursor));
    else if (cursor->at < least) least = cursor->at;
  }
  tcd_stream *stream = channel->stream;
  if (!stream) return;
  size_t gone = (size_t)(least - base_of(channel));
  tci_buf_consume(&stream->bytes, gone);
  tcd_count(&hub->stat_channel_bytes, -(int64_t)gone);
  while (stream->count && stream->marks[stream->first].end <= least) stream->first++, stream->count--;
  if (stream->first) memmove(stream->marks, stream->marks + stream->first, stream->count * sizeof *stream->marks);
  stream->first = 0;
}

static int room_for_mark(tcd_stream *stream) {
  if (stream->first + stream->count < stream->cap) return TC_OK;
  size_t cap = stream->cap ? stream->cap * 2 : 16;
  tcd_mark *larger = tci_realloc(stream->marks, cap * sizeof *larger);
  if (!larger) return TC_ENOMEM;
  stream->marks = larger;
  stream->cap = cap;
  return TC_OK;
}

/* One of the two is NULL. */
static int encode(tcd_hub *hub, tcd_channel *channel, const tc_event *event, const tcd_notice *notice) {
  const tcd_shape *shape = &channel->voice->shape;
  if (!channel->stream && take_stream(hub, channel)) return TC_ENOMEM;
  tcd_stream *stream = channel->stream;
  size_t before = stream->bytes.len;
  if (room_for_mark(stream)) return TC_ENOMEM;
  tci_buf_clear(&hub->message);
  if (event) shape->write(shape, event, &hub->message);
  else shape->say(shape, notice, &hub->message);
  if (!hub->message.err && hub->message.len) shape->framing->put((tc_text){hub->message.data, hub->message.len}, &stream->bytes);
  if (hub->message.err || stream->bytes.err) {
    stream->bytes.len = before; /* half a frame would garble all that follows */
    stream->bytes.err = 0;
    return TC_ENOMEM;
  }
  size_t added = stream->bytes.len - before;
  if (!added) return TC_OK;
  channel->end += added;
  tcd_count(&hub->stat_channel_bytes, (int64_t)added);
  stream->marks[stream->first + stream->count++] = (tcd_mark){event ? tc_event_seq(event) : hub->seq, hub->front->now_us, channel->end, !event};
  return TC_OK;
}

static void append(tcd_hub *hub, tcd_channel *channel, const tc_event *event, const tcd_notice *notice) {
  if (!channel->dirty) {
    channel->dirty = 1;
    channel->next_dirty = hub->dirty;
    hub->dirty = channel;
  }
  uint64_t before = channel->end;
  if (encode(hub, channel, event, notice)) {
    for (size_t i = channel->count; i-- > 0;) tcd_cursor_cut(hub, channel->members[i], TCD_CUT_MEMORY, tcd_cursor_resume(hub, channel->members[i]));
    return;
  }
  if (channel->end == before) {
    if (!channel->behind) drop_stream(hub, channel); /* one that was taken for it */
    return;
  }
  channel->behind = channel->count;
  if (channel->stream->bytes.len > hub->max_lag_bytes + hub->max_lag_bytes / 4 + (64u << 10)) trim(hub, channel);
}

void tcd_channel_append(tcd_hub *hub, tcd_channel *channel, const tc_event *event) { append(hub, channel, event, NULL); }

void tcd_channel_say(tcd_hub *hub, tcd_channel *channel, const tcd_notice *notice) {
  if (channel->voice->shape.say) append(hub, channel, NULL, notice);
}
