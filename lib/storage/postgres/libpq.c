#include "storage/postgres/libpq.h"

#define NAME(name) #name,
static const char *const names[] = {TCI_LIBPQ_FUNCTIONS(NAME)};
tci_libpq_functions tci_libpq;
_Static_assert(sizeof tci_libpq == sizeof names, "a pointer for each name");

tci_library tci_libpq_library = TCI_LIBRARY_INIT("libpq.so.5", names, tci_libpq);
