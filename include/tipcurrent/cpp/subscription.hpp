/* subscription.hpp - follow the log, by callback or by pull. */
#ifndef TIPCURRENT_CPP_SUBSCRIPTION_HPP
#define TIPCURRENT_CPP_SUBSCRIPTION_HPP

#include <atomic>
#include <functional>
#include <thread>

#include "../subscription.h"
#include "event.hpp"
#include "result.hpp"

namespace tipcurrent {

/* What to follow. */
struct sub_options {
  text room_id;                /* absent: all rooms */
  std::uint64_t kinds = 0;     /* bit mask of (1 << TC_KIND_X); 0: all */
  std::int64_t after_seq = -1; /* 0 and up: begin after it; -1: with the first event from now on */

  tc_sub_options raw() const {
    tc_sub_options c = TC_SUB_OPTIONS_INIT;
    c.room_id = room_id.c_str();
    c.kinds = kinds;
    if (after_seq >= 0) {
      c.flags = TC_SUB_AFTER_SEQ;
      c.after_seq = after_seq;
    }
    return c;
  }
};

typedef std::function<void(const event &)> event_fn;

namespace detail {

/* A callback and who runs it. It is deleted by whoever closes the subscription; where that is the callback itself, when it has returned. */
struct follower {
  explicit follower(event_fn f) : fn(std::move(f)), inside(std::thread::id()), orphan(false) {}

  static void run(const tc_event *raw, void *userdata) noexcept {
    follower *self = static_cast<follower *>(userdata);
    self->inside.store(std::this_thread::get_id());
    self->fn(event::share(raw));
    self->inside.store(std::thread::id());
    if (self->orphan) delete self;
  }

  event_fn fn;
  std::atomic<std::thread::id> inside;
  bool orphan; /* only the thread that is inside touches it */
};

} // namespace detail

/* A subscription, closed when it goes. Closing waits for a running callback, but inside its own it takes effect when that returns: the callback may destroy or assign over the object
 * that it belongs to. May outlive the engine. One object is one thread's at a time. */
class subscription {
public:
  subscription() : raw_(nullptr), follower_(nullptr) {}
  subscription(subscription &&other) noexcept : raw_(other.raw_), follower_(other.follower_) {
    other.raw_ = nullptr;
    other.follower_ = nullptr;
  }
  subscription &operator=(subscription &&other) noexcept {
    subscription old(std::move(*this));
    std::swap(raw_, other.raw_);
    std::swap(follower_, other.follower_);
    return *this;
  }
  ~subscription() { close(); }

  /* fn empty: pull by next(). What engine::subscribe calls. */
  static result<subscription> open(tc_engine *engine, const sub_options &o, event_fn fn) {
    tc_sub_options c = o.raw();
    subscription s;
    if (fn) s.follower_ = new detail::follower(std::move(fn));
    int code = tc_subscribe(engine, &c, s.follower_ ? detail::follower::run : nullptr, s.follower_, &s.raw_);
    if (code) return detail::last_error(code);
    return result<subscription>(std::move(s));
  }

  explicit operator bool() const { return raw_ != nullptr; }
  tc_sub *raw() const { return raw_; }

  /* Pull: the next event; 0: do not wait, -1: as long as it takes. TC_ETIMEOUT: none came. TC_ECLOSED: shut down and drained. */
  result<event> next(std::int32_t timeout_ms = -1) {
    tc_event *e = nullptr;
    int code = tc_sub_next(raw_, timeout_ms, &e);
    if (code) return detail::last_error(code);
    return event::adopt(e);
  }
  int fd() const { return tc_sub_fd(raw_); }            /* pull: polls readable when next() may have something; to be watched only */
  std::int64_t seq() const { return tc_sub_seq(raw_); } /* where to resume */

  void close() {
    tc_sub *raw = raw_;
    detail::follower *f = follower_;
    raw_ = nullptr;
    follower_ = nullptr;
    bool own = f && f->inside.load() == std::this_thread::get_id();
    if (own) f->orphan = true;
    tc_sub_close(raw);
    if (!own) delete f;
  }

private:
  tc_sub *raw_;
  detail::follower *follower_;
};

} // namespace tipcurrent

#endif
