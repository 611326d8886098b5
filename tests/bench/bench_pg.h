/* bench_pg.h - a benchmark that needs a PostgreSQL server. */
#ifndef BENCH_PG_H
#define BENCH_PG_H

#include <tipcurrent.h>

/* Runs the program once more under tests/postgres/server.py, which starts a server and tells its URL in TIPCURRENT_TEST_PG. */
_Noreturn void bench_pg_start_server(int argc, char **argv);
/* An engine on a schema of that server. */
tc_engine *bench_pg_open(const char *url, const char *schema);

#endif
