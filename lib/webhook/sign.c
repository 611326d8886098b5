#include "sign.h"

#include <inttypes.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base64.h"
#include "tipcurrent/error.h"

#define HASH_LEN 32
#define BLOCK_LEN 64 /* of SHA-256 */

/* HMAC (RFC 2104) hashes the key in front of the message, and once more in front of that hash: both are done once a key, not once a message. mbedTLS' own keeps them too, but in a context that only one
 * message at a time can use, and that cannot be cloned. */
typedef struct keyed {
  mbedtls_md_context_t inner, outer;
} keyed;

struct tci_signer {
  keyed text, decoded; /* the secret as it stands; what Standard Webhooks makes of it */
  int is_decoded;
};

static const mbedtls_md_info_t *sha256(void) { return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256); }

static int begin_with(mbedtls_md_context_t *md, const uint8_t key[BLOCK_LEN], uint8_t mask) {
  uint8_t pad[BLOCK_LEN];
  for (size_t i = 0; i < BLOCK_LEN; i++) pad[i] = key[i] ^ mask;
  int failed = mbedtls_md_setup(md, sha256(), 0);
  if (!failed) failed = mbedtls_md_starts(md);
  if (!failed) failed = mbedtls_md_update(md, pad, sizeof pad);
  mbedtls_platform_zeroize(pad, sizeof pad);
  return failed;
}

/* With these arguments mbedTLS fails for want of memory only, here and below. */
static int set_key(keyed *k, const uint8_t *key, size_t len) {
  uint8_t block[BLOCK_LEN] = {0};
  int failed = 0;
  if (len > sizeof block) failed = mbedtls_md(sha256(), key, len, block);
  else if (len) memcpy(block, key, len);
  if (!failed) failed = begin_with(&k->inner, block, 0x36);
  if (!failed) failed = begin_with(&k->outer, block, 0x5c);
  mbedtls_platform_zeroize(block, sizeof block);
  return failed;
}

/* The verifiers of Standard Webhooks decode the key strictly, so a text that is no padded base64 was never one of theirs: it is a key as it stands. */
static int set_decoded(tci_signer *signer, tc_text secret) {
  static const char prefix[] = "whsec_";
  size_t prefix_len = sizeof prefix - 1, key_len;
  int failed = 0;
  if (secret.len <= prefix_len || memcmp(secret.ptr, prefix, prefix_len) != 0) return 0;
  uint8_t *key = tci_alloc(secret.len);
  if (!key) return 1;
  signer->is_decoded = tci_base64_decode((tc_text){secret.ptr + prefix_len, secret.len - prefix_len}, key, &key_len);
  if (signer->is_decoded) failed = set_key(&signer->decoded, key, key_len);
  mbedtls_platform_zeroize(key, secret.len);
  tci_free(key);
  return failed;
}

tci_signer *tci_signer_new(tc_text secret) {
  tci_signer *signer = tci_zalloc(sizeof *signer);
  if (!signer) return NULL;
  mbedtls_md_init(&signer->text.inner);
  mbedtls_md_init(&signer->text.outer);
  mbedtls_md_init(&signer->decoded.inner);
  mbedtls_md_init(&signer->decoded.outer);
  if (!set_key(&signer->text, (const uint8_t *)secret.ptr, secret.len) && !set_decoded(signer, secret)) return signer;
  tci_signer_free(signer);
  return NULL;
}

void tci_signer_free(tci_signer *signer) {
  if (!signer) return;
  mbedtls_md_free(&signer->text.inner); /* wipes */
  mbedtls_md_free(&signer->text.outer);
  mbedtls_md_free(&signer->decoded.inner);
  mbedtls_md_free(&signer->decoded.outer);
  tci_free(signer);
}

/* Over what stands before the body and the body, which is never copied. */
static int sign(const keyed *k, const char *before, tc_text body, char out[TCI_SIGNATURE_SIZE]) {
  uint8_t hash[HASH_LEN];
  mbedtls_md_context_t md;
  mbedtls_md_init(&md);
  int failed = mbedtls_md_setup(&md, sha256(), 0);
  if (!failed) failed = mbedtls_md_clone(&md, &k->inner);
  if (!failed) failed = mbedtls_md_update(&md, (const unsigned char *)before, strlen(before));
  if (!failed && body.len) failed = mbedtls_md_update(&md, (const unsigned char *)body.ptr, body.len);
  if (!failed) failed = mbedtls_md_finish(&md, hash);
  if (!failed) failed = mbedtls_md_clone(&md, &k->outer);
  if (!failed) failed = mbedtls_md_update(&md, hash, sizeof hash);
  if (!failed) failed = mbedtls_md_finish(&md, hash);
  mbedtls_md_free(&md);
  if (failed) return TC_ENOMEM;
  tci_base64_encode(hash, sizeof hash, out);
  return TC_OK;
}

int tci_sign_body(const tci_signer *signer, tc_text body, char out[TCI_SIGNATURE_SIZE]) { return sign(&signer->text, "", body, out); }

int tci_sign_standard(const tci_signer *signer, const char *id, int64_t timestamp_s, tc_text body, tci_buf *out) {
  char signature[TCI_SIGNATURE_SIZE];
  tci_buf before;
  tci_buf_init(&before, 512);
  int err = tci_buf_printf(&before, "%s.%" PRId64 ".", id, timestamp_s);
  if (!err) err = sign(signer->is_decoded ? &signer->decoded : &signer->text, before.data, body, signature);
  if (!err) err = tci_buf_printf(out, "v1,%s", signature);
  tci_buf_free(&before);
  return err;
}
