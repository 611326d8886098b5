/* oom_kit.h - the allocator in the place of base/mem.c: counts, and fails where the test says. Of all threads together. */
#ifndef OOM_KIT_H
#define OOM_KIT_H

#include <stdatomic.h>

extern _Atomic int oom_blocks;                 /* that are not freed yet */
extern _Atomic int oom_allocations;            /* so far; the test may set it back */
extern _Atomic int oom_fail_from, oom_fail_to; /* which allocations fail, from 1; from 0: none */
void oom_fail_at(int number);                  /* that one alone; 0: none */
int oom_fails(void);                           /* for allocators beside ours: counts one, 1 when it is to fail */

#endif
