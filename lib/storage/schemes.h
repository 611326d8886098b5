/* schemes.h - the backends that are built in, found by a URL's scheme. */
#ifndef TCI_STORAGE_SCHEMES_H
#define TCI_STORAGE_SCHEMES_H

#include "tipcurrent/sys/storage.h"

extern const tc_storage_ops tci_memory_ops; /* "memory:" nothing survives close; for tests and trials */
extern const tc_storage_ops tci_sqlite_ops; /* "sqlite:PATH" */
#ifdef TCI_POSTGRESQL
extern const tc_storage_ops tci_postgres_ops; /* "postgresql://..." or "postgres://...", as libpq reads them */
#endif

/* NULL: no backend serves this URL. */
const tc_storage_ops *tci_storage_ops_of(const char *url);

#endif
