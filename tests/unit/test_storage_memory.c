#include <stdio.h>

#include "storage/schemes.h"
#include "storage_suite.h"

static void url(char *out, size_t size) { (void)snprintf(out, size, "memory:"); }

int main(void) {
  static const storage_fixture memory = {.name = "storage: memory", .ops = &tci_memory_ops, .url = url};
  return run_suite(storage_suite(&memory));
}
