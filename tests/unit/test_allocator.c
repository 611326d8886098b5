/* A host's allocator: all memory of the library's comes from it and goes back to it; once, before the first engine. Each test runs in a process of its own. */
#include <check.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tipcurrent.h"

#define MARK UINT64_C(0x7469706375727265)

/* Before each block: whoever frees what did not come from here, or resizes it, is found out. */
typedef union head {
  struct {
    uint64_t mark;
    size_t bytes;
  } of;
  max_align_t aligned;
} head;

static atomic_int blocks, calls, foreign, fail_from, fail_alone;

static void *host_alloc(void *userdata, size_t bytes) {
  ck_assert_ptr_eq(userdata, &blocks);
  ck_assert_uint_gt(bytes, 0);
  int number = atomic_fetch_add(&calls, 1) + 1, from = atomic_load(&fail_from);
  head *made = from && (number == from || (number > from && !atomic_load(&fail_alone))) ? NULL : malloc(sizeof *made + bytes);
  if (!made) return NULL;
  made->of.mark = MARK;
  made->of.bytes = bytes;
  memset(made + 1, 0xa5, bytes); /* what is not zeroed by the library shows */
  atomic_fetch_add(&blocks, 1);
  return made + 1;
}

static void host_free(void *userdata, void *ptr) {
  head *of = (head *)ptr - 1;
  ck_assert_ptr_eq(userdata, &blocks);
  if (of->of.mark != MARK) atomic_fetch_add(&foreign, 1);
  of->of.mark = 0;
  atomic_fetch_sub(&blocks, 1);
  free(of);
}

static void *host_realloc(void *userdata, void *old, size_t bytes) {
  void *made = host_alloc(userdata, bytes);
  if (!made || !old) return made;
  size_t had = ((head *)old - 1)->of.bytes;
  memcpy(made, old, had < bytes ? had : bytes);
  host_free(userdata, old);
  return made;
}

static tc_allocator host_allocator(void) {
  tc_allocator allocator = TC_ALLOCATOR_INIT;
  allocator.alloc = host_alloc;
  allocator.realloc = host_realloc;
  allocator.free = host_free;
  allocator.userdata = &blocks;
  return allocator;
}

static int open_engine(tc_engine **out, const char *url) {
  tc_options options = TC_OPTIONS_INIT;
  options.storage_url = url;
  return tc_open(out, &options);
}

static void use(tc_engine *engine, tc_event **kept) {
  tc_sub *sub = NULL;
  tc_page *page = NULL;
  tc_tip_query query = TC_TIP_QUERY_INIT;
  tc_goal_new goal = TC_GOAL_NEW_INIT;
  goal.room_id = "r";
  goal.title = "a microphone";
  goal.target_amount = 10000;
  ck_assert_msg(!tc_goal_create(engine, &goal, NULL, NULL, NULL), "%s", tc_last_error());
  ck_assert_int_eq(tc_subscribe(engine, NULL, NULL, NULL, &sub), TC_OK);
  for (int i = 0; i < 200; i++) {
    char key[16];
    tc_tip_new tip = TC_TIP_NEW_INIT;
    (void)snprintf(key, sizeof key, "k%d", i);
    tip.room_id = "r";
    tip.sender_id = "alice";
    tip.recipient_id = "bob";
    tip.amount = 250;
    tip.idempotency_key = key;
    ck_assert_msg(!tc_tip_create(engine, &tip, i ? NULL : kept, NULL), "%s", tc_last_error());
  }
  for (int i = 0; i < 200; i++) {
    tc_event *event = NULL;
    ck_assert_int_eq(tc_sub_next(sub, 10000, &event), TC_OK);
    tc_event_unref(event);
  }
  ck_assert_msg(!tc_tip_list(engine, &query, &page), "%s", tc_last_error());
  ck_assert_int_eq(tc_page_total(page), 200);
  tc_page_free(page);
  tc_sub_close(sub);
}

START_TEST(all_memory_comes_from_the_host_and_goes_back) {
  char dir[] = "/tmp/tipcurrent-alloc-XXXXXX", url[64], path[64];
  tc_allocator allocator = host_allocator();
  ck_assert_ptr_nonnull(mkdtemp(dir));
  (void)snprintf(url, sizeof url, "sqlite:%s/tc.db", dir);
  ck_assert_int_eq(tc_allocator_set(&allocator), TC_OK);
  memset(&allocator, 0, sizeof allocator); /* it was copied */
  for (int i = 0; i < 2; i++) {
    tc_engine *engine = NULL;
    tc_event *kept = NULL;
    int before = atomic_load(&calls);
    ck_assert_msg(!open_engine(&engine, i ? url : "memory:"), "%s", tc_last_error());
    use(engine, &kept);
    ck_assert_int_gt(atomic_load(&calls), before + 200); /* at least one for each event */
    ck_assert_int_eq(tc_close(engine), TC_OK);
    ck_assert_str_eq(tc_event_str(kept, TC_FIELD_SENDER_ID), "alice"); /* outlives its engine */
    ck_assert_int_gt(atomic_load(&blocks), 0);
    tc_event_unref(kept);
    ck_assert_int_eq(atomic_load(&blocks), 0);
    ck_assert_int_eq(atomic_load(&foreign), 0);
  }
  static const char *const names[] = {"tc.db", "tc-index.db", "tc-work.db", "tc-lock.db"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    ck_assert_int_eq(unlink(path), 0);
  }
  ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(it_is_set_once_and_before_the_first_engine) {
  tc_allocator allocator = host_allocator();
  tc_engine *engine = NULL;
  if (_i) {
    ck_assert_int_eq(open_engine(&engine, "nonsense:"), TC_ENOTSUP); /* took nothing that it keeps */
    ck_assert_int_eq(open_engine(&engine, "memory:"), TC_OK);
    ck_assert_int_eq(tc_close(engine), TC_OK);
  } else {
    ck_assert_int_eq(tc_allocator_set(&allocator), TC_OK);
  }
  ck_assert_int_eq(tc_allocator_set(&allocator), TC_ECONFLICT);
  ck_assert_ptr_nonnull(strstr(tc_last_error(), "allocator"));
  ck_assert_int_eq(open_engine(&engine, "memory:"), TC_OK);
  ck_assert_int_eq(atomic_load(&blocks) > 0, !_i);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

START_TEST(a_wrong_one_is_refused_and_the_next_taken) {
  tc_allocator allocator = host_allocator();
  ck_assert_int_eq(tc_allocator_set(NULL), TC_EINVAL);
  for (int i = 0; i < 3; i++) {
    tc_allocator lacking = host_allocator();
    if (i == 0) lacking.alloc = NULL;
    if (i == 1) lacking.realloc = NULL;
    if (i == 2) lacking.free = NULL;
    ck_assert_int_eq(tc_allocator_set(&lacking), TC_EINVAL);
    ck_assert_str_ne(tc_last_error(), "");
  }
  allocator.size = sizeof allocator - 1;
  ck_assert_int_eq(tc_allocator_set(&allocator), TC_EINVAL);
  struct {
    tc_allocator known;
    int64_t newer;
  } longer = {host_allocator(), 1};
  longer.known.size = sizeof longer;
  ck_assert_int_eq(tc_allocator_set(&longer.known), TC_EVERSION);
  longer.newer = 0;
  ck_assert_int_eq(tc_allocator_set(&longer.known), TC_OK);
}
END_TEST

START_TEST(a_host_without_memory_is_an_answer) {
  tc_allocator allocator = host_allocator();
  tc_engine *engine = NULL;
  int code = TC_ENOMEM, number = 0;
  ck_assert_int_eq(tc_allocator_set(&allocator), TC_OK);
  atomic_store(&fail_alone, _i);
  while (code) {
    ck_assert_int_lt(number, 10000);
    atomic_store(&calls, 0);
    atomic_store(&fail_from, ++number);
    code = open_engine(&engine, "memory:");
    if (code) {
      ck_assert_msg(code == TC_ENOMEM, "allocation %d: %d, %s", number, code, tc_last_error());
      ck_assert_int_eq(atomic_load(&blocks), 0);
    }
  }
  ck_assert_int_gt(number, 3);
  atomic_store(&fail_from, 0);
  ck_assert_int_eq(tc_close(engine), TC_OK);
  ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("allocator");
  TCase *cases = tcase_create("allocator");
  tcase_add_test(cases, all_memory_comes_from_the_host_and_goes_back);
  tcase_add_loop_test(cases, it_is_set_once_and_before_the_first_engine, 0, 2);
  tcase_add_test(cases, a_wrong_one_is_refused_and_the_next_taken);
  tcase_add_loop_test(cases, a_host_without_memory_is_an_answer, 0, 2);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
