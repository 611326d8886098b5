/* memory.c - a log in memory, for tests and trials: the plainest thing that keeps every promise of sys/storage.h. It is what the other backends are measured by.
 *
 * Rows never change and never move, so a snapshot is nothing but the log's length at that moment; the lock guards the arrays that point to them.
 */
#include "storage/memory/memory.h"

#include <string.h>

#include "base/mem.h"
#include "model/filter.h"
#include "storage/schemes.h"

struct tc_snapshot {
  tc_storage *storage;
  int64_t seq;
};

int tci_memory_fail(const tc_storage_env *env) {
  env->fail(TC_ENOMEM, "");
  return TC_ENOMEM;
}

/* Writers first: glibc's default lets a steady stream of readers keep a writer out for ever. It means that a row callback must not come back for a read. */
static int init_lock(pthread_rwlock_t *lock) {
  pthread_rwlockattr_t attr;
  int rc = pthread_rwlockattr_init(&attr);
  if (rc) return rc;
  rc = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  if (!rc) rc = pthread_rwlock_init(lock, &attr);
  (void)pthread_rwlockattr_destroy(&attr); /* cannot fail */
  return rc;
}

static int memory_open(tc_storage **out, const char *url, const tc_storage_env *env, tc_storage_state *state) {
  if (strcmp(url, "memory:")) {
    env->fail(TC_EINVAL, "storage_url: must be memory: and nothing more, not '%s'", url);
    return TC_EINVAL;
  }
  tc_storage *storage = tci_zalloc(sizeof *storage);
  if (!storage) return tci_memory_fail(env);
  storage->env = *env;
  int code = env->random.fill(env->random.userdata, &storage->rows.hash_key, sizeof storage->rows.hash_key);
  if (code) env->fail(code, "cannot get random bytes");
  else if (init_lock(&storage->lock)) code = tci_memory_fail(env);
  if (code) {
    tci_free(storage);
    return code;
  }
  memset(state, 0, sizeof *state);
  *out = storage;
  return TC_OK;
}

static void memory_close(tc_storage *storage) {
  if (!storage) return;
  tci_rows_free(&storage->rows);
  tci_memory_config_free(&storage->config);
  tci_memory_work_free(&storage->work);
  tci_memory_facts_free(&storage->facts);
  (void)pthread_rwlock_destroy(&storage->lock); /* fails only while held, and no call is running */
  tci_free(storage);
}

void tci_memory_read_lock(tc_storage *storage) { (void)pthread_rwlock_rdlock(&storage->lock); } /* fails only beyond 2^31 readers */

void tci_memory_write_lock(tc_storage *storage) { (void)pthread_rwlock_wrlock(&storage->lock); } /* fails only for whoever holds it already */

void tci_memory_unlock(tc_storage *storage) { (void)pthread_rwlock_unlock(&storage->lock); }

static const tci_row *known_row(const tc_storage *storage, const tc_record *record) {
  int64_t ttl_us = (int64_t)storage->env.idempotency_ttl_s * 1000000;
  if (!record->text[TC_COL_KEY].ptr) return NULL;
  return tci_rows_find_key(&storage->rows, record, record->created_at_us < INT64_MIN + ttl_us ? INT64_MIN : record->created_at_us - ttl_us);
}

/* Everything that can fail: copies[i] of each item to append (NULL: its key is known, then known[i] is the seq), and room for them. */
static int prepare(tc_storage *storage, const tc_append *items, size_t n, tci_row **copies, int64_t *known, uint32_t *kinds) {
  size_t fresh = 0;
  for (size_t i = 0; i < n; i++) {
    const tci_row *row = known_row(storage, items[i].record);
    known[i] = row ? row->record.seq : 0;
    if (row) continue;
    if (!(copies[i] = tci_row_new(items[i].record))) return tci_memory_fail(&storage->env);
    copies[i]->record.id = 0;
    kinds[fresh++] = items[i].record->kind;
  }
  return tci_rows_reserve(&storage->rows, kinds, fresh) ? tci_memory_fail(&storage->env) : TC_OK;
}

static void add(tc_storage *storage, tc_append *items, size_t n, tci_row **copies, const int64_t *known) {
  for (size_t i = 0; i < n; i++) {
    items[i].existing_seq = known[i];
    items[i].result = known[i] ? TC_EEXISTS : TC_OK;
    if (known[i]) continue;
    tci_rows_add(&storage->rows, copies[i]);
    items[i].record->seq = copies[i]->record.seq;
    items[i].record->id = copies[i]->record.id;
    copies[i] = NULL;
  }
}

static int memory_append(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int64_t now_us) {
  (void)batch_id; /* an outcome is never unknown here */
  (void)now_us;
  tci_row **copies = tci_array(n, sizeof *copies);
  int64_t *known = tci_array(n, sizeof *known);
  uint32_t *kinds = tci_array(n, sizeof *kinds);
  int code = copies && known && kinds ? TC_OK : tci_memory_fail(&storage->env);
  if (code) goto out;
  tci_memory_write_lock(storage);
  code = prepare(storage, items, n, copies, known, kinds);
  if (!code) add(storage, items, n, copies, known);
  tci_memory_unlock(storage);
  for (size_t i = 0; i < n; i++) tci_free(copies[i]);
out:
  tci_free(copies);
  tci_free(known);
  tci_free(kinds);
  return code;
}

static int memory_import(tc_storage *storage, tc_record *records, size_t n) {
  tci_row **copies = tci_array(n, sizeof *copies);
  uint32_t *kinds = tci_array(n, sizeof *kinds);
  int code = copies && kinds ? TC_OK : tci_memory_fail(&storage->env);
  tci_memory_write_lock(storage);
  int64_t end = (int64_t)storage->rows.log.count;
  for (size_t i = 0; i < n && !code; i++) {
    kinds[i] = records[i].kind;
    if (records[i].seq && records[i].seq != end + 1 + (int64_t)i)
      storage->env.fail(code = TC_ECONFLICT, "event %lld does not follow event %lld", (long long)records[i].seq, (long long)end);
    else if (!(copies[i] = tci_row_new(&records[i]))) code = tci_memory_fail(&storage->env);
  }
  if (!code && tci_rows_reserve(&storage->rows, kinds, n)) code = tci_memory_fail(&storage->env);
  for (size_t i = 0; i < n && !code; i++) {
    tci_rows_add(&storage->rows, copies[i]);
    records[i].seq = copies[i]->record.seq;
    copies[i] = NULL;
  }
  tci_memory_unlock(storage);
  for (size_t i = 0; copies && i < n; i++) tci_free(copies[i]);
  tci_free(copies);
  tci_free(kinds);
  return code;
}

static int memory_append_outcome(tc_storage *storage, tc_append *items, size_t n, const uint8_t batch_id[16], int32_t *stored) {
  (void)storage; /* append never answers TC_EUNKNOWN, so the batch that is asked for was not stored */
  (void)items;
  (void)n;
  (void)batch_id;
  *stored = 0;
  return TC_OK;
}

static int memory_read_log(tc_storage *storage, int64_t after_seq, size_t max, tc_row_fn row, void *arg) {
  size_t at = after_seq > 0 ? (size_t)after_seq : 0;
  tci_memory_read_lock(storage);
  for (; at < storage->rows.log.count && max; at++, max--) {
    if (row(&storage->rows.log.at[at]->record, arg)) break;
  }
  tci_memory_unlock(storage);
  return TC_OK;
}

static int memory_snapshot(tc_storage *storage, tc_snapshot **out, int64_t *index_seq) {
  tc_snapshot *snapshot = tci_alloc(sizeof *snapshot);
  if (!snapshot) return tci_memory_fail(&storage->env);
  snapshot->storage = storage;
  tci_memory_read_lock(storage);
  snapshot->seq = (int64_t)storage->rows.log.count;
  tci_memory_unlock(storage);
  *index_seq = snapshot->seq;
  *out = snapshot;
  return TC_OK;
}

static void memory_snapshot_end(tc_snapshot *snapshot) { tci_free(snapshot); }

static int is_after(const tc_record *record, const tc_position *after) {
  return record->created_at_us != after->created_at_us ? record->created_at_us < after->created_at_us : record->seq < after->seq;
}

static int memory_scan(tc_snapshot *snapshot, const tc_filter *filter, const tc_position *after, tc_position_fn position, void *arg) {
  tc_storage *storage = snapshot->storage;
  tci_memory_read_lock(storage);
  for (size_t i = storage->rows.listed.count; i-- > 0;) {
    const tc_record *record = &storage->rows.listed.at[i]->record;
    tc_position at = {record->created_at_us, record->seq};
    if (record->seq > snapshot->seq || !tci_filter_matches(filter, record) || (after && !is_after(record, after))) continue;
    if (position(&at, arg)) break;
  }
  tci_memory_unlock(storage);
  return TC_OK;
}

static int count_one(const tc_position *position, void *arg) {
  (void)position;
  ++*(int64_t *)arg;
  return 0;
}

static int memory_count(tc_snapshot *snapshot, const tc_filter *filter, int64_t *out) {
  int64_t count = 0;
  int code = memory_scan(snapshot, filter, NULL, count_one, &count);
  if (!code) *out = count;
  return code;
}

static int memory_fetch(tc_snapshot *snapshot, const int64_t *seqs, size_t n, tc_row_fn row, void *arg) {
  tc_storage *storage = snapshot->storage;
  int code = TC_OK, stop = 0;
  tci_memory_read_lock(storage);
  for (size_t i = 0; i < n && !code && !stop; i++) {
    if (seqs[i] < 1 || (uint64_t)seqs[i] > storage->rows.log.count) storage->env.fail(code = TC_ECORRUPT, "event %lld is not in the log", (long long)seqs[i]);
    else stop = row(&storage->rows.log.at[seqs[i] - 1]->record, arg);
  }
  tci_memory_unlock(storage);
  return code;
}

static int memory_find_id(tc_snapshot *snapshot, uint32_t kind, int64_t id, int64_t *seq) {
  tc_storage *storage = snapshot->storage;
  int64_t found = 0;
  tci_memory_read_lock(storage);
  const tci_row *row = kind <= TC_KIND_MAX ? tci_rows_find_id(&storage->rows, kind, id) : NULL;
  if (row) found = row->record.seq;
  tci_memory_unlock(storage);
  if (!found || found > snapshot->seq) {
    storage->env.fail(TC_ENOTFOUND, "no event of kind %u has id %lld", kind, (long long)id);
    return TC_ENOTFOUND;
  }
  *seq = found;
  return TC_OK;
}

static int memory_check(tc_storage *storage) {
  int code = TC_OK;
  tci_memory_read_lock(storage);
  for (size_t i = 0; i < storage->rows.log.count && !code; i++) {
    if (storage->rows.log.at[i]->record.seq != (int64_t)i + 1) storage->env.fail(code = TC_ECORRUPT, "event %zu has another number", i + 1);
  }
  tci_memory_unlock(storage);
  return code;
}

const tc_storage_ops tci_memory_ops = {
  .size = sizeof(tc_storage_ops),
  .abi = TC_STORAGE_ABI,
  .scheme = "memory",
  .open = memory_open,
  .close = memory_close,
  .append = memory_append,
  .append_outcome = memory_append_outcome,
  .read_log = memory_read_log,
  .snapshot = memory_snapshot,
  .snapshot_end = memory_snapshot_end,
  .scan = memory_scan,
  .count = memory_count,
  .fetch = memory_fetch,
  .find_id = memory_find_id,
  .config_put = tci_memory_config_put,
  .config_remove = tci_memory_config_remove,
  .config_read = tci_memory_config_read,
  .work_commit = tci_memory_work_commit,
  .work_state = tci_memory_work_state,
  .work_due = tci_memory_work_due,
  .work_next = tci_memory_work_next,
  .work_forget = tci_memory_work_forget,
  .deliveries = tci_memory_deliveries,
  .delivery_get = tci_memory_delivery_get,
  .work_trim = tci_memory_work_trim,
  .facts_cursor = tci_memory_facts_cursor,
  .facts_commit = tci_memory_facts_commit,
  .fact_first = tci_memory_fact_first,
  .facts_scan = tci_memory_facts_scan,
  .check = memory_check,
  .import_rows = memory_import,
  .config_last = tci_memory_config_last,
  .owed_read = tci_memory_owed_read,
};
