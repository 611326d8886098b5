/* deliveries.c - the delivery log in memory: by id for reading, by age for trimming. */
#include <string.h>

#include "base/mem.h"
#include "storage/memory/memory.h"

#define TRIM_SLICE 512

static void copy_text(tc_text *text, char **to) {
  if (!text->ptr) return;
  if (text->len) memcpy(*to, text->ptr, text->len);
  text->ptr = *to;
  *to += text->len;
}

tci_memory_try *tci_memory_try_new(const tc_delivery *delivery) {
  size_t size =
    (delivery->event.ptr ? delivery->event.len : 0) + (delivery->response.ptr ? delivery->response.len : 0) + (delivery->error.ptr ? delivery->error.len : 0);
  tci_memory_try *one = tci_alloc(sizeof *one + size);
  if (!one) return NULL;
  char *to = one->bytes;
  one->delivery = *delivery;
  one->gone = 0;
  copy_text(&one->delivery.event, &to);
  copy_text(&one->delivery.response, &to);
  copy_text(&one->delivery.error, &to);
  return one;
}

int tci_memory_tries_reserve(tci_memory_work *work, size_t n) {
  size_t need = work->tries + n, cap = work->tries_cap ? work->tries_cap : 64;
  if (need <= work->tries_cap) return TC_OK;
  while (cap < need) cap *= 2;
  tci_memory_try **by_id = tci_realloc(work->by_id, cap * sizeof *by_id);
  if (!by_id) return TC_ENOMEM;
  work->by_id = by_id;
  tci_memory_try **by_age = tci_realloc(work->by_age, cap * sizeof *by_age);
  if (!by_age) return TC_ENOMEM;
  work->by_age = by_age;
  work->tries_cap = cap;
  return TC_OK;
}

void tci_memory_tries_add(tci_memory_work *work, tci_memory_try *one) {
  size_t at = work->tries;
  one->delivery.id = ++work->last_id;
  while (at && work->by_age[at - 1]->delivery.created_at_us > one->delivery.created_at_us) at--;
  memmove(work->by_age + at + 1, work->by_age + at, (work->tries - at) * sizeof *work->by_age);
  work->by_age[at] = one;
  work->by_id[work->tries++] = one;
}

int tci_memory_deliveries(tc_storage *storage, int64_t webhook_id, int64_t offset, size_t max, tc_delivery_fn fn, void *arg, int64_t *total) {
  const tci_memory_work *work = &storage->work;
  int64_t count = 0;
  size_t given = 0;
  int stop = 0;
  tci_memory_read_lock(storage);
  for (size_t i = work->tries; i-- > 0;) {
    const tc_delivery *row = &work->by_id[i]->delivery;
    if (row->webhook_id != webhook_id) continue;
    if (count++ < offset || stop || given == max) continue;
    stop = fn(row, arg);
    given++;
  }
  tci_memory_unlock(storage);
  *total = count;
  return TC_OK;
}

int tci_memory_delivery_get(tc_storage *storage, int64_t webhook_id, int64_t id, tc_delivery_fn fn, void *arg) {
  const tci_memory_work *work = &storage->work;
  int found = 0;
  tci_memory_read_lock(storage);
  for (size_t i = work->tries; i-- > 0 && !found;) {
    const tc_delivery *row = &work->by_id[i]->delivery;
    found = row->id == id && row->webhook_id == webhook_id;
    if (found) (void)fn(row, arg); /* there is no walk to stop */
  }
  tci_memory_unlock(storage);
  if (found) return TC_OK;
  storage->env.fail(TC_ENOTFOUND, "webhook %lld has no delivery %lld", (long long)webhook_id, (long long)id);
  return TC_ENOTFOUND;
}

int tci_memory_work_trim(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more) {
  tci_memory_work *work = &storage->work;
  size_t max = max_rows > 0 ? (size_t)max_rows : 0, n = 0, kept = 0;
  tci_memory_write_lock(storage);
  while (n < work->tries && n < TRIM_SLICE && (work->by_age[n]->delivery.created_at_us < before_us || work->tries - n > max)) work->by_age[n++]->gone = 1;
  for (size_t i = 0; n && i < work->tries; i++) {
    if (work->by_id[i]->gone) tci_free(work->by_id[i]);
    else work->by_id[kept++] = work->by_id[i];
  }
  if (n) {
    work->tries -= n;
    memmove(work->by_age, work->by_age + n, work->tries * sizeof *work->by_age);
  }
  tci_memory_unlock(storage);
  *more = n == TRIM_SLICE;
  return TC_OK;
}
