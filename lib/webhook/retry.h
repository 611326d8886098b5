/* retry.h - when an attempt is made again. Pure: randomness and time are arguments. */
#ifndef TCI_WEBHOOK_RETRY_H
#define TCI_WEBHOOK_RETRY_H

#include <stddef.h>
#include <stdint.h>

#include "tipcurrent/common.h"

#define TCI_RETRY_STEPS_MAX 32
#define TCI_RETRY_AFTER_MAX_S 86400

typedef struct tci_schedule {
  int64_t step_us[TCI_RETRY_STEPS_MAX]; /* the pause after attempt 1, 2, ...: its upper end; full jitter takes one from half of it to all of it */
  size_t steps;                         /* attempts are steps + 1 */
} tci_schedule;

/* "5s,30s,5m,2h,1d" (units s, m, h, d; rising or equal; 1 to 32 of them; at most 7d each). TC_OK, or TC_EINVAL with *bad at the item. NULL is the default, "10s,60s": three attempts, the second within 15 s. */
int tci_schedule_read(const char *text, tci_schedule *out, const char **bad);
/* The pause after attempt number `attempt` (from 1) failed; random: any 64 random bits. -1: that was the last. retry_after_us: what the receiver asked for, 0: nothing; the longer counts, up to a day. */
int64_t tci_retry_pause_us(const tci_schedule *schedule, int attempt, uint64_t random, int64_t retry_after_us);
/* The value of a Retry-After field (RFC 9110 10.2.3): seconds, or an HTTP date in any of its three forms, to microseconds from now; 0: malformed or past. */
int64_t tci_retry_after_us(tc_text value, int64_t now_us);

#endif
