#include "server/front/head.h"

#include <string.h>

enum { TOKEN = 1, VALUE = 2, TARGET = 4 };

/* What each byte may be part of. Values take obs-text (RFC 9110 5.5); targets take raw UTF-8 beyond the RFC, since browsers' users and our README's curl line
 * send it. A fragment never belongs on the wire. */
static const unsigned char kinds[256] = {
  ['\t'] = VALUE,
  [' '] = VALUE,
  ['!'] = TOKEN | VALUE | TARGET,
  ['"'] = VALUE | TARGET,
  ['#'] = TOKEN | VALUE,
  ['$' ... '\''] = TOKEN | VALUE | TARGET,
  ['(' ... ')'] = VALUE | TARGET,
  ['*' ... '+'] = TOKEN | VALUE | TARGET,
  [','] = VALUE | TARGET,
  ['-' ... '.'] = TOKEN | VALUE | TARGET,
  ['/'] = VALUE | TARGET,
  ['0' ... '9'] = TOKEN | VALUE | TARGET,
  [':' ... '@'] = VALUE | TARGET,
  ['A' ... 'Z'] = TOKEN | VALUE | TARGET,
  ['[' ... ']'] = VALUE | TARGET,
  ['^' ... 'z'] = TOKEN | VALUE | TARGET,
  ['{'] = VALUE | TARGET,
  ['|'] = TOKEN | VALUE | TARGET,
  ['}'] = VALUE | TARGET,
  ['~'] = TOKEN | VALUE | TARGET,
  [0x80 ... 0xff] = VALUE | TARGET,
};

static int refuse(tcd_fault *fault, int status, const char *message) {
  fault->status = status;
  fault->message = message;
  return -1;
}

/* The longest run of bytes of one kind. */
static size_t run_of(const char *at, const char *end, int kind) {
  const char *start = at;
  while (at < end && kinds[(unsigned char)*at] & kind) at++;
  return (size_t)(at - start);
}

size_t tcd_head_blank(const char *data, size_t len) {
  size_t at = 0;
  while (len - at >= 2 && data[at] == '\r' && data[at + 1] == '\n') at += 2;
  return at;
}

int tcd_head_scan(const char *data, size_t len, size_t *scanned, size_t *head_len, tcd_fault *fault) {
  size_t at = *scanned;
  while (at < len) {
    const char *lf = memchr(data + at, '\n', len - at);
    if (!lf) break;
    at = (size_t)(lf - data) + 1;
    /* A lone LF ends a line for some parsers and not for others, which is how requests are smuggled: RFC 9112 2.2 lets us take it, we do not. */
    if (at < 2 || lf[-1] != '\r') return refuse(fault, 400, "head: a line must end with CR LF");
    if (at >= 4 && lf[-2] == '\n') {
      *head_len = at;
      return 1;
    }
  }
  *scanned = len;
  return 0;
}

tcd_fault tcd_head_too_long(const char *data, size_t len) {
  tcd_fault fault = {431, "head: too long"};
  if (!len || !memchr(data, '\n', len)) fault = (tcd_fault){414, "target: too long"};
  return fault;
}

/* "http://authority/path?query": the authority replaces Host (RFC 9112 3.2.2). Returns where the path begins, NULL when the form is wrong. */
static const char *skip_authority(tc_text target, tc_text *authority) {
  static const char *const schemes[] = {"http://", "https://"};
  const char *end = target.ptr + target.len;
  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
    size_t len = strlen(schemes[i]);
    if (target.len <= len || !tcd_text_is((tc_text){target.ptr, len}, schemes[i])) continue;
    const char *at = target.ptr + len;
    authority->ptr = at;
    while (at < end && *at != '/' && *at != '?') {
      if (*at++ == '@') return NULL; /* RFC 9110 4.2.4: user information in a URI is an error */
    }
    authority->len = (size_t)(at - authority->ptr);
    return authority->len ? at : NULL;
  }
  return NULL;
}

static int split_target(tcd_head *head, tc_text *authority, tcd_fault *fault) {
  tc_text target = head->target;
  const char *end = target.ptr + target.len, *path = target.ptr;
  if (target.len > TCD_TARGET_MAX) return refuse(fault, 414, "target: too long");
  if (target.len == 1 && *path == '*') {
    if (!tcd_text_is(head->method, "OPTIONS")) return refuse(fault, 400, "target: * is for OPTIONS only");
    head->path = target;
    return 0;
  }
  if (*path != '/') path = skip_authority(target, authority);
  if (!path) return refuse(fault, 400, "target: must be a path or an http URL");
  const char *mark = path < end ? memchr(path, '?', (size_t)(end - path)) : NULL;
  head->path = (tc_text){path, (size_t)((mark ? mark : end) - path)};
  if (!head->path.len) head->path = (tc_text){"/", 1}; /* http://host is http://host/ */
  if (mark) head->query = (tc_text){mark + 1, (size_t)(end - mark - 1)};
  return 0;
}

/* method SP target SP HTTP/1.x CRLF; exactly one space each, since RFC 9112 3 warns of what lenient splitting lets in. */
static int request_line(const char *at, const char *end, tcd_head *head, tc_text *authority, tcd_fault *fault) {
  head->method = (tc_text){at, run_of(at, end, TOKEN)};
  at += head->method.len;
  if (!head->method.len || at == end || *at != ' ') return refuse(fault, 400, "request line: the method is malformed");
  at++;
  head->target = (tc_text){at, run_of(at, end, TARGET)};
  at += head->target.len;
  if (!head->target.len || at == end || *at != ' ') return refuse(fault, 400, "request line: the target is malformed");
  at++;
  static const char name[] = "HTTP/";
  if (end - at != 8 || memcmp(at, name, 5) || at[5] < '0' || at[5] > '9' || at[6] != '.' || at[7] < '0' || at[7] > '9') {
    return refuse(fault, 400, "request line: the version is malformed");
  }
  if (at[5] != '1' || at[7] > '1') return refuse(fault, 505, "request line: only HTTP/1.1 and HTTP/1.0 are spoken here");
  head->version_minor = at[7] - '0';
  return split_target(head, authority, fault);
}

static int field_line(const char *at, const char *end, tcd_head *head, tcd_fault *fault) {
  if (*at == ' ' || *at == '\t') return refuse(fault, 400, "header: line folding is obsolete");
  if (head->header_count == TCD_HEADERS_MAX) return refuse(fault, 431, "header: too many");
  tc_text name = {at, run_of(at, end, TOKEN)};
  at += name.len;
  if (!name.len || at == end || *at != ':') return refuse(fault, 400, "header: a name is malformed");
  at++;
  while (at < end && (*at == ' ' || *at == '\t')) at++;
  tc_text value = {at, run_of(at, end, VALUE)};
  if (at + value.len != end) return refuse(fault, 400, "header: a value holds a control character");
  while (value.len && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t')) value.len--;
  head->headers[head->header_count++] = (tcd_header){name, value};
  return 0;
}

static int content_length(tcd_head *head, tc_text value, tcd_fault *fault) {
  /* Even equal duplicates are refused: two parsers in a row may not agree on which one they saw. */
  if (head->content_length >= 0) return refuse(fault, 400, "content-length: given twice");
  int64_t length = 0;
  for (size_t i = 0; i < value.len; i++) {
    int digit = value.ptr[i] - '0';
    if (digit < 0 || digit > 9) return refuse(fault, 400, "content-length: must be digits");
    if (length > (INT64_MAX - digit) / 10) return refuse(fault, 400, "content-length: too large a number");
    length = length * 10 + digit;
  }
  if (!value.len) return refuse(fault, 400, "content-length: must be digits");
  head->content_length = length;
  return 0;
}

static int transfer_encoding(tcd_head *head, tc_text value, tcd_fault *fault) {
  if (head->chunked) return refuse(fault, 400, "transfer-encoding: given twice");
  if (!tcd_text_is(value, "chunked")) return refuse(fault, 501, "transfer-encoding: only chunked is known");
  /* RFC 9112 6.1: in an HTTP/1.0 message it makes the framing faulty. */
  if (!head->version_minor) return refuse(fault, 400, "transfer-encoding: not in HTTP/1.0");
  head->chunked = 1;
  return 0;
}

/* The comma-separated options of one Connection line; "close" wins over all else. */
static void connection_options(tc_text value, int *close, int *keep) {
  const char *at = value.ptr, *end = value.ptr + value.len;
  while (at < end) {
    size_t len = run_of(at, end, TOKEN);
    tc_text option = {at, len};
    if (tcd_text_is(option, "close")) *close = 1;
    if (tcd_text_is(option, "keep-alive")) *keep = 1;
    at += len ? len : 1;
  }
}

static int apply_fields(tcd_head *head, tc_text authority, tcd_fault *fault) {
  int hosts = 0, close = 0, keep = 0, rc = 0;
  for (size_t i = 0; i < head->header_count && !rc; i++) {
    tcd_header *field = &head->headers[i];
    switch (field->name.len) { /* the length first: most fields are none of ours */
    case 4:
      if (tcd_text_is(field->name, "host")) {
        if (authority.ptr) field->value = authority;
        if (hosts++) rc = refuse(fault, 400, "host: given twice");
      }
      break;
    case 6:
      if (tcd_text_is(field->name, "expect")) {
        if (tcd_text_is(field->value, "100-continue")) head->expect_continue = 1;
        else rc = refuse(fault, 417, "expect: only 100-continue is known");
      }
      break;
    case 10:
      if (tcd_text_is(field->name, "connection")) connection_options(field->value, &close, &keep);
      break;
    case 14:
      if (tcd_text_is(field->name, "content-length")) rc = content_length(head, field->value, fault);
      break;
    case 17:
      if (tcd_text_is(field->name, "transfer-encoding")) rc = transfer_encoding(head, field->value, fault);
      break;
    default: break;
    }
  }
  if (rc) return rc;
  if (!hosts && head->version_minor) return refuse(fault, 400, "host: missing");
  /* RFC 9112 6.3: a request with both is an attempt at smuggling. */
  if (head->chunked && head->content_length >= 0) return refuse(fault, 400, "content-length: not together with transfer-encoding");
  head->keep_alive = !close && (head->version_minor || keep);
  return 0;
}

int tcd_head_parse(const char *data, size_t len, tcd_head *head, tcd_fault *fault) {
  const char *at = data, *end = data + len;
  tc_text authority = {NULL, 0};
  memset(head, 0, offsetof(tcd_head, headers));
  head->content_length = -1;
  for (int line = 0; at < end; line++) {
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    if (!lf || lf == at || lf[-1] != '\r') return refuse(fault, 400, "head: a line must end with CR LF");
    const char *stop = lf - 1;
    if (line && stop == at) return lf + 1 == end ? apply_fields(head, authority, fault) : refuse(fault, 400, "head: ends early");
    int rc = line ? field_line(at, stop, head, fault) : request_line(at, stop, head, &authority, fault);
    if (rc) return rc;
    at = lf + 1;
  }
  return refuse(fault, 400, "head: has no end");
}
