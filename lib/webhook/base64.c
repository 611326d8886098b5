#include "base64.h"

#include <mbedtls/base64.h>

void tci_base64_encode(const uint8_t *bytes, size_t len, char *out) {
  size_t written;
  (void)mbedtls_base64_encode((unsigned char *)out, TCI_BASE64_SIZE(len), &written, bytes, len); /* fails for too little room only */
  out[TCI_BASE64_SIZE(len) - 1] = '\0';
}

static int is_of_alphabet(char byte) {
  return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
}

int tci_base64_decode(tc_text text, uint8_t *out, size_t *len) {
  if (!text.len || text.len % 4) return 0;
  size_t padding = (size_t)(text.ptr[text.len - 1] == '=') + (text.ptr[text.len - 1] == '=' && text.ptr[text.len - 2] == '=');
  for (size_t i = 0; i < text.len - padding; i++) {
    if (!is_of_alphabet(text.ptr[i])) return 0;
  }
  return mbedtls_base64_decode(out, text.len / 4 * 3, len, (const unsigned char *)text.ptr, text.len) == 0;
}
