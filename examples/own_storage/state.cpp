#include "state.hpp"

#include <algorithm>
#include <cstring>

namespace {

enum : char { EVENTS = 'E', DOCUMENT = 'D', WORK = 'W' };

class writer {
public:
  explicit writer(char type) : bytes_(1, type) {}
  void number(std::int64_t n) {
    for (int i = 0; i < 8; i++) bytes_ += static_cast<char>(static_cast<std::uint64_t>(n) >> (8 * i) & 0xff);
  }
  void count(std::size_t n) { number(static_cast<std::int64_t>(n)); }
  void text(tc_text t) {
    number(t.ptr ? static_cast<std::int64_t>(t.len) : -1);
    if (t.ptr) bytes_.append(t.ptr, t.len);
  }
  std::string take() { return std::move(bytes_); }

private:
  std::string bytes_;
};

/* What it hands out points into the payload. Past the end it gives zeros, and whole() is false. */
class reader {
public:
  explicit reader(const std::string &payload) : at_(payload.data() + 1), end_(payload.data() + payload.size()), whole_(true) {}
  std::int64_t number() {
    std::uint64_t n = 0;
    const char *from = take(8);
    for (int i = 0; from && i < 8; i++) n |= static_cast<std::uint64_t>(static_cast<unsigned char>(from[i])) << (8 * i);
    return static_cast<std::int64_t>(n);
  }
  std::int32_t small() { return static_cast<std::int32_t>(number()); }
  tc_text text() {
    tc_text t = {nullptr, 0};
    std::int64_t len = number();
    if (len < 0) return t;
    t.ptr = take(static_cast<std::size_t>(len));
    if (t.ptr) t.len = static_cast<std::size_t>(len);
    return t;
  }
  bool whole() const { return whole_; }
  bool done() const { return whole_ && at_ == end_; }

private:
  const char *take(std::size_t n) {
    whole_ = whole_ && n <= static_cast<std::size_t>(end_ - at_);
    if (!whole_) return nullptr;
    at_ += n;
    return at_ - n;
  }
  const char *at_, *end_;
  bool whole_;
};

void write_owed(writer &out, const tc_owed &o) {
  for (std::int64_t n : {o.webhook_id, o.seq, o.lane < 0 ? std::int64_t(-1) : o.lane, o.due_us, o.first_us, std::int64_t(o.attempt), std::int64_t(o.flags)})
    out.number(n);
}

tc_owed read_owed(reader &in) {
  tc_owed o;
  o.webhook_id = in.number();
  o.seq = in.number();
  o.lane = in.number();
  o.due_us = in.number();
  o.first_us = in.number();
  o.attempt = in.small();
  o.flags = in.small();
  return o;
}

void write_delivery(writer &out, const tc_delivery &d, std::int64_t id) {
  for (std::int64_t n : {id, d.webhook_id, d.seq, d.created_at_us, d.duration_us, std::int64_t(d.attempt), std::int64_t(d.status), std::int64_t(d.success)})
    out.number(n);
  for (tc_text t : {d.event, d.response, d.error}) out.text(t);
}

tc_delivery read_delivery(reader &in) {
  tc_delivery d;
  d.id = in.number();
  d.webhook_id = in.number();
  d.seq = in.number();
  d.created_at_us = in.number();
  d.duration_us = in.number();
  d.attempt = in.small();
  d.status = in.small();
  d.success = in.small();
  d.event = in.text();
  d.response = in.text();
  d.error = in.text();
  return d;
}

/* The texts move into own, and point there. */
void own_texts(tc_delivery &row, std::string &own) {
  tc_text *texts[] = {&row.event, &row.response, &row.error};
  for (tc_text *t : texts) own.append(t->ptr ? t->ptr : "", t->len);
  const char *at = own.data();
  for (tc_text *t : texts) {
    if (t->ptr) t->ptr = at;
    at += t->len;
  }
}

} // namespace

std::string change_events(const std::vector<tc_record> &rows) {
  writer out(EVENTS);
  out.count(rows.size());
  for (const tc_record &r : rows) {
    for (std::int64_t n : {r.seq, r.id, r.created_at_us, r.amount, std::int64_t(r.kind), std::int64_t(r.flags), r.ref}) out.number(n);
    for (tc_text t : r.text) out.text(t);
  }
  return out.take();
}

std::string change_document(std::uint32_t kind, std::int64_t id, const tc_text *doc) {
  writer out(DOCUMENT);
  out.number(kind);
  out.number(id);
  out.text(doc ? *doc : tc_text{nullptr, 0});
  return out.take();
}

std::string change_work(const tc_work &work, const std::vector<std::int64_t> &dropped) {
  writer out(WORK);
  out.number(work.cursor_seq);
  out.count(work.settled_n);
  for (std::size_t i = 0; i < work.settled_n; i++) write_owed(out, work.settled[i]);
  out.count(work.owed_n);
  for (std::size_t i = 0; i < work.owed_n; i++) write_owed(out, work.owed[i]);
  out.count(work.log_n);
  for (std::size_t i = 0; i < work.log_n; i++) write_delivery(out, work.log[i], work.log[i].id);
  out.count(dropped.size());
  for (std::int64_t id : dropped) out.number(id);
  return out.take();
}

bool state::apply(std::string payload) {
  switch (payload.empty() ? '\0' : payload[0]) {
  case EVENTS: return apply_events(std::move(payload));
  case DOCUMENT: return apply_document(payload);
  case WORK: return apply_work(payload);
  default: return false;
  }
}

bool state::apply_events(std::string payload) {
  payloads.push_back(std::move(payload));
  reader in(payloads.back());
  std::int64_t n = in.number();
  for (std::int64_t i = 0; i < n && in.whole(); i++) {
    tc_record r;
    r.seq = in.number();
    r.id = in.number();
    r.created_at_us = in.number();
    r.amount = in.number();
    r.kind = static_cast<std::uint32_t>(in.number());
    r.flags = static_cast<std::uint32_t>(in.number());
    r.ref = in.number();
    for (tc_text &t : r.text) t = in.text();
    if (!in.whole() || !add_row(r)) return false;
  }
  return in.done();
}

bool state::add_row(const tc_record &r) {
  std::vector<std::int64_t> &of_kind = ids[r.kind];
  if (r.seq != log_seq() + 1 || r.id != static_cast<std::int64_t>(of_kind.size()) + 1) return false; /* numbers without holes */
  rows.push_back(r);
  of_kind.push_back(r.seq);
  by_age.insert(pair(r.created_at_us, r.seq));
  tc_text key = r.text[TC_COL_KEY];
  if (key.ptr) keys[std::make_pair(TC_KEY_SPACE(r.kind), std::string(key.ptr, key.len))].push_back(r.seq);
  return true;
}

bool state::apply_document(const std::string &payload) {
  reader in(payload);
  std::pair<std::uint32_t, std::int64_t> place;
  place.first = static_cast<std::uint32_t>(in.number());
  place.second = in.number();
  tc_text doc = in.text();
  if (!in.done()) return false;
  std::int64_t &last = last_document[place.first];
  if (!doc.ptr) {
    documents.erase(place);
    return true;
  }
  documents[place].assign(doc.ptr, doc.len);
  last = std::max(last, place.second);
  return true;
}

bool state::apply_work(const std::string &payload) {
  reader in(payload);
  work_cursor = std::max(work_cursor, in.number());
  for (std::int64_t n = in.number(); n > 0 && in.whole(); n--) {
    tc_owed settled = read_owed(in);
    owed.erase(pair(settled.webhook_id, settled.seq));
  }
  for (std::int64_t n = in.number(); n > 0 && in.whole(); n--) {
    tc_owed put = read_owed(in);
    owed[pair(put.webhook_id, put.seq)] = put;
  }
  for (std::int64_t n = in.number(); n > 0 && in.whole(); n--) {
    tc_delivery row = read_delivery(in);
    attempt &made = attempts[row.id];
    made.row = row;
    own_texts(made.row, made.bytes);
    attempts_by_age.insert(pair(row.created_at_us, row.id));
    last_attempt = std::max(last_attempt, row.id);
  }
  for (std::int64_t n = in.number(); n > 0 && in.whole(); n--) {
    std::map<std::int64_t, attempt>::iterator gone = attempts.find(in.number());
    if (gone == attempts.end()) return false;
    attempts_by_age.erase(pair(gone->second.row.created_at_us, gone->first));
    attempts.erase(gone);
  }
  return in.done();
}

std::int64_t state::last_id(std::uint32_t kind) const {
  auto of_kind = ids.find(kind);
  return of_kind == ids.end() ? 0 : static_cast<std::int64_t>(of_kind->second.size());
}

std::int64_t state::find_key(const tc_record &record, std::int64_t after_us) const {
  tc_text key = record.text[TC_COL_KEY];
  if (!key.ptr) return 0;
  auto known = keys.find(std::make_pair(TC_KEY_SPACE(record.kind), std::string(key.ptr, key.len)));
  if (known == keys.end()) return 0;
  for (std::size_t i = known->second.size(); i-- > 0;) {
    std::int64_t seq = known->second[i];
    if (rows[static_cast<std::size_t>(seq - 1)].created_at_us > after_us) return seq;
  }
  return 0;
}

std::vector<tc_owed> state::due(std::int64_t webhook_id) const {
  std::vector<tc_owed> found;
  std::set<std::int64_t> lanes;
  for (auto at = owed.lower_bound(pair(webhook_id, INT64_MIN)); at != owed.end() && at->first.first == webhook_id; ++at) {
    if (at->second.lane < 0 || lanes.insert(at->second.lane).second) found.push_back(at->second);
  }
  std::stable_sort(found.begin(), found.end(), [](const tc_owed &a, const tc_owed &b) { return a.due_us < b.due_us; });
  return found;
}
