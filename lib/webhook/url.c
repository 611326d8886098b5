/* URLs: taken apart as curl takes them apart, by refusing every text that two parsers might read differently (userinfo, backslashes, numbers in disguise, percent signs and other
 * scripts in the host). What is left has one reading.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/utf8.h"
#include "policy.h"

#define HOST_MAX 253 /* RFC 1035 2.3.4, as text */
#define LABEL_MAX 63

/* Services that stand above 1023 on ports of their own and would make something of a POST from inside, or of its headers (Redis, memcached). */
static const uint16_t service_ports[] = {
  1433,  /* SQL Server */
  1521,  /* Oracle */
  2049,  /* NFS */
  2375,  /* Docker */
  2376,  /* Docker */
  2379,  /* etcd */
  2380,  /* etcd */
  3128,  /* Squid: a proxy would go on from there */
  3306,  /* MySQL */
  3389,  /* RDP */
  5432,  /* PostgreSQL */
  5672,  /* AMQP */
  5900,  /* VNC */
  5984,  /* CouchDB */
  6000,  /* X11 */
  6379,  /* Redis */
  6443,  /* Kubernetes */
  8500,  /* Consul */
  9042,  /* Cassandra */
  9092,  /* Kafka */
  9200,  /* Elasticsearch */
  9300,  /* Elasticsearch */
  10250, /* kubelet */
  11211, /* memcached */
  27017, /* MongoDB */
};

static int is_digit(char byte) { return byte >= '0' && byte <= '9'; }
static int is_hex(char byte) { return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f'); }
static int is_alpha(char byte) { return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z'; }

/* Compared without the locale. lower: in lower case. */
static int same(const char *text, const char *lower, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if ((is_alpha(text[i]) ? (text[i] | 0x20) : text[i]) != lower[i]) return 0;
  }
  return 1;
}

/* No white space and no controls, in any script; no backslash, which browsers read as a slash and curl does not; no fragment, which is never sent. */
static const char *check_characters(tc_text text) {
  size_t points;
  if (!tci_utf8_valid(text.ptr, text.len, &points)) return "url: not valid UTF-8";
  if (points > TCI_URL_MAX_POINTS) return "url: longer than 2048 characters";
  for (size_t at = 0; at < text.len;) {
    unsigned char byte = (unsigned char)text.ptr[at];
    size_t len = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    if (byte <= 0x20 || byte == 0x7f || (byte == 0xc2 && (unsigned char)text.ptr[at + 1] < 0xa0)) return "url: white space or a control character";
    if (len > 1 && tci_utf8_blank(text.ptr + at, len)) return "url: white space or a control character";
    if (byte == '\\') return "url: a backslash";
    if (byte == '#') return "url: a fragment is never sent";
    at += len;
  }
  return NULL;
}

static const char *read_port(const tci_policy *policy, const char *text, size_t len, uint16_t *out) {
  uint32_t port = 0;
  if (!len || len > 5) return "url: not a port";
  for (size_t i = 0; i < len; i++) {
    if (!is_digit(text[i])) return "url: not a port";
    port = port * 10 + (uint32_t)(text[i] - '0');
  }
  if (!port || port > UINT16_MAX) return "url: not a port";
  int usual = port == 80 || port == 443 || port >= 1024;
  for (size_t i = 0; usual && i < sizeof service_ports / sizeof service_ports[0]; i++) usual = port != service_ports[i];
  for (size_t i = 0; !usual && i < policy->port_count; i++) usual = port == policy->ports[i];
  if (!usual) return "url: the port is not allowed";
  *out = (uint16_t)port;
  return NULL;
}

static const char *check_v4(const tci_policy *policy, const char *host) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  /* Takes exactly four decimal numbers without leading zeros. curl and inet_aton take octal, hexadecimal, and fewer parts. */
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) return "url: the host is a number, but not a.b.c.d";
  return tci_policy_address(policy, (const struct sockaddr *)&address) ? NULL : "url: the address is not allowed";
}

static const char *check_v6(const tci_policy *policy, tc_text literal) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6};
  char host[INET6_ADDRSTRLEN];
  if (literal.len >= sizeof host) return "url: not an IPv6 address";
  memcpy(host, literal.ptr, literal.len);
  host[literal.len] = '\0';
  if (inet_pton(AF_INET6, host, &address.sin6_addr) != 1) return "url: not an IPv6 address"; /* nor one with a zone: no receiver has one */
  return tci_policy_address(policy, (const struct sockaddr *)&address) ? NULL : "url: the address is not allowed";
}

/* The WHATWG's test: a host whose last label is a decimal or 0x number is an address or nothing. */
static int ends_in_number(const char *host, size_t len) {
  const char *label = host + len;
  while (label > host && label[-1] != '.') label--;
  size_t label_len = (size_t)(host + len - label), digits = 0;
  if (label_len >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x') {
    for (digits = 2; digits < label_len && is_hex(label[digits]);) digits++;
    return digits == label_len;
  }
  while (digits < label_len && is_digit(label[digits])) digits++;
  return digits == label_len;
}

/* RFC 6761 6.3: these names are the host itself whatever the resolver says, and curl does not even ask it. */
static int is_localhost(const char *host, size_t len) {
  static const char name[] = "localhost";
  size_t name_len = sizeof name - 1;
  return len >= name_len && same(host + len - name_len, name, name_len) && (len == name_len || host[len - name_len - 1] == '.');
}

static int allows_loopback(const tci_policy *policy) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  return tci_policy_address(policy, (const struct sockaddr *)&v4) || tci_policy_address(policy, (const struct sockaddr *)&v6);
}

/* A name or a v4 address. Names in other scripts are wanted as punycode: what libidn makes of them (full-width digits become digits) is decided after this check. */
static const char *check_name(const tci_policy *policy, tc_text text) {
  char host[HOST_MAX + 2];
  size_t len = text.len, label = 0;
  if (len > 1 && text.ptr[len - 1] == '.') len--; /* the root */
  if (!len) return "url: no host";
  if (len > HOST_MAX) return "url: not a host name";
  for (size_t i = 0; i < len; i++) {
    char byte = text.ptr[i];
    if (byte == '.' ? !label : !is_alpha(byte) && !is_digit(byte) && byte != '-' && byte != '_') return "url: not a host name";
    label = byte == '.' ? 0 : label + 1;
    if (label > LABEL_MAX) return "url: not a host name";
  }
  if (!label) return "url: not a host name";
  memcpy(host, text.ptr, text.len);
  host[text.len] = '\0'; /* with the root's dot, which no address has */
  if (ends_in_number(host, len)) return check_v4(policy, host);
  return is_localhost(host, len) && !allows_loopback(policy) ? "url: the address is not allowed" : NULL;
}

static const char *take_apart(const tci_policy *policy, tc_text text, tci_url *url) {
  const char *why = check_characters(text);
  if (why) return why;
  if (text.len >= 8 && same(text.ptr, "https://", 8)) {
    *url = (tci_url){.https = 1, .port = 443};
  } else if (text.len >= 7 && same(text.ptr, "http://", 7)) {
    *url = (tci_url){.https = 0, .port = 80};
  } else {
    return "url: only http:// and https://";
  }
  const char *host = text.ptr + (url->https ? 8 : 7), *end = text.ptr + text.len, *stop = host;
  while (stop < end && *stop != '/' && *stop != '?') stop++;
  if (memchr(host, '@', (size_t)(stop - host))) return "url: user information is not allowed";
  const char *after = host;
  if (host < stop && *host == '[') {
    after = memchr(host, ']', (size_t)(stop - host));
    if (!after) return "url: not an IPv6 address";
    url->host = (tc_text){host + 1, (size_t)(after - host - 1)};
    why = check_v6(policy, url->host);
    after++;
    if (!why && after < stop && *after != ':') why = "url: not an IPv6 address";
  } else {
    while (after < stop && *after != ':') after++;
    url->host = (tc_text){host, (size_t)(after - host)};
    why = check_name(policy, url->host);
  }
  if (why || after == stop) return why;
  return read_port(policy, after + 1, (size_t)(stop - after - 1), &url->port);
}

int tci_policy_url(const tci_policy *policy, tc_text text, tci_url *out, const char **why) {
  tci_url url;
  const char *fault = text.ptr ? take_apart(policy, text, &url) : "url: missing";
  if (fault) {
    *why = fault;
    return -1;
  }
  *out = url;
  return 0;
}
