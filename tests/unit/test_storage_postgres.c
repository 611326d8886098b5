/* The suite on a real server: tests/postgres/server.py starts one and names it. Each test has a schema of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/schemes.h"
#include "storage_suite.h"

static void url(char *out, size_t size) {
  const char *server = getenv("TIPCURRENT_TEST_PG");
  ck_assert_msg(server != NULL, "TIPCURRENT_TEST_PG names no server");
  (void)snprintf(out, size, "%s?options=-csearch_path%%3Dt%d", server, (int)getpid());
}

int main(void) {
  static const storage_fixture postgres = {.name = "storage: postgresql", .ops = &tci_postgres_ops, .url = url};
  return run_suite(storage_suite(&postgres));
}
