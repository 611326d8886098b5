#include "tipcurrent/allocator.h"

#include "api/enter.h"
#include "api/sized.h"
#include "base/allocator.h"
#include "model/fail.h"

int tc_allocator_set(const tc_allocator *allocator) {
  tc_allocator a;
  TCI_ENTER();
  int rc = tci_sized_in(&a, sizeof a, TCI_SIZED_UP_TO(tc_allocator, userdata), allocator, "allocator");
  if (rc) return rc;
  if (!a.alloc || !a.realloc || !a.free) return tci_fail(TC_EINVAL, "allocator: alloc, realloc and free are needed");
  const tci_allocator ours = {a.alloc, a.realloc, a.free, a.userdata};
  return tci_allocator_set(&ours) ? tci_fail(TC_ECONFLICT, "allocator: too late, memory was taken already") : TC_OK;
}
