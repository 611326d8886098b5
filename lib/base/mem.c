#include "mem.h"

#include <stdlib.h>
#include <string.h>

#include "allocator.h"

void *tci_alloc(size_t size) {
  const tci_allocator *host = tci_allocator_get();
  if (!size) size = 1;
  return host ? host->alloc(host->userdata, size) : malloc(size);
}

void *tci_zalloc(size_t size) {
  const tci_allocator *host = tci_allocator_get();
  if (!size) size = 1;
  if (!host) return calloc(1, size); /* which gets zeroed pages for nothing */
  void *made = host->alloc(host->userdata, size);
  if (made) memset(made, 0, size);
  return made;
}

void *tci_array(size_t count, size_t size) {
  size_t bytes;
  return __builtin_mul_overflow(count, size, &bytes) ? NULL : tci_zalloc(bytes);
}

void *tci_realloc(void *old, size_t size) {
  const tci_allocator *host = tci_allocator_get();
  if (!size) size = 1;
  return host ? host->realloc(host->userdata, old, size) : realloc(old, size);
}

char *tci_strndup(const char *text, size_t len) {
  char *copy = tci_alloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

void tci_free(void *ptr) {
  if (!ptr) return;
  const tci_allocator *host = tci_allocator_get();
  if (host) host->free(host->userdata, ptr);
  else free(ptr);
}
