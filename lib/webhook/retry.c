#include "retry.h"

#include <string.h>

#include "tipcurrent/error.h"

#define US_PER_S INT64_C(1000000)
#define STEP_MAX_S (INT64_C(7) * 86400)
#define DIGITS_MAX 9 /* of a number of seconds; more is more than any limit here */

static int is_digit(char byte) { return byte >= '0' && byte <= '9'; }

static int64_t unit_s(char unit) {
  switch (unit) {
  case 's': return 1;
  case 'm': return 60;
  case 'h': return 3600;
  case 'd': return 86400;
  default: return 0;
  }
}

/* "30s" to seconds; 0 when it is none. */
static int64_t read_step(const char *item, size_t len) {
  if (len < 2 || len > DIGITS_MAX + 1) return 0;
  int64_t count = 0, unit = unit_s(item[len - 1]);
  for (size_t i = 0; i + 1 < len; i++) {
    if (!is_digit(item[i])) return 0;
    count = count * 10 + (item[i] - '0');
  }
  return count <= STEP_MAX_S && count * unit <= STEP_MAX_S ? count * unit : 0;
}

int tci_schedule_read(const char *text, tci_schedule *out, const char **bad) {
  tci_schedule schedule = {.steps = 0};
  const char *at = text ? text : "10s,60s";
  for (;;) {
    size_t len = strcspn(at, ",");
    int64_t step_us = read_step(at, len) * US_PER_S;
    /* One that falls is a slip of the pen: the receiver that needs longer would be asked sooner. */
    if (!step_us || schedule.steps == TCI_RETRY_STEPS_MAX || (schedule.steps && step_us < schedule.step_us[schedule.steps - 1])) {
      *bad = at;
      return TC_EINVAL;
    }
    schedule.step_us[schedule.steps++] = step_us;
    if (!at[len]) break;
    at += len + 1;
  }
  *out = schedule;
  return TC_OK;
}

int64_t tci_retry_pause_us(const tci_schedule *schedule, int attempt, uint64_t random, int64_t retry_after_us) {
  if (attempt < 1 || (size_t)attempt > schedule->steps) return -1;
  int64_t step_us = schedule->step_us[attempt - 1], half_us = step_us / 2;
  int64_t pause_us = step_us - (int64_t)(random % (uint64_t)(half_us + 1));
  int64_t most_us = TCI_RETRY_AFTER_MAX_S * US_PER_S;
  int64_t asked_us = retry_after_us < most_us ? retry_after_us : most_us;
  return asked_us > pause_us ? asked_us : pause_us;
}

typedef struct http_date {
  int year, month, day, hour, minute, second; /* month and day from 1 */
  int short_year;                             /* 1: year has only its last two digits */
} http_date;

/* Takes one of the three-letter names that stand at every third place. Its number from 1, or 0. */
static int take_name(tc_text *from, const char *names) {
  if (from->len < 3) return 0;
  for (int i = 0; names[3 * i]; i++) {
    if (!memcmp(from->ptr, names + 3 * i, 3)) {
      from->ptr += 3;
      from->len -= 3;
      return i + 1;
    }
  }
  return 0;
}

static int take_day_name(tc_text *from, int whole) {
  static const char *const rests[] = {"day", "day", "sday", "nesday", "rsday", "day", "urday"};
  int day = take_name(from, "SunMonTueWedThuFriSat");
  if (!day || !whole) return day;
  size_t len = strlen(rests[day - 1]);
  if (from->len < len || memcmp(from->ptr, rests[day - 1], len) != 0) return 0;
  from->ptr += len;
  from->len -= len;
  return day;
}

/* blank: a blank may stand for the leading zero. */
static int take_number(tc_text *from, size_t digits, int blank, int *out) {
  int value = 0;
  if (from->len < digits) return 0;
  for (size_t i = 0; i < digits; i++) {
    char byte = blank && i == 0 && from->ptr[0] == ' ' ? '0' : from->ptr[i];
    if (!is_digit(byte)) return 0;
    value = value * 10 + (byte - '0');
  }
  from->ptr += digits;
  from->len -= digits;
  *out = value;
  return 1;
}

static int take_field(tc_text *from, char field, http_date *date) {
  switch (field) {
  case 'w': return take_day_name(from, 0);
  case 'W': return take_day_name(from, 1);
  case 'b': return (date->month = take_name(from, "JanFebMarAprMayJunJulAugSepOctNovDec")) != 0;
  case 'd': return take_number(from, 2, 0, &date->day);
  case 'e': return take_number(from, 2, 1, &date->day);
  case 'h': return take_number(from, 2, 0, &date->hour);
  case 'm': return take_number(from, 2, 0, &date->minute);
  case 's': return take_number(from, 2, 0, &date->second);
  case 'y': return date->short_year = take_number(from, 2, 0, &date->year);
  default: return take_number(from, 4, 0, &date->year);
  }
}

static int read_form(tc_text value, const char *form, http_date *out) {
  http_date date = {0};
  for (; *form; form++) {
    if (*form == '%') {
      if (!take_field(&value, *++form, &date)) return 0;
    } else {
      if (!value.len || *value.ptr != *form) return 0;
      value.ptr++;
      value.len--;
    }
  }
  *out = date;
  return value.len == 0;
}

static int is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int is_date(const http_date *date) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int most = days[date->month - 1] + (date->month == 2 && is_leap(date->year));
  return date->day >= 1 && date->day <= most && date->hour < 24 && date->minute < 60 && date->second <= 60; /* 60: a leap second */
}

/* Hinnant's days_from_civil, the inverse of base/timefmt.c: years that begin in March, eras of 400. */
static int64_t to_us(const http_date *date) {
  int64_t year = date->year - (date->month <= 2), era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
  int64_t of_year = (153 * (date->month + (date->month > 2 ? -3 : 9)) + 2) / 5 + date->day - 1;
  int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
  return (((days * 24 + date->hour) * 60 + date->minute) * 60 + date->second) * US_PER_S;
}

/* RFC 9110 5.6.7: a year of two digits that seems more than 50 years ahead is the last one in the past with these digits. */
static int whole_year(int digits, int64_t now_us) {
  int64_t this_year = 1970 + now_us / US_PER_S / 31556952; /* good to a day, where fifty years decide */
  int64_t year = this_year / 100 * 100 + digits;
  if (year > this_year + 50) return (int)(year - 100);
  return (int)(year + 50 < this_year ? year + 100 : year);
}

static int64_t date_us(tc_text value, int64_t now_us) {
  static const char *const forms[] = {"%w, %d %b %Y %h:%m:%s GMT", "%W, %d-%b-%y %h:%m:%s GMT", "%w %b %e %h:%m:%s %Y"};
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    http_date date;
    if (!read_form(value, forms[i], &date)) continue;
    if (date.short_year) date.year = whole_year(date.year, now_us);
    return is_date(&date) ? to_us(&date) : 0;
  }
  return 0;
}

int64_t tci_retry_after_us(tc_text value, int64_t now_us) {
  while (value.len && (*value.ptr == ' ' || *value.ptr == '\t')) value.ptr++, value.len--;
  while (value.len && (value.ptr[value.len - 1] == ' ' || value.ptr[value.len - 1] == '\t')) value.len--;
  size_t digits = 0;
  int64_t seconds = 0, most_us = TCI_RETRY_AFTER_MAX_S * US_PER_S;
  while (digits < value.len && is_digit(value.ptr[digits])) {
    if (seconds <= TCI_RETRY_AFTER_MAX_S) seconds = seconds * 10 + (value.ptr[digits] - '0'); /* more is not needed to know that it is too much */
    digits++;
  }
  int64_t pause_us;
  if (value.len && digits == value.len) {
    pause_us = seconds * US_PER_S;
  } else {
    int64_t at_us = date_us(value, now_us);
    pause_us = at_us > now_us ? at_us - now_us : 0;
  }
  return pause_us < most_us ? pause_us : most_us;
}
