/* result.hpp - a value or an error, and text that may be absent. */
#ifndef TIPCURRENT_CPP_RESULT_HPP
#define TIPCURRENT_CPP_RESULT_HPP

#include <cstddef>
#include <string>
#include <utility>

#include "../error.h"

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#include <stdexcept>
#define TIPCURRENT_EXCEPTIONS 1
#endif

namespace tipcurrent {

/* Why a call failed: a code of error.h other than TC_OK, and one line as tc_last_error() had it. */
struct error {
  int code = TC_OK;
  std::string message;
};

#ifdef TIPCURRENT_EXCEPTIONS
/* What or_throw() throws. */
class exception : public std::runtime_error {
public:
  explicit exception(const error &e) : std::runtime_error(e.message), code_(e.code) {}
  int code() const noexcept { return code_; }

private:
  int code_;
};
#endif

namespace detail {

/* Of this thread's call that just returned code. */
inline error last_error(int code) {
  error e;
  e.code = code;
  const char *line = tc_last_error();
  e.message = *line ? line : tc_strerror(code);
  return e;
}

} // namespace detail

/* The outcome of a call that gives nothing else. True: it went well. */
class status {
public:
  status() {}
  status(error e) : error_(std::move(e)) {}

  bool ok() const { return error_.code == TC_OK; }
  explicit operator bool() const { return ok(); }
  int code() const { return error_.code; }
  const std::string &message() const { return error_.message; } /* "" when ok */
  const error &why() const { return error_; }

#ifdef TIPCURRENT_EXCEPTIONS
  void or_throw() const {
    if (!ok()) throw exception(error_);
  }
#endif

private:
  error error_;
};

/* The outcome of a call that gives a T. Look before you take: where it failed, value() is an empty T. */
template <class T> class result : public status {
public:
  result(T value) : value_(std::move(value)) {}
  result(error e) : status(std::move(e)), value_() {}

  T &value() & { return value_; }
  const T &value() const & { return value_; }
  T &&value() && { return std::move(value_); }
  T &operator*() { return value_; }
  const T &operator*() const { return value_; }
  T *operator->() { return &value_; }
  const T *operator->() const { return &value_; }

#ifdef TIPCURRENT_EXCEPTIONS
  /* The value moved out, or exception. */
  T or_throw() {
    status::or_throw();
    return std::move(value_);
  }
#endif

private:
  T value_;
};

/* Text that may be absent: C's NULL. "" is present. */
class text {
public:
  text() : present_(false) {}
  text(std::nullptr_t) : present_(false) {}
  text(const char *s) : present_(s != nullptr), value_(s ? s : "") {}
  text(std::string s) : present_(true), value_(std::move(s)) {}

  bool present() const { return present_; }
  const std::string &str() const { return value_; } /* "" when absent */

  /* For C: NULL when absent; borrowed. U+0000 is allowed in no text, and C would take what stands before it for all: a byte that is no UTF-8 has it refused instead. */
  const char *c_str() const {
    if (!present_) return nullptr;
    return value_.find('\0') == std::string::npos ? value_.c_str() : "\xff";
  }

private:
  bool present_;
  std::string value_;
};

} // namespace tipcurrent

#endif
