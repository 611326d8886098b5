/* Secrets at rest: AES-256-GCM. Random nonces of 96 bits are good for 2^32 secrets under one key (NIST SP 800-38D 8.3), which no registry comes near. */
#include <inttypes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base64.h"
#include "sign.h"
#include "tipcurrent/error.h"

#define KEY_LEN 32
#define NONCE_LEN 12
#define TAG_LEN 16
#define SECRET_MAX 4096 /* bytes; a registered secret has at most 255 code points */

static const char version[] = "v1:";
#define VERSION_LEN (sizeof version - 1)

/* What the tag covers beside the secret: a sealed text that is moved to another webhook's row does not open there. */
typedef struct bound {
  char text[48];
  size_t len;
} bound;

static void bind_to(bound *out, int64_t id) {
  out->len = (size_t)snprintf(out->text, sizeof out->text, "tipcurrent webhook %" PRId64, id); /* at most 39 bytes */
}

/* Allocates. mbedTLS' setkey with these arguments fails for want of memory only. */
static int start(mbedtls_gcm_context *gcm, const uint8_t key[KEY_LEN]) {
  mbedtls_gcm_init(gcm);
  return mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, key, KEY_LEN * 8) ? TC_ENOMEM : TC_OK;
}

int tci_seal(const uint8_t key[KEY_LEN], int64_t id, tc_text secret, int (*random)(void *userdata, void *buf, size_t len), void *userdata, tci_buf *out) {
  if (secret.len > SECRET_MAX) return TC_ELIMIT;
  size_t len = NONCE_LEN + secret.len + TAG_LEN;
  uint8_t *raw = tci_alloc(len);
  if (!raw) return TC_ENOMEM;
  uint8_t *cipher = raw + NONCE_LEN;
  mbedtls_gcm_context gcm;
  bound with;
  bind_to(&with, id);
  int err = start(&gcm, key);
  if (!err) err = (*random)(userdata, raw, NONCE_LEN);
  if (!err && mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, secret.len, raw, NONCE_LEN, (const unsigned char *)with.text, with.len,
                                        (const unsigned char *)secret.ptr, cipher, TAG_LEN, cipher + secret.len)) {
    err = TC_ENOMEM;
  }
  mbedtls_gcm_free(&gcm);
  if (!err) {
    size_t text_len = TCI_BASE64_SIZE(len) - 1;
    char *room = tci_buf_room(out, VERSION_LEN + text_len + 1);
    err = room ? TC_OK : out->err;
    if (room) {
      memcpy(room, version, VERSION_LEN);
      tci_base64_encode(raw, len, room + VERSION_LEN);
      tci_buf_grow(out, VERSION_LEN + text_len);
    }
  }
  tci_free(raw);
  return err;
}

static int open_sealed(const uint8_t key[KEY_LEN], int64_t id, const uint8_t *raw, size_t len, tci_buf *out) {
  if (len < NONCE_LEN + TAG_LEN) return TC_ECORRUPT;
  size_t secret_len = len - NONCE_LEN - TAG_LEN;
  /* Straight into the answer: no second copy of the secret to wipe. mbedTLS wipes it when the tag is wrong. */
  char *room = tci_buf_room(out, secret_len);
  if (!room) return out->err;
  mbedtls_gcm_context gcm;
  bound with;
  bind_to(&with, id);
  int err = start(&gcm, key);
  if (!err && mbedtls_gcm_auth_decrypt(&gcm, secret_len, raw, NONCE_LEN, (const unsigned char *)with.text, with.len, raw + NONCE_LEN + secret_len, TAG_LEN,
                                       raw + NONCE_LEN, (unsigned char *)room)) {
    err = TC_ECORRUPT;
  }
  mbedtls_gcm_free(&gcm);
  if (!err) tci_buf_grow(out, secret_len);
  return err;
}

int tci_unseal(const uint8_t key[KEY_LEN], int64_t id, tc_text sealed, tci_buf *out) {
  size_t most = VERSION_LEN + TCI_BASE64_SIZE(NONCE_LEN + (size_t)SECRET_MAX + TAG_LEN);
  if (sealed.len <= VERSION_LEN || sealed.len > most || memcmp(sealed.ptr, version, VERSION_LEN) != 0) return TC_ECORRUPT;
  uint8_t *raw = tci_alloc(sealed.len);
  if (!raw) return TC_ENOMEM;
  size_t len;
  tc_text text = {sealed.ptr + VERSION_LEN, sealed.len - VERSION_LEN};
  int err = tci_base64_decode(text, raw, &len) ? open_sealed(key, id, raw, len, out) : TC_ECORRUPT;
  tci_free(raw);
  return err;
}

static int hex_value(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  char lower = (char)(byte | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int tci_seal_key(const char *text, uint8_t out[KEY_LEN]) {
  uint8_t key[KEY_LEN + 1]; /* 44 characters are room for 33 */
  size_t text_len = text ? strlen(text) : 0, len = 0;
  int err = TC_EINVAL;
  if (text_len == KEY_LEN * 2) {
    for (; len < KEY_LEN; len++) {
      int high = hex_value(text[2 * len]), low = hex_value(text[2 * len + 1]);
      if (high < 0 || low < 0) break;
      key[len] = (uint8_t)(high << 4 | low);
    }
  } else if (text_len == TCI_BASE64_SIZE(KEY_LEN) - 1 && !tci_base64_decode((tc_text){text, text_len}, key, &len)) {
    len = 0;
  }
  if (len == KEY_LEN) {
    memcpy(out, key, KEY_LEN);
    err = TC_OK;
  }
  mbedtls_platform_zeroize(key, sizeof key);
  return err;
}
