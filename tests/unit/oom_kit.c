#include "oom_kit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

_Atomic int oom_blocks, oom_allocations, oom_fail_from, oom_fail_to;

void oom_fail_at(int number) {
  atomic_store(&oom_fail_to, number);
  atomic_store(&oom_fail_from, number);
}

int oom_fails(void) {
  int number = atomic_fetch_add(&oom_allocations, 1) + 1, from = atomic_load(&oom_fail_from);
  return from && number >= from && number <= atomic_load(&oom_fail_to);
}

static void *counted(void *made) {
  oom_blocks += made != NULL;
  return made;
}

void *tci_alloc(size_t size) { return oom_fails() ? NULL : counted(malloc(size ? size : 1)); }
void *tci_zalloc(size_t size) { return oom_fails() ? NULL : counted(calloc(1, size ? size : 1)); }
void *tci_array(size_t count, size_t size) { return oom_fails() ? NULL : counted(calloc(count ? count : 1, size ? size : 1)); }
void *tci_realloc(void *old, size_t size) {
  if (oom_fails()) return NULL;
  void *made = realloc(old, size ? size : 1);
  oom_blocks += made && !old;
  return made;
}
char *tci_strndup(const char *text, size_t len) {
  char *made = tci_alloc(len + 1);
  if (made) {
    memcpy(made, text, len);
    made[len] = '\0';
  }
  return made;
}
void tci_free(void *ptr) {
  oom_blocks -= ptr != NULL;
  free(ptr);
}
