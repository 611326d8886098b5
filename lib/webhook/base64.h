/* base64.h - standard base64 (RFC 4648 4), by mbedTLS, but strict: mbedTLS skips line ends and blanks. */
#ifndef TCI_WEBHOOK_BASE64_H
#define TCI_WEBHOOK_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "tipcurrent/common.h"

#define TCI_BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1) /* of len bytes as text, with NUL */

/* out has room for TCI_BASE64_SIZE(len) bytes. */
void tci_base64_encode(const uint8_t *bytes, size_t len, char *out);
/* out has room for text.len / 4 * 3 bytes. 1; 0 when text is empty or anything but padded base64, out is then undefined. */
int tci_base64_decode(tc_text text, uint8_t *out, size_t *len);

#endif
