#include "engine/rollup/waiting.h"

#include <string.h>

#include "base/mem.h"

struct tci_waiting_event {
  struct tci_waiting_event *next;
  tc_record record;
  char bytes[];
};

/* What is counted of it. */
static int counts(uint32_t kind, int column) {
  if (column == TC_COL_METADATA || column == TC_COL_KEY) return 0;
  return column != TC_COL_BODY || kind == TC_KIND_REACTION;
}

int tci_waiting_put(tci_waiting *waiting, const tc_record *record, int64_t now_us) {
  size_t len = 0;
  for (int i = 0; i < TC_COL_COUNT; i++) len += counts(record->kind, i) ? record->text[i].len : 0;
  struct tci_waiting_event *event = tci_alloc(sizeof *event + len);
  if (!event) return TC_ENOMEM;
  event->next = NULL;
  event->record = *record;
  char *at = event->bytes;
  for (int i = 0; i < TC_COL_COUNT; i++) {
    tc_text *text = &event->record.text[i];
    if (!counts(record->kind, i)) *text = (tc_text){NULL, 0};
    if (!text->ptr) continue;
    if (text->len) memcpy(at, text->ptr, text->len);
    text->ptr = at;
    at += text->len;
  }
  if (waiting->last) waiting->last->next = event;
  else waiting->first = event;
  if (!waiting->n) waiting->since_us = now_us;
  waiting->last = event;
  waiting->last_seq = record->seq;
  waiting->n++;
  waiting->bytes += sizeof *event + len;
  return TC_OK;
}

size_t tci_waiting_first(const tci_waiting *waiting, size_t max, const tc_record **out) {
  size_t n = 0;
  for (const struct tci_waiting_event *event = waiting->first; event && n < max; event = event->next) out[n++] = &event->record;
  return n;
}

void tci_waiting_drop(tci_waiting *waiting, size_t n) {
  for (; n && waiting->first; n--) {
    struct tci_waiting_event *event = waiting->first;
    size_t len = 0;
    for (int i = 0; i < TC_COL_COUNT; i++) len += event->record.text[i].len;
    waiting->bytes -= sizeof *event + len;
    waiting->first = event->next;
    waiting->n--;
    tci_free(event);
  }
  if (!waiting->first) *waiting = (tci_waiting){0};
}
