/* library.h - a shared library that is loaded when it is first wanted: an engine that needs none of it does not pay for it, nor for the thirty that it is built on.
 *
 * Design notes
 *  - Whoever uses it writes down its functions once, in a list, and reaches them by their own names, as SQLite's extensions do (libcurl.h, libpq.h): the types are those of its header.
 *  - Never unloaded: what it is built on has threads, handlers at exit and keys of threads that point into it, and some of it leaks with each load. RTLD_NODELETE, not a reference that
 *    is kept: where we are unloaded ourselves (a plugin that has us in it from libtipcurrent.a) the next one of us takes one more reference, and nothing grows.
 *  - RTLD_LOCAL: what the host links, perhaps another build of the same library, keeps its own symbols, and we ask this one for ours.
 */
#ifndef TCI_BASE_LIBRARY_H
#define TCI_BASE_LIBRARY_H

#include <pthread.h>
#include <stddef.h>

typedef struct tci_library {
  const char *file;         /* its soname; found as the dynamic linker finds libraries */
  const char *const *names; /* of the functions, in the order of */
  size_t count;
  void *functions; /* a struct of so many pointers to functions and nothing else; whole once a load said TC_OK */
  pthread_mutex_t mutex;
  int loaded; /* under mutex */
} tci_library;
/* For a static one: nothing ends it. */
#define TCI_LIBRARY_INIT(file, names, functions) \
  { (file), (names), sizeof(names) / sizeof *(names), &(functions), PTHREAD_MUTEX_INITIALIZER, 0 }
#define TCI_LIBRARY_WHY_SIZE 256

/* TC_OK: it is there, from now on or from before. TC_ENOTSUP: why says which library, and the reason; another call tries again. Any thread; blocks for file I/O the first time. */
int tci_library_load(tci_library *library, char why[TCI_LIBRARY_WHY_SIZE]);

#endif
