#include "storage.hpp"

#include <cstring>
#include <memory>

#include "own_storage.h"

int commit(tc_storage *s, std::string change, bool durable) {
  int code = s->file.append(change, durable);
  if (code) return code;
  std::lock_guard<std::mutex> lock(s->reading);
  try {
    s->lost = !s->data.apply(std::move(change));
  } catch (const std::bad_alloc &) {
    s->lost = true;
  }
  if (!s->lost) return TC_OK;
  s->env.fail(TC_EUNKNOWN, "memory ran out behind a write: open it anew");
  return TC_EUNKNOWN;
}

namespace {

int open_storage(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *said) {
  static const char scheme[] = "journal:";
  const std::size_t len = sizeof scheme - 1;
  if (std::strncmp(url, scheme, len) || !url[len]) {
    env->fail(TC_EINVAL, "storage_url: must be journal:PATH, not '%s'", url);
    return TC_EINVAL;
  }
  return guarded(*env, [&]() -> int {
    std::unique_ptr<tc_storage> s(new tc_storage);
    s->env = *env;
    int code = s->file.open(url + len, *env, [&](std::string payload) { return s->data.apply(std::move(payload)); });
    if (code) return code;
    said->log_seq = said->index_seq = s->data.log_seq();
    said->last_created_at_us = said->log_seq ? s->data.rows.back().created_at_us : 0;
    *out = s.release();
    return TC_OK;
  });
}

void close_storage(tc_storage *s) { delete s; }

/* ---- the log ---- */

int append(tc_storage *s, tc_append *items, std::size_t n, const std::uint8_t *batch_id, std::int64_t now_us) {
  (void)batch_id; /* what is not known to be stored is cut off: append_outcome needs no name */
  (void)now_us;
  return writing(s, [&]() -> int {
    std::vector<tc_record> rows;
    std::vector<std::int64_t> known(n);
    std::map<std::uint32_t, std::int64_t> last_id;
    std::int64_t ttl_us = std::int64_t(s->env.idempotency_ttl_s) * 1000000;
    for (std::size_t i = 0; i < n; i++) {
      tc_record row = *items[i].record;
      known[i] = s->data.find_key(row, row.created_at_us < INT64_MIN + ttl_us ? INT64_MIN : row.created_at_us - ttl_us);
      if (known[i]) continue;
      std::int64_t &id = last_id.insert(std::make_pair(row.kind, s->data.last_id(row.kind))).first->second;
      row.id = ++id;
      row.seq = s->data.log_seq() + static_cast<std::int64_t>(rows.size()) + 1;
      rows.push_back(row);
    }
    int code = rows.empty() ? TC_OK : commit(s, change_events(rows), true);
    if (code) return code;
    for (std::size_t i = 0, stored = 0; i < n; i++) {
      items[i].result = known[i] ? TC_EEXISTS : TC_OK;
      items[i].existing_seq = known[i];
      if (known[i]) continue;
      items[i].record->seq = rows[stored].seq;
      items[i].record->id = rows[stored++].id;
    }
    return TC_OK;
  });
}

int append_outcome(tc_storage *s, tc_append *items, std::size_t n, const std::uint8_t *batch_id, std::int32_t *stored) {
  (void)items;
  (void)n;
  (void)batch_id;
  std::lock_guard<std::mutex> lock(s->writing);
  int code = s->lost ? TC_EUNKNOWN : s->file.settle();
  if (s->lost) s->env.fail(code, "memory ran out behind a write: open it anew");
  if (!code) *stored = 0;
  return code;
}

int read_log(tc_storage *s, std::int64_t after_seq, std::size_t max, tc_row_fn row, void *arg) {
  return reading(s, [&]() -> int {
    for (std::size_t at = after_seq > 0 ? static_cast<std::size_t>(after_seq) : 0; at < s->data.rows.size() && max; at++, max--) {
      if (row(&s->data.rows[at], arg)) break;
    }
    return TC_OK;
  });
}

/* ---- lists ---- */

bool same(tc_text a, tc_text b) { return a.ptr && b.ptr && a.len == b.len && !std::memcmp(a.ptr, b.ptr, a.len); }

bool matches(const tc_storage_env &env, const tc_filter &filter, const tc_record &row) {
  if (row.kind != filter.kind) return false;
  for (std::uint32_t i = 0; i < TC_COL_COUNT; i++) {
    tc_text want = filter.text[i], has = row.text[i];
    char a[TC_EMOJI_BYTES_MAX], b[TC_EMOJI_BYTES_MAX];
    if ((filter.absent >> i & 1) && has.ptr) return false;
    if (!want.ptr) continue;
    if (!want.len || !has.ptr) return false;
    bool emoji = i == TC_COL_BODY && row.kind == TC_KIND_REACTION;
    if (emoji ? !same(env.emoji(want, a), env.emoji(has, b)) : !same(want, has)) return false;
  }
  return true;
}

int snapshot(tc_storage *s, tc_snapshot **out, std::int64_t *index_seq) {
  return reading(s, [&]() -> int {
    *out = new tc_snapshot{s, s->data.log_seq()};
    *index_seq = s->data.log_seq();
    return TC_OK;
  });
}

void snapshot_end(tc_snapshot *snapshot) { delete snapshot; }

int scan(tc_snapshot *view, const tc_filter *filter, const tc_position *after, tc_position_fn position, void *arg) {
  tc_storage *s = view->storage;
  return reading(s, [&]() -> int {
    auto at = after ? s->data.by_age.lower_bound(state::pair(after->created_at_us, after->seq)) : s->data.by_age.end();
    while (at != s->data.by_age.begin()) {
      --at;
      const tc_record &row = s->data.rows[static_cast<std::size_t>(at->second - 1)];
      tc_position found = {at->first, at->second};
      if (row.seq <= view->seq && matches(s->env, *filter, row) && position(&found, arg)) break;
    }
    return TC_OK;
  });
}

int count_one(const tc_position *, void *arg) {
  ++*static_cast<std::int64_t *>(arg);
  return 0;
}

/* Not the constant cost that the contract asks of a large log. */
int count(tc_snapshot *view, const tc_filter *filter, std::int64_t *out) {
  std::int64_t n = 0;
  int code = scan(view, filter, nullptr, count_one, &n);
  if (!code) *out = n;
  return code;
}

int fetch(tc_snapshot *view, const std::int64_t *seqs, std::size_t n, tc_row_fn row, void *arg) {
  tc_storage *s = view->storage;
  return reading(s, [&]() -> int {
    for (std::size_t i = 0; i < n; i++) {
      if (seqs[i] < 1 || seqs[i] > s->data.log_seq()) {
        s->env.fail(TC_ECORRUPT, "event %lld is not in the log", static_cast<long long>(seqs[i]));
        return TC_ECORRUPT;
      }
      if (row(&s->data.rows[static_cast<std::size_t>(seqs[i] - 1)], arg)) break;
    }
    return TC_OK;
  });
}

int find_id(tc_snapshot *view, std::uint32_t kind, std::int64_t id, std::int64_t *seq) {
  tc_storage *s = view->storage;
  return reading(s, [&]() -> int {
    std::int64_t found = id >= 1 && id <= s->data.last_id(kind) ? s->data.ids[kind][static_cast<std::size_t>(id - 1)] : 0;
    if (!found || found > view->seq) {
      s->env.fail(TC_ENOTFOUND, "no event of kind %u has id %lld", kind, static_cast<long long>(id));
      return TC_ENOTFOUND;
    }
    *seq = found;
    return TC_OK;
  });
}

/* ---- documents ---- */

int config_put(tc_storage *s, std::uint32_t kind, std::int64_t *id, tc_text doc) {
  if (!kind || kind > TC_KIND_MAX || *id < 0 || !doc.ptr || doc.len > TC_CONFIG_DOC_MAX) {
    s->env.fail(TC_EINVAL, "a document needs a kind from 1 to 63, a number, and a text of at most 1 MiB");
    return TC_EINVAL;
  }
  return writing(s, [&]() -> int {
    auto last = s->data.last_document.find(kind);
    std::int64_t before = last == s->data.last_document.end() ? 0 : last->second;
    if (!*id && before == INT64_MAX) {
      s->env.fail(TC_ESTORAGE, "kind %u has no number left", kind);
      return TC_ESTORAGE;
    }
    std::int64_t given = *id ? *id : before + 1;
    int code = commit(s, change_document(kind, given, &doc), true);
    if (!code) *id = given;
    return code;
  });
}

int config_remove(tc_storage *s, std::uint32_t kind, std::int64_t id) {
  return writing(s, [&]() -> int {
    if (s->data.documents.count(std::make_pair(kind, id))) return commit(s, change_document(kind, id, nullptr), true);
    s->env.fail(TC_ENOTFOUND, "no document of kind %u has id %lld", kind, static_cast<long long>(id));
    return TC_ENOTFOUND;
  });
}

int config_read(tc_storage *s, std::uint32_t kind, tc_config_fn fn, void *arg) {
  return reading(s, [&]() -> int {
    auto at = s->data.documents.lower_bound(std::make_pair(kind, std::int64_t(INT64_MIN)));
    for (; at != s->data.documents.end() && at->first.first == kind; ++at) {
      if (fn(at->first.second, tc_text{at->second.data(), at->second.size()}, arg)) break;
    }
    return TC_OK;
  });
}

/* The file once more, into a state beside this one. */
int check(tc_storage *s) {
  return writing(s, [&]() -> int {
    state anew;
    int code = s->file.read([&](std::string payload) { return anew.apply(std::move(payload)); });
    if (code || anew.log_seq() == s->data.log_seq()) return code;
    s->env.fail(TC_ECORRUPT, "the file has %lld events, memory %lld", static_cast<long long>(anew.log_seq()), static_cast<long long>(s->data.log_seq()));
    return TC_ECORRUPT;
  });
}

tc_storage_ops table() {
  tc_storage_ops ops = tc_storage_ops();
  ops.size = sizeof ops;
  ops.abi = TC_STORAGE_ABI;
  ops.scheme = "journal";
  ops.open = open_storage;
  ops.close = close_storage;
  ops.append = append;
  ops.append_outcome = append_outcome;
  ops.read_log = read_log; /* no derive, no idle: the state is the index */
  ops.snapshot = snapshot;
  ops.snapshot_end = snapshot_end;
  ops.scan = scan;
  ops.count = count;
  ops.fetch = fetch;
  ops.find_id = find_id;
  ops.config_put = config_put;
  ops.config_remove = config_remove;
  ops.config_read = config_read;
  ops.work_commit = own_work_commit;
  ops.work_state = own_work_state;
  ops.work_due = own_work_due;
  ops.work_next = own_work_next;
  ops.work_forget = own_work_forget;
  ops.deliveries = own_deliveries;
  ops.delivery_get = own_delivery_get;
  ops.work_trim = own_work_trim;
  ops.facts_cursor = own_facts_cursor;
  ops.facts_commit = own_facts_commit;
  ops.fact_first = own_fact_first;
  ops.facts_scan = own_facts_scan;
  ops.check = check;
  return ops;
}

} // namespace

extern "C" const tc_storage_ops *journal_storage_ops(void) {
  static const tc_storage_ops ops = table();
  return &ops;
}
