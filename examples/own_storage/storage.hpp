/* storage.hpp - the backend inside: the journal, the state, facts, and who may touch them when. */
#ifndef OWN_STORAGE_STORAGE_HPP
#define OWN_STORAGE_STORAGE_HPP

#include <map>
#include <mutex>
#include <new>
#include <string>

#include "journal.hpp"
#include "state.hpp"

/* Facts are derived: they are not in the journal, and begin anew with each open. present: false while a commit of them is being made. */
struct fact_value {
  bool present;
  std::string value;
};
typedef std::pair<std::uint32_t, std::string> fact_key;

struct tc_storage {
  tc_storage_env env;
  std::mutex writing; /* of journal; who holds it may read the state without the other one, since nobody else changes it */
  journal file;
  std::mutex reading; /* of all below; not held while the disk is waited for */
  state data;
  std::map<fact_key, fact_value> facts;
  std::int64_t facts_seq = 0;
  bool lost = false; /* the state is not what the file says: there was no memory for it. Only opening it anew helps */
};

struct tc_snapshot {
  tc_storage *storage;
  std::int64_t seq; /* rows do not change, so the log's length is a view of it */
};

/* C is on both sides of call, so no exception may pass: no memory is a code. */
template <class Call> int guarded(const tc_storage_env &env, Call call) {
  try {
    return call();
  } catch (const std::bad_alloc &) {
    env.fail(TC_ENOMEM, "out of memory");
    return TC_ENOMEM;
  }
}

/* call() under the lock of the state. */
template <class Call> int reading(tc_storage *s, Call call) {
  return guarded(s->env, [&]() -> int {
    std::lock_guard<std::mutex> lock(s->reading);
    if (!s->lost) return call();
    s->env.fail(TC_ESTORAGE, "memory ran out behind a write: open it anew");
    return TC_ESTORAGE;
  });
}

/* call() alone among those who write. */
template <class Call> int writing(tc_storage *s, Call call) {
  return guarded(s->env, [&]() -> int {
    std::lock_guard<std::mutex> lock(s->writing);
    if (!s->lost) return call();
    s->env.fail(TC_ESTORAGE, "memory ran out behind a write: open it anew");
    return TC_ESTORAGE;
  });
}

/* Writes the change, then makes it true. With the lock of writing. */
int commit(tc_storage *s, std::string change, bool durable);

/* The functions of tc_storage_ops: work.cpp has those of outside effects, facts.cpp of facts. */
int own_work_commit(tc_storage *s, tc_work *work);
int own_work_state(tc_storage *s, std::int64_t *cursor_seq, tc_owed_fn next, void *arg);
int own_work_due(tc_storage *s, std::int64_t webhook_id, std::int64_t until_us, std::size_t max, tc_owed_fn fn, void *arg);
int own_work_next(tc_storage *s, std::int64_t webhook_id, std::int64_t *due_us);
int own_work_forget(tc_storage *s, std::int64_t webhook_id, std::size_t max, std::int32_t *more);
int own_deliveries(tc_storage *s, std::int64_t webhook_id, std::int64_t offset, std::size_t max, tc_delivery_fn fn, void *arg, std::int64_t *total);
int own_delivery_get(tc_storage *s, std::int64_t webhook_id, std::int64_t id, tc_delivery_fn fn, void *arg);
int own_work_trim(tc_storage *s, std::int64_t before_us, std::int64_t max_rows, std::int32_t *more);
int own_facts_cursor(tc_storage *s, std::int64_t *seq);
int own_facts_commit(tc_storage *s, std::int64_t seq, const tc_fact *facts, std::size_t n);
int own_fact_first(tc_storage *s, std::uint32_t space, tc_text from, tc_fact_fn fn, void *arg);
int own_facts_scan(tc_storage *s, std::uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg);

#endif
