/* move.hpp - backups, checks, exports, migration, import: move.h for C++. Calls by themselves, no engine is needed. */
#ifndef TIPCURRENT_CPP_MOVE_HPP
#define TIPCURRENT_CPP_MOVE_HPP

#include <cstdint>
#include <functional>
#include <string>

#include "../move.h"
#include "event.hpp"
#include "result.hpp"

namespace tipcurrent {

/* How a long call tells what it does. Both are called in the caller's thread, and may be left empty. */
struct move_watch {
  std::function<bool(const std::string &what, std::int64_t done, std::int64_t total)> progress; /* false: stop, TC_EUSER */
  std::function<void(const std::string &line)> note;
  std::uint32_t idempotency_ttl_s = 0;
  std::string secret_key; /* of import_log; empty: none */
};

namespace detail {

inline int move_progress(void *userdata, const char *what, std::int64_t done, std::int64_t total) {
  const move_watch *watch = static_cast<const move_watch *>(userdata);
  return watch->progress && !watch->progress(what, done, total);
}

inline void move_note(void *userdata, const char *line) {
  const move_watch *watch = static_cast<const move_watch *>(userdata);
  if (watch->note) watch->note(line);
}

inline tc_move_options move_options_of(const move_watch &watch) {
  tc_move_options options = TC_MOVE_OPTIONS_INIT;
  options.progress = move_progress;
  options.note = move_note;
  options.userdata = const_cast<move_watch *>(&watch);
  options.idempotency_ttl_s = watch.idempotency_ttl_s;
  options.secret_key = watch.secret_key.empty() ? nullptr : watch.secret_key.c_str();
  return options;
}

inline int export_one(void *userdata, const tc_event *raw) {
  const std::function<bool(const event &)> *fn = static_cast<const std::function<bool(const event &)> *>(userdata);
  return !(*fn)(event::share(raw));
}

} // namespace detail

/* tc_export: fn gets each event, and says whether it wants the next one (false: TC_EUSER). */
inline result<tc_move_counts> export_log(const std::string &storage_url, std::int64_t after_seq, std::uint64_t kinds,
                                         const std::function<bool(const event &)> &fn, const move_watch &watch = move_watch()) {
  tc_move_options options = detail::move_options_of(watch);
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  int code = tc_export(storage_url.c_str(), after_seq, kinds, detail::export_one, const_cast<std::function<bool(const event &)> *>(&fn), &options, &counts);
  if (code) return detail::last_error(code);
  return counts;
}

/* tc_backup. */
inline result<tc_move_counts> backup(const std::string &storage_url, const std::string &directory, const move_watch &watch = move_watch()) {
  tc_move_options options = detail::move_options_of(watch);
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  int code = tc_backup(storage_url.c_str(), directory.c_str(), &options, &counts);
  if (code) return detail::last_error(code);
  return counts;
}

/* tc_verify. TC_ECORRUPT: it is damaged, in message() the first finding. */
inline result<tc_move_counts> verify(const std::string &storage_url, const move_watch &watch = move_watch()) {
  tc_move_options options = detail::move_options_of(watch);
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  int code = tc_verify(storage_url.c_str(), &options, &counts);
  if (code) return detail::last_error(code);
  return counts;
}

/* tc_import. */
inline result<tc_move_counts> import_log(const std::string &from_url, const std::string &to_url, const move_watch &watch = move_watch()) {
  tc_move_options options = detail::move_options_of(watch);
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  int code = tc_import(from_url.c_str(), to_url.c_str(), &options, &counts);
  if (code) return detail::last_error(code);
  return counts;
}

/* tc_migrate. */
inline result<tc_move_counts> migrate(const std::string &from_url, const std::string &to_url, const move_watch &watch = move_watch()) {
  tc_move_options options = detail::move_options_of(watch);
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  int code = tc_migrate(from_url.c_str(), to_url.c_str(), &options, &counts);
  if (code) return detail::last_error(code);
  return counts;
}

} // namespace tipcurrent

#endif
