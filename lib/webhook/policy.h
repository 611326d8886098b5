/* policy.h - where a webhook may go. Pure: no lookups here; the transport asks again for every address that it is about to connect to, at each attempt.
 *
 * Sources: RFC 3986 (URL), the IANA special-purpose address registries (RFC 6890 and its updates), RFC 4291 2.5.5 (v4-mapped), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
 */
#ifndef TCI_WEBHOOK_POLICY_H
#define TCI_WEBHOOK_POLICY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tipcurrent/common.h"

#define TCI_URL_MAX_POINTS 2048

typedef struct tci_net { /* one CIDR; v4 as v4-mapped */
  uint8_t address[16];
  uint8_t bits; /* 0..128 */
} tci_net;

typedef struct tci_policy {
  tci_net *allowed; /* non-public networks that receivers may be in; owned */
  size_t allowed_count;
  uint16_t ports[16]; /* beside 80, 443 and 1024..65535 less well-known service ports (the list stands in url.c) */
  size_t port_count;
} tci_policy;

/* Reads "127.0.0.0/8,::1/128,10.1.2.3" (a bare address is itself alone) into policy->allowed. text NULL or "": none. Takes the place of what was there.
 * Blanks around an item are passed over; bits of the host must be zero; at most 1024 items. TC_OK, TC_ENOMEM, or TC_EINVAL with *bad at the item that is none. */
int tci_policy_read(tci_policy *policy, const char *text, const char **bad);
void tci_policy_free(tci_policy *policy);

typedef struct tci_url {
  int https;
  tc_text host; /* without brackets; points into the text */
  uint16_t port;
} tci_url;
/* Takes a URL apart as curl would, and refuses what no receiver needs: schemes other than http and https, userinfo, no host, an unusual port, a fragment, white space and control
 * characters, a backslash, more than 2048 code points, and hosts that are numbers in disguise (2852039166, 0xA9FEA9FE, 127.1, 0177.0.0.1, 0): only dotted quads of four decimal
 * numbers, [v6] literals and names (of letters, digits, - and _; other scripts as punycode). Literal addresses are checked as below; localhost and what ends in .localhost need one of
 * 127.0.0.1 and ::1 to be allowed. 0, or -1 with *why static, beginning "url: ". */
int tci_policy_url(const tci_policy *policy, tc_text text, tci_url *out, const char **why);
/* 1 when a connection to this address may be made: global unicast, or in an allowed network. Loopback, private, link-local, shared (100.64/10), metadata, documentation, benchmarking,
 * multicast, broadcast, unspecified, unique local, discard, v4-compatible and local NAT64 (64:ff9b:1::/48) are not, nor is any form that carries a v4 address (mapped, NAT64
 * 64:ff9b::/96, 6to4, Teredo, ISATAP) that is not public. */
int tci_policy_address(const tci_policy *policy, const struct sockaddr *address);
/* 1 when the address is public (not merely allowed): answers of others are never stored. */
int tci_address_is_public(const struct sockaddr *address);

#endif
