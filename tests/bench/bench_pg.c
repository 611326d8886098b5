#include "bench_pg.h"

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "bench_util.h"

void bench_pg_start_server(int argc, char **argv) {
  const char *args[32] = {"python3", TESTS_DIR "/postgres/server.py", "--need"};
  int n = 3;
  for (int i = 0; i < argc && n < 31; i++) args[n++] = argv[i];
  execvp(args[0], (char *const *)(uintptr_t)args);
  bench_die("cannot run python3");
}
