/* log.h - the daemon's log: one line each on stderr, "2026-01-18T15:00:00.123Z warn kitchen: ...". */
#ifndef TCD_LOG_H
#define TCD_LOG_H

#include "tipcurrent.h"

typedef struct tcd_stderr {
  int32_t level; /* TC_LOG_X: what is less urgent is left out */
} tcd_stderr;

/* A tc_log on it; sink must live as long as that is used. */
tc_log tcd_stderr_log(tcd_stderr *sink);

#endif
