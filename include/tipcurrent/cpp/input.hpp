/* input.hpp - what is created and asked for. Members are named, bounded and defaulted as in the C struct of the same name (tip.h, reaction.h, ...); raw() lends the C struct, which points
 * into this one. */
#ifndef TIPCURRENT_CPP_INPUT_HPP
#define TIPCURRENT_CPP_INPUT_HPP

#include "../activity.h"
#include "../board.h"
#include "../goal.h"
#include "../reaction.h"
#include "../refund.h"
#include "../stats.h"
#include "../tip.h"
#include "../webhook.h"
#include "result.hpp"

namespace tipcurrent {

struct tip_new {
  text room_id, sender_id, recipient_id;
  std::int64_t amount = 0; /* hundredths */
  text message, metadata, idempotency_key, currency;

  tc_tip_new raw() const {
    tc_tip_new c = TC_TIP_NEW_INIT;
    c.room_id = room_id.c_str();
    c.sender_id = sender_id.c_str();
    c.recipient_id = recipient_id.c_str();
    c.amount = amount;
    c.message = message.c_str();
    c.metadata = metadata.c_str();
    c.idempotency_key = idempotency_key.c_str();
    c.currency = currency.c_str();
    return c;
  }
};

struct reaction_new {
  text room_id, user_id, emoji, target_id, metadata, idempotency_key;

  tc_reaction_new raw() const {
    tc_reaction_new c = TC_REACTION_NEW_INIT;
    c.room_id = room_id.c_str();
    c.user_id = user_id.c_str();
    c.emoji = emoji.c_str();
    c.target_id = target_id.c_str();
    c.metadata = metadata.c_str();
    c.idempotency_key = idempotency_key.c_str();
    return c;
  }
};

struct activity_new {
  text type, room_id, user_id, target_id, message;
  std::int64_t count = 0;
  text metadata, idempotency_key;

  tc_activity_new raw() const {
    tc_activity_new c = TC_ACTIVITY_NEW_INIT;
    c.type = type.c_str();
    c.room_id = room_id.c_str();
    c.user_id = user_id.c_str();
    c.target_id = target_id.c_str();
    c.message = message.c_str();
    c.count = count;
    c.metadata = metadata.c_str();
    c.idempotency_key = idempotency_key.c_str();
    return c;
  }
};

struct refund_new {
  std::int64_t tip_id = 0;
  std::int64_t amount = 0; /* hundredths; 0: whatever is left */
  text reason, idempotency_key;

  tc_refund_new raw() const {
    tc_refund_new c = TC_REFUND_NEW_INIT;
    c.tip_id = tip_id;
    c.amount = amount;
    c.reason = reason.c_str();
    c.idempotency_key = idempotency_key.c_str();
    return c;
  }
};

struct goal_new {
  text room_id, title;
  std::int64_t target_amount = 0, target_count = 0; /* one of them */
  text currency, recipient_id;
  std::int64_t deadline_us = 0;
  text idempotency_key;

  tc_goal_new raw() const {
    tc_goal_new c = TC_GOAL_NEW_INIT;
    c.room_id = room_id.c_str();
    c.title = title.c_str();
    c.target_amount = target_amount;
    c.target_count = target_count;
    c.currency = currency.c_str();
    c.recipient_id = recipient_id.c_str();
    c.deadline_us = deadline_us;
    c.idempotency_key = idempotency_key.c_str();
    return c;
  }
};

struct webhook_new {
  text room_id, url, events, secret, description;
  std::uint32_t flags = 0; /* TC_WEBHOOK_ORDERED */
  text idempotency_key;

  tc_webhook_new raw() const {
    tc_webhook_new c = TC_WEBHOOK_NEW_INIT;
    c.room_id = room_id.c_str();
    c.url = url.c_str();
    c.events = events.c_str();
    c.secret = secret.c_str();
    c.description = description.c_str();
    c.flags = flags;
    c.idempotency_key = idempotency_key.c_str();
    return c;
  }
};

/* What is absent or zero stays as it is. */
struct webhook_change {
  text room_id, url, events, secret, description;
  std::uint32_t flags = 0, set_flags = 0, overlap_s = 0;
  std::int32_t enabled = 0; /* 1: enable, -1: disable */

  tc_webhook_change raw() const {
    tc_webhook_change c = TC_WEBHOOK_CHANGE_INIT;
    c.room_id = room_id.c_str();
    c.url = url.c_str();
    c.events = events.c_str();
    c.secret = secret.c_str();
    c.description = description.c_str();
    c.flags = flags;
    c.set_flags = set_flags;
    c.overlap_s = overlap_s;
    c.enabled = enabled;
    return c;
  }
};

struct tip_query {
  text room_id, sender_id, recipient_id, after;
  std::int64_t page = 0;
  std::int32_t page_size = 0;
  text currency;

  tc_tip_query raw() const {
    tc_tip_query c = TC_TIP_QUERY_INIT;
    c.room_id = room_id.c_str();
    c.sender_id = sender_id.c_str();
    c.recipient_id = recipient_id.c_str();
    c.after = after.c_str();
    c.page = page;
    c.page_size = page_size;
    c.currency = currency.c_str();
    return c;
  }
};

struct reaction_query {
  text room_id, user_id, emoji, target_id, after;
  std::int64_t page = 0;
  std::int32_t page_size = 0;

  tc_reaction_query raw() const {
    tc_reaction_query c = TC_REACTION_QUERY_INIT;
    c.room_id = room_id.c_str();
    c.user_id = user_id.c_str();
    c.emoji = emoji.c_str();
    c.target_id = target_id.c_str();
    c.after = after.c_str();
    c.page = page;
    c.page_size = page_size;
    return c;
  }
};

struct activity_query {
  text type, room_id, user_id, target_id, after;
  std::int64_t page = 0;
  std::int32_t page_size = 0;

  tc_activity_query raw() const {
    tc_activity_query c = TC_ACTIVITY_QUERY_INIT;
    c.type = type.c_str();
    c.room_id = room_id.c_str();
    c.user_id = user_id.c_str();
    c.target_id = target_id.c_str();
    c.after = after.c_str();
    c.page = page;
    c.page_size = page_size;
    return c;
  }
};

struct stats_query {
  text room_id, tz, currency;
  std::int64_t from_us = 0, to_us = 0;
  std::uint32_t flags = 0; /* TC_STATS_FROM, TC_STATS_TO: which of the two counts */
  std::uint32_t grain = TC_GRAIN_HOUR;

  tc_stats_query raw() const {
    tc_stats_query c = TC_STATS_QUERY_INIT;
    c.room_id = room_id.c_str();
    c.tz = tz.c_str();
    c.currency = currency.c_str();
    c.from_us = from_us;
    c.to_us = to_us;
    c.flags = flags;
    c.grain = grain;
    return c;
  }
};

struct board_query {
  text room_id, currency;
  std::uint32_t role = TC_BOARD_SENDERS, window = TC_WINDOW_ALL;
  std::int64_t at_us = 0, from_us = 0, to_us = 0;
  std::int32_t limit = 0;

  tc_board_query raw() const {
    tc_board_query c = TC_BOARD_QUERY_INIT;
    c.room_id = room_id.c_str();
    c.currency = currency.c_str();
    c.role = role;
    c.window = window;
    c.at_us = at_us;
    c.from_us = from_us;
    c.to_us = to_us;
    c.limit = limit;
    return c;
  }
};

} // namespace tipcurrent

#endif
