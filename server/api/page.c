#include "page.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"

#define FRAME_BYTES 1024 /* at most what stands around the content */

int tcd_page_put_event(tci_buf *buf, tc_engine *engine, const tc_event *event) {
  size_t len;
  int64_t refunded = 0;
  const char *json = tc_event_json(event, &len);
  int rc = tc_event_kind(event) == TC_KIND_TIP ? tc_tip_refunded(engine, event, &refunded) : TC_OK;
  if (rc) return rc;
  (void)tci_buf_append(buf, json, refunded ? len - 1 : len);
  if (refunded) (void)tci_buf_printf(buf, ",\"refundedAmount\":%" PRId64 ".%02d}", refunded / 100, (int)(refunded % 100));
  return buf->err;
}

static int put_content(tci_buf *buf, tc_engine *engine, const tc_page *page) {
  int rc = TC_OK;
  size_t count = tc_page_count(page), total = FRAME_BYTES;
  for (size_t i = 0; i < count; i++) {
    size_t len;
    (void)tc_event_json(tc_page_at(page, i), &len);
    total += len + 1;
  }
  (void)tci_buf_room(buf, total); /* one allocation; its error is sticky */
  (void)tci_buf_puts(buf, "{\"content\":[");
  for (size_t i = 0; i < count && !rc; i++) {
    if (i) (void)tci_buf_puts(buf, ",");
    rc = tcd_page_put_event(buf, engine, tc_page_at(page, i));
  }
  (void)tci_buf_puts(buf, "]");
  return rc;
}

static const char *truth(int value) { return value ? "true" : "false"; }

int tcd_page_put_frame(tci_buf *buf, size_t count, int64_t total, int64_t number, int32_t size, int sorted) {
  const char *sort = sorted ? "\"sort\":{\"empty\":false,\"sorted\":true,\"unsorted\":false}" : "\"sort\":{\"empty\":true,\"sorted\":false,\"unsorted\":true}";
  int64_t pages = total / size + (total % size != 0);
  (void)tci_buf_printf(buf, ",\"empty\":%s,\"first\":%s,\"last\":%s,\"number\":%" PRId64 ",\"numberOfElements\":%zu", truth(!count), truth(!number),
                       truth(number >= pages - 1), number, count);
  (void)tci_buf_printf(buf, ",\"pageable\":{\"offset\":%" PRId64 ",\"pageNumber\":%" PRId64 ",\"pageSize\":%d,\"paged\":true,%s,\"unpaged\":false}",
                       number * size, number, size, sort);
  (void)tci_buf_printf(buf, ",\"size\":%d,%s,\"totalElements\":%" PRId64 ",\"totalPages\":%" PRId64 "}", size, sort, total, pages);
  return buf->err;
}

int tcd_page_put(tci_buf *buf, tc_engine *engine, const tc_page *page, int64_t number, int32_t size) {
  int rc = put_content(buf, engine, page);
  return rc ? rc : tcd_page_put_frame(buf, tc_page_count(page), tc_page_total(page), number, size, 1);
}

int tcd_page_put_keyset(tci_buf *buf, tc_engine *engine, const tc_page *page, int32_t size) {
  const char *next = tc_page_next(page);
  int rc = put_content(buf, engine, page);
  if (rc) return rc;
  (void)tci_buf_printf(buf, ",\"size\":%d,\"numberOfElements\":%zu,\"totalElements\":%" PRId64 ",\"last\":%s,\"next\":", size, tc_page_count(page),
                       tc_page_total(page), truth(!next));
  if (next) (void)tci_json_put_string(buf, (tc_text){next, strlen(next)});
  else (void)tci_buf_puts(buf, "null");
  (void)tci_buf_puts(buf, "}");
  return buf->err;
}
