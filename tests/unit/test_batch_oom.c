/* A batch when memory ends: each allocation fails once, alone and then with all that follow. The call or the line is TC_ENOMEM, nothing leaks, and the next try goes through. */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "oom_kit.h"
#include "tipcurrent.h"

static const char lines[] = "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":\"1.50\",\"message\":\"\\u0041\"}\n"
                            "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":1,\"idempotencyKey\":\"\"}\n"
                            "{\"roomId\":\"r\",\"senderId\":\"a\",\"recipientId\":\"b\",\"amount\":1}\n";

/* How the three lines ended, or the whole. The second line's key is wrong: its answer holds a text of its own. */
static int ask(tc_engine *engine) {
  tc_batch *batch = NULL;
  tc_batch_options options = TC_BATCH_OPTIONS_INIT;
  options.kind = TC_KIND_TIP;
  int rc = tc_batch_submit(engine, &options, lines, sizeof lines - 1, &batch);
  ck_assert((rc == TC_OK) == (batch != NULL));
  if (rc) return rc;
  ck_assert_int_eq(tc_batch_wait(batch, -1), TC_OK);
  for (size_t i = 0; i < 3; i++) {
    const tc_result *result = tc_batch_at(batch, i);
    ck_assert_str_ne(result->code ? result->detail : "-", "");
    if (result->code != (i == 1 ? TC_EINVAL : TC_OK)) {
      ck_assert_int_eq(result->code, TC_ENOMEM);
      rc = TC_ENOMEM;
    }
  }
  tc_batch_free(batch);
  return rc;
}

START_TEST(sweep) {
  tc_engine *engine = NULL;
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = "memory:";
  options.flags = TC_NO_THREADS;
  ck_assert_int_eq(tc_open(&engine, &options), TC_OK);
  ck_assert_int_eq(ask(engine), TC_OK); /* what is made once for all is made here */
  for (int rest = 0; rest < 2; rest++) {
    int done = 0, refused = 0;
    for (int n = 1; !done; n++) {
      oom_allocations = 0;
      oom_fail_from = n;
      oom_fail_to = rest ? INT_MAX : n;
      int rc = ask(engine);
      done = oom_allocations < n;
      oom_fail_from = 0;
      ck_assert_msg(rc == TC_OK || (rc == TC_ENOMEM && !done), "allocation %d: %s %s", n, tc_strerror(rc), tc_last_error());
      refused += rc == TC_ENOMEM;
      ck_assert_int_eq(ask(engine), TC_OK);
    }
    ck_assert_int_gt(refused, 3);
  }
  ck_assert_int_eq(tc_close(engine), TC_OK);
  ck_assert_int_eq(oom_blocks, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("batch_oom");
  TCase *tcase = tcase_create("oom");
  tcase_add_test(tcase, sweep);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
