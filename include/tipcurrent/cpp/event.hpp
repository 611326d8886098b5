/* event.hpp - an event shared by reference, a page of them, and the range that pages and answers are walked by. */
#ifndef TIPCURRENT_CPP_EVENT_HPP
#define TIPCURRENT_CPP_EVENT_HPP

#include <cstdint>
#include <memory>
#include <utility>

#include "../error.h"
#include "../event.h"
#include "../page.h"

namespace tipcurrent {

/* One reference to an event, or none. Copies share it; what str() and json() give is borrowed and lives as long as any reference. Accessors only of one that is there. May outlive
 * the engine. Any thread; one object is one thread's at a time, as with std::shared_ptr. */
class event {
public:
  event() : raw_(nullptr) {}
  event(const event &other) : raw_(other.raw_ ? tc_event_ref(other.raw_) : nullptr) {}
  event(event &&other) noexcept : raw_(other.raw_) { other.raw_ = nullptr; }
  event &operator=(event other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~event() { tc_event_unref(raw_); }

  /* Takes over a reference that C handed out. */
  static event adopt(tc_event *raw) {
    event e;
    e.raw_ = raw;
    return e;
  }
  /* One more reference to what C lent. */
  static event share(const tc_event *raw) { return adopt(raw ? tc_event_ref(raw) : nullptr); }

  explicit operator bool() const { return raw_ != nullptr; }
  const tc_event *raw() const { return raw_; }

  std::uint32_t kind() const { return tc_event_kind(raw_); } /* TC_KIND_X */
  std::int64_t seq() const { return tc_event_seq(raw_); }
  std::int64_t id() const { return tc_event_id(raw_); }

  /* A text field (TC_FIELD_X): NULL when absent. */
  const char *str(std::uint32_t field) const { return tc_event_str(raw_, field); }
  /* A number field; otherwise when the kind has none. */
  std::int64_t number(std::uint32_t field, std::int64_t otherwise = 0) const {
    std::int64_t value = otherwise;
    return tc_event_int(raw_, field, &value) == TC_OK ? value : otherwise;
  }
  /* The bytes that everybody gets, NUL-terminated; *size (may be NULL) without the NUL. */
  const char *json(std::size_t *size = nullptr) const { return tc_event_json(raw_, size); }

  const char *room_id() const { return str(TC_FIELD_ROOM_ID); }
  std::int64_t amount() const { return number(TC_FIELD_AMOUNT); } /* hundredths */
  std::int64_t created_at_us() const { return number(TC_FIELD_CREATED_AT_US); }

private:
  tc_event *raw_;
};

namespace detail {

/* Walks what has size() and at(i). */
template <class Container> class walker {
public:
  walker(const Container *all, std::size_t i) : all_(all), i_(i) {}
  auto operator*() const -> decltype(std::declval<const Container &>().at(0)) { return all_->at(i_); }
  walker &operator++() {
    ++i_;
    return *this;
  }
  bool operator!=(const walker &other) const { return i_ != other.i_; }

private:
  const Container *all_;
  std::size_t i_;
};

/* A unique_ptr's deleter out of a C destructor, which takes NULL too. */
template <class T, void (*destroy)(T *)> struct destroyer {
  void operator()(T *raw) const { destroy(raw); }
};

} // namespace detail

/* One page of a list; for (tipcurrent::event e : page) walks it. */
class page {
public:
  explicit page(tc_page *raw = nullptr) : raw_(raw) {}

  std::size_t size() const { return raw_ ? tc_page_count(raw_.get()) : 0; }
  event at(std::size_t i) const { return event::share(raw_ ? tc_page_at(raw_.get(), i) : nullptr); } /* empty when i is out of range */
  std::int64_t total() const { return raw_ ? tc_page_total(raw_.get()) : 0; }                        /* of all that matches */
  const char *next() const { return raw_ ? tc_page_next(raw_.get()) : nullptr; } /* for .after of the query; NULL: this is the end. Borrowed from the page */

  detail::walker<page> begin() const { return detail::walker<page>(this, 0); }
  detail::walker<page> end() const { return detail::walker<page>(this, size()); }

private:
  std::unique_ptr<tc_page, detail::destroyer<tc_page, tc_page_free>> raw_;
};

} // namespace tipcurrent

#endif
