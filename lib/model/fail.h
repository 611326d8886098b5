/* fail.h - this thread's detail behind tc_last_error(). */
#ifndef TCI_MODEL_FAIL_H
#define TCI_MODEL_FAIL_H

#include "tipcurrent/error.h"

/* Sets the detail (cut to 511 bytes, on a code point boundary) and returns code: `return tci_fail(TC_EINVAL, "amount: must be greater than 0");`. An empty format gives tc_strerror(code).
 * Wording: what was tried, the reason, the offending value; lower case, no period, no function names; a field first, as in the JSON, then a colon. */
int tci_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same as a void function, for tc_storage_env.fail. */
void tci_fail_env(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tci_fail_clear(void);         /* on entry of every public function */
const char *tci_fail_detail(void); /* never NULL */

#endif
