#include "server/front/reframe.h"

#include "server/front/response.h"

/* CivetWeb looks at 64 fields and drops the others without a word. What our handlers and guards read goes first. */
#define FIELDS_MAX 60

size_t tcd_reframe_max(size_t head_max) { return head_max * 3 + 1024; }

static void put_encoded(tci_buf *out, tc_text text) {
  static const char hex[] = "0123456789ABCDEF";
  size_t plain = 0;
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (c < 0x80) continue;
    char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
    (void)tci_buf_append(out, text.ptr + plain, i - plain); /* the error is sticky and looked at once */
    (void)tci_buf_append(out, escape, sizeof escape);
    plain = i + 1;
  }
  (void)tci_buf_append(out, text.ptr + plain, text.len - plain);
}

static void put_field(tci_buf *out, const tcd_header *field) {
  (void)tci_buf_append(out, field->name.ptr, field->name.len);
  (void)tci_buf_puts(out, ": ");
  (void)tci_buf_append(out, field->value.ptr, field->value.len);
  (void)tci_buf_puts(out, "\r\n");
}

static int is_ours(tc_text name) {
  static const char *const names[] = {"host", "content-type", "accept", "idempotency-key", "origin"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (tcd_text_is(name, names[i])) return 1;
  }
  return 0;
}

int tcd_reframe(const tcd_request *request, tci_buf *out) {
  size_t count = 1;
  tc_text method = request->method, host;
  if (tcd_text_is(method, "HEAD")) method = (tc_text){"GET", 3};
  (void)tci_buf_append(out, method.ptr, method.len);
  (void)tci_buf_puts(out, " ");
  put_encoded(out, request->path);
  if (request->query.ptr) {
    (void)tci_buf_puts(out, "?");
    put_encoded(out, request->query);
  }
  (void)tci_buf_printf(out, " HTTP/1.1\r\nContent-Length: %zu\r\n", request->body.len);
  /* An HTTP/1.0 client may send no Host; the kitchen speaks HTTP/1.1 and wants one. */
  if (!tcd_request_header(request, "host", &host)) (void)tci_buf_puts(out, "Host: localhost\r\n");
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < request->header_count && count < FIELDS_MAX; i++) {
      const tcd_header *field = &request->headers[i];
      if (is_ours(field->name) != !pass || tcd_is_hop_field(field->name)) continue;
      put_field(out, field);
      count++;
    }
  }
  return tci_buf_puts(out, "\r\n");
}
