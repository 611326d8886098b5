/* bench_bare_news.h - the limit of bench_cluster: libpq and nothing else, from a row's commit on one connection to the row in the hands of who listens on another. */
#ifndef BENCH_BARE_NEWS_H
#define BENCH_BARE_NEWS_H

#include <stddef.h>
#include <stdint.h>

/* n rows of a tip's size, one after the other: a durable INSERT, then a NOTIFY from a connection that does nothing else; a listener in its own thread reads the row by its key. From the INSERT's sending to the row:
 * latency_us[0 .. n-1]. In a schema of its own, which is dropped again. */
void bench_bare_news(const char *url, size_t n, uint32_t *latency_us);

#endif
