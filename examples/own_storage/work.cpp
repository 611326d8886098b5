/* work.cpp - what is owed to the outside, and what was tried. Written without waiting for the disk: a power cut may take its end, a killed process not. */
#include "storage.hpp"

namespace {

const std::size_t TRIM_SLICE = 512;

/* commit() for those whose caller knows of no unknown outcome: sent again is what comes of it. */
int commit_work(tc_storage *s, const tc_work &work, const std::vector<std::int64_t> &dropped) {
  int code = commit(s, change_work(work, dropped), false);
  return code == TC_EUNKNOWN ? TC_ESTORAGE : code;
}

} // namespace

int own_work_commit(tc_storage *s, tc_work *work) {
  return writing(s, [&]() -> int {
    std::vector<tc_delivery> log(work->log, work->log + work->log_n);
    for (std::size_t i = 0; i < log.size(); i++) log[i].id = s->data.last_attempt + static_cast<std::int64_t>(i) + 1;
    tc_work numbered = *work;
    numbered.log = log.data();
    int code = commit_work(s, numbered, std::vector<std::int64_t>());
    for (std::size_t i = 0; !code && i < log.size(); i++) work->log[i].id = log[i].id;
    return code;
  });
}

int own_work_state(tc_storage *s, std::int64_t *cursor_seq, tc_owed_fn next, void *arg) {
  return reading(s, [&]() -> int {
    for (auto at = s->data.owed.begin(); next && at != s->data.owed.end();) {
      std::int64_t webhook_id = at->first.first;
      if (next(&s->data.due(webhook_id)[0], arg)) break;
      while (at != s->data.owed.end() && at->first.first == webhook_id) ++at;
    }
    *cursor_seq = s->data.work_cursor;
    return TC_OK;
  });
}

int own_work_due(tc_storage *s, std::int64_t webhook_id, std::int64_t until_us, std::size_t max, tc_owed_fn fn, void *arg) {
  return reading(s, [&]() -> int {
    for (const tc_owed &row : s->data.due(webhook_id)) {
      if (!max-- || row.due_us > until_us || fn(&row, arg)) break;
    }
    return TC_OK;
  });
}

int own_work_next(tc_storage *s, std::int64_t webhook_id, std::int64_t *due_us) {
  return reading(s, [&]() -> int {
    std::vector<tc_owed> due = s->data.due(webhook_id);
    if (due.empty()) {
      s->env.fail(TC_ENOTFOUND, "webhook %lld is owed nothing", static_cast<long long>(webhook_id));
      return TC_ENOTFOUND;
    }
    *due_us = due[0].due_us;
    return TC_OK;
  });
}

int own_work_forget(tc_storage *s, std::int64_t webhook_id, std::size_t max, std::int32_t *more) {
  return writing(s, [&]() -> int {
    std::vector<tc_owed> gone;
    auto first = s->data.owed.lower_bound(state::pair(webhook_id, INT64_MIN)), at = s->data.owed.upper_bound(state::pair(webhook_id, INT64_MAX));
    while (at != first && gone.size() < max) gone.push_back((--at)->second);
    bool left = at != first;
    tc_work work = tc_work();
    work.settled = gone.data();
    work.settled_n = gone.size();
    int code = gone.empty() ? TC_OK : commit_work(s, work, std::vector<std::int64_t>());
    if (!code) *more = left;
    return code;
  });
}

int own_deliveries(tc_storage *s, std::int64_t webhook_id, std::int64_t offset, std::size_t max, tc_delivery_fn fn, void *arg, std::int64_t *total) {
  return reading(s, [&]() -> int {
    std::int64_t n = 0;
    for (auto at = s->data.attempts.rbegin(); at != s->data.attempts.rend(); ++at) {
      if (at->second.row.webhook_id != webhook_id || n++ < offset || !max) continue;
      max = fn(&at->second.row, arg) ? 0 : max - 1;
    }
    *total = n;
    return TC_OK;
  });
}

int own_delivery_get(tc_storage *s, std::int64_t webhook_id, std::int64_t id, tc_delivery_fn fn, void *arg) {
  return reading(s, [&]() -> int {
    auto at = s->data.attempts.find(id);
    if (at == s->data.attempts.end() || at->second.row.webhook_id != webhook_id) {
      s->env.fail(TC_ENOTFOUND, "webhook %lld has no delivery %lld", static_cast<long long>(webhook_id), static_cast<long long>(id));
      return TC_ENOTFOUND;
    }
    (void)fn(&at->second.row, arg); /* there is no walk to stop */
    return TC_OK;
  });
}

int own_work_trim(tc_storage *s, std::int64_t before_us, std::int64_t max_rows, std::int32_t *more) {
  return writing(s, [&]() -> int {
    std::vector<std::int64_t> gone;
    std::int64_t left = static_cast<std::int64_t>(s->data.attempts.size());
    for (const state::pair &oldest : s->data.attempts_by_age) {
      if (gone.size() == TRIM_SLICE || (oldest.first >= before_us && left <= max_rows)) break;
      gone.push_back(oldest.second);
      left--;
    }
    int code = gone.empty() ? TC_OK : commit_work(s, tc_work(), gone);
    if (!code) *more = gone.size() == TRIM_SLICE;
    return code;
  });
}
