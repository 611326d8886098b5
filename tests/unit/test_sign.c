/* Signatures against computed vectors (case O-39, the Standard Webhooks example), and secrets at rest against those of another AES-GCM. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tipcurrent/error.h"
#include "webhook/base64.h"
#include "webhook/sign.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static tc_text text_of(const char *text) { return (tc_text){text, strlen(text)}; }

static tci_signer *signer_of(tc_text secret) {
  tci_signer *signer = tci_signer_new(secret);
  ck_assert_ptr_nonnull(signer);
  return signer;
}

START_TEST(bodies_are_signed_as_the_readme_verifies) {
  static const struct {
    const char *secret, *body, *signature;
  } samples[] = {{"s3cret", "{\"a\":1}", "WRDmIBbvUDQnLJJsJwcZkqRlwjNc7PQYUb2gcVd/T20="},
                 {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "{\"a\":1}", "RJKXXG17RL4x3bYyEj5eqJmzZYp6EzHMvDDpBKzcZ5U="},
                 {"cl\xc3\xa9-\xf0\x9f\x94\x91",
                  "{\"id\":7,\"roomId\":\"r1\",\"userId\":\"zo\xc3\xab\",\"emoji\":\"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80\",\"targetId\":null,"
                  "\"createdAt\":\"2024-01-15T10:30:45.123Z\"}",
                  "OeXHMz8GW3W80jXxAb5aQy95lXnZ1Knua4m7yhkR3CY="},
                 {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "{\"a\":1}", "RewDsrM0A8gEOpDeBr7a0IJxg5JxFf1+RI75fusTxb4="},
                 {"", "{\"a\":1}", "4LqtJ65TNak+KXnmaT52MN59ZrTVv9aHzb8fABj3nLg="},
                 {"", "", "thNnmggU2ex3L5XXeMNfxf8Wl8STcVZTxscSFEKSxa0="}};
  for (size_t i = 0; i < COUNT(samples); i++) {
    char signature[TCI_SIGNATURE_SIZE];
    tci_signer *signer = signer_of(text_of(samples[i].secret));
    for (int time = 0; time < 2; time++) { /* a signer is as good as new after it has signed */
      ck_assert_int_eq(tci_sign_body(signer, text_of(samples[i].body), signature), TC_OK);
      ck_assert_str_eq(signature, samples[i].signature);
    }
    tci_signer_free(signer);
  }
  char signature[TCI_SIGNATURE_SIZE];
  tci_signer *empty = signer_of((tc_text){NULL, 0});
  ck_assert_int_eq(tci_sign_body(empty, (tc_text){NULL, 0}, signature), TC_OK);
  tci_signer_free(empty);
  ck_assert_str_eq(signature, "thNnmggU2ex3L5XXeMNfxf8Wl8STcVZTxscSFEKSxa0=");
}
END_TEST

START_TEST(standard_webhooks_are_signed) {
  static const struct {
    const char *secret, *signature;
  } samples[] = {
    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}, /* the example of the specification */
    {"whsec_/w==", "v1,qsVEK9iv3zsiTeNMtdT7mpB1jg3jW0GEe0+87e8KtHQ="},
    {"s3cret", "v1,+ovFnGFuIqjGihpeGWWpQI81Q0lhpDv9t/URyHZUADQ="},
    /* Not of that form: the text is the key. */
    {"whsec_", "v1,AUsemtRPIzthQtHnPgmHPUvj8jasw1M2BdSl+bqqaVQ="},
    {"whsec_abc", "v1,lRakTLm/wcoIUkS23tR3dmP0AjS2rjOMVXyL2214HkQ="},
    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "v1,DoIIR13afY2cgkwHT2U7CEF1mfaJZgvpCKqsqrA+s9U="},
    {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa w", "v1,YnNkiWq2sNUnP0MW9RM9NVqCxZlw4DnmDZ8QVNw6KGc="},
    {"", "v1,woH/1mJtZGSMCmpFTxRYbStS24eLLD/oXIYr4PYyZ7g="},
  };
  for (size_t i = 0; i < COUNT(samples); i++) {
    tci_buf out;
    tci_buf_init(&out, 1000);
    tci_signer *signer = signer_of(text_of(samples[i].secret));
    ck_assert_int_eq(tci_sign_standard(signer, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, text_of("{\"test\": 2432232314}"), &out), TC_OK);
    ck_assert_str_eq(out.data, samples[i].signature);
    tci_signer_free(signer);
    tci_buf_free(&out);
  }
}
END_TEST

START_TEST(signatures_are_appended_or_nothing_is) {
  tci_buf out;
  tci_buf_init(&out, 2 * 47 + 1);
  tc_text body = text_of("{\"test\": 2432232314}");
  tci_signer *signer = signer_of(text_of("s3cret"));
  ck_assert_int_eq(tci_sign_standard(signer, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, &out), TC_OK);
  ck_assert_int_eq(tci_buf_puts(&out, " "), 0);
  ck_assert_int_eq(tci_sign_standard(signer, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, &out), TC_OK);
  ck_assert_uint_eq(out.len, 95);
  ck_assert_int_eq(memcmp(out.data, out.data + 48, 47), 0);
  ck_assert_int_eq(tci_sign_standard(signer, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, &out), TC_ELIMIT);
  ck_assert_uint_eq(out.len, 95);
  tci_signer_free(signer);
  tci_buf_free(&out);
  tci_signer_free(NULL);
}
END_TEST

static int counted(void *userdata, void *buf, size_t len) {
  for (size_t i = 0; i < len; i++) ((uint8_t *)buf)[i] = (uint8_t)(100 + i);
  ++*(int *)userdata;
  return TC_OK;
}

static int broken(void *userdata, void *buf, size_t len) {
  (void)userdata, (void)buf, (void)len;
  return TC_EUSER;
}

static void put_key(uint8_t key[32]) {
  for (int i = 0; i < 32; i++) key[i] = (uint8_t)i;
}

static const char sealed_secret[] = "v1:ZGVmZ2hpamtsbW5vOyi9FBydR2fbfvynsMg7yTYmKxuxag=="; /* "s3cret", for webhook 7, by Python's cryptography */

START_TEST(secrets_are_sealed) {
  uint8_t key[32];
  put_key(key);
  static const char *const samples[][2] = {{"s3cret", sealed_secret}, {"", "v1:ZGVmZ2hpamtsbW5vUqpDKan++CtU0MqfKXs3gg=="}};
  for (size_t i = 0; i < COUNT(samples); i++) {
    tci_buf sealed, back;
    tci_buf_init(&sealed, 1000);
    tci_buf_init(&back, 1000);
    int asked = 0;
    ck_assert_int_eq(tci_seal(key, 7, text_of(samples[i][0]), counted, &asked, &sealed), TC_OK);
    ck_assert_int_eq(asked, 1);
    ck_assert_str_eq(sealed.data, samples[i][1]);
    ck_assert_uint_eq(sealed.len, strlen(samples[i][1]));
    ck_assert_int_eq(tci_unseal(key, 7, (tc_text){sealed.data, sealed.len}, &back), TC_OK);
    ck_assert_str_eq(back.data, samples[i][0]);
    tci_buf_free(&sealed);
    tci_buf_free(&back);
  }
}
END_TEST

static void not_opened(const uint8_t key[32], int64_t id, const char *text, size_t len) {
  tci_buf out;
  tci_buf_init(&out, 1000);
  ck_assert_int_eq(tci_buf_puts(&out, "x"), 0);
  char *copy = tci_alloc(len);
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, text, len);
  ck_assert_msg(tci_unseal(key, id, (tc_text){copy, len}, &out) == TC_ECORRUPT, "%.*s was opened", (int)len, text);
  ck_assert_uint_eq(out.len, 1);
  tci_free(copy);
  tci_buf_free(&out);
}

START_TEST(what_was_not_sealed_so_is_not_opened) {
  uint8_t key[32];
  put_key(key);
  size_t len = sizeof sealed_secret - 1;
  not_opened(key, 8, sealed_secret, len);
  not_opened(key, -7, sealed_secret, len);
  for (int i = 0; i < 32; i++) {
    key[i] ^= 1;
    not_opened(key, 7, sealed_secret, len);
    key[i] ^= 1;
  }
  for (size_t cut = 0; cut < len; cut++) not_opened(key, 7, sealed_secret, cut);
  char damaged[sizeof sealed_secret + 4];
  for (size_t at = 0; at < len; at++) {
    memcpy(damaged, sealed_secret, sizeof sealed_secret);
    damaged[at] = damaged[at] == 'A' ? 'B' : 'A';
    not_opened(key, 7, damaged, len);
    damaged[at] = '\n';
    not_opened(key, 7, damaged, len);
  }
  memcpy(damaged, sealed_secret, len);
  memcpy(damaged + len, "AAAA", 4);
  not_opened(key, 7, damaged, len + 4);
  not_opened(key, 7, "plain text", 10);
}
END_TEST

START_TEST(sealing_fails_whole) {
  uint8_t key[32];
  put_key(key);
  int asked = 0;
  tci_buf out;
  tci_buf_init(&out, 20);
  ck_assert_int_eq(tci_seal(key, 7, text_of("s3cret"), broken, NULL, &out), TC_EUSER);
  ck_assert_int_eq(out.err, 0);
  ck_assert_int_eq(tci_seal(key, 7, text_of("s3cret"), counted, &asked, &out), TC_ELIMIT);
  ck_assert_uint_eq(out.len, 0);
  tci_buf_free(&out);

  /* The longest secret there is, 255 code points of four bytes; and one that is longer than any. */
  static char longest[4097];
  memset(longest, 'x', sizeof longest);
  tci_buf_init(&out, 10000);
  ck_assert_int_eq(tci_seal(key, 7, (tc_text){longest, 1020}, counted, &asked, &out), TC_OK);
  tci_buf back;
  tci_buf_init(&back, 4000);
  ck_assert_int_eq(tci_unseal(key, 7, (tc_text){out.data, out.len}, &back), TC_OK);
  ck_assert_uint_eq(back.len, 1020);
  ck_assert_int_eq(tci_seal(key, 7, (tc_text){longest, 4097}, counted, &asked, &out), TC_ELIMIT);
  tci_buf_free(&back);
  tci_buf_init(&back, 1019);
  ck_assert_int_eq(tci_unseal(key, 7, (tc_text){out.data, out.len}, &back), TC_ELIMIT);
  tci_buf_free(&back);
  tci_buf_free(&out);
}
END_TEST

START_TEST(keys_are_read) {
  static const char *const good[] = {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                                     "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="};
  static const char *const bad[] = {"",
                                    "00",
                                    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1",
                                    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2",
                                    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1g",
                                    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                                    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",
                                    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
                                    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd-_8=",
                                    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"};
  uint8_t expected[32], key[32];
  put_key(expected);
  for (size_t i = 0; i < COUNT(good); i++) {
    memset(key, 0xee, sizeof key);
    ck_assert_int_eq(tci_seal_key(good[i], key), TC_OK);
    ck_assert_mem_eq(key, expected, 32);
  }
  for (size_t i = 0; i < COUNT(bad); i++) ck_assert_msg(tci_seal_key(bad[i], key) == TC_EINVAL, "%s was taken", bad[i]);
  ck_assert_int_eq(tci_seal_key(NULL, key), TC_EINVAL);
  ck_assert_mem_eq(key, expected, 32); /* untouched */
}
END_TEST

START_TEST(base64_is_strict_and_exact) {
  uint8_t bytes[64], back[66];
  char text[TCI_BASE64_SIZE(64)];
  for (size_t len = 0; len <= 64; len++) {
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(i * 7 + len);
    tci_base64_encode(bytes, len, text);
    ck_assert_uint_eq(strlen(text), TCI_BASE64_SIZE(len) - 1);
    size_t back_len = 0;
    ck_assert_int_eq(tci_base64_decode(text_of(text), back, &back_len), len > 0);
    ck_assert_uint_eq(back_len, len);
    ck_assert_mem_eq(back, bytes, len);
  }
  static const char *const bad[] = {"====", "A===", "=AAA", "AA=A", "AAA ", "AA\r\n", "AAAA\n", "AA==AAAA", "AAA", "A-_A", "\xc3\xa9zA"};
  size_t len;
  for (size_t i = 0; i < COUNT(bad); i++) ck_assert_msg(!tci_base64_decode(text_of(bad[i]), back, &len), "%s was taken", bad[i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sign");
  TCase *tests = tcase_create("sign");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, bodies_are_signed_as_the_readme_verifies);
  tcase_add_test(tests, standard_webhooks_are_signed);
  tcase_add_test(tests, signatures_are_appended_or_nothing_is);
  tcase_add_test(tests, secrets_are_sealed);
  tcase_add_test(tests, what_was_not_sealed_so_is_not_opened);
  tcase_add_test(tests, sealing_fails_whole);
  tcase_add_test(tests, keys_are_read);
  tcase_add_test(tests, base64_is_strict_and_exact);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
