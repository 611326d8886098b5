/* zone.h - time zones of the IANA database without the process's own time zone: no setenv, no tzset, no localtime, no state. Reads TZif files (RFC 8536).
 *
 * Seconds since 1970-01-01T00:00:00Z throughout, leap seconds not counted. "Local seconds" are what a wall clock shows, read as if it were UTC.
 */
#ifndef TCI_BASE_ZONE_H
#define TCI_BASE_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define TCI_ZONE_NAME_MAX 64                /* bytes */
#define TCI_ZONE_FILE_MAX (64u << 10)       /* those of 2025 have at most 4 KiB */
#define TCI_ZONE_LIMIT_S (INT64_C(1) << 40) /* instants are clamped to this many seconds around 1970: 34,000 years, far from any overflow */

typedef struct tci_zone tci_zone; /* immutable: any thread */

/* A TZif file of version 2 or later, from memory. TC_OK; TC_EINVAL: it is none, or one that counts leap seconds; TC_ENOMEM. */
int tci_zone_parse(tci_zone **out, const void *bytes, size_t len);
/* The file of that name below dir. TC_ENOTFOUND: no name of a zone, or no such file; TC_ESTORAGE: it cannot be read; else as tci_zone_parse. Blocks for a file of a few KiB. */
int tci_zone_load(tci_zone **out, const char *dir, const char *name);
void tci_zone_free(tci_zone *zone);

/* Letters, digits and _+-/ only, a capital letter first: all that the database has, and nothing that leaves a directory ("posixrules", "localtime" and "right/" are
 * the system's, not the database's). */
int tci_zone_name_valid(const char *name);

/* Seconds east of UTC at an instant. */
int32_t tci_zone_offset(const tci_zone *zone, int64_t at_s);

enum { TCI_PERIOD_HOUR, TCI_PERIOD_DAY, TCI_PERIOD_WEEK, TCI_PERIOD_MONTH };

/* The local period that an instant is in: *start_s <= at_s < *end_s. Periods follow each other without a hole. zone NULL: UTC.
 *  - A day begins at the first instant at which the clock shows its midnight or, where the clocks jump over it, something later. So days have 23 or 25 hours where the
 *    clocks change, and a stretch of the evening before that comes a second time belongs to the day that had begun. A week begins with its Monday (ISO 8601), a month with its 1st.
 *  - An hour is 60 minutes from where the clock shows a full hour. Where the clocks move by other than full hours (Lord Howe: 30 minutes) it is cut there. */
void tci_zone_period(const tci_zone *zone, int period, int64_t at_s, int64_t *start_s, int64_t *end_s);

#endif
