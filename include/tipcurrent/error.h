/* error.h - result codes, and the detail behind the last failure of this thread. */
#ifndef TIPCURRENT_ERROR_H
#define TIPCURRENT_ERROR_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One table for the codes, their numbers and their texts (tc_strerror). Numbers never change; new ones come at the end. */
#define TC_ERRORS(X)                                                                                               \
  X(TC_EINVAL, -1, "invalid argument") /* the caller's mistake: tc_last_error() names the field and the limit */   \
  X(TC_ENOMEM, -2, "out of memory")    /* nothing was done */                                                      \
  X(TC_ENOTFOUND, -3, "no such object")                                                                            \
  X(TC_EEXISTS, -4, "already exists")                                                                              \
  X(TC_ECONFLICT, -5, "conflicts with what is stored")                                                             \
  X(TC_EMISMATCH, -6, "idempotency key reused with a different request")                                           \
  X(TC_EBUSY, -7, "busy, try again")   /* a queue is full, or the indexes are being rebuilt; nothing was stored */ \
  X(TC_ESTORAGE, -8, "storage failed") /* nothing was stored */                                                    \
  X(TC_ECORRUPT, -9, "stored data is damaged")                                                                     \
  X(TC_ETIMEOUT, -10, "timed out")        /* nothing was stored, or nothing arrived in time */                     \
  X(TC_EUNKNOWN, -11, "outcome unknown")  /* may or may not be stored: retry with the same idempotency key */      \
  X(TC_ECLOSED, -12, "engine is closing") /* nothing was stored */                                                 \
  X(TC_ELIMIT, -13, "limit exceeded")                                                                              \
  X(TC_ENOTSUP, -14, "not supported")                                                                              \
  X(TC_EVERSION, -15, "version mismatch")                                                                          \
  X(TC_EUSER, -16, "callback returned an error")

/* What functions return: TC_OK or one of TC_ERRORS. */
enum {
  TC_OK = 0, /* it was done */
#define TC_X(name, number, text) name = number,
  TC_ERRORS(TC_X)
#undef TC_X
    TC_ERROR_LAST = -16 /* the lowest code; goes down as codes are added */
};

/* The text of a code: static, never NULL, also for unknown codes. Any thread; does not block. */
TC_API const char *tc_strerror(int code);

/* What went wrong in this thread's last failed tc_ call, in one line: what was tried, the reason, the offending value; a field is named as in the JSON
 * ("amount: must be greater than 0"). "" when the thread's last call succeeded (free, unref and close functions leave it alone). Secrets never stand in it.
 * Borrowed: valid until this thread's next tc_ call. Never NULL. Does not block. */
TC_API const char *tc_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
