/* batch.hpp - many creates in one call, and amounts as text. */
#ifndef TIPCURRENT_CPP_BATCH_HPP
#define TIPCURRENT_CPP_BATCH_HPP

#include <string>

#include "../amount.h"
#include "../batch.h"
#include "answer.hpp"
#include "event.hpp"
#include "result.hpp"

namespace tipcurrent {

/* The answers to engine::batch_submit; for (tipcurrent::outcome o : batch) walks them once wait() went well. May outlive the engine. */
class batch {
public:
  explicit batch(tc_batch *raw = nullptr) : raw_(raw) {}

  /* Until every line has its answer: TC_ETIMEOUT. */
  status wait(std::int32_t timeout_ms = -1) {
    int code = tc_batch_wait(raw_.get(), timeout_ms);
    return code ? status(detail::last_error(code)) : status();
  }
  std::size_t size() const { return tc_batch_count(raw_.get()); }
  std::size_t failed() const { return tc_batch_failed(raw_.get()); } /* of them, so far */
  /* The i-th line's; TC_ENOTFOUND when i is out of range, or not all have an answer yet. */
  outcome at(std::size_t i) const {
    const tc_result none = {sizeof(tc_result), TC_ENOTFOUND, 0, nullptr, ""};
    const tc_result *answer = tc_batch_at(raw_.get(), i);
    return outcome(answer ? *answer : none);
  }

  detail::walker<batch> begin() const { return detail::walker<batch>(this, 0); }
  detail::walker<batch> end() const { return detail::walker<batch>(this, size()); }

private:
  std::unique_ptr<tc_batch, detail::destroyer<tc_batch, tc_batch_free>> raw_;
};

/* "100.00" as 10000. TC_EINVAL, in the words of a create. */
inline result<std::int64_t> amount_parse(const std::string &decimal) {
  std::int64_t hundredths = 0;
  int code = tc_amount_parse(decimal.data(), decimal.size(), &hundredths);
  if (code) return detail::last_error(code);
  return hundredths;
}
/* 10000 as "100.00". */
inline std::string amount_format(std::int64_t hundredths) {
  char out[TC_AMOUNT_SIZE];
  return std::string(out, tc_amount_format(hundredths, out));
}

} // namespace tipcurrent

#endif
