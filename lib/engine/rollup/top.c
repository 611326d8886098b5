#include "engine/rollup/top.h"

#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

int tci_top_before(tci_top_sum a_sum, int64_t a_seq, tci_top_sum b_sum, int64_t b_seq) { return a_sum != b_sum ? a_sum > b_sum : a_seq < b_seq; }

int tci_top_reserve(tci_top *top) {
  if (top->n < top->cap || top->cap == TCI_TOP_MAX + 1) return TC_OK;
  uint32_t cap = !top->cap ? 2 : top->cap * 2 > TCI_TOP_MAX ? TCI_TOP_MAX + 1 : top->cap * 2; /* one more stands in it for a moment */
  tci_top_entry *at = tci_realloc(top->at, cap * sizeof *at);
  if (!at) return TC_ENOMEM;
  top->at = at;
  top->cap = cap;
  return TC_OK;
}

/* How many entries stand before (sum, seq). */
static uint32_t place_of(const tci_top *top, tci_top_sum sum, int64_t seq) {
  uint32_t low = 0, high = top->n;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (tci_top_before(top->at[middle].sum, top->at[middle].seq, sum, seq)) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void take_out(tci_top *top, uint32_t at) { memmove(top->at + at, top->at + at + 1, (--top->n - at) * sizeof *top->at); }

static void put_in(tci_top *top, const tci_top_entry *entry) {
  uint32_t at = place_of(top, entry->sum, entry->seq);
  memmove(top->at + at + 1, top->at + at, (top->n++ - at) * sizeof *top->at);
  top->at[at] = *entry;
}

/* Someone whose entry was taken out, or who had none, has another value. */
static int place_again(tci_top *top, tci_top_entry *entry, tc_text name) {
  const tci_top_entry *last = top->n ? &top->at[top->n - 1] : NULL;
  int behind = entry->sum <= 0 || (!top->complete && (!last || !tci_top_before(entry->sum, entry->seq, last->sum, last->seq)));
  if (behind) {
    int had = entry->name != NULL;
    tci_free(entry->name);
    return had;
  }
  if (!entry->name) {
    entry->name = tci_strndup(name.ptr, name.len);
    entry->name_len = name.len;
    if (!entry->name) {
      tci_top_free(top);
      top->complete = 0;
      top->stale = 1;
      return 1;
    }
  }
  put_in(top, entry);
  if (top->n > TCI_TOP_MAX) {
    tci_free(top->at[--top->n].name);
    top->complete = 0;
  }
  return 1;
}

int tci_top_move(tci_top *top, tc_text name, tci_top_sum old_sum, int64_t old_seq, tci_top_sum sum, int64_t count, int64_t seq) {
  tci_top_entry entry = {.sum = sum, .count = count, .seq = seq};
  if (top->stale) return 0;
  uint32_t at = old_sum > 0 ? place_of(top, old_sum, old_seq) : top->n;
  if (at < top->n) {
    /* He is in it. Mostly he stays where he is. */
    tci_top_entry *old = &top->at[at];
    entry.name = old->name;
    entry.name_len = old->name_len;
    int same_place = sum > 0 && (!at || tci_top_before(old[-1].sum, old[-1].seq, sum, seq)) &&
                     (at + 1 < top->n ? tci_top_before(sum, seq, old[1].sum, old[1].seq) : top->complete);
    if (same_place) {
      *old = entry;
      return 1;
    }
    /* The last of a prefix stays its last only while he rises: who stands behind him is not known. */
    if (at + 1 == top->n && !top->complete && sum > 0 && !tci_top_before(old->sum, old->seq, sum, seq) &&
        (!at || tci_top_before(old[-1].sum, old[-1].seq, sum, seq))) {
      *old = entry;
      return 1;
    }
    take_out(top, at);
  }
  return place_again(top, &entry, name);
}

int tci_top_needs_rebuild(const tci_top *top) { return top->stale || (!top->complete && top->n < TCI_TOP_SHOWN); }

size_t tci_top_bytes(const tci_top *top) {
  size_t bytes = top->cap * sizeof *top->at;
  for (uint32_t i = 0; i < top->n; i++) bytes += top->at[i].name_len + 24;
  return bytes;
}

int tci_top_put(const tci_top *top, tci_buf *out) {
  (void)tci_put_varint(out, (unsigned)(top->complete | top->stale << 1));
  (void)tci_put_varint(out, top->n);
  for (uint32_t i = 0; i < top->n; i++) {
    const tci_top_entry *entry = &top->at[i];
    (void)tci_put_varint(out, tci_zigzag(entry->sum));
    (void)tci_put_varint(out, (uint64_t)entry->count);
    (void)tci_put_varint(out, (uint64_t)entry->seq);
    (void)tci_put_varint(out, entry->name_len);
    (void)tci_buf_append(out, entry->name, entry->name_len);
  }
  return out->err;
}

static int get_entry(tc_text *bytes, tci_top_entry *entry) {
  unsigned __int128 sum, count, seq, len;
  if (tci_get_varint(bytes, &sum) || tci_get_varint(bytes, &count) || tci_get_varint(bytes, &seq) || tci_get_varint(bytes, &len)) return TC_ECORRUPT;
  if (len > bytes->len || count > INT64_MAX || seq > INT64_MAX) return TC_ECORRUPT;
  *entry = (tci_top_entry){.sum = tci_unzigzag(sum), .count = (int64_t)count, .seq = (int64_t)seq, .name_len = (size_t)len};
  entry->name = tci_strndup(bytes->ptr, (size_t)len);
  if (!entry->name) return TC_ENOMEM;
  *bytes = (tc_text){bytes->ptr + len, bytes->len - (size_t)len};
  return TC_OK;
}

int tci_top_get(tci_top *top, tc_text bytes) {
  unsigned __int128 flags, n;
  if (tci_get_varint(&bytes, &flags) || tci_get_varint(&bytes, &n) || flags > 3 || n > TCI_TOP_MAX) return TC_ECORRUPT;
  top->cap = n ? (uint32_t)n : 1;
  top->at = tci_alloc(top->cap * sizeof *top->at);
  int rc = top->at ? TC_OK : TC_ENOMEM;
  for (top->n = 0; !rc && top->n < n; top->n++) {
    rc = get_entry(&bytes, &top->at[top->n]);
    if (rc) break;
  }
  if (rc) {
    tci_top_free(top);
    return rc;
  }
  top->complete = flags & 1;
  top->stale = (uint8_t)(flags >> 1);
  return TC_OK;
}

void tci_top_free(tci_top *top) {
  for (uint32_t i = 0; i < top->n; i++) tci_free(top->at[i].name);
  tci_free(top->at);
  *top = (tci_top){.complete = 1};
}
