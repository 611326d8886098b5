/* zone.c - what a zone says: offsets, and the periods of its calendar. zonefile.c makes it. */
#include "zone.h"

#include "zonefile.h"

#define DAY_S 86400

static int64_t clamp(int64_t at_s) { return at_s > TCI_ZONE_LIMIT_S ? TCI_ZONE_LIMIT_S : at_s < -TCI_ZONE_LIMIT_S ? -TCI_ZONE_LIMIT_S : at_s; }

static int64_t floor_div(int64_t value, int64_t by) { return value / by - (value % by < 0); }
static int64_t floor_mod(int64_t value, int64_t by) { return value - floor_div(value, by) * by; }

/* Days since 1970 of March 1st and of January 1st, by eras of 400 years that begin on March 1st (as in timefmt.c). */
static int64_t days_of(int64_t year, int64_t month) {
  int64_t y = year - (month <= 2), era = floor_div(y, 400), of_era = y - era * 400;
  int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

/* Months since year 0 of a day. */
static int64_t month_of(int64_t days) {
  int64_t shifted = days + 719468, era = floor_div(shifted, 146097), of_era = shifted - era * 146097;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t day_of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * day_of_year + 2) / 153;
  return (year + era * 400) * 12 + month + 2; /* month 0 is March */
}

int64_t tci_civil_days(int64_t year, int64_t month) { return days_of(year, month); }
int64_t tci_civil_year(int64_t days) { return floor_div(month_of(days), 12); }

typedef struct span {
  int64_t from, until; /* the offset is the same in between; INT64_MIN, INT64_MAX: for ever */
  int32_t offset;
} span;

/* The instant in UTC at which rule takes effect in a year; wall clocks show offset before it. */
static int64_t rule_at(const tci_zone_rule *rule, int64_t year, int32_t offset) {
  int64_t first = days_of(year, 1), day;
  int leap = days_of(year + 1, 1) - first == 366;
  if (rule->form == TCI_RULE_JULIAN) {
    day = first + rule->day - 1 + (leap && rule->day >= 60); /* February 29 is never counted */
  } else if (rule->form == TCI_RULE_DAY) {
    day = first + rule->day;
  } else {
    int64_t begin = days_of(year, rule->month), end = rule->month == 12 ? days_of(year + 1, 1) : days_of(year, rule->month + 1);
    day = begin + floor_mod(rule->day - (begin + 4), 7) + 7 * (rule->week - 1); /* 1970-01-01 was a Thursday, 4 */
    if (day >= end) day -= 7;                                                   /* week 5 is the last one */
  }
  return day * DAY_S + rule->time - offset;
}

/* By the footer's rules, for what lies beyond the table. */
static span rule_span(const tci_zone *zone, int64_t at_s) {
  if (!zone->has_dst) return (span){INT64_MIN, INT64_MAX, zone->std};
  span out = {INT64_MIN, INT64_MAX, zone->std};
  int64_t year = tci_civil_year(floor_div(at_s + zone->std, DAY_S));
  /* A rule's time reaches up to a week into the neighbouring year. At a tie daylight saving begins (RFC 8536 3.3.1: "all year"): so an end counts only while it is later. */
  for (int64_t y = year - 1; y <= year + 1; y++) {
    int64_t change[2] = {rule_at(&zone->begin, y, zone->std), rule_at(&zone->end, y, zone->dst)};
    for (int i = 0; i < 2; i++) {
      int32_t offset = i ? zone->std : zone->dst;
      int later = i ? change[i] > out.from : change[i] >= out.from;
      if (change[i] <= at_s && later) {
        out.from = change[i];
        out.offset = offset;
      }
      if (change[i] > at_s && change[i] < out.until) out.until = change[i];
    }
  }
  return out;
}

static span span_at(const tci_zone *zone, int64_t at_s) {
  size_t low = 0, high = zone->count; /* the first transition that is later */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (zone->times[middle] <= at_s) low = middle + 1;
    else high = middle;
  }
  if (low == zone->count && zone->has_rule) {
    span out = rule_span(zone, at_s);
    if (zone->count && out.from < zone->times[zone->count - 1]) out.from = zone->times[zone->count - 1];
    return out;
  }
  span out = {INT64_MIN, INT64_MAX, zone->before};
  if (low) {
    out.from = zone->times[low - 1];
    out.offset = zone->offsets[low - 1];
  }
  if (low < zone->count) out.until = zone->times[low];
  return out;
}

int32_t tci_zone_offset(const tci_zone *zone, int64_t at_s) { return zone ? span_at(zone, clamp(at_s)).offset : 0; }

/* The first instant at which the wall clock shows local_s or later. */
static int64_t first_instant(const tci_zone *zone, int64_t local_s) {
  if (!zone) return local_s;
  int64_t at = local_s - TCI_ZONE_OFFSET_MAX; /* too early in every zone */
  for (;;) {
    span s = span_at(zone, at);
    int64_t candidate = local_s - s.offset;
    if (candidate < at) candidate = at; /* the change has jumped over it */
    if (candidate < s.until) return candidate;
    at = s.until;
  }
}

/* Periods are numbered without holes: days since 1970, weeks since a Monday, months since year 0. */
static int64_t number_of(int period, int64_t local_s) {
  int64_t days = floor_div(local_s, DAY_S);
  if (period == TCI_PERIOD_WEEK) return floor_div(days + 3, 7); /* 1969-12-29 was a Monday */
  return period == TCI_PERIOD_MONTH ? month_of(days) : days;
}

static int64_t local_start(int period, int64_t number) {
  if (period == TCI_PERIOD_WEEK) return (number * 7 - 3) * DAY_S;
  if (period == TCI_PERIOD_MONTH) return days_of(floor_div(number, 12), floor_mod(number, 12) + 1) * DAY_S;
  return number * DAY_S;
}

static void hour_at(const tci_zone *zone, int64_t at_s, int64_t *start_s, int64_t *end_s) {
  span s = zone ? span_at(zone, at_s) : (span){INT64_MIN, INT64_MAX, 0};
  int64_t into = floor_mod(s.offset, 3600);
  int64_t start = at_s - floor_mod(at_s + into, 3600), end = start + 3600;
  if (start < s.from && floor_mod(span_at(zone, s.from - 1).offset, 3600) != into) start = s.from;
  if (end > s.until && floor_mod(span_at(zone, s.until).offset, 3600) != into) end = s.until;
  *start_s = start;
  *end_s = end;
}

void tci_zone_period(const tci_zone *zone, int period, int64_t at_s, int64_t *start_s, int64_t *end_s) {
  at_s = clamp(at_s);
  if (period == TCI_PERIOD_HOUR) {
    hour_at(zone, at_s, start_s, end_s);
    return;
  }
  int64_t number = number_of(period, at_s + tci_zone_offset(zone, at_s));
  int64_t start = first_instant(zone, local_start(period, number)), end = first_instant(zone, local_start(period, number + 1));
  /* The clock can show an evening again after midnight has been: the day that had begun goes on. Days that a zone has left out (Apia, 2011-12-30) are empty. */
  while (end <= at_s) {
    start = end;
    end = first_instant(zone, local_start(period, ++number + 1));
  }
  *start_s = start;
  *end_s = end;
}
