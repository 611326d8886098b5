#include "sized.h"

#include <string.h>

#include "model/fail.h"

int tci_sized_in(void *ours, size_t known, size_t min, const void *theirs, const char *name) {
  if (!theirs) return tci_fail(TC_EINVAL, "%s: must not be NULL", name);
  size_t size;
  memcpy(&size, theirs, sizeof size);
  if (size < min) return tci_fail(TC_EINVAL, "%s: size is %zu, at least %zu is needed (was it set by its INIT macro?)", name, size, min);
  const unsigned char *bytes = theirs;
  for (size_t i = known; i < size; i++) {
    if (bytes[i]) return tci_fail(TC_EVERSION, "%s: has fields that this library (%s) does not know", name, TC_VERSION);
  }
  memset(ours, 0, known);
  memcpy(ours, theirs, size < known ? size : known);
  memcpy(ours, &known, sizeof known);
  return TC_OK;
}
