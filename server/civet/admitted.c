#include "admitted.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tipcurrent/error.h"

struct tcd_admission {
  uint16_t port;
  char peer[TCD_PEER_MAX];
};

int tcd_admitted_init(tcd_admitted *admitted, size_t cap) {
  memset(admitted, 0, sizeof *admitted);
  admitted->entries = tci_array(cap, sizeof *admitted->entries);
  if (!admitted->entries || pthread_mutex_init(&admitted->mutex, NULL)) {
    tci_free(admitted->entries);
    admitted->entries = NULL;
    return TC_ENOMEM;
  }
  admitted->cap = cap;
  return TC_OK;
}

void tcd_admitted_free(tcd_admitted *admitted) {
  if (!admitted->entries) return;
  (void)pthread_mutex_destroy(&admitted->mutex);
  tci_free(admitted->entries);
  admitted->entries = NULL;
}

static struct tcd_admission *find(const tcd_admitted *admitted, uint16_t port) {
  for (size_t i = 0; i < admitted->count; i++) {
    if (admitted->entries[i].port == port) return &admitted->entries[i];
  }
  return NULL;
}

int tcd_admitted_set(tcd_admitted *admitted, uint16_t port, const char *peer) {
  int rc = TC_OK;
  (void)pthread_mutex_lock(&admitted->mutex);
  struct tcd_admission *entry = find(admitted, port);
  if (!peer) {
    if (entry) *entry = admitted->entries[--admitted->count];
  } else if (!entry && admitted->count == admitted->cap) {
    rc = TC_ELIMIT;
  } else {
    if (!entry) entry = &admitted->entries[admitted->count++];
    entry->port = port;
    (void)snprintf(entry->peer, sizeof entry->peer, "%s", peer);
  }
  (void)pthread_mutex_unlock(&admitted->mutex);
  return rc;
}

int tcd_admitted_get(tcd_admitted *admitted, uint16_t port, char *out) {
  (void)pthread_mutex_lock(&admitted->mutex);
  const struct tcd_admission *entry = find(admitted, port);
  if (entry) memcpy(out, entry->peer, TCD_PEER_MAX);
  (void)pthread_mutex_unlock(&admitted->mutex);
  return entry != NULL;
}
