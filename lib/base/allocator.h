/* allocator.h - the host's allocator, behind mem.h. It is the one thing of the process, not of an engine, that the library keeps: what one engine allocated, an event may outlive. */
#ifndef TCI_BASE_ALLOCATOR_H
#define TCI_BASE_ALLOCATOR_H

#include <stddef.h>

typedef struct tci_allocator {
  void *(*alloc)(void *userdata, size_t bytes);
  void *(*realloc)(void *userdata, void *old, size_t bytes);
  void (*free)(void *userdata, void *ptr);
  void *userdata;
} tci_allocator;

/* 0: it is the process's from now on. Not 0: too late, another one or the system's is. */
int tci_allocator_set(const tci_allocator *allocator);
/* NULL: the system's. The first call settles it for good, so that no block is freed by another than it came from. */
const tci_allocator *tci_allocator_get(void);

#endif
