/* zonefile.h - a zone's insides: what zonefile.c reads and zone.c evaluates. */
#ifndef TCI_BASE_ZONEFILE_H
#define TCI_BASE_ZONEFILE_H

#include "zone.h"

#define TCI_ZONE_OFFSET_MAX 93600 /* RFC 8536 3.2: more than -25 and less than 26 hours */

enum { TCI_RULE_JULIAN, TCI_RULE_DAY, TCI_RULE_MONTH }; /* Jn, n, Mm.w.d of POSIX's TZ */

typedef struct tci_zone_rule {
  int form, month, week, day; /* day: of the year, or of the week from 0 = Sunday */
  int32_t time;               /* seconds of the wall clock, -167 to 167 hours (RFC 8536 3.3.1) */
} tci_zone_rule;

struct tci_zone {
  size_t count;
  int32_t before;   /* offset before the first transition */
  int has_rule;     /* the footer says what comes after the last one */
  int has_dst;      /* else std for ever */
  int32_t std, dst; /* offsets */
  tci_zone_rule begin, end;
  int32_t *offsets; /* from times[i] on */
  int64_t times[];  /* ascending */
};

/* The footer's TZ string, "CET-1CEST,M3.5.0,M10.5.0/3", into the rule's members. 0, or -1: it is none. Pure. */
int tci_zone_parse_tz(tci_zone *zone, const char *text, size_t len);

int64_t tci_civil_days(int64_t year, int64_t month); /* days since 1970 of the 1st */
int64_t tci_civil_year(int64_t days);

#endif
