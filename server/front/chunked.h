/* chunked.h - the chunked transfer coding (RFC 9112 7.1), decoded piece by piece: pure, resumable at any byte, holding nothing but counters. */
#ifndef TCD_FRONT_CHUNKED_H
#define TCD_FRONT_CHUNKED_H

#include "tipcurrent/common.h"

/* Extensions and trailers are passed over, but not without end: this many bytes of them a body. */
#define TCD_CHUNKED_EXTRA_MAX (16u << 10)

enum {
  TCD_CHUNKED_MORE = 0, /* all input is used up */
  TCD_CHUNKED_DATA = 1, /* *data holds a piece of the body; call again with the rest */
  TCD_CHUNKED_DONE = 2, /* the body has ended; what follows *used is the next request */
  TCD_CHUNKED_BAD = -1,
  TCD_CHUNKED_LARGE = -2 /* the body is or will be longer than limit, or its extensions and trailers are too long */
};

typedef struct tcd_chunked {
  uint64_t limit, total, left; /* of the body; announced so far; left of this chunk */
  uint32_t extra;
  uint8_t state, digits;
} tcd_chunked;

void tcd_chunked_init(tcd_chunked *chunked, uint64_t limit);
/* Reads from in; *used is how much of it, *data (into in) only with TCD_CHUNKED_DATA. After DONE, BAD or LARGE not to be called again. */
int tcd_chunked_next(tcd_chunked *chunked, const char *in, size_t len, size_t *used, tc_text *data);

#endif
