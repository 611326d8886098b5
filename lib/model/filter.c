#include "filter.h"

#include <string.h>

#include "emoji.h"

static int same(tc_text a, tc_text b) { return a.ptr && b.ptr && a.len == b.len && !memcmp(a.ptr, b.ptr, a.len); }

static int same_emoji(tc_text a, tc_text b) {
  char a_scratch[TC_EMOJI_BYTES_MAX], b_scratch[TC_EMOJI_BYTES_MAX];
  return same(tci_emoji_canonical(a, a_scratch), tci_emoji_canonical(b, b_scratch));
}

int tci_filter_matches(const tc_filter *filter, const tc_record *record) {
  if (record->kind != filter->kind) return 0;
  for (int i = 0; i < TC_COL_COUNT; i++) {
    tc_text want = filter->text[i], has = record->text[i];
    if (filter->absent >> i & 1 && has.ptr) return 0;
    if (!want.ptr) continue;
    if (!want.len) return 0;
    if (i == TC_COL_BODY && record->kind == TC_KIND_REACTION ? !same_emoji(want, has) : !same(want, has)) return 0;
  }
  return 1;
}
