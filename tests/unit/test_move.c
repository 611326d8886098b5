/* Backups, checks, exports and migrations from inside a host: beside an engine of the same process, with mistakes in the arguments, stopped on the way, and on backends that cannot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine_kit.h"

#define TIPS 500

static void fill(kit *k) {
  for (int i = 0; i < TIPS; i++) (void)kit_tip(k, i % 2 ? "odd" : "even", "alice", i + 1, NULL);
  ck_assert(kit_until_indexed(k));
}

static const char *path_in(const kit *k, const char *name) {
  static char path[4][320];
  static int turn;
  char *out = path[++turn % 4];
  (void)snprintf(out, sizeof path[0], "%s/%s", k->dir, name);
  return out;
}

static const char *url_in(const kit *k, const char *name) {
  static char url[4][340];
  static int turn;
  char *out = url[++turn % 4];
  (void)snprintf(out, sizeof url[0], "sqlite:%s", path_in(k, name));
  return out;
}

/* What an export brought. */
typedef struct taken {
  int64_t events, last_seq, amount;
  int64_t stop_at; /* 0: never */
} taken;

static int take(void *userdata, const tc_event *event) {
  taken *t = userdata;
  int64_t amount = 0;
  ck_assert_int_gt(tc_event_seq(event), t->last_seq);
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_AMOUNT, &amount), TC_OK);
  ck_assert_int_eq(tc_event_int(event, TC_FIELD_IRREGULAR, &amount), TC_OK);
  ck_assert_int_eq(amount, 0);
  t->events++;
  t->last_seq = tc_event_seq(event);
  return t->stop_at && t->last_seq == t->stop_at;
}

START_TEST(beside_an_engine_of_this_process) {
  kit k;
  kit_init(&k, 1);
  kit_open(&k);
  fill(&k);
  for (int i = 0; i < 3; i++) { /* the engine's locks on its files hold after each */
    tc_move_counts counts = TC_MOVE_COUNTS_INIT;
    taken t = {0};
    char name[16];
    (void)snprintf(name, sizeof name, "copy%d", i);
    ck_assert_msg(!tc_verify(k.url, NULL, &counts), "%s", tc_last_error());
    ck_assert_int_eq(counts.events, TIPS + i);
    ck_assert_msg(!tc_export(k.url, 0, 0, take, &t, NULL, &counts), "%s", tc_last_error());
    ck_assert_int_eq(t.events, TIPS + i);
    ck_assert_int_eq(counts.log_seq, TIPS + i);
    ck_assert_msg(!tc_backup(k.url, path_in(&k, name), NULL, &counts), "%s", tc_last_error());
    ck_assert_int_eq(counts.log_seq, TIPS + i);
    ck_assert_int_eq(kit_tip(&k, "even", "alice", 1, NULL), TIPS + i + 1);
    ck_assert_msg(!tc_verify(url_in(&k, strcat(name, "/tc.db")), NULL, &counts), "%s", tc_last_error());
    ck_assert_int_eq(counts.events, TIPS + i);
  }
  kit_close(&k);
  kit_open(&k);
  tc_status status = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(k.engine, &status), TC_OK);
  ck_assert_int_eq(status.log_seq, TIPS + 3);
  char command[400];
  (void)snprintf(command, sizeof command, "rm -r %s/copy?", k.dir);
  ck_assert_int_eq(system(command), 0);
  kit_clean(&k);
}
END_TEST

START_TEST(an_export_goes_on_and_takes_the_kinds_it_is_asked_for) {
  kit k;
  kit_init(&k, 1);
  kit_open(&k);
  fill(&k);
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  taken t = {.stop_at = 7};
  ck_assert_int_eq(tc_export(k.url, 0, 0, take, &t, NULL, &counts), TC_EUSER);
  ck_assert_int_eq(t.events, 7);
  ck_assert_int_eq(counts.events, 0); /* outputs are written on success */
  t = (taken){.last_seq = 7};
  ck_assert_int_eq(tc_export(k.url, 7, 1u << TC_KIND_TIP, take, &t, NULL, &counts), TC_OK);
  ck_assert_int_eq(t.events, TIPS - 7);
  t = (taken){0};
  ck_assert_int_eq(tc_export(k.url, 0, 1u << TC_KIND_REACTION, take, &t, NULL, &counts), TC_OK);
  ck_assert_int_eq(t.events, 0);
  ck_assert_int_eq(counts.log_seq, TIPS);
  ck_assert_int_eq(tc_export(k.url, INT64_MAX, 0, take, &t, NULL, NULL), TC_OK);
  kit_clean(&k);
}
END_TEST

static int stop(void *userdata, const char *what, int64_t done, int64_t total) {
  (void)what;
  (void)done;
  (void)total;
  return --*(int *)userdata < 0;
}

/* Stops each call at its first step, its second, and so on, until it comes through. */
START_TEST(stopped_anywhere_they_can_be_started_again) {
  kit k;
  struct stat st;
  kit_init(&k, 1);
  kit_open(&k);
  fill(&k);
  kit_close(&k);
  int steps, rc = TC_EUSER, stops = 0;
  tc_move_options options = TC_MOVE_OPTIONS_INIT;
  options.progress = stop;
  options.userdata = &steps;
  for (int n = 0; rc; n++, stops++) {
    steps = n;
    rc = tc_migrate(k.url, url_in(&k, "there.db"), &options, NULL);
    ck_assert_msg(rc == TC_OK || rc == TC_EUSER, "%s", tc_last_error());
    if (!rc) break;
    tc_engine *engine = NULL;
    tc_options open = TC_OPTIONS_INIT;
    open.storage_url = url_in(&k, "there.db");
    ck_assert_int_eq(tc_open(&engine, &open), TC_EBUSY);
    ck_assert_ptr_nonnull(strstr(tc_last_error(), "has not come to its end"));
  }
  ck_assert_int_ge(stops, 2);
  taken t = {0};
  ck_assert_int_eq(tc_export(url_in(&k, "there.db"), 0, 0, take, &t, NULL, NULL), TC_OK);
  ck_assert_int_eq(t.events, TIPS);
  steps = 0;
  ck_assert_int_eq(tc_verify(k.url, &options, NULL), TC_EUSER);
  steps = 0;
  ck_assert_int_eq(tc_export(k.url, 0, 0, take, &(taken){0}, &options, NULL), TC_EUSER);
  /* Moved twice it is refused: it is no half of anything. */
  ck_assert_int_eq(tc_migrate(k.url, url_in(&k, "there.db"), NULL, NULL), TC_EEXISTS);
  ck_assert_int_eq(stat(path_in(&k, "there-work.db"), &st), 0);
  kit_clean(&k);
}
END_TEST

START_TEST(mistakes_are_named) {
  tc_move_options options = TC_MOVE_OPTIONS_INIT;
  tc_move_counts counts = TC_MOVE_COUNTS_INIT;
  ck_assert_int_eq(tc_backup(NULL, "x", NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_backup("sqlite:x", NULL, NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_backup("sqlite:x", "", NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_backup("sqlite:", "x", NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_backup("memory:", "x", NULL, NULL), TC_ENOTSUP);
  ck_assert_int_eq(tc_backup("nothing:", "x", NULL, NULL), TC_ENOTSUP);
  ck_assert_int_eq(tc_verify(NULL, NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_verify("memory:", NULL, NULL), TC_ENOTSUP);
  ck_assert_int_eq(tc_verify("sqlite:/nowhere/x.db", NULL, NULL), TC_ESTORAGE);
  ck_assert_int_eq(tc_verify("sqlite:/tmp/there-is-no-such-log.db", NULL, NULL), TC_ENOTFOUND);
  ck_assert_int_eq(tc_export("sqlite:x", 0, 0, NULL, NULL, NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_export("sqlite:x", -1, 0, take, NULL, NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_migrate(NULL, "sqlite:x", NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_migrate("sqlite:x", NULL, NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_migrate("sqlite:/tmp/there-is-no-such-log.db", "memory:", NULL, NULL), TC_ENOTFOUND);
  ck_assert_int_eq(tc_import(NULL, "sqlite:x", NULL, NULL), TC_EINVAL);
  ck_assert_int_eq(tc_import("sqlite:x", NULL, NULL, NULL), TC_EINVAL);
  options.flags = 1;
  ck_assert_int_eq(tc_verify("sqlite:x", &options, NULL), TC_EINVAL);
  options.flags = 0;
  options.idempotency_ttl_s = UINT32_MAX;
  ck_assert_int_eq(tc_verify("sqlite:x", &options, NULL), TC_EINVAL);
  options.idempotency_ttl_s = 0;
  options.size = 1;
  ck_assert_int_eq(tc_verify("sqlite:x", &options, NULL), TC_EINVAL);
  counts.size = 3;
  ck_assert_int_eq(tc_verify("sqlite:x", NULL, &counts), TC_EINVAL);
  ck_assert_str_ne(tc_last_error(), "");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("move");
  TCase *tcase = tcase_create("move");
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, beside_an_engine_of_this_process);
  tcase_add_test(tcase, an_export_goes_on_and_takes_the_kinds_it_is_asked_for);
  tcase_add_test(tcase, stopped_anywhere_they_can_be_started_again);
  tcase_add_test(tcase, mistakes_are_named);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
