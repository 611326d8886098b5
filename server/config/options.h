/* options.h - the one table of the daemon's options. Flag (--max-body-bytes), environment variable (TIPCURRENT_MAX_BODY_BYTES), key in the file (max_body_bytes),
 * --help, --print-defaults and the checks all come from it.
 */
#ifndef TCD_CONFIG_OPTIONS_H
#define TCD_CONFIG_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct tcd_config {
  char *listen, *storage, *allowed_hosts, *origins; /* owned */
  char *sockjs_client_url, *allow_receivers, *webhook_retry_schedule, *webhook_secret_key_file, *currency;
  uint64_t allow_unauthenticated;
  uint64_t max_connections, header_deadline_ms, body_deadline_ms, idle_timeout_ms, write_deadline_ms;
  uint64_t max_body_bytes, max_batch_bytes, max_buffered_bytes;
  uint64_t live_max_lag_bytes, live_max_lag_ms, live_max_replay;
  uint64_t kitchen_threads, stop_grace_ms;
  uint64_t create_deadline_ms, max_pending_bytes, idempotency_ttl_s, idempotency_mismatch, tail_max_events, tail_max_bytes;
  uint64_t webhook_time_format, webhook_max_in_flight, webhook_max_per_endpoint, webhook_disable_after_s, webhook_log_days, webhook_log_rows;
  uint64_t log_level;
} tcd_config;

enum { TCD_MISMATCH_ERROR = 0, TCD_MISMATCH_REPLAY = 1 }; /* idempotency_mismatch; log_level + 1 is TC_LOG_X */

enum { TCD_OPTION_TEXT, TCD_OPTION_LIST, TCD_OPTION_NUMBER, TCD_OPTION_SWITCH, TCD_OPTION_CHOICE };

typedef struct tcd_option {
  const char *name;
  int type;
  size_t offset;        /* in tcd_config: a char * for texts and lists, a uint64_t for all others */
  const char *standard; /* the default, as text */
  uint64_t min, max;    /* numbers */
  const char *choices;  /* "error|replay"; the value is the index */
  const char *help;
} tcd_option;

#define TCD_OPTION_NAME_MAX 40

extern const tcd_option tcd_options[];
extern const size_t tcd_option_count;

const tcd_option *tcd_option_find(const char *name, size_t len);         /* '-' and '_' are one; NULL: none */
const char *tcd_option_near(const char *name, size_t len);               /* what a misspelt name may have meant; NULL: nothing is near */
void tcd_option_flag(const tcd_option *option, char *out);               /* "--max-body-bytes"; out holds TCD_OPTION_NAME_MAX + 3 */
void tcd_option_env(const tcd_option *option, char *out);                /* "TIPCURRENT_MAX_BODY_BYTES"; out holds TCD_OPTION_NAME_MAX + 12 */
void tcd_option_range(const tcd_option *option, char *out, size_t size); /* "a whole number from 1 to 256" */

/* Puts value into config. source says where it came from ("--listen", "tipcurrent.ini:3"). 0, or -1 with one line in error. */
int tcd_option_set(const tcd_option *option, tcd_config *config, const char *value, const char *source, char *error, size_t error_size);
/* The option's value as the file would say it. */
void tcd_option_print(const tcd_option *option, const tcd_config *config, FILE *out);

#endif
