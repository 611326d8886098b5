/* Addresses: what is public, and what the configuration allows beside it.
 *
 * Design notes. Everything is compared as sixteen bytes, v4 as v4-mapped, so that ::ffff:127.0.0.1 and 127.0.0.1 are one address and cannot be told apart by any rule. For v6 the list
 * says what is public (2000::/3 less its special parts), not what is not: a block that IANA opens later is refused until somebody looks at it.
 */
#include "policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "tipcurrent/error.h"

#define NETS_MAX 1024
#define V4_BITS 96 /* of a v4-mapped address, those before the v4 address */

typedef struct v4_net {
  uint32_t address;
  uint8_t bits;
} v4_net;

/* The IANA IPv4 special-purpose registry where it says "not globally reachable", multicast, and class E with the broadcast address. */
static const v4_net special_v4[] = {
  {0x00000000, 8},  /* 0.0.0.0/8: Linux connects 0.0.0.0 to the host itself */
  {0x0a000000, 8},  /* 10.0.0.0/8 */
  {0x64400000, 10}, /* 100.64.0.0/10, shared; Alibaba's metadata is 100.100.100.200 */
  {0x7f000000, 8},  /* 127.0.0.0/8 */
  {0xa83f8110, 32}, /* 168.63.129.16: Azure's platform service. In no registry, yet answered by the hypervisor, never by the Internet. */
  {0xa9fe0000, 16}, /* 169.254.0.0/16, link-local, metadata of most clouds */
  {0xac100000, 12}, /* 172.16.0.0/12 */
  {0xc0000000, 24}, /* 192.0.0.0/24, protocol assignments; Oracle's metadata is 192.0.0.192 */
  {0xc0000200, 24}, /* 192.0.2.0/24, documentation */
  {0xc0586300, 24}, /* 192.88.99.0/24, 6to4 relays (RFC 7526: deprecated) */
  {0xc0a80000, 16}, /* 192.168.0.0/16 */
  {0xc6120000, 15}, /* 198.18.0.0/15, benchmarking */
  {0xc6336400, 24}, /* 198.51.100.0/24, documentation */
  {0xcb007100, 24}, /* 203.0.113.0/24, documentation */
  {0xe0000000, 3},  /* 224.0.0.0/4, multicast, and 240.0.0.0/4, reserved */
};

static const tci_net mapped_v6 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, V4_BITS};
static const tci_net nat64_v6 = {{0x00, 0x64, 0xff, 0x9b}, 96};
static const tci_net unicast_v6 = {{0x20}, 3};
static const tci_net teredo_v6 = {{0x20, 0x01}, 32};
static const tci_net sixtofour_v6 = {{0x20, 0x02}, 16};
/* Of 2000::/3. What is outside needs no line: ::, ::1, v4-compatible, 64:ff9b:1::/48 (which network it leads to, and where the v4 address stands in it, is each site's own affair),
 * discard 100::/64, SRv6 5f00::/16, unique local, link-local, site-local and multicast. */
static const tci_net special_v6[] = {
  {{0x20, 0x01}, 23},             /* 2001::/23, protocol assignments with benchmarking; Teredo is looked at before */
  {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* 2001:db8::/32, documentation */
  {{0x3f, 0xff}, 20},             /* 3fff::/20, documentation (RFC 9637) */
};

static int contains(const tci_net *net, const uint8_t address[16]) {
  size_t whole = net->bits / 8u;
  unsigned rest = net->bits % 8u;
  if (memcmp(net->address, address, whole) != 0) return 0;
  return !rest || !((net->address[whole] ^ address[whole]) >> (8 - rest));
}

static int v4_is_public(uint32_t address) {
  for (size_t i = 0; i < sizeof special_v4 / sizeof special_v4[0]; i++) {
    if (!((address ^ special_v4[i].address) >> (32 - special_v4[i].bits))) return 0;
  }
  return 1;
}

static uint32_t v4_at(const uint8_t *bytes) { return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3]; }

/* RFC 5214 6.1: the interface identifier is 0000:5efe or 0200:5efe and the v4 address, under any prefix. */
static int is_isatap(const uint8_t address[16]) { return (address[8] & 0xfd) == 0 && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe; }

static int is_public(const uint8_t address[16]) {
  if (contains(&mapped_v6, address) || contains(&nat64_v6, address)) return v4_is_public(v4_at(address + 12));
  if (!contains(&unicast_v6, address)) return 0;
  if (is_isatap(address) && !v4_is_public(v4_at(address + 12))) return 0;
  /* The server first, then the client's address with its bits turned (RFC 4380 4). */
  if (contains(&teredo_v6, address)) return v4_is_public(v4_at(address + 4)) && v4_is_public(~v4_at(address + 12));
  if (contains(&sixtofour_v6, address)) return v4_is_public(v4_at(address + 2));
  for (size_t i = 0; i < sizeof special_v6 / sizeof special_v6[0]; i++) {
    if (contains(&special_v6[i], address)) return 0;
  }
  return 1;
}

static void put_v4(const struct in_addr *from, uint8_t out[16]) {
  memcpy(out, mapped_v6.address, V4_BITS / 8);
  memcpy(out + V4_BITS / 8, from, sizeof *from);
}

/* 0 when it is of neither family: a socket of any other kind is no receiver. */
static int to_bytes(const struct sockaddr *address, uint8_t out[16]) {
  if (address->sa_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    put_v4(&v4.sin_addr, out);
    return 1;
  }
  if (address->sa_family == AF_INET6) {
    struct sockaddr_in6 v6;
    memcpy(&v6, address, sizeof v6);
    memcpy(out, &v6.sin6_addr, 16);
    return 1;
  }
  return 0;
}

int tci_policy_address(const tci_policy *policy, const struct sockaddr *address) {
  uint8_t bytes[16];
  if (!to_bytes(address, bytes)) return 0;
  for (size_t i = 0; i < policy->allowed_count; i++) {
    if (contains(&policy->allowed[i], bytes)) return 1;
  }
  return is_public(bytes);
}

int tci_address_is_public(const struct sockaddr *address) {
  uint8_t bytes[16];
  return to_bytes(address, bytes) && is_public(bytes);
}

/* The part after the slash: a decimal number up to limit, without leading zeros. -1 when it is none. */
static int read_bits(const char *text, int limit) {
  size_t len = strlen(text);
  if (!len || len > 3 || strspn(text, "0123456789") != len || (len > 1 && text[0] == '0')) return -1;
  int bits = 0;
  for (size_t i = 0; i < len; i++) bits = bits * 10 + (text[i] - '0');
  return bits <= limit ? bits : -1;
}

/* Bits of the host must be zero: who writes 10.1.2.3/8 meant one of two quite different things. */
static int host_is_zero(const tci_net *net) {
  for (unsigned bit = net->bits; bit < 128; bit++) {
    if (net->address[bit / 8] >> (7 - bit % 8) & 1) return 0;
  }
  return 1;
}

static int read_net(const char *text, size_t len, tci_net *out) {
  char item[INET6_ADDRSTRLEN + sizeof "/128"];
  if (len >= sizeof item) return 0;
  memcpy(item, text, len);
  item[len] = '\0';
  char *slash = strchr(item, '/');
  if (slash) *slash = '\0';
  struct in_addr v4;
  tci_net net;
  int before = 0;
  if (inet_pton(AF_INET, item, &v4) == 1) {
    put_v4(&v4, net.address);
    before = V4_BITS;
  } else if (inet_pton(AF_INET6, item, net.address) != 1) {
    return 0;
  }
  int bits = slash ? read_bits(slash + 1, 128 - before) : 128 - before;
  if (bits < 0) return 0;
  net.bits = (uint8_t)(before + bits);
  if (!host_is_zero(&net)) return 0;
  *out = net;
  return 1;
}

int tci_policy_read(tci_policy *policy, const char *text, const char **bad) {
  if (!text) text = "";
  size_t count = 0;
  tci_net *nets = NULL;
  if (*text) {
    size_t items = 1;
    for (const char *at = text; *at; at++) items += *at == ',';
    nets = tci_array(items < NETS_MAX ? items : NETS_MAX, sizeof *nets);
    if (!nets) return TC_ENOMEM;
  }
  for (const char *at = text; *at;) {
    at += strspn(at, " \t");
    size_t len = strcspn(at, ","), end = len;
    while (end && (at[end - 1] == ' ' || at[end - 1] == '\t')) end--;
    /* A comma with nothing after it leaves an item that is none, too. */
    if (count == NETS_MAX || !read_net(at, end, &nets[count]) || (at[len] == ',' && !at[len + 1])) {
      tci_free(nets);
      *bad = at;
      return TC_EINVAL;
    }
    count++;
    at += len + (at[len] == ',');
  }
  tci_policy_free(policy);
  policy->allowed = nets;
  policy->allowed_count = count;
  return TC_OK;
}

void tci_policy_free(tci_policy *policy) {
  if (!policy) return;
  tci_free(policy->allowed);
  policy->allowed = NULL;
  policy->allowed_count = 0;
}
