/* Webhooks through a transport that the test answers (transport.h): on an engine without threads with a clock that only the test moves, so that days of retries take no time; and on one
 * with threads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hook_kit.h"
#include "receiver_kit.h"

START_TEST(retries_follow_the_injected_clock) {
  host h;
  logged l;
  host_open(&h, _i);
  int64_t id = host_hook(&h, "https://receiver.example/", 0);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 1);
  ck_assert_str_eq(h.f.flying[0]->url, "https://receiver.example/");
  ck_assert_uint_gt(h.f.flying[0]->body.len, 20);
  host_land(&h, 500);
  ck_assert_int_eq(fake_flying(&h.f), 0);
  host_pass_time(&h, 4 * SECOND); /* 10 s less up to a half of jitter */
  ck_assert_int_eq(fake_begun(&h.f), 1);
  host_pass_time(&h, 7 * SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 2);
  host_land(&h, 0);
  host_pass_time(&h, 61 * SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 3);
  host_land(&h, 204);
  host_pass_time(&h, 86400 * SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 3);
  for (int i = 0; i < 3; i++) {
    char attempt[8];
    (void)snprintf(attempt, sizeof attempt, "%d", i + 1);
    ck_assert_str_eq(h.f.seen[i][0], h.f.seen[0][0]);
    ck_assert_str_eq(h.f.seen[i][1], attempt);
  }
  host_read_log(&h, id, &l);
  ck_assert_int_eq(l.total, 3);
  ck_assert(l.row[0].status == 204 && l.row[0].success && l.row[0].attempt == 3);
  ck_assert(l.row[1].status == 0 && !l.row[1].success);
  ck_assert_str_eq(l.row[1].error, "no  answer \xef\xbf\xbd");
  ck_assert(l.row[2].status == 500 && !l.row[2].success);
  host_close(&h);
}
END_TEST

START_TEST(what_a_transport_says_is_made_fit) {
  host h;
  logged l;
  host_open(&h, _i);
  int64_t id = host_hook(&h, "https://receiver.example/", 0);
  static char much[3000];
  memset(much, 'x', sizeof much);
  memcpy(much, "\xc3\xab\xff\0", 4);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  fake_land(&h.f, 200);
  h.f.answer.response = (tc_text){much, sizeof much};
  h.f.answer.duration_us = -5;
  h.f.answer.retry_after_us = -5;
  host_run_idle(&h);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  fake_land(&h.f, -7); /* no status that there is */
  host_run_idle(&h);
  host_read_log(&h, id, &l);
  ck_assert_int_eq(l.total, 2);
  ck_assert_uint_eq(l.row[1].response_len, 997 + 2 + 3 + 3);
  ck_assert(!memcmp(l.row[1].response, "\xc3\xab\xef\xbf\xbd\xef\xbf\xbdxx", 10));
  ck_assert(l.row[0].status == 0 && !l.row[0].success);
  ck_assert_str_eq(l.row[0].error, "no answer");
  host_close(&h);
}
END_TEST

/* The policy of today counts, not that of the day it was registered. */
START_TEST(a_url_that_is_not_allowed_any_more_is_not_begun) {
  host h;
  logged l;
  host_open(&h, 1);
  kit_close(&h.k);
  h.hooks.allow_receivers = "127.0.0.0/8";
  kit_open(&h.k);
  int64_t id = host_hook(&h, "http://127.0.0.1:9999/", 0);
  kit_close(&h.k);
  h.hooks.allow_receivers = NULL;
  kit_open(&h.k);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  ck_assert_int_eq(tc_webhook_test(h.k.engine, id), TC_OK);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 0);
  host_read_log(&h, id, &l);
  ck_assert_int_eq(l.total, 2);
  for (int i = 0; i < 2; i++) ck_assert(l.row[i].status == 0 && strstr(l.row[i].error, "url: ") == l.row[i].error);
  host_close(&h);
}
END_TEST

START_TEST(a_transport_that_is_busy_is_asked_again) {
  host h;
  host_open(&h, _i);
  (void)host_hook(&h, "https://receiver.example/", 0);
  h.f.refuse = TC_EBUSY;
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 0);
  h.f.refuse = 0;
  ck_assert_int_eq(host_is_readable(&h, 5000), 1);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 1);
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(errands_ring) {
  host h;
  host_open(&h, _i);
  int64_t id = host_hook(&h, "https://receiver.example/", 0), count = 0;
  for (int i = 0; i < 3; i++) (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  for (int i = 0; i < 3; i++) host_land(&h, 200);
  ck_assert_int_eq(host_is_readable(&h, 0), 0);
  ck_assert_int_eq(tc_webhook_test(h.k.engine, id), TC_OK);
  ck_assert_int_eq(host_is_readable(&h, 0), 1);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 4);
  host_land(&h, 200);
  ck_assert_int_eq(tc_webhook_replay(h.k.engine, id, 1, 3, &count), TC_OK);
  ck_assert_int_eq(count, 3);
  ck_assert_int_eq(host_is_readable(&h, 0), 1);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 7);
  for (int i = 0; i < 3; i++) host_land(&h, 200);
  ck_assert_int_eq(tc_webhook_delete(h.k.engine, id), TC_OK);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 7);
  host_close(&h);
}
END_TEST

START_TEST(what_is_on_its_way_at_the_end_is_sent_again) {
  host h;
  host_open(&h, 1);
  (void)host_hook(&h, "https://receiver.example/", 0);
  for (int i = 0; i < 3; i++) (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  ck_assert_int_eq(fake_flying(&h.f), 3);
  kit_close(&h.k);
  ck_assert_int_eq(h.f.aborted, 3);
  ck_assert_int_eq(fake_flying(&h.f), 0);
  kit_open(&h.k);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 6);
  for (int i = 0; i < 3; i++) {
    int same = 0;
    for (int j = 3; j < 6; j++) same += !strcmp(h.f.seen[i][0], h.f.seen[j][0]);
    ck_assert_int_eq(same, 1);
  }
  for (int i = 0; i < 3; i++) host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(ordered_rooms_wait_for_their_own) {
  host h;
  host_open(&h, _i);
  (void)host_hook(&h, "https://receiver.example/", TC_WEBHOOK_ORDERED);
  for (int i = 0; i < 2; i++) (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  ck_assert_int_eq(fake_begun(&h.f), 1);
  host_land(&h, 500);
  host_pass_time(&h, SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 1); /* the second waits for the first's retry */
  host_pass_time(&h, 11 * SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 2);
  ck_assert_str_eq(h.f.seen[1][0], h.f.seen[0][0]);
  host_land(&h, 200);
  host_pass_time(&h, SECOND);
  ck_assert_int_eq(fake_begun(&h.f), 3);
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

/* The event and the change are written from within the webhooks' own turn. */
START_TEST(gone_disables_and_is_said_once) {
  host h;
  host_open(&h, _i);
  int64_t id = host_hook(&h, "https://receiver.example/", 0), other = host_hook(&h, "https://other.example/", 0);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  ck_assert_int_eq(fake_flying(&h.f), 2);
  int first_is_other = strstr(h.f.flying[0]->url, "other") != NULL;
  host_land(&h, 410);
  ck_assert_int_eq(host_is_enabled(&h, first_is_other ? other : id), 0);
  ck_assert_int_eq(host_is_enabled(&h, first_is_other ? id : other), 1);
  ck_assert_int_eq(fake_flying(&h.f), 2); /* the tip, and what became of its neighbour */
  ck_assert_str_eq(fake_header(h.f.flying[1], "X-TipCurrent-Event"), "webhook.disabled");
  host_land(&h, 200);
  host_land(&h, 200);
  host_close(&h);
}
END_TEST

START_TEST(a_silent_storage_holds_no_turn_of_the_webhooks) {
  struct timespec before, after;
  host h;
  memset(&h, 0, sizeof h);
  fake_open(&h.f, 1);
  kit_init(&h.k, _i);
  h.k.options.flags = TC_NO_THREADS;
  h.k.options.storage_ops = kit_faulty(_i);
  h.hooks = (tc_webhook_options)TC_WEBHOOK_OPTIONS_INIT;
  h.hooks.transport = &h.f.ops;
  h.k.options.webhooks = &h.hooks;
  kit_open(&h.k);
  int64_t id = host_hook(&h, "https://receiver.example/", 0);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  atomic_store(&kit_fault.outcome_code, TC_EUNKNOWN);
  atomic_store(&kit_fault.append_code, TC_EUNKNOWN);
  fake_land(&h.f, 410);
  ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &before), 0);
  ck_assert_int_eq(tc_engine_poll(h.k.engine, 0), TC_OK);
  ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &after), 0);
  ck_assert_int_lt(after.tv_sec - before.tv_sec, 3); /* a create would wait for six */
  ck_assert_int_eq(host_is_enabled(&h, id), 1);
  atomic_store(&kit_fault.append_code, 0);
  atomic_store(&kit_fault.outcome_code, 0);
  ck_assert_int_eq(host_is_readable(&h, 5000), 1);
  host_run_idle(&h);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  host_land(&h, 410); /* the next failure finds it again */
  ck_assert_int_eq(host_is_enabled(&h, id), 0);
  host_close(&h);
}
END_TEST

START_TEST(a_transport_without_a_descriptor_is_asked_now_and_then) {
  host h;
  host_open(&h, 0);
  kit_close(&h.k);
  h.f.ops.fd = NULL;
  kit_open(&h.k);
  (void)host_hook(&h, "https://receiver.example/", 0);
  (void)kit_tip(&h.k, "r", "a", 100, NULL);
  host_run_idle(&h);
  fake_land(&h.f, 200);
  for (int i = 0; fake_flying(&h.f); i++) {
    ck_assert_int_lt(i, 100);
    ck_assert_int_eq(tc_engine_poll(h.k.engine, 5000), TC_OK);
  }
  host_close(&h);
}
END_TEST

/* libcurl under the host's loop: its sockets and timers come through the engine's descriptor, and a literal address takes no thread. */
START_TEST(curl_runs_in_the_hosts_loop) {
  static const receiver_answer answers[] = {{"/slow", NULL, 0, RECEIVER_KEEP, NULL}, {0}};
  host h;
  logged l;
  receiver *to = receiver_start("127.0.0.1", NULL), *slow_to = receiver_start("127.0.0.1", answers);
  host_open(&h, _i);
  kit_close(&h.k);
  h.hooks.transport = NULL;
  h.hooks.allow_receivers = "127.0.0.0/8";
  h.hooks.total_timeout_ms = 300;
  h.k.options.clock = NULL; /* curl's time is the system's */
  kit_open(&h.k);
  char url[64];
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", receiver_port(to));
  (void)host_hook(&h, url, 0);
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/slow", receiver_port(slow_to));
  int64_t slow = host_hook(&h, url, 0);
  for (int i = 0; i < 50; i++) (void)kit_tip(&h.k, "r", "a", 100, NULL);
  int turns = 0, failed = 0;
  while (receiver_count(to).requests < 50 || failed < 8) { /* the slow one gets eight at a time, each runs into its time */
    ck_assert_int_eq(host_is_readable(&h, 10000), 1);
    ck_assert_int_eq(tc_engine_poll(h.k.engine, 0), TC_OK);
    memset(&l, 0, sizeof l);
    ck_assert_int_eq(tc_webhook_deliveries(h.k.engine, slow, 0, 8, host_keep, &l, &l.total), TC_OK);
    failed = l.n;
    ck_assert_int_lt(turns++, 100000);
  }
  ck_assert(l.row[0].status == 0 && strstr(l.row[0].error, "in time"));
  host_close(&h);
  receiver_stop(to);
  receiver_stop(slow_to);
}
END_TEST

static int all_landed(void *arg) {
  host *h = arg;
  pthread_mutex_lock(&h->f.mutex);
  int landed = h->f.landed;
  pthread_mutex_unlock(&h->f.mutex);
  return landed >= 500;
}

START_TEST(an_engine_with_threads_takes_one_too) {
  host h;
  unsetenv("KIT_NO_THREADS");
  host_open(&h, _i);
  kit_close(&h.k);
  h.k.options.flags = 0;
  h.f.auto_status = 200;
  kit_open(&h.k);
  (void)host_hook(&h, "https://receiver.example/", 0);
  for (int i = 0; i < 500; i++) (void)kit_tip(&h.k, "r", "a", 100, NULL);
  ck_assert(kit_until(all_landed, &h));
  ck_assert_int_eq(fake_begun(&h.f), 500);
  host_close(&h);
}
END_TEST

static int open_with(const tc_transport *transport) {
  tc_options o = TC_OPTIONS_INIT;
  tc_webhook_options hooks = TC_WEBHOOK_OPTIONS_INIT;
  tc_engine *engine = NULL;
  o.storage_url = "memory:";
  o.webhooks = &hooks;
  hooks.transport = transport;
  int rc = tc_open(&engine, &o);
  ck_assert(!rc || strstr(tc_last_error(), "webhooks.transport: ") == tc_last_error());
  ck_assert_int_eq(tc_close(engine), TC_OK);
  return rc;
}

START_TEST(half_a_transport_is_refused) {
  fake_transport f;
  fake_open(&f, 1);
  ck_assert_int_eq(open_with(&f.ops), TC_OK);
  tc_transport broken = f.ops;
  broken.wake = NULL;
  ck_assert_int_eq(open_with(&broken), TC_EINVAL);
  broken = f.ops;
  broken.size = sizeof(size_t);
  ck_assert_int_eq(open_with(&broken), TC_EINVAL);
  struct {
    tc_transport known;
    void *unknown;
  } newer = {f.ops, &f};
  newer.known.size = sizeof newer;
  ck_assert_int_eq(open_with(&newer.known), TC_EVERSION);
  fake_close(&f);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("host_hooks");
  TCase *tc = tcase_create("every backend");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, retries_follow_the_injected_clock, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, what_a_transport_says_is_made_fit, 0, KIT_BACKENDS);
  tcase_add_test(tc, a_url_that_is_not_allowed_any_more_is_not_begun);
  tcase_add_loop_test(tc, a_transport_that_is_busy_is_asked_again, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, errands_ring, 0, KIT_BACKENDS);
  tcase_add_test(tc, what_is_on_its_way_at_the_end_is_sent_again);
  tcase_add_loop_test(tc, ordered_rooms_wait_for_their_own, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, gone_disables_and_is_said_once, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, a_silent_storage_holds_no_turn_of_the_webhooks, 0, KIT_BACKENDS);
  tcase_add_test(tc, a_transport_without_a_descriptor_is_asked_now_and_then);
  tcase_add_loop_test(tc, curl_runs_in_the_hosts_loop, 0, KIT_BACKENDS);
  tcase_add_loop_test(tc, an_engine_with_threads_takes_one_too, 0, KIT_BACKENDS);
  tcase_add_test(tc, half_a_transport_is_refused);
  suite_add_tcase(suite, tc);
  return kit_run(suite);
}
