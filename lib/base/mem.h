/* mem.h - the one door to the allocator, the system's or the host's (allocator.h). Nothing else in lib/ or server/ calls malloc, calloc, realloc, free or strdup. */
#ifndef TCI_BASE_MEM_H
#define TCI_BASE_MEM_H

#include <stddef.h>

/* All return NULL when out of memory; sizes of 0 give a valid pointer. */
void *tci_alloc(size_t size);
void *tci_zalloc(size_t size);                   /* zeroed */
void *tci_array(size_t count, size_t size);      /* zeroed; NULL on overflow */
void *tci_realloc(void *old, size_t size);       /* old stays valid on NULL */
char *tci_strndup(const char *text, size_t len); /* NUL-terminated copy of exactly len bytes */
void tci_free(void *ptr);                        /* takes NULL */

#endif
