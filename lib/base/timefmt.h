/* timefmt.h - microseconds UTC to and from RFC 3339 text; and the HTTP date. Pure, proleptic Gregorian, no locale. */
#ifndef TCI_BASE_TIMEFMT_H
#define TCI_BASE_TIMEFMT_H

#include <stddef.h>
#include <stdint.h>

#define TCI_RFC3339_MS_LEN 24 /* 2024-01-15T10:30:45.123Z */

/* Years 0000 to 9999; a time outside is clamped to the range. Truncates to the millisecond (towards the past). out gets exactly TCI_RFC3339_MS_LEN bytes, no NUL. */
void tci_time_format_ms(int64_t us, char *out);
/* IMF-fixdate (RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", 29 bytes, no NUL. */
#define TCI_HTTP_DATE_LEN 29
void tci_time_format_http(int64_t us, char *out);

/* An instant as the Java service took it: ISO 8601 with Z or an offset ("2024-01-15T10:00:00Z", "...T10:00+05:30", up to nine decimals, those beyond six are dropped),
 * RFC 1123 ("Mon, 15 Jan 2024 10:00:00 GMT"), or milliseconds since 1970 in digits. Years 0000 to 9999. A date alone is none. 0, or -1. */
int tci_time_parse(const char *text, size_t len, int64_t *us);

#endif
