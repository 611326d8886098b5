#include "sign.h"

#include <inttypes.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base64.h"
#include "tipcurrent/error.h"

#define HMAC_LEN 32

/* HMAC-SHA256 over what stands before the body and the body, which is never copied. With these arguments mbedTLS fails for want of memory only. */
static int sign(const uint8_t *key, size_t key_len, const char *before, tc_text body, char out[TCI_SIGNATURE_SIZE]) {
  uint8_t mac[HMAC_LEN];
  mbedtls_md_context_t md;
  mbedtls_md_init(&md);
  int failed = mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1);
  if (!failed) failed = mbedtls_md_hmac_starts(&md, key, key_len);
  if (!failed) failed = mbedtls_md_hmac_update(&md, (const unsigned char *)before, strlen(before));
  if (!failed && body.len) failed = mbedtls_md_hmac_update(&md, (const unsigned char *)body.ptr, body.len);
  if (!failed) failed = mbedtls_md_hmac_finish(&md, mac);
  mbedtls_md_free(&md); /* wipes the key's pads */
  if (failed) return TC_ENOMEM;
  tci_base64_encode(mac, sizeof mac, out);
  return TC_OK;
}

int tci_sign_body(tc_text secret, tc_text body, char out[TCI_SIGNATURE_SIZE]) {
  return sign((const uint8_t *)(secret.ptr ? secret.ptr : ""), secret.len, "", body, out);
}

/* The verifiers of Standard Webhooks decode the key strictly, so a text that is no padded base64 was never one of theirs: it is a key as it stands. */
static int sign_keyed(tc_text secret, const char *before, tc_text body, char out[TCI_SIGNATURE_SIZE]) {
  static const char prefix[] = "whsec_";
  size_t prefix_len = sizeof prefix - 1, key_len;
  if (secret.len <= prefix_len || memcmp(secret.ptr, prefix, prefix_len) != 0) {
    return sign((const uint8_t *)(secret.ptr ? secret.ptr : ""), secret.len, before, body, out);
  }
  uint8_t *key = tci_alloc(secret.len);
  if (!key) return TC_ENOMEM;
  int err;
  if (tci_base64_decode((tc_text){secret.ptr + prefix_len, secret.len - prefix_len}, key, &key_len)) {
    err = sign(key, key_len, before, body, out);
  } else {
    err = sign((const uint8_t *)secret.ptr, secret.len, before, body, out);
  }
  mbedtls_platform_zeroize(key, secret.len);
  tci_free(key);
  return err;
}

int tci_sign_standard(tc_text secret, const char *id, int64_t timestamp_s, tc_text body, tci_buf *out) {
  char signature[TCI_SIGNATURE_SIZE];
  tci_buf before;
  tci_buf_init(&before, 512);
  int err = tci_buf_printf(&before, "%s.%" PRId64 ".", id, timestamp_s);
  if (!err) err = sign_keyed(secret, before.data, body, signature);
  if (!err) err = tci_buf_printf(out, "v1,%s", signature);
  tci_buf_free(&before);
  return err;
}
