/* allocator.h - where the library's memory comes from: malloc, or a host's own. */
#ifndef TIPCURRENT_ALLOCATOR_H
#define TIPCURRENT_ALLOCATOR_H

#include "common.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A host's allocator. All three are needed; called from any thread, several at once; they must not call the library. What they give is aligned as malloc's. */
typedef struct tc_allocator {
  size_t size;
  void *(*alloc)(void *userdata, size_t bytes);              /* bytes is never 0. NULL: out of memory, which the call that needed it answers as TC_ENOMEM */
  void *(*realloc)(void *userdata, void *old, size_t bytes); /* old may be NULL, bytes is never 0. NULL: out of memory, and old stays as it was */
  void (*free)(void *userdata, void *ptr);                   /* ptr is never NULL */
  void *userdata;
} tc_allocator;
#define TC_ALLOCATOR_INIT \
  { sizeof(tc_allocator), 0, 0, 0, 0 }

/* Says where all memory of the library's own comes from: once for the process (for a library linked statically, or loaded twice: once for each copy of it), before the first tc_open.
 * The struct is copied; functions and userdata must last as long as the library is loaded.
 * Not through it goes what others allocate: SQLite, libpq, libcurl and what that is built on, mbedTLS, the C library (threads' stacks, name look-ups). A host that wants those too has their own
 * means: sqlite3_config, curl_global_init_mem.
 * Any thread; does not block. Errors: TC_EINVAL (NULL, or a function is missing), TC_EVERSION, TC_ECONFLICT (there is one already, or the library has taken memory: an engine was opened). */
TC_API int tc_allocator_set(const tc_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
