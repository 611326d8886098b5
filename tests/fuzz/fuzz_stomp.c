/* Any bytes as a STOMP stream, in each version: whole, byte by byte and in odd pieces it has the same frames and the same fault; what is accepted has valid headers, and comes
 * back the same when it is written again. The first byte picks the version. A NUL is put behind the input, since a fault may wait for the byte that could end its frame. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "server/stomp/encode.h"
#include "server/stomp/frame.h"

#define OUT_MAX (64u << 20)

static void put_text(tci_buf *out, tc_text text) {
  (void)tci_buf_printf(out, "%zu:", text.len);
  (void)tci_buf_append(out, text.ptr, text.len);
}

static void put_frame(tci_buf *out, const tcd_stomp_frame *frame) {
  (void)tci_buf_puts(out, "frame ");
  put_text(out, frame->command);
  for (size_t i = 0; i < frame->header_count; i++) {
    put_text(out, frame->headers[i].name);
    put_text(out, frame->headers[i].value);
  }
  put_text(out, frame->body);
}

static void check_frame(const tcd_stomp_frame *frame) {
  size_t size = frame->command.len + frame->body.len;
  HOLDS(frame->command.len && !memchr(frame->command.ptr, '\n', frame->command.len) && !memchr(frame->command.ptr, '\0', frame->command.len));
  HOLDS(frame->header_count <= TCD_STOMP_HEADERS_MAX);
  for (size_t i = 0; i < frame->header_count; i++) {
    const tcd_stomp_header *header = &frame->headers[i];
    tc_text first;
    HOLDS(header->name.len && tci_utf8_valid(header->name.ptr, header->name.len, NULL) && tci_utf8_valid(header->value.ptr, header->value.len, NULL));
    HOLDS(!memchr(header->name.ptr, '\0', header->name.len) && !memchr(header->value.ptr, '\0', header->value.len));
    size += header->name.len + header->value.len;
    if (memchr(header->name.ptr, '\0', header->name.len)) continue;
    char *name = tci_strndup(header->name.ptr, header->name.len);
    HOLDS(name && tcd_stomp_find(frame, name, &first) && first.ptr <= header->value.ptr);
    tci_free(name);
  }
  HOLDS(size <= TCD_STOMP_FRAME_MAX);
}

static int is_connect(tc_text command) {
  return (command.len == 7 && !memcmp(command.ptr, "CONNECT", 7)) || (command.len == 5 && !memcmp(command.ptr, "STOMP", 5));
}

/* The writer's escapes are the reader's. Only where a line can say it: 1.0 and CONNECT have no escapes, and 1.1 has none for a CR at a line's end. */
static void check_written(int version, const tcd_stomp_frame *frame) {
  tci_buf out;
  if (version == TCD_STOMP_10 || is_connect(frame->command)) return;
  tci_buf_init(&out, OUT_MAX);
  (void)tci_buf_append(&out, frame->command.ptr, frame->command.len);
  (void)tci_buf_puts(&out, "\n");
  for (size_t i = 0; i < frame->header_count; i++) {
    tc_text value = frame->headers[i].value;
    if (version == TCD_STOMP_11 && value.len && value.ptr[value.len - 1] == '\r') goto done;
    tcd_stomp_put_escaped(&out, frame->headers[i].name, version);
    (void)tci_buf_puts(&out, ":");
    tcd_stomp_put_escaped(&out, value, version);
    (void)tci_buf_puts(&out, "\n");
  }
  (void)tci_buf_puts(&out, "\n");
  (void)tci_buf_append(&out, frame->body.ptr, frame->body.len);
  (void)tci_buf_append(&out, "", 1);
  HOLDS(!out.err);
  if (out.len <= TCD_STOMP_FRAME_MAX && frame->command.ptr[frame->command.len - 1] != '\r' && *frame->command.ptr != '\r') {
    tcd_stomp_parser parser;
    tcd_stomp_frame again;
    tcd_stomp_fault fault;
    tci_buf before, after;
    char *at = out.data;
    size_t len = out.len;
    tcd_stomp_parser_init(&parser);
    parser.version = version;
    int rc = tcd_stomp_next(&parser, &at, &len, &again, &fault);
    HOLDS(rc == TCD_STOMP_FRAME && !len);
    tci_buf_init(&before, OUT_MAX);
    tci_buf_init(&after, OUT_MAX);
    put_frame(&before, frame);
    put_frame(&after, &again);
    HOLDS(before.len == after.len && !memcmp(before.data, after.data, before.len));
    tci_buf_free(&before);
    tci_buf_free(&after);
    tcd_stomp_parser_free(&parser);
  }
done:
  tci_buf_free(&out);
}

/* Each piece lies in memory of its own, so that a sanitizer sees a byte too far. */
static void read_all(int version, const char *data, size_t size, size_t step, tci_buf *out) {
  tcd_stomp_parser parser;
  int rc = TCD_STOMP_MORE;
  tcd_stomp_parser_init(&parser);
  parser.version = version;
  tci_buf_init(out, OUT_MAX);
  for (size_t from = 0; from < size && rc == TCD_STOMP_MORE; from += step) {
    size_t left = size - from < step ? size - from : step;
    char *piece = tci_alloc(left), *at = piece;
    HOLDS(piece);
    memcpy(piece, data + from, left);
    do {
      tcd_stomp_frame frame;
      tcd_stomp_fault fault;
      size_t before = left;
      rc = tcd_stomp_next(&parser, &at, &left, &frame, &fault);
      HOLDS(left <= before && rc != TCD_STOMP_NOMEM);
      HOLDS(parser.held.len <= TCD_STOMP_FRAME_MAX + 1);
      if (rc == TCD_STOMP_MORE) HOLDS(!left);
      if (rc == TCD_STOMP_FRAME) {
        HOLDS(left < before);
        check_frame(&frame);
        check_written(version, &frame);
        put_frame(out, &frame);
      }
      if (rc == TCD_STOMP_BAD) {
        HOLDS(!fault.receipt.ptr || tci_utf8_valid(fault.receipt.ptr, fault.receipt.len, NULL));
        (void)tci_buf_printf(out, "bad %s %d ", fault.what, fault.too_large);
        put_text(out, fault.command);
        put_text(out, fault.receipt);
      }
    } while (rc == TCD_STOMP_FRAME);
    tci_free(piece);
  }
  HOLDS(!out->err);
  tcd_stomp_parser_free(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const size_t steps[] = {1, 2, 3, 7, 64, 1000, 40000};
  tci_buf input, whole, pieces;
  if (!size) return 0;
  int version = bytes[0] % 3;
  tci_buf_init(&input, size);
  HOLDS(tci_buf_append(&input, bytes + 1, size - 1) == 0 && tci_buf_append(&input, "", 1) == 0);
  read_all(version, input.data, input.len, input.len, &whole);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    read_all(version, input.data, input.len, steps[i], &pieces);
    HOLDS(whole.len == pieces.len && (!whole.len || !memcmp(whole.data, pieces.data, whole.len)));
    tci_buf_free(&pieces);
  }
  tci_buf_free(&whole);
  tci_buf_free(&input);
  return 0;
}
