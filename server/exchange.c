#include "server/exchange.h"

#include <string.h>

#define REPLY_HEADERS_MAX (64u << 10)
#define REPLY_BODY_MAX (256u << 20) /* a page of 1000 events with 64 KiB of metadata each, four times over */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

int tcd_text_is(tc_text text, const char *word) {
  size_t i = 0;
  for (; i < text.len && word[i]; i++) {
    if (lower(text.ptr[i]) != lower(word[i])) return 0;
  }
  return i == text.len && !word[i];
}

size_t tcd_request_header(const tcd_request *request, const char *name, tc_text *value) {
  size_t found = 0;
  for (size_t i = 0; i < request->header_count; i++) {
    if (!tcd_text_is(request->headers[i].name, name)) continue;
    if (!found++ && value) *value = request->headers[i].value;
  }
  return found;
}

void tcd_reply_init(tcd_reply *reply, void (*deliver)(tcd_reply *)) {
  memset(reply, 0, sizeof *reply);
  tci_buf_init(&reply->headers, REPLY_HEADERS_MAX);
  tci_buf_init(&reply->body, REPLY_BODY_MAX);
  reply->deliver = deliver;
}

void tcd_reply_clear(tcd_reply *reply) {
  tc_event_unref(reply->event);
  reply->event = NULL;
  tci_buf_free(&reply->headers);
  tci_buf_free(&reply->body);
}

void tcd_reply_send(tcd_reply *reply) { reply->deliver(reply); }

const char *tcd_status_text(int status) {
  static const struct {
    int status;
    const char *text;
  } texts[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    if (texts[i].status == status) return texts[i].text;
  }
  return "Unknown";
}
