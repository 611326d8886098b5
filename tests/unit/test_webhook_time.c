/* What time and changes do to webhooks: pauses that a receiver asks for, receivers that only fail, secrets that overlap, what is pending when its webhook changes. */
#include <stdlib.h>
#include <string.h>

#include "hook_kit.h"

#define URL "https://receiver.example/"
#define OTHER_URL "https://other.example/"
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void tip(host *h) {
  (void)kit_tip(&h->k, "r", "a", 100, NULL);
  host_run_idle(h);
}

/* The first answer of a delivery: this status, and a pause. */
static void land_asking(host *h, int status, int64_t retry_after_us) {
  fake_land(&h->f, status);
  h->f.answer.retry_after_us = retry_after_us;
  host_run_idle(h);
}

static void change(host *h, int64_t id, const tc_webhook_change *what) {
  tc_webhook_change c = *what;
  c.size = sizeof c;
  ck_assert_msg(tc_webhook_update(h->k.engine, id, &c, NULL) == TC_OK, "%s", tc_last_error());
  host_run_idle(h);
}

START_TEST(a_receiver_s_pause_counts_where_it_is_longer) {
  static const struct {
    int64_t asked_us, not_yet_us, then_us;
  } samples[] = {{30 * SECOND, 29 * SECOND, 46 * SECOND}, {1 * SECOND, 4 * SECOND, 11 * SECOND}, {10 * DAY, DAY - SECOND, DAY + DAY / 2 + SECOND}};
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    host h;
    host_open(&h, _i);
    (void)host_hook(&h, URL, 0);
    tip(&h);
    land_asking(&h, 503, samples[i].asked_us);
    host_pass_time(&h, samples[i].not_yet_us);
    ck_assert_int_eq(fake_begun(&h.f), 1);
    host_pass_time(&h, samples[i].then_us - samples[i].not_yet_us);
    ck_assert_int_eq(fake_begun(&h.f), 2);
    host_land(&h, 200);
    host_close(&h);
  }
}
END_TEST

static void fail_for_an_hour(host *h, int succeed_at) {
  for (int i = 0; i < 8 && fake_flying(&h->f); i++) {
    host_land(h, i + 1 == succeed_at ? 200 : 500);
    if (i + 1 == succeed_at) tip(h);
    host_pass_time(h, 10 * MINUTE + SECOND);
  }
}

static void open_failing(host *h, int backend) {
  host_open(h, backend);
  kit_close(&h->k);
  h->hooks.disable_after_s = 3600;
  h->hooks.retry_schedule = "10m,10m,10m,10m,10m,10m,10m,10m,10m,10m,10m,10m";
  kit_open(&h->k);
}

START_TEST(one_that_only_fails_is_disabled_and_that_is_said_once) {
  host h;
  open_failing(&h, _i);
  int64_t id = host_hook(&h, URL, 0);
  tip(&h);
  fail_for_an_hour(&h, 0);
  ck_assert_int_eq(host_is_enabled(&h, id), 0);
  ck_assert_int_eq(fake_flying(&h.f), 0);
  int begun = fake_begun(&h.f);
  ck_assert_int_ge(begun, 7);
  host_pass_time(&h, DAY);
  ck_assert_int_eq(fake_begun(&h.f), begun);
  /* Enabled again it begins anew; what is told to others is one event for each time it was disabled. */
  tc_status before = TC_STATUS_INIT, after = TC_STATUS_INIT;
  ck_assert_int_eq(tc_engine_status(h.k.engine, &before), TC_OK);
  ck_assert_int_eq(before.log_seq, 2); /* the tip, the word */
  change(&h, id, &(tc_webhook_change){.enabled = 1});
  tip(&h);
  ck_assert_int_eq(fake_flying(&h.f), 1);
  fail_for_an_hour(&h, 0);
  ck_assert_int_eq(host_is_enabled(&h, id), 0);
  ck_assert_int_eq(tc_engine_status(h.k.engine, &after), TC_OK);
  ck_assert_int_eq(after.log_seq, 4);
  host_close(&h);
}
END_TEST

START_TEST(a_success_begins_the_time_anew) {
  host h;
  open_failing(&h, _i);
  int64_t id = host_hook(&h, URL, 0);
  tip(&h);
  fail_for_an_hour(&h, 4);
  ck_assert_int_eq(host_is_enabled(&h, id), 1);
  while (fake_flying(&h.f)) host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(how_long_it_has_failed_outlives_the_process) {
  host h;
  open_failing(&h, 1);
  int64_t id = host_hook(&h, URL, 0);
  tip(&h);
  host_land(&h, 500);
  host_pass_time(&h, 11 * MINUTE);
  host_land(&h, 500);
  kit_close(&h.k);
  kit_clock_add(HOUR);
  kit_open(&h.k);
  host_run_idle(&h);
  ck_assert_int_eq(host_is_enabled(&h, id), 1);
  host_land(&h, 500);
  ck_assert_int_eq(host_is_enabled(&h, id), 0);
  host_close(&h);
}
END_TEST

static int signatures_of(const tc_send *send) {
  int n = 0;
  for (const char *at = fake_header(send, "webhook-signature"); (at = strstr(at, "v1,")) != NULL; at++) n++;
  return n;
}

START_TEST(the_old_secret_signs_for_so_long) {
  host h;
  host_open(&h, _i);
  int64_t id = host_hook(&h, URL, 0);
  change(&h, id, &(tc_webhook_change){.secret = "newer", .overlap_s = 100});
  tip(&h);
  ck_assert_int_eq(signatures_of(h.f.flying[0]), 2);
  host_land(&h, 200);
  host_pass_time(&h, 101 * SECOND);
  tip(&h);
  ck_assert_int_eq(signatures_of(h.f.flying[0]), 1);
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(what_is_pending_goes_where_the_webhook_points_now) {
  host h;
  host_open(&h, _i);
  int64_t id = host_hook(&h, URL, 0);
  tip(&h);
  host_land(&h, 500);
  change(&h, id, &(tc_webhook_change){.url = OTHER_URL});
  host_pass_time(&h, 11 * SECOND);
  ck_assert_str_eq(h.f.flying[0]->url, OTHER_URL);
  ck_assert_str_eq(fake_header(h.f.flying[0], "X-TipCurrent-Delivery-Attempt"), "2");
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(what_was_pending_is_dropped_with_it) {
  host h;
  host_open(&h, _i);
  int64_t disabled = host_hook(&h, URL, 0), deleted = host_hook(&h, OTHER_URL, 0);
  tip(&h);
  host_land(&h, 500);
  host_land(&h, 500);
  change(&h, disabled, &(tc_webhook_change){.enabled = -1});
  change(&h, disabled, &(tc_webhook_change){.enabled = 1});
  ck_assert_int_eq(tc_webhook_delete(h.k.engine, deleted), TC_OK);
  host_pass_time(&h, DAY);
  ck_assert_int_eq(fake_begun(&h.f), 2);
  tip(&h);
  ck_assert_int_eq(fake_begun(&h.f), 3);
  ck_assert_str_eq(h.f.flying[0]->url, URL);
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(a_change_of_nothing_is_none) {
  host h;
  tc_webhook *before = NULL, *after = NULL;
  tc_webhook_change nothing = TC_WEBHOOK_CHANGE_INIT;
  host_open(&h, _i);
  int64_t id = host_hook(&h, URL, 0);
  ck_assert_int_eq(tc_webhook_get(h.k.engine, id, &before), TC_OK);
  host_pass_time(&h, SECOND);
  ck_assert_int_eq(tc_webhook_update(h.k.engine, id, &nothing, &after), TC_OK);
  ck_assert_str_eq(tc_webhook_json(after, NULL), tc_webhook_json(before, NULL));
  ck_assert_int_eq(tc_webhook_update(h.k.engine, id + 1, &nothing, NULL), TC_ENOTFOUND);
  tc_webhook_unref(before);
  tc_webhook_unref(after);
  host_close(&h);
}
END_TEST

START_TEST(an_ordered_room_goes_on_behind_what_is_given_up) {
  host h;
  host_open(&h, _i);
  (void)host_hook(&h, URL, TC_WEBHOOK_ORDERED);
  tip(&h);
  tip(&h);
  for (int attempt = 1; attempt <= 3; attempt++) {
    ck_assert_int_eq(fake_begun(&h.f), attempt);
    ck_assert_str_eq(h.f.seen[attempt - 1][0], h.f.seen[0][0]);
    host_land(&h, 500);
    if (attempt < 3) host_pass_time(&h, 61 * SECOND);
  }
  host_pass_time(&h, SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 4);
  ck_assert_str_ne(h.f.seen[3][0], h.f.seen[0][0]);
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

/* Nor does what comes after a restart, or on another node, pass what was owed before. */
START_TEST(the_order_outlives_the_process) {
  host h;
  host_open(&h, 1);
  (void)host_hook(&h, URL, TC_WEBHOOK_ORDERED);
  tip(&h);
  host_land(&h, 500);
  kit_close(&h.k);
  kit_open(&h.k);
  tip(&h);
  host_run_idle(&h);
  ck_assert_int_eq(fake_flying(&h.f), 0);
  host_pass_time(&h, 61 * SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 2);
  ck_assert_str_eq(h.f.seen[1][0], h.f.seen[0][0]);
  host_land(&h, 200);
  host_pass_time(&h, SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 3);
  ck_assert_str_ne(h.f.seen[2][0], h.f.seen[0][0]);
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(the_log_forgets) {
  host h;
  logged l;
  host_open(&h, _i);
  int64_t id = host_hook(&h, URL, 0);
  tip(&h);
  host_land(&h, 200);
  host_pass_time(&h, 29 * DAY);
  tip(&h);
  host_land(&h, 200);
  host_read_log(&h, id, &l);
  ck_assert_int_eq(l.total, 2);
  host_pass_time(&h, 2 * DAY);
  host_read_log(&h, id, &l);
  ck_assert_int_eq(l.total, 1);
  host_close(&h);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("webhook_time");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, a_receiver_s_pause_counts_where_it_is_longer, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, one_that_only_fails_is_disabled_and_that_is_said_once, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_success_begins_the_time_anew, 0, KIT_BACKENDS);
  tcase_add_test(tc, how_long_it_has_failed_outlives_the_process);
  tcase_add_loop_test(tc, the_old_secret_signs_for_so_long, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, what_is_pending_goes_where_the_webhook_points_now, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, what_was_pending_is_dropped_with_it, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_change_of_nothing_is_none, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, an_ordered_room_goes_on_behind_what_is_given_up, 0, KIT_BACKENDS);
  tcase_add_test(tc, the_order_outlives_the_process);
  tcase_add_loop_test(tc, the_log_forgets, 0, KIT_BACKENDS);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
