#include "money.h"

#include <string.h>

#include "base/json.h"

#define DECIMALS 2
#define DIGITS_MAX 19                           /* of INT64_MAX */
#define POWER_LIMIT INT64_C(100000000000000000) /* longer than any text: an exponent beyond it need not be known exactly */

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* The digits between the first and the last that are not 0, and the powers of ten of these two. */
typedef struct significant {
  const char *first, *last; /* first is NULL when the number is 0 */
  int64_t first_power, last_power;
} significant;

/* text is an exponent's [+-]digits. Exact up to POWER_LIMIT and below ten times of it, so that the sum with a length cannot overflow. */
static int64_t exponent(const char *text, const char *end) {
  int negative = *text == '-';
  if (!is_digit(*text)) text++;
  int64_t value = 0;
  for (; text < end; text++) {
    if (value < POWER_LIMIT) value = value * 10 + (*text - '0');
  }
  return negative ? -value : value;
}

/* One pass over the mantissa, whatever its length; text is a number without its sign. */
static void find_significant(const char *text, const char *end, significant *out) {
  int64_t power = 0, whole = 0; /* of the digits seen: how many, and how many of them stand before the point */
  int fraction = 0;
  memset(out, 0, sizeof *out);
  for (; text < end && *text != 'e' && *text != 'E'; text++) {
    if (*text == '.') {
      fraction = 1;
      continue;
    }
    if (*text != '0') {
      if (!out->first) {
        out->first = text;
        out->first_power = -power;
      }
      out->last = text;
      out->last_power = -power;
    }
    power++;
    if (!fraction) whole++;
  }
  int64_t shift = whole - 1 + (text < end ? exponent(text + 1, end) : 0);
  out->first_power += shift;
  out->last_power += shift;
}

/* The number times 10^decimals, which is whole. 0, or -1 when it is above INT64_MAX. */
static int scaled(const significant *digits, int decimals, int64_t *out) {
  if (digits->first_power + decimals >= DIGITS_MAX) return -1;
  uint64_t value = 0; /* 19 digits fit */
  for (const char *at = digits->first; at <= digits->last; at++) {
    if (*at != '.') value = value * 10 + (uint64_t)(*at - '0');
  }
  for (int64_t power = digits->last_power + decimals; power > 0; power--) value *= 10;
  if (value > INT64_MAX) return -1;
  *out = (int64_t)value;
  return 0;
}

const char *tci_money_parse(const char *text, size_t len, int64_t *hundredths) {
  if (!tci_json_is_number(text, len)) return "must be a number";
  if (*text == '-') return "must be greater than 0"; /* -0 too: who writes a sign means it */
  significant digits;
  find_significant(text, text + len, &digits);
  if (!digits.first) return "must be greater than 0";
  if (digits.last_power < -DECIMALS) return "must have at most 2 decimals";
  return scaled(&digits, DECIMALS, hundredths) ? "must be at most 92233720368547758.07" : NULL;
}

const char *tci_whole_parse(const char *text, size_t len, int64_t *value) {
  if (!tci_json_is_number(text, len)) return "must be a number";
  if (*text == '-') return "must be a whole number from 0 on";
  significant digits;
  find_significant(text, text + len, &digits);
  if (!digits.first) {
    *value = 0;
    return NULL;
  }
  if (digits.last_power < 0) return "must be a whole number from 0 on";
  return scaled(&digits, 0, value) ? "must be at most 9223372036854775807" : NULL;
}

size_t tci_money_format(int64_t hundredths, char out[TCI_MONEY_TEXT_MAX]) {
  uint64_t left = hundredths < 0 ? 0 - (uint64_t)hundredths : (uint64_t)hundredths;
  char reversed[TCI_MONEY_TEXT_MAX];
  size_t len = 0;
  for (int place = 0; place <= DECIMALS || left; place++, left /= 10) {
    if (place == DECIMALS) reversed[len++] = '.';
    reversed[len++] = (char)('0' + left % 10);
  }
  if (hundredths < 0) reversed[len++] = '-';
  for (size_t i = 0; i < len; i++) out[i] = reversed[len - 1 - i];
  out[len] = '\0';
  return len;
}
