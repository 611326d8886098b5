/* Any bytes as a webhook's URL. What is taken has one reading: curl's parser finds the same scheme, host and port; a host that the C library would read as an address is one that may
 * be connected to. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "webhook/policy.h"

#define URL_BYTES (4 * TCI_URL_MAX_POINTS)

typedef struct any_address {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  };
} any_address;

/* 1 when the host is a literal address of either family. */
static int read_literal(const char *host, int bracketed, any_address *out) {
  memset(out, 0, sizeof *out);
  if (bracketed) {
    out->v6.sin6_family = AF_INET6;
    HOLDS(inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1);
    return 1;
  }
  out->v4.sin_family = AF_INET;
  struct in_addr loose;
  int is_literal = inet_pton(AF_INET, host, &out->v4.sin_addr) == 1;
  HOLDS(inet_aton(host, &loose) == is_literal); /* no other spelling of a number is taken */
  return is_literal;
}

static char *part_of(CURLU *handle, CURLUPart part) {
  char *text = NULL;
  HOLDS(curl_url_get(handle, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && text);
  return text;
}

static void compare_with_curl(const char *text, const tci_url *url, const char *host, int bracketed) {
  CURLU *handle = curl_url();
  HOLDS(handle);
  HOLDS(curl_url_set(handle, CURLUPART_URL, text, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME | CURLU_DISALLOW_USER) == CURLUE_OK);
  char *scheme = part_of(handle, CURLUPART_SCHEME), *curls = part_of(handle, CURLUPART_HOST), *port = part_of(handle, CURLUPART_PORT);
  HOLDS(!strcmp(scheme, url->https ? "https" : "http"));
  HOLDS(strtol(port, NULL, 10) == url->port);
  if (bracketed) {
    struct in6_addr ours, theirs;
    char *end = strchr(curls, ']');
    HOLDS(curls[0] == '[' && end);
    *end = '\0';
    HOLDS(inet_pton(AF_INET6, curls + 1, &theirs) == 1 && inet_pton(AF_INET6, host, &ours) == 1 && !memcmp(&ours, &theirs, sizeof ours));
  } else {
    HOLDS(!strcasecmp(curls, host));
  }
  curl_free(scheme);
  curl_free(curls);
  curl_free(port);
  curl_url_cleanup(handle);
}

static void check_url(const tci_policy *policy, const char *text, size_t size) {
  tci_url url;
  const char *why = NULL;
  if (tci_policy_url(policy, (tc_text){text, size}, &url, &why)) {
    HOLDS(why && !strncmp(why, "url: ", 5));
    return;
  }
  static char copy[URL_BYTES + 1], host[256];
  size_t points;
  HOLDS(tci_utf8_valid(text, size, &points) && points <= TCI_URL_MAX_POINTS && !memchr(text, '\0', size));
  HOLDS(url.host.len && url.host.len < sizeof host && url.host.ptr > text && url.host.ptr + url.host.len <= text + size && url.port);
  memcpy(copy, text, size);
  copy[size] = '\0';
  memcpy(host, url.host.ptr, url.host.len);
  host[url.host.len] = '\0';
  int bracketed = url.host.ptr[-1] == '[';
  any_address address;
  if (read_literal(host, bracketed, &address)) HOLDS(tci_policy_address(policy, &address.any));
  compare_with_curl(copy, &url, host, bracketed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const tci_net loopback = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127}, 104};
  const tci_policy strict = {0}, open = {.allowed = (tci_net *)&loopback, .allowed_count = 1, .ports = {22}, .port_count = 1};
  check_url(&strict, (const char *)data, size);
  check_url(&open, (const char *)data, size);
  return 0;
}
