/* answer.hpp - what the engine tells about goals, webhooks, types, statistics and boards. */
#ifndef TIPCURRENT_CPP_ANSWER_HPP
#define TIPCURRENT_CPP_ANSWER_HPP

#include <vector>

#include "../activity.h"
#include "../board.h"
#include "../create.h"
#include "../goal.h"
#include "../stats.h"
#include "../webhook.h"
#include "event.hpp"
#include "result.hpp"

namespace tipcurrent {

/* A T that a create gave; replayed: its idempotency key was known, and this is the first one. */
template <class T> struct created {
  T value;
  bool replayed = false;
};

/* How a submitted create ended: see tc_result. */
struct outcome {
  explicit outcome(const tc_result &r) : code(r.code), replayed(r.replayed != 0), value(event::share(r.event)), message(r.detail) {}

  bool ok() const { return code == TC_OK; }

  int code;
  bool replayed;
  event value; /* when ok */
  std::string message;
};

/* As tc_goal. */
struct goal {
  goal() {}
  explicit goal(const tc_goal &g)
      : id(g.id), target_amount(g.target_amount), target_count(g.target_count), created_at_us(g.created_at_us), deadline_us(g.deadline_us),
        reached_at_us(g.reached_at_us), closed_at_us(g.closed_at_us), status(g.status), has_progress(g.has_progress != 0), progress_count(g.progress_count),
        progress_amount(g.progress_amount), room_id(g.room_id), title(g.title), currency(g.currency), recipient_id(g.recipient_id) {}

  std::int64_t id = 0, target_amount = 0, target_count = 0, created_at_us = 0, deadline_us = 0, reached_at_us = 0, closed_at_us = 0;
  std::int32_t status = 0; /* TC_GOAL_X */
  bool has_progress = false;
  std::int64_t progress_count = 0, progress_amount = 0;
  std::string room_id, title;
  text currency, recipient_id;
};

/* A webhook at one moment: its number, and its JSON as tc_webhook_json gives it, without the secret. */
struct webhook {
  webhook() {}
  explicit webhook(const tc_webhook *w) : id(tc_webhook_id(w)) {
    std::size_t size = 0;
    const char *bytes = tc_webhook_json(w, &size);
    json.assign(bytes, size);
  }

  std::int64_t id = 0;
  std::string json;
};

namespace detail {

inline text copied(const tc_text &t) { return t.ptr ? text(std::string(t.ptr, t.len)) : text(); }

} // namespace detail

/* One attempt, as tc_webhook_delivery. */
struct delivery {
  explicit delivery(const tc_webhook_delivery &d)
      : id(d.id), webhook_id(d.webhook_id), seq(d.seq), created_at_us(d.created_at_us), duration_ms(d.duration_ms), attempt(d.attempt), status(d.status),
        success(d.success != 0), event(detail::copied(d.event)), response(detail::copied(d.response)), error(detail::copied(d.error)) {}

  std::int64_t id, webhook_id, seq, created_at_us, duration_ms;
  std::int32_t attempt, status; /* HTTP; 0: no answer */
  bool success;
  text event, response, error;
};

struct delivery_page {
  std::vector<delivery> rows;
  std::int64_t total = 0;
};

struct event_type {
  event_type() {}
  explicit event_type(const tc_event_type &t) : id(t.id), created_at_us(t.created_at_us), name(t.name), description(t.description) {}

  std::int64_t id = 0, created_at_us = 0;
  std::string name, description;
};

/* An answer of statistics; for (const tc_stats_row &row : stats) walks it. Rows borrow from it. */
class stats {
public:
  explicit stats(tc_stats *raw = nullptr) : raw_(raw) {}

  std::size_t size() const { return raw_ ? tc_stats_count(raw_.get()) : 0; }
  /* All zero but its size when i is out of range. */
  tc_stats_row at(std::size_t i) const {
    tc_stats_row row = TC_STATS_ROW_INIT;
    if (i < size()) (void)tc_stats_at(raw_.get(), i, &row);
    return row;
  }
  tc_stats_row total() const {
    tc_stats_row row = TC_STATS_ROW_INIT;
    if (raw_) (void)tc_stats_total(raw_.get(), &row);
    return row;
  }
  const char *currencies() const { return raw_ ? tc_stats_currencies(raw_.get()) : ""; }

  detail::walker<stats> begin() const { return detail::walker<stats>(this, 0); }
  detail::walker<stats> end() const { return detail::walker<stats>(this, size()); }

private:
  std::unique_ptr<tc_stats, detail::destroyer<tc_stats, tc_stats_free>> raw_;
};

/* A leaderboard; for (const tc_board_row &row : board) walks it, the best first. Rows borrow from it. */
class board {
public:
  explicit board(tc_board *raw = nullptr) : raw_(raw) {}

  std::size_t size() const { return raw_ ? tc_board_count(raw_.get()) : 0; }
  /* All zero but its size when i is out of range. */
  tc_board_row at(std::size_t i) const {
    tc_board_row row = TC_BOARD_ROW_INIT;
    if (i < size()) (void)tc_board_at(raw_.get(), i, &row);
    return row;
  }
  /* What it spans: first <= created_at < second, in microseconds. */
  std::pair<std::int64_t, std::int64_t> span() const {
    std::pair<std::int64_t, std::int64_t> s(0, 0);
    if (raw_) tc_board_span(raw_.get(), &s.first, &s.second);
    return s;
  }

  detail::walker<board> begin() const { return detail::walker<board>(this, 0); }
  detail::walker<board> end() const { return detail::walker<board>(this, size()); }

private:
  std::unique_ptr<tc_board, detail::destroyer<tc_board, tc_board_free>> raw_;
};

} // namespace tipcurrent

#endif
