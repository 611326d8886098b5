/* bench_bare_pg.h - the limits of bench_ingest on PostgreSQL: libpq and nothing else, storing for each event what the product stores; and the way of two transactions a tip. */
#ifndef BENCH_BARE_PG_H
#define BENCH_BARE_PG_H

#include "bench_bare.h"

/* Like bench_bare_run, on schema `name` of the server at url, which is made for it and dropped again. */
void bench_bare_pg_run(bench_bare *bare, const char *url);
/* Tips a second with `threads` connections that each commit the event with its three indexes and then the record of its key, for run_us. */
double bench_two_transactions(const char *url, unsigned threads, int64_t run_us, uint64_t seed);
/* Runs SQL; ends the program on failure. The first number of its last result, or 0. */
int64_t bench_pg_number(const char *url, const char *sql);

#endif
