/* Any bytes as a request's head: the end is found at the same place however they come, what is accepted lies within the input and holds no control character, and
 * comes back the same when it is re-framed for the kitchen and read again. The same bytes are also tried as a response of the kitchen. */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "server/front/head.h"
#include "server/front/reframe.h"
#include "server/front/response.h"

#define HEAD_MAX (16u << 10)

static int within(tc_text text, const char *from, const char *to) {
  return !text.ptr || (text.len == 1 && *text.ptr == '/') || (text.ptr >= from && text.ptr + text.len <= to);
}

static int printable(tc_text text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) return 0;
  }
  return 1;
}

static void check_spans(const tcd_head *head, const char *data, size_t len) {
  const tc_text texts[] = {head->method, head->target, head->path, head->query};
  HOLDS(head->header_count <= TCD_HEADERS_MAX);
  for (size_t i = 0; i < 4; i++) HOLDS(within(texts[i], data, data + len) && printable(texts[i]));
  for (size_t i = 0; i < head->header_count; i++) {
    const tcd_header *field = &head->headers[i];
    HOLDS(field->name.len && within(field->name, data, data + len) && printable(field->name));
    HOLDS(within(field->value, data, data + len) && printable(field->value));
  }
  HOLDS(!head->chunked || head->content_length < 0);
  HOLDS(head->target.len <= TCD_TARGET_MAX && head->path.len);
}

static void check_reframed(const tcd_head *head, size_t len) {
  static tcd_head again;
  tcd_request request = {
    .method = head->method, .target = head->target, .path = head->path, .query = head->query, .headers = head->headers, .header_count = head->header_count};
  tcd_fault fault;
  tci_buf out;
  tci_buf_init(&out, tcd_reframe_max(len));
  HOLDS(tcd_reframe(&request, &out) == 0);
  /* Percent-encoding may push a target beyond its limit; that is the only way in which the kitchen could refuse what we let through. */
  int rc = tcd_head_parse(out.data, out.len, &again, &fault);
  HOLDS(rc == 0 || (fault.status == 414 && again.target.len > TCD_TARGET_MAX));
  if (!rc) {
    HOLDS(again.content_length == 0 && !again.chunked && !again.expect_continue && again.keep_alive);
    HOLDS((again.query.ptr != NULL) == (head->query.ptr != NULL));
    for (const char *at = again.target.ptr; at < again.target.ptr + again.target.len; at++) HOLDS((unsigned char)*at < 0x80);
  }
  tci_buf_free(&out);
}

static void check_response(const char *data, size_t len) {
  tcd_response response;
  tci_buf headers;
  tci_buf_init(&headers, 2 * HEAD_MAX);
  if (tcd_response_parse(data, len, &response, &headers) == 0) {
    HOLDS(response.status >= 200 && response.status <= 599);
    HOLDS(!headers.len || (headers.len > 2 && !memcmp(headers.data + headers.len - 2, "\r\n", 2)));
  }
  tci_buf_free(&headers);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static tcd_head head;
  const char *data = (const char *)bytes;
  tcd_fault fault = {0, NULL};
  if (size > HEAD_MAX) size = HEAD_MAX;
  check_response(data, size);
  size_t blank = tcd_head_blank(data, size), scanned = 0, head_len = 0, slow_len = 0;
  data += blank;
  size -= blank;
  int whole = tcd_head_scan(data, size, &scanned, &head_len, &fault), slow = 0;
  scanned = 0;
  for (size_t len = 1; len <= size && !slow; len++) slow = tcd_head_scan(data, len, &scanned, &slow_len, &fault);
  HOLDS(whole == slow && (whole <= 0 || head_len == slow_len));
  if (whole <= 0) {
    HOLDS(whole == 0 || fault.status == 400);
    return 0;
  }
  fault = (tcd_fault){0, NULL};
  int rc = tcd_head_parse(data, head_len, &head, &fault);
  HOLDS((rc == 0) == (fault.message == NULL) && (rc == 0 || (fault.status >= 400 && fault.status <= 505)));
  if (rc) return 0;
  check_spans(&head, data, head_len);
  check_reframed(&head, head_len);
  return 0;
}
