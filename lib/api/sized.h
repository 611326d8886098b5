/* sized.h - taking the structs that callers fill: see the rule in tipcurrent/common.h. */
#ifndef TCI_API_SIZED_H
#define TCI_API_SIZED_H

#include <stddef.h>

/* The size of a struct whose last member is this one: for min, named, since sizeof grows with the struct. */
#define TCI_SIZED_UP_TO(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Copies the caller's struct (its first member is size_t size) into ours, known bytes large: what it lacks becomes zero. min: the size of the first release.
 * name: for the message. TC_OK, TC_EINVAL (NULL, or too short), TC_EVERSION (longer than ours, and what we do not know is not zero). */
int tci_sized_in(void *ours, size_t known, size_t min, const void *theirs, const char *name);

#endif
