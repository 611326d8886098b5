/* facts.c - small derived values by (space, key), in the derived file: one ordered table, one cursor beside the index's.
 *
 * - A key is its space's number, one byte, and the caller's bytes: memcmp order is the order of the BLOB primary key.
 * - fact_first reads on the indexer's own connection and leaves its read transaction open, since taking one for each get costs as much again. Whatever that connection writes
 *   next ends it first; nothing else of the process waits for it, because the only one who checkpoints is that connection.
 */
#include <string.h>

#include "base/mem.h"
#include "storage/sqlite/sqlite.h"

#define KEY_BYTES (1 + TC_FACT_KEY_MAX)

/* Returns its length. */
static size_t make_key(uint32_t space, tc_text key, uint8_t out[KEY_BYTES]) {
  out[0] = (uint8_t)space;
  if (key.len) memcpy(out + 1, key.ptr, key.len);
  return 1 + key.len;
}

static int bind_key(sqlite3_stmt *stmt, int at, const uint8_t *key, size_t len) { return sqlite3_bind_blob(stmt, at, key, (int)len, SQLITE_STATIC); }

static int check_key(const tc_storage *storage, uint32_t space, tc_text key) {
  if (space >= 1 && space <= TC_FACT_SPACE_MAX && key.len <= TC_FACT_KEY_MAX) return TC_OK;
  storage->env.fail(TC_EINVAL, "a fact's space must be 1 to %u, its key at most %u bytes", TC_FACT_SPACE_MAX, TC_FACT_KEY_MAX);
  return TC_EINVAL;
}

int tci_facts_cursor(tc_storage *storage, int64_t *seq) {
  *seq = storage->facts_seq;
  return TC_OK;
}

int tci_facts_end_read(tc_storage *storage) {
  if (!storage->facts_reading) return SQLITE_OK;
  storage->facts_reading = 0;
  if (sqlite3_get_autocommit(storage->index.handle)) return SQLITE_OK; /* an I/O error has ended it */
  return tci_db_run(&storage->index, TCI_INDEX_COMMIT);
}

/* Inside a transaction. Returns SQLite's rc. */
static int put_fact(tci_db *index, const tc_fact *fact) {
  uint8_t key[KEY_BYTES];
  size_t which = fact->value.ptr ? TCI_INDEX_PUT_FACT : TCI_INDEX_REMOVE_FACT, len = make_key(fact->space, fact->key, key);
  sqlite3_stmt *stmt = index->stmts[which];
  int rc = bind_key(stmt, 1, key, len);
  if (!rc && fact->value.ptr) rc = sqlite3_bind_blob(stmt, 2, fact->value.ptr, (int)fact->value.len, SQLITE_STATIC);
  return rc ? rc : tci_db_run(index, which);
}

static int check_commit(const tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  if (seq < storage->facts_seq || seq > storage->index_seq) {
    storage->env.fail(TC_EINVAL, "facts up to %lld do not lie between %lld and the index's %lld", (long long)seq, (long long)storage->facts_seq,
                      (long long)storage->index_seq);
    return TC_EINVAL;
  }
  int code = TC_OK;
  for (size_t i = 0; i < n && !code; i++) {
    code = check_key(storage, facts[i].space, facts[i].key);
    if (code || facts[i].value.len <= TC_FACT_VALUE_MAX) continue;
    storage->env.fail(code = TC_EINVAL, "a fact's value must be at most %u bytes", TC_FACT_VALUE_MAX);
  }
  return code;
}

int tci_facts_commit(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  tci_db *index = &storage->index;
  int code = check_commit(storage, seq, facts, n);
  if (code) return code;
  int rc = tci_facts_end_read(storage);
  if (!rc) rc = tci_db_run(index, TCI_INDEX_BEGIN);
  for (size_t i = 0; i < n && !rc; i++) rc = put_fact(index, &facts[i]);
  if (!rc) rc = sqlite3_bind_int64(index->stmts[TCI_INDEX_FACTS_CURSOR], 1, seq);
  if (!rc) rc = tci_db_run(index, TCI_INDEX_FACTS_CURSOR);
  if (!rc) rc = tci_db_commit(index, TCI_INDEX_COMMIT);
  if (rc) {
    code = tci_index_fail(storage, index, rc, "put facts into");
    tci_db_rollback(index);
    return code;
  }
  storage->facts_seq = seq;
  return TC_OK;
}

static tc_text column_bytes(sqlite3_stmt *stmt, int at) {
  /* An empty blob is a NULL pointer to SQLite; here that would be "absent". */
  const char *bytes = sqlite3_column_blob(stmt, at);
  return (tc_text){bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, at)};
}

int tci_fact_first(tc_storage *storage, uint32_t space, tc_text from, tc_fact_fn fn, void *arg) {
  tci_db *index = &storage->index;
  sqlite3_stmt *stmt = index->stmts[TCI_INDEX_FIRST_FACT];
  uint8_t bytes[KEY_BYTES];
  int code = check_key(storage, space, from);
  if (code) return code;
  int rc = storage->facts_reading ? SQLITE_OK : tci_db_run(index, TCI_INDEX_BEGIN_READ);
  if (!rc) storage->facts_reading = 1;
  if (!rc) rc = bind_key(stmt, 1, bytes, make_key(space, from, bytes));
  if (!rc) rc = sqlite3_step(stmt);
  tc_text found = rc == SQLITE_ROW ? column_bytes(stmt, 0) : (tc_text){NULL, 0};
  if (found.len && (uint8_t)found.ptr[0] == space) (void)fn((tc_text){found.ptr + 1, found.len - 1}, column_bytes(stmt, 1), arg);
  (void)sqlite3_reset(stmt); /* repeats rc */
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? TC_OK : tci_index_fail(storage, index, rc, "read");
}

int tci_facts_scan(tc_storage *storage, uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg) {
  tci_reader *reader = NULL;
  uint8_t first[KEY_BYTES], end[KEY_BYTES];
  int code = check_key(storage, space, from);
  if (!code && to.ptr) code = check_key(storage, space, to);
  if (!code) code = tci_reader_take(storage, &reader);
  if (code) return code;
  sqlite3_stmt *stmt = reader->db.stmts[TCI_READ_FACTS];
  size_t first_len = make_key(space, from, first);
  size_t end_len = to.ptr ? make_key(space, to, end) : make_key(space + 1, (tc_text){NULL, 0}, end); /* the space's number is below 255 */
  int rc = bind_key(stmt, 1, first, first_len), stop = 0;
  if (!rc) rc = bind_key(stmt, 2, end, end_len);
  while (!rc && !stop && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    tc_text key = column_bytes(stmt, 0);
    rc = SQLITE_OK;
    if (key.len) stop = fn((tc_text){key.ptr + 1, key.len - 1}, column_bytes(stmt, 1), arg);
  }
  (void)sqlite3_reset(stmt); /* repeats rc */
  code = rc && rc != SQLITE_DONE ? tci_index_fail(storage, &reader->db, rc, "read") : TC_OK;
  tci_reader_give(storage, reader);
  return code;
}
