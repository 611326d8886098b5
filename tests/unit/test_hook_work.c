/* The work store of webhooks, while deliveries go on: one call at a time, slow ones hold up nobody, failing ones are made again, and nothing of what they should have written is missing. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine_kit.h"
#include "fake_transport_kit.h"

#define PAGES_ROWS 2560 /* what the engine keeps of a store that does not answer: a page that is being written, and one that may grow */

static fake_transport f;
static kit k;
static tc_webhook_options hooks;
static tc_storage_ops ops;
static const tc_storage_ops *real;
static kit_answers *answers;
static atomic_int inside, together, commits, failed, hold, fail, all_due, trims;

static void enter(void) {
  if (atomic_fetch_add(&inside, 1)) atomic_store(&together, 1);
}
static int leave(int rc) {
  atomic_fetch_sub(&inside, 1);
  return rc;
}

static int commit(tc_storage *storage, tc_work *work) {
  enter();
  atomic_fetch_add(&commits, 1);
  while (atomic_load(&hold)) usleep(500);
  if (!atomic_load(&fail)) return leave(real->work_commit(storage, work));
  atomic_fetch_add(&failed, 1);
  return leave(TC_ESTORAGE);
}
static int due(tc_storage *storage, int64_t webhook_id, int64_t until_us, size_t max, tc_owed_fn fn, void *arg) {
  enter();
  atomic_fetch_add(&all_due, 1);
  return leave(real->work_due(storage, webhook_id, until_us, max, fn, arg));
}
static int next(tc_storage *storage, int64_t webhook_id, int64_t *due_us) {
  enter();
  return leave(real->work_next(storage, webhook_id, due_us));
}
static int forget(tc_storage *storage, int64_t webhook_id, size_t max, int32_t *more) {
  enter();
  return leave(real->work_forget(storage, webhook_id, max, more));
}
static int trim(tc_storage *storage, int64_t before_us, int64_t max_rows, int32_t *more) {
  enter();
  atomic_fetch_add(&trims, 1);
  return leave(real->work_trim(storage, before_us, max_rows, more));
}

static int64_t open_engine(int backend, uint64_t log_rows) {
  tc_webhook_new new_hook = TC_WEBHOOK_NEW_INIT;
  tc_webhook *made = NULL;
  fake_open(&f, 0);
  kit_init(&k, backend);
  real = kit_faulty(backend);
  ops = *real;
  ops.work_commit = commit;
  ops.work_due = due;
  ops.work_next = next;
  ops.work_forget = forget;
  ops.work_trim = trim;
  hooks = (tc_webhook_options)TC_WEBHOOK_OPTIONS_INIT;
  hooks.transport = &f.ops;
  hooks.max_per_endpoint = 1;
  hooks.log_rows = log_rows;
  k.options.webhooks = &hooks;
  k.options.storage_ops = &ops;
  kit_open(&k);
  new_hook.url = "https://receiver.example/";
  new_hook.events = "*";
  new_hook.secret = "s3cret";
  ck_assert_msg(!tc_webhook_create(k.engine, &new_hook, &made, NULL), "%s", tc_last_error());
  int64_t id = tc_webhook_id(made);
  tc_webhook_unref(made);
  answers = kit_answers_new();
  return id;
}

static void close_all(void) {
  kit_clean(&k);
  kit_answers_free(answers);
  fake_close(&f);
  ck_assert_msg(!atomic_load(&together), "two calls at once");
}

/* All wait for the first, which is not answered yet. */
static void create(size_t count) {
  size_t before = kit_answers_count(answers);
  for (size_t i = 0; i < count; i++) kit_submit(&k, answers, NULL);
  ck_assert(kit_until_answers(answers, before + count));
}

static void answer_all(int status) {
  pthread_mutex_lock(&f.mutex);
  f.auto_status = status;
  pthread_mutex_unlock(&f.mutex);
  f.ops.wake(f.ops.userdata);
}

static int has_begun(void *count) { return fake_begun(&f) >= *(int *)count; }

typedef struct counted {
  atomic_int *value;
  int least;
} counted;

/* Time passes: what is not full is written now and then. */
static int is_at_least(void *arg) {
  const counted *c = arg;
  kit_clock_add(150000);
  f.ops.wake(f.ops.userdata);
  return atomic_load(c->value) >= c->least;
}

static void until(atomic_int *value, int least) {
  counted c = {value, least};
  ck_assert_msg(kit_until(is_at_least, &c), "%d of %d", atomic_load(value), least);
}

typedef struct logged {
  int64_t id, total, expected;
} logged;

static void ignore(const tc_webhook_delivery *delivery, void *unused) {
  (void)delivery;
  (void)unused;
}

static int is_logged(void *arg) {
  logged *l = arg;
  kit_clock_add(150000);
  f.ops.wake(f.ops.userdata);
  ck_assert_msg(!tc_webhook_deliveries(k.engine, l->id, 0, 1, ignore, NULL, &l->total), "%s", tc_last_error());
  return l->total == l->expected;
}

static void until_logged(int64_t id, int64_t expected) {
  logged l = {id, 0, expected};
  ck_assert_msg(kit_until(is_logged, &l), "%lld of %lld", (long long)l.total, (long long)expected);
}

START_TEST(a_slow_one_holds_up_nobody) {
  int count = 1300;
  int64_t id = open_engine(_i, 0);
  create((size_t)count);
  atomic_store(&hold, 1);
  answer_all(200);
  ck_assert_msg(kit_until(has_begun, &count), "%d of %d were sent", fake_begun(&f), count);
  until(&commits, 1);
  atomic_store(&hold, 0);
  until_logged(id, count);
  close_all();
}
END_TEST

static void check_bound(int backend, atomic_int *trouble) {
  int count = 3500, most = PAGES_ROWS - 512;
  int64_t id = open_engine(backend, 0);
  create((size_t)count);
  atomic_store(trouble, 1);
  answer_all(200);
  ck_assert_msg(kit_until(has_begun, &most), "%d of %d were sent", fake_begun(&f), most);
  until(&commits, 8 * (trouble == &fail));
  int begun = fake_begun(&f);
  atomic_store(trouble, 0);
  ck_assert_int_le(begun, PAGES_ROWS + 8);
  ck_assert_msg(kit_until(has_begun, &count), "%d of %d were sent", fake_begun(&f), count);
  until_logged(id, count);
  close_all();
}

START_TEST(one_that_never_answers_costs_no_more_than_so_much_memory) { check_bound(_i, &hold); }
END_TEST

START_TEST(one_that_always_fails_costs_no_more_either) { check_bound(_i, &fail); }
END_TEST

START_TEST(a_failing_one_is_tried_again) {
  int count = 1300;
  int64_t id = open_engine(_i, 0);
  create((size_t)count);
  atomic_store(&fail, 1);
  answer_all(200);
  ck_assert_msg(kit_until(has_begun, &count), "%d of %d were sent", fake_begun(&f), count);
  until(&failed, 4);
  atomic_store(&fail, 0);
  until_logged(id, count);
  kit_close(&k);
  if (_i) { /* memory forgets */
    kit_open(&k);
    create(1);
    count++;
    ck_assert(kit_until(has_begun, &count));
    until_logged(id, count);
  }
  ck_assert_int_eq(fake_begun(&f), count); /* none a second time */
  close_all();
}
END_TEST

/* Attempts that fail are owed, read back and settled, while others are signed and logged. */
START_TEST(its_calls_come_one_at_a_time) {
  int count = 1000, again = 2 * count;
  int64_t id = open_engine(_i, 0);
  create((size_t)count);
  answer_all(500);
  ck_assert(kit_until(has_begun, &count));
  until_logged(id, count);
  answer_all(200);
  kit_clock_add(20000000);
  until_logged(id, again);
  create(100);
  ck_assert_int_gt(atomic_load(&all_due), 0);
  ck_assert_int_eq(tc_webhook_delete(k.engine, id), TC_OK);
  close_all();
}
END_TEST

START_TEST(its_log_is_trimmed_meanwhile) {
  int count = 1500;
  int64_t id = open_engine(_i, 200);
  create((size_t)count);
  answer_all(200);
  ck_assert(kit_until(has_begun, &count));
  kit_clock_add(61000000);
  until(&trims, 3);
  until_logged(id, 200);
  close_all();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("the work store of webhooks");
  TCase *all = tcase_create("all");
  suite_add_tcase(suite, all);
  tcase_add_loop_test(all, a_slow_one_holds_up_nobody, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, one_that_never_answers_costs_no_more_than_so_much_memory, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, one_that_always_fails_costs_no_more_either, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, a_failing_one_is_tried_again, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, its_calls_come_one_at_a_time, 0, KIT_BACKENDS);
  tcase_add_loop_test(all, its_log_is_trimmed_meanwhile, 0, KIT_BACKENDS);
  return kit_run(suite);
}
