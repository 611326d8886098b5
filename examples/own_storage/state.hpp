/* state.hpp - what the journal says: events, documents, and what is owed to the outside. A change is a payload of bytes, made by a change_x function, and made true by apply(), now or
 * after the next open.
 */
#ifndef OWN_STORAGE_STATE_HPP
#define OWN_STORAGE_STATE_HPP

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tipcurrent/sys/storage.h>
#include <utility>
#include <vector>

/* One attempt with its texts, which row points to. */
struct attempt {
  tc_delivery row;
  std::string bytes;
};

std::string change_events(const std::vector<tc_record> &rows);
std::string change_document(std::uint32_t kind, std::int64_t id, const tc_text *doc); /* NULL: it is removed */
/* dropped: numbers of attempts that go. */
std::string change_work(const tc_work &work, const std::vector<std::int64_t> &dropped);

struct state {
  typedef std::pair<std::int64_t, std::int64_t> pair;

  std::deque<std::string> payloads;                                                /* of events: the texts of rows point into them, so they never move */
  std::deque<tc_record> rows;                                                      /* by seq, from 1 */
  std::set<pair> by_age;                                                           /* (created_at_us, seq) */
  std::map<std::uint32_t, std::vector<std::int64_t>> ids;                          /* kind: the seqs of its ids, from 1 */
  std::map<std::pair<std::uint32_t, std::string>, std::vector<std::int64_t>> keys; /* (key space, key): seqs, ascending */
  std::map<std::pair<std::uint32_t, std::int64_t>, std::string> documents;         /* (kind, id) */
  std::map<std::uint32_t, std::int64_t> last_document;                             /* kind: the highest id it ever had */
  std::map<pair, tc_owed> owed;                                                    /* (webhook, seq) */
  std::map<std::int64_t, attempt> attempts;                                        /* by id */
  std::set<pair> attempts_by_age;                                                  /* (created_at_us, id) */
  std::int64_t work_cursor = 0, last_attempt = 0;

  /* false: the payload makes no sense. Throws std::bad_alloc, and may have done half of it then. */
  bool apply(std::string payload);

  std::int64_t log_seq() const { return static_cast<std::int64_t>(rows.size()); }
  std::int64_t last_id(std::uint32_t kind) const;
  /* The youngest event with the record's key that was made after after_us: its seq, or 0. */
  std::int64_t find_key(const tc_record &record, std::int64_t after_us) const;
  /* A webhook's rows that may go, by due_us, then seq: of a lane its first. */
  std::vector<tc_owed> due(std::int64_t webhook_id) const;

private:
  bool apply_events(std::string payload);
  bool apply_document(const std::string &payload);
  bool apply_work(const std::string &payload);
  bool add_row(const tc_record &record);
};

#endif
