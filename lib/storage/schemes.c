#include "storage/schemes.h"

#include <string.h>

static const tc_storage_ops *const schemes[] = {&tci_memory_ops, &tci_sqlite_ops};

const tc_storage_ops *tci_storage_ops_of(const char *url) {
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    size_t len = strlen(schemes[i]->scheme);
    if (!strncmp(url, schemes[i]->scheme, len) && url[len] == ':') return schemes[i];
  }
  return NULL;
}
