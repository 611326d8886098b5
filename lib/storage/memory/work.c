/* work.c - what is owed to the outside, in memory: one array by (webhook_id, seq). Who may go is found by looking, not kept: this is for tests and trials. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/memory/memory.h"

static size_t place_of(const tci_memory_work *work, int64_t webhook_id, int64_t seq) {
  size_t low = 0, high = work->owed_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const tc_owed *owed = &work->owed[middle];
    if (owed->webhook_id != webhook_id ? owed->webhook_id < webhook_id : owed->seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int stands_at(const tci_memory_work *work, size_t at, const tc_owed *owed) {
  return at < work->owed_count && work->owed[at].webhook_id == owed->webhook_id && work->owed[at].seq == owed->seq;
}

static int reserve(tci_memory_work *work, size_t n) {
  size_t need = work->owed_count + n, cap = work->owed_cap ? work->owed_cap : 64;
  if (need <= work->owed_cap) return TC_OK;
  while (cap < need) cap *= 2;
  tc_owed *owed = tci_realloc(work->owed, cap * sizeof *owed);
  if (!owed) return TC_ENOMEM;
  work->owed = owed;
  work->owed_cap = cap;
  return TC_OK;
}

static void remove_row(tci_memory_work *work, const tc_owed *owed) {
  size_t at = place_of(work, owed->webhook_id, owed->seq);
  if (!stands_at(work, at, owed)) return;
  work->owed_count--;
  memmove(work->owed + at, work->owed + at + 1, (work->owed_count - at) * sizeof *work->owed);
}

static void put_row(tci_memory_work *work, const tc_owed *owed) {
  size_t at = place_of(work, owed->webhook_id, owed->seq);
  if (!stands_at(work, at, owed)) {
    memmove(work->owed + at + 1, work->owed + at, (work->owed_count - at) * sizeof *work->owed);
    work->owed_count++;
  }
  work->owed[at] = *owed;
  if (owed->lane < 0) work->owed[at].lane = -1;
}

int tci_memory_work_commit(tc_storage *storage, tc_work *change) {
  tci_memory_work *work = &storage->work;
  tci_memory_try **copies = tci_array(change->log_n, sizeof *copies);
  int code = copies ? TC_OK : TC_ENOMEM;
  for (size_t i = 0; i < change->log_n && !code; i++) {
    if (!(copies[i] = tci_memory_try_new(&change->log[i]))) code = TC_ENOMEM;
  }
  tci_memory_write_lock(storage);
  if (!code) code = reserve(work, change->owed_n);
  if (!code) code = tci_memory_tries_reserve(work, change->log_n);
  for (size_t i = 0; i < change->settled_n && !code; i++) remove_row(work, &change->settled[i]);
  for (size_t i = 0; i < change->owed_n && !code; i++) put_row(work, &change->owed[i]);
  for (size_t i = 0; i < change->log_n && !code; i++) {
    tci_memory_tries_add(work, copies[i]);
    change->log[i].id = copies[i]->delivery.id;
    copies[i] = NULL;
  }
  if (!code && change->cursor_seq > work->cursor_seq) work->cursor_seq = change->cursor_seq;
  tci_memory_unlock(storage);
  for (size_t i = 0; copies && i < change->log_n; i++) tci_free(copies[i]);
  tci_free(copies);
  return code ? tci_memory_fail(&storage->env) : TC_OK;
}

/* Is it its lane's first? */
static int is_ready(const tci_memory_work *work, size_t at) {
  const tc_owed *owed = &work->owed[at];
  if (owed->lane < 0) return 1;
  while (at-- > 0 && work->owed[at].webhook_id == owed->webhook_id) {
    if (work->owed[at].lane == owed->lane) return 0;
  }
  return 1;
}

static int by_due(const void *a, const void *b) {
  const tc_owed *x = a, *y = b;
  if (x->due_us != y->due_us) return x->due_us < y->due_us ? -1 : 1;
  return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Copies of a webhook's rows that may go and are due, in order. Under the lock. NULL: out of memory. */
static tc_owed *find_due(const tci_memory_work *work, int64_t webhook_id, int64_t until_us, size_t *n) {
  size_t first = place_of(work, webhook_id, INT64_MIN), end = first;
  while (end < work->owed_count && work->owed[end].webhook_id == webhook_id) end++;
  tc_owed *due = tci_array(end - first + 1, sizeof *due);
  if (!due) return NULL;
  *n = 0;
  for (size_t at = first; at < end; at++) {
    if (work->owed[at].due_us <= until_us && is_ready(work, at)) due[(*n)++] = work->owed[at];
  }
  qsort(due, *n, sizeof *due, by_due);
  return due;
}

int tci_memory_work_due(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg) {
  size_t n = 0;
  tci_memory_read_lock(storage);
  tc_owed *due = find_due(&storage->work, webhook_id, until_us, &n);
  tci_memory_unlock(storage);
  if (!due) return tci_memory_fail(&storage->env);
  for (size_t i = 0; i < n && i < max; i++) {
    if (fn(&due[i], arg)) break;
  }
  tci_free(due);
  return TC_OK;
}

int tci_memory_work_next(tc_storage *storage, int64_t webhook_id, int64_t *due_us) {
  size_t n = 0;
  tci_memory_read_lock(storage);
  tc_owed *due = find_due(&storage->work, webhook_id, INT64_MAX, &n);
  tci_memory_unlock(storage);
  if (!due) return tci_memory_fail(&storage->env);
  if (n) *due_us = due[0].due_us;
  else storage->env.fail(TC_ENOTFOUND, "webhook %lld is owed nothing", (long long)webhook_id);
  tci_free(due);
  return n ? TC_OK : TC_ENOTFOUND;
}

int tci_memory_work_state(tc_storage *storage, int64_t *cursor_seq, tc_owed_fn next, void *arg) {
  const tci_memory_work *work = &storage->work;
  int code = TC_OK, stop = 0;
  tci_memory_read_lock(storage);
  for (size_t at = 0; next && at < work->owed_count && !code && !stop;) {
    int64_t webhook_id = work->owed[at].webhook_id;
    size_t n = 0;
    tc_owed *due = find_due(work, webhook_id, INT64_MAX, &n);
    if (due && n) stop = next(&due[0], arg);
    if (!due) code = tci_memory_fail(&storage->env);
    tci_free(due);
    while (at < work->owed_count && work->owed[at].webhook_id == webhook_id) at++;
  }
  if (!code) *cursor_seq = work->cursor_seq;
  tci_memory_unlock(storage);
  return code;
}

int tci_memory_owed_read(tc_storage *storage, int64_t webhook_id, int64_t after_seq, size_t max, tc_owed_fn fn, void *arg) {
  const tci_memory_work *work = &storage->work;
  tci_memory_read_lock(storage);
  size_t at = after_seq == INT64_MAX ? work->owed_count : place_of(work, webhook_id, after_seq + 1);
  for (; max && at < work->owed_count && work->owed[at].webhook_id == webhook_id; at++, max--) {
    if (fn(&work->owed[at], arg)) break;
  }
  tci_memory_unlock(storage);
  return TC_OK;
}

int tci_memory_work_forget(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more) {
  tci_memory_work *work = &storage->work;
  tci_memory_write_lock(storage);
  size_t first = place_of(work, webhook_id, INT64_MIN), end = first;
  while (end < work->owed_count && work->owed[end].webhook_id == webhook_id) end++;
  size_t from = end - first > max ? end - max : first;
  if (end > from) memmove(work->owed + from, work->owed + end, (work->owed_count - end) * sizeof *work->owed);
  work->owed_count -= end - from;
  *more = from > first;
  tci_memory_unlock(storage);
  return TC_OK;
}

void tci_memory_work_free(tci_memory_work *work) {
  for (size_t i = 0; i < work->tries; i++) tci_free(work->by_id[i]);
  tci_free(work->by_id);
  tci_free(work->by_age);
  tci_free(work->owed);
}
