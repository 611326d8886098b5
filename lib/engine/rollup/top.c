#include "engine/rollup/top.h"

#include <string.h>

#include "base/mem.h"
#include "engine/rollup/cells.h"

int tci_top_before(tci_top_sum a_sum, int64_t a_seq, tci_top_sum b_sum, int64_t b_seq) { return a_sum != b_sum ? a_sum > b_sum : a_seq < b_seq; }

tci_top_entry *tci_top_at(const tci_top *top, size_t i) { return &top->entries[top->order[i]]; }

static int64_t head_of(tci_top_sum sum) { return sum > INT64_MAX ? INT64_MAX : sum < INT64_MIN ? INT64_MIN : (int64_t)sum; }

void tci_top_append(tci_top *top, const tci_top_entry *entry) {
  top->heads[top->n] = head_of(entry->sum);
  top->order[top->n] = (uint8_t)top->n;
  top->entries[top->n++] = *entry;
}

int tci_top_reserve(tci_top *top) {
  if (top->n < top->cap || top->cap == TCI_TOP_MAX + 1) return TC_OK;
  uint32_t cap = !top->cap ? 2 : top->cap * 2 > TCI_TOP_MAX ? TCI_TOP_MAX + 1 : top->cap * 2; /* one more stands in it for a moment */
  tci_top_entry *entries = tci_realloc(top->entries, cap * sizeof *entries);
  if (!entries) return TC_ENOMEM;
  top->entries = entries;
  int64_t *heads = tci_realloc(top->heads, cap * sizeof *heads);
  if (!heads) return TC_ENOMEM;
  top->heads = heads;
  top->cap = cap;
  return TC_OK;
}

/* How many of the first `count` in order stand before (sum, seq). */
static uint32_t place_of(const tci_top *top, uint32_t count, tci_top_sum sum, int64_t seq) {
  uint32_t low = 0, high = count;
  int64_t head = head_of(sum);
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    const tci_top_entry *entry = top->heads[middle] == head ? tci_top_at(top, middle) : NULL;
    int before = entry ? tci_top_before(entry->sum, entry->seq, sum, seq) : top->heads[middle] > head;
    if (before) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* The one at `from` in order goes, and its entry: the last of them moves into its place. */
static void drop(tci_top *top, uint32_t from) {
  uint8_t gone = top->order[from];
  memmove(top->heads + from, top->heads + from + 1, (top->n - 1 - from) * sizeof *top->heads);
  memmove(top->order + from, top->order + from + 1, --top->n - from);
  tci_free(top->entries[gone].name);
  if (gone == top->n) return;
  top->entries[gone] = top->entries[top->n];
  uint8_t *moved = memchr(top->order, (int)top->n, top->n);
  *moved = gone; /* it is in the order: every other entry is */
}

/* The one at `from` in order has another value: he goes to his place among the others. */
static uint32_t replace(tci_top *top, uint32_t from) {
  uint8_t which = top->order[from];
  memmove(top->heads + from, top->heads + from + 1, (top->n - 1 - from) * sizeof *top->heads);
  memmove(top->order + from, top->order + from + 1, top->n - 1 - from);
  uint32_t to = place_of(top, top->n - 1, top->entries[which].sum, top->entries[which].seq);
  memmove(top->heads + to + 1, top->heads + to, (top->n - 1 - to) * sizeof *top->heads);
  memmove(top->order + to + 1, top->order + to, top->n - 1 - to);
  top->heads[to] = head_of(top->entries[which].sum);
  top->order[to] = which;
  return to;
}

/* He was at `from` in order. Whether he is behind the end now is not known of one who comes to stand at it: who is behind it may be better. */
static int move_within(tci_top *top, uint32_t from, const tci_top_entry *now) {
  tci_top_entry *entry = tci_top_at(top, from);
  int64_t old_seq = entry->seq;
  tci_top_sum old_sum = entry->sum;
  int was_last = from + 1 == top->n;
  entry->sum = now->sum;
  entry->count = now->count;
  entry->seq = now->seq;
  uint32_t to = replace(top, from);
  int is_last = to + 1 == top->n;
  /* The last of a prefix stays its last only while he rises. */
  int unsure = is_last && !top->complete && !(was_last && !tci_top_before(old_sum, old_seq, now->sum, now->seq));
  if (now->sum <= 0 || unsure) drop(top, top->n - 1); /* one without a sum is behind all that have one */
  return 1;
}

/* To the place of its value. */
static int put_in(tci_top *top, tci_top_entry *entry, tc_text name) {
  entry->name = tci_strndup(name.ptr, name.len);
  entry->name_len = name.len;
  if (!entry->name) {
    tci_top_free(top);
    top->complete = 0;
    top->stale = 1;
    return 1;
  }
  tci_top_append(top, entry);
  (void)replace(top, top->n - 1);
  return 1;
}

static int come_in(tci_top *top, tci_top_entry *entry, tc_text name) {
  const tci_top_entry *last = top->n ? tci_top_at(top, top->n - 1) : NULL;
  if (entry->sum <= 0 || (!top->complete && (!last || !tci_top_before(entry->sum, entry->seq, last->sum, last->seq)))) return 0;
  (void)put_in(top, entry, name);
  if (top->n > TCI_TOP_MAX) {
    drop(top, top->n - 1);
    top->complete = 0;
  }
  return 1;
}

int tci_top_move(tci_top *top, tc_text name, tci_top_sum old_sum, int64_t old_seq, tci_top_sum sum, int64_t count, int64_t seq) {
  tci_top_entry entry = {.sum = sum, .count = count, .seq = seq};
  if (top->stale) return 0;
  uint32_t at = old_sum > 0 ? place_of(top, top->n, old_sum, old_seq) : top->n;
  return at < top->n ? move_within(top, at, &entry) : come_in(top, &entry, name);
}

/* When it was written, everybody before its last was in it. That stays so of all who have not changed, wherever the others go. */
static void begin_to_settle(tci_top *top) {
  const tci_top_entry *last = top->n ? tci_top_at(top, top->n - 1) : NULL;
  top->settling = 1;
  top->limit_sum = last && !top->complete ? last->sum : 0;
  top->limit_seq = last && !top->complete ? last->seq : INT64_MAX;
}

static uint32_t find(const tci_top *top, tc_text name) {
  uint32_t at = 0;
  for (; at < top->n; at++) {
    const tci_top_entry *entry = tci_top_at(top, at);
    if (entry->name_len == name.len && memcmp(entry->name, name.ptr, name.len) == 0) break;
  }
  return at;
}

int tci_top_settle(tci_top *top, tc_text name, tci_top_sum sum, int64_t count, int64_t seq) {
  tci_top_entry entry = {.sum = sum, .count = count, .seq = seq};
  if (top->stale || (!top->complete && !top->n)) return 0; /* it is to be built again */
  if (!top->settling) begin_to_settle(top);
  uint32_t at = find(top, name);
  int was_in = at < top->n;
  if (was_in && tci_top_at(top, at)->sum == sum && tci_top_at(top, at)->seq == seq) return 0;
  if (was_in) drop(top, at);
  if (sum <= 0 || !tci_top_before(sum, seq, top->limit_sum, top->limit_seq)) return was_in;
  (void)put_in(top, &entry, name);
  if (top->n > TCI_TOP_MAX) {
    /* Who goes here is missing if others drop behind him. */
    const tci_top_entry *last = tci_top_at(top, top->n - 1);
    top->limit_sum = last->sum;
    top->limit_seq = last->seq;
    drop(top, top->n - 1);
    top->complete = 0;
  }
  return 1;
}

int tci_top_needs_rebuild(const tci_top *top) { return top->stale || (!top->complete && top->n < TCI_TOP_SHOWN); }

size_t tci_top_bytes(const tci_top *top) {
  size_t bytes = top->cap * (sizeof *top->entries + sizeof *top->heads);
  for (uint32_t i = 0; i < top->n; i++) bytes += top->entries[i].name_len + 24;
  return bytes;
}

int tci_top_put(const tci_top *top, tci_buf *out) {
  (void)tci_put_varint(out, (unsigned)(top->complete | top->stale << 1));
  (void)tci_put_varint(out, top->n);
  for (uint32_t i = 0; i < top->n; i++) {
    const tci_top_entry *entry = tci_top_at(top, i);
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
  top->entries = tci_alloc(top->cap * sizeof *top->entries);
  top->heads = tci_alloc(top->cap * sizeof *top->heads);
  int rc = top->entries && top->heads ? TC_OK : TC_ENOMEM;
  while (!rc && top->n < n) {
    tci_top_entry entry;
    rc = get_entry(&bytes, &entry);
    if (!rc) tci_top_append(top, &entry);
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
  for (uint32_t i = 0; i < top->n; i++) tci_free(top->entries[i].name);
  tci_free(top->entries);
  tci_free(top->heads);
  *top = (tci_top){.complete = 1};
}
