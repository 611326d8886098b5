#include "bench_pg.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "bench_util.h"

void bench_pg_start_server(int argc, char **argv) {
  const char *args[32] = {"python3", TESTS_DIR "/postgres/server.py", "--need"};
  int n = 3;
  for (int i = 0; i < argc && n < 31; i++) args[n++] = argv[i];
  execvp(args[0], (char *const *)(uintptr_t)args);
  bench_die("cannot run python3");
}

tc_engine *bench_pg_open(const char *url, const char *schema) {
  tc_engine *engine = NULL;
  tc_options options = TC_OPTIONS_INIT;
  char schema_url[512];
  snprintf(schema_url, sizeof schema_url, "%s?options=-csearch_path%%3D%s", url, schema);
  options.storage_url = schema_url;
  if (tc_open(&engine, &options) != TC_OK) bench_die("tc_open: %s", tc_last_error());
  return engine;
}
