/* The parts of webhooks when memory ends: each allocation fails once, alone and then with all that follow; nothing is lost, and the next try does it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oom_kit.h"
#include "tipcurrent/error.h"
#include "webhook/sign.h"
#include "webhook/transport.h"

/* ---- What is tried: TC_OK or TC_ENOMEM. */

static int read_policy(void) {
  tci_policy policy = {0};
  const char *bad = NULL;
  int err = tci_policy_read(&policy, "127.0.0.0/8,::1", &bad);
  ck_assert_uint_eq(policy.allowed_count, err ? 0 : 2);
  tci_policy_free(&policy);
  return err;
}

static int zeros(void *userdata, void *buf, size_t len) {
  (void)userdata;
  memset(buf, 0, len);
  return TC_OK;
}

static int sign_and_seal(void) {
  static const uint8_t key[32] = {1};
  tci_buf out, sealed, back;
  tci_buf_init(&out, 1000);
  tci_buf_init(&sealed, 1000);
  tci_buf_init(&back, 1000);
  tci_signer *signer = tci_signer_new((tc_text){"whsec_AAAA", 10});
  int err = signer ? tci_sign_standard(signer, "msg_1", 1, (tc_text){"{}", 2}, &out) : TC_ENOMEM;
  tci_signer_free(signer);
  ck_assert_uint_eq(out.len, err ? 0 : 47);
  if (!err) err = tci_seal(key, 7, (tc_text){"s3cret", 6}, zeros, NULL, &sealed);
  ck_assert(!err || !sealed.len);
  if (!err) err = tci_unseal(key, 7, (tc_text){sealed.data, sealed.len}, &back);
  ck_assert_uint_eq(back.len, err ? 0 : 6);
  tci_buf_free(&out);
  tci_buf_free(&sealed);
  tci_buf_free(&back);
  return err;
}

static void on_done(tc_send *send, const tc_sent *sent) {
  ck_assert_str_eq(sent->error, "url: the address is not allowed");
  ++*(int *)send->owner;
}

static int deliver_two(void) {
  tci_policy policy = {0};
  tc_transport transport = TC_TRANSPORT_INIT;
  int done = 0, begun = 0;
  int err = tci_curl_open(&transport, &policy, 4, 2, 0);
  ck_assert(err ? !transport.userdata : transport.userdata != NULL);
  tc_send sends[2] = {{.url = "http://127.0.0.1/", .total_ms = 1000, .done = on_done, .owner = &done},
                      {.url = "http://localhost/", .total_ms = 1000, .done = on_done, .owner = &done}};
  for (int i = 0; !err && i < 2; i++) {
    err = transport.begin(transport.userdata, &sends[i]);
    begun += !err;
  }
  while (done < begun) ck_assert_int_eq(transport.poll(transport.userdata, 1000), TC_OK);
  tci_curl_close(&transport);
  return err;
}

static int (*const trials[])(void) = {read_policy, sign_and_seal, deliver_two};

START_TEST(each_allocation_may_fail) {
  for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
    oom_allocations = oom_fail_from = 0;
    ck_assert_int_eq(trials[i](), TC_OK);
    int needed = oom_allocations;
    ck_assert_int_gt(needed, 0);
    for (int at = 1; at <= needed; at++) {
      for (int all = 0; all < 2; all++) {
        oom_allocations = 0;
        oom_fail_from = at;
        oom_fail_to = all ? INT32_MAX : at;
        ck_assert_int_eq(trials[i](), TC_ENOMEM);
        ck_assert_int_eq(oom_blocks, 0);
        oom_fail_from = 0;
        ck_assert_int_eq(trials[i](), TC_OK);
        ck_assert_int_eq(oom_blocks, 0);
      }
    }
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("webhook_oom");
  TCase *tests = tcase_create("oom");
  suite_add_tcase(suite, tests);
  tcase_add_test(tests, each_allocation_may_fail);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? 1 : 0;
}
