/* amount.h - decimal text to hundredths and back, by the rules of the JSON door: for whoever reads amounts from people. */
#ifndef TIPCURRENT_AMOUNT_H
#define TIPCURRENT_AMOUNT_H

#include "common.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TC_AMOUNT_SIZE 24 /* of the text of any int64, its NUL included */

/* Reads a decimal number ("100", "1e2", "100.00", "100.500"; RFC 8259 section 6) as hundredths into *hundredths, never through a double and without rounding. text need not be
 * NUL-terminated. Any thread; does not block.
 * Errors: TC_EINVAL, the message as of a create: "amount: must be a number", "... greater than 0", "... have at most 2 decimals", "... be at most 92233720368547758.07". */
TC_API int tc_amount_parse(const char *text, size_t len, int64_t *hundredths);

/* Writes hundredths with two decimals, 10000 as "100.00", NUL-terminated; returns the length. Any thread; does not block or fail. */
TC_API size_t tc_amount_format(int64_t hundredths, char out[TC_AMOUNT_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
