/* bench_ingest_pg.h - bench_ingest on PostgreSQL. */
#ifndef BENCH_INGEST_PG_H
#define BENCH_INGEST_PG_H

/* argv[storage_at] is "--storage", then "postgresql". main's exit code. */
int bench_ingest_pg(int argc, char **argv, int storage_at);

#endif
