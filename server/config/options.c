#include "options.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/secret.h"
#include "list.h"
#include "tipcurrent.h"

#define AT(field) offsetof(tcd_config, field)
#define TEXT(name, standard, help) \
  { #name, TCD_OPTION_TEXT, AT(name), standard, 0, 0, NULL, help }
#define LIST(name, standard, help) \
  { #name, TCD_OPTION_LIST, AT(name), standard, 0, 0, NULL, help }
#define NUMBER(name, standard, min, max, help) \
  { #name, TCD_OPTION_NUMBER, AT(name), standard, min, max, NULL, help }
#define SWITCH(name, help) \
  { #name, TCD_OPTION_SWITCH, AT(name), "false", 0, 1, "false|true", help }
#define CHOICE(name, standard, choices, help) \
  { #name, TCD_OPTION_CHOICE, AT(name), standard, 0, 0, choices, help }
#define DAY_MS 86400000

const tcd_option tcd_options[] = {
  TEXT(listen, "127.0.0.1:8080", "address and port to serve; port 0 takes a free one, \":8080\" is every address"),
  TEXT(storage, "sqlite:tipcurrent.db", "where events are kept: sqlite:PATH, postgresql://USER@HOST/DATABASE or memory:"),
  SWITCH(allow_unauthenticated, "serve beyond loopback although anybody who reaches the port may write"),
  LIST(allowed_hosts, "localhost,127.0.0.1,[::1]", "names that the Host header may carry, without port; * is any"),
  LIST(origins, "same,loopback,null", "web origins that may call: same, loopback, null, https://example.com, or * for any"),
  NUMBER(max_connections, "16384", 1, 1000000, "open client connections"),
  NUMBER(header_deadline_ms, "10000", 100, DAY_MS, "from a request's first byte to the end of its head"),
  NUMBER(body_deadline_ms, "30000", 100, DAY_MS, "from the end of the head to the end of the body"),
  NUMBER(idle_timeout_ms, "60000", 100, DAY_MS, "how long an idle connection is kept"),
  NUMBER(write_deadline_ms, "30000", 100, DAY_MS, "how long a reply may wait for its reader"),
  NUMBER(max_body_bytes, "1048576", 1024, 67108864, "largest request body, batches excepted"),
  NUMBER(max_batch_bytes, "16777216", 1024, 67108864, "largest body of a batch"),
  NUMBER(max_buffered_bytes, "268435456", 1048576, 1099511627776, "all request bodies and replies in memory together; 503 beyond"),
  NUMBER(live_max_lag_bytes, "1048576", 65536, 1073741824, "what a live reader may be behind in bytes before it is cut off"),
  NUMBER(live_max_lag_ms, "10000", 100, DAY_MS, "how old the oldest thing may be that a live reader has not read"),
  NUMBER(live_max_replay, "100000", 1, 1000000000, "events that one resumed subscription may catch up on"),
  TEXT(sockjs_client_url, "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js",
       "where SockJS's iframe page lets the browser load its client from"),
  NUMBER(kitchen_threads, "8", 1, 256, "threads for requests that read the database or take a batch"),
  NUMBER(stop_grace_ms, "10000", 0, DAY_MS, "how long running requests may take once the daemon is told to stop"),
  NUMBER(create_deadline_ms, "5000", 1, DAY_MS, "how long a create may wait for its commit; 503 beyond"),
  NUMBER(max_pending_bytes, "67108864", 65536, 1099511627776, "accepted but not yet committed; 503 beyond"),
  NUMBER(idempotency_ttl_s, "86400", 1, 31622400, "how long an Idempotency-Key is remembered"),
  CHOICE(idempotency_mismatch, "error", "error|replay", "a known key with another request: 422, or the first event as the Java service did"),
  NUMBER(tail_max_events, "262144", 1024, 16777216, "committed but not yet indexed; writers wait beyond"),
  NUMBER(tail_max_bytes, "67108864", 1048576, 1099511627776, "the same, in bytes of memory"),
  LIST(allow_receivers, "none", "networks beyond the public ones that webhooks may go to, as CIDR: 127.0.0.0/8,::1/128; or none"),
  TEXT(webhook_retry_schedule, "10s,60s", "pauses after a failed delivery: one attempt more than these"),
  TEXT(currency, "none", "ISO 4217 code of amounts that name none; none: as the log says, USD for a new one"),
  TEXT(webhook_secret_key_file, "none", "file with 32 bytes as hex or base64, by which webhook secrets are encrypted at rest; or none"),
  CHOICE(webhook_time_format, "iso", "iso|epoch", "createdAt in webhook bodies: text, or decimal seconds as the Java service sent"),
  NUMBER(webhook_max_in_flight, "64", 1, 1024, "webhook requests at a time"),
  NUMBER(webhook_max_per_endpoint, "8", 1, 64, "of those, for one webhook"),
  NUMBER(webhook_disable_after_s, "432000", 60, 31622400, "a webhook that has only failed for so long is disabled"),
  NUMBER(webhook_log_days, "30", 1, 3660, "how long delivery attempts are kept"),
  NUMBER(webhook_log_rows, "1000000", 1000, 1000000000, "and how many"),
  CHOICE(log_level, "info", "error|warn|info|debug", "how much goes to stderr"),
};
const size_t tcd_option_count = sizeof tcd_options / sizeof tcd_options[0];

static char plain(char c) { return c == '-' ? '_' : c; }

const tcd_option *tcd_option_find(const char *name, size_t len) {
  for (size_t i = 0; i < tcd_option_count; i++) {
    const char *known = tcd_options[i].name;
    size_t at = 0;
    while (at < len && known[at] && plain(name[at]) == known[at]) at++;
    if (at == len && !known[at]) return &tcd_options[i];
  }
  return NULL;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, size_t a_len, const char *b) {
  size_t row[TCD_OPTION_NAME_MAX + 1], b_len = strlen(b);
  for (size_t j = 0; j <= b_len; j++) row[j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t best = diagonal + (plain(a[i - 1]) != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b_len];
}

const char *tcd_option_near(const char *name, size_t len) {
  const char *nearest = NULL;
  size_t best = 4;
  for (size_t i = 0; i < tcd_option_count && len <= TCD_OPTION_NAME_MAX; i++) {
    size_t d = distance(name, len, tcd_options[i].name);
    if (d < best && d < len) {
      best = d;
      nearest = tcd_options[i].name;
    }
  }
  return nearest;
}

void tcd_option_flag(const tcd_option *option, char *out) {
  *out++ = '-';
  *out++ = '-';
  for (const char *at = option->name; *at; at++) *out++ = *at == '_' ? '-' : *at;
  *out = '\0';
}

void tcd_option_env(const tcd_option *option, char *out) {
  static const char prefix[] = "TIPCURRENT_";
  memcpy(out, prefix, sizeof prefix);
  out += sizeof prefix - 1;
  for (const char *at = option->name; *at; at++) *out++ = (char)(*at == '_' ? '_' : *at - 'a' + 'A'); /* names are a-z and _ */
  *out = '\0';
}

void tcd_option_range(const tcd_option *option, char *out, size_t size) {
  switch (option->type) {
  case TCD_OPTION_NUMBER:
    (void)snprintf(out, size, "a whole number from %llu to %llu", (unsigned long long)option->min, (unsigned long long)option->max);
    break;
  case TCD_OPTION_SWITCH:
  case TCD_OPTION_CHOICE: (void)snprintf(out, size, "one of %s", option->choices); break;
  case TCD_OPTION_LIST: (void)snprintf(out, size, "a list with commas"); break;
  default: (void)snprintf(out, size, "a text"); break;
  }
}

static int read_number(const char *text, uint64_t *out) {
  uint64_t value = 0;
  if (!*text) return -1;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return -1;
    uint64_t digit = (uint64_t)(*text - '0');
    if (value > (UINT64_MAX - digit) / 10) return -1;
    value = value * 10 + digit;
  }
  *out = value;
  return 0;
}

static int read_choice(const char *choices, const char *text, uint64_t *out) {
  size_t len = strlen(text);
  uint64_t index = 0;
  for (const char *at = choices;; index++) {
    size_t word = strcspn(at, "|");
    if (word == len && !memcmp(at, text, len)) {
      *out = index;
      return 0;
    }
    if (!at[word]) return -1;
    at += word + 1;
  }
}

/* A list has at least one item and no empty one: `a,,b` is a slip of the pen, and guards must not guess. */
static int list_is_good(const char *text) {
  tc_text rest = {text, strlen(text)}, item;
  size_t count = 0;
  while (tcd_list_next(&rest, &item)) {
    if (!item.len) return 0;
    count++;
  }
  return count > 0;
}

int tcd_option_set(const tcd_option *option, tcd_config *config, const char *value, const char *source, char *error, size_t error_size) {
  char *field = (char *)config + option->offset, range[128];
  uint64_t number = 0;
  int good = 0;
  switch (option->type) {
  case TCD_OPTION_TEXT: good = *value != '\0'; break;
  case TCD_OPTION_LIST: good = list_is_good(value); break;
  case TCD_OPTION_NUMBER: good = !read_number(value, &number) && number >= option->min && number <= option->max; break;
  default: good = !read_choice(option->choices, value, &number); break;
  }
  if (!good) {
    tcd_option_range(option, range, sizeof range);
    (void)snprintf(error, error_size, "%s: \"%s\" from %s is not %s", option->name, value, source, range);
    return -1;
  }
  if (option->type == TCD_OPTION_TEXT || option->type == TCD_OPTION_LIST) {
    char *copy = tci_strndup(value, strlen(value)), *old;
    if (!copy) {
      (void)snprintf(error, error_size, "%s: out of memory", option->name);
      return -1;
    }
    memcpy(&old, field, sizeof old);
    tci_free(old);
    memcpy(field, &copy, sizeof copy);
  } else {
    memcpy(field, &number, sizeof number);
  }
  return 0;
}

void tcd_option_print(const tcd_option *option, const tcd_config *config, FILE *out) {
  const char *field = (const char *)config + option->offset, *text;
  uint64_t number = 0;
  if (option->type == TCD_OPTION_TEXT || option->type == TCD_OPTION_LIST) {
    memcpy(&text, field, sizeof text);
    char *shown = tci_strndup(text, strlen(text));
    if (shown) tci_url_hide(shown);
    (void)fprintf(out, "%s = %s\n", option->name, shown ? shown : "");
    tci_free(shown);
    return;
  }
  memcpy(&number, field, sizeof number);
  if (option->type == TCD_OPTION_NUMBER) {
    (void)fprintf(out, "%s = %llu\n", option->name, (unsigned long long)number);
    return;
  }
  const char *choice = option->choices;
  for (; number; number--) choice += strcspn(choice, "|") + 1;
  (void)fprintf(out, "%s = %.*s\n", option->name, (int)strcspn(choice, "|"), choice);
}
