/* facts.cpp - small values that the engine derives from the log and keeps here, in the order of their keys. */
#include "storage.hpp"

namespace {

int check_key(const tc_storage *s, std::uint32_t space, tc_text key) {
  if (space >= 1 && space <= TC_FACT_SPACE_MAX && key.len <= TC_FACT_KEY_MAX) return TC_OK;
  s->env.fail(TC_EINVAL, "a fact's space must be 1 to %u, its key at most %u bytes", TC_FACT_SPACE_MAX, TC_FACT_KEY_MAX);
  return TC_EINVAL;
}

fact_key key_of(std::uint32_t space, tc_text key) { return fact_key(space, key.ptr ? std::string(key.ptr, key.len) : std::string()); }

tc_text text_of(const std::string &s) { return tc_text{s.data(), s.size()}; }

int check_commit(const tc_storage *s, std::int64_t seq, const tc_fact *facts, std::size_t n) {
  if (seq < s->facts_seq || seq > s->data.log_seq()) {
    s->env.fail(TC_EINVAL, "facts up to %lld do not lie between %lld and the log's end", static_cast<long long>(seq), static_cast<long long>(s->facts_seq));
    return TC_EINVAL;
  }
  for (std::size_t i = 0; i < n; i++) {
    int code = check_key(s, facts[i].space, facts[i].key);
    if (code) return code;
    if (facts[i].value.len > TC_FACT_VALUE_MAX) {
      s->env.fail(TC_EINVAL, "a fact's value must be at most %u bytes", TC_FACT_VALUE_MAX);
      return TC_EINVAL;
    }
  }
  return TC_OK;
}

} // namespace

int own_facts_cursor(tc_storage *s, std::int64_t *seq) {
  return reading(s, [&]() -> int {
    *seq = s->facts_seq;
    return TC_OK;
  });
}

/* All that can run out of memory comes first, and shows nothing yet; what follows cannot fail. */
int own_facts_commit(tc_storage *s, std::int64_t seq, const tc_fact *facts, std::size_t n) {
  return reading(s, [&]() -> int {
    int code = check_commit(s, seq, facts, n);
    if (code) return code;
    std::map<fact_key, fact_value> changes; /* of two for one key the later */
    for (std::size_t i = 0; i < n; i++) {
      tc_text value = facts[i].value;
      changes[key_of(facts[i].space, facts[i].key)] = fact_value{value.ptr != nullptr, value.ptr ? std::string(value.ptr, value.len) : std::string()};
    }
    const fact_value absent = {false, std::string()};
    for (auto &change : changes) s->facts.insert(std::make_pair(change.first, absent));
    for (auto &change : changes) {
      auto at = s->facts.find(change.first);
      std::swap(at->second, change.second);
      if (!at->second.present) s->facts.erase(at);
    }
    s->facts_seq = seq;
    return TC_OK;
  });
}

int own_fact_first(tc_storage *s, std::uint32_t space, tc_text from, tc_fact_fn fn, void *arg) {
  int code = check_key(s, space, from);
  if (code) return code;
  return reading(s, [&]() -> int {
    auto at = s->facts.lower_bound(key_of(space, from));
    while (at != s->facts.end() && !at->second.present) ++at; /* a commit that ran out of memory left it */
    if (at != s->facts.end() && at->first.first == space) (void)fn(text_of(at->first.second), text_of(at->second.value), arg);
    return TC_OK;
  });
}

int own_facts_scan(tc_storage *s, std::uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg) {
  int code = check_key(s, space, from);
  if (!code && to.ptr) code = check_key(s, space, to);
  if (code) return code;
  return reading(s, [&]() -> int {
    fact_key end = key_of(space, to);
    for (auto at = s->facts.lower_bound(key_of(space, from)); at != s->facts.end() && at->first.first == space; ++at) {
      if (to.ptr && at->first >= end) break;
      if (at->second.present && fn(text_of(at->first.second), text_of(at->second.value), arg)) break;
    }
    return TC_OK;
  });
}
