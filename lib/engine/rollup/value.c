#include <string.h>

#include "engine/rollup/cells.h"

size_t tci_cell_n(uint32_t space) {
  static const size_t n[] = {[TCI_SPACE_ROLLUP] = TCI_N_ROLLUP, [TCI_SPACE_EMOJI] = 1,         [TCI_SPACE_RECIPIENT] = 1,
                             [TCI_SPACE_BOARD] = TCI_N_BOARD,   [TCI_SPACE_GOAL] = TCI_N_GOAL, [TCI_SPACE_PAST] = TCI_N_PAST};
  return space < sizeof n / sizeof *n ? n[space] : 0;
}

/* Seven bits a byte, the lowest first, as in Protocol Buffers. */
int tci_put_varint(tci_buf *out, unsigned __int128 value) {
  char bytes[20];
  size_t len = 0;
  for (; value > 127; value >>= 7) bytes[len++] = (char)(0x80 | (unsigned)(value & 127));
  bytes[len++] = (char)value;
  return tci_buf_append(out, bytes, len);
}

int tci_get_varint(tc_text *bytes, unsigned __int128 *out) {
  unsigned __int128 value = 0;
  for (size_t i = 0; i < bytes->len && i < 19; i++) {
    unsigned char byte = (unsigned char)bytes->ptr[i];
    if (i == 18 && byte > 3) return -1; /* beyond 128 bits */
    value |= (unsigned __int128)(byte & 127) << (7 * i);
    if (byte & 128) continue;
    *bytes = (tc_text){bytes->ptr + i + 1, bytes->len - i - 1};
    *out = value;
    return 0;
  }
  return -1;
}

unsigned __int128 tci_zigzag(tci_int128 value) {
  unsigned __int128 twice = (unsigned __int128)value << 1;
  return value < 0 ? ~twice : twice;
}

tci_int128 tci_unzigzag(unsigned __int128 value) {
  unsigned __int128 half = value >> 1;
  return (tci_int128)(value & 1 ? ~half : half);
}

int tci_value_put(tci_buf *out, uint32_t space, tci_int128 sum, const int64_t *n, tc_text name) {
  (void)tci_put_varint(out, tci_zigzag(sum));
  for (size_t i = 0; i < tci_cell_n(space); i++) (void)tci_put_varint(out, tci_zigzag(n[i]));
  return tci_buf_append(out, name.ptr, name.len);
}

int tci_value_get(tc_text bytes, uint32_t space, tci_value *out) {
  unsigned __int128 got;
  if (tci_get_varint(&bytes, &got)) return -1;
  out->sum = tci_unzigzag(got);
  for (size_t i = 0; i < tci_cell_n(space); i++) {
    if (tci_get_varint(&bytes, &got)) return -1;
    tci_int128 n = tci_unzigzag(got);
    if (n < INT64_MIN || n > INT64_MAX) return -1;
    out->n[i] = (int64_t)n;
  }
  out->name = bytes;
  return 0;
}
