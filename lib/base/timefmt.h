/* timefmt.h - microseconds UTC to and from RFC 3339 text; and the HTTP date. Pure, proleptic Gregorian, no locale. */
#ifndef TCI_BASE_TIMEFMT_H
#define TCI_BASE_TIMEFMT_H

#include <stdint.h>

#define TCI_RFC3339_MS_LEN 24 /* 2024-01-15T10:30:45.123Z */

/* Years 0000 to 9999; a time outside is clamped to the range. Truncates to the millisecond (towards the past). out gets exactly TCI_RFC3339_MS_LEN bytes, no NUL. */
void tci_time_format_ms(int64_t us, char *out);
/* IMF-fixdate (RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT", 29 bytes, no NUL. */
#define TCI_HTTP_DATE_LEN 29
void tci_time_format_http(int64_t us, char *out);

#endif
