/* key.h - the Idempotency-Key of a request. */
#ifndef TCD_API_KEY_H
#define TCD_API_KEY_H

#include "server/exchange.h"

#define TCD_KEY_SIZE (255 * 4 + 1) /* what 255 code points may take, and a NUL; the library counts them */

/* The header as the NUL-terminated text that the library wants, in storage; *out NULL: none. 0, or -1 with the reply filled. */
int tcd_key_read(const tcd_request *request, char storage[TCD_KEY_SIZE], const char **out, tcd_reply *reply);

#endif
