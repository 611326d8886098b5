#include "server/front/response.h"

#include <string.h>

int tcd_is_hop_field(tc_text name) {
  static const char *const names[] = {"connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (tcd_text_is(name, names[i])) return 1;
  }
  return name.len > 6 && tcd_text_is((tc_text){name.ptr, 6}, "proxy-");
}

static int status_line(const char *at, const char *end, tcd_response *response) {
  if (end - at < 12 || memcmp(at, "HTTP/1.", 7) || (at[7] != '0' && at[7] != '1') || at[8] != ' ') return -1;
  int status = 0;
  for (int i = 9; i < 12; i++) {
    if (at[i] < '0' || at[i] > '9') return -1;
    status = status * 10 + (at[i] - '0');
  }
  if (end - at > 12 && at[12] != ' ') return -1;
  response->status = status;
  response->close = at[7] == '0';
  return status >= 200 && status <= 599 ? 0 : -1;
}

static int read_length(tc_text value, uint64_t *out) {
  uint64_t length = 0;
  if (!value.len || value.len > 18) return -1;
  for (size_t i = 0; i < value.len; i++) {
    if (value.ptr[i] < '0' || value.ptr[i] > '9') return -1;
    length = length * 10 + (uint64_t)(value.ptr[i] - '0');
  }
  *out = length;
  return 0;
}

static int field_line(const char *at, const char *end, tcd_response *response, int *lengths, tci_buf *headers) {
  const char *colon = memchr(at, ':', (size_t)(end - at));
  if (!colon || colon == at) return -1;
  for (const char *c = at; c < end; c++) {
    if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f) return -1;
  }
  tc_text name = {at, (size_t)(colon - at)}, value = {colon + 1, (size_t)(end - colon - 1)};
  while (value.len && *value.ptr == ' ') value.ptr++, value.len--;
  while (value.len && value.ptr[value.len - 1] == ' ') value.len--;
  if (tcd_text_is(name, "content-length")) return (*lengths)++ ? -1 : read_length(value, &response->content_length);
  if (tcd_text_is(name, "transfer-encoding")) return -1; /* the kitchen always knows its lengths */
  if (tcd_text_is(name, "connection") && tcd_text_is(value, "close")) response->close = 1;
  if (tcd_is_hop_field(name) || tcd_text_is(name, "date")) return 0;
  (void)tci_buf_append(headers, name.ptr, name.len);
  (void)tci_buf_puts(headers, ": ");
  (void)tci_buf_append(headers, value.ptr, value.len);
  return tci_buf_puts(headers, "\r\n") ? -1 : 0; /* the error is sticky */
}

int tcd_response_parse(const char *data, size_t len, tcd_response *response, tci_buf *headers) {
  const char *at = data, *end = data + len;
  int lengths = 0;
  memset(response, 0, sizeof *response);
  for (int line = 0; at < end; line++) {
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    if (!lf || lf == at || lf[-1] != '\r') return -1;
    const char *stop = lf - 1;
    /* 204 and 304 have no body and may say nothing of its length. */
    if (line && stop == at) return lf + 1 == end && (lengths == 1 || response->status == 204 || response->status == 304) ? 0 : -1;
    if (line ? field_line(at, stop, response, &lengths, headers) : status_line(at, stop, response)) return -1;
    at = lf + 1;
  }
  return -1;
}
