/* unique.c - people counted from the events themselves, where no kept number tells. */
#include "engine/page.h"
#include "engine/rollup/cells.h"

#define PAGE_FIRST 16 /* most hours have few events, and a page goes on below them */
#define PAGE_MAX 1000
#define SEEN_BYTES (UINT64_C(1) << 30)

typedef struct count {
  tci_rollup *rollup;
  tci_hours seen; /* one table for all */
  int64_t *out;
  int64_t events;
} count;

static int see(count *c, int role, tc_text who) {
  tci_hash entry = tci_hash_mix((unsigned)role + 1, c->rollup->all, tci_hash_of(c->rollup, who));
  int seen = tci_hour_see(&c->seen, &c->seen.at[0], entry.h, entry.g, 0);
  if (seen < 0) return tci_fail(TC_ENOMEM, "out of memory for counting people");
  c->out[role] += !seen;
  return TC_OK;
}

static int see_page(count *c, const tc_page *page, int64_t from_us, int *end) {
  int rc = TC_OK;
  for (size_t i = 0; i < page->n && !rc && !*end; i++) {
    const tc_record *record = &page->events[i]->record;
    if (record->created_at_us < from_us) {
      *end = 1;
    } else if (++c->events > TCI_PEOPLE_EVENTS_MAX) {
      rc = tci_fail(TC_ELIMIT, "more than %d events to count people in", TCI_PEOPLE_EVENTS_MAX);
    } else {
      rc = see(c, record->kind == TC_KIND_TIP ? TCI_SENDERS : TCI_REACTORS, record->text[TC_COL_USER]);
      if (!rc && record->kind == TC_KIND_TIP) rc = see(c, TCI_RECIPIENTS, record->text[TC_COL_PEER]);
    }
  }
  return rc;
}

static int count_kind(count *c, uint32_t kind, tc_text room, int64_t from_us, int64_t to_us) {
  tc_position after = {to_us, INT64_MIN};
  tci_list_request request = {.filter = {.kind = kind}, .after = &after, .size = PAGE_FIRST};
  if (room.len) request.filter.text[TC_COL_ROOM] = room;
  int rc = TC_OK, end = 0;
  while (!rc && !end) {
    tc_page *page = NULL;
    rc = tci_query_list(c->rollup->engine, &request, &page);
    if (rc) break;
    rc = see_page(c, page, from_us, &end);
    if (page->n < request.size) end = 1;
    else after = (tc_position){page->events[page->n - 1]->record.created_at_us, page->events[page->n - 1]->record.seq};
    tc_page_free(page);
    request.size = request.size * 2 < PAGE_MAX ? request.size * 2 : PAGE_MAX;
  }
  return rc;
}

int tci_rollup_count_unique(tc_engine *engine, tc_text room, int64_t from_us, int64_t to_us, int64_t out[TCI_UNIQUES]) {
  int64_t found[TCI_UNIQUES] = {0};
  count c = {.out = found, .seen = {.bytes_max = SEEN_BYTES}};
  int rc = tci_rollup_usable(engine, &c.rollup);
  if (rc) return rc;
  (void)tci_hours_begin(&c.seen, 0);
  if (from_us < to_us) rc = count_kind(&c, TC_KIND_TIP, room, from_us, to_us);
  if (!rc && from_us < to_us) rc = count_kind(&c, TC_KIND_REACTION, room, from_us, to_us);
  tci_hours_free(&c.seen);
  for (int i = 0; i < TCI_UNIQUES && !rc; i++) out[i] = found[i];
  return rc;
}
