#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/schemes.h"
#include "storage_suite.h"

static char directory[64];

static void url(char *out, size_t size) {
  (void)snprintf(directory, sizeof directory, "/tmp/tc-storage-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  (void)snprintf(out, size, "sqlite:%s/tc.db", directory);
}

static void clean(void) {
  static const char *const names[] = {"tc.db", "tc-index.db", "tc-work.db", "tc-lock.db"};
  char path[128];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    ck_assert_int_eq(unlink(path), 0);
  }
  ck_assert_int_eq(rmdir(directory), 0); /* an orderly close leaves nothing else */
}

int main(void) {
  static const storage_fixture sqlite = {.name = "storage: sqlite", .ops = &tci_sqlite_ops, .url = url, .clean = clean};
  return run_suite(storage_suite(&sqlite));
}
