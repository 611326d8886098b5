#include "library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "tipcurrent/error.h"

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "what dlsym gives is a function, as POSIX has it");

static int load(const tci_library *library, char *why) {
  void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) {
    const char *reason = dlerror();
    size_t len = strlen(library->file);
    /* Mostly it begins with the name that we have said already. */
    if (!strncmp(reason, library->file, len) && !strncmp(reason + len, ": ", 2)) reason += len + 2;
    (void)snprintf(why, TCI_LIBRARY_WHY_SIZE, "%s cannot be loaded: %s", library->file, reason);
    return TC_ENOTSUP;
  }
  for (size_t i = 0; i < library->count; i++) {
    void *found = dlsym(handle, library->names[i]);
    if (!found) {
      (void)snprintf(why, TCI_LIBRARY_WHY_SIZE, "%s has no %s: it is not the library that is needed", library->file, library->names[i]);
      return TC_ENOTSUP;
    }
    memcpy((char *)library->functions + i * sizeof found, &found, sizeof found);
  }
  return TC_OK;
}

int tci_library_load(tci_library *library, char why[TCI_LIBRARY_WHY_SIZE]) {
  pthread_mutex_lock(&library->mutex);
  int rc = library->loaded ? TC_OK : load(library, why);
  library->loaded = !rc;
  pthread_mutex_unlock(&library->mutex);
  return rc;
}
