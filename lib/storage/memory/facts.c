/* facts.c - derived values in memory: one sorted array, merged anew with each commit. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/memory/memory.h"

static int compare(uint32_t a_space, tc_text a, uint32_t b_space, tc_text b) {
  if (a_space != b_space) return a_space < b_space ? -1 : 1;
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
  return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static tc_text key_of(const tci_memory_fact *fact) { return (tc_text){fact->bytes, fact->key_len}; }

/* The place of (space, key), or where it would stand. */
static size_t place_of(const tci_memory_facts *facts, uint32_t space, tc_text key) {
  size_t low = 0, high = facts->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(facts->at[middle]->space, key_of(facts->at[middle]), space, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int check_key(const tc_storage *storage, uint32_t space, tc_text key) {
  if (space >= 1 && space <= TC_FACT_SPACE_MAX && key.len <= TC_FACT_KEY_MAX) return TC_OK;
  storage->env.fail(TC_EINVAL, "a fact's space must be 1 to %u, its key at most %u bytes", TC_FACT_SPACE_MAX, TC_FACT_KEY_MAX);
  return TC_EINVAL;
}

int tci_memory_facts_cursor(tc_storage *storage, int64_t *seq) {
  tci_memory_read_lock(storage);
  *seq = storage->facts.seq;
  tci_memory_unlock(storage);
  return TC_OK;
}

static int by_key(const void *a, const void *b) {
  const tci_memory_fact *x = *(tci_memory_fact *const *)a, *y = *(tci_memory_fact *const *)b;
  int order = compare(x->space, key_of(x), y->space, key_of(y));
  return order ? order : x->order < y->order ? -1 : x->order > y->order;
}

static tci_memory_fact *copy_of(const tc_fact *fact, size_t order) {
  tci_memory_fact *copy = tci_alloc(sizeof *copy + fact->key.len + fact->value.len);
  if (!copy) return NULL;
  *copy = (tci_memory_fact){.space = fact->space, .order = order, .key_len = fact->key.len, .value_len = fact->value.len, .removed = !fact->value.ptr};
  if (fact->key.len) memcpy(copy->bytes, fact->key.ptr, fact->key.len);
  if (fact->value.len) memcpy(copy->bytes + fact->key.len, fact->value.ptr, fact->value.len);
  return copy;
}

static int check_commit(const tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  if (seq < storage->facts.seq || seq > (int64_t)storage->rows.log.count) {
    storage->env.fail(TC_EINVAL, "facts up to %lld do not lie between %lld and the log's end", (long long)seq, (long long)storage->facts.seq);
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

/* Old and new, both sorted, into merged; frees what gives way. Returns how many. */
static size_t merge(const tci_memory_facts *old, tci_memory_fact **made, size_t n, tci_memory_fact **merged) {
  size_t at = 0, count = 0;
  for (size_t i = 0; i < n; i++) {
    while (at < old->count && compare(old->at[at]->space, key_of(old->at[at]), made[i]->space, key_of(made[i])) < 0) merged[count++] = old->at[at++];
    if (at < old->count && !compare(old->at[at]->space, key_of(old->at[at]), made[i]->space, key_of(made[i]))) tci_free(old->at[at++]);
    /* Of two for one key the later counts. */
    int replaced = i + 1 < n && !compare(made[i]->space, key_of(made[i]), made[i + 1]->space, key_of(made[i + 1]));
    if (replaced || made[i]->removed) tci_free(made[i]);
    else merged[count++] = made[i];
  }
  while (at < old->count) merged[count++] = old->at[at++];
  return count;
}

int tci_memory_facts_commit(tc_storage *storage, int64_t seq, const tc_fact *facts, size_t n) {
  tci_memory_facts *all = &storage->facts;
  tci_memory_fact **made = tci_array(n, sizeof *made), **merged = NULL;
  tci_memory_write_lock(storage);
  int code = made ? check_commit(storage, seq, facts, n) : tci_memory_fail(&storage->env);
  for (size_t i = 0; i < n && !code; i++) {
    if (!(made[i] = copy_of(&facts[i], i))) code = tci_memory_fail(&storage->env);
  }
  if (!code && n && !(merged = tci_array(all->count + n, sizeof *merged))) code = tci_memory_fail(&storage->env);
  if (code) {
    for (size_t i = 0; made && i < n; i++) tci_free(made[i]);
  } else {
    if (n) {
      qsort(made, n, sizeof *made, by_key);
      all->count = merge(all, made, n, merged);
      tci_free(all->at);
      all->at = merged;
    }
    all->seq = seq;
  }
  tci_memory_unlock(storage);
  tci_free(made);
  return code;
}

int tci_memory_fact_first(tc_storage *storage, uint32_t space, tc_text from, tc_fact_fn fn, void *arg) {
  const tci_memory_facts *facts = &storage->facts;
  int code = check_key(storage, space, from);
  if (code) return code;
  tci_memory_read_lock(storage);
  size_t at = place_of(facts, space, from);
  if (at < facts->count && facts->at[at]->space == space) {
    const tci_memory_fact *fact = facts->at[at];
    (void)fn(key_of(fact), (tc_text){fact->bytes + fact->key_len, fact->value_len}, arg);
  }
  tci_memory_unlock(storage);
  return TC_OK;
}

int tci_memory_facts_scan(tc_storage *storage, uint32_t space, tc_text from, tc_text to, tc_fact_fn fn, void *arg) {
  const tci_memory_facts *facts = &storage->facts;
  int code = check_key(storage, space, from);
  if (!code && to.ptr) code = check_key(storage, space, to);
  if (code) return code;
  tci_memory_read_lock(storage);
  for (size_t at = place_of(facts, space, from); at < facts->count && facts->at[at]->space == space; at++) {
    const tci_memory_fact *fact = facts->at[at];
    if (to.ptr && compare(space, key_of(fact), space, to) >= 0) break;
    if (fn(key_of(fact), (tc_text){fact->bytes + fact->key_len, fact->value_len}, arg)) break;
  }
  tci_memory_unlock(storage);
  return TC_OK;
}

void tci_memory_facts_free(tci_memory_facts *facts) {
  for (size_t i = 0; i < facts->count; i++) tci_free(facts->at[i]);
  tci_free(facts->at);
}
