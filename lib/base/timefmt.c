#include "timefmt.h"

#include <string.h>

#define US_PER_S INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)
#define FIRST_US (INT64_C(-62167219200) * US_PER_S)               /* 0000-01-01T00:00:00Z */
#define LAST_US (INT64_C(253402300799) * US_PER_S + US_PER_S - 1) /* 9999-12-31T23:59:59.999999Z */

typedef struct calendar {
  unsigned year, month, day, weekday; /* month and day from 1, weekday from 0 = Sunday */
  unsigned hour, minute, second, ms;
} calendar;

/* Days to a date by eras of 400 years that begin on March 1st, so that the leap day stands last (Hinnant, "chrono-compatible low-level date algorithms").
 * gmtime_r would do for the range, but it takes the C library's time zone lock. */
static void put_date(calendar *out, int64_t days) {
  int64_t shifted = days + 719468; /* since 0000-03-01 */
  int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  unsigned day_of_era = (unsigned)(shifted - era * 146097);
  unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned month = (5 * day_of_year + 2) / 153; /* 0 is March */
  out->day = day_of_year - (153 * month + 2) / 5 + 1;
  out->month = month < 10 ? month + 3 : month - 9;
  out->year = (unsigned)((int64_t)year_of_era + era * 400 + (out->month <= 2));
  out->weekday = (unsigned)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

static void split(calendar *out, int64_t us) {
  if (us < FIRST_US) us = FIRST_US;
  if (us > LAST_US) us = LAST_US;
  int64_t day_us = S_PER_DAY * US_PER_S;
  int64_t days = us / day_us, rest = us % day_us;
  if (rest < 0) {
    rest += day_us;
    days--;
  }
  put_date(out, days);
  unsigned ms = (unsigned)(rest / 1000);
  out->hour = ms / 3600000;
  out->minute = ms / 60000 % 60;
  out->second = ms / 1000 % 60;
  out->ms = ms % 1000;
}

static void put_digits(char *out, unsigned value, int count) {
  for (int i = count - 1; i >= 0; i--, value /= 10) out[i] = (char)('0' + value % 10);
}

void tci_time_format_ms(int64_t us, char *out) {
  calendar at;
  split(&at, us);
  memcpy(out, "0000-00-00T00:00:00.000Z", TCI_RFC3339_MS_LEN);
  put_digits(out, at.year, 4);
  put_digits(out + 5, at.month, 2);
  put_digits(out + 8, at.day, 2);
  put_digits(out + 11, at.hour, 2);
  put_digits(out + 14, at.minute, 2);
  put_digits(out + 17, at.second, 2);
  put_digits(out + 20, at.ms, 3);
}

void tci_time_format_http(int64_t us, char *out) {
  static const char weekdays[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  calendar at;
  split(&at, us);
  memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", TCI_HTTP_DATE_LEN);
  memcpy(out, weekdays + (size_t)3 * at.weekday, 3);
  put_digits(out + 5, at.day, 2);
  memcpy(out + 8, months + (size_t)3 * (at.month - 1), 3);
  put_digits(out + 12, at.year, 4);
  put_digits(out + 17, at.hour, 2);
  put_digits(out + 20, at.minute, 2);
  put_digits(out + 23, at.second, 2);
}
