/* options.hpp - how an engine is opened, and the hooks that it keeps. */
#ifndef TIPCURRENT_CPP_OPTIONS_HPP
#define TIPCURRENT_CPP_OPTIONS_HPP

#include <functional>

#include "../engine.h"
#include "../webhook.h"
#include "result.hpp"

namespace tipcurrent {

/* As tc_webhook_options. */
struct webhook_options {
  text allow_receivers, retry_schedule, secret_key;
  std::uint32_t max_in_flight = 0, max_per_endpoint = 0, connect_timeout_ms = 0, total_timeout_ms = 0, disable_after_s = 0, log_days = 0;
  std::uint64_t log_rows = 0;
  std::uint32_t flags = 0;                 /* TC_WEBHOOK_EPOCH_TIME */
  const tc_transport *transport = nullptr; /* copied; what its userdata points to must outlive the engine */

  tc_webhook_options raw() const {
    tc_webhook_options c = TC_WEBHOOK_OPTIONS_INIT;
    c.allow_receivers = allow_receivers.c_str();
    c.retry_schedule = retry_schedule.c_str();
    c.secret_key = secret_key.c_str();
    c.max_in_flight = max_in_flight;
    c.max_per_endpoint = max_per_endpoint;
    c.connect_timeout_ms = connect_timeout_ms;
    c.total_timeout_ms = total_timeout_ms;
    c.disable_after_s = disable_after_s;
    c.log_days = log_days;
    c.log_rows = log_rows;
    c.flags = flags;
    c.transport = transport;
    return c;
  }
};

/* What an engine asks its host for while it is open. Called from any thread, possibly several at once; empty: the library's own. */
struct hooks {
  std::function<void(std::int32_t level, const char *line)> log; /* TC_LOG_X; line: borrowed for the call. Empty: silence */
  std::function<std::int64_t()> wall_us, monotonic_us;           /* both or none */
  std::function<bool(void *buf, std::size_t size)> random;       /* fills buf; false: it could not */
};

/* As tc_options. All of it is copied by engine::open, but what storage_ops and webhooks.transport point to. */
struct options {
  text storage_url;
  std::uint64_t max_pending_bytes = 0;
  std::uint32_t create_deadline_ms = 0;
  std::uint32_t flags = 0; /* TC_MISMATCH_REPLAY, TC_NO_THREADS */
  std::uint32_t idempotency_ttl_s = 0;
  std::uint32_t tail_max_events = 0;
  std::uint64_t tail_max_bytes = 0;
  tipcurrent::hooks hooks;
  const tc_storage_ops *storage_ops = nullptr; /* borrowed until the engine is closed */
  webhook_options webhooks;
  text currency;
  std::uint64_t rollup_bytes = 0;
};

namespace detail {

inline void run_log(void *userdata, std::int32_t level, const char *line) noexcept { static_cast<const hooks *>(userdata)->log(level, line); }
inline std::int64_t run_wall(void *userdata) noexcept { return static_cast<const hooks *>(userdata)->wall_us(); }
inline std::int64_t run_monotonic(void *userdata) noexcept { return static_cast<const hooks *>(userdata)->monotonic_us(); }
inline int run_random(void *userdata, void *buf, std::size_t size) noexcept {
  return static_cast<const hooks *>(userdata)->random(buf, size) ? TC_OK : TC_EUSER;
}

/* tc_open with o. kept: a copy of o.hooks that lives until tc_close. */
inline int open(tc_engine **out, const options &o, hooks *kept) {
  tc_log log = TC_LOG_INIT;
  log.write = run_log;
  log.userdata = kept;
  tc_clock clock = TC_CLOCK_INIT;
  clock.wall_us = kept->wall_us ? run_wall : nullptr;
  clock.monotonic_us = kept->monotonic_us ? run_monotonic : nullptr;
  clock.userdata = kept;
  tc_random random = TC_RANDOM_INIT;
  random.fill = run_random;
  random.userdata = kept;
  tc_webhook_options webhooks = o.webhooks.raw();

  tc_options c = TC_OPTIONS_INIT;
  c.storage_url = o.storage_url.c_str();
  c.max_pending_bytes = o.max_pending_bytes;
  c.create_deadline_ms = o.create_deadline_ms;
  c.flags = o.flags;
  c.idempotency_ttl_s = o.idempotency_ttl_s;
  c.tail_max_events = o.tail_max_events;
  c.tail_max_bytes = o.tail_max_bytes;
  c.clock = clock.wall_us || clock.monotonic_us ? &clock : nullptr;
  c.random = kept->random ? &random : nullptr;
  c.log = kept->log ? &log : nullptr;
  c.storage_ops = o.storage_ops;
  c.webhooks = &webhooks;
  c.currency = o.currency.c_str();
  c.rollup_bytes = o.rollup_bytes;
  return tc_open(out, &c);
}

} // namespace detail

} // namespace tipcurrent

#endif
