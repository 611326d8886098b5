/* A kind (the first byte) and any bytes as its JSON: an accepted record is valid, and the JSON of its event is read as the same record again. */
#include <string.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "model/event.h"
#include "model/fail.h"
#include "model/record.h"

/* The times and ids are the creator's to say nothing about, so any will do. */
static void check_event(const tc_record *record, int64_t id) {
  tc_event *event = tci_event_new(record);
  HOLDS(event);
  tci_event_commit(event, 1, id, id);
  size_t len = 0;
  const char *json = tc_event_json(event, &len);
  HOLDS(strlen(json) == len && tci_utf8_valid(json, len, NULL));
  HOLDS((size_t)(json + len + 1 - (const char *)event) <= event->size_bytes);
  HOLDS(tci_record_same_request(record, &event->record));
  tci_buf scratch;
  tci_buf_init(&scratch, len);
  tc_record back;
  HOLDS(tci_record_decode(record->kind, json, len, &scratch, &back) == TC_OK);
  HOLDS(tci_record_same_request(record, &back));
  tci_buf_free(&scratch);
  tc_event_unref(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  static const uint32_t kinds[] = {TC_KIND_CUSTOM, TC_KIND_TIP, TC_KIND_REACTION, TC_KIND_FOLLOW, TC_KIND_SUBSCRIBE, TC_KIND_RAID};
  uint32_t kind = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
  tci_buf scratch;
  tci_buf_init(&scratch, size);
  tc_record record;
  tci_fail_clear();
  int rc = tci_record_decode(kind, (const char *)data + 1, size - 1, &scratch, &record);
  if (rc) {
    HOLDS(rc == TC_EINVAL && strchr(tci_fail_detail(), ':') && tci_utf8_valid(tci_fail_detail(), strlen(tci_fail_detail()), NULL));
  } else {
    HOLDS(tci_record_validate(&record) == TC_OK);
    HOLDS(!record.text[TC_COL_KEY].ptr && !record.id && !record.seq);
    check_event(&record, (int64_t)(size * 0x9e3779b97f4a7c15u));
  }
  tci_buf_free(&scratch);
  return 0;
}
