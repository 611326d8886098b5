/* engine.hpp - the engine: every call of the C API by its C name, on one object. */
#ifndef TIPCURRENT_CPP_ENGINE_HPP
#define TIPCURRENT_CPP_ENGINE_HPP

#include <vector>

#include "../abi.h"
#include "../allocator.h"
#include "answer.hpp"
#include "batch.hpp"
#include "event.hpp"
#include "input.hpp"
#include "options.hpp"
#include "result.hpp"
#include "subscription.hpp"

namespace tipcurrent {

/* Runs once for each submit that went well, in commit order, on the engine's writer thread: what tc_done_fn says of itself holds here too. */
typedef std::function<void(const outcome &)> done_fn;

namespace detail {

inline void run_done(const tc_result *r, void *userdata) noexcept {
  std::unique_ptr<done_fn> done(static_cast<done_fn *>(userdata));
  if (*done) (*done)(outcome(*r));
}

/* call(fn, userdata) is a submit of C: where it took the create, run_done owns the function. */
template <class Call> status submit(done_fn fn, Call call) {
  std::unique_ptr<done_fn> done(new done_fn(std::move(fn)));
  int code = call(run_done, done.get());
  if (code) return last_error(code);
  (void)done.release();
  return status();
}

/* call(out, replayed) is a create of C. */
template <class Call> result<created<event>> create(Call call) {
  tc_event *raw = nullptr;
  std::int32_t replayed = 0;
  int code = call(&raw, &replayed);
  if (code) return last_error(code);
  created<event> made;
  made.value = event::adopt(raw);
  made.replayed = replayed != 0;
  return made;
}

/* call(out) gives a handle that T takes over. */
template <class T, class Raw, class Call> result<T> owned(Call call) {
  Raw *raw = nullptr;
  int code = call(&raw);
  if (code) return last_error(code);
  return T(raw);
}

inline status outcome_of(int code) { return code ? status(last_error(code)) : status(); }

/* What C shows to a callback during a call, copied: the last one, or all. */
template <class T, class Raw> void keep_one(const Raw *raw, void *userdata) noexcept { *static_cast<T *>(userdata) = T(*raw); }
template <class T, class Raw> void keep_all(const Raw *raw, void *userdata) noexcept { static_cast<std::vector<T> *>(userdata)->push_back(T(*raw)); }
inline void keep_webhook(const tc_webhook *raw, void *userdata) noexcept { static_cast<std::vector<webhook> *>(userdata)->push_back(webhook(raw)); }

inline result<event> got(int code, tc_event *raw) {
  if (code) return last_error(code);
  return event::adopt(raw);
}

inline result<webhook> shown(int code, tc_webhook *raw) {
  if (code) return last_error(code);
  std::unique_ptr<tc_webhook, destroyer<tc_webhook, tc_webhook_unref>> handle(raw);
  return webhook(raw);
}

} // namespace detail

/* An engine, closed when it goes: not from a callback, where tc_close refuses and shutdown() is what there is. Calls on an empty one answer TC_EINVAL. Any thread may call, but who
 * moves, closes or destroys it is alone with it. */
class engine {
public:
  engine() : raw_(nullptr) {}
  engine(engine &&other) noexcept : raw_(other.raw_), hooks_(std::move(other.hooks_)) { other.raw_ = nullptr; }
  engine &operator=(engine &&other) noexcept {
    engine old(std::move(*this));
    std::swap(raw_, other.raw_);
    std::swap(hooks_, other.hooks_);
    return *this;
  }
  ~engine() {
    /* From inside a callback it cannot be closed: it is left open then, with its hooks, instead of being pulled away from under the caller. */
    if (!close()) (void)hooks_.release();
  }

  static result<engine> open(const options &o) {
    engine e;
    e.hooks_.reset(new hooks(o.hooks));
    int code = detail::open(&e.raw_, o, e.hooks_.get());
    if (code) return detail::last_error(code);
    return result<engine>(std::move(e));
  }

  explicit operator bool() const { return raw_ != nullptr; }
  tc_engine *raw() const { return raw_; } /* for calls of C; stays this object's */

  /* tc_close. TC_EINVAL from a callback: nothing was done. An engine that is closed already is fine. */
  status close() {
    int code = tc_close(raw_);
    if (code) return detail::last_error(code);
    raw_ = nullptr;
    hooks_.reset();
    return status();
  }
  void shutdown() { tc_shutdown(raw_); }
  std::string currency() const { return raw_ ? tc_engine_currency(raw_) : ""; }
  result<tc_status> get_status() const {
    tc_status s = TC_STATUS_INIT;
    int code = tc_engine_status(raw_, &s);
    if (code) return detail::last_error(code);
    return s;
  }

  /* Without threads (TC_NO_THREADS). */
  status poll(std::int32_t timeout_ms) { return detail::outcome_of(tc_engine_poll(raw_, timeout_ms)); }
  result<int> fd() const {
    int descriptor = tc_engine_fd(raw_);
    if (descriptor < 0) return detail::last_error(TC_EINVAL);
    return descriptor;
  }
  /* True: there is more to do. */
  result<bool> tick() {
    std::int32_t more = 0;
    int code = tc_engine_tick(raw_, &more);
    if (code) return detail::last_error(code);
    return more != 0;
  }

  /* Tips. */
  result<created<event>> tip_create(const tip_new &t) {
    tc_tip_new c = t.raw();
    return detail::create([&](tc_event **out, std::int32_t *replayed) { return tc_tip_create(raw_, &c, out, replayed); });
  }
  status tip_submit(const tip_new &t, done_fn done) {
    tc_tip_new c = t.raw();
    return detail::submit(std::move(done), [&](tc_done_fn fn, void *userdata) { return tc_tip_submit(raw_, &c, fn, userdata); });
  }
  result<event> tip_get(std::int64_t id) const {
    tc_event *e = nullptr;
    int code = tc_tip_get(raw_, id, &e);
    return detail::got(code, e);
  }
  result<page> tip_list(const tip_query &q) const {
    tc_tip_query c = q.raw();
    return detail::owned<page, tc_page>([&](tc_page **out) { return tc_tip_list(raw_, &c, out); });
  }

  /* Refunds. */
  result<created<event>> tip_refund(const refund_new &r) {
    tc_refund_new c = r.raw();
    return detail::create([&](tc_event **out, std::int32_t *replayed) { return tc_tip_refund(raw_, &c, out, replayed); });
  }
  status tip_refund_submit(const refund_new &r, done_fn done) {
    tc_refund_new c = r.raw();
    return detail::submit(std::move(done), [&](tc_done_fn fn, void *userdata) { return tc_tip_refund_submit(raw_, &c, fn, userdata); });
  }
  status tip_refund_json_submit(std::int64_t tip_id, const std::string &json, const text &key, done_fn done) {
    return detail::submit(std::move(done), [&](tc_done_fn fn, void *userdata) {
      return tc_tip_refund_json_submit(raw_, tip_id, json.data(), json.size(), key.c_str(), fn, userdata);
    });
  }
  result<std::int64_t> tip_refunded(const event &tip) const {
    std::int64_t amount = 0;
    int code = tc_tip_refunded(raw_, tip.raw(), &amount);
    if (code) return detail::last_error(code);
    return amount;
  }

  /* Many at once: a line of JSON each, of one kind (TC_KIND_X, 0: activities), as tc_batch_submit has it. */
  result<batch> batch_submit(std::uint32_t kind, const std::string &lines, std::uint32_t lines_max = 0, std::size_t line_max_bytes = 0) {
    tc_batch_options o = TC_BATCH_OPTIONS_INIT;
    o.kind = kind;
    o.lines_max = lines_max;
    o.line_max_bytes = line_max_bytes;
    return detail::owned<batch, tc_batch>([&](tc_batch **out) { return tc_batch_submit(raw_, &o, lines.data(), lines.size(), out); });
  }

  /* Reactions. */
  result<created<event>> reaction_create(const reaction_new &r) {
    tc_reaction_new c = r.raw();
    return detail::create([&](tc_event **out, std::int32_t *replayed) { return tc_reaction_create(raw_, &c, out, replayed); });
  }
  status reaction_submit(const reaction_new &r, done_fn done) {
    tc_reaction_new c = r.raw();
    return detail::submit(std::move(done), [&](tc_done_fn fn, void *userdata) { return tc_reaction_submit(raw_, &c, fn, userdata); });
  }
  result<event> reaction_get(std::int64_t id) const {
    tc_event *e = nullptr;
    int code = tc_reaction_get(raw_, id, &e);
    return detail::got(code, e);
  }
  result<page> reaction_list(const reaction_query &q) const {
    tc_reaction_query c = q.raw();
    return detail::owned<page, tc_page>([&](tc_page **out) { return tc_reaction_list(raw_, &c, out); });
  }

  /* Follows, subscriptions to a channel, raids, and types of your own. */
  result<created<event>> activity_create(const activity_new &a) {
    tc_activity_new c = a.raw();
    return detail::create([&](tc_event **out, std::int32_t *replayed) { return tc_activity_create(raw_, &c, out, replayed); });
  }
  status activity_submit(const activity_new &a, done_fn done) {
    tc_activity_new c = a.raw();
    return detail::submit(std::move(done), [&](tc_done_fn fn, void *userdata) { return tc_activity_submit(raw_, &c, fn, userdata); });
  }
  status activity_json_submit(const std::string &json, const text &key, done_fn done) {
    return detail::submit(std::move(done),
                          [&](tc_done_fn fn, void *userdata) { return tc_activity_json_submit(raw_, json.data(), json.size(), key.c_str(), fn, userdata); });
  }
  result<event> activity_get(const text &type, std::int64_t id) const {
    tc_event *e = nullptr;
    int code = tc_activity_get(raw_, type.c_str(), id, &e);
    return detail::got(code, e);
  }
  result<page> activity_list(const activity_query &q) const {
    tc_activity_query c = q.raw();
    return detail::owned<page, tc_page>([&](tc_page **out) { return tc_activity_list(raw_, &c, out); });
  }
  /* replayed: it was there, with the same description. */
  result<created<event_type>> event_type_create(const text &name, const text &description = text()) {
    created<event_type> made;
    std::int32_t existed = 0;
    int code = tc_event_type_create(raw_, name.c_str(), description.c_str(), detail::keep_one<event_type, tc_event_type>, &made.value, &existed);
    if (code) return detail::last_error(code);
    made.replayed = existed != 0;
    return made;
  }
  status event_type_delete(const text &name) { return detail::outcome_of(tc_event_type_delete(raw_, name.c_str())); }
  result<std::vector<event_type>> event_type_list() const {
    std::vector<event_type> all;
    int code = tc_event_type_list(raw_, detail::keep_all<event_type, tc_event_type>, &all);
    if (code) return detail::last_error(code);
    return all;
  }

  /* JSON as the REST API takes it: kind is TC_KIND_TIP or TC_KIND_REACTION. */
  status json_submit(std::uint32_t kind, const std::string &json, const text &key, done_fn done) {
    return detail::submit(std::move(done),
                          [&](tc_done_fn fn, void *userdata) { return tc_json_submit(raw_, kind, json.data(), json.size(), key.c_str(), fn, userdata); });
  }

  /* Goals. */
  result<created<goal>> goal_create(const goal_new &g) {
    tc_goal_new c = g.raw();
    return made_goal([&](goal *out, std::int32_t *replayed) { return tc_goal_create(raw_, &c, detail::keep_one<goal, tc_goal>, out, replayed); });
  }
  result<created<goal>> goal_json_create(const text &room_id, const std::string &json, const text &key) {
    return made_goal([&](goal *out, std::int32_t *replayed) {
      return tc_goal_json_create(raw_, room_id.c_str(), json.data(), json.size(), key.c_str(), detail::keep_one<goal, tc_goal>, out, replayed);
    });
  }
  result<goal> goal_close(std::int64_t id) {
    goal g;
    int code = tc_goal_close(raw_, id, detail::keep_one<goal, tc_goal>, &g);
    if (code) return detail::last_error(code);
    return g;
  }
  result<goal> goal_get(std::int64_t id) const {
    goal g;
    int code = tc_goal_get(raw_, id, detail::keep_one<goal, tc_goal>, &g);
    if (code) return detail::last_error(code);
    return g;
  }
  result<std::vector<goal>> goal_list(const text &room_id) const {
    std::vector<goal> all;
    int code = tc_goal_list(raw_, room_id.c_str(), detail::keep_all<goal, tc_goal>, &all);
    if (code) return detail::last_error(code);
    return all;
  }

  /* Webhooks. */
  result<created<webhook>> webhook_create(const webhook_new &w) {
    tc_webhook_new c = w.raw();
    tc_webhook *raw = nullptr;
    std::int32_t replayed = 0;
    int code = tc_webhook_create(raw_, &c, &raw, &replayed);
    result<webhook> one = detail::shown(code, raw);
    if (!one) return one.why();
    created<webhook> made;
    made.value = std::move(one).value();
    made.replayed = replayed != 0;
    return made;
  }
  result<webhook> webhook_get(std::int64_t id) const {
    tc_webhook *raw = nullptr;
    int code = tc_webhook_get(raw_, id, &raw);
    return detail::shown(code, raw);
  }
  result<webhook> webhook_update(std::int64_t id, const webhook_change &w) {
    tc_webhook_change c = w.raw();
    tc_webhook *raw = nullptr;
    int code = tc_webhook_update(raw_, id, &c, &raw);
    return detail::shown(code, raw);
  }
  status webhook_delete(std::int64_t id) { return detail::outcome_of(tc_webhook_delete(raw_, id)); }
  /* global: those of all rooms only; room_id: those of that room only; else all. */
  result<std::vector<webhook>> webhook_list(bool global = false, const text &room_id = text()) const {
    std::vector<webhook> all;
    int code = tc_webhook_list(raw_, global, room_id.c_str(), detail::keep_webhook, &all);
    if (code) return detail::last_error(code);
    return all;
  }
  status webhook_test(std::int64_t id) { return detail::outcome_of(tc_webhook_test(raw_, id)); }
  status webhook_resend(std::int64_t id, std::int64_t delivery_id) { return detail::outcome_of(tc_webhook_resend(raw_, id, delivery_id)); }
  /* How many events are owed again. */
  result<std::int64_t> webhook_replay(std::int64_t id, std::int64_t from_seq, std::int64_t to_seq) {
    return counted([&](std::int64_t *n) { return tc_webhook_replay(raw_, id, from_seq, to_seq, n); });
  }
  result<std::int64_t> webhook_replay_time(std::int64_t id, std::int64_t from_us, std::int64_t to_us) {
    return counted([&](std::int64_t *n) { return tc_webhook_replay_time(raw_, id, from_us, to_us, n); });
  }
  result<delivery_page> webhook_deliveries(std::int64_t id, std::int64_t page_number, std::int32_t size) const {
    delivery_page p;
    int code = tc_webhook_deliveries(raw_, id, page_number, size, detail::keep_all<delivery, tc_webhook_delivery>, &p.rows, &p.total);
    if (code) return detail::last_error(code);
    return p;
  }

  /* Statistics and leaderboards. */
  result<stats> stats_periods(const stats_query &q) const { return told(tc_stats_periods, q); }
  result<stats> stats_emojis(const stats_query &q) const { return told(tc_stats_emojis, q); }
  result<stats> stats_recipients(const stats_query &q) const { return told(tc_stats_recipients, q); }
  result<std::int64_t> stats_rebuild(std::int64_t from_us, std::int64_t to_us) {
    return counted([&](std::int64_t *n) { return tc_stats_rebuild(raw_, from_us, to_us, n); });
  }
  result<board> board_top(const board_query &q) const {
    tc_board_query c = q.raw();
    return detail::owned<board, tc_board>([&](tc_board **out) { return tc_board_top(raw_, &c, out); });
  }
  result<tc_board_row> board_rank(const board_query &q, const text &user_id) const {
    tc_board_query c = q.raw();
    tc_board_row row = TC_BOARD_ROW_INIT;
    int code = tc_board_rank(raw_, &c, user_id.c_str(), &row);
    if (code) return detail::last_error(code);
    return row;
  }

  /* Follow the log: by callback, which may run before this returns, or by pull (subscription::next). */
  result<subscription> subscribe(const sub_options &o, event_fn fn) { return subscription::open(raw_, o, std::move(fn)); }
  result<subscription> subscribe(const sub_options &o = sub_options()) { return subscription::open(raw_, o, event_fn()); }

private:
  template <class Call> static result<created<goal>> made_goal(Call call) {
    created<goal> made;
    std::int32_t replayed = 0;
    int code = call(&made.value, &replayed);
    if (code) return detail::last_error(code);
    made.replayed = replayed != 0;
    return made;
  }
  template <class Call> static result<std::int64_t> counted(Call call) {
    std::int64_t n = 0;
    int code = call(&n);
    if (code) return detail::last_error(code);
    return n;
  }
  result<stats> told(int (*ask)(tc_engine *, const tc_stats_query *, tc_stats **), const stats_query &q) const {
    tc_stats_query c = q.raw();
    return detail::owned<stats, tc_stats>([&](tc_stats **out) { return ask(raw_, &c, out); });
  }

  tc_engine *raw_;
  std::unique_ptr<hooks> hooks_;
};

/* As tc_allocator_set: once, before the first engine. */
inline status allocator_set(const tc_allocator &allocator) { return detail::outcome_of(tc_allocator_set(&allocator)); }

/* The version of the library at run time. */
inline const char *version() { return tc_version(); }
/* Its ABI, and how it lays out the structs: TC_ABI_VERSION, and see tc_abi_layout. */
inline std::uint32_t abi_version() { return tc_abi_version(); }
inline const tc_abi_member *abi_layout(std::size_t *count) { return tc_abi_layout(count); }

} // namespace tipcurrent

#endif
