/* timeparse.c - an instant as clients write it. */
#include <string.h>

#include "timefmt.h"

#define US_PER_S INT64_C(1000000)
#define MS_LAST INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define MS_FIRST INT64_C(-62167219200000)

/* Takes exactly `count` digits; -1: there is something else. */
static int take(const char **at, const char *end, int count) {
  int value = 0;
  if (end - *at < count) return -1;
  for (int i = 0; i < count; i++) {
    char c = *(*at)++;
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

static int take_char(const char **at, const char *end, const char *any) {
  if (*at == end || !**at || !strchr(any, **at)) return 0;
  return *(*at)++;
}

static int is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int days_in(int year, int month) {
  static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[month - 1] + (month == 2 && is_leap(year));
}

/* The inverse of put_date in timefmt.c. */
static int64_t days_of(int year, int month, int day) {
  int64_t y = year - (month <= 2);
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t year_of_era = y - era * 400;
  int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* A leap second is the first moment of the next minute: no clock of ours has it. */
static int join(int year, int month, int day, int hour, int minute, int second, int64_t *out_s) {
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in(year, month)) return -1;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return -1;
  *out_s = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  return 0;
}

/* .5 to .999999999; what is finer than a microsecond is dropped. */
static int fraction(const char **at, const char *end, int64_t *us) {
  int digits = 0;
  *us = 0;
  for (; *at < end && **at >= '0' && **at <= '9'; (*at)++, digits++) {
    if (digits < 6) *us = *us * 10 + (**at - '0');
  }
  for (int i = digits; i < 6; i++) *us *= 10;
  return digits >= 1 && digits <= 9 ? 0 : -1;
}

/* Z, +05:30, +0530 or +05 as ISO 8601 has them. */
static int offset(const char **at, const char *end, int64_t *seconds) {
  int sign = take_char(at, end, "Zz+-");
  *seconds = 0;
  if (!sign) return -1;
  if (sign == 'Z' || sign == 'z') return 0;
  int hours = take(at, end, 2), minutes = 0;
  if (*at < end) {
    (void)take_char(at, end, ":");
    minutes = take(at, end, 2);
  }
  if (hours < 0 || hours > 18 || minutes < 0 || minutes > 59) return -1;
  *seconds = (sign == '-' ? -1 : 1) * (int64_t)(hours * 3600 + minutes * 60);
  return 0;
}

static int parse_iso(const char *at, const char *end, int64_t *out) {
  int64_t seconds, us = 0, east;
  int year = take(&at, end, 4);
  if (!take_char(&at, end, "-")) return -1;
  int month = take(&at, end, 2);
  if (!take_char(&at, end, "-")) return -1;
  int day = take(&at, end, 2);
  if (!take_char(&at, end, "Tt")) return -1;
  int hour = take(&at, end, 2);
  if (!take_char(&at, end, ":")) return -1;
  int minute = take(&at, end, 2), second = 0;
  if (take_char(&at, end, ":")) {
    second = take(&at, end, 2);
    if (take_char(&at, end, ".,") && fraction(&at, end, &us)) return -1;
  }
  if (offset(&at, end, &east) || at != end || join(year, month, day, hour, minute, second, &seconds)) return -1;
  *out = (seconds - east) * US_PER_S + us;
  return 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 1123; the day of one digit and a numeric zone as RFC 822 allows). The weekday must be one, not the right one. */
static int parse_mail(const char *at, const char *end, int64_t *out) {
  static const char weekdays[] = "Sun,Mon,Tue,Wed,Thu,Fri,Sat,", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int known = 0, month = 0;
  int64_t seconds, east = 0;
  for (int i = 0; i < 7 && end - at >= 5; i++) known |= !memcmp(at, weekdays + (size_t)4 * (size_t)i, 4);
  if (!known || at[4] != ' ') return -1;
  at += 5;
  int day = take(&at, end, end - at >= 2 && at[1] == ' ' ? 1 : 2);
  if (!take_char(&at, end, " ")) return -1;
  for (int i = 0; i < 12 && end - at >= 3; i++) {
    if (!memcmp(at, months + (size_t)3 * (size_t)i, 3)) month = i + 1;
  }
  if (!month) return -1;
  at += 3;
  if (!take_char(&at, end, " ")) return -1;
  int year = take(&at, end, 4);
  if (!take_char(&at, end, " ")) return -1;
  int hour = take(&at, end, 2);
  if (!take_char(&at, end, ":")) return -1;
  int minute = take(&at, end, 2);
  if (!take_char(&at, end, ":")) return -1;
  int second = take(&at, end, 2);
  if (!take_char(&at, end, " ")) return -1;
  if (end - at == 3 && !memcmp(at, "GMT", 3)) at += 3;
  else if (offset(&at, end, &east)) return -1;
  if (at != end || join(year, month, day, hour, minute, second, &seconds)) return -1;
  *out = (seconds - east) * US_PER_S;
  return 0;
}

static int parse_epoch_ms(const char *at, const char *end, int64_t *out) {
  int minus = take_char(&at, end, "-") != 0;
  int64_t ms = 0;
  if (at == end || end - at > 15) return -1;
  while (at < end) {
    int digit = take(&at, end, 1);
    if (digit < 0) return -1;
    ms = ms * 10 + digit;
  }
  if (minus) ms = -ms;
  if (ms < MS_FIRST || ms > MS_LAST) return -1;
  *out = ms * 1000;
  return 0;
}

int tci_time_parse(const char *text, size_t len, int64_t *us) {
  const char *end = text + len;
  int64_t parsed;
  if (parse_iso(text, end, &parsed) && parse_mail(text, end, &parsed) && parse_epoch_ms(text, end, &parsed)) return -1;
  *us = parsed;
  return 0;
}
