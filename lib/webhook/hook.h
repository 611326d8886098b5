/* hook.h - a webhook: what was configured, as one immutable object shared by reference, and as the document that the storage keeps. */
#ifndef TCI_WEBHOOK_HOOK_H
#define TCI_WEBHOOK_HOOK_H

#include <stdatomic.h>

#include "base/buf.h"
#include "model/event.h"
#include "tipcurrent/webhook.h"
#include "webhook/policy.h"
#include "webhook/sign.h"

#define TCI_HOOK_EVENTS_MAX 16
#define TCI_HOOK_OVERLAP_MAX_S (90u * 86400u)

/* All texts NUL-terminated, inside the object. room NULL: all rooms. before: the secret that a rotation has replaced; signs along until before_until_us. after_seq: it gets
 * what comes behind this, the log's end when it was registered or enabled. key: the Idempotency-Key it was created with, or NULL; request: what was asked for then. */
struct tc_webhook {
  atomic_uint refs;
  int64_t id, created_at_us, updated_at_us, before_until_us, failing_since_us, after_seq;
  uint32_t flags;
  int enabled;
  const char *room, *url, *events, *secret, *before, *description, *key, *request;
  char *json;
  size_t json_len;
  _Atomic(tci_signer *) signer, before_signer; /* made by the first delivery */
  char bytes[];
};
typedef struct tc_webhook tci_hook;

/* What a hook is made of; borrowed texts, NULL as in the struct. */
typedef struct tci_hook_parts {
  int64_t id, created_at_us, updated_at_us, before_until_us, failing_since_us, after_seq;
  uint32_t flags;
  int enabled;
  const char *room, *url, *events, *secret, *before, *description, *key, *request;
} tci_hook_parts;

void tci_hook_parts_of(const tci_hook *hook, tci_hook_parts *out);
/* Checks what a caller may say. TC_OK or TC_EINVAL with the field. */
int tci_hook_check(const tci_hook_parts *parts, const tci_policy *policy);
/* What a request for a new webhook asks for, as text of a fixed length: equal for equal requests. An HMAC with the secret, which helps to guess a weak one: it is kept like a secret. */
#define TCI_HOOK_REQUEST_SIZE TCI_SIGNATURE_SIZE
int tci_hook_request(const tci_hook_parts *parts, char out[TCI_HOOK_REQUEST_SIZE]); /* TC_OK, TC_ENOMEM */
/* NULL: out of memory. */
tci_hook *tci_hook_new(const tci_hook_parts *parts);
tci_hook *tci_hook_ref(tci_hook *hook);
void tci_hook_unref(tci_hook *hook); /* takes NULL; wipes the secrets */

/* The document: seal_key NULL keeps secrets as they are. TC_OK, TC_ENOMEM, the random's error. */
int tci_hook_encode(const tci_hook *hook, const uint8_t *seal_key, const tc_random *random, tci_buf *out);
/* TC_OK, TC_ENOMEM, TC_ECORRUPT (not a document of ours; sealed with another key). */
int tci_hook_decode(int64_t id, tc_text doc, const uint8_t *seal_key, tci_hook **out);

/* Of its secret, or of the one before. Any thread; NULL: out of memory. */
const tci_signer *tci_hook_signer(tci_hook *hook, int before);

/* 1 when it wants events of that name. */
int tci_hook_wants(const tci_hook *hook, const char *event_name);

#endif
