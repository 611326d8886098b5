#include <check.h>
#include <string.h>

#include "base/siphash.h"

/* Key 00 01 .. 0f of the SipHash paper, as the two words a little-endian host reads. */
static const tci_sipkey paper_key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

START_TEST(the_papers_vectors) {
  /* vectors_sip64 of the reference implementation: input 00 01 .. (n-1); n = 15 is the example in appendix A of the paper. */
  static const struct {
    size_t len;
    uint64_t hash;
  } vectors[] = {
    {0, 0x726fdb47dd0e0e31u}, {1, 0x74f839c593dc67fdu}, {2, 0x0d6c8009d9a94f5au},  {3, 0x85676696d7fb7e2du},
    {7, 0xab0200f58b01d137u}, {8, 0x93f5f5799a932462u}, {15, 0xa129ca6149be45e5u},
  };
  unsigned char bytes[16];
  for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    ck_assert_msg(tci_siphash(&paper_key, bytes, vectors[i].len) == vectors[i].hash, "length %zu", vectors[i].len);
  }
}
END_TEST

START_TEST(the_vectors_of_128_bits) {
  /* vectors_sip128 of the reference implementation, and what `openssl mac -macopt size:16 SIPHASH` says of them. */
  static const struct {
    size_t len;
    uint64_t hash[2];
  } vectors[] = {{0, {0xe6a825ba047f81a3u, 0x930255c71472f66du}},
                 {1, {0x44af996bd8c187dau, 0x45fc229b11597634u}},
                 {7, {0x53c1dbd8beebf1a1u, 0x3982f01fa64ab8c0u}},
                 {8, {0x61f55862baa9623bu, 0xb49714f364e2830fu}},
                 {15, {0x11a8b03399e99354u, 0xd9c3cf970fec087eu}}};
  unsigned char bytes[16];
  for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    uint64_t out[2];
    tci_siphash128(&paper_key, bytes, vectors[i].len, out);
    ck_assert_msg(!memcmp(out, vectors[i].hash, sizeof out), "length %zu", vectors[i].len);
  }
}
END_TEST

START_TEST(every_byte_the_length_and_the_key_count) {
  unsigned char bytes[40] = {0};
  for (size_t len = 1; len <= sizeof bytes; len++) {
    uint64_t before = tci_siphash(&paper_key, bytes, len);
    ck_assert(before != tci_siphash(&paper_key, bytes, len - 1));
    for (size_t i = 0; i < len; i++) {
      bytes[i] = 1;
      ck_assert(before != tci_siphash(&paper_key, bytes, len));
      bytes[i] = 0;
    }
    tci_sipkey other = paper_key;
    other.k1 ^= 1;
    ck_assert(before != tci_siphash(&other, bytes, len));
  }
}
END_TEST

START_TEST(the_bytes_may_stand_anywhere) {
  char room[64];
  uint64_t hash = tci_siphash(&paper_key, "room-1 and some more", 20);
  for (size_t shift = 0; shift < 16; shift++) {
    memcpy(room + shift, "room-1 and some more", 20);
    ck_assert(tci_siphash(&paper_key, room + shift, 20) == hash);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("siphash");
  TCase *tests = tcase_create("siphash");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, the_papers_vectors);
  tcase_add_test(tests, the_vectors_of_128_bits);
  tcase_add_test(tests, every_byte_the_length_and_the_key_count);
  tcase_add_test(tests, the_bytes_may_stand_anywhere);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
