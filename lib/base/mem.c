#include "mem.h"

#include <stdlib.h>
#include <string.h>

void *tci_alloc(size_t size) { return malloc(size ? size : 1); }

void *tci_zalloc(size_t size) { return calloc(1, size ? size : 1); }

void *tci_array(size_t count, size_t size) { return calloc(count ? count : 1, size ? size : 1); }

void *tci_realloc(void *old, size_t size) { return realloc(old, size ? size : 1); }

char *tci_strndup(const char *text, size_t len) {
  char *copy = tci_alloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

void tci_free(void *ptr) { free(ptr); }
