#include "storage/schemes.h"

#include <string.h>

static const struct {
  const char *scheme;
  const tc_storage_ops *ops;
} schemes[] = {
  {"memory", &tci_memory_ops},
  {"sqlite", &tci_sqlite_ops},
#ifdef TCI_POSTGRESQL
  {"postgresql", &tci_postgres_ops},
  {"postgres", &tci_postgres_ops},
#endif
};

const tc_storage_ops *tci_storage_ops_of(const char *url) {
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    size_t len = strlen(schemes[i].scheme);
    if (!strncmp(url, schemes[i].scheme, len) && url[len] == ':') return schemes[i].ops;
  }
  return NULL;
}
