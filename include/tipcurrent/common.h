/* common.h - what every tipcurrent header stands on: linkage, versions, text spans, and the rule for structs that the caller fills.
 *
 * Conventions of the whole API
 *  - Functions that can fail return int: TC_OK (0) or a negative code of error.h. Outputs are written only on success.
 *  - Text is UTF-8 without U+0000. Lengths that a rule limits are counted in code points, as in PostgreSQL's VARCHAR(n).
 *  - Amounts are int64 hundredths ("minor units"): 100.00 is 10000. No floating point anywhere.
 *  - Times are int64 microseconds since 1970-01-01T00:00:00Z; names end in _us. Durations end in _ms or _s, sizes in _bytes.
 *  - Handles are opaque. Every destructor accepts NULL.
 *
 * Structs that the CALLER fills start with `size_t size`, are set up by TC_X_INIT ({ sizeof(tc_x) }; positional, so that C++11 takes it), and grow only at
 * the end; a field that is zero means "as before it existed". A struct shorter than the library's is taken with the missing fields as zero; a longer one is
 * taken if what the library does not know is zero, and refused with TC_EVERSION otherwise (the rule of Linux' copy_struct_from_user).
 */
#ifndef TIPCURRENT_COMMON_H
#define TIPCURRENT_COMMON_H

#include <stddef.h>
#include <stdint.h>

/* Marks what leaves the library. Define TC_STATIC before the first header to build against libtipcurrent.a. */
#if defined(TC_STATIC)
#define TC_API
#elif defined(__GNUC__)
#define TC_API __attribute__((visibility("default")))
#else
#define TC_API
#endif

/* The version of these headers, as numbers and as text; tc_version() is that of the library at run time. */
#define TC_VERSION_MAJOR 0
#define TC_VERSION_MINOR 1
#define TC_VERSION_PATCH 0
#define TC_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* A span of text that somebody else owns. ptr == NULL: absent (SQL's NULL, JSON's null). Not necessarily NUL-terminated unless the place that hands it out says so. */
typedef struct tc_text {
  const char *ptr; /* UTF-8, borrowed; NULL: absent */
  size_t len;      /* bytes */
} tc_text;

/* The version of the library at run time, e.g. "0.1.0". Static; never NULL. Any thread; does not block. */
TC_API const char *tc_version(void);

#ifdef __cplusplus
}
#endif
#endif
