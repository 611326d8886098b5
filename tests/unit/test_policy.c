/* Where a webhook may go: case O-42 and all its kinds. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "tipcurrent/error.h"
#include "webhook/policy.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The next of a list of words with blanks between them, in a buffer of its own; NULL at the end. */
static const char *next_word(const char **list) {
  static char word[128];
  size_t len = strcspn(*list, " ");
  if (!len) return NULL;
  ck_assert_uint_lt(len, sizeof word);
  memcpy(word, *list, len);
  word[len] = '\0';
  *list += len + ((*list)[len] == ' ');
  return word;
}

static tci_policy policy; /* each test runs in a process of its own */

static void allow(const char *text) {
  const char *bad = NULL;
  ck_assert_msg(!tci_policy_read(&policy, text, &bad), "%s: bad at %s", text, bad ? bad : "");
}

static void drop(void) { tci_policy_free(&policy); }

static struct sockaddr_storage address_of(const char *text) {
  struct sockaddr_storage out = {0};
  struct sockaddr_in *v4 = (struct sockaddr_in *)&out;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out;
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    out.ss_family = AF_INET;
  } else {
    ck_assert_msg(inet_pton(AF_INET6, text, &v6->sin6_addr) == 1, "%s", text);
    out.ss_family = AF_INET6;
  }
  return out;
}

static int may_connect(const char *text) {
  struct sockaddr_storage address = address_of(text);
  return tci_policy_address(&policy, (struct sockaddr *)&address);
}

static int is_public(const char *text) {
  struct sockaddr_storage address = address_of(text);
  return tci_address_is_public((struct sockaddr *)&address);
}

/* NULL: taken. From a copy of exactly that size, so that AddressSanitizer sees a read beyond it. */
static const char *judge(const char *text, size_t len, tci_url *url) {
  const char *why = NULL;
  char *copy = tci_alloc(len);
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, text, len);
  tci_url out = {0};
  int rc = tci_policy_url(&policy, (tc_text){copy, len}, &out, &why);
  ck_assert_int_eq(rc, why ? -1 : 0);
  ck_assert(!why || !strncmp(why, "url: ", 5));
  if (url) {
    *url = out;
    url->host.ptr = text + (out.host.ptr - copy);
  }
  tci_free(copy);
  return why;
}

static void refused(const char *text, const char *why) {
  const char *got = judge(text, strlen(text), NULL);
  ck_assert_msg(got != NULL, "%s was taken", text);
  ck_assert_msg(!strcmp(got, why), "%s: %s", text, got);
}

static void taken(const char *text) {
  const char *got = judge(text, strlen(text), NULL);
  ck_assert_msg(!got, "%s: %s", text, got);
}

/* The first and the last of each block, and what stands just outside. */
static const char closed[] =
  "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.0 "
  "169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.192 192.0.0.255 192.0.2.1 192.88.99.1 192.168.0.0 "
  "192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.255 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::2 "
  "::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a9fe:a9fe ::ffff:0.0.0.0 ::ffff:10.1.2.3 ::ffff:0:8.8.8.8 "
  "64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1 64:ff9b:1::8.8.8.8 64:ff9b:1:ffff::1 64:ff9b:2::8.8.8.8 100::1 100:0:0:1::1 "
  "1fff:ffff::1 2001:0:7f00:1::f7f7:f7f7 2001:0:808:808::80ff:fffe 2001:2::1 2001:20::1 2001:1ff:ffff::1 2001:db8::1 "
  "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:7f00:1::1 2002:a9fe:a9fe::1 2002:c0a8:101::1 2a00:1450:4001:800:0:5efe:127.0.0.1 "
  "2a00:1450:4001:800:200:5efe:10.0.0.1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd00::1 fd00:ec2::254 fe80::1 fe80::5efe:8.8.8.8 febf::1 "
  "fec0::1 ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
static const char open_ones[] =
  "1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 "
  "169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 "
  "198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2000::1 "
  "2001:0:808:808::f7f7:f7f7 2001:200::1 2001:4860:4860::8888 2001:db7:ffff::1 2001:db9::1 2002:808:808::1 2606:4700::1111 "
  "2a00:1450:4001:800:0:5efe:8.8.8.8 2a00:1450:4001:800:100:5efe:127.0.0.1 3ffe:ffff::1 3fff:1000::1";

START_TEST(only_public_addresses_are_open) {
  const char *list = closed, *text;
  while ((text = next_word(&list))) {
    ck_assert_msg(!may_connect(text), "%s is open", text);
    ck_assert_msg(!is_public(text), "%s is public", text);
  }
  for (list = open_ones; (text = next_word(&list));) {
    ck_assert_msg(may_connect(text), "%s is closed", text);
    ck_assert_msg(is_public(text), "%s is not public", text);
  }
}
END_TEST

START_TEST(other_families_are_closed) {
  allow("0.0.0.0/0,::/0");
  struct sockaddr_un local = {.sun_family = AF_UNIX};
  ck_assert(!tci_policy_address(&policy, (struct sockaddr *)&local));
  ck_assert(!tci_address_is_public((struct sockaddr *)&local));
  drop();
}
END_TEST

START_TEST(allowed_networks_open_what_is_in_them_and_no_more) {
  allow("127.0.0.0/8, ::1/128,10.1.2.3 ,fd00::/8");
  ck_assert_uint_eq(policy.allowed_count, 4);
  static const char *const in[] = {"127.0.0.1", "127.255.255.255", "::ffff:127.9.9.9", "::1", "10.1.2.3", "fdff::1", "8.8.8.8"};
  static const char *const out[] = {"::2", "10.1.2.2", "10.1.2.4", "fc00::1", "64:ff9b::127.0.0.1", "2002:7f00:1::1", "::127.0.0.1"};
  for (size_t i = 0; i < COUNT(in); i++) ck_assert_msg(may_connect(in[i]), "%s is closed", in[i]);
  for (size_t i = 0; i < COUNT(out); i++) ck_assert_msg(!may_connect(out[i]), "%s is open", out[i]);
  ck_assert(!is_public("127.0.0.1")); /* allowed is not public: its answers stay unread */
  drop();
  ck_assert(!may_connect("127.0.0.1"));
  tci_policy_free(NULL);
}
END_TEST

START_TEST(bits_need_not_end_with_a_byte) {
  allow("10.32.0.0/11,fd80::/9,0.0.0.0/32");
  ck_assert(may_connect("10.32.0.0") && may_connect("10.63.255.255") && may_connect("fdff::1") && may_connect("0.0.0.0"));
  ck_assert(!may_connect("10.31.255.255") && !may_connect("10.64.0.0") && !may_connect("fd7f::1") && !may_connect("0.0.0.1"));
  allow("::/0"); /* takes the place of what was before, and v4 is in it */
  ck_assert_uint_eq(policy.allowed_count, 1);
  ck_assert(may_connect("fd7f::1") && may_connect("10.31.255.255"));
  allow("");
  ck_assert_uint_eq(policy.allowed_count, 0);
  allow(NULL);
  ck_assert_uint_eq(policy.allowed_count, 0);
  drop();
}
END_TEST

START_TEST(what_is_no_network_is_refused_by_place) {
  static const struct {
    const char *text;
    size_t at;
  } samples[] = {{"127.0.0.1/33", 0}, {"::1/129", 0},
                 {"10.0.0.0/", 0},    {"10.0.0.0/08", 0},
                 {"10.0.0.0/-1", 0},  {"10.0.0.0/8/8", 0},
                 {"10.0.0.0/ 8", 0},  {"10.1.2.3/8", 0},
                 {"fd00::1/64", 0},   {"10.0.0", 0},
                 {"localhost", 0},    {"010.0.0.0", 0},
                 {"0x7f.0.0.1", 0},   {"[::1]", 0},
                 {"fe80::1%lo", 0},   {",", 0},
                 {"10.0.0.0/8,", 0},  {" ", 1},
                 {"::1,,::2", 4},     {"::1, x", 5},
                 {"::1,::2,y", 8},    {"::1 ::2", 0},
                 {"::1,", 0},         {"::1, ", 5},
                 {"/8", 0},           {"10.0.0.0/4294967304", 0},
                 {"10.0.0.0/1e1", 0}, {"1.2.3.4.5", 0},
                 {"::1\n", 0}};
  allow("10.9.9.9");
  for (size_t i = 0; i < COUNT(samples); i++) {
    const char *bad = NULL;
    ck_assert_msg(tci_policy_read(&policy, samples[i].text, &bad) == TC_EINVAL, "%s was taken", samples[i].text);
    ck_assert_msg(bad == samples[i].text + samples[i].at, "%s: at %td", samples[i].text, bad - samples[i].text);
    ck_assert_uint_eq(policy.allowed_count, 1); /* untouched */
  }
  ck_assert(may_connect("10.9.9.9"));
  drop();
}
END_TEST

START_TEST(networks_have_a_cap) {
  static char text[8 * 1025];
  for (size_t i = 0; i < 1025; i++) memcpy(text + i * 8, "9.9.9.9,", 8);
  text[8 * 1024 - 1] = '\0';
  allow(text);
  ck_assert_uint_eq(policy.allowed_count, 1024);
  text[8 * 1024 - 1] = ',';
  text[8 * 1025 - 1] = '\0';
  const char *bad = NULL;
  ck_assert_int_eq(tci_policy_read(&policy, text, &bad), TC_EINVAL);
  ck_assert_ptr_eq(bad, text + (size_t)8 * 1024);
  drop();
}
END_TEST

START_TEST(urls_are_taken_apart) {
  static const struct {
    const char *text, *host;
    int https, port;
  } samples[] = {{"http://example.com", "example.com", 0, 80},
                 {"https://example.com/", "example.com", 1, 443},
                 {"HTTPS://Example.COM:8443/a?b=c", "Example.COM", 1, 8443},
                 {"http://example.com?x", "example.com", 0, 80},
                 {"http://example.com:443", "example.com", 0, 443},
                 {"http://example.com:00080/", "example.com", 0, 80},
                 {"http://example.com./x", "example.com.", 0, 80},
                 {"http://a_b.xn--bcher-kva.example/", "a_b.xn--bcher-kva.example", 0, 80},
                 {"http://8.8.8.8:8080/", "8.8.8.8", 0, 8080},
                 {"https://[2606:4700::1111]/", "2606:4700::1111", 1, 443},
                 {"https://[2606:4700::1111]:65535", "2606:4700::1111", 1, 65535},
                 {"https://[::ffff:8.8.8.8]?q", "::ffff:8.8.8.8", 1, 443},
                 {"http://example.com/a@b:c//[x]?u=http://127.0.0.1/&%00", "example.com", 0, 80},
                 {"http://example.com/caf\xc3\xa9/\xf0\x9f\x94\xa5", "example.com", 0, 80},
                 {"http://1.2.3.4.example/", "1.2.3.4.example", 0, 80},
                 {"http://0x7f.1.com/", "0x7f.1.com", 0, 80},
                 {"http://127.0.0.1.nip.io/", "127.0.0.1.nip.io", 0, 80}, /* a name: judged by its address, at the connect */
                 {"http://x.0xg/", "x.0xg", 0, 80},
                 {"http://notlocalhost/", "notlocalhost", 0, 80},
                 {"http://localhost.example/", "localhost.example", 0, 80}};
  for (size_t i = 0; i < COUNT(samples); i++) {
    tci_url url;
    const char *why = judge(samples[i].text, strlen(samples[i].text), &url);
    ck_assert_msg(!why, "%s: %s", samples[i].text, why);
    ck_assert_msg(url.host.len == strlen(samples[i].host) && !memcmp(url.host.ptr, samples[i].host, url.host.len), "%s", samples[i].text);
    ck_assert_int_eq(url.https, samples[i].https);
    ck_assert_int_eq(url.port, samples[i].port);
  }
}
END_TEST

static const char *url_of(const char *scheme, const char *host, const char *rest) {
  static char text[256];
  ck_assert_int_lt(snprintf(text, sizeof text, "%s%s%s", scheme, host, rest), (int)sizeof text);
  return text;
}

START_TEST(addresses_in_any_clothes_are_refused) {
  static const char not_allowed[] = "url: the address is not allowed", a_number[] = "url: the host is a number, but not a.b.c.d";
  static const char hosts[] =
    "169.254.169.254 127.0.0.1 0.0.0.0 255.255.255.255 [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::] [::1] [0:0:0:0:0:0:0:1] [fd00::1] "
    "[fe80::1] [FE80::1] [64:ff9b::a9fe:a9fe] [2002:7f00:1::] [::127.0.0.1] localhost localhost. LocalHost foo.localhost foo.LOCALHOST.";
  static const char disguised[] =
    "2852039166 0xA9FEA9FE 0XA9FEA9FE 127.1 127.0.1 0 0x 0x0 0177.0.0.1 0x7f.0.0.1 127.0.0.0x1 127.0.0.01 00.0.0.0 017700000001 127.0.0.1. "
    "2852039166. 1.2.3.4.5 256.256.256.256 8.8.8.08 8.8.8.888 99999999999999999999 a.1 a.0x1 x.0x 8.8.8.0x8 example.com.1";
  const char *list, *host;
  for (list = hosts; (host = next_word(&list));) {
    refused(url_of("http://", host, ""), not_allowed);
    refused(url_of("https://", host, ":8080/"), not_allowed);
    refused(url_of("https://", host, "/latest?x"), not_allowed);
  }
  for (list = disguised; (host = next_word(&list));) refused(url_of("http://", host, "/"), a_number);
  allow("0.0.0.0/0,::/0"); /* what is no plain address stays refused whatever is allowed */
  for (list = hosts; (host = next_word(&list));) taken(url_of("http://", host, "/"));
  for (list = disguised; (host = next_word(&list));) refused(url_of("http://", host, "/"), a_number);
  allow("::1"); /* one of the two addresses of localhost is enough: the other is refused at the connect */
  taken("http://localhost:3000/");
  refused("http://127.0.0.1/", "url: the address is not allowed");
  drop();
}
END_TEST

static void all_refused(const char *list, const char *why) {
  for (const char *text; (text = next_word(&list));) refused(text, why);
}

START_TEST(what_no_receiver_needs_is_refused) {
  refused("", "url: only http:// and https://");
  all_refused("http http: http:/a http:a //a/ a.example file:///etc/passwd gopher://a/ ftp://a/ ws://a/ httpss://a/ javascript:alert(1)",
              "url: only http:// and https://");
  all_refused("http:// http:///a http://:80/ http://?a", "url: no host");
  all_refused("http://u:p@127.0.0.1/ http://u@a.example/ http://@a.example/ http://a.example:80@127.0.0.1/ http://[::1]@a.example/",
              "url: user information is not allowed");
  all_refused("http://a.example\\@127.0.0.1/ http:\\\\a/", "url: a backslash");
  all_refused("http://a/#b http://a.example#@127.0.0.1/", "url: a fragment is never sent");
  all_refused("http://a/\xff http://a/\xed\xa0\x80", "url: not valid UTF-8");
  all_refused("http://a..b/ http://.a/ http://a../ http://./ http://../ http://a%2eb/ http://%31%32%37.1/ http://b\xc3\xbc\x63her.example/ "
              "http://\xe2\x91\xa0.\xe2\x91\xa1.3.4/ http://\xef\xbc\x91.2.3.4/ http://a\xe3\x80\x82\x62/ http://a,b/ http://a;b/ http://a|b/ http://a]/ "
              "http://a[::1]/ http://a$b/ http://*/",
              "url: not a host name");
  all_refused("http://[/ http://[]/ http://[::1/ http://[1.2.3.4]/ http://[fe80::1%25lo]/ http://[fe80::1%lo]/ http://[v1.a]/ http://[2606:4700::1111]a/ "
              "http://[2606:4700::1111].a/ http://[:::1]/ http://[g::]/ http://[[2606:4700::1111]]/ "
              "http://[0000:0000:0000:0000:0000:0000:255.255.255.255:0000:0000:0000]/",
              "url: not an IPv6 address");
  const char *why = NULL;
  tci_url url;
  ck_assert_int_eq(tci_policy_url(&policy, (tc_text){NULL, 0}, &url, &why), -1);
  ck_assert_str_eq(why, "url: missing");
}
END_TEST

START_TEST(white_space_and_controls_are_refused) {
  static const char *const samples[] = {" http://a/",        "http://a/ b",           "http://a /",           "http://a/\t",
                                        "http://a/\r\nX: y", "http://a/\x7f",         "http://a/\xc2\x85",    "http://a/\xc2\x9f",
                                        "http://a/\xc2\xa0", "http://a/\xe2\x80\xa8", "http://a/\xe3\x80\x80"};
  static const char why[] = "url: white space or a control character";
  for (size_t i = 0; i < COUNT(samples); i++) refused(samples[i], why);
  ck_assert_str_eq(judge("http://a/\0b", 11, NULL), why);
  ck_assert_str_eq(judge("http://a\0.example/", 18, NULL), why);
}
END_TEST

START_TEST(unusual_ports_are_refused) {
  all_refused("http://a.example:/ http://a.example:0/ http://a.example:65536/ http://a.example:+80/ http://a.example:8a/ http://a.example:4294967376/ "
              "http://a.example:80:80/ http://a.example:-1/ http://[2606:4700::1111]:/",
              "url: not a port");
  all_refused("http://a.example:1/ http://a.example:22/ http://a.example:25/ http://a.example:1023/ http://a.example:2375/ http://a.example:5432/ "
              "http://a.example:6379/ http://a.example:11211/ http://a.example:27017/",
              "url: the port is not allowed");
}
END_TEST

START_TEST(lengths_are_limited) {
  static char text[4 * 2048];
  memcpy(text, "http://a/", 9);
  for (size_t i = 9; i < 2049; i++) text[i] = 'x';
  ck_assert_ptr_null(judge(text, 2048, NULL));
  ck_assert_str_eq(judge(text, 2049, NULL), "url: longer than 2048 characters");
  size_t len = 9;
  for (int i = 0; i < 2039; i++, len += 2) memcpy(text + len, "\xc3\xa9", 2);
  ck_assert_ptr_null(judge(text, len, NULL)); /* code points, not bytes */

  memset(text + 7, 'a', 300);
  for (size_t i = 1; i < 5; i++) text[7 + 64 * i - 1] = '.'; /* labels of 63 */
  ck_assert_ptr_null(judge(text, 7 + 253, NULL));
  text[7 + 253] = '.';
  ck_assert_ptr_null(judge(text, 7 + 254, NULL)); /* the root's dot is not counted */
  text[7 + 253] = 'a';
  ck_assert_str_eq(judge(text, 7 + 254, NULL), "url: not a host name");
  text[7 + 63] = 'a';
  ck_assert_str_eq(judge(text, 7 + 100, NULL), "url: not a host name");
}
END_TEST

START_TEST(ports_can_be_allowed) {
  policy.ports[0] = 22;
  policy.ports[1] = 6379;
  policy.port_count = 2;
  taken("http://a.example:22/");
  taken("http://a.example:6379/");
  taken("http://a.example:80/");
  refused("http://a.example:23/", "url: the port is not allowed");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("policy");
  TCase *addresses = tcase_create("addresses"), *urls = tcase_create("urls");
  tcase_add_test(addresses, only_public_addresses_are_open);
  tcase_add_test(addresses, other_families_are_closed);
  tcase_add_test(addresses, allowed_networks_open_what_is_in_them_and_no_more);
  tcase_add_test(addresses, bits_need_not_end_with_a_byte);
  tcase_add_test(addresses, what_is_no_network_is_refused_by_place);
  tcase_add_test(addresses, networks_have_a_cap);
  tcase_add_test(urls, urls_are_taken_apart);
  tcase_add_test(urls, addresses_in_any_clothes_are_refused);
  tcase_add_test(urls, what_no_receiver_needs_is_refused);
  tcase_add_test(urls, white_space_and_controls_are_refused);
  tcase_add_test(urls, unusual_ports_are_refused);
  tcase_add_test(urls, lengths_are_limited);
  tcase_add_test(urls, ports_can_be_allowed);
  suite_add_tcase(suite, addresses);
  suite_add_tcase(suite, urls);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
