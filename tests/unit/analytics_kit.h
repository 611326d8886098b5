/* analytics_kit.h - events at a given time, and rows of statistics as lines to compare. */
#ifndef ANALYTICS_KIT_H
#define ANALYTICS_KIT_H

#include "engine_kit.h"

int64_t at(const char *text); /* microseconds of an instant */

/* Sets the clock and creates; a failure fails the test. currency may be NULL. Returns the id. */
int64_t tip_in(kit *k, const char *when, const char *room, const char *sender, const char *recipient, int64_t amount, const char *currency);
int64_t tip(kit *k, const char *when, const char *room, const char *sender, const char *recipient, int64_t amount);
void reaction(kit *k, const char *when, const char *room, const char *user, const char *emoji);

void until_rolled(kit *k); /* waits until the statistics have all that the log has */

typedef struct asked {
  tc_stats_query query;
  tc_stats *stats;
  tc_stats_row total;
} asked;

void ask(kit *k, asked *a); /* its query, after until_rolled */
asked ask_room(kit *k, const char *room);
asked ask_range(kit *k, const char *room, const char *from, const char *to); /* NULL: no such bound */
void free_asked(asked *a);

/* The rows, each as one line: "10:00-11:00 2 300.00 150.00 s2 r1 e3 u2" (with dates where a bound is not of 2024-01-15). */
void expect(asked *a, size_t count, const char *const *lines);
#define EXPECT(a, ...)                                     \
  do {                                                     \
    static const char *const lines_[] = {__VA_ARGS__};     \
    expect((a), sizeof lines_ / sizeof lines_[0], lines_); \
  } while (0)

#endif
