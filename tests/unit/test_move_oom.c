/* Backups, checks, exports and migrations when memory ends: each allocation fails once. The call says TC_ENOMEM, nothing leaks, and the next try goes through. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oom_kit.h"
#include "tipcurrent.h"

static char dir[64], from[96], to[96], copy[96];
static int number;

static int take(void *userdata, const tc_event *event) {
  *(int64_t *)userdata = tc_event_seq(event);
  return 0;
}

static int verify(void) { return tc_verify(from, NULL, NULL); }

static int backup(void) {
  (void)snprintf(copy, sizeof copy, "%s/copy%d", dir, ++number);
  return tc_backup(from, copy, NULL, NULL);
}

static int export(void) {
  int64_t last = 0;
  int rc = tc_export(from, 0, 0, take, &last, NULL, NULL);
  ck_assert(rc || last == 12);
  return rc;
}

/* What failed is gone on with; what came through is done anew. */
static int migrate(void) {
  if (!*to) (void)snprintf(to, sizeof to, "sqlite:%s/to%d.db", dir, ++number);
  int rc = tc_migrate(from, to, NULL, NULL);
  if (!rc) *to = '\0';
  return rc;
}

static void fill(void) {
  tc_engine *engine = NULL;
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = from;
  options.flags = TC_NO_THREADS;
  ck_assert_msg(!tc_open(&engine, &options), "%s", tc_last_error());
  for (int i = 0; i < 12; i++) {
    tc_tip_new tip = TC_TIP_NEW_INIT;
    tip.room_id = i % 2 ? "odd" : "even";
    tip.sender_id = "a";
    tip.recipient_id = "b";
    tip.amount = 1 + i;
    ck_assert_int_eq(tc_tip_create(engine, &tip, NULL, NULL), TC_OK);
  }
  tc_webhook_new hook = TC_WEBHOOK_NEW_INIT;
  hook.url = "http://example.com";
  hook.events = "tip.created";
  hook.secret = "s";
  hook.description = "";
  ck_assert_msg(!tc_webhook_create(engine, &hook, NULL, NULL), "%s", tc_last_error());
  int32_t more = 1;
  while (more) ck_assert_int_eq(tc_engine_tick(engine, &more), TC_OK);
  ck_assert_int_eq(tc_close(engine), TC_OK);
}

START_TEST(sweep) {
  static int (*const calls[])(void) = {verify, backup, export, migrate};
  (void)snprintf(dir, sizeof dir, "/tmp/tipcurrent-move-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  (void)snprintf(from, sizeof from, "sqlite:%s/from.db", dir);
  *to = '\0';
  fill();
  int done = 0, refused = 0;
  for (int n = 1; !done; n++) {
    oom_allocations = 0;
    oom_fail_at(n);
    int rc = calls[_i]();
    done = oom_allocations < n;
    oom_fail_at(0);
    ck_assert_msg(rc == TC_OK || (rc == TC_ENOMEM && !done), "allocation %d: %s: %s", n, tc_strerror(rc), tc_last_error());
    refused += rc == TC_ENOMEM;
    ck_assert_int_eq(oom_blocks, 0);
    ck_assert_msg(calls[_i]() == TC_OK, "after allocation %d: %s", n, tc_last_error());
  }
  ck_assert_int_gt(refused, 2);
  char command[96];
  (void)snprintf(command, sizeof command, "rm -r %s", dir);
  ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("move_oom");
  TCase *tcase = tcase_create("oom");
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, sweep, 0, 4);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
