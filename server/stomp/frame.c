#include "server/stomp/frame.h"

#include <string.h>

#include "base/utf8.h"

void tcd_stomp_parser_init(tcd_stomp_parser *parser) {
  memset(parser, 0, sizeof *parser);
  tci_buf_init(&parser->held, TCD_STOMP_FRAME_MAX + 1);
}

void tcd_stomp_parser_free(tcd_stomp_parser *parser) { tci_buf_free(&parser->held); }

static int bad(tcd_stomp_fault *fault, const char *what, int too_large) {
  fault->what = what;
  fault->too_large = too_large;
  return TCD_STOMP_BAD;
}

static int is(tc_text text, const char *word) { return text.len == strlen(word) && !memcmp(text.ptr, word, text.len); }

/* The line that begins at *at, without its end (LF, or CR LF: 1.2 has both, and an older client that sends the second means no more by it); 0: it is not whole. */
static int next_line(const char *bytes, size_t len, size_t *at, tc_text *line) {
  const char *end = memchr(bytes + *at, '\n', len - *at);
  if (!end) return 0;
  *line = (tc_text){bytes + *at, (size_t)(end - bytes) - *at};
  *at = (size_t)(end - bytes) + 1;
  if (line->len && line->ptr[line->len - 1] == '\r') line->len--;
  return 1;
}

static int header_is(tc_text line, const char *name, tc_text *value) {
  size_t len = strlen(name);
  if (line.len <= len || memcmp(line.ptr, name, len) != 0 || line.ptr[len] != ':') return 0;
  *value = (tc_text){line.ptr + len + 1, line.len - len - 1};
  return 1;
}

static int read_length(tc_text text, uint64_t *out) {
  uint64_t value = 0;
  if (!text.len || text.len > 18) return -1;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
    value = value * 10 + (uint64_t)(text.ptr[i] - '0');
  }
  *out = value;
  return 0;
}

/* Where the frame ends: 1 with *end behind its NUL; 0 when more is needed, *end then is the frame's whole length if that is known, else 0; at a fault *end is how far the head is
 * sound. *body: where its body begins. A content-length counts before any NUL does, so that no frame can be born inside a body. */
static int measure(const char *bytes, size_t len, size_t *body, size_t *end, tcd_stomp_fault *fault) {
  size_t at = 0, headers = 0;
  uint64_t length = 0;
  int known = 0, unreadable = 0;
  tc_text line, value;
  *end = 0;
  for (;;) {
    size_t from = at;
    int whole = next_line(bytes, len, &at, &line);
    /* Of a line that is not whole yet this is said at once too: the verdict is the same however the bytes come. */
    int nul = memchr(bytes + from, '\0', (whole ? at : len) - from) != NULL;
    if (nul || (whole && line.len && from && ++headers > TCD_STOMP_HEADERS_MAX)) {
      *end = from;
      return nul ? bad(fault, "the head must end with a blank line before any NUL", 0) : bad(fault, "more than 64 headers", 1);
    }
    if (!whole) return 0;
    if (!from) fault->command = line;
    else if (!line.len) break;
    else if (!known && header_is(line, "content-length", &value)) {
      known = 1;
      unreadable = read_length(value, &length) != 0; /* said below: the head may still have a receipt */
    }
  }
  *body = at;
  if (!known) {
    const char *nul = memchr(bytes + at, '\0', len - at);
    if (nul) *end = (size_t)(nul - bytes) + 1;
    return nul != NULL;
  }
  *end = at;
  if (unreadable) return bad(fault, "content-length: must be a whole number", 0);
  if (at > TCD_STOMP_FRAME_MAX || length > TCD_STOMP_FRAME_MAX - at) return bad(fault, "content-length: a frame may have at most 65536 bytes", 1);
  *end = at + (size_t)length + 1;
  if (len < *end) return 0;
  return bytes[*end - 1] ? bad(fault, "content-length: no NUL behind the body", 0) : 1;
}

/* In place; -1: an escape that this version does not know (1.1 and 1.2, "Value Encoding": fatal). */
static int unescape(char *text, size_t *len, int version) {
  char *out = text;
  for (size_t i = 0; i < *len; i++) {
    if (text[i] != '\\') {
      *out++ = text[i];
      continue;
    }
    char next = ++i < *len ? text[i] : '\0';
    if (next == 'n') *out++ = '\n';
    else if (next == 'c') *out++ = ':';
    else if (next == '\\') *out++ = '\\';
    else if (next == 'r' && version == TCD_STOMP_12) *out++ = '\r';
    else return -1;
  }
  *len = (size_t)(out - text);
  return 0;
}

static int read_header(tc_text line, int escaped, int version, tcd_stomp_header *out, tcd_stomp_fault *fault) {
  char *text = (char *)(uintptr_t)line.ptr, *colon = memchr(text, ':', line.len);
  if (!colon) return bad(fault, "header: no colon", 0);
  size_t name = (size_t)(colon - text), value = line.len - name - 1;
  if (!name) return bad(fault, "header: no name before the colon", 0);
  if (!tci_utf8_valid(line.ptr, line.len, NULL)) return bad(fault, "header: not valid UTF-8", 0);
  if (escaped && (unescape(text, &name, version) || unescape(colon + 1, &value, version))) return bad(fault, "header: undefined escape", 0);
  *out = (tcd_stomp_header){{text, name}, {colon + 1, value}};
  return 1;
}

/* CONNECT has none, so that 1.0 servers understand it (1.2, "Value Encoding"). */
static int has_escapes(const tcd_stomp_parser *parser, tc_text command) {
  return parser->version != TCD_STOMP_10 && !is(command, "CONNECT") && !is(command, "STOMP");
}

static int read_frame(const tcd_stomp_parser *parser, char *bytes, size_t body, size_t end, tcd_stomp_frame *frame, size_t *at, tcd_stomp_fault *fault) {
  tc_text line;
  (void)next_line(bytes, body, at, &frame->command);
  int escaped = has_escapes(parser, frame->command);
  while (next_line(bytes, body, at, &line) && line.len) {
    int rc = read_header(line, escaped, parser->version, &frame->headers[frame->header_count], fault);
    if (rc < 0) return rc;
    frame->header_count++;
  }
  frame->body = (tc_text){bytes + body, end - 1 - body};
  return TCD_STOMP_FRAME;
}

/* The receipt of a frame at fault, for its sender waits for it. at: where the lines begin that have not been resolved yet. */
static void find_receipt(const tcd_stomp_parser *parser, char *bytes, size_t len, size_t at, const tcd_stomp_frame *frame, tcd_stomp_fault *fault) {
  tc_text line, value;
  tcd_stomp_fault ignored;
  tcd_stomp_header header;
  if (tcd_stomp_find(frame, "receipt", &fault->receipt)) return;
  if (!at && !next_line(bytes, len, &at, &line)) return;
  while (next_line(bytes, len, &at, &line) && line.len) {
    if (!header_is(line, "receipt", &value)) continue;
    if (!memchr(line.ptr, '\0', line.len) && read_header(line, has_escapes(parser, fault->command), parser->version, &header, &ignored) > 0)
      fault->receipt = header.value;
    return;
  }
}

/* Takes the frame at the start of bytes. *end is used bytes, or the length wanted: see measure. */
static int take(const tcd_stomp_parser *parser, char *bytes, size_t len, size_t *end, tcd_stomp_frame *frame, tcd_stomp_fault *fault) {
  size_t body = 0, at = 0;
  memset(fault, 0, sizeof *fault);
  frame->header_count = 0;
  /* No further than a frame can go: what is behind must not change the verdict, as it may be here or not. */
  if (len > TCD_STOMP_FRAME_MAX + 1) len = TCD_STOMP_FRAME_MAX + 1;
  int rc = measure(bytes, len, &body, end, fault);
  if (rc == 0 && len > TCD_STOMP_FRAME_MAX) rc = bad(fault, "a frame may have at most 65536 bytes", 1);
  else if (rc < 0) len = *end;
  else if (rc > 0) rc = read_frame(parser, bytes, body, *end, frame, &at, fault);
  if (rc < 0) find_receipt(parser, bytes, len, at, frame, fault);
  return rc;
}

/* One that drips in is measured again when a byte came that can end it, or when it has doubled (so that limits of the head are seen early), not at every piece. */
static void plan(tcd_stomp_parser *parser, size_t want) {
  size_t twice = parser->held.len * 2;
  parser->want = (uint32_t)want;
  parser->look = (uint32_t)(want ? want : twice < TCD_STOMP_FRAME_MAX + 1 ? twice : TCD_STOMP_FRAME_MAX + 1);
}

/* The frame that began in held goes on, up to the next byte that can end it: the last of the length that is known, or a NUL. */
static int take_held(tcd_stomp_parser *parser, char **input, size_t *len, tcd_stomp_frame *frame, tcd_stomp_fault *fault) {
  while (*len) {
    const char *nul = parser->want ? NULL : memchr(*input, '\0', *len);
    size_t piece = nul ? (size_t)(nul - *input) + 1 : *len, end;
    size_t room = (parser->want ? parser->want : TCD_STOMP_FRAME_MAX + 1) - parser->held.len; /* never 0: at the limit there is a verdict */
    if (piece > room) piece = room;
    if (tci_buf_append(&parser->held, *input, piece)) return TCD_STOMP_NOMEM;
    *input += piece;
    *len -= piece;
    if (!nul && parser->held.len < parser->look) continue;
    int rc = take(parser, parser->held.data, parser->held.len, &end, frame, fault);
    if (rc != TCD_STOMP_MORE) {
      parser->given = 1;
      return rc;
    }
    plan(parser, end);
  }
  return TCD_STOMP_MORE;
}

int tcd_stomp_next(tcd_stomp_parser *parser, char **input, size_t *len, tcd_stomp_frame *frame, tcd_stomp_fault *fault) {
  size_t end;
  if (parser->given) { /* the frame of the last call was in held */
    parser->given = 0;
    tci_buf_free(&parser->held);
  }
  if (parser->held.len) return take_held(parser, input, len, frame, fault);
  while (*len && (**input == '\n' || **input == '\r')) (*input)++, (*len)--; /* heart-beats, and the EOLs that may follow a NUL */
  if (!*len) return TCD_STOMP_MORE;
  int rc = take(parser, *input, *len, &end, frame, fault);
  size_t used = rc == TCD_STOMP_FRAME ? end : *len;
  if (rc == TCD_STOMP_MORE) {
    if (tci_buf_append(&parser->held, *input, *len)) return TCD_STOMP_NOMEM;
    plan(parser, end);
  }
  *input += used;
  *len -= used;
  return rc;
}

int tcd_stomp_find(const tcd_stomp_frame *frame, const char *name, tc_text *value) {
  for (size_t i = 0; i < frame->header_count; i++) {
    if (!is(frame->headers[i].name, name)) continue;
    *value = frame->headers[i].value;
    return 1;
  }
  return 0;
}
