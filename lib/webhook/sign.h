/* sign.h - signatures of deliveries, by mbedTLS. */
#ifndef TCI_WEBHOOK_SIGN_H
#define TCI_WEBHOOK_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tipcurrent/common.h"

#define TCI_SIGNATURE_SIZE 45 /* base64 of 32 bytes and NUL */

/* A secret that is ready to sign with, as often as wanted and in several threads at once. */
typedef struct tci_signer tci_signer;
tci_signer *tci_signer_new(tc_text secret); /* the secret is copied, as far as it is needed. NULL: out of memory */
void tci_signer_free(tci_signer *signer);   /* takes NULL; wipes what it knows */

/* X-TipCurrent-Signature: standard base64 of HMAC-SHA256(secret as UTF-8, body), as the README's verifier computes it. The secret's text is the key, also of one that begins with whsec_.
 * TC_OK, TC_ENOMEM. */
int tci_sign_body(const tci_signer *signer, tc_text body, char out[TCI_SIGNATURE_SIZE]);
/* One "v1,<base64>" of Standard Webhooks: HMAC-SHA256 over "<id>.<timestamp>.<body>", keyed with the decoded part of "whsec_<base64>", or with the text itself when it is not of that form.
 * TC_OK, TC_ENOMEM, TC_ELIMIT: out is full, and as it was. */
int tci_sign_standard(const tci_signer *signer, const char *id, int64_t timestamp_s, tc_text body, tci_buf *out);

/* Secrets at rest: AES-256-GCM with a random nonce, bound to the webhook's id. sealed is "v1:" base64(nonce, ciphertext, tag). key: 32 bytes. */
int tci_seal(const uint8_t key[32], int64_t id, tc_text secret, int (*random)(void *userdata, void *buf, size_t len), void *userdata, tci_buf *out);
/* TC_OK; TC_ECORRUPT: another key, another id, or damaged. */
int tci_unseal(const uint8_t key[32], int64_t id, tc_text sealed, tci_buf *out);
/* A key as configuration gives it: 64 hex digits or base64 of 32 bytes. TC_OK or TC_EINVAL. */
int tci_seal_key(const char *text, uint8_t out[32]);

#endif
