#include <mbedtls/sha256.h>
#include <string.h>

#include "storage/sqlite/sqlite.h"

static int feed(mbedtls_sha256_context *sha, const void *bytes, size_t len) { return mbedtls_sha256_update_ret(sha, bytes, len); }

/* Numbers go in as they lie in memory: the hashes in the index depend on the host's byte order (siphash.h), so an index carried to a machine of the other order
 * must not match there. */
int tci_record_fingerprint(const tc_record *record, uint8_t out[TCI_HASH_BYTES]) {
  int64_t numbers[6] = {record->seq, record->id, record->created_at_us, record->amount, (int64_t)record->kind, record->ref};
  mbedtls_sha256_context sha;
  mbedtls_sha256_init(&sha);
  int rc = mbedtls_sha256_starts_ret(&sha, 0);
  if (!rc) rc = feed(&sha, numbers, sizeof numbers);
  for (int i = 0; i < TC_COL_COUNT && !rc; i++) {
    int64_t len = record->text[i].ptr ? (int64_t)record->text[i].len : -1; /* NULL is not "" */
    rc = feed(&sha, &len, sizeof len);
    if (!rc && len > 0) rc = feed(&sha, record->text[i].ptr, record->text[i].len);
  }
  if (!rc) rc = mbedtls_sha256_finish_ret(&sha, out);
  mbedtls_sha256_free(&sha);
  return rc ? TC_ESTORAGE : TC_OK;
}
